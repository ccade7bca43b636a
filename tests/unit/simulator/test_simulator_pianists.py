"""Random pianists: they play as well as the standard pianist, with another hand size, style and fingering."""

from dataclasses import fields

import numpy as np
import pytest

from handroll.generation.fingering import finger_notes
from handroll.generation.pianist import perform
from handroll.generation.style import PLANNED, SIMULATED, PianistStyle
from handroll.metrics.key_press import find_presses, match_presses
from handroll.rendering.scene import world_joints
from handroll.simulator.composition import compose_score
from handroll.simulator.pianists import pianist_of
from support.performance_checks import reach_report


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_random_pianist_plays_its_music_with_its_own_fingers(number):
    pianist = pianist_of(number)
    sizes = (pianist.hand_size,) * 2
    score = compose_score([11, number], 60.0, pianist.costs, pianist.hand_size)
    performance = perform(score, number, 30.0, sizes, pianist.style)
    report = reach_report(performance)
    assert report["on_key"] == 1.0 and report["mean_gap_mm"] < 0.3 and report["limit_excess_rad"] < 1e-6
    presses = find_presses(performance.time_s, 1e3 * world_joints(performance))
    press_hits, note_hits = match_presses(presses, performance.notes["onset_s"], performance.notes["pitch"])
    assert (press_hits.sum() + note_hits.sum()) / (len(press_hits) + len(note_hits)) > 0.96
    usual = finger_notes(score.notes, score.pedal, score.hand, hand_scale=sizes)
    assert 0.15 < np.mean(usual != score.finger) < 0.45


def test_a_random_pianist_differs_from_the_known_ones_and_is_always_the_same():
    pianists = [pianist_of(number) for number in (1, 2)]
    again = pianist_of(1)
    assert again.style == pianists[0].style and again.hand_size == pianists[0].hand_size
    np.testing.assert_array_equal(again.costs[0].pair, pianists[0].costs[0].pair)
    for pianist in pianists:
        assert abs(pianist.hand_size - 1.0) > 0.05
        assert pianist.style.travel_s > SIMULATED.travel_s and pianist.style.finger_lag_s > 0.0
        for known in (SIMULATED, PLANNED):
            differing = [field.name for field in fields(PianistStyle) if getattr(pianist.style, field.name) != getattr(known, field.name)]
            assert len(differing) > 10
    assert pianists[0].hand_size != pianists[1].hand_size and (pianists[0].costs[0].pair != pianists[0].costs[1].pair).any()
    assert pianist_of(0).style == SIMULATED and pianist_of(0).hand_size is None
