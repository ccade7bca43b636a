"""Extracted audio is aligned with the first frame, whatever the container does."""

import errno
import io
import resource
import struct
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from handroll.media.audio import MAX_RATE_HZ, as_mp3, extract_audio, is_mp3, load_audio
from handroll.media.probe import probe
from handroll.media.write import VideoWriter

TIMES_S = np.arange(60) / 30


def clicks_s(path):
    """Times of the clicks in an audio file, in seconds."""
    samples, rate = load_audio(path)
    loud = np.flatnonzero(np.abs(samples) > 0.4)
    return loud[np.diff(loud, prepend=-rate) > rate // 10] / rate


@pytest.mark.parametrize("start_s", [0.0, 0.4, -0.3])
@pytest.mark.parametrize(("name", "codec", "tolerance_s"), [("video.mkv", "pcm_s16le", 1e-3), ("video.ts", "aac", 5e-3)])
def test_sample_0_is_at_the_first_frame(encode, click_track, tmp_path, name, codec, tolerance_s, start_s):
    track = click_track(48000, 1.5, [0.1, 0.5, 1.0])
    video = encode(name, times_s=TIMES_S, sound=(track, 48000), sound_start_s=start_s, sound_codec=codec, first_s=3.0)
    seconds = extract_audio(video, tmp_path / "a.flac")
    expected = [t for t in np.array([0.1, 0.5, 1.0]) + start_s if t > 0]
    np.testing.assert_allclose(clicks_s(tmp_path / "a.flac"), expected, atol=tolerance_s)
    info = soundfile.info(tmp_path / "a.flac")
    assert (info.format, info.subtype, info.samplerate, info.channels) == ("FLAC", "PCM_16", 48000, 1)
    assert seconds == pytest.approx(info.duration) == pytest.approx(1.5 + start_s, abs=0.05)


def test_lost_blocks_are_silent_and_later_blocks_keep_their_time(encode, click_track, tmp_path):
    track = click_track(48000, 1.5, [0.2, 0.6, 1.2])
    video = encode("video.mkv", times_s=TIMES_S, sound=(track, 48000), sound_codec="pcm_s16le", lost_blocks=range(25, 31))
    extract_audio(video, tmp_path / "a.flac")
    np.testing.assert_allclose(clicks_s(tmp_path / "a.flac"), [0.2, 1.2], atol=1e-3)


def test_rounded_timestamps_leave_no_gaps(encode, tmp_path):
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(44100) / 44100).astype(np.float32)
    extract_audio(encode("video.mkv", times_s=TIMES_S, sound=(tone, 44100), sound_codec="pcm_s16le"), tmp_path / "a.flac")
    np.testing.assert_allclose(load_audio(tmp_path / "a.flac")[0][: len(tone)], tone, atol=1e-4)


def test_loud_stereo_is_averaged_and_not_clipped(tmp_path):
    tone = 0.9 * np.sin(2 * np.pi * 440 * np.arange(48000) / 48000).astype(np.float32)
    with VideoWriter(tmp_path / "video.mp4", 64, 48, 30, audio=(np.stack([tone, 0.5 * tone], axis=1), 48000)) as video:
        for time_s in TIMES_S[:30]:
            video.write(np.zeros((48, 64, 3), np.uint8), time_s)
    extract_audio(tmp_path / "video.mp4", tmp_path / "a.flac")
    samples, _ = load_audio(tmp_path / "a.flac")
    assert np.abs(samples[4800:43200]).max() == pytest.approx(0.75 * 0.9, abs=0.05)
    assert np.std(samples[4800:43200]) == pytest.approx(0.75 * 0.9 / np.sqrt(2), abs=0.005)


