"""Two-stage models: positions from audio features, then poses by diffusion or flow matching.

The networks are those of PianoMotion10M (Gan et al., ICLR 2025), or those of S2C (Liu et al., ACM MM 2025; `models.s2c`).

A motion longer than a training window is generated in windows that overlap by half. The positions of overlapping windows are blended, and
so are the predictions of the denoiser in every step. Therefore a long motion has no discontinuities (Bar-Tal et al. 2023, "MultiDiffusion",
arXiv:2302.08113).

Axis letters: B window in batch; T frame; F audio feature.
"""

import numpy as np
import torch

from handroll.device import torch_device
from handroll.logs import progress
from handroll.models.checkpoint import DENOISERS, CheckpointError, load_checkpoint
from handroll.models.objectives import sample
from handroll.training_data.model_frame import N_POSE, N_POSITION

KINDS = ("position", *DENOISERS)
"""Kinds of the checkpoints of PianoMotion10M's model: of the first stage, and those that the second may have; see `models.checkpoint`."""

S2C_KINDS = ("s2c_position", "s2c_gesture")
"""Kinds of the checkpoints of S2C, first and second stage."""

BATCH = 16
"""Number of windows of a long motion in a forward pass. The limit keeps memory independent of the length of the motion."""


class TwoStage:
    """Two-stage model that generates motion from audio features.

    Parameters
    ----------
    position : PositionPredictor or S2CPositions
    gesture : GestureUNet, GestureMixer or S2CDenoisers
        Second stage. Its objective determines the allowed samplers (`models.objectives`).
    scales : training_data.windows.Scales
        Normalisation of positions and poses, common to both stages.
    frames : int
        Number of frames of the training windows.
    device : str
        Device on which the networks run.
    released : bool
        Mask the self-attention as the released code does; see `memory_decoder`.

    Attributes
    ----------
    objective : str
        Training objective of the second stage.
    parameters : int
        Number of parameters of both stages.
    """

    def __init__(self, position, gesture, scales, frames, device="cpu", released=False):
        self._device = torch_device(device)
        self._position, self._gesture = (network.eval().requires_grad_(False).to(self._device) for network in (position, gesture))
        self._scales, self._frames, self._released = scales, frames, released
        self.objective = gesture.settings.objective
        self.parameters = sum(value.numel() for network in (position, gesture) for value in network.parameters())

    @torch.inference_mode()
    def generate(self, features, sampler, steps, seeds, shared_noise=False):
        """Generate motion for windows of features.

        Parameters
        ----------
        features : array (B, T, F)
            Features of windows. T is the number of frames in training. A U-Net also accepts a similar number that is a multiple of 8.
        sampler, steps
            See `models.objectives.sample`.
        seeds : sequence of B ints
            Random seed of the noise of each window. The motion of a window does not depend on the rest of the batch.
        shared_noise : bool
            Whether both hands start from the same noise, as in the released code of S2C; see `models.diffusion.sample`.

        Returns
        -------
        position : array (B, T, 6), float32
            Positions, right hand first, in the unit of the coordinate frame of training.
        pose : array (B, T, 96), float32
            Axis-angle rotations, right hand first, rad.
        """
        features = torch.from_numpy(np.asarray(features, dtype=np.float32)).to(self._device)
        guide = self._position(features, released=self._released)
        condition = self._gesture.encode_condition(features, released=self._released)

        def denoise(noisy, step):
            return self._gesture(noisy, step, condition, guide.transpose(1, 2))

        return self._sample(guide, denoise, sampler, steps, seeds, shared_noise)

    @torch.inference_mode()
    def generate_long(self, features, sampler, steps, seed):
        """Generate motion of any length.

        Parameters
        ----------
        features : array (T, F)
            Features of the whole motion. They are padded with zeros to the end of the last window (`window_starts`).
        sampler, steps
            See `models.objectives.sample`.
        seed : int
            Random seed of the noise.

        Returns
        -------
        position : array (T, 6)
        pose : array (T, 96)
        """
        frames, window = len(features), self._frames
        starts = window_starts(frames, window)
        padded = np.pad(np.asarray(features, dtype=np.float32), ((0, starts[-1] + window - frames), (0, 0)))
        inputs = torch.from_numpy(np.stack([padded[first : first + window] for first in starts])).to(self._device)
        weight = torch.from_numpy(blend_weights(window)).to(self._device)

        def blend(parts):
            """Blend windows (window, channel, frame) into one series (1, channel, T)."""
            total = parts.new_zeros(1, parts.shape[1], len(padded))
            weights = parts.new_zeros(len(padded))
            for part, first in zip(parts, starts, strict=True):
                total[0, :, first : first + window] += part * weight
                weights[first : first + window] += weight
            return total / weights

        def cut(series):
            """Cut one series (1, channel, T) into windows (window, channel, frame)."""
            return torch.cat([series[:, :, first : first + window] for first in starts])

        guide = blend(_in_batches(self._position, inputs).transpose(1, 2))
        condition, guides = _in_batches(self._gesture.encode_condition, inputs), cut(guide)
        counter = progress(range(steps), steps, "denoising steps")

        def denoise(noisy, step):
            next(counter, None)
            return blend(_in_batches(self._gesture, cut(noisy), step.expand(len(starts)), condition, guides))

        position, pose = self._sample(guide.transpose(1, 2), denoise, sampler, steps, [seed])
        next(counter, None)
        return position[0, :frames], pose[0, :frames]

    def _sample(self, guide, denoise, sampler, steps, seeds, shared_noise=False):
        """Sample poses from a denoiser. Return positions (B, T, 6) and poses (B, T, 96) in their original units, NumPy arrays.

        `guide` (B, T, 6) are the scaled positions. For the other arguments, see `generate` and `models.objectives.sample`.
        """
        generators = [torch.Generator().manual_seed(int(seed)) for seed in seeds]
        shape = (len(guide), self._gesture.settings.channels, guide.shape[1])
        options = self._scales.max_abs, self._device, shared_noise
        poses = sample(self.objective, denoise, shape, sampler, steps, generators, *options)
        scaled = {"position": guide, "pose": poses.transpose(1, 2)}
        return tuple(self._scales.unscaled(kind, values).float().cpu().numpy() for kind, values in scaled.items())


