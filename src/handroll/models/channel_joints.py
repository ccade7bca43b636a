"""Joints of a motion in the models' convention of the keyboard frame, computed in torch so that a loss can use them."""

import torch

from handroll.hand.skeleton import HANDS, N_ROTATIONS
from handroll.keyboard.geometry import LEVEL_HAND
from handroll.pose.differentiable_hand import exponential
from handroll.pose.hand_models import TemplateSkeleton
from handroll.training_data.model_frame import RIGHT_FIRST


def channel_joints(position, pose, scale):
    """Compute the joints of handroll's open hand from channels. The lengths of the bones depend only on `scale`.

    Parameters
    ----------
    position : tensor (..., 6)
        Wrists, mm, right hand first.
    pose : tensor (..., 96)
        Joint rotations, rad, right hand first.
    scale : tensor (..., hand 2)
        Bone scales, right hand first.

    Returns
    -------
    tensor (..., hand 2, joint 21, xyz 3)
        Joints in the order of `skeleton.JOINTS`, mm, keyboard frame; right hand first, the left hand mirrored.
    """
    rotation = exponential(pose.unflatten(-1, (len(HANDS), N_ROTATIONS, 3)))[0]
    level = torch.as_tensor(LEVEL_HAND[RIGHT_FIRST[0]], dtype=rotation.dtype, device=rotation.device)
    rotation = torch.cat([level @ rotation[..., :1, :, :], rotation[..., 1:, :, :]], dim=-3)
    joints = TemplateSkeleton().joints(rotation, None, 1.0)
    reach = 1e3 * scale[..., None, None] * (joints - joints[..., :1, :])
    return position.unflatten(-1, (len(HANDS), 1, 3)) + reach
