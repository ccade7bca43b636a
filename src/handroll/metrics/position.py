"""How far the hands are from their true places."""

import numpy as np

from handroll.metrics.visibility import means_by_hand


def position_scores(positions_mm, truth_mm, visible):
    """Mean Euclidean distance of the hands' positions from the truth, all three axes, over visible frames.

    Parameters
    ----------
    positions_mm, truth_mm : array (frame, hand 2, xyz 3)
        Such as the wrists in the keyboard frame.
    visible : array (frame, hand 2), bool
        Where the truth shows the hand. NaN policy: `metrics.visibility`.

    Returns
    -------
    dict of str to float
        `position_error_mm`, each visible frame of each hand weighing the same, `left_position_error_mm` and
        `right_position_error_mm`.

    Raises
    ------
    ValueError
        The shapes don't go together.
    """
    return means_by_hand("position_error_mm", distances(positions_mm, truth_mm), visible)


def distances(a, b):
    """Euclidean distances of corresponding points.

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
        raise ValueError(f"expected two arrays (..., xyz 3) of one shape, found {a.shape} and {b.shape}")
    return np.linalg.norm(a - b, axis=-1)
