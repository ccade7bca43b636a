"""The `landmarks` engine: MANO-topology poses from the 21 detected landmarks alone, by least squares on the open hand.

Unknowns of a frame and hand: 3 for the wrist, 3 for the palm's orientation, 45 anatomical joint angles. Residuals: the
projected landmarks against the detected ones, the priors of `priors` on angles and limits, and heights of wrist, knuckles
and tips: above the keys where a keyboard is registered, else relative to each other along the viewing axis, since the
camera looks down at the keys. Every frame is fitted for itself; smoothing is a later step. The detector's own world
landmarks are not used: their depth is wrong by centimetres.

What one camera cannot see stays as it was assumed. A larger hand farther away gives the same picture: over a registered
keyboard the size is the one that lets the hands be as high as playing hands are; else `bone_scale` is 1 unless the hand's
length is given. The bones' proportions are the template's. Depth is metric only with a true focal length.
"""

import numpy as np
import torch

from handroll.device import torch_threads
from handroll.hand.kinematics import MIRROR, hand_joints, mirrored_pose, open_hand_joints
from handroll.hand.rotations import rotvec_from_matrix, unwrap_rotvec
from handroll.hand.skeleton import HANDS, N_JOINTS, N_ROTATIONS
from handroll.hand.template import HAND_LENGTH_M, open_hand
from handroll.pose.articulation import BENDS, articulation
from handroll.pose.fit_problem import HandProblem, level_start, retract, wrist_m
from handroll.pose.levenberg_marquardt import choose, minimise
from handroll.pose.priors import landmark_offsets_m
from handroll.pose.skeletons import TemplateSkeleton

VERSION = 2
"""Raised by hand when the same detections give other poses."""

KNOWS_KEYS = True

OPTIONS = {"hand_length_m": None, "threads": 1}
"""Wrist to middle fingertip of the player, metres, or None where it is not known; CPU threads (part of what fixes the bytes)."""

BATCH = 256
"""Hands fitted at once: their matrices (3 MB each kind) stay near the processor, and memory does not grow with the video."""

ITERATIONS = 8
"""Fits of well detected hands have converged after 6."""

POOR_COST_RATIO = 2.0
"""A fit that costs more than this times the median of its hand and video gets a second start, from the nearest better frame."""

SHORTEST_HAND_M, LONGEST_HAND_M = 0.10, 0.26

SIZES = np.linspace(0.80, 1.20, 9)
"""Sizes of the hand, relative to the template, that are tried over a registered keyboard; the best lies on the parabola
through the three cheapest."""

SIZE_SIGMA = 0.08
"""Relative standard deviation of the players' hands about the template's length: handroll's own choice, wide enough that the
plane decides. On performances of the synthetic pianist the size found is 1 to 7 % too small."""

SIZE_FRAMES, SIZE_WEIGHT = 64, 20.0
"""Frames a hand that the size is found from, evenly spread; and as how many independent ones they count, since they resemble
each other."""


def fit(video_path, detections, camera, extrinsics, options, progress):
    """Fit every found hand of a video; see `engine.Engine.fit`.

    Parameters
    ----------
    video_path : path
        Not read: landmarks are enough.
    detections : dict of str to array (frame, hand 2, ...)
        `tables.DETECTIONS` by `schema.by_frame`.
    camera : handroll.camera.Camera
    extrinsics : handroll.camera.Extrinsics or None
    options : dict
        Any of `OPTIONS`.
    progress : callable
        As `handroll.logs.progress`.

    Returns
    -------
    columns : dict of str to array (frame, hand 2, ...)
        `tables.POSE` without `joints_keyboard_mm`; float columns are NaN where no hand is found.
    info : dict of str to str

    Raises
    ------
    ValueError
        An option is unknown, or the hand's length out of range.
    """
    unknown = sorted(set(options) - set(OPTIONS))
    if unknown:
        raise ValueError(f"pose engine landmarks: unknown options {unknown}; it knows {sorted(OPTIONS)}")
    options = {**OPTIONS, **options}
    bone_scale = _bone_scale(options["hand_length_m"])
    with torch_threads(options["threads"]):
        if bone_scale is None:
            bone_scale = 1.0 if extrinsics is None else hand_size(*_seen(detections, camera), camera.focal_px, plane_of(extrinsics))
        columns = _fit(detections, camera, extrinsics, None, bone_scale, progress)
    return columns, {"template": f"open hand, {1e3 * HAND_LENGTH_M:.0f} mm", "bone_scale": f"{bone_scale:.6g}"}


