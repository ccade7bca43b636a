"""Motion of a clip in the models' convention: evenly sampled, both hands as right hands, in the keyboard frame or the camera frame.

A left hand is represented by its mirror image in x, so that the channels of both hands have the same meaning and scale.

- Keyboard frame: left hands are mirrored at the middle of the keyboard. Positions are those of the wrist, in millimetres. Global rotations
  are relative to a level hand (`keyboard.geometry.LEVEL_HAND`). The frame is the same in all videos.
- Camera frame: positions are MANO's translations, in metres, as in PianoMotion10M (Gan et al., ICLR 2025). Cameras differ between
  videos, and depth is not metric without a registered keyboard.
"""

from dataclasses import dataclass

import numpy as np

from handroll.exchange.pianomotion10m import adjust_of, adjusted
from handroll.hand.kinematics import MIRROR, hand_joints
from handroll.hand.mano import mano_joints
from handroll.hand.rotations import compose, mirrored, rotvec_from_matrix
from handroll.hand.skeleton import HANDS, N_ROTATIONS
from handroll.keyboard.geometry import LEVEL_HAND, STANDARD
from handroll.motion.resampling import resample
from handroll.tables import State

FRAMES = ("keyboard", "camera")
"""Names of the coordinate frames in which a model may work."""

N_POSITION = 6
"""Number of position channels: x, y, z of both hands."""

N_POSE = 2 * 3 * N_ROTATIONS
"""Number of pose channels (96): an axis-angle vector for each of the 16 joints of both hands."""

RIGHT_FIRST = (1, 0)
"""Order of the hands in channels: right, left. Values are indices into `skeleton.HANDS`. PianoMotion10M has the same order."""

# A clip is not resampled if its frame times differ from the required times by less than this (s).
_SAME_TIME_S = 5e-4

# Index of the left hand.
_LEFT = HANDS.index("left")

# Rotation of a level right hand in the keyboard frame, axis-angle.
_LEVEL_RAD = rotvec_from_matrix(LEVEL_HAND[HANDS.index("right")])

# Columns of a hand that `clip_motion` reads, by coordinate frame.
_COLUMNS = {
    "keyboard": ("state", "rotation_rad", "joints_keyboard_mm"),
    "camera": ("state", "rotation_rad", "translation_m"),
}


@dataclass(frozen=True)
class ClipMotion:
    """Motion of a clip in the models' convention: both hands as right hands, in the order left, right (`skeleton.HANDS`).

    Attributes
    ----------
    position : array (frame, hand 2, xyz 3), float32
        In the keyboard frame, the position of the wrist, mm. In the camera frame, MANO's translation, m.
    rotation_rad : array (frame, hand 2, joint 16, xyz 3), float32
        Axis-angle rotations of MANO's joints. In the keyboard frame, the global rotation is relative to a level hand.
    visible : array (frame, hand 2), bool
        Whether the hand is observed or interpolated. In hidden frames, position and rotation are those of the nearest visible frame, or
        zeros if the hand is never visible.
    """

    position: np.ndarray
    rotation_rad: np.ndarray
    visible: np.ndarray

    def channels(self):
        """Return position (frame, 6) and pose (frame, 96), right hand first."""
        frames = len(self.position)
        return tuple(a.take(RIGHT_FIRST, axis=1).reshape(frames, -1) for a in (self.position, self.rotation_rad))


def from_channels(position, pose):
    """Invert `ClipMotion.channels`: convert channels (..., 6) and (..., 96), right hand first, to hands in the order left, right.

    Returns
    -------
    position : array (..., hand 2, xyz 3)
    rotation_rad : array (..., hand 2, joint 16, xyz 3)
    """
    position = np.asarray(position).reshape(*np.shape(position)[:-1], len(HANDS), 3)
    pose = np.asarray(pose).reshape(*np.shape(pose)[:-1], len(HANDS), N_ROTATIONS, 3)
    return position[..., RIGHT_FIRST, :], pose[..., RIGHT_FIRST, :, :]


def shard_columns(frame):
    """Return the columns of `tables.SHARD` that `clip_motion` needs for a coordinate frame."""
    of_hands = tuple(f"{hand}_{name}" for hand in HANDS for name in _COLUMNS[frame])
    extra = ("keyboard_rotation_rad",) if frame == "keyboard" else ("provenance",)
    return ("start_s", "end_s", "time_s", *of_hands, *extra)


