"""The pose engine `hamer`: HaMeR's network on crops of the detected hands.

A box encloses the detected landmarks of a hand, as in HaMeR's demo with its own detector. A frame without a box has no pose: filling gaps
is a later step. The network predicts each hand in each frame separately. With `shape: video`, all frames of a hand get one shape, and the
translation is estimated so that the hand projects to the predicted keypoints.

With HaMeR's own camera (`camera.hamer_camera`, which PianoMotion10M also uses), translation and rotation are those that HaMeR predicts.
A real camera views a hand at an angle, unless the hand is in the middle of the frame. The network predicts every crop as if it were in
the middle. So for a real camera the predicted hand is rotated by that angle. The depth is then metric if MANO's hand has the player's size.
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
"""The network does not use the keys. The refinement over time (`handroll.pose.temporal`) uses them."""

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
- `precision`: number format of the backbone's matrices, "bf16" or "fp32"
- `batch`: number of hands in a batch
- `rescale`: minimum ratio of the side of the crop's square to the sides of the hand's box
- `shape`: "video" for one shape in all frames of a hand, "frame" for one in each frame
- `refit`: whether the poses are fitted to the video's shape; otherwise rotations stay as predicted
- `compile`: whether the network is compiled (on a GPU only)
- `device`: see `handroll.device`
- `threads`: number of CPU threads
- `scratch`: folder for finished parts of a job, or None
"""

PRECISIONS = {"bf16": torch.bfloat16, "fp32": torch.float32}
"""Values of the option `precision`, and their types."""

SHAPES = ("video", "frame")
"""Values of the option `shape`."""

LOGGER = logging.getLogger("handroll")


def fit(video_path, detections, camera, extrinsics, options, progress):
    """Estimate the pose of every detected hand of a video; see `engine.Engine.fit`.

    Parameters
    ----------
    video_path : path
    detections : dict of str to array (frame, hand 2, ...)
        Columns of `tables.DETECTIONS`, arranged by `tables.by_frame`.
    camera : handroll.camera.Camera
    extrinsics : handroll.camera.Extrinsics or None
        Not used: the network does not use the keyboard.
    options : dict
        Values for any keys of `OPTIONS`; `checkpoint` and `mano` are required.
    progress : callable
        See `handroll.logs.progress`.

    Returns
    -------
    columns : dict of str to array (frame, hand 2, ...)
        Columns of `tables.POSE` without `joints_keyboard_mm`; float columns are NaN where no hand is found.
    info : dict of str to str
        Hashes of the weights, the precision, and how the shape was estimated.

    Raises
    ------
    handroll.pose.hamer.settings.HamerError, handroll.hand.mano.ManoError
        A file is missing or is not the required one.
    handroll.device.DeviceError
        The device is not available.
    ValueError
        An option is unknown or invalid, or the detections are of another video.
    """
    options = _complete_options(options)
    model = read_mano(options["mano"])
    checkpoint = Path(options["checkpoint"])
    for sentence in mano_differences(load_mano_buffers(checkpoint), model):
        LOGGER.warning("%s: not the MANO model with which HaMeR was trained: %s", options["mano"], sentence)
    with torch_threads(options["threads"]):
        network = HamerNetwork.from_files(checkpoint, settings_path(checkpoint), PRECISIONS[options["precision"]], options["device"])
        made_by = {
            "engine": VERSION,
            "checkpoint": network.checkpoint_sha256,
            "precision": options["precision"],
            "video": _size_and_time(video_path),
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
        """Compute the joints of poses. `bone_scale` is ignored: it is always 1, because the shape includes the size."""
        return mano_joints(model, rotation, translation_m, betas, hand)

    return joints_from


def skeleton(options):
    """Return MANO's right hand in torch; see `engine.Engine.skeleton`."""
    return ManoSkeleton(read_mano(options["mano"]))


def detected_hands(detections):
    """Return a mask (frame, hand 2) of the detected hands whose box is not empty."""
    boxes = np.asarray(detections["box_px"], dtype=np.float64)
    extent = boxes[..., 2:] - boxes[..., :2]
    return np.asarray(detections["found"], dtype=bool) & np.isfinite(boxes).all(axis=-1) & (extent > 0.0).all(axis=-1)


def poses(predictions, detections, camera, model, rescale, shape, refitted):
    """Convert the network's predictions to poses in the camera frame.

    Parameters
    ----------
    predictions : inference.Predictions
        Result of `run_inference`.
    detections : dict of str to array (frame, hand 2, ...)
        Columns of `tables.DETECTIONS`, arranged by `tables.by_frame`.
    camera : handroll.camera.Camera
    model : handroll.hand.mano.ManoModel
    rescale : float
        See `OPTIONS`.
    shape : {"video", "frame"}
        See `OPTIONS`.
    refitted : bool
        With the shape "video": whether the poses are refitted to that shape (`shape.refit`). Otherwise rotations stay as predicted.

    Returns
    -------
    dict of str to array (frame, hand 2, ...)
        Same columns as the result of `fit`.
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
        # Joints are computed from the stored float32 values, so that they agree with the stored rotations and shapes.
        stored = [columns[name][rows, side] for name in ("rotation_rad", "betas")]
        untranslated = mano_joints(model, stored[0].reshape(len(rows), -1), np.zeros(3), stored[1], hand)
        # The translation is the one that HaMeR predicts if neither the camera nor the shape was changed.
        unchanged = is_hamer_camera and shape == "frame"
        columns["translation_m"][rows, side] = start if unchanged else translation_in(camera, untranslated, keypoints, start)
        joints_m = untranslated + columns["translation_m"][rows, side][:, None].astype(np.float64)
        columns["joints_m"][rows, side] = joints_m
        columns["residual_px"][rows, side] = _residual_px(camera, joints_m, detections["landmarks_px"][rows, side])
    return columns


def rotations_to(rays):
    """Return the smallest rotations that map the camera's axis (z) to rays.

    Parameters
    ----------
    rays : array (..., xyz 3), z > 0
        Directions in the camera frame, of any length.

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
    """Return the root mean square distance (hand,) between projected joints and detected landmarks, px."""
    residual = camera.project(joints_m[:, list(JOINT_OF_LANDMARK)]) - landmarks_px
    return np.sqrt((residual**2).sum(axis=-1).mean(axis=-1))


def _complete_options(options):
    """Add the defaults of options that are not given. Raise ValueError if an option is unknown or invalid."""
    if unknown := sorted(set(options) - set(OPTIONS)):
        raise ValueError(f"pose engine hamer: unknown options {', '.join(unknown)}; the options are {', '.join(sorted(OPTIONS))}")
    options = {**OPTIONS, **options}
    if missing := [name for name in ("checkpoint", "mano") if not options[name]]:
        raise ValueError(f"pose engine hamer: expected the paths of {' and '.join(missing)}; set pose.hamer in the config")
    for name, known in (("precision", PRECISIONS), ("shape", SHAPES)):
        if options[name] not in known:
            raise ValueError(f"pose engine hamer: {name}: expected one of {', '.join(known)}, found {options[name]!r}")
    return options


def _size_and_time(path):
    """Return size and modification time of a video file, which identify its version without reading it."""
    stat = Path(path).stat()
    return [stat.st_size, stat.st_mtime_ns]
