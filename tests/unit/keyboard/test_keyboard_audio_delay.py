"""Audio delay: known delays are recovered, and music of another performance is not trusted."""

import numpy as np
import pytest

from handroll.generation.pianist import perform
from handroll.hand.skeleton import TIPS
from handroll.keyboard.audio_delay import estimate_delay, find_delay
from handroll.rendering.scene import world_joints
from handroll.simulator.score import random_score
from handroll.tables import State


@pytest.fixture(scope="module")
def medleys():
    """(notes, time_s, joints, state) of two medleys of the synthetic pianist; each finger is off by some millimetres."""
    found = []
    for seed in (1, 2):
        played = perform(random_score(seed, 20.0), seed)
        joints = 1e3 * world_joints(played)
        joints[:, :, TIPS] += np.random.default_rng(seed).normal(0.0, 4.0, (2, len(TIPS), 3))
        found.append((played.notes, played.time_s, joints, np.where(played.present, State.OBSERVED, State.HIDDEN)))
    return found


def shifted(notes, by_s):
    return {**notes, "onset_s": notes["onset_s"] + by_s, "key_offset_s": notes["key_offset_s"] + by_s}


@pytest.mark.parametrize("planted_s", [-0.25, 0.04])
def test_known_delays_are_recovered_to_a_fraction_of_a_frame(medleys, planted_s):
    for notes, time_s, joints, state in medleys:
        found = estimate_delay(shifted(notes, planted_s), time_s, joints, state)
        assert found.delay_s == pytest.approx(planted_s, abs=0.008)
        assert found.error_s < 0.010 and found.lead > 3.0


def test_other_music_is_not_trusted(medleys):
    _, time_s, joints, state = medleys[0]
    for notes in (medleys[1][0], shifted(medleys[0][0], 2.3)):
        estimate = estimate_delay(notes, time_s, joints, state)
        assert estimate.lead < 3.0 and estimate.lead_over_none < 5.0 and not estimate.trusted


def test_a_delay_with_a_close_alternative_is_used_where_zero_is_certainly_wrong(medleys):
    """Three in four notes sound a second time, 0.14 s away, as a fast repetition does."""
    (notes, time_s, joints, state), planted_s = medleys[0], -0.2
    again = np.random.default_rng(3).random(len(notes["pitch"])) < 0.75
    echo = shifted({name: values[again] for name, values in notes.items()}, 0.14)
    both = {name: np.concatenate([values, echo[name]]) for name, values in notes.items()}
    delay_s, estimate = find_delay(shifted(both, planted_s), time_s, joints, state)
    assert estimate.lead < 3.0 and estimate.trusted
    assert delay_s == pytest.approx(planted_s, abs=0.03)


@pytest.mark.parametrize("planted_s", [-7.0, 3.27, 61.4])
def test_a_large_delay_is_found(medleys, planted_s):
    """A MIDI file of a silent video may start at any time."""
    for notes, time_s, joints, state in medleys:
        delay_s, estimate = find_delay(shifted(notes, planted_s), time_s, joints, state)
        assert estimate.trusted and delay_s == pytest.approx(planted_s, abs=0.015)


def test_a_video_that_shows_a_part_of_the_notes(medleys):
    notes, time_s, joints, state = medleys[0]
    others = [shifted(medleys[1][0], 21.0 * k) for k in range(1, 9)]
    whole = {name: np.concatenate([values, *(other[name] for other in others)]) for name, values in notes.items()}
    delay_s, estimate = find_delay(shifted(whole, 5.0), time_s, joints, state)
    assert estimate.trusted and delay_s == pytest.approx(5.0, abs=0.015)


def test_a_view_without_strokes_shows_when_fingers_come_to_rest(medleys):
    """In many views from above, fingertip heights are noise; strokes alone give no delay, or one that is wrong by 0.1 s."""
    for seed, (notes, time_s, joints, state) in enumerate(medleys):
        noise = np.random.default_rng(seed).normal(0.0, 3.0, joints.shape)
        flat = joints * [1.0, 1.0, 0.0] + noise * [0.2, 0.2, 1.0]
        delay_s, estimate = find_delay(shifted(notes, 0.12), time_s, flat, state)
        assert estimate.trusted and abs(delay_s - 0.12) < 2.5 * estimate.error_s
        assert 0.01 < estimate.error_s < 0.03, "more than where strokes are seen, and it says so"


def test_no_delay_is_assumed_where_none_is_trusted(medleys):
    _, time_s, joints, state = medleys[0]
    delay_s, estimate = find_delay(medleys[1][0], time_s, joints, state)
    assert delay_s == 0.0 and not estimate.trusted


def test_without_notes_or_hands_there_is_no_estimate(medleys):
    notes, time_s, joints, state = medleys[0]
    for none in (
        estimate_delay({name: values[:0] for name, values in notes.items()}, time_s, joints, state),
        estimate_delay({name: values[:5] for name, values in notes.items()}, time_s, joints, state),
        estimate_delay(notes, time_s, np.full_like(joints, np.nan), state),
    ):
        assert np.isnan(none.delay_s) and none.lead == 0.0


def test_the_error_grows_where_strokes_are_flat_and_noisy(medleys):
    notes, time_s, joints, state = medleys[0]
    noisy = joints * [1.0, 1.0, 0.2] + np.random.default_rng(3).normal(0.0, 2.0, joints.shape)
    clear, blurred = estimate_delay(notes, time_s, joints, state), estimate_delay(shifted(notes, 0.1), time_s, noisy, state)
    assert clear.error_s < blurred.error_s < 0.03
    assert abs(blurred.delay_s - 0.1) < 4.0 * blurred.error_s + 0.005


def test_the_same_input_gives_the_same_delay(medleys):
    assert estimate_delay(*medleys[0]) == estimate_delay(*medleys[0])
