"""The pose engine `hamer`: HaMeR's network on crops of the detected hands.

The boxes enclose the detected landmarks, as HaMeR's demo does with its own detector. A frame without a box has no pose: filling gaps is
a later step. The network predicts one hand in one frame. With `shape: video`, all frames of a hand get one shape, and the translation
is estimated so that the hand projects to the predicted keypoints.

Under HaMeR's own camera (`camera.hamer_camera`; PianoMotion10M's) translation and rotation are HaMeR's own numbers. A real camera
views a hand off the middle of the frame at an angle, but the network predicts the crop as if it were in the middle. So for a real
camera the hand is rotated by that angle. Its depth is then metric, as far as MANO's hand has the player's size.
"""

import logging
from pathlib import Path

import numpy as np
import torch

from handroll.camera import hamer_camera
from handroll.device import torch_threads
from handroll.hand.mano import mano_joints
from handroll.hand.mano_file import read_mano
from handroll.hand.rotations import rotvec_from_matrix, unwrap_rotvec
from handroll.hand.skeleton import HANDS, JOINT_OF_LANDMARK, N_JOINTS, N_ROTATIONS
from handroll.hand.skinning import Skinning
from handroll.pose.hamer import VERSION
from handroll.pose.hamer.cameras import full_frame_translation, keypoints_in_crop, keypoints_in_frame, mirrored_rotations, translation_in
from handroll.pose.hamer.checkpoint import load_mano_buffers, mano_differences
from handroll.pose.hamer.crop_stream import LEFT
from handroll.pose.hamer.crops import square_of_box
from handroll.pose.hamer.inference import run_inference
from handroll.pose.hamer.network import HamerNetwork
from handroll.pose.hamer.settings import settings_path
from handroll.pose.hamer.shape import refit, robust_mean
from handroll.pose.hand_models import ManoSkeleton

USES_KEY_PRESSES = False
"""The network does not use the keys. Refinement over time (`handroll.pose.temporal`) does."""

OPTIONS = {
    "checkpoint": None,
    "mano": None,
    "precision": "bf16",
    "batch": 64,
    "rescale": 2.0,
    "shape": "video",
    "refit": True,
    "compile": True,
    "device": "cpu",
    "threads": 1,
    "scratch": None,
}
"""Defaults of the options.

- `checkpoint`, `mano`: paths of hamer.ckpt and MANO_RIGHT.pkl
- `precision`: of the backbone's matrices, "bf16" or "fp32"
- `batch`: hands of a batch
- `rescale`: ratio of the crop to the hand's box
- `shape`: one shape for a "video" or for each "frame"
- `refit`: fit the poses to the video's shape; otherwise they stay
- `compile`: compile the network (on a GPU only)
- `device`: see `handroll.device`
- `threads`: of the CPU
- `scratch`: folder for finished parts of a job, or None
"""

PRECISIONS = {"bf16": torch.bfloat16, "fp32": torch.float32}
SHAPES = ("video", "frame")

LOGGER = logging.getLogger("handroll")


