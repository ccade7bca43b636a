"""Note matching: estimate transposition and time map between two lists of notes, and find the pairs of equal notes.

The reference is the transcription of the recording. Its onsets are accurate to a few milliseconds. Its velocities are absolute, while
the level of a recording is arbitrary. But a transcription misses some notes, so a note without a match can still be correct.
"""

import numpy as np

from handroll.music.alignment.time_map import TimeMap, fit_time_map

MAX_LAG_S = 10.0
"""Maximum offset that is searched, to either side, seconds."""

MAX_SEMITONES = 36
"""Maximum transposition that is searched, up or down, semitones."""

NOTE_TOLERANCE_S = 0.1
"""Maximum time between the onsets of matching notes, seconds. It is well above the 30 ms at which a note counts as late, so that late notes
still match, and below the time between most repeated notes."""

ONSET_TOLERANCE_S = 0.05
"""Maximum time between onsets that match regardless of pitch, seconds. It pairs a note with its transcription at a wrong pitch. Same as
the onset tolerance of MIREX."""

# Number of notes in a block, for which one lag is estimated.
_BLOCK_NOTES = 100

# Width of a bin of the lag histogram, seconds. A drift of 0.1 % changes the lag within a block of notes by about one bin.
_BIN_S = 0.02

# The lag of a block is used if at least this share of its notes has a partner at this lag.
_MIN_BLOCK_SHARE = 0.25


def align(notes, reference):
    """Estimate transposition and time map between two lists of notes.

    For each block of notes, a histogram of the lags of all pairs gives a first estimate. Then the time map is refined with the matched
    notes.

    Parameters
    ----------
    notes, reference : dict of str to array (note,)
        Columns `onset_s` and `pitch` of `tables.NOTES`. For lists of different music, the result has no meaning, and few notes
        match.

    Returns
    -------
    semitones : int
        Pitch of the notes minus pitch of the reference.
    time_map : TimeMap
        From the clock of the notes to the clock of the reference; the identity if a list is empty.
    """
    if not len(notes["pitch"]) or not len(reference["pitch"]):
        return 0, TimeMap()
    edges_s = np.arange(-MAX_LAG_S - _BIN_S / 2, MAX_LAG_S + _BIN_S, _BIN_S)
    n_blocks = -(-len(notes["pitch"]) // _BLOCK_NOTES)
    blocks = np.array_split(np.arange(len(notes["pitch"])), n_blocks)
    votes = np.stack([_lag_histogram(notes["onset_s"][b], notes["pitch"][b], reference, edges_s) for b in blocks])
    semitones = int(np.argmax(votes.max(axis=2).sum(axis=0))) - MAX_SEMITONES
    chosen = votes[:, semitones + MAX_SEMITONES]
    lags_s = (edges_s[:-1] + _BIN_S / 2)[chosen.argmax(axis=1)]
    reliable = chosen.max(axis=1) >= _MIN_BLOCK_SHARE * np.array([len(block) for block in blocks])
    middles_s = np.array([np.median(notes["onset_s"][block]) for block in blocks])
    time_map = fit_time_map(middles_s[reliable], lags_s[reliable])
    pitch = notes["pitch"].astype(int) - semitones
    for _ in range(2):
        rows, reference_rows = match_notes(time_map(notes["onset_s"]), pitch, reference["onset_s"], reference["pitch"])
        time_map = fit_time_map(notes["onset_s"][rows], reference["onset_s"][reference_rows] - notes["onset_s"][rows])
    return semitones, time_map


def _lag_histogram(onset_s, pitch, reference, edges_s):
    """Return the number of pairs of a note and a reference note, array (transposition, lag bin), smoothed over three lag bins.

    `onset_s` and `pitch` (note,) are those of one block of notes; `edges_s` are the edges of the lag bins.
    """
    low, high = np.searchsorted(reference["onset_s"], [onset_s[0] - MAX_LAG_S, onset_s[-1] + MAX_LAG_S])
    lag_s = (reference["onset_s"][None, low:high] - onset_s[:, None]).ravel()
    semitones = (pitch.astype(int)[:, None] - reference["pitch"].astype(int)[None, low:high]).ravel()
    rows = np.arange(-MAX_SEMITONES, MAX_SEMITONES + 2) - 0.5
    count = np.histogram2d(semitones, lag_s, bins=(rows, edges_s))[0]
    padded = np.pad(count, ((0, 0), (1, 1)))
    return padded[:, :-2] + 2.0 * padded[:, 1:-1] + padded[:, 2:]


def match_notes(onset_s, pitch, reference_onset_s, reference_pitch):
    """Match notes of equal pitch within `NOTE_TOLERANCE_S`. Nearest pairs are matched first; each note matches at most once.

    `mir_eval.transcription.match_notes` is not used: it maximises the number of matches and may match distant notes instead of
    near ones. Also, its matrix of all pairs takes 650 MB for an hour of music.

    Parameters
    ----------
    onset_s, reference_onset_s : array (note,), s
        The onsets of the reference must be in order.
    pitch, reference_pitch : array (note,)

    Returns
    -------
    rows, reference_rows : int arrays (match,)
        Indices into the two lists, in the order of the first list.
    """
    rows, reference_rows = _candidates(onset_s, reference_onset_s, NOTE_TOLERANCE_S)
    same = np.asarray(pitch)[rows] == np.asarray(reference_pitch)[reference_rows]
    rows, reference_rows = rows[same], reference_rows[same]
    return _nearest_first(rows, reference_rows, np.abs(onset_s[rows] - reference_onset_s[reference_rows]))


def match_onsets(onset_s, reference_onset_s):
    """Match notes within `ONSET_TOLERANCE_S` regardless of pitch. Otherwise the same as `match_notes`."""
    rows, reference_rows = _candidates(onset_s, reference_onset_s, ONSET_TOLERANCE_S)
    return _nearest_first(rows, reference_rows, np.abs(onset_s[rows] - reference_onset_s[reference_rows]))


def _candidates(onset_s, reference_onset_s, tolerance_s):
    """Find all pairs of onsets at most `tolerance_s` apart; the reference must be in order.

    Return two int arrays (pair,): indices into `onset_s`, and indices into `reference_onset_s`.
    """
    first = np.searchsorted(reference_onset_s, onset_s - tolerance_s)
    count = np.searchsorted(reference_onset_s, onset_s + tolerance_s, side="right") - first
    rows = np.repeat(np.arange(len(onset_s)), count)
    return rows, np.arange(len(rows)) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)


def _nearest_first(rows, reference_rows, distance):
    """Select pairs of notes, nearest first, so that each note is used at most once.

    `rows` and `reference_rows` are the indices of all candidate pairs (pair,), `distance` (pair,) is the time between their onsets. Return
    the indices of the selected pairs, two int arrays (match,) in the order of the first list.
    """
    selected, used, reference_used = [], set(), set()
    for candidate in np.argsort(distance, kind="stable"):
        if rows[candidate] not in used and reference_rows[candidate] not in reference_used:
            used.add(rows[candidate])
            reference_used.add(reference_rows[candidate])
            selected.append(candidate)
    selected = np.array(sorted(selected, key=lambda candidate: rows[candidate]), dtype=int)
    return rows[selected], reference_rows[selected]
