import numpy as np
import pytest

from handroll.media.frames import Frame
from handroll.storage import to_arrow
from handroll.tables import DETECTIONS, by_row

detector = pytest.importorskip("handroll.detection.hand_tracker")
pytest.importorskip("mediapipe")


def frames(n, height=90, width=160):
    noise = np.random.default_rng(0).integers(0, 255, (n, height, width, 3), dtype=np.uint8)
    return (Frame(i, i / 25.0, noise[i]) for i in range(n))


def test_frames_without_hands(capfd):
    columns = detector.detect_hands(lambda: frames(3), 320, 180)
    assert columns["found"].shape == (3, 2) and not columns["found"].any()
    assert np.isnan(columns["landmarks_px"]).all() and np.isnan(columns["score"]).all()
    np.testing.assert_allclose(columns["time_s"][:, 1], [0.0, 0.04, 0.08])
    assert to_arrow(DETECTIONS, by_row(columns)).num_rows == 6
    assert capfd.readouterr().err == ""


def test_a_video_without_frames():
    columns = detector.detect_hands(lambda: iter(()), 320, 180)
    assert columns["landmarks_px"].shape == (0, 2, 21, 2)


def test_labels_of_the_mirrored_selfie_are_swapped():
    class Label:
        label, score = "Left", 0.9

    assert detector._right_probability(Label) == 0.9
    Label.label = "Right"
    assert detector._right_probability(Label) == pytest.approx(0.1)


def right_hand(x):
    """Landmarks in 0..1 of a right hand seen from above, wrist at (x, 0.5)."""
    points = np.full((21, 2), [x, 0.5])
    points[5], points[9], points[17] = (x - 0.1, 0.3), (x, 0.3), (x + 0.1, 0.3)
    return points


class ScriptedEngine:
    """Detects a right hand at x = 0.5 in frames whose first column is bright."""

    resets = 0

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return False

    def reset(self):
        self.resets += 1

    def detect(self, image):
        if image[0, 0, 0] == 255:
            return [(0.9, right_hand(0.5), np.zeros((21, 3)))]
        return []


def bright_frames(dark=()):
    for i in range(30):
        image = np.zeros((9, 16, 3), dtype=np.uint8)
        image[:, -1 if i in dark else 0] = 255
        yield Frame(i, i / 25.0, image)


def test_landmarks_are_in_pixels_of_the_original(monkeypatch):
    engine = ScriptedEngine()
    monkeypatch.setattr(detector, "_engine", lambda *confidences: engine)
    columns = detector.detect_hands(bright_frames, 1920, 1080)
    assert columns["found"].tolist() == [[False, True]] * 30
    np.testing.assert_allclose(columns["landmarks_px"][0, 1, 5], [768.0, 324.0])
    assert engine.resets == 0


def test_lost_frames_are_tracked_again_in_the_mirror_image(monkeypatch):
    # A left hand in the mirror, at 0.45, is a right hand at 0.55.
    left = right_hand(0.55) * [-1.0, 1.0] + [1.0, 0.0]
    world = np.zeros((21, 3))
    world[8] = (0.01, 0.02, 0.03)

    class Mirror(ScriptedEngine):
        def detect(self, image):
            return [(0.1, left, world)] if image[0, 0, 0] == 255 and image[0, 1, 0] == 7 else super().detect(image)

    def frames_with_mark():
        for frame in bright_frames(dark=(12, 13)):
            if frame.index in (12, 13):
                frame.image[:, -2] = 7
            yield frame

    monkeypatch.setattr(detector, "_engine", lambda *confidences: Mirror())
    columns = detector.detect_hands(frames_with_mark, 1920, 1080)
    assert columns["found"][:, 1].all() and not columns["found"][:, 0].any()
    np.testing.assert_allclose(columns["landmarks_px"][12, 1, 5], [0.45 * 1920, 324.0])
    np.testing.assert_allclose(columns["landmarks_m"][12, 1, 8], [-0.01, 0.02, 0.03], rtol=1e-6)
    assert columns["score"][12, 1] == pytest.approx(0.9)


def test_the_log_of_the_engine_is_printed_when_it_fails(capfd):
    import os

    with pytest.raises(RuntimeError), detector.silent_stderr():
        os.write(2, b"cause\n")
        raise RuntimeError
    with detector.silent_stderr():
        os.write(2, b"chatter\n")
    assert capfd.readouterr().err == "cause\n"


def test_engine_info_names_the_models():
    info = detector.engine_info()
    assert info["engine"] == "mediapipe" and len(info["sha256_hand_landmark_full"]) == 64
    assert all(isinstance(value, str) for value in info.values())
