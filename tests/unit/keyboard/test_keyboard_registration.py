import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from handroll.keyboard.geometry import BLACK_KEYS, N_KEYS, STANDARD, black_tops_mm, key_outlines_mm, playing_points_mm
from handroll.keyboard.pattern import find_black_keys
from handroll.keyboard.registration import register
from handroll.keyboard.view import KeyboardView

WIDTH, HEIGHT = 1280, 720


def camera(x_mm=611.0, seen_mm=1400.0, tilt_deg=0.0, roll_deg=0.0, focal=0.95, k1=0.0):
    """A camera over the keyboard at x_mm that sees a width of seen_mm there."""
    turn = Rotation.from_euler("z", roll_deg, degrees=True) * Rotation.from_euler("x", 180.0 - tilt_deg, degrees=True)
    translation = np.array([0.0, 0.0, focal * seen_mm]) - turn.apply([x_mm, 60.0, 0.0])
    return KeyboardView(WIDTH, HEIGHT, focal * WIDTH, turn.as_rotvec(), translation, k1)


def picture_of(view, keys=range(N_KEYS), noise=3.0):
    """A drawn keyboard: white keys with thin gaps, leaning black keys, dark wood."""
    sharp = 4
    image = np.full((HEIGHT, WIDTH), 40, dtype=np.uint8)

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
    return np.clip(image + np.random.default_rng(0).normal(0, noise, image.shape), 0, 255).astype(np.uint8)


def error_mm(found, view, octave=0):
    """Largest error along the keys, mm, of the playing points in the picture."""
    points = playing_points_mm()
    pixels = view.project(points)
    seen = ((pixels > 5) & (pixels < [WIDTH - 5, HEIGHT - 5])).all(axis=1)
    back = np.array([found.view.on_plane(pixel, z) for pixel, z in zip(pixels[seen], points[seen, 2], strict=True)])
    return np.abs(back[:, 0] + octave * 164.5 - points[seen, 0]).max()


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({}, id="from straight above"),
        pytest.param({"tilt_deg": 18.0, "roll_deg": 8.0, "seen_mm": 1500.0, "k1": -0.04}, id="tilted, rolled, distorted"),
        pytest.param({"tilt_deg": -15.0, "roll_deg": -5.0, "seen_mm": 1450.0, "focal": 1.2}, id="tilted the other way"),
    ],
)
def test_whole_keyboard(settings):
    view = camera(**settings)
    found = register(picture_of(view))
    assert found.blacks.tolist() == list(range(36)) and found.octaves == (0,)
    assert error_mm(found, view) < 2.0
    assert found.residual_mm < 0.6
    assert found.keyboard.black_length_mm == pytest.approx(STANDARD.black_length_mm, abs=3.0)


def test_a_part_of_the_keyboard_leaves_octaves_open():
    view = camera(x_mm=560.0, seen_mm=720.0, tilt_deg=6.0)
    found = register(picture_of(view))
    assert 14 <= len(found.blacks) <= 22
    errors = {octave: error_mm(found, view, octave) for octave in found.octaves}
    assert len(errors) > 1 and sum(error < 2.0 for error in errors.values()) == 1


def test_an_end_in_the_picture_settles_the_octave():
    view = camera(x_mm=250.0, seen_mm=800.0)
    found = register(picture_of(view))
    assert len(found.octaves) == 1
    assert error_mm(found, view, found.octaves[0]) < 2.0


def test_hands_over_some_keys():
    view = camera(tilt_deg=5.0)
    picture = picture_of(view)
    for x in (350.0, 800.0):
        centre = view.project([x, 40.0, 0.0]).round().astype(int)
        cv2.ellipse(picture, centre.tolist(), (45, 90), 0.0, 0.0, 360.0, 150, -1)
    found = register(picture)
    assert len(found.blacks) == 36 and error_mm(found, view) < 2.0


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_any_side_of_the_picture_may_be_the_players(turns):
    view = camera(seen_mm=2300.0 if turns % 2 else 1400.0, tilt_deg=5.0)
    picture = np.ascontiguousarray(np.rot90(picture_of(view, noise=1.0), turns))
    found = register(picture)
    assert found.octaves == (0,)
    points = playing_points_mm()
    pixels = view.project(points)
    for _ in range(turns):  # a quarter turn against the clock
        width = WIDTH if _ % 2 == 0 else HEIGHT
        pixels = np.stack([pixels[:, 1], width - 1 - pixels[:, 0]], axis=1)
    seen = ((pixels > 5) & (pixels < np.array(picture.shape[::-1]) - 5)).all(axis=1)
    back = np.array([found.view.on_plane(pixel, z) for pixel, z in zip(pixels[seen], points[seen, 2], strict=True)])
    assert seen.sum() > 40 and np.abs(back[:, 0] - points[seen, 0]).max() < 2.5


def test_pictures_without_a_keyboard():
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (HEIGHT, WIDTH), dtype=np.uint8)
    fence = np.full((HEIGHT, WIDTH), 220, dtype=np.uint8)
    for x in range(20, WIDTH, 30):
        fence[200:500, x : x + 14] = 20
    for picture in (noise, fence, np.zeros((HEIGHT, WIDTH), dtype=np.uint8)):
        assert find_black_keys(picture) is None
        assert register(picture) is None
