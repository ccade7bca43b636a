"""Refinement over time: the poses that an engine gave frame by frame, as parts of one motion.

What an engine and a detector see is uncertain in each frame; how a hand can move joins the frames. For each hand and video
the most likely series is found of all poses together, given the engine's poses, the detector's landmarks, the keys' plane
and the accelerations of playing hands (`temporal_problem`). It works for any engine whose `Skeleton` is known.

Frames that are not found stay so; frames too far apart in time are not joined. Long series are solved in windows that overlap.
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
from handroll.pose.temporal_noise import (
    FLOOR_DEPTH,
    FLOOR_M,
    FLOOR_RAD,
    LEAP_M,
    LEAP_RAD,
    LEAP_SIGMA,
    bridged,
    jitter,
    leaps,
    rotation_jitter,
    steady_frames,
    without_bias,
)
from handroll.pose.temporal_problem import Measured, SeriesProblem, minimise_series

ACCELERATION_M_S2 = 0.5
"""Scale of the heavy-tailed distribution of joints' accelerations: about that of a hand that holds keys or glides (0.1 to 1), far
below a stroke (10 to 150). Results hardly depend on it: 0.25 or 1 change jitter and errors by at most 3 %."""

ACCELERATION_WEIGHT = 0.8
"""Weight of an acceleration, at `smoothness` 1. A Cauchy distribution in space would have 4, but the joints of a finger move
together; this keeps the strokes of the synthetic pianist (development seeds) and takes more than half of the jitter."""

STEPS_TO_SCALE, STEPS_AT_SCALE = 5, 3
"""Steps from the scale of the noise to that of the prior, and at the latter; three more of each change the error by 2 %."""

CLOSE_S = 0.1
"""Frames farther apart than this are not joined: a hand can strike a key in between."""

OVERLAP_S = 0.5
"""Frames on each side that a window looks at beyond those it decides; what is farther away does not show."""

FRAMES_AT_ONCE = 1024
"""Of all windows that are solved side by side: 100 KB each."""

LOWEST_MM = (HEIGHT_PRESSING_MM[0] - 2.0, 1.0)
"""Least height of a fingertip's joint above the white keys, a little under that of a key held down, and how soft it is."""

HAMER_DISTANCE_M = 1.0
"""How far a camera over a piano is, roughly: under HaMeR's focal length depths are not metric, but their ratios are true."""

PIXEL = 0.25
"""Least noise of anything in the picture, pixels."""


@dataclass(frozen=True)
class TemporalSettings:
    """How poses are refined over time.

    Attributes
    ----------
    smoothness : float
        Weight of the accelerations against what is seen; 1 as tuned.
    window_s : float
        Length of the windows that are solved at once, s; more costs memory, less costs time for the overlaps.
    """

    smoothness: float = 1.0
    window_s: float = 8.0

    def __post_init__(self):
        for name in ("smoothness", "window_s"):
            if not 0.0 < getattr(self, name) < np.inf:
                raise ValueError(f"TemporalSettings.{name}: expected a number above 0, found {getattr(self, name)!r}")


def refine_over_time(
    pose, detections, camera, extrinsics, skeleton, settings=None, pressed_mm=None, progress=log_progress, device="cpu", threads=1
):
    """Refine the poses of a video over time.

    Parameters
    ----------
    pose : dict of str to array (frame, hand 2, ...)
        `tables.POSE` by frame, of any engine.
    detections : dict of str to array (frame, hand 2, ...)
        `tables.DETECTIONS` by frame, of the same frames.
    camera : handroll.camera.Camera
    extrinsics : handroll.camera.Extrinsics or None
        Where it is over the keys; None where no keyboard is registered.
    skeleton : handroll.pose.skeletons.Skeleton
        The engine's hand.
    settings : TemporalSettings, optional
    pressed_mm : array (frame, hand 2, finger 5), optional
        Height above the white keys of the top at rest of the key that a fingertip holds down; NaN where it holds none.
    progress : callable
        As `handroll.logs.progress`.
    device : str
        Where torch works: as `handroll.device.torch_device`.
    threads : int
        CPU threads (part of what fixes the bytes).

    Returns
    -------
    dict of str to array (frame, hand 2, ...)
        `tables.POSE`: the same frames found, NaN elsewhere. The shape is the median of each hand's, rotations are continuous,
        `residual_px` is of the refined joints to the landmarks without their bias (the engine's where there are none).
    """
    settings, device = settings or TemporalSettings(), torch_device(device)
    with torch_threads(threads):
        return _refine_video(pose, detections, camera, extrinsics, skeleton, settings, pressed_mm, progress, device)


