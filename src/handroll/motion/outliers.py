"""Detect outlier frames with the Hampel filter, on translations and on rotations.

A sample is an outlier if its distance to the median of the window around it exceeds `n_sigma` times the scale of the
window, 1.4826 * MAD (Hampel 1974, doi:10.1080/01621459.1974.10482962; Pearson 2002, doi:10.1109/87.974338).
Channels of numbers use this filter directly. Rotations use the geodesic angle as distance and the medoid as median: the
sample with the smallest sum of distances to the others. For numbers, and for rotations about one axis, the medoid of an
odd count is the median. The geodesic angle has no jumps by 2 pi, so a rotation through pi needs no special case.

A window of w frames has 2 * (w // 2) + 1 samples, centred; 20 frames are 21 samples, as in the PyPI package `hampel`.
At the ends of the series the window shrinks. NaN policy: missing samples are left out of the windows and are never
outliers; a window with less than half of its samples has no outliers.
"""

import numpy as np
from numba import njit

from handroll.hand.rotations import quaternion_from_rotvec

MAD_TO_SIGMA = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation, 1 / Phi^-1(3/4)."""

# Minimum scales. Without them the first ordinary movement of a hand at rest is an outlier, and interpolation replaces correct
# poses. On the demo videos this affects 4 to 13 % of the frames, and the wrist error is larger (4.08 mm against 4.03 mm; without any
# filter 4.08 mm). PianoMotion10M has no minimum scales: set them to 0 for its filter.
FLOOR_M = 0.008
"""Minimum scale of x and y, metres: at 3 sigma a hand at rest may move by one white key."""

FLOOR_DEPTH = 0.03
"""Minimum scale of z, as a share of it. One camera measures depth by the hand's size, so the error is proportional to the depth."""

FLOOR_RAD = 0.0175
"""Minimum scale of an angle, radians, one degree: the effect of 2 px of jitter on a bone of 100 px."""


def find_outliers(
    rotation_rad,
    translation_m,
    window,
    n_sigma,
    floor_m=FLOOR_M,
    floor_depth=FLOOR_DEPTH,
    floor_rad=FLOOR_RAD,
):
    """Find the outlier frames of one hand, by signal.

    Three signals are tested, not 51 channels: at 3 sigma most frames have noise in one of so many channels, and an interpolated
    frame is worse than one noisy finger. The finger pose is tested as a whole.

    Parameters
    ----------
    rotation_rad : array (time, joint 16, xyz 3), rad
        Axis-angle: global orientation, then 15 joints. NaN where missing.
    translation_m : array (time, xyz 3), m
        NaN where missing.
    window : int
        Width of the window in frames.
    n_sigma : float
        Distance from the median from which a sample is an outlier, in scales.
    floor_m, floor_depth, floor_rad : float
        Minimum scale of x and y, of z as a share of its median, and of the angles.

    Returns
    -------
    dict of str to bool array (time,)
        `translation`: any of x, y, z; `orientation`: the global rotation; `pose`: the root mean square angle of the
        15 finger joints.
    """
    quaternion = quaternion_from_rotvec(rotation_rad)
    floors_m = translation_floors(translation_m, floor_m, floor_depth)
    return {
        "translation": hampel(translation_m, window, n_sigma, floors_m).any(axis=1),
        "orientation": hampel_rotation(quaternion[:, :1], window, n_sigma, floor_rad),
        "pose": hampel_rotation(quaternion[:, 1:], window, n_sigma, floor_rad),
    }


def translation_floors(translation_m, floor_m, floor_depth):
    """Return the minimum scales (xyz 3) of translations (time, xyz 3), metres."""
    depth_m = np.abs(translation_m[np.isfinite(translation_m[:, 2]), 2])
    return np.array([floor_m, floor_m, floor_depth * np.median(depth_m) if len(depth_m) else 0.0])


