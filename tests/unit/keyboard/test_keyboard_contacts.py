import numpy as np

from handroll.keyboard.contacts import key_tops_held_mm
from handroll.keyboard.geometry import STANDARD

TIME_S = np.arange(30) / 10.0


def notes(*rows):
    """Fingered notes of (onset_s, key_offset_s, pitch, hand, finger)."""
    names = ("onset_s", "key_offset_s", "pitch", "hand", "finger")
    kinds = (float, float, np.int8, object, np.int8)
    return {name: np.array([row[n] for row in rows], dtype=kind) for n, (name, kind) in enumerate(zip(names, kinds, strict=True))}


def test_a_finger_holds_its_key_from_onset_to_release():
    held = key_tops_held_mm(notes((0.5, 1.0, 60, "right", 3), (0.95, 1.45, 60, "left", 1)), TIME_S)
    assert held.shape == (30, 2, 5)
    assert np.flatnonzero(np.isfinite(held[:, 1, 2])).tolist() == [5, 6, 7, 8, 9]
    assert np.flatnonzero(np.isfinite(held[:, 0, 0])).tolist() == [10, 11, 12, 13, 14]
    assert np.isfinite(held).sum() == 10 and (held[np.isfinite(held)] == 0.0).all()


def test_black_keys_are_higher():
    chord = notes((0.0, 3.0, 60, "right", 1), (0.0, 3.0, 63, "right", 2))
    held = key_tops_held_mm(chord, TIME_S)
    assert (held[:, 1, 0] == 0.0).all() and (held[:, 1, 1] == STANDARD.black_height_mm).all()


def test_a_key_held_beyond_the_last_frame():
    held = key_tops_held_mm(notes((2.5, 3.5, 61, "left", 5)), TIME_S)
    assert np.flatnonzero(np.isfinite(held[:, 0, 4])).tolist() == list(range(25, 30))


def test_a_withheld_label_makes_no_contact():
    assert np.isnan(key_tops_held_mm(notes((0.0, 3.0, 60, "", 0), (0.0, 3.0, 61, "", 0)), TIME_S)).all()


def test_no_notes_and_no_frames():
    none = notes()
    none = {**none, "pitch": none["pitch"].astype(np.int8)}
    assert np.isnan(key_tops_held_mm(none, TIME_S)).all()
    assert key_tops_held_mm(notes((0.0, 1.0, 60, "left", 1)), np.empty(0)).shape == (0, 2, 5)


def test_a_finger_that_moves_to_the_next_key_holds_the_next_key():
    held = key_tops_held_mm(notes((0.0, 1.0, 60, "right", 2), (0.8, 2.0, 61, "right", 2)), TIME_S)
    assert held[7, 1, 1] == 0.0 and held[8, 1, 1] == held[19, 1, 1] == STANDARD.black_height_mm and np.isnan(held[20, 1, 1])
