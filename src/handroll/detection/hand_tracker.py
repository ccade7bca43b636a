"""MediaPipe Hands: two hands, 21 landmarks each, in every frame of a video.

Zhang et al. 2020, "MediaPipe Hands: On-device Real-time Hand Tracking", arXiv:2006.10214. The models lie in the
package; nothing is downloaded.
"""

import itertools
import os
import sys
import tempfile
from contextlib import contextmanager
from importlib.metadata import distribution
from pathlib import Path

import numpy as np

from handroll.detection.hand_tracks import RawHands, assign_hands
from handroll.detection.track_recovery import fill_lost, lost_stretches
from handroll.editing.segments import SAME_TIME_S, within
from handroll.provenance import file_sha256

VERSION = 2
"""Raised by hand when this module, `tracks` or `second_look` gives other detections: the step is too costly to rerun for a refactoring."""

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


def detect_hands(read, width_px, height_px, min_detection_confidence=0.5, min_tracking_confidence=0.5, segments=None):
    """Find the player's hands in every frame of a video, and tell left from right.

    Where a hand is lost for a short time, or is taken for its mirror image, the tracker looks a second time at that
    stretch: mirrored, backwards in time, and both (see `handroll.detection.track_recovery`).

    Parameters
    ----------
    read : function without arguments that gives an iterator of handroll.media.frames.Frame
        In presentation order, at most `MAX_WIDTH_PX` wide, the same each time. Landmarks do not depend on the scale.
    width_px, height_px : int
        Size of the original shown frame, the unit of `landmarks_px`.
    min_detection_confidence : float in [0, 1]
        Least score of the palm detector, which looks for hands wherever fewer than two are being followed.
    min_tracking_confidence : float in [0, 1]
        Least score of the landmark model that keeps following a hand.
    segments : sequence of (start_s, end_s), optional
        The playable parts of the video (s), in order: in other frames no hand is looked for. The whole video where None.

    Returns
    -------
    dict of str to array (frame, hand, ...)
        The columns of `tables.DETECTIONS`, for the frames that came; NaN where a hand is not found.
    """
    size_px = (width_px, height_px)
    segments = [(0.0, np.inf)] if segments is None else segments
    with _engine(min_detection_confidence, min_tracking_confidence) as engine:
        time_s, hands, followed = [], [], None
        for at, picture in enumerate(read()):
            time_s.append(picture.time_s)
            segment = _segment_at(picture.time_s, segments)
            if segment is None:
                continue
            if followed not in (None, segment):
                engine.start_over()
            followed = segment
            hands += [(at, hand) for hand in engine.find(picture.image)]
        columns = assign_hands(_raw(hands, size_px), np.array(time_s, dtype=np.float64))
        playable = within(columns["time_s"][:, 0], segments)
        stretches = [(start, stop) for start, stop in lost_stretches(columns) if playable[start:stop].all()]
        if stretches:
            hands = []
            for start, images in _images(iter(read()), stretches):
                hands += _look_again(engine, start, images)
            fill_lost(columns, _raw(hands, size_px))
    return columns


def _segment_at(time_s, segments):
    """Index of the segment that a frame lies in; None where it lies in none."""
    return next((n for n, (start_s, end_s) in enumerate(segments) if start_s - SAME_TIME_S <= time_s < end_s - SAME_TIME_S), None)


def _images(frames, stretches):
    """(start, [images]) of the stretches (start, stop) of a video; they follow each other."""
    at = 0
    for start, stop in stretches:
        for _ in itertools.islice(frames, start - at):
            pass
        yield start, [picture.image for picture in itertools.islice(frames, stop - start)]
        at = stop


def _look_again(engine, start, images):
    """[(frame, hand)] of the other ways to see a stretch: mirrored, backwards in time, and both."""
    forwards = list(enumerate(images, start))
    hands = []
    for mirror, pictures in ((True, forwards), (False, forwards[::-1]), (True, forwards[::-1])):
        engine.start_over()
        for at, image in pictures:
            found = engine.find(image[:, ::-1] if mirror else image)
            hands += [(at, _mirrored(hand) if mirror else hand) for hand in found]
    return hands


def _mirrored(hand):
    """The hand in the picture whose mirror image it was found in."""
    right, shown, world = hand
    return 1.0 - right, np.stack([1.0 - shown[:, 0], shown[:, 1]], axis=-1), world * [-1.0, 1.0, 1.0]


def _raw(hands, size_px):
    """Detections as arrays, from [(frame, (probability of the right hand, landmarks in 0..1, world landmarks))]."""
    return RawHands(
        frame=np.array([frame for frame, _ in hands], dtype=np.int64),
        right=np.array([right for _, (right, _, _) in hands], dtype=np.float64),
        landmarks_px=np.array([shown for _, (_, shown, _) in hands], dtype=np.float64).reshape(-1, 21, 2) * size_px,
        landmarks_m=np.array([world for _, (_, _, world) in hands], dtype=np.float64).reshape(-1, 21, 3),
    )


@contextmanager
def _engine(min_detection_confidence, min_tracking_confidence):
    """An `Engine`, closed at the end."""
    with silent_stderr():
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
    try:
        yield Engine(hands)
    finally:
        hands.close()


class Engine:
    """MediaPipe's tracker, which remembers where the hands were in the picture before."""

    def __init__(self, hands):
        self._hands = hands

    def start_over(self):
        """Forget the pictures seen so far."""
        with silent_stderr():
            self._hands.reset()

    def find(self, image):
        """[(probability of the right hand, landmarks (21, 2) in 0..1, world landmarks (21, 3))] in an RGB picture."""
        # The library warns on its first pictures and on its first hand, whenever that comes.
        with silent_stderr():
            result = self._hands.process(np.ascontiguousarray(image))
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


def _right_probability(label):
    """Probability of the player's right hand. MediaPipe takes the picture for a mirrored selfie, so it calls a right hand "Left"."""
    return label.score if label.label == "Left" else 1.0 - label.score


@contextmanager
def silent_stderr():
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
