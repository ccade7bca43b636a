"""The `landmarks` engine: fit the open hand (`hand.template`), which has MANO's joints, to the 21 detected landmarks by least squares.

Each frame and hand has 3 unknowns for the wrist, 3 for the palm's orientation, and 45 anatomical joint angles. There are three kinds of
residuals:

- the projected landmarks minus the detected ones;
- the angles relative to their prior and their limits (`priors`);
- the heights of wrist, knuckles and fingertips relative to their prior. Heights are above the keys if a keyboard is registered.
  Otherwise only their differences along the viewing axis are used, because the camera points down at the keys.

Every frame is fitted independently; smoothing is a later step. The detector's world landmarks are not used, because their depth is
wrong by centimetres.

One camera does not determine the size of a hand: a larger hand farther away gives the same image. With a registered keyboard, the size is
chosen so that the hands have the height of playing hands. Otherwise `bone_scale` is 1, unless the hand's length is given. The bones have
the proportions of the template. Depth is metric only with a true focal length.
"""

import numpy as np
import torch

from handroll.device import torch_threads
from handroll.hand.kinematics import MIRROR, hand_joints, mirrored_pose, open_hand_joints
from handroll.hand.rotations import rotvec_from_matrix, unwrap_rotvec
from handroll.hand.skeleton import HANDS, N_JOINTS, N_ROTATIONS
from handroll.hand.template import HAND_LENGTH_M, open_hand
from handroll.pose.differentiable_hand import BENDS, articulation
from handroll.pose.fit_problem import HandProblem, level_start, retract, wrist_m
from handroll.pose.hand_models import TemplateSkeleton
from handroll.pose.levenberg_marquardt import choose, minimise
from handroll.pose.priors import landmark_offsets_m

VERSION = 2
"""Version of the poses, increased manually when the same detections give different poses."""

USES_KEY_PRESSES = True
"""`refine` uses the keys that fingertips hold down."""

OPTIONS = {"hand_length_m": None, "threads": 1}
"""Defaults of the options.

- `hand_length_m`: length from the player's wrist to the middle fingertip in metres; None if unknown
- `threads`: number of CPU threads, which changes the results in their last digits
"""

BATCH = 256
"""Number of hands that are fitted in parallel. The Jacobians of a batch take 3 MB, which fits into the processor's cache."""

ITERATIONS = 8
"""Number of steps of a fit. Fits of well detected hands converge within 6 steps."""

POOR_COST_RATIO = 2.0
"""A fit is repeated if its cost is above this multiple of the median cost of the same hand in the video. The second fit starts from the
pose of the nearest frame with a good fit."""

MIN_HAND_M = 0.10
"""Minimum accepted length of a hand (m), from the wrist to the middle fingertip."""

MAX_HAND_M = 0.26
"""Maximum accepted length of a hand (m), from the wrist to the middle fingertip."""

SIZES = np.linspace(0.80, 1.20, 9)
"""Sizes of the hand, relative to the template, that are tested with a registered keyboard. The result is the minimum of a parabola through
the costs of the best size and of its two neighbours."""

SIZE_SIGMA = 0.08
"""Standard deviation of the prior of a hand's size: of the natural logarithm of the size relative to the template. The value is handroll's
own choice. It is so large that the height above the keys determines the size. On simulated performances the resulting size is 1 to 7 % too
small."""

SIZE_FRAMES = 64
"""Number of evenly spaced frames of each hand from which the size is estimated."""

SIZE_WEIGHT = 20.0
"""Factor on the median cost of the fits when a size is tested: the number of independent fits to which they are equivalent. It is smaller
than the number of fits, because the frames of a video are similar."""


def fit(video_path, detections, camera, extrinsics, options, progress):
    """Fit every detected hand of a video; see `engine.Engine.fit`.

    Parameters
    ----------
    video_path : path
        Not read: the landmarks are sufficient.
    detections : dict of str to array (frame, hand 2, ...)
        Columns of `tables.DETECTIONS`, arranged by `tables.by_frame`.
    camera : handroll.camera.Camera
    extrinsics : handroll.camera.Extrinsics or None
        Pose of the camera in the keyboard frame; None if no keyboard is registered.
    options : dict
        Values for any keys of `OPTIONS`.
    progress : callable
        See `handroll.logs.progress`.

    Returns
    -------
    columns : dict of str to array (frame, hand 2, ...)
        Columns of `tables.POSE` without `joints_keyboard_mm`; float columns are NaN where no hand is found.
    info : dict of str to str
        Name of the template and size of the hands, as provenance.

    Raises
    ------
    ValueError
        An option is unknown, or the hand's length is out of range.
    """
    unknown = sorted(set(options) - set(OPTIONS))
    if unknown:
        raise ValueError(f"pose engine 'landmarks': unknown options {', '.join(unknown)}; the options are {', '.join(sorted(OPTIONS))}")
    options = {**OPTIONS, **options}
    bone_scale = _scale_of_length(options["hand_length_m"])
    with torch_threads(options["threads"]):
        if bone_scale is None:
            bone_scale = 1.0 if extrinsics is None else hand_size(*_undistort(detections, camera), camera.focal_px, plane_of(extrinsics))
        columns = _fit(detections, camera, extrinsics, None, bone_scale, progress)
    return columns, {"template": f"open hand, {1e3 * HAND_LENGTH_M:.0f} mm", "bone_scale": f"{bone_scale:.6g}"}


