"""Detect hands in sampled frames of a video: their number and landmarks. This is much cheaper than tracking (`detection.hand_tracker`).

MediaPipe Hands in image mode (Zhang et al. 2020, arXiv:2006.10214) detects up to `MAX_HANDS` hands in evenly spaced frames. Nothing is
tracked: each frame is an independent sample, so false detections remain a small share. The palm detector scales its input to 192 x 192
pixels. If the frame shows a whole keyboard, a hand is small at that size, so each frame is processed in two overlapping halves.
"""

from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from handroll.detection.hand_tracker import MODEL_COMPLEXITY, MediaPipeHands, silent_stderr
from handroll.detection.hand_tracks import DUPLICATE_PALMS, MIDDLE_MCP, PALM, WRIST

VERSION = 1
"""Version of the results of this module, increased manually when the same frames give other hands."""

MAX_HANDS = 6
"""Maximum number of hands detected in each half of a frame: four hands of two players, and false detections."""

HALF_SHARE = 0.62
"""Length of each half, as a share of the frame's longer side. The halves overlap by a quarter of the side. A hand is shorter
than the overlap, so every hand is complete in at least one half."""

MIN_CONFIDENCE = 0.3
"""Minimum score (0..1) of the palm detector. It is lower than for tracking (0.5), because each frame is processed only once."""

DUPLICATE_SHARE = 0.6
"""Two detections are of one hand if their boxes overlap by more than this share (0..1) of the smaller box. Their boxes may differ, because
one half of the frame may contain only a part of the hand."""

SAMPLES = 48
"""Default number of sampled frames. The detection of the hands in them takes about 2 s. A share of frames that is estimated from this
number has a standard deviation of up to 0.07."""

# Unit (m) in which world landmarks are stored as integers: 0.1 mm, far finer than their accuracy.
_WORLD_UNIT_M = 1e-4


@dataclass(frozen=True)
class HandSamples:
    """Hands in sampled frames of a video: one row for each hand, ordered by sample. Landmarks are rounded to whole pixels and 0.1 mm.

    Attributes
    ----------
    width_px, height_px : int
        Size of the sampled frames; 0 if there are no frames.
    time_s : array (sample,)
        Presentation times of the sampled frames.
    sample : int array (hand,)
        Index of the sample that contains the hand, not decreasing.
    right : array (hand,)
        The detector's probability that it is the player's right hand, 0..1.
    landmarks_px : array (hand, landmark 21, xy 2)
        Landmarks in pixels of the sampled frames.
    landmarks_m : array (hand, landmark 21, xyz 3)
        World landmarks in metres, with the origin at the hand's centre: x right, y down, z away from the camera.
    """

    width_px: int
    height_px: int
    time_s: np.ndarray
    sample: np.ndarray
    right: np.ndarray
    landmarks_px: np.ndarray
    landmarks_m: np.ndarray

    @property
    def hands(self):
        """Number of hands in each sample, int array (sample,)."""
        return np.bincount(self.sample, minlength=len(self.time_s))

    def to_dict(self):
        """Convert to JSON values with rounded numbers: about 0.5 KB a hand."""
        return {
            "width_px": self.width_px,
            "height_px": self.height_px,
            "time_s": np.round(self.time_s, 3).tolist(),
            "sample": self.sample.tolist(),
            "right": np.round(self.right, 3).tolist(),
            "landmarks_px": np.round(self.landmarks_px).astype(int).reshape(-1, 42).tolist(),
            "landmarks_tenth_mm": np.round(self.landmarks_m / _WORLD_UNIT_M).astype(int).reshape(-1, 63).tolist(),
        }

    @classmethod
    def from_dict(cls, values):
        """Build `HandSamples` from the result of `to_dict`."""
        return cls(
            values["width_px"],
            values["height_px"],
            np.array(values["time_s"], dtype=np.float64),
            np.array(values["sample"], dtype=np.int64),
            np.array(values["right"], dtype=np.float64),
            np.array(values["landmarks_px"], dtype=np.float64).reshape(-1, 21, 2),
            np.array(values["landmarks_tenth_mm"], dtype=np.float64).reshape(-1, 21, 3) * _WORLD_UNIT_M,
        )


