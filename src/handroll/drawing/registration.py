"""Draw a keyboard registration: the keys on the image, the rectified keyboard, and the residuals."""

from typing import NamedTuple

import cv2
import numpy as np

from handroll.drawing.hands import OUTLINE
from handroll.drawing.keyboard import GRID, KeyShape, colour_layer, grid_mask, key_shapes_px
from handroll.drawing.text import BADGE, BADGE_TEXT, FAINT, draw_text, text_size_px, wrap
from handroll.keyboard.geometry import N_WHITE, pitch_of_key, playing_points_mm, tail_edges_mm

WIDTH_PX, MARGIN_PX = 1600, 16
"""Width of the drawing, and margin around its parts."""

MAX_IMAGE_HEIGHT_PX = 900
"""Maximum height of the registered image."""

MAX_PX_PER_MM = 3.0
"""Maximum scale of the rectified keyboard."""

TITLE_PX, TEXT_PX = 22, 16
"""Font sizes of the title and of other text."""

AROUND_MM = 12.0
"""Margin around the keys in the rectified image."""

MAGNIFIED = 10.0
"""Factor by which residuals are magnified in the rectified image."""

RAMP_MM = (0.0, 1.0, 2.0)
"""Sizes of residuals at the nodes of the colour map `RAMP`."""


RAMP = np.array([(64, 200, 120), (250, 204, 72), (235, 60, 60)], dtype=float)
"""RGB of residuals with the sizes `RAMP_MM`; colours of other sizes are interpolated."""

STRIP_HEIGHT_PX = 170
"""Height of the plot of residuals."""

STRIP_MM = 2.0
"""Maximum residual in the plot, up and down; larger residuals are clipped to it."""

PAPER, RULE = (24, 28, 36), (62, 68, 80)
"""RGB of the background and of the lines of the plot."""

# Fractional bits of OpenCV's fixed-point coordinates: sixteenths of a pixel.
_SHIFT = 4

NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


class RectifiedPlane(NamedTuple):
    """Map between pixels of the rectified image and positions on the plane of the white keys.

    Attributes
    ----------
    left_mm, far_mm : float
        x and y of the keyboard frame at the upper left corner of the image.
    px_per_mm : float
    """

    left_mm: float
    far_mm: float
    px_per_mm: float

    def to_px(self, points_mm):
        """Map positions (..., xy 2) in the keyboard frame to pixels (..., xy 2). The player's edge is at the bottom of the image."""
        return (np.asarray(points_mm) - [self.left_mm, self.far_mm]) * [self.px_per_mm, -self.px_per_mm]

    def to_mm(self, points_px):
        """Map pixels (..., xy 2) to positions (..., xy 2) in the keyboard frame, mm."""
        return np.asarray(points_px) / [self.px_per_mm, -self.px_per_mm] + [self.left_mm, self.far_mm]


