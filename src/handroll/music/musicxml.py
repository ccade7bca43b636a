"""Notes of a MusicXML file as they are played: times in seconds, pedal, and the hands and fingers that the score gives.

Repeats are played (`playing_order`). Tempo and dynamic marks apply to the measures after them as written, also in a repeat. Ties are
joined. Grace notes are played before the beat. Articulations, trills, fermatas, gradual changes of tempo or loudness, and tempos in words
are ignored.
"""

import logging
from bisect import bisect_left
from itertools import accumulate, groupby

import numpy as np

from handroll.keyboard.geometry import HIGHEST_PITCH, LOWEST_PITCH
from handroll.music.midi_file import MAX_DURATION_S
from handroll.music.musicxml_file import MAX_NOTES, MusicXmlError, read_parts
from handroll.music.notes import note_table_of_strikes, pedal_table
from handroll.music.playing_order import merge_measures, playing_order

LOGGER = logging.getLogger("handroll")

DEFAULT_QUARTERS_PER_MIN = 120.0
"""Tempo of scores without a tempo mark, in quarter notes per minute. Same as the default of MIDI files."""

DEFAULT_VELOCITY = 80
"""MIDI velocity of notes before the first dynamic mark: mezzoforte."""

GRACE_S = 0.08
"""Maximum duration of a grace note (s): a fast trill has about 12 notes per second."""

PEDAL_UP_S = 0.1
"""Minimum time between a release of the pedal and the next press (s). In this time the dampers stop the strings."""

# Time (s) from a pedal mark to the press, so that notes that end at the mark are not held.
_PRESS_AFTER_S = 0.01

# Maximum part of the time since the note before that the grace notes take.
_GRACE_PART = 0.5

# Maximum distance of the ends of two tied notes (s). Durations in a file can be rounded.
_TIE_S = 2e-3


def read_musicxml(path):
    """Read a MusicXML file.

    If exactly one part has two staves, only this part is played: the others are not for the piano. Its upper staff is for the right hand
    and its lower staff for the left hand. If the score has two parts with one staff each, and the first has the higher mean pitch, the
    first part is for the right hand and the second for the left hand. Otherwise the hands are unknown.

    Parameters
    ----------
    path : path
        File of type .musicxml, .xml or .mxl.

    Returns
    -------
    notes : dict of str to array (note,)
        Columns of `tables.NOTES`, and `hand` and `finger` as in `tables.FINGERED_NOTES`. A note may have a hand without a finger, or a
        finger without a hand.
    pedal : dict of str to array (press,)
        Columns of `tables.PEDAL`.

    Raises
    ------
    MusicXmlError
        The file is rejected, see `musicxml_file.read_parts`; or it is too long, or has no notes on the piano's keys.
    """
    parts = read_parts(path)
    try:
        return _perform(parts, path)
    except ValueError as error:
        raise MusicXmlError(f"{path}: {error}") from None


def _perform(parts, path):
    """Return notes and pedal of the parts of a score; see `read_musicxml`."""
    chosen, hands = _parts_and_hands(parts, path)
    measures = merge_measures([part.measures for part in parts])
    order = playing_order(measures)
    written = [0.0, *accumulate(measure.length for measure in measures)]
    seconds = _clock(parts, written, path)
    bounds_s = seconds(np.array(written))
    # Time at which each played measure starts, minus its time as written.
    starts_s = [0.0, *accumulate(float(bounds_s[index + 1] - bounds_s[index]) for index in order)]
    if starts_s[-1] > MAX_DURATION_S:
        raise MusicXmlError(f"expected at most {MAX_DURATION_S / 3600:g} hours of music, found more; check tempos and repeats")
    shifts_s = [start_s - float(bounds_s[index]) for start_s, index in zip(starts_s, order, strict=False)]

    rows, presses = [], []
    for part, hand_of in zip(chosen, hands, strict=True):
        rows += _strikes(part, hand_of, order, shifts_s, written, seconds)
        if len(rows) > MAX_NOTES:
            raise MusicXmlError(f"expected at most {MAX_NOTES} notes with all repeats, found more; check the repeat signs")
        presses += _presses(part, order, shifts_s, written, seconds, starts_s[-1])
    on_keys = [row for row in rows if LOWEST_PITCH <= row[2] <= HIGHEST_PITCH]
    if not on_keys:
        raise MusicXmlError(f"expected notes on the piano's keys, found {len(rows)} notes, all outside them" if rows else "found no notes")
    if len(on_keys) < len(rows):
        LOGGER.warning("%s: %d notes outside the piano's 88 keys were dropped", path, len(rows) - len(on_keys))
    # Grace notes may be before the first beat.
    early_s = max(0.0, -min(row[0] for row in on_keys))
    pedal = pedal_table([down_s + early_s for down_s, _ in presses], [up_s + early_s for _, up_s in presses])
    shifted = [(onset_s + early_s, release_s + early_s, *rest) for onset_s, release_s, *rest in on_keys]
    notes, labels, _ = note_table_of_strikes(shifted, pedal)
    return notes | {
        "hand": np.array([hand for hand, _ in labels], dtype=object),
        "finger": np.array([finger for _, finger in labels], dtype=np.int8),
    }, pedal


