"""Which windows motions are compared on, and the scales of what models see; both chosen once, before anything is trained."""

from dataclasses import asdict, dataclass

import numpy as np

from handroll.training_data.model_frame import N_PLACE, N_POSE

VERSION = 1
"""Raised by hand when the same clips give models other motion or scales, or training other windows to look at."""

LEAST_VISIBLE = 0.5
"""A window in which less than this share of frames x hands is visible is not compared on."""

VALID_WINDOWS = 256
"""Windows that training looks at, at most: half an hour of motion."""

_FLOOR_PLACE = {"keyboard": 1.0, "camera": 1e-3}
# Least scale of a place: 1 mm.
_FLOOR_POSE_RAD = 0.02
# Least scale of an angle: about a degree. Some axes of a hand never turn.


@dataclass(frozen=True)
class Scales:
    """What turns places and poses into numbers near 1: (value - mean) / scale, channel by channel.

    Attributes
    ----------
    place_mean, place_scale : tuple of 6
        Right hand first, in the frame's unit of length.
    pose_mean, pose_scale : tuple of 96
        Right hand first, rad.
    most : float
        Greatest magnitude of a scaled pose: sampling is kept within it.
    """

    place_mean: tuple[float, ...]
    place_scale: tuple[float, ...]
    pose_mean: tuple[float, ...]
    pose_scale: tuple[float, ...]
    most: float

    def scaled(self, kind, values):
        """Values (..., channel) of "place" or "pose", a NumPy array or a tensor, scaled."""
        mean, scale = self._of(kind, values)
        return (values - mean) / scale

    def unscaled(self, kind, values):
        """The inverse of `scaled`."""
        mean, scale = self._of(kind, values)
        return values * scale + mean

    def _of(self, kind, values):
        pair = (np.asarray(getattr(self, f"{kind}_{part}"), dtype=np.float32) for part in ("mean", "scale"))
        # A tensor takes its own kind; torch is not imported for arrays.
        return tuple(values.new_tensor(part) if hasattr(values, "new_tensor") else part for part in pair)

    def to_dict(self):
        """JSON values."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, values):
        """The inverse of `to_dict`.

        Raises
        ------
        ValueError
            A scale is missing, unknown, not finite, not above 0, or not one a channel; the message names it.
        """
        lengths = {"place_mean": N_PLACE, "place_scale": N_PLACE, "pose_mean": N_POSE, "pose_scale": N_POSE}
        if odd := sorted(values.keys() ^ {*lengths, "most"}):
            raise ValueError(f"expected {', '.join(lengths)} and most, found {'' if odd[0] in values else 'no '}{odd[0][:50]}")
        for name, length in lengths.items():
            _check_numbers(name, values[name], length, name.endswith("_scale"))
        _check_numbers("most", [values["most"]], 1, True)
        return cls(**{name: tuple(values[name]) for name in lengths}, most=values["most"])


def _check_numbers(name, values, length, positive):
    """Raise ValueError unless `values` is a list of so many finite numbers, above 0 where `positive`."""
    numbers = isinstance(values, list) and len(values) == length and all(type(value) in (int, float) for value in values)
    if not numbers or not all(abs(value) < np.inf and (value > 0.0 or not positive) for value in values):
        raise ValueError(f"expected {length} finite numbers{' above 0' * positive} as {name}, found {str(values)[:50]}")


RELEASED_SCALES = Scales((0.0,) * N_PLACE, (1.5, 1.5, 25.0) * 2, (0.0,) * N_POSE, (float(np.pi),) * N_POSE, 1.0)
"""Of PianoMotion10M's released models, in the camera frame."""


def evaluation_windows(clips, frames):
    """Back-to-back windows of every clip, as many as fit, in which the hands are mostly visible.

    Parameters
    ----------
    clips : loader.Clips
    frames : int

    Returns
    -------
    list of (clip number, first frame)
        In the order of the clips.
    """
    places = [(number, first) for number in range(len(clips)) for first in range(0, int(clips.frames[number]) - frames + 1, frames)]
    return [(number, first) for number, first in places if clips[number].visible[first : first + frames].mean() >= LEAST_VISIBLE]


def measure_scales(clips):
    """Scales of a split: mean and standard deviation of each channel over the frames in which its hand is visible.

    Parameters
    ----------
    clips : loader.Clips

    Returns
    -------
    Scales

    Raises
    ------
    ValueError
        No hand is ever visible.
    """
    sums = {kind: np.zeros((2, channels)) for kind, channels in (("place", N_PLACE), ("pose", N_POSE))}
    low, high, seen = np.full(N_POSE, np.inf), np.full(N_POSE, -np.inf), np.zeros(2)
    for number in range(len(clips)):
        clip = clips[number]
        seen += clip.visible.sum(axis=0)
        for kind, total in sums.items():
            values = np.asarray(getattr(clip, kind), dtype=np.float64)
            shown = np.repeat(clip.visible, values.shape[1] // 2, axis=1)
            total += np.where(shown, [values, values**2], 0.0).sum(axis=1)
            if kind == "pose":
                low = np.minimum(low, np.where(shown, values, np.inf).min(axis=0, initial=np.inf))
                high = np.maximum(high, np.where(shown, values, -np.inf).max(axis=0, initial=-np.inf))
    if not seen.all():
        raise ValueError(f"{clips.source.shards}: expected both hands in some frames of {len(clips)} training clips, found none of one")
    floors = {"place": _FLOOR_PLACE[clips.source.frame], "pose": _FLOOR_POSE_RAD}
    found = {}
    for kind, (first, second) in sums.items():
        count = np.repeat(seen, len(first) // 2)
        mean = first / count
        scale = np.maximum(np.sqrt(np.maximum(second / count - mean**2, 0.0)), floors[kind])
        found |= {f"{kind}_mean": tuple(mean.tolist()), f"{kind}_scale": tuple(scale.tolist())}
    mean, scale = (np.array(found[f"pose_{part}"]) for part in ("mean", "scale"))
    return Scales(**found, most=float((np.maximum(high - mean, mean - low) / scale).max()))


def evenly(places, most):
    """So many of the places, evenly taken; all where `most` is 0 or more than there are."""
    if not most or most >= len(places):
        return places
    return [places[int(index)] for index in np.linspace(0, len(places) - 1, most).round()]


def named(clips, places):
    """Places (clip number, first frame) as JSON values: [subject, video, clip, first frame] of each."""
    return [[*clips.names[number], first] for number, first in places]
