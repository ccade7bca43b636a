"""Cameras of HaMeR: equal to its own numbers; mirrored hands; translations in the frame of a real camera."""

from pathlib import Path

import numpy as np
import pytest

from handroll.camera import Camera, hamer_camera
from handroll.hand.kinematics import MIRROR, hand_joints, mirrored_pose
from handroll.hand.rotations import matrix_from_rotvec
from handroll.pose.hamer.cameras import (
    crop_camera_translation,
    full_frame_translation,
    keypoints_in_crop,
    keypoints_in_frame,
    mirrored_rotations,
    translation_in,
)
from handroll.pose.hamer.crops import square_of_box

OFFICIAL = Path(__file__).resolve().parents[4] / "shared" / "fixtures" / "hamer"
CAMERA = Camera(1920, 1080, 1450.0, "keyboard", -0.05, (21.0, -13.0))


@pytest.fixture
def hands():
    """Joints (64, 21, 3) without translation, and translations (64, 3) over the whole frame, 0.4 to 1.5 m away."""
    rng = np.random.default_rng(0)
    joints = np.concatenate([hand_joints(rng.normal(0.0, 0.6, (32, 48)), np.zeros(3), 1.0, hand) for hand in ("left", "right")])
    depth = rng.uniform(0.4, 1.5, 64)
    rays = CAMERA.rays(rng.uniform((150.0, 150.0), (1770.0, 930.0), (64, 2)))
    return joints, depth[:, None] * rays - joints[:, 4]


def farthest(camera, joints, keypoints, found):
    """Maximum distance of the joints from their keypoints, px."""
    return np.abs(camera.project(joints + found[:, None]) - keypoints).max()


@pytest.mark.skipif(not OFFICIAL.is_dir(), reason="HaMeR's own numbers are not in the repository")
def test_equals_the_official_translations():
    official = np.load(OFFICIAL / "crop.npz")
    centre, size = square_of_box(official["boxes"])
    found = full_frame_translation(official["pred_cam"], centre, size, 1920, 1080, official["right"] == 0.0)
    np.testing.assert_allclose(found, official["cam_t_full"], rtol=1e-5)
    assert hamer_camera(1920, 1080).focal_px == official["scaled_focal"]


@pytest.mark.skipif(not OFFICIAL.is_dir(), reason="HaMeR's own numbers are not in the repository")
def test_equals_the_official_crop_cameras():
    official = np.load(OFFICIAL / "tiny" / "official.npz")
    np.testing.assert_allclose(crop_camera_translation(official["pred_cam"]), official["pred_cam_t"], rtol=1e-5)
    found = keypoints_in_crop(official["pred_keypoints_3d"], official["pred_cam"])
    np.testing.assert_allclose(found, official["pred_keypoints_2d"], atol=1e-6)


def test_known_numbers():
    """s = 5, a square of 400 px: the hand is 2 F / (s size) away, and its offset is in half sides of the square over s."""
    np.testing.assert_allclose(crop_camera_translation([5.0, 0.1, -0.2]), [0.1, -0.2, 7.8125])
    found = full_frame_translation([5.0, 0.1, -0.2], [1160.0, 440.0], 400.0, 1920, 1080, [False, True])
    np.testing.assert_allclose(found, [[0.3, -0.3, 37.5], [0.1, -0.3, 37.5]])
    np.testing.assert_allclose(keypoints_in_frame([[0.25, -0.5]], [100.0, 60.0], 80.0, False), [[120.0, 20.0]])
    np.testing.assert_allclose(keypoints_in_frame([[0.25, -0.5]], [100.0, 60.0], 80.0, True), [[80.0, 20.0]])


def test_crop_and_frame_show_the_hand_at_the_same_position(hands):
    """To first order: within two pixels of each other on a square of 380."""
    joints = hands[0][32:] - hands[0][32:, 4:5]
    rng = np.random.default_rng(1)
    pred_cam = rng.uniform((4.8, -0.02, -0.02), (5.6, 0.02, 0.02), (32, 3))
    centre, left = rng.uniform((300.0, 300.0), (1600.0, 800.0), (32, 2)), np.arange(32) % 2 == 0
    shown = keypoints_in_frame(keypoints_in_crop(joints, pred_cam), centre, np.full(32, 380.0), left)
    true_joints = np.where(left[:, None, None], joints * MIRROR, joints)
    place = full_frame_translation(pred_cam, centre, np.full(32, 380.0), 1920, 1080, left)
    assert np.abs(hamer_camera(1920, 1080).project(true_joints + place[:, None]) - shown).max() < 2.0


