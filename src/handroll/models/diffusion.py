"""Diffusion of gestures: the noise schedule, the training loss of a denoiser, and sampling.

The process is that of PianoMotion10M (Gan et al., ICLR 2025): 1000 steps, noise by the cosine schedule (A. Nichol and P. Dhariwal,
"Improved Denoising Diffusion Probabilistic Models", ICML 2021, arXiv:2102.09672), and a denoiser that predicts the velocity v
(T. Salimans and J. Ho, "Progressive Distillation", ICLR 2022, arXiv:2202.00512): v = sqrt(a) noise - sqrt(1 - a) clean, where a is the
share of the signal in the variance. Schedule and samplers are those of the package diffusers.

A denoiser is any function that maps noisy motion (B, M, T) and steps (B,) to v (B, M, T). A caller can therefore condition a
network in any way, or blend its predictions for overlapping windows.

Axis letters: B clip in batch; M channel of the motion (channels of the right hand first); T frame.
"""

from functools import cache

import numpy as np
import torch
from diffusers import DDPMScheduler, DPMSolverMultistepScheduler
from diffusers.utils.torch_utils import randn_tensor

STEPS = 1000
"""Number of diffusion steps."""

BETAS = "squaredcos_cap_v2"
"""Name of the cosine noise schedule in the package diffusers."""

MIN_LOG_SNR = -4.0
"""Log signal-to-noise ratio at which the even spacing of sampling steps begins: natural logarithm of the ratio of the standard deviations
of signal and noise."""

SAMPLERS = ("ddpm", "ddim", "dpmsolver++", "sde-dpmsolver++")
"""Names of the samplers that `sample` accepts.

- ddpm: J. Ho et al. 2020, arXiv:2006.11239, with the smaller variance of that paper.
- ddim: J. Song et al. 2021, arXiv:2010.02502; deterministic.
- dpmsolver++: C. Lu et al. 2022, arXiv:2211.01095, multistep of order 2; deterministic.
- sde-dpmsolver++: the stochastic form of dpmsolver++.
"""


@cache
def schedule():
    """Return the shared noise schedule, a `diffusers.DDPMScheduler`. Use it to add noise, and for its betas and alphas_cumprod.

    Do not sample with it, because a scheduler stores the state of its sampling. Use `new_sampler` instead.
    """
    return DDPMScheduler(STEPS, beta_schedule=BETAS, prediction_type="v_prediction")


def draw_steps(clips, generator=None):
    """Draw the diffusion step of each clip uniformly: int tensor (B,). `generator` None is torch's default generator."""
    return torch.randint(STEPS, (clips,), generator=generator)


def mean_over_visible(error, visible=None):
    """Compute the mean of an error over the visible hands.

    Parameters
    ----------
    error : tensor (B, M, T)
        Error of each channel; channels of the right hand first.
    visible : bool tensor (B, T, hand 2), optional
        Visibility of the right hand, then the left. With None, the mean includes all hands, as in the released code of PianoMotion10M.

    Returns
    -------
    scalar tensor
        0 if no hand is visible.
    """
    if visible is None:
        return error.mean()
    by_hand = error.unflatten(1, (2, -1)).permute(0, 3, 1, 2)[visible]
    return by_hand.sum() / max(by_hand.numel(), 1)


def diffusion_loss(denoise, clean, noise, step, visible=None, change_weights=(0.0, 0.0)):
    """Compute the mean squared error of v, weighted by the share of signal variance at the step of each clip.

    The weight is SNR / (SNR + 1), as in the released code. SNR is the signal-to-noise ratio of variances. With this weight, the squared
    error of v equals the squared error of the noise.

    Parameters
    ----------
    denoise : callable (noisy motion (B, M, T), step (B,)) -> v (B, M, T)
    clean : tensor (B, M, T)
        Normalised motion. It must be finite even where a hand is hidden.
    noise : tensor (B, M, T)
        Standard normal noise.
    step : int tensor (B,)
        Diffusion step of each clip, 0..999. Training draws it uniformly.
    visible : bool tensor (B, T, hand 2), optional
        See `mean_over_visible`.
    change_weights : tuple of 2 floats
        Weights of the mean squared errors of the first and of the second differences in time between the predicted and the true clean
        motion. They are added before the weight of the step, as in S2C (Liu et al., ACM MM 2025). The hand must be visible in all
        frames of a difference.

    Returns
    -------
    scalar tensor
    """
    noisy = schedule().add_noise(clean, noise, step)
    error = denoise(noisy, step) - schedule().get_velocity(clean, noise, step)
    share = schedule().alphas_cumprod.to(error)[step, None, None]
    loss = mean_over_visible(error.square() * share, visible)
    # The predicted clean motion is sqrt(share) noisy - sqrt(1 - share) v, so its error is proportional to that of v.
    change = (1.0 - share).sqrt() * error
    for weight in change_weights:
        change = change.diff(dim=-1)
        visible = None if visible is None else visible[:, 1:] & visible[:, :-1]
        if weight:
            loss = loss + weight * mean_over_visible(share * change.square(), visible)
    return loss


