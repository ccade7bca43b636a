"""The least-squares problem of the `landmarks` engine: initial state, cost, derivatives, and the update by a step.

The state of a batch of right hands (left hands are mirrored) is a tuple of tensors:
position (hand, 3): the wrist as pixel x, y from the principal point and log depth, m; root (hand, 3, 3): the palm's orientation
in the camera frame; angles (hand, 45): rad. The 51 unknowns of a step are in that order, with a small rotation for the root.
Depth is a logarithm because with HaMeR's focal length it is tens of metres, and the image depends only on its ratios.
"""

import torch

from handroll.hand.skeleton import JOINT_OF_LANDMARK, JOINTS
from handroll.pose.differentiable_hand import N_ANGLES, exponential, pose_landmarks
from handroll.pose.levenberg_marquardt import diagonal_add
from handroll.pose.priors import (
    HEIGHT_FREE_MM,
    HEIGHT_PRESSING_MM,
    LIMIT_SIGMA_RAD,
    angle_limits,
    angle_prior,
    height_prior,
    landmark_sigma_m,
)

N_UNKNOWNS = 6 + N_ANGLES

NEAREST_M = 0.01
"""Minimum depth in projections."""

LEVEL_HAND = ((0.0, 0.0, -1.0), (1.0, 0.0, 0.0), (0.0, -1.0, 0.0))
"""Root orientation of a level right hand, seen from above, with its fingers towards the top of the image: MANO's -x (fingers) maps to
-y, +y (back of the hand) to -z, +z (thumb) to -x."""

_PALM = [row for row, joint in enumerate(JOINT_OF_LANDMARK) if JOINTS[joint] in ("wrist", "thumb1", "index1", "middle1", "ring1", "pinky1")]
# Landmarks whose distances are constant when the fingers move.

_UP = (0.0, 0.0, -1.0)
# Direction away from the keys without a registered keyboard, camera frame: the camera looks down.


class HandProblem:
    """Cost and derivatives of a batch of hands.

    Parameters
    ----------
    model : articulation.Articulation
    template : handroll.hand.template.HandTemplate
    focal_px : float
    pixels : tensor (hand, 21, 2)
        Detected landmarks, MediaPipe's order, pixels from the principal point.
    px_per_m : tensor (hand,)
        Apparent size of the hand from `level_start`; scales the landmarks' error.
    plane : tensor (4,), optional
        The height of a point of the camera frame above the white keys, metres, is plane[:3] @ point + plane[3]. Without a plane only
        differences of heights within a hand count.
    pressed_m : tensor (hand, finger 5), optional
        Height of the key top that a fingertip presses, metres; NaN where it presses none; only with a plane.
    """

    def __init__(self, model, template, focal_px, pixels, px_per_m, plane=None, pressed_m=None):
        def tensor(values):
            return torch.as_tensor(values, dtype=pixels.dtype)

        self.model, self.focal_px, self.pixels = model, focal_px, pixels
        self.weight = (1.0 / (px_per_m[:, None] * tensor(landmark_sigma_m())))[..., None]
        self.mean, self.precision = (tensor(a) for a in angle_prior())
        self.low, self.high = (tensor(a) for a in angle_limits(template))
        rows, mean, sigma = height_prior()
        self.height_rows, self.height_mean, self.height_weight = torch.as_tensor(rows), tensor(mean), 1.0 / tensor(sigma)
        if pressed_m is not None:
            self.height_mean, self.height_weight = _with_contacts(self.height_rows, self.height_mean, self.height_weight, pressed_m)
        self.plane = plane
        self.up = tensor(_UP) if plane is None else plane[:3]

    def evaluate(self, state):
        """Return cost (hand,), gradient (hand, 51) and Gauss-Newton matrix (hand, 51, 51) of a state."""
        position, root, angles = state
        points, moves = pose_landmarks(self.model, root, angles)
        projected, depth, ratio = _project(position, points, self.focal_px)

        pixel_jacobian = points.new_zeros(*projected.shape, N_UNKNOWNS)
        pixel_jacobian[:, :, 0, 0] = ratio
        pixel_jacobian[:, :, 1, 1] = ratio
        pixel_jacobian[..., 2] = ratio[..., None] * (position[:, None, :2] - projected)
        pixel_jacobian[..., 3:] = (self.focal_px * moves[:, :, :2] - projected[..., None] * moves[:, :, 2:]) / depth[..., None, None]
        pixel_error = ((projected - self.pixels) * self.weight).flatten(1)
        height = points[:, self.height_rows] @ self.up
        height_jacobian = torch.nn.functional.pad((moves[:, self.height_rows] * self.up[:, None]).sum(2), (3, 0))
        if self.plane is not None:
            wrist = _wrist(position, self.focal_px)
            height = height + (wrist @ self.up + self.plane[3])[:, None]
            height_jacobian[..., :2] = (wrist[:, 2:] / self.focal_px * self.up[:2])[:, None]
            height_jacobian[..., 2] = (wrist @ self.up)[:, None]
        height_error = height - self.height_mean
        if self.plane is None:
            # The height of the optimal plane is the weighted mean of the height errors.
            share = self.height_weight.square() / self.height_weight.square().sum()
            height_error = height_error - (height_error @ share)[:, None]
            height_jacobian = height_jacobian - (height_jacobian.mT @ share)[:, None]
        residual = torch.cat([pixel_error, height_error * self.height_weight], dim=1)
        weighted = (pixel_jacobian * self.weight[..., None]).flatten(1, 2), height_jacobian * self.height_weight[..., None]
        jacobian = torch.cat(weighted, dim=1)

        angle_error = angles - self.mean
        prior_gradient = angle_error @ self.precision
        excess = ((angles - self.high).clamp(min=0.0) + (angles - self.low).clamp(max=0.0)) / LIMIT_SIGMA_RAD
        cost = 0.5 * (residual.square().sum(1) + (angle_error * prior_gradient).sum(1) + excess.square().sum(1))
        gradient = (residual[:, None] @ jacobian).squeeze(1)
        gradient[:, 6:] += prior_gradient + excess / LIMIT_SIGMA_RAD
        matrix = jacobian.mT @ jacobian
        matrix[:, 6:, 6:] += self.precision
        matrix[:, 6:, 6:] = diagonal_add(matrix[:, 6:, 6:], (excess != 0.0) / LIMIT_SIGMA_RAD**2)
        return cost, gradient, matrix

    def residual_px(self, state):
        """Return the root mean square distance (hand,) of the predicted landmarks of a state from the detected ones, pixels."""
        position, root, angles = state
        projected, _, _ = _project(position, pose_landmarks(self.model, root, angles)[0], self.focal_px)
        return (projected - self.pixels).square().sum(-1).mean(-1).sqrt()