def test_unmirroring_is_the_mirror_image():
    rotation = np.random.default_rng(2).normal(0.0, 0.7, (5, 48))
    matrices = matrix_from_rotvec(rotation.reshape(5, 16, 3))
    np.testing.assert_allclose(mirrored_rotations(matrices), matrix_from_rotvec(mirrored_pose(rotation).reshape(5, 16, 3)), atol=1e-12)
    mirror = np.diag(MIRROR)
    np.testing.assert_allclose(mirrored_rotations(matrices), mirror @ matrices @ mirror, atol=1e-15)


@pytest.mark.parametrize(
    "camera",
    [CAMERA, Camera(1920, 1080, 700.0, "truth"), hamer_camera(1920, 1080), Camera(1920, 1080, 1450.0, "truth", 0.1, (-60.0, 40.0))],
    ids=["bent", "wide", "hamer", "cushion"],
)
def test_translations_are_found_for_any_camera(hands, camera):
    joints, place = hands
    place = place * [1.0, 1.0, max(camera.focal_px / 1450.0, 1.0)]
    keypoints = camera.project(joints + place[:, None])
    start = place + np.random.default_rng(3).normal(0.0, 0.05, place.shape)
    found = translation_in(camera, joints, keypoints, start)
    assert farthest(camera, joints, keypoints, found) < 1e-3
    assert np.abs(found - place).max() < 1e-5


@pytest.mark.parametrize(
    "start", [(np.nan,) * 3, (0.0, 0.0, -2.0), (0.0, 0.0, 0.0), (0.0, 0.0, 1e9), (1e6, -1e6, 1e-3), (np.inf, 0.0, 1e300)]
)
def test_a_wild_start_does_no_harm(hands, start):
    joints, place = hands
    keypoints = CAMERA.project(joints + place[:, None])
    found = translation_in(CAMERA, joints, keypoints, np.tile(start, (64, 1)))
    assert np.abs(found - place).max() < 1e-5


def test_hamers_own_keypoints_and_depth_lead_to_the_hand():
    """Exact predictions of a level hand in the middle of the frame: their depth, scaled to the focal length, is the start."""
    joints = hand_joints(np.zeros((1, 48)), np.zeros((1, 3)), 1.0, "right")
    camera, place = Camera(1920, 1080, 1450.0, "sheet"), np.array([[0.0, 0.0, 0.7]])
    keypoints = camera.project(joints + place[:, None])
    centre, size = square_of_box(np.concatenate([keypoints.min(axis=1), keypoints.max(axis=1)], axis=1))
    scale = 2.0 * 1450.0 / (size * 0.7)
    pred_cam = np.stack([scale, *((960.0, 540.0) - centre[0])[:, None] * 2.0 / (size * scale)], axis=-1)
    start = full_frame_translation(pred_cam, centre, size, 1920, 1080, False)
    start[:, 2] *= 1450.0 / hamer_camera(1920, 1080).focal_px
    np.testing.assert_allclose(start, place, atol=1e-9)
    np.testing.assert_allclose(translation_in(camera, joints, keypoints, start), place, atol=1e-8)


def test_noise_is_averaged_out_and_the_cost_is_minimal(hands):
    joints, place = hands
    keypoints = CAMERA.project(joints + place[:, None]) + np.random.default_rng(4).normal(0.0, 2.0, (64, 21, 2))
    found = translation_in(CAMERA, joints, keypoints, place)

    def cost(at):
        return ((CAMERA.project(joints + at[:, None]) - keypoints) ** 2).sum(axis=(1, 2))

    assert (cost(found) <= cost(place)).all()
    for axis in np.eye(3):
        assert (cost(found + 1e-5 * axis) >= cost(found)).all() and (cost(found - 1e-5 * axis) >= cost(found)).all()
    assert np.median(np.linalg.norm(found - place, axis=1)) < 0.02


def test_missing_keypoints_are_ignored(hands):
    joints, place = hands
    keypoints = CAMERA.project(joints + place[:, None])
    keypoints[0, 5:] = np.nan
    keypoints[1, :, 0] = np.nan
    keypoints[2, 1:] = np.nan
    joints = joints.copy()
    joints[3, 7, 2] = np.nan
    found = translation_in(CAMERA, joints, keypoints, place)
    assert np.isnan(found[1:4]).all()
    np.testing.assert_allclose(np.delete(found, [1, 2, 3], axis=0), np.delete(place, [1, 2, 3], axis=0), atol=1e-5)


def test_no_hands():
    assert translation_in(CAMERA, np.empty((0, 21, 3)), np.empty((0, 21, 2)), np.empty((0, 3))).shape == (0, 3)
