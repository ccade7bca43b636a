from dataclasses import asdict
from functools import cache

import numpy as np
import pytest

from handroll.editing.camera_tracking import CameraTracker
from handroll.editing.edit_detection import EditDetector
from handroll.editing.insets import find_rectangle_change
from handroll.editing.usable_segments import usable_segments

RATE = 30.0
HEIGHT, WIDTH = 144, 256


def _room(seed, low=20, high=230):
    """A still scene full of corners."""
    rng = np.random.default_rng(seed)
    image = np.full((HEIGHT + 40, WIDTH + 40, 3), rng.integers(60, 190, 3), np.uint8)
    for _ in range(120):
        x, y, w, h = rng.integers(0, WIDTH), rng.integers(0, HEIGHT), rng.integers(6, 30), rng.integers(6, 30)
        image[y : y + h, x : x + w] = rng.integers(low, high, 3)
    return image


ROOM, OTHER = _room(1), _room(2)


def _hand_at(x):
    """Mask of a round hand on an arm: bool array (HEIGHT, WIDTH)."""
    across, down = np.arange(WIDTH) - x, np.arange(HEIGHT)[:, None] - 90
    return (across**2 + down**2 < 20**2) | ((down > 0) & (abs(across) < 9))


@cache
def _noise(seed):
    """Eight images of noise, and the one of each frame."""
    rng = np.random.default_rng(seed)
    return rng.normal(0.0, 2.0, (8, HEIGHT, WIDTH, 3)).astype(np.float32), [rng.integers(8) for _ in range(150)]


def _shot(scene, seconds, start_s=0.0, shift=lambda time_s: (0, 0), light=lambda time_s: 1.0, seed=0):
    """Frames of a scene with noise and a hand that moves to and fro."""
    noise, chosen = _noise(seed)
    frames = []
    for k in range(round(seconds * RATE)):
        time_s = start_s + k / RATE
        dx, dy = (round(value) for value in shift(k / RATE))
        image = scene[20 + dy : 20 + dy + HEIGHT, 20 + dx : 20 + dx + WIDTH].astype(np.float32)
        x = round(110 + 60 * np.sin(2.5 * time_s))
        image[_hand_at(x)] = (224, 180, 150)
        frames.append(np.clip(light(k / RATE) * image + noise[chosen[k]], 0, 255).astype(np.uint8))
    return frames


def _with_a_fast_hand(frames, y=118):
    """The same frames with a second hand, at this height, that sweeps from side to side."""
    for k, frame in enumerate(frames):
        x = round(128 + 100 * np.sin(8.0 * k / RATE))
        frame[y - 14 : y + 14, max(x - 14, 0) : x + 14] = (90, 60, 50)
    return frames


def _mixed(before, after):
    shares = (np.arange(len(before)) + 1) / (len(before) + 1)
    return [((1 - s) * a + s * b).astype(np.uint8) for s, a, b in zip(shares, before, after, strict=True)]


def _find(frames):
    detector = EditDetector()
    for k, frame in enumerate(frames):
        detector.add_frame(frame, k / RATE)
    return detector.edits()


def _nothing_but(edits, *names):
    """Whether only these kinds of edit were found."""
    kinds = ("cuts", "jumps", "fades", "black", "blank", "frozen", "titles", "insets", "moves")
    return [name for name in kinds if getattr(edits, name) and name not in names] == []


def test_plain_playing_has_no_edits_and_is_usable_throughout():
    edits = _find(_shot(ROOM, 3.0))
    assert _nothing_but(edits)
    assert edits.frames == 90 and edits.duration_s == pytest.approx(3.0)
    assert usable_segments(asdict(edits)) == [pytest.approx((0.0, 3.0))]


def test_the_view_before_and_after_a_cutaway_is_the_same():
    edits = _find(_shot(ROOM, 2.0) + _shot(OTHER, 1.0, 2.0) + _shot(ROOM, 1.5, 3.0))
    assert edits.cuts == pytest.approx([2.0, 3.0]) and _nothing_but(edits, "cuts")
    assert [place for *_, place in edits.places] == [0, 1, 0]
    assert usable_segments(asdict(edits)) == [pytest.approx((0.0, 2.0)), pytest.approx((3.0, 4.5))]


def test_a_jump_cut_divides_its_view():
    edits = _find(_shot(ROOM, 1.5) + _shot(ROOM, 1.5, 2.8))
    assert edits.jumps == pytest.approx([1.5]) and _nothing_but(edits, "jumps")
    assert usable_segments(asdict(edits)) == [pytest.approx((0.0, 1.5)), pytest.approx((1.5, 3.0))]


def test_jump_cut_during_fast_movement():
    still = [_shot(ROOM, 1 / RATE, start_s, seed=k)[0] for start_s in (0.2, 0.6) for k in range(40)]
    assert _find(_with_a_fast_hand(still, y=16)).jumps == pytest.approx([40 / RATE])


