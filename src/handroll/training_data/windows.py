"""Windows for evaluation and validation, and scales that normalise motion. Both are computed once, before training."""

from dataclasses import asdict, dataclass

import numpy as np

from handroll.training_data.loader import Clips, need_clips
from handroll.training_data.model_frame import N_POSE, N_POSITION

VERSION = 2
"""Version of the prepared training data. Increase it manually when the same clips give different motion, scales or validation windows."""

MIN_VISIBLE = 0.5
"""Minimum visible share of an evaluation window: number of visible (frame, hand) pairs divided by the number of all pairs."""

VALID_WINDOWS = 256
"""Maximum number of validation windows in training: about half an hour of motion for windows of 8 s."""

# Minimum scale of a position channel by coordinate frame: 1 mm, in the unit of the frame (mm or m).
_MIN_POSITION_SCALE = {"keyboard": 1.0, "camera": 1e-3}

# Minimum scale of a pose channel: about a degree. It avoids a division by 0, because some joints never turn about some axes.
_MIN_POSE_SCALE_RAD = 0.02


@dataclass(frozen=True)
class Scales:
    """Means and scales that normalise positions and poses, channel by channel: (value - mean) / scale.

    Attributes
    ----------
    position_mean, position_scale : tuple of 6
        Mean and scale of each position channel, right hand first, in the coordinate frame's unit of length.
    pose_mean, pose_scale : tuple of 96
        Mean and scale of each pose channel, right hand first, rad.
    max_abs : float
        Maximum absolute value of the scaled poses in the training data. Generated poses are clipped to it.
    """

    position_mean: tuple[float, ...]
    position_scale: tuple[float, ...]
    pose_mean: tuple[float, ...]
    pose_scale: tuple[float, ...]
    max_abs: float

    def scaled(self, kind, values):
        """Scale values (..., channel) of "position" or "pose", a NumPy array or a tensor."""
        mean, scale = self._of(kind, values)
        return (values - mean) / scale

    def unscaled(self, kind, values):
        """Invert `scaled`."""
        mean, scale = self._of(kind, values)
        return values * scale + mean

    def _of(self, kind, values):
        """Return mean and scale of "position" or "pose", with the array type of `values`."""
        pair = (np.asarray(getattr(self, f"{kind}_{part}"), dtype=np.float32) for part in ("mean", "scale"))
        # `hasattr` instead of `isinstance`, so that torch is not imported for NumPy arrays.
        return tuple(values.new_tensor(part) if hasattr(values, "new_tensor") else part for part in pair)

    def to_dict(self):
        """Convert to JSON values."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values):
        """Create scales from the result of `to_dict`.

        Raises
        ------
        ValueError
            A value is missing, unknown, not finite, not above 0, or of the wrong length; the message names it.
        """
        lengths = {"position_mean": N_POSITION, "position_scale": N_POSITION, "pose_mean": N_POSE, "pose_scale": N_POSE}
        if odd := sorted(values.keys() ^ {*lengths, "max_abs"}):
            raise ValueError(
                f"expected {', '.join(lengths)} and max_abs, found {'the unknown entry' if odd[0] in values else 'no'} {odd[0][:50]}"
            )
        for name, length in lengths.items():
            _check_numbers(name, values[name], length, name.endswith("_scale"))
        _check_numbers("max_abs", [values["max_abs"]], 1, True)
        return cls(**{name: tuple(values[name]) for name in lengths}, max_abs=values["max_abs"])


def _check_numbers(name, values, length, positive):
    """Raise ValueError unless `values` is a list of `length` finite numbers, all above 0 if `positive` is true."""
    numbers = isinstance(values, list) and len(values) == length and all(type(value) in (int, float) for value in values)
    if not numbers or not all(abs(value) < np.inf and (value > 0.0 or not positive) for value in values):
        raise ValueError(f"expected {length} finite numbers{' above 0' * positive} for {name}, found {str(values)[:50]}")


RELEASED_SCALES = Scales((0.0,) * N_POSITION, (1.5, 1.5, 25.0) * 2, (0.0,) * N_POSE, (float(np.pi),) * N_POSE, 1.0)
"""Scales of PianoMotion10M's released models, in the camera frame."""


