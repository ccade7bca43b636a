"""Fit the joint angles of a hand to the targets of its fingertips, and correct its wrist where fingers do not reach their keys.

The correction alternates between two steps: `inverse_kinematics` bends the fingers towards their targets, and the hand moves to the targets
that the fingers missed (alternating projections). In the second step, the wrist is moved by the mean of the missed distances. With
`key_range_mm`, it is also turned, by the rigid motion that fits the missed distances best (least squares, linear for small motions), and
the fingertips slide along their keys.

This module works in millimetres of the keyboard frame.
"""

import numpy as np
from scipy.ndimage import binary_dilation, gaussian_filter1d

from handroll.generation.inverse_kinematics import angles_from_tips, tips_from_angles
from handroll.hand.rotations import matrix_from_rotvec

# Number of iterations of inverse kinematics: first in the initial solution, second after each correction of the wrist.
_FIRST_ITERATIONS, _FOLLOW_ITERATIONS = 12, 4

# Number of corrections of the wrist.
_FOLLOW_ROUNDS = 12

# Standard deviation of the Gaussian that smooths a correction of the wrist over time.
_FOLLOW_S = 0.04

# Fingers that are nearer to their targets than this distance do not count in a correction of the wrist.
_SHORT_MM = 0.5

# Length (mm) that converts a turn of the hand (rad) to a movement of its fingertips.
_ARM_MM = 100.0

# Weight of a movement and of a turn of the hand, relative to the weight of a missed distance of one finger.
_MOVE_WEIGHT, _TURN_WEIGHT = 0.1, 0.3


def fit_hand(target, wrist, orientation, scale, pressed, fps, key_range_mm=None):
    """Find joint angles that move the fingertips to their targets, and correct the wrist where fingers cannot reach their keys.

    Parameters
    ----------
    target : array (frame, finger, xyz 3)
        Targets of the fingertips, mm, world frame.
    wrist : array (frame, xyz 3)
        Planned positions of the wrist, mm, world frame.
    orientation : array (frame, 3, 3)
        Planned rotation matrices from MANO's frame to the world frame.
    scale : float
        Bone scale.
    pressed : array (frame, finger)
        How far each finger has pressed its key: 0 at its idle height, 1 at the bottom of the key.
    fps : float
        Frame rate.
    key_range_mm : (array (frame, finger), array (frame, finger)), optional
        Minimum and maximum y at which each finger may press its key. Only with it is the wrist turned, and only with it do the targets
        slide along the keys.

    Returns
    -------
    wrist, orientation
        Corrected positions and orientations of the wrist.
    angles : array (dof 3, frame, finger)
        Joint angles; see `inverse_kinematics`.
    """
    wrist = wrist.copy()
    local = _to_hand_frame(target, wrist, orientation, scale)
    angles = angles_from_tips(local, iterations=_FIRST_ITERATIONS)
    short = np.linalg.norm(local - tips_from_angles(angles), axis=0) * pressed > _SHORT_MM * 1e-3 / scale
    sigma = _FOLLOW_S * fps

    def smooth(values):
        """Smooth a correction of the frames `frames` over time; it is 0 in other frames. Returns values of all frames."""
        series = np.zeros((len(wrist), *values.shape[1:]))
        series[frames] = values
        return gaussian_filter1d(series, sigma, axis=0, mode="nearest")

    # Corrections are needed only near frames in which a finger does not reach its key: within the range of the smoothing (4 sigma).
    frames = np.flatnonzero(binary_dilation(short.any(1), np.ones(2 * int(np.ceil(4.0 * sigma)) + 1)))
    for _ in range(_FOLLOW_ROUNDS if len(frames) else 0):
        missing = local[:, frames] - tips_from_angles(angles[:, frames])
        missing = np.einsum("tij,jtf->tfi", orientation[frames], missing) * 1e3 * scale
        if key_range_mm is None:
            missing *= pressed[frames, :, None]
            number = (np.linalg.norm(missing, axis=-1) > _SHORT_MM).sum(1)
            wrist += smooth(missing.sum(1) / np.maximum(number, 1)[:, None])
        else:
            y = target[frames, :, 1]
            allowed = np.clip(y - missing[..., 1], *(end[frames] for end in key_range_mm))
            slide = smooth((allowed - y) * pressed[frames])
            target = target + slide[..., None] * np.array([0.0, 1.0, 0.0])
            missing[..., 1] += slide[frames]
            move, turn = _rigid_motion(missing, target[frames] - wrist[frames, None], pressed[frames])
            wrist, orientation = wrist + smooth(move), matrix_from_rotvec(smooth(turn)) @ orientation
        local[:, frames] = _to_hand_frame(target[frames], wrist[frames], orientation[frames], scale)
        angles[:, frames] = angles_from_tips(local[:, frames], angles[:, frames], _FOLLOW_ITERATIONS)
    return wrist, orientation, angles


def _rigid_motion(missing, arm, weight):
    """Find the small rigid motion of a hand that fits the distances that its fingertips miss.

    Parameters
    ----------
    missing : array (frame, finger, xyz 3)
        Vectors from the fingertips to their targets, mm.
    arm : array (frame, finger, xyz 3)
        Vectors from the wrist to the fingertips, mm.
    weight : array (frame, finger)

    Returns
    -------
    move : array (frame, xyz 3)
        Movement of the wrist, mm.
    turn : array (frame, xyz 3)
        Axis-angle vector of the rotation about the wrist, rad.
    """
    x, y, z = np.moveaxis(arm / _ARM_MM, -1, 0)
    zero = np.zeros_like(x)
    # Columns: movement of a fingertip by a movement of the wrist along each axis, and by a turn about each axis (cross product with `arm`).
    turned = np.stack([np.stack([zero, z, -y], -1), np.stack([-z, zero, x], -1), np.stack([y, -x, zero], -1)], -2)
    jacobian = np.concatenate([np.broadcast_to(np.eye(3), turned.shape), turned], -1)
    weighted = weight[..., None, None] * jacobian
    matrix = np.einsum("tfki,tfkj->tij", weighted, jacobian) + np.diag(3 * [_MOVE_WEIGHT] + 3 * [_TURN_WEIGHT])
    motion = np.linalg.solve(matrix, np.einsum("tfki,tfk->ti", weighted, missing)[..., None])[..., 0]
    return motion[:, :3], motion[:, 3:] / _ARM_MM


def _to_hand_frame(points, wrist, orientation, scale):
    """Convert points from the world frame to the frame of `inverse_kinematics`.

    Points (frame, finger, xyz 3) in millimetres become an array (xyz 3, frame, finger) in metres, at bone scale 1, relative to the wrist.
    """
    return np.einsum("tij,tfi->jtf", orientation, points - wrist[:, None]) * 1e-3 / scale
