"""Ordinary and damaged files: the probe's report, and the frames and times that are read."""

import json
import random
from fractions import Fraction

import numpy as np
import pytest

from handroll.media.frames import read_frames
from handroll.media.probe import Probe, probe
from handroll.media.safe_open import MediaError

STEADY_S = np.arange(40) / 30
UNEVEN_S = np.cumsum([0.0, *([1 / 30, 1 / 24, 1 / 60, 1 / 15] * 8)])


def times(path, **options):
    return np.array([frame.time_s for frame in read_frames(path, **options)])


def is_red(pixel):
    return pixel[0] > 200 and pixel[1] < 60 and pixel[2] < 60


def agrees_with_frames(path):
    """The probe counts and times the frames like the reader; returns the probe."""
    probed, read = probe(path), list(read_frames(path))
    assert probed.n_frames == len(read) == read[-1].index + 1
    assert (probed.height_px, probed.width_px) == read[0].image.shape[:2]
    assert probed.duration_s == pytest.approx(read[-1].time_s + np.median(np.diff([f.time_s for f in read])), abs=1e-6)
    assert read[0].time_s == 0.0
    assert Probe.from_dict(json.loads(json.dumps(probed.to_dict(), allow_nan=False))) == probed
    return probed


def test_a_plain_video(encode):
    probed = agrees_with_frames(encode(times_s=STEADY_S))
    assert probed.readable and not probed.problems and not probed.has_audio and probed.message == ""
    assert (probed.width_px, probed.height_px, probed.codec, probed.pixel_format, probed.bit_depth) == (64, 48, "h264", "yuv420p", 8)
    assert probed.fps == pytest.approx(30) and probed.variable_frame_rate is False


def test_variable_frame_rate_keeps_its_times(encode):
    path = encode(times_s=UNEVEN_S)
    probed = agrees_with_frames(path)
    assert probed.variable_frame_rate and probed.fps == pytest.approx((len(UNEVEN_S) - 1) / UNEVEN_S[-1])
    np.testing.assert_allclose(times(path), UNEVEN_S, atol=1e-5)


def test_one_dropped_frame_makes_the_rate_variable(encode):
    assert probe(encode(times_s=np.delete(STEADY_S, 17))).variable_frame_rate


@pytest.mark.parametrize("name", ["video.mkv", "video.ts"])
def test_the_container_may_start_anywhere(encode, name):
    path = encode(name, times_s=STEADY_S, first_s=5.0)
    probed = agrees_with_frames(path)
    assert probed.first_frame_s == pytest.approx(5.0, abs=2.0) and probed.first_frame_s > 1
    assert not probed.variable_frame_rate and not probed.problems
    np.testing.assert_allclose(times(path), STEADY_S, atol=1e-3)


@pytest.mark.parametrize(("counter_clockwise", "clockwise", "corner"), [(90, 270, (-1, 0)), (-90, 90, (0, -1)), (180, 180, (-1, -1))])
def test_rotation_is_applied(encode, counter_clockwise, clockwise, corner):
    path = encode(times_s=STEADY_S[:5], rotation=counter_clockwise)
    probed = agrees_with_frames(path)
    assert probed.rotation_deg == clockwise
    assert (probed.width_px, probed.height_px) == ((64, 48) if clockwise == 180 else (48, 64))
    image = next(read_frames(path)).image
    assert is_red(image[corner]) and image.flags.c_contiguous
    assert not is_red(image[0, 0])


def test_scaling_keeps_the_aspect_ratio_and_respects_rotation(encode):
    path = encode(times_s=STEADY_S[:3], size=(128, 64), rotation=90)
    assert next(read_frames(path, max_height_px=33)).image.shape == (33, 16, 3)
    assert next(read_frames(path, max_width_px=31)).image.shape == (62, 31, 3)
    assert next(read_frames(path, max_width_px=1000)).image.shape == (128, 64, 3)


def test_chosen_frames_are_those_of_the_whole(encode):
    path = encode(times_s=UNEVEN_S)
    everything = list(read_frames(path))
    chosen = list(read_frames(path, indices={0, 7, 31, 99}))
    assert [frame.index for frame in chosen] == [0, 7, 31]
    for frame in chosen:
        assert frame.time_s == everything[frame.index].time_s
        np.testing.assert_array_equal(frame.image, everything[frame.index].image)
    assert list(read_frames(path, indices=set())) == []


