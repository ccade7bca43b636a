"""Measure the difference between consecutive frames: cuts, jump cuts (time removed within one view), and repeated frames."""

import itertools
from array import array

import cv2
import numpy as np

COMPARED_WIDTH_PX = 128
"""Width of the compared frames: noise and the coding of single blocks average out, a finger stays visible."""

TOLERANCE = 8
"""Grey levels (of 255) by which noise and coding may change a pixel; only the excess counts as change."""

CHANGED = 16
"""Minimum difference of a clearly changed pixel, grey levels."""

MAX_CHANGE = 40
"""Maximum change of a pixel, grey levels beyond `TOLERANCE`, so that a small bright object does not outweigh a scene."""

GAIN_RANGE = (0.75, 1.33)
"""Range of brightness changes between two frames that lights and exposure may cause."""

NEIGHBOURS_S = 0.13
"""A cut exceeds the changes of all frames within this time on both sides. Repeated frames (30 a second stored as 60) lie within it."""

CUT_SHARE = 0.3
"""Minimum share of clearly changed pixels at a cut. Two arms that move elsewhere change up to 0.2."""

CUT_RATIO = 2.0
JUMP_RATIO = 3.2
"""Minimum ratio of the change to the maximum change of the neighbouring frames, at a cut and at a jump cut."""

CELLS = (16, 9)
CELL_STEP = 6
"""Columns and rows of cells in which change is also measured, and steps per grey level in which it is stored in a byte."""

CELL_RATIO = 2.0
CELL_EXCESS = 0.5
EXCESS = 0.25
EXCESS_SHARE = 0.33
"""At a jump cut during other movement some cells change by more than `CELL_RATIO` times the maximum of their own and adjacent cells in all
neighbouring frames. The mean of this excess over the frame is at least `EXCESS` grey levels, and the cells with more than `CELL_EXCESS`
contain at least `EXCESS_SHARE` of all clearly changed pixels. Playing hands reach 0.22, or 0.5 in a smaller share of the pixels; the
smallest jump cut had 0.27."""

BOTH_WAYS = 0.1
LIT_SHARE = 0.02
"""In each connected group of such cells, at least `BOTH_WAYS` of the clearly changed pixels become brighter and as many darker, or they
cover at least `LIT_SHARE` of the frame: a hand covers and uncovers black and white keys. A key or a note that lights up does neither
(three together in a real video reached 0.017)."""

SAME_CELLS = 0.6
RESTORED = 0.5
"""When an inset appears and disappears, at least `SAME_CELLS` of the cells with excess are the same. These cells differ from the frame
before the inset by less than `RESTORED` times the difference of the inset itself."""

INSIDE = 0.9
"""Minimum share of the excess that is inside an inset when it appears or disappears."""

MIN_CONTRAST = 40
"""Minimum change of the most changed pixel at a jump cut, grey levels: hands contrast with keys by this much. Key frames of the encoder
reached 32."""

JUMP_SHARE = 0.012
"""Minimum share of clearly changed pixels at a jump cut: the area of a hand. Two keys pressed within a frame, with their fingers,
reach 0.010. A jump cut with less change is not detected."""

JUMP_MOVED = 0.3
JUMP_SOLID = 0.25
"""At a jump cut at least `JUMP_MOVED` of the changed pixels are where something moves, or at least `JUMP_SOLID` of them have only changed
pixels around them. Shimmer at a key frame of the encoder has neither."""

BAND_HEIGHT = 0.12
BAND_ASPECT = 2.5
BAND_SHARE = 0.6
"""Changed pixels that are not solid are a line of text that appears or disappears if a horizontal band contains `BAND_SHARE` of them. The
band is at most `BAND_HEIGHT` of the frame high, and its changed pixels extend over at least `BAND_ASPECT` times that height."""

BAND_REST = 0.03
"""Share of the changed pixels that may be left or right of the line."""

