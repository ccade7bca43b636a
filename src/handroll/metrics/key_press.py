"""Agreement of a motion with notes: key presses are detected in the motion of the fingertips, and matched with the notes.

A key press is a stroke of a fingertip over the keys. In a stroke, the fingertip moves down by at least `MIN_STROKE_MM` within about 0.1 s.
Its final height is at most `MAX_END_MM` above the lowest height of this finger. Absolute heights are not used, because in a reconstructed
motion they can be wrong by millimetres for minutes. A press matches a key if the fingertip is at most `KEY_MARGIN_MM` to the left or right
of the key. Neighbouring white keys are 23.5 mm apart. The metric applies to reconstructed and to generated motion, and any finger may play
a note.

Limits of the metric:

- A finger that rests on a key and presses it without such a stroke is missed.
- A finger that only taps the top of a key is counted.
- Smoothing reduces recall before the motion looks wrong.
- A motion whose heights were fitted to notes agrees with these notes by construction.
- Some matches occur by chance. For the true motion of simulated performances, F1 is 0.96 with their own notes, 0.13 with notes that are
  delayed by a second, and 0.02 with notes of another piece.

mir_eval's matching is not used, because it matches notes with notes, while a press may match several keys. Its pure-Python implementation
would also be slow for the thousands of presses of a video.
"""

from dataclasses import dataclass

import numpy as np
from scipy.signal import find_peaks
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from handroll.hand.skeleton import TIPS
from handroll.keyboard.fingertips_at_onsets import LANDED_S, POISED_S, at_times, landings, playing_width_mm
from handroll.keyboard.geometry import LOWEST_PITCH, STANDARD, is_black, key_at_point
from handroll.tables import State

TOLERANCE_S = 0.1
"""Maximum time between a press and its note (s). At 24 to 60 frames per second, the time of a stroke is hardly more accurate."""

KEY_MARGIN_MM = 5.0
"""Maximum distance along the keyboard from a fingertip to the key that it presses (mm). It equals the typical error of a fingertip."""

MIN_STROKE_MM = 4.0
"""Minimum length of a stroke (mm). A key moves down by 9 mm, and smoothing can halve a stroke."""

MAX_END_MM = 7.0
"""Maximum height of the end of a stroke above the lowest height of the finger (mm). It is less than the 9 mm by which a key moves."""

# Time step at which fingertips are resampled (s).
_STEP_S = 0.02

# The lowest height of a finger is this percentile of its heights above the key under it.
_LOWEST_PERCENT = 8.0

# Minimum time between two presses of one finger (s).
_MIN_INTERVAL_S = 0.1


@dataclass(frozen=True)
class KeyPresses:
    """Key presses of a motion, ordered by hand and finger, then by time.

    Attributes
    ----------
    time_s : array (press,)
        Time of the stroke, on the motion's clock.
    x_mm, y_mm : array (press,)
        Position of the fingertip at the end of the stroke, in the keyboard frame.
    tip : array (press,), int
        Fingertip: 5 times the index of the hand in `skeleton.HANDS`, plus the index of the finger in `skeleton.FINGERS`.
    """

    time_s: np.ndarray
    x_mm: np.ndarray
    y_mm: np.ndarray
    tip: np.ndarray


