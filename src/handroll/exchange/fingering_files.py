"""Fingered notes in the text formats of other projects: fingering files of the PIG dataset, and note sequences for RoboPianist.

PIG: Nakamura, Saito and Yoshii 2020, "Statistical learning and estimation of piano fingering", doi:10.1016/j.ins.2019.12.068.
RoboPianist: Zakka et al. 2023, arXiv:2304.04150. It stores the finger of a note in the field `part`.

A note without a label has no hand and no finger. The PIG format cannot represent such notes: every note has a channel, 0 for the right hand
and 1 for the left, and readers of PIG files interpret finger 0 as the right hand. Therefore a PIG file does not contain notes without a
label, and their numbers are missing. RoboPianist documents `part` -1 for notes without a label, so a note sequence contains all notes.
"""

import numpy as np

from handroll.hand.skeleton import FINGERS, HANDS
from handroll.keyboard.geometry import HIGHEST_PITCH, LOWEST_PITCH
from handroll.provenance import atomic_path

PIG_MARK = "//Version: PianoFingering"
"""Start of the first line of every version of the PIG format."""

PIG_HEADER = "//Version: PianoFingering_v170101"
"""First line (header) of a file of the PIG dataset."""

RELEASE_VELOCITY = 64
"""MIDI release velocity that is written for all notes, because the true one is unknown."""

NO_FINGER = -1
"""Value of RoboPianist's field `part` for a note without fingering."""

# Names of the twelve pitch classes from C, with sharps for the black keys.
_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")

# Semitones of the natural notes above C.
_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}

# Semitones of each accidental.
_SHIFTS = {"": 0, "#": 1, "##": 2, "b": -1, "bb": -2}

# MIDI pitch of each note name.
_PITCHES = {
    f"{name}{sign}{octave}": 12 * (octave + 1) + step + shift
    for octave in range(9)
    for name, step in _STEPS.items()
    for sign, shift in _SHIFTS.items()
}


def write_pig(path, notes):
    """Write the labelled notes as a PIG fingering file.

    The file has a header and one line per note with tab-separated fields: number, onset, offset (key release), pitch name in sharps, onset
    velocity, offset velocity (`RELEASE_VELOCITY`), channel, finger. The right hand has channel 0 and fingers 1 to 5. The left hand has
    channel 1 and fingers -1 to -5. The number is the row in `notes`, so a missing number means a note without a label. There are no
    comments after the header, because many readers skip only the first line.

    Parameters
    ----------
    path : path
        File to write, ending in `.txt`.
    notes : dict of str to array (note,)
        Columns of `tables.FINGERED_NOTES`.
    """
    lines = [PIG_HEADER]
    for number, note in enumerate(_checked_notes(notes)):
        onset_s, offset_s, pitch, velocity, hand, finger = note
        if not finger:
            continue
        name = f"{_NAMES[pitch % 12]}{pitch // 12 - 1}"
        channel, signed = (1, -finger) if hand == "left" else (0, finger)
        fields = (number, f"{onset_s:.6f}", f"{offset_s:.6f}", name, velocity, RELEASE_VELOCITY, channel, signed)
        lines.append("\t".join(map(str, fields)))
    _write(path, lines)


def read_pig(path):
    """Read a PIG fingering file.

    Parameters
    ----------
    path : path

    Returns
    -------
    dict of str to array (note,)
        `onset_s`, `key_offset_s`, `pitch`, `velocity`, `hand` and `finger`, as in `tables.FINGERED_NOTES`. If the finger changes on a held
        key (written as 4_1), `finger` is the first one, which strikes the key.

    Raises
    ------
    ValueError
        A line does not have 8 fields, or a field is invalid; the message contains the line number.
    """
    rows = []
    with open(path, encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(file, start=1):
            if line.startswith("//") or not line.strip():
                continue
            try:
                _, onset_s, offset_s, name, velocity, _, _, finger = line.split()
                signed = int(finger.split("_")[0])
                hand = {1: "right", 0: "", -1: "left"}[int(np.sign(signed))]
                row = float(onset_s), float(offset_s), _PITCHES[name], int(velocity), hand, abs(signed)
                if not (0.0 <= row[0] <= row[1] < np.inf and 0 <= row[3] <= 127 and row[5] <= len(FINGERS)):
                    raise ValueError("a value is out of range")
                rows.append(row)
            except (ValueError, KeyError) as error:
                raise ValueError(
                    f"{path}, line {number}: expected a note with the 8 fields of a PIG file, found {line.rstrip()!r:.200}"
                ) from error
    columns = zip(*rows, strict=True) if rows else ((),) * 6
    dtypes = {"onset_s": float, "key_offset_s": float, "pitch": np.int8, "velocity": np.int8, "hand": object, "finger": np.int8}
    return {name: np.array(values, dtype=dtype) for (name, dtype), values in zip(dtypes.items(), columns, strict=True)}


def write_note_sequence(path, notes):
    """Write fingered notes as a NoteSequence in protobuf's text format, with RoboPianist's fingering in the field `part`.

    `part` is 0 to 4 for the thumb to the little finger of the right hand, 5 to 9 for those of the left hand, and -1 for a note without a
    label, as documented for RoboPianist's `PianoNote`. However, RoboPianist's task with two hands treats every `part` below 5 as the right
    hand. If there are notes without a label, remove them, or disable the fingering reward of the task. RoboPianist reads the binary form
    of a NoteSequence, which the package `note_seq` creates::

        sequence = google.protobuf.text_format.Parse(text, note_seq.NoteSequence())
        open("notes.proto", "wb").write(sequence.SerializeToString())

    Parameters
    ----------
    path : path
        File to write, ending in `.pbtxt`.
    notes : dict of str to array (note,)
        Columns of `tables.FINGERED_NOTES`.
    """
    lines, total_s = [], 0.0
    for onset_s, offset_s, pitch, velocity, hand, finger in _checked_notes(notes):
        part = finger - 1 + (len(FINGERS) if hand == "left" else 0) if finger else NO_FINGER
        fields = {"pitch": pitch, "velocity": velocity, "start_time": f"{onset_s:.6f}", "end_time": f"{offset_s:.6f}", "part": part}
        lines += ["notes {", *(f"  {name}: {value}" for name, value in fields.items()), "}"]
        total_s = max(total_s, offset_s)
    _write(path, [*lines, f"total_time: {total_s:.6f}"])


def _checked_notes(notes):
    """Yield (onset_s, key_offset_s, pitch, velocity, hand, finger) of each note. An invalid hand, finger or pitch raises a ValueError."""
    for note in zip(*(notes[name] for name in ("onset_s", "key_offset_s", "pitch", "velocity", "hand", "finger")), strict=True):
        *_, pitch, velocity, hand, finger = note
        if hand not in ("", *HANDS) or not 0 <= finger <= len(FINGERS) or (hand == "") != (finger == 0):
            raise ValueError(f"note: expected a hand and a finger 1 to {len(FINGERS)}, or neither, found hand {hand!r} and finger {finger}")
        if not LOWEST_PITCH <= pitch <= HIGHEST_PITCH:
            raise ValueError(f"note: expected a MIDI pitch {LOWEST_PITCH} to {HIGHEST_PITCH}, found {pitch}")
        yield float(note[0]), float(note[1]), int(pitch), int(velocity), hand, int(finger)


def _write(path, lines):
    """Write lines of text atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
