"""Written files can be read back: times, colours, audio; and the same input gives the same bytes."""

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace, Interpolation

from handroll.media.frames import read_frames
from handroll.media.probe import probe
from handroll.media.write import VideoWriter, rgb_to_yuv
from handroll.provenance import file_sha256

TIMES_S = np.cumsum([0.0, *([1 / 30, 1 / 24, 1 / 60] * 10)])


@pytest.fixture
def write(corner_picture):
    def write(path, audio=None, size=(48, 64)):
        with VideoWriter(path, size[1], size[0], 30, audio=audio) as writer:
            for time_s in TIMES_S:
                writer.write(corner_picture(*size), time_s)
        return path

    return write


def test_times_and_audio_are_read_back(write, tmp_path, click_track):
    path = write(tmp_path / "a.mp4", audio=(click_track(44100, 2.0, [0.5]), 44100))
    probed = probe(path)
    assert not probed.problems and probed.variable_frame_rate and probed.n_frames == len(TIMES_S)
    assert probed.audio_start_s == pytest.approx(0, abs=1e-6) and probed.audio_duration_s == pytest.approx(2.0, abs=0.05)
    np.testing.assert_allclose([f.time_s for f in read_frames(path)], TIMES_S, atol=1e-5)
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_same_bytes_twice(write, tmp_path):
    stereo = np.random.default_rng(0).normal(0, 0.1, (48000, 2)).astype(np.float32)
    first, second = (write(tmp_path / name, audio=(stereo, 48000)) for name in ("a.mp4", "b.mp4"))
    assert file_sha256(first) == file_sha256(second)
    assert probe(first).audio_channels == 2


@pytest.mark.parametrize("size", [(360, 480), (720, 960)])
def test_colours_survive_in_small_and_large_frames(tmp_path, size):
    path, colour = tmp_path / "a.mp4", (200, 30, 60)
    with VideoWriter(path, size[1], size[0], 30, crf=10) as writer:
        writer.write(np.full((*size, 3), colour, np.uint8), 0.0)
    np.testing.assert_allclose(next(read_frames(path)).image[100, 100], colour, atol=6)


def test_an_odd_edge_is_cut_off(write, tmp_path):
    probed = probe(write(tmp_path / "a.mp4", size=(49, 65)))
    assert (probed.height_px, probed.width_px) == (48, 64)


def test_misuse_raises_and_leaves_no_file(tmp_path, corner_picture):
    path = tmp_path / "a.mp4"
    picture = corner_picture(48, 64)
    with pytest.raises(ValueError, match="expected a uint8 frame"), VideoWriter(path, 64, 48, 30) as writer:
        writer.write(picture[:-1], 0.0)
    with pytest.raises(ValueError, match="increasing times"), VideoWriter(path, 64, 48, 30) as writer:
        writer.write(picture, 0.1)
        writer.write(picture, 0.1)
    with pytest.raises(ValueError, match="at least one frame"), VideoWriter(path, 64, 48, 30):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("size", [(8, 16), (90, 322), (480, 854)])
@pytest.mark.parametrize("levels", [2, 256])
def test_yuv_is_that_of_libswscale(size, levels):
    height, width = size
    image = (np.random.default_rng(0).integers(0, levels, (height, width, 3)) * (255 // (levels - 1))).astype(np.uint8)
    flags = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.BITEXACT
    expected = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(
        format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG, interpolation=flags, threads=1
    )
    frame = av.VideoFrame(width, height, "yuv420p")
    rgb_to_yuv(image, *(np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size) for plane in frame.planes))
    assert (frame.to_ndarray() == expected.to_ndarray()).all()