def table_row(motion, extrinsics, first=0, stop=None):
    """Return the columns `shard_columns("keyboard")` for a part of a motion table, as the input of `clip_motion`.

    Parameters
    ----------
    motion : dict of str to array (frame, hand 2, ...)
        Columns of `tables.MOTION` by frame, with joints in the keyboard frame.
    extrinsics : handroll.camera.Extrinsics
        Position and orientation of the camera over the keyboard.
    first, stop : int
        First frame, and frame after the last one; by default all frames. There must be at least one frame.

    Returns
    -------
    dict of str to value
        Times are relative to the first frame. The part ends at its last frame.
    """
    part = slice(first, stop)
    time_s = motion["time_s"][part, 0] - motion["time_s"][first, 0]
    hands = {f"{hand}_{name}": motion[name][part, side] for side, hand in enumerate(HANDS) for name in _COLUMNS["keyboard"]}
    return {"start_s": 0.0, "end_s": time_s[-1], "time_s": time_s, "keyboard_rotation_rad": extrinsics.rotation_rad, **hands}


def clip_motion(row, rate_hz, frame, adjust_m=None):
    """Convert a clip of the dataset to the models' convention.

    Parameters
    ----------
    row : dict of str to value
        Row of `tables.SHARD` with the columns `shard_columns(frame)`.
    rate_hz : float
        Frame rate of the result. Frame k is k / rate_hz seconds after the clip's start. Positions are interpolated linearly and rotations
        along the shortest arc (`motion.resampling`). A resampled frame between a visible and a hidden frame is hidden.
    frame : {"keyboard", "camera"}
    adjust_m : array (xyz 3), optional
        Offset that is added to positions in the camera frame, for clips of PianoMotion10M (`pianomotion10m.adjusted`).

    Returns
    -------
    ClipMotion

    Raises
    ------
    ValueError
        `frame` is "keyboard", and the clip has no registered keyboard.
    """
    hands = [{name: row[f"{hand}_{name}"] for name in _COLUMNS[frame]} for hand in HANDS]
    visible = np.stack([hand["state"] for hand in hands], axis=1) > State.HIDDEN
    rotation = np.stack([hand["rotation_rad"] for hand in hands], axis=1)
    rotation[:, _LEFT] = mirrored(rotation[:, _LEFT])
    if frame == "keyboard":
        to_keyboard = -np.asarray(row["keyboard_rotation_rad"], dtype=np.float64)
        if not np.isfinite(to_keyboard).all():
            raise ValueError(
                "expected a clip with a registered keyboard, found a clip without one; set `frame: camera`, or leave such clips out"
            )
        position = np.stack([hand["joints_keyboard_mm"][:, 0] for hand in hands], axis=1).astype(np.float64)
        position[:, _LEFT, 0] = STANDARD.width_mm - position[:, _LEFT, 0]
        # The mirror image of a product of rotations is the product of their mirror images.
        turn = np.stack([mirrored(to_keyboard) if side == _LEFT else to_keyboard for side in range(len(HANDS))])
        rotation[:, :, 0] = compose(compose(-_LEVEL_RAD, turn), rotation[:, :, 0])
    else:
        position = np.stack([hand["translation_m"] for hand in hands], axis=1).astype(np.float64)
        position = position if adjust_m is None else adjusted(position, adjust_m)
        position[:, _LEFT] *= MIRROR
    frames = round((row["end_s"] - row["start_s"]) * rate_hz)
    position, rotation, visible = _resample_motion(row["time_s"], position, rotation, visible, np.arange(frames) / rate_hz)
    position, rotation = (_fill_hidden(values, visible).astype(np.float32, copy=False) for values in (position, rotation))
    return ClipMotion(position, rotation, visible)


def clip_channels(row, rate_hz, frame):
    """Convert a clip of the dataset to channels in the models' convention.

    In the camera frame, the offset of a clip that was imported from PianoMotion10M is added to its positions.

    Parameters
    ----------
    row, rate_hz, frame
        See `clip_motion`.

    Returns
    -------
    position : array (frame, 6), float32
    pose : array (frame, 96), float32
    visible : array (frame, hand 2), bool
        In all three arrays the right hand is first.
    """
    motion = clip_motion(row, rate_hz, frame, adjust_of(row) if frame == "camera" else None)
    return *motion.channels(), motion.visible[:, RIGHT_FIRST]


