"""MANO's joints: the open hand at rest, the left hand's mirror, agreement with the mesh, NaN."""

import numpy as np
import pytest
import torch

from handroll.hand.kinematics import MIRROR, hand_joints, mirrored_pose
from handroll.hand.mano import TIP_VERTICES, mano_joints
from handroll.hand.rotations import matrix_from_rotvec
from handroll.hand.skeleton import CHAINS, FINGERS
from handroll.hand.skinning import Skinning
from handroll.hand.template import open_hand
from support.toy_mano import synthetic_mano


@pytest.fixture(scope="module")
def model():
    return synthetic_mano(1)


@pytest.fixture
def poses():
    rng = np.random.default_rng(0)
    return rng.normal(0.0, 0.5, (7, 48)), rng.normal(0.0, 0.3, (7, 3)), rng.normal(0.0, 1.0, (7, 10))


def test_at_rest_the_synthetic_model_is_the_open_hand(model):
    rest = open_hand().joints_m
    np.testing.assert_allclose(mano_joints(model, np.zeros(48), np.zeros(3), np.zeros(10), "right"), rest, atol=1e-8)
    np.testing.assert_allclose(mano_joints(model, np.zeros(48), np.ones(3), np.zeros(10), "left"), rest * MIRROR + 1.0, atol=1e-8)


@pytest.mark.parametrize("hand", ["left", "right"])
def test_mean_shape_moves_as_the_open_hand(model, poses, hand):
    """Joints agree exactly; tips agree except for the skin's deformation at bent joints."""
    joints = mano_joints(model, poses[0], poses[1], np.zeros(10), hand)
    expected = hand_joints(poses[0], poses[1], 1.0, hand)
    np.testing.assert_allclose(joints[:, :16], expected[:, :16], atol=1e-7)
    assert np.abs(joints[:, 16:] - expected[:, 16:]).max() < 5e-3


def test_left_is_the_mirror_image_of_right(model, poses):
    rotation, translation, betas = poses
    right = mano_joints(model, rotation, translation, betas, "right")
    left = mano_joints(model, mirrored_pose(rotation), translation * MIRROR, betas, "left")
    np.testing.assert_allclose(left, right * MIRROR, atol=1e-12)


@pytest.mark.parametrize("hand", ["left", "right"])
def test_joints_are_those_of_the_skinned_mesh(model, poses, hand):
    rotation, translation, betas = poses
    seen = mirrored_pose(rotation) if hand == "left" else rotation
    skinning = Skinning(model).double()
    mesh = skinning.vertices(torch.tensor(matrix_from_rotvec(seen.reshape(7, 16, 3))), torch.tensor(betas)).numpy()
    mesh = mesh * (MIRROR if hand == "left" else 1.0) + translation[:, None]
    joints = mano_joints(model, rotation, translation, betas, hand)
    np.testing.assert_allclose(joints[:, 16:], mesh[:, list(TIP_VERTICES)], atol=1e-7)


def test_shape_scales_and_lengthens(model):
    joints = mano_joints(model, np.zeros(48), np.zeros(3), np.eye(10)[:2] * 2.0, "right") - open_hand().joints_m[0]
    rest = open_hand().joints_m - open_hand().joints_m[0]
    np.testing.assert_allclose(joints[0], 1.06 * rest, atol=1e-7)
    np.testing.assert_allclose(joints[1], rest * [1.06, 1.0, 1.0], atol=1e-7)


def test_mean_pose_curls_the_fingers_towards_the_palm(model):
    rotation = np.concatenate([np.zeros(3), model.hands_mean])
    moved = mano_joints(model, rotation, np.zeros(3), np.zeros(10), "right") - open_hand().joints_m
    assert all(moved[CHAINS[finger][3], 1] < -0.01 for finger in FINGERS[1:])


def test_one_shape_serves_many_poses(model, poses):
    rotation, translation, betas = poses
    together = mano_joints(model, rotation.reshape(7, 1, 48), translation[None], betas[0], "right")
    assert together.shape == (7, 7, 21, 3)
    np.testing.assert_allclose(together[3, 5], mano_joints(model, rotation[3], translation[5], betas[0], "right"), atol=1e-12)


def test_nan_poses_give_nan_and_leave_others(model, poses):
    rotation, translation, betas = (a.copy() for a in poses)
    rotation[2, 47], translation[4, 1], betas[5, 9] = np.nan, np.nan, np.inf
    joints = mano_joints(model, rotation, translation, betas, "left")
    assert np.isnan(joints[[2, 4, 5]]).all() and np.isfinite(joints[[0, 1, 3, 6]]).all()


def test_the_synthetic_mesh_is_a_hand(model):
    """Faces point outwards: the enclosed volume is about that of a hand without the skin between the fingers."""
    tubes = model.template_m[model.faces[:-6]].astype(np.float64)
    volume_m3 = np.einsum("fi,fi->", tubes[:, 0], np.cross(tubes[:, 1], tubes[:, 2])) / 6.0
    assert 2e-4 < volume_m3 < 4e-4
    assert sorted(np.unique(model.faces)) == list(range(778))
