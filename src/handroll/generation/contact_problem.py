"""The least-squares problem of a hand that plays: a given motion, corrected so that the fingertips press their keys.

The problem shares its steps with the refinement of poses over time (`pose.series_problem`). Coordinates are those of the keyboard frame in
metres; a left hand is mirrored. Each residual is the distance to a range, and zero inside it. Therefore a motion that already plays does
not change.
"""

from dataclasses import dataclass

import torch

from handroll.hand.skeleton import N_ROTATIONS, TIPS
from handroll.pose.series_problem import SeriesProblem


@dataclass(frozen=True)
class Contacts:
    """A given motion, and the ranges of its fingertips, as tensors of one dtype and device.

    Attributes
    ----------
    rotation : (series, frame, 16, 3, 3)
        Rotations of the given motion.
    translation_m : (series, frame, 3)
        Translation of the given motion.
    rotation_sigma_rad : (16,)
        Standard deviation of the difference from the given rotations, per axis.
    translation_sigma_m : (3,)
        Standard deviation of the difference from the given translation.
    low_m, high_m : (series, frame, finger 5, xyz 3)
        Range of each fingertip; infinite where it is free.
    sigma_m : (series, frame, finger 5, xyz 3)
        Standard deviation of the distance from the range.
    axes : (16, 3, 3)
        Anatomical axes of the joints, in rows.
    limits_rad : (16, 3, 2)
        Minimum and maximum angle about each axis; infinite for the wrist.
    limit_sigma_rad : float
        Standard deviation of the excess over a limit.
    """

    rotation: torch.Tensor
    translation_m: torch.Tensor
    rotation_sigma_rad: torch.Tensor
    translation_sigma_m: torch.Tensor
    low_m: torch.Tensor
    high_m: torch.Tensor
    sigma_m: torch.Tensor
    axes: torch.Tensor
    limits_rad: torch.Tensor
    limit_sigma_rad: float


class ContactProblem(SeriesProblem):
    """Problem of a hand that plays.

    Parameters
    ----------
    contacts : Contacts
    joints_of, difference, smoothness, expected_m_s2
        See `SeriesProblem`.
    """

    # Quadratic losses: a fingertip is pulled to its key from any distance.
    UNBOUNDED = ("tips", "limits")

    def __init__(self, contacts, joints_of, difference, smoothness, expected_m_s2):
        super().__init__(joints_of, difference, smoothness, torch.ones(3).to(contacts.translation_m), expected_m_s2)
        self.contacts = contacts

    def measured_squares(self, rotation, translation, centred):
        """See `SeriesProblem.measured_squares`."""
        c = self.contacts
        tips = centred[..., TIPS, :] + translation[..., None, :]
        excess = self._excess(rotation)
        return {
            # 3 - trace is 4 sin^2(angle / 2) for the angle between the two rotations: smooth, and near angle^2 if it is small.
            "rotation": (3.0 - (c.rotation * rotation).sum((-1, -2))) / c.rotation_sigma_rad.square(),
            "translation": ((translation - c.translation_m) / c.translation_sigma_m).square(),
            "tips": (_outside(tips, c.low_m, c.high_m) / c.sigma_m).square(),
            "limits": (excess / c.limit_sigma_rad).square(),
        }

    def measured_matrix(self, rotation, joints, moves, weights):
        """See `SeriesProblem.measured_matrix`."""
        c = self.contacts
        tips = joints[..., TIPS, :]
        outside = (_outside(tips, c.low_m.float(), c.high_m.float()) != 0.0).float()
        weight = (outside * (weights["tips"] / c.sigma_m.square()).float()).flatten(-2)
        jacobian = moves[..., TIPS, :, :].flatten(-3, -2)
        matrix = jacobian.mT @ (weight[..., None] * jacobian)
        eye = matrix.diagonal(dim1=-2, dim2=-1)
        rotational = 3 * N_ROTATIONS
        eye[..., :rotational] += (weights["rotation"] / c.rotation_sigma_rad.square()).float().repeat_interleave(3, dim=-1)
        eye[..., rotational:] += (weights["translation"] / c.translation_sigma_m.square()).float()
        # The derivative of an axis-angle vector by a small rotation is close to the identity, which is accurate enough for steps.
        held = (self._excess(rotation) != 0.0).float() * (weights["limits"] / c.limit_sigma_rad**2).float()
        axes = c.axes.float()
        blocks = torch.einsum("jai,...ja,jak->...jik", axes, held, axes)
        for joint in range(N_ROTATIONS):
            part = slice(3 * joint, 3 * joint + 3)
            matrix[..., part, part] += blocks[..., joint, :, :]
        return matrix

    def _excess(self, rotation):
        """Return the excess of the joint angles over their limits (series, frame, 16, axis 3), rad."""
        c = self.contacts
        angles = torch.einsum("jai,...ji->...ja", c.axes.to(rotation), _rotvec(rotation))
        return _outside(angles, c.limits_rad[..., 0].to(rotation), c.limits_rad[..., 1].to(rotation))


def _outside(values, low, high):
    """Return the signed distance of values from the range [low, high]; 0 inside."""
    return (values - high).clamp(min=0.0) - (low - values).clamp(min=0.0)


def _rotvec(rotation):
    """Return the axis-angle vectors (..., 3) of rotation matrices (..., 3, 3) with angles below pi."""
    twice = torch.stack([rotation[..., i, k] - rotation[..., k, i] for i, k in ((2, 1), (0, 2), (1, 0))], -1)
    cosine = 0.5 * (rotation.diagonal(dim1=-2, dim2=-1).sum(-1) - 1.0)
    sine = 0.5 * twice.square().sum(-1).clamp(min=1e-16).sqrt()
    angle = torch.atan2(sine, cosine)
    return (0.5 * angle / sine)[..., None] * twice
