import numpy as np
import pytest
from PIL import Image

from handroll.camera import Camera
from handroll.drawing.contact_sheet import MARGIN_PX, TITLE_PX, draw_contact_sheet, sheet_frames
from handroll.drawing.hands import COLOURS, draw_hand
from handroll.drawing.keyroll import NUMBER, KeyRoll
from handroll.drawing.notes import PRESSED, RINGING, NoteTimeline, note_colour
from handroll.drawing.overlay import draw_badges, draw_overlay, draw_time
from handroll.drawing.placeholder import draw_placeholder, write_placeholder_video
from handroll.drawing.text import draw_plate, draw_text, text_size_px, wrap
from handroll.hand.skeleton import HANDS
from handroll.keyboard.geometry import STANDARD, playing_points_mm
from handroll.keyboard.projection import straight_down
from handroll.media.frames import read_frames
from handroll.media.probe import probe
from handroll.media.write import VideoWriter
from handroll.tables import FINGERED_NOTES, NOTES, State

GREY = 100
CAMERA = Camera(320, 240, 400.0, "config")


def open_hand_px(centre, length):
    from handroll.hand.template import open_hand

    joints = open_hand().joints_m[:, [2, 0]]
    return (joints - joints.mean(axis=0)) * length / 0.186 + centre


def motion_of(states, fps=30.0):
    """One state a frame for both hands, held still in two places."""
    states = np.repeat(np.array(states, np.int8)[:, None], 2, axis=1)
    px = np.stack([open_hand_px((100, 120), 90), open_hand_px((220, 120), 90)])
    joints = np.concatenate([(px - (160, 120)) / 400.0, np.ones((2, 21, 1))], axis=-1)
    joints_m = np.where((states > 0)[..., None, None], joints, np.nan)
    return {"joints_m": joints_m, "state": states, "time_s": np.repeat(np.arange(len(states))[:, None] / fps, 2, axis=1)}


def notes_of(*rows):
    onset, release, silent, pitch = (np.array(values) for values in zip(*rows, strict=True))
    return {"onset_s": onset, "key_offset_s": release, "sounding_offset_s": silent, "pitch": pitch, "velocity": np.full(len(rows), 64)}


def fingered(notes, hand, finger):
    return {**notes, "hand": np.array(hand, dtype=object), "finger": np.array(finger, dtype=np.int8)}


@pytest.fixture
def grey_video(tmp_path):
    path = tmp_path / "grey.mp4"
    with VideoWriter(path, 320, 240, 30) as writer:
        for number in range(12):
            writer.write(np.full((240, 320, 3), GREY, np.uint8), number / 30)
    return path


def last_frame(path):
    return list(read_frames(path))[-1].image.astype(int)


@pytest.mark.parametrize("hand", HANDS)
def test_hand_is_drawn_in_its_colour_and_stays_near_its_joints(hand):
    image = np.full((240, 320, 3), GREY, np.uint8)
    joints = open_hand_px((150, 120), 100)
    draw_hand(image, joints, hand, State.OBSERVED)
    changed = np.argwhere((image != GREY).any(axis=2))[:, ::-1]
    assert len(changed) > 500
    assert (np.linalg.norm(changed[:, None] - joints, axis=2).min(axis=1) < 30).all()
    knuckle = image[tuple(np.round(joints[4][::-1]).astype(int))]
    assert np.argmax(knuckle) == np.argmax(COLOURS[hand])


def test_interpolated_is_paler_and_hidden_is_not_drawn():
    pictures = {}
    for state in State:
        pictures[state] = np.full((240, 320, 3), GREY, np.uint8)
        draw_hand(pictures[state], open_hand_px((150, 120), 100), "left", state)
    change = {state: np.abs(picture.astype(int) - GREY).sum() for state, picture in pictures.items()}
    assert change[State.HIDDEN] == 0
    assert 0 < change[State.INTERPOLATED] < 0.7 * change[State.OBSERVED]


def test_hand_outside_or_unknown_draws_nothing_and_does_not_fail():
    image = np.full((60, 60, 3), GREY, np.uint8)
    draw_hand(image, open_hand_px((900, 900), 100), "left", State.OBSERVED)
    draw_hand(image, np.full((21, 2), np.nan), "left", State.OBSERVED)
    assert (image == GREY).all()


def test_overlay_shows_hands_only_where_they_are_visible(grey_video, tmp_path):
    out = {state: tmp_path / f"{state.name}.mp4" for state in State}
    for state, path in out.items():
        draw_overlay(grey_video, motion_of([state] * 12), CAMERA, None, path)
    area = np.s_[80:200, 60:260]
    assert np.abs(last_frame(out[State.HIDDEN])[area] - GREY).max() < 12
    assert (np.abs(last_frame(out[State.OBSERVED])[area] - GREY).max(axis=2) > 40).sum() > 1500