def fit(video_path, detections, camera, extrinsics, options, progress):
    """Pose every detected hand of a video; see `engine.Engine.fit`.

    Parameters
    ----------
    video_path : path
    detections : dict of str to array (frame, hand 2, ...)
        `tables.DETECTIONS`, arranged by `tables.by_frame`.
    camera : handroll.camera.Camera
    extrinsics : handroll.camera.Extrinsics or None
        Not used: the network does not use the keyboard.
    options : dict
        Any of `OPTIONS`; `checkpoint` and `mano` are required.
    progress : callable
        As `handroll.logs.progress`.

    Returns
    -------
    columns : dict of str to array (frame, hand 2, ...)
        `tables.POSE` without `joints_keyboard_mm`; float columns are NaN where no hand is found.
    info : dict of str to str
        Hashes of the weights, the precision, and how the shape was estimated.

    Raises
    ------
    handroll.pose.hamer.settings.HamerError, handroll.hand.mano.ManoError
        A file is missing or is not the required one.
    handroll.device.DeviceError
    ValueError
        An option is unknown or invalid, or the detections are of another video.
    """
    options = _checked(options)
    model = read_mano(options["mano"])
    checkpoint = Path(options["checkpoint"])
    for sentence in mano_differences(load_mano_buffers(checkpoint), model):
        LOGGER.warning("%s is not the MANO model that HaMeR was trained with: %s", options["mano"], sentence)
    with torch_threads(options["threads"]):
        network = HamerNetwork.from_files(checkpoint, settings_path(checkpoint), PRECISIONS[options["precision"]], options["device"])
        made_by = {
            "engine": VERSION,
            "checkpoint": network.checkpoint_sha256,
            "precision": options["precision"],
            "video": _identity(video_path),
        }
        predictions = run_inference(
            network,
            video_path,
            detections["box_px"],
            detected_hands(detections),
            options["batch"],
            options["rescale"],
            options["threads"],
            progress,
            options["scratch"],
            made_by,
            options["compile"] and options["device"] != "cpu",
        )
        columns = poses(predictions, detections, camera, model, options["rescale"], options["shape"], options["refit"])
    info = {"template": "MANO", "mano_sha256": model.sha256, "weights_sha256": network.checkpoint_sha256}
    return columns, info | {name: str(options[name]) for name in ("precision", "shape", "refit")}


def joints(options):
    """Return the function that computes joints from this engine's poses; see `engine.Engine.joints`."""
    model = read_mano(options["mano"])

    def joints_from(rotation, translation_m, betas, bone_scale, hand):
        """Compute the joints. `bone_scale` is ignored: it is always 1, because the shape includes the size."""
        return mano_joints(model, rotation, translation_m, betas, hand)

    return joints_from


def skeleton(options):
    """Return MANO's right hand in torch; see `engine.Engine.skeleton`."""
    return ManoSkeleton(read_mano(options["mano"]))


def detected_hands(detections):
    """Return a mask (frame, hand 2) of the hands that were detected with a box that is not empty."""
    boxes = np.asarray(detections["box_px"], dtype=np.float64)
    extent = boxes[..., 2:] - boxes[..., :2]
    return np.asarray(detections["found"], dtype=bool) & np.isfinite(boxes).all(axis=-1) & (extent > 0.0).all(axis=-1)


