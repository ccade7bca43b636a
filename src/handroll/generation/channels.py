"""Convert motion between the models' convention (`training_data.model_frame`) and a `Performance`. Keyboard frame."""

from dataclasses import replace

import numpy as np

from handroll.generation.key_motion import key_depth_from_fingertips_mm, key_depth_from_notes_mm
from handroll.generation.performance import Performance
from handroll.hand.kinematics import MIRROR
from handroll.hand.rotations import unwrap_rotvec
from handroll.hand.skeleton import HANDS, TIPS
from handroll.hand.template import WRIST_M
from handroll.keyboard.geometry import N_KEYS
from handroll.rendering.scene import world_joints
from handroll.tables import NOTES, State
from handroll.training_data.model_frame import clip_motion, from_channels, true_hands


def to_performance(position, pose, rate_hz, notes=None, hand_scale=(1.0, 1.0)):
    """Convert a motion in the keyboard frame to a performance that can be rendered.

    Parameters
    ----------
    position : array (frame, 6)
    pose : array (frame, 96)
        Motion in the models' convention; see `training_data.model_frame`.
    rate_hz : float
    notes : dict of str to array (note,), optional
        Columns of `tables.NOTES`, from which the depth of the keys is computed. If None, the depth follows from the fingertips.
    hand_scale : (float, float)
        Bone scale of the left and of the right hand.

    Returns
    -------
    Performance
        Both hands are present in all frames. It contains no notes, because the finger of each note is unknown.
    """
    wrist_mm, rotation = true_hands(*from_channels(position, pose), "keyboard")
    scale, frames = np.asarray(hand_scale, dtype=np.float64), len(wrist_mm)
    rest_m = np.stack([np.array(WRIST_M) * (MIRROR if hand == "left" else 1.0) for hand in HANDS])
    performance = Performance(
        time_s=np.arange(frames) / rate_hz,
        rotation_rad=unwrap_rotvec(rotation),
        translation_m=1e-3 * wrist_mm - scale[:, None] * rest_m,
        bone_scale=scale,
        key_depth_mm=np.zeros((frames, N_KEYS)),
        present=np.ones((frames, len(HANDS)), dtype=bool),
        notes=NOTES.empty(),
        note_hand=np.empty(0, dtype=int),
        note_finger=np.empty(0, dtype=int),
    )
    if notes is None:
        depth_mm = key_depth_from_fingertips_mm(1e3 * world_joints(performance)[:, :, list(TIPS)], performance.bone_scale)
    else:
        depth_mm = key_depth_from_notes_mm(notes, performance.time_s)
    return replace(performance, key_depth_mm=depth_mm)


def to_channels(performance, rate_hz):
    """Convert a performance to channels in the models' convention.

    Parameters
    ----------
    performance : Performance
        Its frames have the rate `rate_hz`.
    rate_hz : float

    Returns
    -------
    position : array (frame, 6), float32
    pose : array (frame, 96), float32
    """
    joints_mm = 1e3 * world_joints(performance)
    row = {"start_s": 0.0, "end_s": len(performance.time_s) / rate_hz, "time_s": performance.time_s, "keyboard_rotation_rad": np.zeros(3)}
    for side, hand in enumerate(HANDS):
        row[f"{hand}_state"] = np.full(len(performance.time_s), State.OBSERVED)
        row[f"{hand}_rotation_rad"] = performance.rotation_rad[:, side]
        row[f"{hand}_joints_keyboard_mm"] = joints_mm[:, side]
    return clip_motion(row, rate_hz, "keyboard").channels()
