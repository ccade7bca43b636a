"""Detect insets (picture-in-picture): rectangles whose content appears, disappears or changes abruptly while the rest continues.

An inset that is visible during a whole shot and does not change abruptly is not detected, because it looks like a tablet in the scene.
"""

from typing import NamedTuple

import cv2
import numpy as np

MIN_SIDE = 0.1
"""Minimum width and height of an inset, as a share of the frame's width and height. Lines of text are lower."""

AREA_RANGE = (0.015, 0.6)
"""Minimum and maximum area of an inset, as a share of the frame."""

CHANGED = 14
"""Minimum difference (grey levels) of a changed pixel, in any colour channel."""

CLOSE_PX = 7
"""Maximum size of the gaps in the changed pixels that are closed, in pixels of a frame 256 pixels wide. In a gap, the inset is similar to
the content that it covers."""

MIN_FILLED = 0.8
"""Minimum share of changed pixels in the rectangle of an inset, after gaps are closed."""

MIN_FILLED_ALONE = 0.93
"""Minimum share of changed pixels in a rectangle that only appears or only disappears. An arm that disappears abruptly reaches 0.9."""

MIN_SIDES_FILLED = 0.8
"""Minimum share of changed pixels along a side of the rectangle, as the mean of the four sides."""

MIN_SIDE_FILLED = 0.4
"""Minimum share of changed pixels along each single side. It is lower, because a logo may cover a part of one side."""

EDGE_PX = 3
"""Maximum distance (px) of image edges from the sides of the rectangle."""

EDGE_RATIO = 1.3
"""Minimum ratio of two strengths of the image edges along the sides of the rectangle: while the inset is visible, divided by without it."""

MIN_OVERLAP = 0.8
"""Minimum overlap (intersection over union) of the rectangles in which one inset appears and disappears."""

PATCH_PX = 12
"""Width and height (px) of the patches to which the contents of rectangles are scaled before they are compared."""

MAX_RESTORED = 0.4
"""Maximum difference between the contents of a rectangle after and before an inset, as a share of the difference between the inset and the
content before it. With less difference the earlier content is restored."""

MIN_FRAMES = 8
"""Minimum duration of an inset in frames. Passing objects fill a rectangle for only a frame or two."""

CLEAR_RATIO = 5.0
"""Minimum ratio of the change inside a rectangle to that of the neighbouring frames, for a clear change. At least one of an
inset's two changes, appearance and disappearance, must be clear. If the edges are inconclusive, both must be clear. If the shot begins or
ends with the inset, the inset has only one change, which must be clear. Passing arms reached 4.3, insets at least 11."""


class RectangleChange(NamedTuple):
    """A rectangle whose content was replaced between two frames.

    Attributes
    ----------
    frame : int
        First frame with the new content.
    kind : str
        "appears" if the image edges along the sides are stronger after the change than before it; "disappears" if they are weaker;
        "changes" if the difference is too small for a decision (`EDGE_RATIO`).
    box : tuple of float
        Left, top, right, bottom, as shares of the frame's width and height.
    well_filled : bool
        Whether the changed pixels fill at least `MIN_FILLED_ALONE` of the rectangle, so that no second change is needed.
    before, after : float32 array (PATCH_PX, PATCH_PX)
        Content of the rectangle before and after the change, grey and scaled down.
    """

    frame: int
    kind: str
    box: tuple[float, float, float, float]
    well_filled: bool
    before: np.ndarray
    after: np.ndarray


