"""MANO by linear blend skinning in PyTorch: joints or the whole mesh from rotation matrices, differentiable, any device and float.

Axes: (...) = any leading shape, v = vertex, k and j = MANO joint, b = shape coefficient, f = pose feature.
Rotations are relative to the flat hand; there is no translation; everything is the right hand (`mano` mirrors).
Source: Romero et al. 2017, doi:10.1145/3130800.3130883, equations 2 to 4.
"""

import numpy as np
import torch

from handroll.hand.mano import MANO_PARENTS, TIP_VERTICES, ManoError

_BASES, _LEVELS = 5, 3  # MANO's joints behind the wrist: five fingers of three joints, finger by finger


class Skinning(torch.nn.Module):
    """The right hand of a model. Its buffers are licensed data, so they are left out of `state_dict`.

    Parameters
    ----------
    model : handroll.hand.mano.ManoModel
    """

    def __init__(self, model):
        super().__init__()
        if tuple(model.parents) != MANO_PARENTS:
            raise ManoError(f"expected MANO's tree of joints {MANO_PARENTS}, found {tuple(model.parents)}; use MANO_RIGHT.pkl v1.2")
        regressor = model.joint_regressor.astype(np.float64)
        parts = {
            "rest": regressor @ model.template_m,  # joints at betas 0, before any rotation
            "rest_shape": np.einsum("jv,vcb->jcb", regressor, model.shape_directions),
            "template": model.template_m,
            "shape_directions": model.shape_directions,
            "pose_directions": model.pose_directions,
            "weights": model.weights,
        }
        for name, array in parts.items():
            self.register_buffer(name, torch.tensor(np.asarray(array, dtype=np.float32)), persistent=False)
        for name in ("template", "shape_directions", "pose_directions", "weights"):
            self.register_buffer(f"tip_{name}", getattr(self, name)[list(TIP_VERTICES)].contiguous(), persistent=False)

    def joints(self, rotation_matrices, betas):
        """Joints of posed and shaped hands; of the mesh, only the five tips are computed.

        Parameters
        ----------
        rotation_matrices : tensor (..., joint 16, 3, 3)
            0 is global, the others relative to their parents; the buffers' float and device.
        betas : tensor (..., 10)

        Returns
        -------
        tensor (..., 21, 3)
            `skeleton.JOINTS`, metres, MANO's frame. `[..., skeleton.JOINT_OF_LANDMARK, :]` is the order of OpenPose and HaMeR.
        """
        rest, orientation, places = self._frames(rotation_matrices, betas)
        tips = (self.tip_template, self.tip_shape_directions, self.tip_pose_directions, self.tip_weights)
        return torch.cat([places, _skin(*tips, rotation_matrices, betas, rest, orientation, places)], dim=-2)

    def vertices(self, rotation_matrices, betas):
        """The mesh (..., vertex 778, 3), metres, MANO's frame; arguments as of `joints`."""
        mesh = (self.template, self.shape_directions, self.pose_directions, self.weights)
        return _skin(*mesh, rotation_matrices, betas, *self._frames(rotation_matrices, betas))

    def _frames(self, rotations, betas):
        """Rest joints (..., 16, 3), world rotations (..., 16, 3, 3) and places (..., 16, 3) of the joints, all fingers at once."""
        rest = self.rest + torch.einsum("jcb,...b->...jc", self.rest_shape, betas)
        fingers = rotations[..., 1:, :, :].unflatten(-3, (_BASES, _LEVELS))
        rest_fingers = rest[..., 1:, :].unflatten(-2, (_BASES, _LEVELS))
        world, place, before = rotations[..., :1, :, :], rest[..., :1, :], rest[..., :1, :]
        worlds, places = [], []
        for level in range(_LEVELS):
            here = rest_fingers[..., level, :]
            place = place + torch.einsum("...ij,...j->...i", world, here - before)
            world, before = world @ fingers[..., level, :, :], here
            worlds.append(world)
            places.append(place)
        worlds = torch.stack(worlds, dim=-3).flatten(-4, -3)
        places = torch.stack(places, dim=-2).flatten(-3, -2)
        root = rest[..., :1, :].expand(*places.shape[:-2], 1, 3)
        return rest, torch.cat([rotations[..., :1, :, :], worlds], dim=-3), torch.cat([root, places], dim=-2)


def _skin(template, shape_directions, pose_directions, weights, rotations, betas, rest, orientation, places):
    """Points (..., v, 3) of some vertices' template and directions, moved with the joints' frames."""
    identity = torch.eye(3, dtype=rotations.dtype, device=rotations.device)
    feature = (rotations[..., 1:, :, :] - identity).flatten(-3)
    bent = template + torch.einsum("vcb,...b->...vc", shape_directions, betas)
    bent = bent + torch.einsum("vcf,...f->...vc", pose_directions, feature)
    shift = places - torch.einsum("...kij,...kj->...ki", orientation, rest)
    turns = (weights @ orientation.flatten(-2)).unflatten(-1, (3, 3))
    return torch.einsum("...vij,...vj->...vi", turns, bent) + weights @ shift
