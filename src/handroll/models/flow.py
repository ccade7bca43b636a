"""Flow matching of gestures: the training loss of a network that predicts velocities, and sampling.

Y. Lipman et al., "Flow Matching for Generative Modeling", ICLR 2023, arXiv:2210.02747, with straight paths from noise to motion (X. Liu
et al., "Flow Straight and Fast", ICLR 2023, arXiv:2209.03003). At time 0 a path is at noise, at time 1 at the clean motion:

    noisy = (1 - time) noise + time clean,   velocity = clean - noise.

The network predicts the mean velocity of the paths through a noisy motion. Sampling follows this velocity from time 0 to time 1.

A network receives the step 1000 (1 - time), a real number. Therefore the same networks are trained with `models.diffusion`, and a larger
step means more noise in both. The v of diffusion is not this velocity; see `models.objectives`.

The schedulers of the package diffusers are not used. Its Heun scheduler needs two calls for a step and stores the state between them, and
Euler's and Heun's methods are shorter than its use.

Axis letters: B clip in batch; M channel of the motion (channels of the right hand first); T frame.
"""

import torch

from handroll.models.diffusion import STEPS, initial_noise, mean_over_visible

SAMPLERS = ("euler", "heun")
"""Names of the samplers that `sample` accepts. Both are deterministic, given the initial noise.

- euler: Euler's method with one call of the network in each interval of time.
- heun: Heun's method of order 2 with two calls in each interval. If the number of calls is odd, the last interval is one of Euler's method.
"""


def draw_times(clips, generator=None):
    """Draw the time of each clip uniformly from 0..1: tensor (B,). `generator` None is torch's default generator."""
    return torch.rand(clips, generator=generator)


def flow_loss(denoise, clean, noise, time, visible=None):
    """Compute the mean squared error of the velocity.

    Parameters
    ----------
    denoise : callable (noisy motion (B, M, T), step (B,)) -> velocity (B, M, T)
    clean : tensor (B, M, T)
        Normalised motion. It must be finite even where a hand is hidden.
    noise : tensor (B, M, T)
        Standard normal noise.
    time : tensor (B,)
        Time of each clip, 0..1.
    visible : bool tensor (B, T, hand 2), optional
        See `diffusion.mean_over_visible`.

    Returns
    -------
    scalar tensor
    """
    share = time[:, None, None]
    noisy = (1.0 - share) * noise + share * clean
    return mean_over_visible((denoise(noisy, STEPS * (1.0 - time)) - (clean - noise)).square(), visible)


def sample(denoise, shape, sampler, steps, generator, clip_range, device="cpu", shared_noise=False):
    """Sample motion by following the velocity from noise.

    Parameters
    ----------
    denoise : callable (noisy motion (B, M, T), step (B,)) -> velocity (B, M, T)
    shape : tuple of int
        Shape of the motion (B, M, T).
    sampler : str
        One of `SAMPLERS`.
    steps : int
        Number of calls of `denoise`, 1..1000. Samplers with the same number of calls take the same time.
    generator : torch.Generator, or list of torch.Generator
        Source of the noise; see `diffusion.sample`.
    clip_range : float
        The motion is clipped to [-clip_range, clip_range] at the end.
    device : torch.device or str
    shared_noise : bool
        See `diffusion.sample`.

    Returns
    -------
    tensor (B, M, T)

    Raises
    ------
    ValueError
        Unknown sampler, or `steps` out of range.
    """
    if sampler not in SAMPLERS:
        raise ValueError(f"sampler: expected one of {', '.join(SAMPLERS)}, found {sampler!r}")
    if not 1 <= steps <= STEPS:
        raise ValueError(f"steps: expected 1 to {STEPS}, found {steps}")
    motion = initial_noise(shape, generator, device, shared_noise)

    def velocity(noisy, time):
        return denoise(noisy, noisy.new_full((shape[0],), STEPS * (1.0 - time)))

    intervals = steps if sampler == "euler" else -(-steps // 2)
    for number in range(intervals):
        start, end = number / intervals, (number + 1) / intervals
        slope = velocity(motion, start)
        if sampler == "heun" and 2 * number + 2 <= steps:
            slope = 0.5 * (slope + velocity(motion + (end - start) * slope, end))
        motion = motion + (end - start) * slope
    return motion.clamp(-clip_range, clip_range)
