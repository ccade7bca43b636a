import pytest

from handroll.music.alignment.clock_offset import estimate_clock_offset


@pytest.mark.parametrize("transcribed", [True, False])
@pytest.mark.parametrize("shift_ms", [-60, 10])
def test_shift_is_measured_to_3_ms(played, shift_ms, transcribed):
    late = played.notes | {"onset_s": played.notes["onset_s"] + shift_ms * 1e-3}
    clock = estimate_clock_offset(late, played.samples, played.rate_hz, played.transcription if transcribed else None)
    assert clock.lag_s == pytest.approx(-shift_ms * 1e-3, abs=3e-3)
    assert 0.0 < clock.lag_error_s < 1e-3


def test_drift_is_measured(played):
    slow = played.notes | {"onset_s": played.notes["onset_s"] * 1.001 + 2.0}
    time_map = estimate_clock_offset(slow, played.samples, played.rate_hz, played.transcription).time_map
    assert time_map.drift == pytest.approx(-1e-3, abs=2e-4)
    assert time_map.offset_s == pytest.approx(-2.0, abs=6e-3)
