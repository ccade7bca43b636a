"""The synthetic pianist: reach of fingers, fingertips on pressed keys, hands that leave and return."""

from dataclasses import replace

import numpy as np
import pytest

from handroll.generation.fingered_notes import FingeredNotes
from handroll.generation.inverse_kinematics import CURL, angles_from_tips, chains, rotation_from_angles, tips_from_angles
from handroll.generation.pianist import perform
from handroll.generation.style import SIMULATED
from handroll.generation.wrist_trajectory import STEP_S, releases, smoothest_path
from handroll.hand.kinematics import hand_joints
from handroll.hand.skeleton import TIPS
from handroll.hand.template import open_hand
from handroll.keyboard.geometry import STANDARD, key_of_pitch
from handroll.music.notes import note_table
from handroll.rendering.scene import Scene, world_joints
from handroll.simulator.score import random_score, score
from support.performance_checks import reach_report


def _score(onset, offset, pitch, hand, finger, duration_s, rests=()):
    pedal = {"onset_s": np.zeros(0), "offset_s": np.zeros(0)}
    notes = note_table(onset, offset, pitch, np.full(len(onset), 64), pedal)
    return FingeredNotes(duration_s=duration_s, notes=notes, hand=np.array(hand), finger=np.array(finger), pedal=pedal, rests=tuple(rests))


@pytest.fixture(scope="module")
def minuet():
    return perform(score("minuet", 3), seed=1)


@pytest.fixture(scope="module")
def reachable():
    low, high = np.moveaxis(chains().limits_rad, -1, 0)
    angles = np.random.default_rng(0).uniform(0.5 * low, 0.5 * high, (200, 3, 5)).transpose(1, 0, 2)
    angles[CURL] = np.abs(angles[CURL]) + 0.05
    return angles


def test_tips_are_those_of_the_kinematics(reachable):
    pose = rotation_from_angles(reachable).reshape(-1, 48)
    joints = hand_joints(pose, np.zeros(3), 1.0, "right")
    tips = joints[:, list(TIPS)] - joints[:, :1]
    np.testing.assert_allclose(tips_from_angles(reachable), np.moveaxis(tips, -1, 0), atol=1e-12)


def test_inverse_kinematics_finds_points_in_reach(reachable):
    tips = tips_from_angles(reachable)
    found = tips_from_angles(angles_from_tips(tips, iterations=25))
    assert np.percentile(np.linalg.norm(found - tips, axis=0), 99) < 0.2e-3


def test_inverse_kinematics_stretches_but_keeps_the_limits():
    far = np.zeros((3, 1, 5))
    far[0] = -0.5
    angles = angles_from_tips(far)
    low, high = np.moveaxis(chains().limits_rad, -1, 0)
    assert (angles >= low[:, None] - 1e-12).all() and (angles <= high[:, None] + 1e-12).all()
    assert (tips_from_angles(angles)[0, 0, 1:4] < -0.16).all()


def test_a_path_without_notes_stays_and_a_leap_does_not_overshoot():
    free = np.full(200, np.inf)
    np.testing.assert_allclose(smoothest_path(-free, free, np.full(200, 7.0), np.full(200, 0.1)), 7.0, atol=1e-6)
    low, high = -free, free.copy()
    low[:80] = high[:80] = 0.0
    low[110:] = high[110:] = 100.0
    path = smoothest_path(low, high, np.linspace(0.0, 100.0, 200), np.full(200, 0.4))
    assert path.min() > -3.0 and path.max() < 103.0
    assert abs(path[40]) < 1.0 and abs(path[150] - 100.0) < 1.0
    assert np.abs(np.diff(path)).max() / STEP_S < 2.5 * 100.0 / 0.3


def test_a_path_keeps_inside_its_corridor():
    low, high = np.full(300, -np.inf), np.full(300, np.inf)
    low[100:130], high[200:230] = 50.0, -20.0
    path = smoothest_path(low, high, np.zeros(300), np.full(300, 0.4))
    assert path[100:130].min() > 49.0 and path[200:230].max() < -19.0


