"""Notes for drawing: which notes sound at a time, and their colours."""

import numpy as np

from handroll.drawing.hands import COLOURS
from handroll.keyboard.geometry import HIGHEST_PITCH, LOWEST_PITCH

PRESSED, RINGING = (86, 214, 126), (176, 205, 184)
"""RGB of keys that are played by an unknown hand: while held, and while they ring after the key release because of the pedal."""

# Colour that is mixed into the colours of ringing keys, and its share.
_PALE, _PALE_SHARE = np.array([205, 205, 205]), 0.55


class NoteTimeline:
    """Notes in order of onset, with queries by time.

    Parameters
    ----------
    notes : dict of str to array (note,)
        Columns of `tables.NOTES` or `tables.FINGERED_NOTES`. Pitches outside the keyboard are clipped to its ends.

    Attributes
    ----------
    key : int array (note,), 0..87
    onset_s, release_s, silent_s : array (note,)
        Onset, key release and sounding end.
    hand : list of str
        "left", "right", or "" if unknown.
    finger : int array (note,)
        1..5; 0 if unknown.
    """

    def __init__(self, notes):
        order = np.argsort(notes["onset_s"], kind="stable")
        self.key = np.clip(np.asarray(notes["pitch"], dtype=int)[order], LOWEST_PITCH, HIGHEST_PITCH) - LOWEST_PITCH
        self.onset_s, self.release_s, self.silent_s = (
            np.asarray(notes[name])[order] for name in ("onset_s", "key_offset_s", "sounding_offset_s")
        )
        self.hand = [str(notes["hand"][n]) if "hand" in notes else "" for n in order]
        self.finger = np.asarray(notes.get("finger", np.zeros(len(order))), dtype=int)[order]
        self._longest_s = float(np.max(np.maximum(self.silent_s, self.release_s) - self.onset_s, initial=0.0))

    def within(self, start_s, end_s):
        """Return a range of rows that contains all notes that sound between two times; it can contain other notes."""
        first = np.searchsorted(self.onset_s, start_s - self._longest_s, side="left")
        return range(int(first), int(np.searchsorted(self.onset_s, end_s, side="right")))

    def sounding(self, time_s):
        """Return the notes that sound at a time.

        Returns
        -------
        list of (row, held)
            Index of the note, and whether its key is down; otherwise the note rings because of the pedal. Held notes are last, so
            that a key that is struck again while it rings is drawn as held.
        """
        sounds = [n for n in self.within(time_s, time_s) if self.onset_s[n] <= time_s < max(self.release_s[n], self.silent_s[n])]
        return sorted(((n, bool(time_s < self.release_s[n])) for n in sounds), key=lambda item: item[1])


def note_colour(hand, held=True):
    """Return the RGB of a note: the colour of its hand, or a neutral colour for an unknown hand (""); paler if the key is not held."""
    if not hand:
        return PRESSED if held else RINGING
    if held:
        return COLOURS[hand]
    return tuple(np.rint(np.array(COLOURS[hand]) * (1 - _PALE_SHARE) + _PALE * _PALE_SHARE).astype(int).tolist())
