"""Keep the two hands apart: a boundary between hands that lie beside each other, and a raised hand where they cross.

The boundary is a smooth curve of x over time. The palms keep their distance from it, and no idle fingertip crosses it. While the hands hold
keys that no boundary separates, one hand plays above the other.
"""

import itertools
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from handroll.generation.wrist_trajectory import (
    REACH_MM,
    STEP_S,
    corridor,
    held_at,
    held_keys,
    intersect_corridors,
    smoothest_path,
    steps_until,
)
from handroll.hand.skeleton import HANDS
from handroll.keyboard.geometry import STANDARD

APART_MM = 92.0
"""Minimum distance (mm) along the keyboard between the reference points of two hands that lie beside each other; bone scale 1."""

TIP_CLEARANCE_MM = 9.0
"""Minimum distance (mm) of an idle fingertip from the boundary between the hands."""

# Distance (mm) between the reference points of two hands at which their thumbs may meet; bone scale 1.
_NEAR_MM = 220.0

# Minimum distance of the middle of a held key from the boundary.
_KEY_CLEARANCE_MM = 6.0

# Time constant with which the boundary approaches the middle between the hands.
_SOFTNESS_S = 0.2

# Time before the onset and after the release of a key in which its finger is near the key.
_AIM_S, _LEAVE_S = 0.15, 0.10

# Time before and after the moment at which the hands change their order, in which there is no boundary between them and one hand is raised.
_PASSING_S = 0.3

# Standard deviation of the Gaussian that smooths the rise of a hand.
_RISE_S = 0.05

# Maximum time between two crossings in which the hands stay crossed.
_JOIN_S = 1.0

_LEFT, _RIGHT = (HANDS.index(name) for name in ("left", "right"))


@dataclass(frozen=True)
class Separation:
    """How two hands keep apart. x is mirrored for a left hand.

    Attributes
    ----------
    low_mm, high_mm : array (hand 2, step)
        Ends of each hand's side of the boundary; infinite where there is no boundary.
    raised : array (hand 2, step)
        How far each hand is raised above the other, 0..1.
    """

    low_mm: np.ndarray
    high_mm: np.ndarray
    raised: np.ndarray


def separate(paths, presses, scale, end_s):
    """Find a boundary between two hands, and the times at which one hand passes above the other.

    Parameters
    ----------
    paths : (HandPath, HandPath)
        Independently planned paths of the left (mirrored) and the right hand.
    presses : (Presses, Presses)
    scale : array (hand 2,)
        Bone scales.
    end_s : float
        End of the performance.

    Returns
    -------
    Separation or None
        None if the hands are never near each other.
    """
    left, right = (sign * path.position_mm[:, 0] for sign, path in zip((-1.0, 1.0), paths, strict=True))
    if (right - left >= _NEAR_MM * scale.mean()).all():
        return None
    aiming, holding = ([_boundary_ranges(presses[side], scale[side], end_s, aims) for side in (_LEFT, _RIGHT)] for aims in (True, False))
    (below_left, above_left), (below_right, above_right) = holding
    # The left hand is mirrored: what is below it is above it in the mirror. A boundary is right of the left hand and left of the right
    # hand, or the other way round if the hands are crossed.
    uncrossed, crossed = (-below_left, below_right), (above_right, -above_left)
    order = np.where((uncrossed[0] > uncrossed[1]) & (crossed[0] <= crossed[1]), -1, 1)
    order = _keep_order(order, crossed[0] <= crossed[1])
    low, high = (np.where(order > 0, first, second) for first, second in zip(uncrossed, crossed, strict=True))
    # Where it is possible, the boundary also keeps its distance from the keys that fingers move to or come from.
    wide = np.where(order > 0, -aiming[_LEFT][0], aiming[_RIGHT][1]), np.where(order > 0, aiming[_RIGHT][0], -aiming[_LEFT][1])
    fits = wide[0] <= wide[1]
    low, high = np.where(fits, wide[0], low), np.where(fits, wide[1], high)
    blocked = low > high
    between = np.where(blocked, 0.5 * (np.where(blocked, low, 0.0) + np.where(blocked, high, 0.0)), 0.0)
    low, high = np.where(blocked, between, low), np.where(blocked, between, high)
    boundary = smoothest_path(low, high, np.clip(0.5 * (left + right), low, high), np.full(len(left), _SOFTNESS_S))
    changes = np.flatnonzero(np.diff(order))
    passing = np.zeros(len(order), dtype=bool)
    passing[changes] = True
    passing = maximum_filter1d(passing, 2 * round(_PASSING_S / STEP_S) + 1)
    free = np.where(passing, np.inf, 0.0)
    side_low = np.stack([np.where(order > 0, -boundary, -np.inf), np.where(order > 0, boundary, -np.inf)]) - free
    side_high = np.stack([np.where(order > 0, np.inf, -boundary), np.where(order > 0, np.inf, boundary)]) + free
    raised = np.zeros((len(HANDS), len(order)))
    for change in changes:
        around = slice(max(change - round(_PASSING_S / STEP_S), 0), change + round(_PASSING_S / STEP_S) + 1)
        # The hand that is far from its own side of the keyboard passes above the other.
        over = _LEFT if boundary[change] > 0.5 * STANDARD.width_mm else _RIGHT
        raised[over, around] = ~held_keys(presses[over], end_s).any()[around]
    return Separation(side_low, side_high, np.minimum(gaussian_filter1d(raised, _RISE_S / STEP_S, axis=1), 1.0))


def _boundary_ranges(presses, scale, end_s, aiming):
    """Return the range of x of a boundary beside a hand that keeps its keys: the maximum on its lower side, the minimum on its upper side.

    `presses` are those of one hand of bone scale `scale`; x is mirrored for a left hand. If `aiming`, a key counts as held also while its
    finger moves towards it and away from it. Each result is an array (step,), infinite while the hand holds no key.
    """
    held = held_keys(presses, end_s)
    at = presses.at(held.press)
    low, high = intersect_corridors(held, *corridor(at.x_mm, at.finger, scale, REACH_MM))
    if aiming:
        held = held_at(steps_until(end_s), presses.onset_s - _AIM_S, presses.release_s + _LEAVE_S)
        at = presses.at(held.press)
    below = np.minimum(high - 0.5 * APART_MM * scale, held.min(at.x_mm) - _KEY_CLEARANCE_MM)
    above = np.maximum(low + 0.5 * APART_MM * scale, held.max(at.x_mm) + _KEY_CLEARANCE_MM)
    return below, above


def _keep_order(order, possible):
    """Remove changes of the order (step,) of the hands that follow each other within `_JOIN_S`.

    Between two crossings the hands stay crossed if crossed hands are possible (step,) throughout. Otherwise the crossings are removed,
    since hands cannot change their order so often.
    """
    order = order.copy()
    steps = round(_JOIN_S / STEP_S)
    crossed = np.flatnonzero(order < 0)
    for first, second in itertools.pairwise(crossed):
        if 1 < second - first <= steps and possible[first:second].all():
            order[first:second] = -1
    changes = np.flatnonzero(np.diff(order))
    for first, second in itertools.pairwise(changes):
        if order[second] > 0 and second - first <= steps:
            order[max(first - steps, 0) : second + steps] = 1
    return order
