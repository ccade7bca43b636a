"""Rows of the shards from PianoMotion10M's annotations (`handroll.exchange.pianomotion10m`), and back.

That release's camera is HaMeR's convention for a picture of 1920 x 1080: 37500 px, so depth is not metric.
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
"""The camera that the translations are before: 37500 px."""

EXPORT_FPS = 30
"""Frame rate of exported clips whose own is no whole number: the one at which the release's models work."""


def shard_row(annotation, model=None, hands_mean=None):
    """An annotation as columns of `handroll.tables.SHARD`: all that it tells of them.

    Parameters
    ----------
    annotation : Annotation
    model : handroll.hand.mano.ManoModel, optional
        Gives `joints_m`; else the open hand of `hand.template` does.
    hands_mean : array (45,), rad, optional
        MANO's mean pose, where the stored rotations are relative to it.

    Returns
    -------
    dict of str to value
        A hidden frame is NaN, whatever its row holds. `betas`: the median of the visible frames, since a clip has one shape.
        Stored numbers are not changed but for the mirror and the mean pose, so that `annotation_of` gives them back.
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
        seen = visible.any()
        betas = np.median(true[visible, BETAS], axis=0) if seen else np.full(10, np.nan, dtype=np.float32)
        scale = np.float32(1.0 if seen else np.nan)
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
    """A row of the shards as an annotation, at a whole number of frames a second.

    Frames stay as they are where each lies within half a frame of that number's clock, else they are resampled to 30 Hz.

    Parameters
    ----------
    row : dict of str to value
        Of `handroll.tables.SHARD`.
    model : handroll.hand.mano.ManoModel, optional
        Says where MANO's wrist is, for rows whose hand is another model's; else it is taken to be the open hand's, which is some
        millimetres off.
    hands_mean : array (45,), rad, optional
        MANO's mean pose, where rotations are to be stored relative to it.

    Returns
    -------
    Annotation
        Hidden frames are zeros.
    """
    fps, wanted_s = whole_fps(row["time_s"], row["fps"]), None
    if fps is None:
        fps = EXPORT_FPS
        wanted_s = np.arange(max(1, round((row["end_s"] - row["start_s"]) * fps))) / fps
    facts = json.loads(row["provenance"]).get(FACTS)
    rows = np.stack([_released_rows(row, hand, wanted_s, model, hands_mean) for hand in HANDS])
    adjust, bv = (facts["adjust"], facts["bv"]) if facts else ((0.0, 0.0, 0.0), row["video"])
    return Annotation(float(fps), round(row["start_s"] * fps), tuple(adjust), bv, rows)


def _released_rows(row, hand, wanted_s, model, hands_mean):
    """Rows (frame, column 62), float32, of a hand of a row, at these times, or at its own where None."""
    rotation, translation = row[f"{hand}_rotation_rad"], row[f"{hand}_translation_m"]
    if wanted_s is not None:
        rotation, translation = resample(row["time_s"], rotation, translation, wanted_s)
    betas = row[f"{hand}_betas"].astype(np.float64)
    rest_m, released_m = _wrists_at_rest(row, hand, betas, model)
    rows = np.zeros((len(translation), N_COLUMNS), dtype=np.float32)
    rows[:, TRANSLATION] = translation + released_shift(_camera(row), translation + rest_m) + (rest_m - released_m)
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
    """The wrist (xyz 3), metres, of a row's hand without rotation and translation, and that of the release's hand."""
    side = MIRROR if hand == "left" else 1.0
    mano = mano_joints(model, np.zeros(48), np.zeros(3), betas, hand)[0] if model else side * np.array(WRIST_M)
    provenance = json.loads(row["provenance"])
    of_mano = FACTS in provenance or provenance.get("motion", {}).get("pose_template") == "MANO"
    return mano if of_mano else row[f"{hand}_bone_scale"] * side * np.array(WRIST_M), mano


def _camera(row):
    off_centre = np.array(row["centre_px"]) - np.array([row["width_px"], row["height_px"]]) / 2.0
    return Camera(int(row["width_px"]), int(row["height_px"]), row["focal_px"], row["focal_source"], row["k1"], tuple(off_centre))


def released_shift(camera, wrist_m):
    """What a wrist is moved by to be seen at the same place, and the hand as large, before the release's camera.

    The picture is scaled by s to be 1920 wide, and centred where its shape is another. With the camera's focal length f, its
    distortion d = 1 + k1 (x^2 + y^2) / z^2 at the wrist, and its principal point off the middle by (ox, oy), the wrist (x, y, z) goes to

        (d x + ox z / f, d y + oy z / f, z 37500 / (s f)).

    The wrist's pixel is then exact, and so is the scale of what lies as deep as the wrist. Perspective within the hand is lost: a joint
    dz deeper than the wrist is drawn off by about f / z * dz * (x, y) / z. Before the release's own camera nothing moves, to the bit.

    Parameters
    ----------
    camera : Camera
    wrist_m : array (..., xyz 3)
        Camera frame, metres.

    Returns
    -------
    array (..., xyz 3), metres, float64
        NaN where the wrist is, and behind the camera.
    """
    wrist = np.asarray(wrist_m, dtype=np.float64)
    depth = np.where(wrist[..., 2] > 0.0, wrist[..., 2], np.nan)
    bent = camera.k1 * ((wrist[..., :2] / depth[..., None]) ** 2).sum(axis=-1)
    across = bent[..., None] * wrist[..., :2] + np.array(camera.off_centre_px) * (depth / camera.focal_px)[..., None]
    scale = CAMERA.width_px / camera.width_px
    along = depth * (CAMERA.focal_px / (scale * camera.focal_px) - 1.0)
    return np.concatenate([across, along[..., None]], axis=-1)


def whole_fps(time_s, fps):
    """The whole number of frames a second that frames may be said to have, as the release's code wants it.

    Parameters
    ----------
    time_s : array (frame,)
        Since the clip's start.
    fps : float
        Mean frame rate.

    Returns
    -------
    int or None
        The nearest one, if every frame is within half a frame of its place; else None.
    """
    rate = max(1, round(fps))
    return rate if (np.abs(time_s * rate - np.arange(len(time_s))) <= 0.5).all() else None
