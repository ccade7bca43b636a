"""Position error of hands, and Euclidean distances between points."""

import numpy as np

from handroll.metrics.visible_means import means_by_hand


def position_scores(positions_mm, truth_mm, visible):
    """Compute the mean Euclidean distance, in three dimensions, between hand positions and the ground truth over visible frames.

    Parameters
    ----------
    positions_mm, truth_mm : array (frame, hand 2, xyz 3)
        For example the wrists in the keyboard frame.
    visible : array (frame, hand 2), bool
        Whether the hand is visible in the ground truth. NaN policy: see `metrics.visible_means`.

    Returns
    -------
    dict of str to float
        `position_error_mm` of both hands together, `left_position_error_mm` and `right_position_error_mm`. Each visible frame of each
        hand has the same weight.

    Raises
    ------
    ValueError
        The shapes don't match.
    """
    return means_by_hand("position_error_mm", distances(positions_mm, truth_mm), visible)


def distances(a, b):
    """Compute Euclidean distances between corresponding points.

    Parameters
    ----------
    a, b : array (..., xyz 3)

    Returns
    -------
    array (...)

    Raises
    ------
    ValueError
        The shapes differ, or the last axis isn't xyz.
    """
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if a.shape != b.shape or a.shape[-1:] != (3,):
        raise ValueError(f"expected two arrays (..., xyz 3) of the same shape, found {a.shape} and {b.shape}")
    return np.linalg.norm(a - b, axis=-1)
