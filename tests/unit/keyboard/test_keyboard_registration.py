import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from handroll.keyboard import registration
from handroll.keyboard.geometry import playing_points_mm
from handroll.keyboard.marked_points import marked_points, point_mm
from handroll.keyboard.octave import TIP_HEIGHT_MM
from handroll.keyboard.registration import RegisteredKeyboard, register_keyboard, visible_keys
from handroll.keyboard.registration_check import DOUBTS, MESSAGES, Problem
from handroll.tables import NOTES

TIME_S = np.arange(300) / 30.0
NO_HANDS = np.full((300, 2, 21, 2), np.nan)
NAMES = ("A0-front", "A0-back", "C3-front", "F#4-front", "C6-back", "end-front", "end-back")


def windows(picture_of, view, count=3):
    return [picture_of(view, seed=seed) for seed in range(count)]


def index_finger(view, pitches):
    """Notes, twice a second, and landmarks of a right hand whose index finger is on their keys."""
    notes = NOTES.empty()
    notes |= {"onset_s": 0.5 * np.arange(len(pitches)), "pitch": np.array(pitches, dtype=np.int8)}
    points = playing_points_mm()[notes["pitch"].astype(int) - 21]
    landmarks_px = NO_HANDS.copy()
    landmarks_px[: 15 * len(pitches), 1, 8] = np.repeat(view.project(points * [1.0, 1.0, 0.0] + [0.0, 0.0, TIP_HEIGHT_MM]), 15, axis=0)
    return notes, TIME_S, landmarks_px


@pytest.fixture(scope="module")
def whole_view(camera):
    return camera(tilt_deg=15.0, roll_deg=3.0, seen_mm=1450.0, k1=-0.03)


@pytest.fixture(scope="module")
def whole_windows(whole_view, picture_of):
    return windows(picture_of, whole_view)


@pytest.fixture(scope="module")
def whole(whole_windows):
    """A whole keyboard, registered in a frame of twice the windows' size."""
    return register_keyboard(whole_windows, 1920, NOTES.empty(), TIME_S, NO_HANDS)


@pytest.fixture(scope="module")
def part_view(camera):
    """A view of four octaves, centred more than half an octave left of the keyboard's middle."""
    return camera(x_mm=470.0, seen_mm=720.0, tilt_deg=8.0)


@pytest.fixture(scope="module")
def part(part_view, picture_of):
    """A window of a part of the keyboard."""
    return windows(picture_of, part_view, 1)


def at_windows_size(view):
    """A view of a frame 1920 px wide, scaled to the windows' 960 px."""
    off_centre = tuple(0.5 * part for part in view.off_centre_px)
    return replace(view, width_px=960, height_px=540, focal_px=0.5 * view.focal_px, off_centre_px=off_centre)


def test_a_whole_keyboard(whole):
    assert (whole.problem, whole.source, whole.octave_source, whole.octave_odds) == (None, "picture", "keys", None)
    assert (whole.first_key, whole.last_key) == (0, 87) and whole.confidence > 0.6
    assert whole.shift_mm < 0.3 and whole.zoom < 1e-3
    found = np.linalg.norm(whole.residual_mm, axis=1)
    assert whole.edges_mm.shape == (len(found), 3) and np.isfinite(found).mean() == pytest.approx(whole.confidence)
    assert np.nanmedian(found) < 0.6
    view, keyboard, keys = whole.drawing_inputs
    assert view is whole.view and keyboard is whole.keyboard and len(keys) == 88


def test_the_result_belongs_to_the_frame_as_shown(whole, whole_view, error_mm):
    assert (whole.view.width_px, whole.view.height_px) == (1920, 1080)
    assert error_mm(at_windows_size(whole.view), whole_view) < 2.0
    np.testing.assert_allclose(whole.view.project([611.0, 60.0, 0.0]), 2.0 * whole_view.project([611.0, 60.0, 0.0]), atol=3.0)


