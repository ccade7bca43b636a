"""Parse the sheet's column `keyboard`: points of the keyboard that a person marked in a frame."""

import re

import numpy as np

from handroll.keyboard.geometry import HIGHEST_PITCH, LOWEST_PITCH, STANDARD, is_black, key_centres_x_mm, key_of_pitch, white_index
from handroll.text import short_repr

MIN_POINTS = 4
"""Minimum number of marked points: four points determine the projection of a plane."""

MAX_PX = 100_000
"""Maximum absolute coordinate of a marked point, px. Points may be outside the frame, but no frame is larger than this."""

_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_MARKED = re.compile(r"(?P<key>(?:[A-G]|[ACDFG]#)\d|end)-(?P<side>front|back)\s+(?P<x>-?\d+(\.\d*)?)[\s,]+(?P<y>-?\d+(\.\d*)?)")


def marked_points(text):
    """Parse marked points, such as `A0-front 102 655; A0-back 110 401; end-front 1820 650; F#4-front ...`.

    A point is written as a name, then x and y in pixels of the frame as shown. The name is KEY-front or KEY-back. For a white key,
    it is the end of the key's left edge towards the player (front) or the fallboard (back). For a black key there is only KEY-front,
    the middle of its front edge. The key `end` means the right edge of C8.

    Parameters
    ----------
    text : str
        At least 4 points, separated by semicolons.

    Returns
    -------
    points_px : array (n, xy 2)
        Pixels of the frame as shown.
    points_mm : array (n, xyz 3)
        Keyboard frame, millimetres, on the standard keyboard.

    Raises
    ------
    ValueError
        A point is malformed or does not exist on the keyboard. Or all points, or all but one, are on one line, in the frame or on the
        keyboard, so that they do not determine the keyboard's plane. Or the points show a mirrored keyboard.
    """
    points_px, points_mm = [], []
    for part in filter(None, (part.strip() for part in text.split(";"))):
        match = _MARKED.fullmatch(part)
        if match is None:
            raise ValueError(f"expected KEY-front X Y or KEY-back X Y, as in 'C4-front 911 640', found {short_repr(part)}")
        points_mm.append(point_mm(match["key"], match["side"]))
        points_px.append((float(match["x"]), float(match["y"])))
        if max(map(abs, points_px[-1])) > MAX_PX:
            raise ValueError(f"expected coordinates of at most {MAX_PX} px, found {short_repr(part)}")
    if len(points_px) < MIN_POINTS:
        raise ValueError(f"expected at least {MIN_POINTS} points, found {len(points_px)} in {short_repr(text)}")
    points_px, points_mm = np.array(points_px), np.array(points_mm)
    for points, where in ((points_mm[:, :2], "on the keyboard"), (points_px, "in the frame")):
        if not _span_plane(points):
            raise ValueError(f"expected 4 points {where} of which no 3 are on one line, found {short_repr(text)}")
    # Fit a linear map from the keyboard to the frame. For a view from above, its determinant is negative, since the frame's y points down.
    linear = np.linalg.lstsq(points_mm[:, :2] - points_mm[:, :2].mean(axis=0), points_px - points_px.mean(axis=0), rcond=None)[0]
    if np.linalg.det(linear) > 0.0:
        raise ValueError(
            f"expected a keyboard viewed from above, found its mirror image in {short_repr(text)}; check left, right, front and back"
        )
    return points_px, points_mm


def _span_plane(points):
    """Return whether points (n, xy 2), px or mm, include 4 points of which no 3 are on one line. A homography requires such points.

    This is so if the remaining points are never all on one line, whichever point is left out. Points within about 1 px or mm of a line
    count as on the line.
    """
    points = np.unique(points, axis=0)
    subsets = (np.delete(points, one, axis=0) for one in range(len(points)))
    return len(points) >= MIN_POINTS and all(np.linalg.svd(part - part.mean(axis=0), compute_uv=False)[-1] >= 1.0 for part in subsets)


def point_mm(name, side):
    """Return the position (x, y, z) of a marked point on the standard keyboard, keyboard frame, mm.

    `name` is a key such as "F#4", or "end"; `side` is "front" or "back". Raises ValueError if the key or the point does not exist.
    """
    y = 0.0 if side == "front" else STANDARD.white_length_mm
    if name == "end":
        return STANDARD.width_mm, y, 0.0
    pitch = 12 * (int(name[-1]) + 1) + _NAMES.index(name[:-1])
    if not LOWEST_PITCH <= pitch <= HIGHEST_PITCH:
        raise ValueError(f"expected keys A0 to C8, found {name}")
    key = int(key_of_pitch(pitch))
    if not is_black(key):
        return white_index(key) * STANDARD.white_pitch_mm, y, 0.0
    if side == "back":
        raise ValueError(f"expected {name}-front for a black key, found {name}-back")
    return key_centres_x_mm()[key], STANDARD.black_front_mm, 0.0
