"""Find runs of consecutive true frames, and the flicker of short visible runs."""

import numpy as np


def runs(mask):
    """Find the runs of consecutive true frames.

    Parameters
    ----------
    mask : bool array (time,)

    Returns
    -------
    start, stop : int arrays (run,)
        First frame of each run, and the frame after its last one; in order.
    """
    edges = np.diff(np.concatenate(([False], np.asarray(mask, dtype=bool), [False])).astype(np.int8))
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)


def in_runs(start, stop, frames):
    """Return a mask (time,) that is true in these disjoint runs of a series of `frames` frames; the inverse of `runs`."""
    edges = np.zeros(frames + 1, dtype=np.int8)
    edges[start] += 1
    edges[stop] -= 1
    return np.cumsum(edges[:-1]) > 0


def flicker(visible, min_run):
    """Find visible frames in short runs, which are flicker of the detector rather than a hand.

    Parameters
    ----------
    visible : bool array (time,)
        Observed, or interpolated over a short gap: a short run next to a filled gap is part of a longer run.
    min_run : int
        Runs of fewer frames are flicker (PianoMotion10M: 15). Frames before and after the video count as hidden.

    Returns
    -------
    bool array (time,)
    """
    start, stop = runs(visible)
    short = stop - start < min_run
    return in_runs(start[short], stop[short], len(visible))
