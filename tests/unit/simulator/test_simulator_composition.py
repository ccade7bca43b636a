import numpy as np
import pytest

from handroll.generation.fingering import grips_of
from handroll.generation.hand_assignment import chords_of
from handroll.generation.pianist import perform
from handroll.simulator.composition import compose_score
from handroll.storage import to_arrow
from handroll.tables import NOTES, PEDAL


@pytest.fixture(scope="module")
def scores():
    return [compose_score([7, take], 120.0) for take in range(4)]


def runs(score, length):
    """All runs of `length` notes, relative to their first pitch, so that transposed runs are equal."""
    pitch = score.notes["pitch"].astype(int)
    return {tuple(pitch[first : first + length] - pitch[first]) for first in range(len(pitch) - length + 1)}


def test_tables_are_valid_and_within_the_duration(scores):
    for score in scores:
        to_arrow(NOTES, score.notes)
        to_arrow(PEDAL, score.pedal)
        assert score.notes["onset_s"][0] > 0.5 and score.notes["key_offset_s"].max() < 119.1
        assert set(score.hand) == {0, 1} and set(score.finger) == set(range(5))
        assert score.covers == ()


def test_a_finger_and_a_key_do_one_thing_at_a_time(scores):
    for score in scores:
        for group in (score.notes["pitch"].astype(int), 5 * score.hand + score.finger):
            for value in set(group):
                mine = group == value
                assert np.all(score.notes["key_offset_s"][mine][:-1] < score.notes["onset_s"][mine][1:])


def test_no_music_comes_twice(scores):
    known = set().union(*(runs(score, 16) for score in scores[1:]))
    assert not known & runs(scores[0], 16)
    np.testing.assert_array_equal(scores[2].notes["onset_s"], compose_score([7, 2], 120.0).notes["onset_s"])


def test_music_is_varied(scores):
    pitch, velocity = (np.concatenate([score.notes[name] for score in scores]) for name in ("pitch", "velocity"))
    assert len(set(pitch % 12)) == 12
    assert np.ptp(pitch) > 55 and np.ptp(velocity) > 40
    chords = [np.unique(np.round(score.notes["onset_s"], 1), return_counts=True)[1] for score in scores]
    assert {1, 2, 3, 4} <= set(np.concatenate(chords))


def test_music_is_within_the_reach_of_its_hands(scores):
    """An octave is too wide for small hands."""

    def too_wide(score, hand_size):
        count = 0
        for side, mirror in enumerate((-1, 1)):
            of_hand = np.flatnonzero(score.hand == side)
            for chord in chords_of(score.notes["onset_s"][of_hand]):
                pitches = tuple(sorted(score.notes["pitch"][of_hand][chord].astype(int).tolist()))
                count += not grips_of(pitches, mirror, hand_size).reachable.any()
        return count

    small = [compose_score([7, take], 120.0, hand_size=0.9) for take in range(4)]
    assert sum(too_wide(score, 0.9) for score in small) == 0 < sum(too_wide(score, 0.9) for score in scores)
    assert all(a.notes["pitch"].max() == b.notes["pitch"].max() for a, b in zip(small, scores, strict=True)), "the melody stays"


def test_too_short_a_score_is_refused():
    with pytest.raises(ValueError, match="at least 20"):
        compose_score(0, 10.0)


def test_the_hands_can_play_it(scores):
    """Played notes are not much shorter than written ones."""
    score = compose_score([7, 9], 30.0)
    played = perform(score, 9)
    written, held = (np.median(notes["key_offset_s"] - notes["onset_s"]) for notes in (score.notes, played.notes))
    assert held > 0.7 * written
