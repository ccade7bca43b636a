"""Correction of whole motions: states, gaps, cuts, and frames of reference."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from handroll.generation.pianist import perform
from handroll.models.correction import Corrector, Shares, correct
from handroll.models.mapnet import Mapnet, MapnetSettings
from handroll.rendering.scene import random_scene
from handroll.simulator.corpus import motion_of, view_extrinsics
from handroll.simulator.score import random_score
from handroll.storage import to_arrow
from handroll.tables import MOTION, State, by_row

LEFT, RIGHT = 0, 1
RATE_HZ = 60.0
SETTINGS = MapnetSettings(5, 60, every=2, steps=20, width=16, layers=1, fusion_layers=1, heads=2, feedforward=16, dropout=0.0)


@pytest.fixture(scope="module")
def performed():
    """Six seconds of true motion at 30 Hz, and its extrinsics."""
    scene = random_scene(3)
    performance = perform(random_score(3, 8.0), 3, 30.0)
    extrinsics = view_extrinsics(scene.view)
    motion = {name: values[:180] for name, values in motion_of(performance, scene, extrinsics).items()}
    assert (motion["state"] == State.OBSERVED).all()
    return motion, extrinsics


def hide(motion, state, *gaps):
    """Copy a motion, and set the state of some frames (hand, first, stop). Hidden frames are NaN; interpolated ones have wrong values."""
    motion = {name: values.copy() for name, values in motion.items()}
    for hand, first, stop in gaps:
        motion["state"][first:stop, hand] = state
        for values in motion.values():
            if values.dtype == np.float32:
                values[first:stop, hand] = np.nan if state == State.HIDDEN else 7.0
    return motion


def model(network=None):
    """A model that returns the interpolated input, because it is not trained."""
    return Corrector(network or Mapnet(SETTINGS), RATE_HZ)


WHOLE = Shares(wrist=(1.0, 1.0, 1.0), palm=1.0, finger=1.0)
MUSIC = np.zeros((400, 5), dtype=np.float32)


def distance_mm(motion, truth):
    return np.linalg.norm(motion["joints_keyboard_mm"] - truth["joints_keyboard_mm"], axis=-1).mean(axis=-1)


def test_without_a_difference_the_observed_motion_stays(performed):
    truth, extrinsics = performed
    made, counts = correct(truth, MUSIC, model(), extrinsics)
    to_arrow(MOTION, by_row(made))
    assert distance_mm(made, truth).max() < 0.1
    assert np.abs(made["joints_m"] - truth["joints_m"]).max() < 1e-4
    assert np.abs(made["translation_m"] - truth["translation_m"]).max() < 1e-4
    assert all(made[name].dtype == truth[name].dtype for name in truth)
    assert counts == {hand: {"observed": 180, "interpolated": 0, "hidden": 0, "filled": 0} for hand in ("left", "right")}


@pytest.mark.parametrize("state", [State.HIDDEN, State.INTERPOLATED])
def test_gaps_are_filled_up_to_a_length_and_marked(performed, state):
    truth, extrinsics = performed
    gaps = (LEFT, 20, 40), (LEFT, 80, 130), (RIGHT, 0, 10), (RIGHT, 100, 101)
    made, counts = correct(hide(truth, state, *gaps), MUSIC, model(), extrinsics, max_gap_s=0.71)
    wanted = np.full((180, 2), State.OBSERVED)
    wanted[20:40, LEFT] = wanted[100, RIGHT] = State.INTERPOLATED
    # A longer gap, and a gap at an end, stay as they were.
    wanted[80:130, LEFT] = wanted[:10, RIGHT] = state
    np.testing.assert_array_equal(made["state"], wanted)
    to_arrow(MOTION, by_row(made))
    shown = wanted > State.HIDDEN
    for name in ("rotation_rad", "translation_m", "joints_m", "joints_keyboard_mm", "betas", "bone_scale"):
        np.testing.assert_array_equal(np.isfinite(made[name]).all(axis=tuple(range(2, made[name].ndim))), shown, err_msg=name)
    np.testing.assert_array_equal(np.isfinite(made["residual_px"]), wanted == State.OBSERVED)
    assert distance_mm(made, truth)[wanted == State.OBSERVED].max() < 0.1
    # Wrong values of interpolated frames are not given to the model.
    assert distance_mm(made, truth)[20:40, LEFT].max() < 200.0
    assert counts["left"]["filled"] == (20 if state == State.HIDDEN else 0)


def test_no_gap_is_filled_across_a_cut(performed):
    truth, extrinsics = performed
    motion = hide(truth, State.HIDDEN, (LEFT, 80, 100), (RIGHT, 90, 91))
    segments = [(0.0, 3.0), (91 / 30, 6.0)]
    made, _ = correct(motion, MUSIC, model(), extrinsics, segments=segments)
    np.testing.assert_array_equal(made["state"], motion["state"])
    assert distance_mm(made, truth)[made["state"] == State.OBSERVED].max() < 0.1


def test_a_trained_difference_moves_the_hands_and_keeps_their_bones(performed):
    truth, extrinsics = performed
    network = Mapnet(SETTINGS)
    torch.manual_seed(0)
    torch.nn.init.normal_(network.head.weight, std=0.3)
    made, _ = correct(truth, MUSIC, model(network), extrinsics, shares=WHOLE)
    assert distance_mm(made, truth).mean() > 1.0
    length = [np.linalg.norm(motion["joints_m"][:, :, 17] - motion["joints_m"][:, :, 3], axis=-1) for motion in (made, truth)]
    np.testing.assert_allclose(*length, atol=1e-5)
    other, _ = correct(truth, MUSIC + 1.0, model(network), extrinsics, shares=WHOLE)
    assert distance_mm(made, other).max() > 0.1


def test_observed_frames_receive_their_shares_and_gaps_join_them(performed):
    truth, extrinsics = performed
    motion = hide(truth, State.HIDDEN, (RIGHT, 60, 75))
    network = Mapnet(SETTINGS)
    torch.manual_seed(0)
    torch.nn.init.normal_(network.head.weight, std=0.3)
    whole, by_default, nothing = (
        correct(motion, MUSIC, model(network), extrinsics, shares=shares)[0]
        for shares in (WHOLE, Shares(), Shares(wrist=(0.0, 0.0, 0.0), palm=0.0, finger=0.0))
    )
    seen = motion["state"] == State.OBSERVED
    assert distance_mm(nothing, truth)[seen].max() < 0.1
    given, moved, kept = (made["joints_keyboard_mm"][:, :, 0] for made in (truth, whole, by_default))
    np.testing.assert_allclose(kept[seen][:, :2], given[seen][:, :2], atol=0.01)
    np.testing.assert_allclose(kept[seen][:, 2], moved[seen][:, 2], atol=0.01)
    np.testing.assert_allclose(by_default["rotation_rad"][seen][:, 0], truth["rotation_rad"][seen][:, 0], atol=1e-4)
    # No step at the ends of the gap that the whole correction does not have.
    for made in (by_default, nothing):
        steps = np.linalg.norm(np.diff(made["joints_keyboard_mm"][58:78, RIGHT, 0], axis=0), axis=-1)
        assert steps.max() < 1.5 * np.linalg.norm(np.diff(moved[58:78, RIGHT], axis=0), axis=-1).max() + 2.0


def test_hands_that_are_never_observed_stay_hidden(performed):
    truth, extrinsics = performed
    motion = hide(truth, State.HIDDEN, (LEFT, 0, 180), (RIGHT, 0, 180))
    made, _ = correct(motion, MUSIC, model(), extrinsics)
    assert (made["state"] == State.HIDDEN).all() and np.isnan(made["joints_m"]).all()
    empty = {name: values[:0] for name, values in truth.items()}
    assert not len(correct(empty, MUSIC, model(), extrinsics)[0]["state"])


def test_unsuitable_input_is_an_error(performed):
    truth, extrinsics = performed
    with pytest.raises(ValueError, match="expected a registered keyboard"):
        correct(truth, MUSIC, model(), None)
    with pytest.raises(ValueError, match=r"at least 359 frames with 5 values each, found an array of shape \(300, 5\)"):
        correct(truth, MUSIC[:300], model(), extrinsics)
    with pytest.raises(ValueError, match="with 6 values each"):
        correct(truth, MUSIC, model(Mapnet(replace(SETTINGS, features=6))), extrinsics)
