"""Batched Levenberg-Marquardt: many small least-squares problems at once, each with its own damping.

Levenberg 1944 (doi:10.1090/qam/10666), Marquardt 1963 (doi:10.1137/0111030). The step of each problem solves
(H + damping * diag(H)) step = -gradient by a batched Cholesky factorisation; it is kept where it lowers the cost.
"""

import torch

FIRST_DAMPING = 1e-2
"""Relative to the diagonal of H. Small enough for nearly full first steps, large enough to damp directions the data do not see."""

RELAX, TIGHTEN = 0.2, 5.0
"""Factors on the damping after a step that was kept, and after one that was not."""

DAMPING_RANGE = (1e-6, 1e6)


def minimise(state, evaluate, retract, iterations):
    """Lower the cost of every problem.

    Parameters
    ----------
    state : tuple of tensors (problem, ...)
        Where to start.
    evaluate : callable
        state -> cost (problem,), gradient (problem, n), matrix H (problem, n, n); cost = 1/2 sum of squared residuals,
        gradient = J^T r, H = J^T J.
    retract : callable
        (state, step (problem, n)) -> state: the step applied.
    iterations : int
        Steps tried; the run time does not depend on the data.

    Returns
    -------
    state : tuple of tensors
        The best state seen; never worse than the start.
    cost : tensor (problem,)
        Its cost; not finite only where the start's was not.
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
        damping = torch.where(better, damping * RELAX, damping * TIGHTEN).clamp(*DAMPING_RANGE)
    return state, cost


def choose(mask, first, second):
    """`first` where the mask (problem,) holds, else `second`; both (problem, ...)."""
    return torch.where(mask.view(-1, *[1] * (first.dim() - 1)), first, second)


def diagonal_add(matrix, diagonal):
    """A copy of the matrices (problem, n, n) with `diagonal` (problem, n) added to their diagonals."""
    out = matrix.clone()
    out.diagonal(dim1=-2, dim2=-1).add_(diagonal)
    return out
