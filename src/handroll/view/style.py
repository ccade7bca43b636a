"""Colours and lettering of everything that is drawn. Colours are RGB, 0..255; pictures are uint8 RGB (height, width, 3)."""

from functools import lru_cache

import cv2
import numpy as np
from PIL import ImageFont

HAND_COLOURS = ((38, 186, 201), (255, 143, 46))
"""Left blue-teal, right orange: apart for all common kinds of colour blindness, and neither is skin or ivory."""

INK = (14, 16, 21)
PANEL = (24, 27, 34)
TRACK = (52, 57, 68)
TEXT = (233, 236, 242)
MUTED = (146, 153, 168)
NOTE = (166, 140, 255)

SHIFT = 4
"""Fractional bits of the coordinates given to OpenCV: a sixteenth of a pixel."""


def mix(first, second, share):
    """The colour between two: `share` 0 gives the first, 1 the second; ints."""
    return tuple(round(a + (b - a) * share) for a, b in zip(first, second, strict=True))


def fixed_point(points):
    """Pixel coordinates as OpenCV's fixed-point integers; pixel centres are whole numbers there."""
    return np.rint((np.asarray(points) - 0.5) * (1 << SHIFT)).astype(np.int32)


def font_px(height_px):
    """Size of letters beside a picture whose shorter side has this many pixels."""
    return int(np.clip(round(height_px / 45), 11, 40))


@lru_cache(maxsize=256)
def _letters(text, size_px):
    """Coverage (height, width, 1), 0..1, of a line of text in a box of the font's full line height."""
    # Pillow carries this typeface (Aileron) inside: no font file has to be found on the machine.
    font = ImageFont.load_default(size_px)
    ascent, descent = font.getmetrics()
    width = int(np.ceil(font.getlength(text))) + 1
    coverage = np.zeros((ascent + descent, width), dtype=np.float32)
    mask, (left, top) = font.getmask2(text, mode="L", anchor="ls")
    glyphs = np.asarray(mask, dtype=np.float32).reshape(mask.size[::-1]) / 255.0
    y, x = ascent + top, max(left, 0)
    height, across = min(glyphs.shape[0], coverage.shape[0] - y), min(glyphs.shape[1], width - x)
    coverage[y : y + height, x : x + across] = glyphs[:height, :across]
    return coverage[..., None]


def text_size(text, size_px):
    """(width, height) in pixels of a line of text; the height is that of the font, whatever the letters."""
    height, width, _ = _letters(text, size_px).shape
    return width, height


def draw_text(image, text, x, y, size_px, colour=TEXT, anchor="left"):
    """Write a line of text, vertically centred on `y`, with its left end, middle or right end at `x`."""
    coverage = _letters(text, size_px)
    height, width, _ = coverage.shape
    x -= {"left": 0, "middle": width // 2, "right": width}[anchor]
    _blend(image, coverage, round(x), round(y - height / 2), colour)


def draw_tag(image, text, x, y, size_px, colour, anchor="left"):
    """Write a line of text on a dark rounded plate with a dot of the given colour, inside the picture; as `draw_text`."""
    pad, dot = size_px // 2, size_px * 0.32
    width, height = text_size(text, size_px)[0] + round(2.5 * pad + 2 * dot), round(1.7 * size_px)
    x -= {"left": 0, "middle": width // 2, "right": width}[anchor]
    x = int(np.clip(x, 0, max(image.shape[1] - width, 0)))
    y = int(np.clip(y, height / 2, max(image.shape[0] - height / 2, height / 2)))
    _blend(image, _plate(width, height) * 0.8, x, y - height // 2, INK)
    cv2.circle(image, tuple(fixed_point((x + pad + dot, y + 0.5)).tolist()), round(dot * (1 << SHIFT)), colour, -1, cv2.LINE_AA, SHIFT)
    draw_text(image, text, x + round(1.6 * pad + 2 * dot), y, size_px, TEXT)


@lru_cache(maxsize=64)
def _plate(width, height):
    """Coverage (height, width, 1), 0..1, of a rounded rectangle."""
    radius = min(width, height) / 3
    x = np.abs(np.arange(width) + 0.5 - width / 2)[None] - (width / 2 - radius)
    y = np.abs(np.arange(height) + 0.5 - height / 2)[:, None] - (height / 2 - radius)
    outside = np.hypot(np.maximum(x, 0), np.maximum(y, 0)) - radius
    return np.clip(0.5 - outside, 0, 1).astype(np.float32)[..., None]


def _blend(image, coverage, x, y, colour):
    """Lay a colour over the picture by coverage (height, width, 1) with its corner at (x, y); cut at the borders."""
    height, width, _ = coverage.shape
    top, left = max(0, -y), max(0, -x)
    bottom, right = min(height, image.shape[0] - y), min(width, image.shape[1] - x)
    if top < bottom and left < right:
        part, share = image[y + top : y + bottom, x + left : x + right], coverage[top:bottom, left:right]
        part[:] = part + (np.array(colour, dtype=np.float32) - part) * share + 0.5
