"""Build tables of notes and pedal presses (`tables.NOTES`, `tables.PEDAL`), with the sounding end of each note."""

import numpy as np

from handroll.keyboard.geometry import HIGHEST_PITCH, LOWEST_PITCH
from handroll.tables import NOTES, PEDAL

SAME_STRIKE_S = 0.03
"""Notes of the same pitch are one strike if their onsets are less than this apart, seconds. A key cannot move up and down again in this
time: pianists repeat a key at most about 15 times a second."""


def merge_strikes(rows):
    """Merge strikes of the same pitch within `SAME_STRIKE_S`. Layered channels and doubled tracks contain such duplicates.

    Parameters
    ----------
    rows : list of (onset_s, key_offset_s, pitch, velocity, label)
        A label can be compared with the other labels.

    Returns
    -------
    list of (onset_s, key_offset_s, pitch, velocity, label)
        In order of onset; a merged note has the first onset, the last release, the highest velocity and the largest label.
    """
    merged, latest = [], {}
    for onset_s, key_offset_s, pitch, velocity, label in sorted(rows):
        row = latest.get(pitch)
        if row is not None and onset_s - merged[row][0] < SAME_STRIKE_S:
            first_s, until_s, _, loudest, other = merged[row]
            merged[row] = first_s, max(until_s, key_offset_s), pitch, max(loudest, velocity), max(label, other)
        else:
            latest[pitch] = len(merged)
            merged.append((onset_s, key_offset_s, pitch, velocity, label))
    return merged


def note_table_of_strikes(rows, pedal):
    """Build a table of notes from strikes with labels: merge duplicates (`merge_strikes`) and lengthen notes to `SAME_STRIKE_S`.

    Parameters
    ----------
    rows : list of (onset_s, key_offset_s, pitch, velocity, label)
    pedal : dict of str to array (press,)
        Columns of `tables.PEDAL`.

    Returns
    -------
    notes : dict of str to array (note,)
        Columns of `tables.NOTES`. Every note has a duration above 0.
    labels : list (note,)
    brief : int
        Number of notes that were lengthened.

    Raises
    ------
    ValueError
        A pitch is outside the piano's keys.
    """
    onset_s, key_offset_s, pitch, velocity, labels = zip(*merge_strikes(rows), strict=True) if rows else ((),) * 5
    lengthened = np.maximum(key_offset_s, np.add(onset_s, SAME_STRIKE_S))
    notes = note_table(onset_s, lengthened, pitch, velocity, pedal)
    # The order of `note_table`.
    order = np.lexsort((pitch, onset_s))
    return notes, [labels[row] for row in order], int(np.count_nonzero(lengthened > key_offset_s))


def note_table(onset_s, key_offset_s, pitch, velocity, pedal):
    """Build a table of notes, sorted by onset, then pitch, with the sounding end of each note.

    Parameters
    ----------
    onset_s, key_offset_s : array (note,), s
        Onset and key release. A release after the next onset of the same pitch is moved to that onset.
    pitch : array (note,)
        MIDI pitch, 21..108.
    velocity : array (note,)
        MIDI velocity; clipped to 1..127.
    pedal : dict of str to array (press,)
        Columns of `tables.PEDAL`.

    Returns
    -------
    dict of str to array (note,)
        Columns of `tables.NOTES`.

    Raises
    ------
    ValueError
        A pitch is outside the piano's keys.
    """
    onset_s, key_offset_s = np.asarray(onset_s, dtype=np.float64), np.asarray(key_offset_s, dtype=np.float64)
    pitch, velocity = np.asarray(pitch, dtype=np.int64), np.asarray(velocity, dtype=np.int64)
    if len(pitch) and (pitch.min() < LOWEST_PITCH or pitch.max() > HIGHEST_PITCH):
        raise ValueError(f"notes: expected MIDI pitches {LOWEST_PITCH} to {HIGHEST_PITCH}, found {pitch.min()} to {pitch.max()}")
    order = np.lexsort((pitch, onset_s))
    onset_s, key_offset_s, pitch, velocity = onset_s[order], key_offset_s[order], pitch[order], velocity[order]
    struck_again_s = next_onset(onset_s, pitch)
    key_offset_s = np.minimum(np.maximum(key_offset_s, onset_s), struck_again_s)
    return {
        "onset_s": onset_s,
        "key_offset_s": key_offset_s,
        "sounding_offset_s": np.minimum(damped_at(key_offset_s, pedal), struck_again_s),
        "pitch": pitch.astype(NOTES.empty()["pitch"].dtype),
        "velocity": np.clip(velocity, 1, 127).astype(NOTES.empty()["velocity"].dtype),
    }


def next_onset(onset_s, pitch):
    """Return the next onset (note,) of the same pitch for notes in order of onset, seconds; infinity for the last note of a pitch."""
    following = np.full(len(onset_s), np.inf)
    for value in np.unique(pitch):
        same = np.flatnonzero(pitch == value)
        following[same[:-1]] = onset_s[same[1:]]
    return following


def damped_at(key_offset_s, pedal):
    """Return the time at which the damper stops a note: the key release, or the pedal release if the pedal is down at the key release.

    Parameters
    ----------
    key_offset_s : array (note,), s
    pedal : dict of str to array (press,)
        Columns of `tables.PEDAL`; presses in order, without overlaps.

    Returns
    -------
    array (note,), s
    """
    key_offset_s = np.asarray(key_offset_s, dtype=np.float64)
    if not len(pedal["onset_s"]):
        return key_offset_s.copy()
    press = np.searchsorted(pedal["onset_s"], key_offset_s, side="right") - 1
    up_s = pedal["offset_s"][np.maximum(press, 0)]
    return np.where((press >= 0) & (up_s > key_offset_s), up_s, key_offset_s)


def pedal_table(onset_s, offset_s):
    """Build a table of pedal presses in order. Presses that touch or overlap are joined; presses without duration are dropped.

    Parameters
    ----------
    onset_s, offset_s : array (press,), s

    Returns
    -------
    dict of str to array (press,)
        Columns of `tables.PEDAL`.
    """
    joined = []
    for down_s, up_s in sorted(zip(onset_s, offset_s, strict=True)):
        if up_s <= down_s:
            continue
        if joined and down_s <= joined[-1][1]:
            joined[-1][1] = max(joined[-1][1], up_s)
        else:
            joined.append([down_s, up_s])
    columns = np.array(joined, dtype=np.float64).reshape(-1, 2)
    return {column.name: columns[:, index] for index, column in enumerate(PEDAL.columns)}
