import numpy as np
import pytest

from handroll.reasons import Reason
from handroll.screening import silence

RATE_HZ = 8000
LIMITS = {"min_loud_db": -60.0, "max_silent_share": 0.2}


def tone(seconds, amplitude=0.3):
    return (amplitude * np.sin(2.0 * np.pi * 440.0 * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)).astype(np.float32)


def test_level_of_a_sine():
    scores = silence.measure(tone(5.0), RATE_HZ)
    assert scores["loud_db"] == pytest.approx(20.0 * np.log10(0.3 / np.sqrt(2.0)), abs=0.01)
    assert scores["silent_share"] == 0.0 and silence.decide(scores, **LIMITS) == ()


def test_long_silences_count_and_pauses_do_not():
    paused = np.concatenate([tone(5.0), np.zeros(4 * RATE_HZ), tone(5.0), np.zeros(4 * RATE_HZ), tone(6.0)])
    assert silence.measure(paused, RATE_HZ)["silent_share"] == 0.0
    muted = np.concatenate([tone(5.0), np.zeros(6 * RATE_HZ), tone(13.0)])
    scores = silence.measure(muted, RATE_HZ)
    assert scores["silent_share"] == pytest.approx(0.25, abs=0.01)
    assert silence.decide(scores, **LIMITS) == (Reason.SOUND_SILENT,)
    assert silence.decide(scores, min_loud_db=-60.0, max_silent_share=0.3) == ()


def test_the_noise_of_a_room_is_no_silence():
    hiss = 0.3e-2 * np.random.default_rng(0).standard_normal(10 * RATE_HZ)
    assert silence.measure(np.concatenate([tone(10.0), hiss]), RATE_HZ)["silent_share"] == 0.0


def test_mostly_muted():
    scores = silence.measure(np.concatenate([tone(1.0), np.zeros(40 * RATE_HZ)]), RATE_HZ)
    assert scores["silent_share"] > 0.95


@pytest.mark.parametrize("samples", [np.zeros(0, np.float32), np.zeros(10 * RATE_HZ, np.float32), tone(10.0, 1e-5)])
def test_no_sound(samples):
    assert silence.decide(silence.measure(samples, RATE_HZ), **LIMITS) == (Reason.SOUND_SILENT,)
