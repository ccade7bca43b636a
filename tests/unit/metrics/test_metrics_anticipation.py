"""Anticipation and playing frames: cases with known answers."""

import numpy as np
import pytest

from handroll.metrics.anticipation import ARRIVED_MM, MAX_LATE_S, MAX_LEAD_S, anticipation
from handroll.metrics.playing_frames import playing_frames

TIME_S = np.arange(0.0, 6.0, 0.02)


def wrists(arrivals, shift_s=0.0):
    """The right wrist jumps by 100 mm at each arrival, within a frame; the left one stays."""
    positions = np.zeros((len(TIME_S), 2, 3))
    positions[:, 1, 0] = 100.0 * (TIME_S[:, None] >= np.array(arrivals) + shift_s - 1e-6).sum(axis=1)
    return positions


def notes_of(onset_s, hand="right", finger=2, held_s=0.2):
    onset_s = np.array(onset_s)
    named = np.full(len(onset_s), hand, dtype=object)
    return {"onset_s": onset_s, "key_offset_s": onset_s + held_s, "hand": named, "finger": np.full(len(onset_s), finger)}


def test_the_time_of_arrival_is_measured():
    truth = wrists([1.5, 3.8])
    lead_s, true_lead_s = anticipation(notes_of([1.0, 2.0, 4.0]), TIME_S, wrists([1.5, 3.8], 0.1), truth)
    assert true_lead_s == pytest.approx([0.5, 0.2], abs=0.03) and lead_s == pytest.approx([0.4, 0.1], abs=0.03)
    delayed, _ = anticipation(notes_of([1.3, 2.3, 4.3]), TIME_S, truth, truth, delay_s=0.3)
    assert delayed == pytest.approx(true_lead_s)


def test_only_onsets_after_a_movement_of_the_same_hand_count():
    truth = wrists([1.5])
    lead_s, _ = anticipation(notes_of([1.0, 1.3, 2.0, 2.5, 3.0]), TIME_S, truth, truth)
    assert lead_s == pytest.approx([0.5], abs=0.03)
    for notes in (notes_of([1.0, 2.0], hand="left"), notes_of([1.0, 2.0], hand="", finger=0), notes_of([2.0]), notes_of([])):
        assert len(anticipation(notes, TIME_S, truth, truth)[0]) == 0


def test_chords_have_one_onset():
    truth = wrists([1.5])
    assert anticipation(notes_of([1.0, 1.02, 2.0, 2.01, 2.03]), TIME_S, truth, truth)[0] == pytest.approx([0.5], abs=0.03)


def test_height_and_depth_do_not_matter_and_a_small_offset_hardly():
    truth = wrists([1.5, 3.8])
    rng = np.random.default_rng(0)
    other = truth + [0.9 * ARRIVED_MM, 0.0, 0.0]
    other[..., 1:] = rng.normal(0.0, 50.0, other[..., 1:].shape)
    lead_s, true_lead_s = anticipation(notes_of([1.0, 2.0, 4.0]), TIME_S, other, truth)
    assert lead_s == pytest.approx(true_lead_s, abs=0.03)


def test_a_hand_that_arrives_late_or_never_has_a_negative_anticipation():
    truth, notes = wrists([1.5, 3.8]), notes_of([1.0, 2.0, 4.0])
    assert anticipation(notes, TIME_S, wrists([1.5, 3.8], 0.6), truth)[0] == pytest.approx([-0.1, -0.4], abs=0.03)
    assert anticipation(notes, TIME_S, np.zeros_like(truth), truth)[0] == pytest.approx([-MAX_LATE_S] * 2)
    assert anticipation(notes, TIME_S, truth + [50.0, 0.0, 0.0], truth)[0] == pytest.approx([-MAX_LATE_S] * 2)


def test_anticipation_is_at_most_the_time_since_the_previous_onset():
    truth = wrists([1.5])
    there = np.full_like(truth, 100.0)
    assert anticipation(notes_of([1.4, 2.0]), TIME_S, there, truth)[0] == pytest.approx([0.6])
    assert anticipation(notes_of([0.2, 2.0]), TIME_S, there, truth)[0] == pytest.approx([MAX_LEAD_S])


def test_a_hand_that_wavers_has_not_arrived():
    truth = wrists([1.5])
    shaky = truth.copy()
    shaky[np.searchsorted(TIME_S, 1.9), 1, 0] += 1.5 * ARRIVED_MM
    assert anticipation(notes_of([1.0, 2.0]), TIME_S, shaky, truth)[0] == pytest.approx([0.1], abs=0.03)


def test_onsets_near_hidden_frames_are_left_out():
    truth = wrists([1.5, 3.8])
    truth[60:70, 1] = np.nan
    assert anticipation(notes_of([1.0, 2.0, 4.0]), TIME_S, truth, truth)[1] == pytest.approx([0.2], abs=0.03)


def test_playing_and_idle_frames():
    notes = {name: np.concatenate([notes_of([0.5])[name], notes_of([1.0], hand="left")[name]]) for name in notes_of([0.5])}
    playing, idle = playing_frames(notes, TIME_S)
    assert np.flatnonzero(playing[:, 1]).tolist() == list(range(25, 35)) and np.flatnonzero(playing[:, 0]).tolist() == list(range(50, 60))
    assert (idle == ~playing).all()
    unknown = {name: np.concatenate([values, notes_of([2.0], hand="", finger=0)[name]]) for name, values in notes.items()}
    playing, idle = playing_frames(unknown, TIME_S)
    assert not playing[100:110].any() and not idle[100:110].any() and idle[110:].all()
    assert (playing_frames(notes, TIME_S, delay_s=0.5)[0][:-25] == playing_frames(notes, TIME_S)[0][25:]).all()
