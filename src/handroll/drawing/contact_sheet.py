"""Contact sheet of a video: selected frames with the hands drawn on them, and a timeline of each hand's state."""

import cv2
import numpy as np

from handroll.drawing.hands import COLOURS
from handroll.drawing.image_files import save_image
from handroll.drawing.overlay import STATE_COLOURS
from handroll.drawing.text import BADGE, BADGE_TEXT, FAINT, draw_plate, draw_text, text_size_px
from handroll.hand.skeleton import HANDS
from handroll.tables import State

COLUMNS, ROWS = 4, 3
"""Maximum number of frames in a row, and maximum number of rows."""

WIDTH_PX = 1600
"""Width of the sheet."""

MARGIN_PX = 12
"""Margin around the frames."""

MAX_CELL_HEIGHT_PX = 420
"""Maximum height of a frame."""

TITLE_PX = 56
"""Height of the title line."""

STAMP_PX = 14
"""Font size of the time on each frame."""

LANE_PX = 22
"""Height of a hand's lane in the timeline."""


def sheet_frames(n_frames):
    """Return the indices of the frames of a contact sheet: at most twelve, evenly spaced over the `n_frames` of the video."""
    return sorted(set(np.linspace(0, n_frames - 1, COLUMNS * ROWS + 2).round().astype(int)[1:-1].tolist()))


def draw_contact_sheet(images, states, out_path, title):
    """Write a contact sheet as PNG: images in rows, and below them the state of each hand over time.

    Parameters
    ----------
    images : list of (uint8 array (height, width, 3), time_s)
        One to twelve images of equal size with their times, such as the result of `overlay.draw_overlay` for the frames of
        `sheet_frames`.
    states : array (frame, hand)
        Column `state` of `tables.MOTION`, for the whole video.
    out_path : path ending in .png
    title : str
    """
    cell_px = (WIDTH_PX - (COLUMNS + 1) * MARGIN_PX) // COLUMNS
    height, width = images[0][0].shape[:2]
    scale = min(cell_px / width, MAX_CELL_HEIGHT_PX / height)
    size = round(width * scale), round(height * scale)
    row_px = size[1] + MARGIN_PX
    rows = -(-len(images) // COLUMNS)
    sheet = np.full((TITLE_PX + rows * row_px + 2 * LANE_PX + 3 * MARGIN_PX, WIDTH_PX, 3), BADGE, np.uint8)
    draw_text(sheet, title, MARGIN_PX, 14, 22, BADGE_TEXT, bold=True)
    _draw_legend(sheet)
    for cell, (image, time_s) in enumerate(images):
        top = TITLE_PX + cell // COLUMNS * row_px
        left = MARGIN_PX + cell % COLUMNS * (cell_px + MARGIN_PX) + (cell_px - size[0]) // 2
        sheet[top : top + size[1], left : left + size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        _draw_stamp(sheet, f"{int(time_s // 60)}:{time_s % 60:04.1f}", left, top)
    _draw_timeline(sheet, states, TITLE_PX + rows * row_px + MARGIN_PX)
    save_image(sheet, out_path)


def _draw_stamp(sheet, text, left, top):
    """Write a time in the upper left corner of an image, on a dark plate."""
    width, height = text_size_px(text, STAMP_PX, bold=True)
    draw_plate(sheet, left, top, left + width + 12, top + height + 6)
    draw_text(sheet, text, left + 6, top + 3, STAMP_PX, BADGE_TEXT, bold=True)


def _draw_legend(sheet):
    """Write the names and colours of hands and states at the right end of the title line."""
    left = WIDTH_PX - MARGIN_PX
    entries = [(state.name.lower(), STATE_COLOURS[state]) for state in (State.HIDDEN, State.INTERPOLATED, State.OBSERVED)]
    for label, colour in entries + [(hand, COLOURS[hand]) for hand in reversed(HANDS)]:
        width, height = text_size_px(label, 15)
        left -= width
        draw_text(sheet, label, left, 18, 15, FAINT)
        left -= 20
        sheet[20 : 18 + height - 2, left : left + 13] = colour
        left -= 18


def _draw_timeline(sheet, states, top):
    """Draw the state of each hand over the duration of the video, one lane for each hand."""
    label_px = 70
    lane = WIDTH_PX - 2 * MARGIN_PX - label_px
    frame_of_column = np.minimum(np.arange(lane) * len(states) // lane, len(states) - 1)
    palette = np.array([STATE_COLOURS[state] for state in sorted(State)], np.uint8)
    for side, hand in enumerate(HANDS):
        draw_text(sheet, hand, MARGIN_PX, top + 2, 15, COLOURS[hand])
        sheet[top : top + LANE_PX - 6, MARGIN_PX + label_px : MARGIN_PX + label_px + lane] = palette[states[frame_of_column, side]]
        top += LANE_PX
