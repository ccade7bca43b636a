"""A hand's motion at other times: rotations turn the shortest way between frames, places move straight."""

import numpy as np

from handroll.hand.rotations import slerp, unwrap_rotvec


def resample(time_s, rotation_rad, translation_m, wanted_s):
    """A motion between its frames.

    There is no low-pass filter: where the frame rate is lowered, strokes faster than half the new rate alias.

    Parameters
    ----------
    time_s : array (frame,)
        Rising; frames need not be equally far apart.
    rotation_rad : array (frame, joint, xyz 3)
        Axis-angle, NaN where hidden.
    translation_m : array (frame, xyz 3)
        NaN where hidden.
    wanted_s : array (wanted,)
        Rising. Before the first and after the last frame the motion stands still.

    Returns
    -------
    rotation_rad : array (wanted, joint, xyz 3)
        Consecutive rotations on one sheet.
    translation_m : array (wanted, xyz 3)
        Both float64, NaN between two frames of which one is hidden.
    """
    time_s, wanted = np.asarray(time_s, dtype=np.float64), np.asarray(wanted_s, dtype=np.float64)
    before = np.clip(np.searchsorted(time_s, wanted, side="right") - 1, 0, len(time_s) - 1)
    after = np.minimum(before + 1, len(time_s) - 1)
    apart = np.where(after > before, time_s[after] - time_s[before], np.inf)
    share = np.clip((wanted - time_s[before]) / apart, 0.0, 1.0)
    # On a frame, the next one has no say, hidden or not.
    after = np.where(share > 0.0, after, before)
    turned = slerp(rotation_rad[before], rotation_rad[after], share[:, None])
    moved = translation_m[before] * (1.0 - share[:, None]) + translation_m[after] * share[:, None]
    return unwrap_rotvec(turned), moved
