"""Anticipation: how long before the onset of a note the hand has arrived at the position in which it plays the note.

Pianists move a hand before the note. Experts missed this anticipation in motion that was generated from notes (Bae et al. 2026,
arXiv:2604.09692). The definition is handroll's. Only onsets after a movement of the hand count: between the previous onset of the same hand
and this one, the true wrist moves by at least `MOVED_MM`. The hand has arrived when the wrist is, and stays until the onset, within
`ARRIVED_MM` of its position at the onset. Both distances are horizontal, because the wrist also moves up and down during a stroke. Each
motion is compared with its own position at the onset, so that a constant error of position does not matter.

A hand that does not move is always at its position. Its anticipation is the longest possible one, and its difference from the truth is
positive.
"""

import numpy as np

from handroll.hand.skeleton import HANDS
from handroll.keyboard.fingertips_at_onsets import at_times

MOVED_MM = 30.0
"""Minimum horizontal distance of the true wrist between two onsets of a hand (mm): more than one white key."""

ARRIVED_MM = 10.0
"""Maximum horizontal distance of a wrist that has arrived from its position at the onset (mm): less than half a white key."""

MAX_LEAD_S = 1.0
"""Maximum anticipation (s). A hand that arrives earlier counts as having arrived by this time before the onset."""

CHORD_S = 0.05
"""Maximum time between the onsets of successive notes of a chord (s)."""

# Times before the onset at which the wrist is measured.
_BEFORE_S = np.linspace(-MAX_LEAD_S, 0.0, 101)


def anticipation(notes, time_s, wrists_mm, truth_mm, delay_s=0.0):
    """Measure how long before the onsets the wrist has arrived, in a motion and in the ground truth.

    Parameters
    ----------
    notes : dict of str to array (note,)
        `onset_s`, `hand` and `finger` of `tables.FINGERED_NOTES`. Notes without a label are ignored. Notes of a hand that follow each
        other within `CHORD_S` have one onset, that of the first.
    time_s : array (frame,)
    wrists_mm, truth_mm : array (frame, hand 2, xyz 3)
        Wrists, keyboard frame; NaN where hidden. Both hands are hidden in the same frames in both arrays.
    delay_s : float
        Delay of the notes relative to the motion.

    Returns
    -------
    lead_s, true_lead_s : array (onset,)
        Time between arrival and onset, in steps of 10 ms; at most `MAX_LEAD_S`, and at most the time since the previous onset of the hand.
        Onsets are left out if the hand is hidden at any time since then, or since `MAX_LEAD_S` before the onset.
    """
    leads = [np.empty((2, 0))]
    labelled = np.asarray(notes["finger"]) > 0
    for side, hand in enumerate(HANDS):
        onset_s = np.sort(np.asarray(notes["onset_s"], dtype=np.float64)[labelled & (np.asarray(notes["hand"]) == hand)]) - delay_s
        onset_s = onset_s[np.diff(onset_s, prepend=-np.inf) > CHORD_S]
        if len(onset_s) < 2:
            continue
        before_s, onset_s = onset_s[:-1], onset_s[1:]
        from_mm, to_mm = (at_times(time_s, truth_mm[:, side, :2], at) for at in (before_s, onset_s))
        moved = np.linalg.norm(to_mm - from_mm, axis=-1) >= MOVED_MM
        before_s, onset_s = before_s[moved], onset_s[moved]
        both = np.stack([wrists_mm[:, side, :2], truth_mm[:, side, :2]], axis=1)
        path = at_times(time_s, both, onset_s[:, None] + _BEFORE_S)
        distance = np.linalg.norm(path - path[:, -1:], axis=-1)
        since = (onset_s[:, None] + _BEFORE_S >= before_s[:, None])[..., None]
        known = (np.isfinite(distance) | ~since).all(axis=(1, 2))
        outside = since & (distance > ARRIVED_MM)
        last = len(_BEFORE_S) - 1 - outside[:, ::-1].argmax(axis=1)
        longest = np.minimum(onset_s - before_s, MAX_LEAD_S)[:, None]
        leads.append(np.where(outside.any(axis=1), -_BEFORE_S[last], longest)[known].T)
    return tuple(np.concatenate(leads, axis=1))
