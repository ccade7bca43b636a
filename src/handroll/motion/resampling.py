"""Resample the motion of a hand: interpolate rotations along the shortest arc between frames, and translations linearly."""

import numpy as np

from handroll.hand.rotations import slerp, unwrap_rotvec


def resample(time_s, rotation_rad, translation_m, new_time_s):
    """Interpolate a motion at other times.

    There is no low-pass filter. At a lower frame rate, movements with frequencies above half the new rate cause aliasing.

    Parameters
    ----------
    time_s : array (frame,)
        Presentation times in seconds, increasing; they may be unevenly spaced.
    rotation_rad : array (frame, joint, xyz 3)
        Rotation vectors (axis-angle); NaN where hidden.
    translation_m : array (frame, xyz 3)
        Translations; NaN where hidden.
    new_time_s : array (sample,)
        Times in seconds, increasing. Before the first frame and after the last one the pose is constant.

    Returns
    -------
    rotation_rad : array (sample, joint, xyz 3)
        Consecutive rotations have no jump by 2 pi.
    translation_m : array (sample, xyz 3)
        Both results are float64, and NaN between two frames if one of them is hidden.
    """
    time_s, new_time_s = np.asarray(time_s, dtype=np.float64), np.asarray(new_time_s, dtype=np.float64)
    before = np.clip(np.searchsorted(time_s, new_time_s, side="right") - 1, 0, len(time_s) - 1)
    after = np.minimum(before + 1, len(time_s) - 1)
    interval_s = np.where(after > before, time_s[after] - time_s[before], np.inf)
    share = np.clip((new_time_s - time_s[before]) / interval_s, 0.0, 1.0)
    # A sample exactly on a frame does not use the next frame, which may be hidden (NaN).
    after = np.where(share > 0.0, after, before)
    rotation = slerp(rotation_rad[before], rotation_rad[after], share[:, None])
    translation = translation_m[before] * (1.0 - share[:, None]) + translation_m[after] * share[:, None]
    return unwrap_rotvec(rotation), translation
