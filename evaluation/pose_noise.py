"""Poses of a performance as an engine sees them that looks at every frame for itself, and landmarks as a detector marks them.

Pose errors are like those seen of HaMeR: random turns of all joints and shifts in the picture and in depth, new in every frame,
of 3.3 px RMS together; errors that drift; single frames that are wholly wrong. Landmarks have a constant bias in the hand's own
frame, drift, and are a little random.
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

TURN_RAD, DRIFT_RAD = np.radians(2.5), np.radians(2.0)
SHIFT_PX, SHIFT_DRIFT_PX = 1.65, 2.0
DEPTH, DEPTH_DRIFT = 0.01, 0.005
"""Standard deviations of what is new in each frame, and of what drifts, before all are scaled to give the jitter asked for."""

DRIFT_S = 0.5

LANDMARK_BIAS, LANDMARK_PX, LANDMARK_DRIFT_PX = 0.04, 1.0, 2.5
"""Bias as a share of the palm's length; the wrist's is 0.09 towards the fingers. Random and drifting error, pixels."""


@dataclass(frozen=True)
class Shaken:
    """What `shaken` gives.

    Attributes
    ----------
    truth, pose : dict of str to array (frame, hand 2, ...)
        `tables.POSE` without places over the keys; the truth's `found` is where the hand is present.
    detections : dict of str to array (frame, hand 2, ...)
        `tables.DETECTIONS`.
    wrong : bool array (frame, hand 2)
        Frames that are wholly wrong.
    """

    truth: dict[str, np.ndarray]
    pose: dict[str, np.ndarray]
    detections: dict[str, np.ndarray]
    wrong: np.ndarray


def shaken(time_s, rotation, translation, bone_scale, present, camera, seed, jitter_px=JITTER_PX, wrong=0.01, missing=0.02):
    """Disturb true poses of the camera frame.

    Parameters
    ----------
    time_s : array (frame,)
    rotation, translation : array (frame, hand 2, joint 16, 3), array (frame, hand 2, 3)
        As `scene.to_camera` gives, radians and metres.
    bone_scale : array (hand 2,)
    present : bool array (frame, hand 2)
    camera : handroll.camera.Camera
    seed : int
    jitter_px : float
        RMS in the picture of what is new in each frame.
    wrong, missing : float
        Shares of the frames that are wholly wrong, and that are not found.

    Returns
    -------
    Shaken
    """
    rng = np.random.default_rng(seed)
    truth = pose_columns(time_s, rotation, translation, bone_scale, present)
    wrist = truth["joints_m"][:, :, 0].astype(np.float64)
    px_m = np.where(present, wrist[..., 2], 1.0) / camera.focal_px
    turn = TURN_RAD * rng.normal(size=rotation.shape) + DRIFT_RAD * _drift(rng, rotation.shape, time_s)
    across = (*present.shape, 2)
    shift = SHIFT_PX * rng.normal(size=across) + SHIFT_DRIFT_PX * _drift(rng, across, time_s)
    far = DEPTH * rng.normal(size=present.shape) + DEPTH_DRIFT * _drift(rng, present.shape, time_s)
    # Farther away along the ray.
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
    return Shaken(truth, pose, _landmarks(time_s, true_px, present, rng), bad)


def from_afar(translation, bone_scale, times):
    """Translations (frame, hand 2, 3) of hands whose wrists are so many times as deep: the same picture with a longer lens."""
    wrist = np.stack([open_hand().joints_m[0] * MIRROR, open_hand().joints_m[0]]) * np.asarray(bone_scale)[:, None]
    return np.concatenate([translation[..., :2], times * (translation + wrist)[..., 2:] - wrist[:, 2:]], axis=-1)


def pose_columns(time_s, rotation, translation, bone_scale, found):
    """`tables.POSE` by frame of template hands with these poses, NaN where not found; not placed over keys."""
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
    """`tables.DETECTIONS` by frame whose landmarks are near these joints (frame, hand 2, 21, 2)."""
    seen = joints_px[:, :, list(JOINT_OF_LANDMARK)]
    bias = LANDMARK_BIAS * rng.normal(size=(len(HANDS), len(JOINTS), 2))
    bias[:, 0] = 0.09, 0.04
    palm = seen[:, :, 9:10] - seen[:, :, :1]
    seen = seen + bias[..., :1] * palm + bias[..., 1:] * np.stack([-palm[..., 1], palm[..., 0]], axis=-1)
    seen = seen + LANDMARK_PX * rng.normal(size=seen.shape) + LANDMARK_DRIFT_PX * _drift(rng, seen.shape, time_s)
    columns = {name: np.zeros((len(time_s), *values.shape[1:]), values.dtype) for name, values in by_frame(DETECTIONS.empty()).items()}
    found = present & np.isfinite(seen).all(axis=(-1, -2))
    return columns | frame_keys(time_s) | {"landmarks_px": seen.astype(np.float32), "found": found}


def _drift(rng, shape, time_s):
    """Noise of standard deviation 1 with a memory of `DRIFT_S` along the first axis, times (frame,)."""
    keep = np.exp(-np.diff(time_s) / DRIFT_S)
    noise = rng.normal(size=shape)
    for t, kept in enumerate(keep, start=1):
        noise[t] = kept * noise[t - 1] + np.sqrt(1.0 - kept**2) * noise[t]
    return noise
