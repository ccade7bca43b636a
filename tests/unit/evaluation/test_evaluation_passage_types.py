"""Each texture by the smallest passage that has it."""

import numpy as np
import pytest

from handroll.evaluation.passage_types import note_textures

RIGHT = 1


@pytest.mark.parametrize(
    ("onset_s", "pitch", "finger", "expected"),
    [
        ([0.0, 0.01, 0.02], [60, 64, 67], [0, 2, 4], ["chord"] * 3),
        ([0.0, 0.4], [60, 62], [0, 1], ["line", "line"]),
        ([0.0, 0.1], [60, 62], [0, 1], ["line", "fast_line"]),
        ([0.0, 0.4], [60, 60], [0, 1], ["line", "repetition"]),
        ([0.0, 0.4], [60, 72], [0, 4], ["line", "leap"]),
        ([0.0, 0.3], [64, 65], [2, 0], ["line", "crossing"]),
        ([0.0, 0.3], [65, 64], [0, 2], ["line", "crossing"]),
        ([0.0, 1.5], [60, 72], [0, 4], ["line", "line"]),
    ],
)
def test_texture_of_the_right_hand(onset_s, pitch, finger, expected):
    notes = {"onset_s": np.array(onset_s), "pitch": np.array(pitch)}
    assert note_textures(notes, np.full(len(pitch), RIGHT), np.array(finger)).tolist() == expected


def test_the_left_hand_crosses_the_other_way():
    notes = {"onset_s": np.array([0.0, 0.3]), "pitch": np.array([55, 53])}
    assert note_textures(notes, np.zeros(2, int), np.array([2, 0])).tolist() == ["line", "crossing"]
    assert note_textures(notes, np.zeros(2, int), np.array([0, 2])).tolist() == ["line", "line"]


def test_hands_are_apart():
    notes = {"onset_s": np.array([0.0, 0.01]), "pitch": np.array([48, 72])}
    assert note_textures(notes, np.array([0, 1]), np.array([4, 4])).tolist() == ["line", "line"]
