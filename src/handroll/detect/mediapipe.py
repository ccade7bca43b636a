"""MediaPipe Hands: two hands, 21 landmarks each, in every frame of a video.

Zhang et al. 2020, "MediaPipe Hands: On-device Real-time Hand Tracking", arXiv:2006.10214. The models lie in the
package; nothing is downloaded.
"""

import os
import sys
import tempfile
from contextlib import contextmanager
from importlib.metadata import distribution
from pathlib import Path

import numpy as np

from handroll.detect.tracks import RawHands, assign_hands
from handroll.provenance import file_sha256

VERSION = 1
"""Raised by hand when this module or `tracks` gives other detections: the step is too costly to rerun for a refactoring."""

MAX_WIDTH_PX = 960
"""Frames are read at most this wide: on 1920 wide frames it finds the same landmarks (6.3 against 6.2 px mean error) in less time."""

MODEL_COMPLEXITY = 1
"""The full landmark model; the lite one takes half the time, mirrors hands in 2.7 % of frames and makes them 1.4 times too small."""

MODELS = ("palm_detection/palm_detection_full.tflite", "hand_landmark/hand_landmark_full.tflite")


def engine_info():
    """Name, version and model hashes of the engine, for provenance; does not load it.

    Returns
    -------
    dict of str to str
    """
    package = distribution("mediapipe")
    info = {"engine": "mediapipe", "engine_version": package.version}
    for model in MODELS:
        info[f"sha256_{Path(model).stem}"] = file_sha256(package.locate_file(f"mediapipe/modules/{model}"))
    return info


def detect_hands(frames, width_px, height_px, min_detection_confidence=0.5, min_tracking_confidence=0.5):
    """Find the player's hands in every frame of a video, and tell left from right.

    Parameters
    ----------
    frames : iterable of handroll.video.frames.Frame
        In presentation order, at most `MAX_WIDTH_PX` wide. Landmarks do not depend on the scale.
    width_px, height_px : int
        Size of the original shown frame, the unit of `landmarks_px`.
    min_detection_confidence : float in [0, 1]
        Least score of the palm detector, which looks for hands wherever fewer than two are being followed.
    min_tracking_confidence : float in [0, 1]
        Least score of the landmark model that keeps following a hand.

    Returns
    -------
    dict of str to array (frame, hand, ...)
        The columns of `schema.DETECTIONS`, for the frames that came; NaN where a hand is not found.
    """
    time_s, frame, right, landmarks_px, landmarks_m = [], [], [], [], []
    size_px = np.array([width_px, height_px], dtype=np.float64)
    with _engine(min_detection_confidence, min_tracking_confidence) as find:
        for at, picture in enumerate(frames):
            time_s.append(picture.time_s)
            for probability, shown, world in find(picture.image):
                frame.append(at)
                right.append(probability)
                landmarks_px.append(shown * size_px)
                landmarks_m.append(world)
    raw = RawHands(
        frame=np.array(frame, dtype=np.int64),
        right=np.array(right, dtype=np.float64),
        landmarks_px=np.array(landmarks_px, dtype=np.float64).reshape(-1, 21, 2),
        landmarks_m=np.array(landmarks_m, dtype=np.float64).reshape(-1, 21, 3),
    )
    return assign_hands(raw, np.array(time_s, dtype=np.float64))


@contextmanager
def _engine(min_detection_confidence, min_tracking_confidence):
    """A function from an RGB picture to [(probability of the right hand, landmarks (21, 2) in 0..1, world landmarks (21, 3))]."""
    with _silent_stderr():
        from mediapipe.python.solutions.hands import Hands

        hands = Hands(
            static_image_mode=False,
            max_num_hands=2,
            model_complexity=MODEL_COMPLEXITY,
            min_detection_confidence=min_detection_confidence,
            min_tracking_confidence=min_tracking_confidence,
        )
        # It starts in the background; an answer, here that a black picture shows no hand, means that it has started.
        hands.process(np.zeros((8, 8, 3), dtype=np.uint8))

    def find(image):
        # The library warns on its first pictures and on its first hand, whenever that comes.
        with _silent_stderr():
            result = hands.process(np.ascontiguousarray(image))
        if not result.multi_hand_landmarks:
            return []
        return [
            (
                _right_probability(label.classification[0]),
                np.array([(point.x, point.y) for point in shown.landmark]),
                np.array([(point.x, point.y, point.z) for point in world.landmark]),
            )
            for label, shown, world in zip(
                result.multi_handedness, result.multi_hand_landmarks, result.multi_hand_world_landmarks, strict=True
            )
        ]

    try:
        yield find
    finally:
        hands.close()


def _right_probability(label):
    """Probability of the player's right hand. MediaPipe takes the picture for a mirrored selfie, so it calls a right hand "Left"."""
    return label.score if label.label == "Left" else 1.0 - label.score


@contextmanager
def _silent_stderr():
    """Keep the C++ library's log off the terminal while the block runs; it is shown if the block raises."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 2)
        try:
            yield
        except BaseException:
            log.seek(0)
            os.write(kept, log.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