def draw_registration(image, registered, points_mm, residual_mm, title, lines=()):
    """Draw a keyboard registration as one image.

    Parameters
    ----------
    image : uint8 array (height, width) or (height, width, 3)
        The registered image, such as the temporal median of a video's frames; grey or RGB. It has the aspect ratio of the view, and
        any size.
    registered : tuple (KeyboardView, Keyboard, keys) or None
        Camera over the keyboard, dimensions of the keyboard, and visible keys 0..87. None: no keyboard was found, so only the image
        and the text are drawn.
    points_mm : array (n, xyz 3)
        Points of the keyboard model at which the image was searched for edges, keyboard frame.
    residual_mm : array (n, xy 2)
        Detected position minus model point, keyboard frame; NaN if none was detected. An edge gives only the component of the
        residual that is perpendicular to it. The other component is 0 and is not plotted.
    title : str
    lines : sequence of str
        Text below the title; long lines are wrapped.

    Returns
    -------
    uint8 array (height, 1600, 3)
        RGB.
    """
    image = image if image.ndim == 3 else cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
    if registered is None or not len(registered[2]):
        return np.concatenate([_heading(title, lines), _centre(_fit(image))])
    view, keyboard, keys = registered
    edges_mm = tail_edges_mm(keyboard)[np.asarray(keys)]
    left, right = edges_mm.min() - AROUND_MM, edges_mm.max() + AROUND_MM
    plane = RectifiedPlane(left, keyboard.white_length_mm + AROUND_MM, min((WIDTH_PX - 2 * MARGIN_PX) / (right - left), MAX_PX_PER_MM))
    size = round((right - left) * plane.px_per_mm), round((keyboard.white_length_mm + 2 * AROUND_MM) * plane.px_per_mm)
    flat = rectify(image, view, plane, size)
    _draw_model(flat, view, keyboard, keys, plane)
    _draw_residuals(flat, view, points_mm, residual_mm, plane)
    strip = _residual_strip(np.asarray(points_mm), np.asarray(residual_mm), keyboard, plane, size[0])
    parts = [
        _heading(title, [_summary(residual_mm, keys), *lines]),
        _centre(_draw_keys(image, view, keyboard, keys)),
        _caption(f"rectified keyboard; residuals magnified {MAGNIFIED:.0f} times, coloured by size", ramp=True),
        _centre(flat),
        _caption("residuals along the keyboard, mm, positive to the right: each edge, and the mean at each line between white keys"),
        _centre(strip),
    ]
    return np.concatenate(parts)


def key_name(key):
    """Return the name of a key 0..87, "A0" to "C8"."""
    pitch = int(pitch_of_key(key))
    return f"{NAMES[pitch % 12]}{pitch // 12 - 1}"


def rectify(image, view, plane, size):
    """Rectify an image to a view from straight above the white keys.

    Parameters
    ----------
    image : uint8 array (height, width, 3)
        Same aspect ratio as the view, any size.
    view : KeyboardView
    plane : RectifiedPlane
    size : (width, height)
        Size of the result, pixels.

    Returns
    -------
    uint8 array (height, width, 3)
        Black keys appear displaced, because they are higher than the white keys. Areas outside the image are black.
    """
    mm = plane.to_mm(np.stack(np.meshgrid(np.arange(size[0]), np.arange(size[1])), axis=-1))
    at = view.project(np.concatenate([mm, np.zeros((*mm.shape[:2], 1))], axis=-1))
    at = np.nan_to_num(at * (image.shape[1] / view.width_px), nan=-9.0).astype(np.float32)
    return cv2.remap(image, at[..., 0], at[..., 1], cv2.INTER_LINEAR)


def residual_colours(sizes_mm):
    """Return the colours (n, rgb 3), int, of residuals with sizes (n,), millimetres."""
    return np.stack([np.interp(sizes_mm, RAMP_MM, channel) for channel in RAMP.T], axis=-1).round().astype(int)


