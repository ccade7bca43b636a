"""Optimal transport between a few weighted points (Kantorovich 1942), exactly, as a linear program."""

import numpy as np
from scipy.optimize import linprog


def transport_cost(weights_a, weights_b, cost):
    """Least cost of moving one set of weights onto another.

    Parameters
    ----------
    weights_a : array (a,)
    weights_b : array (b,)
        0 or more, of equal sums, which are brought to 1.
    cost : array (a, b)
        Of a unit of weight.

    Returns
    -------
    float
    """
    a, b = (np.asarray(weights, dtype=np.float64) for weights in (weights_a, weights_b))
    rows, columns = np.kron(np.eye(len(a)), np.ones(len(b))), np.kron(np.ones(len(a)), np.eye(len(b)))
    # The last condition follows from the others, and rounding must not make it contradict them.
    conditions, sums = np.concatenate([rows, columns[:-1]]), np.concatenate([a / a.sum(), b[:-1] / b.sum()])
    return float(linprog(np.asarray(cost, dtype=np.float64).ravel(), A_eq=conditions, b_eq=sums, method="highs").fun)
