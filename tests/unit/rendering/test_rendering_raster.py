"""Triangles cover the right samples, nearer ones occlude others, and shadows and averaging are correct."""

import numpy as np
import pytest

from handroll.rendering.raster import (
    COVER,
    FLOOR,
    LEFT_HAND,
    RECEIVES,
    WHITE_KEY,
    Canvas,
    bounds,
    expose,
    fill_mask,
    project_points,
    resolve,
    shade,
    soften,
)
from handroll.rendering.scene import View


def _square(x0, y0, x1, y1):
    """Corners and triangles of a square that faces the camera (y points down, so clockwise triangles face away)."""
    points = np.array([(x0, y0), (x0, y1), (x1, y1), (x1, y0)], dtype=np.float32)
    return points, np.array([(0, 1, 2), (0, 2, 3)], dtype=np.int32)


def _draw(canvas, square, inverse, rgb, owner, rectangle=None):
    points, triangles = square
    inverse = np.broadcast_to(np.float32(inverse), 4).copy()
    colours = np.broadcast_to(np.float32(rgb), (4, 3)).copy()
    canvas.draw(points, inverse, colours, triangles, np.full(2, owner, np.uint8), rectangle or canvas.rectangle)


def test_square_covers_exactly_its_samples():
    canvas = Canvas.empty(20, 12)
    _draw(canvas, _square(3, 2, 9, 7), 1.0, (10, 20, 30), LEFT_HAND)
    expected = np.zeros((12, 20), bool)
    expected[2:7, 3:9] = True
    assert ((canvas.owner == LEFT_HAND) == expected).all()
    assert (canvas.colour[expected] == (10, 20, 30)).all()


def test_no_crack_and_no_hole_in_a_fan_of_slivers():
    canvas = Canvas.empty(64, 64)
    angle = np.linspace(0, 2 * np.pi, 41)[:-1]
    points = np.concatenate([[(32.1, 31.7)], 32 + 25 * np.stack([np.cos(angle), -np.sin(angle)], 1)]).astype(np.float32)
    triangles = np.stack([np.zeros(40), 1 + np.arange(40), 1 + (np.arange(40) + 1) % 40], 1).astype(np.int32)
    canvas.draw(points, np.ones(41, np.float32), np.full((41, 3), 200, np.float32), triangles, np.ones(40, np.uint8), canvas.rectangle)
    y, x = np.mgrid[:64, :64] + 0.5
    assert (canvas.owner[np.hypot(x - 32, y - 32) < 24] == 1).all()
    assert (canvas.owner[np.hypot(x - 32, y - 32) > 26] == 0).all()


@pytest.mark.parametrize("near_first", [True, False])
def test_nearer_wins_whatever_the_order(near_first):
    canvas = Canvas.empty(10, 10)
    draws = [(2.0, (255, 0, 0), LEFT_HAND), (1.0, (0, 0, 255), COVER)]
    for inverse, rgb, owner in draws if near_first else draws[::-1]:
        _draw(canvas, _square(0, 0, 10, 10), inverse, rgb, owner)
    assert (canvas.owner == LEFT_HAND).all() and (canvas.colour == (255, 0, 0)).all()


def test_back_faces_points_behind_the_camera_and_other_rectangles_are_left_out():
    canvas = Canvas.empty(10, 10)
    points, triangles = _square(0, 0, 10, 10)
    canvas.draw(
        points, np.ones(4, np.float32), np.zeros((4, 3), np.float32), triangles[:, ::-1].copy(), np.ones(2, np.uint8), canvas.rectangle
    )
    _draw(canvas, _square(0, 0, 10, 10), 0.0, (1, 1, 1), 1)
    assert (canvas.owner == 0).all()
    _draw(canvas, _square(-50, -50, 50, 50), 1.0, (1, 1, 1), 1, (2, 3, 5, 9))
    assert canvas.owner.sum() == 3 * 6 and canvas.owner[3:9, 2:5].all()


def test_colour_is_interpolated_in_perspective():
    canvas = Canvas.empty(100, 4)
    points, triangles = _square(0, 0, 100, 4)
    inverse = np.array([1.0, 1.0, 0.25, 0.25], np.float32)  # the right side is four times as far
    colours = np.array([[0] * 3, [0] * 3, [200] * 3, [200] * 3], np.float32)
    canvas.draw(points, inverse, colours, triangles, np.ones(2, np.uint8), canvas.rectangle)
    # Half way in the picture is a fifth of the way along the surface: (0.5 * 0.25) / (0.5 + 0.5 * 0.25).
    assert canvas.colour[2, 50, 0] == pytest.approx(200 * 0.2, abs=2.5)
    assert canvas.depth[2, 50] == pytest.approx(0.625, abs=0.01)


