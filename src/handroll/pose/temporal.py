"""Refine the poses of a video over time: replace the independent poses of the frames by the most likely motion.

In each frame, the pose of an engine and the landmarks of the detector are uncertain. The most likely series of poses of each hand is
computed from the engine's poses, the detected landmarks, the plane of the keys and the typical accelerations of playing hands
(`temporal_problem`). This works for any engine with a `Skeleton`.

Frames without a pose stay without one. Frames far apart in time are not connected. Long series are solved in overlapping windows.
"""

from dataclasses import dataclass

import numpy as np
import torch

from handroll.camera import joints_in_keyboard_frame
from handroll.device import torch_device, torch_threads
from handroll.hand.kinematics import MIRROR
from handroll.hand.rotations import matrix_from_rotvec, mirrored, rotvec_from_matrix, unwrap_rotvec
from handroll.hand.skeleton import HANDS, LANDMARK_OF_JOINT, N_JOINTS, TIPS
from handroll.logs import progress as log_progress
from handroll.pose.landmarks import plane_of
from handroll.pose.priors import HEIGHT_PRESSING_MM
from handroll.pose.series_problem import minimise_series
from handroll.pose.temporal_noise import (
    FLOOR_DEPTH,
    FLOOR_M,
    FLOOR_RAD,
    SPIKE_M,
    SPIKE_RAD,
    SPIKE_SIGMA,
    find_spikes,
    interpolate_spikes,
    jitter,
    remove_bias,
    rotation_jitter,
    steady_frames,
)
from handroll.pose.temporal_problem import Measurements, VideoProblem

ACCELERATION_M_S2 = 0.5
"""Scale (m / s^2) of the heavy-tailed distribution of joint accelerations. A hand that holds keys or glides accelerates by
about 0.1 to 1, and a stroke by 10 to 150. Results hardly depend on the scale: 0.25 or 1 change jitter and errors by at most 3 %."""

ACCELERATION_WEIGHT = 0.8
"""Weight of the accelerations in the cost, for `smoothness` 1. It would be 4 for a Cauchy distribution in three dimensions, but the joints
of a finger do not move independently. This value keeps the strokes of simulated performances and removes more than half of the jitter."""

STEPS_TO_SCALE = 5
"""Number of optimisation steps in which the scale of the accelerations decreases to `ACCELERATION_M_S2`, starting from the accelerations
that noise of the joint positions causes. With three more steps here and three more in `STEPS_AT_SCALE`, the error changes by 2 %."""

STEPS_AT_SCALE = 3
"""Number of the last optimisation steps, in which the scale stays at `ACCELERATION_M_S2`."""

MAX_STEP_S = 0.1
"""Maximum time (s) between frames that the cost of accelerations connects. In a longer time, a hand can strike a key."""

OVERLAP_S = 0.5
"""Overlap (s) of a window with the neighbouring windows, on each side. Frames farther away have no visible effect on the window."""

FRAMES_AT_ONCE = 1024
"""Maximum number of frames in all windows that are solved in parallel. A frame needs 100 KB."""

MIN_HEIGHT_MM = (HEIGHT_PRESSING_MM[0] - 2.0, 1.0)
"""Minimum height of a fingertip's centre above the white keys, and its softness (standard deviation), in mm. The minimum is slightly below
the height of a fingertip that holds down a white key."""

HAMER_DISTANCE_M = 1.0
"""Typical distance (m) of a camera above a piano. It replaces the depth of HaMeR's camera, which is not metric; ratios of depths are
correct."""

MIN_SIGMA_PX = 0.25
"""Minimum standard deviation (px) of the noise of any position in the image."""


