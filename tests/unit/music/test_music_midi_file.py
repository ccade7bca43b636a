"""MIDI files of any kind: events in seconds, or one named fault."""

import mido
import numpy as np
import pytest

from handroll.music import midi_file
from handroll.music.midi import read_midi
from handroll.music.midi_file import MAX_BYTES, MidiError, MidiFault, read_events

PLAYED = b"\0\x90\x3c\x40\x10\x80\x3c\0\0\xff\x2f\0"
"""A note of 16 ticks, and the end of the track."""


def a_file(track, kind=0, division=b"\x01\xe0", tracks=1):
    """A file of one track, by default with 480 ticks a beat."""
    header = b"MThd\0\0\0\6" + kind.to_bytes(2) + tracks.to_bytes(2) + division
    return header + b"MTrk" + len(track).to_bytes(4) + track


FAULTY = {
    "nothing": (b"", MidiFault.NOT_MIDI),
    "text": (b"not midi at all", MidiFault.NOT_MIDI),
    "half a header": (b"MThd\0\0\0\6\0", MidiFault.CUT_OFF),
    "half a track": (a_file(PLAYED)[:-5], MidiFault.CUT_OFF),
    "a track too few": (a_file(PLAYED, kind=1, tracks=2), MidiFault.CUT_OFF),
    "format 2": (a_file(PLAYED, kind=2), MidiFault.SEPARATE_TRACKS),
    "format 9": (a_file(PLAYED, kind=9), MidiFault.BROKEN),
    "no ticks": (a_file(PLAYED, division=b"\0\0"), MidiFault.NO_TIME),
    "SMPTE time of 17 frames a second": (a_file(PLAYED, division=b"\xef\x28"), MidiFault.NO_TIME),
    "running status without a status": (a_file(b"\0\x3c\x40"), MidiFault.BROKEN),
    "a status for data": (a_file(b"\0\x90\x3c\x90"), MidiFault.BROKEN),
    "an unknown status": (a_file(b"\0\xf4\0"), MidiFault.BROKEN),
    "an event past the track": (a_file(b"\0\x90\x3c"), MidiFault.BROKEN),
    "a text past the track": (a_file(b"\0\xff\1\x7fabc"), MidiFault.BROKEN),
    "a number without end": (a_file(b"\xff" * 1_000_000), MidiFault.BROKEN),
    "beats of no length": (a_file(b"\0\xff\x51\3\0\0\0" + PLAYED), MidiFault.BAD_TEMPO),
    "a tempo of two bytes": (a_file(b"\0\xff\x51\2\7\7" + PLAYED), MidiFault.BAD_TEMPO),
    "a tempo of 3000 bytes": (a_file(b"\0\xff\x51\x97\x38" + b"\7" * 3000 + PLAYED), MidiFault.BAD_TEMPO),
    "weeks of rest": (a_file(b"\xff\xff\xff\x7f\x90\x3c\x40" * 3), MidiFault.TOO_LONG),
}


@pytest.mark.parametrize("content, fault", FAULTY.values(), ids=FAULTY)
def test_a_file_that_cannot_be_used_names_its_fault(tmp_path, content, fault):
    (tmp_path / "a.mid").write_bytes(content)
    with pytest.raises(MidiError, match="a.mid: expected .+ found") as caught:
        read_midi(tmp_path / "a.mid")
    assert caught.value.fault == fault


def test_a_missing_and_a_large_file_name_their_faults(tmp_path):
    with pytest.raises(MidiError, match="the file cannot be opened") as caught:
        read_midi(tmp_path / "a.mid")
    assert caught.value.fault == MidiFault.MISSING
    (tmp_path / "a.mid").write_bytes(a_file(PLAYED) + bytes(MAX_BYTES))
    with pytest.raises(MidiError, match="found a larger file") as caught:
        read_midi(tmp_path / "a.mid")
    assert caught.value.fault == MidiFault.TOO_LARGE


def test_any_damage_gives_notes_or_a_fault(tmp_path):
    rng = np.random.default_rng(7)
    whole = np.frombuffer(a_file(b"\0\xff\x51\3\7\xa1\x20" + 40 * PLAYED[:8] + PLAYED), dtype=np.uint8)
    outcomes = []
    for _ in range(400):
        damaged = whole.copy()
        damaged[rng.integers(len(whole), size=4)] = rng.integers(256, size=4)
        (tmp_path / "a.mid").write_bytes(damaged.tobytes()[: rng.integers(8, len(whole) + 1) if rng.random() < 0.3 else None])
        try:
            notes, _ = read_midi(tmp_path / "a.mid")
            assert (notes["key_offset_s"] > notes["onset_s"]).all()
            outcomes.append("notes")
        except MidiError as error:
            outcomes.append(error.fault)
    assert {"notes", MidiFault.BROKEN, MidiFault.CUT_OFF} <= set(outcomes)


def test_smpte_time_needs_no_tempo(tmp_path):
    (tmp_path / "a.mid").write_bytes(a_file(b"\0\xff\x51\3\x0f\x42\x40\x64\x90\x3c\x40\x64\x80\x3c\0", division=b"\xe7\x28"))
    notes, _ = read_midi(tmp_path / "a.mid")
    # 100 ticks at 25 frames a second with 40 ticks each.
    np.testing.assert_allclose([notes["onset_s"][0], notes["key_offset_s"][0]], [0.1, 0.2])


def test_events_and_times_are_midos(tmp_path):
    rng = np.random.default_rng(3)
    tracks = []
    for channel in range(3):
        track = mido.MidiTrack([mido.MetaMessage("text", text="x"), mido.Message("sysex", data=[1, 2, 3], time=5)])
        for _ in range(200):
            time = int(rng.integers(0, 500))
            if channel == 0 and rng.random() < 0.2:
                track.append(mido.MetaMessage("set_tempo", tempo=int(rng.integers(200_000, 2_000_000)), time=time))
            elif rng.random() < 0.1:
                track.append(mido.Message("program_change", channel=channel, program=int(rng.integers(128)), time=time))
            else:
                note, velocity = int(rng.integers(21, 109)), int(rng.integers(0, 128))
                track.append(mido.Message("note_on", channel=channel, note=note, velocity=velocity, time=time))
        tracks.append(track)
    mido.MidiFile(type=1, ticks_per_beat=480, tracks=tracks).save(tmp_path / "a.mid")
    now_s, expected = 0.0, []
    for message in mido.MidiFile(tmp_path / "a.mid"):
        now_s += message.time
        if not message.is_meta and message.type != "sysex":
            expected.append((now_s, message.bytes()))
    time_s, messages, end_s, *_ = read_events((tmp_path / "a.mid").read_bytes())
    np.testing.assert_allclose(time_s, [time for time, _ in expected], atol=1e-9)
    assert [row[: len(found)] for row, (_, found) in zip(messages.tolist(), expected, strict=True)] == [found for _, found in expected]
    assert end_s == pytest.approx(now_s)


def test_three_hours_and_a_hundred_thousand_notes_are_read(tmp_path):
    """A note every tenth of a second for nearly three hours: far below the limit in size."""
    played = b"".join(b"\x30\x90" + bytes([21 + k % 88, 64]) + b"\x30\x80" + bytes([21 + k % 88, 0]) for k in range(100_000))
    (tmp_path / "a.mid").write_bytes(a_file(played))
    assert (tmp_path / "a.mid").stat().st_size < midi_file.MAX_BYTES / 8
    notes, _ = read_midi(tmp_path / "a.mid")
    assert len(notes["pitch"]) == 100_000 and notes["key_offset_s"][-1] == pytest.approx(1e4)
