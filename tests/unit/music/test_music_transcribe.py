"""Engines: asked by name, spared silence, and right about the notes they hear."""

import sys

import numpy as np
import pytest

from handroll.music.notes import note_table, pedal_table
from handroll.music.transcribe import transcribe
from handroll.synth.sound import synthesise

RATE = 44100


def test_an_unknown_engine_is_named_with_those_there_are():
    with pytest.raises(ValueError, match=r"\['transkun'\], found 'ears'"):
        transcribe(np.zeros(10), RATE, "ears")


def test_stereo_is_refused():
    with pytest.raises(ValueError, match="mono"):
        transcribe(np.zeros((10, 2)), RATE, "transkun")


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros(RATE), np.full(RATE, 1e-5)])
def test_silence_has_no_notes_and_asks_no_engine(samples, monkeypatch):
    monkeypatch.setitem(sys.modules, "handroll.music.transkun", None)
    notes, pedal, info = transcribe(samples, RATE, "transkun")
    assert len(notes["pitch"]) == len(pedal["onset_s"]) == 0 and info["engine"] == "transkun"


def test_transkun_hears_notes_in_their_place():
    nothing = pedal_table([], [])
    onset_s = 0.1 + 0.25 * np.arange(8)
    score = note_table(onset_s, onset_s + 0.24, [60, 62, 64, 65, 67, 69, 71, 72], [90] * 8, nothing)
    before = sys.modules.get("torchaudio")
    # Short segments, far from what the model was trained on, to be quick: it misses notes, but invents none.
    options = {"segment_s": 4.0, "hop_s": 3.0}
    notes, _, info = transcribe(synthesise(score, nothing, 2.2, seed=0, rate_hz=RATE), RATE, "transkun", options)
    assert sys.modules.get("torchaudio") is before
    assert len(notes["pitch"]) >= 2
    for time_s, pitch in zip(notes["onset_s"], notes["pitch"], strict=True):
        assert np.any((score["pitch"] == pitch) & (np.abs(score["onset_s"] - time_s) < 0.03)), (time_s, pitch)
    assert np.all(notes["key_offset_s"] > notes["onset_s"]) and np.all(notes["key_offset_s"] <= 2.2)
    assert info["engine_version"] == 1 and len(info["weights_sha256"]) == 64
