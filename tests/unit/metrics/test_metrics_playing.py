"""Metrics of playing on simulated performances: the truth scores high, its notes a second later score low."""

from dataclasses import replace

import numpy as np
import pytest

from handroll.generation.pianist import perform
from handroll.hand.skeleton import HANDS, TIPS
from handroll.metrics.anticipation import anticipation
from handroll.metrics.false_presses import false_presses_per_min
from handroll.metrics.frame_press import calibrate_tip_radii, frame_press_scores
from handroll.metrics.height_press import Scored, calibrate_heights, height_press_scores
from handroll.metrics.key_press import find_presses
from handroll.metrics.labelled_finger import labelled_finger_share
from handroll.rendering.scene import world_joints
from handroll.simulator.score import random_score

SECONDS = 20.0
SCALES = np.array([1.0, 1.05])


@pytest.fixture(scope="module")
def truths():
    """Two medleys with labelled notes; NaN while a hand is away."""
    found = []
    for seed in (1, 2):
        played = perform(random_score(seed, SECONDS), seed, hand_scale=tuple(SCALES))
        notes = played.notes | {"hand": np.array(HANDS, dtype=object)[played.note_hand], "finger": played.note_finger + 1}
        joints = np.where(played.present[..., None, None], 1e3 * world_joints(played), np.nan)
        found.append(Scored(notes, played.time_s, joints, 0.0, SECONDS))
    return found


@pytest.fixture(scope="module")
def heights(truths):
    return calibrate_heights(truths)


@pytest.fixture(scope="module")
def radii(truths):
    return SCALES[:, None] * calibrate_tip_radii(truths, [SCALES] * len(truths))


def later(motion):
    """The same motion with notes a second later."""
    notes = motion.notes | {name: motion.notes[name] + 1.0 for name in ("onset_s", "key_offset_s")}
    return replace(motion, notes=notes)


def moved(motion, offset_mm):
    return replace(motion, joints_keyboard_mm=motion.joints_keyboard_mm + np.array(offset_mm))


def test_truth_presses_its_notes_by_height(truths, heights):
    for truth in truths:
        scores = height_press_scores(truth, heights)
        assert scores["height_press_recall"] > 0.97 and scores["height_press_f1"] > 0.93
        assert height_press_scores(later(truth), heights)["height_press_f1"] < 0.3
        assert height_press_scores(replace(later(truth), delay_s=1.0), heights)["height_press_f1"] == scores["height_press_f1"]
        assert height_press_scores(moved(truth, [23.5, 0.0, 0.0]), heights)["height_press_f1"] < 0.4
        assert height_press_scores(moved(truth, [0.0, 0.0, 40.0]), heights)["height_press_recall"] == 0.0


def test_heights_follow_a_constant_error_of_height(truths, heights):
    high = [moved(truth, [0.0, 0.0, 7.0]) for truth in truths]
    found = calibrate_heights(high)
    assert found.white_mm == pytest.approx(heights.white_mm + 7.0, abs=1.0)
    assert found.black_mm == pytest.approx(heights.black_mm + 7.0, abs=1.0)
    assert height_press_scores(high[0], found)["height_press_f1"] == pytest.approx(
        height_press_scores(truths[0], heights)["height_press_f1"]
    )


def test_truth_presses_the_held_keys_of_each_frame(truths, radii):
    for truth in truths:
        assert frame_press_scores(truth, radii)["frame_press_f1"] > 0.93
        assert frame_press_scores(later(truth), radii)["frame_press_f1"] < 0.6
        assert frame_press_scores(moved(truth, [0.0, 0.0, 40.0]), radii)["frame_press_recall"] < 0.5


def test_radii_of_fingertips_are_those_of_the_pianist(truths):
    from handroll.generation.wrist_trajectory import TIP_HEIGHT_MM

    np.testing.assert_allclose(calibrate_tip_radii(truths, [SCALES] * 2), TIP_HEIGHT_MM, atol=0.1)
    assert np.isnan(calibrate_tip_radii([replace(truth, notes=none_of(truth.notes)) for truth in truths], [SCALES] * 2)).all()


