"""Concatenated recordings: no frame is lost, and video and audio stay in sync in every piece."""

from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest

from handroll.media.audio import extract_audio, load_audio
from handroll.media.concatenation import Piece, find_offsets
from handroll.media.frames import read_frames
from handroll.media.probe import Probe, probe

FPS, RATE_HZ, EVENTS_S = 30, 48_000, (0.5, 1.5)
CODECS = {"ts": ("libx264", "aac"), "mkv": ("libx264", "pcm_s16le"), "mpg": ("mpeg2video", "mp2")}


def write_piece(path, seconds, first_s=0.0, audio=True, video=True, audio_shift_s=0.0):
    """A recording with one white frame and one audio click at each event."""
    video_codec, audio_codec = CODECS[path.suffix[1:]]
    samples = np.zeros(round(seconds * RATE_HZ), np.float32)
    for time_s in EVENTS_S:
        samples[round(time_s * RATE_HZ) : round((time_s + 0.005) * RATE_HZ)] = 0.9
    with av.open(str(path), "w") as container:
        picture, sound = None, None
        if video:
            picture = container.add_stream(video_codec, rate=FPS, options={"g": "15"})
            picture.width, picture.height, picture.pix_fmt = 128, 96, "yuv420p"
        if audio:
            sound = container.add_stream(audio_codec, rate=RATE_HZ, layout="mono")
        size, done = (sound.codec_context.frame_size or 1024) if audio else 1024, 0
        for number in range(round(seconds * FPS)):
            if video:
                white = any(abs(number / FPS - time_s) < 0.5 / FPS for time_s in EVENTS_S)
                frame = av.VideoFrame.from_ndarray(np.full((96, 128, 3), 255 if white else 20, np.uint8))
                frame.pts, frame.time_base = round((number / FPS + first_s) * FPS), Fraction(1, FPS)
                container.mux(picture.encode(frame))
            while audio and done + size <= (number + 1) / FPS * RATE_HZ:
                block = av.AudioFrame.from_ndarray(samples[None, done : done + size], format="flt", layout="mono")
                block.rate, block.time_base = RATE_HZ, Fraction(1, RATE_HZ)
                block.pts = done + round((first_s + audio_shift_s) * RATE_HZ)
                container.mux(sound.encode(block))
                done += size
        for stream in (picture, sound):
            if stream is not None:
                container.mux(stream.encode(None))
    return path


def join(tmp_path, suffix, pieces):
    """A file of several concatenated recordings (seconds, options)."""
    parts = [write_piece(tmp_path / f"part{n}.{suffix}", seconds, **options) for n, (seconds, options) in enumerate(pieces)]
    path = tmp_path / f"joined.{suffix}"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def flashes_s(path):
    return [frame.time_s for frame in read_frames(path) if frame.image.mean() > 150]


