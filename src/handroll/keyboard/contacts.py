"""Find the contacts of fingertips with keys in each frame, from notes with fingering."""

import numpy as np

from handroll.hand.skeleton import FINGERS, HANDS
from handroll.keyboard.geometry import STANDARD, is_black, key_of_pitch


def key_tops_held_mm(notes, time_s):
    """Return the height of the key that each fingertip holds down, in each frame.

    Parameters
    ----------
    notes : dict of str to array (note,)
        Columns of `tables.FINGERED_NOTES`, on the video clock. A note without a fingering label gives no contact.
    time_s : array (frame,)
        Presentation times, s, increasing.

    Returns
    -------
    array (frame, hand 2, finger 5)
        Height of the top of the key at rest, above the white keys, mm, for the standard keyboard; NaN for a fingertip that holds no key.
    """
    tops_mm = np.full((len(time_s), len(HANDS), len(FINGERS)), np.nan)
    first = np.searchsorted(time_s, notes["onset_s"])
    last = np.searchsorted(time_s, notes["key_offset_s"])
    height_mm = np.where(is_black(key_of_pitch(notes["pitch"])), STANDARD.black_height_mm, 0.0)
    for note in np.flatnonzero(notes["finger"] > 0):
        tops_mm[first[note] : last[note], HANDS.index(notes["hand"][note]), notes["finger"][note] - 1] = height_mm[note]
    return tops_mm