def test_the_camera(whole, whole_view):
    assert whole.focal_source == "keyboard" and 0.0 < whole.focal_spread < 0.1
    assert whole.view.focal_px == pytest.approx(2 * whole_view.focal_px, rel=3.0 * whole.focal_spread)
    camera = whole.camera
    assert camera.focal_source == "keyboard" and camera.k1 == whole.view.k1 and camera.off_centre_px == whole.view.off_centre_px
    eye, true_eye = (view.extrinsics.to_keyboard(np.zeros(3)) for view in (whole.view, whole_view))
    assert eye[2] == pytest.approx(true_eye[2], rel=3.0 * whole.focal_spread)


def test_a_focal_length_that_the_keys_barely_constrain_is_assumed(camera, picture_of, monkeypatch):
    monkeypatch.setattr(registration, "KNOWN_FOCAL_SPREAD", 0.01)
    found = register_keyboard(windows(picture_of, camera(), 1), 960, NOTES.empty(), TIME_S, NO_HANDS)
    assert found.focal_source == found.camera.focal_source == "assumed" and found.focal_spread > 0.01
    assert "(assumed, +- " in found.summary_lines()[0]


def test_a_known_focal_length_is_kept(camera, picture_of):
    """A view from straight above does not constrain it, so the given value is kept, in pixels of the frame as shown."""
    view = camera()
    pictures = windows(picture_of, view, 1)
    wrong = 1.25
    given = 2.0 * wrong * view.focal_px
    found = register_keyboard(pictures, 1920, NOTES.empty(), TIME_S, NO_HANDS, focal=(given, "config"))
    assert found.focal_source == "config" and found.camera.focal_source == "config"
    assert found.view.focal_px == pytest.approx(given, rel=0.02)
    height_mm = found.view.extrinsics.to_keyboard(np.zeros(3))[2]
    assert height_mm == pytest.approx(wrong * view.extrinsics.to_keyboard(np.zeros(3))[2], rel=0.04)


def test_notes_determine_the_octave_of_a_part(part, part_view, error_mm):
    pitches = [48, 55, 52, 60, 59, 53, 50, 57, 62, 64, 47, 49]
    found = register_keyboard(part, 960, *index_finger(part_view, pitches))
    assert found.octave_source == "notes" and found.octave_odds > 10.0
    assert error_mm(found.view, part_view) < 2.0
    assert (found.first_key, found.last_key) == visible_keys(part_view, found.keyboard)
    higher = register_keyboard(part, 960, *raised(index_finger(part_view, pitches)))
    assert higher.octave_source == "notes" and error_mm(higher.view, part_view, -1) < 2.0


def test_the_upper_end_of_the_keyboard_determines_the_octave(camera, picture_of, error_mm):
    view = camera(x_mm=930.0, seen_mm=780.0)
    found = register_keyboard(windows(picture_of, view, 1), 960, NOTES.empty(), TIME_S, NO_HANDS)
    assert found.octave_source == "keys" and found.last_key == 87 and error_mm(found.view, view) < 2.0


def raised(seen):
    """The same fingers, and notes an octave higher."""
    notes, time_s, landmarks_px = seen
    return {**notes, "pitch": notes["pitch"] + np.int8(12)}, time_s, landmarks_px


def test_the_octave_of_a_part_is_assumed_without_notes(part, part_view, error_mm):
    """The middle of the keyboard is then nearest to the middle of the frame: here one octave off."""
    found = register_keyboard(part, 960, NOTES.empty(), TIME_S, NO_HANDS)
    assert found.octave_source == "assumed" and found.octave_odds == 0.0
    assert abs(found.view.on_plane(found.view.centre_px)[0] - 611.0) < 90.0
    assert error_mm(found.view, part_view, -1) < 2.0
    assert "octave assumed" in found.summary_lines()[0]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"step_mm": (3.0, 1.0, 0.0)}, Problem.CAMERA_MOVES),
        ({"step_mm": (60.0, 0.0, 0.0)}, Problem.CAMERA_MOVES),
        ({"zoom": 1.012}, Problem.CAMERA_ZOOMS),
    ],
    ids=["a little", "far", "zoom"],
)
def test_a_moving_camera_is_reported(whole_view, whole_windows, picture_of, change, problem):
    moved = replace(
        whole_view,
        focal_px=whole_view.focal_px * change.get("zoom", 1.0),
        translation_mm=whole_view.translation_mm + np.array(change.get("step_mm", (0.0, 0.0, 0.0))),
    )
    found = register_keyboard([whole_windows[0], *windows(picture_of, moved, 1)], 960, NOTES.empty(), TIME_S, NO_HANDS)
    assert found.problem == problem and found.view is None and found.drawing_inputs is None


