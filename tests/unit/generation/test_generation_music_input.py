import numpy as np
import pytest
import soundfile

from handroll.generation.music_input import RecordingError, encode_recording, open_recording, transcribe_recording
from handroll.media.audio import load_audio
from handroll.models.audio_features import feature_encoder
from handroll.music.midi import write_midi
from handroll.music.notes import note_table, pedal_table
from handroll.training_data.music_features import log_mel, log_mel_rate_hz, note_roll

RATE_HZ = 30.0
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
    assert recording.transcriber == "transkun"
    assert not encode_recording(recording, feature_encoder("notes", RATE_HZ), RATE_HZ, 60).any()


def test_notes_are_encoded_in_one_piece(tmp_path, midi, monkeypatch):
    monkeypatch.setattr("handroll.generation.music_input.PIECE_S", 1.0)
    recording = open_recording(midi, tmp_path)
    features = encode_recording(recording, feature_encoder("notes", RATE_HZ), RATE_HZ, 150)
    np.testing.assert_array_equal(features, note_roll(recording.notes, recording.pedal, RATE_HZ, 150))


@pytest.mark.parametrize("frames", [20, 60, 150, 170])
def test_audio_in_pieces_has_the_features_of_the_whole(tmp_path, monkeypatch, frames):
    """Also past its end, where it is silent."""
    monkeypatch.setattr("handroll.generation.music_input.PIECE_S", 2.0)
    samples = chirp(5.2)
    soundfile.write(tmp_path / "a.wav", samples, 22_050, subtype="FLOAT")
    recording = open_recording(tmp_path / "a.wav", tmp_path)
    features = encode_recording(recording, feature_encoder("logmel", RATE_HZ), RATE_HZ, frames)
    whole, _ = load_audio(recording.audio, log_mel_rate_hz(RATE_HZ))
    expected = log_mel(np.pad(whole, (0, len(whole))), RATE_HZ, frames)
    assert features.shape == expected.shape and features.dtype == np.float32
    # Frames that see the end of what is features see less of it.
    np.testing.assert_allclose(features[:-4], expected[:-4], atol=0.02)
