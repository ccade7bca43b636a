import multiprocessing
import os
import signal
import socket
import time

import numpy as np
import pytest
import torch
from torch import nn

from handroll.training.loop import STATE, LoopSettings, train

SETTINGS = {
    "steps": 40,
    "learning_rate": 1e-2,
    "warmup": 5,
    "schedule": "cosine",
    "clip_norm": 1.0,
    "ema_decay": 0.9,
    "save_every": 7,
    "log_every": 10,
}


class Batches:
    """Batch k depends on k only, as in the loader; `stop_at` interrupts training, `pause_s` delays a step."""

    batch = 4
    share = (0, 1)

    def __init__(self, stop_at=None, pause_s=0.0):
        self.stop_at, self.pause_s = stop_at, pause_s

    def __getitem__(self, step):
        if step == self.stop_at:
            raise KeyboardInterrupt
        time.sleep(self.pause_s)
        rng = np.random.default_rng(step)
        return {"x": rng.normal(size=(4, 6)).astype(np.float32), "y": rng.normal(size=(4, 2)).astype(np.float32)}


class Objective(nn.Module):
    """Regression with dropout, so that torch's random numbers have an effect."""

    def __init__(self):
        super().__init__()
        self.network = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32, 2))

    def forward(self, batch):
        return (self.network(batch["x"]) - batch["y"]).square().mean(), {"noise": float(torch.rand(()))}


def run(folder, batches=None, fingerprint="a", **changed):
    torch.manual_seed(0)
    return train(Objective(), batches or Batches(), LoopSettings(**{**SETTINGS, **changed}), folder, fingerprint)


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return run(tmp_path_factory.mktemp("undisturbed"))


def test_it_learns_and_repeats(undisturbed, tmp_path):
    assert same(run(tmp_path).state_dict, undisturbed.state_dict)
    assert not same(run(tmp_path / "other", seed=1).state_dict, undisturbed.state_dict)
    assert undisturbed.seconds > 0.0 and undisturbed.memory_gb > 0.0


@pytest.mark.parametrize("stop_at", [3, 7, 20, 39])
def test_interrupted_training_resumes_exactly(undisturbed, tmp_path, stop_at):
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, Batches(stop_at))
    assert (tmp_path / STATE).exists() == (stop_at >= 7)
    assert same(run(tmp_path).state_dict, undisturbed.state_dict)


def test_finished_training_is_not_repeated(undisturbed, tmp_path):
    run(tmp_path)
    assert same(run(tmp_path, Batches(stop_at=0)).state_dict, undisturbed.state_dict)


def test_other_settings_or_data_start_from_scratch(undisturbed, tmp_path):
    run(tmp_path, fingerprint="another", learning_rate=1e-3)
    assert same(run(tmp_path).state_dict, undisturbed.state_dict)


def test_the_moving_average_is_the_result(undisturbed, tmp_path):
    assert not same(run(tmp_path, ema_decay=0.0).state_dict, undisturbed.state_dict)


def test_validation_uses_the_average_and_changes_nothing(undisturbed, tmp_path):
    seen = []

    def validate(objective):
        assert not objective.training
        seen.append({name: value.clone() for name, value in objective.state_dict().items()})
        return {"error": 1.0}

    torch.manual_seed(0)
    trained = train(Objective(), Batches(), LoopSettings(**SETTINGS, valid_every=20), tmp_path, "a", validate=validate)
    assert [entry["step"] for entry in trained.history] == [20, 40]
    assert same(seen[-1], trained.state_dict) and same(trained.state_dict, undisturbed.state_dict)


def test_a_loss_that_is_not_finite_ends_training(tmp_path):
    class Bad(Objective):
        def forward(self, batch):
            loss, values = super().forward(batch)
            return loss / 0.0, values

    with pytest.raises(FloatingPointError, match="reduce `learning_rate`"):
        train(Bad(), Batches(), LoopSettings(**SETTINGS), tmp_path, "a")
    assert not (tmp_path / STATE).exists()


PROCESSES = multiprocessing.get_context("forkserver")
"""Starts processes by a fork of a server that has imported torch once, which saves several seconds a process."""
PROCESSES.set_forkserver_preload(["handroll.training.loop"])

