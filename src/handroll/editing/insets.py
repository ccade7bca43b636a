"""Finds pictures in the picture: rectangles whose content comes, goes or is replaced at once while the rest goes on.

An inset that stays from a shot's first frame to its last and has no cut of its own is not found: it looks like a tablet.
"""

from typing import NamedTuple

import cv2
import numpy as np

LEAST_SIDE = 0.1
"""Least width and height, as a share of the picture's. Lines of text are lower."""

AREA = (0.015, 0.6)
"""Least and greatest share of the picture that an inset takes."""

CLEARLY = 14
"""Grey levels, in any colour, by which a pixel shows something else."""

CLOSE_PX = 7
"""Gaps in the changed pixels up to this size, of 256, are closed: places where the inset is like what it covers."""

FILLED = 0.8
"""Least share of the rectangle's pixels that change, gaps closed."""

SURELY_FILLED = 0.93
"""The same for a rectangle of which nothing else is seen: an arm that is gone at once comes to 0.9."""

SIDES_FILLED = 0.8
SIDE_FILLED = 0.4
"""Least share along its sides, on average and along each; a logo may lie over one."""

EDGE_PX = 3
"""How far from the sides of the rectangle the edges are looked for."""

EDGE_RATIO = 1.3
"""The picture with the inset has edges along its sides that are stronger by this factor."""

SAME = 0.8
"""Least overlap (intersection over union) of two rectangles that are one inset."""

PATCH_PX = 12
RESTORED = 0.4
"""A rectangle shows again what it showed before the inset came if it differs from that by less than this share of the inset's own
difference, pictures shrunk to `PATCH_PX` squared."""

LEAST_FRAMES = 8
"""Shortest stay of an inset: what sweeps by fills a rectangle for a frame or two."""

CLEAR_RATIO = 5.0
"""How many times as much as in any neighbouring frame has to change within an inset when it comes or when it goes; and both times where
its edges do not tell, or at the one of which nothing else is seen, because its shot begins with the inset, or ends before it goes. Arms
that sweep by came to 4.3, insets to 11 and more."""


class Pop(NamedTuple):
    """A rectangle whose content was replaced between two frames.

    Attributes
    ----------
    frame : int
        First frame with the new content.
    kind : str
        "came", "went", or "changed" where the edges do not tell.
    box : tuple of float
        Left, top, right, bottom, shares of the width and the height.
    sure : bool
        The changed pixels fill it so well that it needs no second pop to be believed.
    before, after : float32 array (PATCH_PX, PATCH_PX)
        What it showed, grey and small.
    """

    frame: int
    kind: str
    box: tuple[float, float, float, float]
    sure: bool
    before: np.ndarray
    after: np.ndarray


def find_pop(before, after, frame, earlier=None):
    """Compare two consecutive pictures.

    Parameters
    ----------
    before, after : uint8 array (height, width, 3)
    frame : int
        Number of the later one.
    earlier : uint8 array (height, width, 3), optional
        The picture before both: what changed since already are hands, which may touch the rectangle.

    Returns
    -------
    Pop, or None where what changed is no rectangle
    """
    changed = _changed(before, after)
    if not 0.5 * AREA[0] * changed.size < cv2.countNonZero(changed) < AREA[1] * changed.size:
        return None
    closed, boxes = _rectangles(changed)
    if closed is not None and not boxes and earlier is not None:
        hands = cv2.dilate(_changed(earlier, before), np.ones((CLOSE_PX, CLOSE_PX), np.uint8))
        closed, boxes = _rectangles(cv2.subtract(changed, hands))
    if not boxes:
        return None
    left, top, width, height = max(boxes, key=lambda box: box[2] * box[3])
    tall, wide = changed.shape
    box = (left, top, left + width, top + height)
    if left <= EDGE_PX and left + width >= wide - EDGE_PX:
        # From side to side: a band, such as where notes fall.
        return None
    old, new = _edges(before, box), _edges(after, box)
    kind = "came" if new > EDGE_RATIO * old else "went" if old > EDGE_RATIO * new else "changed"
    patches = [_patch(picture[top : top + height, left : left + width]) for picture in (before, after)]
    sure = bool(closed[top : top + height, left : left + width].mean() >= SURELY_FILLED)
    return Pop(frame, kind, (left / wide, top / tall, (left + width) / wide, (top + height) / tall), sure, *patches)


def _changed(before, after):
    """Where a pixel shows something else: uint8 array (height, width), 0 or 1."""
    return (cv2.absdiff(before, after).max(axis=2) > CLEARLY).view(np.uint8)


