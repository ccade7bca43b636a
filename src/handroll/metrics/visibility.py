"""Means over the frames in which a hand is visible: the policy of all metrics of ours that take `visible`.

What a hidden frame holds, NaN or anything, is never looked at. A NaN where the hand is said to be visible makes the score NaN,
so that a motion that breaks off doesn't score well by what is left of it. Where nothing is visible the score is NaN, too.
"""

import numpy as np

from handroll.hand.skeleton import HANDS


def checked_visible(visible, shape):
    """`visible` as an array of bool, refused where its axes are not the first of those that it is about.

    Parameters
    ----------
    visible : array (frame, ...), bool
    shape : tuple of int
        Of the array that it is about.

    Returns
    -------
    array (frame, ...), bool

    Raises
    ------
    ValueError
    """
    visible = np.asarray(visible)
    if visible.dtype != bool or visible.shape != tuple(shape[: visible.ndim]):
        raise ValueError(f"expected `visible` of type bool with the first axes of {tuple(shape)}, found {visible.dtype} {visible.shape}")
    return visible


def visible_mean(values, visible):
    """Mean of the values where visible.

    Parameters
    ----------
    values : array (frame, ...)
    visible : array (frame, ...), bool
        The first axes of `values`, or all of them.

    Returns
    -------
    float
        NaN where nothing is visible, or a visible value is NaN.
    """
    shown = values[checked_visible(visible, values.shape)]
    return float(shown.mean()) if shown.size else float("nan")


def means_by_hand(name, values, visible):
    """Mean of values where visible, of both hands together and of each.

    Parameters
    ----------
    name : str
    values : array (frame, hand 2, ...)
    visible : array (frame, hand 2), bool

    Returns
    -------
    dict of str to float
        `{name}`, where each visible frame of each hand weighs the same, `left_{name}` and `right_{name}`.

    Raises
    ------
    ValueError
        The shapes don't go together.
    """
    if values.ndim < 2 or values.shape[1] != len(HANDS) or np.ndim(visible) != 2:
        raise ValueError(f"expected (frame, hand 2, ...) and `visible` (frame, hand 2), found {values.shape} and {np.shape(visible)}")
    visible = checked_visible(visible, values.shape)
    each = {f"{hand}_{name}": visible_mean(values[:, i], visible[:, i]) for i, hand in enumerate(HANDS)}
    return {name: visible_mean(values, visible)} | each
