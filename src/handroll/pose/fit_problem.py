"""The least-squares problem of the `landmarks` engine: where to start, what it costs, and how a step is taken.

The state of a batch of right hands (a left one comes mirrored) is a tuple of tensors:
place (hand, 3): the wrist as pixel x, y from the principal point and log depth, m; root (hand, 3, 3): the palm's orientation
in the camera frame; angles (hand, 45): rad. The 51 unknowns of a step are in that order, the root's as a small rotation.
Depth is a logarithm because under HaMeR's focal length it is tens of metres and only its ratio shows in the picture.
"""

import torch

from handroll.hand.skeleton import JOINT_OF_LANDMARK, JOINTS
from handroll.pose.articulation import N_ANGLES, exponential, pose_landmarks
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
"""Nothing is projected from nearer than this."""

LEVEL_HAND = ((0.0, 0.0, -1.0), (1.0, 0.0, 0.0), (0.0, -1.0, 0.0))
"""Root orientation of a level right hand seen from above with its fingers towards the top of the picture: MANO's -x (fingers)
to -y, +y (back of the hand) to -z, +z (thumb) to -x."""

_PALM = [row for row, joint in enumerate(JOINT_OF_LANDMARK) if JOINTS[joint] in ("wrist", "thumb1", "index1", "middle1", "ring1", "pinky1")]
# Landmarks that keep their distances when the fingers move.

_UP = (0.0, 0.0, -1.0)
# Away from the keys where no keyboard is registered: the camera looks down.


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
    plane : tensor (4,), optional
        Height above the white keys, metres, of a point of the camera frame is plane[:3] @ point + plane[3]. Without it only
        differences of heights within a hand count.
    pressed_m : tensor (hand, finger 5), optional
        Height of the key top that a fingertip presses, NaN where it presses none; only with a plane.
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
        rise = torch.nn.functional.pad((moves[:, self.height_rows] * self.up[:, None]).sum(2), (3, 0))
        if self.plane is not None:
            wrist = _wrist(place, self.focal_px)
            height = height + (wrist @ self.up + self.plane[3])[:, None]
            rise[..., :2] = (wrist[:, 2:] / self.focal_px * self.up[:2])[:, None]
            rise[..., 2] = (wrist @ self.up)[:, None]
        off_height = height - self.height_mean
        if self.plane is None:
            # The best plane is the weighted mean of what the heights are off.
            share = self.height_weight.square() / self.height_weight.square().sum()
            off_height, rise = off_height - (off_height @ share)[:, None], rise - (rise.mT @ share)[:, None]
        residual = torch.cat([in_picture, off_height * self.height_weight], dim=1)
        jacobian = torch.cat([(drift * self.weight[..., None]).flatten(1, 2), rise * self.height_weight[..., None]], dim=1)

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


def _with_contacts(rows, mean, weight, pressed_m):
    """Mean and weight (hand, row) of the heights where some fingertips (hand, finger 5) are known to press a key."""
    mean, weight = (values.expand(len(pressed_m), -1).clone() for values in (mean, weight))
    tips = torch.tensor([int((rows == 4 * finger + 4).nonzero()) for finger in range(5)])
    presses, some = pressed_m.isfinite(), pressed_m.isfinite().any(dim=1, keepdim=True)
    free_mean, free_weight = (1e-3 * HEIGHT_FREE_MM[0], 1e3 / HEIGHT_FREE_MM[1])
    mean[:, tips] = torch.where(presses, pressed_m + 1e-3 * HEIGHT_PRESSING_MM[0], torch.where(some, free_mean, mean[:, tips]))
    weight[:, tips] = torch.where(presses, 1e3 / HEIGHT_PRESSING_MM[1], torch.where(some, free_weight, weight[:, tips]))
    return mean, weight


def retract(state, step):
    """The state after a step (hand, 51)."""
    place, root, angles = state
    return place + step[:, :3], exponential(step[:, 3:6])[0] @ root, angles + step[:, 6:]


def level_start(model, focal_px, pixels, up=_UP):
    """A level hand with the mean angles, laid over the palm's landmarks by the best similarity in the picture.

    Level starts matter: from the orientation of MediaPipe's world landmarks the same fit sticks in wrong minima.

    Parameters
    ----------
    model, focal_px, pixels : as of `HandProblem`
    up : tensor (xyz 3)
        Away from the keys, camera frame.

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
    return (place, _tilt(up, pixels.dtype) @ exponential(yaw)[0] @ level, mean.repeat(len(pixels), 1)), px_per_m


def wrist_m(place, focal_px):
    """The wrist (hand, 3) in the camera frame, metres, float64 array, of the state's `place`."""
    return _wrist(place.double(), focal_px).numpy()


def _wrist(place, focal_px):
    depth = place[:, 2:].exp()
    return torch.cat([place[:, :2] * depth / focal_px, depth], dim=1)


def _tilt(up, dtype):
    """The smallest rotation (3, 3) from the viewing axis to another `up`."""
    up, axis = torch.as_tensor(up, dtype=dtype), torch.tensor(_UP, dtype=dtype)
    turn = torch.linalg.cross(axis, up)
    sine = turn.norm()
    angle = torch.atan2(sine, axis @ up)
    return exponential(turn * (angle / sine.clamp(min=1e-9)))[0]


def _project(place, points, focal_px):
    """Pixels (hand, 21, 2), depth (hand, 21) of the points, and the wrist's depth divided by theirs."""
    depth = place[:, 2:].exp()
    far = (depth + points[..., 2]).clamp(min=NEAREST_M)
    ratio = depth / far
    return place[:, None, :2] * ratio[..., None] + focal_px * points[..., :2] / far[..., None], far, ratio