MOVEMENT_S = 0.6
"""A pixel counts as moving for this time before and after a movement. Subtitles follow each other more slowly."""

MOVED = 6
"""Minimum difference that counts as movement, grey levels."""

FLOOR = 0.05
"""Grey levels added to the neighbours' change in a ratio, so that flicker in a still scene is not a cut."""


class FrameDifference:
    """Measure the change from each frame to the next, and find the cuts at the end.

    Memory: 170 bytes a frame, 36 MB for an hour at 60 frames per second.
    """

    def __init__(self):
        self.times = array("d")
        self._change, self._share, self._largest = (array("f") for _ in range(3))
        self._before = self._moved_at_s = None
        self._cells, self._recent_cells = bytearray(), np.zeros((2, *CELLS[::-1]), np.uint8)
        self._pending, self._like_jumps, self._local_jumps, self._step_images = [], {}, {}, {}

    def add_frame(self, grey, time_s):
        """Process the next frame.

        Parameters
        ----------
        grey : uint8 array (height, width)
            Of the same size each time.
        time_s : float

        Returns
        -------
        share : float
            Share of pixels that clearly changed.
        new_scene : bool
            A new scene seems to begin; decided without later frames.
        """
        small = shrink(grey)
        if self._before is None:
            self._before, self._moved_at_s = small, np.full(small.shape, -np.inf)
        largest = float(cv2.absdiff(small, self._before).max())
        expected = cv2.convertScaleAbs(self._before, alpha=gain(self._before, small))
        difference = cv2.absdiff(small, expected)
        beyond = np.minimum(cv2.subtract(difference, TOLERANCE), MAX_CHANGE)
        clear = cv2.compare(difference, CHANGED, cv2.CMP_GT)
        share = cv2.countNonZero(clear) / small.size
        change = cv2.mean(beyond)[0]
        moving = difference > MOVED
        recent = max(self._change[-2:], default=np.inf)
        new_scene = share >= CUT_SHARE and change >= CUT_RATIO * (recent + FLOOR)
        self._settle(time_s, moving)
        cells = cv2.resize(cv2.convertScaleAbs(beyond, alpha=CELL_STEP), CELLS, interpolation=cv2.INTER_AREA)
        if share >= JUMP_SHARE and (change >= JUMP_RATIO * recent or _excess(cells, self._recent_cells).mean() >= EXCESS):
            active = self._moved_at_s >= time_s - MOVEMENT_S
            self._pending.append((len(self.times), time_s, (self._before, small), clear > 0, small > expected, active))
        self._moved_at_s[moving] = time_s
        self.times.append(time_s)
        self._change.append(change)
        self._share.append(share)
        self._largest.append(largest)
        self._cells += cells.tobytes()
        self._recent_cells = np.stack((self._recent_cells[1], cells))
        self._before = small
        return share, new_scene

    def _settle(self, time_s, moving):
        """Collect movement around possible jump cuts; decide those whose `MOVEMENT_S` is over, or all where `time_s` is None."""
        still_pending = []
        for index, start_s, step, changed, brighter, active in self._pending:
            if time_s is not None and time_s <= start_s + MOVEMENT_S:
                active |= moving
                still_pending.append((index, start_s, step, changed, brighter, active))
            else:
                active = cv2.dilate(active.view(np.uint8), np.ones((3, 3), np.uint8)) > 0
                self._like_jumps[index] = _is_like_jump(changed, active)
                self._local_jumps[index] = self._is_local_jump(index, changed, brighter, active)
                if self._local_jumps[index]:
                    self._step_images[index] = step
        self._pending = still_pending

    def _is_local_jump(self, index, changed, brighter, active):
        """Whether the hands jump in some cells, whatever moves in others."""
        excess, kept = _excess(*self._cells_around(index)), np.zeros(changed.shape, bool)
        if excess.mean() < EXCESS:
            return False
        count, labels = cv2.connectedComponents((excess > CELL_EXCESS).view(np.uint8))
        enlarged = cv2.resize(labels.astype(np.uint8), changed.shape[::-1], interpolation=cv2.INTER_NEAREST)
        for label in range(1, count):
            part = changed & (enlarged == label)
            if part.mean() >= LIT_SHARE or (part.any() and BOTH_WAYS <= brighter[part].mean() <= 1.0 - BOTH_WAYS):
                kept |= part
            else:
                excess[labels == label] = 0.0
        return bool(excess.mean() >= EXCESS and kept.sum() >= EXCESS_SHARE * changed.sum() and _is_like_jump(kept, active))

    def _cells_around(self, index):
        """Return the change per cell in a frame, uint8 (row, column), and in its neighbours, (frame, row, column)."""
        neighbours = _neighbour_count(self.times[max(0, index - 30) : index + 30])
        first, size = max(0, index - neighbours), CELLS[0] * CELLS[1]
        others = np.frombuffer(bytes(self._cells[first * size : (index + neighbours + 1) * size]), np.uint8).reshape(-1, *CELLS[::-1])
        return others[index - first], np.delete(others, index - first, axis=0)

    def cuts(self):
        """Find cuts and jump cuts.

        Returns
        -------
        cuts, jumps : int array (cut,)
            Indices of the first frame after each cut.
        """
        self._settle(None, None)
        change, share = np.asarray(self._change), np.asarray(self._share)
        like_jump, local = (np.array([known.get(k, False) for k in range(len(change))]) for known in (self._like_jumps, self._local_jumps))
        if len(change) < 3:
            return np.zeros(0, int), np.zeros(0, int)
        ratio = self.ratio()
        cut = (share >= CUT_SHARE) & (ratio >= CUT_RATIO)
        jump = (share >= JUMP_SHARE) & (share < CUT_SHARE) & (self.largest() >= MIN_CONTRAST) & ((ratio >= JUMP_RATIO) & like_jump | local)
        # A movement that starts in the last frames cannot be distinguished from a jump cut.
        jump[len(jump) - _neighbour_count(self.times) :] = False
        return np.flatnonzero(cut), np.flatnonzero(jump)

    def ratio(self):
        """Return the ratio of each frame's change to the maximum change of its neighbours, float array (frame,)."""
        change = np.asarray(self._change)
        return change / (_neighbour_maximum(change, _neighbour_count(self.times)) + FLOOR)

    def ratio_in(self, frame, box):
        """Return the ratio of the change in a box to the maximum of the neighbouring frames.

        It is 0 where the excess of the frame is below `EXCESS`, or where less than `INSIDE` of it is inside the box.

        Parameters
        ----------
        frame : int
        box : (left, top, right, bottom)
            Shares of the width and the height.
        """
        (left, top), (right, bottom) = np.floor(np.multiply(box[:2], CELLS)).astype(int), np.ceil(np.multiply(box[2:], CELLS)).astype(int)
        cells, others = self._cells_around(frame)
        excess = _excess(cells, others)
        if excess.mean() < EXCESS or excess[top:bottom, left:right].sum() < INSIDE * excess.sum():
            return 0.0
        part_change, others = (part[..., top:bottom, left:right].mean(axis=(-2, -1)) / CELL_STEP for part in (cells, others))
        return float(part_change / (others.max(initial=0.0) + FLOOR))

    def temporary_changes(self):
        """Find pairs of frames that change the same part of the frame, where the second change restores the content before the first.

        Returns
        -------
        list of (int, int, box)
            In order; the box (left, top, right, bottom) in shares of the frame, rounded to cells.
        """
        parts = {k: _excess(*self._cells_around(k)) > CELL_EXCESS for k in sorted(self._step_images)}
        return [
            (first, last, _bounding_box(parts[first] | parts[last]))
            for first, last in itertools.combinations(parts, 2)
            if (parts[first] & parts[last]).sum() >= SAME_CELLS * (parts[first] | parts[last]).sum() and self._restores(first, last, parts)
        ]

    def _restores(self, first, last, parts):
        (before, came), (_, after) = self._step_images[first], self._step_images[last]
        common = cv2.resize((parts[first] & parts[last]).view(np.uint8), before.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
        remaining, part_change = (float(cv2.absdiff(before, other)[common].mean()) for other in (after, came))
        return remaining < RESTORED * part_change

    def shares(self):
        """Return the share of clearly changed pixels since the previous frame, float array (frame,)."""
        return np.asarray(self._share)

    def largest(self):
        """Return the maximum pixel difference from the previous frame, grey levels, float array (frame,); 0 for the first."""
        return np.asarray(self._largest)


def shrink(grey):
    """Scale a frame down to the size for comparisons; smaller frames keep their size."""
    height, width = grey.shape
    if width <= COMPARED_WIDTH_PX:
        return grey
    return cv2.resize(grey, (COMPARED_WIDTH_PX, max(1, round(height * COMPARED_WIDTH_PX / width))), interpolation=cv2.INTER_AREA)


def gain(before, after):
    """Estimate the brightness factor between two grey frames: the median over blocks, which ignores moving objects."""
    first, second = (cv2.resize(image, (16, 9), interpolation=cv2.INTER_AREA).astype(np.float32) for image in (before, after))
    lit = first > 12.0
    if lit.sum() < 8:
        return 1.0
    return float(np.clip(np.median(second[lit] / first[lit]), *GAIN_RANGE))


def _excess(cells, others):
    """Return the change of cells beyond `CELL_RATIO` times the maximum of their own and adjacent cells in other frames, grey levels."""
    adjacent = cv2.dilate(others.max(axis=0, initial=0), np.ones((3, 3), np.uint8)).astype(np.float32)
    return np.maximum(cells - CELL_RATIO * adjacent, 0.0) / CELL_STEP


def _bounding_box(cells):
    """Return the bounding box (left, top, right, bottom) of some cells, in shares of the frame."""
    down, across = (np.flatnonzero(cells.any(axis=axis)) for axis in (1, 0))
    return across[0] / CELLS[0], down[0] / CELLS[1], (across[-1] + 1) / CELLS[0], (down[-1] + 1) / CELLS[1]


def _is_like_jump(changed, active):
    """Whether the changed pixels come from hands that jump rather than from text or coding; bool arrays (row, column)."""
    moved = active[changed].mean()
    solid = cv2.erode(changed.view(np.uint8), np.ones((3, 3), np.uint8)).sum() / changed.sum()
    return bool(solid >= JUMP_SOLID or (moved >= JUMP_MOVED and not _is_line(changed)))


def _is_line(changed):
    """Whether most changed pixels (bool array) are in a low and wide band."""
    height = max(1, round(BAND_HEIGHT * len(changed)))
    below = np.concatenate(([0], np.cumsum(changed.sum(axis=1))))
    kept = below[height:] - below[:-height]
    top = int(np.argmax(kept))
    left, right = _span(changed[top : top + height].sum(axis=0))
    return kept[top] >= BAND_SHARE * below[-1] and right - left >= BAND_ASPECT * height


def _span(counts):
    """Return the first index and the one after the last that contain all counts but `BAND_REST` at either end."""
    below = np.cumsum(counts) / counts.sum()
    return int(np.searchsorted(below, BAND_REST)), int(np.searchsorted(below, 1.0 - BAND_REST)) + 1


def _neighbour_count(times):
    """Return the number of neighbouring frames on each side."""
    return max(2, round(NEIGHBOURS_S / float(np.median(np.diff(times))))) if len(times) > 1 else 2


def _neighbour_maximum(values, neighbours):
    """Return the maximum of the values up to `neighbours` away on both sides, without the value itself."""
    padded = np.pad(values, neighbours)
    shifted = [padded[neighbours + k : len(values) + neighbours + k] for k in range(-neighbours, neighbours + 1) if k]
    return np.max(shifted, axis=0)
