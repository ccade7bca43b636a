"""Rigid alignment of point sets before they are compared (Kabsch 1976, doi:10.1107/S0567739476001873; scale: Umeyama 1991,
doi:10.1109/34.88573).
"""

from typing import NamedTuple

import numpy as np


class Alignment(NamedTuple):
    """Result of `procrustes`. For each point, scale * rotation @ point + translation is approximately the target.

    Attributes
    ----------
    points : array (..., n, d)
        The aligned points, in the unit of the target.
    rotation : array (..., d, d)
        Proper rotation (determinant 1).
    translation : array (..., d)
    scale : array (...)
        1 if no scale is fitted.
    """

    points: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray
    scale: np.ndarray


def procrustes(points, target, with_scale=False):
    """Align each point set with its target by the least-squares rotation and translation.

    Parameters
    ----------
    points, target : array (..., n, d)
        Sets of n corresponding points, such as (frame, 21, 3) joints in metres.
    with_scale : bool
        Whether to fit a scale per set as well. Without a scale, errors of the hand's size remain.

    Returns
    -------
    Alignment
        All NaN for a set in which any coordinate of `points` or `target` is NaN.
    """
    points, target = np.broadcast_arrays(np.asarray(points, dtype=np.float64), np.asarray(target, dtype=np.float64))
    lead, dimensions = points.shape[:-2], points.shape[-1]
    valid = np.isfinite(points).all(axis=(-1, -2)) & np.isfinite(target).all(axis=(-1, -2))
    points = np.where(valid[..., None, None], points, np.nan)
    target = np.where(valid[..., None, None], target, np.nan)
    from_mean, to_mean = points.mean(axis=-2), target.mean(axis=-2)
    centred = points - from_mean[..., None, :]
    covariance = np.swapaxes(target - to_mean[..., None, :], -1, -2) @ centred
    left, singular, right = np.linalg.svd(np.where(valid[..., None, None], covariance, np.eye(dimensions)))
    sign = np.ones((*lead, dimensions))
    # A negative determinant means that a reflection would fit better. The best proper rotation is found by changing the sign of
    # the axis with the smallest singular value.
    sign[..., -1] = np.sign(np.linalg.det(left @ right))
    rotation = np.where(valid[..., None, None], (left * sign[..., None, :]) @ right, np.nan)
    scale = np.where(valid, 1.0, np.nan)
    if with_scale:
        scale = (singular * sign).sum(axis=-1) / (centred**2).sum(axis=(-1, -2))
    translation = to_mean - scale[..., None] * np.einsum("...ij,...j->...i", rotation, from_mean)
    moved = scale[..., None, None] * centred @ np.swapaxes(rotation, -1, -2) + to_mean[..., None, :]
    return Alignment(moved, rotation, translation, scale)
