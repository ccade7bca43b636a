"""Open-hand template: an average adult right hand at rest, with MANO's frame and topology. It does not contain data under MANO's licence.

The model frame is that of MANO's right hand: metres, fingers along -x, thumb towards +z, back of the hand towards +y. The left hand is the
mirror image in x. Rotations are relative to this rest pose, so zero means the flat open hand. The hand is 186 mm long, the mean of
adults. The bone lengths are handroll's own, within published ranges (such as Garrett 1971, doi:10.1177/001872087101300202).
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from handroll.hand.skeleton import CHAINS, MANO_JOINTS, N_JOINTS

WRIST_M = (0.096, 0.0, 0.0)
"""Wrist position in MANO's model frame, metres (MANO's own wrist is near x = 0.096)."""

HAND_LENGTH_M = 0.186
"""Distance from the wrist to the middle fingertip of the template, metres. It corresponds to a bone scale of 1."""

# For each finger: position of its base joint (mm), direction of each bone (vectors whose length does not matter), length of each bone (mm).
# The wrist is the origin; x to the player's right (thumb at -x), y towards the fingertips, z towards the back of the hand.
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

# Rotation from the frame of `_TABLE_MM` to MANO's model frame. Its columns are the x, y and z axes of `_TABLE_MM`.
_MANO_FROM_PLAYER = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, 1.0], [-1.0, 0.0, 0.0]])

# Direction from the palm to the back of the hand, MANO's model frame.
_DORSAL = np.array([0.0, 1.0, 0.0])

# Direction from the inner side of the thumb to its nail, MANO's model frame. The nail faces sideways and up, since the thumb is rotated
# about its long axis; the thumb therefore flexes across the palm.
_THUMB_DORSAL = np.array([0.0, 0.5, 0.8660254])

# Ranges of (flexion, abduction, twist) of the first, second and third joint of a finger, degrees.
# Positive flexion curls towards the palm, positive abduction moves to the thumb side.
_LIMITS_DEG = {
    "finger1": ((-25.0, 90.0), (-25.0, 25.0), (-8.0, 8.0)),
    "finger2": ((-5.0, 110.0), (-3.0, 3.0), (-3.0, 3.0)),
    "finger3": ((-15.0, 80.0), (-3.0, 3.0), (-3.0, 3.0)),
    "thumb1": ((-30.0, 50.0), (-35.0, 40.0), (-20.0, 20.0)),
    "thumb2": ((-20.0, 60.0), (-10.0, 10.0), (-5.0, 5.0)),
    "thumb3": ((-25.0, 85.0), (-3.0, 3.0), (-3.0, 3.0)),
}


@dataclass(frozen=True)
class HandTemplate:
    """Joint positions, anatomical axes and joint limits of a right hand at rest.

    Attributes
    ----------
    joints_m : array (21, 3)
        Rest positions of `skeleton.JOINTS`, metres, MANO's model frame.
    axes : array (16, 3, 3)
        Row k of joint j is its anatomical axis k (0 flexion, 1 abduction, 2 twist), a unit vector in MANO's model frame.
        The wrist has the identity.
    limits_rad : array (16, 3, 2)
        Minimum and maximum angle about each axis, radians; -inf and inf for the wrist.
    """

    joints_m: np.ndarray
    axes: np.ndarray
    limits_rad: np.ndarray


@cache
def open_hand():
    """Return the `HandTemplate` of the pose engine `landmarks` and of simulated performances. Its arrays are read-only."""
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
