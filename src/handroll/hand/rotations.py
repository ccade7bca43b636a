"""Rotations as series: conversion, continuity, interpolation. Axis-angle vectors in radians throughout.

Conversions are SciPy's (`scipy.spatial.transform.Rotation`), widened to any leading shape. NaN policy: a vector with a
NaN component stays NaN and never touches its neighbours.
"""

from math import prod

import numpy as np
from scipy.spatial.transform import Rotation

TURN = 2.0 * np.pi


def _rotation(rotvec):
    """SciPy rotation of the flattened vectors, NaN rows as the identity, with the mask of valid rows."""
    flat = np.asarray(rotvec, dtype=np.float64).reshape(-1, 3)
    valid = np.isfinite(flat).all(axis=1)
    return Rotation.from_rotvec(np.where(valid[:, None], flat, 0.0)), valid


def matrix_from_rotvec(rotvec):
    """Rotation matrices of axis-angle vectors.

    Parameters
    ----------
    rotvec : array (..., 3), rad

    Returns
    -------
    array (..., 3, 3), float64; NaN where the vector is.
    """
    rotation, valid = _rotation(rotvec)
    matrix = rotation.as_matrix()
    matrix[~valid] = np.nan
    return matrix.reshape(*np.shape(rotvec)[:-1], 3, 3)


def rotvec_from_matrix(matrix):
    """Axis-angle vectors, of length at most pi, of rotation matrices (..., 3, 3); NaN where the matrix is."""
    return _rotvec(matrix, orthonormal=False)


def _rotvec(matrix, orthonormal):
    """As `rotvec_from_matrix`; matrices known to be orthonormal, as products of rotations are, are spared SciPy's costly test."""
    flat = np.asarray(matrix, dtype=np.float64).reshape(-1, 3, 3)
    valid = np.isfinite(flat).all(axis=(1, 2))
    rotvec = Rotation.from_matrix(np.where(valid[:, None, None], flat, np.eye(3)), assume_valid=orthonormal).as_rotvec()
    rotvec[~valid] = np.nan
    return rotvec.reshape(*np.shape(matrix)[:-2], 3)


def quaternion_from_rotvec(rotvec):
    """Unit quaternions (x, y, z, w) of axis-angle vectors (..., 3); NaN where the vector is."""
    rotation, valid = _rotation(rotvec)
    quaternion = rotation.as_quat()
    quaternion[~valid] = np.nan
    return quaternion.reshape(*np.shape(rotvec)[:-1], 4)


def rotvec_from_quaternion(quaternion):
    """Axis-angle vectors, of length at most pi, of quaternions (..., 4) as (x, y, z, w); NaN where the quaternion is."""
    flat = np.asarray(quaternion, dtype=np.float64).reshape(-1, 4)
    valid = np.isfinite(flat).all(axis=1)
    rotvec = Rotation.from_quat(np.where(valid[:, None], flat, (0.0, 0.0, 0.0, 1.0))).as_rotvec()
    rotvec[~valid] = np.nan
    return rotvec.reshape(*np.shape(quaternion)[:-1], 3)


def compose(first, second):
    """Axis-angle of rotation `first` after `second`: R(first) R(second); both (..., 3), rad."""
    return _rotvec(matrix_from_rotvec(first) @ matrix_from_rotvec(second), orthonormal=True)


def angle_between(first, second):
    """Geodesic distance in radians, [0, pi], between rotations given as axis-angle (..., 3)."""
    relative = np.swapaxes(matrix_from_rotvec(first), -1, -2) @ matrix_from_rotvec(second)
    return np.linalg.norm(_rotvec(relative, orthonormal=True), axis=-1)


def continuous(rotvec):
    """The same rotations, each on the sheet nearest to the one before it in time.

    An axis-angle vector r = theta * u and every (theta + 2 pi k) * u are one rotation. Plots and linear filters need
    consecutive vectors that are close, so each frame takes the k that is nearest to the last valid frame.

    Parameters
    ----------
    rotvec : array (time, ..., 3), rad. NaN frames are skipped and stay NaN.

    Returns
    -------
    array (time, ..., 3), float64, rad. Within a series, `|r[t] - r[t-1]|` is the least that any choice of k allows.
    """
    rotvec = np.asarray(rotvec, dtype=np.float64)
    series = rotvec.reshape(rotvec.shape[0], prod(rotvec.shape[1:-1]), 3)
    start = np.zeros((1, *series.shape[1:]))
    valid = np.isfinite(series).all(axis=-1)
    # Rows of the series behind `start`: the last valid one before each frame.
    seen = np.maximum.accumulate(np.where(valid, np.arange(1, len(series) + 1)[:, None], 0), axis=0)
    before = np.concatenate([np.zeros((1, seen.shape[1]), dtype=seen.dtype), seen[:-1]])
    out, turns = _nearest_to(np.take_along_axis(np.concatenate([start, series]), before[..., None], axis=0), series)
    # A series that stays on its sheet, as those of fingers do, is done; the others go step by step.
    moving = np.flatnonzero(((turns != 0.0) & valid).any(axis=0))
    last = start[0, moving]
    for t in range(len(series) if len(moving) else 0):
        moved, turns = _nearest_to(last, series[t, moving])
        out[t, moving] = moved
        last = np.where(np.isfinite(turns)[:, None], moved, last)
    return out.reshape(rotvec.shape)


def _nearest_to(last, vector):
    """Vectors (..., 3) of the same rotations, each nearest to the last, and by how many turns (...,); NaN where a vector is."""
    angle, last_angle = np.linalg.norm(vector, axis=-1), np.linalg.norm(last, axis=-1)
    # Without an axis (angle 0) every multiple of a whole turn about the last axis is the same rotation.
    last_axis = last / np.maximum(last_angle, 1e-12)[..., None]
    axis = np.where((angle > 1e-9)[..., None], vector / np.maximum(angle, 1e-12)[..., None], last_axis)
    turns = np.round((np.einsum("...i,...i->...", last, axis) - angle) / TURN)
    return vector + (turns * TURN)[..., None] * axis, turns


def slerp(start, end, fraction):
    """Spherical interpolation: the shortest rotation from `start` to `end`, taken by `fraction`.

    Parameters
    ----------
    start, end : array (..., 3), rad
    fraction : array broadcastable to (...), 0 gives `start`, 1 gives `end`

    Returns
    -------
    array (..., 3), rad, length at most pi (Shoemake 1985, doi:10.1145/325165.325242).
    """
    first, last = np.broadcast_arrays(quaternion_from_rotvec(start), quaternion_from_rotvec(end))
    last = np.where((first * last).sum(axis=-1, keepdims=True) < 0.0, -last, last)
    half_turn = 2.0 * np.arctan2(*(np.linalg.norm(way, axis=-1, keepdims=True) for way in (last - first, last + first)))
    share = np.asarray(fraction, dtype=np.float64)[..., None]
    # Weights are sines over the sine of the whole; as quaternions are normalised, a common factor has no say.
    ends = ((1.0 - share, first), (share, last))
    return rotvec_from_quaternion(sum(part * np.sinc(part * half_turn / np.pi) * quaternion for part, quaternion in ends))


def mirrored(rotvec):
    """Rotations seen in a mirror across the y-z plane: (x, -y, -z), since rotation axes are axial vectors.

    Maps a right hand's rotations to those of the mirrored left hand, and back.
    """
    return np.asarray(rotvec) * np.array([1.0, -1.0, -1.0])
