"""Estimate from the video itself how accurate an engine and a detector are in each frame, and find spikes.

Frame-to-frame noise appears in third differences, to which moving hands contribute little in most frames. A detector's constant bias
appears in the median over the video. Functions process one hand with consecutive frames (axis frame); NaN only where stated.
"""

import numpy as np

from handroll.hand.rotations import matrix_from_rotvec, rotvec_from_matrix, slerp
from handroll.hand.skeleton import JOINTS

ROBUST = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""

_THIRD = np.sqrt(20.0)
# Standard deviation of the third difference (coefficients 1, 3, 3, 1) of noise of standard deviation 1.

MAX_SAMPLES = 4096
"""Maximum number of samples of a video from which the noise is estimated."""

FLOOR_M, FLOOR_RAD, FLOOR_DEPTH = 0.3e-3, 0.01, 0.002
"""Minimum noise of joints (m), rotations (rad) and the logarithm of depth: errors that are constant over frames."""

SPIKE_SIGMA, SPIKE_M, SPIKE_RAD = 6.0, 0.02, 0.5
"""A spike is a frame farther than all of these from the frames around it, which are near each other: 20 mm on the hand, 30 degrees."""

_PALM_FROM, _PALM_TO = JOINTS.index("wrist"), JOINTS.index("middle1")


def steady_frames(time_s):
    """Select groups of consecutive frames (sample, 4) without gaps, at most `MAX_SAMPLES`, evenly spaced over the video."""
    steps = np.diff(time_s)
    close = (steps > 0.0) & (steps < 1.5 * np.median(steps)) if len(steps) else np.zeros(0, dtype=bool)
    first = np.flatnonzero(close[:-2] & close[1:-1] & close[2:]) if len(steps) > 2 else np.zeros(0, dtype=int)
    first = first[np.linspace(0, len(first) - 1, min(len(first), MAX_SAMPLES)).astype(int)]
    return first[:, None] + np.arange(4)


def jitter(values, frames):
    """Estimate the standard deviation (...) of the frame-to-frame noise of a series; 0 without samples.

    Parameters
    ----------
    values : array (frame, ...)
    frames : int array (sample, 4)
        Result of `steady_frames`.
    """
    third = np.diff(values[frames], 3, axis=1)[:, 0]
    return ROBUST * np.median(np.abs(third), axis=0) / _THIRD if len(third) else np.zeros(np.shape(values)[1:])


def rotation_jitter(matrices, frames):
    """Estimate the frame-to-frame noise of rotations (frame, ..., 3, 3) per axis, rad."""
    if not len(frames):
        return np.zeros(matrices.shape[1:-2])
    four = matrices[frames]
    turns = rotvec_from_matrix(np.swapaxes(four[:, :-1], -1, -2) @ four[:, 1:])
    return ROBUST * np.median(np.abs(np.diff(turns, 2, axis=1)), axis=(0, 1, -1)) / _THIRD


def remove_bias(landmarks_px, joints_px):
    """Remove the constant bias of landmarks relative to the joints, and estimate their noise.

    The bias of each landmark is the median over the video in coordinates of the hand: along the image line from the wrist to the
    knuckle of the middle finger, and across it, as a share of its length.

    Parameters
    ----------
    landmarks_px, joints_px : array (frame, 21, 2)
        In the same order; landmarks NaN where not found.

    Returns
    -------
    landmarks_px : array (frame, 21, 2)
    sigma_px : array (21,)
        Standard deviation along an axis; infinite where nothing is found.
    """
    error, palm = landmarks_px - joints_px, joints_px[:, _PALM_TO] - joints_px[:, _PALM_FROM]
    error, palm = (np.ascontiguousarray(a, dtype=np.float64).view(complex) for a in (error, palm))
    error = error[..., 0]
    if not np.isfinite(error.real).any():
        return landmarks_px, np.full(joints_px.shape[1], np.inf)
    in_hand = error / np.where(np.abs(palm) > 0.0, palm, 1.0)
    bias = np.nanmedian(in_hand.real, axis=0) + 1j * np.nanmedian(in_hand.imag, axis=0)
    bias_px = bias * palm
    shift = np.stack([bias_px.real, bias_px.imag], axis=-1)
    residual = np.abs(landmarks_px - shift - joints_px)
    return landmarks_px - shift, ROBUST * np.nanmedian(residual, axis=(0, 2))


def find_spikes(frames, distance, min_distance):
    """Find the frames that are far from those before and after them, while these are near each other.

    Parameters
    ----------
    frames : int
    distance : callable
        (first, second: int arrays (pair,) of frames) -> their distance, array (pair, ...).
    min_distance : array (...)
        Minimum distance of a spike from its neighbours.

    Returns
    -------
    bool array (frame, ...)
    """
    out = np.zeros((frames, *np.shape(min_distance)), dtype=bool)
    for before, behind in ((1, 1), (1, 2), (2, 1)):
        middle = np.arange(before, frames - behind)
        near = np.minimum(distance(middle - before, middle), distance(middle, middle + behind))
        out[middle] |= (near > min_distance) & (distance(middle - before, middle + behind) < 0.5 * near)
    return out


def interpolate_spikes(rotation, translation, time_s, rotation_spikes, translation_spikes):
    """Replace spikes by interpolation between the other frames, to get the initial series of the optimisation.

    Parameters
    ----------
    rotation : array (frame, 16, 3, 3)
    translation : array (frame, 3)
    time_s : array (frame,)
    rotation_spikes : bool array (frame, 16)
    translation_spikes : bool array (frame,)

    Returns
    -------
    rotation, translation : arrays
    """
    rotation, translation = rotation.copy(), translation.copy()
    for joint in range(rotation.shape[1]):
        bad = rotation_spikes[:, joint]
        if bad.any() and not bad.all():
            good = np.flatnonzero(~bad)
            after = np.searchsorted(good, np.flatnonzero(bad)).clip(1, max(len(good) - 1, 1))
            first, last = good[after - 1], good[np.minimum(after, len(good) - 1)]
            span = np.maximum(time_s[last] - time_s[first], 1e-9)
            share = ((time_s[bad] - time_s[first]) / span).clip(0.0, 1.0)
            ends = rotvec_from_matrix(rotation[first, joint]), rotvec_from_matrix(rotation[last, joint])
            rotation[bad, joint] = matrix_from_rotvec(slerp(*ends, share))
    if translation_spikes.any() and not translation_spikes.all():
        good = ~translation_spikes
        for axis in range(3):
            translation[translation_spikes, axis] = np.interp(time_s[translation_spikes], time_s[good], translation[good, axis])
    return rotation, translation
