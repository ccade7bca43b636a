"""Mean distance between samples for the same clip (multimodality), and between motions of different clips (diversity).

Both are common metrics of generated motion (Guo et al. 2020, Action2Motion, doi:10.1145/3394171.3413635). The original metrics compare
features; these compare joints, in millimetres. Neither measures quality. Compare the diversity of a method with the diversity of the
ground truth. The ground truth has one motion per clip, so multimodality has no reference value.
"""

from itertools import combinations

import numpy as np

from handroll.metrics.position import distances
from handroll.metrics.visible_means import checked_visible, visible_mean


def multimodality_mm(samples_mm, visible):
    """Compute the mean distance between the joints of all pairs of samples for one clip.

    Parameters
    ----------
    samples_mm : array (sample, frame, hand 2, joint 21, xyz 3)
        Keyboard frame.
    visible : array (frame, hand 2), bool
        Whether the hand is visible in the ground truth. NaN policy: see `metrics.visible_means`.

    Returns
    -------
    float
        Mean Euclidean distance over pairs, visible frames and joints; NaN for a single sample.
    """
    return _mean_distance(samples_mm, [visible] * len(samples_mm), combinations(range(len(samples_mm)), 2))


def diversity_mm(motions_mm, visible, seed=0):
    """Compute the mean distance between the joints of motions of different clips.

    Clips are arranged in random cyclic order, and each clip is compared with the next. Every clip has the same weight. Time and memory
    grow linearly with the number of clips.

    Parameters
    ----------
    motions_mm : sequence (clip,) of array (frame, hand 2, joint 21, xyz 3)
        One motion per clip, in the keyboard frame. Two motions are accessed at a time.
    visible : sequence (clip,) of array (frame, hand 2), bool
        Whether the hand is visible in the ground truth. A pair of clips is compared in those frames and hands that are visible in both.
        A pair without such frames is left out. NaN policy: see `metrics.visible_means`.
    seed : int
        Random seed of the order of clips.

    Returns
    -------
    float
        Mean Euclidean distance over pairs, visible frames and joints; NaN for a single clip.
    """
    order = np.random.default_rng(seed).permutation(len(motions_mm))
    return _mean_distance(motions_mm, visible, zip(order, np.roll(order, 1), strict=True) if len(order) > 1 else ())


def _mean_distance(motions, visible, pairs):
    """Compute the mean over pairs (i, j) of the mean joint distance of two motions; NaN without pairs."""
    means = []
    for i, j in pairs:
        distance = distances(motions[i], motions[j])
        both = checked_visible(visible[i], distance.shape) & checked_visible(visible[j], distance.shape)
        if both.any():
            means.append(visible_mean(distance, both))
    return float(np.mean(means)) if means else float("nan")
