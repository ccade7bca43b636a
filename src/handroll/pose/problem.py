"""The least-squares problem of the `landmarks` engine: where to start, what it costs, and how a step is taken.

The state of a batch of right hands (a left one comes mirrored) is a tuple of tensors:
place (hand, 3): the wrist as pixel x, y from the principal point and log depth, m; root (hand, 3, 3): the palm's orientation
in the camera frame; angles (hand, 45): rad. The 51 unknowns of a step are in that order, the root's as a small rotation.
Depth is a logarithm because under HaMeR's focal length it is tens of metres and only its ratio shows in the picture.
"""

import numpy as np
import torch

from handroll.hand.skeleton import JOINT_OF_LANDMARK, JOINTS
from handroll.pose.articulation import N_ANGLES, exponential, pose_landmarks
from handroll.pose.levenberg_marquardt import diagonal_add
from handroll.pose.priors import LIMIT_SIGMA_RAD, angle_limits, angle_prior, height_prior, landmark_sigma_m

N_UNKNOWNS = 6 + N_ANGLES

NEAREST_M = 0.01
"""Nothing is projected from nearer than this."""

LEVEL_HAND = ((0.0, 0.0, -1.0), (1.0, 0.0, 0.0), (0.0, -1.0, 0.0))
"""Root orientation of a level right hand seen from above with its fingers towards the top of the picture: MANO's -x (fingers)
to -y, +y (back of the hand) to -z, +z (thumb) to -x."""

_PALM = [row for row, joint in enumerate(JOINT_OF_LANDMARK) if JOINTS[joint] in ("wrist", "thumb1", "index1", "middle1", "ring1", "pinky1")]
# Landmarks that keep their distances when the fingers move.

_UP = (0.0, 0.0, -1.0)
# Away from the keys: the camera looks down. Telling it the true direction, up to 11 degrees off, changed errors by less than 0.1 mm.


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
        Apparent size of the hand, for the landmarks' error: of `level_start`.
    """

    def __init__(self, model, template, focal_px, pixels, px_per_m):
        def tensor(values):
            return torch.as_tensor(values, dtype=pixels.dtype)

        self.model, self.focal_px, self.pixels = model, focal_px, pixels
        self.weight = (1.0 / (px_per_m[:, None] * tensor(landmark_sigma_m())))[..., None]
        self.mean, self.precision = (tensor(a) for a in angle_prior())
        self.low, self.high = (tensor(a) for a in angle_limits(template))
        rows, residual_of_height, residual_of_mean = height_prior()
        self.height_rows = torch.as_tensor(rows)
        self.residual_of_height, self.residual_of_mean = tensor(residual_of_height), tensor(residual_of_mean)
        self.up = tensor(_UP)

    def evaluate(self, state):
        """Cost (hand,), gradient (hand, 51) and Gauss-Newton matrix (hand, 51, 51) of a state."""
        place, root, angles = state
        points, moves = pose_landmarks(self.model, root, angles)
        seen, far, ratio = _project(place, points, self.focal_px)

        drift = points.new_zeros(*seen.shape, N_UNKNOWNS)
        drift[:, :, 0, 0] = ratio
        drift[:, :, 1, 1] = ratio
        drift[..., 2] = ratio[..., None] * (place[:, None, :2] - seen)
        drift[..., 3:] = (self.focal_px * moves[:, :, :2] - seen[..., None] * moves[:, :, 2:]) / far[..., None, None]
        in_picture = ((seen - self.pixels) * self.weight).flatten(1)
        height = points[:, self.height_rows] @ self.up
        rise = (moves[:, self.height_rows] * self.up[:, None]).sum(2)
        in_height = height @ self.residual_of_height.T - self.residual_of_mean
        residual = torch.cat([in_picture, in_height], dim=1)
        jacobian = torch.cat(
            [(drift * self.weight[..., None]).flatten(1, 2), torch.nn.functional.pad(self.residual_of_height @ rise, (3, 0))], dim=1
        )

        off_mean = angles - self.mean
        pull = off_mean @ self.precision
        beyond = ((angles - self.high).clamp(min=0.0) + (angles - self.low).clamp(max=0.0)) / LIMIT_SIGMA_RAD
        cost = 0.5 * (residual.square().sum(1) + (off_mean * pull).sum(1) + beyond.square().sum(1))
        gradient = (residual[:, None] @ jacobian).squeeze(1)
        gradient[:, 6:] += pull + beyond / LIMIT_SIGMA_RAD
        matrix = jacobian.mT @ jacobian
        matrix[:, 6:, 6:] += self.precision
        matrix[:, 6:, 6:] = diagonal_add(matrix[:, 6:, 6:], (beyond != 0.0) / LIMIT_SIGMA_RAD**2)
        return cost, gradient, matrix

    def residual_px(self, state):
        """Root mean square distance (hand,) of the landmarks that a state predicts to the detected ones, pixels."""
        place, root, angles = state
        seen, _, _ = _project(place, pose_landmarks(self.model, root, angles)[0], self.focal_px)
        return (seen - self.pixels).square().sum(-1).mean(-1).sqrt()


def retract(state, step):
    """The state after a step (hand, 51)."""
    place, root, angles = state
    return place + step[:, :3], exponential(step[:, 3:6])[0] @ root, angles + step[:, 6:]


def level_start(model, focal_px, pixels):
    """A level hand with the mean angles, laid over the palm's landmarks by the best similarity in the picture.

    Level starts matter: from the orientation of MediaPipe's world landmarks the same fit sticks in wrong minima.

    Parameters
    ----------
    model, focal_px, pixels : as of `HandProblem`

    Returns
    -------
    state : tuple of tensors
    px_per_m : tensor (hand,)
    """
    level = torch.tensor(LEVEL_HAND, dtype=pixels.dtype)
    mean = torch.as_tensor(angle_prior()[0], dtype=pixels.dtype)
    flat = pose_landmarks(model, level[None], mean[None])[0][0, _PALM, :2]
    # As complex numbers, the similarity is picture = turn * flat + shift; turn carries scale (px per metre) and yaw.
    ours, theirs = torch.view_as_complex(flat.contiguous()), torch.view_as_complex(pixels[:, _PALM].contiguous())
    spread = ours - ours.mean()
    turn = (theirs @ spread.conj()) / spread.abs().square().sum()
    shift = theirs.mean(1) - turn * ours.mean()
    px_per_m = turn.abs().clamp(min=1.0)
    yaw = torch.zeros(len(pixels), 3, dtype=pixels.dtype)
    yaw[:, 2] = turn.angle()
    place = torch.stack([shift.real, shift.imag, (focal_px / px_per_m).log()], dim=-1)
    return (place, exponential(yaw)[0] @ level, mean.repeat(len(pixels), 1)), px_per_m


def wrist_m(place, focal_px):
    """The wrist (hand, 3) in the camera frame, metres, float64 array, of the state's `place`."""
    place = place.double().numpy()
    depth = np.exp(place[:, 2:])
    return np.concatenate([place[:, :2] * depth / focal_px, depth], axis=1)


def _project(place, points, focal_px):
    """Pixels (hand, 21, 2), depth (hand, 21) of the points, and the wrist's depth divided by theirs."""
    depth = place[:, 2:].exp()
    far = (depth + points[..., 2]).clamp(min=NEAREST_M)
    ratio = depth / far
    return place[:, None, :2] * ratio[..., None] + focal_px * points[..., :2] / far[..., None], far, ratio
