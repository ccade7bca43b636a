"""Key presses by height, and pressed keys by frame: cases with known answers."""

import numpy as np
import pytest

from handroll.hand.skeleton import TIPS
from handroll.keyboard.geometry import STANDARD, playing_points_mm
from handroll.metrics.frame_press import frame_press_scores, held_keys
from handroll.metrics.height_press import PressHeights, Scored, calibrate_heights, height_press_scores
from handroll.music.notes import note_table, pedal_table

C4, CS4 = 60 - 21, 61 - 21
HEIGHTS = PressHeights(2.0, 13.0)
RADIUS_MM = 6.0


def scored(heights_mm, onset_s, pitch, held_s=0.3, key=C4, rate_hz=50.0, **span):
    """The right index over a key, its height above the top of the key in each frame; everything else far away."""
    joints = np.zeros((len(heights_mm), 2, 21, 3)) + [-500.0, -500.0, 50.0]
    joints[:, 1, TIPS[1]] = playing_points_mm()[key]
    joints[:, 1, TIPS[1], 2] += heights_mm
    onset_s = np.array(onset_s)
    notes = note_table(onset_s, onset_s + held_s, np.array(pitch), np.full(len(onset_s), 64), pedal_table([], []))
    return Scored(notes, np.arange(len(heights_mm)) / rate_hz, joints, **span)


def pressed(*spans, frames=100, up=20.0, down=-3.0):
    heights = np.full(frames, up)
    for first, last in spans:
        heights[first:last] = down
    return heights


def values(scores):
    return list(scores.values())


@pytest.mark.parametrize("key", [C4, CS4])
def test_presses_are_matched_with_notes_of_the_same_key(key):
    heights = pressed((20, 35), (60, 75))
    assert values(height_press_scores(scored(heights, [0.4, 1.2], [key + 21] * 2, key=key), HEIGHTS)) == [1.0, 1.0, 1.0]
    assert values(height_press_scores(scored(heights, [0.4], [key + 21], key=key), HEIGHTS)) == [0.5, 1.0, pytest.approx(2 / 3)]
    assert values(height_press_scores(scored(heights, [0.4, 1.2], [key + 22] * 2, key=key), HEIGHTS)) == [0.0, 0.0, 0.0]
    # Both notes are near the first press, which counts for one of them.
    assert values(height_press_scores(scored(heights, [0.4, 0.45], [key + 21] * 2, key=key), HEIGHTS)) == [0.5, 0.5, 0.5]


def test_white_and_black_keys_have_different_heights():
    low, high = PressHeights(-1.0, 11.0), PressHeights(-4.0, 11.0)
    white = scored(pressed((20, 35), down=-2.0), [0.4], [60])
    black = scored(pressed((20, 35), down=-2.0), [0.4], [61], key=CS4)
    assert height_press_scores(white, low)["height_press_f1"] == 1.0 == height_press_scores(black, low)["height_press_f1"]
    assert height_press_scores(white, high)["height_press_f1"] == 0.0 and height_press_scores(black, high)["height_press_f1"] == 1.0


def test_a_key_that_is_down_from_the_start_counts_only_with_its_note():
    heights = pressed((0, 20))
    assert values(height_press_scores(scored(heights, [0.02], [60]), HEIGHTS)) == [1.0, 1.0, 1.0]
    missed = height_press_scores(scored(heights, [1.0], [60]), HEIGHTS)
    assert np.isnan(missed["height_press_precision"]) and missed["height_press_f1"] == 0.0
    # A hand that appears with a key down.
    late = scored(pressed((40, 60)), [1.5], [60])
    late.joints_keyboard_mm[:40, 1] = np.nan
    assert np.isnan(height_press_scores(late, HEIGHTS)["height_press_precision"])


def test_a_window_scores_its_own_notes_and_presses():
    heights = pressed((20, 35), (60, 75))
    assert values(height_press_scores(scored(heights, [0.4, 1.2], [60, 62], end_s=1.0), HEIGHTS)) == [1.0, 1.0, 1.0]
    assert values(height_press_scores(scored(heights, [0.4, 1.2], [60, 62], start_s=1.0), HEIGHTS)) == [0.0, 0.0, 0.0]


def test_calibration_finds_the_middle_of_the_heights_that_separate_presses():
    # Between two presses the finger rises to 10 mm only. Heights from -3 to 9 mm separate them.
    heights = pressed((20, 35), (40, 55))
    heights[35:40] = 10.0
    found = calibrate_heights([scored(heights, [0.4, 0.8], [60, 60])])
    assert found == PressHeights(3.0, 3.0 + STANDARD.black_height_mm)
    both = calibrate_heights([scored(heights, [0.4, 0.8], [60, 60]), scored(heights - 6.0, [0.4, 0.8], [61, 61], key=CS4)])
    assert both == PressHeights(3.0, STANDARD.black_height_mm - 3.0)


def test_frames_count_as_in_robopianist():
    radii = np.full((2, 5), RADIUS_MM)
    bottom = RADIUS_MM - STANDARD.dip_mm
    full = scored(pressed((25, 50), down=bottom), [0.5], [60], held_s=0.5)
    assert values(frame_press_scores(full, radii)) == [1.0, 1.0, 1.0]
    # The key is at 85 % of its travel: in a quarter of the frames the held key is not pressed. All other sets are empty.
    shallow = scored(pressed((25, 50), down=RADIUS_MM - 0.85 * STANDARD.dip_mm), [0.5], [60], held_s=0.5)
    assert values(frame_press_scores(shallow, radii)) == [1.0, 0.75, 0.75]
    wrong = scored(pressed((25, 50), down=bottom), [0.5], [62], held_s=0.5)
    assert values(frame_press_scores(wrong, radii)) == [0.75, 0.75, 0.75]
    silent = scored(pressed((25, 50), down=bottom), [5.0], [60])
    assert values(frame_press_scores(silent, radii)) == [0.75, 1.0, 0.75]
    chord = scored(pressed((25, 50), down=bottom), [0.5, 0.5], [60, 64], held_s=0.5)
    assert values(frame_press_scores(chord, radii)) == [1.0, 0.875, pytest.approx(0.75 + 0.25 * 2 / 3)]


def test_frames_with_a_hidden_hand_are_left_out():
    motion = scored(pressed((25, 50), down=RADIUS_MM - STANDARD.dip_mm), [0.5, 1.5], [60, 60], held_s=0.5)
    assert frame_press_scores(motion, np.full((2, 5), RADIUS_MM))["frame_press_f1"] == 0.75
    motion.joints_keyboard_mm[75:, 0] = np.nan
    assert frame_press_scores(motion, np.full((2, 5), RADIUS_MM))["frame_press_f1"] == 1.0


def test_keys_are_held_from_onset_to_release():
    notes = note_table(np.array([0.1, 0.3]), np.array([0.5, 0.7]), np.array([60, 62]), np.array([64, 64]), pedal_table([], []))
    held = held_keys(notes, np.arange(10) / 10.0 + 1e-6)
    assert np.flatnonzero(held[:, C4]).tolist() == [1, 2, 3, 4] and np.flatnonzero(held[:, C4 + 2]).tolist() == [3, 4, 5, 6]
    assert held.sum() == 8
    assert np.flatnonzero(held_keys(notes, np.arange(10) / 10.0 + 1e-6, delay_s=-0.2)[:, C4]).tolist() == [3, 4, 5, 6]
