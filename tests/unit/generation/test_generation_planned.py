import numpy as np
import pytest

from handroll.generation.fingering import UNPLAYED, finger_notes, grips_of
from handroll.generation.hand_assignment import UNKNOWN, assign_hands, chords_of
from handroll.generation.hands_apart import surface_distance_mm
from handroll.generation.key_motion import depth_in_keys_mm
from handroll.generation.perform_apart import MAX_INTERSECTION_MM
from handroll.generation.planned import FPS, plan_performance
from handroll.generation.planned_pianist import PlannedPianist
from handroll.generation.wrist_trajectory import TIP_HEIGHT_MM
from handroll.hand.skeleton import TIPS
from handroll.keyboard.geometry import STANDARD, is_black, key_centres_x_mm, key_of_pitch
from handroll.metrics.key_press import key_press_scores
from handroll.music.notes import note_table, pedal_table
from handroll.rendering.scene import world_joints
from handroll.simulator.composition import compose_score

PEDAL = pedal_table([], [])
LEFT, RIGHT = 0, 1


def notes_of(rows):
    """Notes of rows (onset, release, pitch)."""
    onset, release, pitch = np.array(sorted(rows), dtype=float).reshape(-1, 3).T
    return note_table(onset, release, pitch.astype(int), np.full(len(onset), 70), PEDAL)


def fingers(notes, hand=None, given=None):
    hand = assign_hands(notes, hand)
    return hand, finger_notes(notes, PEDAL, hand, given) + 1


def plan(notes, **options):
    return plan_performance(notes, PEDAL, float(notes["key_offset_s"].max(initial=1.0)) + 1.0, **options)


def f1(planned, notes):
    performance = planned.performance
    return key_press_scores(notes, performance.time_s, 1e3 * world_joints(performance))["key_press_f1"]


def assert_playable(planned):
    """Every played note has its fingertip on its key, and the hands never pass through each other."""
    performance = planned.performance
    notes = performance.notes
    joints = 1e3 * world_joints(performance)
    key = key_of_pitch(notes["pitch"].astype(int))
    middle = 0.5 * (notes["onset_s"] + np.minimum(notes["key_offset_s"], notes["onset_s"] + 0.1))
    frame = np.abs(performance.time_s[:, None] - middle).argmin(axis=0)
    tips = joints[frame, performance.note_hand][:, list(TIPS)][np.arange(len(key)), performance.note_finger]
    off = np.abs(tips[:, 0] - key_centres_x_mm()[key]) - np.where(is_black(key), 5.5, 11.75)
    assert off.max(initial=-1.0) < 1.0
    assert surface_distance_mm(performance).min() > -MAX_INTERSECTION_MM - 1e-6


def test_notes_of_a_chord_are_grouped_by_onset():
    assert chords_of([0.0, 0.01, 0.03, 0.5, 0.56]) == [slice(0, 3), slice(3, 4), slice(4, 5)]
    assert chords_of([]) == []


def test_a_chord_of_ten_notes_has_all_ten_fingers():
    hand, finger = fingers(notes_of([(1.0, 2.0, pitch) for pitch in (36, 38, 40, 43, 45, 60, 62, 64, 67, 69)]))
    assert hand.tolist() == 5 * [LEFT] + 5 * [RIGHT]
    assert finger.tolist() == [5, 4, 3, 2, 1, 1, 2, 3, 4, 5]


def test_octaves_are_played_by_thumb_and_little_finger():
    notes = notes_of([(1.0 + 0.3 * k, 1.25 + 0.3 * k, pitch) for k in range(8) for pitch in (62 + k, 74 + k)])
    hand, finger = fingers(notes, hand=np.full(16, RIGHT))
    assert set(finger.tolist()) == {1, 5}
    planned = plan(notes, hand=hand)
    assert f1(planned, notes) > 0.9
    assert_playable(planned)


def test_a_trill_alternates_between_two_fingers():
    notes = notes_of([(1.0 + 0.1 * k, 1.09 + 0.1 * k, 72 + 2 * (k % 2)) for k in range(20)])
    hand, finger = fingers(notes)
    assert len(set(hand.tolist())) == 1 and len(set(finger.tolist())) == 2
    assert (np.diff(finger) != 0).all()


def test_a_repeated_note_stays_with_one_hand():
    notes = notes_of([(1.0 + 0.25 * k, 1.2 + 0.25 * k, 67) for k in range(12)])
    hand, _ = fingers(notes)
    assert len(set(hand.tolist())) == 1
    planned = plan(notes)
    assert f1(planned, notes) > 0.95 and not planned.left_out.any()