def _parts_and_hands(parts, path):
    """Choose the parts that are played. Return them, and for each part a dict of staff to hand."""
    parts = [part for part in parts if part.notes]
    pianos = [part for part in parts if part.staves == 2]
    if len(pianos) == 1:
        if len(parts) > 1:
            LOGGER.info("%s: only the part with two staves is played; %d other parts are left out", path, len(parts) - 1)
        LOGGER.info("%s: hands from the staves: upper staff right, lower staff left", path)
        return pianos, [{1: "right", 2: "left"}]
    if len(parts) == 2 and all(part.staves == 1 for part in parts):
        upper, lower = (np.mean([note.pitch for note in part.notes]) for part in parts)
        if upper > lower:
            LOGGER.info("%s: hands from the parts: first part right, second part left", path)
            return parts, [{1: "right"}, {1: "left"}]
    if parts:
        LOGGER.info("%s: the score does not give the hands: %d parts with %d staves", path, len(parts), sum(part.staves for part in parts))
    return parts, [{}] * len(parts)


def _clock(parts, written, path):
    """Return a function from positions in quarter notes as written (n,) to seconds without repeats."""
    marks = {written[measure] + at: value for part in reversed(parts) for measure, at, value in part.tempos}
    if not marks:
        LOGGER.info("%s: no tempo mark; the tempo is %g quarter notes per minute", path, DEFAULT_QUARTERS_PER_MIN)
    changes = {0.0: DEFAULT_QUARTERS_PER_MIN} | marks
    position, tempo = (np.array(column) for column in zip(*sorted(changes.items()), strict=True))
    start_s = np.concatenate([[0.0], np.cumsum(np.diff(position) * 60.0 / tempo[:-1])])

    def seconds(quarters):
        mark = np.searchsorted(position, quarters, side="right") - 1
        return start_s[mark] + (quarters - position[mark]) * 60.0 / tempo[mark]

    return seconds