def hampel(values, window, n_sigma, min_scale=0.0):
    """Find the outliers of channels of numbers, each channel separately.

    Parameters
    ----------
    values : array (time, ...)
        NaN where missing.
    window : int
        Width in frames, at least 1; see the module docstring.
    n_sigma : float
    min_scale : float or array (...)
        Minimum scale, one for all channels or one each, in the unit of `values`: deviations up to `n_sigma * min_scale` are
        never outliers.

    Returns
    -------
    bool array (time, ...)
    """
    values = np.asarray(values, dtype=np.float64)
    channels = np.ascontiguousarray(values.reshape(len(values), int(np.prod(values.shape[1:]))).T)
    outlier = np.zeros(channels.shape, dtype=np.bool_)
    floors = np.ascontiguousarray(np.broadcast_to(np.asarray(min_scale, dtype=np.float64), values.shape[1:]).ravel())
    _hampel(channels, window // 2, float(n_sigma), floors, outlier)
    return outlier.T.reshape(values.shape)


def hampel_rotation(quaternion, window, n_sigma, min_scale=0.0):
    """Find the outliers of a series of rotations, or of poses of several joints.

    Parameters
    ----------
    quaternion : array (time, joint, 4)
        Unit quaternions of either sign. A frame with a NaN is missing.
    window : int
    n_sigma : float
    min_scale : float
        Minimum scale, radians.

    Returns
    -------
    bool array (time,)
        The distance between two frames is the root mean square over the joints of the geodesic angle.
    """
    quaternion = np.ascontiguousarray(quaternion, dtype=np.float64)
    observed = np.isfinite(quaternion).all(axis=(1, 2))
    outlier = np.zeros(len(quaternion), dtype=np.bool_)
    _hampel_rotation(quaternion, observed, window // 2, float(n_sigma), float(min_scale), outlier)
    return outlier


@njit(cache=True, nogil=True)
def _middle(ordered, count):
    """Median of the first `count` entries of a sorted array."""
    half = count // 2
    return ordered[half] if count % 2 else 0.5 * (ordered[half - 1] + ordered[half])


@njit(cache=True, nogil=True)
def _insert(ordered, count, value):
    """Insert a value into the first `count` entries of a sorted array."""
    position = count
    while position > 0 and ordered[position - 1] > value:
        ordered[position] = ordered[position - 1]
        position -= 1
    ordered[position] = value


@njit(cache=True, nogil=True)
def _remove(ordered, count, value):
    """Remove a value from the first `count` entries of a sorted array."""
    position = 0
    while ordered[position] != value:
        position += 1
    for k in range(position, count - 1):
        ordered[k] = ordered[k + 1]


@njit(cache=True, nogil=True)
def _median_deviation(ordered, count, median):
    """Median of |x - median| over sorted entries, which are visited from the median outwards, nearest first."""
    right = 0
    while right < count and ordered[right] < median:
        right += 1
    left = right - 1
    before = nearest = 0.0
    for _ in range(count // 2 + 1):
        before = nearest
        if right >= count or (left >= 0 and median - ordered[left] <= ordered[right] - median):
            nearest = median - ordered[left]
            left -= 1
        else:
            nearest = ordered[right] - median
            right += 1
    return nearest if count % 2 else 0.5 * (before + nearest)


@njit(cache=True, nogil=True)
def _hampel(channels, half, n_sigma, min_scale, outlier):
    """Fill `outlier` (channel, time); the window of each channel is kept sorted while it slides."""
    frames = channels.shape[1]
    ordered = np.empty(2 * half + 2)
    for c in range(channels.shape[0]):
        series = channels[c]
        count = following = 0
        for t in range(frames):
            if t > half and np.isfinite(series[t - half - 1]):
                _remove(ordered, count, series[t - half - 1])
                count -= 1
            while following <= min(t + half, frames - 1):
                if np.isfinite(series[following]):
                    _insert(ordered, count, series[following])
                    count += 1
                following += 1
            if count <= half or not np.isfinite(series[t]):
                continue
            median = _middle(ordered, count)
            scale = max(MAD_TO_SIGMA * _median_deviation(ordered, count, median), min_scale[c])
            outlier[c, t] = abs(series[t] - median) > n_sigma * scale


@njit(cache=True, nogil=True)
def _pose_distance(first, second):
    """Root mean square over the joints of the angle between unit quaternions (joint, 4)."""
    total = 0.0
    for j in range(first.shape[0]):
        cosine = first[j, 0] * second[j, 0] + first[j, 1] * second[j, 1] + first[j, 2] * second[j, 2] + first[j, 3] * second[j, 3]
        angle = 2.0 * np.arccos(min(abs(cosine), 1.0))
        total += angle * angle
    return np.sqrt(total / first.shape[0])


@njit(cache=True, nogil=True)
def _hampel_rotation(quaternion, observed, half, n_sigma, min_scale, outlier):
    """Fill `outlier` (time,): compute the distances of all pairs within a window once, then the medoid of each window."""
    frames, width = quaternion.shape[0], 2 * half + 1
    distance = np.empty((frames, width))  # of frame t to frame t + k
    for t in range(frames):
        for k in range(1, min(width, frames - t)):
            if observed[t] and observed[t + k]:
                distance[t, k] = _pose_distance(quaternion[t], quaternion[t + k])
    sums, ordered = np.empty(width), np.empty(width)
    for t in range(frames):
        if not observed[t]:
            continue
        first, last = max(0, t - half), min(frames - 1, t + half)
        sums[:] = 0.0
        count = 0
        for i in range(first, last + 1):
            if not observed[i]:
                continue
            count += 1
            for j in range(i + 1, last + 1):
                if observed[j]:
                    sums[i - first] += distance[i, j - i]
                    sums[j - first] += distance[i, j - i]
        if count <= half:
            continue
        medoid = -1
        for i in range(first, last + 1):
            if observed[i] and (medoid < 0 or sums[i - first] < sums[medoid - first]):
                medoid = i
        count = 0
        for i in range(first, last + 1):
            if observed[i]:
                _insert(ordered, count, _between(distance, i, medoid))
                count += 1
        scale = max(MAD_TO_SIGMA * _middle(ordered, count), min_scale)
        outlier[t] = _between(distance, t, medoid) > n_sigma * scale


@njit(cache=True, nogil=True)
def _between(distance, i, j):
    """Return the distance of two frames from the band (time, offset)."""
    return 0.0 if i == j else distance[min(i, j), abs(i - j)]
