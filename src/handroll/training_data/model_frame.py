"""Motion of a clip in the models' convention: evenly sampled, both hands as right hands, in the keyboard frame or the camera frame.

Left hands are mirrored in x, so that the channels of both hands have the same meaning and scale.

- Keyboard frame: the mirror plane is the middle of the keyboard. Positions are those of the wrist, in millimetres. Global rotations are
  relative to a level hand (`keyboard.geometry.LEVEL_HAND`). The frame is the same in all videos.
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
"""Coordinate frames of a model."""

N_POSITION, N_POSE = 6, 2 * 3 * N_ROTATIONS
"""Number of channels of both hands: 6 of their positions, 96 of their rotations."""

RIGHT_FIRST = (1, 0)
"""Order of the hands in channels, as in PianoMotion10M. Hand axes elsewhere are left, right."""

_SAME_TIME_S = 5e-4
# A clip whose frame times differ by less from the wanted times is not resampled (s).
_LEFT = HANDS.index("left")
_LEVEL_RAD = rotvec_from_matrix(LEVEL_HAND[HANDS.index("right")])
_COLUMNS = {
    "keyboard": ("state", "rotation_rad", "joints_keyboard_mm"),
    "camera": ("state", "rotation_rad", "translation_m"),
}


@dataclass(frozen=True)
class ClipMotion:
    """Motion of a clip in the models' convention; both hands as right hands, in the order of `skeleton.HANDS`.

    Attributes
    ----------
    position : array (frame, hand 2, xyz 3), float32
        Keyboard frame: the wrist, mm. Camera frame: MANO's translation, m.
    rotation_rad : array (frame, hand 2, joint 16, xyz 3), float32
        Axis-angle, MANO's joints. Keyboard frame: the global rotation is relative to a level hand.
    visible : array (frame, hand 2), bool
        Observed or interpolated. Hidden frames have the values of the nearest visible frame, or zeros if there is none.
    """

    position: np.ndarray
    rotation_rad: np.ndarray
    visible: np.ndarray

    def channels(self):
        """Return position (frame, 6) and pose (frame, 96), right hand first."""
        frames = len(self.position)
        return tuple(a.take(RIGHT_FIRST, axis=1).reshape(frames, -1) for a in (self.position, self.rotation_rad))


def from_channels(position, pose):
    """Invert `ClipMotion.channels`: position (..., hand 2, 3) and rotation (..., hand 2, 16, 3) of (..., 6) and (..., 96)."""
    position = np.asarray(position).reshape(*np.shape(position)[:-1], len(HANDS), 3)
    pose = np.asarray(pose).reshape(*np.shape(pose)[:-1], len(HANDS), N_ROTATIONS, 3)
    return position[..., RIGHT_FIRST, :], pose[..., RIGHT_FIRST, :, :]


def shard_columns(frame):
    """Return the columns of `tables.SHARD` that `clip_motion` needs for a coordinate frame."""
    of_hands = tuple(f"{hand}_{name}" for hand in HANDS for name in _COLUMNS[frame])
    extra = ("keyboard_rotation_rad",) if frame == "keyboard" else ("provenance",)
    return ("start_s", "end_s", "time_s", *of_hands, *extra)


def clip_motion(row, rate_hz, frame, adjust_m=None):
    """Convert a clip of the dataset to the models' convention.

    Parameters
    ----------
    row : dict of str to value
        The columns `shard_columns(frame)` of a row of `tables.SHARD`.
    rate_hz : float
        Frame rate of the result, whose frames are at k / rate_hz after the clip's start. Between frames of the clip, positions are
        interpolated linearly and rotations along the shortest arc (`motion.resampling`). A frame next to a hidden frame is hidden.
    frame : {"keyboard", "camera"}
    adjust_m : array (xyz 3), optional
        Offset of positions in the camera frame, for clips of PianoMotion10M (`pianomotion10m.adjusted`).

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
            raise ValueError("expected a clip with a registered keyboard, found none; set `frame: camera`, or leave out such clips")
        position = np.stack([hand["joints_keyboard_mm"][:, 0] for hand in hands], axis=1).astype(np.float64)
        position[:, _LEFT, 0] = STANDARD.width_mm - position[:, _LEFT, 0]
        # Mirroring a product of rotations equals the product of the mirrored rotations.
        turn = np.stack([mirrored(to_keyboard) if side == _LEFT else to_keyboard for side in range(len(HANDS))])
        rotation[:, :, 0] = compose(compose(-_LEVEL_RAD, turn), rotation[:, :, 0])
    else:
        position = np.stack([hand["translation_m"] for hand in hands], axis=1).astype(np.float64)
        position = position if adjust_m is None else adjusted(position, adjust_m)
        position[:, _LEFT] *= MIRROR
    frames = round((row["end_s"] - row["start_s"]) * rate_hz)
    position, rotation, visible = _resampled(row["time_s"], position, rotation, visible, np.arange(frames) / rate_hz)
    position, rotation = (_fill_hidden(values, visible).astype(np.float32, copy=False) for values in (position, rotation))
    return ClipMotion(position, rotation, visible)


def clip_channels(row, rate_hz, frame):
    """Convert a clip to channels; in the camera frame, the offset of PianoMotion10M's clips is added.

    Parameters
    ----------
    row, rate_hz, frame
        As of `clip_motion`.

    Returns
    -------
    position : array (frame, 6), float32
    pose : array (frame, 96), float32
    visible : array (frame, hand 2), bool
        Right hand first in all three.
    """
    motion = clip_motion(row, rate_hz, frame, adjust_of(row) if frame == "camera" else None)
    return *motion.channels(), motion.visible[:, RIGHT_FIRST]


def _resampled(time_s, position, rotation, visible, at_s):
    """Position, rotation and visibility at other times (frame,)."""
    if len(time_s) >= len(at_s) and np.abs(time_s[: len(at_s)] - at_s).max(initial=0.0) < _SAME_TIME_S:
        return position[: len(at_s)], rotation[: len(at_s)], visible[: len(at_s)]
    hands = [resample(time_s, rotation[:, side], position[:, side], at_s) for side in range(len(HANDS))]
    rotation, position = (np.stack(parts, axis=1) for parts in zip(*hands, strict=True))
    return position, rotation, np.isfinite(position).all(axis=-1)


def _fill_hidden(values, visible):
    """Replace values (frame, hand, ...) of hidden hands by those of the nearest visible frame, or by zeros if the hand is never visible."""
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
    """Convert positions and rotations back from the models' convention to true left and right hands.

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
        Scale of the open hand; not used with MANO.
    betas : array (hand 2, 10), optional
    mano : hand.mano.ManoModel, optional
        Compute MANO's joints with `betas`; None: joints of handroll's open hand.

    Returns
    -------
    array (..., hand 2, joint 21, xyz 3), float64
        Keyboard frame: mm. Camera frame: m.
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
            # In the keyboard frame, a position is that of the wrist, not MANO's translation.
            posed = 1e3 * (posed + (here - posed[..., 0, :])[..., None, :])
        joints.append(posed)
    return np.stack(joints, axis=-3)
