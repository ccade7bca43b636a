import cv2
import numpy as np
import pytest

from handroll.keyboard.automatic_registration import register
from handroll.keyboard.geometry import STANDARD, playing_points_mm
from handroll.keyboard.registration import edge_residuals

WIDTH, HEIGHT = 960, 540


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({}, id="from straight above"),
        pytest.param({"tilt_deg": 18.0, "roll_deg": 8.0, "seen_mm": 1500.0, "k1": -0.04}, id="tilted, rolled, distorted"),
        pytest.param({"tilt_deg": -15.0, "roll_deg": -5.0, "seen_mm": 1450.0, "focal": 1.2}, id="tilted the other way"),
    ],
)
def test_whole_keyboard(settings, camera, picture_of, error_mm):
    view = camera(**settings)
    image = picture_of(view)
    found = register(image)[0]
    assert found.blacks.tolist() == list(range(36)) and found.octaves == (0,)
    assert error_mm(found.view, view) < 2.0
    assert np.nanmedian(np.linalg.norm(edge_residuals(image, found.view, found.keyboard, found.blacks)[1], axis=-1)) < 0.6
    assert found.keyboard.black_length_mm == pytest.approx(STANDARD.black_length_mm, abs=3.0)


def test_a_part_of_the_keyboard_leaves_octaves_open(camera, picture_of, error_mm):
    view = camera(x_mm=560.0, seen_mm=720.0, tilt_deg=6.0)
    found = register(picture_of(view))[0]
    assert 14 <= len(found.blacks) <= 22
    errors = {octave: error_mm(found.view, view, octave) for octave in found.octaves}
    assert len(errors) > 1 and sum(error < 2.0 for error in errors.values()) == 1


def test_a_visible_end_of_the_keyboard_determines_the_octave(camera, picture_of, error_mm):
    view = camera(x_mm=250.0, seen_mm=800.0)
    found = register(picture_of(view))[0]
    assert len(found.octaves) == 1
    assert error_mm(found.view, view, found.octaves[0]) < 2.0


def test_a_known_focal_length_is_held(camera, picture_of, error_mm):
    view = camera(tilt_deg=10.0)
    focal_px = 0.8 * view.focal_px
    found = register(picture_of(view), focal_px=focal_px)[0]
    assert found.view.focal_px == pytest.approx(focal_px, rel=0.01)
    assert found.covariance[0, 0] < 0.01**2 and error_mm(found.view, view) < 3.0


def test_hands_over_some_keys(camera, picture_of, error_mm):
    view = camera(tilt_deg=5.0)
    picture = picture_of(view)
    for x in (350.0, 800.0):
        centre = view.project([x, 40.0, 0.0]).round().astype(int)
        cv2.ellipse(picture, centre.tolist(), (34, 68), 0.0, 0.0, 360.0, 150, -1)
    found = register(picture)[0]
    assert len(found.blacks) == 36 and error_mm(found.view, view) < 2.0


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_the_player_may_be_on_any_side_of_the_image(turns, camera, picture_of):
    view = camera(seen_mm=2300.0 if turns % 2 else 1400.0, tilt_deg=5.0)
    picture = np.ascontiguousarray(np.rot90(picture_of(view, noise=1.0), turns))
    found = register(picture)[0]
    assert found.octaves == (0,)
    points = playing_points_mm()
    pixels = view.project(points)
    for _ in range(turns):  # a quarter turn against the clock
        width = WIDTH if _ % 2 == 0 else HEIGHT
        pixels = np.stack([pixels[:, 1], width - 1 - pixels[:, 0]], axis=1)
    seen = ((pixels > 5) & (pixels < np.array(picture.shape[::-1]) - 5)).all(axis=1)
    back = np.array([found.view.on_plane(pixel, z) for pixel, z in zip(pixels[seen], points[seen, 2], strict=True)])
    assert seen.sum() > 40 and np.abs(back[:, 0] - points[seen, 0]).max() < 2.5


def test_images_without_a_keyboard():
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (360, 640), dtype=np.uint8)
    fence = np.full((360, 640), 220, dtype=np.uint8)
    for x in range(20, 640, 30):
        fence[100:250, x : x + 14] = 20
    for picture in (noise, fence, np.zeros((360, 640), dtype=np.uint8)):
        assert register(picture) == []
