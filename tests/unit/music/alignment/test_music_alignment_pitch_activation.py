import numpy as np

from handroll.music.alignment.pitch_activation import activations, masked_notes, relative_activations


def test_true_notes_sound_and_others_do_not(played):
    activation = activations(played.samples, played.rate_hz, played.notes["onset_s"])
    assert activation.shape == (len(played.notes["pitch"]), 88)
    assert np.mean(relative_activations(activation, played.notes["pitch"]) > 0.03) > 0.97
    assert np.mean(relative_activations(activation, played.notes["pitch"], 2) > 0.03) < 0.1


def test_silence_and_pitches_outside_the_keyboard_have_no_activation():
    activation = activations(np.zeros(1000, np.float32), 16000, np.array([0.01, 0.5, 30.0]))
    assert not activation.any()
    assert relative_activations(np.ones((2, 88)), np.array([108, 60]), 1).tolist() == [0.0, 1.0]
    assert activations(np.zeros(0, np.float32), 16000, np.zeros(0)).shape == (0, 88)


def test_octaves_and_twelfths_are_masked():
    assert masked_notes(np.array([1.0, 1.01, 1.02, 2.0]), np.array([48, 60, 61, 60])).tolist() == [False, True, False, False]
    assert masked_notes(np.array([1.0, 1.02]), np.array([67, 48])).tolist() == [True, False]