def test_a_hand_leaps_and_arrives_before_the_note():
    notes = notes_of([(1.0, 1.4, 60), (2.0, 2.4, 96), (3.0, 3.4, 60)])
    planned = plan(notes, hand=np.full(3, RIGHT))
    assert f1(planned, notes) == 1.0
    performance = planned.performance
    wrist_x = 1e3 * world_joints(performance)[:, RIGHT, 0, 0]
    before, arriving, there = np.interp([1.6, 1.95, 2.2], performance.time_s, wrist_x)
    assert abs(arriving - there) < 30.0 < 0.2 * abs(before - there)


def test_a_held_key_keeps_its_finger_while_others_play():
    notes = notes_of([(1.0, 3.0, 60), *((1.3 + 0.3 * k, 1.5 + 0.3 * k, 64 + (k % 3)) for k in range(5))])
    _, finger = fingers(notes, hand=np.full(6, RIGHT))
    assert finger[0] < finger[1:].min()


def test_two_lines_are_divided_between_the_hands():
    rows = [(1.0 + 0.3 * k, 1.25 + 0.3 * k, pitch) for k in range(12) for pitch in (43 + k % 5, 72 + k % 4)]
    hand, _ = fingers(notes_of(rows))
    notes = notes_of(rows)
    assert (hand == (notes["pitch"] > 60)).all()


def test_given_hands_and_fingers_are_kept():
    notes = notes_of([(1.0, 1.4, 60), (1.5, 1.9, 62), (2.0, 2.4, 64)])
    hand, finger = fingers(notes, np.array([LEFT, UNKNOWN, RIGHT]), np.array([1, UNPLAYED, 3]))
    assert hand[0] == LEFT and hand[2] == RIGHT
    assert finger[0] == 2 and finger[2] == 4


def test_crossed_hands_play_what_is_given_and_stay_apart():
    right = [(1.0 + 0.25 * k, 1.2 + 0.25 * k, pitch) for k in range(24) for pitch in ((60, 64, 67) if k % 2 else (62, 65))]
    left = [(1.5 + 1.5 * k, 1.9 + 1.5 * k, 36 if k % 2 == 0 else 88) for k in range(4)]
    notes = notes_of(right + left)
    hand = np.where(np.isin(notes["pitch"], (36, 88)), LEFT, RIGHT)
    planned = plan(notes, hand=hand)
    assert_playable(planned)
    played_by_left = planned.performance.notes["pitch"][planned.performance.note_hand == LEFT]
    assert set(played_by_left.tolist()) == {36, 88}


def test_notes_that_the_given_hand_cannot_play_get_the_other_hand():
    notes = notes_of([(1.0, 1.1, pitch) for pitch in (48, 52, 55, 60, 64, 67, 72)])
    planned = plan(notes, hand=np.full(7, RIGHT))
    assert not planned.left_out.any() and planned.other_hand.any()
    assert_playable(planned)


def test_a_wide_chord_is_rolled_and_notes_beyond_ten_are_left_out():
    wide = notes_of([(1.0, 3.0, pitch) for pitch in (60, 64, 76)])
    planned = plan(wide, hand=np.full(3, RIGHT))
    assert planned.rolled.tolist() == [False, False, True] and not planned.left_out.any()
    assert planned.performance.notes["onset_s"].max() == pytest.approx(1.06)
    planned = plan(notes_of([(1.0, 2.0, pitch) for pitch in (36, 38, 40, 41, 43, 45, 72, 74, 76, 77, 79, 81)]))
    assert planned.left_out.sum() == 2


def test_both_ends_of_the_keyboard_and_small_and_large_hands_are_played():
    notes = notes_of([(1.0, 1.5, 21), (1.0, 1.5, 108), (2.0, 2.5, 22), (2.0, 2.5, 107)])
    for size in (0.85, 1.2):
        planned = plan(notes, hand_scale=(size, size))
        assert f1(planned, notes) == 1.0
        assert_playable(planned)


@pytest.mark.parametrize("seed", [3, 11])
def test_composed_music_is_played(seed):
    score = compose_score(seed, 30.0)
    planned = plan(score.notes)
    assert f1(planned, score.notes) > 0.98
    assert_playable(planned)
    hand, finger = assign_hands(score.notes), planned.performance.note_finger
    assert (hand == score.hand).mean() > 0.95
    assert (finger == score.finger)[hand == score.hand].mean() > 0.7


def test_dense_random_music_leaves_notes_out_but_never_intersects():
    rng = np.random.default_rng(0)
    rows = []
    for onset in np.cumsum(rng.exponential(0.25, 60)) + 1.0:
        for pitch in set(rng.integers(48, 78, rng.integers(1, 7)).tolist()):
            rows.append((onset, onset + 0.1 + rng.exponential(0.4), pitch))
    planned = plan(notes_of(rows))
    assert surface_distance_mm(planned.performance).min() > -MAX_INTERSECTION_MM - 1e-6
    assert planned.left_out.mean() < 0.1