@dataclass(frozen=True)
class TemporalSettings:
    """Settings of the refinement over time.

    Attributes
    ----------
    smoothness : float
        Factor on `ACCELERATION_WEIGHT`. A larger factor gives a smoother motion.
    window_s : float
        Length of the windows in seconds. Longer windows need more memory; shorter ones take more time because of the overlaps.
    """

    smoothness: float = 1.0
    window_s: float = 8.0

    def __post_init__(self):
        for name in ("smoothness", "window_s"):
            if not 0.0 < getattr(self, name) < np.inf:
                raise ValueError(f"TemporalSettings.{name}: expected a number above 0, found {getattr(self, name)!r}")


def refine_over_time(pose, detections, camera, extrinsics, skeleton, settings=None, pressed_mm=None, progress=log_progress, device="cpu"):
    """Refine the poses of a video over time.

    Parameters
    ----------
    pose : dict of str to array (frame, hand 2, ...)
        Columns of `tables.POSE`, by frame, from any engine.
    detections : dict of str to array (frame, hand 2, ...)
        Columns of `tables.DETECTIONS`, by frame, for the same frames.
    camera : handroll.camera.Camera
    extrinsics : handroll.camera.Extrinsics or None
        Pose of the camera in the keyboard frame; None if no keyboard is registered.
    skeleton : handroll.pose.hand_models.Skeleton
        Hand model of the engine that estimated the poses.
    settings : TemporalSettings, optional
    pressed_mm : array (frame, hand 2, finger 5), optional
        For each fingertip that holds a key down: height of the top of this key above the white keys, when the key is not pressed.
        NaN for other fingertips.
    progress : callable
        See `handroll.logs.progress`.
    device : str
        Device on which torch solves the problem; see `handroll.device.torch_device`.

    Returns
    -------
    dict of str to array (frame, hand 2, ...)
        Columns of `tables.POSE`. Hands are found in the same frames as in `pose`; other frames are NaN. The shape of a hand is its median
        over the video. Rotations are continuous in time. `residual_px` is the distance of the refined joints from the landmarks without
        their bias; where no landmarks are detected, the engine's value remains.
    """
    settings, device = settings or TemporalSettings(), torch_device(device)
    # One thread, because the number of threads changes the result in its last digits.
    with torch_threads(1):
        return _refine_video(pose, detections, camera, extrinsics, skeleton, settings, pressed_mm, progress, device)


def _refine_video(pose, detections, camera, extrinsics, skeleton, settings, pressed_mm, progress, device):
    """Refine both hands; see `refine_over_time`."""
    columns = {name: np.array(values) for name, values in pose.items()}
    finite = np.isfinite(pose["joints_m"]).all((-1, -2)) & np.isfinite(pose["rotation_rad"]).all((-1, -2))
    for side, hand in enumerate(HANDS):
        rows = np.flatnonzero(pose["found"][:, side] & finite[:, side])
        if len(rows):
            series = {name: values[rows, side] for name, values in pose.items()}
            landmarks = camera.focal_px * camera.rays(detections["landmarks_px"][rows, side])[:, LANDMARK_OF_JOINT, :2]
            landmarks[~np.asarray(detections["found"][rows, side], dtype=bool)] = np.nan
            pressed = None if pressed_mm is None else pressed_mm[rows, side]
            refined = _refine_hand(series, landmarks, hand, camera, extrinsics, skeleton, settings, pressed, progress, device)
            for name, values in refined.items():
                columns[name][rows, side] = values
    columns["joints_keyboard_mm"] = joints_in_keyboard_frame(columns["joints_m"], extrinsics)
    return columns


