"""Pressed keys frame by frame against the keys that the notes hold, as in RoboPianist and FürElise.

In each frame, the set of pressed keys is compared with the set of keys whose notes are held. Precision, recall and F1 of the frame are
averaged over frames (Zakka et al. 2023, arXiv:2304.04150; Wang et al. 2024, arXiv:2410.05791). A key counts as pressed beyond
`PRESSED_SHARE` of its travel.

The published systems simulate the keys. Here the travel of a key follows the lowest fingertip over it. The skin is below the fingertip's
joint by the radius of the fingertip, which is calibrated on the ground truth: in half of the frames in which the finger holds a key, the
key is at the bottom or deeper.

**Empty sets** count as in RoboPianist's code (scikit-learn's `zero_division=1`). A frame without pressed and without held keys counts 1
for precision, recall and F1. If only the set of pressed keys is empty, precision is 1, recall and F1 are 0. If only the set of held keys is
empty, recall is 1, precision and F1 are 0. Therefore a motion that presses nothing has as F1 the share of frames without notes.

Only frames in which both hands are visible count. A note that started before the clip is not in the notes of the clip; its key counts as
not held.
"""

import numpy as np

from handroll.hand.skeleton import FINGERS, HANDS
from handroll.keyboard.geometry import LOWEST_PITCH, N_KEYS, STANDARD
from handroll.metrics.height_press import tips_over_keys

PRESSED_SHARE = 0.9
"""Share of the travel of a key beyond which it counts as pressed (FürElise and RoboPianist)."""

SCORES = ("frame_press_precision", "frame_press_recall", "frame_press_f1")
"""Names of the scores."""


def held_keys(notes, time_s, delay_s=0.0):
    """Return which keys the notes hold in each frame.

    Parameters
    ----------
    notes : dict of str to array (note,)
        `onset_s`, `key_offset_s` and `pitch` of `tables.NOTES`.
    time_s : array (frame,)
        Increasing.
    delay_s : float
        Delay of the notes relative to the motion.

    Returns
    -------
    array (frame, key 88), bool
        True from the onset to the key release.
    """
    change = np.zeros((len(time_s) + 1, N_KEYS), dtype=np.int64)
    key = np.asarray(notes["pitch"]).astype(np.int64) - LOWEST_PITCH
    for name, step in (("onset_s", 1), ("key_offset_s", -1)):
        np.add.at(change, (np.searchsorted(time_s, np.asarray(notes[name], dtype=np.float64) - delay_s), key), step)
    return np.cumsum(change[:-1], axis=0) > 0


def calibrate_tip_radii(motions, bone_scales):
    """Estimate the radius of each finger's tip from true motions.

    Parameters
    ----------
    motions : iterable of height_press.Scored
        Ground truth.
    bone_scales : iterable of array (hand 2,)
        Bone scale of each hand, for each motion.

    Returns
    -------
    array (finger 5,)
        Distance (mm) from the joint of the fingertip down to the skin, for a hand of bone scale 1. It is the median over frames in which
        the finger is the lowest one over a held key, if the key is then at the bottom. A finger that holds no key gets the median of all
        fingers. All values are NaN if no finger holds a key.
    """
    fingers, radii = [np.empty(0, dtype=np.int64)], [np.empty(0)]
    for motion, scale in zip(motions, bone_scales, strict=True):
        key, height = tips_over_keys(motion.joints_keyboard_mm)
        held = held_keys(motion.notes, motion.time_s, motion.delay_s)
        frame, tip = np.nonzero((key >= 0) & np.take_along_axis(held, np.maximum(key, 0), axis=1))
        order = np.argsort(height[frame, tip], kind="stable")
        _, lowest = np.unique((frame * N_KEYS + key[frame, tip])[order], return_index=True)
        frame, tip = frame[order[lowest]], tip[order[lowest]]
        hand, finger = np.divmod(tip, len(FINGERS))
        fingers.append(finger)
        radii.append((height[frame, tip] + STANDARD.dip_mm) / np.asarray(scale)[hand])
    finger, radius = np.concatenate(fingers), np.concatenate(radii)
    if not len(radius):
        return np.full(len(FINGERS), np.nan)
    return np.array([np.median(radius[finger == number] if (finger == number).any() else radius) for number in range(len(FINGERS))])


def frame_press_scores(motion, tip_radii_mm):
    """Score the pressed keys of a motion, frame by frame.

    Parameters
    ----------
    motion : height_press.Scored
    tip_radii_mm : array (hand 2, finger 5)
        Distance from the joint of each fingertip down to the skin (mm): the result of `calibrate_tip_radii`, times the bone scale.

    Returns
    -------
    dict of str to float
        `frame_press_precision`, `frame_press_recall` and `frame_press_f1`, means over the frames in [start_s, end_s) in which both hands
        are visible; NaN without such frames or without calibration.
    """
    shown = np.isfinite(motion.joints_keyboard_mm).all(axis=(1, 2, 3))
    shown &= (motion.time_s >= motion.start_s) & (motion.time_s < motion.end_s)
    radii = np.asarray(tip_radii_mm).reshape(len(HANDS) * len(FINGERS))
    if not shown.any() or np.isnan(radii).any():
        return dict.fromkeys(SCORES, float("nan"))
    key, height = tips_over_keys(motion.joints_keyboard_mm[shown])
    frame, tip = np.nonzero((key >= 0) & (radii - height >= PRESSED_SHARE * STANDARD.dip_mm))
    pressed = np.zeros((len(key), N_KEYS), dtype=bool)
    pressed[frame, key[frame, tip]] = True
    held = held_keys(motion.notes, motion.time_s, motion.delay_s)[shown]
    both, n_pressed, n_held = (keys.sum(axis=1) for keys in (pressed & held, pressed, held))
    ratios = [(both, n_pressed), (both, n_held), (2 * both, n_pressed + n_held)]
    values = [float(np.where(of > 0, part / np.maximum(of, 1), 1.0).mean()) for part, of in ratios]
    return dict(zip(SCORES, values, strict=True))
