import numpy as np
import pytest
from scipy.signal import savgol_filter
from scipy.spatial.transform import Rotation

from handroll.hand.rotations import quaternion_from_rotvec, rotvec_from_quaternion
from handroll.motion.smoothing import smooth, smooth_rotation

ALL = np.ones(60, dtype=bool)


def cubic(frames=60):
    t = np.linspace(-1, 1, frames)
    return np.stack([t**3 - t, 2 * t**2 + 1, 5 * t**3 + t**2 - 0.3], axis=1)


def test_polynomials_of_order_3_are_unchanged():
    np.testing.assert_allclose(smooth(cubic(), ALL, 3, 11), cubic(), atol=1e-12)
    assert abs(smooth(cubic() ** 2, ALL, 3, 11) - cubic() ** 2).max() > 1e-4


def test_equals_scipy_and_even_windows_become_odd():
    values = np.random.default_rng(0).normal(size=(60, 2))
    expected = savgol_filter(values, 11, 3, axis=0)
    np.testing.assert_array_equal(smooth(values, ALL, 3, 11), expected)
    np.testing.assert_array_equal(smooth(values, ALL, 3, 10), expected)


def test_smoothing_never_crosses_a_hidden_gap():
    visible = ALL.copy()
    visible[30:33] = False
    values = np.where(np.arange(60) < 31, 0.0, 100.0)[:, None]
    values[~visible] = np.nan
    smoothed = smooth(values, visible, 3, 11)
    np.testing.assert_allclose(smoothed[:30], 0.0, atol=1e-12)
    np.testing.assert_allclose(smoothed[33:], 100.0)
    assert np.isnan(smoothed[30:33]).all()


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 8, 11])
def test_short_runs(length):
    values = np.random.default_rng(length).normal(size=(length, 2))
    smoothed = smooth(values, np.ones(length, dtype=bool), 3, 11)
    assert np.isfinite(smoothed).all()
    if length <= 4:
        np.testing.assert_array_equal(smoothed, values)
    else:
        window = length - (length + 1) % 2
        np.testing.assert_allclose(smoothed, savgol_filter(values, window, 3, axis=0))


def test_a_steady_rotation_is_unchanged():
    angle = np.linspace(0, 4 * np.pi, 60)
    quaternion = Rotation.from_rotvec(angle[:, None] * np.array([0.48, 0.6, 0.64])).as_quat()[:, None]
    quaternion[::3] *= -1.0
    got = smooth_rotation(quaternion, ALL, 3, 11)
    same = abs(np.einsum("tji,tji->tj", got, quaternion))
    np.testing.assert_allclose(same[5:-5], 1.0, atol=1e-12)  # inside: exact
    assert np.degrees(2 * np.arccos(same.min())) < 0.7  # the ends: a cubic through a sine
    assert (np.einsum("tji,tji->tj", got[1:], got[:-1]) > 0).all()
    np.testing.assert_allclose(np.linalg.norm(got, axis=-1), 1.0)


def test_noise_of_rotations_is_reduced_like_that_of_numbers():
    rng = np.random.default_rng(0)
    base = np.array([np.pi - 0.05, 0.0, 0.0])  # noise flips the sheet of the axis-angle all the time
    noise = rng.normal(0, 0.05, (4000, 3))
    noisy = (Rotation.from_rotvec(base) * Rotation.from_rotvec(noise)).as_quat()[:, None]
    smoothed = smooth_rotation(noisy, np.ones(4000, dtype=bool), 3, 11)[:, 0]
    left = (Rotation.from_rotvec(base).inv() * Rotation.from_quat(smoothed)).as_rotvec()
    expected = savgol_filter(noise, 11, 3, axis=0)
    assert left.std() < 0.5 * noise.std()
    assert np.sqrt(np.mean((left - expected) ** 2)) < 0.02 * expected.std()


def test_small_rotations_are_smoothed_as_vectors():
    rotvec = np.random.default_rng(1).normal(0, 1e-3, (60, 4, 3))
    got = rotvec_from_quaternion(smooth_rotation(quaternion_from_rotvec(rotvec), ALL, 3, 11))
    np.testing.assert_allclose(got, smooth(rotvec, ALL, 3, 11), atol=1e-8)


def test_missing_frames_stay_missing_and_affect_no_others():
    rotvec = np.random.default_rng(1).normal(0, 0.1, (60, 2, 3))
    visible = ALL.copy()
    visible[20:40] = False
    rotvec[~visible] = np.nan
    got = smooth_rotation(quaternion_from_rotvec(rotvec), visible, 3, 11)
    np.testing.assert_array_equal(np.isfinite(got).all(axis=(1, 2)), visible)
    np.testing.assert_array_equal(got[40:], smooth_rotation(quaternion_from_rotvec(rotvec[40:]), ALL[:20], 3, 11))
