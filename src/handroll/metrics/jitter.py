"""Jitter: the size of errors that vary randomly from frame to frame."""

import numpy as np

# Standard deviation of the third difference (coefficients 1, -3, 3, -1) of independent errors with the standard deviation 1.
_THIRD = np.sqrt(20.0)


def jitter_rms(tracks):
    """Compute the jitter of tracks: the RMS length of their third difference, divided by sqrt(20).

    Parameters
    ----------
    tracks : array (frame, ..., component)
        Evenly sampled tracks; NaN where missing. Differences that involve a missing frame are left out.

    Returns
    -------
    float
        Jitter in the unit of the tracks. For errors that are independent between frames, it equals the RMS of the errors. Motion with
        changing acceleration increases it as well. It is NaN without four consecutive frames.
    """
    third = np.diff(tracks, 3, axis=0) / _THIRD
    squared = (third**2).sum(axis=-1)
    squared = squared[np.isfinite(squared)]
    return float(np.sqrt(squared.mean())) if squared.size else float("nan")