def _with_contacts(rows, mean, weight, pressed_m):
    """Return the mean and weight (hand, row) of the heights, given the fingertips (hand, finger 5) that press a key."""
    mean, weight = (values.expand(len(pressed_m), -1).clone() for values in (mean, weight))
    tips = torch.tensor([int((rows == 4 * finger + 4).nonzero()) for finger in range(5)])
    presses, some = pressed_m.isfinite(), pressed_m.isfinite().any(dim=1, keepdim=True)
    free_mean, free_weight = (1e-3 * HEIGHT_FREE_MM[0], 1e3 / HEIGHT_FREE_MM[1])
    mean[:, tips] = torch.where(presses, pressed_m + 1e-3 * HEIGHT_PRESSING_MM[0], torch.where(some, free_mean, mean[:, tips]))
    weight[:, tips] = torch.where(presses, 1e3 / HEIGHT_PRESSING_MM[1], torch.where(some, free_weight, weight[:, tips]))
    return mean, weight


def retract(state, step):
    """Return the state after a step (hand, 51)."""
    position, root, angles = state
    return position + step[:, :3], exponential(step[:, 3:6])[0] @ root, angles + step[:, 6:]


def level_start(model, focal_px, pixels, up=_UP):
    """Place a level hand with the mean angles over the palm's landmarks, by the optimal similarity in the image.

    The level start is important: from the orientation of MediaPipe's world landmarks the fit ends in wrong minima.

    Parameters
    ----------
    model, focal_px, pixels : see `HandProblem`
    up : tensor (xyz 3)
        Direction away from the keys, camera frame.

    Returns
    -------
    state : tuple of tensors
    px_per_m : tensor (hand,)
    """
    level = torch.tensor(LEVEL_HAND, dtype=pixels.dtype)
    mean = torch.as_tensor(angle_prior()[0], dtype=pixels.dtype)
    flat = pose_landmarks(model, level[None], mean[None])[0][0, _PALM, :2]
    # In complex numbers the similarity is image = factor * flat + shift; the factor contains scale (px per metre) and yaw.
    template_palm, image_palm = torch.view_as_complex(flat.contiguous()), torch.view_as_complex(pixels[:, _PALM].contiguous())
    centred = template_palm - template_palm.mean()
    factor = (image_palm @ centred.conj()) / centred.abs().square().sum()
    shift = image_palm.mean(1) - factor * template_palm.mean()
    px_per_m = factor.abs().clamp(min=1.0)
    yaw = torch.zeros(len(pixels), 3, dtype=pixels.dtype)
    yaw[:, 2] = factor.angle()
    position = torch.stack([shift.real, shift.imag, (focal_px / px_per_m).log()], dim=-1)
    return (position, _tilt(up, pixels.dtype) @ exponential(yaw)[0] @ level, mean.repeat(len(pixels), 1)), px_per_m


def wrist_m(position, focal_px):
    """Convert the state's `position` to the wrist (hand, 3) in the camera frame, metres, float64 array."""
    return _wrist(position.double(), focal_px).numpy()


def _wrist(position, focal_px):
    depth = position[:, 2:].exp()
    return torch.cat([position[:, :2] * depth / focal_px, depth], dim=1)


def _tilt(up, dtype):
    """Return the smallest rotation (3, 3) from the default `up` to another one."""
    up, axis = torch.as_tensor(up, dtype=dtype), torch.tensor(_UP, dtype=dtype)
    cross = torch.linalg.cross(axis, up)
    sine = cross.norm()
    angle = torch.atan2(sine, axis @ up)
    return exponential(cross * (angle / sine.clamp(min=1e-9)))[0]


def _project(position, points, focal_px):
    """Return pixels (hand, 21, 2) and depths (hand, 21) of the points, and the ratio of the wrist's depth to theirs."""
    depth = position[:, 2:].exp()
    point_depth = (depth + points[..., 2]).clamp(min=NEAREST_M)
    ratio = depth / point_depth
    return position[:, None, :2] * ratio[..., None] + focal_px * points[..., :2] / point_depth[..., None], point_depth, ratio
