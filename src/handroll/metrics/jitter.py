"""How much tracks shake from frame to frame."""

import numpy as np

_THIRD = np.sqrt(20.0)
# What the third difference (1, 3, 3, 1) makes of independent errors of 1.


def jitter_rms(tracks):
    """RMS length of what of tracks is new in each frame: their third difference divided by sqrt(20).

    Parameters
    ----------
    tracks : array (frame, ..., component)
        Evenly sampled; NaN where there is nothing, which leaves out the four frames around it.

    Returns
    -------
    float
        In the tracks' unit. Of errors that are independent from frame to frame it is their RMS; the acceleration of what moves
        is in it, too. NaN where no four frames in a row are there.
    """
    third = np.diff(tracks, 3, axis=0) / _THIRD
    squared = (third**2).sum(axis=-1)
    squared = squared[np.isfinite(squared)]
    return float(np.sqrt(squared.mean())) if squared.size else float("nan")