def sample(denoise, shape, sampler, steps, generator, clip_range, device="cpu", shared_noise=False):
    """Sample motion from a denoiser, starting from noise.

    Parameters
    ----------
    denoise : callable (noisy motion (B, M, T), step (B,)) -> v (B, M, T)
    shape : tuple of int
        Shape of the motion (B, M, T).
    sampler : str
        One of `SAMPLERS`.
    steps : int
        Number of calls of the denoiser, 1..1000.
    generator : torch.Generator, or list of torch.Generator
        Source of all noise. With a list, which has one generator per clip, the noise of a clip does not depend on the rest of the batch.
        CPU generators give the same noise on every device.
    clip_range : float
        Predictions of the clean motion are clipped to [-clip_range, clip_range]. The released models use 1, which corresponds to half a
        turn.
    device : torch.device or str
    shared_noise : bool
        Whether the left hand starts from the same noise as the right hand, as in the released code of S2C. The noise of later steps is
        independent.

    Returns
    -------
    tensor (B, M, T)

    Raises
    ------
    ValueError
        Unknown sampler, or `steps` out of range.
    """
    scheduler = new_sampler(sampler)
    scheduler.set_timesteps(timesteps=sampling_steps(steps).tolist())
    motion = initial_noise(shape, generator, device, shared_noise)
    for step in scheduler.timesteps:
        v = denoise(motion, step.to(motion.device).expand(shape[0]))
        share = scheduler.alphas_cumprod[step].item()
        clean = (share**0.5 * motion - (1.0 - share) ** 0.5 * v).clamp(-clip_range, clip_range)
        motion = scheduler.step(clean, step, motion, generator=generator).prev_sample
    return motion


def initial_noise(shape, generator, device="cpu", shared=False):
    """Draw the noise (B, M, T) from which motion is sampled. With `shared`, both hands have the same noise. See `sample`."""
    noise = randn_tensor(shape, generator=generator, device=torch.device(device))
    return noise[:, : shape[1] // 2].repeat(1, 2, 1) if shared else noise


def sampling_steps(steps):
    """Choose diffusion steps for sampling, evenly spaced in the logarithm of the signal-to-noise ratio.

    The spacing is that of Lu et al. 2022, arXiv:2206.00927, section 3.4. The ratios range from `MIN_LOG_SNR` to that of step 0. The
    first step is then replaced by 999 (pure noise).

    Parameters
    ----------
    steps : int
        1..1000.

    Returns
    -------
    int array (steps,)
        Strictly decreasing from 999 to 0.

    Raises
    ------
    ValueError
        `steps` out of range.
    """
    if not 1 <= steps <= STEPS:
        raise ValueError(f"steps: expected 1 to {STEPS}, found {steps}")
    share = schedule().alphas_cumprod.double().numpy()
    signal = 0.5 * np.log(share / (1.0 - share))
    taken = np.abs(signal - np.linspace(MIN_LOG_SNR, signal[0], steps)[:, None]).argmin(axis=1)
    taken[0] = STEPS - 1
    # Near both ends, several of the wanted ratios have the same nearest step. The steps are strictly decreasing if step + index
    # never increases, so this sum is made monotonic.
    index = np.arange(steps)
    shifted = np.maximum.accumulate((taken + index)[::-1])[::-1]
    return np.minimum(shifted, STEPS - 1) - index


def new_sampler(name):
    """Create a scheduler of the package diffusers for sampling from predictions of the clean motion at chosen steps.

    DDIM is created as DPM-Solver++ of order 1, which is equivalent (Lu et al. 2022), because `diffusers.DDIMScheduler` does not accept
    a list of steps.

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
        Unknown sampler.
    """
    sizes = {"num_train_timesteps": STEPS, "beta_schedule": BETAS, "prediction_type": "sample"}
    if name == "ddpm":
        return DDPMScheduler(**sizes, clip_sample=False, variance_type="fixed_small")
    if name in SAMPLERS:
        order, algorithm = (1, "dpmsolver++") if name == "ddim" else (2, name)
        return DPMSolverMultistepScheduler(**sizes, solver_order=order, algorithm_type=algorithm, final_sigmas_type="zero")
    raise ValueError(f"sampler: expected one of {', '.join(SAMPLERS)}, found {name!r}")
