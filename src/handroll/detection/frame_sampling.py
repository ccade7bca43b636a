"""A first look at some frames of a video: how many hands there are, and how they are held. Much cheaper than `detection.hand_tracker`.

MediaPipe Hands in image mode (Zhang et al. 2020, arXiv:2006.10214), with up to six hands, on frames spread evenly over the
video. Nothing is tracked: each frame is a sample of its own, so what is taken for a hand by mistake stays a small share.
The palm detector sees 192 pixels, in which a hand over a whole keyboard is small: each frame is looked at in two halves.
"""

from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from handroll.detection.hand_tracker import MODEL_COMPLEXITY, Engine, silent_stderr
from handroll.detection.hand_tracks import DUPLICATE_PALMS, MIDDLE_MCP, PALM, WRIST

VERSION = 1
"""Raised by hand when this module gives other hands for the same frames."""

MAX_HANDS = 6
"""Hands looked for in a frame: four of two players, and what is taken for hands beside them."""

WINDOW = 0.62
"""Length of the two parts of a picture, of its longer side. They share a quarter of it, more than a hand, so none is cut by both."""

MIN_CONFIDENCE = 0.3
"""Least score of the palm detector. Lower than where hands are followed (0.5), as each frame has one chance only."""

DUPLICATE_SHARE = 0.6
"""Two finds are one hand if they share this much of the smaller one's box: a hand that one window cuts is found there, smaller."""

SAMPLES = 48
"""Frames looked at by default: a share of them is known within 0.07 (one standard deviation), in about 2 s."""

_WORLD_UNIT_M = 1e-4
"""World landmarks are kept in whole tenths of a millimetre: far finer than they are known."""


@dataclass(frozen=True)
class Glance:
    """Hands in samples of a video. Rows are hands, by sample; landmarks are whole pixels and tenths of a millimetre.

    Attributes
    ----------
    width_px, height_px : int
        Of the pictures looked at; 0 where there was none.
    time_s : array (sample,)
        Presentation times.
    sample : int array (hand,)
        The sample that a hand was seen in, not decreasing.
    right : array (hand,)
        The detector's probability that it is the player's right hand, 0..1.
    landmarks_px : array (hand, landmark 21, xy 2)
        In those pictures.
    landmarks_m : array (hand, landmark 21, xyz 3)
        World landmarks, origin at the hand's centre: x right, y down, z away from the camera.
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
        """How many hands each sample shows, int array (sample,)."""
        return np.bincount(self.sample, minlength=len(self.time_s))

    def to_dict(self):
        """JSON values, all numbers short: about 0.5 KB a hand."""
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
        """The inverse of `to_dict`."""
        return cls(
            values["width_px"],
            values["height_px"],
            np.array(values["time_s"], dtype=np.float64),
            np.array(values["sample"], dtype=np.int64),
            np.array(values["right"], dtype=np.float64),
            np.array(values["landmarks_px"], dtype=np.float64).reshape(-1, 21, 2),
            np.array(values["landmarks_tenth_mm"], dtype=np.float64).reshape(-1, 21, 3) * _WORLD_UNIT_M,
        )


def spread(n_frames, count=SAMPLES):
    """Indices (set of int) of frames spread evenly over a video, without its very ends; all where there are no more than `count`."""
    return set(((np.arange(min(count, n_frames)) + 0.5) * (n_frames / max(min(count, n_frames), 1))).astype(int).tolist())


def glance(frames, max_hands=MAX_HANDS, min_confidence=MIN_CONFIDENCE):
    """Look for hands in some frames of a video.

    Parameters
    ----------
    frames : iterable of handroll.media.frames.Frame
        Such as `read_frames(path, max_width_px=detect.mediapipe.MAX_WIDTH_PX, indices=spread(n_frames))`; all of one size.
    max_hands : int
    min_confidence : float in [0, 1]
        Least score of the palm detector.

    Returns
    -------
    Glance
        Two finds of one hand count once. As it comes back from JSON: scores taken from it can be taken again from there.
    """
    time_s, found, size_px = [], [], (0, 0)
    with _image_engine(max_hands, min_confidence) as engine:
        for sample, frame in enumerate(frames):
            time_s.append(frame.time_s)
            size_px = frame.image.shape[1], frame.image.shape[0]
            hands = [
                (right, shown * (part.shape[1], part.shape[0]) + corner, world)
                for corner, part in windows(frame.image)
                for right, shown, world in engine.find(part)
            ]
            found += [(sample, *hands[k]) for k in distinct(np.array([shown for _, shown, _ in hands]).reshape(-1, 21, 2))]
    whole = Glance(
        *size_px,
        np.array(time_s, dtype=np.float64),
        np.array([row[0] for row in found], dtype=np.int64),
        np.array([row[1] for row in found], dtype=np.float64),
        np.array([row[2] for row in found], dtype=np.float64).reshape(-1, 21, 2),
        np.array([row[3] for row in found], dtype=np.float64).reshape(-1, 21, 3),
    )
    return Glance.from_dict(whole.to_dict())


def windows(image):
    """[((left, top), part)] of a picture (height, width, 3): its two ends along its longer side, which share the middle."""
    height, width = image.shape[:2]
    if width >= height:
        length = round(WINDOW * width)
        return [((0, 0), image[:, :length]), ((width - length, 0), image[:, width - length :])]
    length = round(WINDOW * height)
    return [((0, 0), image[:length]), ((0, height - length), image[height - length :])]


def distinct(landmarks_px):
    """Which finds of one picture are hands of their own: of two that lie on each other, the larger stays.

    Parameters
    ----------
    landmarks_px : array (hand, landmark 21, xy 2)

    Returns
    -------
    list of int, rising
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
def _image_engine(max_hands, min_confidence):
    """MediaPipe's detector that looks at each picture anew, closed at the end."""
    with silent_stderr():
        from mediapipe.python.solutions.hands import Hands

        hands = Hands(
            static_image_mode=True, max_num_hands=max_hands, model_complexity=MODEL_COMPLEXITY, min_detection_confidence=min_confidence
        )
        hands.process(np.zeros((8, 8, 3), dtype=np.uint8))  # it starts in the background: an answer means that it has started
    try:
        yield Engine(hands)
    finally:
        hands.close()