def evenly_spaced(n_frames, count=SAMPLES):
    """Return the indices (set of int) of `count` evenly spaced frames of a video, or of all frames if there are fewer.

    The video is divided into `count` equal parts; the frame in the middle of each part is chosen.
    """
    return set(((np.arange(min(count, n_frames)) + 0.5) * (n_frames / max(min(count, n_frames), 1))).astype(int).tolist())


def sample_hands(frames):
    """Detect hands in sampled frames of a video.

    Parameters
    ----------
    frames : iterable of handroll.media.frames.Frame
        For example `read_frames(path, max_width_px=hand_tracker.MAX_WIDTH_PX, indices=evenly_spaced(n_frames))`; all frames have one size.

    Returns
    -------
    HandSamples
        Without duplicate detections. Values are rounded as in `to_dict`, so that scores from the object and from the file agree.
    """
    time_s, found, size_px = [], [], (0, 0)
    with _image_engine() as engine:
        for sample, frame in enumerate(frames):
            time_s.append(frame.time_s)
            size_px = frame.image.shape[1], frame.image.shape[0]
            hands = [
                (right, landmarks * (half.shape[1], half.shape[0]) + corner, world)
                for corner, half in overlapping_halves(frame.image)
                for right, landmarks, world in engine.detect(half)
            ]
            kept = without_duplicates(np.array([landmarks for _, landmarks, _ in hands]).reshape(-1, 21, 2))
            found += [(sample, *hands[k]) for k in kept]
    samples = HandSamples(
        *size_px,
        np.array(time_s, dtype=np.float64),
        np.array([row[0] for row in found], dtype=np.int64),
        np.array([row[1] for row in found], dtype=np.float64),
        np.array([row[2] for row in found], dtype=np.float64).reshape(-1, 21, 2),
        np.array([row[3] for row in found], dtype=np.float64).reshape(-1, 21, 3),
    )
    return HandSamples.from_dict(samples.to_dict())


def overlapping_halves(image):
    """Divide an image (height, width, 3) along its longer side into two overlapping parts.

    Return a list of ((left, top), part): the position of the part's top left corner in the image, px, and the part of the image.
    """
    height, width = image.shape[:2]
    if width >= height:
        length = round(HALF_SHARE * width)
        return [((0, 0), image[:, :length]), ((width - length, 0), image[:, width - length :])]
    length = round(HALF_SHARE * height)
    return [((0, 0), image[:length]), ((0, height - length), image[height - length :])]


def without_duplicates(landmarks_px):
    """Select the detections of one frame that are different hands. Of several detections of one hand, the largest is kept.

    Parameters
    ----------
    landmarks_px : array (hand, landmark 21, xy 2)
        Landmarks of the detections, in pixels.

    Returns
    -------
    list of int, increasing
        Indices of the kept detections.
    """
    low, high = landmarks_px.min(axis=1), landmarks_px.max(axis=1)
    area = (high - low).prod(axis=-1)
    centre = landmarks_px[:, PALM].mean(axis=1)
    length = np.linalg.norm(landmarks_px[:, MIDDLE_MCP] - landmarks_px[:, WRIST], axis=-1)
    kept = []
    for k in np.argsort(-area, kind="stable").tolist():
        shared = np.clip(np.minimum(high[kept], high[k]) - np.maximum(low[kept], low[k]), 0.0, None).prod(axis=-1)
        near = np.linalg.norm(centre[kept] - centre[k], axis=-1) < DUPLICATE_PALMS * np.maximum(length[kept], length[k])
        if not (near | (shared > DUPLICATE_SHARE * area[k])).any():
            kept.append(k)
    return sorted(kept)


@contextmanager
def _image_engine():
    """Context manager: open MediaPipe's detector for independent images, yield it as `MediaPipeHands`, and close it at the end."""
    with silent_stderr():
        from mediapipe.python.solutions.hands import Hands

        hands = Hands(
            static_image_mode=True, max_num_hands=MAX_HANDS, model_complexity=MODEL_COMPLEXITY, min_detection_confidence=MIN_CONFIDENCE
        )
        # MediaPipe starts in the background. It has started when it returns a result, here for a black image without hands.
        hands.process(np.zeros((8, 8, 3), dtype=np.uint8))
    try:
        yield MediaPipeHands(hands)
    finally:
        hands.close()