def evaluation_windows(clips, frames):
    """Divide every clip into adjacent windows, and list the windows with a visible share of at least `MIN_VISIBLE`.

    Parameters
    ----------
    clips : loader.Clips
    frames : int
        Number of frames of a window.

    Returns
    -------
    list of (clip number, first frame)
        In the order of the clips, then of time.
    """
    windows = [(number, first) for number in range(len(clips)) for first in range(0, int(clips.frames[number]) - frames + 1, frames)]
    return [(number, first) for number, first in windows if clips[number].visible[first : first + frames].mean() >= MIN_VISIBLE]


def scored_windows(clips, frames, max_windows):
    """Choose the windows on which methods are compared: those of `evaluation_windows`, or some of them (`subsample`).

    Raises
    ------
    ValueError
        No clip is as long as a window, or no window is visible enough. The message names the settings to change.
    """
    need_clips(clips, frames)
    windows = subsample(evaluation_windows(clips, frames), max_windows)
    if not windows:
        raise ValueError(
            f"{clips.source.shards}, split {clips.split}: expected windows in which hands are visible in {MIN_VISIBLE:.0%} of the frames, "
            f"found none in {len(clips)} clips; choose another split or other subjects (benchmark.split, benchmark.subjects)"
        )
    return windows


def measure_scales(clips):
    """Measure the scales of a split: mean and standard deviation of each channel over the frames in which its hand is visible.

    Parameters
    ----------
    clips : loader.Clips

    Returns
    -------
    Scales

    Raises
    ------
    ValueError
        A hand is never visible.
    """
    sums = {kind: np.zeros((2, channels)) for kind, channels in (("position", N_POSITION), ("pose", N_POSE))}
    low, high, visible = np.full(N_POSE, np.inf), np.full(N_POSE, -np.inf), np.zeros(2)
    for number in range(len(clips)):
        clip = clips[number]
        visible += clip.visible.sum(axis=0)
        for kind, total in sums.items():
            values = np.asarray(getattr(clip, kind), dtype=np.float64)
            shown = np.repeat(clip.visible, values.shape[1] // 2, axis=1)
            total += np.where(shown, [values, values**2], 0.0).sum(axis=1)
            if kind == "pose":
                low = np.minimum(low, np.where(shown, values, np.inf).min(axis=0, initial=np.inf))
                high = np.maximum(high, np.where(shown, values, -np.inf).max(axis=0, initial=-np.inf))
    if not visible.all():
        raise ValueError(
            f"{clips.source.shards}: expected both hands to be visible in some of {len(clips)} training clips, "
            "found a hand that is never visible; use more training clips"
        )
    floors = {"position": _MIN_POSITION_SCALE[clips.source.frame], "pose": _MIN_POSE_SCALE_RAD}
    found = {}
    for kind, (first, second) in sums.items():
        count = np.repeat(visible, len(first) // 2)
        mean = first / count
        scale = np.maximum(np.sqrt(np.maximum(second / count - mean**2, 0.0)), floors[kind])
        found |= {f"{kind}_mean": tuple(mean.tolist()), f"{kind}_scale": tuple(scale.tolist())}
    mean, scale = (np.array(found[f"pose_{part}"]) for part in ("mean", "scale"))
    return Scales(**found, max_abs=float((np.maximum(high - mean, mean - low) / scale).max()))


def training_windows(source, frames):
    """Choose the validation windows of a training, and measure the scales of its training clips.

    Parameters
    ----------
    source : loader.Source
    frames : int
        Number of frames of a window.

    Returns
    -------
    dict
        Content of training.json: `frames`; `windows`, the validation windows as returned by `window_ids`; and `scales`.

    Raises
    ------
    ValueError
        No training clip is as long as a window, or a hand is never visible.
    """
    train, valid = Clips(source, "train"), Clips(source, "valid")
    need_clips(train, frames)
    windows = subsample(evaluation_windows(valid, frames), VALID_WINDOWS)
    # training.json contains no provenance, since a new code version in it would restart every training.
    return {"frames": frames, "windows": {"valid": window_ids(valid, windows)}, "scales": measure_scales(train).to_dict()}


def subsample(windows, max_windows):
    """Select at most `max_windows` windows, evenly spaced in the list. 0 selects all."""
    if not max_windows or max_windows >= len(windows):
        return windows
    return [windows[int(index)] for index in np.linspace(0, len(windows) - 1, max_windows).round()]


def window_ids(clips, windows):
    """Convert windows (clip number, first frame) to JSON values [subject, video, clip, first frame]."""
    return [[*clips.names[number], first] for number, first in windows]
