"""Rigid alignment against SciPy and by its properties."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from handroll.metrics.alignment import procrustes


@pytest.fixture
def clouds():
    rng = np.random.default_rng(3)
    points = rng.normal(0.0, 0.05, (4, 6, 21, 3))
    turns = Rotation.random(24, random_state=5).as_matrix().reshape(4, 6, 3, 3)
    return points, turns, rng.normal(0.0, 1.0, (4, 6, 3)), rng


def test_a_rigid_motion_is_undone(clouds):
    points, turns, shift, _ = clouds
    target = points @ np.swapaxes(turns, -1, -2) + shift[..., None, :]
    result = procrustes(points, target)
    np.testing.assert_allclose(result.points, target, atol=1e-12)
    np.testing.assert_allclose(result.rotation, turns, atol=1e-12)
    np.testing.assert_allclose(result.translation, shift, atol=1e-12)
    assert (result.scale == 1.0).all()


def test_noisy_rotation_is_scipys(clouds):
    points, turns, _, rng = clouds
    target = points @ np.swapaxes(turns, -1, -2) + rng.normal(0.0, 0.01, points.shape)
    result = procrustes(points, target)
    one, other = points[1, 2], target[1, 2]
    expected, _ = Rotation.align_vectors(other - other.mean(0), one - one.mean(0))
    np.testing.assert_allclose(result.rotation[1, 2], expected.as_matrix(), atol=1e-9)


def test_scale_only_on_request(clouds):
    points, turns, shift, _ = clouds
    target = 1.07 * points @ np.swapaxes(turns, -1, -2) + shift[..., None, :]
    with_scale, without = procrustes(points, target, with_scale=True), procrustes(points, target)
    np.testing.assert_allclose(with_scale.scale, 1.07, atol=1e-12)
    np.testing.assert_allclose(with_scale.points, target, atol=1e-12)
    # A hand that is 7 % too small keeps 7 % of its spread as error.
    spread = np.linalg.norm(target - target.mean(-2, keepdims=True), axis=-1)
    np.testing.assert_allclose(np.linalg.norm(without.points - target, axis=-1), spread * 0.07 / 1.07, atol=1e-12)


def test_the_reported_transform_gives_the_points(clouds):
    points, turns, shift, rng = clouds
    target = points @ turns + shift[..., None, :] + rng.normal(0.0, 0.02, points.shape)
    for with_scale in (False, True):
        r = procrustes(points, target, with_scale)
        np.testing.assert_allclose(
            r.scale[..., None, None] * points @ np.swapaxes(r.rotation, -1, -2) + r.translation[..., None, :], r.points, atol=1e-12
        )


def test_a_mirror_image_is_not_aligned(clouds):
    points = clouds[0]
    result = procrustes(points, points * np.array([-1.0, 1.0, 1.0]))
    np.testing.assert_allclose(np.linalg.det(result.rotation), 1.0, atol=1e-12)
    assert (np.linalg.norm(result.points - points * np.array([-1.0, 1.0, 1.0]), axis=-1).mean(-1) > 0.005).all()


def test_nan_stays_in_its_set(clouds):
    points, target = clouds[0].copy(), clouds[0].copy()
    points[0, 0, 3, 1], target[2, 1, 0, 0] = np.nan, np.nan
    result = procrustes(points, target, with_scale=True)
    bad = np.zeros((4, 6), bool)
    bad[0, 0] = bad[2, 1] = True
    for values in result:
        finite = np.isfinite(values).reshape(4, 6, -1)
        assert (finite.all(-1) == ~bad).all() and (finite.any(-1) == ~bad).all()
