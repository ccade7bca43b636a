import numpy as np
import pytest

from handroll.generation.finger_features import FINGER_CHANNELS, HAND_CHANNELS, finger_features
from handroll.keyboard.geometry import STANDARD, key_centres_x_mm

RATE_HZ, FRAMES = 30.0, 90
OF_HAND = 5 * FINGER_CHANNELS + HAND_CHANNELS
LEFT, RIGHT = 0, 1


def notes_at(onset_s, release_s, pitch):
    onset_s = np.array(onset_s)
    return {
        "onset_s": onset_s,
        "key_offset_s": np.array(release_s),
        "pitch": np.array(pitch),
        "velocity": np.full(len(onset_s), 127),
    }


def test_a_finger_knows_its_last_and_its_next_note():
    # The right thumb plays C4 and then C#4.
    notes = notes_at([1.0, 2.0], [1.5, 2.5], [60, 61])
    features = finger_features(notes, np.array([RIGHT, RIGHT]), np.array([0, 0]), RATE_HZ, FRAMES)
    thumb = features[:, :FINGER_CHANNELS]
    assert features.shape == (FRAMES, 2 * OF_HAND)
    assert np.flatnonzero(thumb[:, 0]).tolist() == [30, 60] and thumb[30, 0] == 1.0
    assert np.flatnonzero(thumb[:, 1]).tolist() == [*range(30, 46), *range(60, 76)]
    x = (key_centres_x_mm()[[39, 40]] - 0.5 * STANDARD.width_mm) / 200.0
    # Before the first note it is the next one, and there is no last one.
    assert thumb[0, 2:4] == pytest.approx([x[0], 0.0]) and thumb[0, 6:10] == pytest.approx(0.0)
    # Between the notes the black key is the next one.
    assert thumb[50, 2:4] == pytest.approx([x[1], 1.0]) and thumb[50, 6:8] == pytest.approx([x[0], 0.0])
    assert thumb[45, 4] < thumb[50, 4] < thumb[59, 4] and thumb[45, 8] > thumb[50, 8]
    # The hand moves from the place for the first note to that for the second.
    place = features[:, 5 * FINGER_CHANNELS]
    assert place[59] - place[46] == pytest.approx(x[1] - x[0], rel=0.1) and np.all(np.diff(place[46:60]) >= 0.0)
    assert not features[:, FINGER_CHANNELS : 5 * FINGER_CHANNELS].any() and not features[:, OF_HAND:].any()


def test_the_left_hand_is_the_mirror_image():
    rng = np.random.default_rng(3)
    onset_s = np.sort(rng.uniform(0.0, 3.0, 20))
    key = rng.integers(0, 88, 20)
    finger = rng.integers(0, 5, 20)
    # The keyboard is not symmetrical, but white keys have mirror images.
    white = np.array([k for k in key if _mirror(k) is not None])
    notes, mirrored = (notes_at(onset_s[: len(white)], onset_s[: len(white)] + 0.3, 21 + keys) for keys in (white, _mirrored(white)))
    right = finger_features(notes, np.full(len(white), RIGHT), finger[: len(white)], RATE_HZ, FRAMES)
    left = finger_features(mirrored, np.full(len(white), LEFT), finger[: len(white)], RATE_HZ, FRAMES)
    np.testing.assert_allclose(right[:, :OF_HAND], left[:, OF_HAND:], atol=1e-6)


def _mirror(key):
    x = STANDARD.width_mm - key_centres_x_mm()[key]
    found = np.flatnonzero(np.abs(key_centres_x_mm() - x) < 0.5)
    return int(found[0]) if len(found) else None


def _mirrored(keys):
    return np.array([_mirror(key) for key in keys])


def test_notes_without_a_finger_are_ignored():
    notes = notes_at([1.0], [1.5], [60])
    assert not finger_features(notes, np.array([RIGHT]), np.array([-1]), RATE_HZ, FRAMES).any()
