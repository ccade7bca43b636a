"""Frames in which a hand plays, and frames in which it is idle, from notes with fingering."""

import numpy as np

from handroll.hand.skeleton import HANDS


def playing_frames(notes, time_s, delay_s=0.0):
    """Return the frames in which each hand holds a key, and those in which it holds none.

    Parameters
    ----------
    notes : dict of str to array (note,)
        `onset_s`, `key_offset_s`, `hand` and `finger` of `tables.FINGERED_NOTES`.
    time_s : array (frame,)
        Increasing.
    delay_s : float
        Delay of the notes relative to the motion.

    Returns
    -------
    playing, idle : array (frame, hand 2), bool
        A hand plays from the onset to the key release of a note with its label. It is idle in frames in which it holds no such note and no
        note without a label is held, since it may hold such a note.
    """
    labelled, hand = np.asarray(notes["finger"]) > 0, np.asarray(notes["hand"])
    onset_s, release_s = (np.asarray(notes[name], dtype=np.float64) - delay_s for name in ("onset_s", "key_offset_s"))

    def held(chosen):
        """Return whether one of the chosen notes is held in each frame, array (frame,)."""
        change = np.zeros(len(time_s) + 1, dtype=np.int64)
        np.add.at(change, np.searchsorted(time_s, onset_s[chosen]), 1)
        np.add.at(change, np.searchsorted(time_s, release_s[chosen]), -1)
        return np.cumsum(change[:-1]) > 0

    playing = np.stack([held(labelled & (hand == name)) for name in HANDS], axis=1)
    return playing, ~playing & ~held(~labelled)[:, None]