def test_soften_keeps_the_sum_and_spreads_evenly():
    mask = np.zeros((60, 50), np.float32)
    mask[30, 25] = 1.0
    soften(mask, 5, 6, 45, 55, 3)
    assert mask.sum() == pytest.approx(1.0, rel=1e-5)
    assert mask[30, 25] == mask.max() == pytest.approx(1 / 49, rel=1e-4)
    assert mask[30, 25 - 6] > 0 and mask[30, 25 - 7] == 0
    assert mask == pytest.approx(mask[:, ::-1][:, np.r_[49, 0:49]], abs=1e-7)


def test_fill_mask_takes_either_face_and_only_used_vertices():
    mask = np.zeros((10, 10), np.float32)
    points, triangles = _square(1, 1, 5, 5)
    fill_mask(mask, points, triangles[:, ::-1].copy(), np.zeros(4, bool))
    assert mask.sum() == 0
    fill_mask(mask, points, triangles[:, ::-1].copy(), np.ones(4, bool))
    assert mask.sum() == 16 and mask[1:5, 1:5].all()


@pytest.mark.parametrize("supersample", [1, 2])
def test_resolve_averages_and_darkens_only_what_receives_shadow(supersample):
    size = 6 * supersample
    colour = np.full((size, size, 3), 100, np.uint8)
    owner = np.full((size, size), FLOOR, np.uint8)
    owner[:, : 3 * supersample] = WHITE_KEY
    picture = np.zeros((6, 6, 3), np.uint8)
    key_shadow, hand_shadow = np.zeros((6, 6), np.float32), np.full((3, 3), 0.5, np.float32)
    resolve(colour, owner, RECEIVES, key_shadow, hand_shadow, True, picture, 0, 0, 6, 6, supersample)
    assert (picture[:, :3] == 50).all() and (picture[:, 3:] == 100).all()
    key_shadow[:] = 0.4
    resolve(colour, owner, RECEIVES, key_shadow, 0 * hand_shadow, True, picture, 0, 0, 6, 6, supersample)
    assert (picture[:, :3] == 60).all() and (picture[:, 3:] == 100).all()


def test_resolve_leaves_untouched_pixels_alone():
    colour, owner = np.full((8, 8, 3), 100, np.uint8), np.full((8, 8), FLOOR, np.uint8)
    owner[2, 2] = LEFT_HAND
    colour[2, 2] = 200
    picture = np.full((4, 4, 3), 7, np.uint8)
    resolve(colour, owner, RECEIVES, np.zeros((4, 4), np.float32), np.zeros((2, 2), np.float32), False, picture, 0, 0, 4, 4, 2)
    assert (picture[1, 1] == 125).all()
    assert (picture == 7).sum() == 15 * 3


def test_shade_is_brightest_towards_the_lamp():
    normals = np.array([(0, 0, 1), (1, 0, 0), (0, 0, -1)], np.float32)
    out = shade(normals, np.full((3, 3), 0.5, np.float32), np.array([0, 0, 1], np.float32), 0.4)
    assert out[0, 0] > out[1, 0] > out[2, 0] > 0


def test_expose_scales_adds_and_clips():
    picture = np.array([[[0, 100, 250]]], np.uint8)
    assert expose(picture, 1.0, np.array([-5, 3, 20], np.int8)).tolist() == [[[0, 103, 255]]]
    assert expose(picture, 0.5, np.zeros(3, np.int8)).tolist() == [[[0, 50, 125]]]


@pytest.mark.parametrize("view", [View(), View(tilt_rad=0.3, roll_rad=-0.1, k1=-0.06)])
def test_points_are_projected_as_by_the_view(view):
    points = np.random.default_rng(0).normal([0.6, 0.0, 0.0], [0.3, 0.3, 0.6], (2000, 3)).astype(np.float32)
    pixels, inverse = view.project(points, 640, 360)
    found, found_inverse = project_points(points, np.array(view.position_m), view.rotation, view.k1, view.focal_widths * 640, 640, 360)
    assert 0.0 in inverse and found.dtype == found_inverse.dtype == np.float32
    assert found_inverse == pytest.approx(inverse, rel=1e-6)
    assert found == pytest.approx(pixels, rel=1e-6, abs=1e-4)


def test_bounds_are_the_extremes():
    points = np.array([[3.0, -2.0], [-1.0, 8.0], [2.0, 4.0]], dtype=np.float32)
    assert bounds(points, np.array([0.5, 0.0, 2.0], dtype=np.float32)) == (-1.0, -2.0, 3.0, 8.0, 0.0)


def test_no_noise_and_a_gain_of_one_leave_the_image():
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    assert (expose(image, 1.0, None) == image).all()
    assert (expose(image, 1.5, None) == expose(image, 1.5, np.zeros(48, np.int8))).all()