SCRIPT = """
import os, sys
os.environ.update({environment!r})
output = os.open({output!r}, os.O_WRONLY | os.O_CREAT)
os.dup2(output, 1), os.dup2(output, 2)
sys.path.insert(0, {folder!r})
import torch
from test_training_loop import SETTINGS, Batches, LoopSettings, Objective, run, train
"""


def start(script, output, **environment):
    """Start a process that runs a script, and writes what it prints to a file."""
    head = SCRIPT.format(environment=environment, output=str(output), folder=os.path.dirname(__file__))
    process = PROCESSES.Process(target=exec, args=(head + script, {"__name__": "script"}))
    process.start()
    return process


TWO = """
rank, windows = int(os.environ["RANK"]), {windows}


class Shared(Batches):
    batch = windows

    def __getitem__(self, step):
        process, processes = self.share
        return {{name: values[process:windows:processes] for name, values in super().__getitem__(step).items()}}


class Bad(Objective):
    def forward(self, batch):
        loss, values = super().forward(batch)
        Bad.step = getattr(Bad, "step", 0) + 1
        return loss * (float("nan") if (rank, Bad.step) == {bad} else 1.0), values


torch.manual_seed(0)
trained = train(Bad(), Shared(), LoopSettings(**{{**SETTINGS, "steps": 5}}), {out!r}, "a")
print("trained" if trained is not None or rank else "nothing", flush=True)
"""


def in_two_processes(out, windows=4, bad=None):
    """Train in two processes on the CPU; returns the exit status and the last printed line of each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = TWO.format(out=str(out), windows=windows, bad=bad)
    # The network between the two is this machine's own.
    world = {
        "WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "GLOO_SOCKET_IFNAME": "lo",
        "ACCELERATE_USE_CPU": "true",
    }
    outputs = [out / f"printed{rank}" for rank in range(2)]
    processes = [start(script, outputs[rank], **world, RANK=str(rank), LOCAL_RANK=str(rank)) for rank in range(2)]
    for process in processes:
        process.join()
    # Torch puts its rank before each line of a traceback.
    lasts = [path.read_text().strip().splitlines()[-1].removeprefix(f"[rank{rank}]: ") for rank, path in enumerate(outputs)]
    return [(process.exitcode, last) for process, last in zip(processes, lasts, strict=True)]


def test_two_processes_train_together(tmp_path):
    assert in_two_processes(tmp_path) == [(0, "trained")] * 2


@pytest.mark.parametrize("rank", [0, 1])
def test_a_loss_that_is_not_finite_in_one_process_ends_both(tmp_path, rank):
    message = "FloatingPointError: training: expected a finite loss, found nan in step 3; reduce `learning_rate`, or check the data"
    assert in_two_processes(tmp_path, bad=(rank, 3)) == [(1, message)] * 2


def test_more_processes_than_windows_end_before_the_first_step(tmp_path):
    ends = in_two_processes(tmp_path, windows=1)
    assert [status for status, _ in ends] == [1, 1]
    assert all("ValueError: training: expected at least one window per process in each batch, found 1" in line for _, line in ends)


def test_tensorboard_and_learning_rate(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run(tmp_path)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert {"loss", "learning_rate", "windows_per_s", "memory_gb", "noise"} <= set(events.Tags()["scalars"])
    settings = LoopSettings(**SETTINGS)
    assert settings.rate(0) < settings.rate(4) and settings.rate(39) < 0.01 * settings.learning_rate
    assert LoopSettings(10, 1e-3).rate(9) == 1e-3


def test_kill_9_at_any_step(undisturbed, tmp_path):
    script = f"""
trained = run({str(tmp_path)!r}, Batches(pause_s=0.05))
torch.save(trained.state_dict, {str(tmp_path / "weights.pt")!r})
"""
    process = start(script, tmp_path / "printed")
    while not (tmp_path / STATE).exists():
        assert process.is_alive()
        time.sleep(0.02)
    wait_s = float(np.random.default_rng().uniform(0.0, 1.0))
    time.sleep(wait_s)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL, f"expected it to be killed after {wait_s} s, but it had ended"
    process = start(script, tmp_path / "printed")
    process.join()
    assert process.exitcode == 0
    assert same(torch.load(tmp_path / "weights.pt", weights_only=True), undisturbed.state_dict)
