"""Convert, unwrap, interpolate and mirror rotations. Axis-angle vectors are in radians.

Conversions use `scipy.spatial.transform.Rotation`, extended to any leading shape. NaN policy: a vector with a NaN component
gives NaN and does not affect its neighbours.
"""

from math import prod

import numpy as np
from scipy.spatial.transform import Rotation

TURN = 2.0 * np.pi
"""A full turn, radians."""


def _rotation(rotvec):
    """Return the SciPy rotation of axis-angle vectors (n, 3), and the mask (n,) of vectors without NaN.

    A vector with NaN becomes the identity.
    """
    flat = np.asarray(rotvec, dtype=np.float64).reshape(-1, 3)
    valid = np.isfinite(flat).all(axis=1)
    return Rotation.from_rotvec(np.where(valid[:, None], flat, 0.0)), valid


def matrix_from_rotvec(rotvec):
    """Convert axis-angle vectors to rotation matrices.

    Parameters
    ----------
    rotvec : array (..., 3), rad

    Returns
    -------
    array (..., 3, 3), float64; NaN where the vector is NaN.
    """
    rotation, valid = _rotation(rotvec)
    matrix = rotation.as_matrix()
    matrix[~valid] = np.nan
    return matrix.reshape(*np.shape(rotvec)[:-1], 3, 3)


def rotvec_from_matrix(matrix):
    """Convert rotation matrices (..., 3, 3) to axis-angle vectors (..., 3) of length at most pi, rad; NaN where the matrix is NaN."""
    return _rotvec(matrix, orthonormal=False)


def _rotvec(matrix, orthonormal):
    """Convert rotation matrices to axis-angle vectors; see `rotvec_from_matrix`.

    If `orthonormal` is true, SciPy's costly test for orthonormal matrices is skipped. Products of rotations always pass this test.
    """
    flat = np.asarray(matrix, dtype=np.float64).reshape(-1, 3, 3)
    valid = np.isfinite(flat).all(axis=(1, 2))
    rotvec = Rotation.from_matrix(np.where(valid[:, None, None], flat, np.eye(3)), assume_valid=orthonormal).as_rotvec()
    rotvec[~valid] = np.nan
    return rotvec.reshape(*np.shape(matrix)[:-2], 3)


def quaternion_from_rotvec(rotvec):
    """Convert axis-angle vectors (..., 3), rad, to unit quaternions (..., xyzw 4); NaN where the vector is NaN."""
    rotation, valid = _rotation(rotvec)
    quaternion = rotation.as_quat()
    quaternion[~valid] = np.nan
    return quaternion.reshape(*np.shape(rotvec)[:-1], 4)


def rotvec_from_quaternion(quaternion):
    """Convert quaternions (..., xyzw 4) to axis-angle vectors (..., 3) of length at most pi, rad; NaN where the quaternion is NaN."""
    flat = np.asarray(quaternion, dtype=np.float64).reshape(-1, 4)
    valid = np.isfinite(flat).all(axis=1)
    rotvec = Rotation.from_quat(np.where(valid[:, None], flat, (0.0, 0.0, 0.0, 1.0))).as_rotvec()
    rotvec[~valid] = np.nan
    return rotvec.reshape(*np.shape(quaternion)[:-1], 3)


def compose(first, second):
    """Compose rotations: return the axis-angle vectors (..., 3), rad, of the matrix products R(first) R(second)."""
    return _rotvec(matrix_from_rotvec(first) @ matrix_from_rotvec(second), orthonormal=True)


def unwrap_rotvec(rotvec):
    """Unwrap axis-angle vectors over time: choose for each frame the equivalent vector nearest to the last valid frame.

    The vectors theta * u and (theta + 2 pi k) * u describe the same rotation for every integer k. Plots and linear filters need
    consecutive vectors that are close.

    Parameters
    ----------
    rotvec : array (time, ..., 3), rad. NaN frames are skipped and stay NaN.

    Returns
    -------
    array (time, ..., 3), float64, rad. The distance between the vectors of consecutive valid frames is the minimum over all k.
    """
    rotvec = np.asarray(rotvec, dtype=np.float64)
    series = rotvec.reshape(rotvec.shape[0], prod(rotvec.shape[1:-1]), 3)
    start = np.zeros((1, *series.shape[1:]))
    valid = np.isfinite(series).all(axis=-1)
    # Number of the last valid frame up to each frame (`last_valid`), and before each frame (`before`). Frames count from 1, and 0 stands
    # for the zero vector `start`.
    last_valid = np.maximum.accumulate(np.where(valid, np.arange(1, len(series) + 1)[:, None], 0), axis=0)
    before = np.concatenate([np.zeros((1, last_valid.shape[1]), dtype=last_valid.dtype), last_valid[:-1]])
    out, turns = _nearest_to(np.take_along_axis(np.concatenate([start, series]), before[..., None], axis=0), series)
    # A series without wraps, such as the rotation of a finger joint, is complete here. The others are unwrapped frame by frame.
    wrapped = np.flatnonzero(((turns != 0.0) & valid).any(axis=0))
    last = start[0, wrapped]
    for t in range(len(series) if len(wrapped) else 0):
        unwrapped, turns = _nearest_to(last, series[t, wrapped])
        out[t, wrapped] = unwrapped
        last = np.where(np.isfinite(turns)[:, None], unwrapped, last)
    return out.reshape(rotvec.shape)


def _nearest_to(last, vector):
    """Return the vectors (..., 3) that describe the same rotations as `vector` and are nearest to `last`, and the number of turns (...,).

    The number of turns is the number of full turns that are added to each axis-angle vector.

    Both are NaN where a vector is NaN.
    """
    angle, last_angle = np.linalg.norm(vector, axis=-1), np.linalg.norm(last, axis=-1)
    # At angle 0 there is no axis: every multiple of a full turn about the last axis is the same rotation.
    last_axis = last / np.maximum(last_angle, 1e-12)[..., None]
    axis = np.where((angle > 1e-9)[..., None], vector / np.maximum(angle, 1e-12)[..., None], last_axis)
    turns = np.round((np.einsum("...i,...i->...", last, axis) - angle) / TURN)
    return vector + (turns * TURN)[..., None] * axis, turns


def slerp(start, end, fraction):
    """Interpolate rotations spherically, along the shortest rotation from `start` to `end`.

    Parameters
    ----------
    start, end : array (..., 3), rad
    fraction : array broadcastable to (...)
        0 gives `start`, 1 gives `end`.

    Returns
    -------
    array (..., 3), rad, length at most pi (Shoemake 1985, doi:10.1145/325165.325242).
    """
    first, last = np.broadcast_arrays(quaternion_from_rotvec(start), quaternion_from_rotvec(end))
    last = np.where((first * last).sum(axis=-1, keepdims=True) < 0.0, -last, last)
    half_turn = 2.0 * np.arctan2(*(np.linalg.norm(part, axis=-1, keepdims=True) for part in (last - first, last + first)))
    share = np.asarray(fraction, dtype=np.float64)[..., None]
    # The weights of slerp have a common divisor, the sine of the whole angle. It is left out, since `rotvec_from_quaternion` normalises.
    ends = ((1.0 - share, first), (share, last))
    return rotvec_from_quaternion(sum(part * np.sinc(part * half_turn / np.pi) * quaternion for part, quaternion in ends))


def mirrored(rotvec):
    """Mirror rotations across the y-z plane: (x, -y, -z), since rotation axes are axial vectors.

    Converts a right hand's rotations (..., 3) to those of the mirrored left hand, and back.
    """
    return np.asarray(rotvec) * np.array([1.0, -1.0, -1.0])
