"""One picture that shows a whole video: frames with the hands drawn, and a timeline of each hand's state."""

import numpy as np
from PIL import Image

from handroll.hand.skeleton import HANDS
from handroll.provenance import atomic_path
from handroll.schema import State
from handroll.video.frames import read_frames
from handroll.view.hands import COLOURS, draw_hands
from handroll.view.overlay import BADGE, BADGE_TEXT, FAINT, STATE_COLOURS
from handroll.view.text import draw_text, text_size_px

COLUMNS, ROWS = 4, 3
WIDTH_PX = 1600
MARGIN_PX = 12
MAX_CELL_HEIGHT_PX = 420
TITLE_PX = 56
LANE_PX = 22


def draw_contact_sheet(video_path, motion, camera, out_path, title):
    """Write a PNG with twelve frames spread evenly over the video, and below them the state of each hand over time.

    Parameters
    ----------
    video_path : path
    motion : dict of str to array (frame, hand, ...)
        `schema.MOTION`, by frame, of at least one frame.
    camera : Camera
        What the joints are projected with.
    out_path : path ending in .png
    title : str
    """
    frames = len(motion["state"])
    chosen = np.linspace(0, frames - 1, COLUMNS * ROWS + 2).round().astype(int)[1:-1]
    joints_px = camera.project(motion["joints_m"])
    cell_px = (WIDTH_PX - (COLUMNS + 1) * MARGIN_PX) // COLUMNS
    pictures = []
    for frame in read_frames(video_path, max_width_px=cell_px, max_height_px=MAX_CELL_HEIGHT_PX):
        # The same frame may be wanted twice where the video has fewer than there are places.
        for _ in range(np.count_nonzero(chosen == frame.index)):
            image = frame.image.copy()
            draw_hands(image, joints_px[frame.index] * (image.shape[1] / camera.width_px), motion["state"][frame.index])
            pictures.append((image, frame.time_s))
    height = max(image.shape[0] for image, _ in pictures) + MARGIN_PX
    sheet = np.full((TITLE_PX + ROWS * height + 2 * LANE_PX + 3 * MARGIN_PX, WIDTH_PX, 3), BADGE, np.uint8)
    draw_text(sheet, title, MARGIN_PX, 14, 22, BADGE_TEXT, bold=True)
    _legend(sheet)
    for place, (image, time_s) in enumerate(pictures):
        top = TITLE_PX + place // COLUMNS * height
        left = MARGIN_PX + place % COLUMNS * (cell_px + MARGIN_PX) + (cell_px - image.shape[1]) // 2
        sheet[top : top + image.shape[0], left : left + image.shape[1]] = image
        draw_text(sheet, f"{int(time_s // 60)}:{time_s % 60:04.1f}", left + 6, top + 4, 14, BADGE_TEXT, bold=True)
    _timeline(sheet, motion, TITLE_PX + ROWS * height + MARGIN_PX)
    with atomic_path(out_path) as temporary:
        Image.fromarray(sheet).save(temporary)


def save_picture(image, out_path):
    """Write a uint8 RGB picture (height, width, 3) as PNG."""
    with atomic_path(out_path) as temporary:
        Image.fromarray(image).save(temporary)


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


def _timeline(sheet, motion, top):
    """One lane a hand over the whole length of the video."""
    label_px = 70
    lane = WIDTH_PX - 2 * MARGIN_PX - label_px
    frame_of_column = np.minimum(np.arange(lane) * len(motion["state"]) // lane, len(motion["state"]) - 1)
    palette = np.array([STATE_COLOURS[state] for state in sorted(State)], np.uint8)
    for side, hand in enumerate(HANDS):
        draw_text(sheet, hand, MARGIN_PX, top + 2, 15, COLOURS[hand])
        sheet[top : top + LANE_PX - 6, MARGIN_PX + label_px : MARGIN_PX + label_px + lane] = palette[motion["state"][frame_of_column, side]]
        top += LANE_PX