def _refine_hand(pose, landmarks_px, hand, camera, extrinsics, skeleton, settings, pressed_mm, progress, device):
    """Refine the poses of one hand in the frames that have a pose. Return the refined columns of `tables.POSE`, arrays (frame, ...).

    All arrays contain only these frames. `pose` maps names of columns to arrays (frame, ...). `landmarks_px` (frame, joint 21, xy 2) are
    the detected landmarks in the order of the joints, undistorted and from the principal point, NaN if not detected. `pressed_mm` is an
    array (frame, finger 5) or None. For the other arguments, see `refine_over_time`.
    """
    mirror = MIRROR if hand == "left" else np.ones(3)
    time_s = np.asarray(pose["time_s"], dtype=np.float64)
    rotvec = pose["rotation_rad"].astype(np.float64)
    rotation = matrix_from_rotvec(mirrored(rotvec) if hand == "left" else rotvec)
    translation, joints = pose["translation_m"] * mirror, pose["joints_m"] * mirror
    betas = np.median(pose["betas"], axis=0)
    bone_scale = float(np.median(pose["bone_scale"]))
    shape = torch.as_tensor(betas, dtype=torch.float64, device=device)

    def joints_of(matrices):
        return skeleton.joints(matrices, shape, bone_scale)

    joints_px = camera.focal_px * joints[..., :2] / joints[..., 2:]
    plane = None if extrinsics is None else plane_of(extrinsics) * np.append(mirror, 1.0)
    observations, start, unbiased = _measure(
        rotation, translation, joints, joints_px, landmarks_px * mirror[:2], time_s, camera, plane, pressed_mm
    )
    depth_share = 1.0 if camera.focal_source != "hamer" else HAMER_DISTANCE_M / float(np.median(joints[:, 0, 2]))
    scales = _acceleration_scales(observations, joints, camera, time_s)
    out = [part.copy() for part in start]
    plane = None if plane is None else torch.as_tensor(plane, dtype=torch.float64, device=device)
    batches = split_into_windows(time_s, settings.window_s)
    for windows in progress(batches, len(batches), f"batches of {hand} hands over time"):
        rows = np.stack([rows for rows, _ in windows])
        tensors = {name: _tensor(values[rows], device) for name, values in observations.items()}
        difference = _tensor(acceleration_coefficients(time_s, rows), device)
        weight = settings.smoothness * ACCELERATION_WEIGHT
        problem = VideoProblem(Measurements(**tensors), joints_of, difference, camera.focal_px, plane, depth_share, weight)
        state, _ = minimise_series(problem, tuple(_tensor(part[rows], device) for part in start), scales)
        for values, solved in zip(out, state, strict=True):
            solved = solved.cpu().numpy()
            for k, (_, kept) in enumerate(windows):
                values[rows[k, kept]] = solved[k, kept]
    return _pose_columns(*out, hand, joints_of, camera, unbiased, pose["residual_px"], betas, bone_scale, device)


