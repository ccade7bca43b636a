import mido
import numpy as np
import pytest

from handroll.music.midi import Repairs, read_and_repair, read_midi, write_midi
from handroll.music.notes import damped_at, note_table, pedal_table


def notes_of(*rows, pedal=()):
    pedal = pedal_table(*zip(*pedal, strict=True)) if pedal else pedal_table([], [])
    return note_table(*(np.array(column) for column in zip(*rows, strict=True)), pedal), pedal


def test_notes_are_in_order_and_velocities_in_range():
    notes, _ = notes_of((1.0, 2.0, 64, 200), (0.5, 0.9, 70, 0), (0.5, 0.9, 60, 90))
    assert notes["pitch"].tolist() == [60, 70, 64]
    assert notes["velocity"].tolist() == [90, 1, 127]


def test_pedal_prolongs_the_sound_not_the_key():
    notes, _ = notes_of((0.0, 1.0, 60, 64), (0.0, 3.5, 64, 64), pedal=[(0.5, 3.0)])
    assert notes["key_offset_s"].tolist() == [1.0, 3.5]
    assert notes["sounding_offset_s"].tolist() == [3.0, 3.5]


def test_pedal_pressed_after_the_release_prolongs_nothing():
    assert damped_at([1.0], pedal_table([1.2], [3.0])).tolist() == [1.0]


def test_next_strike_ends_key_and_sound():
    notes, _ = notes_of((0.0, 5.0, 60, 64), (2.0, 2.5, 60, 64), pedal=[(0.0, 9.0)])
    assert notes["key_offset_s"].tolist() == [2.0, 2.5]
    assert notes["sounding_offset_s"].tolist() == [2.0, 9.0]


def test_overlapping_presses_are_joined():
    pedal = pedal_table([2.0, 0.0, 4.0, 5.0], [3.0, 2.5, 4.0, 6.0])
    assert pedal["onset_s"].tolist() == [0.0, 5.0] and pedal["offset_s"].tolist() == [3.0, 6.0]


def test_pitch_outside_the_piano_is_an_error():
    with pytest.raises(ValueError, match="expected MIDI pitches 21 to 108, found 20 to 60"):
        notes_of((0.0, 1.0, 20, 64), (0.0, 1.0, 60, 64))


def test_the_same_notes_give_the_same_bytes(tmp_path):
    for name in ("a.mid", "b.mid"):
        write_midi(tmp_path / name, *notes_of((0.5, 1.0, 60, 64), (1.5, 2.25, 64, 80), pedal=[(0.25, 2.0)]))
    assert (tmp_path / "a.mid").read_bytes() == (tmp_path / "b.mid").read_bytes()


def test_the_tempo_may_have_a_track_of_its_own(tmp_path):
    notes, pedal = notes_of((0.5, 1.0, 60, 64), (1.5, 2.25, 64, 80), pedal=[(0.25, 2.0)])
    write_midi(tmp_path / "one.mid", notes, pedal)
    write_midi(tmp_path / "two.mid", notes, pedal, tempo_track=True)
    file = mido.MidiFile(tmp_path / "two.mid")
    assert file.type == 1 and [message.type for message in file.tracks[0]] == ["set_tempo", "end_of_track"]
    assert len(file.tracks) == 2 and len(mido.MidiFile(tmp_path / "one.mid").tracks) == 1
    for one, two in zip(read_midi(tmp_path / "one.mid"), read_midi(tmp_path / "two.mid"), strict=True):
        for name, values in one.items():
            np.testing.assert_array_equal(values, two[name])


