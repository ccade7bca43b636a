"""A simulated performance: poses of both hands, depths of the keys and notes over time.

The world frame is the keyboard frame in metres. x points along the keyboard, from the left end of A0 to the right. y points from the front
edge of the white keys towards the fallboard. z points up, and is 0 at the top of the white keys.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Performance:
    """A simulated performance of a piece, frame by frame.

    Hands are in the order of `skeleton.HANDS`. The pose of an absent hand is finite but has no meaning.

    Attributes
    ----------
    time_s : array (frame,)
        Increasing frame times (s), from 0.
    rotation_rad : array (frame, hand 2, joint 16, 3)
        Axis-angle rotations of MANO's joints. The global rotation is in the world frame. If all other joints are zero, the hand is flat
        and open.
    translation_m : array (frame, hand 2, 3)
        MANO's translation, such that `kinematics.hand_joints` returns joints in the world frame.
    bone_scale : array (hand 2,)
        Size of each hand relative to `template.open_hand`.
    key_depth_mm : array (frame, key 88)
        Depth of the front edge of each key below its rest position.
    present : array (frame, hand 2), bool
        Whether the hand is present in the scene.
    notes : dict of str to array (note,)
        Columns of `tables.NOTES`.
    note_hand : array (note,), int
        Hand that plays each note, as an index into `skeleton.HANDS`.
    note_finger : array (note,), int
        Finger that plays each note, as an index into `skeleton.FINGERS`.
    """

    time_s: np.ndarray
    rotation_rad: np.ndarray
    translation_m: np.ndarray
    bone_scale: np.ndarray
    key_depth_mm: np.ndarray
    present: np.ndarray
    notes: dict[str, np.ndarray]
    note_hand: np.ndarray
    note_finger: np.ndarray


@dataclass(frozen=True)
class GeneratedMotion:
    """Motion that was generated for a recording.

    Attributes
    ----------
    performance : Performance or None
        None if the position of the piano is unknown, because the model works in the camera frame.
    columns : dict of str to array, or None
        Columns of `tables.MOTION` if there is no performance.
    facts : dict of str to str, or None
        Camera of `columns`, as metadata of the table.
    messages : tuple of str
        What could not be played, for the user.
    """

    performance: Performance | None
    columns: dict | None = None
    facts: dict | None = None
    messages: tuple[str, ...] = ()
