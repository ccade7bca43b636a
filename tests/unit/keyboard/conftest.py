"""Fixtures: a drawn keyboard under a camera, and the error of a registration."""

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from handroll.keyboard.geometry import BLACK_KEYS, N_KEYS, black_tops_mm, key_outlines_mm, playing_points_mm
from handroll.keyboard.projection import KeyboardView


def _camera(x_mm=611.0, seen_mm=1400.0, tilt_deg=0.0, roll_deg=0.0, focal=0.95, k1=0.0, width_px=960):
    """A camera above x_mm of the keyboard, whose frame is seen_mm wide there."""
    turn = Rotation.from_euler("z", roll_deg, degrees=True) * Rotation.from_euler("x", 180.0 - tilt_deg, degrees=True)
    translation = np.array([0.0, 0.0, focal * seen_mm]) - turn.apply([x_mm, 60.0, 0.0])
    return KeyboardView(width_px, width_px * 9 // 16, focal * width_px, turn.as_rotvec(), translation, k1)


def _picture_of(view, keys=range(N_KEYS), noise=3.0, seed=0):
    """An image of a keyboard: white keys with thin gaps, black keys with sloped sides, dark wood."""
    sharp = 4
    image = np.full((view.height_px, view.width_px), 40, dtype=np.uint8)

    def fill(points, value):
        corners = view.project(points)
        if np.isfinite(corners).all():
            cv2.fillPoly(image, [np.round(corners * 2**sharp).astype(np.int32)], value, cv2.LINE_AA, sharp)

    outlines = key_outlines_mm()
    for key in keys:
        middle = outlines[key].mean(axis=0)
        inside = outlines[key] - np.sign(outlines[key] - middle) * [0.5, 0.0]
        fill(np.column_stack([inside, np.zeros(len(inside))]), 225)
    for nth, key in enumerate(BLACK_KEYS):
        if key in keys:
            base = np.column_stack([outlines[key], np.zeros(4)])
            top = black_tops_mm()[nth] + np.array([[0, 4.0, 0], [0, 4.0, 0], [0, 0, 0], [0, 0, 0]])
            for a, b in ((0, 1), (1, 2), (2, 3), (3, 0)):
                fill(np.stack([base[a], base[b], top[b], top[a]]), 20)
            fill(top, 30)
    image = cv2.GaussianBlur(image, (0, 0), 0.7)
    return np.clip(image + np.random.default_rng(seed).normal(0, noise, image.shape), 0, 255).astype(np.uint8)


def _error_mm(found, view, octave=0):
    """Maximum error along the keys, mm, of the visible playing points; `found` and `view` belong to the same image."""
    points = playing_points_mm()
    pixels = view.project(points)
    seen = ((pixels > 5) & (pixels < [view.width_px - 5, view.height_px - 5])).all(axis=1)
    back = np.array([found.on_plane(pixel, z) for pixel, z in zip(pixels[seen], points[seen, 2], strict=True)])
    return np.abs(back[:, 0] + octave * 164.5 - points[seen, 0]).max()


@pytest.fixture(scope="session")
def camera():
    """The function that makes a `KeyboardView` of 960 x 540 px, or of another width."""
    return _camera


@pytest.fixture(scope="session")
def picture_of():
    """The function that draws the keyboard for a view."""
    return _picture_of


@pytest.fixture(scope="session")
def error_mm():
    """The function that measures the error of a found view along the keys."""
    return _error_mm
