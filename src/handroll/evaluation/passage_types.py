"""Classify notes by the type of their passage (texture), such as chord or leap. Types differ in the difficulty of their fingering."""

import numpy as np

from handroll.hand.skeleton import HANDS

CHORD_S = 0.04
"""Maximum time between the onsets of the notes of a chord (s)."""

NEIGHBOUR_S = 0.6
"""Maximum time between two successive notes of one hand that form a leap, a repetition or a crossing (s)."""

FAST_S = 0.2
"""Maximum time between successive notes of a fast line (s)."""

LEAP_SEMITONES = 7
"""Maximum interval between two successive notes that is not a leap, in semitones: the span of five fingers at rest."""

TEXTURES = ("chord", "crossing", "repetition", "leap", "fast_line", "line")
"""Names of the textures. If several apply to a note, the first in this order is used."""


def note_textures(notes, hand, finger):
    """Classify every note by its texture, from the notes and the hand and finger that play them.

    Parameters
    ----------
    notes : dict of str to array (note,)
        `onset_s` and `pitch`, ordered by onset.
    hand, finger : array (note,), int
        Indices into `skeleton.HANDS` and `skeleton.FINGERS`.

    Returns
    -------
    array (note,) of str
        One of `TEXTURES` for each note. A crossing is a note at which the thumb passes under a finger, or a finger passes over the thumb.
    """
    textures = np.full(len(notes["pitch"]), "line", dtype=object)
    for side in range(len(HANDS)):
        rows = np.flatnonzero(np.asarray(hand) == side)
        if len(rows) < 2:
            continue
        apart_s, step = np.diff(notes["onset_s"][rows]), np.diff(notes["pitch"][rows].astype(int))
        outward = np.diff(finger[rows].astype(int)) * (1 if side else -1)
        thumb = (finger[rows][:-1] == 0) | (finger[rows][1:] == 0)
        together, near = apart_s < CHORD_S, apart_s < NEIGHBOUR_S
        of_pair = {
            "fast_line": apart_s < FAST_S,
            "leap": near & (np.abs(step) > LEAP_SEMITONES),
            "repetition": near & (step == 0),
            "crossing": near & thumb & (np.sign(step) * outward < 0),
        }
        for name, chosen in of_pair.items():
            textures[rows[1:][chosen & ~together]] = name
        textures[rows[:-1][together]] = textures[rows[1:][together]] = "chord"
    return textures