def _resample_motion(time_s, position, rotation, visible, at_s):
    """Resample position, rotation and visibility, arrays (frame, hand 2, ...), from the times `time_s` to the times `at_s` (frame,), s.

    If the first times of `time_s` equal `at_s` within `_SAME_TIME_S`, the values are returned unchanged.
    """
    if len(time_s) >= len(at_s) and np.abs(time_s[: len(at_s)] - at_s).max(initial=0.0) < _SAME_TIME_S:
        return position[: len(at_s)], rotation[: len(at_s)], visible[: len(at_s)]
    hands = [resample(time_s, rotation[:, side], position[:, side], at_s) for side in range(len(HANDS))]
    rotation, position = (np.stack(parts, axis=1) for parts in zip(*hands, strict=True))
    return position, rotation, np.isfinite(position).all(axis=-1)


def _fill_hidden(values, visible):
    """Replace values (frame, hand, ...) of hidden frames by those of the nearest visible frame. A hand that is never visible gets zeros."""
    if visible.all():
        return values
    values, index = values.copy(), np.arange(len(values))
    for hand in range(visible.shape[1]):
        shown = np.flatnonzero(visible[:, hand])
        if not len(shown):
            values[:, hand] = 0.0
            continue
        right = np.clip(np.searchsorted(shown, index), 0, len(shown) - 1)
        left = np.maximum(right - 1, 0)
        nearer_left = index - shown[left] < np.abs(shown[right] - index)
        values[:, hand] = values[np.where(nearer_left, shown[left], shown[right]), hand]
    return values


def true_hands(position, rotation_rad, frame):
    """Convert positions and rotations from the models' convention to true left and right hands.

    Parameters
    ----------
    position : array (..., hand 2, xyz 3)
    rotation_rad : array (..., hand 2, joint 16, xyz 3)
    frame : {"keyboard", "camera"}

    Returns
    -------
    position, rotation_rad : arrays of the same shapes, float64
    """
    position, rotation = np.array(position, dtype=np.float64), np.array(rotation_rad, dtype=np.float64)
    if frame == "keyboard":
        rotation[..., 0, :] = compose(_LEVEL_RAD, rotation[..., 0, :])
        position[..., _LEFT, 0] = STANDARD.width_mm - position[..., _LEFT, 0]
    else:
        position[..., _LEFT, :] *= MIRROR
    rotation[..., _LEFT, :, :] = mirrored(rotation[..., _LEFT, :, :])
    return position, rotation


def motion_joints(position, rotation_rad, frame, bone_scale, betas=None, mano=None):
    """Compute the joints of a motion in the models' convention.

    Parameters
    ----------
    position : array (..., hand 2, xyz 3)
    rotation_rad : array (..., hand 2, joint 16, xyz 3)
    frame : {"keyboard", "camera"}
    bone_scale : array (hand 2,)
        Size of each hand relative to handroll's open hand. Not used with MANO.
    betas : array (hand 2, 10), optional
        MANO's shape of each hand. Only used with MANO.
    mano : hand.mano.ManoModel, optional
        Model whose joints are computed. If None, the joints are those of handroll's open hand.

    Returns
    -------
    array (..., hand 2, joint 21, xyz 3), float64
        Millimetres in the keyboard frame, metres in the camera frame.
    """
    position, rotation = true_hands(position, rotation_rad, frame)
    flat = rotation.reshape(*rotation.shape[:-2], 3 * N_ROTATIONS)
    joints = []
    for side, hand in enumerate(HANDS):
        here = position[..., side, :] * (1e-3 if frame == "keyboard" else 1.0)
        if mano is None:
            posed = hand_joints(flat[..., side, :], here, bone_scale[side], hand)
        else:
            posed = mano_joints(mano, flat[..., side, :], here, betas[side], hand)
        if frame == "keyboard":
            # In the keyboard frame, `position` is the position of the wrist instead of MANO's translation.
            posed = 1e3 * (posed + (here - posed[..., 0, :])[..., None, :])
        joints.append(posed)
    return np.stack(joints, axis=-3)
