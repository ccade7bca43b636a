"""The training loop: any model, one or many GPUs (accelerate), EMA, and a state from which it goes on after it was killed.

Everything random in a step follows from the seed and the step's number, and so does its batch: training that goes on from a
state gives the weights that it would have given without being cut off; on a CPU, with as many threads, bit by bit.
"""

import math
import resource
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from torch.optim.swa_utils import AveragedModel
from torch.utils.tensorboard import SummaryWriter

from handroll.device import torch_device
from handroll.logs import LOGGER
from handroll.provenance import atomic_path
from handroll.training_data.loader import ahead

STATE = "state.pt"
"""Name of the file that training goes on from."""


@dataclass(frozen=True)
class LoopSettings:
    """How a model is trained.

    Attributes
    ----------
    steps : int
        Optimiser steps in all.
    learning_rate : float
        Highest learning rate of AdamW.
    weight_decay : float
    warmup : int
        Steps over which the learning rate rises from 0.
    schedule : {"constant", "cosine"}
        After that it stays, or falls to 0 at the last step.
    clip_norm : float
        Greatest norm of the gradient; 0: no limit.
    ema_decay : float
        Of the exponential moving average of the weights, which is what training gives; 0: the last weights.
    precision : {"fp32", "bf16"}
    seed : int
    save_every, log_every, valid_every : int
        Steps between states, lines of the log, and looks at the validation windows; 0 for `valid_every`: only at the end.
    """

    steps: int
    learning_rate: float
    weight_decay: float = 0.01
    warmup: int = 0
    schedule: str = "constant"
    clip_norm: float = 0.0
    ema_decay: float = 0.0
    precision: str = "fp32"
    seed: int = 0
    save_every: int = 1000
    log_every: int = 50
    valid_every: int = 0

    def rate(self, step):
        """Learning rate of a step, from 0."""
        rising = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        falling = 0.5 * (1.0 + math.cos(math.pi * step / self.steps)) if self.schedule == "cosine" else 1.0
        return self.learning_rate * rising * falling


@dataclass(frozen=True)
class Trained:
    """What training gives.

    Attributes
    ----------
    state_dict : dict of str to tensor
        On the CPU; the moving average where there is one.
    history : list of dict
        Validation: step and values.
    seconds : float
        Time that it took, validation included; also before it was cut off, as far as that is still of use.
    memory_gb : float
        Most memory of the GPU; without one, of the process.
    """

    state_dict: dict
    history: list
    seconds: float
    memory_gb: float


