"""Detect and track two hands, 21 landmarks each, in every frame of a video with MediaPipe Hands.

Zhang et al. 2020, "MediaPipe Hands: On-device Real-time Hand Tracking", arXiv:2006.10214. The models are part of the
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
from handroll.detection.track_recovery import fill_lost_hands, lost_intervals
from handroll.editing.segments import SAME_TIME_S, within
from handroll.provenance import file_sha256

VERSION = 2
"""Raised by hand when this module, `hand_tracks` or `track_recovery` gives other detections. The step is too costly to rerun after every
refactoring."""

MAX_WIDTH_PX = 960
"""Maximum width of the frames. On 1920 wide frames the landmarks are equally accurate (6.3 against 6.2 px mean error), but slower."""

MODEL_COMPLEXITY = 1
"""The full landmark model. The lite one takes half the time, mirrors hands in 2.7 % of frames and makes them 1.4 times too small."""

MODELS = ("palm_detection/palm_detection_full.tflite", "hand_landmark/hand_landmark_full.tflite")


def engine_info():
    """Return name, version and model hashes of the engine for provenance; does not load the engine.

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
    """Detect the player's left and right hand in every frame of a video.

    Intervals in which a hand is lost for a short time, or taken for its mirror image, are tracked again: mirrored, backwards in
    time, and both (see `handroll.detection.track_recovery`).

    Parameters
    ----------
    read : function without arguments that returns an iterator of handroll.media.frames.Frame
        In presentation order, at most `MAX_WIDTH_PX` wide; called once or twice. Landmarks do not depend on the scale.
    width_px, height_px : int
        Size of the original displayed frame, the unit of `landmarks_px`.
    min_detection_confidence : float in [0, 1]
        Minimum score of the palm detector, which runs wherever fewer than two hands are tracked.
    min_tracking_confidence : float in [0, 1]
        Minimum score of the landmark model for a hand to remain tracked.
    segments : sequence of (start_s, end_s), optional
        Usable segments of the video (s), in order; other frames get no detections. The whole video where None.

    Returns
    -------
    dict of str to array (frame, hand, ...)
        The columns of `tables.DETECTIONS`, for all frames; NaN where a hand is not found.
    """
    size_px = (width_px, height_px)
    segments = [(0.0, np.inf)] if segments is None else segments
    with _engine(min_detection_confidence, min_tracking_confidence) as engine:
        time_s, hands, last_segment = [], [], None
        for number, frame in enumerate(read()):
            time_s.append(frame.time_s)
            segment = _segment_at(frame.time_s, segments)
            if segment is None:
                continue
            if last_segment not in (None, segment):
                engine.reset()
            last_segment = segment
            hands += [(number, hand) for hand in engine.detect(frame.image)]
        columns = assign_hands(_raw(hands, size_px), np.array(time_s, dtype=np.float64))
        usable = within(columns["time_s"][:, 0], segments)
        intervals = [(start, stop) for start, stop in lost_intervals(columns) if usable[start:stop].all()]
        if intervals:
            hands = []
            for start, images in _images(iter(read()), intervals):
                hands += _track_again(engine, start, images)
            fill_lost_hands(columns, _raw(hands, size_px))
    return columns


def _segment_at(time_s, segments):
    """Return the index of the segment that contains a time; None where no segment does."""
    return next((n for n, (start_s, end_s) in enumerate(segments) if start_s - SAME_TIME_S <= time_s < end_s - SAME_TIME_S), None)


def _images(frames, intervals):
    """Yield (start, [images]) for the intervals (start, stop) of frames, in order."""
    position = 0
    for start, stop in intervals:
        for _ in itertools.islice(frames, start - position):
            pass
        yield start, [frame.image for frame in itertools.islice(frames, stop - start)]
        position = stop


def _track_again(engine, start, images):
    """Track the hands of an interval mirrored, backwards in time, and both; return [(frame, hand)]."""
    forwards = list(enumerate(images, start))
    hands = []
    for mirror, frames in ((True, forwards), (False, forwards[::-1]), (True, forwards[::-1])):
        engine.reset()
        for number, image in frames:
            found = engine.detect(image[:, ::-1] if mirror else image)
            hands += [(number, _mirrored(hand) if mirror else hand) for hand in found]
    return hands


def _mirrored(hand):
    """Convert a hand detected in the mirror image to the original image."""
    right, landmarks, world = hand
    return 1.0 - right, np.stack([1.0 - landmarks[:, 0], landmarks[:, 1]], axis=-1), world * [-1.0, 1.0, 1.0]


def _raw(hands, size_px):
    """Collect detections [(frame, (probability of the right hand, landmarks in 0..1, world landmarks))] in arrays."""
    return RawHands(
        frame=np.array([frame for frame, _ in hands], dtype=np.int64),
        right=np.array([right for _, (right, _, _) in hands], dtype=np.float64),
        landmarks_px=np.array([landmarks for _, (_, landmarks, _) in hands], dtype=np.float64).reshape(-1, 21, 2) * size_px,
        landmarks_m=np.array([world for _, (_, _, world) in hands], dtype=np.float64).reshape(-1, 21, 3),
    )


@contextmanager
def _engine(min_detection_confidence, min_tracking_confidence):
    """Open a `MediaPipeHands` tracker; close it at the end."""
    with silent_stderr():
        from mediapipe.python.solutions.hands import Hands

        hands = Hands(
            static_image_mode=False,
            max_num_hands=2,
            model_complexity=MODEL_COMPLEXITY,
            min_detection_confidence=min_detection_confidence,
            min_tracking_confidence=min_tracking_confidence,
        )
        # MediaPipe starts in the background. It has started when it returns a result, here for a black image without hands.
        hands.process(np.zeros((8, 8, 3), dtype=np.uint8))
    try:
        yield MediaPipeHands(hands)
    finally:
        hands.close()


class MediaPipeHands:
    """MediaPipe's hand tracker, which starts from the hands of the previous image."""

    def __init__(self, hands):
        self._hands = hands

    def reset(self):
        """Forget the tracked hands."""
        with silent_stderr():
            self._hands.reset()

    def detect(self, image):
        """Detect hands in an RGB image: [(probability of the right hand, landmarks (21, 2) in 0..1, world landmarks (21, 3))]."""
        # The library logs warnings on its first images and on its first hand.
        with silent_stderr():
            result = self._hands.process(np.ascontiguousarray(image))
        if not result.multi_hand_landmarks:
            return []
        return [
            (
                _right_probability(label.classification[0]),
                np.array([(point.x, point.y) for point in landmarks.landmark]),
                np.array([(point.x, point.y, point.z) for point in world.landmark]),
            )
            for label, landmarks, world in zip(
                result.multi_handedness, result.multi_hand_landmarks, result.multi_hand_world_landmarks, strict=True
            )
        ]


def _right_probability(label):
    """Return the probability of the player's right hand. MediaPipe expects a mirrored selfie, so it labels a right hand "Left"."""
    return label.score if label.label == "Left" else 1.0 - label.score


@contextmanager
def silent_stderr():
    """Suppress the log of the C++ library while the block runs; print it if the block raises."""
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