def _refine_video(pose, detections, camera, extrinsics, skeleton, settings, pressed_mm, progress, device):
    """Columns of both hands; see `refine_over_time`."""
    columns = {name: np.array(values) for name, values in pose.items()}
    whole = np.isfinite(pose["joints_m"]).all((-1, -2)) & np.isfinite(pose["rotation_rad"]).all((-1, -2))
    for side, hand in enumerate(HANDS):
        rows = np.flatnonzero(pose["found"][:, side] & whole[:, side])
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
    """Columns (frame, ...) of one hand's found frames, that are refined."""
    flip = MIRROR if hand == "left" else np.ones(3)
    time_s = np.asarray(pose["time_s"], dtype=np.float64)
    rotvec = pose["rotation_rad"].astype(np.float64)
    rotation = matrix_from_rotvec(mirrored(rotvec) if hand == "left" else rotvec)
    place, joints = pose["translation_m"] * flip, pose["joints_m"] * flip
    betas = np.median(pose["betas"], axis=0)
    bone_scale = float(np.median(pose["bone_scale"]))
    shape = torch.as_tensor(betas, dtype=torch.float64, device=device)

    def joints_of(matrices):
        return skeleton.joints(matrices, shape, bone_scale)

    joints_px = camera.focal_px * joints[..., :2] / joints[..., 2:]
    plane = None if extrinsics is None else plane_of(extrinsics) * np.append(flip, 1.0)
    known, start, unbiased = _measure(rotation, place, joints, joints_px, landmarks_px * flip[:2], time_s, camera, plane, pressed_mm)
    depth_share = 1.0 if camera.focal_source != "hamer" else HAMER_DISTANCE_M / float(np.median(joints[:, 0, 2]))
    scales = _scales(known, joints, camera, time_s)
    out = [part.copy() for part in start]
    plane = None if plane is None else torch.as_tensor(plane, dtype=torch.float64, device=device)
    batches = _windows(time_s, settings.window_s)
    for windows in progress(batches, len(batches), f"batches of {hand} hands over time"):
        rows = np.stack([rows for rows, _ in windows])
        tensors = {name: _tensor(values[rows], device) for name, values in known.items()}
        measured = Measured(**tensors, difference=_tensor(_differences(time_s, rows), device))
        problem = SeriesProblem(measured, joints_of, camera.focal_px, plane, depth_share, settings.smoothness * ACCELERATION_WEIGHT)
        state, _ = minimise_series(problem, tuple(_tensor(part[rows], device) for part in start), scales)
        for values, solved in zip(out, state, strict=True):
            solved = solved.cpu().numpy()
            for k, (_, kept) in enumerate(windows):
                values[rows[k, kept]] = solved[k, kept]
    return _columns(*out, hand, joints_of, camera, unbiased, pose["residual_px"], betas, bone_scale, device)


def _measure(rotation, place, joints, joints_px, landmarks_px, time_s, camera, plane, pressed_mm):
    """What is known of the frames (dict of arrays (frame, ...), as `Measured`), where to start, and the landmarks without bias."""
    frames = len(time_s)
    px_per_m = camera.focal_px / float(np.median(joints[:, 0, 2]))
    steady = steady_frames(time_s)
    sigma_px = np.maximum(jitter(joints_px, steady).max(-1), max(PIXEL, FLOOR_M * px_per_m))
    sigma_rad = np.maximum(rotation_jitter(rotation, steady), FLOOR_RAD)
    sigma_depth = max(float(jitter(np.log(joints[:, 0, 2]), steady)), FLOOR_DEPTH)
    unbiased, sigma_landmarks = without_bias(landmarks_px, joints_px)
    seen = np.isfinite(unbiased).all(-1)
    apart = np.where(seen.all(-1), np.median(np.linalg.norm(np.where(seen[..., None], unbiased, 0.0) - joints_px, axis=-1), axis=-1), 0.0)
    wrong = apart > np.maximum(LEAP_SIGMA * np.median(sigma_landmarks), LEAP_M * px_per_m)
    sigma_landmarks = np.where(seen, np.maximum(sigma_landmarks, sigma_px), np.inf)

    far = np.maximum(LEAP_SIGMA * np.median(sigma_px), LEAP_M * px_per_m)
    place_leaps = leaps(frames, lambda i, k: np.median(np.linalg.norm(joints_px[i] - joints_px[k], axis=-1), axis=-1), far)
    turned = np.maximum(LEAP_SIGMA * sigma_rad, LEAP_RAD)
    rotation_leaps = leaps(frames, lambda i, k: _angle(rotation[i], rotation[k]), turned)
    # Only a start: whether the engine is wrong, or the detector, the series itself decides.
    place_leaps |= wrong
    rotation_leaps[:, 0] |= wrong
    start = bridged(rotation, place, time_s, rotation_leaps, place_leaps)

    known = {
        "rotation": rotation,
        "place_m": place,
        "joints_px": joints_px,
        "joints_sigma_px": np.broadcast_to(sigma_px, (frames, N_JOINTS)),
        "rotation_sigma_rad": np.broadcast_to(sigma_rad, (frames, len(sigma_rad))),
        "depth_sigma": np.full(frames, sigma_depth),
        "landmarks_px": np.where(seen[..., None], unbiased, 0.0),
        "landmarks_sigma_px": sigma_landmarks,
        "height_m": np.zeros((frames, len(TIPS))),
        "height_sigma_m": np.full((frames, len(TIPS)), np.inf),
        "lowest_m": np.full((frames, len(TIPS)), 1e-3 * LOWEST_MM[0]),
        "lowest_sigma_m": np.full((frames, len(TIPS)), 1e-3 * LOWEST_MM[1]),
    }
    if plane is not None and pressed_mm is not None:
        held = np.isfinite(pressed_mm)
        known["height_m"] = 1e-3 * np.where(held, pressed_mm + HEIGHT_PRESSING_MM[0], 0.0)
        known["height_sigma_m"] = np.where(held, 1e-3 * HEIGHT_PRESSING_MM[1], np.inf)
    return known, start, unbiased


