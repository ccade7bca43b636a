import json
from pathlib import Path

import numpy as np
import pytest

from handroll.keyboard.geometry import BLACK_KEYS, STANDARD, WHITE_KEYS, key_centres_x_mm, white_index
from handroll.keyboard.marked_registration import fit_landmarks
from handroll.keyboard.projection import KeyboardView

FRONT = STANDARD.black_front_mm
POINTS_MM = np.array([(23.5 * line, y, 0.0) for line in (0, 9, 23, 37, 52) for y in (0.0, FRONT, 150.0)])
MARKED = Path(__file__).resolve().parents[4] / "shared" / "real" / "keyboard" / "pixel_points"


def tilted(k1=-0.04):
    return KeyboardView(1920, 1080, 1500.0, np.array([np.pi - 0.15, 0.02, 0.03]), np.array([-600.0, 40.0, 1150.0]), k1, (9.0, -6.0))


def test_finds_the_camera_that_marked_the_points():
    pixels = tilted().project(POINTS_MM) + np.random.default_rng(0).normal(0.0, 0.5, (len(POINTS_MM), 2))
    view, keyboard = fit_landmarks(pixels, POINTS_MM, 1920, 1080)
    between = np.stack([key_centres_x_mm()[WHITE_KEYS], np.full(52, 30.0), np.zeros(52)], axis=-1)
    scale = keyboard.white_length_mm / STANDARD.white_length_mm
    error = view.on_plane(tilted().project(between)) - between[:, :2] * [1.0, scale]
    assert np.abs(error).max() < 1.5
    assert view.focal_px == pytest.approx(1500.0, rel=0.2)


def test_one_wrong_point_has_little_effect():
    pixels = tilted(0.0).project(POINTS_MM)
    pixels[4] += [60.0, 0.0]
    view, _ = fit_landmarks(pixels, POINTS_MM, 1920, 1080)
    right = np.arange(len(pixels)) != 4
    assert np.abs(view.on_plane(pixels[right])[:, 0] - POINTS_MM[right, 0]).max() < 2.0


def test_shorter_keys_are_not_mistaken_for_a_tilt():
    short = POINTS_MM * [1.0, 0.92, 1.0]
    view, keyboard = fit_landmarks(tilted(0.0).project(short), POINTS_MM, 1920, 1080)
    assert keyboard.white_length_mm == pytest.approx(138.0, abs=3.0)
    assert keyboard.black_front_mm == pytest.approx(0.92 * FRONT, abs=1.5)
    assert np.abs(view.on_plane(tilted(0.0).project(short))[:, 0] - short[:, 0]).max() < 0.5


def test_a_known_focal_length_is_kept():
    for known_px in (1350.0, 1650.0):
        view, _ = fit_landmarks(tilted().project(POINTS_MM), POINTS_MM, 1920, 1080, focal_px=known_px)
        assert view.focal_px == pytest.approx(known_px, rel=0.02)


def test_points_that_determine_no_camera():
    pixels = tilted().project(POINTS_MM)
    with pytest.raises(ValueError, match="at least 4"):
        fit_landmarks(pixels[:3], POINTS_MM[:3], 1920, 1080)
    with pytest.raises(ValueError, match="equal length"):
        fit_landmarks(pixels[:5], POINTS_MM[:6], 1920, 1080)
    line = POINTS_MM[:, 1] == 0.0
    with pytest.raises(ValueError, match="on one"):
        fit_landmarks(np.tile(pixels[line], (2, 1)), np.tile(POINTS_MM[line], (2, 1)), 1920, 1080)


@pytest.mark.skipif(not MARKED.is_dir(), reason="needs the marked pictures of real keyboards")
def test_real_keyboards_with_each_key_left_out():
    lines = [(23.5 * line, y, 0.0) for line in (2, 9, 16, 26, 37, 44, 51) for y in (150.0, 0.0)]
    # The "front ends of black keys" are where they meet the line between the white heads.
    fronts = [(23.5 * white_index(key), FRONT, 0.0) for key in (9, 21, 33, 52, 69, 81)]
    assert set((9, 21, 33, 52, 69, 81)) <= set(BLACK_KEYS.tolist())
    points_mm = np.array(lines + fronts)
    errors = []
    for path in sorted(MARKED.glob("*.json"))[::9]:
        pixels = np.array(json.loads(path.read_text())["pixel_points"], dtype=float)
        for left_out in [[2 * i, 2 * i + 1] for i in range(1, 6)] + [[14 + i] for i in range(6)]:
            kept = np.setdiff1d(np.arange(20), left_out)
            view, _ = fit_landmarks(pixels[kept], points_mm[kept], 1920, 1080)
            errors += (view.on_plane(pixels[left_out])[:, 0] - points_mm[left_out, 0]).tolist()
    assert np.abs(errors).mean() < 1.0 and np.percentile(np.abs(errors), 95) < 2.6
