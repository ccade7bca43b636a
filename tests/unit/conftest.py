"""What tests of several folders share: tiny media files, made on the spot."""

from fractions import Fraction

import av
import numpy as np
import pytest

TICK = Fraction(1, 90_000)


def _corner_picture(height, width, shade=0):
    """Black, with a bright red block in the upper left corner; `shade` is the grey of the lower right one."""
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 3, : width // 3] = (255, 0, 0)
    image[-height // 3 :, -width // 3 :] = shade
    return image


def _click_track(rate, seconds, clicks_s):
    """Silence with a loud 5 ms click at each given time."""
    samples = np.zeros(int(rate * seconds), np.float32)
    for time_s in clicks_s:
        start = round(time_s * rate)
        samples[start : start + rate // 200] = 0.9
    return samples


@pytest.fixture
def corner_picture():
    """The function that makes a picture with a red upper left corner."""
    return _corner_picture


@pytest.fixture
def click_track():
    """The function that makes a track of clicks."""
    return _click_track


@pytest.fixture
def encode(tmp_path):
    """A function that writes a media file of given frame times and returns its path."""

    def write(
        name="video.mp4",
        times_s=(),
        size=(64, 48),
        codec="libx264",
        pix_fmt="yuv420p",
        rotation=0,
        pixel_aspect=None,
        sound=None,
        sound_start_s=0.0,
        sound_codec="aac",
        container_options=None,
        codec_options=None,
        first_s=0.0,
        lost_blocks=(),
    ):
        path = tmp_path / name
        with av.open(str(path), "w", options=container_options or {}) as container:
            if len(times_s):
                video = container.add_stream(codec, rate=30, options=codec_options or {})
                video.width, video.height, video.pix_fmt = *size, pix_fmt
                video.codec_context.time_base = video.time_base = TICK
                if rotation:
                    video.set_display_rotation(rotation)
                if pixel_aspect:
                    video.codec_context.sample_aspect_ratio = pixel_aspect
            if sound is not None:
                samples, rate = sound
                audio = container.add_stream(sound_codec, rate=rate, layout="mono")
            for i, time_s in enumerate(times_s):
                frame = av.VideoFrame.from_ndarray(_corner_picture(size[1], size[0], 10 * i % 250), format="rgb24")
                frame.pts, frame.time_base = round((first_s + time_s) / TICK), TICK
                container.mux(video.encode(frame))
            if len(times_s):
                container.mux(video.encode(None))
            if sound is not None:
                for start in range(0, len(samples), 1024):
                    if start // 1024 in lost_blocks:
                        continue
                    frame = av.AudioFrame.from_ndarray(samples[None, start : start + 1024], format="flt", layout="mono")
                    frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
                    frame.pts = start + round((first_s + sound_start_s) * rate)
                    container.mux(audio.encode(frame))
                container.mux(audio.encode(None))
        return path

    return write


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    """A synthetic set of three takes of 30 s, one a split, with features of the notes and windows of 4 s."""
    from handroll.models.audio_features import feature_encoder
    from handroll.simulator.corpus import Recipe, write_corpus
    from handroll.storage import write_json
    from handroll.training_data.feature_cache import write_features
    from handroll.training_data.loader import Clips, Source
    from handroll.training_data.windows import evaluation_windows, measure_scales

    folder = tmp_path_factory.mktemp("corpus")
    write_corpus(folder / "shards", 90.0 / 3600.0, Recipe(seed=5, take_s=30.0, length_s=15.0, hop_s=7.5, audio_rate_hz=8000))
    encoder = feature_encoder("notes", 30.0)
    about = {"features": "notes", "encoder": encoder.version}
    write_features(folder / "shards", folder / "features", encoder.encode, encoder.columns, about)
    source = Source(folder / "shards", features=folder / "features")
    valid = Clips(source, "valid")
    windows = [[*valid.names[number], first] for number, first in evaluation_windows(valid, 120)]
    scales = measure_scales(Clips(source, "train")).to_dict()
    write_json(folder / "windows.json", {"frames": 120, "split": "valid", "windows": {"valid": windows}, "scales": scales})
    return folder
