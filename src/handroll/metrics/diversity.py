"""Distances between motions: samples for the same clip (multimodality), and motions of different clips (diversity).

Both are common metrics of generated motion (Guo et al. 2020, Action2Motion, doi:10.1145/3394171.3413635), where distances are
between features. Here they are between joints, in millimetres. Neither measures quality: compare the diversity with that of the
ground truth, by the same function. The ground truth has one motion per clip, so multimodality has no reference value.
"""

from itertools import combinations

import numpy as np

from handroll.metrics.position import distances
from handroll.metrics.visible_means import checked_visible, visible_mean


def multimodality_mm(samples_mm, visible):
    """Compute the mean distance between pairs of samples for one clip.

    Parameters
    ----------
    samples_mm : array (sample, frame, hand 2, joint 21, xyz 3)
        Keyboard frame.
    visible : array (frame, hand 2), bool
        Visibility of the hand in the ground truth. NaN policy: `metrics.visible_means`.

    Returns
    -------
    float
        Mean Euclidean distance over pairs, visible frames and joints; NaN for a single sample.
    """
    return _mean_distance(samples_mm, [visible] * len(samples_mm), combinations(range(len(samples_mm)), 2))


def diversity_mm(motions_mm, visible, seed=0):
    """Compute the mean distance between motions of different clips.

    Clips are put in random cyclic order, and each is compared with the next. Every clip has the same weight, and time and memory grow
    linearly with the number of clips.

    Parameters
    ----------
    motions_mm : sequence (clip,) of array (frame, hand 2, joint 21, xyz 3)
        Keyboard frame, one motion per clip; two are accessed at a time.
    visible : sequence (clip,) of array (frame, hand 2), bool
        A pair is compared in frames and hands that are visible in both, left out if there are none. NaN policy: `metrics.visible_means`.
    seed : int

    Returns
    -------
    float
        Mean Euclidean distance over pairs, visible frames and joints; NaN for a single clip.
    """
    order = np.random.default_rng(seed).permutation(len(motions_mm))
    return _mean_distance(motions_mm, visible, zip(order, np.roll(order, 1), strict=True) if len(order) > 1 else ())


def _mean_distance(motions, visible, pairs):
    means = []
    for i, j in pairs:
        distance = distances(motions[i], motions[j])
        both = checked_visible(visible[i], distance.shape) & checked_visible(visible[j], distance.shape)
        if both.any():
            means.append(visible_mean(distance, both))
    return float(np.mean(means)) if means else float("nan")
