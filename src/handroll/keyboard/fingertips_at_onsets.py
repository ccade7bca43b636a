"""Where the fingertips are, and how they move, when a note is struck: what fingering, delay and key presses are judged by.

Keyboard frame: `handroll.keyboard.geometry`, millimetres. Heights of fingertips in a reconstructed motion are wrong by
whole millimetres in a way that lasts (a finger modelled too long, a camera slightly off), so a fingertip's height is
taken relative to the hand's other tips and to what is usual for that finger in the video.
"""

from dataclasses import dataclass

import numpy as np

from handroll.hand.skeleton import HANDS, TIPS
from handroll.keyboard.geometry import LOWEST_PITCH, STANDARD, is_black, key_centres_x_mm, tail_edges_mm
from handroll.tables import State

LANDED_S = np.array([0.0, 0.02, 0.04, 0.06])
"""Times after the onset over which a landed fingertip is averaged: it rests on its key, even in fast playing."""

POISED_S = np.array([-0.14, -0.12, -0.10, -0.08])
"""Times before the onset over which a fingertip is averaged before its stroke, which takes 30 to 80 ms."""

LONGEST_GAP_S = 1.0
"""A hand that is not seen for less is taken to have moved straight: PianoMotion10M's 30 frames."""

_BLEND_MM = 8.0
# y of a fingertip is known to about this: so far around the front of the black keys a white key's width goes from head to tail.
_WHITE_DEEPEST_MM, _BLACK_DEEPEST_MM = 100.0, 120.0
# Fingers play no deeper: between the black keys there is hardly room, and farther in a key is too stiff.


@dataclass(frozen=True)
class Landing:
    """The ten fingertips at the onset of each note; NaN where their hand is not seen.

    Attributes
    ----------
    aside_mm : array (note, hand 2, finger 5)
        x of the tip, from the middle of the key's playing width.
    half_width_mm : array (note, hand 2, finger 5)
        Half of that width, at the tip's depth: a head or a tail of a white key, or the top of a black one.
    deep : array (note, hand 2, finger 5)
        How far the tip is between the black keys: 0 over the head of a white key, 1 over its tail; 0 on black keys.
    beyond_mm : array (note, hand 2, finger 5)
        How far in front of, or behind, the part of the key that can be played; 0 inside.
    height_mm : array (note, hand 2, finger 5)
        Height of the tip relative to the hand's other tips and to what is usual for it.
    drop_mm : array (note, hand 2, finger 5)
        How far the tip has come down since it was poised.
    guessed : array (note, hand 2), bool
        The hand is not seen just then: its place is interpolated between the frames around.
    """

    aside_mm: np.ndarray
    half_width_mm: np.ndarray
    deep: np.ndarray
    beyond_mm: np.ndarray
    height_mm: np.ndarray
    drop_mm: np.ndarray
    guessed: np.ndarray


def at_times(time_s, values, wanted_s, longest_s=np.inf):
    """A series at any times, straight between frames.

    Parameters
    ----------
    time_s : array (frame,)
        Rising; frames need not be equally far apart.
    values : array (frame, ...)
    wanted_s : array (...)
    longest_s : float
        Frames farther apart are not joined.

    Returns
    -------
    array (*wanted, ...)
        NaN before the first and after the last frame, beside a NaN, and where frames are too far apart.
    """
    wanted = np.asarray(wanted_s, dtype=np.float64)
    if len(time_s) < 2:
        return np.full((*wanted.shape, *values.shape[1:]), np.nan)
    frame = np.clip(np.searchsorted(time_s, wanted, side="right") - 1, 0, len(time_s) - 2)
    apart = time_s[frame + 1] - time_s[frame]
    share = (wanted - time_s[frame]) / np.maximum(apart, 1e-9)
    known = (share >= 0.0) & (share <= 1.0) & (apart <= longest_s)
    share = np.where(known, share, np.nan).reshape(wanted.shape + (1,) * (values.ndim - 1))
    return values[frame] * (1.0 - share) + values[frame + 1] * share


def playing_width_mm(key, y_mm):
    """Left and right edge of what can be played of a key at a depth.

    Parameters
    ----------
    key : int array, 0..87
    y_mm : array, broadcast with `key`

    Returns
    -------
    left, right : arrays of the common shape, mm
        White keys: the head's edges before the black keys, the tail's between them. Black keys: those of the top.
    """
    head = key_centres_x_mm()[key, None] + np.array([-0.5, 0.5]) * STANDARD.white_pitch_mm
    top = key_centres_x_mm()[key, None] + np.array([-0.5, 0.5]) * STANDARD.black_width_mm
    deep = between_blacks(key, y_mm)[..., None]
    white = head * (1.0 - deep) + tail_edges_mm()[key] * deep
    edges = np.where(is_black(key)[..., None], top, white)
    return edges[..., 0], edges[..., 1]


