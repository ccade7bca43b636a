"""The poses of a hand over time as one least-squares problem: what it costs, and how a step is taken.

Axes: (series, frame, ...): pieces of one right hand's series (a left one comes mirrored), solved side by side. The state is
the joints' rotations (series, frame, joint 16, 3, 3) and the translation (series, frame, 3); a step has 51 numbers a frame,
as `skeletons.joint_jacobian` has them. The cost is half the sum of heavy-tailed losses of squared, normalised residuals:

- the engine's pose: its joints in the picture, its rotations, its depth, each with its own noise;
- the detected landmarks, bias removed, in the picture;
- the heights of the fingertips above the keys;
- the acceleration of every joint over the true time steps.

Its gradient is exact, by automatic differentiation, for any skeleton; the Gauss-Newton matrix of the steps takes the weights
that make the losses quadratic at the state (Holland and Welsch 1977, doi:10.1080/03610927708827533). Eight such steps come within
0.5 % of the cost, or below it, that L-BFGS reaches in four to seven times their time (2 hands, 30 and 60 frames a second, 40
iterations a scale).
"""

from dataclasses import dataclass

import torch

from handroll.hand.skeleton import TIPS
from handroll.pose.articulation import exponential
from handroll.pose.block_banded import solve_banded
from handroll.pose.fit_problem import NEAREST_M
from handroll.pose.skeletons import joint_jacobian

MEASURED_TAIL, ACCELERATION_TAIL = 9.0, 1.0
"""Where the losses turn from squares to logarithms, in squared residuals: at 3 sigma for what is measured, at 1 for accelerations,
since a playing hand mostly rests or glides and now and then strikes."""

NO_TAIL = 1e6
"""No fingertip is inside a key, however likely another measurement makes it."""

STEP_DAMPING = 1e-3
"""Relative to the diagonal of the matrix: what the data hardly see stays where it is."""

_REJECTED, _KEPT, _DAMPING_RANGE = 10.0, 0.3, (1e-5, 1e3)


@dataclass(frozen=True)
class Measured:
    """What is known of the frames; tensors of one float and device. Infinite sigmas stand for what is not known.

    Attributes
    ----------
    rotation : (series, frame, 16, 3, 3)
        The engine's.
    place_m : (series, frame, 3)
        The engine's translation.
    joints_px, joints_sigma_px : (series, frame, 21, 2), (series, frame, 21)
        The engine's joints, pixels from the principal point.
    rotation_sigma_rad : (series, frame, 16)
    depth_sigma : (series, frame)
        Of the logarithm of the wrist's depth.
    landmarks_px, landmarks_sigma_px : (series, frame, 21, 2), (series, frame, 21)
        The detector's, without bias, in the order of the joints.
    lowest_m, lowest_sigma_m : (series, frame, 5), (series, frame, 5)
        No fingertip is lower above the keys than this, softly.
    height_m, height_sigma_m : (series, frame, 5), (series, frame, 5)
        Where a fingertip that holds a key is.
    difference : (series, frame - 2, 3)
        Coefficients of three frames that give the acceleration, 1 / s^2; 0 where they do not belong together.
    """

    rotation: torch.Tensor
    place_m: torch.Tensor
    joints_px: torch.Tensor
    joints_sigma_px: torch.Tensor
    rotation_sigma_rad: torch.Tensor
    depth_sigma: torch.Tensor
    landmarks_px: torch.Tensor
    landmarks_sigma_px: torch.Tensor
    lowest_m: torch.Tensor
    lowest_sigma_m: torch.Tensor
    height_m: torch.Tensor
    height_sigma_m: torch.Tensor
    difference: torch.Tensor


