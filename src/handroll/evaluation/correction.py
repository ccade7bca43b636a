"""Score methods that correct motion on true windows with noise."""

import numpy as np
import torch

from handroll.metrics.correction import correction_scores, estimates
from handroll.models.channel_joints import channel_joints
from handroll.models.correction_baselines import interpolated, moving_average
from handroll.training.correction import INPUTS
from handroll.training_data.noisy_windows import bone_scales, noisy_batch

# Number of windows in a forward pass.
_BATCH = 32


def untrained_methods(frames, every, rate_hz):
    """Return the methods without training by name: interpolation of the input, and moving average.

    Parameters
    ----------
    frames, every : int
        See `models.mapnet.MapnetSettings`.
    rate_hz : float
        Full frame rate.

    Returns
    -------
    dict of str to callable
        Methods for `score_methods`.
    """
    return {
        "interpolation": lambda *given: interpolated(*given[:3], frames, every),
        "moving average": lambda *given: moving_average(*given[:3], frames, every, rate_hz),
    }


@torch.inference_mode()
def score_methods(methods, clips, windows, frames, every, noise, seed=0):
    """Score methods on the same windows with the same noise.

    Parameters
    ----------
    methods : dict of str to callable
        Correct a batch, as `Mapnet.forward` does; trained networks are in evaluation mode.
    clips : training_data.loader.Clips
        Clips in the keyboard frame, with features.
    windows : sequence of (clip number, first frame)
    frames, every : int
        See `models.mapnet.MapnetSettings`.
    noise : MotionNoise
    seed : int
        Random seed of the noise.

    Returns
    -------
    dict of str to dict of str to bootstrap.Estimate
        Scores of `metrics.correction` by method, with intervals over clips. The part `gap` contains the frames between input frames that
        are not observed.
    """
    scales, rate_hz = bone_scales(clips), clips.source.rate_hz
    scores, names = {name: [] for name in methods}, []
    for first in range(0, len(windows), _BATCH):
        chosen = windows[first : first + _BATCH]
        arrays = noisy_batch(clips, chosen, scales, frames, every, noise, np.random.default_rng([seed, first]))
        batch = {name: torch.from_numpy(values) for name, values in arrays.items()}
        scale = batch["scale"][:, None]
        truth = channel_joints(batch["position"], batch["pose"], scale).numpy()
        gap = ~np.repeat(arrays["observed"], every, axis=1)[:, :frames]
        names += [clips.names[clip] for clip, _ in chosen]
        for name, method in methods.items():
            joints = channel_joints(*method(*(batch[key] for key in INPUTS)), scale).numpy()
            scores[name] += [
                correction_scores(*motion, rate_hz, {"gap": hidden})
                for *motion, hidden in zip(joints, truth, arrays["visible"], gap, strict=True)
            ]
    return {name: estimates(found, names) for name, found in scores.items()}
