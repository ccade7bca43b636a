"""Estimate the noise of an engine's poses and of a detector's landmarks from the video itself, and find spikes.

Frame-to-frame noise is estimated from third differences, to which hand movements contribute little in most frames. A detector's constant
bias is estimated by the median over the video. All functions process one hand (axis frame). Arrays contain NaN only where stated.
"""

import numpy as np

from handroll.hand.rotations import matrix_from_rotvec, rotvec_from_matrix, slerp
from handroll.hand.skeleton import JOINTS

ROBUST = 1.4826
"""Ratio of the standard deviation to the median absolute deviation of a normal distribution."""

# Standard deviation of the third difference (coefficients 1, -3, 3, -1) of noise with standard deviation 1.
_THIRD = np.sqrt(20.0)

MAX_SAMPLES = 4096
"""Maximum number of groups of 4 consecutive frames from which the noise of a video is estimated."""

FLOOR_M = 0.3e-3
"""Minimum standard deviation (m) of the noise of joints. It accounts for errors that are constant over frames, which the estimated
noise does not contain."""

FLOOR_RAD = 0.01
"""Minimum standard deviation (rad) of the noise of rotations. It accounts for errors that are constant over frames, which the estimated
noise does not contain."""

FLOOR_DEPTH = 0.002
"""Minimum standard deviation of the logarithm of the depth. It accounts for errors that are constant over frames, which the estimated
noise does not contain."""

SPIKE_SIGMA = 6.0
"""Minimum distance of a spike from the frames around it, as a multiple of the noise. A spike is a frame far from its neighbours, which are
near each other. Its distance must also exceed `SPIKE_M` (joints) or `SPIKE_RAD` (rotations)."""

SPIKE_M = 0.02
"""Minimum distance (m) between the joints of a spike and those of the frames around it: the distance in the image, converted to metres
at the depth of the wrist."""

SPIKE_RAD = 0.5
"""Minimum angle (rad) between a rotation of a spike and that of the frames around it: about 30 degrees."""

# The line from the wrist to the knuckle of the middle finger defines the coordinates of the hand in the image.
_PALM_FROM, _PALM_TO = JOINTS.index("wrist"), JOINTS.index("middle1")


def steady_frames(time_s):
    """Return frame indices (sample, 4): at most `MAX_SAMPLES` groups of 4 consecutive frames without gaps, evenly spaced over the video."""
    steps = np.diff(time_s)
    close = (steps > 0.0) & (steps < 1.5 * np.median(steps)) if len(steps) else np.zeros(0, dtype=bool)
    first = np.flatnonzero(close[:-2] & close[1:-1] & close[2:]) if len(steps) > 2 else np.zeros(0, dtype=int)
    first = first[np.linspace(0, len(first) - 1, min(len(first), MAX_SAMPLES)).astype(int)]
    return first[:, None] + np.arange(4)


def jitter(values, frames):
    """Estimate the standard deviation (...) of the frame-to-frame noise of a series; 0 without groups of frames.

    Parameters
    ----------
    values : array (frame, ...)
        The series.
    frames : int array (sample, 4)
        Result of `steady_frames`.
    """
    third = np.diff(values[frames], 3, axis=1)[:, 0]
    return ROBUST * np.median(np.abs(third), axis=0) / _THIRD if len(third) else np.zeros(np.shape(values)[1:])


def rotation_jitter(matrices, frames):
    """Estimate the standard deviation (...), rad, of the frame-to-frame noise of rotation matrices (frame, ..., 3, 3) along each axis.

    `frames` is a result of `steady_frames`. Without groups of frames, the noise is 0.
    """
    if not len(frames):
        return np.zeros(matrices.shape[1:-2])
    four = matrices[frames]
    turns = rotvec_from_matrix(np.swapaxes(four[:, :-1], -1, -2) @ four[:, 1:])
    return ROBUST * np.median(np.abs(np.diff(turns, 2, axis=1)), axis=(0, 1, -1)) / _THIRD


def remove_bias(landmarks_px, joints_px):
    """Remove the constant bias of landmarks relative to the joints, and estimate their noise.

    The bias of a landmark is its median error over the video, in coordinates of the hand: along and across the image line from the wrist
    to the knuckle of the middle finger, as a share of the line's length.

    Parameters
    ----------
    landmarks_px, joints_px : array (frame, 21, 2)
        Landmarks and joints in the same order. Landmarks are NaN where the hand is not detected.

    Returns
    -------
    landmarks_px : array (frame, 21, 2)
        The landmarks without bias.
    sigma_px : array (21,)
        Standard deviation of each landmark along an image axis; infinite if it is never detected.
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
    """Find spikes: frames that are far from the frames before and after them, while those are near each other.

    Parameters
    ----------
    frames : int
        Number of frames.
    distance : callable
        Function of two int arrays (pair,) of frame indices that returns the distances (pair, ...) between these frames.
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
    """Replace spikes by interpolation between the other frames. The result is the initial state of the optimisation.

    Parameters
    ----------
    rotation : array (frame, 16, 3, 3)
        Rotation matrices of the joints.
    translation : array (frame, 3)
        Translations of the hand, m.
    time_s : array (frame,)
        Presentation times.
    rotation_spikes : bool array (frame, 16)
        Whether the rotation of a joint is a spike.
    translation_spikes : bool array (frame,)
        Whether the translation is a spike.

    Returns
    -------
    rotation, translation
        Copies of the arrays without the spikes.
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
