import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from handroll.motion.gaps import interpolate, short_gaps
from support.rotation_angle import angle_between


@pytest.mark.parametrize(("length", "filled"), [(1, True), (29, True), (30, False), (31, False)])
def test_gaps_shorter_than_30_are_filled(length, filled):
    observed = np.ones(100, dtype=bool)
    observed[40 : 40 + length] = False
    np.testing.assert_array_equal(short_gaps(observed, 30), ~observed & filled)


def test_gaps_at_the_ends_stay_missing():
    observed = np.ones(100, dtype=bool)
    observed[:3] = observed[-3:] = False
    assert not short_gaps(observed, 30).any()
    assert not short_gaps(np.zeros(10, dtype=bool), 30).any()
    assert short_gaps(np.zeros(0, dtype=bool), 30).shape == (0,)


def series(time_s):
    axis = np.array([0.0, 0.6, 0.8])
    rotation = (1.0 + 2.0 * time_s)[:, None, None] * axis * np.linspace(0.5, 1.0, 16)[:, None]
    return rotation, np.array([0.1, 0.2, 0.6]) + time_s[:, None] * np.array([1.0, -2.0, 0.5])


def test_uniform_motion_is_restored_at_a_varying_frame_rate():
    rng = np.random.default_rng(0)
    time_s = np.cumsum(rng.choice([1 / 60, 1 / 30, 1 / 15], 60))
    rotation, translation = series(time_s)  # turns through pi on the way
    observed = np.ones(60, dtype=bool)
    observed[20:40] = observed[45] = False
    lost_rotation, lost_translation = rotation.copy(), translation.copy()
    lost_rotation[~observed], lost_translation[~observed] = 9.0, 9.0  # outliers still hold values: they must not count
    got_rotation, got_translation = interpolate(lost_rotation, lost_translation, time_s, observed, ~observed)
    np.testing.assert_allclose(got_translation, translation, atol=1e-12)
    # The hand turns by less than half a turn over the gap, else the shortest way would be the other one.
    assert angle_between(rotation[19], rotation[40]).max() < 3.0
    assert angle_between(got_rotation, rotation).max() < 1e-7


def test_rotations_across_pi_take_the_short_way():
    rotation = Rotation.from_rotvec([[np.pi - 0.2, 0, 0], [0, 0, 0], [np.pi + 0.2, 0, 0]]).as_rotvec()[:, None]
    observed = np.array([True, False, True])
    got, _ = interpolate(rotation, np.zeros((3, 3)), np.arange(3.0), observed, ~observed)
    assert abs(got[1, 0, 0]) == pytest.approx(np.pi)


def test_frames_neither_observed_nor_filled_are_nan():
    rotation, translation = series(np.arange(10.0))
    observed = np.arange(10) < 8
    got_rotation, got_translation = interpolate(rotation, translation, np.arange(10.0), observed, np.zeros(10, dtype=bool))
    assert np.isnan(got_rotation[8:]).all()
    assert np.isnan(got_translation[8:]).all()
    np.testing.assert_array_equal(got_translation[:8], translation[:8])
    with pytest.raises(ValueError, match="at an end"):
        interpolate(rotation, translation, np.arange(10.0), observed, ~observed)


def test_equal_times_do_not_divide_by_zero():
    rotation, translation = series(np.arange(5.0))
    observed = np.array([True, True, False, True, True])
    got_rotation, got_translation = interpolate(rotation, translation, np.array([0.0, 1.0, 1.0, 1.0, 2.0]), observed, ~observed)
    assert np.isfinite(got_rotation).all()
    np.testing.assert_array_equal(got_translation[2], translation[1])
