"""Simulate the errors of a pose engine that fits every frame separately, and the errors of a landmark detector.

Pose errors are like those of HaMeR. Random rotations of all joints, and random shifts in the frame and in depth, are independent in every
frame, with 3.3 px RMS in total. There are also drifting errors, and single frames with gross errors. Landmarks have a constant bias
relative to the hand, a drift, and small random errors.
"""

from dataclasses import dataclass

import numpy as np

from handroll.hand.kinematics import MIRROR, hand_joints
from handroll.hand.rotations import compose, unwrap_rotvec
from handroll.hand.skeleton import HANDS, JOINT_OF_LANDMARK, JOINTS
from handroll.hand.template import open_hand
from handroll.metrics.jitter import jitter_rms
from handroll.tables import DETECTIONS, POSE, by_frame, frame_keys

JITTER_PX = 3.3
"""RMS of the errors that are independent between frames (px), as measured for HaMeR."""

# All errors are multiplied by one factor, which gives them the required jitter. The standard deviations below apply before this step.

TURN_RAD = np.radians(2.5)
"""Standard deviation of the rotation error of a joint that is independent in every frame (rad)."""

DRIFT_RAD = np.radians(2.0)
"""Standard deviation of the drifting rotation error of a joint (rad)."""

SHIFT_PX = 1.65
"""Standard deviation of the shift in the frame that is independent in every frame (px)."""

SHIFT_DRIFT_PX = 2.0
"""Standard deviation of the drifting shift in the frame (px)."""

DEPTH = 0.01
"""Standard deviation of the depth error that is independent in every frame, as a share of the depth."""

DEPTH_DRIFT = 0.005
"""Standard deviation of the drifting depth error, as a share of the depth."""

DRIFT_S = 0.5
"""Time constant of drifts (s)."""

LANDMARK_BIAS = 0.04
"""Standard deviation of the bias of a landmark, as a share of the palm's length. The wrist has a fixed bias instead: 0.09 towards the
fingers, and 0.04 to the side."""

LANDMARK_PX = 1.0
"""Standard deviation of the landmark errors that are independent in every frame (px)."""

LANDMARK_DRIFT_PX = 2.5
"""Standard deviation of the drifting landmark errors (px)."""


@dataclass(frozen=True)
class NoisyPoses:
    """Result of `add_pose_noise`.

    Attributes
    ----------
    truth, pose : dict of str to array (frame, hand 2, ...)
        Columns of `tables.POSE` by frame, without joints in the keyboard frame. In `truth`, `found` is the presence of the hand.
    detections : dict of str to array (frame, hand 2, ...)
        Columns of `tables.DETECTIONS` by frame.
    wrong : bool array (frame, hand 2)
        Hands with gross errors.
    """

    truth: dict[str, np.ndarray]
    pose: dict[str, np.ndarray]
    detections: dict[str, np.ndarray]
    wrong: np.ndarray


def add_pose_noise(time_s, rotation, translation, bone_scale, present, camera, seed, jitter_px=JITTER_PX, wrong=0.01, missing=0.02):
    """Add errors to true poses in the camera frame.

    Parameters
    ----------
    time_s : array (frame,)
    rotation : array (frame, hand 2, joint 16, 3)
        Axis-angle rotations, radians, from `rendering.scene.to_camera`.
    translation : array (frame, hand 2, 3)
        Translations, metres, from the same function.
    bone_scale : array (hand 2,)
    present : bool array (frame, hand 2)
    camera : handroll.camera.Camera
    seed : int
    jitter_px : float
        RMS of the errors that are independent between frames, px.
    wrong, missing : float
        Shares of hands with gross errors, and of missing hands, 0..1.

    Returns
    -------
    NoisyPoses
    """
    rng = np.random.default_rng(seed)
    truth = pose_columns(time_s, rotation, translation, bone_scale, present)
    wrist = truth["joints_m"][:, :, 0].astype(np.float64)
    px_m = np.where(present, wrist[..., 2], 1.0) / camera.focal_px
    turn = TURN_RAD * rng.normal(size=rotation.shape) + DRIFT_RAD * _drift(rng, rotation.shape, time_s)
    across = (*present.shape, 2)
    shift = SHIFT_PX * rng.normal(size=across) + SHIFT_DRIFT_PX * _drift(rng, across, time_s)
    far = DEPTH * rng.normal(size=present.shape) + DEPTH_DRIFT * _drift(rng, present.shape, time_s)
    # A change of depth moves the hand along the ray from the camera.
    moved = np.concatenate([shift * px_m[..., None], np.zeros_like(far)[..., None]], axis=-1) + far[..., None] * wrist

    size, true_px = 1.0, camera.project(truth["joints_m"])
    for _ in range(3):
        trial = pose_columns(time_s, compose(rotation, size * turn), translation + size * moved, bone_scale, present)
        size *= jitter_px / jitter_rms(camera.project(trial["joints_m"]) - true_px)
    turned, moved = compose(rotation, size * turn), translation + size * moved
    bad = present & (rng.random(present.shape) < wrong)
    moved[bad, :2] += px_m[bad, None] * rng.uniform(40.0, 150.0, (bad.sum(), 2)) * rng.choice([-1.0, 1.0], (bad.sum(), 2))
    turned[bad, 0] = compose(turned[bad, 0], 0.7 * rng.normal(size=(bad.sum(), 3)))
    found = present & (rng.random(present.shape) >= missing)
    pose = pose_columns(time_s, turned, moved, bone_scale, found)
    return NoisyPoses(truth, pose, _landmarks(time_s, true_px, present, rng), bad)