@pytest.mark.parametrize(("name", "scale"), [("prelude", 1.0), ("study", 1.06), ("study", 0.92), ("ode", 1.0), ("minuet", 0.94)])
def test_fingers_play_their_keys(name, scale):
    report = reach_report(perform(score(name, 1), seed=2, hand_scale=(scale, scale)))
    assert report["on_key"] >= 0.99
    assert report["mean_dx_mm"] < 3.6 and report["mean_gap_mm"] < 0.5 and report["p99_gap_mm"] < 3.0
    assert report["unheld"] < 0.01
    assert report["crossed"] < 0.01
    assert report["limit_excess_rad"] < 1e-9
    assert report["most_turn_rad"] < 2.5


def test_medleys_are_playable():
    report = reach_report(perform(random_score(5, 30.0), seed=5))
    assert report["on_key"] >= 0.99 and report["unheld"] < 0.01


def test_small_hands_stretch_to_octaves():
    report = reach_report(perform(score("ode", 1), seed=1, hand_scale=(0.94, 0.94)))
    assert report["on_key"] >= 0.99


def test_a_wrong_hand_is_detected(minuet):
    moved = replace(minuet, translation_m=minuet.translation_m + [0.0235, 0.0, 0.0])
    report = reach_report(moved)
    assert report["on_key"] < 0.1 and report["unheld"] > 0.8
    lifted = reach_report(replace(minuet, translation_m=minuet.translation_m + [0.0, 0.0, 0.02]))
    assert lifted["mean_gap_mm"] > 15.0 and lifted["unheld"] > 0.95


def test_keys_and_notes_agree(minuet):
    notes = minuet.notes
    key = key_of_pitch(notes["pitch"])
    for note in range(len(key)):
        down = minuet.key_depth_mm[:, key[note]] > 0.5 * STANDARD.dip_mm
        inside = (minuet.time_s >= notes["onset_s"][note]) & (minuet.time_s <= notes["key_offset_s"][note])
        assert down[inside].all()
    strikes = np.count_nonzero(np.diff(minuet.key_depth_mm > 0.5 * STANDARD.dip_mm, axis=0, prepend=0) == 1)
    assert strikes == len(key)
    assert minuet.key_depth_mm.min() == 0.0 and minuet.key_depth_mm.max() <= STANDARD.dip_mm + 1e-9


def test_hands_have_natural_orientations(minuet):
    joints = 1e3 * world_joints(minuet)
    for side, thumb_side in ((0, 1.0), (1, -1.0)):
        shown = joints[minuet.present[:, side] & (minuet.time_s < 5.0), side]
        tips = shown[:, list(TIPS)]
        assert (tips[:, 2, 1] > shown[:, 0, 1] + 90.0).all(), "fingers point to the fallboard"
        assert np.median(thumb_side * (tips[:, 0, 0] - tips[:, 1, 0])) > 15.0, "the thumb stands off, on its side"
        assert (shown[:, 0, 2] > 30.0).all() and (shown[:, 0, 2] < 70.0).all()
        assert (shown[:, 4, 2] > tips[:, 2, 2]).all(), "palm down"


def test_hands_leave_the_view_and_return(minuet):
    rests = score("minuet", 3).rests
    assert {hand for hand, *_ in rests} == {"left", "right"}
    pixels, _ = Scene().view.project(world_joints(minuet), 1920, 1080)
    for hand, start, end in rests:
        side = ("left", "right").index(hand)
        away = (minuet.time_s >= start + 0.5) & (minuet.time_s <= end - 0.5)
        assert away.sum() > 30 and not minuet.present[away, side].any()
        assert (pixels[away, side, :, 1] > 1080).all()
        back = (minuet.time_s > end) & (minuet.time_s < end + 0.1)
        assert minuet.present[back, side].all() and (pixels[back, side, :, 1] < 1080).all()
    speed = np.linalg.norm(np.diff(world_joints(minuet)[:, :, 0], axis=0), axis=-1) * 30.0
    assert speed.max() < 3.0


