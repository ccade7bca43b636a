"""False key presses per minute: presses that match no note. Key presses are those of `metrics.key_press`.

Unlike precision, the rate does not depend on how many notes a motion plays. A listener notices a rate.
"""

import numpy as np

from handroll.metrics.key_press import match_presses

_MINUTE_S = 60.0


def false_presses_per_min(notes, presses, time_s, joints_keyboard_mm, start_s, end_s, delay_s=0.0):
    """Compute the number of false presses per minute in which a hand is visible.

    Parameters
    ----------
    notes : dict of str to array (note,)
        Columns of `tables.NOTES`.
    presses : key_press.KeyPresses
        Key presses of the motion.
    time_s : array (frame,)
    joints_keyboard_mm : array (frame, hand 2, joint 21, xyz 3)
        Keyboard frame; NaN where hidden.
    start_s, end_s : float
        Only presses in [start_s, end_s) are counted.
    delay_s : float
        Delay of the notes relative to the motion.

    Returns
    -------
    float
        NaN if no hand is visible.
    """
    frames = (time_s >= start_s) & (time_s < end_s)
    shown = np.isfinite(joints_keyboard_mm[frames]).all(axis=(2, 3)).any(axis=1)
    if not shown.any():
        return float("nan")
    hits, _ = match_presses(presses, np.asarray(notes["onset_s"], dtype=np.float64) - delay_s, notes["pitch"])
    false = ~hits & (presses.time_s >= start_s) & (presses.time_s < end_s)
    return float(false.sum() / ((end_s - start_s) / _MINUTE_S * shown.mean()))
