"""The diffusion that gestures are made by: its noise, what training asks of a denoiser, and how motion is drawn from one.

As in PianoMotion10M (Gan et al., ICLR 2025): 1000 steps, noise by the cosine schedule (A. Nichol and P. Dhariwal, "Improved
Denoising Diffusion Probabilistic Models", ICML 2021, arXiv:2102.09672), and a denoiser that predicts
v = sqrt(a) noise - sqrt(1 - a) clean, where a is the share of signal variance (T. Salimans and J. Ho, "Progressive
Distillation", ICLR 2022, arXiv:2202.00512). Schedule and samplers are those of the package diffusers.

A denoiser is any function of noisy motion (B, M, T) and steps (B,) that gives v (B, M, T), so that a caller can condition a
network as it likes, or blend its predictions for overlapping windows.

Axis letters: B clip in batch; M channel of the motion, the right hand's, then the left hand's; T frame.
"""

from functools import cache

import numpy as np
import torch
from diffusers import DDPMScheduler, DPMSolverMultistepScheduler
from diffusers.utils.torch_utils import randn_tensor

STEPS = 1000
"""Of the diffusion."""

BETAS = "squaredcos_cap_v2"
"""The cosine schedule in diffusers."""

LEAST_SIGNAL = -4.0
"""Logarithm of the ratio of signal to noise (of their deviations) below which no steps are spent."""

SAMPLERS = ("ddpm", "ddim", "dpmsolver++", "sde-dpmsolver++")
"""Of `sample`: J. Ho et al. 2020, arXiv:2006.11239, with the smaller variance; J. Song et al. 2021, arXiv:2010.02502, without
noise on the way; C. Lu et al. 2022, arXiv:2211.01095, multistep of order 2, without noise on the way and with it."""


@cache
def schedule():
    """The noise schedule: a `diffusers.DDPMScheduler` that noises motion and tells betas and alphas_cumprod.

    Not for sampling, which keeps its state in the object.
    """
    return DDPMScheduler(STEPS, beta_schedule=BETAS, prediction_type="v_prediction")


def diffusion_loss(denoise, clean, noise, step, visible=None):
    """Squared error of v, weighted by the share of signal variance at each clip's step.

    The weight is SNR / (SNR + 1), as released; with it, the error of v is that of the noise.

    Parameters
    ----------
    denoise : function
    clean : tensor (B, M, T)
        Normalised motion; finite also where a hand is hidden.
    noise : tensor (B, M, T)
        Standard normal.
    step : int tensor (B,)
        Uniform on 0..999 in training.
    visible : bool tensor (B, T, hand 2), optional
        Right, left; what is hidden is left out of the mean, which is 0 of nothing. All counts where None, as in the released code.

    Returns
    -------
    scalar tensor
    """
    wanted = schedule().get_velocity(clean, noise, step)
    error = (denoise(schedule().add_noise(clean, noise, step), step) - wanted).square()
    error = error * schedule().alphas_cumprod.to(error)[step, None, None]
    if visible is None:
        return error.mean()
    by_hand = error.unflatten(1, (2, -1)).permute(0, 3, 1, 2)[visible]
    return by_hand.sum() / max(by_hand.numel(), 1)


def sample(denoise, shape, sampler, steps, generator, clip_range, device="cpu"):
    """Draw motion.

    Parameters
    ----------
    denoise : function
    shape : tuple of int
        (B, M, T).
    sampler : str
        One of `SAMPLERS`.
    steps : int
        1..1000 calls of the denoiser.
    generator : torch.Generator, or list of one a clip
        Of all noise. With one a clip, a clip's noise does not depend on what else is in the batch. Generators of the processor
        give the same noise on every device.
    clip_range : float
        Predictions of the clean motion are clipped to plus or minus this: 1, half a turn, as released.
    device : torch.device or str

    Returns
    -------
    tensor (B, M, T)

    Raises
    ------
    ValueError
        There is no such sampler, or not so many steps.
    """
    scheduler = new_sampler(sampler)
    scheduler.set_timesteps(timesteps=sampling_steps(steps).tolist())
    motion = randn_tensor(shape, generator=generator, device=torch.device(device))
    for step in scheduler.timesteps:
        v = denoise(motion, step.to(motion.device).expand(shape[0]))
        share = scheduler.alphas_cumprod[step].item()
        clean = (share**0.5 * motion - (1.0 - share) ** 0.5 * v).clamp(-clip_range, clip_range)
        motion = scheduler.step(clean, step, motion, generator=generator).prev_sample
    return motion


def sampling_steps(steps):
    """Which of the 1000 steps are taken: all, or fewer, evenly spaced by the logarithm of the signal-to-noise ratio.

    The spacing of Lu et al. 2022, arXiv:2206.00927, section 3.4. The first step is the top one, where there is but noise; the others
    begin at `LEAST_SIGNAL`.

    Parameters
    ----------
    steps : int
        1..1000.

    Returns
    -------
    int array (steps,)
        From 999 down to 0, no two the same.

    Raises
    ------
    ValueError
        Fewer or more.
    """
    if not 1 <= steps <= STEPS:
        raise ValueError(f"steps: expected 1 to {STEPS}, found {steps}")
    share = schedule().alphas_cumprod.double().numpy()
    signal = 0.5 * np.log(share / (1.0 - share))
    taken = np.abs(signal - np.linspace(LEAST_SIGNAL, signal[0], steps)[:, None]).argmin(axis=1)
    taken[0] = STEPS - 1
    # Near the ends wanted ones lie closer than steps do. Distinct are falling ones, of which value plus place never rises.
    place = np.arange(steps)
    falling = np.maximum.accumulate((taken + place)[::-1])[::-1]
    return np.minimum(falling, STEPS - 1) - place


def new_sampler(name):
    """A scheduler of diffusers that is told the clean motion, and takes its steps from a list.

    DDIM is DPM-Solver++ of order 1 (Lu et al. 2022); the class of that name in diffusers takes no list.

    Parameters
    ----------
    name : str
        One of `SAMPLERS`.

    Returns
    -------
    diffusers.DDPMScheduler or diffusers.DPMSolverMultistepScheduler

    Raises
    ------
    ValueError
        There is no such sampler.
    """
    sizes = {"num_train_timesteps": STEPS, "beta_schedule": BETAS, "prediction_type": "sample"}
    if name == "ddpm":
        return DDPMScheduler(**sizes, clip_sample=False, variance_type="fixed_small")
    if name in SAMPLERS:
        order, algorithm = (1, "dpmsolver++") if name == "ddim" else (2, name)
        return DPMSolverMultistepScheduler(**sizes, solver_order=order, algorithm_type=algorithm, final_sigmas_type="zero")
    raise ValueError(f"sampler: expected one of {', '.join(SAMPLERS)}, found {name!r}")
