"""One picture that shows a whole video: frames with the hands drawn, and a timeline of each hand's state."""

import cv2
import numpy as np

from handroll.drawing.hands import COLOURS
from handroll.drawing.image import save_picture
from handroll.drawing.overlay import STATE_COLOURS
from handroll.drawing.text import BADGE, BADGE_TEXT, FAINT, draw_plate, draw_text, text_size_px
from handroll.hand.skeleton import HANDS
from handroll.tables import State

COLUMNS, ROWS = 4, 3
WIDTH_PX = 1600
MARGIN_PX = 12
MAX_CELL_HEIGHT_PX = 420
TITLE_PX = 56
STAMP_PX = 14
LANE_PX = 22


def sheet_frames(n_frames):
    """Which frames of a video a contact sheet shows: at most twelve, spread evenly."""
    return sorted(set(np.linspace(0, n_frames - 1, COLUMNS * ROWS + 2).round().astype(int)[1:-1].tolist()))


def draw_contact_sheet(pictures, states, out_path, title):
    """Write a PNG with the pictures in rows, and below them the state of each hand over time.

    Parameters
    ----------
    pictures : list of (uint8 array (height, width, 3), time_s)
        At least one and at most twelve, of one size, such as `overlay.draw_overlay` gives for `sheet_frames`.
    states : array (frame, hand)
        `state` of `tables.MOTION`, of the whole video.
    out_path : path ending in .png
    title : str
    """
    cell_px = (WIDTH_PX - (COLUMNS + 1) * MARGIN_PX) // COLUMNS
    height, width = pictures[0][0].shape[:2]
    scale = min(cell_px / width, MAX_CELL_HEIGHT_PX / height)
    size = round(width * scale), round(height * scale)
    row_px = size[1] + MARGIN_PX
    rows = -(-len(pictures) // COLUMNS)
    sheet = np.full((TITLE_PX + rows * row_px + 2 * LANE_PX + 3 * MARGIN_PX, WIDTH_PX, 3), BADGE, np.uint8)
    draw_text(sheet, title, MARGIN_PX, 14, 22, BADGE_TEXT, bold=True)
    _legend(sheet)
    for place, (image, time_s) in enumerate(pictures):
        top = TITLE_PX + place // COLUMNS * row_px
        left = MARGIN_PX + place % COLUMNS * (cell_px + MARGIN_PX) + (cell_px - size[0]) // 2
        sheet[top : top + size[1], left : left + size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        _stamp(sheet, f"{int(time_s // 60)}:{time_s % 60:04.1f}", left, top)
    _timeline(sheet, states, TITLE_PX + rows * row_px + MARGIN_PX)
    save_picture(sheet, out_path)


def _stamp(sheet, text, left, top):
    """A time in the upper left corner of a picture, on a dark plate."""
    width, height = text_size_px(text, STAMP_PX, bold=True)
    draw_plate(sheet, left, top, left + width + 12, top + height + 6)
    draw_text(sheet, text, left + 6, top + 3, STAMP_PX, BADGE_TEXT, bold=True)


def _legend(sheet):
    """Names of the hands and of the states in their colours, in the title line, from the right."""
    left = WIDTH_PX - MARGIN_PX
    entries = [(state.name.lower(), STATE_COLOURS[state]) for state in (State.HIDDEN, State.INTERPOLATED, State.OBSERVED)]
    for label, colour in entries + [(hand, COLOURS[hand]) for hand in reversed(HANDS)]:
        width, height = text_size_px(label, 15)
        left -= width
        draw_text(sheet, label, left, 18, 15, FAINT)
        left -= 20
        sheet[20 : 18 + height - 2, left : left + 13] = colour
        left -= 18


def _timeline(sheet, states, top):
    """One lane a hand over the whole length of the video."""
    label_px = 70
    lane = WIDTH_PX - 2 * MARGIN_PX - label_px
    frame_of_column = np.minimum(np.arange(lane) * len(states) // lane, len(states) - 1)
    palette = np.array([STATE_COLOURS[state] for state in sorted(State)], np.uint8)
    for side, hand in enumerate(HANDS):
        draw_text(sheet, hand, MARGIN_PX, top + 2, 15, COLOURS[hand])
        sheet[top : top + LANE_PX - 6, MARGIN_PX + label_px : MARGIN_PX + label_px + lane] = palette[states[frame_of_column, side]]
        top += LANE_PX
