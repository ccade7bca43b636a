"""Runs: unbroken stretches of frames, and the visible ones too short to be trusted."""

import numpy as np


def runs(mask):
    """Unbroken stretches of true frames.

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
    """The inverse of `runs`: bool array (time,), true in these disjoint runs of a series of `frames` frames."""
    edges = np.zeros(frames + 1, dtype=np.int8)
    edges[start] += 1
    edges[stop] -= 1
    return np.cumsum(edges[:-1]) > 0


def flicker(visible, min_run):
    """Visible frames in runs too short to be a hand: a detector's flicker between hidden stretches.

    Parameters
    ----------
    visible : bool array (time,)
        Observed, or interpolated over a short gap: a short run next to a filled gap belongs to a longer one.
    min_run : int
        Runs of fewer frames are flicker (PianoMotion10M: 15). Before and after the video everything is hidden.

    Returns
    -------
    bool array (time,)
    """
    start, stop = runs(visible)
    short = stop - start < min_run
    return in_runs(start[short], stop[short], len(visible))
