"""A least-squares problem of the poses of a hand over time, and the steps that lower its cost.

Axes: (series, frame, ...). A series is a window of consecutive poses of one right hand (left hands are mirrored). Many series are solved
in parallel. The state is the joints' rotations (series, frame, joint 16, 3, 3) and the translation (series, frame, xyz 3). A step has 51
unknowns in each frame, ordered as in `hand_models.joint_jacobian`. A normalised residual is divided by its standard deviation. The cost is
half the sum of heavy-tailed losses of the squared, normalised residuals: the measurements of each frame (subclasses of `SeriesProblem`),
and the acceleration of every joint, computed with the presentation times.

The gradient is exact for any skeleton, by automatic differentiation. The Gauss-Newton matrix of the steps approximates each loss by a
weighted square (iteratively reweighted least squares; Holland and Welsch 1977, doi:10.1080/03610927708827533). After eight steps the cost
is at most 0.5 % above that of L-BFGS, which takes four to seven times as long. This was measured with 2 hands at 30 and 60 frames a second,
and with 40 iterations of L-BFGS at each scale of the accelerations.
"""

from abc import ABC, abstractmethod

import torch

from handroll.pose.block_banded import solve_banded
from handroll.pose.differentiable_hand import exponential
from handroll.pose.hand_models import joint_jacobian

MEASURED_TAIL = 9.0
"""Squared, normalised residual of a measurement at which its loss changes from quadratic to logarithmic: 3 standard deviations."""

ACCELERATION_TAIL = 1.0
"""Squared, normalised acceleration at which the loss changes from quadratic to logarithmic. It is small, because a playing hand mostly
rests or glides and sometimes strikes."""

NO_TAIL = 1e6
"""Squared, normalised residual at which the loss of a fingertip below the keys changes from quadratic to logarithmic. It is so large that
the loss stays quadratic. So no other measurement moves a fingertip into a key."""

STEP_DAMPING = 1e-3
"""Initial damping, relative to the diagonal of the matrix. It keeps the steps small in directions that the data barely constrain."""

# Factor on the damping after a rejected step.
_DAMPING_INCREASE = 10.0

# Factor on the damping after an accepted step.
_DAMPING_DECREASE = 0.3

# Minimum and maximum of the damping, relative to the diagonal of the matrix.
_DAMPING_RANGE = (1e-5, 1e3)


class SeriesProblem(ABC):
    """Cost function of series of poses, and the matrix of its steps. Subclasses define the measurements of the frames.

    Parameters
    ----------
    joints_of : callable
        Rotations (..., 16, 3, 3) -> joints (..., 21, 3) without translation.
    difference : tensor (series, frame - 2, 3)
        Coefficients (1 / s^2) of the positions in three consecutive frames: the weighted sum of the positions is the acceleration. 0 if
        the frames are not connected.
    smoothness : float
        Weight of the accelerations.
    axis_scale : tensor (xyz 3)
        Factor on each axis of the translation in accelerations.
    expected_m_s2 : tensor (series, frame - 2, 21, xyz 3) or float
        Expected accelerations of the joints (m / s^2). The cost is that of the difference.
    """

    UNBOUNDED = ()
    """Names of measurements whose loss stays quadratic (`NO_TAIL`)."""

    def __init__(self, joints_of, difference, smoothness, axis_scale, expected_m_s2=0.0):
        self.joints_of, self.difference, self.smoothness, self.axis_scale = joints_of, difference, smoothness, axis_scale
        self.expected_m_s2 = expected_m_s2

    @abstractmethod
    def measured_squares(self, rotation, translation, centred):
        """Return the squared, normalised residuals of the measurements by name, each (series, frame, ...).

        `centred` are the joints (series, frame, 21, xyz 3) of the rotations without the translation.
        """

    @abstractmethod
    def measured_matrix(self, rotation, joints, moves, weights):
        """Return the contribution (series, frame, 51, 51) of the measurements to the Gauss-Newton matrix.

        `moves` is the result of `hand_models.joint_jacobian` for rotations and joints, and `weights` is a result of `evaluate`.
        """

    def _squares(self, rotation, translation):
        """Return the squared, normalised residuals by name, each (series, ...), and the joints (series, frame, 21, xyz 3)."""
        centred = self.joints_of(rotation)
        squares = self.measured_squares(rotation, translation, centred)
        scaled = centred + (translation * self.axis_scale)[..., None, :]
        windows = torch.stack([scaled[:, :-2], scaled[:, 1:-1], scaled[:, 2:]], dim=2)
        acceleration = torch.einsum("stk,stkjc->stjc", self.difference, windows) - self.expected_m_s2
        squares["acceleration"] = acceleration.square().sum(-1)
        return squares, centred + translation[..., None, :]

    def _loss(self, squares, scale_m_s2):
        """Return twice the cost (series,), and the weights of the squared residuals by name.

        `squares` is the first result of `_squares`, and `scale_m_s2` the scale of the accelerations (m / s^2).
        """
        total, weights = 0.0, {}
        for name, square in squares.items():
            share, tail = 1.0, NO_TAIL if name in self.UNBOUNDED else MEASURED_TAIL
            if name == "acceleration":
                square, share, tail = square / scale_m_s2**2, self.smoothness, ACCELERATION_TAIL
            total = total + (share * tail * torch.log1p(square / tail)).flatten(1).sum(1)
            weights[name] = (share / (1.0 + square / tail)).detach()
        weights["acceleration"] = weights["acceleration"] / scale_m_s2**2
        return total, weights

    def evaluate(self, state, scale_m_s2):
        """Return cost (series,), gradient (series, frame, 51), weights by name, and joints (series, frame, 21, xyz 3).

        `state` is (rotation, translation), and `scale_m_s2` the scale of the accelerations (m / s^2).
        """
        rotation, translation = (part.detach().requires_grad_() for part in state)
        squares, joints = self._squares(rotation, translation)
        twice, weights = self._loss(squares, scale_m_s2)
        by_rotation, by_translation = torch.autograd.grad(0.5 * twice.sum(), (rotation, translation))
        # If R becomes R exp(d), the derivative with respect to d is the antisymmetric part of R^T times the derivative by R.
        product = rotation.detach().mT @ by_rotation
        entries = ((2, 1), (0, 2), (1, 0))
        by_rotvec = torch.stack([product[..., i, k] - product[..., k, i] for i, k in entries], -1)
        return 0.5 * twice.detach(), torch.cat([by_rotvec.flatten(-2), by_translation], -1), weights, joints.detach()

    def cost(self, state, scale_m_s2):
        """Return the cost (series,) of a state at a scale of the accelerations (m / s^2)."""
        with torch.no_grad():
            return 0.5 * self._loss(self._squares(*state)[0], scale_m_s2)[0]

    def matrix(self, rotation, joints, weights):
        """Return the blocks (diagonal, lower1, lower2) of the Gauss-Newton matrix for `solve_banded`.

        `rotation` is that of a state; `joints` and `weights` are results of `evaluate`. Blocks are float32, which is accurate enough for
        steps.
        """
        rotation, joints = rotation.float(), joints.float()
        moves = joint_jacobian(rotation, joints)
        diagonal = self.measured_matrix(rotation, joints, moves, weights)
        moves[..., 48:] *= self.axis_scale.float()[:, None]
        difference, weight = self.difference.float(), weights["acceleration"].float()

        def coupling(first, second):
            """Return the weight (series, frame - 2, joint 21) with which the acceleration couples frames `first` and `second` (0, 1, 2)."""
            return (difference[..., first] * difference[..., second])[..., None] * weight

        own = torch.zeros_like(joints[..., 0])
        for k in range(3):
            own[:, k : k + own.shape[1] - 2] += coupling(k, k)
        with_next = torch.zeros_like(own[:, 1:])
        with_next[:, :-1] += coupling(0, 1)
        with_next[:, 1:] += coupling(1, 2)
        diagonal += weighted_product(moves, own[..., None].expand(*own.shape, 3), moves)
        lower1 = weighted_product(moves[:, 1:], with_next[..., None].expand(*with_next.shape, 3), moves[:, :-1])
        with_second = coupling(0, 2)
        lower2 = weighted_product(moves[:, 2:], with_second[..., None].expand(*with_second.shape, 3), moves[:, :-2])
        return diagonal, lower1, lower2


