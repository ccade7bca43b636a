"""How much motions differ from each other: those made for one clip (multimodality), and those of all clips (diversity).

Both are usual for generated motion (Guo et al. 2020, Action2Motion, doi:10.1145/3394171.3413635), there between features;
here between joints, so that the unit is millimetres. Neither says that a motion is good: judge the diversity by that of the
truth, by the same function. The truth has one motion a clip, so there is no multimodality to compare with.
"""

from itertools import combinations

import numpy as np

from handroll.metrics.position import distances
from handroll.metrics.visibility import checked_visible, visible_mean


def multimodality_mm(samples_mm, visible):
    """Mean distance between the motions of each pair of samples of one clip.

    Parameters
    ----------
    samples_mm : array (sample, frame, hand 2, joint 21, xyz 3)
        Keyboard frame.
    visible : array (frame, hand 2), bool
        Where the clip's truth shows the hand. NaN policy: `metrics.visibility`.

    Returns
    -------
    float
        Mean over pairs, visible frames and joints, of the Euclidean distance; NaN of a single sample.
    """
    return _mean_distance(samples_mm, [visible] * len(samples_mm), combinations(range(len(samples_mm)), 2))


def diversity_mm(motions_mm, visible, seed=0):
    """Mean distance between the motions of different clips, over as many pairs as there are clips.

    The clips stand in a ring, in an order drawn by the seed, and each is compared with the next: every clip counts the same,
    and time and memory don't grow with the square of the clips.

    Parameters
    ----------
    motions_mm : sequence (clip,) of array (frame, hand 2, joint 21, xyz 3)
        Keyboard frame, one motion a clip; two are held at a time.
    visible : sequence (clip,) of array (frame, hand 2), bool
        A pair is compared where both are visible, and left out where that is nowhere. NaN policy: `metrics.visibility`.
    seed : int

    Returns
    -------
    float
        Mean over pairs, visible frames and joints, of the Euclidean distance; NaN of a single clip.
    """
    ring = np.random.default_rng(seed).permutation(len(motions_mm))
    return _mean_distance(motions_mm, visible, zip(ring, np.roll(ring, 1), strict=True) if len(ring) > 1 else ())


def _mean_distance(motions, visible, pairs):
    means = []
    for i, j in pairs:
        apart = distances(motions[i], motions[j])
        both = checked_visible(visible[i], apart.shape) & checked_visible(visible[j], apart.shape)
        if both.any():
            means.append(visible_mean(apart, both))
    return float(np.mean(means)) if means else float("nan")
