"""How well notes agree with reference notes: mir_eval's precision, recall and F1 (Raffel et al., ISMIR 2014)."""

import numpy as np
from mir_eval.transcription import precision_recall_f1_overlap
from mir_eval.transcription_velocity import precision_recall_f1_overlap as with_velocity

ONSET_TOLERANCE_S = 0.05
"""Greatest distance of matching onsets: MIREX's 50 ms."""

LEAST_NOTE_S = 0.01
"""mir_eval refuses notes without length; shorter ones are taken as this long."""


def note_scores(reference, estimate, onset_tolerance_s=ONSET_TOLERANCE_S):
    """Compare two sets of notes; every note matches at most one.

    Parameters
    ----------
    reference, estimate : dict of str to array (note,)
        `onset_s`, `pitch`, and for the stricter scores `key_offset_s` and `velocity`, as in `tables.NOTES`.
    onset_tolerance_s : float

    Returns
    -------
    dict of str to float
        `precision`, `recall`, `f1` by onset and pitch; `f1_offset`: also the key's release (within 50 ms or 20 % of the
        length); `f1_velocity`: onset, pitch and velocity (within 10 % after a linear fit). Two empty sets agree: all 1.
    """
    if not len(reference["onset_s"]) or not len(estimate["onset_s"]):
        score = float(len(reference["onset_s"]) == len(estimate["onset_s"]))
        return dict.fromkeys(("precision", "recall", "f1", "f1_offset", "f1_velocity"), score)
    (times, hz, loudness), (times_e, hz_e, loudness_e) = _notes(reference), _notes(estimate)
    tolerance = {"onset_tolerance": onset_tolerance_s}
    precision, recall, f1, _ = precision_recall_f1_overlap(times, hz, times_e, hz_e, **tolerance, offset_ratio=None)
    _, _, f1_offset, _ = precision_recall_f1_overlap(times, hz, times_e, hz_e, **tolerance)
    _, _, f1_velocity, _ = with_velocity(times, hz, loudness, times_e, hz_e, loudness_e, **tolerance, offset_ratio=None)
    return {"precision": precision, "recall": recall, "f1": f1, "f1_offset": f1_offset, "f1_velocity": f1_velocity}


def _notes(notes):
    """Intervals (note, 2), pitches in Hz and velocities, as mir_eval takes them."""
    onset_s = np.asarray(notes["onset_s"], dtype=np.float64)
    # mir_eval takes no negative times; only differences count.
    end_s = np.maximum(np.asarray(notes["key_offset_s"], dtype=np.float64), onset_s + LEAST_NOTE_S)
    hz = 440.0 * 2.0 ** ((np.asarray(notes["pitch"], dtype=np.float64) - 69.0) / 12.0)
    return np.stack([onset_s, end_s], axis=1), hz, np.asarray(notes["velocity"], dtype=np.float64)