def test_key_that_lights_up_is_no_jump_cut():
    frames = _with_a_fast_hand(_shot(ROOM, 2.5))
    for frame in frames[40:]:
        frame[20:40, 100:130] = 255
    assert not _find(frames).jumps


def test_dissolve_is_found_with_its_ends():
    mixed = _mixed(_shot(ROOM, 0.6, 1.5), _shot(OTHER, 0.6, 1.5))
    edits = _find(_shot(ROOM, 1.5) + mixed + _shot(OTHER, 1.5, 2.1))
    assert _nothing_but(edits, "fades")
    ((start_s, end_s),) = edits.fades
    assert start_s == pytest.approx(1.5, abs=0.1) and end_s == pytest.approx(2.1, abs=0.1)


def test_fade_to_black():
    black = [np.zeros((HEIGHT, WIDTH, 3), np.uint8)] * 20
    edits = _find(_shot(ROOM, 1.5) + _mixed(_shot(ROOM, 0.5, 1.5), black[:15]) + black + _shot(ROOM, 1.5, 3.0))
    assert edits.black[0] == pytest.approx((2.0, 2.0 + 20 / RATE), abs=0.1)
    assert edits.fades[0] == pytest.approx((1.5, 2.0), abs=0.1)
    assert edits.cuts == pytest.approx([2.0 + 20 / RATE])


def test_freeze_is_found_and_rest_with_noise_is_not():
    frames = _shot(ROOM, 1.5)
    edits = _find([*frames, *([frames[-1]] * 15), *_shot(ROOM, 1.5, 1.5, seed=1)])
    assert edits.frozen == [pytest.approx((1.5, 2.0), abs=0.04)]
    assert usable_segments(asdict(edits), min_s=0.5) == [pytest.approx((0.0, 1.5), abs=0.1), pytest.approx((2.0, 3.5), abs=0.1)]


def test_freeze_after_small_movements():
    frames = [frame.copy() for frame in 90 * _shot(ROOM, 1 / RATE, 0.2)]
    for k, frame in enumerate(frames):
        frame[20:60, 20:60] = 100 + 8 * (k % 2)
        frame[25:29, 25:29] = 100 + 18 * (k % 2)
    edits = _find([*frames[:40], *([frames[39]] * 20), *frames[40:]])
    assert edits.frozen == [pytest.approx((40 / RATE, 60 / RATE), abs=0.04)]


def test_rest_after_a_stroke_is_no_freeze_while_there_is_noise():
    rest = [np.clip(frame, 0, 255) for k in range(15) for frame in _shot(ROOM, 1 / RATE, 1.5, seed=k)]
    assert not _find(_shot(ROOM, 1.5) + rest + _shot(ROOM, 1.0, 1.5)).frozen


def test_doubled_frames_are_no_freeze():
    frames = [frame for frame in _shot(ROOM, 2.0) for _ in range(2)]
    assert _nothing_but(_find(frames))


def test_title_card():
    card = np.full((HEIGHT, WIDTH, 3), (10, 10, 60), np.uint8)
    card[60:75, 60:64] = card[60:64, 60:130] = card[60:75, 100:104] = 250
    edits = _find([card] * 40 + _shot(ROOM, 2.0, 40 / RATE))
    assert edits.titles == [pytest.approx((0.0, 40 / RATE), abs=0.05)] and not edits.frozen
    assert usable_segments(asdict(edits), min_s=0.5) == [pytest.approx((40 / RATE, 2.0 + 40 / RATE), abs=0.1)]


def test_inset_appears_and_disappears():
    frames = _shot(ROOM, 3.0)
    small = OTHER[:40, :64]
    for frame in frames[30:60]:
        frame[4:44, 180:244] = small
    edits = _find(frames)
    ((start_s, end_s, box),) = edits.insets
    assert (start_s, end_s) == pytest.approx((1.0, 2.0))
    assert box == pytest.approx([180 / WIDTH, 4 / HEIGHT, 244 / WIDTH, 44 / HEIGHT], abs=0.03)
    assert not edits.jumps and not edits.cuts


def test_title_from_a_dark_scene():
    dark = np.full_like(ROOM, 12)
    dark[40:60] = ROOM[40:60]
    card = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    card[60:75, 60:64] = card[60:64, 60:130] = card[60:75, 100:104] = 250
    edits = _find(_shot(dark, 1.5) + [card] * 40 + _shot(dark, 1.5, 1.5))
    assert edits.titles == [pytest.approx((1.5, 1.5 + 40 / RATE), abs=0.05)] and not edits.frozen


