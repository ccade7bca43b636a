"""The pinhole camera."""

import numpy as np
import pytest

from handroll.camera import Camera, hamer_camera


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
        assert camera.centre_px == (size[0] / 2, size[1] / 2)
