"""Finds where one picture gradually gives way to another: dissolves, fades to and from a colour."""

from collections import deque

import cv2
import numpy as np

WIDTH_PX = 64
"""Width of the pictures that are compared."""

WINDOWS_S = (0.45, 0.6, 0.8, 1.0, 1.25, 1.6)
"""Lengths of time over which a fade is looked for; the picture before and after it has to stand still for a part of it."""

STEP_S = 0.1
"""Time between two looks."""

LEAST_CHANGE = 6.0
"""Mean grey levels between the pictures before and after; two arms that go elsewhere come to 10, but are no mixture on their way."""

MIXED = (0.07, 0.93)
"""Shares of the later picture between which a frame is a mixture."""

LEAST_MIXED = 4
"""Frames that have to be mixtures: fewer are a cut in a video whose frames were blended for another rate."""

STANDS = 2
"""Frames at either end of the window that have to be the picture before, and that after."""

OFF_LINE = 0.35
"""Root mean square by which a mixture may differ from the straight mix of both pictures, as a share of their difference. A camera
that pans comes to 0.6 and more half-way."""

BACKWARDS = 0.04
"""How much a later frame may show less of the later picture than an earlier one."""

ONE_LIGHT = 0.5
"""A later picture that differs from the earlier one times a factor by less than this share of their difference: the light changed."""

DARK_FACTOR = 0.3
"""Unless that factor is below this: then it faded to black (or from it)."""


class FadeFinder:
    """Looks at a video's frames, one by one, for gradual transitions. It holds two seconds of small pictures."""

    def __init__(self):
        self.fades = []
        self._times, self._pictures = deque(), deque()
        self._looked_s = -np.inf

    def see(self, grey, time_s):
        """Take the next frame.

        Parameters
        ----------
        grey : uint8 array (height, width)
        time_s : float
        """
        height, width = grey.shape
        size = (WIDTH_PX, max(1, round(height * WIDTH_PX / width)))
        self._times.append(time_s)
        self._pictures.append(cv2.resize(grey, size, interpolation=cv2.INTER_AREA).ravel())
        while self._times[0] < time_s - WINDOWS_S[-1] - STEP_S:
            self._times.popleft()
            self._pictures.popleft()
        if time_s >= self._looked_s + STEP_S:
            self._looked_s = time_s
            self._look()

    def _look(self):
        times = np.array(self._times)
        pictures = None
        last = self._pictures[-1].astype(np.float32)
        for window_s in WINDOWS_S:
            first = int(np.searchsorted(times, times[-1] - window_s - 1e-6))
            if times[-1] - times[0] < window_s - STEP_S or len(times) - first < 2 * STANDS + LEAST_MIXED:
                continue
            if np.abs(last - self._pictures[first]).mean() < LEAST_CHANGE:
                continue
            if pictures is None:
                pictures = np.stack(self._pictures).astype(np.float32)
            found = fade_span(pictures[first:])
            if found:
                self._add(times[first + found[0]], times[first + found[1]])

    def _add(self, start_s, end_s):
        """Keep the longest of those that overlap: windows that begin within a fade see a part of it."""
        if self.fades and start_s < self.fades[-1][1]:
            old = self.fades[-1]
            if end_s - start_s > old[1] - old[0]:
                self.fades[-1] = (start_s, end_s)
        else:
            self.fades.append((float(start_s), float(end_s)))


def fade_span(pictures):
    """Where among some frames the first gives way to the last.

    Parameters
    ----------
    pictures : float32 array (frame, pixel)

    Returns
    -------
    (int, int) or None
        First mixed frame, and the first that is the later picture; None where the one does not fade into the other.
    """
    before, after = pictures[:STANDS].mean(axis=0), pictures[-STANDS:].mean(axis=0)
    way = after - before
    length = float(way @ way)
    if length <= 0.0 or _same_in_other_light(before, after, length):
        return None
    offsets = pictures - before
    share = offsets @ way / length
    mixed = (share > MIXED[0]) & (share < MIXED[1])
    if mixed.sum() < LEAST_MIXED or mixed[:STANDS].any() or mixed[-STANDS:].any() or (np.diff(share) < -BACKWARDS).any():
        return None
    start, stop = int(np.argmax(share > MIXED[0])), int(len(share) - np.argmax(share[::-1] < MIXED[1]))
    if mixed[start:stop].mean() < 1.0:
        return None
    rest = offsets[start:stop] - share[start:stop, None] * way
    off_line = np.sqrt(np.einsum("fp,fp->f", rest, rest) / length)
    return (start, stop) if np.median(off_line) <= OFF_LINE else None


def _same_in_other_light(before, after, length):
    factor = float(before @ after) / max(float(before @ before), 1e-6)
    if not DARK_FACTOR < factor < 1.0 / DARK_FACTOR:
        return False
    rest = after - factor * before
    return float(rest @ rest) < ONE_LIGHT**2 * length