def refine(pose, detections, camera, extrinsics, pressed_mm, progress):
    """The fit again, with the fingertips that hold keys at the keys' height; see `engine.Engine.refine`.

    Parameters
    ----------
    pose, detections : dict of str to array (frame, hand 2, ...)
        What `fit` gave and took.
    camera : handroll.camera.Camera
    extrinsics : handroll.camera.Extrinsics
    pressed_mm : array (frame, hand 2, finger 5)
    progress : callable

    Returns
    -------
    dict of str to array (frame, hand 2, ...)
        As of `fit`.
    """
    sizes = pose["bone_scale"][pose["found"]]
    with torch_threads(OPTIONS["threads"]):
        return _fit(detections, camera, extrinsics, pressed_mm, float(sizes[0]) if len(sizes) else 1.0, progress)


def joints(options):
    """How joints follow from a pose of this engine: by the open hand, scaled; see `engine.Engine.joints`."""
    return open_hand_joints


def skeleton(options):
    """The open hand; see `engine.Engine.skeleton`. Its size is `bone_scale` of the poses."""
    return TemplateSkeleton()


def _seen(detections, camera):
    """Landmarks (frame, hand 2, 21, xy 2) in pixels from the principal point, without distortion; and where all are there."""
    flat = camera.focal_px * camera.rays(detections["landmarks_px"])[..., :2]
    return flat, np.asarray(detections["found"], dtype=bool) & np.isfinite(flat).all(axis=(-1, -2))


def _fit(detections, camera, extrinsics, pressed_mm, bone_scale, progress):
    """Columns of `fit` for hands of this size."""
    flat, found = _seen(detections, camera)
    plane = None if extrinsics is None else plane_of(extrinsics)
    columns = {
        **{name: detections[name] for name in ("frame", "time_s", "hand")},
        "found": found,
        "rotation_rad": np.full((*found.shape, N_ROTATIONS, 3), np.nan, dtype=np.float32),
        "translation_m": np.full((*found.shape, 3), np.nan, dtype=np.float32),
        "betas": np.where(found[..., None], np.zeros(10, dtype=np.float32), np.float32(np.nan)),
        "bone_scale": np.where(found, np.float32(bone_scale), np.float32(np.nan)),
        "joints_m": np.full((*found.shape, N_JOINTS, 3), np.nan, dtype=np.float32),
        "residual_px": np.full(found.shape, np.nan, dtype=np.float32),
    }
    for side, hand in enumerate(HANDS):
        rows = np.flatnonzero(found[:, side])
        pressed_m = None if pressed_mm is None else 1e-3 * pressed_mm[rows, side]
        rotation, translation, residual = fit_hands(flat[rows, side], hand, camera.focal_px, bone_scale, progress, plane, pressed_m)
        columns["rotation_rad"][rows, side] = unwrap_rotvec(rotation)
        columns["translation_m"][rows, side] = translation
        columns["residual_px"][rows, side] = residual
        # From the stored float32 values, so that the table agrees with itself.
        stored = [columns[name][rows, side] for name in ("rotation_rad", "translation_m")]
        columns["joints_m"][rows, side] = hand_joints(stored[0].reshape(-1, 3 * N_ROTATIONS), stored[1], bone_scale, hand)
    return columns


def plane_of(extrinsics):
    """The white keys' plane, array (4,): a point of the camera frame, metres, is plane[:3] @ point + plane[3] above it, metres."""
    up = extrinsics.rotation[:, 2]
    return np.append(up, -1e-3 * up @ extrinsics.translation_mm)


def hand_size(flat, found, focal_px, plane):
    """Size of the player's hands relative to the template: the one whose fits above the keys cost least.

    Parameters
    ----------
    flat : array (frame, hand 2, 21, 2)
        Detected landmarks, pixels from the principal point, without distortion.
    found : bool array (frame, hand 2)
    focal_px : float
    plane : array (4,)
        As `plane_of` gives.

    Returns
    -------
    float; 1 where no hand is found
    """
    if not found.any():
        return 1.0
    sample = []
    for side, hand in enumerate(HANDS):
        rows = np.flatnonzero(found[:, side])
        rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), SIZE_FRAMES)).astype(int)]
        sample.append((_as_right(flat[rows, side], hand), _as_right(plane, hand)))
    cost = 0.5 * (np.log(SIZES) / SIZE_SIGMA) ** 2
    for k, size in enumerate(SIZES):
        model = articulation(open_hand(), size, landmark_offsets_m())
        costs = torch.cat([_solve(model, focal_px, seen, level)[3] for seen, level in sample if len(seen)])
        # The median bears with bad frames.
        cost[k] += SIZE_WEIGHT * float(costs.median())
    best = int(np.clip(cost.argmin(), 1, len(SIZES) - 2))
    before, at, after = cost[best - 1 : best + 2]
    bend = before - 2.0 * at + after
    shift = np.clip(0.5 * (before - after) / bend, -1.0, 1.0) if bend > 0.0 else 0.0
    return float(SIZES[best] + shift * (SIZES[1] - SIZES[0]))