def test_tempo_changes_tracks_and_unended_notes(tmp_path):
    tempo = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=1_000_000), mido.MetaMessage("set_tempo", tempo=500_000, time=480)])
    right = mido.MidiTrack(
        [mido.Message("note_on", note=60, velocity=80, time=960), mido.Message("note_on", note=60, velocity=0, time=480)]
    )
    left = mido.MidiTrack(
        [mido.Message("note_on", channel=1, note=40, velocity=70), mido.Message("note_on", channel=9, note=50, velocity=70)]
    )
    low = mido.MidiTrack([mido.Message("note_on", note=10, velocity=80), mido.Message("note_off", note=10, time=480)])
    mido.MidiFile(type=1, ticks_per_beat=480, tracks=[tempo, right, left, low]).save(tmp_path / "a.mid")
    notes, _ = read_midi(tmp_path / "a.mid")
    assert notes["pitch"].tolist() == [40, 60]
    np.testing.assert_allclose(notes["onset_s"], [0.0, 1.5])
    np.testing.assert_allclose(notes["key_offset_s"], [2.0, 2.0])


def keyed(*events, tracks=1):
    """A file of format 1 from (time in ticks of 1/960 s, message type, channel, note); every track has all events."""
    track, past = mido.MidiTrack(), 0
    for tick, kind, channel, note in sorted(events, key=lambda event: event[0]):
        track.append(mido.Message(kind, channel=channel, note=note, velocity=80 if kind == "note_on" else 0, time=tick - past))
        past = tick
    return mido.MidiFile(type=1, ticks_per_beat=480, tracks=[track] * tracks)


def repaired(file, path):
    file.save(path)
    notes, _, repairs = read_and_repair(path)
    lengths_s = notes["key_offset_s"] - notes["onset_s"]
    assert (lengths_s > 0.0).all() and (notes["sounding_offset_s"] > notes["onset_s"]).all()
    return notes, repairs


def test_doubled_tracks_are_one_performance(tmp_path):
    played = [(0, "note_on", 0, 60), (480, "note_off", 0, 60), (480, "note_on", 0, 64), (960, "note_off", 0, 64)]
    notes, repairs = repaired(keyed(*played, tracks=2), tmp_path / "a.mid")
    assert notes["pitch"].tolist() == [60, 64] and repairs == Repairs(doubled=2)
    np.testing.assert_allclose(notes["onset_s"], [0.0, 0.5])
    np.testing.assert_allclose(notes["key_offset_s"], [0.5, 1.0])


def test_a_layer_that_is_some_milliseconds_late_is_the_same_strike(tmp_path):
    played = [(0, "note_on", 0, 60), (10, "note_on", 1, 60), (480, "note_off", 1, 60), (400, "note_off", 0, 60)]
    notes, repairs = repaired(keyed(*played), tmp_path / "a.mid")
    assert len(notes["pitch"]) == 1 and repairs.doubled == 1
    assert (notes["onset_s"][0], notes["key_offset_s"][0]) == (0.0, 0.5)


def test_a_key_struck_twice_and_ended_once_does_not_sound_to_the_end_of_the_file(tmp_path):
    played = [(0, "note_on", 0, 60), (0, "note_on", 0, 60), (480, "note_off", 0, 60), (9600, "note_on", 0, 72), (9700, "note_off", 0, 72)]
    notes, repairs = repaired(keyed(*played), tmp_path / "a.mid")
    assert notes["key_offset_s"][0] == pytest.approx(0.5)
    assert (repairs.doubled, repairs.never_ended) == (1, 1)


def test_quick_repetitions_stay(tmp_path):
    played = [event for k in range(10) for event in ((60 * k, "note_on", 0, 60), (60 * k + 30, "note_off", 0, 60))]
    notes, repairs = repaired(keyed(*played), tmp_path / "a.mid")
    assert len(notes["pitch"]) == 10 and repairs == Repairs()


def test_notes_of_no_length_are_lengthened(tmp_path):
    played = [(0, "note_on", 0, 60), (0, "note_off", 0, 60), (48, "note_on", 0, 60), (480, "note_off", 0, 60)]
    notes, repairs = repaired(keyed(*played), tmp_path / "a.mid")
    np.testing.assert_allclose(notes["key_offset_s"], [0.03, 0.5])
    assert repairs == Repairs(lengthened=1)
