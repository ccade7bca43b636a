from dataclasses import replace

import cv2
import numpy as np
import pytest

from handroll.drawing.hands import COLOURS
from handroll.drawing.keyboard import GRID, KeyboardDrawing, key_shapes_px
from handroll.drawing.notes import PRESSED
from handroll.keyboard.geometry import STANDARD, key_of_pitch, playing_points_mm
from handroll.keyboard.projection import straight_down

GREY = 100
SIZE = 1280, 720
VIEW = straight_down(*SIZE, np.array([611.0, 75.0, 0.0]), np.array([640.0, 380.0]), np.array([1.0, 0.05]))
BENT = replace(VIEW, k1=-0.15)
E4, FS4, G4, AS4 = (int(key_of_pitch(pitch)) for pitch in (64, 66, 67, 70))


def notes_of(*rows, hand=None, finger=None):
    onset, release, silent, key = (np.array(values) for values in zip(*rows, strict=True))
    notes = {"onset_s": onset, "key_offset_s": release, "sounding_offset_s": silent, "pitch": key + 21, "velocity": np.full(len(rows), 64)}
    labels = {} if hand is None else {"hand": np.array(hand, dtype=object), "finger": np.array(finger, dtype=np.int8)}
    return {**notes, **labels}


def drawn(notes, time_s=0.5, view=VIEW, keys=range(88), size=SIZE, fingers=False):
    image = np.full((size[1], size[0], 3), GREY, np.uint8)
    drawing = KeyboardDrawing(view, STANDARD, keys, notes, *size)
    if fingers:
        drawing.draw_fingers(image, time_s)
    else:
        drawing.draw_keys(image, time_s)
    return image.astype(int)


def at(image, point_mm, view=VIEW):
    x, y = np.rint(view.project(point_mm) * (image.shape[1] / view.width_px)).astype(int)
    return image[y, x]


def played(key):
    return playing_points_mm()[key]


def changed(image):
    return np.argwhere((image != GREY).any(axis=2))[:, ::-1]


@pytest.mark.parametrize("size", [(1280, 720), (640, 360), (1920, 1080)])
@pytest.mark.parametrize("key", [0, E4, FS4, 87])
def test_sounding_key_is_filled_at_its_place_and_its_neighbours_are_not(size, key):
    image = drawn(notes_of((0.0, 1.0, 1.0, key)), size=size)
    np.testing.assert_allclose(at(image, played(key)), 0.4 * GREY + 0.6 * np.array(PRESSED), atol=2)
    neighbours = [other for other in (key - 1, key + 1) if 0 <= other < 88]
    assert all((at(image, played(other)) == GREY).all() for other in neighbours)


def test_key_follows_the_lens():
    bent, straight = drawn(notes_of((0.0, 1.0, 1.0, 2)), view=BENT), drawn(notes_of((0.0, 1.0, 1.0, 2)))
    assert np.linalg.norm(BENT.project(played(2)) - VIEW.project(played(2))) > 15
    assert (at(bent, played(2), BENT) != GREY).all() and (at(bent, played(2), VIEW) == GREY).all()
    assert (at(straight, played(2), VIEW) != GREY).all()


def test_grid_bends_between_the_corners():
    front = BENT.project(np.array([[STANDARD.white_pitch_mm * n, 0.0, 0.0] for n in range(53)]))
    seen = key_shapes_px(BENT, STANDARD, range(88))
    low = np.concatenate([shape.face_px for shape in seen.values()])
    middle = BENT.project(np.array([STANDARD.white_pitch_mm / 2, 75.0, 0.0]))
    assert np.abs(low[:, None] - front).sum(axis=2).min(axis=0).max() < 1e-9
    edge = BENT.project(np.array([0.0, 75.0, 0.0]))
    assert np.linalg.norm(seen[0].face_px - edge, axis=1).min() < 5.5  # pieces of 10 mm, 1 px each
    assert np.linalg.norm(seen[0].face_px - middle, axis=1).min() > 5.5


def test_grid_shows_lines_between_keys_and_nothing_elsewhere():
    image = drawn(None)
    line = at(image, np.array([10 * STANDARD.white_pitch_mm, 20.0, 0.0]))
    assert (np.sign(line - GREY) == np.sign(np.array(GRID) - GREY)).all() and np.abs(line - GREY).max() > 30
    assert all((at(image, played(key)) == GREY).all() for key in range(88))
    hull = cv2.convexHull(np.concatenate([shape.body_px for shape in key_shapes_px(VIEW, STANDARD, range(88)).values()]).astype(np.float32))
    inside = [cv2.pointPolygonTest(hull, point, True) for point in changed(image).astype(float)]
    assert len(inside) > 5000 and min(inside) > -2.0


