"""Notes with the hand and the finger that plays each of them: the input of the kinematic pianist."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class FingeredNotes:
    """Notes with hand and finger.

    Attributes
    ----------
    duration_s : float
        Duration of the performance.
    notes : dict of str to array (note,)
        Columns of `tables.NOTES`, sorted by onset, then pitch.
    hand : array (note,), int
        Index into `skeleton.HANDS`.
    finger : array (note,), int
        Index into `skeleton.FINGERS`: 0 = thumb.
    pedal : dict of str to array (press,)
        Columns of `tables.PEDAL`.
    rests : tuple of (hand name, start_s, end_s)
        Intervals of more than 2 s in which a hand leaves the keys. At `end_s` the hand is back at the keys.
    """

    duration_s: float
    notes: dict[str, np.ndarray]
    hand: np.ndarray
    finger: np.ndarray
    pedal: dict[str, np.ndarray]
    rests: tuple[tuple[str, float, float], ...] = ()
