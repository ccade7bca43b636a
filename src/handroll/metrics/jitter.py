"""Jitter of tracks: random errors from frame to frame."""

import numpy as np

_THIRD = np.sqrt(20.0)
# Standard deviation of the third difference (coefficients 1, 3, 3, 1) of independent errors of standard deviation 1.


def jitter_rms(tracks):
    """Compute the RMS length of the third difference of tracks, divided by sqrt(20).

    Parameters
    ----------
    tracks : array (frame, ..., component)
        Evenly sampled. NaN where missing; differences that involve a missing frame are left out.

    Returns
    -------
    float
        In the unit of the tracks. For errors that are independent between frames it equals their RMS. Motion with changing acceleration
        also contributes. NaN without four consecutive frames.
    """
    third = np.diff(tracks, 3, axis=0) / _THIRD
    squared = (third**2).sum(axis=-1)
    squared = squared[np.isfinite(squared)]
    return float(np.sqrt(squared.mean())) if squared.size else float("nan")
