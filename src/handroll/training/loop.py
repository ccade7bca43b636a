"""Training loop for any model. It supports several GPUs (package accelerate), averages the weights, and resumes exactly.

The batch and all random numbers of a step depend only on the seed and the number of the step. Therefore training that was interrupted and
resumed gives the same weights as uninterrupted training. They are bit-identical on a CPU with the same number of threads.
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
from handroll.training_data.loader import prefetch

STATE = "state.pt"
"""Name of the file with the state from which training resumes."""


@dataclass(frozen=True)
class LoopSettings:
    """Settings of the training loop.

    Attributes
    ----------
    steps : int
        Total number of optimiser steps.
    learning_rate : float
        Maximum learning rate of AdamW.
    weight_decay : float
        Weight decay of AdamW.
    warmup : int
        Number of steps over which the learning rate rises linearly from 0 to its maximum.
    schedule : {"constant", "cosine"}
        Learning rate after warm-up: "constant", or "cosine", which falls to 0 at the last step.
    clip_norm : float
        Maximum norm of the gradient; 0 means no limit.
    ema_decay : float
        Decay of the exponential moving average of the weights. The average is the result of training. With 0 there is no average, and
        the last weights are the result.
    precision : {"fp32", "bf16"}
        Precision of the forward pass; "bf16" is mixed precision.
    seed : int
        Random seed of the training steps.
    save_every, log_every, valid_every : int
        Number of steps between saved states, between log entries, and between validations. With `valid_every` 0, validation runs only
        at the end.
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
        """Return the learning rate of a step. Steps count from 0."""
        rising = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        falling = 0.5 * (1.0 + math.cos(math.pi * step / self.steps)) if self.schedule == "cosine" else 1.0
        return self.learning_rate * rising * falling


