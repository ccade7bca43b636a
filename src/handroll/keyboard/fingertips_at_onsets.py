"""Measure the positions and movements of the fingertips at note onsets, for fingering, audio delay and key press scores.

Keyboard frame: `handroll.keyboard.geometry`, millimetres; keys have the standard dimensions. Fingertip heights of a reconstructed
motion have constant errors of some millimetres (a finger modelled too long, an inaccurate camera). Therefore a fingertip's height is
measured relative to the hand's other fingertips and to the finger's median over the video.
"""

from dataclasses import dataclass

import numpy as np

from handroll.hand.skeleton import HANDS, TIPS
from handroll.keyboard.geometry import LOWEST_PITCH, STANDARD, is_black, key_centres_x_mm, tail_edges_mm
from handroll.tables import State

LANDED_S = np.array([0.0, 0.02, 0.04, 0.06])
"""Times after the onset (s) over which a fingertip's position on the key is averaged. Even in fast playing, the finger holds its key
this long."""

POISED_S = np.array([-0.14, -0.12, -0.10, -0.08])
"""Times relative to the onset (s) over which a fingertip's height before its stroke is averaged. A stroke takes 30 to 80 ms."""

LONGEST_GAP_S = 1.0
"""Maximum gap in which a hand's position is interpolated linearly, s: 30 frames at 30 Hz, the limit of PianoMotion10M."""

# Accuracy of a fingertip's y, mm. Within this distance of the black keys' front, the playing width of a white key changes linearly from
# that of its head to that of its tail.
_BLEND_MM = 8.0

# Maximum y at which fingers play white keys, mm: the space between black keys is narrow.
_WHITE_MAX_Y_MM = 100.0

# Maximum y at which fingers play black keys, mm: keys are stiff near the fallboard.
_BLACK_MAX_Y_MM = 120.0


@dataclass(frozen=True)
class Landing:
    """Positions of the ten fingertips relative to the key of each note at its onset; NaN where the hand is not detected.

    Attributes
    ----------
    offset_mm : array (note, hand 2, finger 5)
        x of the tip relative to the middle of the key's playing width, mm.
    half_width_mm : array (note, hand 2, finger 5)
        Half of the key's playing width at the tip's y, mm; see `playing_width_mm`.
    tail_share : array (note, hand 2, finger 5)
        Position between the head (0) and the tail (1) of a white key, see `tail_share`; 0 for black keys.
    outside_mm : array (note, hand 2, finger 5)
        Distance of the tip along y from the playable part of the key, mm; 0 inside.
    height_mm : array (note, hand 2, finger 5)
        Height of the tip, a result of `relative_heights_mm`, mm.
    drop_mm : array (note, hand 2, finger 5)
        Descent of the tip, from its height before the stroke to its height on the key, mm.
    interpolated : array (note, hand 2), bool
        True where the hand is not observed at the onset, so that its position is interpolated.
    """

    offset_mm: np.ndarray
    half_width_mm: np.ndarray
    tail_share: np.ndarray
    outside_mm: np.ndarray
    height_mm: np.ndarray
    drop_mm: np.ndarray
    interpolated: np.ndarray


def at_times(time_s, values, query_s, max_gap_s=np.inf):
    """Interpolate a time series linearly at given times.

    Parameters
    ----------
    time_s : array (frame,)
        Presentation times, s, increasing; intervals may differ.
    values : array (frame, ...)
    query_s : array (*query)
        Times at which to interpolate.
    max_gap_s : float
        Maximum interval between two frames to interpolate, s.

    Returns
    -------
    array (*query, ...)
        NaN before the first and after the last frame, between two frames of which one is NaN, and in intervals longer than `max_gap_s`.
    """
    query = np.asarray(query_s, dtype=np.float64)
    if len(time_s) < 2:
        return np.full((*query.shape, *values.shape[1:]), np.nan)
    frame = np.clip(np.searchsorted(time_s, query, side="right") - 1, 0, len(time_s) - 2)
    interval = time_s[frame + 1] - time_s[frame]
    share = (query - time_s[frame]) / np.maximum(interval, 1e-9)
    known = (share >= 0.0) & (share <= 1.0) & (interval <= max_gap_s)
    share = np.where(known, share, np.nan).reshape(query.shape + (1,) * (values.ndim - 1))
    return values[frame] * (1.0 - share) + values[frame + 1] * share


def playing_width_mm(key, y_mm):
    """Return the left and right edge of a key's playing width at a y position.

    Parameters
    ----------
    key : int array
        Keys 0..87.
    y_mm : array
        Keyboard frame, mm; broadcast with `key`.

    Returns
    -------
    left, right : arrays of the common shape
        x in the keyboard frame, mm. For a white key, these are the edges of its head in front of the black keys, and of its tail
        between the black keys. For a black key, they are the edges of its top.
    """
    head = key_centres_x_mm()[key, None] + np.array([-0.5, 0.5]) * STANDARD.white_pitch_mm
    top = key_centres_x_mm()[key, None] + np.array([-0.5, 0.5]) * STANDARD.black_width_mm
    share = tail_share(key, y_mm)[..., None]
    white = head * (1.0 - share) + tail_edges_mm()[key] * share
    edges = np.where(is_black(key)[..., None], top, white)
    return edges[..., 0], edges[..., 1]


