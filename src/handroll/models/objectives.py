"""Training objectives of denoisers. An objective determines the meaning of a network's output, and therefore its samplers.

- `v`: the velocity v of a diffusion process (`models.diffusion`), as in PianoMotion10M.
- `flow`: the velocity of straight paths from noise to motion (`models.flow`).

The settings of a network contain its objective (`models.denoiser.DenoiserSettings`).
"""

from collections.abc import Callable
from dataclasses import dataclass

from handroll.models import diffusion, flow


@dataclass(frozen=True)
class Objective:
    """Functions of an objective.

    Attributes
    ----------
    samplers : tuple of str
        Names of the samplers for networks of this objective.
    draw : callable (number of clips, generator) -> tensor (B,)
        Function that draws the diffusion step or the time of each clip of a training batch.
    loss : callable (denoise, clean, noise, drawn, visible) -> scalar tensor
        Training loss; `drawn` is the result of `draw`. See `diffusion.diffusion_loss`.
    sample : callable
        Function that samples motion; see `diffusion.sample`.
    """

    samplers: tuple[str, ...]
    draw: Callable
    loss: Callable
    sample: Callable


OBJECTIVES = {
    "v": Objective(diffusion.SAMPLERS, diffusion.draw_steps, diffusion.diffusion_loss, diffusion.sample),
    "flow": Objective(flow.SAMPLERS, flow.draw_times, flow.flow_loss, flow.sample),
}
"""Objectives by name."""


def check_objective(name):
    """Raise ValueError if an objective is unknown."""
    if name not in OBJECTIVES:
        raise ValueError(f"objective: expected one of {', '.join(OBJECTIVES)}, found {name!r}")


def check_sampling(sampler, steps, objective=None):
    """Check the name of a sampler and its number of steps.

    Parameters
    ----------
    sampler : str
    steps : int
    objective : str, optional
        Objective of the network. With None, the sampler of any objective is allowed.

    Raises
    ------
    ValueError
        The sampler is unknown, or does not match the objective; or `steps` is out of range.
    """
    known = [name for found in OBJECTIVES.values() for name in found.samplers]
    if sampler not in known:
        raise ValueError(f"sampler: expected one of {', '.join(known)}, found {sampler!r}")
    if objective is not None and sampler not in OBJECTIVES[objective].samplers:
        raise ValueError(
            f"sampler: expected one of {', '.join(OBJECTIVES[objective].samplers)} for a network that was trained with the objective "
            f"{objective}, found {sampler}; change the sampler, or train the network with another objective"
        )
    if not 1 <= steps <= diffusion.STEPS:
        raise ValueError(f"steps: expected 1 to {diffusion.STEPS}, found {steps}")


def sample(objective, denoise, shape, sampler, steps, generator, clip_range, device="cpu", shared_noise=False):
    """Sample motion from a network of an objective.

    Parameters
    ----------
    objective : str
        One of `OBJECTIVES`.
    denoise, shape, sampler, steps, generator, clip_range, device, shared_noise
        See `diffusion.sample` and `flow.sample`.

    Returns
    -------
    tensor (B, M, T)

    Raises
    ------
    ValueError
        See `check_sampling`.
    """
    check_sampling(sampler, steps, objective)
    return OBJECTIVES[objective].sample(denoise, shape, sampler, steps, generator, clip_range, device, shared_noise)
