from pathlib import Path

import numpy as np
import pytest

from handroll.media.audio import load_audio
from handroll.music import silero

SPOKEN = Path("/usr/share/sounds/alsa/Front_Center.wav")


def test_tones_are_no_speech():
    time_s = np.arange(3 * 44_100) / 44_100
    chord = sum(np.exp(-2.0 * (time_s % 1.0)) * np.sin(2.0 * np.pi * hz * time_s) for hz in (262.0, 330.0, 392.0))
    probability, hop_s = silero.classify((0.1 * chord).astype(np.float32), 44_100)
    assert len(probability) == pytest.approx(3.0 / hop_s, abs=1.0) and probability.max() < 0.8


@pytest.mark.skipif(not SPOKEN.exists(), reason=f"{SPOKEN} (Debian package alsa-utils) is not installed")
def test_speech_is_detected_at_any_loudness():
    samples, rate_hz = load_audio(SPOKEN)
    for gain in (1.0, 0.01):
        probability, _ = silero.classify(gain * samples, rate_hz)
        assert np.mean(probability >= 0.8) > 0.3


def test_blocks_join(monkeypatch):
    noise = np.random.default_rng(0).standard_normal(5 * 16_000).astype(np.float32)
    whole, _ = silero.classify(noise, 16_000)
    monkeypatch.setattr(silero, "_BLOCK_S", 2.0)
    assert len(silero.classify(noise, 16_000)[0]) == len(whole)
