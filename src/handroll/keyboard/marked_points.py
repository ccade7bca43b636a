"""Points of the keyboard that somebody marked in a picture, as text of a sheet's cell."""

import re

import numpy as np

from handroll.keyboard.geometry import HIGHEST_PITCH, LOWEST_PITCH, STANDARD, is_black, key_centres_x_mm, key_of_pitch, white_index
from handroll.text import short_repr

MIN_POINTS = 4
MAX_PX = 100_000
"""Largest coordinate, px: no picture is larger, though points may be outside it."""

_NAMES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
_MARKED = re.compile(r"(?P<key>(?:[A-G]|[ACDFG]#)\d|end)-(?P<side>front|back)\s+(?P<x>-?\d+(\.\d*)?)[\s,]+(?P<y>-?\d+(\.\d*)?)")


def marked_points(text):
    """Points of the keyboard that somebody marked, as text: `A0-front 102 655; A0-back 110 401; end-front 1820 650; F#4-front ...`.

    A name is a key and which end of its left edge, towards the player (front) or the fallboard (back); `end` is the right
    edge of C8; of a black key there is the middle of its front only. Then x and y, pixels of the picture as shown.

    Parameters
    ----------
    text : str
        At least 4 points, separated by semicolons.

    Returns
    -------
    points_px : array (n, xy 2)
    points_mm : array (n, xyz 3)

    Raises
    ------
    ValueError
        Saying which point is wrong, and how; or that the points do not fix the keyboard's plane, since all, or all but one, are on one
        line, in the picture or on the keyboard; or that they are mirrored.
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
    for points, where in ((points_mm[:, :2], "on the keyboard"), (points_px, "in the picture")):
        if not _fix_plane(points):
            raise ValueError(f"expected 4 points {where} of which no 3 are on one line, found {short_repr(text)}")
    # Linear map from the keyboard to the picture, whose y points down: from above it turns a corner the other way round.
    linear = np.linalg.lstsq(points_mm[:, :2] - points_mm[:, :2].mean(axis=0), points_px - points_px.mean(axis=0), rcond=None)[0]
    if np.linalg.det(linear) > 0.0:
        raise ValueError(
            f"expected a keyboard seen from above, found its mirror image in {short_repr(text)}; check left, right, front and back"
        )
    return points_px, points_mm


def _fix_plane(points):
    """Whether points (n, xy 2), px or mm, fix a plane's place in a picture: no line is within 1 of all of them, or of all but one."""
    points = np.unique(points, axis=0)
    rests = (np.delete(points, one, axis=0) for one in range(len(points)))
    return len(points) >= MIN_POINTS and all(np.linalg.svd(rest - rest.mean(axis=0), compute_uv=False)[-1] >= 1.0 for rest in rests)


def point_mm(name, side):
    """Position (x, y, z) of the "front" or "back" of a key such as "F#4", or of "end", mm; raises ValueError where there is none."""
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
        raise ValueError(f"of a black key expected its front, found {name}-back")
    return key_centres_x_mm()[key], STANDARD.black_front_mm, 0.0
