import numpy as np
import pytest

from handroll.music.alignment.onset_detection import SEARCH_S, note_lags, onset_curves


@pytest.mark.parametrize("shift_s", [0.0, 0.06, -0.15])
def test_onsets_of_all_notes_are_right_to_3_ms(played, shift_s):
    curves, hop_s = onset_curves(played.samples, played.rate_hz, played.notes["onset_s"] + shift_s, played.notes["pitch"])
    lag_s = note_lags(curves, hop_s)
    assert np.median(lag_s) == pytest.approx(-shift_s, abs=3e-3)
    assert np.percentile(np.abs(lag_s - np.median(lag_s)), 90) < 0.015


def test_blocks_do_not_show(played, monkeypatch):
    asked = played.samples, played.rate_hz, played.notes["onset_s"], played.notes["pitch"]
    whole, _ = onset_curves(*asked)
    monkeypatch.setattr("handroll.music.alignment.onset_detection._BLOCK_S", 1.7)
    np.testing.assert_allclose(onset_curves(*asked)[0], whole, atol=1e-5)


@pytest.mark.parametrize("rate_hz", [8000, 16000, 48000])
def test_any_rate(rate_hz):
    time_s = np.arange(2 * rate_hz) / rate_hz
    tone = sum(np.sin(2 * np.pi * 220 * k * time_s) / k for k in range(1, 11)) * (time_s >= 1.0)
    curves, hop_s = onset_curves(tone.astype(np.float32), rate_hz, np.array([1.02]), np.array([57]))
    assert curves.shape[1] * hop_s == pytest.approx(2 * SEARCH_S, abs=0.01)
    assert note_lags(curves, hop_s)[0] == pytest.approx(-0.02, abs=5e-3)


def test_what_does_not_sound_has_no_lag():
    rate_hz, onset_s = 16000, np.array([0.5, 7.0, -3.0])
    curves, hop_s = onset_curves(np.zeros(rate_hz, np.float32), rate_hz, onset_s, np.array([60, 60, 60]))
    assert np.isnan(note_lags(curves, hop_s)).all() and np.isnan(curves[1:]).all()