class SeriesProblem:
    """Cost and steps of pieces of a hand's series.

    Parameters
    ----------
    measured : Measured
    joints_of : callable
        Rotations (..., 16, 3, 3) -> joints (..., 21, 3) without translation.
    focal_px : float
    plane : tensor (4,) or None
        As of `problem.HandProblem`.
    depth_share : float
        What a metre of the wrist's depth counts in accelerations: 1 where depth is metric.
    smoothness : float
        Weight of the accelerations.
    """

    def __init__(self, measured, joints_of, focal_px, plane, depth_share, smoothness):
        self.measured, self.joints_of, self.focal_px, self.plane, self.smoothness = measured, joints_of, focal_px, plane, smoothness
        self.stretch = torch.tensor([1.0, 1.0, depth_share]).to(measured.place_m)

    def _squares(self, rotation, place):
        """Squared normalised residuals by name, each (series, ...), and the joints (series, frame, 21, 3) without and with translation."""
        m = self.measured
        bare = self.joints_of(rotation)
        joints = bare + place[..., None, :]
        pixels = self.focal_px * joints[..., :2] / joints[..., 2:].clamp(min=NEAREST_M)
        squares = {
            "joints": (pixels - m.joints_px).square().sum(-1) / m.joints_sigma_px.square(),
            "landmarks": (pixels - m.landmarks_px).square().sum(-1) / m.landmarks_sigma_px.square(),
            # 4 sin^2(angle / 2) of the turn from the engine's rotation: its square for small angles, and smooth for all.
            "rotation": (3.0 - (m.rotation * rotation).sum((-1, -2))) / m.rotation_sigma_rad.square(),
            "depth": (joints[..., 0, 2].clamp(min=NEAREST_M) / (m.place_m[..., 2] + bare[..., 0, 2]).clamp(min=NEAREST_M)).log().square()
            / m.depth_sigma.square(),
        }
        if self.plane is not None:
            heights = joints[..., TIPS, :] @ self.plane[:3] + self.plane[3]
            squares["lowest"] = ((m.lowest_m - heights).clamp(min=0.0) / m.lowest_sigma_m).square()
            squares["height"] = ((heights - m.height_m) / m.height_sigma_m).square()
        smooth = bare + (place * self.stretch)[..., None, :]
        windows = torch.stack([smooth[:, :-2], smooth[:, 1:-1], smooth[:, 2:]], dim=2)
        acceleration = torch.einsum("stk,stkjc->stjc", m.difference, windows)
        squares["acceleration"] = acceleration.square().sum(-1)
        return squares, joints

    def _loss(self, squares, scale_m_s2):
        """Twice the cost (series,), and the weight of each square by name, at this scale of the accelerations."""
        total, weights = 0.0, {}
        for name, square in squares.items():
            share, tail = 1.0, NO_TAIL if name == "lowest" else MEASURED_TAIL
            if name == "acceleration":
                square, share, tail = square / scale_m_s2**2, self.smoothness, ACCELERATION_TAIL
            total = total + (share * tail * torch.log1p(square / tail)).flatten(1).sum(1)
            weights[name] = (share / (1.0 + square / tail)).detach()
        weights["acceleration"] = weights["acceleration"] / scale_m_s2**2
        return total, weights

    def evaluate(self, state, scale_m_s2):
        """Cost (series,), gradient (series, frame, 51), weights and joints at a state (rotation, place)."""
        rotation, place = (part.detach().requires_grad_() for part in state)
        squares, joints = self._squares(rotation, place)
        twice, weights = self._loss(squares, scale_m_s2)
        by_rotation, by_place = torch.autograd.grad(0.5 * twice.sum(), (rotation, place))
        # What turning R to R exp(d) changes: the antisymmetric part of R^T dR.
        turn = rotation.detach().mT @ by_rotation
        by_turn = torch.stack([turn[..., 2, 1] - turn[..., 1, 2], turn[..., 0, 2] - turn[..., 2, 0], turn[..., 1, 0] - turn[..., 0, 1]], -1)
        return 0.5 * twice.detach(), torch.cat([by_turn.flatten(-2), by_place], -1), weights, joints.detach()

    def cost(self, state, scale_m_s2):
        """Cost (series,) of a state."""
        with torch.no_grad():
            return 0.5 * self._loss(self._squares(*state)[0], scale_m_s2)[0]

    def matrix(self, rotation, joints, weights):
        """Gauss-Newton matrix by blocks, float32 (it only shapes the steps): as `solve_banded` takes it."""
        m = self.measured
        rotation, joints = rotation.float(), joints.float()
        moves = joint_jacobian(rotation, joints)
        far = joints[..., 2:].clamp(min=NEAREST_M)
        in_picture = (self.focal_px / far)[..., None] * (moves[..., :2, :] - (joints[..., :2] / far)[..., None] * moves[..., 2:, :])
        weight = weights["joints"] / m.joints_sigma_px.square() + weights["landmarks"] / m.landmarks_sigma_px.square()
        diagonal = _product(in_picture, weight.float()[..., None].expand(*weight.shape, 2), in_picture)
        eye = diagonal.diagonal(dim1=-2, dim2=-1)
        eye[..., :48] += (weights["rotation"] / m.rotation_sigma_rad.square()).float().repeat_interleave(3, dim=-1)
        eye[..., 50] += (weights["depth"] / m.depth_sigma.square()).float() / far[..., 0, 0].square()
        if self.plane is not None:
            up = self.plane[:3].float()
            rise = (moves[..., TIPS, :, :] * up[:, None]).sum(-2)
            below = joints[..., TIPS, :] @ up + self.plane[3].float() < m.lowest_m
            weight = weights["height"] / m.height_sigma_m.square() + below * weights["lowest"] / m.lowest_sigma_m.square()
            diagonal += rise.mT @ (weight.float()[..., None] * rise)
        moves[..., 48:] *= self.stretch.float()[:, None]
        difference, weight = m.difference.float(), weights["acceleration"].float()

        def spread(first, second):
            return (difference[..., first] * difference[..., second])[..., None] * weight

        alone = torch.zeros_like(joints[..., 0])
        for k in range(3):
            alone[:, k : k + alone.shape[1] - 2] += spread(k, k)
        next_to = torch.zeros_like(alone[:, 1:])
        next_to[:, :-1] += spread(0, 1)
        next_to[:, 1:] += spread(1, 2)
        diagonal += _product(moves, alone[..., None].expand(*alone.shape, 3), moves)
        beside = _product(moves[:, 1:], next_to[..., None].expand(*next_to.shape, 3), moves[:, :-1])
        over = spread(0, 2)
        beyond = _product(moves[:, 2:], over[..., None].expand(*over.shape, 3), moves[:, :-2])
        return diagonal, beside, beyond


