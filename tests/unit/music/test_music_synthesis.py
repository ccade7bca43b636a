import numpy as np
import pytest

from handroll.music.notes import note_table, pedal_table
from handroll.music.synthesis import synthesise
from handroll.simulator.composition import compose_score
from handroll.simulator.score import score

RATE_HZ = 44100
NO_PEDAL = pedal_table([], [])


def play(onset_s, offset_s, pitch, velocity, duration_s, pedal=NO_PEDAL, seed=0):
    return synthesise(note_table(onset_s, offset_s, pitch, velocity, pedal), pedal, duration_s, seed, RATE_HZ)


def level(sound, start_s, end_s):
    return np.sqrt(np.mean(np.square(sound[int(start_s * RATE_HZ) : int(end_s * RATE_HZ)], dtype=float)))


def centroid_hz(sound):
    power = np.abs(np.fft.rfft(sound)) ** 2
    return np.sum(power * np.fft.rfftfreq(len(sound), 1 / RATE_HZ)) / np.sum(power)


def test_shape_level_and_repeatability():
    a, b, other = (play([0.5], [1.0], [60], [80], 2.0, seed=seed) for seed in (1, 1, 2))
    assert a.dtype == np.float32 and a.shape == (2 * RATE_HZ,)
    assert np.abs(a).max() == pytest.approx(0.6, abs=0.01)
    np.testing.assert_array_equal(a, b)
    assert np.abs(a - other).max() > 0.01


@pytest.mark.parametrize("pitch", [33, 45, 60, 76, 95])
def test_a_note_sounds_at_its_pitch_from_its_onset(pitch):
    sound = play([0.5], [1.5], [pitch], [70], 2.0)
    assert level(sound, 0.0, 0.499) < 1e-3
    assert level(sound, 0.505, 0.6) > 0.05
    held = sound[int(0.55 * RATE_HZ) : int(1.45 * RATE_HZ)] * np.hanning(int(1.45 * RATE_HZ) - int(0.55 * RATE_HZ))
    size = 1 << 19
    spectrum, hz = np.abs(np.fft.rfft(held, size)), np.fft.rfftfreq(size, 1 / RATE_HZ)
    fundamental = 440.0 * 2.0 ** ((pitch - 69) / 12)
    near = np.abs(12 * np.log2(np.maximum(hz, 1.0) / fundamental)) < 1.0
    peak = hz[near][spectrum[near].argmax()]
    assert abs(1200 * np.log2(peak / fundamental)) < 25


def test_notes_die_away_and_are_damped():
    sound = play([0.1], [1.5], [60], [80], 3.0)
    assert level(sound, 0.15, 0.3) > 1.3 * level(sound, 1.3, 1.45) > 20 * level(sound, 1.9, 2.2)


def test_the_pedal_lets_notes_ring():
    pedal = pedal_table([0.3], [2.5])
    dry, wet = play([0.1], [0.6], [60], [80], 3.0), play([0.1], [0.6], [60], [80], 3.0, pedal)
    assert level(wet, 1.5, 2.0) > 20 * level(dry, 1.5, 2.0)
    assert level(wet, 2.9, 3.0) < 0.1 * level(wet, 2.2, 2.4)


def test_harder_is_louder_and_brighter():
    sound = play([0.1, 1.1], [0.9, 1.9], [60, 60], [40, 110], 2.0)
    soft, hard = sound[int(0.1 * RATE_HZ) : int(0.6 * RATE_HZ)], sound[int(1.1 * RATE_HZ) : int(1.6 * RATE_HZ)]
    assert level(hard, 0, 0.5) > 2.5 * level(soft, 0, 0.5)
    assert centroid_hz(hard) > 1.15 * centroid_hz(soft)


def test_silence_and_notes_at_the_end():
    assert not play([], [], [], [], 1.0).any()
    assert play([0.95], [5.0], [60], [80], 1.0).shape == (RATE_HZ,)


def test_a_piece_begins_with_its_first_note():
    s = score("minuet", 4, 5.0)
    sound = synthesise(s.notes, s.pedal, 5.0, 4)
    assert np.flatnonzero(np.abs(sound) > 0.01)[0] / RATE_HZ == pytest.approx(s.notes["onset_s"][0], abs=0.01)


def test_long_audio_is_the_same_in_blocks(monkeypatch):
    score = compose_score(9, 20.0)
    whole = synthesise(score.notes, score.pedal, 20.0, 9, 8000)
    monkeypatch.setattr("handroll.music.synthesis._BLOCK_SAMPLES", 50_000)
    np.testing.assert_allclose(synthesise(score.notes, score.pedal, 20.0, 9, 8000), whole, atol=1e-6)