def find_rectangle_change(before, after, frame, earlier=None):
    """Find the rectangle that changed between two consecutive frames.

    Parameters
    ----------
    before, after : uint8 array (height, width, 3)
        The two frames, RGB.
    frame : int
        Number of the later frame.
    earlier : uint8 array (height, width, 3), optional
        The frame before `before`. Pixels that changed between these two are hands, which may touch the rectangle.

    Returns
    -------
    RectangleChange, or None if the changed pixels are not a rectangle
    """
    changed = _changed(before, after)
    if not 0.5 * AREA_RANGE[0] * changed.size < cv2.countNonZero(changed) < AREA_RANGE[1] * changed.size:
        return None
    closed, boxes = _rectangles(changed)
    if closed is not None and not boxes and earlier is not None:
        hands = cv2.dilate(_changed(earlier, before), np.ones((CLOSE_PX, CLOSE_PX), np.uint8))
        closed, boxes = _rectangles(cv2.subtract(changed, hands))
    if not boxes:
        return None
    left, top, width, height = max(boxes, key=lambda box: box[2] * box[3])
    frame_height, frame_width = changed.shape
    box = (left, top, left + width, top + height)
    if left <= EDGE_PX and left + width >= frame_width - EDGE_PX:
        # This is a band across the whole width, such as falling notes.
        return None
    old, new = _edges(before, box), _edges(after, box)
    kind = "appears" if new > EDGE_RATIO * old else "disappears" if old > EDGE_RATIO * new else "changes"
    patches = [_patch(image[top : top + height, left : left + width]) for image in (before, after)]
    well_filled = bool(closed[top : top + height, left : left + width].mean() >= MIN_FILLED_ALONE)
    shares = (left / frame_width, top / frame_height, (left + width) / frame_width, (top + height) / frame_height)
    return RectangleChange(frame, kind, shares, well_filled, *patches)


def _changed(before, after):
    """Find changed pixels: uint8 array (height, width), 0 or 1."""
    return (cv2.absdiff(before, after).max(axis=2) > CHANGED).view(np.uint8)


def _rectangles(changed):
    """Find the rectangles that are filled with changed pixels.

    Parameters
    ----------
    changed : uint8 array (height, width)
        1 where a pixel changed, else 0.

    Returns
    -------
    closed : uint8 array (height, width) or None
        The changed pixels after gaps are closed; None if no connected region reaches the minimum area.
    boxes : list of (left, top, width, height), px
    """
    closed = cv2.morphologyEx(changed, cv2.MORPH_CLOSE, np.ones((CLOSE_PX, CLOSE_PX), np.uint8))
    # Morphological opening separates the rectangle from hands that touch one of its corners.
    solid = cv2.morphologyEx(closed, cv2.MORPH_OPEN, np.ones((2 * CLOSE_PX + 1, 2 * CLOSE_PX + 1), np.uint8))
    stats = cv2.connectedComponentsWithStats(solid)[2][1:]
    if not len(stats) or stats[:, cv2.CC_STAT_AREA].max() < AREA_RANGE[0] * changed.size:
        return None, []
    return closed, [box for box in stats[:, : cv2.CC_STAT_AREA].tolist() if _is_rectangle(closed, *box)]


def _is_rectangle(closed, left, top, width, height):
    """Return whether a box (px) has the size of an inset, and the changed pixels fill the box and its sides.

    `closed`: uint8 array (height, width), 1 for a changed pixel or a closed gap.
    """
    frame_height, frame_width = closed.shape
    inside = closed[top : top + height, left : left + width]
    if (
        width < MIN_SIDE * frame_width
        or height < MIN_SIDE * frame_height
        or not AREA_RANGE[0] <= inside.size / closed.size <= AREA_RANGE[1]
    ):
        return False
    # A side may be off by a pixel or two, because closing rounds it or the inset ends within a pixel.
    ends = inside[:EDGE_PX], inside[-EDGE_PX:], inside[:, :EDGE_PX].T, inside[:, -EDGE_PX:].T
    filled = [lines.mean(axis=1).max() for lines in ends]
    return inside.mean() >= MIN_FILLED and np.mean(filled) >= MIN_SIDES_FILLED and min(filled) >= MIN_SIDE_FILLED