def test_inset_during_fast_movement():
    frames = _with_a_fast_hand(_shot(ROOM, 3.0))
    for frame in frames[45:]:
        frame[4:44, 180:244] = OTHER[:40, :64]
    edits = _find(frames)
    assert [(start_s, end_s) for start_s, end_s, _ in edits.insets] == [pytest.approx((1.5, 3.0))] and not edits.jumps


def test_inset_that_a_moving_hand_touches():
    earlier, before, after = (ROOM[20 : 20 + HEIGHT, 20 : 20 + WIDTH].copy() for _ in range(3))
    after[4:44, 180:244] = OTHER[:40, :64]
    for image, left in ((earlier, 190), (before, 160), (after, 190)):
        image[46:100, left : left + 30] = (224, 180, 150)
    assert find_rectangle_change(before, after, 1) is None
    assert find_rectangle_change(before, after, 1, earlier).box == pytest.approx(
        (180 / WIDTH, 4 / HEIGHT, 244 / WIDTH, 44 / HEIGHT), abs=0.03
    )


def test_inset_that_is_no_clean_rectangle():
    frames = _shot(ROOM, 3.0)
    for frame in frames[30:60]:
        frame[4:60, 180:250][np.tri(56, 70, dtype=bool)] = OTHER[:56, :70][np.tri(56, 70, dtype=bool)]
    edits = _find(frames)
    ((start_s, end_s, box),) = edits.insets
    assert (start_s, end_s) == pytest.approx((1.0, 2.0)) and box[0] == pytest.approx(180 / WIDTH, abs=1 / 16) and not edits.jumps


@pytest.mark.parametrize(
    "light",
    [lambda t: 1.0 + 0.06 * np.sin(40.0 * t), lambda t: 0.7 if t > 1.0 else 1.0, lambda t: 1.0 - 0.35 * min(1.0, max(0.0, t - 1.0) / 0.6)],
    ids=["flicker", "switch", "dimmer"],
)
def test_changing_light_is_no_edit(light):
    assert _nothing_but(_find(_shot(ROOM, 3.0, light=light)))


def test_subtitle_is_no_edit():
    frames = _shot(ROOM, 2.0)
    for frame in frames[20:40]:
        frame[136:142, 60:200:3] = 255
    assert _nothing_but(_find(frames))


def test_pan_between_two_views():
    edits = _find(_shot(ROOM, 4.0, shift=lambda t: (np.clip((t - 1.5) / 0.8, 0, 1) * 18, 0)))
    assert _nothing_but(edits, "moves")
    (first, second), ((start_s, end_s, shift, zoom),) = edits.places, edits.moves
    assert first[2] != second[2]
    assert start_s == pytest.approx(1.5, abs=0.25) and end_s == pytest.approx(2.3, abs=0.25)
    assert shift == pytest.approx(18 / WIDTH, abs=0.015) and zoom == pytest.approx(1.0, abs=0.02)
    assert usable_segments(asdict(edits)) == [pytest.approx((second[0], 4.0), abs=0.1)]


def test_bump_between_two_samples():
    edits = _find(_shot(ROOM, 3.0, shift=lambda t: (5 if t > 1.48 else 0, 0)))
    ((start_s, end_s, shift, _),) = edits.moves
    assert start_s <= 1.5 <= end_s and end_s - start_s < 0.2 and shift == pytest.approx(5 / WIDTH, abs=0.004)
    assert [place for *_, place in edits.places] == [0, 1]


def test_moved_camera_keeps_its_pose_when_a_part_of_the_frame_is_hidden():
    tracker, far = CameraTracker(), ROOM[20 : 20 + HEIGHT, 30 : 30 + WIDTH, 0].copy()
    hidden = far.copy()
    hidden[:, :130] = far[:, 130:131]
    for k in range(12):
        tracker.add_frame((ROOM[20 : 20 + HEIGHT, 20 : 20 + WIDTH, 0], far, hidden)[k // 4].copy(), 0.2 * k)
    assert {sample.view for sample in tracker.samples} == {0}
    assert tracker.samples[-1].x == pytest.approx(-10 / WIDTH, abs=0.004)


def test_a_handheld_camera_is_never_static():
    edits = _find(_shot(ROOM, 3.0, shift=lambda t: (7 * np.sin(9 * t), 5 * np.sin(7 * t))))
    assert not edits.places and sum(end_s - start_s for start_s, end_s, *_ in edits.moves) == pytest.approx(3.0, abs=0.2)


def test_no_frames():
    with pytest.raises(ValueError, match="expected frames"):
        EditDetector().edits()


def test_a_single_frame():
    edits = _find(_shot(ROOM, 1 / RATE))
    assert edits.frames == 1 and _nothing_but(edits)


def test_a_movement_that_begins_in_the_last_frame_is_no_jump_cut():
    still = [_shot(ROOM, 1 / RATE, 0.2, seed=k)[0] for k in range(40)]
    assert not _find([*still, _shot(ROOM, 1 / RATE, 0.9)[0]]).jumps
