"""Detect gradual transitions between scenes: dissolves, fades to and from a colour."""

from collections import deque

import cv2
import numpy as np

WIDTH_PX = 64
"""Width (px) to which frames are scaled before they are compared."""

WINDOWS_S = (0.45, 0.6, 0.8, 1.0, 1.25, 1.6)
"""Lengths (s) of the windows in which a fade is searched. A window begins in the scene before the fade and ends in the scene after it."""

CHECK_S = 0.1
"""Time (s) between two searches."""

MIN_CHANGE = 6.0
"""Minimum mean difference (grey levels) between the first and the last frame of a window that is searched for a fade."""

MIXED_RANGE = (0.07, 0.93)
"""Range of the later scene's share (0..1) in a frame that counts as mixed."""

MIN_MIXED = 4
"""Minimum number of mixed frames in a fade. Fewer are a cut in a video that was converted to another frame rate by blending frames."""

STILL_FRAMES = 2
"""Number of frames at the start of a window that must show only the earlier scene. As many frames at its end must show only the later
scene."""

MAX_SPREAD = 0.3
"""Maximum interquartile range, over the changing pixels, of the later scene's share (0..1) in the middle of a fade. In a fade all pixels
agree (at most 0.1 in tests). With moving objects some pixels have changed already and others have not (at least 0.44)."""

MAX_OFF_RAMP = 0.2
"""Maximum difference between the later scene's share (0..1) and a straight line over time. A fade that eases in and out reaches 0.1. If a
third scene appears for a moment, the share stays constant and differs more."""

CHANGED = 12.0
"""Minimum difference (grey levels) between the two scenes for a pixel to count as changing."""

MIN_AREA = 0.2
"""Minimum share of changing pixels in a fade. Moving hands and arms reach 0.19, fades 0.3 and more."""

MIN_FADE_S = 0.15
"""Minimum duration (s) of a fade."""

MAX_BACKWARDS = 0.04
"""Maximum decrease of the later scene's share (0..1) from one frame to the next in a fade."""

GAIN_RANGE = (0.3, 3.3)
"""Range of the brightness factor of a lighting change, which is not a fade. In a lighting change, the later frame is the earlier frame
times this factor, except for less than `MIN_AREA` of the pixels. A factor outside the range is a fade to or from black."""

MIN_LEVEL = 12.0
"""Minimum grey level of the pixels from which the brightness factor of a lighting change is computed; see `GAIN_RANGE`."""


class FadeDetector:
    """Detect gradual transitions, frame by frame. It stores the frames of the last two seconds, scaled down.

    Attributes
    ----------
    fades : list of (start_s, end_s)
        The detected fades in order of time.
    """

    def __init__(self):
        self.fades = []
        self._times, self._frames = deque(), deque()
        self._checked_s = -np.inf

    def add_frame(self, grey, time_s):
        """Process the next frame.

        Parameters
        ----------
        grey : uint8 array (height, width)
            The frame in grey levels; all frames have the same size.
        time_s : float
            Presentation time, later than that of the previous frame.
        """
        height, width = grey.shape
        size = (WIDTH_PX, max(1, round(height * WIDTH_PX / width)))
        self._times.append(time_s)
        self._frames.append(cv2.resize(grey, size, interpolation=cv2.INTER_AREA).ravel())
        while self._times[0] < time_s - WINDOWS_S[-1] - CHECK_S:
            self._times.popleft()
            self._frames.popleft()
        if time_s >= self._checked_s + CHECK_S:
            self._checked_s = time_s
            self._check()

    def _check(self):
        """Search for a fade in each window (`WINDOWS_S`) that ends with the last frame, and add the fades to `fades`."""
        times = np.array(self._times)
        frames = None
        last = self._frames[-1].astype(np.float32)
        for window_s in WINDOWS_S:
            first = int(np.searchsorted(times, times[-1] - window_s - 1e-6))
            if times[-1] - times[0] < window_s - CHECK_S or len(times) - first < 2 * STILL_FRAMES + MIN_MIXED:
                continue
            if np.abs(last - self._frames[first]).mean() < MIN_CHANGE:
                continue
            if frames is None:
                frames = np.stack(self._frames).astype(np.float32)
            found = fade_span(frames[first:])
            if found and times[first + found[1]] - times[first + found[0]] >= MIN_FADE_S:
                self._add(times[first + found[0]], times[first + found[1]])

    def _add(self, start_s, end_s):
        """Add a fade to `fades`. Merge overlapping fades, because a window that starts or ends within a fade contains only a part of it."""
        if self.fades and start_s < self.fades[-1][1]:
            old = self.fades.pop()
            start_s, end_s = min(old[0], start_s), max(old[1], end_s)
        self.fades.append((float(start_s), float(end_s)))


def fade_span(frames):
    """Find a fade between the scenes of the first and of the last frame.

    Parameters
    ----------
    frames : float32 array (frame, pixel)
        Consecutive frames in grey levels.

    Returns
    -------
    (int, int) or None
        Index of the first mixed frame, and of the first frame that shows only the later scene; None if there is no fade.
    """
    before, after = frames[:STILL_FRAMES].mean(axis=0), frames[-STILL_FRAMES:].mean(axis=0)
    change = after - before
    length = float(change @ change)
    if length <= 0.0 or _is_lighting_change(before, after):
        return None
    changing = np.abs(change) > CHANGED
    if changing.mean() < MIN_AREA:
        return None
    # The median over the pixels ignores hands that move during the fade.
    shares = (frames[:, changing] - before[changing]) / change[changing]
    share = np.median(shares, axis=1)
    mixed = (share > MIXED_RANGE[0]) & (share < MIXED_RANGE[1])
    if mixed.sum() < MIN_MIXED or mixed[:STILL_FRAMES].any() or mixed[-STILL_FRAMES:].any() or (np.diff(share) < -MAX_BACKWARDS).any():
        return None
    start, stop = int(np.argmax(share > MIXED_RANGE[0])), int(len(share) - np.argmax(share[::-1] < MIXED_RANGE[1]))
    if not mixed[start:stop].all():
        return None
    ramp = np.linspace(0.0, 1.0, stop - start + 2)[1:-1]
    if np.abs(share[start:stop] - ramp).max() > MAX_OFF_RAMP:
        return None
    low, high = np.percentile(shares[start + int(np.argmin(np.abs(share[start:stop] - 0.5)))], [25, 75])
    return (start, stop) if high - low <= MAX_SPREAD else None


def _is_lighting_change(before, after):
    """Return whether `after` is `before` times a brightness factor in `GAIN_RANGE`; float arrays (pixel,)."""
    lit = before > MIN_LEVEL
    if lit.mean() < MIN_AREA:
        return False
    factor = float(np.median(after[lit] / before[lit]))
    return GAIN_RANGE[0] < factor < GAIN_RANGE[1] and float((np.abs(after - factor * before) > CHANGED).mean()) < MIN_AREA
