from dataclasses import replace

import numpy as np
import pytest

from handroll.keyboard.automatic_registration import visible_lines
from handroll.keyboard.camera_shift import camera_movement
from handroll.keyboard.geometry import STANDARD
from handroll.keyboard.registration import MAX_SHIFT_MM, MAX_ZOOM

BLACKS = np.arange(36)


@pytest.fixture(scope="module")
def view(camera):
    return camera(tilt_deg=10.0, roll_deg=2.0, width_px=1280)


@pytest.fixture(scope="module")
def still(view, picture_of):
    """Three images of a keyboard by a fixed camera."""
    return [picture_of(view, seed=seed) for seed in range(3)]


def movement(pictures, view):
    return camera_movement(pictures, view, STANDARD, visible_lines(BLACKS), BLACKS)


def test_a_fixed_camera_has_no_movement(still, view):
    found = movement(still, view)
    assert found.shift_mm < 0.1 and found.zoom < 3e-4


@pytest.mark.parametrize("step_mm", [(3.0, 0.0, 0.0), (0.0, -3.0, 0.0)])
def test_a_shift_is_measured(still, view, picture_of, step_mm):
    step_mm = view.extrinsics.rotation @ np.array(step_mm)
    moved = picture_of(replace(view, translation_mm=view.translation_mm + step_mm), seed=3)
    found = movement([*still, moved], view)
    assert found.shift_mm == pytest.approx(3.0, abs=0.3) and found.zoom < 0.002


@pytest.mark.parametrize("factor", [1.01, 0.99])
def test_a_zoom_is_measured(still, view, picture_of, factor):
    found = movement([*still, picture_of(replace(view, focal_px=factor * view.focal_px), seed=3)], view)
    assert 0.006 < found.zoom < 0.012


@pytest.mark.parametrize("after", [1, 4])
def test_the_time_of_the_movement_does_not_matter(still, view, picture_of, after):
    moved = picture_of(replace(view, translation_mm=view.translation_mm + np.array([3.0, 0.0, 0.0])))
    assert movement(after * [still[0]] + (5 - after) * [moved], view).shift_mm == pytest.approx(3.0, abs=0.3)


def test_hands_over_some_keys_are_no_movement(still, view):
    covered = still[0].copy()
    covered[300:450, 400:560] = 150
    found = movement([covered, *still[1:]], view)
    assert found.shift_mm < 0.2 and found.zoom < 1e-3


@pytest.mark.parametrize(("step_mm", "zoom"), [(6.0, 1.0), (12.0, 1.0), (23.5, 1.0), (82.0, 1.0), (0.0, 1.02), (0.0, 1.2), (0.0, 0.9)])
def test_a_large_movement_is_not_mistaken_for_none(still, view, picture_of, step_mm, zoom):
    """After such a movement, edges of other keys are at the searched positions."""
    moved = replace(view, focal_px=zoom * view.focal_px, translation_mm=view.translation_mm + np.array([step_mm, 0.0, 0.0]))
    found = movement([*still, picture_of(moved, seed=3)], view)
    assert found is None or found.shift_mm > MAX_SHIFT_MM or found.zoom > MAX_ZOOM


def test_keys_that_disappear_are_lost(still, view):
    assert movement([*still, np.full_like(still[0], 128)], view) is None
