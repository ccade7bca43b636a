"""Convert annotations of PianoMotion10M (`handroll.exchange.pianomotion10m`) to rows of the shards, and back.

The release uses HaMeR's camera for frames of 1920 x 1080 px. Its focal length of 37500 px is not that of a real camera, so depth is not
metric.
"""

import json

import numpy as np

from handroll.camera import Camera, hamer_camera
from handroll.exchange.pianomotion10m import BETAS, FACTS, FLAG, N_COLUMNS, ROTATION, TRANSLATION, Annotation, mirrored_rows, with_mean_pose
from handroll.hand.kinematics import MIRROR, open_hand_joints
from handroll.hand.mano import mano_joints
from handroll.hand.skeleton import HANDS, N_ROTATIONS
from handroll.hand.template import WRIST_M
from handroll.motion.resampling import resample
from handroll.tables import State

CAMERA = hamer_camera(1920, 1080)
"""Camera of the release, with the focal length 37500 px. Translations are in the frame of this camera."""

EXPORT_FPS = 30
"""Frame rate (Hz) of exported clips whose own frame rate is not an integer. It is the rate of PianoMotion10M's models."""


def shard_row(annotation, model=None, hands_mean=None):
    """Convert an annotation to columns of `handroll.tables.SHARD`. Only columns with values from the annotation are included.

    Parameters
    ----------
    annotation : Annotation
    model : handroll.hand.mano.ManoModel, optional
        Model that computes `joints_m`. If None, the joints are those of the open hand of `hand.template`.
    hands_mean : array (45,), optional
        MANO's mean pose (rad), if the stored rotations are relative to it.

    Returns
    -------
    dict of str to value
        Values of hidden frames are NaN. `betas` is the median over visible frames, because a row has one shape per hand. Other values
        change only by mirroring and by the mean pose, so that `annotation_of` can recover them.
    """
    frames = annotation.rows.shape[1]
    start_s = annotation.start_frame / annotation.fps
    columns = {
        "start_s": start_s,
        "end_s": start_s + frames / annotation.fps,
        "start_frame": annotation.start_frame,
        "n_frames": frames,
        "fps": annotation.fps,
        "time_s": np.arange(frames) / annotation.fps,
        "visibility": np.float32(annotation.visible.mean()),
        **{name: getattr(CAMERA, name) for name in ("width_px", "height_px", "focal_px", "focal_source", "centre_px", "k1")},
    }
    stored = annotation.rows if hands_mean is None else with_mean_pose(annotation.rows, hands_mean, 1)
    for hand, rows, visible in zip(HANDS, stored, annotation.visible, strict=True):
        true = np.where(visible[:, None], mirrored_rows(rows) if hand == "left" else rows, np.float32(np.nan))
        any_visible = visible.any()
        betas = np.median(true[visible, BETAS], axis=0) if any_visible else np.full(10, np.nan, dtype=np.float32)
        scale = np.float32(1.0 if any_visible else np.nan)
        rotation, translation = true[:, ROTATION], true[:, TRANSLATION]
        if model is None:
            joints = open_hand_joints(rotation, translation, betas, scale, hand)
        else:
            joints = mano_joints(model, rotation, translation, np.broadcast_to(betas, (frames, 10)), hand)
        columns |= {
            f"{hand}_state": np.where(visible, State.OBSERVED, State.HIDDEN).astype(np.int8),
            f"{hand}_rotation_rad": rotation.reshape(frames, N_ROTATIONS, 3),
            f"{hand}_translation_m": translation,
            f"{hand}_joints_m": joints.astype(np.float32),
            f"{hand}_joints_keyboard_mm": np.full(joints.shape, np.nan, dtype=np.float32),
            f"{hand}_residual_px": np.full(frames, np.nan, dtype=np.float32),
            f"{hand}_betas": betas,
            f"{hand}_bone_scale": scale,
        }
    return columns


def annotation_of(row, model=None, hands_mean=None):
    """Convert a row of the shards to an annotation with an integral frame rate.

    If every frame is within half a frame of its time at an integral rate (`whole_fps`), the frames are kept. Otherwise they are resampled
    to `EXPORT_FPS`.

    Parameters
    ----------
    row : dict of str to value
        Row of `handroll.tables.SHARD`.
    model : handroll.hand.mano.ManoModel, optional
        Source of the position of MANO's wrist, for rows with another hand model. If None, the wrist of the open hand is used, which
        differs by a few millimetres.
    hands_mean : array (45,), optional
        MANO's mean pose (rad). If given, the finger rotations of the annotation are relative to it.

    Returns
    -------
    Annotation
        Values of hidden frames are zero.
    """
    fps, wanted_s = whole_fps(row["time_s"], row["fps"]), None
    if fps is None:
        fps = EXPORT_FPS
        wanted_s = np.arange(max(1, round((row["end_s"] - row["start_s"]) * fps))) / fps
    facts = json.loads(row["provenance"]).get(FACTS)
    rows = np.stack([_released_values(row, hand, wanted_s, model, hands_mean) for hand in HANDS])
    adjust, bv = (facts["adjust"], facts["bv"]) if facts else ((0.0, 0.0, 0.0), row["video"])
    return Annotation(float(fps), round(row["start_s"] * fps), tuple(adjust), bv, rows)


