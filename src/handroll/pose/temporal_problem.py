"""The measurements of a video in the least-squares problem of poses over time (`series_problem`).

- difference from the engine's pose: its projected joints, its rotations and its depth, each with its own noise;
- distance of the joints from the detected landmarks in the image, whose bias is removed;
- heights of the fingertips above the keys.
"""

from dataclasses import dataclass

import torch

from handroll.hand.skeleton import TIPS
from handroll.pose.fit_problem import NEAREST_M
from handroll.pose.series_problem import SeriesProblem, weighted_product


@dataclass(frozen=True)
class Measurements:
    """Measurements of the frames, as tensors of one dtype and device. The standard deviation (sigma) is infinite where nothing is measured.

    Attributes
    ----------
    rotation : (series, frame, 16, 3, 3)
        The engine's rotations.
    translation_m : (series, frame, 3)
        The engine's translation.
    joints_px, joints_sigma_px : (series, frame, 21, 2), (series, frame, 21)
        The engine's projected joints, in pixels from the principal point, and their standard deviations along an image axis.
    rotation_sigma_rad : (series, frame, 16)
        Standard deviation of the engine's rotations, per axis.
    depth_sigma : (series, frame)
        Standard deviation of the logarithm of the wrist's depth.
    landmarks_px, landmarks_sigma_px : (series, frame, 21, 2), (series, frame, 21)
        The detected landmarks without bias, in the order of the joints, and their standard deviations along an image axis.
    min_height_m, min_height_sigma_m : (series, frame, 5), (series, frame, 5)
        Minimum height of each fingertip above the keys, and the standard deviation by which it may be lower.
    height_m, height_sigma_m : (series, frame, 5), (series, frame, 5)
        Height above the keys of each fingertip that holds a key, and its standard deviation.
    """

    rotation: torch.Tensor
    translation_m: torch.Tensor
    joints_px: torch.Tensor
    joints_sigma_px: torch.Tensor
    rotation_sigma_rad: torch.Tensor
    depth_sigma: torch.Tensor
    landmarks_px: torch.Tensor
    landmarks_sigma_px: torch.Tensor
    min_height_m: torch.Tensor
    min_height_sigma_m: torch.Tensor
    height_m: torch.Tensor
    height_sigma_m: torch.Tensor


class VideoProblem(SeriesProblem):
    """Problem of the poses of a hand in a video.

    Parameters
    ----------
    measurements : Measurements
    joints_of, difference, smoothness
        See `SeriesProblem`.
    focal_px : float
        Focal length of the camera in pixels.
    plane : tensor (4,) or None
        See `fit_problem.HandProblem`.
    depth_share : float
        Factor on the wrist's depth in accelerations: 1 if depth is metric.
    """

    # A quadratic loss, so that no other measurement moves a fingertip into a key.
    UNBOUNDED = ("min_height",)

    def __init__(self, measurements, joints_of, difference, focal_px, plane, depth_share, smoothness):
        axis_scale = torch.tensor([1.0, 1.0, depth_share]).to(measurements.translation_m)
        super().__init__(joints_of, difference, smoothness, axis_scale)
        self.measurements, self.focal_px, self.plane = measurements, focal_px, plane

    def measured_squares(self, rotation, translation, centred):
        """See `SeriesProblem.measured_squares`."""
        m = self.measurements
        joints = centred + translation[..., None, :]
        pixels = self.focal_px * joints[..., :2] / joints[..., 2:].clamp(min=NEAREST_M)
        squares = {
            "joints": (pixels - m.joints_px).square().sum(-1) / m.joints_sigma_px.square(),
            "landmarks": (pixels - m.landmarks_px).square().sum(-1) / m.landmarks_sigma_px.square(),
            # 3 - trace is 4 sin^2(angle / 2) for the angle between the two rotations: smooth, and near angle^2 if it is small.
            "rotation": (3.0 - (m.rotation * rotation).sum((-1, -2))) / m.rotation_sigma_rad.square(),
            "depth": (joints[..., 0, 2].clamp(min=NEAREST_M) / (m.translation_m[..., 2] + centred[..., 0, 2]).clamp(min=NEAREST_M))
            .log()
            .square()
            / m.depth_sigma.square(),
        }
        if self.plane is not None:
            heights = joints[..., TIPS, :] @ self.plane[:3] + self.plane[3]
            squares["min_height"] = ((m.min_height_m - heights).clamp(min=0.0) / m.min_height_sigma_m).square()
            squares["height"] = ((heights - m.height_m) / m.height_sigma_m).square()
        return squares

    def measured_matrix(self, rotation, joints, moves, weights):
        """See `SeriesProblem.measured_matrix`."""
        m = self.measurements
        depth = joints[..., 2:].clamp(min=NEAREST_M)
        pixel_jacobian = (self.focal_px / depth)[..., None] * (moves[..., :2, :] - (joints[..., :2] / depth)[..., None] * moves[..., 2:, :])
        weight = weights["joints"] / m.joints_sigma_px.square() + weights["landmarks"] / m.landmarks_sigma_px.square()
        diagonal = weighted_product(pixel_jacobian, weight.float()[..., None].expand(*weight.shape, 2), pixel_jacobian)
        eye = diagonal.diagonal(dim1=-2, dim2=-1)
        eye[..., :48] += (weights["rotation"] / m.rotation_sigma_rad.square()).float().repeat_interleave(3, dim=-1)
        eye[..., 50] += (weights["depth"] / m.depth_sigma.square()).float() / depth[..., 0, 0].square()
        if self.plane is not None:
            up = self.plane[:3].float()
            height_jacobian = (moves[..., TIPS, :, :] * up[:, None]).sum(-2)
            below = joints[..., TIPS, :] @ up + self.plane[3].float() < m.min_height_m
            weight = weights["height"] / m.height_sigma_m.square() + below * weights["min_height"] / m.min_height_sigma_m.square()
            diagonal += height_jacobian.mT @ (weight.float()[..., None] * height_jacobian)
        return diagonal
