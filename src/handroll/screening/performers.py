"""Measure how many hands are visible at the same time: one person with two hands, or several people.

More than two detections in a few frames are errors: a reflection in the fallboard, a hand detected twice. Two people at one piano
show more than two hands most of the time. A "hand" at the same position throughout the video is an object, such as an image on the
wall. This criterion rejects videos without hands before the detection in every frame, so its minimums are lower than those of
`visibility`.
"""

import numpy as np

from handroll.editing.segments import within

HANDS_OF_ONE_PERSON = 2

STATIC_DISTANCE = 0.08
"""Detections whose palm centres are closer than this are at the same position (palm lengths). Playing hands move farther, except in
five-finger exercises; so static detections are removed only where they would add a second person."""

STATIC_SHARE = 0.6
"""Detections at the same position in this share of the samples are an object, not a hand."""

MIN_STATIC_SAMPLES = 10
"""Minimum number of samples for finding objects: in fewer samples a hand may rest at one position in most of them."""

# MediaPipe's landmarks.
_WRIST, _MIDDLE_KNUCKLE, _PALM = 0, 9, (0, 5, 9, 13, 17)


def measure_performers(time_s, sample, landmarks_px, segments=None):
    """Measure how many hands are visible at the same time.

    Parameters
    ----------
    time_s : array (sample,)
        Times of the sampled frames, s, increasing.
    sample : int array (hand,)
        Index of the sample of each detected hand.
    landmarks_px : array (hand, landmark 21, xy 2)
    segments : sequence of (start_s, end_s), optional
        Usable segments: other samples do not count. Default: all samples count.

    Returns
    -------
    dict
        `samples` (count); `one_hand_seen`, `two_hands_seen`: shares of the samples with at least one and two hands, 0..1;
        `more_than_two_hands`: share of the samples with any hand, 0..1; `most_hands`: maximum number of hands in one sample. All 0
        without samples.
    """
    sample = np.asarray(sample, dtype=np.int64)
    moving = is_moving(sample, landmarks_px, len(time_s))
    all_hands, moving_hands = (np.bincount(sample[chosen], minlength=len(time_s)) for chosen in (slice(None), moving))
    if segments is not None:
        all_hands, moving_hands = (counts[within(time_s, segments)] for counts in (all_hands, moving_hands))
    # A static object is in most samples: do not count it as a third hand.
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
    """Find the detections that are not at the same position throughout the video.

    Parameters
    ----------
    sample, landmarks_px
        As for `measure_performers`.
    n_samples : int

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
