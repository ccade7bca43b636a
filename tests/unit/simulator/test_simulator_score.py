import itertools

import numpy as np
import pytest

from handroll.hand.skeleton import HANDS
from handroll.keyboard.geometry import key_centres_x_mm, key_of_pitch
from handroll.simulator.pieces import pieces, pitch_of, read_bars
from handroll.simulator.score import TAIL_S, random_score, score
from handroll.storage import to_arrow
from handroll.tables import NOTES, PEDAL


@pytest.fixture(scope="module", params=[*pieces(), *range(4)])
def s(request):
    """The score of a piece, or of a medley of this seed."""
    return score(request.param, 3) if isinstance(request.param, str) else random_score(request.param, 40.0)


def test_tables_are_valid_and_within_the_video(s):
    to_arrow(NOTES, s.notes)
    to_arrow(PEDAL, s.pedal)
    n = s.notes
    assert 0.55 < n["onset_s"][0] < 1.05
    assert np.all(np.diff(n["onset_s"]) >= 0)
    assert np.all(n["key_offset_s"] - n["onset_s"] > 0.07)
    assert np.all(n["sounding_offset_s"] >= n["key_offset_s"] - 1e-9)
    assert n["key_offset_s"].max() <= s.duration_s - TAIL_S + 0.05
    assert set(s.hand) == {0, 1} and set(s.finger) <= set(range(5))
    assert n["pitch"].min() >= 21 and n["pitch"].max() <= 108


def test_fingers_and_keys_are_used_once_at_a_time(s):
    for group in (s.notes["pitch"].astype(int), 5 * s.hand + s.finger):
        for value in set(group):
            mine = group == value
            assert np.all(s.notes["key_offset_s"][mine][:-1] < s.notes["onset_s"][mine][1:] - 0.05)


def test_a_hand_can_reach_what_it_plays(s):
    n = s.notes
    for side, towards_pinky in ((0, -1.0), (1, 1.0)):
        rows = np.flatnonzero(s.hand == side)
        x = towards_pinky * key_centres_x_mm()[key_of_pitch(n["pitch"][rows])]
        start, end, finger = n["onset_s"][rows], n["key_offset_s"][rows], s.finger[rows]
        place = x - 23.5 * finger
        for i in range(len(rows)):
            together = (np.abs(start - start[i]) < 0.05) & (np.arange(len(rows)) != i)
            held = together | ((start <= start[i]) & (end > start[i] + 0.05))
            # An octave is 7 white keys; a finger nearer the pinky is farther along.
            assert np.all(np.abs(x[held] - x[i]) <= 7 * 23.5 + 3)
            assert np.all((x[together] > x[i]) == (finger[together] > finger[i]))
        for i in range(len(rows)):
            later = (start > start[i] + 0.05) & (start < start[i] + 1.0)
            travel_mm = np.maximum(np.abs(place[later] - place[i]) - 70.0, 0.0)
            assert np.all(travel_mm / (start[later] - start[i] - 0.1) < 1200.0)


def test_hands_do_not_cross(s):
    n = s.notes
    for onset in n["onset_s"]:
        held = (n["onset_s"] <= onset + 0.05) & (n["key_offset_s"] > onset)
        left, right = n["pitch"][held & (s.hand == 0)], n["pitch"][held & (s.hand == 1)]
        assert not len(left) or not len(right) or left.max() < right.min()


def test_minuet_rests_and_covers_each_hand_at_different_times():
    for seed in range(6):
        s = score("minuet", seed)
        assert {name for name, *_ in s.rests} == set(HANDS) == {name for name, *_ in s.covers}
        assert all(2.0 < end - start < 4.0 for _, start, end in s.rests)
        assert all(0.4 <= end - start <= 0.85 for _, start, end in s.covers)
        spans = sorted((start, end) for _, start, end in (*s.rests, *s.covers))
        assert all(a[1] + 1.0 < b[0] for a, b in itertools.pairwise(spans))
        assert spans[-1][1] < s.duration_s
        assert sum(end - start for start, end in spans) < 0.12 * 2 * s.duration_s
        for name, start, end in s.rests:
            mine = s.hand == HANDS.index(name)
            assert not np.any((s.notes["onset_s"][mine] < end) & (s.notes["key_offset_s"][mine] > start))


def test_lengths_and_contents_of_the_four_pieces():
    assert {name: score(name, 0).duration_s for name in pieces()} == {"prelude": 33.0, "study": 31.0, "ode": 32.0, "minuet": 33.0}
    assert list(score("prelude", 0).notes["pitch"][:8]) == [60, 64, 67, 72, 76, 67, 72, 76]
    study = score("study", 0)
    crossings = [np.sum((study.finger[study.hand == h][1:] == 0) & (study.finger[study.hand == h][:-1] >= 2)) for h in (0, 1)]
    assert min(crossings) >= 8
    ode = score("ode", 0)
    assert np.sum((ode.hand == 0) & (ode.finger == 4)) >= 30
    assert len(score("prelude", 0, 55.0).pedal["onset_s"]) == 16


def test_seeds_change_the_touch_and_nothing_else():
    a, b, again = score("ode", 1), score("ode", 2), score("ode", 1)
    np.testing.assert_array_equal(a.notes["onset_s"], again.notes["onset_s"])
    assert sorted(a.notes["pitch"]) == sorted(b.notes["pitch"])
    assert np.std(np.sort(a.notes["onset_s"]) - np.sort(b.notes["onset_s"])) > 0.002


def test_medleys_differ_and_repeat():
    a, b = random_score(5, 20.0), random_score(6, 20.0)
    assert list(a.notes["pitch"]) != list(b.notes["pitch"])
    np.testing.assert_array_equal(a.notes["onset_s"], random_score(5, 20.0).notes["onset_s"])


@pytest.mark.parametrize("duration_s", [4.0, 7.5, 120.0])
def test_pieces_are_cut_or_repeated_to_a_length(duration_s):
    s = score("study", 1, duration_s)
    assert s.duration_s == duration_s
    assert duration_s - 1.5 < s.notes["key_offset_s"].max() < duration_s - 0.9


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="prelude"):
        score("sonata", 0)
    with pytest.raises(ValueError, match="at least"):
        random_score(0, 1.0)


def test_notation():
    (bar,) = read_bars(3.0, "2 C2+C3/51 4 r", "8 F#4/2 Bb4/4 2 C5/5")
    assert bar.notes == ((0.0, 2.0, 36, 0, 5), (0.0, 2.0, 48, 0, 1), (0.0, 0.5, 66, 1, 2), (0.5, 0.5, 70, 1, 4), (1.0, 2.0, 72, 1, 5))
    assert bar.transposed(2).notes[0] == (0.0, 2.0, 38, 0, 5)
    assert pitch_of("A0") == 21 and pitch_of("C8") == 108
    with pytest.raises(ValueError, match="expected 3 quarter notes"):
        read_bars(3.0, "2 r", "2. r")
    with pytest.raises(ValueError, match="finger for each note"):
        read_bars(3.0, "2. C2+C3/5", "2. r")
    with pytest.raises(ValueError, match="F#4"):
        pitch_of("H4")


def test_the_pedal_holds_the_notes_of_a_bar():
    s = score("prelude", 2)
    end, up = s.notes["sounding_offset_s"], s.pedal["offset_s"]
    lifted = np.abs(end[:, None] - up).min(1) < 1e-9
    assert lifted.sum() >= 4 * len(up)
    assert np.all(end[~lifted] - s.notes["key_offset_s"][~lifted] < 3.5)