def test_a_leap_shortens_the_note_before_it():
    at, pitch, finger = np.array([0.0, 0.3, 1.0, 1.3]), np.array([60, 62, 86, 86]), np.array([0, 1, 1, 1])
    freed = releases(at, np.array([0.3, 1.0, 1.3, 1.6]), pitch, np.ones(4, int), finger, (1.0, 1.0))
    assert freed[0] == 0.3, "the next finger is at hand"
    assert 0.5 < freed[1] < 0.7, "two octaves take time"
    assert freed[2] == pytest.approx(1.3 - 0.12), "one finger strikes again"
    assert freed[3] == 1.6


def test_a_hand_does_not_shorten_notes_of_the_other():
    freed = releases(np.array([0.0, 0.5]), np.array([0.5, 1.0]), np.array([40, 90]), np.array([0, 1]), np.array([2, 2]), (1.0, 1.0))
    np.testing.assert_array_equal(freed, [0.5, 1.0])


def test_a_hand_without_notes_and_other_rates():
    line = _score([1.0, 1.5], [1.4, 2.0], [60, 64], [1, 1], [0, 2], 3.0)
    played = perform(line, seed=0, fps=60.0, hand_scale=(1.0, 1.1))
    assert len(played.time_s) == 180 and np.isfinite(played.rotation_rad).all() and np.isfinite(played.translation_m).all()
    assert reach_report(played)["on_key"] == 1.0
    assert not played.key_depth_mm[:, key_of_pitch(61)].any()


def test_idle_fingers_lag_behind_a_moving_hand_and_playing_ones_do_not():
    leap = _score([1.0, 2.0], [1.4, 2.6], [60, 84], [1, 1], [2, 2], 3.5)
    usual, late = (perform(leap, seed=0, style=replace(SIMULATED, finger_lag_s=lag_s)) for lag_s in (0.0, 0.06))
    index_x, wrist_x = (1e3 * np.stack([world_joints(played)[:, 1, joint, 0] for played in (usual, late)]) for joint in (TIPS[1], 0))
    behind = (index_x - wrist_x)[0] - (index_x - wrist_x)[1]
    moving, resting = (usual.time_s > 1.5) & (usual.time_s < 1.8), usual.time_s > 3.2
    assert 8.0 < behind[moving].max() < 18.0 and behind[moving].min() > -1.0
    assert np.abs(behind[resting]).max() < 1.0
    assert reach_report(late)["on_key"] == 1.0 and reach_report(late)["mean_gap_mm"] < 0.5


def test_a_deeper_style_moves_the_hand_towards_the_fallboard():
    line = _score([1.0, 1.5], [1.4, 2.0], [64, 65], [1, 1], [2, 3], 3.0)
    usual, deep = (perform(line, seed=0, style=replace(SIMULATED, depth_mm=depth_mm)) for depth_mm in (0.0, 12.0))
    moved = 1e3 * (deep.translation_m - usual.translation_m)[:, 1, 1]
    assert moved.min() > 6.0 and moved.max() < 12.5
    assert reach_report(deep)["on_key"] == 1.0


def test_the_seed_decides():
    short = score("study", 1, 6.0)
    first, again, other = perform(short, 4), perform(short, 4), perform(short, 5)
    np.testing.assert_array_equal(first.rotation_rad, again.rotation_rad)
    assert np.abs(first.translation_m - other.translation_m).max() > 1e-3


def test_only_the_known_axes_turn(minuet):
    twist = np.einsum("ji,fji->fj", open_hand().axes[1:, 2], minuet.rotation_rad[:, 1, 1:])
    np.testing.assert_allclose(twist, 0.0, atol=1e-9)