def _measure(rotation, translation, joints, joints_px, landmarks_px, time_s, camera, plane, pressed_mm):
    """Prepare the optimisation of a right hand, or of a mirrored left one.

    Parameters
    ----------
    rotation, translation, joints : array (frame, joint 16, 3, 3), (frame, xyz 3), (frame, joint 21, xyz 3)
        Poses of the engine: rotation matrices, translations and joints, in metres.
    joints_px, landmarks_px : array (frame, joint 21, xy 2)
        Projected joints, and detected landmarks in the same order, in pixels from the principal point. Landmarks may be NaN.
    time_s : array (frame,)
    camera : handroll.camera.Camera
    plane : array (4,) or None
        Result of `landmarks.plane_of`, mirrored for a left hand.
    pressed_mm : array (frame, finger 5) or None
        See `refine_over_time`.

    Returns
    -------
    observations : dict of str to array (frame, ...)
        Fields of `temporal_problem.Measurements`.
    start : (rotation, translation)
        Initial poses, without spikes.
    unbiased : array (frame, joint 21, xy 2)
        Landmarks in pixels, without their constant bias.
    """
    frames = len(time_s)
    px_per_m = camera.focal_px / float(np.median(joints[:, 0, 2]))
    steady = steady_frames(time_s)
    sigma_px = np.maximum(jitter(joints_px, steady).max(-1), max(MIN_SIGMA_PX, FLOOR_M * px_per_m))
    sigma_rad = np.maximum(rotation_jitter(rotation, steady), FLOOR_RAD)
    sigma_depth = max(float(jitter(np.log(joints[:, 0, 2]), steady)), FLOOR_DEPTH)
    unbiased, sigma_landmarks = remove_bias(landmarks_px, joints_px)
    found = np.isfinite(unbiased).all(-1)
    distance_px = np.where(
        found.all(-1), np.median(np.linalg.norm(np.where(found[..., None], unbiased, 0.0) - joints_px, axis=-1), axis=-1), 0.0
    )
    inconsistent = distance_px > np.maximum(SPIKE_SIGMA * np.median(sigma_landmarks), SPIKE_M * px_per_m)
    sigma_landmarks = np.where(found, np.maximum(sigma_landmarks, sigma_px), np.inf)

    spike_px = np.maximum(SPIKE_SIGMA * np.median(sigma_px), SPIKE_M * px_per_m)
    translation_spikes = find_spikes(
        frames, lambda i, k: np.median(np.linalg.norm(joints_px[i] - joints_px[k], axis=-1), axis=-1), spike_px
    )
    spike_rad = np.maximum(SPIKE_SIGMA * sigma_rad, SPIKE_RAD)
    rotation_spikes = find_spikes(frames, lambda i, k: _angle_between(rotation[i], rotation[k]), spike_rad)
    # Spikes only affect the initial poses. The optimisation decides whether the engine or the detector is wrong.
    translation_spikes |= inconsistent
    rotation_spikes[:, 0] |= inconsistent
    start = interpolate_spikes(rotation, translation, time_s, rotation_spikes, translation_spikes)

    observations = {
        "rotation": rotation,
        "translation_m": translation,
        "joints_px": joints_px,
        "joints_sigma_px": np.broadcast_to(sigma_px, (frames, N_JOINTS)),
        "rotation_sigma_rad": np.broadcast_to(sigma_rad, (frames, len(sigma_rad))),
        "depth_sigma": np.full(frames, sigma_depth),
        "landmarks_px": np.where(found[..., None], unbiased, 0.0),
        "landmarks_sigma_px": sigma_landmarks,
        "height_m": np.zeros((frames, len(TIPS))),
        "height_sigma_m": np.full((frames, len(TIPS)), np.inf),
        "min_height_m": np.full((frames, len(TIPS)), 1e-3 * MIN_HEIGHT_MM[0]),
        "min_height_sigma_m": np.full((frames, len(TIPS)), 1e-3 * MIN_HEIGHT_MM[1]),
    }
    if plane is not None and pressed_mm is not None:
        held = np.isfinite(pressed_mm)
        observations["height_m"] = 1e-3 * np.where(held, pressed_mm + HEIGHT_PRESSING_MM[0], 0.0)
        observations["height_sigma_m"] = np.where(held, 1e-3 * HEIGHT_PRESSING_MM[1], np.inf)
    return observations, start, unbiased


def _angle_between(first, second):
    """Return the angle (rad) between rotation matrices (..., 3, 3)."""
    return np.arccos(np.clip(0.5 * (np.einsum("...ij,...ij->...", first, second) - 1.0), -1.0, 1.0))


def _acceleration_scales(observations, joints, camera, time_s):
    """List the scale of the distribution of joint accelerations (m / s^2) for each optimisation step; see `ACCELERATION_M_S2`.

    It starts at the accelerations that noise of the joint positions causes, and decreases to `ACCELERATION_M_S2`. `observations` is a
    result of `_measure`, and `joints` (frame, joint 21, xyz 3) are the engine's joints in metres.
    """
    noise_m = float(np.median(observations["joints_sigma_px"])) * float(np.median(joints[:, 0, 2])) / camera.focal_px
    first = max(np.sqrt(6.0) * noise_m / _frame_interval_s(time_s) ** 2, ACCELERATION_M_S2)
    return [*np.geomspace(first, ACCELERATION_M_S2, STEPS_TO_SCALE, endpoint=False), *[ACCELERATION_M_S2] * STEPS_AT_SCALE]


