"""Transcription engines: selected by name, not loaded for silence, and accurate on a synthetic piece."""

import sys

import numpy as np
import pytest

from handroll.config.pipeline import MidiCheck
from handroll.metrics.transcription import note_scores
from handroll.music.alignment.midi_audio_scores import measure
from handroll.music.alignment.midi_selection import Finding, Limits, decide
from handroll.music.transcribe import transcribe
from handroll.simulator.video import AUDIO_RATE_HZ, prepare_take

RATE = 44100
LIMITS = Limits(**MidiCheck().model_dump(exclude={"correct"}))


def test_the_error_for_an_unknown_engine_lists_the_known_ones():
    with pytest.raises(ValueError, match="kong, transkun, found 'ears'"):
        transcribe(np.zeros(10), RATE, "ears")


def test_stereo_is_refused():
    with pytest.raises(ValueError, match="mono"):
        transcribe(np.zeros((10, 2)), RATE, "transkun")


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros(RATE), np.full(RATE, 1e-5)])
def test_silence_has_no_notes_and_loads_no_engine(samples, monkeypatch):
    monkeypatch.setitem(sys.modules, "handroll.music.transkun", None)
    notes, pedal, info = transcribe(samples, RATE, "transkun")
    assert len(notes["pitch"]) == len(pedal["onset_s"]) == 0 and info["engine"] == "transkun"


def test_transkun_transcribes_a_synthetic_piece():
    """Two segments of 16 s that overlap by 6 s, from -6 to 10 s and from 4 to 20 s."""
    take = prepare_take("ode", 45, 7.5)
    before = sys.modules.get("torchaudio")
    notes, _, info = transcribe(take.audio, AUDIO_RATE_HZ, "transkun", {"hop_s": 10.0})
    assert sys.modules.get("torchaudio") is before
    scores = note_scores(take.performance.notes, notes)
    assert scores["precision"] > 0.95 and scores["recall"] > 0.9
    assert decide(measure(take.performance.notes, take.audio, AUDIO_RATE_HZ, notes), LIMITS) == {}
    # The offset of the engine's times from the audio varies by some milliseconds between recordings.
    assert set(decide(measure(notes, take.audio, AUDIO_RATE_HZ), LIMITS)) <= {Finding.SHIFTED}
    assert np.all(notes["key_offset_s"] > notes["onset_s"]) and np.all(notes["key_offset_s"] <= 7.5)
    assert info["engine_version"] == 2 and len(info["weights_sha256"]) == 64


def test_segments_that_skip_audio_are_refused():
    with pytest.raises(ValueError, match="at most 16 s"):
        transcribe(np.ones(RATE), RATE, "transkun", {"hop_s": 17.0})
