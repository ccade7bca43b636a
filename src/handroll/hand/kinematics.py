"""Forward kinematics with MANO's joint tree: compute 21 joint positions from rotations and a translation.

The convention is that of MANO: the global rotation turns the hand about the wrist, then the translation is added. So the wrist is at
`bone_scale * wrist + translation`, where `wrist` is its rest position. A left hand is the mirror image in x of a right hand.
"""

import numpy as np

from handroll.hand.rotations import matrix_from_rotvec, mirrored
from handroll.hand.skeleton import N_JOINTS, N_ROTATIONS, PARENTS
from handroll.hand.template import open_hand

MIRROR = np.array([-1.0, 1.0, 1.0])
"""Factors (x, y, z) that turn the coordinates of a right hand into those of the mirrored left hand."""


def hand_joints(rotation, translation_m, bone_scale, hand):
    """Compute the joint positions of hands with the bones of the open-hand template.

    Parameters
    ----------
    rotation : array (..., 48), rad
        Axis-angle of the 16 MANO joints: 3 global, then 15 x 3 relative to the parent; zero is the flat open hand.
    translation_m : array (..., 3)
        Offset of the wrist from its scaled rest position, metres, camera frame.
    bone_scale : float or array (...)
        Size relative to the template `open_hand`; 1 is a hand of 186 mm.
    hand : {"left", "right"}

    Returns
    -------
    array (..., 21, 3)
        Positions of `skeleton.JOINTS`, metres, in the frame of `translation_m`; NaN where any input of that pose is NaN.
    """
    joints, _ = posed_frames(rotation, translation_m, bone_scale, hand)
    return joints


def open_hand_joints(rotation, translation_m, betas, bone_scale, hand):
    """Call `hand_joints` with the parameters that all pose engines share. `betas` (..., 10) is ignored: the template has one shape."""
    return hand_joints(rotation, translation_m, bone_scale, hand)


def posed_frames(rotation, translation_m, bone_scale, hand):
    """Compute the joint positions and global orientations of hands with the bones of the open-hand template.

    Parameters
    ----------
    rotation, translation_m, bone_scale, hand
        Same as in `hand_joints`.

    Returns
    -------
    joints_m : array (..., 21, 3)
        The result of `hand_joints`.
    orientation : array (..., 16, 3, 3)
        Global rotation matrix of each MANO joint. For a left hand, it is that of the left hand itself, not of its mirror image.
    """
    rotation = np.asarray(rotation, dtype=np.float64)
    local = rotation.reshape(*rotation.shape[:-1], N_ROTATIONS, 3)
    translation = np.asarray(translation_m, dtype=np.float64)
    rest = open_hand().joints_m * (MIRROR if hand == "left" else 1.0)
    scale = np.asarray(bone_scale, dtype=np.float64)[..., None]
    matrices = matrix_from_rotvec(local)
    lead = np.broadcast_shapes(local.shape[:-2], translation.shape[:-1], scale.shape[:-1])
    orientation = np.empty((*lead, N_ROTATIONS, 3, 3))
    joints = np.empty((*lead, N_JOINTS, 3))
    orientation[..., 0, :, :] = matrices[..., 0, :, :]
    joints[..., 0, :] = scale * rest[0] + translation
    for joint in range(1, N_JOINTS):
        parent = PARENTS[joint]
        bone = scale * (rest[joint] - rest[parent])
        joints[..., joint, :] = joints[..., parent, :] + np.einsum("...ij,...j->...i", orientation[..., parent, :, :], bone)
        if joint < N_ROTATIONS:
            orientation[..., joint, :, :] = orientation[..., parent, :, :] @ matrices[..., joint, :, :]
    return joints, orientation


def mirrored_pose(rotation):
    """Mirror hand poses (..., 48), rad, across the y-z plane: convert poses of a right hand to a left hand, or back."""
    rotation = np.asarray(rotation)
    return mirrored(rotation.reshape(*rotation.shape[:-1], N_ROTATIONS, 3)).reshape(rotation.shape)
