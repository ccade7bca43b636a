"""Agreement of notes with reference notes: precision, recall and F1 of the package mir_eval (Raffel et al., ISMIR 2014)."""

import numpy as np
from mir_eval.transcription import precision_recall_f1_overlap
from mir_eval.transcription_velocity import precision_recall_f1_overlap as with_velocity

ONSET_TOLERANCE_S = 0.05
"""Maximum time between matching onsets (s), as in the MIREX evaluations."""

MIN_NOTE_S = 0.01
"""Minimum duration of a note (s). Shorter notes are extended to this duration, because mir_eval rejects notes of duration 0."""


def note_scores(reference, estimate, onset_tolerance_s=ONSET_TOLERANCE_S):
    """Compare notes with reference notes. Every note matches at most one note of the other set.

    Parameters
    ----------
    reference, estimate : dict of str to array (note,)
        `onset_s`, `key_offset_s`, `pitch` and `velocity`, as in `tables.NOTES`.
    onset_tolerance_s : float
        Maximum time between matching onsets (s).

    Returns
    -------
    dict of str to float
        - `precision`, `recall`, `f1`: onset and pitch match.
        - `f1_offset`: onset, pitch and key release match. The key release has a tolerance of 50 ms or 20 % of the duration, whichever is
          larger.
        - `f1_velocity`: onset, pitch and velocity match. The velocity has a tolerance of 10 % after a linear fit of all velocities.

        All are 1 for two empty sets.
    """
    if not len(reference["onset_s"]) or not len(estimate["onset_s"]):
        score = float(len(reference["onset_s"]) == len(estimate["onset_s"]))
        return dict.fromkeys(("precision", "recall", "f1", "f1_offset", "f1_velocity"), score)
    (times, hz), (times_e, hz_e) = intervals_and_hz(reference), intervals_and_hz(estimate)
    velocity, velocity_e = (np.asarray(notes["velocity"], dtype=np.float64) for notes in (reference, estimate))
    tolerance = {"onset_tolerance": onset_tolerance_s}
    precision, recall, f1, _ = precision_recall_f1_overlap(times, hz, times_e, hz_e, **tolerance, offset_ratio=None)
    _, _, f1_offset, _ = precision_recall_f1_overlap(times, hz, times_e, hz_e, **tolerance)
    _, _, f1_velocity, _ = with_velocity(times, hz, velocity, times_e, hz_e, velocity_e, **tolerance, offset_ratio=None)
    return {"precision": precision, "recall": recall, "f1": f1, "f1_offset": f1_offset, "f1_velocity": f1_velocity}


def intervals_and_hz(notes):
    """Convert notes to the arrays that mir_eval expects: intervals (note, 2) of onset and key release (s), and pitches (note,) in Hz."""
    onset_s = np.asarray(notes["onset_s"], dtype=np.float64)
    end_s = np.maximum(np.asarray(notes["key_offset_s"], dtype=np.float64), onset_s + MIN_NOTE_S)
    hz = 440.0 * 2.0 ** ((np.asarray(notes["pitch"], dtype=np.float64) - 69.0) / 12.0)
    return np.stack([onset_s, end_s], axis=1), hz
