"""Solve block pentadiagonal linear systems over time, for many series in parallel.

Each frame is coupled to the two frames before it and the two frames after it. The Cholesky factorisation uses blocks of two frames, so
its cost is linear in the number of frames. In exact arithmetic the solution equals that of a Kalman smoother (Rauch, Tung and Striebel
1965, doi:10.2514/3.3166). Axes: series, frame, and n for the n unknowns of a frame.
"""

import torch


def solve_banded(diagonal, lower1, lower2, rhs):
    """Solve H x = rhs, where H is symmetric and block pentadiagonal.

    Parameters
    ----------
    diagonal : tensor (series, frame, n, n)
        Blocks H[t, t]. The number of frames is even.
    lower1 : tensor (series, frame - 1, n, n)
        Blocks H[t + 1, t].
    lower2 : tensor (series, frame - 2, n, n)
        Blocks H[t + 2, t].
    rhs : tensor (series, frame, n)
        Right-hand side of the system.

    Returns
    -------
    x : tensor (series, frame, n)
        Solution of the system.
    failed : bool tensor (series,)
        True for a series whose H is not positive definite. The solution of this series is invalid.
    """
    series, frames, n = rhs.shape
    pairs = frames // 2
    failed = torch.zeros(series, dtype=torch.bool, device=rhs.device)
    rhs_blocks = rhs.reshape(series, pairs, 2 * n, 1)
    factors, couplings, forward = [], [], []
    for i in range(pairs):
        first, second = 2 * i, 2 * i + 1
        block = diagonal.new_empty(series, 2 * n, 2 * n)
        block[:, :n, :n], block[:, n:, n:] = diagonal[:, first], diagonal[:, second]
        block[:, n:, :n], block[:, :n, n:] = lower1[:, first], lower1[:, first].mT
        rhs_block = rhs_blocks[:, i]
        if i:
            block = torch.baddbmm(block, couplings[-1], couplings[-1].mT, alpha=-1.0)
            rhs_block = rhs_block - couplings[-1] @ forward[-1]
        factor, info = torch.linalg.cholesky_ex(block)
        failed |= info != 0
        factors.append(factor)
        forward.append(torch.linalg.solve_triangular(factor, rhs_block, upper=False))
        if i + 1 < pairs:
            coupling = diagonal.new_zeros(series, 2 * n, 2 * n)
            coupling[:, :n, :n], coupling[:, n:, n:] = lower2[:, first], lower2[:, second]
            coupling[:, :n, n:] = lower1[:, second]
            couplings.append(torch.linalg.solve_triangular(factor.mT, coupling, upper=True, left=False))
    out = [torch.linalg.solve_triangular(factors[-1].mT, forward[-1], upper=True)]
    for i in reversed(range(pairs - 1)):
        out.append(torch.linalg.solve_triangular(factors[i].mT, forward[i] - couplings[i].mT @ out[-1], upper=True))
    return torch.stack(out[::-1], dim=1).reshape(series, frames, n), failed
