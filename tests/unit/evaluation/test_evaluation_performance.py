"""Scores of a performance: a perfect result has perfect scores, and each simulated error changes its figure."""

from dataclasses import replace

import numpy as np
import pytest

from handroll.evaluation import performance
from handroll.evaluation.videos import sound_delay_s
from handroll.hand.rotations import rotvec_from_matrix
from handroll.hand.skeleton import HANDS, LANDMARK_OF_JOINT
from handroll.keyboard.projection import KeyboardView
from handroll.keyboard.registration import RegisteredKeyboard
from handroll.simulator.truth import build_truth
from handroll.simulator.video import prepare_take
from handroll.tables import State

WIDTH, HEIGHT = 1280, 720


@pytest.fixture(scope="module")
def truth():
    take = prepare_take("minuet", 3, 8.0, closer=False)
    scene = replace(take.scene, view=replace(take.scene.view, k1=0.0))
    frames = len(take.performance.time_s)
    visible = np.ones((frames, 2, 21), dtype=bool)
    return build_truth(take.performance, scene, visible, WIDTH, HEIGHT, take.score.pedal, {"sound_delay_s": 0.1})


@pytest.fixture
def detections(truth):
    landmarks = np.zeros((len(truth.time_s), 2, 21, 2))
    landmarks[:, :, LANDMARK_OF_JOINT] = truth.joints_px
    return {"found": truth.present.copy(), "landmarks_px": landmarks}


def true_mm(truth):
    return 1e3 * (truth.joints_m @ truth.view.rotation + np.array(truth.view.position_m))


def motion_of(truth):
    state = np.full((len(truth.time_s), 2), State.OBSERVED)
    return {"state": state, "joints_m": truth.joints_m, "joints_keyboard_mm": true_mm(truth)}


def labels_of(truth):
    late_s = truth.about["sound_delay_s"]
    notes = {**truth.notes, "onset_s": truth.notes["onset_s"] + late_s, "key_offset_s": truth.notes["key_offset_s"] + late_s}
    confidence = np.full(len(truth.note_hand), 0.9)
    return {
        **notes,
        "hand": np.array(HANDS, dtype=object)[truth.note_hand],
        "finger": truth.note_finger + 1,
        "finger_confidence": confidence,
    }


def test_perfect_hands(truth, detections):
    counts = performance.score_detection(truth, detections)
    assert counts["both_hands_found"][0] == counts["both_hands_found"][1] > 0
    assert counts["hands_lost"][0] == 0 and counts["right_side"][0] == counts["right_side"][1]
    assert counts["landmark_error"][0] == pytest.approx(0.0, abs=1e-3)


def test_a_lost_hand_and_swapped_hands_are_counted(truth, detections):
    detections["found"][:30, 1] = False
    detections["landmarks_px"][30:60] = detections["landmarks_px"][30:60, ::-1]
    counts = performance.score_detection(truth, detections)
    assert counts["hands_lost"][0] == 30
    assert counts["right_side"][1] - counts["right_side"][0] == 60


def test_registration_errors_are_those_of_the_camera(truth):
    rotation = truth.view.rotation
    position_mm = 1e3 * np.array(truth.view.position_m)
    view = KeyboardView(WIDTH, HEIGHT, truth.view.focal_widths * WIDTH, rotvec_from_matrix(rotation), -rotation @ position_mm)
    perfect = RegisteredKeyboard(None, view=view, octave_source="keys")
    counts, samples = performance.score_registration(truth, perfect)
    assert counts == {"registered": (1, 1)} and max(samples["along_mm"] + samples["across_mm"]) < 1e-6
    moved = replace(perfect, view=replace(view, translation_mm=-rotation @ (position_mm + [2.0, 5.0, 0.0])))
    samples = performance.score_registration(truth, moved)[1]
    assert samples["along_mm"] == pytest.approx([2.0]) and samples["across_mm"] == pytest.approx([5.0])
    assert performance.score_registration(truth, RegisteredKeyboard("no_keyboard")) == ({"registered": (0, 1)}, {})


