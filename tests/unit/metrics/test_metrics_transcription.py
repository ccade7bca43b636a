import numpy as np
import pytest

from handroll.metrics.transcription import note_scores


def notes(onset_s, pitch, length_s=0.5, velocity=64):
    onset_s = np.asarray(onset_s, dtype=float)
    return {"onset_s": onset_s, "key_offset_s": onset_s + length_s, "pitch": np.asarray(pitch), "velocity": np.full(len(onset_s), velocity)}


def test_same_notes_score_one():
    same = notes([0.1, 0.5, 0.9], [60, 64, 67])
    assert note_scores(same, same) == pytest.approx(dict.fromkeys(("precision", "recall", "f1", "f1_offset", "f1_velocity"), 1.0))


def test_onsets_count_within_50_ms_and_only_on_their_pitch():
    reference = notes([1.0, 2.0, 3.0, 4.0], [60, 60, 60, 60])
    scores = note_scores(reference, notes([1.04, 2.06, 3.0], [60, 60, 61]))
    assert scores["precision"] == pytest.approx(1 / 3) and scores["recall"] == pytest.approx(1 / 4)
    assert note_scores(reference, notes([2.06], [60]), onset_tolerance_s=0.1)["precision"] == 1.0


def test_wrong_releases_lower_only_the_offset_score():
    scores = note_scores(notes([1.0, 2.0], [60, 62]), notes([1.0, 2.0], [60, 62], length_s=0.2))
    assert scores["f1"] == 1.0 and scores["f1_offset"] == 0.0


def test_two_empty_sets_of_notes_agree():
    nothing = notes([], [])
    assert note_scores(nothing, nothing)["f1"] == 1.0
    assert note_scores(notes([1.0], [60]), nothing)["f1"] == 0.0