def find_presses(time_s, joints_keyboard_mm):
    """Detect the key presses of all ten fingertips of a motion.

    Parameters
    ----------
    time_s : array (frame,)
    joints_keyboard_mm : array (frame, hand 2, joint 21, xyz 3)
        Keyboard frame; NaN where hidden.

    Returns
    -------
    KeyPresses
    """
    if len(time_s) < 2:
        return _key_presses(np.empty((4, 0)))
    steps = np.arange(time_s[0], time_s[-1], _STEP_S)
    tips = np.asarray(joints_keyboard_mm, dtype=np.float64)[:, :, list(TIPS)].reshape(len(time_s), -1, 3)
    x, y, z = np.moveaxis(at_times(time_s, tips, steps), -1, 0)
    key = key_at_point(x, y)
    height = np.where(key >= 0, z - STANDARD.black_height_mm * is_black(np.maximum(key, 0)), np.nan)
    before, after = _mean_around(z, POISED_S), _mean_around(z, LANDED_S)
    x, y, landed = (_mean_around(series, LANDED_S) for series in (x, y, height))
    found = []
    for tip in range(tips.shape[1]):
        known = np.isfinite(height[:, tip])
        if not known.any():
            continue
        low = landed[:, tip] <= np.percentile(height[known, tip], _LOWEST_PERCENT) + MAX_END_MM
        stroke = np.where(low, before[:, tip] - after[:, tip], -np.inf)
        peaks, _ = find_peaks(np.nan_to_num(stroke, nan=-np.inf), height=MIN_STROKE_MM, distance=round(_MIN_INTERVAL_S / _STEP_S))
        found.append(np.stack([steps[peaks], x[peaks, tip], y[peaks, tip], np.full(len(peaks), tip)]))
    return _key_presses(np.concatenate(found, axis=1) if found else np.empty((4, 0)))


def _key_presses(rows):
    """Convert an array (time, x, y and tip 4, press) to `KeyPresses`."""
    time_s, x_mm, y_mm, tip = rows
    return KeyPresses(time_s, x_mm, y_mm, tip.astype(np.int64))


def _mean_around(series, offsets_s):
    """Compute the mean of a series (step, ...) over time offsets from each step; NaN if a value is NaN or outside the series."""
    steps = np.arange(len(series))[:, None] + np.round(offsets_s / _STEP_S).astype(np.int64)
    inside = (steps >= 0) & (steps < len(series))
    values = series[np.clip(steps, 0, len(series) - 1)]
    return np.where(inside.reshape(*inside.shape, *(1,) * (series.ndim - 1)), values, np.nan).mean(axis=1)


def key_press_scores(
    notes,
    time_s,
    joints_keyboard_mm,
    start_s=None,
    end_s=None,
    delay_s=0.0,
    presses=None,
):
    """Score the agreement of a motion's key presses with notes.

    Parameters
    ----------
    notes : dict of str to array (note,)
        Columns of `tables.NOTES`.
    time_s : array (frame,)
    joints_keyboard_mm : array (frame, hand 2, joint 21, xyz 3)
        Keyboard frame; NaN where hidden. Pass all frames of the video even if only a part is scored, because the lowest height of each
        finger is determined from all frames.
    start_s, end_s : float, optional
        Only notes and presses in [start_s, end_s) are scored; None means no limit.
    delay_s : float
        Delay of the notes relative to the motion.
    presses : KeyPresses, optional
        Result of `find_presses` for this motion. It saves time if many parts of one motion are scored.

    Returns
    -------
    dict of str to float
        The columns of `tables.KEY_PRESS_SCORES`. Presses and notes are matched one to one. A note whose hand is hidden counts as missed.
        The landing error excludes notes that are played while a hand is hidden, because this hand may play them. F1 is the share of
        matched items among all presses and notes, which equals the harmonic mean of precision and recall.

        All values are NaN without visible joints. Precision is NaN without presses, recall without notes, and F1 without both.
    """
    joints = np.asarray(joints_keyboard_mm, dtype=np.float64)
    start, end = -np.inf if start_s is None else start_s, np.inf if end_s is None else end_s
    frames = (time_s >= start) & (time_s < end)
    if not np.isfinite(joints[frames]).any():
        return dict.fromkeys(("key_press_precision", "key_press_recall", "key_press_f1", "landing_error_mm"), float("nan"))
    presses = find_presses(time_s, joints) if presses is None else presses
    struck_s = np.asarray(notes["onset_s"], dtype=np.float64) - delay_s
    press_hits, note_hits = match_presses(presses, struck_s, notes["pitch"])
    pressed = (presses.time_s >= start) & (presses.time_s < end)
    struck = (struck_s >= start) & (struck_s < end)
    scored = {name: np.asarray(notes[name])[struck] for name in ("onset_s", "pitch")}
    return {
        "key_press_precision": share_of(press_hits[pressed]),
        "key_press_recall": share_of(note_hits[struck]),
        "key_press_f1": share_of(np.concatenate([press_hits[pressed], note_hits[struck]])),
        "landing_error_mm": _landing_error_mm(scored, time_s, joints, delay_s),
    }


