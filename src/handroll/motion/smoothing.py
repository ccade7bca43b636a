"""Smooth visible runs of numbers and of rotations by Savitzky-Golay.

Each sample is replaced by the value, at its own frame, of a polynomial fitted by least squares to the window around it
(Savitzky & Golay 1964, doi:10.1021/ac60214a047). The first and last half window of a run use the polynomial of its
first and last full window. The width of a window is a number of frames. No window extends across a hidden gap.

Rotations are smoothed as unit quaternions: their signs are made continuous along the run, each component is smoothed, and the
result is normalised. For rotations within a window of a fraction of a second, the result equals the chordal mean on SO(3) to second
order (Gramkow 2001, doi:10.1023/A:1011217513455; Markley et al. 2007, doi:10.2514/1.28949). The method also allows the negative
weights of Savitzky-Golay, and needs no reference rotation. It reproduces a rotation at constant speed about a fixed axis exactly,
because a symmetric window only scales the cosine and sine of the half angle.
"""

import numpy as np
from scipy.signal import savgol_filter

from handroll.mask_runs import runs

MIN_NORM = 1e-6
"""Minimum length of the weighted sum of unit quaternions. A shorter sum has no direction: the window contains widely different
rotations."""


def smooth(values, visible, order, window):
    """Smooth channels of numbers within each visible run.

    Parameters
    ----------
    values : array (time, ...)
        Finite where visible.
    visible : bool array (time,)
        Whether a frame is visible. Runs of visible frames are smoothed separately.
    order : int
        Degree of the polynomial.
    window : int
        Width of the window in frames. It is made odd: 2 * (window // 2) + 1. A shorter run uses the longest odd window that fits. If
        that window has at most `order` samples, the polynomial passes through all of them, and the run stays unchanged.

    Returns
    -------
    array (time, ...), float64; NaN in frames that are not visible
    """
    values = np.asarray(values, dtype=np.float64)
    out = np.full(values.shape, np.nan)
    width = 2 * (window // 2) + 1
    for start, stop in zip(*runs(visible), strict=True):
        width_used = min(width, 2 * ((stop - start - 1) // 2) + 1)
        run = values[start:stop]
        out[start:stop] = savgol_filter(run, width_used, order, axis=0, mode="interp") if width_used > order else run
    return out


def smooth_rotation(quaternion, visible, order, window):
    """Smooth rotations within each visible run.

    Parameters
    ----------
    quaternion : array (time, ..., 4)
        Unit quaternions of either sign, finite where visible.
    visible, order, window
        See `smooth`.

    Returns
    -------
    array (time, ..., 4), float64
        Unit quaternions with continuous signs within a run; NaN in frames that are not visible. A frame keeps its own rotation if
        the weighted sum of its window is shorter than `MIN_NORM`.
    """
    signed = _make_signs_continuous(np.asarray(quaternion, dtype=np.float64))
    summed = smooth(signed, visible, order, window)
    norm = np.linalg.norm(summed, axis=-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return np.where(norm < MIN_NORM, signed, summed / norm)


def _make_signs_continuous(quaternion):
    """Choose the sign of each quaternion (time, ..., 4) so that it is nearest to the previous one. The sign after a NaN is arbitrary."""
    step = np.einsum("t...i,t...i->t...", quaternion[1:], quaternion[:-1])
    sign = np.cumprod(np.where(step < 0.0, -1.0, 1.0), axis=0)
    return np.concatenate((quaternion[:1], quaternion[1:] * sign[..., None]))