def test_lines_behind_a_black_key_are_hidden():
    shape = key_shapes_px(VIEW, STANDARD, range(88))[FS4]
    image = drawn(None)
    assert (image[tuple(np.rint(shape.face_px.mean(axis=0)).astype(int)[::-1])] == GREY).all()
    white = drawn(notes_of((0.0, 1.0, 1.0, G4)))
    assert (at(white, played(FS4)) == GREY).all()


def test_keys_that_are_not_seen_are_not_drawn():
    image = drawn(notes_of((0.0, 1.0, 1.0, 5), (0.0, 1.0, 1.0, E4), hand=["left", "left"], finger=[1, 2]), keys=range(30, 60))
    left, right = (VIEW.project(played(key))[0] for key in (29, 60))
    x = changed(image)[:, 0]
    assert left < x.min() and x.max() < right + 10  # the camera is rolled: the far ends lie to the right
    assert (at(image, played(E4)) != GREY).any()


def test_no_key_seen_draws_nothing():
    notes = notes_of((0.0, 1.0, 1.0, E4), hand=["left"], finger=[1])
    assert not len(changed(drawn(notes, keys=range(0)))) and not len(changed(drawn(notes, keys=range(0), fingers=True)))


def test_colours_show_the_hand_unknown_labels_and_the_pedal():
    rows = [(0.0, 1.0, 1.0, E4), (0.0, 1.0, 1.0, G4), (0.0, 1.0, 1.0, AS4), (0.0, 0.2, 1.0, 0), (0.0, 0.2, 0.3, 87)]
    image = drawn(notes_of(*rows, hand=["left", "right", "", "left", "left"], finger=[1, 2, 0, 3, 4]))
    change = {key: at(image, played(key)) - GREY for *_, key in rows}
    for key, colour in ((E4, COLOURS["left"]), (G4, COLOURS["right"]), (AS4, PRESSED), (0, COLOURS["left"])):
        share = 0.3 if key == 0 else 0.6
        np.testing.assert_allclose(change[key], share * (np.array(colour) - GREY), atol=2)
    assert (change[87] == 0).all()


def test_finger_numbers_stand_behind_their_keys():
    for key in (E4, FS4):
        image = drawn(notes_of((0.0, 1.0, 1.0, key), hand=["left"], finger=[3]), fingers=True)
        centre = changed(image).mean(axis=0)
        x, y = VIEW.on_plane(centre)
        assert abs(x - played(key)[0]) < 4.0 and STANDARD.white_length_mm < y < STANDARD.white_length_mm + 60.0
        assert (np.abs(image - COLOURS["left"]).max(axis=2) < 3).sum() > 20


def test_no_number_for_unknown_labels_plain_notes_and_ringing_strings():
    silent = [
        notes_of((0.0, 1.0, 1.0, E4), hand=[""], finger=[0]),
        notes_of((0.0, 1.0, 1.0, E4)),
        notes_of((0.0, 0.2, 1.0, E4), hand=["left"], finger=[1]),
    ]
    assert all(not len(changed(drawn(notes, fingers=True))) for notes in silent)


@pytest.mark.parametrize("size", [(1280, 720), (640, 360)])
def test_numbers_of_a_cluster_do_not_touch(size):
    keys = range(E4, E4 + 7)
    alone = [drawn(notes_of((0.0, 1.0, 1.0, key), hand=["left"], finger=[4]), size=size, fingers=True) != GREY for key in keys]
    assert (np.sum([mask.any(axis=2) for mask in alone], axis=0) <= 1).all()


def test_numbers_stay_in_a_picture_that_ends_at_the_keys():
    cut = replace(VIEW, height_px=400, off_centre_px=(0.0, 400 / 2 - 520.0))
    assert cut.project(np.array([611.0, STANDARD.white_length_mm, 0.0]))[1] < 0
    notes = notes_of((0.0, 1.0, 1.0, E4), (0.0, 1.0, 1.0, FS4), hand=["left", "left"], finger=[1, 2])
    points = changed(drawn(notes, view=cut, size=(1280, 400), fingers=True))
    assert points[:, 1].min() >= 1 and np.ptp(points[:, 1]) > 25  # whole, and still in two rows


def test_a_key_struck_again_while_it_rings_is_held():
    struck = drawn(notes_of((0.0, 0.2, 1.0, E4), (0.4, 0.9, 0.9, E4)))
    ringing = drawn(notes_of((0.0, 0.2, 1.0, E4)))
    assert np.abs(at(struck, played(E4)) - PRESSED).sum() < np.abs(at(ringing, played(E4)) - PRESSED).sum()
