"""Jitter."""

import numpy as np
import pytest

from handroll.metrics.jitter import jitter_rms


def test_jitter_is_the_rms_of_independent_errors_and_zero_for_even_motion():
    rng = np.random.default_rng(0)
    time = np.arange(4000.0)[:, None, None]
    steady = np.concatenate([3.0 + 0.1 * time, 1e-4 * time**2], axis=-1)
    assert jitter_rms(steady) < 1e-9
    noise = rng.normal(size=(4000, 3, 2))
    assert jitter_rms(steady + 0.5 * noise) == pytest.approx(0.5 * np.sqrt(2.0), rel=0.03)


def test_gaps_are_left_out():
    tracks = np.zeros((20, 1, 2))
    tracks[7], tracks[8:] = np.nan, 5.0
    assert jitter_rms(tracks) == 0.0
    assert np.isnan(jitter_rms(tracks[:3])) and np.isnan(jitter_rms(np.full((9, 1, 2), np.nan)))