def test_no_keyboard():
    noise = np.random.default_rng(0).integers(0, 255, (180, 320), dtype=np.uint8)
    found = register_keyboard([noise], 960, NOTES.empty(), TIME_S, NO_HANDS)
    assert found == RegisteredKeyboard(Problem.NO_KEYBOARD)


def marked(view):
    """Points of `NAMES`, marked in a frame of twice the view's size and parsed from the sheet's text."""
    points_mm = np.array([point_mm(*name.split("-")) for name in NAMES])
    pixels = 2.0 * view.project(points_mm)
    return marked_points("; ".join(f"{name} {x:.0f} {y:.0f}" for name, (x, y) in zip(NAMES, pixels, strict=True)))


@pytest.mark.parametrize("marked", [None, (np.zeros((4, 2)), np.zeros((4, 3)))])
def test_no_usable_segment(marked):
    found = register_keyboard([], 640, NOTES.empty(), TIME_S, NO_HANDS, marked)
    assert found.problem == Problem.NO_USABLE_SEGMENT and found.drawing_inputs is None
    assert found.to_dict()["message"] == MESSAGES[Problem.NO_USABLE_SEGMENT]


def test_marked_points_are_used(whole_view, whole_windows, error_mm):
    found = register_keyboard(whole_windows, 1920, NOTES.empty(), TIME_S, NO_HANDS, marked(whole_view))
    assert (found.problem, found.source, found.octave_source) == (None, "sheet", "sheet")
    assert found.view.width_px == 1920 and error_mm(at_windows_size(found.view), whole_view) < 3.0
    assert found.confidence > 0.5 and (found.first_key, found.last_key) == (0, 87)
    assert found.summary_lines()[0].startswith("marked in the sheet; octave from the sheet")


def test_marked_points_are_refined_on_the_edges(whole_view, whole_windows, error_mm):
    """Clicks are off by a pixel or two; edges are not."""
    points_px, points_mm = marked(whole_view)
    clicked = points_px + np.random.default_rng(1).normal(0.0, 4.0, points_px.shape)
    seen = register_keyboard(whole_windows, 1920, NOTES.empty(), TIME_S, NO_HANDS, (clicked, points_mm))
    blank = [np.full((540, 960), 128, dtype=np.uint8)]
    alone = register_keyboard(blank, 1920, NOTES.empty(), TIME_S, NO_HANDS, (clicked, points_mm))
    assert error_mm(at_windows_size(seen.view), whole_view) < 1.0 < error_mm(at_windows_size(alone.view), whole_view)
    assert seen.doubt is None and alone.doubt is None and seen.focal_spread is not None and alone.focal_spread is None


def test_a_wrong_mark_is_reported_and_the_others_are_used(whole_view, whole_windows, error_mm):
    points_px, points_mm = marked(whole_view)
    points_px[3] += [80.0, 0.0]
    found = register_keyboard(whole_windows, 1920, NOTES.empty(), TIME_S, NO_HANDS, (points_px, points_mm))
    assert found.problem is None and found.doubt == Problem.MARKS_DISAGREE and error_mm(at_windows_size(found.view), whole_view) < 1.0
    values = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert values["message"] == DOUBTS[Problem.MARKS_DISAGREE] and RegisteredKeyboard.from_dict(values).doubt is Problem.MARKS_DISAGREE
    assert found.summary_lines()[-1] == f"marks_disagree: {DOUBTS[Problem.MARKS_DISAGREE]}"


