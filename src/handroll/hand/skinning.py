"""Linear blend skinning of MANO in PyTorch: compute joints or the whole mesh from rotation matrices, differentiably, on any device.

Axes: (...) = any leading shape, v = vertex, k and j = MANO joint, b = shape coefficient, f = pose feature.
Rotations are relative to the flat hand. There is no translation. All hands are right hands; `mano` mirrors them for left hands.
Source: Romero et al. 2017, doi:10.1145/3130800.3130883, equations 2 to 4.
"""

import numpy as np
import torch

from handroll.hand.mano import MANO_PARENTS, TIP_VERTICES, ManoError

# Number of fingers. In MANO's joint order, the fingers follow the wrist, one after another.
_FINGERS = 5

# Number of joints of each finger, without its tip.
_JOINTS_PER_FINGER = 3


class Skinning(torch.nn.Module):
    """Linear blend skinning of MANO's right hand.

    The buffers contain data under MANO's licence, so `state_dict` does not include them.

    Parameters
    ----------
    model : handroll.hand.mano.ManoModel
    """

    def __init__(self, model):
        super().__init__()
        if tuple(model.parents) != MANO_PARENTS:
            raise ManoError(f"expected the joint tree {MANO_PARENTS}, found {tuple(model.parents)}; use MANO_RIGHT.pkl v1.2")
        regressor = model.joint_regressor.astype(np.float64)
        parts = {
            "rest": regressor @ model.template_m,  # rest joints of the mean shape
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
        """Compute the joints of hands with a pose and a shape. Only the five vertices at the fingertips are skinned.

        Parameters
        ----------
        rotation_matrices : tensor (..., joint 16, 3, 3)
            Joint 0 is the global rotation, the others are relative to their parents. Same dtype and device as the buffers.
        betas : tensor (..., 10)
            Shape coefficients.

        Returns
        -------
        tensor (..., 21, 3)
            Positions of `skeleton.JOINTS`, metres, MANO's model frame. Index with `skeleton.JOINT_OF_LANDMARK` for the order of
            OpenPose and HaMeR.
        """
        rest, orientation, positions = self._frames(rotation_matrices, betas)
        tips = (self.tip_template, self.tip_shape_directions, self.tip_pose_directions, self.tip_weights)
        return torch.cat([positions, _skin(*tips, rotation_matrices, betas, rest, orientation, positions)], dim=-2)

    def vertices(self, rotation_matrices, betas):
        """Compute the mesh (..., vertex 778, 3), metres, MANO's model frame. Parameters: same as in `joints`."""
        mesh = (self.template, self.shape_directions, self.pose_directions, self.weights)
        return _skin(*mesh, rotation_matrices, betas, *self._frames(rotation_matrices, betas))

    def _frames(self, rotations, betas):
        """Return the joints' rest positions (..., 16, 3), global rotation matrices (..., 16, 3, 3) and posed positions (..., 16, 3)."""
        rest = self.rest + torch.einsum("jcb,...b->...jc", self.rest_shape, betas)
        fingers = rotations[..., 1:, :, :].unflatten(-3, (_FINGERS, _JOINTS_PER_FINGER))
        rest_fingers = rest[..., 1:, :].unflatten(-2, (_FINGERS, _JOINTS_PER_FINGER))
        world, position, before = rotations[..., :1, :, :], rest[..., :1, :], rest[..., :1, :]
        worlds, positions = [], []
        for level in range(_JOINTS_PER_FINGER):
            here = rest_fingers[..., level, :]
            position = position + torch.einsum("...ij,...j->...i", world, here - before)
            world, before = world @ fingers[..., level, :, :], here
            worlds.append(world)
            positions.append(position)
        worlds = torch.stack(worlds, dim=-3).flatten(-4, -3)
        positions = torch.stack(positions, dim=-2).flatten(-3, -2)
        root = rest[..., :1, :].expand(*positions.shape[:-2], 1, 3)
        return rest, torch.cat([rotations[..., :1, :, :], worlds], dim=-3), torch.cat([root, positions], dim=-2)


def _skin(template, shape_directions, pose_directions, weights, rotations, betas, rest, orientation, positions):
    """Compute the positions (..., v, 3) of vertices by linear blend skinning.

    `template`, `shape_directions`, `pose_directions` and `weights` are the rows of these vertices in MANO's arrays. `rotations` (...,
    joint 16, 3, 3) and `betas` (..., 10) are those of `Skinning.joints`. `rest`, `orientation` and `positions` are results of
    `Skinning._frames`.
    """
    identity = torch.eye(3, dtype=rotations.dtype, device=rotations.device)
    feature = (rotations[..., 1:, :, :] - identity).flatten(-3)
    bent = template + torch.einsum("vcb,...b->...vc", shape_directions, betas)
    bent = bent + torch.einsum("vcf,...f->...vc", pose_directions, feature)
    shift = positions - torch.einsum("...kij,...kj->...ki", orientation, rest)
    turns = (weights @ orientation.flatten(-2)).unflatten(-1, (3, 3))
    return torch.einsum("...vij,...vj->...vi", turns, bent) + weights @ shift
