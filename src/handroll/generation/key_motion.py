"""Movement of the keys: their depth over time, from notes or from fingertips."""

import numpy as np

from handroll.generation.wrist_trajectory import TIP_HEIGHT_MM
from handroll.keyboard.geometry import N_KEYS, STANDARD, is_black, key_at_point, key_of_pitch

STRIKE_S = 0.06
"""Duration of a key's movement down, which ends at the note's onset (s)."""

LIFT_S = 0.08
"""Duration of a key's movement up, which starts at the key release (s). Same as in `pianist`."""


def key_depth_from_notes_mm(notes, time_s):
    """Compute the depth of each key from the notes.

    Parameters
    ----------
    notes : dict of str to array (note,)
        Columns of `tables.NOTES`.
    time_s : array (frame,)

    Returns
    -------
    array (frame, key 88), mm
    """
    depth_mm = np.zeros((len(time_s), N_KEYS))
    columns = (notes[name] for name in ("onset_s", "key_offset_s", "pitch"))
    for onset_s, release_s, pitch in zip(*columns, strict=True):
        frames = slice(*np.searchsorted(time_s, (onset_s - STRIKE_S, release_s + LIFT_S)))
        course = np.minimum((time_s[frames] - onset_s) / STRIKE_S + 1.0, (release_s - time_s[frames]) / LIFT_S + 1.0)
        key = key_of_pitch(int(pitch))
        depth_mm[frames, key] = np.maximum(depth_mm[frames, key], STANDARD.dip_mm * np.minimum(course, 1.0))
    return depth_mm


def key_depth_from_fingertips_mm(tips_mm, bone_scale):
    """Compute the depth of each key from the fingertips: a fingertip that is lower than the key's surface pushes the key down.

    Parameters
    ----------
    tips_mm : array (frame, hand 2, finger 5, xyz 3)
        Joints of the fingertips, keyboard frame. The surface of a fingertip is `TIP_HEIGHT_MM` below its joint at bone scale 1.
    bone_scale : array (hand 2,)

    Returns
    -------
    array (frame, key 88), mm
    """
    depth_mm = np.zeros((len(tips_mm), N_KEYS))
    key = key_at_point(tips_mm[..., 0], tips_mm[..., 1])
    top_mm = np.where(is_black(np.maximum(key, 0)), STANDARD.black_height_mm, 0.0)
    below_mm = np.clip(top_mm + np.asarray(bone_scale)[:, None] * TIP_HEIGHT_MM - tips_mm[..., 2], 0.0, STANDARD.dip_mm)
    frame = np.broadcast_to(np.arange(len(tips_mm))[:, None, None], key.shape)
    np.maximum.at(depth_mm, (frame[key >= 0], key[key >= 0]), below_mm[key >= 0])
    return depth_mm


def depth_in_keys_mm(tips_mm, bone_scale, key_depth_mm):
    """Compute how far each fingertip is below the surface of the key under it.

    Parameters
    ----------
    tips_mm : array (frame, hand 2, finger 5, xyz 3)
        Joints of the fingertips, keyboard frame.
    bone_scale : array (hand 2,)
    key_depth_mm : array (frame, key 88)
        Depth of each key below its rest position. A pressed key has a lower surface.

    Returns
    -------
    array (frame, hand 2, finger 5), mm
        Negative for a fingertip above its key; -inf for a fingertip that is not over a key.
    """
    key = key_at_point(tips_mm[..., 0], tips_mm[..., 1])
    under = np.maximum(key, 0)
    surface_mm = np.where(is_black(under), STANDARD.black_height_mm, 0.0) - np.take_along_axis(
        key_depth_mm, under.reshape(len(tips_mm), -1), axis=1
    ).reshape(key.shape)
    below_mm = surface_mm + np.asarray(bone_scale)[:, None] * TIP_HEIGHT_MM - tips_mm[..., 2]
    return np.where(key >= 0, below_mm, -np.inf)
