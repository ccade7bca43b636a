"""The `hamer` engine: HaMeR's network on crops of the detected hands.

The boxes are those around the detected landmarks, as HaMeR's demo makes them of its own detector's. A frame without a box stays
without a pose: filling gaps is a later step. What the network says is of one hand in one frame; with `shape: video` all frames of a
hand get one shape, and the hand is put where it projects as the network saw it.

Under HaMeR's own camera (`camera.hamer_camera`; PianoMotion10M's) translation and rotation are HaMeR's own numbers. Before a real camera,
which sees a hand beside the middle of the picture at an angle, the hand is turned by that angle: the network saw the crop as
if it were in the middle. Its depth is then metric as far as MANO's size is the player's.
"""

import logging
from pathlib import Path

import numpy as np
import torch

from handroll.camera import hamer_camera
from handroll.device import torch_threads
from handroll.hand.mano import mano_joints
from handroll.hand.mano_file import read_mano
from handroll.hand.rotations import continuous, rotvec_from_matrix
from handroll.hand.skeleton import HANDS, JOINT_OF_LANDMARK, N_JOINTS, N_ROTATIONS
from handroll.hand.skinning import Skinning
from handroll.pose.hamer import VERSION
from handroll.pose.hamer.cameras import full_frame_translation, keypoints_in_crop, keypoints_in_frame, mirrored_rotations, translation_in
from handroll.pose.hamer.checkpoint import load_mano_buffers, mano_differences
from handroll.pose.hamer.crop_stream import LEFT
from handroll.pose.hamer.crops import square_of_box
from handroll.pose.hamer.inference import look
from handroll.pose.hamer.network import HamerNetwork
from handroll.pose.hamer.settings import settings_path
from handroll.pose.hamer.shape import refit, robust_mean
from handroll.pose.skeletons import ManoSkeleton

USES_KEY_PRESSES = False
"""The network knows no keys. Refinement over time (`handroll.pose.temporal`) does."""

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
"""Paths of hamer.ckpt and MANO_RIGHT.pkl; of the backbone's matrices "bf16" or "fp32"; hands at a time; how much larger than the hand's
box its crop is; one shape a "video" or one a "frame"; whether poses are fitted to the video's shape, or kept; whether the network is
compiled (on a GPU only); `handroll.device`; CPU threads; folder for what is finished of a job, or None."""

PRECISIONS = {"bf16": torch.bfloat16, "fp32": torch.float32}
SHAPES = ("video", "frame")

LOGGER = logging.getLogger("handroll")


def fit(video_path, detections, camera, extrinsics, options, progress):
    """Pose every detected hand of a video; see `engine.Engine.fit`.

    Parameters
    ----------
    video_path : path
    detections : dict of str to array (frame, hand 2, ...)
        `tables.DETECTIONS` by `schema.by_frame`.
    camera : handroll.camera.Camera
    extrinsics : handroll.camera.Extrinsics or None
        Not used: the network knows no keyboard.
    options : dict
        Any of `OPTIONS`; `checkpoint` and `mano` must be there.
    progress : callable
        As `handroll.logs.progress`.

    Returns
    -------
    columns : dict of str to array (frame, hand 2, ...)
        `tables.POSE` without `joints_keyboard_mm`; float columns are NaN where no hand is found.
    info : dict of str to str
        Hashes of the weights, precision, and how the shape was made.

    Raises
    ------
    handroll.pose.hamer.settings.HamerError, handroll.hand.mano.ManoError
        A file is missing or not what it has to be.
    handroll.device.DeviceError
    ValueError
        An option is unknown or wrong, or the video is another one than the detections'.
    """
    options = _checked(options)
    model = read_mano(options["mano"])
    checkpoint = Path(options["checkpoint"])
    for sentence in mano_differences(load_mano_buffers(checkpoint), model):
        LOGGER.warning("%s is not the MANO that HaMeR was trained with: %s", options["mano"], sentence)
    with torch_threads(options["threads"]):
        network = HamerNetwork.from_files(checkpoint, settings_path(checkpoint), PRECISIONS[options["precision"]], options["device"])
        made_by = {
            "engine": VERSION,
            "checkpoint": network.checkpoint_sha256,
            "precision": options["precision"],
            "video": _identity(video_path),
        }
        seen = look(
            network,
            video_path,
            detections["box_px"],
            hands_to_see(detections),
            options["batch"],
            options["rescale"],
            options["threads"],
            progress,
            options["scratch"],
            made_by,
            options["compile"] and options["device"] != "cpu",
        )
        columns = poses(seen, detections, camera, model, options["rescale"], options["shape"], options["refit"])
    info = {"template": "MANO", "mano_sha256": model.sha256, "weights_sha256": network.checkpoint_sha256}
    return columns, info | {name: str(options[name]) for name in ("precision", "shape", "refit")}


def joints(options):
    """How joints follow from a pose of this engine; see `engine.Engine.joints`."""
    model = read_mano(options["mano"])

    def joints_from(rotation, translation_m, betas, bone_scale, hand):
        """`bone_scale` is 1: the size is in the shape."""
        return mano_joints(model, rotation, translation_m, betas, hand)

    return joints_from


