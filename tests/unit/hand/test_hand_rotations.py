"""Rotation series against SciPy and by their properties."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

from handroll.hand import rotations
from support.rotation_angle import angle_between


@pytest.fixture
def vectors():
    return Rotation.random(60, random_state=1).as_rotvec().reshape(5, 4, 3, 3)


def test_matrices_agree_with_scipy(vectors):
    matrix = rotations.matrix_from_rotvec(vectors)
    np.testing.assert_allclose(matrix, Rotation.from_rotvec(vectors.reshape(-1, 3)).as_matrix().reshape(5, 4, 3, 3, 3), atol=1e-12)


def test_nan_affects_only_itself(vectors):
    broken = vectors.copy()
    broken[2, 1, 0, 2] = np.nan
    for there, back in (
        (rotations.matrix_from_rotvec, rotations.rotvec_from_matrix),
        (rotations.quaternion_from_rotvec, rotations.rotvec_from_quaternion),
    ):
        again = back(there(broken))
        assert np.isnan(again[2, 1, 0]).all() and np.isfinite(again).sum() == broken.size - 3
    assert np.isnan(angle_between(broken, vectors)).sum() == 1


def test_compose_and_angle_between():
    first, second = np.array([0.0, 0.0, np.pi / 2]), np.array([np.pi / 2, 0.0, 0.0])
    turned = rotations.matrix_from_rotvec(rotations.compose(first, second)) @ np.array([0.0, 1.0, 0.0])
    np.testing.assert_allclose(turned, [0.0, 0.0, 1.0], atol=1e-12)  # y -> z by `second`, z stays by `first`
    assert angle_between(first, -first) == pytest.approx(np.pi)
    assert angle_between(first, first * (1 - 4.0)) == pytest.approx(0.0, abs=1e-7)  # a whole turn apart


@pytest.mark.parametrize("axis", [(0.0, 0.0, 1.0), (0.6, 0.0, -0.8), (1.0, 2.0, 3.0)])
def test_a_turning_series_is_unwrapped(axis):
    axis = np.array(axis) / np.linalg.norm(axis)
    angle = np.linspace(0.1, 8.0 * np.pi, 200)
    wrapped = rotations.rotvec_from_matrix(rotations.matrix_from_rotvec(angle[:, None] * axis))
    assert np.abs(np.diff(wrapped, axis=0)).max() > 1.0
    np.testing.assert_allclose(rotations.unwrap_rotvec(wrapped), angle[:, None] * axis, atol=1e-6)


def test_unwrapping_keeps_the_rotation_and_skips_nan():
    rng = np.random.default_rng(0)
    path = np.array([2.0, 2.0, -1.0]) + np.cumsum(rng.normal(0.0, 0.05, (300, 2, 3)), axis=0)
    wrapped = rotations.rotvec_from_matrix(rotations.matrix_from_rotvec(path))
    wrapped[40:60, 1] = np.nan
    series = rotations.unwrap_rotvec(wrapped)
    assert np.isnan(series[40:60, 1]).all() and np.isfinite(series).sum() == series.size - 60
    np.testing.assert_allclose(rotations.matrix_from_rotvec(series), rotations.matrix_from_rotvec(wrapped), atol=1e-9)
    assert np.nanmax(np.linalg.norm(np.diff(series, axis=0), axis=-1)) < 0.5
    # Also across the gap, the vector is the one nearest to the last valid frame.
    assert np.linalg.norm(series[60, 1] - series[39, 1]) < np.pi


def test_unwrapping_chooses_the_nearest_vector(vectors):
    series = rotations.unwrap_rotvec(vectors.reshape(20, 3, 3))
    step = np.linalg.norm(np.diff(series, axis=0), axis=-1)
    axis = series[1:] / np.linalg.norm(series[1:], axis=-1, keepdims=True)
    for turn in (-rotations.TURN, rotations.TURN):
        assert (np.linalg.norm(series[1:] + turn * axis - series[:-1], axis=-1) >= step - 1e-9).all()


def test_unwrapping_of_a_full_turn():
    """The identity at the end of a full turn becomes the full turn instead of zero."""
    angles = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 2 * np.pi, 6.5])
    wrapped = rotations.rotvec_from_matrix(rotations.matrix_from_rotvec(angles[:, None] * np.array([1.0, 0.0, 0.0])))
    wrapped[6] = 0.0
    np.testing.assert_allclose(rotations.unwrap_rotvec(wrapped)[:, 0], angles, atol=1e-6)


def test_slerp_agrees_with_scipy(vectors):
    start, end = vectors.reshape(-1, 3)[:30], vectors.reshape(-1, 3)[30:]
    for fraction in (0.0, 0.3, 1.0):
        ours = rotations.slerp(start, end, fraction)
        theirs = np.stack([Slerp([0, 1], Rotation.from_rotvec([a, b]))(fraction).as_rotvec() for a, b in zip(start, end, strict=True)])
        assert angle_between(ours, theirs).max() < 1e-7


def test_mirrored_is_conjugation_by_the_mirror(vectors):
    mirror = np.diag([-1.0, 1.0, 1.0])
    expected = mirror @ rotations.matrix_from_rotvec(vectors) @ mirror
    np.testing.assert_allclose(rotations.matrix_from_rotvec(rotations.mirrored(vectors)), expected, atol=1e-12)
    np.testing.assert_array_equal(rotations.mirrored(rotations.mirrored(vectors)), vectors)


def test_an_empty_series_stays_empty():
    assert rotations.unwrap_rotvec(np.empty((0, 16, 3))).shape == (0, 16, 3)
    assert rotations.matrix_from_rotvec(np.empty((0, 16, 3))).shape == (0, 16, 3, 3)
