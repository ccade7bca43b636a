import numpy as np

from handroll.training_data.music_features import (
    HOP,
    N_DESCRIPTORS,
    N_MELS,
    audio_descriptors,
    descriptor_rate_hz,
    log_mel,
    log_mel_rate_hz,
    note_roll,
)

NOTES = {
    "onset_s": np.array([1.0, 1.5 + 0.25 / 30.0]),
    "key_offset_s": np.array([2.0, 1.9]),
    "pitch": np.array([21, 108]),
    "velocity": np.array([127, 1]),
}
PEDAL = {"onset_s": np.array([-1.0]), "offset_s": np.array([0.5])}
NONE = {"onset_s": np.empty(0), "offset_s": np.empty(0)}


def test_an_onset_is_in_its_frame():
    rate = log_mel_rate_hz(30.0)
    assert rate == 2 * 30 * HOP
    samples = np.zeros(4 * rate, np.float32)
    time_s = np.arange(rate) / rate
    samples[2 * rate : 3 * rate] = 0.3 * np.sin(2 * np.pi * 440.0 * time_s) * np.exp(-3.0 * time_s)
    features = log_mel(samples, 30.0, 120)
    assert features.shape == (120, 2 * N_MELS) and features.dtype == np.float32 and np.isfinite(features).all()
    loudness = features.mean(axis=1)
    assert abs(int(np.argmax(np.diff(loudness))) - 59) <= 2
    assert features[:55].std() < 1e-3 and np.abs(features).max() < 4.0


def test_audio_that_is_too_short_is_padded_with_silence():
    features = log_mel(np.zeros(log_mel_rate_hz(30.0), np.float32), 30.0, 90)
    assert features.shape == (90, 2 * N_MELS)
    np.testing.assert_allclose(features, features[0, 0], atol=1e-6)


def test_the_roll_contains_onsets_held_keys_and_pedal():
    roll = note_roll(NOTES, PEDAL, 30.0, 90)
    assert roll.shape == (90, 177)
    assert roll[30, 0] == 1.0 and roll[:, 0].sum() == 1.0
    level = 0.5 + 0.5 / 127
    np.testing.assert_allclose(roll[[45, 46], 87], [0.75 * level, 0.25 * level], atol=1e-6)
    assert roll[31:60, 88].all() and roll[30, 88] == 0.5 and roll[60, 88] == 0.5 and not roll[61:, 88].any()
    assert roll[:15, -1].all() and roll[15, -1] == 0.5 and not roll[16:, -1].any()


def test_delay_moves_the_notes_back_to_the_motion():
    np.testing.assert_allclose(note_roll(NOTES, NONE, 30.0, 90, delay_s=0.1)[:80], note_roll(NOTES, NONE, 30.0, 90)[3:83], atol=1e-5)


def test_audio_descriptors_have_onset_pitch_class_and_loudness_in_their_frames():
    rate = descriptor_rate_hz(50.0)
    samples, time_s = np.zeros(3 * rate, np.float32), np.arange(rate) / rate
    samples[rate : 2 * rate] = 0.3 * np.sin(2 * np.pi * 440.0 * time_s)
    features = audio_descriptors(samples, 50.0, 200)
    assert features.shape == (200, N_DESCRIPTORS) == (200, 35) and features.dtype == np.float32 and np.isfinite(features).all()
    strength, chroma, peaks, loudness = features[:, 0], features[:, 21:33], features[:, 33], features[:, 34]
    assert abs(int(np.argmax(strength)) - 50) <= 2 and np.flatnonzero(peaks[:60]).min() >= 46
    assert chroma[75].argmax() == 9
    assert loudness[60:90].min() > 10.0 * loudness[[10, 30, 130, 190]].max() and np.abs(features).max() < 15.0
