import numpy as np
import pytest

from handroll.reasons import Reason
from handroll.screening import clipping

LIMIT = 0.002
RNG_SEED = 3


def music(size=400_000):
    """Something with the distribution of music: a Gaussian whose loudness rises and falls."""
    rng = np.random.default_rng(RNG_SEED)
    return (0.1 * rng.standard_normal(size) * np.exp(0.5 * np.sin(np.arange(size) / 20_000.0))).astype(np.float32)


def cut(samples, share):
    limit = np.quantile(np.abs(samples), 1.0 - share)
    return np.clip(samples, -limit, limit)


def test_whole_sound_passes():
    scores = clipping.measure(music())
    assert 0.0 < scores["clipped_share"] < 0.5 * LIMIT
    assert clipping.decide(scores, LIMIT) == ()


@pytest.mark.parametrize("share", [0.01, 0.03])
@pytest.mark.parametrize("ripple", [0.0, 0.02])
def test_clipped(share, ripple):
    samples = cut(music(), share)
    samples = samples + ripple * samples.max() * np.random.default_rng(1).standard_normal(len(samples))
    assert clipping.decide(clipping.measure(samples), LIMIT) == (Reason.SOUND_CLIPPED,)


def test_one_side_is_enough():
    samples = music()
    samples = np.maximum(samples, np.quantile(samples, 0.01))
    assert clipping.decide(clipping.measure(samples), LIMIT) == (Reason.SOUND_CLIPPED,)


def test_a_click_hides_nothing():
    samples = cut(music(), 0.01)
    samples[[10, 20_000, 30_000]] = 1.0, -1.0, 1.0
    assert clipping.decide(clipping.measure(samples), LIMIT) == (Reason.SOUND_CLIPPED,)


def test_gain_does_not_matter():
    assert clipping.measure(music()) == pytest.approx(clipping.measure(music() / 64.0))


def test_no_sound():
    assert clipping.measure(np.zeros(0)) == clipping.measure(np.zeros(100)) == {"clipped_share": 0.0}
