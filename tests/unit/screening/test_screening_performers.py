import numpy as np
import pytest

from handroll.reasons import Reason
from handroll.screening import performers

HAND = np.random.default_rng(0).uniform(-40.0, 40.0, (21, 2))
HAND[0], HAND[9] = (0.0, 50.0), (0.0, -50.0)  # a palm of 100 px


def glanced(counts, still=()):
    """Times, samples and landmarks of so many hands a sample, wandering; and of things that lie at the given places."""
    rng = np.random.default_rng(1)
    sample, places = [], []
    for at, count in enumerate(counts):
        for k in range(count):
            sample.append(at)
            places.append((300.0 * k + rng.uniform(0.0, 150.0), 400.0 + rng.uniform(-20.0, 20.0)))
        for place in still:
            sample.append(at)
            places.append(np.array(place) + rng.uniform(-3.0, 3.0, 2))
    return np.arange(len(counts)) * 2.0, np.array(sample, dtype=int), HAND + np.array(places).reshape(-1, 1, 2)


def test_shares():
    scores = performers.measure(*glanced([0, 0, 2, 1, 2, 3, 4, 2, 2, 2, 2, 0]))
    shares = {"one_hand_seen": 9 / 12, "two_hands_seen": 8 / 12, "more_than_two_hands": 2 / 9}  # the last of those with hands
    assert scores == pytest.approx({"samples": 12, "most_hands": 4, **shares})
    assert tuple(scores) == performers.SCORES


def test_only_the_usable_segments_count():
    time_s, sample, landmarks = glanced([4, 4, 2, 2, 2, 4])
    assert performers.measure(time_s, sample, landmarks, [(3.9, 9.9)])["more_than_two_hands"] == 0.0
    assert performers.measure(time_s, sample, landmarks, [(0.0, 3.9)])["more_than_two_hands"] == 1.0
    assert performers.measure(time_s, sample, landmarks, [])["samples"] == 0


def test_a_picture_on_the_wall_is_no_hand():
    scores = performers.measure(*glanced([2] * 20, still=[(900.0, 50.0)]))
    assert scores["most_hands"] == 2 and scores["more_than_two_hands"] == 0.0
    four = performers.measure(*glanced([4] * 20, still=[(900.0, 50.0)]))
    assert four["most_hands"] == 4 and four["more_than_two_hands"] == 1.0


def test_a_hand_that_stays_where_it_is_is_still_a_hand():
    scores = performers.measure(*glanced([1] * 20, still=[(900.0, 450.0)]))
    assert scores["two_hands_seen"] == scores["one_hand_seen"] == 1.0 and scores["most_hands"] == 2


def test_few_samples_show_nothing_that_stays():
    assert performers.measure(*glanced([2] * 5, still=[(900.0, 50.0)]))["most_hands"] == 3


def test_no_samples_and_no_hands():
    for counts in ([], [0] * 12):
        assert performers.measure(*glanced(counts)) == {**dict.fromkeys(performers.SCORES, 0), "samples": len(counts)}


@pytest.mark.parametrize(
    ("one", "two", "more", "reasons"),
    [
        (1.0, 1.0, 0.1, ()),
        (1.0, 1.0, 0.11, (Reason.MORE_THAN_TWO_HANDS,)),
        (0.3, 0.3, 0.5, (Reason.MORE_THAN_TWO_HANDS,)),
        (0.5, 0.4, 0.0, ()),
        (0.49, 0.4, 0.0, (Reason.HANDS_RARELY_VISIBLE,)),
        (1.0, 0.39, 0.0, (Reason.HANDS_RARELY_VISIBLE,)),
        (0.0, 0.0, 0.0, (Reason.NO_HANDS,)),
    ],
)
def test_thresholds(one, two, more, reasons):
    scores = {"samples": 40, "one_hand_seen": one, "two_hands_seen": two, "more_than_two_hands": more, "most_hands": 3}
    assert performers.decide(scores, max_more_than_two_hands=0.1, min_one_hand_seen=0.5, min_two_hands_seen=0.4) == reasons
    assert performers.decide({**scores, "samples": 0}, 0.1, 0.5, 0.4) == ()


def test_hands_need_not_be_asked_for():
    assert performers.decide(performers.measure(*glanced([0] * 12)), max_more_than_two_hands=0.1) == ()
