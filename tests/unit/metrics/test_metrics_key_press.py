"""Key presses in a motion: true motion agrees with its notes, and with no others."""

import numpy as np
import pytest

from handroll.generation.pianist import perform
from handroll.hand.skeleton import TIPS
from handroll.keyboard.geometry import playing_points_mm
from handroll.metrics.key_press import KeyPresses, find_presses, key_press_scores, match_presses
from handroll.music.notes import note_table, pedal_table
from handroll.rendering.scene import world_joints
from handroll.simulator.score import random_score
from handroll.tables import KEY_PRESS_SCORES

C4 = 60 - 21


@pytest.fixture(scope="module")
def performances():
    """(notes, time_s, joints in keyboard mm) of two medleys; NaN while a hand is away."""
    found = []
    for seed in (1, 2):
        played = perform(random_score(seed, 20.0), seed)
        found.append((played.notes, played.time_s, np.where(played.present[..., None, None], 1e3 * world_joints(played), np.nan)))
    return found


def notes_of(onset_s, pitch):
    onset_s = np.array(onset_s)
    return note_table(onset_s, onset_s + 0.2, np.array(pitch), np.full(len(onset_s), 64), pedal_table([], []))


def one_finger(heights_mm, rate_hz=30.0):
    """(time_s, joints): the right index over C4 at these heights, everything else far away and still."""
    heights_mm = np.asarray(heights_mm, dtype=float)
    joints = np.zeros((len(heights_mm), 2, 21, 3)) + [-500.0, -500.0, 50.0]
    joints[:, 1, TIPS[1]] = playing_points_mm()[C4]
    joints[:, 1, TIPS[1], 2] = heights_mm
    return np.arange(len(heights_mm)) / rate_hz, joints


def stroke(hold=8, deep=20.0):
    """Heights of a stroke: hover, three frames down, held, up."""
    return np.concatenate([np.full(20, deep), np.linspace(deep, 0.0, 4)[1:], np.zeros(hold), np.linspace(0.0, deep, 4), np.full(20, deep)])


def test_true_motion_plays_its_notes(performances):
    for notes, time_s, joints in performances:
        scores = key_press_scores(notes, time_s, joints)
        assert list(scores) == [column.name for column in KEY_PRESS_SCORES]
        assert scores["key_press_recall"] > 0.97 and scores["key_press_precision"] > 0.88 and scores["key_press_f1"] > 0.93
        assert scores["landing_error_mm"] < 0.1


def test_motion_of_other_notes_or_another_time_does_not(performances):
    (notes, time_s, joints), (_, _, others) = performances
    frames = min(len(joints), len(others))
    assert key_press_scores(notes, time_s[:frames], others[:frames])["key_press_f1"] < 0.1
    later = {**notes, "onset_s": notes["onset_s"] + 1.0}
    scores = key_press_scores(later, time_s, joints)
    assert scores["key_press_f1"] < 0.25 and scores["landing_error_mm"] > 3.0
    assert key_press_scores(later, time_s, joints, delay_s=1.0)["key_press_f1"] > 0.93


def test_a_neighbouring_key_costs_more_than_a_reconstruction_error(performances, monkeypatch):
    notes, time_s, joints = performances[0]
    aside = [key_press_scores(notes, time_s, joints + [mm, 0.0, 0.0]) for mm in (0.0, 5.0, 23.5)]
    assert aside[1]["key_press_f1"] > 0.9 > 0.3 > aside[2]["key_press_f1"]
    assert aside[0]["landing_error_mm"] < aside[1]["landing_error_mm"] < aside[2]["landing_error_mm"]
    scores = key_press_scores(notes, time_s, joints + [8.0, 0.0, 0.0])
    monkeypatch.setattr("handroll.metrics.key_press.KEY_MARGIN_MM", 0.0)
    assert key_press_scores(notes, time_s, joints + [8.0, 0.0, 0.0])["key_press_f1"] < scores["key_press_f1"]


def test_a_constant_error_of_height_does_not_matter(performances):
    notes, time_s, joints = performances[0]
    assert key_press_scores(notes, time_s, joints + [0.0, 0.0, 12.0]) == key_press_scores(notes, time_s, joints)