def tail_share(key, y_mm):
    """Return the position of y between the head (0) and the tail (1) of a white key; 0 for black keys.

    Values between 0 and 1 occur within `_BLEND_MM` of the black keys' front. Parameters: same as in `playing_width_mm`.
    """
    share = np.clip((y_mm - STANDARD.black_front_mm) / (2.0 * _BLEND_MM) + 0.5, 0.0, 1.0)
    return np.where(is_black(key), 0.0, share)


def outside_mm(key, y_mm):
    """Return the distance of y from the playable part of a key, mm; 0 inside. Parameters: same as in `playing_width_mm`."""
    black = is_black(key)
    front, back = np.where(black, STANDARD.black_front_mm, 0.0), np.where(black, _BLACK_MAX_Y_MM, _WHITE_MAX_Y_MM)
    return np.maximum(np.maximum(front - y_mm, y_mm - back), 0.0)


def relative_heights_mm(tips_mm):
    """Return the heights of fingertips relative to the mean of the hand's tips, with the median of each finger subtracted.

    Parameters
    ----------
    tips_mm : array (frame, hand 2, finger 5, xyz 3)
        Keyboard frame; NaN where hidden.

    Returns
    -------
    array (frame, hand 2, finger 5), mm
        The median of each finger over the video is 0. A finger presses no key in most frames, so 0 is the height of an idle finger.
    """
    height = tips_mm[..., 2] - tips_mm[..., 2].mean(axis=-1, keepdims=True)
    valid = np.isfinite(height).all(axis=2)
    median = np.zeros(height.shape[1:])
    for hand in range(height.shape[1]):
        if valid[:, hand].any():
            median[hand] = np.median(height[valid[:, hand], hand], axis=0)
    return height - median


def landings(notes, time_s, joints_keyboard_mm, state, delay_s=0.0):
    """Measure the fingertips at the onset of each note.

    Parameters
    ----------
    notes : dict of str to array (note,)
        `onset_s` and `pitch` of `tables.NOTES`.
    time_s : array (frame,)
        Presentation times, s, increasing.
    joints_keyboard_mm : array (frame, hand 2, joint 21, xyz 3)
        Keyboard frame.
    state : array (frame, hand 2)
        Values of `tables.State`; joints of hidden hands are ignored. Gaps up to `LONGEST_GAP_S` are interpolated.
    delay_s : float
        Delay of the notes relative to the video, s; positive if the notes are later. It is subtracted from the onsets.

    Returns
    -------
    Landing
    """
    tips = np.asarray(joints_keyboard_mm, dtype=np.float64)[:, :, list(TIPS)]
    visible = (np.asarray(state) > State.HIDDEN) & np.isfinite(tips).all(axis=(2, 3))
    series = np.concatenate([tips, relative_heights_mm(np.where(visible[..., None, None], tips, np.nan))[..., None]], axis=-1)
    onset_s = np.asarray(notes["onset_s"], dtype=np.float64) - delay_s
    landed, poised, interpolated = [], [], []
    for hand in range(len(HANDS)):
        of_hand = time_s[visible[:, hand]], series[visible[:, hand], hand]
        landed.append(_finite_mean(at_times(*of_hand, onset_s[:, None] + LANDED_S, LONGEST_GAP_S)))
        poised.append(_finite_mean(at_times(*of_hand, onset_s[:, None] + POISED_S, LONGEST_GAP_S))[..., 2])
        observed = np.where(np.asarray(state)[:, hand] == State.OBSERVED, 1.0, 0.0)
        interpolated.append(~(at_times(time_s, observed, onset_s) > 0.0))
    landed, poised, interpolated = (np.stack(parts, axis=1) for parts in (landed, poised, interpolated))
    x, y, z, height = np.moveaxis(landed, -1, 0)
    key = np.broadcast_to((np.asarray(notes["pitch"]).astype(np.int64) - LOWEST_PITCH)[:, None, None], x.shape)
    left, right = playing_width_mm(key, y)
    return Landing(
        offset_mm=x - (left + right) / 2.0,
        half_width_mm=(right - left) / 2.0,
        tail_share=tail_share(key, y),
        outside_mm=outside_mm(key, y),
        height_mm=height,
        # A hand that has just entered the frame has no position before the stroke: its descent is 0.
        drop_mm=np.where(np.isfinite(poised), poised - z, np.where(np.isfinite(z), 0.0, np.nan)),
        interpolated=interpolated,
    )


def _finite_mean(values):
    """Return the mean of the finite values (note, time, ...) over the axis `time`; NaN where no value is finite."""
    finite = np.isfinite(values)
    return np.where(finite, values, 0.0).sum(axis=1) / np.where(finite.any(axis=1), finite.sum(axis=1), np.nan)
