"""How much a picture differs from the one before: cuts, time that was taken out, and pictures that repeat."""

import itertools
from array import array

import cv2
import numpy as np

GRID_PX = 128
"""Width of the pictures that are compared: noise and the coding of single blocks average out, a finger is still seen."""

TOLERANCE = 8
"""Grey levels (of 255) that noise and coding may change; what goes beyond is change."""

CLEARLY = 16
"""Grey levels beyond which a pixel shows something else."""

CEILING = 40
"""Grey levels beyond `TOLERANCE` that count at most, so that a small bright thing does not outweigh a scene."""

GAIN_RANGE = (0.75, 1.33)
"""How much brighter or darker lights and exposure may make one frame than the one before."""

NEIGHBOURS_S = 0.13
"""A cut stands out against the frames this near on both sides; repeats of frames (30 a second stored as 60) lie within it."""

CUT_SHARE = 0.3
"""Share of pixels that clearly change where another scene begins. Two arms that go elsewhere change up to 0.2."""

CUT_RATIO = 2.0
JUMP_RATIO = 3.2
"""How many times as much as in any neighbouring frame changes at a cut to another scene, and where time was taken out of one."""

CELLS = (16, 9)
CELL_STEP = 6
"""Columns and rows of cells in which change is also measured, and steps per grey level in which it is kept in a byte."""

CELL_RATIO = 2.0
CELL_EXCESS = 0.5
EXCESS = 0.25
EXCESS_PART = 0.33
"""Where time was taken out while something else moves, some cells change by more than this many times what they, and those beside
them, do in any neighbouring frame. What goes beyond comes to this mean grey level over the picture, and cells in which it is more than
`CELL_EXCESS` hold this share of all clearly changed pixels. Hands that play come to 0.22, or to 0.5 in a smaller share of the pixels;
jumps began at 0.27."""

BOTH_WAYS = 0.1
LIT_SHARE = 0.02
"""Where such cells lie together, at least this share of their clearly changed pixels becomes brighter and this share darker, or else they
come to this share of the picture: a hand covers and uncovers black and white keys. A key or a note that lights up does neither (three
together in a real video came to 0.017)."""

SAME_CELLS = 0.6
RESTORED = 0.5
"""Where a picture in the picture comes and goes, this share of the cells that stand out are the same, and they differ from before it by
less than this share of its own difference."""

INSIDE = 0.9
"""Where a picture in the picture comes or goes, this share of that excess lies within it."""

CONTRAST = 40
"""Grey levels by which the most changed pixel changes where time was taken out: hands stand out so much against keys. A coder that
begins anew came to 32."""

JUMP_SHARE = 0.012
"""Least share of pixels that clearly change where time was taken out: a hand's worth. Two keys that go down within a frame, with their
fingers, come to 0.010. A jump between less is not seen."""

JUMP_MOVED = 0.3
JUMP_SOLID = 0.25
"""Where time was taken out, at least this share of the changed pixels lies where something moves, or else this share has only
changed pixels around it. What shimmers because the coder begins anew has neither."""

BAND_HEIGHT = 0.12
BAND_ASPECT = 2.5
BAND_HOLDS = 0.6
"""A band no higher than this share of the picture, in which the changed pixels reach this much wider than the band is high, and which
holds this share of them, not solid, is a line of text that comes or goes, whatever the hands do meanwhile."""

BAND_REST = 0.03
"""Share of the changed pixels that may lie left or right of the line."""

MEMORY_S = 0.6
"""How long before and after a step a place counts as one where something moves. Subtitles follow each other more slowly."""

MOVED = 6
"""Grey levels of change that count as movement."""

FLOOR = 0.05
"""Grey levels added to the neighbours' change before dividing, lest stillness make every flicker a cut."""


