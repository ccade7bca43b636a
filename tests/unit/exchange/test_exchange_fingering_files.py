"""Fingered notes in text formats: PIG files are read back, note sequences are parsed by protobuf."""

import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from handroll.exchange.fingering_files import PIG_HEADER, read_pig, write_note_sequence, write_pig
from handroll.tables import FINGERED_NOTES

NOTES = {
    "onset_s": np.array([0.5, 0.5, 1.25, 2.0]),
    "key_offset_s": np.array([1.0, 1.125, 1.5, 2.75]),
    "sounding_offset_s": np.array([1.0, 1.125, 1.5, 2.75]),
    "pitch": np.array([21, 61, 70, 108], dtype=np.int8),
    "velocity": np.array([40, 64, 90, 127], dtype=np.int8),
    "hand": np.array(["left", "right", "", "right"], dtype=object),
    "finger": np.array([5, 1, 0, 3], dtype=np.int8),
    "finger_confidence": np.array([0.9, 1.0, 0.4, 0.99], dtype=np.float32),
    "landing_error_mm": np.zeros(4, dtype=np.float32),
}


def note_sequence(text):
    """The text as protobuf reads it, by the fields of Magenta's NoteSequence that are used here."""
    file = descriptor_pb2.FileDescriptorProto(name="notes.proto", package="test", syntax="proto3")
    field = descriptor_pb2.FieldDescriptorProto
    note, sequence = file.message_type.add(name="Note"), file.message_type.add(name="NoteSequence")
    fields = {"pitch": field.TYPE_INT32, "velocity": field.TYPE_INT32, "start_time": field.TYPE_DOUBLE}
    fields |= {"end_time": field.TYPE_DOUBLE, "part": field.TYPE_INT32}
    for number, (name, kind) in enumerate(fields.items(), start=1):
        note.field.add(name=name, number=number, type=kind, label=field.LABEL_OPTIONAL)
    sequence.field.add(name="notes", number=1, type=field.TYPE_MESSAGE, type_name=".test.Note", label=field.LABEL_REPEATED)
    sequence.field.add(name="total_time", number=2, type=field.TYPE_DOUBLE, label=field.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    message = message_factory.GetMessageClass(pool.FindMessageTypeByName("test.NoteSequence"))()
    return text_format.Parse(text, message)


def test_a_pig_file_reads_as_its_readers_expect(tmp_path):
    write_pig(tmp_path / "notes.txt", NOTES)
    lines = (tmp_path / "notes.txt").read_text(encoding="utf-8").splitlines()
    assert lines[0] == PIG_HEADER == "//Version: PianoFingering_v170101"
    assert lines[1].split("\t") == ["0", "0.500000", "1.000000", "A0", "40", "64", "1", "-5"]
    assert lines[2].split("\t") == ["1", "0.500000", "1.125000", "C#4", "64", "64", "0", "1"]
    assert lines[3].split("\t") == ["3", "2.000000", "2.750000", "C8", "127", "64", "0", "3"]
    assert len(lines) == 4


def test_a_pig_file_gives_no_hand_to_a_note_without_a_label(tmp_path):
    """Readers of PIG files support two hands only, and interpret channel 0 and finger 0 as the right hand."""
    write_pig(tmp_path / "notes.txt", NOTES)
    written = [line.split("\t") for line in (tmp_path / "notes.txt").read_text(encoding="utf-8").splitlines()[1:]]
    assert [int(number) for number, *_ in written] == [0, 1, 3], "the missing number is the row of the note that is left out"
    assert all(finger != "0" and (channel == "1") == finger.startswith("-") for *_, channel, finger in written)


def test_pig_files_come_back(tmp_path):
    write_pig(tmp_path / "notes.txt", NOTES)
    back = read_pig(tmp_path / "notes.txt")
    for name in ("onset_s", "key_offset_s", "pitch", "velocity", "hand", "finger"):
        np.testing.assert_array_equal(back[name], NOTES[name][NOTES["finger"] > 0])
        assert back[name].dtype == NOTES[name].dtype


def test_pig_files_of_others_have_flats_and_changes_of_finger(tmp_path):
    (tmp_path / "piece.txt").write_text(f"{PIG_HEADER}\n0\t0.1\t0.5\tBb3\t64\t80\t0\t4_1\n1 0.2 0.6 Cb4 64 80 1 -2\n\n", encoding="utf-8")
    notes = read_pig(tmp_path / "piece.txt")
    assert notes["pitch"].tolist() == [58, 59] and notes["hand"].tolist() == ["right", "left"] and notes["finger"].tolist() == [4, 2]


OUT_OF_RANGE = [
    "0\t0.5\t0.1\tC3\t64\t80\t0\t1",
    "0\t-0.1\t0.5\tC3\t64\t80\t0\t1",
    "0\t0.1\tinf\tC3\t64\t80\t0\t1",
    "0\t0.1\t0.5\tC3\t128\t80\t0\t1",
    "0\t0.1\t0.5\tC3\t64\t80\t0\t6",
]


@pytest.mark.parametrize(
    "line", ["0\t0.1\t0.5\tH3\t64\t80\t0\t4", "0\t0.1\t0.5\tC3\t64\t80\t0", "0\tx\t0.5\tC3\t64\t80\t0\t1", *OUT_OF_RANGE]
)
def test_a_broken_pig_line_is_named(tmp_path, line):
    (tmp_path / "piece.txt").write_text(f"{PIG_HEADER}\n{line}\n", encoding="utf-8")
    with pytest.raises(ValueError, match="piece.txt, line 2: expected a note with the 8 fields"):
        read_pig(tmp_path / "piece.txt")


def test_a_note_sequence_is_what_robopianist_plays(tmp_path):
    write_note_sequence(tmp_path / "notes.textproto", NOTES)
    sequence = note_sequence((tmp_path / "notes.textproto").read_text(encoding="utf-8"))
    assert [note.part for note in sequence.notes] == [9, 0, -1, 2]
    assert [note.pitch for note in sequence.notes] == NOTES["pitch"].tolist()
    assert [note.velocity for note in sequence.notes] == NOTES["velocity"].tolist()
    assert [note.start_time for note in sequence.notes] == NOTES["onset_s"].tolist()
    assert [note.end_time for note in sequence.notes] == NOTES["key_offset_s"].tolist()
    assert sequence.total_time == 2.75


def test_no_notes_are_valid_files(tmp_path):
    write_pig(tmp_path / "notes.txt", FINGERED_NOTES.empty())
    assert all(len(values) == 0 for values in read_pig(tmp_path / "notes.txt").values())
    write_note_sequence(tmp_path / "notes.textproto", FINGERED_NOTES.empty())
    assert len(note_sequence((tmp_path / "notes.textproto").read_text(encoding="utf-8")).notes) == 0


@pytest.mark.parametrize("change", [{"finger": 6}, {"finger": 0}, {"hand": "both"}, {"hand": ""}, {"pitch": 20}])
@pytest.mark.parametrize("write", [write_pig, write_note_sequence])
def test_an_invalid_fingering_is_refused(tmp_path, change, write):
    ((name, value),) = change.items()
    broken = {**NOTES, name: NOTES[name].copy()}
    broken[name][0] = value
    with pytest.raises(ValueError, match="expected"):
        write(tmp_path / "notes", broken)
    assert not list(tmp_path.iterdir())
