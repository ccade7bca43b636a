"""Score a method that corrects motion on true windows with noise."""

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
    """Return the methods without weights by name: interpolation of the input, and moving average.

    Parameters
    ----------
    frames, every : int
        See `models.mapnet.MapnetSettings`.
    rate_hz : float
        Full frame rate.

    Returns
    -------
    dict of str to callable
        Methods for `score_method`.
    """
    return {
        "interpolation": lambda *given: interpolated(*given[:3], frames, every),
        "moving_average": lambda *given: moving_average(*given[:3], frames, every, rate_hz),
    }


def correction_costs(checkpoint, training_log):
    """Return the costs of a trained method.

    Parameters
    ----------
    checkpoint : models.checkpoint.Checkpoint
    training_log : dict
        Content of the file that `training.training_run.write_training_log` writes.

    Returns
    -------
    dict of str to number
        `parameters`; `training_s`; `step_ms`, the mean time of a training step with its share of the validations; and `memory_gb`, the
        maximum memory of the training.
    """
    return {
        "parameters": sum(value.numel() for value in checkpoint.network().parameters()),
        "training_s": training_log["seconds"],
        "step_ms": 1e3 * training_log["seconds"] / checkpoint.about["settings"]["steps"],
        "memory_gb": training_log["memory_gb"],
    }


@torch.inference_mode()
def score_method(method, clips, windows, frames, every, noise, seed=0):
    """Score a method. All methods that are scored with the same windows and arguments get the same noise.

    Parameters
    ----------
    method : callable
        Corrects a batch, as `Mapnet.forward` does; a trained network is in evaluation mode.
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
    dict of str to bootstrap.Estimate
        Scores of `metrics.correction`, with intervals over clips. The part `gap` contains the frames between input frames that are not
        observed.
    """
    scales, rate_hz = bone_scales(clips), clips.source.rate_hz
    scores, names = [], []
    for first in range(0, len(windows), _BATCH):
        chosen = windows[first : first + _BATCH]
        arrays = noisy_batch(clips, chosen, scales, frames, every, noise, np.random.default_rng([seed, first]))
        batch = {name: torch.from_numpy(values) for name, values in arrays.items()}
        scale = batch["scale"][:, None]
        truth = channel_joints(batch["position"], batch["pose"], scale).numpy()
        joints = channel_joints(*method(*(batch[key] for key in INPUTS)), scale).numpy()
        gap = ~np.repeat(arrays["observed"], every, axis=1)[:, :frames]
        names += [clips.names[clip] for clip, _ in chosen]
        scores += [
            correction_scores(*motion, rate_hz, {"gap": hidden})
            for *motion, hidden in zip(joints, truth, arrays["visible"], gap, strict=True)
        ]
    return estimates(scores, names)
