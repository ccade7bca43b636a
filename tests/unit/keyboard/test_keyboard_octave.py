from dataclasses import replace

import numpy as np
import pytest

from handroll.generation.pianist import perform
from handroll.hand.skeleton import JOINT_OF_LANDMARK
from handroll.keyboard.geometry import STANDARD, playing_points_mm
from handroll.keyboard.octave import MIN_LOG_ODDS, octave_odds
from handroll.rendering.scene import world_joints
from handroll.simulator.score import score
from handroll.tables import NOTES

OCTAVES = (-2, -1, 0, 1, 2)


@pytest.fixture(scope="module", params=["ode", "study"])
def played(request, camera):
    """A view, and notes, times and landmarks of a performance in its frame."""
    performance = perform(score(request.param, 3, 10.0), 3, 30.0)
    view = camera(x_mm=560.0, seen_mm=900.0, tilt_deg=8.0, k1=-0.03)
    landmarks_px = view.project(1e3 * world_joints(performance))[:, :, list(JOINT_OF_LANDMARK)]
    landmarks_px[~performance.present] = np.nan
    landmarks_px += np.random.default_rng(0).normal(0.0, 3.0, landmarks_px.shape)
    return view, performance.notes, performance.time_s, landmarks_px


def shifted(view, octaves):
    """The view in which the same pixels show keys that are `octaves` octaves farther right."""
    step_mm = np.array([octaves * 7 * STANDARD.white_pitch_mm, 0.0, 0.0])
    return replace(view, translation_mm=view.translation_mm - view.extrinsics.rotation @ step_mm)


@pytest.mark.parametrize("right", [-1, 0, 2])
def test_fingers_on_the_sounding_keys_determine_the_octave(played, right):
    view, *seen = played
    odds = octave_odds(shifted(view, -right), STANDARD, OCTAVES, *seen)
    order = np.argsort(-odds)
    assert OCTAVES[order[0]] == right and odds[order[0]] == 0.0
    assert odds[order[0]] - odds[order[1]] > MIN_LOG_ODDS


def test_notes_that_nobody_plays_do_not_change_it(played):
    view, notes, *seen = played
    rng = np.random.default_rng(1)
    extra = round(0.3 * len(notes["pitch"]) / 0.7)
    onset_s = np.append(notes["onset_s"], rng.uniform(0.0, 10.0, extra))
    pitch = np.append(notes["pitch"], rng.integers(21, 109, extra)).astype(np.int8)
    order = np.argsort(onset_s)
    odds = octave_odds(view, STANDARD, OCTAVES, {"onset_s": onset_s[order], "pitch": pitch[order]}, *seen)
    assert OCTAVES[odds.argmax()] == 0 and np.sort(odds)[-2] < -MIN_LOG_ODDS


def test_random_notes_determine_no_octave(played):
    """Notes that these hands do not play."""
    view, notes, *seen = played
    rng = np.random.default_rng(2)
    some = {"onset_s": notes["onset_s"][:8], "pitch": rng.integers(21, 109, 8).astype(np.int8)}
    assert np.sort(octave_odds(view, STANDARD, OCTAVES, some, *seen))[-2] > -MIN_LOG_ODDS


def test_the_octave_is_unknown_without_notes_or_hands(played):
    view, notes, time_s, landmarks_px = played
    assert octave_odds(view, STANDARD, OCTAVES, NOTES.empty(), time_s, landmarks_px).tolist() == [0.0] * 5
    assert octave_odds(view, STANDARD, OCTAVES, notes, time_s, np.full_like(landmarks_px, np.nan)).tolist() == [0.0] * 5
    assert octave_odds(view, STANDARD, OCTAVES, notes, time_s[:0], landmarks_px[:0]).tolist() == [0.0] * 5
    later = {**notes, "onset_s": notes["onset_s"] + 100.0}
    assert octave_odds(view, STANDARD, OCTAVES, later, time_s, landmarks_px).tolist() == [0.0] * 5


def test_keys_that_are_visibly_empty_count_against_an_octave(camera):
    """Only the left hand is in the frame; the right hand plays the same two octaves higher, outside of the frame."""
    view = camera(x_mm=400.0, seen_mm=700.0)
    low, time_s = np.array([48, 50, 52, 53, 55] * 3), np.arange(15) * 0.5
    keys_mm = playing_points_mm()[low - 21]
    landmarks_px = np.full((15, 2, 21, 2), np.nan)
    landmarks_px[:, 0] = view.project(keys_mm)[:, None]
    notes = {"onset_s": np.repeat(time_s, 2), "pitch": np.stack([low, low + 24], axis=1).ravel()}
    odds = octave_odds(view, STANDARD, (0, 2), notes, time_s, landmarks_px)
    assert odds[0] == 0.0 and odds[1] < -MIN_LOG_ODDS
    # In a frame that shows only that hand, both octaves are possible.
    narrow = camera(x_mm=430.0, seen_mm=200.0)
    landmarks_px[:, 0] = narrow.project(keys_mm)[:, None]
    assert abs(np.subtract(*octave_odds(narrow, STANDARD, (0, 2), notes, time_s, landmarks_px))) < MIN_LOG_ODDS
