import numpy as np
import pytest

from handroll.schema import DETECTIONS, by_row, to_arrow
from handroll.video.frames import Frame

detector = pytest.importorskip("handroll.detect.mediapipe")
pytest.importorskip("mediapipe")


def pictures(n, height=90, width=160):
    noise = np.random.default_rng(0).integers(0, 255, (n, height, width, 3), dtype=np.uint8)
    return (Frame(i, i / 25.0, noise[i]) for i in range(n))


def test_pictures_without_hands(capfd):
    columns = detector.detect_hands(pictures(3), 320, 180)
    assert columns["found"].shape == (3, 2) and not columns["found"].any()
    assert np.isnan(columns["landmarks_px"]).all() and np.isnan(columns["score"]).all()
    np.testing.assert_allclose(columns["time_s"][:, 1], [0.0, 0.04, 0.08])
    assert to_arrow(DETECTIONS, by_row(columns)).num_rows == 6
    assert capfd.readouterr().err == ""


def test_a_video_without_frames():
    columns = detector.detect_hands(iter(()), 320, 180)
    assert columns["landmarks_px"].shape == (0, 2, 21, 2)


def test_labels_of_the_mirrored_selfie_are_turned():
    class Label:
        label, score = "Left", 0.9

    assert detector._right_probability(Label) == 0.9
    Label.label = "Right"
    assert detector._right_probability(Label) == pytest.approx(0.1)


def test_landmarks_come_in_pixels_of_the_original(monkeypatch):
    class Engine:
        def __enter__(self):
            knuckles = np.full((21, 2), 0.5)
            knuckles[5], knuckles[9], knuckles[17] = (0.4, 0.3), (0.5, 0.3), (0.6, 0.3)
            return lambda image: [(0.9, knuckles, np.zeros((21, 3)))]

        def __exit__(self, *error):
            return False

    monkeypatch.setattr(detector, "_engine", lambda *confidences: Engine())
    columns = detector.detect_hands(pictures(2), 1920, 1080)
    assert columns["found"].tolist() == [[False, True]] * 2
    np.testing.assert_allclose(columns["landmarks_px"][0, 1, 5], [768.0, 324.0])


def test_the_engine_is_heard_when_it_fails(capfd):
    import os

    with pytest.raises(RuntimeError), detector._silent_stderr():
        os.write(2, b"cause\n")
        raise RuntimeError
    with detector._silent_stderr():
        os.write(2, b"chatter\n")
    assert capfd.readouterr().err == "cause\n"


def test_engine_info_names_the_models():
    info = detector.engine_info()
    assert info["engine"] == "mediapipe" and len(info["sha256_hand_landmark_full"]) == 64
    assert all(isinstance(value, str) for value in info.values())
