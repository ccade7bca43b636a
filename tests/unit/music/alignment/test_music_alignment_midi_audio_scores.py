import json

import numpy as np
import pytest

from handroll.music.alignment.midi_audio_scores import measure, without_trend


@pytest.fixture(scope="module")
def scores_of_true_notes(played):
    return measure(played.notes, played.samples, played.rate_hz, played.transcription)


def test_true_notes_agree(scores_of_true_notes):
    scores = scores_of_true_notes
    clock, sound, other = scores["clock"], scores["sound"], scores["transcription"]
    assert abs(clock["lag_s"]) < 3e-3 and clock["drift_s"] < 5e-3 and clock["semitones"] == 0
    assert sound["silent_share"] < 0.03 and sound["timing_p95_s"] < 0.015 and sound["level_correlation"] > 0.3
    assert other["precision"] == pytest.approx(0.97, abs=0.01) and other["recall"] == 1.0
    assert other["extra_share"] == other["missing_share"] == other["octave_share"] == other["wrong_pitch_share"] == 0.0
    assert other["timing_p95_s"] < 0.01 and other["level_scale"] == pytest.approx(1.0, abs=0.03) and other["level_deviation"] < 0.06
    json.dumps(scores, allow_nan=False)


def test_the_same_twice(played, scores_of_true_notes):
    assert measure(played.notes, played.samples, played.rate_hz, played.transcription) == scores_of_true_notes


def test_other_music_is_not_aligned(played):
    rng = np.random.default_rng(0)
    count = len(played.notes["pitch"])
    other = played.notes | {"pitch": rng.integers(40, 80, count), "onset_s": np.sort(rng.uniform(1, 29, count))}
    scores = measure(other, played.samples, played.rate_hz, played.transcription)
    assert scores["transcription"]["precision"] < 0.2 and scores["sound"]["silent_share"] > 0.4


@pytest.mark.parametrize("transcribed", [True, False])
def test_no_notes_at_all(played, transcribed):
    none = {name: values[:0] for name, values in played.notes.items()}
    scores = measure(none, played.samples, played.rate_hz, played.transcription if transcribed else none)
    assert scores["sound"]["notes"] == 0 and scores["clock"]["lag_s"] == 0.0
    assert not transcribed or scores["transcription"]["missing_share"] > 0.9


def test_trend_over_the_keyboard():
    pitch = np.arange(30, 90)
    values = 2.0 + 0.01 * pitch
    values[7] += 1.0
    np.testing.assert_allclose(without_trend(values, pitch), np.where(np.arange(60) == 7, 1.0, 0.0), atol=0.04)
