import numpy as np
import pytest

from handroll.config.pipeline import Screening
from handroll.screening.audio_quality import SPEECH_PROBABILITY, measure_clipping, measure_silence, measure_speech
from handroll.screening.criteria import CRITERIA

RATE_HZ = 8000
LIMITS = Screening().model_dump()


def passes(criterion, scores):
    assert tuple(scores) == CRITERIA[criterion].scores
    return CRITERIA[criterion].decide(scores, LIMITS[criterion]) == ()


def tone(seconds, amplitude=0.3):
    return (amplitude * np.sin(2.0 * np.pi * 440.0 * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)).astype(np.float32)


def test_level_of_a_sine():
    scores = measure_silence(tone(5.0), RATE_HZ)
    assert scores["loud_db"] == pytest.approx(20.0 * np.log10(0.3 / np.sqrt(2.0)), abs=0.01)
    assert scores["silent_share"] == 0.0 and passes("silence", scores)


def test_long_silences_count_and_pauses_do_not():
    paused = np.concatenate([tone(5.0), np.zeros(4 * RATE_HZ), tone(5.0), np.zeros(4 * RATE_HZ), tone(6.0)])
    assert measure_silence(paused, RATE_HZ)["silent_share"] == 0.0
    muted = np.concatenate([tone(5.0), np.zeros(6 * RATE_HZ), tone(13.0)])
    scores = measure_silence(muted, RATE_HZ)
    assert scores["silent_share"] == pytest.approx(0.25, abs=0.01)
    assert not passes("silence", scores)


def test_the_noise_of_a_room_is_no_silence():
    hiss = 0.3e-2 * np.random.default_rng(0).standard_normal(10 * RATE_HZ)
    assert measure_silence(np.concatenate([tone(10.0), hiss]), RATE_HZ)["silent_share"] == 0.0


def test_mostly_muted():
    scores = measure_silence(np.concatenate([tone(1.0), np.zeros(40 * RATE_HZ)]), RATE_HZ)
    assert scores["silent_share"] > 0.95


@pytest.mark.parametrize("samples", [np.zeros(0, np.float32), np.zeros(10 * RATE_HZ, np.float32), tone(10.0, 1e-5)])
def test_silent_audio(samples):
    assert not passes("silence", measure_silence(samples, RATE_HZ))


def music(size=400_000):
    """Samples with the distribution of music: a Gaussian whose loudness rises and falls."""
    rng = np.random.default_rng(3)
    return (0.1 * rng.standard_normal(size) * np.exp(0.5 * np.sin(np.arange(size) / 20_000.0))).astype(np.float32)


def clip(samples, share):
    limit = np.quantile(np.abs(samples), 1.0 - share)
    return np.clip(samples, -limit, limit)


def test_audio_that_is_not_clipped_passes():
    scores = measure_clipping(music())
    assert 0.0 < scores["clipped_share"] < 0.5 * LIMITS["clipping"]["max_clipped_share"]
    assert passes("clipping", scores)


@pytest.mark.parametrize("share", [0.01, 0.03])
@pytest.mark.parametrize("ripple", [0.0, 0.02])
def test_clipped(share, ripple):
    samples = clip(music(), share)
    samples = samples + ripple * samples.max() * np.random.default_rng(1).standard_normal(len(samples))
    assert not passes("clipping", measure_clipping(samples))


def test_one_clipped_side_is_enough():
    samples = music()
    samples = np.maximum(samples, np.quantile(samples, 0.01))
    assert not passes("clipping", measure_clipping(samples))


def test_clicks_do_not_hide_clipping():
    samples = clip(music(), 0.01)
    samples[[10, 20_000, 30_000]] = 1.0, -1.0, 1.0
    assert not passes("clipping", measure_clipping(samples))


def test_gain_does_not_matter_for_clipping():
    assert measure_clipping(music()) == pytest.approx(measure_clipping(music() / 64.0))


def test_no_audio_is_not_clipped():
    assert measure_clipping(np.zeros(0)) == measure_clipping(np.zeros(100)) == {"clipped_share": 0.0}


def test_share_of_moments_with_speech():
    assert measure_speech(np.array([0.0, 0.5, SPEECH_PROBABILITY, 1.0])) == {"speech_share": 0.5}
    assert measure_speech(np.zeros(0)) == {"speech_share": 0.0}
