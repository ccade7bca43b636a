"""Which notes sound at a moment, and the colours in which they are shown."""

import numpy as np

from handroll.drawing.hands import COLOURS
from handroll.keyboard.geometry import HIGHEST_PITCH, LOWEST_PITCH

PRESSED, RINGING = (86, 214, 126), (176, 205, 184)
"""RGB of a key that no hand is known for: held down, and with its string still sounding by the pedal."""

_PALE, _PALE_SHARE = np.array([205, 205, 205]), 0.55


class NotesInTime:
    """Notes by onset, to be asked what sounds.

    Parameters
    ----------
    notes : dict of str to array (note,)
        `tables.NOTES` or `tables.FINGERED_NOTES`. Pitches off the keyboard go to its nearest end.

    Attributes
    ----------
    key : int array (note,), 0..87
    onset_s, release_s, silent_s : array (note,)
        Struck; key released; sound damped.
    hand : list of str
        "left", "right", or "" where it is not known.
    finger : int array (note,)
        1..5; 0 where it is not known.
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
        """Rows that may sound between two times, as a range by onset."""
        first = np.searchsorted(self.onset_s, start_s - self._longest_s, side="left")
        return range(int(first), int(np.searchsorted(self.onset_s, end_s, side="right")))

    def sounding(self, time_s):
        """What sounds at a time.

        Returns
        -------
        list of (row, held)
            `held` says that the key is down, otherwise it only rings by the pedal. Held ones come last, so that a key that
            is struck again while it rings is shown as held.
        """
        sounds = [n for n in self.within(time_s, time_s) if self.onset_s[n] <= time_s < max(self.release_s[n], self.silent_s[n])]
        return sorted(((n, bool(time_s < self.release_s[n])) for n in sounds), key=lambda item: item[1])


def note_colour(hand, held=True):
    """RGB of a note: its hand's, a neutral one for "", and paler where the key is no longer held."""
    if not hand:
        return PRESSED if held else RINGING
    if held:
        return COLOURS[hand]
    return tuple(np.rint(np.array(COLOURS[hand]) * (1 - _PALE_SHARE) + _PALE * _PALE_SHARE).astype(int).tolist())