def inset_spans(changes, temporary_changes, breaks, stop):
    """Find the time spans of insets.

    Parameters
    ----------
    changes : list of (RectangleChange, float)
        Changes in order of time, each with its ratio to the change of the neighbouring frames (`FrameDifference.ratio_in`).
    temporary_changes : list of (int, int, box)
        Result of `FrameDifference.temporary_changes`. The changed part need not be a rectangle.
    breaks : int array (cut,)
        First frames after cuts and fades, in order. An inset whose disappearance is not found ends at the next break.
    stop : int
        Number of frames.

    Returns
    -------
    list of (int, int, box)
        First frame of the inset, the frame after its last one, and its box as shares of the frame.
    """
    found, waiting, disappearances = [], [], []
    for change, ratio in changes:
        start, _ = _shot(change.frame, breaks, stop)
        clear = ratio >= CLEAR_RATIO
        partner = next((item for item in waiting if item[0].frame >= start and overlap(item[0].box, change.box) >= MIN_OVERLAP), None)
        if partner is None:
            if change.kind == "appears" or (change.kind == "changes" and clear):
                waiting.append((change, ratio))
            elif change.kind == "disappears" and clear and change.well_filled:
                disappearances.append((start, change.frame, change.box))
            continue
        first, first_ratio = partner
        appeared_and_disappeared = (first.kind, change.kind) == ("appears", "disappears") and max(ratio, first_ratio) >= CLEAR_RATIO
        replaced = _restores(first, change) and clear and first_ratio >= CLEAR_RATIO
        if change.frame - first.frame >= MIN_FRAMES and (appeared_and_disappeared or replaced):
            waiting.remove(partner)
            found.append((first.frame, change.frame, change.box))
    for first, last, box in temporary_changes:
        size = (box[2] - box[0]) * (box[3] - box[1])
        if last - first >= MIN_FRAMES and AREA_RANGE[0] <= size <= AREA_RANGE[1] and not any(a < last and first < b for a, b, _ in found):
            found.append((first, last, box))
    ends = {end for first, last, _ in found for end in (first, last)}
    unpaired = [
        change
        for change, ratio in waiting
        if change.kind == "appears" and change.well_filled and ratio >= CLEAR_RATIO and change.frame not in ends
    ]
    found += [span for span in disappearances if span[1] not in ends]
    found += [(change.frame, _shot(change.frame, breaks, stop)[1], change.box) for change in unpaired]
    return sorted(found)


def _restores(first, last):
    """Return whether the RectangleChange `last` restores the content before the RectangleChange `first`; see `MAX_RESTORED`."""
    return float(np.abs(last.after - first.before).mean()) < MAX_RESTORED * float(np.abs(first.after - first.before).mean())


def _patch(image):
    """Scale an image (height, width, 3) to a grey patch (PATCH_PX, PATCH_PX)."""
    return cv2.resize(image, (PATCH_PX, PATCH_PX), interpolation=cv2.INTER_AREA).astype(np.float32).mean(axis=2)


def overlap(first, second):
    """Return the intersection over union of two boxes (left, top, right, bottom)."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return width * height / (sum(areas) - width * height)


def _shot(frame, breaks, stop):
    """Return the frame range (start, stop) of the shot around a change at a frame. A break at the frame itself is ignored.

    `breaks`: first frames after cuts and fades. `stop`: number of frames of the video.
    """
    earlier, later = [b for b in breaks if b < frame], [b for b in breaks if b > frame]
    return max(earlier, default=0), min(later, default=stop)


def _edges(image, box):
    """Return the strength (grey levels) of the image edges along a box (left, top, right, bottom; px), as the mean over its four sides.

    The strength along a side is the maximum over the lines within `EDGE_PX` of the mean step between neighbouring pixels.

    Sides at the border of the frame are left out. The result is 0 if all sides are at the border.
    """
    grey = image.mean(axis=2)
    strengths = []
    for image, (first, last), positions in ((grey, (box[1], box[3]), (box[0], box[2])), (grey.T, (box[0], box[2]), (box[1], box[3]))):
        steps = np.abs(np.diff(image[first:last], axis=1)).mean(axis=0)
        for position in positions:
            if EDGE_PX < position < image.shape[1] - EDGE_PX:
                strengths.append(steps[position - EDGE_PX : position + EDGE_PX].max())
    return float(np.mean(strengths)) if strengths else 0.0
