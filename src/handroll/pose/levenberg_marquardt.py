"""Batched Levenberg-Marquardt: solve many small least-squares problems in parallel, each with its own damping.

Levenberg 1944 (doi:10.1090/qam/10666), Marquardt 1963 (doi:10.1137/0111030). The step of each problem solves
(H + damping * diag(H)) step = -gradient by a batched Cholesky factorisation, where H is the Gauss-Newton matrix. A step is accepted if it
lowers the cost.
"""

import torch

FIRST_DAMPING = 1e-2
"""Initial damping, relative to the diagonal of H: small enough for nearly full first steps, and large enough to damp directions that the
data do not constrain."""

DAMPING_DECREASE = 0.2
"""Factor on the damping after an accepted step."""

DAMPING_INCREASE = 5.0
"""Factor on the damping after a rejected step."""

DAMPING_RANGE = (1e-6, 1e6)
"""Minimum and maximum of the damping, relative to the diagonal of H."""


def minimise(state, evaluate, retract, iterations):
    """Minimise the cost of every problem.

    Parameters
    ----------
    state : tuple of tensors (problem, ...)
        Initial state.
    evaluate : callable
        state -> cost (problem,), gradient (problem, n), matrix H (problem, n, n); cost = 1/2 sum of squared residuals,
        gradient = J^T r, H = J^T J.
    retract : callable
        (state, step (problem, n)) -> the state after the step.
    iterations : int
        Number of steps. It is fixed, so the run time does not depend on the data.

    Returns
    -------
    state : tuple of tensors
        The best state of each problem, which is never worse than the initial one.
    cost : tensor (problem,)
        Cost of that state. It is finite if the initial cost is finite.
    """
    cost, gradient, matrix = evaluate(state)
    damping = torch.full_like(cost, FIRST_DAMPING)
    for _ in range(iterations):
        damped = diagonal_add(matrix, damping[:, None] * matrix.diagonal(dim1=-2, dim2=-1))
        factor, failed = torch.linalg.cholesky_ex(damped)
        step = -torch.cholesky_solve(gradient[..., None], factor).squeeze(-1)
        step = torch.where((failed == 0)[:, None], step, 0.0)
        trial = retract(state, step)
        trial_cost, trial_gradient, trial_matrix = evaluate(trial)
        better = trial_cost < cost
        state = tuple(choose(better, new, old) for new, old in zip(trial, state, strict=True))
        cost = choose(better, trial_cost, cost)
        gradient = choose(better, trial_gradient, gradient)
        matrix = choose(better, trial_matrix, matrix)
        damping = torch.where(better, damping * DAMPING_DECREASE, damping * DAMPING_INCREASE).clamp(*DAMPING_RANGE)
    return state, cost


def choose(mask, first, second):
    """Select tensors (problem, ...) by problem: `first` where the mask (problem,) is true, else `second`."""
    return torch.where(mask.view(-1, *[1] * (first.dim() - 1)), first, second)


def diagonal_add(matrix, diagonal):
    """Return a copy of the matrices (problem, n, n) with `diagonal` (problem, n) added to their diagonals."""
    out = matrix.clone()
    out.diagonal(dim1=-2, dim2=-1).add_(diagonal)
    return out
