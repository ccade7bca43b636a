"""Batched Levenberg-Marquardt: solve many small least-squares problems in parallel, each with its own damping.

Levenberg 1944 (doi:10.1090/qam/10666), Marquardt 1963 (doi:10.1137/0111030). The step of each problem solves
(H + damping * diag(H)) step = -gradient by a batched Cholesky factorisation. A step is accepted if it lowers the cost.
"""

import torch

FIRST_DAMPING = 1e-2
"""Initial damping, relative to the diagonal of H: small enough for nearly full first steps, large enough to damp directions that the data
do not constrain."""

DAMPING_DECREASE, DAMPING_INCREASE = 0.2, 5.0
"""Factors on the damping after an accepted step, and after a rejected one."""

DAMPING_RANGE = (1e-6, 1e6)
"""Minimum and maximum of the damping."""


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
        (state, step (problem, n)) -> state after the step.
    iterations : int
        Number of steps; the run time does not depend on the data.

    Returns
    -------
    state : tuple of tensors
        The best state; never worse than the initial one.
    cost : tensor (problem,)
        Its cost; not finite only where the initial cost is not.
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
    """Select `first` where the mask (problem,) is true, else `second`; both (problem, ...)."""
    return torch.where(mask.view(-1, *[1] * (first.dim() - 1)), first, second)


def diagonal_add(matrix, diagonal):
    """Return a copy of the matrices (problem, n, n) with `diagonal` (problem, n) added to their diagonals."""
    out = matrix.clone()
    out.diagonal(dim1=-2, dim2=-1).add_(diagonal)
    return out
