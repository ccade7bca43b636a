"""Position error of hands, and Euclidean distances between points."""

import numpy as np

from handroll.metrics.visible_means import means_by_hand, visible_mean

AXES = ("x", "y", "z")
"""Axes of the keyboard frame: x along the keyboard, y towards the fallboard, z up."""


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


def axis_scores(positions_mm, truth_mm, visible, playing, idle):
    """Compute the mean absolute position error along each axis: in all frames, and apart while a hand plays and while it is idle.

    A mean distance hides which axis is wrong. Along the keyboard, an error of half a key presses another key; towards the fallboard, the
    same error is often harmless.

    Parameters
    ----------
    positions_mm, truth_mm : array (frame, hand 2, xyz 3)
        Wrists in the keyboard frame.
    visible : array (frame, hand 2), bool
        Whether the hand is visible in the ground truth. NaN policy: see `metrics.visible_means`.
    playing, idle : array (frame, hand 2), bool
        Result of `playing_frames.playing_frames`.

    Returns
    -------
    dict of str to float
        `position_x_error_mm`, `position_y_error_mm` and `position_z_error_mm` of both hands together, and the same with the prefixes
        `playing_` and `idle_`. NaN without such frames.

    Raises
    ------
    ValueError
        The shapes don't match.
    """
    error = np.abs(np.asarray(positions_mm, dtype=np.float64) - np.asarray(truth_mm, dtype=np.float64))
    if error.ndim != 3 or error.shape[2] != len(AXES):
        raise ValueError(
            f"expected two arrays (frame, hand 2, xyz 3) of the same shape, found {np.shape(positions_mm)}, {np.shape(truth_mm)}"
        )
    parts = (("", visible), ("playing_", visible & playing), ("idle_", visible & idle))
    return {
        f"{prefix}position_{axis}_error_mm": visible_mean(error[..., number], shown)
        for prefix, shown in parts
        for number, axis in enumerate(AXES)
    }


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
