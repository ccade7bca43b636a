"""Measure how many hands are visible at the same time: one person with two hands, or several people.

Detection errors, such as a reflection in the fallboard or a hand detected twice, give more than two hands in a few frames. Two people
at one piano show more than two hands in most frames. A "hand" at the same position throughout the video is an object, such as a
picture on the wall. This criterion uses only sampled frames, so that videos without hands are rejected before hands are detected in
every frame. Its minimums are therefore lower than those of the criterion `visibility`.
"""

import numpy as np

from handroll.editing.segments import within

HANDS_OF_ONE_PERSON = 2
"""Maximum number of hands of one person."""

STATIC_DISTANCE = 0.08
"""Maximum distance between the palm centres of detections at the same position, in palm lengths. Playing hands move farther, except in
five-finger exercises. So static detections are removed only from samples with more than `HANDS_OF_ONE_PERSON` hands."""

STATIC_SHARE = 0.6
"""Minimum share of the samples, 0..1, in which an object is detected at the same position."""

MIN_STATIC_SAMPLES = 10
"""Minimum number of samples for the search for objects. In fewer samples, a hand may by chance be at one position in most of them."""

# Indices of MediaPipe's hand landmarks: wrist, knuckle of the middle finger, and the landmarks whose mean is the centre of the palm.
_WRIST, _MIDDLE_KNUCKLE, _PALM = 0, 9, (0, 5, 9, 13, 17)


def measure_performers(time_s, sample, landmarks_px, segments=None):
    """Measure how many hands are visible at the same time.

    Parameters
    ----------
    time_s : array (sample,)
        Times of the sampled frames, s, increasing.
    sample : int array (hand,)
        For each detected hand, the index of its sample.
    landmarks_px : array (hand, landmark 21, xy 2)
        MediaPipe's landmarks of each detected hand, pixels.
    segments : sequence of (start_s, end_s), optional
        Usable segments, s: only samples within them count. Default: all samples count.

    Returns
    -------
    dict
        `samples`: number of samples. `one_hand_seen`, `two_hands_seen`: share of the samples with at least one hand, and with at
        least two hands, 0..1. `more_than_two_hands`: number of samples with more than two hands, divided by the number of samples
        with a hand, 0..1. `most_hands`: maximum number of hands in one sample. All are 0 without samples.
    """
    sample = np.asarray(sample, dtype=np.int64)
    moving = is_moving(sample, landmarks_px, len(time_s))
    all_hands, moving_hands = (np.bincount(sample[chosen], minlength=len(time_s)) for chosen in (slice(None), moving))
    if segments is not None:
        all_hands, moving_hands = (counts[within(time_s, segments)] for counts in (all_hands, moving_hands))
    # A static object must not count as a third hand.
    hands = np.where(all_hands > HANDS_OF_ONE_PERSON, np.maximum(moving_hands, HANDS_OF_ONE_PERSON), all_hands)
    with_hands = hands[hands > 0]
    return {
        "samples": len(hands),
        "one_hand_seen": len(with_hands) / max(len(hands), 1),
        "two_hands_seen": float((all_hands >= HANDS_OF_ONE_PERSON).sum() / max(len(hands), 1)),
        "more_than_two_hands": float((with_hands > HANDS_OF_ONE_PERSON).sum() / max(len(with_hands), 1)),
        "most_hands": int(with_hands.max(initial=0)),
    }


def is_moving(sample, landmarks_px, n_samples):
    """Return which detections move: those that are not at the same position in `STATIC_SHARE` of the samples.

    Parameters
    ----------
    sample, landmarks_px
        Same as in `measure_performers`.
    n_samples : int
        Number of samples.

    Returns
    -------
    bool array (hand,)
    """
    landmarks_px = np.asarray(landmarks_px, dtype=np.float64).reshape(-1, 21, 2)
    if n_samples < MIN_STATIC_SAMPLES or not len(landmarks_px):
        return np.ones(len(landmarks_px), dtype=bool)
    centres = landmarks_px[:, _PALM].mean(axis=1)
    lengths = np.linalg.norm(landmarks_px[:, _MIDDLE_KNUCKLE] - landmarks_px[:, _WRIST], axis=-1)
    samples_nearby = np.array(
        [
            len(np.unique(sample[np.linalg.norm(centres - centre, axis=-1) < STATIC_DISTANCE * length]))
            for centre, length in zip(centres, lengths, strict=True)
        ]
    )
    return samples_nearby < STATIC_SHARE * n_samples
