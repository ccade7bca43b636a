"""Detect and track two hands, 21 landmarks each, in every frame of a video with MediaPipe Hands.

Zhang et al. 2020, "MediaPipe Hands: On-device Real-time Hand Tracking", arXiv:2006.10214. The models are files of the package
`mediapipe`, so nothing is downloaded.
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
"""Version of the detections, increased manually when this module, `hand_tracks` or `track_recovery` gives other detections. The step is too
costly to rerun after every refactoring."""

MAX_WIDTH_PX = 960
"""Maximum width (px) of the processed frames. Frames 1920 px wide take longer, and the landmarks are equally accurate (mean error 6.3 px
against 6.2 px)."""

MODEL_COMPLEXITY = 1
"""MediaPipe's number of the full landmark model. The lite model (0) takes half the time, but in 2.7 % of the frames it detects hands as
their mirror images, and its hands are 1.4 times too small."""

MODELS = ("palm_detection/palm_detection_full.tflite", "hand_landmark/hand_landmark_full.tflite")
"""Files of the palm detector and of the landmark model in the package `mediapipe`. Their hashes are stored as provenance."""


def engine_info():
    """Return name, version and model hashes of the engine as provenance, without loading the engine.

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

    If a hand is lost for a short time, or taken for its mirror image, the interval around it is tracked three more times: mirrored,
    backwards in time, and both (see `handroll.detection.track_recovery`).

    Parameters
    ----------
    read : function without arguments that returns an iterator of handroll.media.frames.Frame
        The frames in presentation order, at most `MAX_WIDTH_PX` wide. The function is called once or twice.
    width_px, height_px : int
        Size of the displayed frame at full resolution. `landmarks_px` and `box_px` are in its pixels.
    min_detection_confidence : float in [0, 1]
        Minimum score of the palm detector, which runs in frames in which fewer than two hands are tracked.
    min_tracking_confidence : float in [0, 1]
        Minimum score of the landmark model for a hand to remain tracked.
    segments : sequence of (start_s, end_s), optional
        Usable segments of the video (s), in order; other frames get no detections. By default, the whole video is used.

    Returns
    -------
    dict of str to array (frame, hand, ...)
        Columns of `tables.DETECTIONS` for all frames; NaN where a hand is not found.
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
        columns = assign_hands(_raw_hands(hands, size_px), np.array(time_s, dtype=np.float64))
        usable = within(columns["time_s"][:, 0], segments)
        intervals = [(start, stop) for start, stop in lost_intervals(columns) if usable[start:stop].all()]
        if intervals:
            hands = []
            for start, images in _read_intervals(iter(read()), intervals):
                hands += _track_again(engine, start, images)
            fill_lost_hands(columns, _raw_hands(hands, size_px))
    return columns


def _segment_at(time_s, segments):
    """Return the index of the segment that contains a time; None if no segment contains it."""
    return next((n for n, (start_s, end_s) in enumerate(segments) if start_s - SAME_TIME_S <= time_s < end_s - SAME_TIME_S), None)


def _read_intervals(frames, intervals):
    """Yield (start, list of images) for each interval (start, stop) of frame indices; both intervals and `frames` are in order."""
    position = 0
    for start, stop in intervals:
        for _ in itertools.islice(frames, start - position):
            pass
        yield start, [frame.image for frame in itertools.islice(frames, stop - start)]
        position = stop


def _track_again(engine, start, images):
    """Track the hands of an interval three times: in mirrored images, backwards in time, and both.

    `images` are the frames of the interval; `start` is the index of the first one. Return a list of (frame index, hand) of all three
    passes. A hand is a result of `MediaPipeHands.detect`, in coordinates of the image that is not mirrored.
    """
    forwards = list(enumerate(images, start))
    hands = []
    for mirror, frames in ((True, forwards), (False, forwards[::-1]), (True, forwards[::-1])):
        engine.reset()
        for number, image in frames:
            found = engine.detect(image[:, ::-1] if mirror else image)
            hands += [(number, _unmirror(hand) if mirror else hand) for hand in found]
    return hands


def _unmirror(hand):
    """Convert a hand (result of `MediaPipeHands.detect`) from the mirrored image to the original image."""
    right, landmarks, world = hand
    return 1.0 - right, np.stack([1.0 - landmarks[:, 0], landmarks[:, 1]], axis=-1), world * [-1.0, 1.0, 1.0]


def _raw_hands(hands, size_px):
    """Convert a list of (frame index, hand) to `RawHands`. A hand is a result of `MediaPipeHands.detect`; `size_px` is (width, height)."""
    return RawHands(
        frame=np.array([frame for frame, _ in hands], dtype=np.int64),
        right=np.array([right for _, (right, _, _) in hands], dtype=np.float64),
        landmarks_px=np.array([landmarks for _, (_, landmarks, _) in hands], dtype=np.float64).reshape(-1, 21, 2) * size_px,
        landmarks_m=np.array([world for _, (_, _, world) in hands], dtype=np.float64).reshape(-1, 21, 3),
    )


@contextmanager
def _engine(min_detection_confidence, min_tracking_confidence):
    """Context manager: open a `MediaPipeHands` in tracking mode, and close it at the end. Parameters: see `detect_hands`."""
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
    """MediaPipe's hand detector. In tracking mode, it starts from the hands of the previous image.

    Parameters
    ----------
    hands : mediapipe.python.solutions.hands.Hands
    """

    def __init__(self, hands):
        self._hands = hands

    def reset(self):
        """Discard the hands of the previous image."""
        with silent_stderr():
            self._hands.reset()

    def detect(self, image):
        """Detect hands in an image.

        Parameters
        ----------
        image : uint8 array (height, width, 3)
            RGB.

        Returns
        -------
        list of (right, landmarks, world)
            Probability that it is the player's right hand; landmarks (21, xy 2) as shares of the image's width and height; world
            landmarks (21, xyz 3) in metres.
        """
        # MediaPipe logs warnings for its first images and for its first hand.
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
    """Return the probability of the player's right hand. MediaPipe expects mirrored selfies, so its label "Left" means the right hand."""
    return label.score if label.label == "Left" else 1.0 - label.score


@contextmanager
def silent_stderr():
    """Suppress what C++ code writes to stderr while the block runs; print it if the block raises an exception."""
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
