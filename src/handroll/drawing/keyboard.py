"""Draw a registered keyboard on frames: the grid of the keys, the sounding keys, and the numbers of the fingers that play them."""

from typing import NamedTuple

import cv2
import numpy as np

from handroll.drawing.hands import OUTLINE
from handroll.drawing.notes import NoteTimeline, note_colour
from handroll.drawing.text import draw_text, text_size_px
from handroll.keyboard.geometry import BLACK_KEYS, black_tops_mm, is_black, key_centres_x_mm, key_outlines_mm

GRID = (236, 92, 214)
"""RGB of the grid, distinct from the colours of hands, white keys and black keys."""

GRID_OPACITY = 0.55
"""Opacity of the grid, 0..1."""

FULL_GRID_PITCH_PX = 20.0
"""Minimum width of white keys for a grid with the full `GRID_OPACITY`. For narrower keys the grid is paler, so that it does not hide the
keys."""

FILL_OPACITY = {True: 0.6, False: 0.3}
"""Opacity of the colour of a sounding key, 0..1: held (True), or ringing only because of the pedal (False)."""

NUMBER_PITCHES = 0.9
"""Font size of the finger numbers, as a multiple of the projected width of a white key. Numbers of neighbouring keys do not touch."""

MIN_NUMBER_PX = 10
"""Minimum font size of the finger numbers."""

STEP_MM = 10.0
"""Lines are split into pieces of at most this length before the projection, so that the drawn lines follow the lens distortion."""

# Fractional bits of OpenCV's fixed-point coordinates: sixteenths of a pixel.
_SHIFT = 4


class KeyShape(NamedTuple):
    """Projected polygons of a key, pixels.

    Attributes
    ----------
    face_px : array (n, xy 2)
        The top of the key. The top of a black key is projected at its height.
    body_px : array (n, xy 2)
        The outline of the whole key, which for a black key includes its sides.
    """

    face_px: np.ndarray
    body_px: np.ndarray


class ColourLayer(NamedTuple):
    """A translucent colour over a rectangle of an image.

    Attributes
    ----------
    left_px, top_px : int
        Upper left corner of the rectangle.
    keep : uint8 array (height, width, 3)
        Weight of the image, 0..255.
    tint : uint8 array (height, width, 3)
        Colour that is added to the weighted image.
    """

    left_px: int
    top_px: int
    keep: np.ndarray
    tint: np.ndarray

    def blend(self, image):
        """Blend the colour into a uint8 RGB image (height, width, 3), in place."""
        height, width = self.tint.shape[:2]
        if self.tint.size:
            under = image[self.top_px : self.top_px + height, self.left_px : self.left_px + width]
            cv2.multiply(under, self.keep, dst=under, scale=1.0 / 255.0)
            cv2.add(under, self.tint, dst=under)


