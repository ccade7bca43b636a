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
"""Mean grey levels between the pictures before and after."""

MIXED = (0.07, 0.93)
"""Shares of the later picture between which a frame is a mixture."""

LEAST_MIXED = 4
"""Frames that have to be mixtures: fewer are a cut in a video whose frames were blended for another rate."""

STANDS = 2
"""Frames at either end of the window that have to be the picture before, and that after."""

APART = 0.3
"""Greatest interquartile range, over the pixels that change, of how much of the later picture each shows half-way. In a fade all
agree (0.1 at most was seen); where things move, some have changed already and others have not (0.44 at least)."""

OFF_RAMP = 0.2
"""Greatest difference between how much of the later picture a mixture shows and a straight line over time (one that eases in and
out comes to 0.1): a short visit to a third picture is a plateau."""

CLEARLY = 12.0
"""Grey levels by which a pixel has to change to be asked."""

LEAST_AREA = 0.2
"""Share of the pixels that have to change so much. Hands and arms that move come to 0.19, fades to 0.3 and more."""

LEAST_S = 0.15
"""Shortest fade."""

BACKWARDS = 0.04
"""How much a later frame may show less of the later picture than an earlier one."""

GAINS = (0.3, 3.3)
"""A later picture that is the earlier one times a factor between these, but for less than `LEAST_AREA` of its pixels, is one scene
in other light. Beyond them it faded to black, or from it."""

LIT = 12.0
"""Least grey level of the pixels that are asked for the factor."""


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
            if found and times[first + found[1]] - times[first + found[0]] >= LEAST_S:
                self._add(times[first + found[0]], times[first + found[1]])

    def _add(self, start_s, end_s):
        """Join those that overlap: windows that begin or end within a fade see a part of it."""
        if self.fades and start_s < self.fades[-1][1]:
            old = self.fades.pop()
            start_s, end_s = min(old[0], start_s), max(old[1], end_s)
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
    if length <= 0.0 or _same_in_other_light(before, after):
        return None
    clear = np.abs(way) > CLEARLY
    if clear.mean() < LEAST_AREA:
        return None
    # The median over the pixels, so that hands that play on do not count.
    shares = (pictures[:, clear] - before[clear]) / way[clear]
    share = np.median(shares, axis=1)
    mixed = (share > MIXED[0]) & (share < MIXED[1])
    if mixed.sum() < LEAST_MIXED or mixed[:STANDS].any() or mixed[-STANDS:].any() or (np.diff(share) < -BACKWARDS).any():
        return None
    start, stop = int(np.argmax(share > MIXED[0])), int(len(share) - np.argmax(share[::-1] < MIXED[1]))
    if not mixed[start:stop].all():
        return None
    ramp = np.linspace(0.0, 1.0, stop - start + 2)[1:-1]
    if np.abs(share[start:stop] - ramp).max() > OFF_RAMP:
        return None
    low, high = np.percentile(shares[start + int(np.argmin(np.abs(share[start:stop] - 0.5)))], [25, 75])
    return (start, stop) if high - low <= APART else None


def _same_in_other_light(before, after):
    lit = before > LIT
    if lit.mean() < LEAST_AREA:
        return False
    factor = float(np.median(after[lit] / before[lit]))
    return GAINS[0] < factor < GAINS[1] and float((np.abs(after - factor * before) > CLEARLY).mean()) < LEAST_AREA
