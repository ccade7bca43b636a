"""How well an engine and a detector know each frame, found from the video itself; and frames that leap.

What is random from frame to frame shows in third differences, to which moving hands add little in most frames; a detector's
constant bias shows in the median over the video. One hand at a time, frames in a row (axis frame), NaN nowhere but where told.
"""

import numpy as np

from handroll.hand.rotations import matrix_from_rotvec, rotvec_from_matrix, slerp
from handroll.hand.skeleton import JOINTS

ROBUST = 1.4826
"""Standard deviation of a normal distribution by its median absolute deviation."""

_THIRD = np.sqrt(20.0)
# Standard deviation of the third difference of noise of 1: 1, 3, 3, 1.

SAMPLES = 4096
"""Places of a video that tell its noise."""

FLOOR_M, FLOOR_RAD, FLOOR_DEPTH = 0.3e-3, 0.01, 0.002
"""Least noise of joints on the hand, of rotations, and of the logarithm of depth: errors that do not change from frame to frame."""

LEAP_SIGMA, LEAP_M, LEAP_RAD = 6.0, 0.02, 0.5
"""A frame leaps that is farther than all of these from those around it, which are near each other: 20 mm on the hand, 30 degrees."""

_PALM_FROM, _PALM_TO = JOINTS.index("wrist"), JOINTS.index("middle1")


def steady_frames(time_s):
    """Frames (sample, 4) that follow each other at the video's pace, `SAMPLES` at most, evenly spread over it."""
    steps = np.diff(time_s)
    close = (steps > 0.0) & (steps < 1.5 * np.median(steps)) if len(steps) else np.zeros(0, dtype=bool)
    first = np.flatnonzero(close[:-2] & close[1:-1] & close[2:]) if len(steps) > 2 else np.zeros(0, dtype=int)
    first = first[np.linspace(0, len(first) - 1, min(len(first), SAMPLES)).astype(int)]
    return first[:, None] + np.arange(4)


def jitter(values, frames):
    """Standard deviation (...) of what is random from frame to frame in a series; 0 where no frames tell it.

    Parameters
    ----------
    values : array (frame, ...)
    frames : int array (sample, 4)
        As `steady_frames` gives.
    """
    third = np.diff(values[frames], 3, axis=1)[:, 0]
    return ROBUST * np.median(np.abs(third), axis=0) / _THIRD if len(third) else np.zeros(np.shape(values)[1:])


def rotation_jitter(matrices, frames):
    """The same, rad, of rotations (frame, ..., 3, 3), per axis."""
    if not len(frames):
        return np.zeros(matrices.shape[1:-2])
    four = matrices[frames]
    turns = rotvec_from_matrix(np.swapaxes(four[:, :-1], -1, -2) @ four[:, 1:])
    return ROBUST * np.median(np.abs(np.diff(turns, 2, axis=1)), axis=(0, 1, -1)) / _THIRD


def without_bias(landmarks_px, joints_px):
    """Landmarks as they were if their mean place were the joints', and how they scatter.

    The bias of each landmark is the median over the video in the hand's own frame: along the line in the picture from the
    wrist to the middle finger's knuckle, and across, as a share of its length.

    Parameters
    ----------
    landmarks_px, joints_px : array (frame, 21, 2)
        In the same order; landmarks NaN where not found.

    Returns
    -------
    landmarks_px : array (frame, 21, 2)
    sigma_px : array (21,)
        Of an axis; infinite where nothing is found.
    """
    off, palm = landmarks_px - joints_px, joints_px[:, _PALM_TO] - joints_px[:, _PALM_FROM]
    off, palm = (np.ascontiguousarray(a, dtype=np.float64).view(complex) for a in (off, palm))
    off = off[..., 0]
    if not np.isfinite(off.real).any():
        return landmarks_px, np.full(joints_px.shape[1], np.inf)
    in_hand = off / np.where(np.abs(palm) > 0.0, palm, 1.0)
    bias = np.nanmedian(in_hand.real, axis=0) + 1j * np.nanmedian(in_hand.imag, axis=0)
    moved = bias * palm
    shift = np.stack([moved.real, moved.imag], axis=-1)
    left = np.abs(landmarks_px - shift - joints_px)
    return landmarks_px - shift, ROBUST * np.nanmedian(left, axis=(0, 2))


def leaps(frames, distance, least):
    """Frames that are far from those before and behind while these are near each other.

    Parameters
    ----------
    frames : int
    distance : callable
        (first, second: int arrays (pair,) of frames) -> how far they are apart, array (pair, ...).
    least : array (...)
        What is far.

    Returns
    -------
    bool array (frame, ...)
    """
    out = np.zeros((frames, *np.shape(least)), dtype=bool)
    for before, behind in ((1, 1), (1, 2), (2, 1)):
        middle = np.arange(before, frames - behind)
        near = np.minimum(distance(middle - before, middle), distance(middle, middle + behind))
        out[middle] |= (near > least) & (distance(middle - before, middle + behind) < 0.5 * near)
    return out


def bridged(rotation, place, time_s, rotation_leaps, place_leaps):
    """Poses with the frames that leap interpolated between those that do not: where to start from.

    Parameters
    ----------
    rotation : array (frame, 16, 3, 3)
    place : array (frame, 3)
    time_s : array (frame,)
    rotation_leaps : bool array (frame, 16)
    place_leaps : bool array (frame,)

    Returns
    -------
    rotation, place : arrays
    """
    rotation, place = rotation.copy(), place.copy()
    for joint in range(rotation.shape[1]):
        bad = rotation_leaps[:, joint]
        if bad.any() and not bad.all():
            good = np.flatnonzero(~bad)
            after = np.searchsorted(good, np.flatnonzero(bad)).clip(1, max(len(good) - 1, 1))
            first, last = good[after - 1], good[np.minimum(after, len(good) - 1)]
            span = np.maximum(time_s[last] - time_s[first], 1e-9)
            share = ((time_s[bad] - time_s[first]) / span).clip(0.0, 1.0)
            ends = rotvec_from_matrix(rotation[first, joint]), rotvec_from_matrix(rotation[last, joint])
            rotation[bad, joint] = matrix_from_rotvec(slerp(*ends, share))
    if place_leaps.any() and not place_leaps.all():
        good = ~place_leaps
        for axis in range(3):
            place[place_leaps, axis] = np.interp(time_s[place_leaps], time_s[good], place[good, axis])
    return rotation, place
