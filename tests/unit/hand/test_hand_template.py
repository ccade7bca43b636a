"""The open hand and the skeleton's tables."""

import itertools

import numpy as np
import pytest

from handroll.hand import skeleton
from handroll.hand.template import HAND_LENGTH_M, WRIST_M, open_hand


def test_size_and_frame():
    hand = open_hand()
    rest = hand.joints_m - hand.joints_m[0]
    np.testing.assert_array_equal(hand.joints_m[0], WRIST_M)
    middle, thumb, pinky = (rest[skeleton.JOINTS.index(f"{finger}_tip")] for finger in ("middle", "thumb", "pinky"))
    assert np.linalg.norm(middle) == pytest.approx(HAND_LENGTH_M, abs=1e-3)
    assert middle[0] < -0.18 and thumb[2] > 0.05 and pinky[2] < -0.03
    knuckles = rest[list(skeleton.KNUCKLES)]
    assert np.linalg.norm(knuckles[0] - knuckles[3]) == pytest.approx(0.059, abs=0.001)


def test_axes_are_right_handed_and_follow_the_bones():
    hand = open_hand()
    np.testing.assert_allclose(hand.axes @ np.swapaxes(hand.axes, -1, -2), np.broadcast_to(np.eye(3), (16, 3, 3)), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(hand.axes[1:]), 1.0, atol=1e-12)
    for chain in skeleton.CHAINS.values():
        for joint, following in itertools.pairwise(chain):
            bone = hand.joints_m[following] - hand.joints_m[joint]
            np.testing.assert_allclose(hand.axes[joint, 2], bone / np.linalg.norm(bone), atol=1e-12)


def test_limits_include_the_flat_hand():
    limits = open_hand().limits_rad
    assert np.isinf(limits[0]).all()
    assert (limits[1:, :, 0] < 0.0).all() and (limits[1:, :, 1] > 0.0).all() and np.isfinite(limits[1:]).all()


def test_the_template_cannot_be_written_to():
    hand = open_hand()
    for array in (hand.joints_m, hand.axes, hand.limits_rad):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0.0


def test_landmark_orders_are_inverse_and_follow_the_fingers():
    order = np.array(skeleton.JOINT_OF_LANDMARK)
    assert sorted(order) == list(range(21))
    np.testing.assert_array_equal(order[list(skeleton.LANDMARK_OF_JOINT)], np.arange(21))
    # MediaPipe: wrist, then thumb to pinky from the base to the tip.
    np.testing.assert_array_equal(order[1:].reshape(5, 4), [skeleton.CHAINS[finger] for finger in skeleton.FINGERS])
    assert all(parent < 16 and skeleton.PARENTS[parent] < parent for parent, _ in skeleton.BONES)