def test_pixels_are_made_square(encode):
    path = encode(times_s=STEADY_S[:3], size=(72, 48), pixel_aspect=Fraction(4, 3))
    assert agrees_with_frames(path).width_px == 96


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt", "bits"),
    [
        ("video.mp4", "libx265", "yuv420p10le", 10),
        ("video.mp4", "libsvtav1", "yuv420p10le", 10),
        ("video.webm", "libvpx-vp9", "yuv444p", 8),
        ("video.mp4", "libx264", "yuv422p10le", 10),
        ("video.avi", "mjpeg", "yuvj420p", 8),
    ],
)
def test_any_codec_becomes_rgb(encode, name, codec, pix_fmt, bits):
    quiet = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    path = encode(name, times_s=STEADY_S[:8], codec=codec, pix_fmt=pix_fmt, codec_options=quiet)
    probed = agrees_with_frames(path)
    assert probed.bit_depth == bits and not probed.problems
    image = next(read_frames(path)).image
    assert image.dtype == np.uint8 and is_red(image[4, 4]) and image[4, 60].max() < 40


@pytest.mark.parametrize("start_s", [0.4, -0.3])
def test_audio_starts_before_or_after_the_video(encode, start_s, click_track):
    path = encode(
        "video.mkv",
        times_s=STEADY_S,
        sound=(click_track(48000, 1.0, [0.5]), 48000),
        sound_start_s=start_s,
        first_s=1.0,
        sound_codec="pcm_s16le",
    )
    probed = probe(path)
    assert probed.has_audio and (probed.audio_rate_hz, probed.audio_channels) == (48000, 1)
    assert probed.audio_start_s == pytest.approx(start_s, abs=2e-3)
    assert probed.audio_duration_s == pytest.approx(1.0, abs=0.03)


def test_one_frame(encode):
    probed = probe(encode(times_s=[0.0]))
    assert probed.problems == ("single_frame",) and probed.n_frames == 1 and probed.readable


def test_audio_without_video(encode, click_track):
    probed = probe(encode("sound.m4a", sound=(click_track(44100, 0.5, [0.1]), 44100)))
    assert probed.problems == ("no_video_stream",) and probed.has_audio and probed.audio_start_s is None


def test_cover_art_is_not_video(tmp_path):
    import av

    path = tmp_path / "cover.mp4"
    with av.open(str(path), "w") as container:
        picture = container.add_stream("mjpeg", rate=1)
        picture.width, picture.height, picture.pix_fmt = 32, 32, "yuvj420p"
        picture.disposition = av.stream.Disposition.attached_pic
        sound = container.add_stream("aac", rate=44100, layout="mono")
        container.mux(picture.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8))))
        container.mux(picture.encode(None))
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="flt", layout="mono")
        frame.sample_rate = 44100
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    assert probe(path).problems == ("no_video_stream",)
    with pytest.raises(MediaError, match="video stream"):
        next(read_frames(path))


def test_files_that_are_not_media(tmp_path):
    text, empty, noise = (tmp_path / name for name in ("text.mp4", "empty.mp4", "noise.mp4"))
    text.write_text("This is not a video.\n" * 50)
    empty.touch()
    noise.write_bytes(random.Random(1).randbytes(5000))
    assert probe(tmp_path / "none.mp4").problems == ("source_missing",)
    assert probe(empty).problems == ("source_empty",)
    assert probe(text).problems == ("source_is_text",) and probe(noise).problems == ("unreadable",)
    assert "text.mp4" in probe(text).message
    with pytest.raises(MediaError, match=r"text\.mp4"):
        next(read_frames(text))


def test_a_cut_off_file_with_its_index_first(encode, tmp_path):
    whole = encode(times_s=np.arange(90) / 30, container_options={"movflags": "+faststart"}, codec_options={"g": "10"}).read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole[: int(len(whole) * 0.7)])
    probed = probe(path)
    read = times(path)
    assert probed.problems == ("truncated",) and probed.readable
    assert f"expected 90 frames, found {probed.n_frames} complete frames" in probed.message
    assert 30 < len(read) <= probed.n_frames < 90
    np.testing.assert_allclose(read[:30], np.arange(30) / 30, atol=1e-5)


def test_a_cut_off_file_with_its_index_last(encode, tmp_path):
    whole = encode(times_s=STEADY_S).read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(whole[: len(whole) // 2])
    probed = probe(path)
    assert probed.problems == ("unreadable",) and "index" in probed.message


def test_a_cut_off_file_that_counts_no_frames(encode, tmp_path):
    whole = encode("video.mkv", times_s=np.arange(150) / 30, codec_options={"g": "10"}).read_bytes()
    path = tmp_path / "cut.mkv"
    path.write_bytes(whole[: len(whole) // 2])
    assert probe(path).problems == ("truncated",)
    assert "5.0 s" in probe(path).message
    assert len(times(path)) > 30


def test_damaged_bytes_never_raise(encode, tmp_path, click_track):
    whole = encode(times_s=STEADY_S, sound=(click_track(44100, 1.0, [0.5]), 44100)).read_bytes()
    path, chance = tmp_path / "damaged.mp4", random.Random(0)
    for _ in range(40):
        damaged = bytearray(whole)
        for _ in range(30):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        path.write_bytes(damaged)
        probed = probe(path)
        json.dumps(probed.to_dict(), allow_nan=False)
        if probed.readable:
            assert np.all(np.diff(times(path)) > 0)
