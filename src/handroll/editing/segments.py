"""Parts of a video's time: which of its frames lie in them."""

import numpy as np

SAME_TIME_S = 1e-6
"""Two times closer than this are the same: container clocks tick in microseconds or more, sums of floats err by far less."""


def within(time_s, segments):
    """Which moments lie in one of the segments.

    Parameters
    ----------
    time_s : array (n,)
        s, rising.
    segments : sequence of (start_s, end_s)
        The start belongs to a segment, the end does not.

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
    """First frame of each segment, and the frame after its last one.

    Parameters
    ----------
    time_s : array (frame,)
        Presentation times, s, rising.
    segments : sequence of (start_s, end_s)
        s.

    Returns
    -------
    list of (start, stop)
        In order of the segments; those without a frame are left out.
    """
    found = [tuple(np.searchsorted(time_s, [start_s - SAME_TIME_S, end_s - SAME_TIME_S]).tolist()) for start_s, end_s in segments]
    return [(start, stop) for start, stop in found if stop > start]