def weighted_product(left, weight, right):
    """Compute the matrices left^T diag(weight) right (series, frame, n, n), summed over points and components.

    `left` and `right` are tensors (series, frame, point, component, n), and `weight` (series, frame, point, component).
    """
    return left.flatten(2, 3).mT @ (weight.flatten(2)[..., None] * right.flatten(2, 3))


def minimise_series(problem, state, scales_m_s2):
    """Minimise the cost with one step at each scale of the accelerations, large scales first.

    Parameters
    ----------
    problem : SeriesProblem
    state : (rotation, translation)
        The initial state.
    scales_m_s2 : sequence of float
        Scales of the accelerations; the last one is that of the prior. A heavy-tailed loss does not distinguish a spike from a stroke.
        So the scale decreases from step to step: graduated non-convexity (Blake and Zisserman 1987, doi:10.7551/mitpress/7132.001.0001).

    Returns
    -------
    state : (rotation, translation)
        The state after the last step.
    cost : tensor (series,)
        Cost of that state at the last scale.
    """
    damping = torch.full_like(state[1][:, 0, 0], STEP_DAMPING)
    for scale in scales_m_s2:
        cost, gradient, weights, joints = problem.evaluate(state, scale)
        diagonal, lower1, lower2 = problem.matrix(state[0], joints, weights)
        diagonal_values = diagonal.diagonal(dim1=-2, dim2=-1)
        diagonal_values += damping.float()[:, None, None] * diagonal_values
        # Scale the diagonal to 1, so that float32 is accurate for metres and radians, and for near and far hands.
        inverse_root = diagonal_values.clamp(min=1e-12).rsqrt()
        diagonal = inverse_root[..., None] * diagonal * inverse_root[..., None, :]
        lower1 = inverse_root[:, 1:, :, None] * lower1 * inverse_root[:, :-1, None, :]
        lower2 = inverse_root[:, 2:, :, None] * lower2 * inverse_root[:, :-2, None, :]
        step, failed = solve_banded(diagonal, lower1, lower2, -(inverse_root * gradient).float())
        step = torch.where(failed[:, None, None], 0.0, inverse_root * step).to(gradient)
        trial = state[0] @ exponential(step[..., :48].unflatten(-1, (16, 3)))[0], state[1] + step[..., 48:]
        trial_cost = problem.cost(trial, scale)
        better = (trial_cost < cost) & ~failed
        state = tuple(torch.where(better.view(-1, *[1] * (old.dim() - 1)), new, old) for new, old in zip(trial, state, strict=True))
        damping = torch.where(better, damping * _DAMPING_DECREASE, damping * _DAMPING_INCREASE).clamp(*_DAMPING_RANGE)
    return state, problem.cost(state, scales_m_s2[-1])