def _strikes(part, hand_of, order, shifts_s, written, seconds):
    """Play the notes of a part. Returns a list of (onset_s, key_offset_s, pitch, velocity, (hand, finger)); times may be below 0.

    Parameters
    ----------
    part : ScorePart
    hand_of : dict of int to str
        Hand of each staff.
    order : list of int
        Measures in the order in which they are played.
    shifts_s : list of float
        Difference between the time at which each measure is played and its time as written.
    written : list of float
        Positions of the measures in quarter notes.
    seconds : callable
        See `_clock`.
    """
    velocities, fingers = _velocities(part, written), _fingers(part, hand_of)
    start = np.array([written[note.measure] + note.start for note in part.notes])
    length = np.array([note.length for note in part.notes])
    onsets_s, releases_s = seconds(start).tolist(), seconds(start + length).tolist()
    in_measure = [[] for _ in written]
    for index in np.argsort(start, kind="stable").tolist():
        in_measure[part.notes[index].measure].append(index)
    played = sum(len(in_measure[measure]) for measure in order)
    if played > MAX_NOTES:
        raise MusicXmlError(f"expected at most {MAX_NOTES} notes with all repeats, found {played}; check the repeat signs")
    rows, graces, tied, before = [], {}, {}, {}
    for turn, (measure, shift_s) in enumerate(zip(order, shifts_s, strict=True)):
        for index in in_measure[measure]:
            note = part.notes[index]
            if note.grace:
                graces.setdefault((turn, note.grace), []).append(index)
                continue
            onset_s, release_s = onsets_s[index] + shift_s, releases_s[index] + shift_s
            # Notes of the same pitch whose tie ends here. Older ones ended without their second note.
            open_ties = [tie for tie in tied.get(note.pitch, ()) if tie[0] > onset_s - _TIE_S]
            joined = [tie for tie in open_ties if tie[0] < onset_s + _TIE_S] if note.tied_before else []
            tie = next((tie for tie in joined if tie[1] == note.voice), joined[0] if joined else None)
            if tie is None:
                rows.append([onset_s, release_s, note.pitch, velocities[index], (hand_of.get(note.staff, ""), fingers[index])])
                row = len(rows) - 1
                before.setdefault(note.staff, []).append(onset_s)
            else:
                row = tie[2]
                rows[row][1] = release_s
                open_ties.remove(tie)
            if note.tied_after:
                open_ties.append((release_s, note.voice, row))
            tied[note.pitch] = open_ties
    for onsets in before.values():
        onsets.sort()
    for (turn, _), group in graces.items():
        beat_s = onsets_s[group[0]] + shifts_s[turn]
        slots = part.notes[group[-1]].slot + 1
        earlier_s = before.get(part.notes[group[0]].staff, [])
        count = bisect_left(earlier_s, beat_s - _TIE_S)
        free_s = beat_s - earlier_s[count - 1] if count else np.inf
        step_s = min(GRACE_S, _GRACE_PART * free_s / slots)
        for index in group:
            note = part.notes[index]
            onset_s = beat_s - (slots - note.slot) * step_s
            rows.append([onset_s, onset_s + step_s, note.pitch, velocities[index], (hand_of.get(note.staff, ""), fingers[index])])
    return [tuple(row) for row in rows]


def _velocities(part, written):
    """Return the MIDI velocity of each note: its own, or that of the last dynamic mark before it."""
    levels = sorted((written[measure] + at, number, value) for number, (measure, at, value) in enumerate(part.levels))
    positions = [position for position, _, _ in levels]
    found = []
    for note in part.notes:
        # A tolerance: positions of different voices can differ by rounding.
        count = bisect_left(positions, written[note.measure] + note.start + 1e-6)
        found.append(note.velocity or (levels[count - 1][2] if count else DEFAULT_VELOCITY))
    return found


def _fingers(part, hand_of):
    """Return the finger of each note, 1 to 5, or 0.

    Some programs write the fingering of a chord to its first note. It is distributed if it has as many different fingers as the chord has
    notes and the hand is known: the thumb is on the inner side.
    """
    fingers = [note.fingers[0] if note.fingers else 0 for note in part.notes]
    for first, chord in groupby(range(len(part.notes)), lambda index: part.notes[index].chord):
        chord = list(chord)
        marks = part.notes[first].fingers
        hand = hand_of.get(part.notes[first].staff)
        if len(chord) > 1 and hand and len(set(marks)) == len(chord) == len(marks) and not any(fingers[k] for k in chord[1:]):
            rising = sorted(chord, key=lambda index: part.notes[index].pitch)
            for index, finger in zip(rising, sorted(marks, reverse=hand == "left"), strict=True):
                fingers[index] = finger
    return fingers


def _presses(part, order, shifts_s, written, seconds, end_s):
    """Return the presses of the sustain pedal as a list of (onset_s, offset_s)."""
    at_s = seconds(np.array([written[measure] + at for measure, at, _ in part.pedal])).tolist()
    in_measure = {}
    for time_s, (measure, _, kind) in zip(at_s, part.pedal, strict=True):
        in_measure.setdefault(measure, []).append((time_s, kind))
    presses, down_s, up_s = [], None, -np.inf
    for measure, shift_s in zip(order, shifts_s, strict=True):
        for time_s, kind in sorted(in_measure.get(measure, ()), key=lambda mark: mark[0]):
            now_s = time_s + shift_s
            if down_s is not None and kind in ("stop", "change"):
                presses.append((down_s, now_s))
                down_s, up_s = None, now_s
            if down_s is None and kind in ("start", "change"):
                down_s = max(now_s + _PRESS_AFTER_S, up_s + PEDAL_UP_S)
    return [*presses, (down_s, end_s)] if down_s is not None else presses