def _rectangles(changed):
    """The changed pixels with gaps closed, None where no part is large enough, and the boxes (left, top, width, height) they fill."""
    closed = cv2.morphologyEx(changed, cv2.MORPH_CLOSE, np.ones((CLOSE_PX, CLOSE_PX), np.uint8))
    # Opened again, so that hands that touch a corner do not count with it.
    solid = cv2.morphologyEx(closed, cv2.MORPH_OPEN, np.ones((2 * CLOSE_PX + 1, 2 * CLOSE_PX + 1), np.uint8))
    stats = cv2.connectedComponentsWithStats(solid)[2][1:]
    if not len(stats) or stats[:, cv2.CC_STAT_AREA].max() < AREA[0] * changed.size:
        return None, []
    return closed, [box for box in stats[:, : cv2.CC_STAT_AREA].tolist() if _is_rectangle(closed, *box)]


def _is_rectangle(closed, left, top, width, height):
    """Whether the changed pixels (gaps closed) fill this box and its sides."""
    tall, wide = closed.shape
    inside = closed[top : top + height, left : left + width]
    if width < LEAST_SIDE * wide or height < LEAST_SIDE * tall or not AREA[0] <= inside.size / closed.size <= AREA[1]:
        return False
    # A side may be a pixel or two off, where the closing rounded it or the inset ends within a pixel.
    ends = inside[:EDGE_PX], inside[-EDGE_PX:], inside[:, :EDGE_PX].T, inside[:, -EDGE_PX:].T
    filled = [lines.mean(axis=1).max() for lines in ends]
    return inside.mean() >= FILLED and np.mean(filled) >= SIDES_FILLED and min(filled) >= SIDE_FILLED


def stays(pops, visits, breaks, stop):
    """When insets are in the picture.

    Parameters
    ----------
    pops : list of (Pop, float)
        In order; with each how many times as much as in any neighbouring frame changed within it.
    visits : list of (int, int, box)
        Pairs of frames between which a part of the picture shows something else, also where it is no rectangle.
    breaks : int array (cut,)
        First frames after cuts and fades, in order: an inset does not outlast them unless it comes again.
    stop : int
        Number of frames.

    Returns
    -------
    list of (int, int, box)
        First frame, the frame after the last, and where.
    """
    found, waiting, gone = [], [], []
    for pop, ratio in pops:
        start, _ = _shot(pop.frame, breaks, stop)
        clear = ratio >= CLEAR_RATIO
        partner = next((item for item in waiting if item[0].frame >= start and overlap(item[0].box, pop.box) >= SAME), None)
        if partner is None:
            if pop.kind == "came" or (pop.kind == "changed" and clear):
                waiting.append((pop, ratio))
            elif pop.kind == "went" and clear and pop.sure:
                gone.append((start, pop.frame, pop.box))
            continue
        first, first_ratio = partner
        told = (first.kind, pop.kind) == ("came", "went") and max(ratio, first_ratio) >= CLEAR_RATIO
        replaced = _restores(first, pop) and clear and first_ratio >= CLEAR_RATIO
        if pop.frame - first.frame >= LEAST_FRAMES and (told or replaced):
            waiting.remove(partner)
            found.append((first.frame, pop.frame, pop.box))
    for first, last, box in visits:
        size = (box[2] - box[0]) * (box[3] - box[1])
        if last - first >= LEAST_FRAMES and AREA[0] <= size <= AREA[1] and not any(a < last and first < b for a, b, _ in found):
            found.append((first, last, box))
    ends = {end for first, last, _ in found for end in (first, last)}
    lone = [pop for pop, ratio in waiting if pop.kind == "came" and pop.sure and ratio >= CLEAR_RATIO and pop.frame not in ends]
    found += [span for span in gone if span[1] not in ends]
    found += [(pop.frame, _shot(pop.frame, breaks, stop)[1], pop.box) for pop in lone]
    return sorted(found)


def _restores(came, went):
    """Whether the picture after the second pop is that before the first."""
    return float(np.abs(went.after - came.before).mean()) < RESTORED * float(np.abs(came.after - came.before).mean())


def _patch(picture):
    return cv2.resize(picture, (PATCH_PX, PATCH_PX), interpolation=cv2.INTER_AREA).astype(np.float32).mean(axis=2)


def overlap(first, second):
    """Intersection over union of two boxes (left, top, right, bottom)."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return width * height / (sum(areas) - width * height)


def _shot(frame, breaks, stop):
    """First frame of the shot that a frame lies in, and the frame after its last."""
    earlier, later = [b for b in breaks if b < frame], [b for b in breaks if b > frame]
    return max(earlier, default=0), min(later, default=stop)


def _edges(picture, box):
    """Mean strength of the edges along the sides of a box that are not the picture's own: each the strongest nearby."""
    grey = picture.mean(axis=2)
    strengths = []
    for image, (first, last), places in ((grey, (box[1], box[3]), (box[0], box[2])), (grey.T, (box[0], box[2]), (box[1], box[3]))):
        steps = np.abs(np.diff(image[first:last], axis=1)).mean(axis=0)
        for place in places:
            if EDGE_PX < place < image.shape[1] - EDGE_PX:
                strengths.append(steps[place - EDGE_PX : place + EDGE_PX].max())
    return float(np.mean(strengths)) if strengths else 0.0