@pytest.mark.parametrize("size", [2, 3, 4, 5])
def test_every_chord_that_the_fingering_chooses_is_in_reach_of_the_template(size):
    rng, rows, start = np.random.default_rng(size), [], 1.0
    while start < 40.0:
        low = int(rng.integers(62, 90))
        chord = tuple(sorted({low, *(low + rng.integers(1, 13, size - 1)).tolist()}))
        if len(chord) == size and grips_of(chord, 1).reachable.any():
            rows += [(start, start + 0.9, pitch) for pitch in chord]
            start += 1.8
    performance = plan(notes_of(rows), hand=np.full(len(rows), RIGHT)).performance
    notes = performance.notes
    assert len(notes["pitch"]) == len(rows)
    key = key_of_pitch(notes["pitch"].astype(int))
    tips = 1e3 * world_joints(performance)[:, RIGHT][:, list(TIPS)]
    frame = np.rint((notes["onset_s"] + 0.4) * FPS).astype(int)
    tips = tips[frame, performance.note_finger]
    bottom = np.where(is_black(key), STANDARD.black_height_mm, 0.0) - STANDARD.dip_mm + TIP_HEIGHT_MM[performance.note_finger]
    assert (np.abs(tips[:, 0] - key_centres_x_mm()[key]) < np.where(is_black(key), 5.5, 11.75)).all()
    assert np.abs(tips[:, 2] - bottom).max() < 1.0


def test_idle_fingertips_stay_above_the_keys():
    score = compose_score(5, 30.0)
    performance = plan(score.notes).performance
    below = depth_in_keys_mm(1e3 * world_joints(performance)[:, :, list(TIPS)], performance.bone_scale, performance.key_depth_mm)
    assert ((below > 1.0).any((1, 2))).mean() < 0.01


@pytest.mark.parametrize("interval", [1, 2, 3])
def test_a_trill_with_two_notes_far_away_is_played(interval):
    rows = [(1.0 + 0.11 * k, 1.1 + 0.11 * k, 72 + interval * (k % 2)) for k in range(30)]
    notes = notes_of(rows + [(1.0, 2.0, 43), (2.5, 3.5, 45)])
    planned = plan(notes)
    assert f1(planned, notes) > 0.95 and not planned.left_out.any()
    assert_playable(planned)


def test_chords_of_ten_notes_are_played():
    rows = [(1.0 + k, 1.8 + k, pitch + k) for k in range(4) for pitch in (36, 40, 43, 45, 48, 65, 67, 69, 72, 77)]
    planned = plan(notes_of(rows))
    assert f1(planned, notes_of(rows)) > 0.95 and not planned.left_out.any()
    assert_playable(planned)


def test_lines_that_cross_are_played():
    wave = np.rint(14.0 * np.cos(np.linspace(0.0, 2.0 * np.pi, 24))).astype(int)
    rows = [(1.0 + 0.25 * k, 1.2 + 0.25 * k, 60 + sign * shift + (sign < 0)) for sign in (1, -1) for k, shift in enumerate(wave)]
    planned = plan(notes_of(rows))
    assert f1(planned, notes_of(rows)) > 0.95
    assert_playable(planned)


def test_blocks_of_long_music_join_without_a_trace(monkeypatch):
    score = compose_score(5, 40.0)
    whole = plan(score.notes)
    monkeypatch.setattr("handroll.generation.perform_apart.BLOCK_S", 12.0)
    planned = plan(score.notes)
    assert f1(planned, score.notes) > 0.98
    assert_playable(planned)
    assert (planned.left_out == whole.left_out).all()
    joints, expected = (1e3 * world_joints(each.performance) for each in (planned, whole))
    assert np.sqrt(np.square(joints - expected).mean()) < 5.0
    steps = np.linalg.norm(np.diff(joints, axis=0), axis=-1)
    assert steps.max() < 1.2 * np.linalg.norm(np.diff(expected, axis=0), axis=-1).max()
    np.testing.assert_allclose(planned.performance.notes["key_offset_s"], whole.performance.notes["key_offset_s"], atol=1e-9)


def test_no_notes_and_one_note():
    planned = plan(notes_of([]))
    assert np.isfinite(planned.performance.rotation_rad).all() and not len(planned.left_out)
    one = notes_of([(0.5, 0.8, 64)])
    assert f1(plan(one), one) == 1.0


def test_hand_sizes_are_checked():
    with pytest.raises(ValueError, match=r"hand size: expected 0\.8 to 1\.25, found 2"):
        PlannedPianist(hand_size=2.0)