def poses(predictions, detections, camera, model, rescale, shape, refitted):
    """Convert the network's predictions to poses in the camera frame.

    Parameters
    ----------
    predictions : inference.Predictions
    detections : dict of str to array (frame, hand 2, ...)
    camera : handroll.camera.Camera
    model : handroll.hand.mano.ManoModel
    rescale : float
        Of the crops.
    shape : {"video", "frame"}
    refitted : bool
        With "video": refit the poses to its shape (`shape.refit`). Otherwise rotations stay as predicted.

    Returns
    -------
    dict of str to array (frame, hand 2, ...)
        As of `fit`.
    """
    found = np.isfinite(predictions.camera).all(axis=-1)
    columns = {
        **{name: detections[name] for name in ("frame", "time_s", "hand")},
        "found": found,
        "rotation_rad": np.full((*found.shape, N_ROTATIONS, 3), np.nan, dtype=np.float32),
        "translation_m": np.full((*found.shape, 3), np.nan, dtype=np.float32),
        "betas": np.full((*found.shape, 10), np.nan, dtype=np.float32),
        "bone_scale": np.where(found, np.float32(1.0), np.float32(np.nan)),
        "joints_m": np.full((*found.shape, N_JOINTS, 3), np.nan, dtype=np.float32),
        "residual_px": np.full(found.shape, np.nan, dtype=np.float32),
    }
    skinning = Skinning(model)
    for side, hand in enumerate(HANDS):
        rows = np.flatnonzero(found[:, side])
        if not len(rows):
            continue
        rotations, betas, weak = (array[rows, side] for array in (predictions.rotations, predictions.betas, predictions.camera))
        square = square_of_box(detections["box_px"][rows, side], rescale)
        with torch.no_grad():
            predicted_joints = skinning.joints(torch.from_numpy(rotations), torch.from_numpy(betas)).numpy()
        keypoints = keypoints_in_frame(keypoints_in_crop(predicted_joints, weak), *square, side == LEFT)
        if shape == "video":
            mean = robust_mean(betas)
            rotations = refit(skinning, rotations, betas, mean) if refitted else rotations
            betas = np.broadcast_to(mean, betas.shape)
        rotations = mirrored_rotations(rotations) if side == LEFT else rotations.astype(np.float64)
        start = full_frame_translation(weak, *square, camera.width_px, camera.height_px, side == LEFT)
        is_hamer_camera = camera.focal_source == "hamer"
        if not is_hamer_camera:
            rotations[:, 0] = rotations_to(camera.rays(square[0])) @ rotations[:, 0]
            start = start * [1.0, 1.0, camera.focal_px / hamer_camera(camera.width_px, camera.height_px).focal_px]
        columns["rotation_rad"][rows, side] = unwrap_rotvec(rotvec_from_matrix(rotations))
        columns["betas"][rows, side] = betas
        # From the stored float32 values, so that the table's columns are consistent.
        stored = [columns[name][rows, side] for name in ("rotation_rad", "betas")]
        untranslated = mano_joints(model, stored[0].reshape(len(rows), -1), np.zeros(3), stored[1], hand)
        # HaMeR's own numbers if nothing was changed.
        unchanged = is_hamer_camera and shape == "frame"
        columns["translation_m"][rows, side] = start if unchanged else translation_in(camera, untranslated, keypoints, start)
        joints_m = untranslated + columns["translation_m"][rows, side][:, None].astype(np.float64)
        columns["joints_m"][rows, side] = joints_m
        columns["residual_px"][rows, side] = _residual_px(camera, joints_m, detections["landmarks_px"][rows, side])
    return columns


def rotations_to(rays):
    """Return the smallest rotations that turn the camera's axis to rays.

    Parameters
    ----------
    rays : array (..., xyz 3), z > 0

    Returns
    -------
    array (..., 3, 3)
    """
    ray = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
    x, y, z = np.moveaxis(ray, -1, 0)
    factor = 1.0 / (1.0 + z)
    rows = [[1.0 - factor * x * x, -factor * x * y, x], [-factor * x * y, 1.0 - factor * y * y, y], [-x, -y, z]]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def _residual_px(camera, joints_m, landmarks_px):
    """Return the root mean square distance (hand,) of projected joints to landmarks, px."""
    residual = camera.project(joints_m[:, list(JOINT_OF_LANDMARK)]) - landmarks_px
    return np.sqrt((residual**2).sum(axis=-1).mean(axis=-1))


def _checked(options):
    """Return the options completed by their defaults; raise ValueError if one is unknown or invalid."""
    if unknown := sorted(set(options) - set(OPTIONS)):
        raise ValueError(f"pose engine hamer: unknown options {unknown}; known are {sorted(OPTIONS)}")
    options = {**OPTIONS, **options}
    if missing := [name for name in ("checkpoint", "mano") if not options[name]]:
        raise ValueError(f"pose engine hamer: expected the paths of {' and '.join(missing)}; set pose.hamer in the config")
    for name, known in (("precision", PRECISIONS), ("shape", SHAPES)):
        if options[name] not in known:
            raise ValueError(f"pose engine hamer: {name}: expected one of {', '.join(known)}, found {options[name]!r}")
    return options


def _identity(path):
    """Return what identifies a video file without reading it."""
    stat = Path(path).stat()
    return [stat.st_size, stat.st_mtime_ns]
