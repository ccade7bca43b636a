"""The `landmarks` engine: MANO-topology poses from the 21 detected landmarks alone, by least squares on the open hand.

Unknowns of a frame and hand: 3 for the wrist, 3 for the palm's orientation, 45 anatomical joint angles. Residuals: the
projected landmarks against the detected ones, the priors of `priors` on angles and limits, and relative heights of wrist,
knuckles and tips along the viewing axis, since the camera looks down at the keys. Every frame is fitted for itself;
smoothing is a later step. The detector's own world landmarks are not used: their depth is wrong by centimetres.

What one camera cannot see stays as it was assumed. A larger hand farther away gives the same picture: `bone_scale` is 1
unless the hand's length is given, and the bones' proportions are the template's. Depth is metric only with a true focal length.
"""

import numpy as np
import torch

from handroll.hand.kinematics import MIRROR, hand_joints, mirrored_pose
from handroll.hand.rotations import continuous, rotvec_from_matrix
from handroll.hand.skeleton import HANDS, N_JOINTS, N_ROTATIONS
from handroll.hand.template import HAND_LENGTH_M, open_hand
from handroll.pose.articulation import BENDS, articulation
from handroll.pose.levenberg_marquardt import choose, minimise
from handroll.pose.priors import landmark_offsets_m
from handroll.pose.problem import HandProblem, level_start, retract, wrist_m

VERSION = 1
"""Raised by hand when the same detections give other poses."""

OPTIONS = {"hand_length_m": None, "threads": 1}
"""Wrist to middle fingertip of the player, metres, or None where it is not known; CPU threads (part of what fixes the bytes)."""

BATCH = 256
"""Hands fitted at once: their matrices (3 MB each kind) stay near the processor, and memory does not grow with the video."""

ITERATIONS = 8
"""Fits of well detected hands have converged after 6."""

POOR_COST_RATIO = 2.0
"""A fit that costs more than this times the median of its hand and video gets a second start, from the nearest better frame."""

SHORTEST_HAND_M, LONGEST_HAND_M = 0.10, 0.26


def fit(video_path, detections, camera, options, progress):
    """Fit every found hand of a video; see `engine.Engine.fit`.

    Parameters
    ----------
    video_path : path
        Not read: landmarks are enough.
    detections : dict of str to array (frame, hand 2, ...)
        `schema.DETECTIONS` by `schema.by_frame`.
    camera : handroll.camera.Camera
    options : dict
        Any of `OPTIONS`.
    progress : callable
        As `handroll.logs.progress`.

    Returns
    -------
    columns : dict of str to array (frame, hand 2, ...)
        `schema.POSE`; float columns are NaN where no hand is found.
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
    pixels = np.asarray(detections["landmarks_px"], dtype=np.float64)
    found = np.asarray(detections["found"], dtype=bool) & np.isfinite(pixels).all(axis=(-1, -2))
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
    threads = torch.get_num_threads()
    torch.set_num_threads(int(options["threads"]))
    try:
        for side, hand in enumerate(HANDS):
            rows = np.flatnonzero(found[:, side])
            from_centre = pixels[rows, side] - np.array(camera.centre_px)
            rotation, translation, residual = fit_hands(from_centre, hand, camera.focal_px, bone_scale, progress)
            columns["rotation_rad"][rows, side] = continuous(rotation)
            columns["translation_m"][rows, side] = translation
            columns["residual_px"][rows, side] = residual
            # From the stored float32 values, so that the table agrees with itself.
            stored = [columns[name][rows, side] for name in ("rotation_rad", "translation_m")]
            columns["joints_m"][rows, side] = hand_joints(stored[0].reshape(-1, 3 * N_ROTATIONS), stored[1], bone_scale, hand)
    finally:
        torch.set_num_threads(threads)
    return columns, {"template": f"open hand, {1e3 * HAND_LENGTH_M:.0f} mm", "bone_scale": f"{bone_scale:.6g}"}


def fit_hands(pixels, hand, focal_px, bone_scale, progress):
    """Poses of one hand in many frames.

    Parameters
    ----------
    pixels : array (frame, 21, 2)
        Detected landmarks, MediaPipe's order, pixels from the principal point; finite.
    hand : {"left", "right"}
    focal_px, bone_scale : float
    progress : callable
        As `handroll.logs.progress`.

    Returns
    -------
    rotation_rad : array (frame, 16, 3)
        Of the hand itself, camera frame; the left hand's fit is that of its mirror image, mirrored back.
    translation_m : array (frame, 3)
    residual_px : array (frame,)
    """
    if not len(pixels):
        return np.empty((0, N_ROTATIONS, 3)), np.empty((0, 3)), np.empty(0)
    mirror = MIRROR if hand == "left" else np.ones(3)
    template = open_hand()
    model = articulation(template, bone_scale, landmark_offsets_m())
    seen = torch.as_tensor(pixels * mirror[:2], dtype=torch.float32)
    batches = torch.arange(len(seen)).split(BATCH)
    parts = [_solve(model, template, focal_px, seen[rows]) for rows in progress(batches, len(batches), f"batches of {hand} hands")]
    place, root, angles, cost, residual = fitted = [torch.cat(part) for part in zip(*parts, strict=True)]

    good = cost <= POOR_COST_RATIO * cost.median()
    for rows in torch.nonzero(~good).squeeze(1).split(BATCH):
        # Nearest by index among the found frames: it need not be adjacent in time.
        nearest = _nearest(torch.nonzero(good).squeeze(1), rows)
        again = _solve(model, template, focal_px, seen[rows], (root[nearest], angles[nearest]))
        better = again[3] < cost[rows]
        for old, new in zip(fitted, again, strict=True):
            old[rows] = choose(better, new, old[rows])

    rotation = np.zeros((len(pixels), N_ROTATIONS, 3))
    rotation[:, 0] = rotvec_from_matrix(root.double().numpy())
    rotation[:, BENDS] = np.einsum("tfba,fbax->tfbx", angles.double().numpy().reshape(-1, 5, 3, 3), template.axes[BENDS])
    translation = wrist_m(place, focal_px) - bone_scale * template.joints_m[0]
    if hand == "left":
        rotation = mirrored_pose(rotation.reshape(len(pixels), -1)).reshape(rotation.shape)
    return rotation, translation * mirror, residual.numpy()


def _solve(model, template, focal_px, pixels, bent=None):
    """(place, root, angles, cost, residual_px) from a level hand, or from a level hand's place with another (root, angles)."""
    start, px_per_m = level_start(model, focal_px, pixels)
    problem = HandProblem(model, template, focal_px, pixels, px_per_m)
    state, cost = minimise(start if bent is None else (start[0], *bent), problem.evaluate, retract, ITERATIONS)
    return *state, cost, problem.residual_px(state)


def _nearest(candidates, rows):
    """For each row the nearest of the rising candidates (the earlier of two that are equally near)."""
    after = torch.searchsorted(candidates, rows).clamp(max=len(candidates) - 1)
    before = (after - 1).clamp(min=0)
    nearer_after = (candidates[after] - rows).abs() < (candidates[before] - rows).abs()
    return candidates[torch.where(nearer_after, after, before)]


def _bone_scale(hand_length_m):
    """Size relative to the template of a hand of this length; 1 where it is not known."""
    if hand_length_m is None:
        return 1.0
    if not SHORTEST_HAND_M <= hand_length_m <= LONGEST_HAND_M:
        raise ValueError(
            f"hand_length_m: expected metres from {SHORTEST_HAND_M} to {LONGEST_HAND_M}, wrist to middle fingertip, found {hand_length_m}"
        )
    return hand_length_m / HAND_LENGTH_M
