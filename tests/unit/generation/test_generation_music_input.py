import zipfile

import mido
import numpy as np
import pytest
import soundfile

from handroll.exchange.fingering_files import PIG_HEADER
from handroll.generation.fingering import UNPLAYED
from handroll.generation.hand_assignment import UNKNOWN
from handroll.generation.music_input import RecordingError, open_recording, transcribe_recording
from handroll.generation.recording import encode_recording
from handroll.hand.skeleton import HANDS
from handroll.media.audio import load_audio
from handroll.models.audio_features import feature_encoder
from handroll.music.midi import write_midi
from handroll.music.notes import note_table, pedal_table
from handroll.tables import NOTES as NOTE_COLUMNS
from handroll.training_data.music_features import log_mel, log_mel_rate_hz, note_roll

RATE_HZ = 30.0
LEFT, RIGHT = HANDS.index("left"), HANDS.index("right")
PEDAL = pedal_table([0.5], [3.0])
NOTES = note_table([0.2, 1.0, 2.0], [4.5, 1.5, 2.2], [60, 64, 67], [80, 90, 70], PEDAL)


def chirp(seconds, rate_hz=22_050):
    """Rising, and faded out at the end."""
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    fade = np.clip((seconds - time_s) / 0.2, 0.0, 1.0)
    return (0.3 * fade * np.sin(2 * np.pi * (200.0 + 150.0 * time_s) * time_s)).astype(np.float32)


@pytest.fixture
def midi(tmp_path):
    write_midi(tmp_path / "song.mid", NOTES, PEDAL)
    return tmp_path / "song.mid"


@pytest.mark.parametrize("name", ["sound.wav", "sound.flac", "sound.mp3", "sound.ogg"])
def test_audio_files_are_opened(tmp_path, name):
    soundfile.write(tmp_path / name, np.stack([chirp(2.0), 0.5 * chirp(2.0)], axis=1), 22_050)
    (tmp_path / "unpacked").mkdir()
    recording = open_recording(tmp_path / name, tmp_path / "unpacked")
    assert recording.duration_s == pytest.approx(2.0, abs=0.1)
    assert recording.notes is None and recording.transcriber == ""
    samples, _ = load_audio(recording.audio, 22_050)
    assert np.std(samples[4000:-8000]) == pytest.approx(0.75 * 0.3 / np.sqrt(2), rel=0.05)


def test_the_audio_of_a_video_is_opened(tmp_path, encode, click_track):
    video = encode(times_s=np.arange(45) / 30, sound=(click_track(48_000, 1.5, [0.5]), 48_000))
    recording = open_recording(video, tmp_path)
    samples, rate_hz = load_audio(recording.audio)
    assert recording.duration_s == pytest.approx(1.5, abs=0.05)
    assert np.abs(samples).argmax() / rate_hz == pytest.approx(0.5, abs=0.01)


def test_a_midi_file_is_a_recording_of_its_own_or_the_notes_of_one(tmp_path, midi):
    alone = open_recording(midi, tmp_path)
    assert alone.audio is None and alone.duration_s == pytest.approx(5.5, abs=0.01)
    soundfile.write(tmp_path / "a.wav", chirp(2.0), 22_050)
    beside = open_recording(tmp_path / "a.wav", tmp_path, midi)
    for recording in (alone, beside):
        assert recording.notes["pitch"].tolist() == [60, 64, 67] and recording.transcriber == "midi"
        np.testing.assert_allclose(recording.notes["onset_s"], NOTES["onset_s"], atol=0.002)
        np.testing.assert_allclose(recording.pedal["offset_s"], PEDAL["offset_s"], atol=0.002)
        assert recording.hand.tolist() == [UNKNOWN] * 3 and recording.finger.tolist() == [UNPLAYED] * 3


MUSICXML = """<?xml version="1.0"?><score-partwise><part id="P1"><measure number="1">
<attributes><divisions>1</divisions><staves>2</staves></attributes>
<direction><direction-type><pedal type="start"/></direction-type><sound tempo="60"/></direction>
<note><pitch><step>C</step><octave>5</octave></pitch><duration>2</duration><staff>1</staff>
<notations><technical><fingering>3</fingering></technical></notations></note>
<direction><direction-type><pedal type="stop"/></direction-type></direction>
<backup><duration>2</duration></backup>
<note><pitch><step>C</step><octave>3</octave></pitch><duration>1</duration><staff>2</staff></note>
</measure></part></score-partwise>"""

PIG = f"""{PIG_HEADER}
0\t2.0\t2.5\tE4\t64\t80\t0\t2_1
1\t0.0\t1.0\tC3\t70\t80\t1\t-5
2\t0.0\t1.0\tC4\t64\t80\t0\t1
3\t0.0\t1.0\tC0\t64\t80\t1\t-1
"""


