"""MANO hand model: compute joint positions of hands with a pose and a shape (Romero et al. 2017, doi:10.1145/3130800.3130883).

Conventions are those of `kinematics`: rotations are relative to the flat hand (the mean pose is not added); the global rotation
turns the hand about the wrist, then the translation is added. A left hand is the right model mirrored in x. MANO's own left model
is not used, since HaMeR's rotations belong to the right model (Pavlakos et al. 2024, arXiv:2312.05251).
"""

from dataclasses import dataclass

import numpy as np

from handroll.hand.kinematics import MIRROR
from handroll.hand.rotations import matrix_from_rotvec, mirrored
from handroll.hand.skeleton import N_ROTATIONS, PARENTS

N_VERTICES = 778
"""Number of vertices of MANO's mesh."""

N_FACES = 1538
"""Number of triangles of MANO's mesh."""

N_BETAS = 10
"""Number of shape coefficients."""

N_POSE_FEATURES = 9 * (N_ROTATIONS - 1)
"""Number of pose features: the 9 entries of (rotation matrix - identity) of each of the 15 finger joints, joint by joint, row by row."""

MANO_PARENTS = PARENTS[:N_ROTATIONS]
"""Index of the parent of each of the 16 `skeleton.MANO_JOINTS`; -1 for the wrist."""

TIP_VERTICES = (744, 320, 443, 554, 671)
"""Mesh vertices at the tips of thumb, index, middle, ring and pinky. HaMeR and smplx use the same vertices; manopth uses others."""


class ManoError(ValueError):
    """Raised for a file that is not the required MANO model; the message contains what was expected, what was found, and what to do."""


@dataclass(frozen=True, eq=False)
class ManoModel:
    """MANO's right hand. Model frame: metres, fingers along -x, thumb towards +z, back of the hand towards +y.

    Attributes
    ----------
    template_m : array (vertex 778, xyz 3), float32
        Vertices of the flat hand with the mean shape, metres.
    shape_directions : array (vertex 778, xyz 3, beta 10), float32
        Displacement of a vertex per unit of a shape coefficient, metres.
    pose_directions : array (vertex 778, xyz 3, feature 135), float32
        Displacement of a vertex per unit of a pose feature (`N_POSE_FEATURES`), metres.
    joint_regressor : array (joint 16, vertex 778), float32
        Weights of the vertices in each joint: a joint's rest position is the weighted sum of the vertices of the unposed hand.
    weights : array (vertex 778, joint 16), float32
        Skinning weights; each row sums to 1.
    parents : tuple of 16 int
        Parent of each of `skeleton.MANO_JOINTS`, -1 for the wrist.
    faces : array (face 1538, corner 3), int32
        Vertex indices of each triangle, counter-clockwise when viewed from outside.
    hands_mean : array (45,), float32, rad
        Mean pose of the 15 finger joints. handroll's own rotations are relative to the flat hand. This pose is needed only for files of
        other projects whose rotations are relative to it.
    sha256 : str
        SHA-256 of the model file, in hexadecimal; empty for a model that was not read from a file.
    """

    template_m: np.ndarray
    shape_directions: np.ndarray
    pose_directions: np.ndarray
    joint_regressor: np.ndarray
    weights: np.ndarray
    parents: tuple[int, ...]
    faces: np.ndarray
    hands_mean: np.ndarray
    sha256: str


def mano_joints(model, rotation, translation_m, betas, hand):
    """Compute the joint positions of MANO hands with a pose and a shape, with the conventions of `kinematics`.

    Parameters
    ----------
    model : ManoModel
    rotation : array (..., 48), rad
        Axis-angle of the 16 MANO joints: 3 global, then 15 x 3 relative to the parent; zero is the flat open hand.
    translation_m : array (..., 3)
        Offset of the wrist from its rest position, metres, camera frame.
    betas : array (..., 10)
        Shape coefficients; 0 is the mean shape.
    hand : {"left", "right"}

    Returns
    -------
    array (..., 21, 3), float64
        Positions of `skeleton.JOINTS`, metres, in the frame of `translation_m`; NaN where any input of that pose is not finite.
    """
    rotation, translation, betas = (np.asarray(a, dtype=np.float64) for a in (rotation, translation_m, betas))
    local = rotation.reshape(*rotation.shape[:-1], N_ROTATIONS, 3)
    finite = np.isfinite(rotation).all(-1) & np.isfinite(translation).all(-1) & np.isfinite(betas).all(-1)
    shape = np.where(np.isfinite(betas), betas, 0.0)
    right = _right_joints(model, matrix_from_rotvec(mirrored(local) if hand == "left" else local), shape)
    joints = right * (MIRROR if hand == "left" else 1.0) + translation[..., None, :]
    return np.where(finite[..., None, None], joints, np.nan)


def _right_joints(model, rotations, betas):
    """Compute the joint positions (..., 21, 3), m, of right hands without translation.

    `rotations`: rotation matrices (..., joint 16, 3, 3); `betas`: shape coefficients (..., 10).
    """
    tips = list(TIP_VERTICES)
    template, shape, regressor = (a.astype(np.float64) for a in (model.template_m, model.shape_directions, model.joint_regressor))
    rest = regressor @ template + np.einsum("jv,vcb,...b->...jc", regressor, shape, betas, optimize=True)
    orientation, positions = [rotations[..., 0, :, :]], [rest[..., 0, :]]
    for joint, parent in enumerate(MANO_PARENTS[1:], start=1):
        bone = rest[..., joint, :] - rest[..., parent, :]
        positions.append(positions[parent] + np.einsum("...ij,...j->...i", orientation[parent], bone))
        orientation.append(orientation[parent] @ rotations[..., joint, :, :])
    lead = np.broadcast_shapes(rotations.shape[:-3], betas.shape[:-1])
    orientation = np.stack(orientation, axis=-3)
    positions = np.stack([np.broadcast_to(position, (*lead, 3)) for position in positions], axis=-2)

    feature = (rotations[..., 1:, :, :] - np.eye(3)).reshape(*rotations.shape[:-3], N_POSE_FEATURES)
    bent = template[tips] + np.einsum("vcb,...b->...vc", shape[tips], betas)
    bent = bent + np.einsum("vcf,...f->...vc", model.pose_directions[tips].astype(np.float64), feature)
    shift = positions - np.einsum("...kij,...kj->...ki", orientation, rest)
    weights = model.weights[tips].astype(np.float64)
    ends = np.einsum("vk,...kij,...vj->...vi", weights, orientation, bent, optimize=True) + weights @ shift
    return np.concatenate([positions, ends], axis=-2)
