"""Find runs, which are sequences of consecutive frames in which a mask is true, and flicker, which are visible runs that are too short."""

import numpy as np


def runs(mask):
    """Find the runs of consecutive true frames.

    Parameters
    ----------
    mask : bool array (time,)

    Returns
    -------
    start : int array (run,)
        First frame of each run, in increasing order.
    stop : int array (run,)
        Frame after the last frame of each run.
    """
    edges = np.diff(np.concatenate(([False], np.asarray(mask, dtype=bool), [False])).astype(np.int8))
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)


def in_runs(start, stop, frames):
    """Return a bool mask (frames,) that is true in disjoint runs [start, stop): the inverse of `runs`."""
    edges = np.zeros(frames + 1, dtype=np.int8)
    edges[start] += 1
    edges[stop] -= 1
    return np.cumsum(edges[:-1]) > 0


def flicker(visible, min_run):
    """Return a mask of the visible frames in short runs. Such runs are usually false detections.

    Parameters
    ----------
    visible : bool array (time,)
        Frames in which the hand is observed, or interpolated over a short gap. A short run next to an interpolated gap is part of a
        longer run.
    min_run : int
        Minimum length of a run that is not flicker, frames (PianoMotion10M: 15). Frames before and after the video count as hidden.

    Returns
    -------
    bool array (time,)
        True in runs of fewer than `min_run` frames.
    """
    start, stop = runs(visible)
    short = stop - start < min_run
    return in_runs(start[short], stop[short], len(visible))
