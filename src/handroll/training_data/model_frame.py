"""How models see a clip: evenly sampled, both hands as right hands, in the frame of the keyboard or of the camera.

A left hand is mirrored in x, so that one scale and one meaning hold for both. In the keyboard frame the mirror stands at the
keyboard's middle, places are the wrist's, in millimetres, and a hand's global rotation is that from a level hand
(`keyboard.geometry.LEVEL_HAND`); keyboards of all videos agree then. In the camera frame places are MANO's translation,
in metres, as PianoMotion10M has them (Gan et al., ICLR 2025); cameras differ, and without a keyboard depth is not metric.
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
"""Frames in which models can see a clip."""

N_PLACE, N_POSE = 6, 2 * 3 * N_ROTATIONS
"""Channels of both hands: 6 of their places, 96 of their rotations."""

RIGHT_FIRST = (1, 0)
"""Order of the hands along the channels, as in PianoMotion10M; hand axes elsewhere are left, right."""

_SAME_TIME_S = 5e-4
_LEFT = HANDS.index("left")
_LEVEL_RAD = rotvec_from_matrix(LEVEL_HAND[HANDS.index("right")])
_COLUMNS = {
    "keyboard": ("state", "rotation_rad", "joints_keyboard_mm"),
    "camera": ("state", "rotation_rad", "translation_m"),
}


@dataclass(frozen=True)
class ClipMotion:
    """A clip as models see it; both hands as right hands, hands in the order of `skeleton.HANDS`.

    Attributes
    ----------
    place : array (frame, hand 2, xyz 3), float32
        Keyboard frame: the wrist, mm. Camera frame: MANO's translation, m.
    rotation_rad : array (frame, hand 2, joint 16, xyz 3), float32
        Axis-angle, MANO's joints. Keyboard frame: the global one is that from a level hand.
    visible : array (frame, hand 2), bool
        Observed or interpolated. Where false, values are those of the nearest visible frame; zeros if there is none.
    """

    place: np.ndarray
    rotation_rad: np.ndarray
    visible: np.ndarray

    def channels(self):
        """Place (frame, 6) and pose (frame, 96), right hand first."""
        frames = len(self.place)
        return tuple(a.take(RIGHT_FIRST, axis=1).reshape(frames, -1) for a in (self.place, self.rotation_rad))


def of_channels(place, pose):
    """The inverse of `ClipMotion.channels`: place (..., hand 2, 3) and rotation (..., hand 2, 16, 3) of (..., 6) and (..., 96)."""
    place = np.asarray(place).reshape(*np.shape(place)[:-1], len(HANDS), 3)
    pose = np.asarray(pose).reshape(*np.shape(pose)[:-1], len(HANDS), N_ROTATIONS, 3)
    return place[..., RIGHT_FIRST, :], pose[..., RIGHT_FIRST, :, :]


def shard_columns(frame):
    """Columns of `tables.SHARD` that `clip_motion` needs in a frame."""
    of_hands = tuple(f"{hand}_{name}" for hand in HANDS for name in _COLUMNS[frame])
    extra = ("keyboard_rotation_rad",) if frame == "keyboard" else ("provenance",)
    return ("start_s", "end_s", "time_s", *of_hands, *extra)


def clip_motion(row, rate_hz, frame, adjust_m=None):
    """A clip of the dataset as models see it.

    Parameters
    ----------
    row : dict of str to value
        The columns `shard_columns(frame)` of a row of `tables.SHARD`.
    rate_hz : float
        Frames a second of the result, at k / rate_hz since the clip's start. Between a clip's own frames places are interpolated
        linearly and rotations along the shortest arc (`motion.resampling`); a frame between two of which one is hidden is hidden.
    frame : {"keyboard", "camera"}
    adjust_m : array (xyz 3), optional
        Added to places in the camera frame, as PianoMotion10M's clips ask for (`pianomotion10m.adjusted`).

    Returns
    -------
    ClipMotion

    Raises
    ------
    ValueError
        The keyboard frame is asked for, and none is registered.
    """
    hands = [{name: row[f"{hand}_{name}"] for name in _COLUMNS[frame]} for hand in HANDS]
    visible = np.stack([hand["state"] for hand in hands], axis=1) > State.HIDDEN
    rotation = np.stack([hand["rotation_rad"] for hand in hands], axis=1)
    rotation[:, _LEFT] = mirrored(rotation[:, _LEFT])
    if frame == "keyboard":
        to_keyboard = -np.asarray(row["keyboard_rotation_rad"], dtype=np.float64)
        if not np.isfinite(to_keyboard).all():
            raise ValueError("expected a clip with a registered keyboard, found none; take `frame: camera`, or leave out such clips")
        place = np.stack([hand["joints_keyboard_mm"][:, 0] for hand in hands], axis=1).astype(np.float64)
        place[:, _LEFT, 0] = STANDARD.width_mm - place[:, _LEFT, 0]
        # The mirror of a product is the product of the mirrors.
        turn = np.stack([mirrored(to_keyboard) if side == _LEFT else to_keyboard for side in range(len(HANDS))])
        rotation[:, :, 0] = compose(compose(-_LEVEL_RAD, turn), rotation[:, :, 0])
    else:
        place = np.stack([hand["translation_m"] for hand in hands], axis=1).astype(np.float64)
        place = place if adjust_m is None else adjusted(place, adjust_m)
        place[:, _LEFT] *= MIRROR
    frames = round((row["end_s"] - row["start_s"]) * rate_hz)
    place, rotation, visible = _sampled(row["time_s"], place, rotation, visible, np.arange(frames) / rate_hz)
    place, rotation = (_held(values, visible).astype(np.float32, copy=False) for values in (place, rotation))
    return ClipMotion(place, rotation, visible)


def clip_channels(row, rate_hz, frame):
    """A clip as channels, with the offset of PianoMotion10M's clips added in the camera frame.

    Parameters
    ----------
    row, rate_hz, frame
        As of `clip_motion`.

    Returns
    -------
    place : array (frame, 6), float32
    pose : array (frame, 96), float32
    visible : array (frame, hand 2), bool
        All right hand first.
    """
    motion = clip_motion(row, rate_hz, frame, adjust_of(row) if frame == "camera" else None)
    return *motion.channels(), motion.visible[:, RIGHT_FIRST]


def _sampled(time_s, place, rotation, visible, at_s):
    """Place, rotation and visibility at other times (frame,)."""
    if len(time_s) >= len(at_s) and np.abs(time_s[: len(at_s)] - at_s).max(initial=0.0) < _SAME_TIME_S:
        return place[: len(at_s)], rotation[: len(at_s)], visible[: len(at_s)]
    hands = [resample(time_s, rotation[:, side], place[:, side], at_s) for side in range(len(HANDS))]
    rotation, place = (np.stack(parts, axis=1) for parts in zip(*hands, strict=True))
    return place, rotation, np.isfinite(place).all(axis=-1)


def _held(values, visible):
    """Values (frame, hand, ...) with those of the nearest visible frame where a hand is hidden; zeros where it always is."""
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


def true_hands(place, rotation_rad, frame):
    """Places and rotations of true hands in their frame: the inverse of the convention.

    Parameters
    ----------
    place : array (..., hand 2, xyz 3)
    rotation_rad : array (..., hand 2, joint 16, xyz 3)
    frame : {"keyboard", "camera"}

    Returns
    -------
    place, rotation_rad : arrays of the same shapes, float64
    """
    place, rotation = np.array(place, dtype=np.float64), np.array(rotation_rad, dtype=np.float64)
    if frame == "keyboard":
        rotation[..., 0, :] = compose(_LEVEL_RAD, rotation[..., 0, :])
        place[..., _LEFT, 0] = STANDARD.width_mm - place[..., _LEFT, 0]
    else:
        place[..., _LEFT, :] *= MIRROR
    rotation[..., _LEFT, :, :] = mirrored(rotation[..., _LEFT, :, :])
    return place, rotation


def motion_joints(place, rotation_rad, frame, bone_scale, betas=None, mano=None):
    """Joints of a motion in the models' convention.

    Parameters
    ----------
    place : array (..., hand 2, xyz 3)
    rotation_rad : array (..., hand 2, joint 16, xyz 3)
    frame : {"keyboard", "camera"}
    bone_scale : array (hand 2,)
        Of the open hand; not used with MANO.
    betas : array (hand 2, 10), optional
    mano : hand.mano.ManoModel, optional
        MANO's hand with these betas; handroll's open hand where None.

    Returns
    -------
    array (..., hand 2, joint 21, xyz 3), float64
        Keyboard frame: mm. Camera frame: m.
    """
    place, rotation = true_hands(place, rotation_rad, frame)
    flat = rotation.reshape(*rotation.shape[:-2], 3 * N_ROTATIONS)
    joints = []
    for side, hand in enumerate(HANDS):
        here = place[..., side, :] * (1e-3 if frame == "keyboard" else 1.0)
        if mano is None:
            posed = hand_joints(flat[..., side, :], here, bone_scale[side], hand)
        else:
            posed = mano_joints(mano, flat[..., side, :], here, betas[side], hand)
        if frame == "keyboard":
            # A place is the wrist itself there, not what is added to its place at rest.
            posed = 1e3 * (posed + (here - posed[..., 0, :])[..., None, :])
        joints.append(posed)
    return np.stack(joints, axis=-3)
