"""Engines: asked by name, spared silence, and right about a few synthetic notes."""

import sys

import numpy as np
import pytest

from handroll.music.transcribe import transcribe

RATE = 22050


def played(notes, seconds):
    """Decaying tones with ten harmonics, at (onset s, pitch)."""
    samples = np.zeros(int(seconds * RATE), np.float32)
    for onset_s, pitch in notes:
        time_s = np.arange(int(0.45 * RATE)) / RATE
        hz = 440.0 * 2 ** ((pitch - 69) / 12)
        harmonics = sum(np.sin(2 * np.pi * n * hz * time_s) * np.exp(-n * time_s * 3) / n**1.2 for n in range(1, 11))
        start = round(onset_s * RATE)
        samples[start : start + len(time_s)] += (0.15 * harmonics * np.minimum(1, (0.45 - time_s) / 0.05)).astype(np.float32)
    return samples


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


def test_transkun_hears_a_few_notes():
    score = [(0.5, 60), (1.0, 64), (1.5, 67), (1.5, 76)]
    before = sys.modules.get("torchaudio")
    notes, _, info = transcribe(played(score, 2.0), RATE, "transkun", {"segment_s": 4.0, "hop_s": 2.0})
    assert sys.modules.get("torchaudio") is before
    found = list(zip(notes["onset_s"], notes["pitch"], strict=True))
    for onset_s, pitch in score:
        assert any(p == pitch and abs(t - onset_s) < 0.05 for t, p in found), f"{onset_s, pitch} not in {found}"
    assert len(found) <= 6
    assert np.all(notes["sounding_offset_s"] >= notes["key_offset_s"]) and np.all(notes["key_offset_s"] > notes["onset_s"])
    assert np.all(notes["key_offset_s"] <= 2.0)
    assert info["engine_version"] == 1 and len(info["weights_sha256"]) == 64