def hands_over(view, y_mm):
    """Landmarks of two hands with their fingertips at this y, wrists towards the player."""
    hands = np.zeros((300, 2, 21, 3))
    hands[..., 0] = np.array([400.0, 800.0])[:, None]
    hands[..., 1] = y_mm - 140.0
    hands[:, :, [4, 8, 12, 16, 20], 1] = y_mm
    return 2.0 * view.project(hands)


def test_hands_beside_the_keys_are_a_problem_and_only_a_doubt_of_marks(whole_view, whole_windows):
    pictures, aside = whole_windows[:1], hands_over(whole_view, -85.0)
    found = register_keyboard(pictures, 1920, NOTES.empty(), TIME_S, aside)
    assert found.problem == Problem.HANDS_OFF_KEYS and found.view is None and found.drawing_inputs is None and found.confidence > 0.6
    by_hand = register_keyboard(pictures, 1920, NOTES.empty(), TIME_S, aside, marked(whole_view))
    assert by_hand.problem is None and by_hand.doubt == Problem.HANDS_OFF_KEYS and by_hand.view is not None


def test_marked_points_are_used_where_nothing_is_found(whole_view, error_mm):
    grey = [np.full((540, 960), 128, dtype=np.uint8)]
    found = register_keyboard(grey, 1920, NOTES.empty(), TIME_S, NO_HANDS, marked(whole_view))
    assert found.problem is None and found.source == "sheet" and found.confidence == 0.0 and found.shift_mm is None
    assert error_mm(at_windows_size(found.view), whole_view) < 3.0
    values = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert values["edges"] == 0 and values["edge_residual_mm"] is None


def test_marked_points_do_not_hide_a_moving_camera(whole_view, whole_windows, picture_of):
    moved = replace(whole_view, translation_mm=whole_view.translation_mm + np.array([4.0, 0.0, 0.0]))
    pictures = [*whole_windows[:2], *windows(picture_of, moved, 1)]
    found = register_keyboard(pictures, 1920, NOTES.empty(), TIME_S, NO_HANDS, marked(whole_view))
    assert found.problem == Problem.CAMERA_MOVES and found.shift_mm == pytest.approx(4.0, abs=0.6)


def test_a_registration_is_read_back_from_json(whole):
    values = json.loads(json.dumps(whole.to_dict(), allow_nan=False))
    assert values["problem"] is None and values["message"] is None
    assert values["edges"] == np.isfinite(whole.residual_mm[:, 0]).sum() and values["edge_residual_mm"]["median"] < 0.6
    again = RegisteredKeyboard.from_dict({"subject": "anna", **values})
    assert again.keyboard == whole.keyboard and again.camera == whole.camera and again.summary_lines() == whole.summary_lines()
    points = playing_points_mm()
    np.testing.assert_array_equal(again.view.project(points), whole.view.project(points))
    assert (again.first_key, again.last_key, again.shift_mm, again.zoom) == (0, 87, whole.shift_mm, whole.zoom)
    assert again.edges_mm is None and again.residual_mm is None


@pytest.mark.parametrize("problem", list(Problem))
def test_a_problem_is_read_back_from_json(problem):
    moves = {"shift_mm": 3.5, "zoom": 0.002, "confidence": 0.4} if "camera" in problem else {}
    found = RegisteredKeyboard(problem, **moves)
    values = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert values["problem"] == problem.value and values["message"] == MESSAGES[problem]
    again = RegisteredKeyboard.from_dict(values)
    assert again == found and isinstance(again.problem, Problem) and again.drawing_inputs is None
    assert again.summary_lines() == [f"{problem.value}: {MESSAGES[problem]}"]


def test_half_size_windows_give_the_same_keys(whole_view, whole_windows, whole, error_mm):
    small = [cv2.resize(picture, (720, 405), interpolation=cv2.INTER_AREA) for picture in whole_windows[:2]]
    found = register_keyboard(small, 1920, NOTES.empty(), TIME_S, NO_HANDS)
    assert found.problem is None and found.view.width_px == 1920
    assert error_mm(at_windows_size(found.view), whole_view) < 2.0
    assert found.keyboard.black_length_mm == pytest.approx(whole.keyboard.black_length_mm, abs=2.0)
