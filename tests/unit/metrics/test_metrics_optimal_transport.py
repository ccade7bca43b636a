import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from handroll.metrics.optimal_transport import transport_cost


def test_equal_weights_are_an_assignment():
    cost = np.random.default_rng(0).random((7, 7))
    rows, columns = linear_sum_assignment(cost)
    assert transport_cost(np.ones(7), np.ones(7), cost) == pytest.approx(cost[rows, columns].sum() / 7)


def test_weights_are_shared_out():
    assert transport_cost([0.25, 0.75], [1.0], [[2.0], [4.0]]) == pytest.approx(3.5)
    assert transport_cost([0.5, 0.5], [0.25, 0.75], [[0.0, 1.0], [1.0, 0.0]]) == pytest.approx(0.25)


def test_points_on_a_line_are_moved_in_order():
    rng = np.random.default_rng(1)
    a, b, weights = np.sort(rng.normal(size=5)), np.sort(rng.normal(size=5)), rng.random(5)
    assert transport_cost(weights, weights, np.abs(a[:, None] - b)) == pytest.approx((np.abs(a - b) * weights).sum() / weights.sum())