def clicks_s(path, tmp_path):
    extract_audio(path, tmp_path / "a.flac")
    samples, rate_hz = load_audio(tmp_path / "a.flac")
    loud = np.flatnonzero(np.abs(samples) > 0.4)
    return loud[np.diff(loud, prepend=-rate_hz) > rate_hz // 10] / rate_hz, len(samples) / rate_hz


def check(path, tmp_path, seconds, joins_s, events_s):
    """The probe, the frames and the audio agree, and have every flash and click at the same time."""
    probed, times_s = probe(path), [frame.time_s for frame in read_frames(path)]
    assert probed.problems == () and probed.readable
    assert probed.n_frames == len(times_s) and probed.duration_s == pytest.approx(times_s[-1] + 1 / FPS, abs=1e-3)
    assert probed.duration_s == pytest.approx(seconds, abs=0.12)
    assert max(b - a for a, b in pairwise(times_s)) < 0.1
    assert list(probed.joined_at_s) == pytest.approx(joins_s, abs=0.12)
    assert Probe.from_dict(probed.to_dict()) == probed
    clicks, audio_s = clicks_s(path, tmp_path)
    flashes = flashes_s(path)
    assert flashes == pytest.approx(events_s, abs=0.12)
    assert clicks == pytest.approx(flashes, abs=0.02)
    assert audio_s == pytest.approx(probed.duration_s, abs=0.12)
    assert probed.audio_start_s + probed.audio_duration_s == pytest.approx(audio_s, abs=0.03)
    return probed


TWO, THREE = [(0, 0), (1000, 0), (0, 1000), (100, 97), (90_000, 12)], [(0, 0, 0), (50, 0, 700)]
# FFmpeg reads no more than two joined Matroska files.
STARTS_S = {"ts": [*TWO, (3, 0), *THREE], "mkv": TWO, "mpg": [(1000, 0), (100, 97), *THREE]}


@pytest.mark.parametrize(("suffix", "starts_s"), [(suffix, starts_s) for suffix, cases in STARTS_S.items() for starts_s in cases])
def test_every_recording_keeps_its_video_and_its_audio(tmp_path, suffix, starts_s):
    path = join(tmp_path, suffix, [(2.5, {"first_s": start_s}) for start_s in starts_s])
    joins_s = [2.5 * nth for nth in range(1, len(starts_s))]
    events_s = [begin_s + time_s for begin_s in (0.0, *joins_s) for time_s in EVENTS_S]
    check(path, tmp_path, 2.5 * len(starts_s), joins_s, events_s)


def test_long_recordings(tmp_path):
    path = join(tmp_path, "ts", [(21.0, {}), (12.0, {})])
    check(path, tmp_path, 33.0, [21.0], [0.5, 1.5, 21.5, 22.5])


@pytest.mark.parametrize("shift_s", [0.3, -0.2])
def test_audio_that_starts_at_another_time_than_the_video_keeps_its_offset(tmp_path, shift_s):
    path = join(tmp_path, "ts", [(2.5, {"audio_shift_s": shift_s}), (2.5, {"audio_shift_s": shift_s, "first_s": 5})])
    flashes, (clicks, _) = flashes_s(path), clicks_s(path, tmp_path)
    assert len(flashes) == 4 and clicks == pytest.approx(np.add(flashes, shift_s), abs=0.02)


@pytest.mark.parametrize("silent", [0, 1, 2])
def test_a_recording_without_audio_among_others(tmp_path, silent):
    path = join(tmp_path, "ts", [(2.5, {"audio": nth != silent}) for nth in range(3)])
    assert probe(path).joined_at_s == pytest.approx([2.5, 5.0], abs=0.12)
    flashes, (clicks, _) = flashes_s(path), clicks_s(path, tmp_path)
    assert flashes == pytest.approx([0.5, 1.5, 3.0, 4.0, 5.5, 6.5], abs=0.12)
    assert clicks == pytest.approx([t for nth, t in enumerate(flashes) if nth // 2 != silent], abs=0.02)


@pytest.mark.parametrize("start_s", [0, 1000])
def test_recordings_without_any_audio(tmp_path, start_s):
    path = join(tmp_path, "ts", [(2.5, {"audio": False}), (2.5, {"audio": False, "first_s": start_s})])
    probed = probe(path)
    assert probed.n_frames == len(list(read_frames(path))) == 150 and probed.joined_at_s == pytest.approx([2.5], abs=0.05)
    assert flashes_s(path) == pytest.approx([0.5, 1.5, 3.0, 4.0], abs=0.05) and not probed.has_audio


def test_a_recording_that_begins_within_a_group_of_pictures(tmp_path):
    parts = [write_piece(tmp_path / f"part{n}.ts", 2.5) for n in range(2)]
    path = tmp_path / "joined.ts"
    data = parts[1].read_bytes()
    path.write_bytes(parts[0].read_bytes() + data[188 * (len(data) // 188 // 6) :])
    flashes, (clicks, _) = flashes_s(path), clicks_s(path, tmp_path)
    assert len(flashes) == len(clicks) >= 3
    assert clicks == pytest.approx(flashes, abs=0.02)


def test_a_plain_file_has_no_joins(tmp_path, encode):
    probed = probe(write_piece(tmp_path / "part.ts", 2.5, first_s=7.0))
    assert probed.joined_at_s == () and probed.video_offsets_s == (probed.first_frame_s,) and len(probed.audio_offsets_s) == 1
    slides = encode("slides.mp4", times_s=[0.0, 15.0, 30.0, 31.0])
    assert probe(slides).joined_at_s == () and [frame.time_s for frame in read_frames(slides)] == pytest.approx([0, 15, 30, 31])


def pieces(*spans):
    """Pieces of (order, first_s, last_order, last_s)."""
    return [Piece(order, first_s, last_order, last_s, first_s, last_s) for order, first_s, last_order, last_s in spans]


def packets(video):
    return [
        (order, float(np.interp(order, [p.order, p.last_order], [p.first_s, p.last_s])), nth)
        for nth, p in enumerate(video)
        for order in range(p.order, p.last_order + 1, 2)
    ]


def offsets(video, audio, discontinuities=True):
    return find_offsets(video, audio, packets(video), video[0].first_s, 0.04, discontinuities)


def test_a_gap_in_the_video_keeps_the_time_of_the_audio():
    """The audio continues, so a forward jump of the video alone is a real gap."""
    video, audio = pieces((0, 1.0, 998, 41.0), (1000, 61.0, 1998, 101.0)), pieces((1, 1.0, 1999, 101.0))
    assert offsets(video, audio) == ([1.0, 1.0], [1.0])


def test_repeated_video_seconds_keep_the_time_of_the_audio():
    video, audio = pieces((0, 1.0, 998, 41.0), (1000, 38.0, 1998, 78.0)), pieces((1, 1.0, 1999, 78.0))
    assert offsets(video, audio) == ([1.0, 1.0], [1.0])


def test_a_forward_jump_of_both_streams_is_closed_in_both():
    video, audio = pieces((0, 1.0, 998, 41.0), (1000, 161.0, 1998, 201.0)), pieces((1, 1.0, 999, 41.0), (1001, 161.1, 1999, 201.0))
    video_s, audio_s = offsets(video, audio, discontinuities=False)
    assert video_s == audio_s == pytest.approx([1.0, 161.0 - 40.04])


def test_audio_without_video_continues_after_its_last_timestamp():
    audio = pieces((0, 5.0, 999, 45.0), (1000, 0.0, 1999, 40.0))
    assert find_offsets([], audio, [], 0.0, 0.0, True) == ([], pytest.approx([0.0, -45.0]))