def multiply_depth(translation, bone_scale, factor):
    """Multiply the depth of the wrists by a factor. Return translations (frame, hand 2, 3).

    With a focal length that is longer by the same factor, the new translations give the same image.
    """
    wrist = np.stack([open_hand().joints_m[0] * MIRROR, open_hand().joints_m[0]]) * np.asarray(bone_scale)[:, None]
    return np.concatenate([translation[..., :2], factor * (translation + wrist)[..., 2:] - wrist[:, 2:]], axis=-1)


def pose_columns(time_s, rotation, translation, bone_scale, found):
    """Build the columns of `tables.POSE` by frame for open hands with these poses.

    Values are NaN where `found` is false. Joints in the keyboard frame are always NaN.
    """
    joints = [hand_joints(rotation[:, k].reshape(-1, 48), translation[:, k], bone_scale[k], hand) for k, hand in enumerate(HANDS)]
    floats = {
        "rotation_rad": unwrap_rotvec(rotation),
        "translation_m": translation,
        "betas": np.zeros((*found.shape, 10)),
        "bone_scale": np.broadcast_to(bone_scale, found.shape),
        "joints_m": np.stack(joints, axis=1),
        "joints_keyboard_mm": np.full((*found.shape, len(JOINTS), 3), np.nan),
        "residual_px": np.zeros(found.shape),
    }
    for name, values in floats.items():
        floats[name] = np.array(values, dtype=np.float32)
        floats[name][~found] = np.nan
    columns = frame_keys(time_s) | {"found": np.array(found)} | floats
    return {column.name: columns[column.name] for column in POSE.columns}


def _landmarks(time_s, joints_px, present, rng):
    """Build the columns of `tables.DETECTIONS` by frame, with noisy landmarks for true joints (frame, hand 2, joint 21, xy 2)."""
    landmarks = joints_px[:, :, list(JOINT_OF_LANDMARK)]
    bias = LANDMARK_BIAS * rng.normal(size=(len(HANDS), len(JOINTS), 2))
    bias[:, 0] = 0.09, 0.04
    palm = landmarks[:, :, 9:10] - landmarks[:, :, :1]
    landmarks = landmarks + bias[..., :1] * palm + bias[..., 1:] * np.stack([-palm[..., 1], palm[..., 0]], axis=-1)
    landmarks = landmarks + LANDMARK_PX * rng.normal(size=landmarks.shape) + LANDMARK_DRIFT_PX * _drift(rng, landmarks.shape, time_s)
    columns = {name: np.zeros((len(time_s), *values.shape[1:]), values.dtype) for name, values in by_frame(DETECTIONS.empty()).items()}
    found = present & np.isfinite(landmarks).all(axis=(-1, -2))
    return columns | frame_keys(time_s) | {"landmarks_px": landmarks.astype(np.float32), "found": found}


def _drift(rng, shape, time_s):
    """Draw drifting noise of standard deviation 1. Its time constant along the first axis is `DRIFT_S`; `time_s` (frame,) are the times."""
    keep = np.exp(-np.diff(time_s) / DRIFT_S)
    noise = rng.normal(size=shape)
    for t, kept in enumerate(keep, start=1):
        noise[t] = kept * noise[t - 1] + np.sqrt(1.0 - kept**2) * noise[t]
    return noise
