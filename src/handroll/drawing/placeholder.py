"""Placeholder image or video, which states why a result is missing."""

import numpy as np

from handroll.drawing.image_files import save_image
from handroll.drawing.text import BADGE, BADGE_TEXT, FAINT, draw_text, wrap

SIZE_PX = 960, 540
"""Width and height of a placeholder."""

DURATION_S = 2
"""Duration of a placeholder video, seconds."""


def draw_placeholder(title, lines):
    """Return a dark image, uint8 array (540, 960, 3), with a title and lines of text; long lines are wrapped."""
    width, height = SIZE_PX
    image = np.full((height, width, 3), BADGE, np.uint8)
    draw_text(image, title, 60, 70, 34, BADGE_TEXT, bold=True)
    top = 140
    for line in (part for text in lines for part in wrap(text, width - 120, 20)):
        draw_text(image, line, 60, top, 20, FAINT)
        top += 32
    return image


def write_placeholder_video(image, out_path):
    """Write an image as a video of `DURATION_S`, in place of an overlay video."""
    from handroll.media.write import VideoWriter

    with VideoWriter(out_path, image.shape[1], image.shape[0], 1) as writer:
        for second in range(DURATION_S):
            writer.write(image, float(second))


def save_placeholder(path, title, lines, video_path=None):
    """Write a placeholder as an image, and as a video if `video_path` is given."""
    image = draw_placeholder(title, lines)
    save_image(image, path)
    if video_path is not None:
        write_placeholder_video(image, video_path)