class KeyboardDrawing:
    """Drawing of the keyboard at any time of a video.

    Parameters
    ----------
    view : handroll.keyboard.projection.KeyboardView
    keyboard : handroll.keyboard.geometry.Keyboard
    keys : range or int array
        The visible keys, 0..87; other keys are not drawn.
    notes : dict of str to array (note,) or None
        Columns of `tables.NOTES` or `tables.FINGERED_NOTES`; None: only the grid is drawn.
    width_px, height_px : int
        Size of the frames; same aspect ratio as the view.
    """

    def __init__(self, view, keyboard, keys, notes, width_px, height_px):
        scale = width_px / view.width_px
        shapes = key_shapes_px(view, keyboard, keys, scale)
        size = width_px, height_px
        pitch_px = projected_pitch_px(view, keyboard, list(shapes)) * scale
        opacity = GRID_OPACITY * float(np.clip(pitch_px / FULL_GRID_PITCH_PX, 0.5, 1.0))
        self._grid = colour_layer(grid_mask(shapes, size), GRID, opacity)
        self._masks = {key: _key_mask(key, shapes, size) for key in shapes}
        self._fills = {}
        self._font_px = max(MIN_NUMBER_PX, round(NUMBER_PITCHES * pitch_px))
        self._number_positions = _number_positions_px(view, keyboard, list(shapes), scale, size, self._font_px)
        self._notes = NoteTimeline(notes) if notes is not None else None

    def draw_keys(self, image, time_s):
        """Draw the grid and the sounding keys on a uint8 RGB image (height, width, 3), in place."""
        self._grid.blend(image)
        for row, held in self._sounding(time_s):
            self._key_layer(self._notes.key[row], self._notes.hand[row], held).blend(image)

    def draw_fingers(self, image, time_s):
        """Write the finger number of each held key beyond its fallboard end, on a uint8 RGB image (height, width, 3), in place."""
        for row, held in self._sounding(time_s):
            if held and self._notes.finger[row]:
                number, position = str(self._notes.finger[row]), self._number_positions[self._notes.key[row]]
                draw_number(image, number, position, self._font_px, note_colour(self._notes.hand[row]))

    def _key_layer(self, key, hand, held):
        """Return the colour layer of a sounding key; cached."""
        if (key, hand, held) not in self._fills:
            mask, corner = self._masks[key]
            self._fills[key, hand, held] = colour_layer(mask, note_colour(hand), FILL_OPACITY[held], *corner)
        return self._fills[key, hand, held]

    def _sounding(self, time_s):
        """Return (row, held) of the sounding notes whose keys are drawn; see `NoteTimeline.sounding`."""
        sounding = self._notes.sounding(time_s) if self._notes else []
        return [(row, held) for row, held in sounding if self._notes.key[row] in self._masks]


def key_shapes_px(view, keyboard, keys, scale=1.0):
    """Project the outlines of keys.

    Parameters
    ----------
    view : KeyboardView
    keyboard : Keyboard
    keys : range or int array
        Keys 0..87.
    scale : float
        Size of the image relative to that of the view.

    Returns
    -------
    dict of int to KeyShape
        Shapes by key, white keys first. Keys that are partly behind the camera are omitted.
    """
    outlines, tops = key_outlines_mm(keyboard), black_tops_mm(keyboard)
    shapes = {}
    for key in sorted((int(key) for key in keys), key=lambda key: (is_black(key), key)):
        base = face = _project_polygon(view, np.pad(outlines[key], ((0, 0), (0, 1))), scale)
        body = base
        if is_black(key):
            face = _project_polygon(view, tops[np.searchsorted(BLACK_KEYS, key)], scale)
            body = cv2.convexHull(np.concatenate([base, face]).astype(np.float32))[:, 0]
        if np.isfinite(body).all():
            shapes[key] = KeyShape(face, body)
    return shapes


def projected_pitch_px(view, keyboard, keys):
    """Return the projected width of a white key at the fallboard end, pixels of the view: median over `keys` (0..87); 0 without keys."""
    x = key_centres_x_mm(keyboard)[np.asarray(keys, dtype=int)]
    half = keyboard.white_pitch_mm / 2
    sides = [view.project(np.stack([x + dx, np.full(len(x), keyboard.white_length_mm), np.zeros(len(x))], axis=-1)) for dx in (-half, half)]
    return float(np.median(np.linalg.norm(sides[1] - sides[0], axis=-1))) if len(x) else 0.0


def grid_mask(shapes, size):
    """Draw the outlines of the tops of the keys as a mask. Lines of white keys behind black keys are hidden.

    Parameters
    ----------
    shapes : dict of int to KeyShape
        White keys first, from `key_shapes_px`.
    size : (width, height)

    Returns
    -------
    uint8 array (height, width), 0..255
    """
    mask = np.zeros(size[::-1], np.uint8)
    for key, shape in shapes.items():
        if is_black(key):
            cv2.fillPoly(mask, [_fixed(shape.body_px)], 0, cv2.LINE_8, _SHIFT)
        cv2.polylines(mask, [_fixed(shape.face_px)], True, 255, 1, cv2.LINE_AA, _SHIFT)
    return mask


