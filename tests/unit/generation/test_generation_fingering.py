import itertools

import numpy as np
import pytest

from handroll.generation.fingering import finger
from handroll.keyboard.geometry import is_black, key_of_pitch
from handroll.simulator.pieces import LEFT, RIGHT

MAJOR = (0, 2, 4, 5, 7, 9, 11)


def scale(tonic):
    up = [(tonic + 12 * (step // 7) + MAJOR[step % 7],) for step in range(15)]
    return up + up[-2::-1]


def played(chords, hand):
    return "".join(str(number) for (number,) in finger(chords, hand))


def test_scales_have_their_standard_fingering():
    # Two octaves up, as in tables of fingerings of scales.
    assert played(scale(53), RIGHT)[:15] == "123412341231234"
    assert played(scale(59), RIGHT)[:15] == "123123412312345"
    assert played(scale(63), RIGHT)[:14] == "23123412341234"
    assert played(scale(54), RIGHT)[:14] == "23412312341234"
    assert played(scale(44), LEFT)[:14] == "32143213214321"


@pytest.mark.parametrize("hand", [LEFT, RIGHT])
@pytest.mark.parametrize("tonic", range(48, 60))
def test_scales_are_legato_and_thumbs_avoid_black_keys(tonic, hand):
    chords = scale(tonic)
    fingers = [number for (number,) in finger(chords, hand)]
    thumbs = [pitch for (pitch,), number in zip(chords, fingers, strict=True) if number == 1]
    assert len(thumbs) >= 5 and is_black(key_of_pitch(np.array(thumbs))).mean() < 0.4
    towards_pinky = 1 if hand == RIGHT else -1
    for (before, then), (first, second) in zip(itertools.pairwise(chords), itertools.pairwise(fingers), strict=True):
        crosses = (second - first) * (then[0] - before[0]) * towards_pinky < 0
        assert first != second and (not crosses or 1 in (first, second))


def test_chords_have_fingers_in_their_order():
    assert finger([(60, 72), (60, 64, 67, 72)], RIGHT) == [(1, 5), (1, 2, 3, 5)]
    assert finger([(36, 48), (36, 40, 43, 48)], LEFT) == [(5, 1), (5, 3, 2, 1)]
    assert finger([], LEFT) == []
