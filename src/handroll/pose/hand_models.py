"""Skeletons: differentiable joint positions of a hand model in torch, for the refinement over time.

A skeleton is a right hand without translation. Its caller adds the `translation_m` of a pose to the joints, as in `hand.kinematics`.
"""

from typing import Protocol

import numpy as np
import torch

from handroll.hand.skeleton import N_JOINTS, N_ROTATIONS, PARENTS
from handroll.hand.skinning import Skinning
from handroll.hand.template import open_hand

# After the wrist, MANO's joints are sorted by finger: 5 fingers with 3 joints each.
_FINGERS, _LEVELS = 5, 3


class Skeleton(Protocol):
    """Interface of a differentiable right hand with MANO's joints."""

    def joints(self, rotation, betas, bone_scale):
        """Compute the joints of posed hands.

        Parameters
        ----------
        rotation : tensor (..., joint 16, 3, 3)
            Joint 0 is the global rotation; the others are relative to their parents.
        betas : tensor (10,)
            Shape parameters of MANO.
        bone_scale : float
            Size of the hand relative to the template.

        Returns
        -------
        tensor (..., 21, 3)
            Positions of `skeleton.JOINTS` in metres. The wrist is at its rest position. The tensor is differentiable, and has the dtype
            and device of `rotation`.
        """


class TemplateSkeleton:
    """The open hand of `hand.template` in torch, as in `hand.kinematics.hand_joints`. Its only shape parameter is its size."""

    def __init__(self):
        self._bones = np.diff(open_hand().joints_m[np.array([PARENTS, range(N_JOINTS)])], axis=0)[0]
        self._bones[0] = open_hand().joints_m[0]

    def joints(self, rotation, betas, bone_scale):
        """See `Skeleton.joints`; `betas` are ignored."""
        bones = torch.as_tensor(bone_scale * self._bones, dtype=rotation.dtype, device=rotation.device)
        world = orientations(rotation)
        positions = [bones[0].expand(*world.shape[:-3], 3)]
        turned = (world[..., PARENTS[1:], :, :] @ bones[1:, :, None]).squeeze(-1)
        for joint in range(1, N_JOINTS):
            positions.append(positions[PARENTS[joint]] + turned[..., joint - 1, :])
        return torch.stack(positions, dim=-2)


class ManoSkeleton:
    """MANO's right hand.

    Parameters
    ----------
    model : handroll.hand.mano.ManoModel
    """

    def __init__(self, model):
        self._skinning = Skinning(model)

    def joints(self, rotation, betas, bone_scale):
        """See `Skeleton.joints`; `bone_scale` is ignored, because the betas determine MANO's size."""
        betas = betas.to(rotation).expand(*rotation.shape[:-3], -1)
        return self._skinning.to(rotation.device, rotation.dtype).joints(rotation, betas)


def orientations(rotation):
    """Convert rotations (..., joint 16, 3, 3) relative to the parent joints to orientations of the same shape in the camera frame."""
    root = rotation[..., :1, :, :]
    fingers = rotation[..., 1:, :, :].unflatten(-3, (_FINGERS, _LEVELS))
    world, levels = root, []
    for level in range(_LEVELS):
        world = world @ fingers[..., level, :, :]
        levels.append(world)
    return torch.cat([root, torch.stack(levels, dim=-3).flatten(-4, -3)], dim=-3)


def _moved_joints():
    """Return which joints each rotation moves: bool array (joint 21, rotation 16). A rotation does not move its own joint."""
    moves = np.zeros((N_JOINTS, N_ROTATIONS), dtype=bool)
    for joint in range(1, N_JOINTS):
        parent = PARENTS[joint]
        moves[joint] = moves[parent]
        moves[joint, parent] = True
    return moves


# Which joints each rotation moves: bool tensor (joint 21, rotation 16).
_MOVES = torch.from_numpy(_moved_joints())


def joint_jacobian(rotation, joints_m):
    """Compute the derivatives of joint positions with respect to the pose, for rigid bones that rotate about joints.

    For a skinned hand model this is an approximation, which is accurate enough for optimisation steps.

    Parameters
    ----------
    rotation : tensor (..., joint 16, 3, 3)
        Rotations of the joints; see `Skeleton.joints`.
    joints_m : tensor (..., 21, 3)
        Positions of the joints; see `Skeleton.joints`.

    Returns
    -------
    tensor (..., 21, xyz 3, 51)
        Derivatives with respect to small rotations d of each joint (R becomes R exp(d); 16 x 3), and to the translation (3).
    """
    axes = orientations(rotation)  # (..., 16, xyz, axis 3)
    lever = joints_m[..., :, None, :] - joints_m[..., None, :N_ROTATIONS, :]
    lever = torch.where(_MOVES.to(rotation.device)[..., None], lever, 0.0)
    moves = lever.new_zeros(*lever.shape[:-2], 3, 3 * N_ROTATIONS + 3)
    # Component by component, the cross product takes a third of the time of `torch.linalg.cross`, which is slow for broadcast tensors.
    for x, y, z in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        by_rotations = axes[..., None, :, y, :] * lever[..., z, None] - axes[..., None, :, z, :] * lever[..., y, None]
        moves[..., x, : 3 * N_ROTATIONS] = by_rotations.flatten(-2)
        moves[..., x, 3 * N_ROTATIONS + x] = 1.0
    return moves
