import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from handroll.motion.outliers import find_outliers, hampel, hampel_rotation


def direct_hampel(series, window, n_sigma, min_scale=0.0):
    """The definition of the filter, computed window by window."""
    half, out = window // 2, np.zeros(len(series), dtype=bool)
    for t in range(len(series)):
        near = series[max(0, t - half) : t + half + 1]
        near = near[np.isfinite(near)]
        if np.isfinite(series[t]) and len(near) > half:
            median = np.median(near)
            out[t] = abs(series[t] - median) > n_sigma * max(1.4826 * np.median(abs(near - median)), min_scale)
    return out


@pytest.mark.parametrize("window", [1, 4, 5, 20, 21])
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_equals_the_definition(window, missing):
    rng = np.random.default_rng(window)
    values = np.round(rng.standard_t(2, size=(300, 3)), 1)  # rounded: ties and zero deviations
    values[rng.random(values.shape) < missing] = np.nan
    expected = np.stack([direct_hampel(values[:, c], window, 3.0) for c in range(3)], axis=1)
    assert expected.any() or window == 1
    np.testing.assert_array_equal(hampel(values, window, 3.0), expected)


def test_window_of_20_has_21_samples():
    series = np.zeros(41)
    series[10:20] = 1.0  # 10 of the 21 samples around frame 20: the median stays 0, of 11 (window 10..30) too
    series[20] = 1.0
    assert not hampel(series, 20, 3.0)[20]  # 11 of 21 are 1: the median is 1
    series[10] = 0.0
    assert hampel(series, 20, 3.0)[20]
    assert hampel(series, 21, 3.0)[20]


def test_constant_signal_with_numerical_noise_has_no_outliers():
    series = 0.6 + np.random.default_rng(0).standard_t(1.5, size=1000) * 1e-9
    assert hampel(series, 20, 3.0).any()
    assert not hampel(series, 20, 3.0, min_scale=1e-3).any()


def test_missing_samples_and_sparse_windows():
    series = np.full(100, np.nan)
    series[:10] = 1.0
    series[5] = 50.0  # 10 samples in a window of 21: not enough to judge
    assert not hampel(series, 20, 3.0).any()
    series[10] = 1.0
    np.testing.assert_array_equal(np.flatnonzero(hampel(series, 20, 3.0)), [5])
    assert not hampel(np.full((5, 2), np.nan), 20, 3.0).any()
    assert hampel(np.empty((0, 3)), 20, 3.0).shape == (0, 3)


def test_rotations_about_one_axis_are_filtered_like_their_angle():
    rng = np.random.default_rng(3)
    angle = np.cumsum(rng.normal(0, 0.01, 400)) + rng.normal(0, 0.02, 400)
    angle[rng.integers(0, 400, 12)] += 0.5
    quaternion = Rotation.from_rotvec(angle[:, None] * np.array([[0.0, 0.6, 0.8]])).as_quat()[:, None]
    inside = slice(10, -10)  # full, odd windows: medoid and median are the same
    expected = hampel(angle, 20, 3.0)[inside]
    assert expected.sum() > 5
    np.testing.assert_array_equal(hampel_rotation(quaternion, 20, 3.0)[inside], expected)


def test_a_steady_rotation_has_no_outliers():
    angle = np.linspace(0, 6 * np.pi, 300)
    wrapped = Rotation.from_rotvec(angle[:, None] * np.array([[1.0, 0.0, 0.0]])).as_quat()[:, None]
    wrapped[::7] *= -1.0  # the sign of a quaternion means nothing
    assert not hampel_rotation(wrapped, 20, 3.0).any()


def still_hand(frames):
    rng = np.random.default_rng(1)
    rotation = np.zeros((frames, 16, 3)) + np.array([np.pi - 0.01, 0.0, 0.0])
    return rotation + rng.normal(0, 0.02, rotation.shape), np.array([0.1, 0.2, 0.6]) + rng.normal(0, 0.0005, (frames, 3))


def test_spikes_are_attributed_to_their_signal():
    rotation, translation = still_hand(200)
    translation[40, 2] += 0.06
    rotation[80, 0, 1] += 0.5
    rotation[120, 1:] += 0.4
    rotation[160] = np.nan
    found = find_outliers(rotation, translation, 20, 3.0)
    assert {name: np.flatnonzero(mask).tolist() for name, mask in found.items()} == {
        "translation": [40],
        "orientation": [80],
        "pose": [120],
    }


def test_one_noisy_finger_is_no_outlier():
    rotation, translation = still_hand(200)
    rotation[100, 3, 0] += 0.12
    assert not any(mask.any() for mask in find_outliers(rotation, translation, 20, 3.0).values())


def test_a_resting_hand_may_move_to_the_next_key_and_the_depth_floor_is_relative():
    rotation, translation = still_hand(200)
    translation[:, 2] *= 20.0  # 12 m: the depth under HaMeR's focal length
    translation[60, 0] += 0.02
    translation[90, 0] += 0.03
    translation[120, 2] += 0.6
    translation[150, 2] += 1.3
    flagged = np.flatnonzero(find_outliers(rotation, translation, 20, 3.0)["translation"]).tolist()
    assert flagged == [90, 150]
    paper = find_outliers(rotation, translation, 20, 3.0, floor_m=0.0, floor_depth=0.0)["translation"]
    assert paper[[60, 90, 120, 150]].all() and paper.sum() > 4


def test_each_channel_has_its_own_minimum_scale():
    values = np.zeros((50, 2))
    values[20] = 1.0
    assert hampel(values, 20, 3.0, min_scale=[0.1, 1.0])[20].tolist() == [True, False]