def fit_hands(pixels, hand, focal_px, bone_scale, progress, plane=None, pressed_m=None):
    """Poses of one hand in many frames.

    Parameters
    ----------
    pixels : array (frame, 21, 2)
        Detected landmarks, MediaPipe's order, pixels from the principal point, without distortion; finite.
    hand : {"left", "right"}
    focal_px, bone_scale : float
    progress : callable
        As `handroll.logs.progress`.
    plane : array (4,), optional
        As `plane_of` gives.
    pressed_m : array (frame, finger 5), optional
        Height above the white keys of the key top that a fingertip presses, metres; NaN where it presses none.

    Returns
    -------
    rotation_rad : array (frame, 16, 3)
        Of the hand itself, camera frame; the left hand's fit is that of its mirror image, mirrored back.
    translation_m : array (frame, 3)
    residual_px : array (frame,)
    """
    if not len(pixels):
        return np.empty((0, N_ROTATIONS, 3)), np.empty((0, 3)), np.empty(0)
    template = open_hand()
    model = articulation(template, bone_scale, landmark_offsets_m())
    seen, plane = _as_right(pixels, hand), _as_right(plane, hand)
    pressed = None if pressed_m is None else torch.as_tensor(pressed_m, dtype=torch.float32)
    batches = torch.arange(len(seen)).split(BATCH)
    parts = [
        _solve(model, focal_px, seen[rows], plane, _of(pressed, rows))
        for rows in progress(batches, len(batches), f"batches of {hand} hands")
    ]
    place, root, angles, cost, residual = fitted = [torch.cat(part) for part in zip(*parts, strict=True)]

    good = cost <= POOR_COST_RATIO * cost.median()
    for rows in torch.nonzero(~good).squeeze(1).split(BATCH):
        # Nearest by index among the found frames: it need not be adjacent in time.
        nearest = _nearest(torch.nonzero(good).squeeze(1), rows)
        again = _solve(model, focal_px, seen[rows], plane, _of(pressed, rows), (root[nearest], angles[nearest]))
        better = again[3] < cost[rows]
        for old, new in zip(fitted, again, strict=True):
            old[rows] = choose(better, new, old[rows])

    rotation = np.zeros((len(pixels), N_ROTATIONS, 3))
    rotation[:, 0] = rotvec_from_matrix(root.double().numpy())
    rotation[:, BENDS] = np.einsum("tfba,fbax->tfbx", angles.double().numpy().reshape(-1, 5, 3, 3), template.axes[BENDS])
    translation = wrist_m(place, focal_px) - bone_scale * template.joints_m[0]
    if hand == "left":
        rotation = mirrored_pose(rotation.reshape(len(pixels), -1)).reshape(rotation.shape)
        translation = translation * MIRROR
    return rotation, translation, residual.numpy()


def _as_right(values, hand):
    """Pixels (..., xy 2) or a plane (4,), as float32 tensor, as a right hand has them: mirrored for the left one; None stays None."""
    if values is None:
        return None
    mirror = np.append(MIRROR, 1.0) if hand == "left" else np.ones(4)
    return torch.as_tensor(values * mirror[: np.shape(values)[-1]], dtype=torch.float32)


def _of(values, rows):
    return None if values is None else values[rows]


def _solve(model, focal_px, pixels, plane, pressed_m=None, bent=None):
    """(place, root, angles, cost, residual_px) from a level hand, or from a level hand's place with another (root, angles)."""
    start, px_per_m = level_start(model, focal_px, pixels, *([] if plane is None else [plane[:3]]))
    problem = HandProblem(model, open_hand(), focal_px, pixels, px_per_m, plane, pressed_m)
    state, cost = minimise(start if bent is None else (start[0], *bent), problem.evaluate, retract, ITERATIONS)
    return *state, cost, problem.residual_px(state)


def _nearest(candidates, rows):
    """For each row the nearest of the rising candidates (the earlier of two that are equally near)."""
    after = torch.searchsorted(candidates, rows).clamp(max=len(candidates) - 1)
    before = (after - 1).clamp(min=0)
    nearer_after = (candidates[after] - rows).abs() < (candidates[before] - rows).abs()
    return candidates[torch.where(nearer_after, after, before)]


def _bone_scale(hand_length_m):
    """Size relative to the template of a hand of this length; None where it is not known."""
    if hand_length_m is None:
        return None
    if not SHORTEST_HAND_M <= hand_length_m <= LONGEST_HAND_M:
        raise ValueError(
            f"hand_length_m: expected metres from {SHORTEST_HAND_M} to {LONGEST_HAND_M}, wrist to middle fingertip, found {hand_length_m}"
        )
    return hand_length_m / HAND_LENGTH_M
