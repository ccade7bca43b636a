"""Forward kinematics on MANO's topology: rotations and a translation become 21 joint positions.

Convention, as MANO's: the root rotation turns the hand about the wrist, then the translation is added, so the wrist
stands at `bone_scale * wrist + translation`. A left hand is the mirror image in x of a right hand.
"""

import numpy as np

from handroll.hand.rotations import matrix_from_rotvec, mirrored
from handroll.hand.skeleton import N_JOINTS, N_ROTATIONS, PARENTS
from handroll.hand.template import open_hand

MIRROR = np.array([-1.0, 1.0, 1.0])
"""What turns a right hand's coordinates into a left hand's."""


def hand_joints(rotation, translation_m, bone_scale, hand, template=None):
    """Joint positions of posed hands.

    Parameters
    ----------
    rotation : array (..., 48), rad
        Axis-angle of the 16 MANO joints: 3 global, then 15 x 3 relative to the parent, zero = flat open hand.
    translation_m : array (..., 3)
        Metres, camera frame.
    bone_scale : float or array (...)
        Size relative to the template (1 = a hand of 186 mm).
    hand : {"left", "right"}
    template : HandTemplate, optional
        The right hand at rest; the open hand by default.

    Returns
    -------
    array (..., 21, 3)
        `skeleton.JOINTS`, metres, the frame of `translation_m`; NaN where any input of that pose is NaN.
    """
    joints, _ = posed_frames(rotation, translation_m, bone_scale, hand, template)
    return joints


def open_hand_joints(rotation, translation_m, betas, bone_scale, hand):
    """`hand_joints` of the open hand, which has no shape: `betas` (..., 10) are not used."""
    return hand_joints(rotation, translation_m, bone_scale, hand)


def posed_frames(rotation, translation_m, bone_scale, hand, template=None):
    """As `hand_joints`, with the world orientation of every rotating joint.

    Returns
    -------
    joints_m : array (..., 21, 3)
    orientation : array (..., 16, 3, 3)
        World rotation of each MANO joint; of a left hand, of the left hand itself.
    """
    template = template or open_hand()
    rotation = np.asarray(rotation, dtype=np.float64)
    local = rotation.reshape(*rotation.shape[:-1], N_ROTATIONS, 3)
    translation = np.asarray(translation_m, dtype=np.float64)
    rest = template.joints_m * (MIRROR if hand == "left" else 1.0)
    scale = np.asarray(bone_scale, dtype=np.float64)[..., None]
    turned = matrix_from_rotvec(local)
    lead = np.broadcast_shapes(local.shape[:-2], translation.shape[:-1], scale.shape[:-1])
    orientation = np.empty((*lead, N_ROTATIONS, 3, 3))
    joints = np.empty((*lead, N_JOINTS, 3))
    orientation[..., 0, :, :] = turned[..., 0, :, :]
    joints[..., 0, :] = scale * rest[0] + translation
    for joint in range(1, N_JOINTS):
        parent = PARENTS[joint]
        bone = scale * (rest[joint] - rest[parent])
        joints[..., joint, :] = joints[..., parent, :] + np.einsum("...ij,...j->...i", orientation[..., parent, :, :], bone)
        if joint < N_ROTATIONS:
            orientation[..., joint, :, :] = orientation[..., parent, :, :] @ turned[..., joint, :, :]
    return joints, orientation


def mirrored_pose(rotation):
    """The pose (..., 48) of the other hand in the mirror (across y-z): same joint angles, other side."""
    rotation = np.asarray(rotation)
    return mirrored(rotation.reshape(*rotation.shape[:-1], N_ROTATIONS, 3)).reshape(rotation.shape)