def test_overlay_keeps_times_sound_and_adds_the_key_roll(grey_video, tmp_path):
    sound = np.sin(np.arange(17640) * 0.1).astype(np.float32) * 0.2, 44100
    draw_overlay(grey_video, motion_of([2] * 12), CAMERA, notes_of((0.1, 0.3, 0.4, 60)), tmp_path / "out.mp4", audio=sound)
    made = probe(tmp_path / "out.mp4")
    assert (made.width_px, made.n_frames, made.has_audio) == (320, 12, True)
    assert 240 < made.height_px <= 300
    times = [frame.time_s for frame in read_frames(tmp_path / "out.mp4")]
    np.testing.assert_allclose(times, np.arange(12) / 30, atol=1e-3)


def test_key_roll_lights_the_key_that_sounds():
    roll = KeyRoll(notes_of((1.0, 1.5, 2.0, 60), (1.0, 1.5, 2.0, 61)), 1040, 120)
    still, down, ringing = roll.at(5.0), roll.at(1.2), roll.at(1.8)
    white = (110, int((23 + 0.5) * 20))  # C4 is the 24th white key
    assert (down[white] == PRESSED).all() and (ringing[white] == RINGING).all() and (still[white] == still[110, 30]).all()
    coming = roll.at(0.0)
    assert (coming[:66] != still[:66]).any() and (coming[70:] == still[70:]).all()


@pytest.mark.parametrize(("hand", "finger"), [("left", 3), ("right", 1), ("", 0)])
def test_key_roll_shows_hand_and_finger(hand, finger):
    notes = fingered(notes_of((1.0, 1.5, 2.0, 60)), [hand], [finger])
    roll = KeyRoll(notes, 1040, 120)
    head = np.s_[104:118, 462:478]  # C4's
    coming = np.s_[:66, 455:485]
    for strip, area in ((roll.at(1.2), head), (roll.at(0.0), coming)):
        assert (strip[area] == note_colour(hand)).all(axis=2).sum() > 50
        assert ((strip[area] == NUMBER).all(axis=2).sum() > 5) == bool(finger)
    assert (roll.at(1.8)[head] == note_colour(hand, held=False)).all()


def test_key_roll_leaves_out_numbers_that_would_touch():
    trill = [(1.0 + 0.1 * n, 1.08 + 0.1 * n, 1.08 + 0.1 * n, 60) for n in range(6)]
    strip = KeyRoll(fingered(notes_of(*trill), ["left"] * 6, [1] * 6), 1040, 120).at(0.0)
    one = KeyRoll(fingered(notes_of(trill[0]), ["left"], [1]), 1040, 120).at(0.0)
    white, white_of_one = ((picture[:66] == NUMBER).all(axis=2).sum() for picture in (strip, one))
    assert white_of_one > 0 and 1.5 * white_of_one < white < 3.5 * white_of_one


def test_notes_in_time_finds_long_notes_and_puts_held_ones_last():
    notes = NoteTimeline(notes_of((0.0, 0.1, 9.0, 60), (3.0, 4.0, 9.0, 62), (5.0, 5.5, 5.5, 20), (8.0, 8.5, 9.0, 60)))
    assert notes.sounding(8.2) == [(0, False), (1, False), (3, True)]
    assert notes.sounding(5.2) == [(0, False), (1, False), (2, True)] and notes.key[2] == 0
    assert notes.sounding(-1.0) == [] and notes.sounding(9.5) == []
    assert note_colour("left") == COLOURS["left"] and np.std(note_colour("left", held=False)) < np.std(COLOURS["left"])


@pytest.mark.parametrize("table", [NOTES, FINGERED_NOTES])
def test_notes_in_time_of_an_empty_table(table):
    assert NoteTimeline(table.empty()).sounding(0.0) == []


def test_overlay_shows_the_registered_keys(grey_video, tmp_path):
    view = straight_down(320, 240, np.array([611.0, 75.0, 0.0]), np.array([160.0, 60.0]), np.array([0.25, 0.0]))
    registered = view, STANDARD, range(88)
    notes = fingered(notes_of((0.0, 2.0, 2.0, 60)), ["right"], [2])
    overlays = [
        draw_overlay(grey_video, motion_of([0] * 12), CAMERA, notes, tmp_path / "out.mp4", kept_frames=[11], registered=given)
        for given in (registered, None)
    ]
    shown, plain = (kept[0][0].astype(int) for kept in overlays)
    assert np.abs(plain - GREY).max() < 12
    x, y = np.rint(view.project(playing_points_mm()[39])).astype(int)
    np.testing.assert_allclose(shown[y, x], 0.4 * GREY + 0.6 * np.array(COLOURS["right"]), atol=12)
    behind = shown[10:40, x - 12 : x + 12]
    assert (np.abs(behind - COLOURS["right"]).max(axis=2) < 8).any()
    assert np.abs(shown[120:] - GREY).max() < 12
    still = draw_overlay(grey_video, motion_of([0] * 12), CAMERA, None, tmp_path / "out.mp4", kept_frames=[11], registered=registered)[0][0]
    assert (np.abs(still.astype(int) - GREY).max(axis=2) > 12).sum() > 500


