"""Two lists of notes of one performance: the clocks between them, which notes are the same, and what differs.

The recording's transcription is the reference: its onsets spread by a few milliseconds only, and its velocities are
absolute, which a recording's own level is not. But it misses notes: that it lacks a note proves nothing.
"""

import numpy as np

from handroll.music.alignment.time_map import Clock, fit_clock

FARTHEST_LAG_S = 10.0
"""Greatest offset that is looked for."""
MOST_SEMITONES = 36
"""Greatest transposition that is looked for."""
PAIR_S = 0.1
"""Notes of one pitch nearer than this can be the same: well above the 30 ms that are to be told, below most repetitions."""
SAME_TIME_S = 0.05
"""Notes of different pitch nearer than this can be one note and its mistake: MIREX's onset tolerance."""

_BLOCK_NOTES = 100
_BIN_S = 0.02
# Of the vote: within a block of notes a drift of 0.1 % moves times by about a bin.
_LEAST_BLOCK_SHARE = 0.25
# A block in which fewer of its notes find a partner says nothing of the clock.


def align(notes, reference):
    """Transposition and clock that bring notes onto a reference, by a vote of all pairs within blocks, then by pairs.

    Parameters
    ----------
    notes, reference : dict of str to array (note,)
        `onset_s` and `pitch` as in `tables.NOTES`; lists of different music give some alignment that few notes follow.

    Returns
    -------
    semitones : int
        What the notes' pitches lie above the reference's.
    clock : Clock
        From the notes' time to the reference's. The identity where either list is empty.
    """
    if not len(notes["pitch"]) or not len(reference["pitch"]):
        return 0, Clock()
    edges_s = np.arange(-FARTHEST_LAG_S - _BIN_S / 2, FARTHEST_LAG_S + _BIN_S, _BIN_S)
    n_blocks = -(-len(notes["pitch"]) // _BLOCK_NOTES)
    blocks = np.array_split(np.arange(len(notes["pitch"])), n_blocks)
    votes = np.stack([_votes(notes["onset_s"][b], notes["pitch"][b], reference, edges_s) for b in blocks])
    semitones = int(np.argmax(votes.max(axis=2).sum(axis=0))) - MOST_SEMITONES
    chosen = votes[:, semitones + MOST_SEMITONES]
    lags_s = (edges_s[:-1] + _BIN_S / 2)[chosen.argmax(axis=1)]
    sure = chosen.max(axis=1) >= _LEAST_BLOCK_SHARE * np.array([len(block) for block in blocks])
    middles_s = np.array([np.median(notes["onset_s"][block]) for block in blocks])
    rough = fit_clock(middles_s[sure], lags_s[sure])
    pitch = notes["pitch"].astype(int) - semitones
    for _ in range(2):
        mine, other = pair(rough(notes["onset_s"]), pitch, reference["onset_s"], reference["pitch"])
        rough = fit_clock(notes["onset_s"][mine], reference["onset_s"][other] - notes["onset_s"][mine])
    return semitones, rough


def _votes(onset_s, pitch, reference, edges_s):
    """Count (transposition, lag bin) of pairs, three bins summed."""
    low, high = np.searchsorted(reference["onset_s"], [onset_s[0] - FARTHEST_LAG_S, onset_s[-1] + FARTHEST_LAG_S])
    lag_s = (reference["onset_s"][None, low:high] - onset_s[:, None]).ravel()
    semitones = (pitch.astype(int)[:, None] - reference["pitch"].astype(int)[None, low:high]).ravel()
    rows = np.arange(-MOST_SEMITONES, MOST_SEMITONES + 2) - 0.5
    count = np.histogram2d(semitones, lag_s, bins=(rows, edges_s))[0]
    padded = np.pad(count, ((0, 0), (1, 1)))
    return padded[:, :-2] + 2.0 * padded[:, 1:-1] + padded[:, 2:]


def pair(onset_s, pitch, other_onset_s, other_pitch):
    """Pair notes of one pitch within `PAIR_S`, nearest first; every note is paired at most once.

    Parameters
    ----------
    onset_s, other_onset_s : array (note,), s
        The second in order.
    pitch, other_pitch : array (note,)

    Returns
    -------
    mine, other : int arrays (pair,)
        Indices into both lists, in order of the first.
    """
    mine, other = _candidates(onset_s, other_onset_s, PAIR_S)
    same = np.asarray(pitch)[mine] == np.asarray(other_pitch)[other]
    return _nearest_first(mine[same], other[same], np.abs(onset_s[mine[same]] - other_onset_s[other[same]]))


def pair_any_pitch(onset_s, other_onset_s):
    """Pair notes within `SAME_TIME_S` whatever their pitch, as `pair` does."""
    mine, other = _candidates(onset_s, other_onset_s, SAME_TIME_S)
    return _nearest_first(mine, other, np.abs(onset_s[mine] - other_onset_s[other]))


def _candidates(onset_s, other_onset_s, within_s):
    """Index pairs (candidate,) of all onsets that lie within some seconds of one another; the second list in order."""
    first = np.searchsorted(other_onset_s, onset_s - within_s)
    count = np.searchsorted(other_onset_s, onset_s + within_s, side="right") - first
    mine = np.repeat(np.arange(len(onset_s)), count)
    return mine, np.arange(len(mine)) - np.repeat(np.cumsum(count) - count, count) + np.repeat(first, count)


def _nearest_first(mine, other, distance):
    """Of candidate pairs those that are taken greedily by distance, in order of the first list."""
    taken, used_mine, used_other = [], set(), set()
    for place in np.argsort(distance, kind="stable"):
        if mine[place] not in used_mine and other[place] not in used_other:
            used_mine.add(mine[place])
            used_other.add(other[place])
            taken.append(place)
    taken = np.array(sorted(taken, key=lambda place: mine[place]), dtype=int)
    return mine[taken], other[taken]