@dataclass(frozen=True)
class Trained:
    """Result of `train`.

    Attributes
    ----------
    state_dict : dict of str to tensor
        Weights of the objective on the CPU: their moving average if there is one, else the last weights.
    history : list of dict
        Step and values of each validation.
    seconds : float
        Duration of training including validation (s). For resumed training, it includes the time before the saved state.
    memory_gb : float
        Peak memory of the GPU, or of the process if there is no GPU (GB).
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
        Module that contains the model and computes its loss. Called with a batch (dict of str to tensor), it returns the loss and a
        dict of other values to log. The initial weights must depend only on the seed.
    batches : loader.Windows or similar
        `batches[step]` is a dict of arrays that depends only on `step`. This function sets `batches.share`, so that each process reads
        its own part of a batch.
    settings : LoopSettings
    folder : path
        Folder for the state and the TensorBoard log. Both remain after an interruption.
    fingerprint : str
        Text that identifies model, data and settings. Training does not resume from a state with another fingerprint.
    device : str
        See `handroll.device.torch_device`.
    validate : callable (objective) -> dict of str to float, optional
        Function that computes validation values. It is called with the averaged weights, in evaluation mode.

    Returns
    -------
    Trained or None
        The result in the main process, None in other processes.

    Raises
    ------
    ValueError
        There are more processes than windows in a batch. All processes raise the error.
    FloatingPointError
        The loss of a step is not finite in some process. All processes raise the error, so that none waits for another.
    """
    torch_device(device)
    accelerator = Accelerator(cpu=device == "cpu", mixed_precision="bf16" if settings.precision == "bf16" else "no")
    if accelerator.num_processes > batches.batch:
        raise ValueError(
            f"training: expected at least one window per process in each batch, found {batches.batch} windows for "
            f"{accelerator.num_processes} processes; use fewer GPUs (`benchmark.gpus`) or a larger batch (`training.batch`)"
        )
    batches.share = accelerator.process_index, accelerator.num_processes
    trained = [value for value in objective.parameters() if value.requires_grad]
    # The fused optimiser updates all weights in one pass over memory, which is several times as fast on a CPU.
    optimiser = torch.optim.AdamW(trained, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True)
    average = AveragedModel(objective, multi_avg_fn=moving_average(settings.ema_decay)) if settings.ema_decay else None
    folder = Path(folder)
    step, history, spent = _resume(folder / STATE, fingerprint, objective, optimiser, average)
    objective, optimiser = accelerator.prepare(objective, optimiser)
    bare = accelerator.unwrap_model(objective)
    if average is not None:
        average.to(accelerator.device)
    board = SummaryWriter(folder / "tensorboard", purge_step=step) if accelerator.is_main_process else None
    started, first, logged, losses = time.monotonic(), step, time.monotonic(), deque(maxlen=settings.log_every)
    for arrays in prefetch(batches, step, settings.steps):
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
        # If the loss of one process is not finite, the mean is not finite in any process. Therefore all processes stop in the same step.
        reached = float(accelerator.reduce(loss.detach(), reduction="mean"))
        if not math.isfinite(reached):
            raise FloatingPointError(
                f"training: expected a finite loss, found {reached} in step {step}; reduce `learning_rate`, or check the data"
            )
        losses.append(reached)
        last = step == settings.steps
        if accelerator.is_main_process and (step % settings.log_every == 0 or last):
            speed = batches.batch * (step - first) / (time.monotonic() - started)
            # Losses of single batches are too noisy to plot, so the mean of the last `log_every` batches is logged.
            mean = sum(losses) / len(losses)
            costs = {"learning_rate": settings.rate(step - 1), "windows_per_s": speed, "memory_gb": _memory_gb()}
            _log(board, step, {"loss": mean, **values, **costs})
            if time.monotonic() - logged > 5.0 or last:
                logged = time.monotonic()
                LOGGER.info("step %d of %d: loss %.4g, %.1f windows/s", step, settings.steps, mean, speed)
        if validate is not None and (last or (settings.valid_every and step % settings.valid_every == 0)):
            found = _run_validation(validate, bare if average is None else average.module)
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
    """Create the function with which `AveragedModel` updates an exponential moving average.

    After n steps the decay is the minimum of `decay` and (1 + n) / (10 + n), as in TensorFlow's `ExponentialMovingAverage`. The smaller
    decay of the first steps quickly removes the influence of the initial weights.
    """

    @torch.no_grad()
    def update(averages, values, count):
        now = min(decay, (1.0 + float(count)) / (10.0 + float(count)))
        torch._foreach_lerp_(averages, values, 1.0 - now)

    return update


def _run_validation(validate, objective):
    """Call `validate` with the objective in evaluation mode, without gradients."""
    objective.eval()
    with torch.no_grad():
        return validate(objective)


def _save(path, fingerprint, done, model, optimiser, average):
    """Save the training state atomically. `done` is (number of finished steps, history of validations, seconds of training)."""
    state = {"fingerprint": fingerprint, "done": done, "model": model.state_dict(), "optimiser": optimiser.state_dict()}
    if average is not None:
        state["average"] = average.state_dict()
    with atomic_path(path) as temporary:
        torch.save(state, temporary)


def _resume(path, fingerprint, model, optimiser, average):
    """Load the saved state into model, optimiser and average if its fingerprint matches.

    Return its `done`, see `_save`. If there is no matching state, return (0, [], 0.0), so that training starts from scratch.
    """
    if not path.is_file():
        return 0, [], 0.0
    state = torch.load(path, map_location="cpu", weights_only=True)
    if state["fingerprint"] != fingerprint:
        LOGGER.info("training starts from scratch, because the saved state has other settings or other data")
        return 0, [], 0.0
    model.load_state_dict(state["model"])
    optimiser.load_state_dict(state["optimiser"])
    if average is not None:
        average.load_state_dict(state["average"])
    LOGGER.info("training resumes from step %d", state["done"][0])
    return state["done"]


def _log(board, step, values):
    """Write values by name to the TensorBoard log."""
    for name, value in values.items():
        board.add_scalar(name, value, step)


def _memory_gb():
    """Return the peak memory of the GPU, or of the process if there is no GPU (GB)."""
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        return torch.cuda.max_memory_allocated() / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