def _product(left, weight, right):
    """left^T diag(weight) right of (series, frame, point, component, n), with the weight (series, frame, point, component)."""
    return left.flatten(2, 3).mT @ (weight.flatten(2)[..., None] * right.flatten(2, 3))


def minimise_series(problem, state, scales_m_s2):
    """Lower the cost, with one step at each scale of the accelerations, coarse ones first.

    Parameters
    ----------
    problem : SeriesProblem
    state : (rotation, place)
    scales_m_s2 : sequence of float
        The last one is the prior's. Coarse scales first, since a frame that leaps looks like a strike to a heavy-tailed loss:
        graduated non-convexity (Blake and Zisserman 1987, doi:10.7551/mitpress/7132.001.0001).

    Returns
    -------
    state : (rotation, place)
    cost : tensor (series,)
    """
    damping = torch.full_like(state[1][:, 0, 0], STEP_DAMPING)
    for scale in scales_m_s2:
        cost, gradient, weights, joints = problem.evaluate(state, scale)
        diagonal, beside, beyond = problem.matrix(state[0], joints, weights)
        strength = diagonal.diagonal(dim1=-2, dim2=-1)
        strength += damping.float()[:, None, None] * strength
        # Scaled to a unit diagonal, so that float32 bears metres and radians, near and far.
        root = strength.clamp(min=1e-12).rsqrt()
        diagonal = root[..., None] * diagonal * root[..., None, :]
        beside = root[:, 1:, :, None] * beside * root[:, :-1, None, :]
        beyond = root[:, 2:, :, None] * beyond * root[:, :-2, None, :]
        step, failed = solve_banded(diagonal, beside, beyond, -(root * gradient).float())
        step = torch.where(failed[:, None, None], 0.0, root * step).to(gradient)
        trial = state[0] @ exponential(step[..., :48].unflatten(-1, (16, 3)))[0], state[1] + step[..., 48:]
        trial_cost = problem.cost(trial, scale)
        better = (trial_cost < cost) & ~failed
        state = tuple(torch.where(better.view(-1, *[1] * (old.dim() - 1)), new, old) for new, old in zip(trial, state, strict=True))
        damping = torch.where(better, damping * _KEPT, damping * _REJECTED).clamp(*_DAMPING_RANGE)
    return state, problem.cost(state, scales_m_s2[-1])
