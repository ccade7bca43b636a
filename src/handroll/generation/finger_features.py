"""Features of fingered notes for motion models: what each finger presses, when and where, at the frame rate of the motion.

A note roll says which keys sound. It does not say where the hands are, because a key can be reached from many positions of the hand. With
the finger of each note the position along the keyboard is known to a few millimetres.
"""

import numpy as np

from handroll.generation.wrist_trajectory import OFFSETS_MM
from handroll.hand.skeleton import FINGERS, HANDS
from handroll.keyboard.geometry import STANDARD, is_black, key_centres_x_mm, key_of_pitch
from handroll.training_data.model_frame import RIGHT_FIRST

VERSION = 1
"""Version of the features. Increase it manually when the same notes give different features."""

FINGER_CHANNELS = 10
"""Number of features of a finger: onset, held, and x, black key and two measures of nearness in time of its next and its last note."""

HAND_CHANNELS = 6
"""Number of features of a hand: position along the keyboard and share of black keys, each for three time constants."""

NEAR_S = (0.15, 0.8)
"""Time constants of the nearness of a note, exp(-distance in time / time constant)."""

HAND_S = (0.1, 0.4, 2.0)
"""Time constants with which the notes near a frame are weighted to estimate the position of a hand."""

# Unit of positions along the keyboard, which gives features of a magnitude of about 1.
_X_MM = 200.0

# Distance in time of a note that does not exist.
_NEVER_S = 1e3


def finger_features(notes, hand, finger, rate_hz, frames):
    """Compute the features of fingered notes.

    Parameters
    ----------
    notes : dict of str to array (note,)
        Columns of `tables.NOTES`, in seconds since the first frame.
    hand, finger : array (note,), int
        Indices into `skeleton.HANDS` and `skeleton.FINGERS`. Notes with a negative finger are ignored.
    rate_hz : float
        Frame rate of the motion.
    frames : int
        Number of frames.

    Returns
    -------
    array (frame, 2 * (5 * `FINGER_CHANNELS` + `HAND_CHANNELS`)), float32
        First the right hand, then the left hand as its mirror image, as in `model_frame`. For each hand: the channels of the five
        fingers, thumb first; then the channels of the hand. Positions are relative to the middle of the keyboard, in units of 200 mm.
    """
    time_s = np.arange(frames) / rate_hz
    parts = []
    for side in RIGHT_FIRST:
        mirrored = HANDS[side] == "left"
        near = [_notes_of_finger(notes, (hand == side) & (finger == number), mirrored) for number in range(len(FINGERS))]
        fingers = [_finger_channels(*played, time_s, rate_hz) for played in near]
        parts += [channels for channels, _ in fingers]
        parts.append(_hand_channels([candidates for _, candidates in fingers], frames))
    return np.concatenate(parts, axis=1).astype(np.float32)


def _notes_of_finger(notes, rows, mirrored):
    """Return onset, release (s), velocity, x (mm, relative to the middle of the keyboard) and black (0 or 1) of some notes."""
    key = key_of_pitch(notes["pitch"][rows].astype(int))
    x_mm = (key_centres_x_mm()[key] - 0.5 * STANDARD.width_mm) * (-1.0 if mirrored else 1.0)
    onset_s, release_s = (np.asarray(notes[name][rows], dtype=np.float64) for name in ("onset_s", "key_offset_s"))
    return onset_s, release_s, notes["velocity"][rows].astype(np.float64), x_mm, is_black(key).astype(np.float64)


def _finger_channels(onset_s, release_s, velocity, x_mm, black, time_s, rate_hz):
    """Compute the channels (frame, `FINGER_CHANNELS`) of a finger, and its next and last notes.

    The second result is a list of two tuples (x_mm, black, distance in time), arrays (frame,); the distance of a held note is 0.
    """
    frames = len(time_s)
    channels = np.zeros((frames, FINGER_CHANNELS))
    near = []
    after = np.searchsorted(onset_s, time_s, side="right")
    for index, exists, distance in (
        (np.minimum(after, len(onset_s) - 1), after < len(onset_s), lambda i: onset_s[i] - time_s),
        (np.maximum(after - 1, 0), after > 0, lambda i: np.maximum(time_s - release_s[i], 0.0)),
    ):
        if not len(onset_s):
            near.append((np.zeros(frames), np.zeros(frames), np.full(frames, _NEVER_S)))
            continue
        away_s = np.where(exists, distance(index), _NEVER_S)
        near.append((np.where(exists, x_mm[index], 0.0), np.where(exists, black[index], 0.0), away_s))
    channels[:, 1] = near[1][2] == 0.0
    for k, (x, on_black, away_s) in enumerate(near):
        first = 2 + 4 * k
        channels[:, first], channels[:, first + 1] = x / _X_MM, on_black
        channels[:, first + 2 : first + 4] = np.exp(-away_s[:, None] / np.array(NEAR_S))
    # An onset is divided between the two nearest frames, as in a note roll.
    at = onset_s * rate_hz
    before, level = np.floor(at).astype(int), 0.5 + 0.5 * velocity / 127.0
    for frame, share in ((before, before + 1 - at), (before + 1, at - before)):
        inside = (frame >= 0) & (frame < frames)
        np.maximum.at(channels[:, 0], frame[inside], (level * share)[inside])
    return channels, near


def _hand_channels(fingers, frames):
    """Estimate the position of a hand from the next and the last notes of its fingers: channels (frame, `HAND_CHANNELS`).

    The estimate is the weighted mean of the positions at which each finger would be in its place. Weights decrease with the distance in
    time. `fingers` contains the second results of `_finger_channels`.
    """
    x = np.stack([x - OFFSETS_MM[number, 0] for number, near in enumerate(fingers) for x, _, _ in near])
    black = np.stack([on_black for near in fingers for _, on_black, _ in near])
    away_s = np.stack([away for near in fingers for _, _, away in near])
    exists = away_s < _NEVER_S
    channels = np.zeros((frames, HAND_CHANNELS))
    nearest_s = np.where(exists, away_s, np.inf).min(axis=0, initial=np.inf)
    known = np.isfinite(nearest_s)
    for k, time_constant_s in enumerate(HAND_S):
        weight = np.where(exists & known, np.exp(-(away_s - np.where(known, nearest_s, 0.0)) / time_constant_s), 0.0)
        total = np.maximum(weight.sum(axis=0), 1e-9)
        channels[:, 2 * k] = (weight * x).sum(axis=0) / total / _X_MM
        channels[:, 2 * k + 1] = (weight * black).sum(axis=0) / total
    return channels