def match_presses(presses, struck_s, pitch):
    """Match presses and notes one to one, with the maximum number of pairs (Hopcroft and Karp 1973).

    Parameters
    ----------
    presses : KeyPresses
    struck_s : array (note,)
        Onsets of the notes, on the motion's clock.
    pitch : array (note,)

    Returns
    -------
    press_hits : array (press,), bool
        Whether a press is matched with a note.
    note_hits : array (note,), bool
        Whether a note is matched with a press.
    """
    return match_pairs(*candidate_pairs(presses, struck_s, pitch), len(presses.time_s), len(struck_s))


def candidate_pairs(presses, struck_s, pitch):
    """List all pairs of a note and a press at its key within `TOLERANCE_S`.

    Parameters
    ----------
    presses : KeyPresses
    struck_s : array (note,)
        Onsets of the notes, on the motion's clock.
    pitch : array (note,)

    Returns
    -------
    note, press : array (pair,), int
        Indices of the note and of the press.
    """
    note, press = pairs_within(presses.time_s, struck_s, TOLERANCE_S)
    left, right = playing_width_mm(np.asarray(pitch).astype(np.int64)[note] - LOWEST_PITCH, presses.y_mm[press])
    on_key = (presses.x_mm[press] >= left - KEY_MARGIN_MM) & (presses.x_mm[press] <= right + KEY_MARGIN_MM)
    return note[on_key], press[on_key]


def pairs_within(press_at, note_at, tolerance):
    """List all pairs of a note and a press whose coordinates, such as their times, differ by at most `tolerance`.

    Parameters
    ----------
    press_at : array (press,)
    note_at : array (note,)
    tolerance : float

    Returns
    -------
    note, press : array (pair,), int
        Indices of the note and of the press, ordered by note.
    """
    order = np.argsort(press_at, kind="stable")
    first = np.searchsorted(press_at[order], note_at - tolerance, side="left")
    last = np.searchsorted(press_at[order], note_at + tolerance, side="right")
    note = np.repeat(np.arange(len(note_at)), last - first)
    # The candidates of a note are the presses `first` to `last` - 1 in the order of `press_at`.
    return note, order[np.arange(len(note)) - np.repeat(np.cumsum(last - first) - last, last - first)]


def match_pairs(note, press, presses, notes):
    """Match presses and notes one to one, with the maximum number of pairs (Hopcroft and Karp 1973).

    Parameters
    ----------
    note, press : array (pair,), int
        Pairs that may be matched: indices of the note and of the press.
    presses, notes : int
        Number of presses and of notes.

    Returns
    -------
    press_hits : array (press,), bool
        Whether a press is matched with a note.
    note_hits : array (note,), bool
        Whether a note is matched with a press.
    """
    pairs = csr_array((np.ones(len(note), dtype=bool), (note, press)), shape=(notes, presses))
    partner = maximum_bipartite_matching(pairs, perm_type="column")
    press_hits = np.zeros(presses, dtype=bool)
    press_hits[partner[partner >= 0]] = True
    return press_hits, partner >= 0


def _landing_error_mm(notes, time_s, joints, delay_s):
    """Compute the mean distance along the keyboard between the played key and the nearest fingertip.

    The distance is 0 if the fingertip is within the playing width of the key.

    The mean includes only notes for which both hands are visible. Otherwise the hidden hand may play the note, and the distance of the
    other hand would be meaningless.
    """
    state = np.where(np.isfinite(joints).any(axis=(2, 3)), State.OBSERVED, State.HIDDEN)
    landing = landings(notes, time_s, joints, state, delay_s)
    outside = np.maximum(np.abs(landing.offset_mm) - landing.half_width_mm, 0.0)
    nearest = outside.min(axis=(1, 2))
    return float(np.nanmean(nearest)) if np.isfinite(nearest).any() else float("nan")


def share_of(hits):
    """Return the share of true values; NaN for an empty array."""
    return float(hits.mean()) if len(hits) else float("nan")