def refine(pose, detections, camera, extrinsics, pressed_mm, progress):
    """Fit again, with a height prior at the keys for the fingertips that hold keys down; see `engine.Engine.refine`.

    Parameters
    ----------
    pose, detections : dict of str to array (frame, hand 2, ...)
        `pose` is the result of `fit`, `detections` its input.
    camera : handroll.camera.Camera
    extrinsics : handroll.camera.Extrinsics
    pressed_mm : array (frame, hand 2, finger 5)
        See `engine.Engine.refine`.
    progress : callable

    Returns
    -------
    dict of str to array (frame, hand 2, ...)
        Same columns as the result of `fit`.
    """
    sizes = pose["bone_scale"][pose["found"]]
    with torch_threads(OPTIONS["threads"]):
        return _fit(detections, camera, extrinsics, pressed_mm, float(sizes[0]) if len(sizes) else 1.0, progress)


def joints(options):
    """Return the function that computes joints from a pose: the scaled open hand; see `engine.Engine.joints`."""
    return open_hand_joints


def skeleton(options):
    """Return the open hand; see `engine.Engine.skeleton`. Its size is the `bone_scale` of the poses."""
    return TemplateSkeleton()


def _undistort(detections, camera):
    """Return the undistorted landmarks, and a mask (frame, hand 2) of the hands whose landmarks are complete.

    The landmarks (frame, hand 2, 21, xy 2) are in pixels from the principal point.
    """
    flat = camera.focal_px * camera.rays(detections["landmarks_px"])[..., :2]
    return flat, np.asarray(detections["found"], dtype=bool) & np.isfinite(flat).all(axis=(-1, -2))


def _fit(detections, camera, extrinsics, pressed_mm, bone_scale, progress):
    """Fit all detected hands with the size `bone_scale`, and return the columns of `fit`. `pressed_mm` is None, or that of `refine`."""
    flat, found = _undistort(detections, camera)
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
        # Joints are computed from the stored float32 values, so that they agree with the stored rotations and translations.
        stored = [columns[name][rows, side] for name in ("rotation_rad", "translation_m")]
        columns["joints_m"][rows, side] = hand_joints(stored[0].reshape(-1, 3 * N_ROTATIONS), stored[1], bone_scale, hand)
    return columns


def plane_of(extrinsics):
    """Return the plane of the white keys as an array (4,).

    The height of a point above the plane is plane[:3] @ point + plane[3], in metres and the camera frame.
    """
    up = extrinsics.rotation[:, 2]
    return np.append(up, -1e-3 * up @ extrinsics.translation_mm)


def hand_size(flat, found, focal_px, plane):
    """Estimate the size of the player's hands relative to the template.

    The result is the size at which fits with the height prior above the keys have the lowest cost.

    Parameters
    ----------
    flat : array (frame, hand 2, 21, 2)
        Detected landmarks in pixels from the principal point, without distortion.
    found : bool array (frame, hand 2)
        Whether the landmarks of a hand are complete.
    focal_px : float
        Focal length of the camera in pixels.
    plane : array (4,)
        Result of `plane_of`.

    Returns
    -------
    float; 1 if no hand is found
    """
    if not found.any():
        return 1.0
    sample = []
    for side, hand in enumerate(HANDS):
        rows = np.flatnonzero(found[:, side])
        rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), SIZE_FRAMES)).astype(int)]
        sample.append((_to_right_hand(flat[rows, side], hand), _to_right_hand(plane, hand)))
    cost = 0.5 * (np.log(SIZES) / SIZE_SIGMA) ** 2
    for k, size in enumerate(SIZES):
        model = articulation(open_hand(), size, landmark_offsets_m())
        costs = torch.cat([_solve(model, focal_px, pixels, level)[3] for pixels, level in sample if len(pixels)])
        # The median is robust to bad frames.
        cost[k] += SIZE_WEIGHT * float(costs.median())
    best = int(np.clip(cost.argmin(), 1, len(SIZES) - 2))
    before, at, after = cost[best - 1 : best + 2]
    curvature = before - 2.0 * at + after
    shift = np.clip(0.5 * (before - after) / curvature, -1.0, 1.0) if curvature > 0.0 else 0.0
    return float(SIZES[best] + shift * (SIZES[1] - SIZES[0]))


