"""The pinhole camera and its extrinsics over the keys."""

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


def test_rays_have_the_shape_of_their_pixels_and_nan_pixels_no_ray():
    assert BENT.rays(np.zeros((4, 25, 2))).shape == (4, 25, 3)
    assert np.isnan(BENT.rays([np.nan, 3.0])[:2]).any()


def test_metadata_are_text_and_a_part_of_them_is_missing_or_optional():
    facts = BENT.to_metadata()
    assert all(isinstance(value, str) for value in facts.values())
    assert camera_from_metadata({"other": "fact", **facts}) == BENT
    assert extrinsics_from_metadata(facts) is None
    assert np.array_equal(extrinsics_from_metadata({**facts, **OVER_KEYS.to_metadata()}).rotation_rad, OVER_KEYS.rotation_rad)
    del facts["k1"]
    with pytest.raises(KeyError, match="k1"):
        camera_from_metadata(facts)


def test_extrinsics_rotate_then_translate():
    point = np.array([300.0, -200.0, 700.0])
    rotation, _ = cv2.Rodrigues(np.array(OVER_KEYS.rotation_rad))
    np.testing.assert_allclose(OVER_KEYS.to_camera(point), rotation @ point + OVER_KEYS.translation_mm, atol=1e-9)


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