def skeleton(options):
    """MANO's right hand in torch; see `engine.Engine.skeleton`."""
    return ManoSkeleton(read_mano(options["mano"]))


def hands_to_see(detections):
    """Hands (frame, hand 2) that are found and have a box of some size."""
    boxes = np.asarray(detections["box_px"], dtype=np.float64)
    extent = boxes[..., 2:] - boxes[..., :2]
    return np.asarray(detections["found"], dtype=bool) & np.isfinite(boxes).all(axis=-1) & (extent > 0.0).all(axis=-1)


def poses(seen, detections, camera, model, rescale, shape, refitted):
    """What the network saw, before the video's camera.

    Parameters
    ----------
    seen : inference.Seen
    detections : dict of str to array (frame, hand 2, ...)
    camera : handroll.camera.Camera
    model : handroll.hand.mano.ManoModel
    rescale : float
        The crops'.
    shape : {"video", "frame"}
    refitted : bool
        With "video": poses are fitted to its shape (`shape.refit`); else rotations stay as seen.

    Returns
    -------
    dict of str to array (frame, hand 2, ...)
        As of `fit`.
    """
    found = np.isfinite(seen.camera).all(axis=-1)
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
        rotations, betas, weak = (array[rows, side] for array in (seen.rotations, seen.betas, seen.camera))
        square = square_of_box(detections["box_px"][rows, side], rescale)
        with torch.no_grad():
            seen_joints = skinning.joints(torch.from_numpy(rotations), torch.from_numpy(betas)).numpy()
        keypoints = keypoints_in_frame(keypoints_in_crop(seen_joints, weak), *square, side == LEFT)
        if shape == "video":
            mean = robust_mean(betas)
            rotations = refit(skinning, rotations, betas, mean) if refitted else rotations
            betas = np.broadcast_to(mean, betas.shape)
        rotations = mirrored_rotations(rotations) if side == LEFT else rotations.astype(np.float64)
        start = full_frame_translation(weak, *square, camera.width_px, camera.height_px, side == LEFT)
        own = camera.focal_source == "hamer"
        if not own:
            rotations[:, 0] = towards(camera.rays(square[0])) @ rotations[:, 0]
            start = start * [1.0, 1.0, camera.focal_px / hamer_camera(camera.width_px, camera.height_px).focal_px]
        columns["rotation_rad"][rows, side] = continuous(rotvec_from_matrix(rotations))
        columns["betas"][rows, side] = betas
        # From the stored float32 values, so that the table agrees with itself.
        stored = [columns[name][rows, side] for name in ("rotation_rad", "betas")]
        still = mano_joints(model, stored[0].reshape(len(rows), -1), np.zeros(3), stored[1], hand)
        # HaMeR's own numbers where nothing about them was changed.
        columns["translation_m"][rows, side] = start if own and shape == "frame" else translation_in(camera, still, keypoints, start)
        placed = still + columns["translation_m"][rows, side][:, None].astype(np.float64)
        columns["joints_m"][rows, side] = placed
        columns["residual_px"][rows, side] = _residual_px(camera, placed, detections["landmarks_px"][rows, side])
    return columns


def towards(rays):
    """The least turns that bring the camera's axis to rays.

    Parameters
    ----------
    rays : array (..., xyz 3), z > 0

    Returns
    -------
    array (..., 3, 3)
    """
    ray = rays / np.linalg.norm(rays, axis=-1, keepdims=True)
    x, y, z = np.moveaxis(ray, -1, 0)
    share = 1.0 / (1.0 + z)
    rows = [[1.0 - share * x * x, -share * x * y, x], [-share * x * y, 1.0 - share * y * y, y], [-x, -y, z]]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def _residual_px(camera, joints_m, landmarks_px):
    """Root mean square distance (hand,) of projected joints to landmarks, px."""
    off = camera.project(joints_m[:, list(JOINT_OF_LANDMARK)]) - landmarks_px
    return np.sqrt((off**2).sum(axis=-1).mean(axis=-1))


def _checked(options):
    """The options with the defaults of those left out; ValueError where one is unknown or cannot be."""
    if unknown := sorted(set(options) - set(OPTIONS)):
        raise ValueError(f"pose engine hamer: unknown options {unknown}; it knows {sorted(OPTIONS)}")
    options = {**OPTIONS, **options}
    if missing := [name for name in ("checkpoint", "mano") if not options[name]]:
        raise ValueError(f"pose engine hamer: expected the paths of {' and '.join(missing)}; set pose.hamer in the config")
    for name, known in (("precision", PRECISIONS), ("shape", SHAPES)):
        if options[name] not in known:
            raise ValueError(f"pose engine hamer: {name}: expected one of {', '.join(known)}, found {options[name]!r}")
    return options


def _identity(path):
    """What tells one video file from another without reading it."""
    stat = Path(path).stat()
    return [stat.st_size, stat.st_mtime_ns]
