import numpy as np
import pytest

from handroll.screening.criteria import CRITERIA
from handroll.screening.performers import measure_performers

HAND = np.random.default_rng(0).uniform(-40.0, 40.0, (21, 2))
HAND[0], HAND[9] = (0.0, 50.0), (0.0, -50.0)  # a palm of 100 px


def detections(counts, still=()):
    """Times, samples and landmarks of this number of moving hands per sample, and of objects at the given positions."""
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
    scores = measure_performers(*detections([0, 0, 2, 1, 2, 3, 4, 2, 2, 2, 2, 0]))
    shares = {"one_hand_seen": 9 / 12, "two_hands_seen": 8 / 12, "more_than_two_hands": 2 / 9}  # the last of those with hands
    assert scores == pytest.approx({"samples": 12, "most_hands": 4, **shares})
    assert tuple(scores) == CRITERIA["performers"].scores


def test_only_the_usable_segments_count():
    time_s, sample, landmarks = detections([4, 4, 2, 2, 2, 4])
    assert measure_performers(time_s, sample, landmarks, [(3.9, 9.9)])["more_than_two_hands"] == 0.0
    assert measure_performers(time_s, sample, landmarks, [(0.0, 3.9)])["more_than_two_hands"] == 1.0
    assert measure_performers(time_s, sample, landmarks, [])["samples"] == 0


def test_a_static_object_is_no_hand():
    scores = measure_performers(*detections([2] * 20, still=[(900.0, 50.0)]))
    assert scores["most_hands"] == 2 and scores["more_than_two_hands"] == 0.0
    four = measure_performers(*detections([4] * 20, still=[(900.0, 50.0)]))
    assert four["most_hands"] == 4 and four["more_than_two_hands"] == 1.0


def test_a_static_hand_is_a_hand():
    scores = measure_performers(*detections([1] * 20, still=[(900.0, 450.0)]))
    assert scores["two_hands_seen"] == scores["one_hand_seen"] == 1.0 and scores["most_hands"] == 2


def test_few_samples_find_no_static_objects():
    assert measure_performers(*detections([2] * 5, still=[(900.0, 50.0)]))["most_hands"] == 3


def test_no_samples_and_no_hands():
    for counts in ([], [0] * 12):
        assert measure_performers(*detections(counts)) == {**dict.fromkeys(CRITERIA["performers"].scores, 0), "samples": len(counts)}
