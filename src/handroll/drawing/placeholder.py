"""A picture, or a video, that says why there is nothing to see."""

import numpy as np

from handroll.drawing.image import save_picture
from handroll.drawing.text import BADGE, BADGE_TEXT, FAINT, draw_text, wrap

SLATE_SIZE_PX = 960, 540
SLATE_SECONDS = 2


def slate(title, lines):
    """A dark picture that says something: uint8 array (540, 960, 3); long lines are wrapped."""
    width, height = SLATE_SIZE_PX
    image = np.full((height, width, 3), BADGE, np.uint8)
    draw_text(image, title, 60, 70, 34, BADGE_TEXT, bold=True)
    top = 140
    for line in (part for text in lines for part in wrap(text, width - 120, 20)):
        draw_text(image, line, 60, top, 20, FAINT)
        top += 32
    return image


def write_slate(image, out_path):
    """Write a still picture as a video of two seconds, in place of an overlay that cannot be drawn."""
    from handroll.media.write import VideoWriter

    with VideoWriter(out_path, image.shape[1], image.shape[0], 1) as writer:
        for second in range(SLATE_SECONDS):
            writer.write(image, float(second))


def save_slate(path, title, lines, video_path=None):
    """Write a slate as a picture, and as a video where a path for one is given."""
    image = slate(title, lines)
    save_picture(image, path)
    if video_path is not None:
        write_slate(image, video_path)