def colour_layer(mask, colour, opacity, left_px=0, top_px=0):
    """Make a colour layer from a mask.

    Parameters
    ----------
    mask : uint8 array (height, width), 0..255
    colour : tuple of 3 int
        RGB.
    opacity : float, 0..1
        Opacity at pixels where the mask is 255.
    left_px, top_px : int
        Position of the mask's upper left corner in the image.

    Returns
    -------
    ColourLayer
        Cropped to the pixels where the mask is not 0.
    """
    left, top, width, height = cv2.boundingRect(mask) if mask.size else (0, 0, 0, 0)
    cover = mask[top : top + height, left : left + width, None] * (opacity / 255.0)
    keep = np.rint(255.0 * (1.0 - cover)).astype(np.uint8).repeat(3, axis=2)
    return ColourLayer(left_px + left, top_px + top, keep, np.rint(cover * colour).astype(np.uint8))


def draw_number(image, number, centre_px, size_px, colour):
    """Write a number centred on a point (x, y) of a uint8 RGB image, with a dark outline, in place."""
    width, height = text_size_px(number, size_px, bold=True)
    left, top = np.rint(np.asarray(centre_px) - [width / 2, height / 2]).astype(int).tolist()
    draw_text(image, number, left, top, size_px, colour, bold=True, outline=OUTLINE)


def _project_polygon(view, corners_mm, scale):
    """Split the edges of a polygon (corner, xyz 3), keyboard frame, into pieces of at most `STEP_MM`; return its pixels (n, xy 2)."""
    points = []
    for start, end in zip(corners_mm, np.roll(corners_mm, -1, axis=0), strict=True):
        pieces = int(np.ceil(np.linalg.norm(end - start) / STEP_MM))
        points.append(start + (end - start) * (np.arange(pieces) / pieces)[:, None])
    return view.project(np.concatenate(points)) * scale


def _fixed(points_px):
    """Convert pixels (n, xy 2) to OpenCV's fixed-point coordinates."""
    return np.rint(points_px * 2**_SHIFT).astype(np.int32)


def _key_mask(key, shapes, size):
    """Return the mask of the visible part of a key. Neighbouring black keys are cut out of white keys.

    Returns
    -------
    mask : uint8 array (height, width), 0..255
    corner : (x, y)
        Position of the mask's upper left corner in the image.
    """
    body = shapes[key].body_px
    low = np.clip(np.floor(body.min(axis=0)) - 1, 0, size).astype(int)
    high = np.clip(np.ceil(body.max(axis=0)) + 2, 0, size).astype(int)
    mask = np.zeros((high - low)[::-1], np.uint8)
    if mask.size:
        cv2.fillPoly(mask, [_fixed(body - low)], 255, cv2.LINE_AA, _SHIFT)
        for neighbour in (key - 1, key + 1):
            if not is_black(key) and neighbour in shapes and is_black(neighbour):
                cv2.fillPoly(mask, [_fixed(shapes[neighbour].body_px - low)], 0, cv2.LINE_AA, _SHIFT)
    return mask, low.tolist()


def _number_positions_px(view, keyboard, keys, scale, size, font_px):
    """Return the centre (xy 2) of the finger number of each key, by key.

    The numbers are beyond the fallboard ends of the keys, where hands do not cover them. Numbers of white keys are in the row nearer to
    the keys, numbers of black keys in the farther row, so that the numbers of a chord do not overlap.
    """
    keys = np.asarray(keys, dtype=int)
    black = is_black(keys)[:, None]
    end_mm = np.full((len(keys), 3), keyboard.white_length_mm)
    end_mm[:, 0] = key_centres_x_mm(keyboard)[keys]
    end_mm[:, 2:] = np.where(black, keyboard.black_height_mm, 0.0)
    end = view.project(end_mm) * scale
    behind = view.project(end_mm + [0.0, STEP_MM, 0.0]) * scale - end
    behind /= np.linalg.norm(behind, axis=-1, keepdims=True)
    # The farther row is moved into the image if necessary. The nearer row keeps its distance from the farther row.
    far = np.clip(end + 1.8 * font_px * behind, 0.6 * font_px, np.array(size) - 0.6 * font_px)
    return dict(zip(keys.tolist(), np.where(black, far, far - font_px * behind), strict=True))