def none_of(notes):
    return {name: values[:0] for name, values in notes.items()}


def test_truth_uses_the_labelled_fingers_and_other_labels_are_noticed(truths):
    for truth in truths:
        presses = find_presses(truth.time_s, truth.joints_keyboard_mm)
        assert labelled_finger_share(truth.notes, presses) > 0.97
        assert labelled_finger_share(later(truth).notes, presses) < 0.3
        other_finger = truth.notes | {"finger": truth.notes["finger"] % 5 + 1}
        assert labelled_finger_share(other_finger, presses) < 0.1
        swap = {"left": "right", "right": "left"}
        other_hand = truth.notes | {"hand": np.array([swap[hand] for hand in truth.notes["hand"]], dtype=object)}
        assert labelled_finger_share(other_hand, presses) < 0.1
        # Notes without a label are not scored.
        half = truth.notes | {"finger": np.where(np.arange(len(truth.notes["finger"])) % 2, 0, truth.notes["finger"])}
        assert labelled_finger_share(half, presses) > 0.97
        unlabelled = {"finger": 0 * truth.notes["finger"], "hand": np.full(len(truth.notes["hand"]), "", dtype=object)}
        assert np.isnan(labelled_finger_share(truth.notes | unlabelled, presses))


def test_false_presses_are_few_in_the_truth_and_all_presses_without_notes(truths):
    for truth in truths:
        presses = find_presses(truth.time_s, truth.joints_keyboard_mm)
        args = presses, truth.time_s, truth.joints_keyboard_mm, 0.0, SECONDS
        every = 60.0 / SECONDS * len(presses.time_s)
        assert false_presses_per_min(truth.notes, *args) < 0.2 * every
        shown = np.isfinite(truth.joints_keyboard_mm[:, :, TIPS[0], 0]).any(axis=1).mean()
        assert false_presses_per_min(none_of(truth.notes), *args) == pytest.approx(every / shown)
        hidden = np.full_like(truth.joints_keyboard_mm, np.nan)
        assert np.isnan(false_presses_per_min(truth.notes, presses, truth.time_s, hidden, 0.0, SECONDS))


def test_truth_has_no_difference_of_anticipation_and_a_late_or_still_hand_has(truths):
    frames = 5
    for truth in truths:
        wrists = truth.joints_keyboard_mm[:, :, 0]
        lead_s, true_lead_s = anticipation(truth.notes, truth.time_s, wrists, wrists)
        assert len(lead_s) > 2 and (lead_s == true_lead_s).all() and (lead_s > 0.0).all()
        late = np.concatenate([np.repeat(wrists[:1], frames, axis=0), wrists[:-frames]])
        difference = np.median(np.subtract(*anticipation(truth.notes, truth.time_s, late, wrists)))
        assert difference == pytest.approx(-frames / 30.0, abs=0.04)
        still = np.broadcast_to(np.nanmean(wrists, axis=0), wrists.shape)
        assert np.median(np.subtract(*anticipation(truth.notes, truth.time_s, still, wrists))) < -0.3


def test_what_cannot_be_scored_is_nan(truths, heights, radii):
    hidden = replace(truths[0], joints_keyboard_mm=np.full_like(truths[0].joints_keyboard_mm, np.nan))
    empty = replace(truths[0], time_s=truths[0].time_s[:0], joints_keyboard_mm=truths[0].joints_keyboard_mm[:0])
    for motion in (hidden, empty):
        assert np.isnan(list(height_press_scores(motion, heights).values())).all()
        assert np.isnan(list(frame_press_scores(motion, radii).values())).all()
    silent = [replace(truth, notes=none_of(truth.notes)) for truth in truths]
    assert np.isnan(calibrate_heights(silent).white_mm) and np.isnan(calibrate_heights(silent).black_mm)
    assert np.isnan(list(height_press_scores(truths[0], calibrate_heights(silent)).values())).all()
    assert height_press_scores(silent[0], heights)["height_press_precision"] == 0.0
