"""Interpolate short gaps between observed frames. Presentation times are used, so the frame rate may vary."""

import numpy as np

from handroll.hand.rotations import slerp
from handroll.mask_runs import in_runs, runs


def short_gaps(observed, max_gap):
    """Find the missing frames in short gaps, which are to be interpolated.

    Parameters
    ----------
    observed : bool array (time,)
        True in frames with a pose.
    max_gap : int
        Gaps of fewer frames are filled (PianoMotion10M: 30). A gap at an end of the series has only one neighbour and is not filled.

    Returns
    -------
    bool array (time,)
        True in frames to interpolate.
    """
    observed = np.asarray(observed, dtype=bool)
    start, stop = runs(~observed)
    short = (stop - start < max_gap) & (start > 0) & (stop < len(observed))
    return in_runs(start[short], stop[short], len(observed))


def interpolate(rotation_rad, translation_m, time_s, observed, fill):
    """Interpolate the frames of `fill` between the observed frames before and after them.

    Parameters
    ----------
    rotation_rad : array (time, joint, xyz 3), rad
        Rotation vectors. They are interpolated along the shortest rotation of each joint, at constant speed (slerp).
    translation_m : array (time, xyz 3), m
        Translations. They are interpolated linearly.
    time_s : array (time,), s
        Presentation times, not decreasing.
    observed, fill : bool array (time,)
        Frames with a pose, and frames to fill; disjoint. Every run of `fill` has an observed frame before and after it: see `short_gaps`.

    Returns
    -------
    rotation_rad, translation_m
        Copies, float64; NaN in frames that are neither observed nor filled.
    """
    rotation = np.where(observed[:, None, None], np.asarray(rotation_rad, dtype=np.float64), np.nan)
    translation = np.where(observed[:, None], np.asarray(translation_m, dtype=np.float64), np.nan)
    gap = np.flatnonzero(fill)
    known = np.flatnonzero(observed)
    after = np.searchsorted(known, gap)
    if gap.size and (after.min() == 0 or after.max() == known.size):
        raise ValueError(
            "fill: expected an observed frame before and after every frame to fill, found frames at an end of the series; use short_gaps"
        )
    before, after = known[after - 1], known[after]
    time_s = np.asarray(time_s, dtype=np.float64)
    span = time_s[after] - time_s[before]
    fraction = np.divide(time_s[gap] - time_s[before], span, out=np.zeros(gap.size), where=span > 0.0)
    translation[gap] = translation[before] + fraction[:, None] * (translation[after] - translation[before])
    rotation[gap] = slerp(rotation[before], rotation[after], fraction[:, None])
    return rotation, translation