def test_hands_lie_over_the_grid(grey_video, tmp_path):
    view = straight_down(320, 240, np.array([611.0, 75.0, 0.0]), np.array([160.0, 120.0]), np.array([0.25, 0.0]))
    notes = notes_of(*((0.0, 2.0, 2.0, pitch) for pitch in range(21, 109)))
    settings = {"kept_frames": [5], "registered": (view, STANDARD, range(88))}
    image = draw_overlay(grey_video, motion_of([2] * 12), CAMERA, notes, tmp_path / "out.mp4", **settings)[0][0].astype(int)
    joints = open_hand_px((100, 120), 90)
    knuckles = np.rint(joints[(np.abs(joints[:, 1] - 120) < 15) & (np.arange(21) < 16)]).astype(int)  # on the keys; tips are white
    assert len(knuckles) > 2
    for x, y in knuckles:
        np.testing.assert_allclose(image[y, x], 0.85 * np.array(COLOURS["left"]) + 0.15 * 100, atol=40)


def test_contact_sheet_of_the_kept_frames(grey_video, tmp_path):
    motion = motion_of([2] * 6 + [1] * 3 + [0] * 3)
    keep = sheet_frames(12)
    pictures = draw_overlay(grey_video, motion, CAMERA, None, tmp_path / "out.mp4", kept_frames=keep)
    assert [round(time_s * 30) for _, time_s in pictures] == keep
    draw_contact_sheet(pictures, motion["state"], tmp_path / "sheet.png", "anna/one")
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert sheet.shape[1] == 1600 and sheet.std() > 10
    lane = sheet[-20 - 12, 100:-20]
    assert len(np.unique(lane, axis=0)) == 3  # observed, interpolated, hidden


def test_sheet_frames_are_spread_and_never_twice():
    assert sheet_frames(1) == [0]
    assert len(sheet_frames(5)) == 5
    frames = sheet_frames(1300)
    assert len(frames) == 12 and frames[0] == 100 and max(np.diff(frames)) <= 101


def test_placeholder_is_a_playable_video(tmp_path):
    image = draw_placeholder("anna/one", ["unreadable: The file is not a media file that can be opened. " * 4])
    write_placeholder_video(image, tmp_path / "placeholder.mp4")
    assert probe(tmp_path / "placeholder.mp4").readable


def test_wrapped_lines_fit():
    lines = wrap("a few words that do not fit into one narrow line", 120, 14)
    assert len(lines) > 2 and all(text_size_px(line, 14)[0] <= 120 for line in lines)


def luminance(pixels):
    """Relative luminance of sRGB pixels (..., 3), as WCAG 2.2 has it."""
    share = np.asarray(pixels, float) / 255.0
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def page(shade):
    """An image of one grey, or a white page of sheet music: dark staves and note heads."""
    image = np.full((360, 640, 3), 255 if shade == "score" else shade, np.uint8)
    if shade == "score":
        image[::7] = 0
        image[5:30:9, 3:640:11] = 0
    return image


def cells_of(image, folder):
    """The upper left corner of the first image on a contact sheet."""
    draw_contact_sheet([(image, 0.0)], np.full((3, 2), State.OBSERVED), folder / "sheet.png", "title")
    sheet = np.asarray(Image.open(folder / "sheet.png"))
    return sheet[TITLE_PX : TITLE_PX + 24, MARGIN_PX : MARGIN_PX + 64]


def clock_of(image, folder):
    drawn = image.copy()
    draw_time(drawn, 61.5, "anna/one")
    return drawn[5:22, 500:633]


def badges_of(image, folder):
    drawn = image.copy()
    draw_badges(drawn, (State.OBSERVED, State.HIDDEN))
    return drawn[6:20, 10:100]


@pytest.mark.parametrize("shade", [0, 90, 170, 255, "score"])
@pytest.mark.parametrize("text_of", [cells_of, clock_of, badges_of])
def test_text_on_a_picture_is_readable_whatever_it_shows(tmp_path, text_of, shade):
    """WCAG 2.2 asks for a contrast of 4.5 between letters and what is behind them."""
    light = np.sort(luminance(text_of(page(shade), tmp_path)).ravel())
    letters, behind = light[-len(light) // 50 :].mean(), light[: len(light) * 3 // 4].max()
    assert (letters + 0.05) / (behind + 0.05) > 4.5


def test_a_plate_may_reach_over_the_edge():
    image = np.full((20, 20, 3), 255, np.uint8)
    draw_plate(image, -5, -5, 10, 10)
    assert image[0, 0].max() < 90 and image[10, 10].min() == 255
    draw_plate(image, 15, 15, 40, 40)
    assert image[-1, -1].max() < 90


def test_outlined_text_is_visible_on_its_own_colour():
    image = np.full((40, 40, 3), 255, np.uint8)
    draw_text(image, "1", 10, 5, 20, (255, 255, 255), bold=True, outline=(0, 0, 0))
    dark = np.argwhere((image < 60).all(axis=2))
    assert len(dark) > 20
    top, left = dark.min(axis=0)
    bottom, right = dark.max(axis=0)
    inside = (image[top : bottom + 1, left : right + 1] > 200).all(axis=2)
    assert inside.sum() > 20 and (image[:, :8] == 255).all()