class ChangeMeter:
    """Measures every step from a frame to the next, and tells the cuts at the end.

    Memory: 170 bytes a frame, 36 MB an hour at 60 frames per second.
    """

    def __init__(self):
        self.times = array("d")
        self._change, self._share, self._largest = (array("f") for _ in range(3))
        self._before = self._seen_moving = None
        self._cells, self._lately = bytearray(), np.zeros((2, *CELLS[::-1]), np.uint8)
        self._open, self._looks, self._stands_out, self._steps = [], {}, {}, {}

    def see(self, grey, time_s):
        """Take the next frame.

        Parameters
        ----------
        grey : uint8 array (height, width)
            Of the same size each time.
        time_s : float

        Returns
        -------
        share : float
            Share of pixels that clearly changed.
        scene_left : bool
            As far as can be told at once, another scene begins.
        """
        small = shrink(grey)
        if self._before is None:
            self._before, self._seen_moving = small, np.full(small.shape, -np.inf)
        largest = float(cv2.absdiff(small, self._before).max())
        expected = cv2.convertScaleAbs(self._before, alpha=gain(self._before, small))
        difference = cv2.absdiff(small, expected)
        beyond = np.minimum(cv2.subtract(difference, TOLERANCE), CEILING)
        clear = cv2.compare(difference, CLEARLY, cv2.CMP_GT)
        share = cv2.countNonZero(clear) / small.size
        change = cv2.mean(beyond)[0]
        moving = difference > MOVED
        lately = max(self._change[-2:], default=np.inf)
        scene_left = share >= CUT_SHARE and change >= CUT_RATIO * (lately + FLOOR)
        self._close(time_s, moving)
        cells = cv2.resize(cv2.convertScaleAbs(beyond, alpha=CELL_STEP), CELLS, interpolation=cv2.INTER_AREA)
        if share >= JUMP_SHARE and (change >= JUMP_RATIO * lately or _excess(cells, self._lately).mean() >= EXCESS):
            active = self._seen_moving >= time_s - MEMORY_S
            self._open.append((len(self.times), time_s, (self._before, small), clear > 0, small > expected, active))
        self._seen_moving[moving] = time_s
        self.times.append(time_s)
        self._change.append(change)
        self._share.append(share)
        self._largest.append(largest)
        self._cells += cells.tobytes()
        self._lately = np.stack((self._lately[1], cells))
        self._before = small
        return share, scene_left

    def _close(self, time_s, moving):
        """Follow the steps that may be jumps a while: do their pixels lie where something moves?"""
        still_open = []
        for index, start_s, step, changed, brighter, active in self._open:
            if time_s is not None and time_s <= start_s + MEMORY_S:
                active |= moving
                still_open.append((index, start_s, step, changed, brighter, active))
            else:
                active = cv2.dilate(active.view(np.uint8), np.ones((3, 3), np.uint8)) > 0
                self._looks[index] = _like_jump(changed, active)
                self._stands_out[index] = self._is_apart(index, changed, brighter, active)
                if self._stands_out[index]:
                    self._steps[index] = step
        self._open = still_open

    def _is_apart(self, index, changed, brighter, active):
        """Whether hands are elsewhere at once in some cells, whatever moves in others."""
        excess, held = _excess(*self._around(index)), np.zeros(changed.shape, bool)
        if excess.mean() < EXCESS:
            return False
        count, places = cv2.connectedComponents((excess > CELL_EXCESS).view(np.uint8))
        wide = cv2.resize(places.astype(np.uint8), changed.shape[::-1], interpolation=cv2.INTER_NEAREST)
        for place in range(1, count):
            mine = changed & (wide == place)
            if mine.mean() >= LIT_SHARE or (mine.any() and BOTH_WAYS <= brighter[mine].mean() <= 1.0 - BOTH_WAYS):
                held |= mine
            else:
                excess[places == place] = 0.0
        return bool(excess.mean() >= EXCESS and held.sum() >= EXCESS_PART * changed.sum() and _like_jump(held, active))

    def _around(self, index):
        """Change by cell in a frame, uint8 (row, column), and in its neighbours, (frame, row, column)."""
        reach = _reach(self.times[max(0, index - 30) : index + 30])
        first, size = max(0, index - reach), CELLS[0] * CELLS[1]
        near = np.frombuffer(bytes(self._cells[first * size : (index + reach + 1) * size]), np.uint8).reshape(-1, *CELLS[::-1])
        return near[index - first], np.delete(near, index - first, axis=0)

    def cuts(self):
        """Frames at which another scene begins, and those before which time was taken out of one.

        Returns
        -------
        cuts, jumps : int array (cut,)
            Indices of the first frame after each.
        """
        self._close(None, None)
        change, share = np.asarray(self._change), np.asarray(self._share)
        looks, apart = (np.array([known.get(k, False) for k in range(len(change))]) for known in (self._looks, self._stands_out))
        if len(change) < 3:
            return np.zeros(0, int), np.zeros(0, int)
        ratio = self.ratio()
        cut = (share >= CUT_SHARE) & (ratio >= CUT_RATIO)
        jump = (share >= JUMP_SHARE) & (share < CUT_SHARE) & (self.largest() >= CONTRAST) & ((ratio >= JUMP_RATIO) & looks | apart)
        # What begins to move in the last frames goes on, for all that can be told.
        jump[len(jump) - _reach(self.times) :] = False
        return np.flatnonzero(cut), np.flatnonzero(jump)

    def ratio(self):
        """float array (frame,): how many times as much changed as in any neighbouring frame."""
        change = np.asarray(self._change)
        return change / (_neighbours(change, _reach(self.times)) + FLOOR)

    def ratio_in(self, frame, box):
        """How many times as much as in any neighbouring frame changed in a box; 0 where it does not stand out, or more than it does.

        Parameters
        ----------
        frame : int
        box : (left, top, right, bottom)
            Shares of the width and the height.
        """
        (left, top), (right, bottom) = np.floor(np.multiply(box[:2], CELLS)).astype(int), np.ceil(np.multiply(box[2:], CELLS)).astype(int)
        cells, near = self._around(frame)
        excess = _excess(cells, near)
        if excess.mean() < EXCESS or excess[top:bottom, left:right].sum() < INSIDE * excess.sum():
            return 0.0
        own, others = (part[..., top:bottom, left:right].mean(axis=(-2, -1)) / CELL_STEP for part in (cells, near))
        return float(own / (others.max(initial=0.0) + FLOOR))

    def visits(self):
        """Pairs of frames at which the same part of the picture stands out, and by the second shows again what it did before the first.

        Returns
        -------
        list of (int, int, box)
            In order; the box (left, top, right, bottom) in shares of the picture, to a cell.
        """
        parts = {k: _excess(*self._around(k)) > CELL_EXCESS for k in sorted(self._steps)}
        return [
            (first, last, _bounds(parts[first] | parts[last]))
            for first, last in itertools.combinations(parts, 2)
            if (parts[first] & parts[last]).sum() >= SAME_CELLS * (parts[first] | parts[last]).sum() and self._restores(first, last, parts)
        ]

    def _restores(self, first, last, parts):
        (before, came), (_, after) = self._steps[first], self._steps[last]
        there = cv2.resize((parts[first] & parts[last]).view(np.uint8), before.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
        lasting, own = (float(cv2.absdiff(before, other)[there].mean()) for other in (after, came))
        return lasting < RESTORED * own

    def shares(self):
        """float array (frame,): share of pixels that clearly changed since the frame before."""
        return np.asarray(self._share)

    def largest(self):
        """float array (frame,): grey levels by which the most changed pixel differs from the frame before; 0 for the first."""
        return np.asarray(self._largest)


def shrink(grey):
    """A picture at the size at which pictures are compared; smaller ones as they are."""
    height, width = grey.shape
    if width <= GRID_PX:
        return grey
    return cv2.resize(grey, (GRID_PX, max(1, round(height * GRID_PX / width))), interpolation=cv2.INTER_AREA)


def gain(before, after):
    """Factor by which the light changed between two grey pictures: the median over blocks, so that what moves does not count."""
    first, second = (cv2.resize(image, (16, 9), interpolation=cv2.INTER_AREA).astype(np.float32) for image in (before, after))
    lit = first > 12.0
    if lit.sum() < 8:
        return 1.0
    return float(np.clip(np.median(second[lit] / first[lit]), *GAIN_RANGE))


def _excess(cells, near):
    """By how much cells changed beyond `CELL_RATIO` times what they and those beside them did in other frames, in grey levels."""
    beside = cv2.dilate(near.max(axis=0, initial=0), np.ones((3, 3), np.uint8)).astype(np.float32)
    return np.maximum(cells - CELL_RATIO * beside, 0.0) / CELL_STEP


def _bounds(cells):
    """The box around some cells, in shares of the picture."""
    down, across = (np.flatnonzero(cells.any(axis=axis)) for axis in (1, 0))
    return across[0] / CELLS[0], down[0] / CELLS[1], (across[-1] + 1) / CELLS[0], (down[-1] + 1) / CELLS[1]


def _like_jump(changed, active):
    """Whether the changed pixels are rather of hands that are elsewhere at once than text or coding; bool arrays (row, column)."""
    moved = active[changed].mean()
    solid = cv2.erode(changed.view(np.uint8), np.ones((3, 3), np.uint8)).sum() / changed.sum()
    return bool(solid >= JUMP_SOLID or (moved >= JUMP_MOVED and not _is_line(changed)))


def _is_line(changed):
    """Whether most changed pixels (bool array) lie in a low and wide band."""
    height = max(1, round(BAND_HEIGHT * len(changed)))
    below = np.concatenate(([0], np.cumsum(changed.sum(axis=1))))
    held = below[height:] - below[:-height]
    top = int(np.argmax(held))
    left, right = _span(changed[top : top + height].sum(axis=0))
    return held[top] >= BAND_HOLDS * below[-1] and right - left >= BAND_ASPECT * height


def _span(counts):
    """First place and the one after the last that hold all counts but `BAND_REST` at either end."""
    below = np.cumsum(counts) / counts.sum()
    return int(np.searchsorted(below, BAND_REST)), int(np.searchsorted(below, 1.0 - BAND_REST)) + 1


def _reach(times):
    """Frames on either side that are neighbours."""
    return max(2, round(NEIGHBOURS_S / float(np.median(np.diff(times))))) if len(times) > 1 else 2


def _neighbours(values, reach):
    """Greatest of the values up to `reach` away on both sides, the value itself left out."""
    padded = np.pad(values, reach)
    shifted = [padded[reach + k : len(values) + reach + k] for k in range(-reach, reach + 1) if k]
    return np.max(shifted, axis=0)
