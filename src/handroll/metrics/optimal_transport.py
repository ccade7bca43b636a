"""Exact optimal transport between two small sets of weighted points (Kantorovich 1942), solved as a linear program."""

import numpy as np
from scipy.optimize import linprog


def transport_cost(weights_a, weights_b, cost):
    """Compute the minimum cost of transporting the weights of one set of points to another.

    Parameters
    ----------
    weights_a : array (a,)
    weights_b : array (b,)
        Non-negative weights of the points. The weights of each set are normalised to the sum 1.
    cost : array (a, b)
        Cost of transporting a unit of weight from a point of the first set to a point of the second.

    Returns
    -------
    float
    """
    a, b = (np.asarray(weights, dtype=np.float64) for weights in (weights_a, weights_b))
    rows, columns = np.kron(np.eye(len(a)), np.ones(len(b))), np.kron(np.ones(len(a)), np.eye(len(b)))
    # The last constraint follows from the others. It is omitted, because rounding could make the constraints inconsistent.
    conditions, sums = np.concatenate([rows, columns[:-1]]), np.concatenate([a / a.sum(), b[:-1] / b.sum()])
    return float(linprog(np.asarray(cost, dtype=np.float64).ravel(), A_eq=conditions, b_eq=sums, method="highs").fun)
