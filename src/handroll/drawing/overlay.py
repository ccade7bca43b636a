"""Overlay video: the source video with audio, keys and hands drawn on its frames, and a key roll of the notes below."""

import numpy as np

from handroll.drawing.hands import COLOURS, draw_hands
from handroll.drawing.keyboard import KeyboardDrawing
from handroll.drawing.keyroll import KeyRoll
from handroll.drawing.text import BADGE_TEXT, draw_plate, draw_text, text_size_px
from handroll.hand.skeleton import HANDS
from handroll.logs import progress
from handroll.media.frames import read_frames
from handroll.media.write import VideoWriter
from handroll.tables import State

ROLL_SHARE = 0.16
"""Height of the key roll, as a share of the frame's width. It is limited to a fifth of the frame's height."""

STATE_COLOURS = {State.OBSERVED: (86, 214, 126), State.INTERPOLATED: (250, 204, 72), State.HIDDEN: (220, 90, 90)}
"""RGB of each state of a hand, in badges and timelines."""


def draw_overlay(video_path, motion, camera, notes, out_path, max_height_px=720, audio=None, title="", kept_frames=(), registered=None):
    """Write a video with hands, keys and notes drawn on every frame.

    Parameters
    ----------
    video_path : path
    motion : dict of str to array (frame, hand, ...)
        Columns of `tables.MOTION`, by frame, for every presented frame.
    camera : Camera
        Camera that projects the joints. Its image size is that of the source frames as displayed.
    notes : dict of str to array (note,) or None
        Columns of `tables.NOTES` or `tables.FINGERED_NOTES`. None, or without notes: no key roll is drawn.
    out_path : path ending in .mp4
    max_height_px : int
        Maximum height of the drawn frames; larger frames are scaled down.
    audio : tuple (samples, rate_hz), optional
        Sample 0 is at the first frame.
    title : str
        Text in the upper right corner, before the time.
    kept_frames : sequence of int
        Indices of the frames that are returned.
    registered : tuple (KeyboardView, Keyboard, keys), optional
        Camera over the keyboard, dimensions of the keyboard, and visible keys 0..87; see `keyboard.KeyboardDrawing`. None: no keys
        are drawn.

    Returns
    -------
    list of (uint8 array (height, width, 3), time_s)
        The kept frames, in order, with keys and hands drawn.
    """
    joints_px = camera.project(motion["joints_m"])
    states, times_s = motion["state"], motion["time_s"][:, 0]
    rate = (len(times_s) - 1) / (times_s[-1] - times_s[0]) if len(times_s) > 1 else 30.0
    frames = progress(read_frames(video_path, max_height_px=max_height_px), len(times_s), "frames")
    writer = roll = keys = None
    kept = []
    try:
        for frame in frames:
            height, width = frame.image.shape[:2]
            if writer is None:
                if notes is not None and len(notes["onset_s"]):
                    roll = KeyRoll(notes, width, round(min(ROLL_SHARE * width, height / 5)) // 2 * 2)
                if registered is not None:
                    keys = KeyboardDrawing(*registered, notes, width, height)
                lines = height // 2 * 2 + (roll.height_px if roll else 0)
                writer = VideoWriter(out_path, width // 2 * 2, lines, rate, preset="superfast", audio=audio).__enter__()
            image = frame.image.copy()
            if keys:
                keys.draw_keys(image, frame.time_s)
            if frame.index < len(times_s):
                draw_hands(image, joints_px[frame.index] * (width / camera.width_px), states[frame.index])
                if keys:
                    keys.draw_fingers(image, frame.time_s)
                if frame.index in kept_frames:
                    kept.append((image.copy(), frame.time_s))
                draw_badges(image, states[frame.index])
            draw_time(image, frame.time_s, title)
            image = image[: height // 2 * 2, : width // 2 * 2]
            if roll:
                image = np.concatenate([image, roll.at(frame.time_s)[:, : width // 2 * 2]])
            writer.write(image, frame.time_s)
    except BaseException as error:
        if writer is not None:
            writer.__exit__(type(error), error, error.__traceback__)
        raise
    writer.__exit__(None, None, None)
    return kept


def draw_badges(image, states):
    """Write the name and state of each hand in the upper left corner of a uint8 RGB image, in place; `states` (hand 2,)."""
    size = max(11, image.shape[0] // 42)
    left, top = size // 2, size // 2
    for side, hand in enumerate(HANDS):
        state = State(int(states[side]))
        label = f"{hand}  {state.name.lower()}"
        width, height = text_size_px(label, size)
        bottom, right = top + height + size // 2, left + width + 2 * size
        draw_plate(image, left, top, right, bottom)
        image[top:bottom, left : left + max(2, size // 4)] = COLOURS[hand]
        draw_text(image, label, left + size // 2 + size // 4, top + size // 4, size, BADGE_TEXT)
        dot = top + height // 2 + size // 4
        end = right - size // 2
        image[dot - size // 5 : dot + size // 5 + 1, end - size // 5 : end + size // 5 + 1] = STATE_COLOURS[state]
        top += height + size


def draw_time(image, time_s, title):
    """Write title and time in the upper right corner of a uint8 RGB image, in place."""
    size = max(11, image.shape[0] // 42)
    clock = f"{int(time_s // 60)}:{time_s % 60:05.2f}"
    width, height = text_size_px("0:00.00", size, bold=True)
    lead = text_size_px(title, size)[0] + size if title else 0
    left = image.shape[1] - width - lead - 2 * size
    draw_plate(image, left, size // 2, image.shape[1] - size // 2, size // 2 + height + size // 2)
    if title:
        draw_text(image, title, left + size // 2, size // 2 + size // 4, size, BADGE_TEXT)
    draw_text(image, clock, left + lead + size // 2, size // 2 + size // 4, size, BADGE_TEXT, bold=True)
