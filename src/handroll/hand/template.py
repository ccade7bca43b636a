"""The open hand: an average adult right hand at rest, in MANO's frame and topology, without MANO's licence.

Frame (MANO's, right hand, flat): fingers along -x, thumb towards +z, back of the hand towards +y; metres. The left hand
is the mirror image in x. Rotations are relative to this rest pose, so zero means the flat open hand.
Lengths: mean adult hand of 186 mm (handroll's own table, chosen inside published anthropometric ranges, e.g.
Garrett 1971, doi:10.1177/001872087101300202).
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from handroll.hand.skeleton import CHAINS, MANO_JOINTS, N_JOINTS

WRIST_M = (0.096, 0.0, 0.0)
"""The wrist in MANO's template frame, metres (MANO's own lies near x = 0.096)."""

HAND_LENGTH_M = 0.186
"""Wrist to middle fingertip of the template, metres: bone scale 1."""

# Player's frame for reading the table: x to the player's right (thumb at -x), y distal, z dorsal; wrist at the origin; mm.
# finger: (base joint, one unit direction a bone, bone lengths)
_TABLE_MM = {
    "index": ((-27.0, 87.0, 0.0), [(-0.13, 0.99, -0.03)] * 3, (42.0, 25.0, 22.0)),
    "middle": ((-5.0, 90.0, 2.0), [(-0.01, 1.0, -0.03)] * 3, (45.0, 28.0, 23.0)),
    "ring": ((14.5, 83.5, 0.0), [(0.10, 0.99, -0.03)] * 3, (41.0, 26.0, 22.5)),
    "pinky": ((31.0, 76.0, -4.0), [(0.25, 0.965, -0.05)] * 3, (34.0, 20.0, 20.0)),
    "thumb": (
        (-24.0, 31.0, -12.0),
        [(-0.70, 0.70, -0.10), (-0.56, 0.825, -0.06), (-0.50, 0.865, -0.04)],
        (35.0, 30.0, 25.0),
    ),
}
# Columns: where the player's x, y, z point in MANO's frame.
_MANO_FROM_PLAYER = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, 1.0], [-1.0, 0.0, 0.0]])

_DORSAL = np.array([0.0, 1.0, 0.0])
# The thumb is turned about its long axis: its nail looks to the side and up, so it flexes across the palm.
_THUMB_DORSAL = np.array([0.0, 0.5, 0.8660254])

_LIMITS_DEG = {  # joint: (flexion, abduction, twist) ranges; flexion curls towards the palm, abduction points to the thumb
    "finger1": ((-25.0, 90.0), (-25.0, 25.0), (-8.0, 8.0)),
    "finger2": ((-5.0, 110.0), (-3.0, 3.0), (-3.0, 3.0)),
    "finger3": ((-15.0, 80.0), (-3.0, 3.0), (-3.0, 3.0)),
    "thumb1": ((-30.0, 50.0), (-35.0, 40.0), (-20.0, 20.0)),
    "thumb2": ((-20.0, 60.0), (-10.0, 10.0), (-5.0, 5.0)),
    "thumb3": ((-25.0, 85.0), (-3.0, 3.0), (-3.0, 3.0)),
}


@dataclass(frozen=True)
class HandTemplate:
    """A right hand at rest.

    Attributes
    ----------
    joints_m : array (21, 3)
        Rest positions of `skeleton.JOINTS`, metres, MANO's frame.
    axes : array (16, 3, 3)
        Row k of joint j is its anatomical axis k (0 flexion, 1 abduction, 2 twist) as a unit vector in MANO's frame.
        The wrist has the identity.
    limits_rad : array (16, 3, 2)
        Least and greatest angle about each axis, radians; the wrist is free (+-inf).
    """

    joints_m: np.ndarray
    axes: np.ndarray
    limits_rad: np.ndarray


@cache
def open_hand():
    """The template of handroll's `landmarks` engine and of the synthetic pianist, as a `HandTemplate` (read-only)."""
    joints = np.zeros((N_JOINTS, 3))
    axes = np.tile(np.eye(3), (len(MANO_JOINTS), 1, 1))
    limits = np.full((len(MANO_JOINTS), 3, 2), (-np.inf, np.inf))
    for finger, (base, directions, lengths_mm) in _TABLE_MM.items():
        *bends, tip = CHAINS[finger]
        point = _MANO_FROM_PLAYER @ np.array(base)
        for level, (joint, direction, length) in enumerate(zip(bends, directions, lengths_mm, strict=True), start=1):
            joints[joint] = point
            along = _MANO_FROM_PLAYER @ np.array(direction)
            along /= np.linalg.norm(along)
            dorsal = _THUMB_DORSAL if finger == "thumb" else _DORSAL
            dorsal = dorsal - along * (along @ dorsal)
            dorsal /= np.linalg.norm(dorsal)
            axes[joint] = np.cross(along, -dorsal), dorsal, along
            limits[joint] = np.radians(_LIMITS_DEG[f"{finger if finger == 'thumb' else 'finger'}{level}"])
            point = point + along * length
        joints[tip] = point
    joints = joints * 1e-3 + np.array(WRIST_M)
    for array in (joints, axes, limits):
        array.setflags(write=False)
    return HandTemplate(joints, axes, limits)