def _angle(first, second):
    """Angle, rad, between rotation matrices (..., 3, 3)."""
    return np.arccos(np.clip(0.5 * (np.einsum("...ij,...ij->...", first, second) - 1.0), -1.0, 1.0))


def _scales(known, joints, camera, time_s):
    """Scales of the accelerations, m / s^2, one a step: from the one that the noise looks like to the prior's."""
    noise_m = float(np.median(known["joints_sigma_px"])) * float(np.median(joints[:, 0, 2])) / camera.focal_px
    first = max(np.sqrt(6.0) * noise_m / _pace_s(time_s) ** 2, ACCELERATION_M_S2)
    return [*np.geomspace(first, ACCELERATION_M_S2, STEPS_TO_SCALE, endpoint=False), *[ACCELERATION_M_S2] * STEPS_AT_SCALE]


def _pace_s(time_s):
    """The usual time from one found frame to the next, s; of one frame alone, any."""
    return max(float(np.median(np.diff(time_s))) if len(time_s) > 1 else CLOSE_S, 1e-3)


def _windows(time_s, window_s):
    """Batches of windows (rows (n,) of frames; slice of those that it decides); n is even and the same for all of a video."""
    frames = len(time_s)
    pace_s = _pace_s(time_s)
    core, overlap = max(round(window_s / pace_s), 1), round(OVERLAP_S / pace_s)
    length = max(min(core + 2 * overlap, frames), 4)
    length += length % 2
    windows = []
    for begin in range(0, frames, core) if frames > length else [0]:
        end = min(begin + core, frames) if frames > length else frames
        first = max(min(begin - overlap, frames - length), 0)
        # The last frame again where there are too few: it is joined to nothing.
        windows.append((np.minimum(np.arange(first, first + length), frames - 1), slice(begin - first, end - first)))
    at_once = max(FRAMES_AT_ONCE // length, 1)
    return [windows[k : k + at_once] for k in range(0, len(windows), at_once)]


def _differences(time_s, rows):
    """`Measured.difference` (window, frame - 2, 3) of such rows (window, frame)."""
    step = np.diff(time_s[rows], axis=-1)
    joined = (step > 0.0) & (step <= CLOSE_S)
    step = np.where(joined, step, 1.0)
    before, behind, both = step[:, :-1], step[:, 1:], joined[:, :-1] & joined[:, 1:]
    whole = before + behind
    coefficients = np.stack([2.0 / (before * whole), -2.0 / (before * behind), 2.0 / (behind * whole)], axis=-1)
    return np.where(both[..., None], coefficients, 0.0)


def _tensor(values, device):
    return torch.as_tensor(np.ascontiguousarray(values), dtype=torch.float64, device=device)


def _columns(rotation, place, hand, joints_of, camera, landmarks_px, residual_px, betas, bone_scale, device):
    """The columns that change, of refined right-handed poses."""
    frames = len(place)
    rotvec = unwrap_rotvec(rotvec_from_matrix(rotation)).astype(np.float32)
    place = place.astype(np.float32)
    # From the stored float32 values, so that the table agrees with itself.
    pieces = np.array_split(np.arange(frames), -(-frames // FRAMES_AT_ONCE))
    joints = np.concatenate([joints_of(_tensor(matrix_from_rotvec(rotvec[piece]), device)).cpu().numpy() for piece in pieces])
    joints = joints + place[:, None]
    seen = np.isfinite(landmarks_px).all((-1, -2))
    off = camera.focal_px * joints[..., :2] / joints[..., 2:] - landmarks_px
    residual = np.where(seen, np.sqrt((off**2).sum(-1).mean(-1)), residual_px)
    flip = MIRROR if hand == "left" else np.ones(3)
    return {
        "rotation_rad": mirrored(rotvec) if hand == "left" else rotvec,
        "translation_m": place * flip,
        "joints_m": joints * flip,
        "betas": np.broadcast_to(betas, (frames, len(betas))),
        "bone_scale": np.full(frames, bone_scale),
        "residual_px": residual,
    }
