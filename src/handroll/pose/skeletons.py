"""Hands that tell in torch where their joints are: what refining over time needs to know of an engine's hand.

A skeleton is the right hand's, without translation: `translation_m` is added to what it gives, as in `hand.kinematics`.
"""

from typing import Protocol

import numpy as np
import torch

from handroll.hand.skeleton import N_JOINTS, N_ROTATIONS, PARENTS
from handroll.hand.skinning import Skinning
from handroll.hand.template import open_hand

_FINGERS, _LEVELS = 5, 3
# MANO's joints behind the wrist: five fingers of three joints, finger by finger.


class Skeleton(Protocol):
    """A right hand of MANO's topology."""

    def joints(self, rotation, betas, bone_scale):
        """Where the joints of posed hands are.

        Parameters
        ----------
        rotation : tensor (..., joint 16, 3, 3)
            0 is global, the others relative to their parents. The result has its float and device, and its gradient flows.
        betas : tensor (10,)
        bone_scale : float

        Returns
        -------
        tensor (..., 21, 3)
            `skeleton.JOINTS`, metres; the wrist at its place at rest.
        """


class TemplateSkeleton:
    """The open hand of `hand.template`: `hand.kinematics.hand_joints` in torch. It has no shape but its size."""

    def __init__(self):
        self._bones = np.diff(open_hand().joints_m[np.array([PARENTS, range(N_JOINTS)])], axis=0)[0]
        self._bones[0] = open_hand().joints_m[0]

    def joints(self, rotation, betas, bone_scale):
        """See `Skeleton.joints`; `betas` are ignored."""
        bones = torch.as_tensor(bone_scale * self._bones, dtype=rotation.dtype, device=rotation.device)
        world = orientations(rotation)
        places = [bones[0].expand(*world.shape[:-3], 3)]
        turned = (world[..., PARENTS[1:], :, :] @ bones[1:, :, None]).squeeze(-1)
        for joint in range(1, N_JOINTS):
            places.append(places[PARENTS[joint]] + turned[..., joint - 1, :])
        return torch.stack(places, dim=-2)


class ManoSkeleton:
    """MANO's right hand.

    Parameters
    ----------
    model : handroll.hand.mano.ManoModel
    """

    def __init__(self, model):
        self._skinning = Skinning(model)

    def joints(self, rotation, betas, bone_scale):
        """See `Skeleton.joints`; `bone_scale` is ignored: MANO's size is in its betas."""
        betas = betas.to(rotation).expand(*rotation.shape[:-3], -1)
        return self._skinning.to(rotation.device, rotation.dtype).joints(rotation, betas)


def orientations(rotation):
    """World orientations (..., joint 16, 3, 3) of MANO's joints from their rotations relative to the parents."""
    root = rotation[..., :1, :, :]
    fingers = rotation[..., 1:, :, :].unflatten(-3, (_FINGERS, _LEVELS))
    world, levels = root, []
    for level in range(_LEVELS):
        world = world @ fingers[..., level, :, :]
        levels.append(world)
    return torch.cat([root, torch.stack(levels, dim=-3).flatten(-4, -3)], dim=-3)


def _ancestors():
    """Which rotations move which joints: bool array (joint 21, rotation 16). A rotation does not move its own joint."""
    moved = np.zeros((N_JOINTS, N_ROTATIONS), dtype=bool)
    for joint in range(1, N_JOINTS):
        parent = PARENTS[joint]
        moved[joint] = moved[parent]
        moved[joint, parent] = True
    return moved


_MOVED = torch.from_numpy(_ancestors())


def joint_jacobian(rotation, joints_m):
    """How joints move with the pose, as bones turn rigidly about joints; near enough for steps where skin follows a blend.

    Parameters
    ----------
    rotation : tensor (..., joint 16, 3, 3)
    joints_m : tensor (..., 21, 3)

    Returns
    -------
    tensor (..., 21, xyz 3, 51)
        By small turns d of each joint (R becomes R exp(d); 16 x 3), then by the translation.
    """
    axes = orientations(rotation).mT  # (..., 16, axis 3, xyz)
    lever = joints_m[..., :, None, :] - joints_m[..., None, :N_ROTATIONS, :]
    lever = torch.where(_MOVED.to(rotation.device)[..., None], lever, 0.0)
    by_turns = torch.linalg.cross(axes[..., None, :, :, :], lever[..., None, :]).flatten(-3, -2).mT
    by_place = torch.eye(3, dtype=rotation.dtype, device=rotation.device).expand(*by_turns.shape[:-1], 3)
    return torch.cat([by_turns, by_place], dim=-1)
