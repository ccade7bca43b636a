"""The comparison of methods that correct motion, at toy size: its tables, a training that is killed, and what a change makes run again."""

import csv
import json
import os
import signal
import time

import pytest

from handroll.models.checkpoint import load_checkpoint

CONFIG = """\
splits: {train: 2, valid: 1, test: 0}
clips: {length_s: 10.0, hop_s: 10.0}
synthetic: {hours: 0.025, take_s: 30.0, audio: false}
benchmark:
  name: tiny
  models: []
  correction:
    rows: [moving_average, lstm_pose, mapnet]
    every: [1, 3]
    window_s: 2.0
    transformers: {width: 8, heads: 2, feedforward: 8, layers: 1, fusion_layers: 1}
    lstm: {width: 8}
    training: {steps: 40, batch: 2, save_every: 5, valid_every: 0}
"""
EXPERIMENT = "results/experiments/tiny"
MAPNET = f"{EXPERIMENT}/models/mapnet-3/mapnet"
NAMES = ["moving_average-1", "moving_average-3", "lstm_pose-1", "lstm_pose-3", "mapnet-1", "mapnet-3"]
PATIENCE_S = 900.0

SCORES = {"score_correction": 6, "make_correction_table": 1}
# Changed settings to the jobs that they give.
AFTER_A_CHANGE = {
    "benchmark={correction: {rows: [moving_average, lstm_pose, mapnet, mapnet_early]}}": {
        "train_corrector": 2,
        "score_correction": 2,
        "make_correction_table": 1,
    },
    "benchmark={correction: {transformers: {width: 16}}}": {"train_corrector": 2, "score_correction": 2, "make_correction_table": 1},
    "benchmark={correction: {lstm: {width: 16}}}": {"train_corrector": 2, "score_correction": 2, "make_correction_table": 1},
    "benchmark={correction: {training: {steps: 50}}}": {"train_corrector": 4, **SCORES, "score_correction": 4},
    "benchmark={correction: {noise: [measured]}}": {"train_corrector": 4, **SCORES},
    "benchmark={correction: {window_s: 3.0}}": {"prepare_correction": 1, "train_corrector": 4, **SCORES},
    "benchmark={max_windows: 2}": SCORES,
    "benchmark={gesture: {dim: 8}}": {},
}


@pytest.fixture(scope="module")
def done(project):
    """The project after an undisturbed run of the target `correction_table`."""
    (project.root / "config" / "test.yaml").write_text(CONFIG, encoding="utf-8")
    project.run("correction_table", cores=1)
    return project


def test_tables_have_a_row_for_every_method_and_the_published_ones(done):
    folder = done.root / EXPERIMENT
    with (folder / "correction.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    own = [row for row in rows if not row["published_table"]]
    assert [(f"{row['method']}-{row['every']}", row["noise"]) for row in own] == [
        (name, noise) for name in NAMES for noise in ("paper", "measured")
    ]
    assert all(0.0 < float(row["mpjpe_mm_low"]) <= float(row["mpjpe_mm"]) <= float(row["mpjpe_mm_high"]) for row in own)
    published = (done.root / "resources/published/mapnet.tsv").read_text(encoding="utf-8").splitlines()[1:]
    assert len(rows) == len(own) + len(published)
    markdown, page = ((folder / f"correction.{kind}").read_text(encoding="utf-8") for kind in ("md", "html"))
    assert "| mapnet (published) | 26.69 | 26.60 |" in markdown and '<tr class="published"><td>mapnet (published)</td>' in page
    assert "## Frame rates, noise of the paper" in markdown and "## Difficulty, measured noise" in markdown
    # Of early, balanced and late fusion, only one is in the experiment.
    assert "## Fusion" not in markdown


def test_only_what_the_table_needs_is_made(done):
    models = (done.root / EXPERIMENT).rglob("*.safetensors")
    assert {f"{path.parent.name}/{path.stem}" for path in models} == {
        f"{row}-{every}/{kind}" for row, kind in (("lstm_pose", "lstm"), ("mapnet", "mapnet")) for every in (1, 3)
    }
    settings = load_checkpoint(done.root / f"{MAPNET}.safetensors", "mapnet").settings
    assert {name: settings[name] for name in ("frames", "steps", "every", "width")} == {"frames": 60, "steps": 60, "every": 3, "width": 8}
    costs = json.loads((done.root / EXPERIMENT / "correction/scores/mapnet-3.json").read_text(encoding="utf-8"))["costs"]
    assert all(costs[name] > 0 for name in ("parameters", "training_s", "step_ms", "memory_gb"))


def killed_in_training(project, target):
    """Start a run and kill it after the first state of the training is saved; False where training had ended by then."""
    state = project.root / f"{MAPNET}.training/state.pt"
    running, log = project.start(target, cores=1)
    end = time.monotonic() + PATIENCE_S
    while not state.exists():
        assert running.poll() is None and time.monotonic() < end, log.read_text(encoding="utf-8")
        time.sleep(0.01)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    return not (project.root / target).exists()


def test_a_killed_training_resumes_to_the_same_weights(done, copy_of, tmp_path):
    target = f"{MAPNET}.safetensors"
    project = copy_of(done, tmp_path / "elsewhere", results=False)
    assert killed_in_training(project, target), "training ended before it could be killed"
    project.run("--unlock")
    project.run(target, cores=1)
    log = project.root / "results/logs/train_corrector/tiny/mapnet-3/mapnet.log"
    assert "training resumes from step" in log.read_text(encoding="utf-8")
    assert (project.root / target).read_bytes() == (done.root / target).read_bytes()


@pytest.fixture(scope="module")
def plans(done):
    """Planned jobs by changed setting; "" for none."""
    return done.planned_after("correction_table", AFTER_A_CHANGE)


@pytest.mark.parametrize("change", AFTER_A_CHANGE)
def test_a_change_reruns_what_uses_it_and_below(plans, change):
    assert plans[change] == AFTER_A_CHANGE[change]


def test_a_second_run_has_nothing_to_do(plans):
    assert plans[""] == {}


def test_a_table_without_rows_is_an_error(done):
    failed = done.run("correction_table", "--config", "benchmark={correction: {rows: []}}", check=False)
    assert failed.returncode != 0 and "benchmark.correction.rows: expected rows of the table" in failed.stdout
    failed = done.run("correction_table", "--config", "benchmark={correction: {rows: [mapnets]}}", check=False)
    assert failed.returncode != 0 and "expected names of rows (interpolation, moving_average, " in failed.stdout
