"""Keep the two hands apart: find a boundary between them that neither hand crosses."""

import numpy as np

from handroll.generation.wrist_trajectory import (
    REACH_MM,
    corridor,
    held_keys,
    intersect_corridors,
    smoothest_path,
)
from handroll.hand.skeleton import HANDS

APART_MM = 92.0
"""Minimum distance (mm) along the keyboard between the reference points of two hands that lie beside each other; bone scale 1."""

TIP_CLEARANCE_MM = 9.0
"""Minimum distance (mm) of an idle fingertip from the boundary between the hands."""

# Minimum distance of the middle of a held key from the boundary.
_KEY_CLEARANCE_MM = 6.0

# Time constant with which the boundary approaches the middle between the hands.
_SOFTNESS_S = 0.2

_LEFT, _RIGHT = (HANDS.index(name) for name in ("left", "right"))


def find_boundary(paths, presses, scale, end_s):
    """Find the boundary between two hands over time.

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
    array (step,) or None
        x of the boundary, mm. None if the hands are never near each other.
    """
    left, right = (sign * path.position_mm[:, 0] for sign, path in zip((-1.0, 1.0), paths, strict=True))
    if (right - left >= APART_MM * scale.mean()).all():
        return None
    limits = []
    for side in (_LEFT, _RIGHT):
        held = held_keys(presses[side], end_s)
        at = presses[side].at(held.press)
        _, inner = intersect_corridors(held, *corridor(at.x_mm, at.finger, scale[side], REACH_MM))
        limits.append(np.minimum(inner - 0.5 * APART_MM * scale[side], held.min(at.x_mm) - _KEY_CLEARANCE_MM))
    low, high = -limits[_LEFT], limits[_RIGHT]
    middle = 0.5 * (left + right)
    blocked = low > high
    between = np.where(blocked, 0.5 * (np.where(blocked, low, 0.0) + np.where(blocked, high, 0.0)), 0.0)
    low, high = np.where(blocked, between, low), np.where(blocked, between, high)
    return smoothest_path(low, high, np.clip(middle, low, high), np.full(len(middle), _SOFTNESS_S))