@pytest.mark.parametrize("name", ["a.musicxml", "a.mxl", "a.xml", "a.txt"])
def test_a_musicxml_file_gives_notes_pedal_hands_and_fingers(tmp_path, name):
    if name.endswith("mxl"):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("META-INF/container.xml", '<container><rootfiles><rootfile full-path="x.xml"/></rootfiles></container>')
            archive.writestr("x.xml", MUSICXML)
    else:
        (tmp_path / name).write_text(MUSICXML, encoding="utf-8")
    recording = open_recording(tmp_path / name, tmp_path)
    assert recording.audio is None and recording.transcriber == "musicxml" and recording.duration_s == pytest.approx(3.0)
    assert set(recording.notes) == set(NOTE_COLUMNS.empty()) and recording.notes["pitch"].tolist() == [48, 72]
    assert recording.notes["key_offset_s"].tolist() == [1.0, 2.0] and recording.pedal["offset_s"].tolist() == [2.0]
    assert recording.hand.tolist() == [LEFT, RIGHT] and recording.finger.tolist() == [UNPLAYED, 2]
    faster = open_recording(tmp_path / name, tmp_path, tempo=2.0, hands="ignore")
    assert faster.duration_s == pytest.approx(2.0) and faster.pedal["offset_s"].tolist() == [1.0]
    for column in ("onset_s", "key_offset_s", "sounding_offset_s"):
        np.testing.assert_allclose(faster.notes[column], recording.notes[column] / 2.0)
    assert faster.hand.tolist() == [UNKNOWN] * 2 and faster.finger.tolist() == [UNPLAYED] * 2


def test_a_pig_file_gives_hands_and_fingers_in_the_order_of_the_notes(tmp_path, caplog):
    (tmp_path / "a.txt").write_text(PIG, encoding="utf-8")
    recording = open_recording(tmp_path / "a.txt", tmp_path)
    assert recording.transcriber == "pig" and len(recording.pedal["onset_s"]) == 0 and recording.duration_s == pytest.approx(3.5)
    assert recording.notes["pitch"].tolist() == [48, 60, 64] and recording.notes["velocity"].tolist() == [70, 64, 64]
    assert recording.hand.tolist() == [LEFT, RIGHT, RIGHT] and recording.finger.tolist() == [4, 0, 1]
    assert "1 notes outside the piano's 88 keys were dropped" in caplog.text


def test_tracks_of_a_midi_file_give_hands(tmp_path):
    file = mido.MidiFile(type=1)
    for pitch in (55, 50):
        file.tracks.append(mido.MidiTrack([mido.Message("note_on", note=pitch), mido.Message("note_off", note=pitch, time=960)]))
    file.save(tmp_path / "a.mid")
    assert open_recording(tmp_path / "a.mid", tmp_path).hand.tolist() == [UNKNOWN] * 2
    assert open_recording(tmp_path / "a.mid", tmp_path, hands="tracks").hand.tolist() == [LEFT, RIGHT]
    soundfile.write(tmp_path / "a.wav", chirp(2.0), 22_050)
    assert open_recording(tmp_path / "a.wav", tmp_path, tmp_path / "a.mid", hands="tracks").hand.tolist() == [LEFT, RIGHT]
    file.tracks[0][1].time = file.tracks[1][1].time = 480
    file.tracks[0].insert(0, mido.MetaMessage("track_name", name="Piano RH"))
    file.tracks[1].insert(0, mido.MetaMessage("track_name", name="Piano LH"))
    file.save(tmp_path / "a.mid")
    assert open_recording(tmp_path / "a.mid", tmp_path).hand.tolist() == [LEFT, RIGHT]
    assert open_recording(tmp_path / "a.mid", tmp_path, hands="ignore").hand.tolist() == [UNKNOWN] * 2


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", PIG_HEADER + "\n", "found no notes on the piano's 88 keys"),
        ("a.txt", PIG_HEADER + "\n0\t0.0\t1.0\tC0\t64\t80\t1\t-1\n", "found no notes on the piano's 88 keys"),
        ("a.txt", PIG_HEADER + "\n0\t0.0\t1.0\tC4\t64\t80\t1\n", "line 2: expected a note with the 8 fields"),
        ("a.txt", PIG_HEADER + "\n0\t0.0\t1e6\tC4\t64\t80\t1\t-1\n", "at most 24 hours"),
        ("a.txt", PIG_HEADER + "\n" * 9_000_000, "at most 8 MB"),
        ("a.xml", "<svg/>", "found the element 'svg'"),
        ("a.mxl", "PK", "unreadable archive"),
        (
            "a.musicxml",
            MUSICXML.replace("<octave>5<", "<octave>9<").replace("<octave>3<", "<octave>0<"),
            "expected notes on the piano's keys",
        ),
    ],
)
def test_files_with_notes_that_cannot_be_played_are_refused(tmp_path, name, content, message):
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(RecordingError, match=message) as raised:
        open_recording(tmp_path / name, tmp_path)
    assert str(tmp_path / name) in str(raised.value)


