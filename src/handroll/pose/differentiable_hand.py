"""The template hand in torch: landmark positions from joint angles, and their derivatives.

The axes of the tensors are hand, finger 5 (thumb to pinky), and bend 3 (base, middle and end joint) or point 4 (these three joints and
the tip). Positions are in metres, relative to the wrist, along the axes of the camera frame. The wrist's own position is not part of this
module; `fit_problem` adds it. The depth of a wrist can be tens of metres, and absolute positions at that depth would be less precise in
float32.
"""

from dataclasses import dataclass

import numpy as np
import torch

from handroll.hand.skeleton import CHAINS, FINGERS

BENDS = np.array([CHAINS[finger][:3] for finger in FINGERS])
"""Indices in `skeleton.JOINTS` of the joints that bend: array (finger 5, bend 3)."""

POINTS = np.array([CHAINS[finger] for finger in FINGERS])
"""Indices in `skeleton.JOINTS` of the points along the fingers, without the wrist: array (finger 5, point 4)."""

N_ANGLES = 45
"""Number of joint angles: 5 fingers, 3 joints, 3 axes."""


@dataclass(frozen=True)
class Articulation:
    """Constants of a hand template as tensors: bones, landmark offsets and joint axes.

    Attributes
    ----------
    bones_m : tensor (finger 5, point 4, xyz 3)
        Vector to each point from the previous point of the finger, at rest and in the template frame. The first vector starts at the wrist.
    offsets_m : tensor (finger 5, point 4, xyz 3)
        Offset from a point to the detected landmark, in the frame of the bone that ends at the point.
    wrist_offset_m : tensor (xyz 3)
        Offset from the wrist to its landmark, in the frame of the palm.
    axes : tensor (finger 5, bend 3, xyz 3, axis 3)
        Anatomical axes of each joint, as the columns of a matrix: flexion, abduction, twist.
    """

    bones_m: torch.Tensor
    offsets_m: torch.Tensor
    wrist_offset_m: torch.Tensor
    axes: torch.Tensor


def articulation(template, bone_scale, offsets_m, dtype=torch.float32):
    """Build the `Articulation` of a template.

    Parameters
    ----------
    template : handroll.hand.template.HandTemplate
    bone_scale : float
        Size of the hand relative to the template.
    offsets_m : array (21, 3)
        Landmark minus joint for each of `skeleton.JOINTS`, in the template frame at rest, in metres at bone scale 1.
    dtype : torch.dtype
        Type of the tensors.
    """
    joints = template.joints_m - template.joints_m[0]
    points = joints[POINTS]
    bones = np.diff(points, axis=1, prepend=0.0)
    scaled = [torch.as_tensor(bone_scale * a, dtype=dtype) for a in (bones, offsets_m[POINTS], offsets_m[0])]
    return Articulation(*scaled, torch.as_tensor(np.swapaxes(template.axes[BENDS], -1, -2).copy(), dtype=dtype))


def hat(vector):
    """Return the cross-product matrices (..., 3, 3) of vectors (..., 3): hat(a) @ b = a x b."""
    x, y, z = vector.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))


def exponential(rotvec):
    """Compute the rotation matrices and left Jacobians of axis-angle vectors.

    Parameters
    ----------
    rotvec : tensor (..., 3), rad
        Axis-angle vectors.

    Returns
    -------
    rotation, jacobian : tensors (..., 3, 3)
        Rotation matrices exp(rotvec), and their left Jacobians. For a small vector d, exp(rotvec + d) is exp(jacobian @ d) exp(rotvec) to
        first order (Chirikjian 2011, doi:10.1007/978-0-8176-4944-9).
    """
    squared = (rotvec * rotvec).sum(-1)[..., None, None]
    small = squared < 1e-4
    safe = torch.where(small, 1.0, squared)
    angle = safe.sqrt()
    # Below 0.01 rad the closed forms are imprecise in float32, so their Taylor series are used.
    sine = torch.where(small, 1.0 - squared / 6.0, angle.sin() / angle)
    cosine = torch.where(small, 0.5 - squared / 24.0, (1.0 - angle.cos()) / safe)
    cubic = torch.where(small, 1.0 / 6.0 - squared / 120.0, (1.0 - sine) / safe)
    cross = hat(rotvec)
    twice = cross @ cross
    identity = torch.eye(3, dtype=rotvec.dtype, device=rotvec.device)
    return identity + sine * cross + cosine * twice, identity + cosine * cross + cubic * twice


def pose_landmarks(model, root, angles):
    """Compute landmark positions relative to the wrist, and their derivatives.

    Parameters
    ----------
    model : Articulation
    root : tensor (hand, 3, 3)
        Orientation of the palm in the camera frame.
    angles : tensor (hand, 45)
        Anatomical angles in radians, in the order (finger 5, bend 3, axis 3).

    Returns
    -------
    landmarks_m : tensor (hand, 21, 3)
        The wrist, then the points (finger 5, point 4) in finger-major order. This is MediaPipe's order (`JOINT_OF_LANDMARK`).
    jacobian : tensor (hand, 21, 3, 48)
        Derivatives with respect to a small rotation of the root (3, axis-angle in the camera frame, applied from the left), and to
        the angles (45).
    """
    hands = len(root)
    rotvec = (model.axes @ angles.view(hands, 5, 3, 3, 1)).squeeze(-1)
    rotation, left_jacobian = exponential(rotvec)
    orientation = root[:, None]
    base = root.new_zeros(hands, 1, 3)
    joints, points, world_axes = [], [], []
    for level in range(4):
        # A landmark is attached to the bone that ends at its joint; the next bone starts at the joint itself.
        points.append(base + (orientation @ (model.bones_m + model.offsets_m)[:, level, :, None]).squeeze(-1))
        if level < 3:
            base = base + (orientation @ model.bones_m[:, level, :, None]).squeeze(-1)
            joints.append(base)
            world_axes.append(orientation @ left_jacobian[:, :, level] @ model.axes[:, level])
            orientation = orientation @ rotation[:, :, level]
    points = torch.stack(points, dim=2)
    wrist = (root @ model.wrist_offset_m)[:, None]
    landmarks = torch.cat([wrist, points.flatten(1, 2)], dim=1)

    jacobian = root.new_zeros(hands, 21, 3, 3 + N_ANGLES)
    jacobian[..., :3] = -hat(landmarks)
    for level in range(3):
        lever = points[:, :, level + 1 :] - joints[level][:, :, None]
        # The derivative of a point with respect to an angle is axis x lever. Shape: (hand, finger, point, xyz, axis).
        derivative = -hat(lever) @ world_axes[level][:, :, None]
        for finger in range(5):
            row, column = 1 + 4 * finger, 3 + 9 * finger + 3 * level
            jacobian[:, row + level + 1 : row + 4, :, column : column + 3] = derivative[:, finger]
    return landmarks, jacobian
