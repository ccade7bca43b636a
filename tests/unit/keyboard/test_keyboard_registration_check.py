from dataclasses import replace

import numpy as np
import pytest

from handroll.hand.skeleton import LANDMARK_OF_JOINT, TIPS
from handroll.keyboard.octave import TIP_HEIGHT_MM
from handroll.keyboard.registration_check import MESSAGES, MIN_HANDS, Problem, find_problem, hands_over

FRAMES = 30


def hands_at(view, tips_mm, wrist_mm, frames=FRAMES):
    """Landmarks (frame, hand 2, 21, 2) of two hands with the tips and wrist at these y; the rest of the hand at the wrist."""
    hands = np.zeros((frames, 2, 21, 3))
    hands[..., 0] = np.array([400.0, 800.0])[:, None]
    hands[..., 1] = wrist_mm
    hands[:, :, [LANDMARK_OF_JOINT[tip] for tip in TIPS], 1] = tips_mm
    hands[..., 2] = TIP_HEIGHT_MM
    return view.project(hands)


@pytest.fixture(scope="module")
def view(camera):
    return camera(tilt_deg=10.0, roll_deg=2.0)


def test_hands_over_the_keys(view):
    over = hands_over(view, hands_at(view, 60.0, -80.0))
    assert (over.tips_mm, over.wrist_mm, over.count) == (pytest.approx(60.0), pytest.approx(-80.0), 2 * FRAMES) and over.on_keys is True


@pytest.mark.parametrize(
    ("tips_mm", "wrist_mm", "on_keys"),
    [
        pytest.param(-85.0, -225.0, False, id="145 mm before the keys, whose reflection was registered"),
        pytest.param(220.0, 80.0, False, id="behind the keys"),
        pytest.param(60.0, 200.0, False, id="from the fallboard's side"),
        pytest.param(140.0, 0.0, True, id="deep between the black keys"),
        pytest.param(-10.0, -150.0, True, id="at the front edge"),
    ],
)
def test_where_hands_play(view, tips_mm, wrist_mm, on_keys):
    landmarks_px = hands_at(view, tips_mm, wrist_mm)
    assert hands_over(view, landmarks_px).on_keys is on_keys
    assert find_problem(view, 0.9, landmarks_px) == (None if on_keys else Problem.HANDS_OFF_KEYS)


def test_pauses_are_tolerated(view):
    playing, resting = hands_at(view, 60.0, -80.0), hands_at(view, -200.0, -340.0, frames=FRAMES // 2)
    assert hands_over(view, np.concatenate([playing, resting])).on_keys is True


def test_too_few_hands_decide_nothing(view):
    few = hands_at(view, -85.0, -225.0, frames=MIN_HANDS // 2 - 1)
    assert hands_over(view, few).on_keys is None and find_problem(view, 0.9, few) is None
    assert hands_over(view, np.full((FRAMES, 2, 21, 2), np.nan)).count == 0


@pytest.mark.parametrize(
    ("confidence", "change", "problem"),
    [
        (0.9, {}, None),
        (0.64, {}, Problem.FEW_EDGES),
        (0.9, {"k1": 0.26}, Problem.IMPLAUSIBLE_CAMERA),
        (0.9, {"k1": -0.3, "focal_px": 0.47 * 960}, None),
        (0.9, {"focal_px": 0.4 * 960}, Problem.IMPLAUSIBLE_CAMERA),
    ],
)
def test_a_doubtful_registration_has_a_problem(view, confidence, change, problem):
    assert find_problem(replace(view, **change), confidence, np.full((FRAMES, 2, 21, 2), np.nan)) == problem


def test_hands_that_show_another_tilt(view):
    landmarks_px = hands_at(view, 60.0, -80.0)
    assert [find_problem(view, 0.9, landmarks_px, tilt) for tilt in (10.0, 34.0, 36.0)] == [None, None, Problem.TILT_DISAGREES]


def test_every_problem_has_a_remedy():
    assert set(MESSAGES) == set(Problem)
    for problem in (Problem.FEW_EDGES, Problem.HANDS_OFF_KEYS, Problem.AMBIGUOUS, Problem.IMPLAUSIBLE_CAMERA, Problem.TILT_DISAGREES):
        assert "mark at least four points" in MESSAGES[problem]
