import numpy as np
import pytest

from handroll.keyboard.geometry import STANDARD, key_centres_x_mm, key_of_pitch
from handroll.keyboard.marked_points import marked_points, point_mm
from handroll.keyboard.marked_registration import fit_landmarks

TEXT = "A0-front 102 655; A0-back 110.5 401 ;end-front 1820,650; end-back 1811 398.;F#4-front -3 520; C4-front 911 640;"


def test_names_and_positions():
    points_px, points_mm = marked_points(TEXT)
    np.testing.assert_array_equal(points_px, [(102, 655), (110.5, 401), (1820, 650), (1811, 398), (-3, 520), (911, 640)])
    f_sharp = key_centres_x_mm()[key_of_pitch(66)]
    expected = [(0, 0), (0, 150), (1222, 0), (1222, 150), (f_sharp, STANDARD.black_front_mm), (23 * 23.5, 0)]
    np.testing.assert_allclose(points_mm[:, :2], expected)
    assert not points_mm[:, 2].any()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "at least 4 points, found 0"),
        ("A0-front 1 2; A0-back 1 2; end-front 3 4", "at least 4 points, found 3 in 'A0-front"),
        ("A0-front 1 2; A0-middle 1 2", "found 'A0-middle 1 2'"),
        ("A0-front 1", "KEY-front X Y or KEY-back X Y.*found 'A0-front 1'"),
        ("A0-front 1 2 3", "found 'A0-front 1 2 3'"),
        ("a0-front 1 2", "found 'a0-front 1 2'"),
        ("H4-front 1 2", "found 'H4-front 1 2'"),
        ("E#4-front 1 2", "found 'E#4-front 1 2'"),
        ("Db4-front 1 2", "found 'Db4-front 1 2'"),
        ("A0-front one two", "found 'A0-front one two'"),
        ("A0-front 1 2, A0-back 3 4", "found 'A0-front 1 2, A0-back 3 4'"),
        ("G0-front 1 2", "keys A0 to C8, found G0"),
        ("D8-back 1 2", "keys A0 to C8, found D8"),
        (
            "A0-front 1 2; C4-front 3 4; C6-front 5 6; end-front 7 8",
            "on the keyboard of which no 3 are on one line, found 'A0-front 1 2; C4",
        ),
        ("A0-front 1 2; A0-back 3 4; A0-front 5 6; A0-back 7 8", "on the keyboard of which no 3 are on one line"),
        ("A0-front 50 300; C4-front 300 301; end-front 600 300; A0-back 60 200", "on the keyboard of which no 3 are on one line"),
        ("A0-front 1 1; A0-back 90 90; end-front 300 300; end-back 400 400", "in the frame of which no 3 are on one line"),
        ("A0-front 1 1; A0-back 1 1; end-front 300 1; end-back 400 400", "in the frame of which no 3 are on one line"),
        ("A0-front 600 300; A0-back 590 200; end-front 50 300; end-back 60 200", "from above, found its mirror image in 'A0"),
        (f"A0-front {'9' * 400} 1", "coordinates of at most 100000 px, found 'A0-front 9"),
        ("C#4-back 1 2", "expected C#4-front for a black key, found C#4-back"),
    ],
)
def test_errors_name_the_problem(text, message):
    with pytest.raises(ValueError, match=message):
        marked_points(text)


def test_marked_points_recover_the_camera(camera, error_mm):
    view = camera(tilt_deg=12.0, roll_deg=3.0, k1=-0.03)
    names = ["A0-front", "A0-back", "C2-front", "C4-back", "F#4-front", "C6-front", "C6-back", "end-front", "end-back"]
    points_mm = np.array([point_mm(*name.split("-")) for name in names])
    text = "; ".join(f"{name} {x:.1f} {y:.1f}" for name, (x, y) in zip(names, view.project(points_mm), strict=True))
    found, keyboard = fit_landmarks(*marked_points(text), 960, 540)
    assert error_mm(found, view) < 1.5
    assert keyboard.white_length_mm == pytest.approx(150.0, abs=4.0)
