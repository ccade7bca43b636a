"""Find the frames in segments, which are time intervals of a video."""

import numpy as np

SAME_TIME_S = 1e-6
"""Maximum difference (s) of times that count as equal. Container timestamps differ by a microsecond or more, and rounding errors of sums
are far smaller."""


def within(time_s, segments):
    """Find the times that are in one of the segments.

    Parameters
    ----------
    time_s : array (n,)
        Times in seconds, increasing.
    segments : sequence of (start_s, end_s)
        Intervals in seconds. The start belongs to a segment, the end does not.

    Returns
    -------
    bool array (n,)
    """
    time_s = np.asarray(time_s, dtype=np.float64)
    inside = np.zeros(len(time_s), dtype=bool)
    for start, stop in bounds(time_s, segments):
        inside[start:stop] = True
    return inside


def bounds(time_s, segments):
    """Find the frame range of each segment: its first frame, and the frame after its last one.

    Parameters
    ----------
    time_s : array (frame,)
        Presentation times in seconds, increasing.
    segments : sequence of (start_s, end_s)
        Intervals in seconds.

    Returns
    -------
    list of (start, stop)
        Frame ranges in the order of the segments. Segments without a frame are left out.
    """
    found = [tuple(np.searchsorted(time_s, [start_s - SAME_TIME_S, end_s - SAME_TIME_S]).tolist()) for start_s, end_s in segments]
    return [(start, stop) for start, stop in found if stop > start]
