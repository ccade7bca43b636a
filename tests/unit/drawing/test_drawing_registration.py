from dataclasses import replace

import cv2
import numpy as np
import pytest

from handroll.drawing.keyboard import GRID, grid_mask, key_shapes_px
from handroll.drawing.registration import (
    MAGNIFIED,
    RAMP,
    WIDTH_PX,
    RectifiedPlane,
    draw_registration,
    key_name,
    mean_per_line_mm,
    rectify,
    residual_colours,
)
from handroll.keyboard.geometry import BLACK_KEYS, STANDARD, playing_points_mm
from handroll.keyboard.projection import straight_down

SIZE = 1280, 720
VIEW = replace(straight_down(*SIZE, np.array([611.0, 75.0, 0.0]), np.array([640.0, 380.0]), np.array([1.0, 0.03])), k1=-0.05)
LINES = np.arange(1, 52)


def points_on_lines(y_mm=30.0):
    return np.stack([LINES * STANDARD.white_pitch_mm, np.full(51, y_mm), np.zeros(51)], axis=-1)


def picture():
    """White keys, black keys' tops dark, all else grey, through the lens."""
    image = np.full((SIZE[1], SIZE[0]), 60, np.uint8)
    image[grid_mask(key_shapes_px(VIEW, STANDARD, range(88)), SIZE) > 128] = 255
    return image


@pytest.mark.parametrize(("key", "name"), [(0, "A0"), (3, "C1"), (39, "C4"), (40, "C#4"), (87, "C8")])
def test_key_names(key, name):
    assert key_name(key) == name


@pytest.mark.parametrize("scale", [1, 2])
def test_rectified_lines_are_straight_and_where_the_keyboard_has_them(scale):
    plane = RectifiedPlane(0.0, STANDARD.white_length_mm, 1.0)
    size = round(STANDARD.width_mm), round(STANDARD.white_length_mm)
    image = cv2.resize(np.repeat(picture()[..., None], 3, axis=2), None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    flat = rectify(image, VIEW, plane, size)[..., 0].astype(int)
    rows = np.rint(plane.to_px(points_on_lines()[:, :2])).astype(int)
    near = np.stack([flat[rows[:, 1], rows[:, 0] + dx] for dx in (-1, 0, 1)]).max(axis=0)
    between = flat[rows[:, 1], rows[:, 0] - 12]
    assert near.min() > 110 and between.max() < 80


def test_rectified_plane_round_trip():
    plane = RectifiedPlane(-12.0, 162.0, 1.3)
    points = np.array([[0.0, 0.0], [1222.0, 150.0]])
    np.testing.assert_allclose(plane.to_mm(plane.to_px(points)), points)
    assert plane.to_px([0.0, 0.0])[1] > plane.to_px([0.0, 150.0])[1]


def test_mean_per_line_includes_black_keys_and_ignores_edges_not_measured_along_the_keys():
    gap, black, front = [47.0, 20.0, 0.0], [playing_points_mm()[BLACK_KEYS[0], 0], 90.0, 11.0], [47.0, 52.0, 0.0]
    points = np.array([gap, gap, front, gap, black])
    residual = np.array([[1.0, 0.0], [0.5, 0.0], [0.0, 9.0], [np.nan, 0.0], [-0.4, 0.0]])
    means = mean_per_line_mm(points, residual, STANDARD)
    assert means.shape == (53,)
    assert means[2] == 0.75 and means[1] == -0.4  # A#0 lies over the first line
    assert np.isnan(np.delete(means, [1, 2])).all()


def test_residual_colours_follow_the_colour_map_and_are_clipped():
    colours = residual_colours(np.array([0.0, 1.0, 2.0, 50.0]))
    np.testing.assert_array_equal(colours, RAMP[[0, 1, 2, 2]])


def has(image, colour, tolerance=3):
    return (np.abs(image.astype(int) - np.asarray(colour).astype(int)).max(axis=2) <= tolerance).sum()


@pytest.mark.parametrize("shape", ["grey", "rgb"])
def test_picture_shows_large_residuals_red_and_small_ones_green(shape):
    given = picture() if shape == "grey" else np.repeat(picture()[..., None], 3, axis=2)
    registered = VIEW, STANDARD, range(88)
    small, large = (draw_registration(given, registered, points_on_lines(), np.full((51, 2), [mm, 0.0]), "a/b") for mm in (0.05, 2.5))
    assert small.shape == large.shape and small.shape[1] == WIDTH_PX and small.dtype == np.uint8
    bottom = np.s_[-200:]
    assert has(large[bottom], RAMP[2]) > 500 and has(small[bottom], RAMP[2]) == 0
    assert has(small[bottom], RAMP[0], 12) > 100
    above = np.s_[-430:-220]  # the rectified keyboard: 51 lines, ten times 2.5 mm long
    px_per_mm = (WIDTH_PX - 32) / (STANDARD.width_mm + 24)
    assert has(large[above], RAMP[2], 30) > 51 * MAGNIFIED * 2.5 * px_per_mm * 0.8


def test_grid_is_drawn_and_the_given_picture_left_alone():
    given = picture()
    before = given.copy()
    image = draw_registration(given, (VIEW, STANDARD, range(88)), points_on_lines(), np.zeros((51, 2)), "a/b")
    assert (given == before).all()
    assert has(image, GRID, 70) > 3000


def test_a_smaller_picture_than_the_views_gives_the_same_drawing():
    registered = VIEW, STANDARD, np.arange(88)
    small = cv2.resize(picture(), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    drawings = [draw_registration(image, registered, points_on_lines(), np.full((51, 2), 0.2), "a/b") for image in (picture(), small)]
    assert drawings[0].shape == drawings[1].shape
    assert np.abs(drawings[0].astype(int) - drawings[1]).mean() < 4.0


def test_part_of_a_keyboard_fills_the_width():
    keys = range(30, 60)
    part = draw_registration(picture(), (VIEW, STANDARD, keys), points_on_lines()[20:30], np.zeros((10, 2)), "a/b")
    whole = draw_registration(picture(), (VIEW, STANDARD, range(88)), points_on_lines(), np.zeros((51, 2)), "a/b")
    assert part.shape[0] > whole.shape[0] + 100


def test_without_residuals_and_without_a_keyboard():
    none = draw_registration(picture(), (VIEW, STANDARD, range(88)), points_on_lines(), np.full((51, 2), np.nan), "a/b")
    empty = draw_registration(picture(), (VIEW, STANDARD, range(88)), np.empty((0, 3)), np.empty((0, 2)), "a/b")
    alone = draw_registration(picture(), None, np.empty((0, 3)), np.empty((0, 2)), "a/b", ["no keyboard was found"])
    assert none.shape == empty.shape
    assert alone.shape[1] == WIDTH_PX and alone.shape[0] < none.shape[0] - 300 and has(alone, GRID) == 0
