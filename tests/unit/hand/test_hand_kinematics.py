"""Forward kinematics: rest, mirror, rigidity and derivative."""

import numpy as np
import pytest

from handroll.hand.kinematics import MIRROR, hand_joints, mirrored_pose, posed_frames
from handroll.hand.rotations import compose, matrix_from_rotvec
from handroll.hand.skeleton import BONES, CHAINS, KNUCKLES, PARENTS
from handroll.hand.template import open_hand


@pytest.fixture
def poses():
    rng = np.random.default_rng(0)
    return rng.normal(0.0, 0.5, (7, 48)), rng.normal(0.0, 0.3, (7, 3))


def test_zero_is_the_template():
    rest = open_hand().joints_m
    np.testing.assert_allclose(hand_joints(np.zeros(48), np.zeros(3), 1.0, "right"), rest, atol=1e-15)
    np.testing.assert_allclose(hand_joints(np.zeros(48), np.ones(3), 1.1, "left"), 1.1 * rest * MIRROR + 1.0, atol=1e-15)


def test_bones_keep_their_length(poses):
    joints = hand_joints(*poses, np.linspace(0.9, 1.1, 7), "right")
    rest = open_hand().joints_m
    for parent, child in BONES:
        length = np.linalg.norm(joints[:, child] - joints[:, parent], axis=-1)
        np.testing.assert_allclose(length, np.linspace(0.9, 1.1, 7) * np.linalg.norm(rest[child] - rest[parent]), rtol=1e-12)


def test_root_turns_about_the_wrist(poses):
    rotation, translation = poses
    turn = np.array([0.3, -1.1, 0.4])
    turned = rotation.copy()
    turned[:, :3] = compose(np.broadcast_to(turn, (7, 3)), rotation[:, :3])
    before, after = hand_joints(rotation, translation, 1.0, "left"), hand_joints(turned, translation, 1.0, "left")
    np.testing.assert_allclose(after[:, 0], before[:, 0], atol=1e-12)
    np.testing.assert_allclose(after - after[:, :1], (before - before[:, :1]) @ matrix_from_rotvec(turn).T, atol=1e-12)


def test_frames_of_the_left_hand_are_mirrored(poses):
    rotation, translation = poses
    _, frames = posed_frames(rotation, translation, 1.05, "right")
    _, left_frames = posed_frames(mirrored_pose(rotation), translation * MIRROR, 1.05, "left")
    mirror = np.diag(MIRROR)
    np.testing.assert_allclose(left_frames, mirror @ frames @ mirror, atol=1e-12)


def test_a_joint_moves_only_what_lies_beyond_it(poses):
    rotation, translation = poses
    before = hand_joints(rotation, translation, 1.0, "right")
    for joint in range(16):
        bent = rotation.copy()
        bent[:, 3 * joint : 3 * joint + 3] += (0.2, -0.1, 0.3)
        moved = np.linalg.norm(hand_joints(bent, translation, 1.0, "right") - before, axis=-1) > 1e-9
        beyond = [_is_beyond(point, joint) for point in range(21)]
        assert (moved == np.array(beyond)).all()


def _is_beyond(point, joint):
    while point >= 0:
        point = PARENTS[point]
        if point == joint:
            return True
    return False


def test_small_rotations_move_points_by_the_cross_product():
    rest, axes = open_hand().joints_m, open_hand().axes
    for finger in CHAINS.values():
        for axis in axes[finger[0]]:
            pose = np.zeros((16, 3))
            pose[finger[0]] = 1e-6 * axis
            moved = hand_joints(pose.reshape(48), np.zeros(3), 1.0, "right")[finger[3]] - rest[finger[3]]
            np.testing.assert_allclose(moved, 1e-6 * np.cross(axis, rest[finger[3]] - rest[finger[0]]), atol=1e-12)


def test_flexion_curls_towards_the_palm_and_abduction_to_the_thumb():
    template = open_hand()
    for knuckle in KNUCKLES:
        chain = next(c for c in CHAINS.values() if c[0] == knuckle)
        for axis, direction in ((0, (0.0, -1.0, 0.0)), (1, (0.0, 0.0, 1.0))):
            pose = np.zeros((16, 3))
            pose[knuckle] = 0.3 * template.axes[knuckle, axis]
            moved = hand_joints(pose.reshape(48), np.zeros(3), 1.0, "right")[chain[3]] - template.joints_m[chain[3]]
            assert moved @ np.array(direction) > 0.015


def test_nan_poses_give_nan_and_leave_others(poses):
    rotation, translation = poses[0].copy(), poses[1].copy()
    rotation[2, 0], translation[4, 1] = np.nan, np.nan
    joints = hand_joints(rotation, translation, 1.0, "right")
    assert np.isnan(joints[2, 1:]).all() and np.isfinite(joints[[0, 1, 3, 5, 6]]).all()
    assert np.isnan(joints[4, :, 1]).all()
