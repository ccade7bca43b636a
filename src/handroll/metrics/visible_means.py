"""Means over visible frames, with the NaN policy of all metrics that have an argument `visible`.

- Values in hidden frames are ignored, whether they are NaN or not.
- A NaN in a visible frame makes the score NaN. Otherwise an incomplete motion could get a good score for its remaining frames.
- If no frame is visible, the score is NaN.
"""

import numpy as np

from handroll.hand.skeleton import HANDS


def checked_visible(visible, shape):
    """Check that `visible` is a bool array whose shape equals that of the leading axes of another array.

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
        `visible` is not of type bool, or its shape does not match.
    """
    visible = np.asarray(visible)
    if visible.dtype != bool or visible.shape != tuple(shape[: visible.ndim]):
        raise ValueError(
            f"expected `visible` of type bool with leading axes of the shape {tuple(shape)}, found {visible.dtype} {visible.shape}"
        )
    return visible


def visible_mean(values, visible):
    """Compute the mean of values over visible frames.

    Parameters
    ----------
    values : array (frame, ...)
    visible : array (frame, ...), bool
        Visibility, with the leading axes or all axes of `values`.

    Returns
    -------
    float
        NaN if nothing is visible, or if a visible value is NaN.
    """
    shown = values[checked_visible(visible, values.shape)]
    return float(shown.mean()) if shown.size else float("nan")


def means_by_hand(name, values, visible):
    """Compute the mean of visible values of both hands together, and of each hand.

    Parameters
    ----------
    name : str
        Name of the score.
    values : array (frame, hand 2, ...)
    visible : array (frame, hand 2), bool

    Returns
    -------
    dict of str to float
        `{name}` of both hands together, `left_{name}` and `right_{name}`. Each visible value has the same weight.

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
