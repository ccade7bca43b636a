"""The two-stage model of PianoMotion10M (Gan et al., ICLR 2025) as one: places from the sound, then poses by diffusion.

Motion longer than a window is made of windows that overlap by half: places are blended, and so are the denoiser's predictions
in every step, so that a long motion has no seams (Bar-Tal et al. 2023, "MultiDiffusion", arXiv:2302.08113).

Axis letters: B window in batch; T frame; F audio feature.
"""

import numpy as np
import torch

from handroll.device import torch_device
from handroll.logs import progress
from handroll.models.checkpoint import CheckpointError, load_checkpoint
from handroll.models.diffusion import sample

BATCH = 16
"""Windows of a long motion that a network sees at a time: its memory does not grow with the length."""


class TwoStage:
    """Gives motions.

    Parameters
    ----------
    position : PositionPredictor
    gesture : GestureUNet
    scales : dataset.windows.Scales
        Of both stages.
    frames : int
        Of the windows that they were trained on.
    device : str
    released : bool
        Forward passes as the released code's.

    Attributes
    ----------
    parameters : int
        Of both stages.
    """

    def __init__(self, position, gesture, scales, frames, device="cpu", released=False):
        self._device = torch_device(device)
        self._position, self._gesture = (network.eval().requires_grad_(False).to(self._device) for network in (position, gesture))
        self._scales, self._frames, self._released = scales, frames, released
        self.parameters = sum(value.numel() for network in (position, gesture) for value in network.parameters())

    @torch.inference_mode()
    def generate(self, features, sampler, steps, seeds):
        """Motions for windows of sound.

        Parameters
        ----------
        features : array (B, T, F)
            T as in training, or any multiple of 8 frames that is not far from it.
        sampler, steps
            As of `models.diffusion.sample`.
        seeds : sequence of B ints
            Of the noise of each window: a motion does not depend on what else is in the batch.

        Returns
        -------
        place : array (B, T, 6), float32
            Right hand first, in the unit of the training frame.
        pose : array (B, T, 96), float32
            Right hand first, rad.
        """
        heard = torch.from_numpy(np.asarray(features, dtype=np.float32)).to(self._device)
        guide = self._position(heard, released=self._released)
        condition = self._gesture.encode_condition(heard, released=self._released)
        return self._sampled(guide, lambda noisy, step: self._gesture(noisy, step, condition, guide.transpose(1, 2)), sampler, steps, seeds)

    @torch.inference_mode()
    def generate_long(self, features, sampler, steps, seed):
        """A motion of any length.

        Parameters
        ----------
        features : array (T, F)
            Where the last window is not filled, zeros stand behind them; see `window_starts`.
        sampler, steps, seed
            As of `generate`.

        Returns
        -------
        place : array (T, 6)
        pose : array (T, 96)
        """
        frames, window = len(features), self._frames
        starts = window_starts(frames, window)
        padded = np.pad(np.asarray(features, dtype=np.float32), ((0, starts[-1] + window - frames), (0, 0)))
        heard = torch.from_numpy(np.stack([padded[first : first + window] for first in starts])).to(self._device)
        weight = torch.from_numpy(_blend(window)).to(self._device)

        def blended(parts):
            """One series (1, channel, T) of those of the windows (window, channel, frame)."""
            total = parts.new_zeros(1, parts.shape[1], len(padded))
            weights = parts.new_zeros(len(padded))
            for part, first in zip(parts, starts, strict=True):
                total[0, :, first : first + window] += part * weight
                weights[first : first + window] += weight
            return total / weights

        def cut(series):
            """Windows of one series (1, channel, T)."""
            return torch.cat([series[:, :, first : first + window] for first in starts])

        guide = blended(_in_batches(self._position, heard).transpose(1, 2))
        condition, guides = _in_batches(self._gesture.encode_condition, heard), cut(guide)
        taken = progress(range(steps), steps, "denoising steps")

        def denoise(noisy, step):
            next(taken, None)
            return blended(_in_batches(self._gesture, cut(noisy), step.expand(len(starts)), condition, guides))

        place, pose = self._sampled(guide.transpose(1, 2), denoise, sampler, steps, [seed])
        next(taken, None)
        return place[0, :frames], pose[0, :frames]

    def _sampled(self, guide, denoise, sampler, steps, seeds):
        """Places of the guide (B, T, 6) and poses drawn from a denoiser, in their units."""
        generators = [torch.Generator().manual_seed(int(seed)) for seed in seeds]
        shape = (len(guide), self._gesture.settings.channels, guide.shape[1])
        poses = sample(denoise, shape, sampler, steps, generators, self._scales.most, self._device)
        scaled = {"place": guide, "pose": poses.transpose(1, 2)}
        return tuple(self._scales.unscaled(kind, values).float().cpu().numpy() for kind, values in scaled.items())


def window_starts(frames, window):
    """First frames of windows that overlap by half and cover a series of so many frames."""
    hop = window // 2
    return [hop * number for number in range(max(1, -(-(frames - window) // hop) + 1))]


def _in_batches(network, *series):
    """What a network gives for tensors (window, ...), so many windows at a time."""
    return torch.cat([network(*parts) for parts in zip(*(part.split(BATCH) for part in series), strict=True)])


def _blend(window):
    """Weights (frame,) of a window in a blend: they rise to its middle and fall; those of windows that overlap by half add up to 1."""
    return (1.0 - np.abs(2 * np.arange(window) + 1 - window) / window).astype(np.float32)


def load_two_stage(position_path, gesture_path, device="cpu"):
    """The model of two checkpoints.

    Returns
    -------
    model : TwoStage
    about : dict
        Of the second stage's checkpoint.

    Raises
    ------
    FileNotFoundError, CheckpointError
        A checkpoint is missing, not one, or of another kind; or the two are not of one training.
    """
    first, second = load_checkpoint(position_path, "position"), load_checkpoint(gesture_path, "gesture")
    shared = [{"scales": stage.scales, "width of features": stage.settings["features"], **stage.about} for stage in (first, second)]
    for name in ("scales", "width of features", "features", "encoder", "frame", "rate_hz", "frames"):
        found = [stage.get(name) for stage in shared]
        if found[0] != found[1]:
            values = "" if name == "scales" else f" ({found[0]} and {found[1]})"
            raise CheckpointError(
                f"{position_path}, {gesture_path}: expected two stages of one training, found different {name}{values}; "
                "train the second again"
            )
    return TwoStage(first.network(), second.network(), second.scales, second.about["frames"], device), second.about