def window_starts(frames, window):
    """List the first frame of each window. Windows have `window` frames, overlap by half, and together contain `frames` frames."""
    hop = window // 2
    return [hop * number for number in range(max(1, -(-(frames - window) // hop) + 1))]


def _in_batches(network, *series):
    """Apply a network to tensors (window, ...), `BATCH` windows at a time."""
    return torch.cat([network(*parts) for parts in zip(*(part.split(BATCH) for part in series), strict=True)])


def blend_weights(window):
    """Return triangular weights (frame,) of a window. The weights of two windows that overlap by half add up to 1 in every frame."""
    return (1.0 - np.abs(2 * np.arange(window) + 1 - window) / window).astype(np.float32)


def blend_windows(generate, features, window):
    """Generate a motion of any length with a model without noise. Windows overlap by half, and their motions are blended.

    Parameters
    ----------
    generate : callable (array (B, window, F)) -> (array (B, window, 6), array (B, window, 96))
        Function that generates positions and poses of windows.
    features : array (T, F)
        Features of the whole motion. Their last frame is repeated to the end of the last window.
    window : int
        Number of frames of a window.

    Returns
    -------
    position : array (T, 6)
    pose : array (T, 96)
    """
    frames = len(features)
    starts = window_starts(frames, window)
    padded = np.pad(features, ((0, starts[-1] + window - frames), (0, 0)), mode="edge")
    weight = blend_weights(window)[:, None]
    total = np.zeros((len(padded), 1))
    motion = [np.zeros((len(padded), channels)) for channels in (N_POSITION, N_POSE)]
    for first in range(0, len(starts), BATCH):
        batch = starts[first : first + BATCH]
        made = generate(np.stack([padded[start : start + window] for start in batch]))
        for k, start in enumerate(batch):
            total[start : start + window] += weight
            for series, part in zip(motion, made, strict=True):
                series[start : start + window] += weight * part[k]
    return tuple((series / total)[:frames] for series in motion)


def load_two_stage(position_path, gesture_path, device="cpu", kinds=KINDS):
    """Load a two-stage model from the checkpoints of its stages.

    Parameters
    ----------
    position_path, gesture_path : path
        Checkpoints of the first and the second stage.
    device : str
        Device on which the networks run.
    kinds : tuple of str
        Kind of the first checkpoint, followed by the kinds that the second may have: `KINDS`, or `S2C_KINDS`.

    Returns
    -------
    model : TwoStage
    about : dict
        The `about` of the second stage's checkpoint.

    Raises
    ------
    FileNotFoundError, CheckpointError
        A file is missing, is not a checkpoint, or contains another kind of model; or the stages were not trained together.
    """
    first, second = load_checkpoint(position_path, kinds[0]), load_checkpoint(gesture_path, *kinds[1:])
    shared = [{"scales": stage.scales, "width of features": stage.settings["features"], **stage.about} for stage in (first, second)]
    for name in ("scales", "width of features", "features", "encoder", "frame", "rate_hz", "frames"):
        found = [stage.get(name) for stage in shared]
        if found[0] != found[1]:
            values = "" if name == "scales" else f" ({found[0]} and {found[1]})"
            raise CheckpointError(
                f"{position_path}, {gesture_path}: expected two stages that were trained together, found different {name}{values}; "
                "train the second stage again"
            )
    model = TwoStage(first.network(), second.network(), second.scales, second.about["frames"], device)
    return model, second.about


def load_s2c(position_path, gesture_path, device="cpu"):
    """Load S2C from the checkpoints of its stages. For the parameters, the result and the errors, see `load_two_stage`."""
    return load_two_stage(position_path, gesture_path, device, S2C_KINDS)