def test_options_that_do_not_apply_are_refused(tmp_path, midi):
    (tmp_path / "a.txt").write_text(PIG, encoding="utf-8")
    soundfile.write(tmp_path / "a.wav", chirp(1.5), 22_050)
    for path, options, message in (
        (midi, {"hands": "both"}, "expected one of auto, tracks, ignore"),
        (midi, {"tempo": 0.0}, r"expected a factor of 0\.1 to 10"),
        (midi, {"tempo": float("nan")}, "expected a factor"),
        (midi, {"hands": "tracks"}, "expected two tracks with notes|expected two channels with notes"),
        (tmp_path / "a.txt", {"hands": "tracks"}, "expected a MIDI file, because hands is 'tracks'"),
        (tmp_path / "a.txt", {"midi_path": midi}, "found a PIG file; give a single PIG file"),
        (tmp_path / "a.wav", {"tempo": 0.5}, "because the tempo is changed"),
        (tmp_path / "a.wav", {"midi_path": midi, "tempo": 0.5}, "because the tempo is changed"),
    ):
        with pytest.raises(RecordingError, match=message):
            open_recording(path, tmp_path, **options)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        (b"", "no readable audio"),
        (b"these are words, and no sound\n" * 40, "no readable audio"),
        (b"MThd and then nothing", "expected a MIDI file"),
    ],
)
def test_files_that_are_no_recording_are_refused(tmp_path, content, message):
    path = tmp_path / "given.wav"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RecordingError, match=message) as raised:
        open_recording(path, tmp_path)
    assert str(path) in str(raised.value)


def test_too_short_or_empty_recordings_and_two_midi_files_are_refused(tmp_path, midi):
    soundfile.write(tmp_path / "a.wav", chirp(0.7), 22_050)
    with pytest.raises(RecordingError, match=r"at least 1 s, found 0\.70 s"):
        open_recording(tmp_path / "a.wav", tmp_path)
    write_midi(tmp_path / "empty.mid", {name: values[:0] for name, values in NOTES.items()}, PEDAL)
    with pytest.raises(RecordingError, match="with piano notes"):
        open_recording(tmp_path / "empty.mid", tmp_path)
    with pytest.raises(RecordingError, match="give a single MIDI file"):
        open_recording(midi, tmp_path, midi)
    soundfile.write(tmp_path / "b.wav", chirp(1.5), 22_050)
    with pytest.raises(RecordingError, match="expected a MIDI file"):
        open_recording(tmp_path / "b.wav", tmp_path, tmp_path / "a.wav")


def test_silence_has_no_notes(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(44_100), 22_050)
    recording = transcribe_recording(open_recording(tmp_path / "a.wav", tmp_path))
    assert len(recording.notes["onset_s"]) == len(recording.pedal["onset_s"]) == 0
    assert recording.transcriber == "transkun" and len(recording.hand) == len(recording.finger) == 0
    assert not encode_recording(recording, feature_encoder("notes", RATE_HZ), RATE_HZ, 60).any()


def test_notes_are_encoded_in_one_piece(tmp_path, midi, monkeypatch):
    monkeypatch.setattr("handroll.generation.recording.PIECE_S", 1.0)
    recording = open_recording(midi, tmp_path)
    features = encode_recording(recording, feature_encoder("notes", RATE_HZ), RATE_HZ, 150)
    np.testing.assert_array_equal(features, note_roll(recording.notes, recording.pedal, RATE_HZ, 150))


@pytest.mark.parametrize("frames", [20, 60, 150, 170])
def test_audio_in_pieces_has_the_features_of_the_whole(tmp_path, monkeypatch, frames):
    """Also past its end, where it is silent."""
    monkeypatch.setattr("handroll.generation.recording.PIECE_S", 2.0)
    samples = chirp(5.2)
    soundfile.write(tmp_path / "a.wav", samples, 22_050, subtype="FLOAT")
    recording = open_recording(tmp_path / "a.wav", tmp_path)
    features = encode_recording(recording, feature_encoder("logmel", RATE_HZ), RATE_HZ, frames)
    whole, _ = load_audio(recording.audio, log_mel_rate_hz(RATE_HZ))
    expected = log_mel(np.pad(whole, (0, len(whole))), RATE_HZ, frames)
    assert features.shape == expected.shape and features.dtype == np.float32
    # Frames that see the end of what is features see less of it.
    np.testing.assert_allclose(features[:-4], expected[:-4], atol=0.02)