def test_perfect_motion_and_motion_off_by_a_known_vector(truth):
    motion = motion_of(truth)
    counts = performance.score_motion(truth, motion, {**motion, "found": truth.present})
    assert [counts[name][0] for name in ("tip_error_mm", "joint_error_mm")] == pytest.approx([0.0, 0.0], abs=1e-6)
    assert counts["key_press_f1"] == counts["key_press_f1_of_truth"] and counts["key_press_f1"][0] > 0.9
    off = {**motion, "joints_keyboard_mm": motion["joints_keyboard_mm"] + [3.0, 0.0, 4.0]}
    counts = performance.score_motion(truth, off, {**motion, "found": truth.present})
    errors = {name: counts[f"tip_error{name}_mm"][0] / counts[f"tip_error{name}_mm"][1] for name in ("", "_along", "_across", "_height")}
    assert errors == pytest.approx({"": 5.0, "_along": 3.0, "_across": 0.0, "_height": 4.0})


def test_motion_without_a_keyboard_has_no_figures_over_keys(truth):
    nowhere = {**motion_of(truth), "joints_keyboard_mm": np.full_like(truth.joints_m, np.nan)}
    counts = performance.score_motion(truth, nowhere, {**nowhere, "found": truth.present})
    assert "tip_error_mm" not in counts and "key_press_f1" not in counts and counts["joint_error_mm"][1] > 0


def test_short_gaps_must_be_interpolated_and_long_ones_hidden():
    visible, state = np.ones((200, 2, 21), dtype=bool), np.full((200, 2), State.OBSERVED)
    visible[20:40, 0], visible[60:140, 1] = False, False
    assert performance.gap_states(visible, state) == {"short_gaps": (0, 1), "long_gaps": (0, 1)}
    state[20:40, 0], state[60:140, 1] = State.INTERPOLATED, State.HIDDEN
    assert performance.gap_states(visible, state) == {"short_gaps": (1, 1), "long_gaps": (1, 1)}


def test_the_delay_error_is_estimated_minus_true(truth):
    counts, samples = performance.score_music(truth, labels_of(truth), 0.112)
    assert counts["onset_f1"] == (1.0, 1)
    assert samples["offset_error_ms"] == pytest.approx([12.0])


def test_labels_are_judged_by_hand_and_finger(truth):
    notes = labels_of(truth)
    number = len(notes["pitch"])
    assert performance.score_fingering(truth, notes, 0.0)[0]["label_right"] == (number, number)
    notes["finger"] = notes["finger"].copy()
    notes["finger"][0] = notes["finger"][0] % 5 + 1
    notes["finger"][1] = 0
    notes["hand"] = notes["hand"].copy()
    notes["hand"][2] = HANDS[1 - truth.note_hand[2]]
    counts, samples = performance.score_fingering(truth, notes, 0.0)
    assert counts["labelled"] == (number - 1, number)
    assert counts["label_right"] == (number - 3, number - 1) and counts["label_hand_right"] == (number - 2, number - 1)
    assert len(samples["label_right"]) == number - 1 and sum(samples["label_right"]) == number - 3


def test_notes_that_were_never_played_are_not_judged(truth):
    notes = {name: values[:5].copy() for name, values in labels_of(truth).items()}
    notes["pitch"][0] += 1
    assert performance.score_fingering(truth, notes, 0.0)[0]["labelled"] == (4, 4)
    assert performance.score_fingering(truth, {name: values[:0] for name, values in notes.items()}, 0.0)[0]["labelled"] == (0, 0)


def test_simulated_delays_differ_and_are_reproducible():
    delays = [sound_delay_s(seed) for seed in range(20)]
    assert len(set(delays)) == 20 and np.abs(delays).max() <= 0.25 and delays[7] == sound_delay_s(7)
