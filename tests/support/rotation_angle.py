"""Distance between rotations."""

import numpy as np

from handroll.hand.rotations import compose


def angle_between(first, second):
    """Return the geodesic distance in radians, 0..pi, between rotations given as axis-angle (..., 3)."""
    return np.linalg.norm(compose(-np.asarray(first), second), axis=-1)
