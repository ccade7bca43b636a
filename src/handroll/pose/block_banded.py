"""Linear systems along time: blocks that are coupled to the two before and the two after, many series at once.

The Cholesky factorisation by blocks of two frames: as many operations as frames, like a Kalman smoother (Rauch, Tung and
Striebel 1965, doi:10.2514/3.3166), which it equals in exact arithmetic. Axes: (series, frame, n, n).
"""

import torch


def solve_banded(diagonal, beside, beyond, right):
    """Solve H x = right, where H is symmetric and block pentadiagonal.

    Parameters
    ----------
    diagonal : tensor (series, frame, n, n)
        H[t, t]; an even number of frames.
    beside : tensor (series, frame - 1, n, n)
        H[t + 1, t].
    beyond : tensor (series, frame - 2, n, n)
        H[t + 2, t].
    right : tensor (series, frame, n)

    Returns
    -------
    x : tensor (series, frame, n)
    failed : bool tensor (series,)
        H is not positive definite: x means nothing.
    """
    series, frames, n = right.shape
    pairs = frames // 2
    failed = torch.zeros(series, dtype=torch.bool, device=right.device)
    halves = right.reshape(series, pairs, 2 * n, 1)
    factors, couplings, forward = [], [], []
    for i in range(pairs):
        first, second = 2 * i, 2 * i + 1
        block = diagonal.new_empty(series, 2 * n, 2 * n)
        block[:, :n, :n], block[:, n:, n:] = diagonal[:, first], diagonal[:, second]
        block[:, n:, :n], block[:, :n, n:] = beside[:, first], beside[:, first].mT
        known = halves[:, i]
        if i:
            block = torch.baddbmm(block, couplings[-1], couplings[-1].mT, alpha=-1.0)
            known = known - couplings[-1] @ forward[-1]
        factor, info = torch.linalg.cholesky_ex(block)
        failed |= info != 0
        factors.append(factor)
        forward.append(torch.linalg.solve_triangular(factor, known, upper=False))
        if i + 1 < pairs:
            coupling = diagonal.new_zeros(series, 2 * n, 2 * n)
            coupling[:, :n, :n], coupling[:, n:, n:] = beyond[:, first], beyond[:, second]
            coupling[:, :n, n:] = beside[:, second]
            couplings.append(torch.linalg.solve_triangular(factor.mT, coupling, upper=True, left=False))
    out = [torch.linalg.solve_triangular(factors[-1].mT, forward[-1], upper=True)]
    for i in reversed(range(pairs - 1)):
        out.append(torch.linalg.solve_triangular(factors[i].mT, forward[i] - couplings[i].mT @ out[-1], upper=True))
    return torch.stack(out[::-1], dim=1).reshape(series, frames, n), failed