def between_blacks(key, y_mm):
    """How far (0..1) a depth is from the head of a white key to its tail; 0 for black keys. Shapes as in `playing_width_mm`."""
    deep = np.clip((y_mm - STANDARD.black_front_mm) / (2.0 * _BLEND_MM) + 0.5, 0.0, 1.0)
    return np.where(is_black(key), 0.0, deep)


def beyond_mm(key, y_mm):
    """How far y is outside of the part of a key that can be played; 0 inside. Shapes as in `playing_width_mm`."""
    black = is_black(key)
    front, back = np.where(black, STANDARD.black_front_mm, 0.0), np.where(black, _BLACK_DEEPEST_MM, _WHITE_DEEPEST_MM)
    return np.maximum(np.maximum(front - y_mm, y_mm - back), 0.0)


def relative_heights_mm(tips_mm):
    """Heights of fingertips relative to the mean of the hand's tips, and to what is usual for each finger.

    Parameters
    ----------
    tips_mm : array (frame, hand 2, finger 5, xyz 3)

    Returns
    -------
    array (frame, hand 2, finger 5), mm
        The median of each finger over the video is 0: in most frames a finger does not press.
    """
    height = tips_mm[..., 2] - tips_mm[..., 2].mean(axis=-1, keepdims=True)
    seen = np.isfinite(height).all(axis=2)
    usual = np.zeros(height.shape[1:])
    for side in range(height.shape[1]):
        if seen[:, side].any():
            usual[side] = np.median(height[seen[:, side], side], axis=0)
    return height - usual


def landings(notes, time_s, joints_keyboard_mm, state, delay_s=0.0):
    """The fingertips at the onset of each note.

    Parameters
    ----------
    notes : dict of str to array (note,)
        `tables.NOTES`.
    time_s : array (frame,)
        Presentation times.
    joints_keyboard_mm : array (frame, hand 2, joint 21, xyz 3)
        Keyboard frame.
    state : array (frame, hand 2)
        `tables.State`; joints of hidden hands are not looked at. Short gaps are bridged.
    delay_s : float
        How much later than the picture the sound comes.

    Returns
    -------
    Landing
    """
    tips = np.asarray(joints_keyboard_mm, dtype=np.float64)[:, :, list(TIPS)]
    shown = (np.asarray(state) > State.HIDDEN) & np.isfinite(tips).all(axis=(2, 3))
    series = np.concatenate([tips, relative_heights_mm(np.where(shown[..., None, None], tips, np.nan))[..., None]], axis=-1)
    struck_s = np.asarray(notes["onset_s"], dtype=np.float64) - delay_s
    landed, poised, guessed = [], [], []
    for side in range(len(HANDS)):
        of_hand = time_s[shown[:, side]], series[shown[:, side], side]
        landed.append(_mean_seen(at_times(*of_hand, struck_s[:, None] + LANDED_S, LONGEST_GAP_S)))
        poised.append(_mean_seen(at_times(*of_hand, struck_s[:, None] + POISED_S, LONGEST_GAP_S))[..., 2])
        sure = np.where(np.asarray(state)[:, side] == State.OBSERVED, 1.0, 0.0)
        guessed.append(~(at_times(time_s, sure, struck_s) > 0.0))
    landed, poised, guessed = (np.stack(parts, axis=1) for parts in (landed, poised, guessed))
    x, y, z, height = np.moveaxis(landed, -1, 0)
    key = np.broadcast_to((np.asarray(notes["pitch"]).astype(np.int64) - LOWEST_PITCH)[:, None, None], x.shape)
    left, right = playing_width_mm(key, y)
    return Landing(
        aside_mm=x - (left + right) / 2.0,
        half_width_mm=(right - left) / 2.0,
        deep=between_blacks(key, y),
        beyond_mm=beyond_mm(key, y),
        height_mm=height,
        # A hand that has just come into the picture was not seen poised.
        drop_mm=np.where(np.isfinite(poised), poised - z, np.where(np.isfinite(z), 0.0, np.nan)),
        guessed=guessed,
    )


def _mean_seen(values):
    """Mean over the second axis of what is known; NaN where nothing is."""
    known = np.isfinite(values)
    return np.where(known, values, 0.0).sum(axis=1) / np.where(known.any(axis=1), known.sum(axis=1), np.nan)
