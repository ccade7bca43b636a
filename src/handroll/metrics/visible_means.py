"""Means over visible frames. This is the NaN policy of all metrics with an argument `visible`, except those of `pianomotion10m`.

The content of hidden frames, NaN or not, is ignored. A NaN in a visible frame makes the score NaN, so that an incomplete motion does
not get a good score for its remaining frames. Without visible frames the score is NaN.
"""

import numpy as np

from handroll.hand.skeleton import HANDS


def checked_visible(visible, shape):
    """Check that `visible` is a bool array whose axes are the leading axes of another array.

    Parameters
    ----------
    visible : array (frame, ...), bool
    shape : tuple of int
        Shape of the other array.

    Returns
    -------
    array (frame, ...), bool

    Raises
    ------
    ValueError
        The type or the axes differ.
    """
    visible = np.asarray(visible)
    if visible.dtype != bool or visible.shape != tuple(shape[: visible.ndim]):
        raise ValueError(f"expected `visible` of type bool with the leading axes of {tuple(shape)}, found {visible.dtype} {visible.shape}")
    return visible


def visible_mean(values, visible):
    """Compute the mean of values over visible frames.

    Parameters
    ----------
    values : array (frame, ...)
    visible : array (frame, ...), bool
        Leading axes of `values`, or all axes.

    Returns
    -------
    float
        NaN if nothing is visible, or if a visible value is NaN.
    """
    shown = values[checked_visible(visible, values.shape)]
    return float(shown.mean()) if shown.size else float("nan")


def means_by_hand(name, values, visible):
    """Compute the mean of visible values, of both hands together and of each hand.

    Parameters
    ----------
    name : str
    values : array (frame, hand 2, ...)
    visible : array (frame, hand 2), bool

    Returns
    -------
    dict of str to float
        `{name}`, in which each visible frame of each hand has the same weight, `left_{name}` and `right_{name}`.

    Raises
    ------
    ValueError
        The shapes don't match.
    """
    if values.ndim < 2 or values.shape[1] != len(HANDS) or np.ndim(visible) != 2:
        raise ValueError(f"expected (frame, hand 2, ...) and `visible` (frame, hand 2), found {values.shape} and {np.shape(visible)}")
    visible = checked_visible(visible, values.shape)
    each = {f"{hand}_{name}": visible_mean(values[:, i], visible[:, i]) for i, hand in enumerate(HANDS)}
    return {name: visible_mean(values, visible)} | each
