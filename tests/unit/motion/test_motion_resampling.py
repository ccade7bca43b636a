"""Resampling of a motion."""

import numpy as np

from handroll.motion.resampling import resample


def turning(time_s):
    """A joint that turns at 2 rad/s about one axis, and a hand that moves at 1 m/s."""
    axis = np.array([0.6, 0.0, 0.8])
    return (2.0 * time_s)[:, None, None] * axis, np.stack([time_s, 0.0 * time_s, 1.0 - time_s], axis=1)


def test_a_steady_motion_is_restored_between_uneven_frames():
    time_s = np.array([0.0, 0.04, 0.1, 0.11, 0.2, 2.0])
    wanted_s = np.linspace(0.0, 0.2, 17)
    rotation, translation = resample(time_s, *turning(time_s), wanted_s)
    np.testing.assert_allclose(rotation, turning(wanted_s)[0], atol=1e-9)
    np.testing.assert_allclose(translation, turning(wanted_s)[1], atol=1e-12)


def test_rotations_continue_past_half_a_turn():
    time_s = np.arange(0.0, 4.0, 0.1)
    rotation, _ = resample(time_s, *turning(time_s), time_s[:-1] + 0.05)
    np.testing.assert_allclose(rotation, turning(time_s[:-1] + 0.05)[0], atol=1e-9)


def test_hidden_frames_hide_the_times_between_but_not_the_frames():
    time_s = np.arange(5.0)
    rotation, translation = turning(time_s)
    rotation[2], translation[2] = np.nan, np.nan
    rotation, translation = resample(time_s, rotation, translation, np.array([1.0, 1.5, 2.0, 2.5, 3.0, 3.5]))
    for values in (rotation[:, 0], translation):
        assert np.isfinite(values).all(axis=1).tolist() == [True, False, False, False, True, True]


def test_before_the_first_and_after_the_last_frame_the_pose_is_constant():
    time_s = np.array([0.1, 0.2])
    rotation, translation = resample(time_s, *turning(time_s), np.array([0.0, 0.1, 0.2, 0.3]))
    np.testing.assert_allclose(rotation[[0, 3]], rotation[[1, 2]], atol=1e-12)
    np.testing.assert_array_equal(translation[[0, 3]], translation[[1, 2]])
    one, _ = resample(time_s[:1], *turning(time_s[:1]), np.array([0.0, 5.0]))
    np.testing.assert_allclose(one, np.stack([turning(time_s[:1])[0][0]] * 2), atol=1e-12)