def fit_hands(pixels, hand, focal_px, bone_scale, progress, plane=None, pressed_m=None):
    """Fit the poses of one hand in many frames.

    Parameters
    ----------
    pixels : array (frame, 21, 2)
        Detected landmarks in MediaPipe's order, in pixels from the principal point, without distortion; finite.
    hand : {"left", "right"}
    focal_px, bone_scale : float
        Focal length of the camera in pixels, and size of the hand relative to the template.
    progress : callable
        See `handroll.logs.progress`.
    plane : array (4,), optional
        Result of `plane_of`.
    pressed_m : array (frame, finger 5), optional
        For each fingertip that holds a key down: height (m) of the top of this key above the white keys, when the key is not pressed.
        NaN for other fingertips.

    Returns
    -------
    rotation_rad : array (frame, joint 16, xyz 3)
        Rotations in the camera frame. A left hand is fitted as its mirror image, and the result is mirrored back.
    translation_m : array (frame, xyz 3)
        Translation in the camera frame.
    residual_px : array (frame,)
        Root mean square distance between predicted and detected landmarks.
    """
    if not len(pixels):
        return np.empty((0, N_ROTATIONS, 3)), np.empty((0, 3)), np.empty(0)
    template = open_hand()
    model = articulation(template, bone_scale, landmark_offsets_m())
    pixels, plane = _to_right_hand(pixels, hand), _to_right_hand(plane, hand)
    pressed = None if pressed_m is None else torch.as_tensor(pressed_m, dtype=torch.float32)
    batches = torch.arange(len(pixels)).split(BATCH)
    parts = [
        _solve(model, focal_px, pixels[rows], plane, _select_rows(pressed, rows))
        for rows in progress(batches, len(batches), f"batches of {hand} hands")
    ]
    position, root, angles, cost, residual = fitted = [torch.cat(part) for part in zip(*parts, strict=True)]

    good = cost <= POOR_COST_RATIO * cost.median()
    for rows in torch.nonzero(~good).squeeze(1).split(BATCH):
        # Distances are measured in frames with a hand, so the nearest frame may be far away in time.
        nearest = _nearest(torch.nonzero(good).squeeze(1), rows)
        retried = _solve(model, focal_px, pixels[rows], plane, _select_rows(pressed, rows), (root[nearest], angles[nearest]))
        better = retried[3] < cost[rows]
        for old, new in zip(fitted, retried, strict=True):
            old[rows] = choose(better, new, old[rows])

    rotation = np.zeros((len(pixels), N_ROTATIONS, 3))
    rotation[:, 0] = rotvec_from_matrix(root.double().numpy())
    rotation[:, BENDS] = np.einsum("tfba,fbax->tfbx", angles.double().numpy().reshape(-1, 5, 3, 3), template.axes[BENDS])
    translation = wrist_m(position, focal_px) - bone_scale * template.joints_m[0]
    if hand == "left":
        rotation = mirrored_pose(rotation.reshape(len(pixels), -1)).reshape(rotation.shape)
        translation = translation * MIRROR
    return rotation, translation, residual.numpy()


def _to_right_hand(values, hand):
    """Convert pixels (..., xy 2) or a plane (4,) to a float32 tensor, and mirror them for a left hand; None stays None."""
    if values is None:
        return None
    mirror = np.append(MIRROR, 1.0) if hand == "left" else np.ones(4)
    return torch.as_tensor(values * mirror[: np.shape(values)[-1]], dtype=torch.float32)


def _select_rows(values, rows):
    """Return the rows of a tensor; None stays None."""
    return None if values is None else values[rows]


def _solve(model, focal_px, pixels, plane, pressed_m=None, start_pose=None):
    """Fit a batch of hands. Return (position, root, angles, cost, residual_px), tensors (hand, ...).

    Position, root and angles are the state of `fit_problem`. For the arguments up to `pressed_m`, see `HandProblem`. The fit starts with a
    level hand; `start_pose` (root, angles) replaces its orientation and angles.
    """
    start, px_per_m = level_start(model, focal_px, pixels, *([] if plane is None else [plane[:3]]))
    problem = HandProblem(model, open_hand(), focal_px, pixels, px_per_m, plane, pressed_m)
    state, cost = minimise(start if start_pose is None else (start[0], *start_pose), problem.evaluate, retract, ITERATIONS)
    return *state, cost, problem.residual_px(state)


def _nearest(candidates, rows):
    """Return the candidate nearest to each row, or the earlier one of two equally near candidates. `candidates` must be sorted."""
    after = torch.searchsorted(candidates, rows).clamp(max=len(candidates) - 1)
    before = (after - 1).clamp(min=0)
    nearer_after = (candidates[after] - rows).abs() < (candidates[before] - rows).abs()
    return candidates[torch.where(nearer_after, after, before)]


def _scale_of_length(hand_length_m):
    """Return the size, relative to the template, of a hand of this length (m); None if the length is None."""
    if hand_length_m is None:
        return None
    if not MIN_HAND_M <= hand_length_m <= MAX_HAND_M:
        raise ValueError(
            f"hand_length_m: expected a length from wrist to middle fingertip of {MIN_HAND_M} to {MAX_HAND_M} metres, found {hand_length_m}"
        )
    return hand_length_m / HAND_LENGTH_M