def _released_values(row, hand, wanted_s, model, hands_mean):
    """Convert the motion of a hand to the columns of an annotation: float32 array (frame, column 62). Hidden frames are zero.

    The motion is resampled to the times `wanted_s`; None keeps the times of the row. For `model` and `hands_mean`, see `annotation_of`.
    """
    rotation, translation = row[f"{hand}_rotation_rad"], row[f"{hand}_translation_m"]
    if wanted_s is not None:
        rotation, translation = resample(row["time_s"], rotation, translation, wanted_s)
    betas = row[f"{hand}_betas"].astype(np.float64)
    rest_m, released_m = _wrists_at_rest(row, hand, betas, model)
    rows = np.zeros((len(translation), N_COLUMNS), dtype=np.float32)
    rows[:, TRANSLATION] = translation + released_shift(_camera_of(row), translation + rest_m) + (rest_m - released_m)
    rows[:, ROTATION] = rotation.reshape(len(translation), -1)
    rows[:, BETAS] = betas
    if hand == "left":
        rows = mirrored_rows(rows)
    if hands_mean is not None:
        rows = with_mean_pose(rows, hands_mean, -1)
    visible = np.isfinite(rows).all(axis=1)
    rows[:, FLAG] = 1.0
    return np.where(visible[:, None], rows, np.float32(0.0))


def _wrists_at_rest(row, hand, betas, model):
    """Return the wrist (xyz 3), metres, of the row's hand model and that of the release's, MANO, both without rotation and translation.

    `betas` (10,) is MANO's shape. If `model` is None, the wrist of the open hand replaces that of MANO.
    """
    side = MIRROR if hand == "left" else 1.0
    mano = mano_joints(model, np.zeros(48), np.zeros(3), betas, hand)[0] if model else side * np.array(WRIST_M)
    provenance = json.loads(row["provenance"])
    of_mano = FACTS in provenance or provenance.get("motion", {}).get("pose_template") == "MANO"
    return mano if of_mano else row[f"{hand}_bone_scale"] * side * np.array(WRIST_M), mano


def _camera_of(row):
    """Return the camera of a row of the shards."""
    off_centre = np.array(row["centre_px"]) - np.array([row["width_px"], row["height_px"]]) / 2.0
    return Camera(int(row["width_px"]), int(row["height_px"]), row["focal_px"], row["focal_source"], row["k1"], tuple(off_centre))


def released_shift(camera, wrist_m):
    """Compute the shift of a wrist from the given camera to the release's camera that keeps its pixel and the size of the hand.

    The frame is scaled by the factor s to the width 1920, and centred if its aspect ratio differs. Let f be the focal length of the camera,
    d = 1 + k1 (x^2 + y^2) / z^2 its distortion at the wrist, and (ox, oy) the offset of its principal point from the centre of the frame.
    The wrist (x, y, z) moves to

        (d x + ox z / f, d y + oy z / f, z 37500 / (s f)).

    The pixel of the wrist and the scale at the depth of the wrist are exact. Perspective within the hand is lost: the pixel of a joint that
    is dz behind the wrist has an error of about f / z * dz * (x, y) / z. For the release's own camera the shift is exactly zero.

    Parameters
    ----------
    camera : Camera
    wrist_m : array (..., xyz 3)
        Wrist in the camera frame, metres.

    Returns
    -------
    array (..., xyz 3), float64
        Shift in metres; NaN where the wrist is NaN or behind the camera.
    """
    wrist = np.asarray(wrist_m, dtype=np.float64)
    depth = np.where(wrist[..., 2] > 0.0, wrist[..., 2], np.nan)
    bent = camera.k1 * ((wrist[..., :2] / depth[..., None]) ** 2).sum(axis=-1)
    across = bent[..., None] * wrist[..., :2] + np.array(camera.off_centre_px) * (depth / camera.focal_px)[..., None]
    scale = CAMERA.width_px / camera.width_px
    along = depth * (CAMERA.focal_px / (scale * camera.focal_px) - 1.0)
    return np.concatenate([across, along[..., None]], axis=-1)


def whole_fps(time_s, fps):
    """Find an integral frame rate that fits the times of the frames. PianoMotion10M's code requires an integral rate.

    Parameters
    ----------
    time_s : array (frame,)
        Times since the clip's start.
    fps : float
        Mean frame rate.

    Returns
    -------
    int or None
        The integer nearest to `fps`, if every frame is within half a frame of its time at this rate. Otherwise None.
    """
    rate = max(1, round(fps))
    return rate if (np.abs(time_s * rate - np.arange(len(time_s))) <= 0.5).all() else None