def train(objective, batches, settings, folder, fingerprint, device="cpu", validate=None):
    """Train a model.

    Parameters
    ----------
    objective : torch.nn.Module
        Around the model, with its first weights, which must follow from the seed. Called with a batch, a dict of str to tensor, it
        gives the loss and a dict of what else to log.
    batches : loader.Windows or the like
        `batches[step]` is a dict of arrays, the same one whenever it is asked for; `batches.share` is what part of it this process takes.
    settings : LoopSettings
    folder : path
        Of the state and the TensorBoard log; kept when a job is killed.
    fingerprint : str
        Says what is trained on what: a state of another fingerprint is not gone on from.
    device : str
        As `handroll.device.torch_device`.
    validate : callable (objective) -> dict of str to float, optional
        Called with the averaged weights, in evaluation mode.

    Returns
    -------
    Trained
        None in all processes but the main one.

    Raises
    ------
    ValueError
        There are more processes than windows in a batch. All processes raise it.
    FloatingPointError
        The loss of a step is not finite, in whichever process. All processes raise it, so none waits for another.
    """
    torch_device(device)
    accelerator = Accelerator(cpu=device == "cpu", mixed_precision="bf16" if settings.precision == "bf16" else "no")
    if accelerator.num_processes > batches.batch:
        raise ValueError(
            f"training: expected at least one window a process in each batch, found {batches.batch} windows for "
            f"{accelerator.num_processes} processes; use fewer GPUs (`benchmark.gpus`) or a larger batch (`training.batch`)"
        )
    batches.share = accelerator.process_index, accelerator.num_processes
    trained = [value for value in objective.parameters() if value.requires_grad]
    # Fused: in one pass over memory, which on a processor is several times as fast.
    optimiser = torch.optim.AdamW(trained, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True)
    average = AveragedModel(objective, multi_avg_fn=moving_average(settings.ema_decay)) if settings.ema_decay else None
    folder = Path(folder)
    step, history, spent = _resume(folder / STATE, fingerprint, objective, optimiser, average)
    objective, optimiser = accelerator.prepare(objective, optimiser)
    bare = accelerator.unwrap_model(objective)
    if average is not None:
        average.to(accelerator.device)
    board = SummaryWriter(folder / "tensorboard", purge_step=step) if accelerator.is_main_process else None
    started, first, told, losses = time.monotonic(), step, time.monotonic(), deque(maxlen=settings.log_every)
    for arrays in ahead(batches, step, settings.steps):
        torch.manual_seed(settings.seed * 1_000_003 + step * accelerator.num_processes + accelerator.process_index)
        for group in optimiser.param_groups:
            group["lr"] = settings.rate(step)
        batch = {name: torch.from_numpy(values).to(accelerator.device) for name, values in arrays.items()}
        objective.train()
        with accelerator.autocast():
            loss, values = objective(batch)
        optimiser.zero_grad(set_to_none=True)
        accelerator.backward(loss)
        if settings.clip_norm:
            accelerator.clip_grad_norm_(objective.parameters(), settings.clip_norm)
        optimiser.step()
        if average is not None:
            average.update_parameters(bare)
        step += 1
        # The mean over processes: what one of them has makes it infinite or NaN in all, which then stop together.
        reached = float(accelerator.reduce(loss.detach(), reduction="mean"))
        if not math.isfinite(reached):
            raise FloatingPointError(
                f"training: expected a finite loss, found {reached} in step {step}; lower the learning rate, or check the data"
            )
        losses.append(reached)
        last = step == settings.steps
        if accelerator.is_main_process and (step % settings.log_every == 0 or last):
            speed = batches.batch * (step - first) / (time.monotonic() - started)
            # Of single batches a curve would be noise.
            mean = sum(losses) / len(losses)
            costs = {"learning_rate": settings.rate(step - 1), "windows_per_s": speed, "memory_gb": _memory_gb()}
            _log(board, step, {"loss": mean, **values, **costs})
            if time.monotonic() - told > 5.0 or last:
                told = time.monotonic()
                LOGGER.info("step %d of %d: loss %.4g, %.1f windows/s", step, settings.steps, mean, speed)
        if validate is not None and (last or (settings.valid_every and step % settings.valid_every == 0)):
            found = _validated(validate, bare if average is None else average.module)
            history.append({"step": step, **found})
            if accelerator.is_main_process:
                _log(board, step, {f"valid_{name}": value for name, value in found.items()})
                LOGGER.info("step %d: %s", step, ", ".join(f"valid {name} {value:.4g}" for name, value in found.items()))
        if accelerator.is_main_process and (last or step % settings.save_every == 0):
            _save(folder / STATE, fingerprint, (step, history, spent + time.monotonic() - started), bare, optimiser, average)
    if board is None:
        return None
    board.close()
    kept = bare if average is None else average.module
    weights = {name: value.detach().cpu().clone().contiguous() for name, value in kept.state_dict().items()}
    return Trained(weights, history, spent + time.monotonic() - started, _memory_gb())


def moving_average(decay):
    """An average for `AveragedModel` whose decay rises to the given one, so that first weights are soon forgotten.

    Of n steps it is at most (1 + n) / (10 + n), as in TensorFlow's `ExponentialMovingAverage`.
    """

    @torch.no_grad()
    def update(averages, values, count):
        now = min(decay, (1.0 + float(count)) / (10.0 + float(count)))
        torch._foreach_lerp_(averages, values, 1.0 - now)

    return update


def _validated(validate, objective):
    """Values of the validation."""
    objective.eval()
    with torch.no_grad():
        return validate(objective)


def _save(path, fingerprint, done, model, optimiser, average):
    state = {"fingerprint": fingerprint, "done": done, "model": model.state_dict(), "optimiser": optimiser.state_dict()}
    if average is not None:
        state["average"] = average.state_dict()
    with atomic_path(path) as temporary:
        torch.save(state, temporary)


def _resume(path, fingerprint, model, optimiser, average):
    """(step, history, seconds) of a state of this fingerprint, loaded; (0, [], 0) where there is none."""
    if not path.is_file():
        return 0, [], 0.0
    state = torch.load(path, map_location="cpu", weights_only=True)
    if state["fingerprint"] != fingerprint:
        LOGGER.info("what was trained before had other settings or data: training begins anew")
        return 0, [], 0.0
    model.load_state_dict(state["model"])
    optimiser.load_state_dict(state["optimiser"])
    if average is not None:
        average.load_state_dict(state["average"])
    LOGGER.info("going on from step %d", state["done"][0])
    return state["done"]


def _log(board, step, values):
    for name, value in values.items():
        board.add_scalar(name, value, step)


def _memory_gb():
    """Most memory of the GPU; without one, of the process."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated() / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
