"""Fréchet distance: against closed forms, singular covariances, pooling."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from handroll.metrics.frechet import Gaussian, fit_gaussian, frechet_distance, pooled


def samples(seed, count=300, features=12, scale=1.0, shift=0.0):
    rng = np.random.default_rng(seed)
    return shift + scale * rng.normal(size=(count, features)) @ rng.normal(size=(features, features))


def test_closed_forms():
    a = Gaussian(np.array([1.0, 2.0]), np.diag([4.0, 9.0]), 10)
    b = Gaussian(np.array([1.0, 5.0]), np.diag([1.0, 0.0]), 10)
    assert frechet_distance(a, b) == pytest.approx(9.0 + 1.0 + 9.0, rel=1e-12)
    x, y = fit_gaussian(samples(0)), fit_gaussian(samples(1, shift=0.3))
    root = sqrtm(x.covariance @ y.covariance).real
    expected = ((x.mean - y.mean) ** 2).sum() + np.trace(x.covariance + y.covariance - 2.0 * root)
    assert frechet_distance(x, y) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(y, x), rel=1e-12)


def test_the_figure_known_from_elsewhere():
    rng = np.random.default_rng(4242)
    truth = fit_gaussian(rng.normal(size=(400, 16)))
    assert frechet_distance(fit_gaussian(1.3 * rng.normal(size=(400, 16)) + 0.2), truth) == pytest.approx(2.749040, rel=1e-6)


@pytest.mark.parametrize(("index", "expected"), [*enumerate([1.002954, 1.379240, 0.872207, 1.158787])])
def test_figures_of_walks_known_from_elsewhere(index, expected, walk):
    truth = walk(1000 + index, 48)
    predicted = 0.7 * truth + 0.3 * walk(5000 + index, 48)
    assert frechet_distance(fit_gaussian(predicted), fit_gaussian(truth)) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("count", [1, 5, 300])
def test_a_set_is_at_distance_zero_from_itself_even_where_it_is_singular(count):
    a = fit_gaussian(samples(2, count, features=64))
    assert 0.0 <= frechet_distance(a, a) < 1e-10 * max(np.trace(a.covariance), 1.0)
    moved = Gaussian(a.mean + 0.5, a.covariance, a.count)
    assert frechet_distance(a, moved) == pytest.approx(64 * 0.25, rel=1e-9)


def test_singular_sets_in_different_planes():
    # Two rank-one Gaussians at right angles: nothing overlaps.
    a, b = np.zeros((50, 50)), np.zeros((50, 50))
    a[0, 0], b[1, 1] = 3.0, 2.0
    turn, _ = np.linalg.qr(np.random.default_rng(3).normal(size=(50, 50)))
    zero = np.zeros(50)
    distance = frechet_distance(Gaussian(zero, turn @ a @ turn.T, 2), Gaussian(zero, turn @ b @ turn.T, 2))
    assert distance == pytest.approx(5.0, rel=1e-12)


def test_batches_are_pooled_as_if_fitted_at_once():
    data = samples(4, 301) + 1e4
    whole = fit_gaussian(data)
    parts = pooled(fit_gaussian(part) for part in (data[:1], data[1:8], data[8:200], data[200:]))
    assert parts.count == whole.count == 301
    np.testing.assert_allclose(parts.mean, whole.mean, rtol=1e-13)
    np.testing.assert_allclose(parts.covariance, whole.covariance, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(whole.covariance, np.cov(data, rowvar=False), rtol=1e-9, atol=1e-9)


def test_swapped_hands_are_noticed_in_features_of_both():
    left, right = samples(5), samples(6, shift=0.4)
    true = fit_gaussian(np.concatenate([left, right], axis=1))
    swapped = fit_gaussian(np.concatenate([right, left], axis=1))
    assert frechet_distance(true, swapped) > 10.0


def test_invalid_samples_are_refused():
    data = samples(7)
    data[12, 3] = np.nan
    with pytest.raises(ValueError, match="1 of 300 with other values, first at sample 12"):
        fit_gaussian(data)
    with pytest.raises(ValueError, match=r"found the shape \(0, 12\)"):
        fit_gaussian(data[:0])
    with pytest.raises(ValueError, match="found none"):
        pooled([])
    with pytest.raises(ValueError, match="found 12 and 11 features"):
        frechet_distance(fit_gaussian(samples(1)), fit_gaussian(samples(1)[:, :11]))
