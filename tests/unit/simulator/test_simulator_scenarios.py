"""Cameras are at their stated sides, and merged performances keep hands and keys of both players."""

import dataclasses

import numpy as np
import pytest

from handroll.generation.pianist import perform
from handroll.hand.skeleton import HANDS
from handroll.music.notes import pedal_table
from handroll.rendering.render import render_frames
from handroll.rendering.scene import Appearance, Scene, View, world_joints
from handroll.simulator.scenarios import (
    SIDES_RAD,
    TurnedView,
    merge_performances,
    subsample_frames,
    transposed,
    view_from,
    with_rests,
    without_hand,
)
from handroll.simulator.score import random_score
from handroll.simulator.truth import build_truth, read_truth, write_truth

AIM = (0.6, 0.02, 0.03)


@pytest.fixture(scope="module")
def music():
    return random_score(4, 6.0)


@pytest.fixture(scope="module")
def performance(music):
    return perform(music, 4, 5.0)


@pytest.mark.parametrize(("side", "axis", "sign"), [("player", 1, -1), ("front", 1, 1), ("left", 0, -1), ("right", 0, 1)])
def test_a_tilted_camera_is_at_its_side_and_has_its_aim_in_the_centre(side, axis, sign):
    view = view_from(AIM, 1.2, np.radians(50.0), SIDES_RAD[side], roll_rad=0.2)
    away = np.array(view.position_m) - AIM
    assert np.linalg.norm(away) == pytest.approx(1.2) and away[2] == pytest.approx(1.2 * np.cos(np.radians(50.0)))
    assert sign * away[axis] == pytest.approx(1.2 * np.sin(np.radians(50.0)))
    pixels, inverse = view.project(np.array(AIM), 1280, 720)
    np.testing.assert_allclose(pixels, (640, 360), atol=1e-6)
    assert inverse == pytest.approx(1 / 1.2)
    assert np.linalg.det(view.rotation) == pytest.approx(1.0)


def test_an_unturned_view_is_the_plain_one():
    plain = View(tilt_rad=0.3, roll_rad=0.1)
    np.testing.assert_array_equal(TurnedView(**dataclasses.asdict(plain)).rotation, plain.rotation)


def test_four_hands_are_drawn_as_two_players_would_be(performance):
    other = dataclasses.replace(performance, translation_m=performance.translation_m + (0.30, 0.0, 0.0))
    four = subsample_frames(merge_performances(performance, other), 15)
    assert four.present.shape[1] == four.bone_scale.shape[0] == four.rotation_rad.shape[1] == 2 * len(HANDS)
    scene = Scene(appearance=Appearance(noise_sigma=0.0))
    options = {"width": 320, "height": 180, "supersample": 1, "motion_blur": False, "grid_mm": 6.0}
    drawn = next(render_frames(four, scene, **options))
    alone = [next(render_frames(subsample_frames(one, 15), scene, **options)) for one in (performance, other)]
    empty = next(
        render_frames(subsample_frames(without_hand(without_hand(performance, "left"), "right"), 15), scene, **options)
    ).image.astype(int)
    for one in alone:
        skin = np.abs(one.image.astype(int) - empty).max(axis=2) > 60
        assert skin.sum() > 200
        same = np.abs(drawn.image.astype(int) - one.image).max(axis=2) < 12
        assert same[skin].mean() > 0.8
    assert drawn.visible.shape == (4, 21) and drawn.visible.any(axis=1).all()


def test_players_share_the_keys(performance, music):
    other = perform(transposed(music, 12), 4, 5.0)
    both = merge_performances(performance, other)
    np.testing.assert_array_equal(both.key_depth_mm, np.maximum(performance.key_depth_mm, other.key_depth_mm))
    assert len(both.note_hand) == len(performance.note_hand) + len(other.note_hand)
    assert (np.diff(both.notes["onset_s"]) >= 0).all() and set(both.note_hand.tolist()) == {0, 1, 2, 3}
    moved = np.median(world_joints(other)[..., 0]) - np.median(world_joints(performance)[..., 0])
    assert moved == pytest.approx(0.165, abs=0.04)  # an octave
    with pytest.raises(ValueError, match="same frame times"):
        merge_performances(performance, subsample_frames(performance, 2))


def test_notes_beyond_the_keyboard_are_left_out(music):
    high = transposed(music, 108 - int(music.notes["pitch"].max()) + 5)
    assert 0 < len(high.hand) < len(music.hand) and high.notes["pitch"].max() <= 108
    assert len(high.finger) == len(high.hand) == len(high.notes["onset_s"])


def test_a_resting_hand_leaves_and_the_other_plays_on(music):
    away = with_rests(music, [("left", 1.0, 4.5)])
    left = away.hand == HANDS.index("left")
    assert ((away.notes["onset_s"][left] > 4.5) | (away.notes["key_offset_s"][left] < 1.0)).all()
    assert (~left).sum() == (music.hand != HANDS.index("left")).sum()
    performance = perform(away, 4, 5.0)
    middle = np.abs(performance.time_s - 2.75) < 0.5
    assert not performance.present[middle, 0].any() and performance.present[middle, 1].all()


def test_samples_of_a_performance(performance):
    few = subsample_frames(performance, 7)
    np.testing.assert_array_equal(few.time_s, performance.time_s[::7])
    assert few.rotation_rad.shape[0] == few.key_depth_mm.shape[0] == len(few.time_s) and few.notes is performance.notes


def test_the_truth_of_a_turned_camera_can_be_read_again(performance, tmp_path):
    view = view_from(AIM, 1.0, 0.7, SIDES_RAD["left"])
    visible = np.ones((len(performance.time_s), 2, 21), dtype=bool)
    truth = build_truth(performance, Scene(view=view), visible, 320, 180, pedal_table([], []), {"seed": 4})
    write_truth(tmp_path / "turned.truth.npz", truth)
    assert read_truth(tmp_path / "turned.truth.npz").view == view
