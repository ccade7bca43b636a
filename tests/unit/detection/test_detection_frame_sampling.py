import json

import numpy as np
import pytest

from handroll.detection import frame_sampling as module
from handroll.detection.frame_sampling import HandSamples, evenly_spaced, overlapping_halves, sample_hands, without_duplicates
from handroll.media.frames import Frame


def hand(x, y, size=60.0):
    """Landmarks (21, 2), px, of a hand whose palm is in the middle of a box of that size."""
    points = np.random.default_rng(0).uniform(-0.3, 0.3, (21, 2))
    points[0], points[9], points[5], points[13], points[17] = (0.0, 0.5), (0.0, -0.2), (-0.2, -0.2), (0.1, -0.2), (0.2, -0.2)
    points[12], points[4], points[20] = (0.0, -0.5), (-0.5, 0.0), (0.5, 0.0)
    return points * size + (x, y)


class ScriptedHands:
    """Finds hands where the frame has bright spots; sees no more than the part of the frame that it is given."""

    def __init__(self):
        self.shapes = []

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return False

    def detect(self, image):
        self.shapes.append(image.shape[:2])
        height, width = image.shape[:2]
        spots = np.argwhere(image[..., 0] == 255)
        return [(0.9, hand(x, y) / (width, height), np.full((21, 3), 0.01234567)) for y, x in spots]


@pytest.fixture
def engine(monkeypatch):
    scripted = ScriptedHands()
    monkeypatch.setattr(module, "_image_engine", lambda *settings: scripted)
    return scripted


def frame(index, spots, width=400, height=200):
    image = np.zeros((height, width, 3), dtype=np.uint8)
    for x, y in spots:
        image[y, x] = 255
    return Frame(index, index / 2.0, image)


def test_hands_of_both_halves_are_found_once_and_at_their_positions(engine):
    spots = [[(50, 100), (200, 100), (350, 90)], [], [(120, 80)]]
    samples = sample_hands(frame(i, where) for i, where in enumerate(spots))
    assert samples.hands.tolist() == [3, 0, 1] and samples.time_s.tolist() == [0.0, 0.5, 1.0]
    assert (samples.width_px, samples.height_px) == (400, 200)
    middles = sorted(samples.landmarks_px[samples.sample == 0][:, [0, 12]].mean(axis=1)[:, 0].tolist())
    np.testing.assert_allclose(middles, [50, 200, 350], atol=1.0)
    assert set(engine.shapes) == {(200, 248)}  # never the whole frame


def test_the_halves_of_a_frame_cover_it_and_share_more_than_a_hand():
    for shape in ((540, 960), (960, 540), (500, 500)):
        image = np.arange(shape[0] * shape[1]).reshape(*shape, 1)
        parts = overlapping_halves(image)
        assert np.unique(np.concatenate([part.ravel() for _, part in parts])).size == image.size
        assert sum(part.size for _, part in parts) / image.size == pytest.approx(1.24, abs=0.01)
        for (left, top), part in parts:
            assert image[top, left] == part[0, 0]


def test_a_hand_found_twice_is_one_and_hands_side_by_side_are_two():
    twice = np.stack([hand(100, 100), hand(104, 98)])
    assert without_duplicates(twice) in ([0], [1])
    cut = np.stack([hand(100, 100, 30.0), hand(110, 105, 80.0)])  # a half contains only a part of it
    assert without_duplicates(cut) == [1]
    assert without_duplicates(np.stack([hand(100, 100), hand(150, 100), hand(100, 170)])) == [0, 1, 2]
    assert without_duplicates(np.empty((0, 21, 2))) == []


def test_json_restores_the_samples_exactly(engine):
    samples = sample_hands(frame(i, [(60 + 10 * i, 100)]) for i in range(4))
    text = json.dumps(samples.to_dict(), allow_nan=False)
    again = HandSamples.from_dict(json.loads(text))
    for name in ("time_s", "sample", "right", "landmarks_px", "landmarks_m"):
        np.testing.assert_array_equal(getattr(again, name), getattr(samples, name))
    assert samples.landmarks_m[0, 0, 0] == pytest.approx(0.0123)
    assert len(text) < 700 * 4 + 200


def test_a_video_without_frames_or_hands(engine):
    for frames in ([], [frame(0, [])]):
        samples = sample_hands(iter(frames))
        assert samples.hands.tolist() == [0] * len(frames) and samples.landmarks_m.shape == (0, 21, 3)
        assert HandSamples.from_dict(samples.to_dict()).hands.tolist() == [0] * len(frames)


def test_samples_are_evenly_spaced():
    assert evenly_spaced(1000, 4) == {125, 375, 625, 875}
    assert evenly_spaced(3, 48) == {0, 1, 2} and evenly_spaced(0) == set() and len(evenly_spaced(100_000)) == module.SAMPLES


def test_the_real_engine_finds_no_hands_in_noise(capfd):
    pytest.importorskip("mediapipe")
    noise = np.random.default_rng(0).integers(0, 255, (2, 90, 160, 3), dtype=np.uint8)
    samples = sample_hands(Frame(i, i / 25.0, image) for i, image in enumerate(noise))
    assert samples.hands.tolist() == [0, 0]
    assert capfd.readouterr().err == ""
