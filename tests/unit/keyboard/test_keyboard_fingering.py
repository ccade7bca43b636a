"""Fingering of the synthetic pianist with errors of a reconstruction, and with hidden hands, crossed hands and shared keys."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter1d

from handroll.generation.pianist import perform
from handroll.hand.skeleton import HANDS, N_JOINTS, TIPS
from handroll.keyboard.fingering import UNDETECTED, WEIGHTS, infer, label_fingering, propagate
from handroll.keyboard.fingertips_at_onsets import at_times, landings, playing_width_mm
from handroll.keyboard.geometry import key_of_pitch, playing_points_mm
from handroll.music.notes import note_table, pedal_table
from handroll.rendering.scene import world_joints
from handroll.simulator.score import random_score
from handroll.storage import to_arrow
from handroll.tables import FINGERED_NOTES, State

HOVER_MM, PRESSED_MM = 20.0, -3.0
SPACING_MM = 23.5


def hands_play(rows, fps=30.0):
    """(notes, time_s, joints, state) of rows (onset_s, release_s, pitch, hand, finger 1..5), in order.

    The fingers of a hand stay a white key apart; the hand moves so that the playing finger is over its key.
    """
    time_s = np.arange(int(fps * (max([row[1] for row in rows], default=1.0) + 0.5))) / fps
    joints = np.zeros((len(time_s), 2, N_JOINTS, 3))
    points = playing_points_mm()
    for side, hand in enumerate(HANDS):
        mine = [row for row in rows if row[3] == hand]
        along = (1, -1)[1 - side] * SPACING_MM * (np.arange(5) - 2)
        place = np.tile([(361.0, 861.0)[side], 40.0], (len(time_s), 1))
        if mine:
            knots = [t for row in mine for t in (row[0] - 0.06, row[1])]
            wanted = np.array([points[key_of_pitch(row[2]), :2] - [along[row[4] - 1], 0.0] for row in mine for _ in (0, 1)])
            place = np.stack([np.interp(time_s, knots, wanted[:, axis]) for axis in (0, 1)], axis=-1)
        for finger, tip in enumerate(TIPS):
            joints[:, side, tip, :2] = place + [along[finger], 0.0]
            joints[:, side, tip, 2] = HOVER_MM
            for onset_s, release_s, pitch, _, number in mine:
                if number == finger + 1:
                    down = np.interp(time_s, [onset_s - 0.07, onset_s, release_s, release_s + 0.07], [0.0, 1.0, 1.0, 0.0])
                    stroke = HOVER_MM - PRESSED_MM - points[key_of_pitch(pitch), 2]
                    joints[:, side, tip, 2] = np.minimum(joints[:, side, tip, 2], HOVER_MM - stroke * down)
    onset_s, release_s, pitch = zip(*[row[:3] for row in rows], strict=True) if rows else ((), (), ())
    notes = note_table(onset_s, release_s, pitch, np.full(len(rows), 64), pedal_table([], []))
    return notes, time_s, joints, np.full((len(time_s), 2), State.OBSERVED)


def reconstructed(seed, seconds=20.0, fps=30.0, bias_mm=4.0, noise_mm=3.0, height_mm=6.0):
    """A medley of the synthetic pianist with the errors of a reconstruction: a bias per finger, and noise over about 5 frames.

    Returns (notes, time_s, joints, state, hand, finger).
    """
    rng = np.random.default_rng([seed, 77])
    performance = perform(random_score(seed, seconds), seed, fps)
    joints = 1e3 * world_joints(performance)
    shape = (len(joints), 2, len(TIPS))
    for axis, bias in enumerate((bias_mm, bias_mm, height_mm)):
        jitter = gaussian_filter1d(rng.standard_normal(shape), 2.0, axis=0) * 2.66 * noise_mm
        joints[:, :, TIPS, axis] += bias * rng.standard_normal(shape[1:]) + jitter
    joints[~performance.present] = np.nan
    state = np.where(performance.present, State.OBSERVED, State.HIDDEN)
    return performance.notes, performance.time_s, joints, state, performance.note_hand, performance.note_finger


@pytest.fixture(scope="module")
def medleys():
    """Three medleys with the errors of a reconstruction."""
    return [reconstructed(seed) for seed in (1, 2, 3)]


def right(labels, hand, finger):
    """Whether each label is the true one (note,)."""
    return (labels["hand"] == np.array(HANDS, dtype=object)[hand]) & (labels["finger"] == finger + 1)


def fingers(labels):
    return [f"{hand[:1]}{finger}" for hand, finger in zip(labels["hand"], labels["finger"], strict=True)]


def test_labels_of_a_reconstructed_performance_are_right_and_confidence_is_calibrated(medleys):
    given, correct, confidence, likeliest = [], [], [], []
    for *observed, hand, finger in medleys:
        labels = label_fingering(*observed)
        given.append(labels["finger"] > 0)
        correct.append(right(labels, hand, finger))
        confidence.append(labels["finger_confidence"])
        likeliest.append(right(label_fingering(*observed, threshold=0.0), hand, finger))
        to_arrow(FINGERED_NOTES, {**observed[0], **labels})
    given, correct, confidence, likeliest = map(np.concatenate, (given, correct, confidence, likeliest))
    assert len(given) > 150
    assert given.mean() >= 0.95
    assert correct[given].mean() >= 0.98
    assert abs(confidence.mean() - likeliest.mean()) < 0.02


def test_a_worse_reconstruction_gives_fewer_labels_not_wrong_ones():
    *observed, hand, finger = reconstructed(4, bias_mm=9.0, noise_mm=8.0, height_mm=10.0)
    labels = label_fingering(*observed, threshold=0.9)
    given = labels["finger"] > 0
    assert 0.5 < given.mean() < 1.0
    assert right(labels, hand, finger)[given].mean() >= 0.95


@pytest.mark.parametrize("fps", [24.0, 60.0])
def test_other_frame_rates(fps):
    *observed, hand, finger = reconstructed(5, fps=fps)
    labels = label_fingering(*observed)
    assert right(labels, hand, finger).mean() >= 0.93


def test_transcribed_notes_onsets_off_and_keys_released_late(medleys):
    *observed, hand, finger = medleys[0]
    rng = np.random.default_rng(0)
    notes = dict(observed[0])
    notes["onset_s"] = notes["onset_s"] + rng.normal(0.0, 0.01, len(hand))
    notes["key_offset_s"] = notes["key_offset_s"] + rng.uniform(-0.05, 0.15, len(hand))
    order = np.argsort(notes["onset_s"], kind="stable")
    labels = label_fingering({name: values[order] for name, values in notes.items()}, *observed[1:])
    assert right(labels, hand[order], finger[order]).mean() >= 0.95


def test_a_bias_of_one_finger_is_learnt_from_the_video(medleys):
    notes, time_s, joints, state, hand, finger = medleys[1]
    joints = joints.copy()
    joints[:, 1, TIPS[0], 0] += 10.0
    thumbs = (hand == 1) & (finger == 0)
    landing = landings(notes, time_s, joints, state)
    posterior = infer(notes, landing)
    assert thumbs.sum() > 10
    assert (posterior[thumbs].argmax(axis=1) == 5).mean() >= 0.95


def test_thumbs_pass_under_and_hands_cross():
    scale = [
        (0.5 + 0.3 * i, 0.68 + 0.3 * i, *key)
        for i, key in enumerate(zip((60, 62, 64, 65, 67), 5 * ("right",), (1, 2, 3, 1, 2), strict=True))
    ]
    assert fingers(label_fingering(*hands_play(scale))) == ["r1", "r2", "r3", "r1", "r2"]
    crossed = [(0.5, 1.0, 48, "right", 2), (0.5, 1.0, 84, "left", 2), (1.5, 2.0, 84, "left", 1), (1.5, 2.0, 50, "right", 3)]
    assert sorted(fingers(label_fingering(*hands_play(crossed)))) == ["l1", "l2", "r2", "r3"]


def test_a_chord_and_a_repeated_note():
    chord = [(1.0, 1.5, pitch, "right", finger) for pitch, finger in ((60, 1), (64, 3), (67, 5))]
    assert fingers(label_fingering(*hands_play(chord))) == ["r1", "r3", "r5"]
    repeated = [(1.0 + 0.2 * i, 1.1 + 0.2 * i, 64, "left", 3) for i in range(5)]
    assert fingers(label_fingering(*hands_play(repeated))) == ["l3"] * 5


def test_a_finger_that_holds_a_key_does_not_strike_another():
    rows = [(0.5, 2.0, 64, "right", 2), (1.2, 1.6, 65, "right", 3)]
    notes, time_s, joints, state = hands_play(rows)
    # All tips are 15 mm too far right, and the striking finger makes no stroke: alone, the second note is the index's.
    joints[:, 1, :, 0] += 15.0
    joints[:, 1, TIPS[2], 2] = 18.0
    landing = landings(notes, time_s, joints, state)
    alone = infer(notes, landing, weights=replace(WEIGHTS, same_finger=0.0, crossed=0.0))[1]
    bound = infer(notes, landing)[1]
    assert alone.argmax() == 5 + 1
    assert bound.argmax() == 5 + 2


def test_a_delay_of_the_notes():
    rows = [(0.5 + 0.15 * i, 0.62 + 0.15 * i, 60 + (0, 2, 4, 5, 7)[i % 5], "right", 1 + i % 5) for i in range(10)]
    notes, *motion = hands_play(rows)
    late = {**notes, "onset_s": notes["onset_s"] + 0.15, "key_offset_s": notes["key_offset_s"] + 0.15}
    in_time = infer(notes, landings(notes, *motion))
    np.testing.assert_allclose(infer(late, landings(late, *motion, delay_s=0.15)), in_time)
    assert (in_time.argmax(axis=1) - 4).tolist() == [row[4] for row in rows]
    assert fingers(label_fingering(late, *motion)) != fingers(label_fingering(notes, *motion))


def test_nothing_to_label():
    notes, time_s, joints, state = hands_play([])
    empty = label_fingering(notes, time_s, joints, state)
    assert all(len(values) == 0 for values in empty.values())
    to_arrow(FINGERED_NOTES, {**notes, **empty})
    notes, *_ = hands_play([(0.5, 1.0, 60, "right", 1)])
    for hidden in (
        label_fingering(notes, time_s, np.full_like(joints, np.nan), state),
        label_fingering(notes, time_s, joints, np.full_like(state, State.HIDDEN)),
        label_fingering(notes, np.empty(0), np.empty((0, 2, 21, 3)), np.empty((0, 2))),
        label_fingering({**notes, "onset_s": np.array([99.0]), "key_offset_s": np.array([99.5])}, time_s, joints, state),
    ):
        assert hidden["hand"].tolist() == [""] and hidden["finger"].tolist() == [0]
        assert hidden["finger_confidence"].tolist() == [0.0] and np.isnan(hidden["landing_error_mm"]).all()


def test_hands_that_are_over_no_keys_leave_all_notes_unlabelled_however_many_sound_at_once():
    # All are held together, which gives a hundred million pairs that must not be computed.
    count = 15_000
    pitch = 21 + np.arange(count) % 88
    notes = note_table(np.linspace(0.0, 1.0, count), np.full(count, 9.0), pitch, np.full(count, 64), pedal_table([], []))
    time_s, joints = np.arange(300) / 30.0, np.full((300, 2, N_JOINTS, 3), np.nan)
    labels = label_fingering(notes, time_s, joints, np.full((300, 2), State.OBSERVED))
    assert not labels["finger"].any() and not labels["finger_confidence"].any() and (labels["hand"] == "").all()


def test_a_note_without_a_finger_nearby_is_withheld_but_its_confidence_is_kept():
    notes, time_s, joints, state = hands_play([(0.5, 1.0, 60, "right", 1), (1.5, 2.0, 62, "right", 2)])
    notes["pitch"] = np.array([60, 105], dtype=np.int8)
    labels = label_fingering(notes, time_s, joints, state)
    assert labels["hand"].tolist() == ["right", ""] and labels["finger"].tolist() == [1, 0]
    assert 0.0 < labels["finger_confidence"][1] < 0.5
    assert labels["landing_error_mm"][0] == 0.0 and labels["landing_error_mm"][1] > 300.0


def test_a_hand_that_is_hidden_leaves_its_notes_unlabelled(medleys):
    notes, time_s, joints, state, hand, finger = medleys[2]
    hidden = state.copy()
    hidden[:, 0] = State.HIDDEN
    labels = label_fingering(notes, time_s, joints, hidden)
    assert (labels["finger"][hand == 0] == 0).mean() >= 0.95
    assert right(labels, hand, finger)[hand == 1].mean() >= 0.9


def test_short_gaps_are_interpolated_with_less_confidence():
    notes, time_s, joints, state = hands_play([(0.5, 1.0, 60, "right", 1), (1.5, 2.0, 60, "right", 1)])
    gap = (time_s > 1.3) & (time_s < 1.7)
    joints[gap] = np.nan
    labels = label_fingering(notes, time_s, joints, np.where(gap[:, None], State.HIDDEN, state), threshold=0.0)
    assert labels["finger"].tolist() == [1, 1]
    assert labels["finger_confidence"][1] < labels["finger_confidence"][0]


def test_belief_propagation_is_exact_on_a_chain():
    rng = np.random.default_rng(1)
    odds, pairs = rng.normal(0.0, 2.0, (3, UNDETECTED + 1)), -rng.exponential(2.0, (2, UNDETECTED + 1, UNDETECTED + 1))
    exact = np.zeros_like(odds)
    for a, b, c in product(range(UNDETECTED + 1), repeat=3):
        weight = np.exp(odds[0, a] + odds[1, b] + odds[2, c] + pairs[0, a, b] + pairs[1, b, c])
        exact[[0, 1, 2], [a, b, c]] += weight
    found = propagate(odds, np.array([0, 1]), np.array([1, 2]), pairs)
    np.testing.assert_allclose(found, exact / exact.sum(axis=1, keepdims=True), atol=1e-3)


def test_white_keys_are_narrower_between_the_black_keys():
    d4, d_flat = 62 - 21, 61 - 21
    left, right = playing_width_mm(np.array([d4, d4, d_flat]), np.array([20.0, 90.0, 90.0]))
    np.testing.assert_allclose((right - left)[[0, 2]], [23.5, 11.0])
    assert 13.0 < (right - left)[1] < 15.0
    assert left[1] > left[0] and right[1] < right[0]


def test_series_are_interpolated_at_true_times_and_not_across_holes():
    time_s, values = np.array([0.0, 0.1, 0.3, 2.0]), np.array([0.0, 1.0, 3.0, 5.0])
    found = at_times(time_s, values, [-0.1, 0.05, 0.2, 1.0, 2.0, 2.1], max_gap_s=1.0)
    np.testing.assert_allclose(found, [np.nan, 0.5, 2.0, np.nan, np.nan, np.nan])
    np.testing.assert_allclose(at_times(time_s, values, 2.0), 5.0)
