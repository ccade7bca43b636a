"""Anticipation: how long before the onset of a note the hand has arrived where it plays the note.

Pianists move a hand before the note. Experts missed this anticipation in motion that was generated from notes (Bae et al. 2026,
arXiv:2604.09692). The definition is handroll's. Only onsets after a movement count: between the previous onset of the same hand and this
one, the true wrist moves by at least `MOVED_MM` along the keyboard. The hand has arrived when its wrist is, and stays until the onset,
within `ARRIVED_MM` of the place of the true wrist at the onset. A hand that arrives after the onset has a negative anticipation.

Positions are compared along the keyboard only, since height and depth of a wrist vary between players. They are not compared with the
motion's own position at the onset, because a hand that is still at the previous note would seem to have arrived early.
"""

import numpy as np

from handroll.hand.skeleton import HANDS
from handroll.keyboard.fingertips_at_onsets import at_times

MOVED_MM = 47.0
"""Minimum distance along the keyboard by which the true wrist moves between two onsets of a hand (mm): two white keys."""

ARRIVED_MM = 20.0
"""Maximum distance along the keyboard of a wrist that has arrived (mm). It is less than a white key, and more than the variation of the
wrist between players who press the same key with the same finger."""

MAX_LEAD_S = 1.0
"""Maximum anticipation (s). A hand that arrives earlier counts as having arrived by this time before the onset."""

MAX_LATE_S = 0.5
"""Maximum delay (s). A hand that arrives later, or never, counts as having arrived by this time after the onset."""

CHORD_S = 0.05
"""Maximum time between the onsets of successive notes of a chord (s)."""

_STEP_S = 0.01

# Times relative to the onset at which the wrist is measured, and the index of the onset.
_TIMES_S = np.arange(-round(MAX_LEAD_S / _STEP_S), round(MAX_LATE_S / _STEP_S) + 1) * _STEP_S
_ONSET = round(MAX_LEAD_S / _STEP_S)


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
        Time from the arrival to the onset, in steps of 10 ms: at least -`MAX_LATE_S`, at most `MAX_LEAD_S`, and at most the time since the
        previous onset of the hand. Onsets are left out if the hand is hidden in this range, or if the range exceeds the motion.
    """
    leads = [np.empty((2, 0))]
    labelled = np.asarray(notes["finger"]) > 0
    for side, hand in enumerate(HANDS):
        onset_s = np.sort(np.asarray(notes["onset_s"], dtype=np.float64)[labelled & (np.asarray(notes["hand"]) == hand)]) - delay_s
        onset_s = onset_s[np.diff(onset_s, prepend=-np.inf) > CHORD_S]
        before_s, onset_s = onset_s[:-1], onset_s[1:]
        from_mm, to_mm = (at_times(time_s, truth_mm[:, side, 0], at) for at in (before_s, onset_s))
        moved = np.abs(to_mm - from_mm) >= MOVED_MM
        before_s, onset_s, to_mm = before_s[moved], onset_s[moved], to_mm[moved]
        both = np.stack([wrists_mm[:, side, 0], truth_mm[:, side, 0]], axis=1)
        distance = np.abs(at_times(time_s, both, onset_s[:, None] + _TIMES_S) - to_mm[:, None, None])
        since = (onset_s[:, None] + _TIMES_S >= before_s[:, None])[..., None]
        known = (np.isfinite(distance) | ~since).all(axis=(1, 2))
        near = distance <= ARRIVED_MM
        longest = np.minimum(onset_s - before_s, MAX_LEAD_S)[:, None]
        leads.append(_leads(near, since, longest)[known].T)
    return tuple(np.concatenate(leads, axis=1))


def _leads(near, since, longest_s):
    """Compute the time from arrival to onset (onset, motion).

    `near` (onset, time, motion), bool, is True if the wrist is within `ARRIVED_MM`. `since` (onset, time, 1) is True from the previous
    onset of the hand. `longest_s` (onset, 1) is the result for a hand that is near all the time.
    """
    outside = (since & ~near)[:, : _ONSET + 1]
    last = _ONSET - outside[:, ::-1].argmax(axis=1)
    early = np.where(outside.any(axis=1), -_TIMES_S[last], longest_s)
    after = near[:, _ONSET:]
    late = np.where(after.any(axis=1), -_TIMES_S[_ONSET + after.argmax(axis=1)], -MAX_LATE_S)
    return np.where(near[:, _ONSET], early, late)
