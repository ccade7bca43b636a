"""Notes and pedal as tables (`tables.NOTES`, `tables.PEDAL`): building them in order, and when a note stops sounding."""

import numpy as np

from handroll.tables import NOTES, PEDAL

LOWEST_PITCH, HIGHEST_PITCH = 21, 108
"""MIDI pitches of a piano's first and last key, A0 and C8."""

SAME_STRIKE_S = 0.03
"""Strikes of one key within this time are one strike, written twice: a key cannot go up and down again so soon. The fastest
repetitions of pianists are about 15 a second."""


def merge_strikes(rows):
    """Merge strikes of one pitch within `SAME_STRIKE_S`: layered channels and doubled tracks write one note twice.

    Parameters
    ----------
    rows : list of (onset_s, key_offset_s, pitch, velocity)

    Returns
    -------
    list of (onset_s, key_offset_s, pitch, velocity)
        In order of onset; a merged note has the first onset, the last release and the highest velocity.
    """
    merged, latest = [], {}
    for onset_s, key_offset_s, pitch, velocity in sorted(rows):
        row = latest.get(pitch)
        if row is not None and onset_s - merged[row][0] < SAME_STRIKE_S:
            first_s, until_s, _, loudest = merged[row]
            merged[row] = first_s, max(until_s, key_offset_s), pitch, max(loudest, velocity)
        else:
            latest[pitch] = len(merged)
            merged.append((onset_s, key_offset_s, pitch, velocity))
    return merged


def note_table(onset_s, key_offset_s, pitch, velocity, pedal):
    """Notes in order of onset, then pitch, with the end of their sound.

    Parameters
    ----------
    onset_s, key_offset_s : array (note,), s
        A key held past the next strike of the same pitch is taken as released there: a key goes down once at a time.
    pitch : array (note,)
        MIDI pitch, 21..108.
    velocity : array (note,)
        MIDI velocity; clipped to 1..127.
    pedal : dict of str to array (press,)
        `tables.PEDAL`.

    Returns
    -------
    dict of str to array (note,)
        `tables.NOTES`.

    Raises
    ------
    ValueError
        A pitch outside the piano.
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
    """When the same pitch is struck next, seconds; infinity for its last note. Notes (note,) in order of onset."""
    following = np.full(len(onset_s), np.inf)
    for value in np.unique(pitch):
        same = np.flatnonzero(pitch == value)
        following[same[:-1]] = onset_s[same[1:]]
    return following


def damped_at(key_offset_s, pedal):
    """When the damper falls: at the key's release or, with the pedal down then, when the pedal comes up.

    Parameters
    ----------
    key_offset_s : array (note,), s
    pedal : dict of str to array (press,)
        `tables.PEDAL`, in order, not overlapping.

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
    """Pedal presses in order; presses that touch or overlap are joined, empty ones left out.

    Parameters
    ----------
    onset_s, offset_s : array (press,), s

    Returns
    -------
    dict of str to array (press,)
        `tables.PEDAL`.
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
    return {column.name: columns[:, place] for place, column in enumerate(PEDAL.columns)}