def _frame_interval_s(time_s):
    """Return the median time (s) between consecutive frames; `MAX_STEP_S` for a single frame."""
    return max(float(np.median(np.diff(time_s))) if len(time_s) > 1 else MAX_STEP_S, 1e-3)


def split_into_windows(time_s, window_s):
    """Split the frames into overlapping windows, and return them in batches that are solved in parallel.

    Returns
    -------
    list of list of (rows, kept)
        `rows` are the frame indices (n,) of a window; n is even and equal for all windows. `kept` is the slice of the rows whose result
        is used.
    """
    frames = len(time_s)
    interval_s = _frame_interval_s(time_s)
    core, overlap = max(round(window_s / interval_s), 1), round(OVERLAP_S / interval_s)
    length = max(min(core + 2 * overlap, frames), 4)
    length += length % 2
    windows = []
    for begin in range(0, frames, core) if frames > length else [0]:
        end = min(begin + core, frames) if frames > length else frames
        first = max(min(begin - overlap, frames - length), 0)
        # If there are too few frames, the last one is repeated. Its copies are not connected, because no time passes between them.
        windows.append((np.minimum(np.arange(first, first + length), frames - 1), slice(begin - first, end - first)))
    at_once = max(FRAMES_AT_ONCE // length, 1)
    return [windows[k : k + at_once] for k in range(0, len(windows), at_once)]


def acceleration_coefficients(time_s, rows):
    """Compute `SeriesProblem.difference` (window, frame - 2, 3) from the times of the frames; `rows` (window, frame) are frame indices."""
    step = np.diff(time_s[rows], axis=-1)
    joined = (step > 0.0) & (step <= MAX_STEP_S)
    step = np.where(joined, step, 1.0)
    before, behind, both = step[:, :-1], step[:, 1:], joined[:, :-1] & joined[:, 1:]
    total = before + behind
    coefficients = np.stack([2.0 / (before * total), -2.0 / (before * behind), 2.0 / (behind * total)], axis=-1)
    return np.where(both[..., None], coefficients, 0.0)


def _tensor(values, device):
    """Convert an array to a float64 tensor on a device."""
    return torch.as_tensor(np.ascontiguousarray(values), dtype=torch.float64, device=device)


def _pose_columns(rotation, translation, hand, joints_of, camera, landmarks_px, residual_px, betas, bone_scale, device):
    """Convert refined poses of a right hand, or of a mirrored left one, to columns (frame, ...) of `tables.POSE`.

    `rotation` (frame, joint 16, 3, 3) and `translation` (frame, xyz 3), m, are the poses. `landmarks_px` (frame, joint 21, xy 2) are the
    landmarks without bias. `residual_px` (frame,) are the engine's residuals, which are kept in frames without landmarks.
    """
    frames = len(translation)
    rotvec = unwrap_rotvec(rotvec_from_matrix(rotation)).astype(np.float32)
    translation = translation.astype(np.float32)
    # The joints are computed from the stored float32 values, so that they agree with the stored rotations and translations.
    pieces = np.array_split(np.arange(frames), -(-frames // FRAMES_AT_ONCE))
    joints = np.concatenate([joints_of(_tensor(matrix_from_rotvec(rotvec[piece]), device)).cpu().numpy() for piece in pieces])
    joints = joints + translation[:, None]
    found = np.isfinite(landmarks_px).all((-1, -2))
    off = camera.focal_px * joints[..., :2] / joints[..., 2:] - landmarks_px
    residual = np.where(found, np.sqrt((off**2).sum(-1).mean(-1)), residual_px)
    mirror = MIRROR if hand == "left" else np.ones(3)
    return {
        "rotation_rad": mirrored(rotvec) if hand == "left" else rotvec,
        "translation_m": translation * mirror,
        "joints_m": joints * mirror,
        "betas": np.broadcast_to(betas, (frames, len(betas))),
        "bone_scale": np.full(frames, bone_scale),
        "residual_px": residual,
    }
