"""The pinhole camera and its extrinsics over the keys."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from handroll.camera import (
    Camera,
    Extrinsics,
    assumed_camera,
    camera_from_metadata,
    configured_focal,
    extrinsics_from_metadata,
    hamer_camera,
    joints_in_keyboard_frame,
)


def test_projection_of_known_points():
    camera = Camera(1920, 1080, 1500.0, "config")
    np.testing.assert_allclose(camera.project([[0.0, 0.0, 1.0], [0.1, -0.2, 2.0]]), [[960.0, 540.0], [1035.0, 390.0]])


def test_behind_and_nan_are_nan():
    camera = Camera(640, 480, 500.0, "config")
    pixels = camera.project([[0.1, 0.1, -1.0], [0.1, 0.1, 0.0], [np.nan, 0.0, 1.0], [0.0, 0.0, 1.0]])
    assert np.isnan(pixels[:3]).any(axis=1).all() and np.isfinite(pixels[3]).all()


def test_hamer_focal_follows_the_longer_side():
    for size in ((1280, 720), (720, 1280)):
        camera = hamer_camera(*size)
        assert camera.focal_px == pytest.approx(25000.0) and camera.focal_source == "hamer"
        assert camera.centre_px.tolist() == [size[0] / 2, size[1] / 2]


BENT = Camera(1920, 1080, 1500.0, "keyboard", -0.06, (14.0, -9.5))
OVER_KEYS = Extrinsics(np.array([np.pi - 0.2, 0.04, 0.1]), np.array([-590.0, 35.0, 1050.0]))


def test_distortion_is_radial_about_the_centre():
    """OpenCV's own projection agrees."""
    points = np.random.default_rng(0).uniform([-0.5, -0.3, 0.8], [0.5, 0.3, 1.2], (50, 3))
    matrix = np.array([[1500.0, 0.0, 974.0], [0.0, 1500.0, 530.5], [0.0, 0.0, 1.0]])
    expected, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), matrix, np.array([-0.06, 0.0, 0.0, 0.0]))
    np.testing.assert_allclose(BENT.project(points), expected[:, 0], atol=1e-9)
    assert BENT.project([0.0, 0.0, 2.0]).tolist() == [974.0, 530.5]


@pytest.mark.parametrize("k1", [0.0, -0.06, 0.05])
def test_rays_undo_the_projection(k1):
    camera = replace(BENT, k1=k1)
    points = np.random.default_rng(1).uniform([-0.55, -0.3, 0.9], [0.55, 0.3, 1.1], (4, 25, 3))
    rays = camera.rays(camera.project(points))
    np.testing.assert_allclose(rays, points / points[..., 2:], atol=1e-9)
    assert rays.shape == (4, 25, 3)
    assert np.isnan(camera.rays([np.nan, 3.0])[:2]).any()


@pytest.mark.parametrize("camera", [Camera(640, 360, 512.5, "sheet"), BENT, hamer_camera(1280, 720)])
def test_a_camera_is_read_back_from_metadata(camera):
    facts = camera.to_metadata()
    assert all(isinstance(value, str) for value in facts.values())
    assert camera_from_metadata({"other": "fact", **facts}) == camera
    del facts["k1"]
    with pytest.raises(KeyError, match="k1"):
        camera_from_metadata(facts)


def test_extrinsics_and_back():
    points = np.random.default_rng(2).uniform(-500.0, 1500.0, (5, 7, 3))
    np.testing.assert_allclose(OVER_KEYS.to_keyboard(OVER_KEYS.to_camera(points)), points, atol=1e-9)
    rotation, _ = cv2.Rodrigues(np.array(OVER_KEYS.rotation_rad))
    np.testing.assert_allclose(OVER_KEYS.to_camera(points[0, 0]), rotation @ points[0, 0] + OVER_KEYS.translation_mm, atol=1e-9)
    np.testing.assert_allclose(OVER_KEYS.to_camera(np.zeros(3)), OVER_KEYS.translation_mm)


def test_extrinsics_are_read_back_from_metadata():
    again = extrinsics_from_metadata({**BENT.to_metadata(), **OVER_KEYS.to_metadata()})
    np.testing.assert_array_equal(again.rotation_rad, OVER_KEYS.rotation_rad)
    np.testing.assert_array_equal(again.translation_mm, OVER_KEYS.translation_mm)
    assert extrinsics_from_metadata(BENT.to_metadata()) is None


def test_joints_in_the_keyboard_frame():
    joints_m = np.random.default_rng(3).uniform(-0.5, 1.0, (6, 2, 21, 3)).astype(np.float32)
    joints_m[2, 1] = np.nan
    over = joints_in_keyboard_frame(joints_m, OVER_KEYS)
    assert over.dtype == np.float32 and np.isnan(over[2, 1]).all() and np.isfinite(np.delete(over, 2, axis=0)).all()
    np.testing.assert_allclose(OVER_KEYS.to_camera(over[0]), 1e3 * joints_m[0], atol=1e-3)
    nowhere = joints_in_keyboard_frame(joints_m, None)
    assert nowhere.shape == joints_m.shape and nowhere.dtype == np.float32 and np.isnan(nowhere).all()


@pytest.mark.parametrize(
    ("sheet_px", "config_px", "focal"),
    [(600.0, 700.0, (600.0, "sheet")), (None, 700.0, (700.0, "config")), (600.0, None, (600.0, "sheet")), (None, None, None)],
)
def test_the_sheets_focal_length_wins_over_the_configurations(sheet_px, config_px, focal):
    assert configured_focal(sheet_px, config_px) == focal


def test_a_camera_without_a_keyboard_has_the_given_focal_length_or_hamers():
    assert assumed_camera(640, 480, (600.0, "sheet")) == Camera(640, 480, 600.0, "sheet")
    assert assumed_camera(640, 480, None) == hamer_camera(640, 480)
