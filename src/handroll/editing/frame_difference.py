"""Measure the difference between consecutive frames, and find cuts and jump cuts (time removed within one view).

The neighbours of a frame are the frames within `NEIGHBOURS_S` on both sides. Change is also measured in cells, the rectangles of a coarse
grid over the frame. The excess of a cell is its change beyond that of the neighbours: max(0, change - `CELL_RATIO` * m), where m is the
maximum change of the cell and its adjacent cells in all neighbours. The excess shows a jump cut even if other parts of the frame move.
"""

import itertools
from array import array

import cv2
import numpy as np

COMPARED_WIDTH_PX = 128
"""Width (px) to which frames are scaled before they are compared: noise and coding errors average out, and a finger stays visible."""

TOLERANCE = 8
"""Maximum difference (grey levels of 255) of a pixel that noise and coding may cause. Only what exceeds it counts as change."""

CHANGED = 16
"""Minimum difference (grey levels) of a clearly changed pixel."""

MAX_CHANGE = 40
"""Maximum change (grey levels beyond `TOLERANCE`) that one pixel contributes, so that a small bright object does not outweigh a scene."""

GAIN_RANGE = (0.75, 1.33)
"""Range of the brightness factor from a frame to the next that lights and exposure may cause. The earlier frame is multiplied by the factor
before the two are compared."""

NEIGHBOURS_S = 0.13
"""Maximum time (s) between a frame and its neighbours. The change at a cut exceeds that of all neighbours. The time is long enough to
contain frames that are not repeats, even if 30 frames a second are stored as 60."""

CUT_SHARE = 0.3
"""Minimum share of clearly changed pixels at a cut. Two arms that move elsewhere change up to 0.2."""

CUT_RATIO = 2.0
"""Minimum ratio of the change at a cut to the maximum change of the neighbours."""

JUMP_RATIO = 3.2
"""Minimum ratio of the change at a jump cut to the maximum change of the neighbours."""

CELLS = (16, 9)
"""Columns and rows of the grid of cells in which change is also measured."""

CELL_STEP = 6
"""Factor by which the change of a cell (grey levels) is multiplied before it is stored as a byte."""

CELL_RATIO = 2.0
"""Factor by which the maximum change of the neighbours is multiplied in the excess of a cell; see the module docstring."""

CELL_EXCESS = 0.5
"""Minimum excess (grey levels) of a cell that belongs to a jump cut."""

EXCESS = 0.25
"""Minimum mean excess (grey levels) over all cells of the frame at a jump cut. Playing hands reach 0.22, and up to
0.5 if less than `EXCESS_SHARE` of the changed pixels are in cells with excess. The smallest jump cut in tests had 0.27."""

EXCESS_SHARE = 0.33
"""Minimum share of all clearly changed pixels that are in cells with an excess above `CELL_EXCESS`, at a jump cut."""

BOTH_WAYS = 0.1
"""Minimum share of brighter pixels, and of darker pixels, among the clearly changed pixels of a connected group of cells with excess. A
hand covers and uncovers black and white keys. A key or a note that lights up has only brighter pixels, so its group is ignored."""

LIT_SHARE = 0.02
"""Minimum area of the clearly changed pixels of a group of cells, as a share of the frame, from which the group counts even without
`BOTH_WAYS`. Three keys that lit up together in a real video had 0.017."""

SAME_CELLS = 0.6
"""Minimum overlap (intersection over union) between the cells with excess at the appearance of an inset and those at its disappearance."""

RESTORED = 0.5
"""Maximum difference between the frame before an inset and the frame after it, as a share of the change at its appearance. Both are
measured in the cells that have excess at both the appearance and the disappearance."""

INSIDE = 0.9
"""Minimum share of the frame's excess that is inside the box of an inset when it appears or disappears."""

MIN_CONTRAST = 40
"""Minimum change (grey levels) of the most changed pixel at a jump cut: hands contrast with keys by this much. Key frames of the encoder
reached 32."""

JUMP_SHARE = 0.012
"""Minimum share of clearly changed pixels at a jump cut: the area of a hand. Two keys pressed within a frame, with their fingers,
reach 0.010. A jump cut with less change is not detected."""

JUMP_MOVED = 0.3
"""Minimum share of the changed pixels of a jump cut at which something moves within `MOVEMENT_S`. It is not required if the pixels
reach `JUMP_SOLID`. Shimmer at a key frame of the encoder reaches neither."""

JUMP_SOLID = 0.25
"""Minimum share of the changed pixels of a jump cut whose eight adjacent pixels changed, too. It is not required if the pixels reach
`JUMP_MOVED`."""

BAND_HEIGHT = 0.12
"""Maximum height of a line of text, as a share of the frame's height. A line of text that appears or disappears is not a jump cut."""

BAND_ASPECT = 2.5
"""Minimum width of a line of text, as a multiple of its maximum height (`BAND_HEIGHT`)."""