def test_a_stroke_is_a_press_at_its_end_and_small_or_high_movements_are_none():
    time_s, joints = one_finger(stroke())
    presses = find_presses(time_s, joints)
    assert len(presses.time_s) == 1
    assert presses.time_s[0] == pytest.approx(23 / 30, abs=0.05)
    assert presses.x_mm[0] == pytest.approx(playing_points_mm()[C4, 0])
    assert len(find_presses(*one_finger(stroke(deep=3.0))).time_s) == 0
    # The second stroke ends 10 mm above the first.
    time_s, joints = one_finger(np.concatenate([stroke(), stroke(deep=10.0) + 10.0]))
    assert len(find_presses(time_s, joints).time_s) == 1


@pytest.mark.parametrize("rate_hz", [24.0, 60.0])
def test_repeated_strokes_at_other_frame_rates(rate_hz):
    time_s = np.arange(0.0, 4.0, 1.0 / rate_hz)
    onsets = np.arange(0.5, 3.5, 0.25)
    down = [np.interp(time_s, [on - 0.06, on, on + 0.1, on + 0.16], [0.0, 1.0, 1.0, 0.0]) for on in onsets]
    _, joints = one_finger(20.0 - 20.0 * np.max(down, axis=0))
    scores = key_press_scores(notes_of(onsets, [60] * len(onsets)), time_s, joints)
    assert scores == {"key_press_precision": 1.0, "key_press_recall": 1.0, "key_press_f1": 1.0, "landing_error_mm": 0.0}


def test_a_press_counts_for_one_note():
    presses = KeyPresses(np.array([1.0]), *playing_points_mm()[[C4], :2].T, np.array([6]))
    press_hits, note_hits = match_presses(presses, np.array([0.95, 1.05, 2.0]), np.array([60, 60, 60]))
    assert press_hits.tolist() == [True] and note_hits.sum() == 1 and not note_hits[2]
    two = KeyPresses(np.array([1.06, 0.94]), *np.repeat(playing_points_mm()[[C4], :2].T, 2, axis=1), np.array([6, 6]))
    assert all(hits.all() for hits in match_presses(two, np.array([0.98, 1.15]), np.array([60, 60])))


def test_a_window_scores_its_own_notes_and_presses():
    time_s, joints = one_finger(np.concatenate([stroke(), stroke()]))
    first = (len(stroke())) / 30.0
    notes = notes_of([23 / 30, first + 23 / 30], [60, 72])
    whole = key_press_scores(notes, time_s, joints)
    assert whole["key_press_precision"] == whole["key_press_recall"] == whole["key_press_f1"] == 0.5
    assert key_press_scores(notes, time_s, joints, end_s=first)["key_press_f1"] == 1.0
    late = key_press_scores(notes, time_s, joints, start_s=first)
    assert late["key_press_f1"] == 0.0 and late["landing_error_mm"] > 100.0


def test_what_cannot_be_scored_is_nan(performances):
    notes, time_s, joints = performances[0]
    assert all(np.isnan(value) for value in key_press_scores(notes, time_s, np.full_like(joints, np.nan)).values())
    assert all(np.isnan(value) for value in key_press_scores(notes, time_s[:0], joints[:0]).values())
    silent = key_press_scores({name: values[:0] for name, values in notes.items()}, time_s, joints)
    assert silent["key_press_precision"] == 0.0 and np.isnan(silent["key_press_recall"]) and np.isnan(silent["landing_error_mm"])
    still = key_press_scores(notes, time_s, np.repeat(joints[60:61], len(joints), axis=0))
    assert np.isnan(still["key_press_precision"]) and still["key_press_recall"] == still["key_press_f1"] == 0.0


def test_one_hidden_hand_costs_its_notes(performances):
    notes, time_s, joints = performances[0]
    half = joints.copy()
    half[:, 0] = np.nan
    scores = key_press_scores(notes, time_s, half)
    assert 0.3 < scores["key_press_recall"] < 0.8 and scores["key_press_precision"] > 0.85