def a_wav(path, rate_hz, channels, samples):
    """A WAV file (16 bit) with a rate that an audio library might refuse."""
    form = struct.pack("<IHHIIHH", 16, 1, channels, rate_hz, rate_hz * 2 * channels & 0xFFFFFFFF, 2 * channels, 16)
    data = np.asarray(samples, "<i2").tobytes()
    path.write_bytes(b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt " + form + b"data" + struct.pack("<I", len(data)) + data)
    return path


def test_odd_rates_and_numbers_of_channels(tmp_path):
    """Run in a separate process, which might crash; every other channel is silent."""
    odd = [(48_000, 1, 48_000), (48_000, 9, 48_000), (8_000, 64, 8_000), (768_000, 2, MAX_RATE_HZ)]
    for rate_hz, channels, _ in odd:
        samples = np.zeros((rate_hz, channels), np.int16)
        samples[:, ::2] = 8_000
        a_wav(tmp_path / f"{channels}.wav", rate_hz, channels, samples)
    code = (
        "import sys, dataclasses\nfrom handroll.media.probe import probe\nfrom handroll.media.audio import extract_audio\n"
        "for path in sys.argv[1:]: extract_audio(path, path[:-3] + 'flac', dataclasses.replace(probe(path), readable=True))"
    )
    subprocess.run([sys.executable, "-c", code, *tmp_path.glob("*.wav")], check=True)
    for _, channels, written_hz in odd:
        loaded, found_hz = load_audio(tmp_path / f"{channels}.flac")
        assert found_hz == written_hz and len(loaded) / found_hz == pytest.approx(1.0, abs=0.01)
        assert np.median(loaded) == pytest.approx(8_000 / 32_768 * -(-channels // 2) / channels, abs=1e-3)


def test_an_impossible_sampling_rate_counts_as_damage(tmp_path):
    assert not probe(a_wav(tmp_path / "a.wav", 2**31 - 1, 1, np.zeros(80_000))).has_audio


def test_a_full_disk_is_reported(encode, tmp_path):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 48000).astype(np.float32)
    video = encode("video.mkv", times_s=TIMES_S, sound=(noise, 48000), sound_codec="pcm_s16le")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(OSError) as raised:
            extract_audio(video, tmp_path / "a.flac")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert raised.value.errno == errno.EFBIG and list(tmp_path.glob("a.flac*")) == []


def test_a_video_without_audio_gives_an_empty_file_and_no_samples(encode, click_track, tmp_path):
    silent, early = encode(times_s=TIMES_S), tmp_path / "early.mkv"
    assert extract_audio(silent, tmp_path / "a.flac") == 0.0
    assert (tmp_path / "a.flac").read_bytes() == b""
    samples, rate = load_audio(tmp_path / "a.flac", rate_hz=16000)
    assert samples.shape == (0,) and rate == 16000

    track = (click_track(48000, 0.5, [0.1]), 48000)
    early = encode("early.mkv", times_s=TIMES_S, sound=track, sound_start_s=-1.0, sound_codec="pcm_s16le", first_s=2.0)
    assert extract_audio(early, tmp_path / "a.flac") == 0.0


def test_a_file_that_is_no_video_gives_an_empty_file(tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    assert extract_audio(tmp_path / "text.mp4", tmp_path / "a.flac") == 0.0
    assert (tmp_path / "a.flac").stat().st_size == 0


def test_same_bytes_twice(encode, click_track, tmp_path):
    video = encode(times_s=TIMES_S, sound=(click_track(44100, 1.0, [0.3]), 44100))
    for name in ("a.flac", "b.flac"):
        extract_audio(video, tmp_path / name)
    assert (tmp_path / "a.flac").read_bytes() == (tmp_path / "b.flac").read_bytes()


def test_load_audio_resamples_and_mixes(tmp_path):
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(48000) / 48000)
    soundfile.write(tmp_path / "a.wav", np.stack([tone, 0 * tone], axis=1), 48000)
    mono, rate = load_audio(tmp_path / "a.wav", rate_hz=16000)
    assert rate == 16000 and mono.dtype == np.float32
    np.testing.assert_allclose(mono[500:-500], 0.25 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)[500:-500], atol=1e-3)
    mono, rate = load_audio(tmp_path / "a.wav")
    assert mono.shape == (48000,) and rate == 48000


def test_mp3_keeps_length_and_time(click_track):
    clicks = click_track(44100, 1.5, (0.25, 1.0))
    flac = io.BytesIO()
    soundfile.write(flac, clicks, 44100, format="FLAC")
    data = as_mp3(flac.getvalue())
    assert is_mp3(data) and not is_mp3(flac.getvalue()) and as_mp3(data) is data
    samples, rate_hz = soundfile.read(io.BytesIO(data), dtype="float32")
    assert rate_hz == 44100 and len(samples) == len(clicks)
    shift = np.argmax(np.correlate(samples[:20000], clicks[:20000], "full")) - 19999
    assert abs(shift) <= 1


def test_a_rate_that_mp3_lacks_becomes_the_next_higher_one(click_track):
    for rate_hz, found_hz in ((37800, 44100), (96000, 48000)):
        flac = io.BytesIO()
        soundfile.write(flac, click_track(rate_hz, 1.0, (0.5,)), rate_hz, format="FLAC")
        samples, mp3_rate_hz = soundfile.read(io.BytesIO(as_mp3(flac.getvalue())))
        assert mp3_rate_hz == found_hz and abs(len(samples) / mp3_rate_hz - 1.0) < 1e-3
