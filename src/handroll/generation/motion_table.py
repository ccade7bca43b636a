"""Convert generated motion to the columns of a motion table (`tables.MOTION`)."""

import numpy as np

from handroll.camera import Extrinsics, joints_in_keyboard_frame
from handroll.hand.kinematics import hand_joints
from handroll.hand.rotations import rotvec_from_matrix, unwrap_rotvec
from handroll.hand.skeleton import HANDS, N_JOINTS, N_ROTATIONS
from handroll.rendering.scene import to_camera
from handroll.tables import State, by_row, frame_keys
from handroll.training_data.model_frame import from_channels, true_hands

# Number of frames whose joints are computed at once. It bounds the memory for long music.
_FRAMES_AT_ONCE = 4096


def project_to_scene(performance, scene, width_px, height_px):
    """Convert a performance to a motion in the camera frame of a scene.

    Parameters
    ----------
    performance : Performance
    scene : rendering.scene.Scene
    width_px, height_px : int
        Size of the frames.

    Returns
    -------
    columns : dict of str to array (row, ...)
        Columns of `tables.MOTION`.
    facts : dict of str to str
        Camera and extrinsics, as metadata of the table.
    """
    view = scene.view
    extrinsics = Extrinsics(rotvec_from_matrix(view.rotation), 1e3 * view.to_camera(np.zeros(3)))
    columns = _motion_columns(performance.time_s, *to_camera(performance, scene), performance.bone_scale, extrinsics)
    return columns, scene.camera(width_px, height_px).to_metadata() | extrinsics.to_metadata()


def camera_frame_rows(position, pose, rate_hz):
    """Convert positions (frame, 6) and poses (frame, 96) of a model that works in the camera frame to columns of `tables.MOTION`."""
    position_m, rotation = true_hands(*from_channels(position, pose), "camera")
    return _motion_columns(np.arange(len(position_m)) / rate_hz, unwrap_rotvec(rotation), position_m, np.ones(len(HANDS)), None)


def _motion_columns(time_s, rotation_rad, translation_m, bone_scale, extrinsics):
    """Convert rotations and translations (frame, hand, ...) of open hands with bone scales (hand,) in the camera frame to table columns."""
    flat = rotation_rad.reshape(*rotation_rad.shape[:2], 3 * N_ROTATIONS)
    shape = flat.shape[:2]
    joints_m, joints_mm = (np.empty((*shape, N_JOINTS, 3), dtype=np.float32) for _ in range(2))
    for first in range(0, len(flat), _FRAMES_AT_ONCE):
        part = slice(first, first + _FRAMES_AT_ONCE)
        joints = np.stack(
            [hand_joints(flat[part, side], translation_m[part, side], bone_scale[side], hand) for side, hand in enumerate(HANDS)], axis=1
        )
        joints_m[part], joints_mm[part] = joints, joints_in_keyboard_frame(joints, extrinsics)
    columns = frame_keys(time_s) | {
        "state": np.full(shape, State.OBSERVED, dtype=np.int8),
        "rotation_rad": rotation_rad.astype(np.float32),
        "translation_m": translation_m.astype(np.float32),
        "betas": np.zeros((*shape, 10), dtype=np.float32),
        "bone_scale": np.broadcast_to(bone_scale, shape).astype(np.float32),
        "joints_m": joints_m,
        "joints_keyboard_mm": joints_mm,
        "residual_px": np.full(shape, np.nan, dtype=np.float32),
    }
    return by_row(columns)
