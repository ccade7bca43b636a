import numpy as np
import pytest

from handroll.music.alignment.note_matching import align, match_notes, match_onsets
from handroll.music.alignment.time_map import TimeMap


@pytest.mark.parametrize(("semitones", "offset_s", "drift"), [(0, 0.0, 0.0), (12, -0.06, 0.0), (-24, 7.5, 0.0), (5, 2.0, -1e-3)])
def test_alignment_of_an_hour(semitones, offset_s, drift):
    rng = np.random.default_rng(1)
    onset_s, pitch = np.sort(rng.uniform(0, 3600, 9000)), rng.integers(45, 85, 9000)
    transcribed = np.sort(rng.permutation(9000)[:8500])
    transcribed_s = TimeMap(offset_s, drift)(onset_s[transcribed]) + rng.normal(0, 0.004, len(transcribed))
    order = np.argsort(transcribed_s)
    reference = {"onset_s": transcribed_s[order], "pitch": pitch[transcribed][order]}
    found, clock = align({"onset_s": onset_s, "pitch": pitch + semitones}, reference)
    assert found == semitones
    assert clock.offset_s == pytest.approx(offset_s, abs=1e-3) and clock.drift == pytest.approx(drift, abs=1e-6)


def test_nothing_aligns_with_nothing():
    empty, one = ({"onset_s": np.array(times), "pitch": np.array(pitch, int)} for times, pitch in (([], []), ([1.0], [60])))
    assert align(empty, one) == align(one, empty) == (0, TimeMap())


def test_each_note_is_paired_once_with_its_nearest():
    onset_s, pitch = np.array([1.0, 1.06, 2.0, 3.0]), np.array([60, 60, 62, 64])
    mine, other = match_notes(onset_s, pitch, np.array([1.05, 2.05, 3.0, 3.2]), np.array([60, 62, 65, 64]))
    assert mine.tolist() == [1, 2] and other.tolist() == [0, 1]


def test_onsets_match_whatever_their_pitch():
    mine, other = match_onsets(np.array([1.0, 2.0, 3.0]), np.array([1.04, 2.06, 3.01]))
    assert mine.tolist() == [0, 2] and other.tolist() == [0, 2]