BAND_SHARE = 0.6
"""Minimum share of the changed pixels that are in the horizontal band of a line of text."""

BAND_REST = 0.03
"""Maximum share of the band's changed pixels that are to the left of a line of text, and maximum share to the right of it."""

MOVEMENT_S = 0.6
"""Time (s) before and after a movement for which a pixel counts as moving. Subtitles follow each other more slowly."""

MOVED = 6
"""Minimum difference (grey levels) between two frames that counts as movement of a pixel."""

FLOOR = 0.05
"""Grey levels that are added to the change of the neighbours when a ratio is computed, so that flicker in a still scene is not a cut."""


class FrameDifference:
    """Measure the change from each frame to the next. After the last frame, find the cuts.

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
            All frames have the same size.
        time_s : float
            Presentation time, later than that of the previous frame.

        Returns
        -------
        share : float
            Share of clearly changed pixels.
        new_scene : bool
            Whether a new scene seems to begin. Later frames are not used, so this is less certain than `cuts`.
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
        self._decide_pending(time_s, moving)
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

    def _decide_pending(self, time_s, moving):
        """Decide the pending jump cuts that are older than `MOVEMENT_S`. Add the moving pixels of the current frame to the others.

        `time_s`: time of the current frame, s; None: decide all. `moving`: bool array (row, column), true for moving pixels.
        """
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
        """Return whether some cells show a jump cut, even if others show movement.

        Parameters
        ----------
        index : int
            First frame after the possible jump cut.
        changed, brighter, active : bool arrays (row, column)
            Pixels that clearly changed; pixels that became brighter; pixels in which something moves within `MOVEMENT_S`.
        """
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
        """Return the change of a frame's cells and that of its neighbours' cells, in 1/`CELL_STEP` grey levels.

        Returns
        -------
        cells : uint8 array (row, column)
        others : uint8 array (neighbour, row, column)
        """
        neighbours = _neighbour_count(self.times[max(0, index - 30) : index + 30])
        first, size = max(0, index - neighbours), CELLS[0] * CELLS[1]
        others = np.frombuffer(bytes(self._cells[first * size : (index + neighbours + 1) * size]), np.uint8).reshape(-1, *CELLS[::-1])
        return others[index - first], np.delete(others, index - first, axis=0)

    def cuts(self):
        """Find cuts and jump cuts.

        Returns
        -------
        cuts, jumps : int array (cut,)
            Index of the first frame after each cut.
        """
        self._decide_pending(None, None)
        change, share = np.asarray(self._change), np.asarray(self._share)
        like_jump, local = (np.array([known.get(k, False) for k in range(len(change))]) for known in (self._like_jumps, self._local_jumps))
        if len(change) < 3:
            return np.zeros(0, int), np.zeros(0, int)
        ratio = self.ratio()
        cut = (share >= CUT_SHARE) & (ratio >= CUT_RATIO)
        jump = (share >= JUMP_SHARE) & (share < CUT_SHARE) & (self.largest() >= MIN_CONTRAST) & ((ratio >= JUMP_RATIO) & like_jump | local)
        # In the last frames, a movement that starts cannot be distinguished from a jump cut, so no jump cut is reported there.
        jump[len(jump) - _neighbour_count(self.times) :] = False
        return np.flatnonzero(cut), np.flatnonzero(jump)

    def ratio(self):
        """Return the ratio of each frame's change to the maximum change of its neighbours (plus `FLOOR`): float array (frame,)."""
        change = np.asarray(self._change)
        return change / (_neighbour_maximum(change, _neighbour_count(self.times)) + FLOOR)

    def ratio_in(self, frame, box):
        """Return the ratio of the change in a box to the maximum change of the neighbours in the same box.

        The ratio is 0 if the mean excess of the frame is below `EXCESS`, or if less than `INSIDE` of the excess is inside the box.

        Parameters
        ----------
        frame : int
            Index of the frame.
        box : (left, top, right, bottom)
            Box as shares of the frame's width and height.
        """
        (left, top), (right, bottom) = np.floor(np.multiply(box[:2], CELLS)).astype(int), np.ceil(np.multiply(box[2:], CELLS)).astype(int)
        cells, others = self._cells_around(frame)
        excess = _excess(cells, others)
        if excess.mean() < EXCESS or excess[top:bottom, left:right].sum() < INSIDE * excess.sum():
            return 0.0
        part_change, others = (part[..., top:bottom, left:right].mean(axis=(-2, -1)) / CELL_STEP for part in (cells, others))
        return float(part_change / (others.max(initial=0.0) + FLOOR))

    def temporary_changes(self):
        """Find temporary changes: a part of the frame changes, and later another change restores the earlier content.

        Returns
        -------
        list of (int, int, box)
            First frame with the changed content, first frame with the restored content, and the box of the changed part (left, top,
            right, bottom) as shares of the frame, rounded to cells. In order of time.
        """
        parts = {k: _excess(*self._cells_around(k)) > CELL_EXCESS for k in sorted(self._step_images)}
        return [
            (first, last, _bounding_box(parts[first] | parts[last]))
            for first, last in itertools.combinations(parts, 2)
            if (parts[first] & parts[last]).sum() >= SAME_CELLS * (parts[first] | parts[last]).sum() and self._restores(first, last, parts)
        ]

    def _restores(self, first, last, parts):
        """Return whether the change at frame `last` restores the content before frame `first`; see `RESTORED`.

        `parts`: dict of frame to bool array (row, column), the cells with excess.
        """
        (before, came), (_, after) = self._step_images[first], self._step_images[last]
        common = cv2.resize((parts[first] & parts[last]).view(np.uint8), before.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
        remaining, part_change = (float(cv2.absdiff(before, other)[common].mean()) for other in (after, came))
        return remaining < RESTORED * part_change

    def shares(self):
        """Return the share of pixels that clearly changed since the previous frame: float array (frame,)."""
        return np.asarray(self._share)

    def largest(self):
        """Return the largest change (grey levels) of any pixel since the previous frame: float array (frame,); 0 for the first."""
        return np.asarray(self._largest)


def shrink(grey):
    """Scale a grey frame down to `COMPARED_WIDTH_PX`; smaller frames keep their size."""
    height, width = grey.shape
    if width <= COMPARED_WIDTH_PX:
        return grey
    return cv2.resize(grey, (COMPARED_WIDTH_PX, max(1, round(height * COMPARED_WIDTH_PX / width))), interpolation=cv2.INTER_AREA)


def gain(before, after):
    """Estimate the brightness of the grey frame `after` relative to `before`, within `GAIN_RANGE`; 1 if nearly all of `before` is dark.

    It is the median ratio over blocks of pixels. The median ignores moving objects.
    """
    first, second = (cv2.resize(image, (16, 9), interpolation=cv2.INTER_AREA).astype(np.float32) for image in (before, after))
    lit = first > 12.0
    if lit.sum() < 8:
        return 1.0
    return float(np.clip(np.median(second[lit] / first[lit]), *GAIN_RANGE))


def _excess(cells, others):
    """Return the excess of cells (row, column) over those of the neighbours (frame, row, column), grey levels; see the module docstring."""
    adjacent = cv2.dilate(others.max(axis=0, initial=0), np.ones((3, 3), np.uint8)).astype(np.float32)
    return np.maximum(cells - CELL_RATIO * adjacent, 0.0) / CELL_STEP


def _bounding_box(cells):
    """Return the bounding box (left, top, right, bottom) of the true cells (row, column), as shares of the frame."""
    down, across = (np.flatnonzero(cells.any(axis=axis)) for axis in (1, 0))
    return across[0] / CELLS[0], down[0] / CELLS[1], (across[-1] + 1) / CELLS[0], (down[-1] + 1) / CELLS[1]


def _is_like_jump(changed, active):
    """Return whether changed pixels come from a jump cut, not from text or coding.

    `changed` and `active` (pixels where something moves) are bool arrays (row, column).
    """
    moved = active[changed].mean()
    solid = cv2.erode(changed.view(np.uint8), np.ones((3, 3), np.uint8)).sum() / changed.sum()
    return bool(solid >= JUMP_SOLID or (moved >= JUMP_MOVED and not _is_line(changed)))


def _is_line(changed):
    """Return whether at least `BAND_SHARE` of the changed pixels, bool array (row, column), are in a low and wide band: a line of text."""
    height = max(1, round(BAND_HEIGHT * len(changed)))
    below = np.concatenate(([0], np.cumsum(changed.sum(axis=1))))
    kept = below[height:] - below[:-height]
    top = int(np.argmax(kept))
    left, right = _span(changed[top : top + height].sum(axis=0))
    return kept[top] >= BAND_SHARE * below[-1] and right - left >= BAND_ASPECT * height


def _span(counts):
    """Return the index range (start, stop) that contains the counts, without a share `BAND_REST` of them at each end."""
    below = np.cumsum(counts) / counts.sum()
    return int(np.searchsorted(below, BAND_REST)), int(np.searchsorted(below, 1.0 - BAND_REST)) + 1


def _neighbour_count(times):
    """Return the number of neighbours of a frame on each side, at least 2."""
    return max(2, round(NEIGHBOURS_S / float(np.median(np.diff(times))))) if len(times) > 1 else 2


def _neighbour_maximum(values, neighbours):
    """Return for each value the maximum of the `neighbours` values on each side of it, without the value itself."""
    padded = np.pad(values, neighbours)
    shifted = [padded[neighbours + k : len(values) + neighbours + k] for k in range(-neighbours, neighbours + 1) if k]
    return np.max(shifted, axis=0)
