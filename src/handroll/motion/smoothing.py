"""Savitzky-Golay smoothing of visible runs, of numbers and of rotations.

Each sample becomes the value, at its own frame, of a polynomial fitted by least squares to the window around it
(Savitzky & Golay 1964, doi:10.1021/ac60214a047). The first and last half window of a run take the polynomial of its
first and last full window. Windows count frames; a run is never smoothed across a hidden gap.

Rotations are smoothed as unit quaternions: signs made continuous along the run, each component smoothed, the sum
scaled back to length one. For the spread of rotations inside a window of a fraction of a second this is the chordal mean
on SO(3) to second order (Gramkow 2001, doi:10.1023/A:1011217513455; Markley et al. 2007, doi:10.2514/1.28949), it holds
for the negative weights that Savitzky-Golay has, it depends on no reference rotation, and it returns a turn at constant
speed about a fixed axis exactly: a symmetric window only scales the cosine and sine of the half angle.
"""

import numpy as np
from scipy.signal import savgol_filter

from handroll.runs import runs

LEAST_NORM = 1e-6
"""Below this length the weighted sum of unit quaternions has no direction: the window spreads over all rotations."""


def smooth(values, visible, order, window):
    """Smooth channels of numbers within each visible run.

    Parameters
    ----------
    values : array (time, ...)
        Finite where visible.
    visible : bool array (time,)
    order : int
        Degree of the polynomial.
    window : int
        Width in frames, odd-ised to 2 * (window // 2) + 1. A shorter run takes the longest odd window that fits in it;
        where that has no more than `order` samples the polynomial passes through all of them and nothing changes.

    Returns
    -------
    array (time, ...), float64; NaN where not visible.
    """
    values = np.asarray(values, dtype=np.float64)
    out = np.full(values.shape, np.nan)
    width = 2 * (window // 2) + 1
    for start, stop in zip(*runs(visible), strict=True):
        fits = min(width, 2 * ((stop - start - 1) // 2) + 1)
        run = values[start:stop]
        out[start:stop] = savgol_filter(run, fits, order, axis=0, mode="interp") if fits > order else run
    return out


def smooth_rotation(quaternion, visible, order, window):
    """Smooth rotations within each visible run.

    Parameters
    ----------
    quaternion : array (time, ..., 4)
        Unit quaternions of either sign, finite where visible.
    visible, order, window
        As of `smooth`.

    Returns
    -------
    array (time, ..., 4), float64
        Unit quaternions of continuous sign within a run; NaN where not visible. A frame whose window spreads over so
        much of the sphere that the sum vanishes has no mean and keeps its own rotation.
    """
    signed = _sign_continuous(np.asarray(quaternion, dtype=np.float64))
    summed = smooth(signed, visible, order, window)
    norm = np.linalg.norm(summed, axis=-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return np.where(norm < LEAST_NORM, signed, summed / norm)


def _sign_continuous(quaternion):
    """The same rotations, each quaternion (time, ..., 4) on the half sphere of the one before it; a NaN restarts the sign."""
    step = np.einsum("t...i,t...i->t...", quaternion[1:], quaternion[:-1])
    sign = np.cumprod(np.where(step < 0.0, -1.0, 1.0), axis=0)
    return np.concatenate((quaternion[:1], quaternion[1:] * sign[..., None]))
