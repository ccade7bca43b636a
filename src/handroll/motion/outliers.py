"""Frames that do not fit their neighbourhood: the Hampel filter on translations and on rotations.

A sample is an outlier where its distance to the median of the window around it exceeds `n_sigma` times the window's
scale, 1.4826 * MAD (Hampel 1974, doi:10.1080/01621459.1974.10482962; Pearson 2002, doi:10.1109/87.974338).
On a channel of numbers that is the usual filter. On rotations it is the same rule with the geodesic angle as distance
and the medoid, the sample with the least sum of distances to the others, as median: for numbers, and for rotations
about one axis, the medoid of an odd count is the median. Angles know no sheet, so a series through pi is nothing special.

A window of w frames has 2 * (w // 2) + 1 samples, centred; 20 frames are 21 samples, as in the PyPI package `hampel`.
At the ends of the series the window shrinks. NaN policy: missing samples are left out of the windows and are never
flagged; a window with less than half of its samples flags nothing.
"""

import numpy as np
from numba import njit

from handroll.hand.rotations import quaternion_from_rotvec

MAD_TO_SIGMA = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation, 1 / Phi^-1(3/4)."""

# Least scales. Without them a hand that was still is flagged for its next ordinary move, and the repair loses what was
# right: on the demo videos 4 to 13 % of the frames go, and the error of the wrist against truth is larger (4.08 mm against
# 4.03 mm; without any filter 4.08 mm). PianoMotion10M has none: set them to 0 for its filter.
FLOOR_M = 0.008
"""Of x and y, metres: at 3 sigma a still hand may move by one white key."""

FLOOR_DEPTH = 0.03
"""Of z, as a share of it. One camera tells depth by the hand's size, so its error goes with the depth."""

FLOOR_RAD = 0.0175
"""Of an angle, radians, one degree: what 2 px of jitter do to a bone of 100 px."""


def find_outliers(
    rotation_rad,
    translation_m,
    window,
    n_sigma,
    floor_m=FLOOR_M,
    floor_depth=FLOOR_DEPTH,
    floor_rad=FLOOR_RAD,
):
    """Outlying frames of one hand, by what gave them away.

    Three signals decide, not 51 channels: at 3 sigma the noise of so many channels would flag most frames, and the
    repair, an interpolated frame, is worse than one noisy finger. A pose is judged as a whole.

    Parameters
    ----------
    rotation_rad : array (time, joint 16, xyz 3), rad
        Axis-angle: global orientation, then 15 joints. NaN where missing.
    translation_m : array (time, xyz 3), m
        NaN where missing.
    window : int
        Width of the window in frames.
    n_sigma : float
        How many scales away a sample is an outlier.
    floor_m, floor_depth, floor_rad : float
        Least scale of x and y, of z as a share of its median, and of the angles.

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
    """Least scales (xyz 3) of translations (time, xyz 3), metres."""
    depth_m = np.abs(translation_m[np.isfinite(translation_m[:, 2]), 2])
    return np.array([floor_m, floor_m, floor_depth * np.median(depth_m) if len(depth_m) else 0.0])


def hampel(values, window, n_sigma, min_scale=0.0):
    """Outliers of channels of numbers, each channel by itself.

    Parameters
    ----------
    values : array (time, ...)
        NaN where missing.
    window : int
        Width in frames, at least 1; see the module.
    n_sigma : float
    min_scale : float or array (...)
        Least scale, of all channels or of each, in the unit of `values`: deviations up to `n_sigma * min_scale` are never
        outliers.

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
    """Outliers of a series of rotations, or of poses of several joints.

    Parameters
    ----------
    quaternion : array (time, joint, 4)
        Unit quaternions of either sign. A frame with a NaN is missing.
    window : int
    n_sigma : float
    min_scale : float
        Least scale, radians.

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
    """Put a value into the first `count` entries of a sorted array."""
    place = count
    while place > 0 and ordered[place - 1] > value:
        ordered[place] = ordered[place - 1]
        place -= 1
    ordered[place] = value


@njit(cache=True, nogil=True)
def _remove(ordered, count, value):
    """Take a value out of the first `count` entries of a sorted array."""
    place = 0
    while ordered[place] != value:
        place += 1
    for k in range(place, count - 1):
        ordered[k] = ordered[k + 1]


@njit(cache=True, nogil=True)
def _median_deviation(ordered, count, median):
    """Median of |x - median| over sorted entries: they are taken from the middle outwards, nearest first."""
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
        count = ahead = 0
        for t in range(frames):
            if t > half and np.isfinite(series[t - half - 1]):
                _remove(ordered, count, series[t - half - 1])
                count -= 1
            while ahead <= min(t + half, frames - 1):
                if np.isfinite(series[ahead]):
                    _insert(ordered, count, series[ahead])
                    count += 1
                ahead += 1
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
    """Fill `outlier` (time,): distances of all pairs within a window once, then the medoid of each window."""
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
    """Distance of two frames in the band (time, ahead)."""
    return 0.0 if i == j else distance[min(i, j), abs(i - j)]
