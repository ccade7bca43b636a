"""Draw anti-aliased text on RGB images, and dark plates behind it. The font is DejaVu Sans from matplotlib; rendered text is cached."""

from functools import lru_cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

BADGE, BADGE_TEXT, FAINT = (14, 17, 23), (240, 242, 245), (150, 156, 166)
"""RGB of dark backgrounds, of text on them, and of secondary text on them."""

OUTLINE_SHARE = 0.1
"""Width of the outline around letters, as a share of the font size."""

PLATE_SHARE = 0.75
"""Opacity of the dark plates behind text, 0..1. Even over a white image, text has a contrast of 7.9 (WCAG 2 requires 4.5)."""

# Font file of plain text (False) and of bold text (True).
_FONTS = {False: "DejaVuSans.ttf", True: "DejaVuSans-Bold.ttf"}


@lru_cache(maxsize=64)
def _font(size_px, bold):
    """Load a font; cached."""
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / _FONTS[bold]), size_px)


@lru_cache(maxsize=2048)
def _mask(text, size_px, bold, stroke_px=0):
    """Return the share of each pixel that a line of text fills: float32 array (height, width), 0..1.

    The height depends only on the font size; `stroke_px` is added on all sides.
    """
    font = _font(size_px, bold)
    ascent, descent = font.getmetrics()
    image = Image.new("L", (max(1, round(font.getlength(text))) + 2 * stroke_px, ascent + descent + 2 * stroke_px))
    ImageDraw.Draw(image).text((stroke_px, stroke_px), text, fill=255, font=font, stroke_width=stroke_px)
    return np.asarray(image, dtype=np.float32) / 255.0


def text_size_px(text, size_px, bold=False):
    """Return the width and height of a line of text, pixels."""
    height, width = _mask(text, size_px, bold).shape
    return width, height


def draw_text(image, text, left_px, top_px, size_px, colour, bold=False, outline=None):
    """Draw a line of text on a uint8 RGB image (height, width, 3), in place. Text outside the image is cut off.

    Parameters
    ----------
    image : uint8 array (height, width, 3)
    text : str
    left_px, top_px : int
    size_px : int
        Font size.
    colour : tuple of 3 int
    bold : bool
    outline : tuple of 3 int, optional
        Colour of the outline around the letters; default: none.
    """
    if outline is not None:
        stroke = max(1, round(OUTLINE_SHARE * size_px))
        _blend(image, _mask(text, size_px, bold, stroke), left_px - stroke, top_px - stroke, outline)
    _blend(image, _mask(text, size_px, bold), left_px, top_px, colour)


def draw_plate(image, left_px, top_px, right_px, bottom_px):
    """Darken a rectangle of a uint8 RGB image, in place, so that light text in it is readable."""
    plate = image[max(top_px, 0) : max(bottom_px, 0), max(left_px, 0) : max(right_px, 0)]
    plate[:] = np.rint(plate * (1.0 - PLATE_SHARE) + np.array(BADGE) * PLATE_SHARE).astype(np.uint8)


def _blend(image, mask, left_px, top_px, colour):
    """Blend a colour into an image, in place; the mask is the opacity."""
    left, top = max(left_px, 0), max(top_px, 0)
    right, bottom = min(left_px + mask.shape[1], image.shape[1]), min(top_px + mask.shape[0], image.shape[0])
    if right <= left or bottom <= top:
        return
    cover = mask[top - top_px : bottom - top_px, left - left_px : right - left_px, None]
    under = image[top:bottom, left:right]
    under[:] = np.rint(under * (1 - cover) + np.array(colour, dtype=np.float32) * cover).astype(np.uint8)


def wrap(text, width_px, size_px):
    """Wrap a text between words into lines of at most `width_px`. A single word that is longer is not split."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and text_size_px(longer, size_px)[0] > width_px:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
