"""The least-squares problem of the `landmarks` engine: initial state, cost, derivatives, and the update by a step.

The state of a batch of right hands (left hands are mirrored) is a tuple of tensors:

- position (hand, 3): pixel x and y of the wrist from the principal point, and the logarithm of its depth in metres;
- root (hand, 3, 3): the palm's orientation in the camera frame;
- angles (hand, 45): joint angles in radians.

A step has 51 unknowns in the same order: 3 for the position, 3 for a small rotation of the root, and 45 for the angles. The state contains
the logarithm of the depth, because the depth is tens of metres with HaMeR's focal length, and because the image depends only on ratios of
depths.
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
"""Number of unknowns of a hand: 3 for the position, 3 for the root, and the angles."""

NEAREST_M = 0.01
"""Minimum depth (m) of a projected point."""

LEVEL_HAND = ((0.0, 0.0, -1.0), (1.0, 0.0, 0.0), (0.0, -1.0, 0.0))
"""Rotation matrix of the root of a level right hand, viewed from above, with its fingers towards the top of the image. It maps
axes of MANO's hand to axes of the camera frame: -x (fingers) to -y, +y (back of the hand) to -z, and +z (thumb) to -x."""

# Indices of the landmarks whose mutual distances stay constant when the fingers move.
_PALM = [row for row, joint in enumerate(JOINT_OF_LANDMARK) if JOINTS[joint] in ("wrist", "thumb1", "index1", "middle1", "ring1", "pinky1")]

# Direction away from the keys, in the camera frame, if no keyboard is registered: the camera points straight down.
_UP = (0.0, 0.0, -1.0)


class HandProblem:
    """Cost function of the poses of a batch of hands, and its derivatives.

    Parameters
    ----------
    model : differentiable_hand.Articulation
    template : handroll.hand.template.HandTemplate
        Template with the limits of the joint angles.
    focal_px : float
        Focal length of the camera in pixels.
    pixels : tensor (hand, 21, 2)
        Detected landmarks in MediaPipe's order, in pixels from the principal point.
    px_per_m : tensor (hand,)
        Image scale of each hand, pixels per metre, from `level_start`. It converts the noise of landmarks from metres to pixels.
    plane : tensor (4,), optional
        Plane of the white keys: the height of a point above it is plane[:3] @ point + plane[3], in metres and the camera frame.
        Without a plane, only differences of heights within a hand contribute to the cost.
    pressed_m : tensor (hand, finger 5), optional
        For each fingertip that holds a key down: height (m) of the top of this key above the white keys, when the key is not pressed.
        NaN for other fingertips. It requires a plane.
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
            self.height_mean, self.height_weight = _heights_with_contacts(self.height_rows, self.height_mean, self.height_weight, pressed_m)
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
            wrist = _wrist_position(position, self.focal_px)
            height = height + (wrist @ self.up + self.plane[3])[:, None]
            height_jacobian[..., :2] = (wrist[:, 2:] / self.focal_px * self.up[:2])[:, None]
            height_jacobian[..., 2] = (wrist @ self.up)[:, None]
        height_error = height - self.height_mean
        if self.plane is None:
            # The height of the keys is unknown here. Its best value, the weighted mean of the height errors, is subtracted from the errors.
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
        """Return the root mean square distance (hand,) between predicted and detected landmarks of a state, in pixels."""
        position, root, angles = state
        projected, _, _ = _project(position, pose_landmarks(self.model, root, angles)[0], self.focal_px)
        return (projected - self.pixels).square().sum(-1).mean(-1).sqrt()


def _heights_with_contacts(rows, mean, weight, pressed_m):
    """Adapt the height prior of each hand to the keys that it holds down. Return mean (hand, k), m, and weight (hand, k), 1 / m.

    `rows` (k,), `mean` (k,) and 1 / `weight` (k,) are a result of `priors.height_prior`. For `pressed_m` (hand, finger 5), see
    `HandProblem`. Fingertips that hold keys down get `HEIGHT_PRESSING_MM`, and the other fingertips of these hands get `HEIGHT_FREE_MM`.
    """
    mean, weight = (values.expand(len(pressed_m), -1).clone() for values in (mean, weight))
    tips = torch.tensor([int((rows == 4 * finger + 4).nonzero()) for finger in range(5)])
    presses, some = pressed_m.isfinite(), pressed_m.isfinite().any(dim=1, keepdim=True)
    free_mean, free_weight = (1e-3 * HEIGHT_FREE_MM[0], 1e3 / HEIGHT_FREE_MM[1])
    mean[:, tips] = torch.where(presses, pressed_m + 1e-3 * HEIGHT_PRESSING_MM[0], torch.where(some, free_mean, mean[:, tips]))
    weight[:, tips] = torch.where(presses, 1e3 / HEIGHT_PRESSING_MM[1], torch.where(some, free_weight, weight[:, tips]))
    return mean, weight


def retract(state, step):
    """Apply a step (hand, 51) to a state, and return the new state."""
    position, root, angles = state
    return position + step[:, :3], exponential(step[:, 3:6])[0] @ root, angles + step[:, 6:]


def level_start(model, focal_px, pixels, up=_UP):
    """Build the initial state: a level hand with mean angles.

    Position, depth and yaw come from the similarity transform that fits the palm of the level hand best to the landmarks. The hand starts
    level, because fits that start with the orientation of MediaPipe's world landmarks end in wrong minima.

    Parameters
    ----------
    model, focal_px, pixels
        See `HandProblem`.
    up : tensor (xyz 3)
        Direction away from the keys, in the camera frame.

    Returns
    -------
    state : tuple of tensors
        See the module docstring.
    px_per_m : tensor (hand,)
        Image scale of each hand, pixels per metre.
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
    return (position, _rotation_to(up, pixels.dtype) @ exponential(yaw)[0] @ level, mean.repeat(len(pixels), 1)), px_per_m


def wrist_m(position, focal_px):
    """Compute the wrists in the camera frame, float64 array (hand, xyz 3) in metres, from the `position` (hand, 3) of a state."""
    return _wrist_position(position.double(), focal_px).numpy()


def _wrist_position(position, focal_px):
    """Compute the wrists in the camera frame, tensor (hand, xyz 3) in metres, from the `position` (hand, 3) of a state."""
    depth = position[:, 2:].exp()
    return torch.cat([position[:, :2] * depth / focal_px, depth], dim=1)


def _rotation_to(up, dtype):
    """Return the smallest rotation (3, 3) that maps `_UP` to another direction `up`."""
    up, axis = torch.as_tensor(up, dtype=dtype), torch.tensor(_UP, dtype=dtype)
    cross = torch.linalg.cross(axis, up)
    sine = cross.norm()
    angle = torch.atan2(sine, axis @ up)
    return exponential(cross * (angle / sine.clamp(min=1e-9)))[0]


def _project(position, points, focal_px):
    """Project points (hand, 21, xyz 3), metres relative to the wrist, to the image; `position` (hand, 3) is that of a state.

    Return pixels (hand, 21, xy 2) from the principal point, depths (hand, 21) in metres, and the wrist's depth divided by these depths
    (hand, 21).
    """
    depth = position[:, 2:].exp()
    point_depth = (depth + points[..., 2]).clamp(min=NEAREST_M)
    ratio = depth / point_depth
    return position[:, None, :2] * ratio[..., None] + focal_px * points[..., :2] / point_depth[..., None], point_depth, ratio
