"""Fingered notes in text formats of other projects: files of the PIG dataset, and note sequences for RoboPianist.

PIG: Nakamura, Saito and Yoshii 2020, "Statistical learning and estimation of piano fingering", doi:10.1016/j.ins.2019.12.068.
RoboPianist: Zakka et al. 2023, arXiv:2304.04150, which keeps a finger in the field `part` of a note.

A note without a label has no hand and no finger. PIG cannot represent this: every note has a channel, 0 for the right hand and
1 for the left, and readers of PIG files interpret finger 0 as the right hand. Such notes are left out of a PIG file, and their numbers are
missing. RoboPianist documents `part` -1 for such notes, so a note sequence contains all notes.
"""

import numpy as np

from handroll.hand.skeleton import FINGERS, HANDS
from handroll.keyboard.geometry import HIGHEST_PITCH, LOWEST_PITCH
from handroll.provenance import atomic_path

PIG_HEADER = "//Version: PianoFingering_v170101"
"""First line of the PIG dataset's files."""

RELEASE_VELOCITY = 64
"""MIDI value for an unknown release velocity."""

NO_FINGER = -1
"""Value of RoboPianist's `part` for a note without fingering."""

_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_SHIFTS = {"": 0, "#": 1, "##": 2, "b": -1, "bb": -2}
_PITCHES = {
    f"{name}{sign}{octave}": 12 * (octave + 1) + step + shift
    for octave in range(9)
    for name, step in _STEPS.items()
    for sign, shift in _SHIFTS.items()
}


def write_pig(path, notes):
    """Write the labelled notes as a PIG fingering file.

    A header, then one line per note with tab-separated fields: number, onset, offset (key release), pitch in sharps, onset velocity,
    offset velocity (64), channel, finger. Right hand: channel 0, fingers 1 to 5. Left hand: channel 1, fingers -1 to -5. The
    number is the row of `notes`, so a missing number means a note without a label. The file has no comments after the header,
    because many readers skip only the first line.

    Parameters
    ----------
    path : path
        File to write; `.txt`.
    notes : dict of str to array (note,)
        `tables.FINGERED_NOTES`.
    """
    lines = [PIG_HEADER]
    for number, note in enumerate(_rows(notes)):
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
        `onset_s`, `key_offset_s`, `pitch`, `velocity`, `hand` and `finger` as in `tables.FINGERED_NOTES`. For a finger
        substitution on a held key (4_1), the finger that strikes.

    Raises
    ------
    ValueError
        A line does not have 8 fields, or a field is invalid; the message contains the line number.
    """
    rows = []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if line.startswith("//") or not line.strip():
                continue
            try:
                _, onset_s, offset_s, name, velocity, _, _, finger = line.split()
                signed = int(finger.split("_")[0])
                hand = {1: "right", 0: "", -1: "left"}[int(np.sign(signed))]
                rows.append((float(onset_s), float(offset_s), _PITCHES[name], int(velocity), hand, abs(signed)))
            except (ValueError, KeyError) as error:
                raise ValueError(
                    f"{path}, line {number}: expected a note with the 8 fields of a PIG file, found {line.rstrip()!r}"
                ) from error
    columns = zip(*rows, strict=True) if rows else ((),) * 6
    dtypes = {"onset_s": float, "key_offset_s": float, "pitch": np.int8, "velocity": np.int8, "hand": object, "finger": np.int8}
    return {name: np.array(values, dtype=dtype) for (name, dtype), values in zip(dtypes.items(), columns, strict=True)}


def write_note_sequence(path, notes):
    """Write fingered notes as a NoteSequence in protobuf's text format, with RoboPianist's fingering in `part`.

    `part` is 0 to 4 for the right thumb to little finger, 5 to 9 for the left, and -1 for a note without a label, as documented for
    RoboPianist's `PianoNote`. However, its task with two hands counts every `part` below 5 as the right hand: disable its fingering
    reward for such a file, or remove these notes. RoboPianist reads the binary form, which `note_seq` creates::

        sequence = google.protobuf.text_format.Parse(text, note_seq.NoteSequence())
        open("notes.proto", "wb").write(sequence.SerializeToString())

    Parameters
    ----------
    path : path
        File to write; `.pbtxt`.
    notes : dict of str to array (note,)
        `tables.FINGERED_NOTES`.
    """
    lines, total_s = [], 0.0
    for onset_s, offset_s, pitch, velocity, hand, finger in _rows(notes):
        part = finger - 1 + (len(FINGERS) if hand == "left" else 0) if finger else NO_FINGER
        fields = {"pitch": pitch, "velocity": velocity, "start_time": f"{onset_s:.6f}", "end_time": f"{offset_s:.6f}", "part": part}
        lines += ["notes {", *(f"  {name}: {value}" for name, value in fields.items()), "}"]
        total_s = max(total_s, offset_s)
    _write(path, [*lines, f"total_time: {total_s:.6f}"])


def _rows(notes):
    """Yield (onset_s, key_offset_s, pitch, velocity, hand, finger) of each note; ValueError for an invalid hand, finger or pitch."""
    for note in zip(*(notes[name] for name in ("onset_s", "key_offset_s", "pitch", "velocity", "hand", "finger")), strict=True):
        *_, pitch, velocity, hand, finger = note
        if hand not in ("", *HANDS) or not 0 <= finger <= len(FINGERS) or (hand == "") != (finger == 0):
            raise ValueError(f"expected a hand and a finger 1 to {len(FINGERS)}, or neither, found hand {hand!r} and finger {finger}")
        if not LOWEST_PITCH <= pitch <= HIGHEST_PITCH:
            raise ValueError(f"expected a MIDI pitch {LOWEST_PITCH} to {HIGHEST_PITCH}, found {pitch}")
        yield float(note[0]), float(note[1]), int(pitch), int(velocity), hand, int(finger)


def _write(path, lines):
    with atomic_path(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")
