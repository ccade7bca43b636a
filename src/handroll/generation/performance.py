"""A synthetic performance: hand poses, key depths and notes over time.

World frame: the keyboard frame in metres. x along the keys from the left end of A0 to the right, y from the front edge of
the white keys towards the fallboard, z up, 0 = white key top.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Performance:
    """Performance of a piece, frame by frame.

    Hands are in the order of `skeleton.HANDS`. The poses of an absent hand are finite but have no meaning.

    Attributes
    ----------
    time_s : array (frame,)
        Presentation times, increasing, from 0.
    rotation_rad : array (frame, hand 2, joint 16, 3)
        Axis-angle of MANO's joints. The global rotation is in the world frame; zero for all other joints is the flat open hand.
    translation_m : array (frame, hand 2, 3)
        MANO translation in the world frame, so that `kinematics.hand_joints` returns world joints.
    bone_scale : array (hand 2,)
        Size relative to `template.open_hand`.
    key_depth_mm : array (frame, key 88)
        Depth of the front edge of each key below rest, mm.
    present : array (frame, hand 2), bool
        Whether the hand is in the scene.
    notes : dict of str to array (note,)
        `tables.NOTES`.
    note_hand : array (note,), int
        Index into `skeleton.HANDS` of the hand that plays each note.
    note_finger : array (note,), int
        Index into `skeleton.FINGERS` of the finger that plays each note.
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
