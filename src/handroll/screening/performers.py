"""Does one person play, with two hands? Judged by how many hands are seen at once, over samples of the whole video.

Three or four hands in one picture now and then are mistakes: a reflection in the fallboard, a hand found twice. Two people at one
piano show them most of the time. A "hand" that lies at the same place throughout the video is a picture on the wall.
Videos without hands, or with one, are known here long before `visibility` counts every frame; so its thresholds here are laxer.
"""

import numpy as np

from handroll.editing.segments import within
from handroll.reasons import Reason

SCORES = ("samples", "one_hand_seen", "two_hands_seen", "more_than_two_hands", "most_hands")

ONE_PLAYER = 2
"""Hands of one person."""

STILL_PALMS = 0.08
"""Finds whose palms are closer than this, in palm lengths, are at the same place. Playing hands move on by more, save in five-finger
exercises; so what stays is left out only where it would make a second person."""

STILL_SHARE = 0.6
"""What is at the same place in this share of the samples is a thing, not a hand."""

LEAST_STILL_SAMPLES = 10
"""With fewer samples a hand may well have rested in most of them, so nothing is taken for a thing."""

_WRIST, _MIDDLE_KNUCKLE, _PALM = 0, 9, (0, 5, 9, 13, 17)
# MediaPipe's landmarks.


def measure(time_s, sample, landmarks_px, segments=None):
    """How many hands are seen at once.

    Parameters
    ----------
    time_s : array (sample,)
        Times of the samples, s, rising: `detection.frame_sampling.HandSamples.time_s`.
    sample : int array (hand,)
        The sample that a hand was seen in.
    landmarks_px : array (hand, landmark 21, xy 2)
    segments : sequence of (start_s, end_s), optional
        Playable parts of the video: samples outside of them do not count. All count where it is left out.

    Returns
    -------
    dict
        `samples` (count); `one_hand_seen`, `two_hands_seen`: shares of them that show at least so many hands, 0..1;
        `more_than_two_hands`: share of those that show any hand, 0..1; `most_hands` in one sample. 0 where there is none.
    """
    sample = np.asarray(sample, dtype=np.int64)
    real = moving(sample, landmarks_px, len(time_s))
    hands, moved = (np.bincount(sample[which], minlength=len(time_s)) for which in (slice(None), real))
    if segments is not None:
        hands, moved = (counts[within(time_s, segments)] for counts in (hands, moved))
    # A thing is in most pictures: without it, two hands and it are two.
    several = np.where(hands > ONE_PLAYER, np.maximum(moved, np.minimum(hands, ONE_PLAYER)), hands)
    seen = several[several > 0]
    return {
        "samples": len(hands),
        "one_hand_seen": len(seen) / max(len(hands), 1),
        "two_hands_seen": float((hands >= ONE_PLAYER).sum() / max(len(hands), 1)),
        "more_than_two_hands": float((seen > ONE_PLAYER).sum() / max(len(seen), 1)),
        "most_hands": int(seen.max(initial=0)),
    }


def moving(sample, landmarks_px, n_samples):
    """Which finds are not at the same place throughout the video, bool array (hand,); parameters as of `measure`."""
    landmarks_px = np.asarray(landmarks_px, dtype=np.float64).reshape(-1, 21, 2)
    if n_samples < LEAST_STILL_SAMPLES or not len(landmarks_px):
        return np.ones(len(landmarks_px), dtype=bool)
    centre = landmarks_px[:, _PALM].mean(axis=1)
    length = np.linalg.norm(landmarks_px[:, _MIDDLE_KNUCKLE] - landmarks_px[:, _WRIST], axis=-1)
    still = np.array(
        [len(np.unique(sample[np.linalg.norm(centre - at, axis=-1) < STILL_PALMS * palm])) for at, palm in zip(centre, length, strict=True)]
    )
    return still < STILL_SHARE * n_samples


def decide(scores, max_more_than_two_hands, min_one_hand_seen=0.0, min_two_hands_seen=0.0):
    """Compare with the greatest share of samples that may show more than two hands, and the least that must show one, and two.

    Each limit is accepted itself. A video without samples has shown nothing yet: it passes.

    Parameters
    ----------
    scores : dict
        Of `measure`.
    max_more_than_two_hands, min_one_hand_seen, min_two_hands_seen : float, 0..1

    Returns
    -------
    tuple of Reason
        Empty where one person plays, with both hands often enough.
    """
    if not scores["samples"]:
        return ()
    if scores["more_than_two_hands"] > max_more_than_two_hands:
        return (Reason.MORE_THAN_TWO_HANDS,)
    if scores["one_hand_seen"] >= min_one_hand_seen and scores["two_hands_seen"] >= min_two_hands_seen:
        return ()
    return (Reason.HANDS_RARELY_VISIBLE,) if scores["one_hand_seen"] > 0.0 else (Reason.NO_HANDS,)