def mean_per_line_mm(points_mm, residual_mm, keyboard):
    """Return the mean residual along the keyboard at each line between white keys, including the black key over that line.

    Parameters
    ----------
    points_mm : array (n, xyz 3)
    residual_mm : array (n, xy 2)
        NaN if not detected. The x component is 0 if the edge gives only the y component.
    keyboard : Keyboard

    Returns
    -------
    array (line 53,)
        Means from the left end of A0 to the right end of C8, millimetres; NaN for lines without a residual.
    """
    measured = _measured_along_keys(residual_mm)
    line = np.rint(points_mm[measured, 0] / keyboard.white_pitch_mm).astype(int).clip(0, N_WHITE)
    count = np.bincount(line, minlength=N_WHITE + 1)
    total = np.bincount(line, residual_mm[measured, 0], minlength=N_WHITE + 1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _measured_along_keys(residual_mm):
    """Return which residuals (n, xy 2) have a measured x component: bool array (n,). An unmeasured component is stored as 0."""
    return np.isfinite(residual_mm[:, 0]) & (residual_mm[:, 0] != 0.0)


def _summary(residual_mm, keys):
    """Return a line of text that summarises residuals and visible keys."""
    sizes = np.linalg.norm(residual_mm, axis=-1)
    detected = sizes[np.isfinite(sizes)]
    visible = f"visible keys: {key_name(min(keys))} to {key_name(max(keys))}"
    if not len(detected):
        return f"no edges detected; {visible}"
    median, p95 = np.percentile(detected, [50, 95])
    return f"residual: median {median:.2f} mm, p95 {p95:.2f} mm ({len(detected)} of {len(sizes)} edges detected); {visible}"


def _draw_keys(image, view, keyboard, keys):
    """Return a scaled copy of the image with the grid of keys, and the names of the first key, the last key and each C."""
    shown = _fit(image)
    scale = shown.shape[1] / view.width_px
    size = shown.shape[1], shown.shape[0]
    colour_layer(grid_mask(key_shapes_px(view, keyboard, keys, scale), size), GRID, 0.75).blend(shown)
    ends = (min(keys), max(keys))
    taken = []
    front = playing_points_mm(keyboard) * [1.0, 0.0, 0.0]
    for key in [*ends, *(key for key in keys if pitch_of_key(key) % 12 == 0)]:
        at, away = view.project(front[key] - [[0.0, 0.0, 0.0], [0.0, 10.0, 0.0]]) * scale
        position = np.clip(at + (away - at) / np.linalg.norm(away - at) * TEXT_PX, TEXT_PX, np.array(size) - TEXT_PX)
        if all(np.linalg.norm(position - other) > 2 * TEXT_PX for other in taken):
            width, height = text_size_px(key_name(key), TEXT_PX, bold=True)
            left, top = np.rint(position - [width / 2, height / 2]).astype(int).tolist()
            draw_text(shown, key_name(key), left, top, TEXT_PX, GRID if key in ends else BADGE_TEXT, bold=True, outline=OUTLINE)
            taken.append(position)
    return shown


def _draw_model(flat, view, keyboard, keys, plane):
    """Draw the grid of keys on the rectified image, in place."""

    def rectify_points(pixels):
        """Map pixels of the view to pixels of the rectified image."""
        return plane.to_px(view.on_plane(pixels))

    shapes = {key: KeyShape(*map(rectify_points, shape)) for key, shape in key_shapes_px(view, keyboard, keys).items()}
    colour_layer(grid_mask(shapes, flat.shape[1::-1]), GRID, 0.6).blend(flat)


def _draw_residuals(flat, view, points_mm, residual_mm, plane):
    """Draw the magnified residual of each detected model point as a line, and a grey dot for each undetected one, in place."""

    def rectify_points(points):
        """Map points in the keyboard frame to pixels of the rectified image."""
        return plane.to_px(view.on_plane(view.project(points)))

    start = rectify_points(points_mm)
    end = start + MAGNIFIED * (rectify_points(points_mm + np.pad(residual_mm, ((0, 0), (0, 1)))) - start)
    sizes = np.linalg.norm(residual_mm, axis=-1)
    colours = residual_colours(np.nan_to_num(sizes)).tolist()
    for n in np.argsort(sizes):  # the largest on top; NaN sorts last
        if np.isfinite(end[n]).all():
            cv2.line(flat, _fixed(start[n]), _fixed(end[n]), colours[n], 2, cv2.LINE_AA, _SHIFT)
        elif np.isfinite(start[n]).all():
            cv2.circle(flat, _fixed(start[n]), 1 << _SHIFT, FAINT, cv2.FILLED, cv2.LINE_AA, _SHIFT)


def _fixed(point_px):
    """Convert a position (x, y), pixels, to OpenCV's fixed-point coordinates."""
    return tuple(np.rint(point_px * 2**_SHIFT).astype(int).tolist())


def _residual_strip(points_mm, residual_mm, keyboard, plane, width_px):
    """Plot the x component of the residuals against x, the position along the keyboard. The x axis is that of the rectified keyboard."""
    strip = np.full((STRIP_HEIGHT_PX, width_px, 3), PAPER, np.uint8)
    middle, px_per_mm = STRIP_HEIGHT_PX / 2, (STRIP_HEIGHT_PX / 2 - 8) / STRIP_MM

    def row(mm):
        """Return the pixel row of a residual."""
        return round(middle - float(np.clip(mm, -STRIP_MM, STRIP_MM)) * px_per_mm)

    for level in (-1.0, 0.0, 1.0):
        strip[row(level)] = RULE if level else FAINT
    measured = _measured_along_keys(residual_mm)
    for x, mm in zip(plane.to_px(points_mm[measured, :2])[:, 0], residual_mm[measured, 0], strict=True):
        cv2.circle(strip, (round(x), row(mm)), 1, FAINT, cv2.FILLED, cv2.LINE_AA)
    means = mean_per_line_mm(points_mm, residual_mm, keyboard)
    half = max(2, round(0.25 * keyboard.white_pitch_mm * plane.px_per_mm))
    for line in np.flatnonzero(np.isfinite(means)):
        x = round((line * keyboard.white_pitch_mm - plane.left_mm) * plane.px_per_mm)
        low, high = sorted((row(means[line]), row(0.0)))
        strip[low : high + 1, max(x - half, 0) : x + half] = residual_colours(np.abs(means[line : line + 1]))[0]
    for level in (-1.0, 1.0):
        draw_text(strip, f"{level:+.0f} mm", 4, row(level) - 18, 13, FAINT, outline=PAPER)
    return strip


def _heading(title, lines):
    """Return a block of the whole width with title and lines of text."""
    wrapped = [part for line in lines for part in wrap(line, WIDTH_PX - 2 * MARGIN_PX, TEXT_PX)]
    block = np.full((MARGIN_PX + TITLE_PX + 14 + len(wrapped) * (TEXT_PX + 8), WIDTH_PX, 3), BADGE, np.uint8)
    draw_text(block, title, MARGIN_PX, MARGIN_PX - 4, TITLE_PX, BADGE_TEXT, bold=True)
    for n, line in enumerate(wrapped):
        draw_text(block, line, MARGIN_PX, MARGIN_PX + TITLE_PX + 8 + n * (TEXT_PX + 8), TEXT_PX, BADGE_TEXT)
    return block


def _caption(text, ramp=False):
    """Return a block of the whole width with a line of text; `ramp` adds the colour map of residuals at its right end."""
    block = np.full((TEXT_PX + 12, WIDTH_PX, 3), BADGE, np.uint8)
    draw_text(block, text, MARGIN_PX, 4, TEXT_PX, FAINT)
    if ramp:
        width = 160
        left = WIDTH_PX - MARGIN_PX - width - 50
        block[8:-8, left : left + width] = residual_colours(np.linspace(RAMP_MM[0], RAMP_MM[-1], width))
        draw_text(block, f"{RAMP_MM[0]:.0f}", left - 16, 4, TEXT_PX, FAINT)
        draw_text(block, f"{RAMP_MM[-1]:.0f} mm", left + width + 6, 4, TEXT_PX, FAINT)
    return block


def _fit(image):
    """Scale an image to the largest size within the width of the drawing and `MAX_IMAGE_HEIGHT_PX`."""
    scale = min((WIDTH_PX - 2 * MARGIN_PX) / image.shape[1], MAX_IMAGE_HEIGHT_PX / image.shape[0])
    size = round(image.shape[1] * scale), round(image.shape[0] * scale)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)


def _centre(image):
    """Return a block of the whole width with a centred image, and a margin below it."""
    block = np.full((image.shape[0] + MARGIN_PX, WIDTH_PX, 3), BADGE, np.uint8)
    left = (WIDTH_PX - image.shape[1]) // 2
    block[: image.shape[0], left : left + image.shape[1]] = image
    return block
