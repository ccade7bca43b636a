"""Does a motion play the notes? Presses seen in the fingertips alone, matched with the notes that sound.

A press is a stroke: a fingertip over the keys comes down by at least `STROKE_MM` within about 0.1 s and ends near the lowest
that this finger reaches. Absolute heights are not used, because in a reconstructed motion they are wrong by whole millimetres
for minutes. Its key is what lies under the tip, give or take `ASIDE_MM` along the keys, of which neighbouring white keys have
23.5. Any motion can be judged, reconstructed or generated; nobody says which finger should have played.

Limits: a finger that rests on a key and presses without a stroke of that size is missed; one that only taps the key's top is
counted; a motion flattened by smoothing loses recall before it looks wrong. A motion whose heights were fitted to the notes
agrees with them by construction. Even music a second late has chance hits: true motion of the synthetic pianist scores an F1
of 0.96, with the notes a second late 0.13, with another piece's 0.02.
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
"""A press belongs to a note struck within this time. Strokes of a motion filmed at 24 to 60 Hz are not sharper by much."""

ASIDE_MM = 5.0
"""A fingertip so far beside a key may press it: about the error along the keys of a reconstructed fingertip."""

STROKE_MM = 4.0
"""Least stroke. A key goes down by 9 mm; half of that is what smoothing leaves of many a stroke."""

LOW_MM = 7.0
"""A stroke ends no higher than this above the lowest that its finger reaches: less than the key's travel."""

_STEP_S = 0.02
_LOWEST_PERCENT = 8.0
# What a finger reaches: this percentile of its heights over the keys.
_APART_S = 0.1
# One finger presses no faster than this: ten times a second.


@dataclass(frozen=True)
class KeyPresses:
    """Presses found in a motion, by hand and finger, then time.

    Attributes
    ----------
    time_s : array (press,)
    x_mm, y_mm : array (press,)
        Where the fingertip lands, keyboard frame.
    """

    time_s: np.ndarray
    x_mm: np.ndarray
    y_mm: np.ndarray


def find_presses(time_s, joints_keyboard_mm, stroke_mm=STROKE_MM, low_mm=LOW_MM):
    """The presses of a motion's ten fingertips.

    Parameters
    ----------
    time_s : array (frame,)
    joints_keyboard_mm : array (frame, hand 2, joint 21, xyz 3)
        Keyboard frame; NaN where hidden.
    stroke_mm, low_mm : float
        As `STROKE_MM` and `LOW_MM`.

    Returns
    -------
    KeyPresses
    """
    if len(time_s) < 2:
        return KeyPresses(*np.empty((3, 0)))
    steps = np.arange(time_s[0], time_s[-1], _STEP_S)
    tips = np.asarray(joints_keyboard_mm, dtype=np.float64)[:, :, list(TIPS)].reshape(len(time_s), -1, 3)
    x, y, z = np.moveaxis(at_times(time_s, tips, steps), -1, 0)
    key = key_at_point(x, y)
    height = np.where(key >= 0, z - STANDARD.black_height_mm * is_black(np.maximum(key, 0)), np.nan)
    before, after = _mean_around(z, POISED_S), _mean_around(z, LANDED_S)
    x, y, landed = (_mean_around(series, LANDED_S) for series in (x, y, height))
    found = []
    for tip in range(tips.shape[1]):
        seen = np.isfinite(height[:, tip])
        if not seen.any():
            continue
        low = landed[:, tip] <= np.percentile(height[seen, tip], _LOWEST_PERCENT) + low_mm
        stroke = np.where(low, before[:, tip] - after[:, tip], -np.inf)
        peaks, _ = find_peaks(np.nan_to_num(stroke, nan=-np.inf), height=stroke_mm, distance=round(_APART_S / _STEP_S))
        found.append(np.stack([steps[peaks], x[peaks, tip], y[peaks, tip]]))
    return KeyPresses(*(np.concatenate(found, axis=1) if found else np.empty((3, 0))))


def _mean_around(series, offsets_s):
    """Mean of a series (step, ...) over some offsets from each step; NaN where one of them is outside or not known."""
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
    tolerance_s=TOLERANCE_S,
    aside_mm=ASIDE_MM,
    stroke_mm=STROKE_MM,
    low_mm=LOW_MM,
    presses=None,
):
    """How well a motion's presses agree with the notes.

    Parameters
    ----------
    notes : dict of str to array (note,)
        `tables.NOTES`.
    time_s : array (frame,)
    joints_keyboard_mm : array (frame, hand 2, joint 21, xyz 3)
        Keyboard frame; NaN where hidden. All of a video's or motion's frames, also where a part is scored: the lowest that a
        finger reaches is taken from them.
    start_s, end_s : float, optional
        Score the notes and presses from `start_s` to before `end_s`; all of them where None.
    delay_s : float
        How much later than the motion the notes come.
    tolerance_s, aside_mm, stroke_mm, low_mm : float
        As `TOLERANCE_S`, `ASIDE_MM`, `STROKE_MM`, `LOW_MM`.
    presses : KeyPresses, optional
        What `find_presses` finds in this motion, where many parts of it are scored.

    Returns
    -------
    dict of str to float
        `tables.KEY_PRESS_SCORES`. Every press matches at most one note, and the other way round. A note whose hand is hidden
        is missed; it does not count for the landing error, nor does any while a hand is hidden, since that may be the one. All
        are NaN where no joint is known; precision where nothing is pressed, recall where there is no note, F1 where there is
        neither. F1 is the share of presses and notes together that are matched, which is the harmonic mean.
    """
    joints = np.asarray(joints_keyboard_mm, dtype=np.float64)
    start, end = -np.inf if start_s is None else start_s, np.inf if end_s is None else end_s
    frames = (time_s >= start) & (time_s < end)
    if not np.isfinite(joints[frames]).any():
        return dict.fromkeys(("key_press_precision", "key_press_recall", "key_press_f1", "landing_error_mm"), float("nan"))
    presses = find_presses(time_s, joints, stroke_mm, low_mm) if presses is None else presses
    struck_s = np.asarray(notes["onset_s"], dtype=np.float64) - delay_s
    press_hits, note_hits = match_presses(presses, struck_s, notes["pitch"], tolerance_s, aside_mm)
    pressed = (presses.time_s >= start) & (presses.time_s < end)
    struck = (struck_s >= start) & (struck_s < end)
    scored = {name: np.asarray(notes[name])[struck] for name in ("onset_s", "pitch")}
    return {
        "key_press_precision": _share(press_hits[pressed]),
        "key_press_recall": _share(note_hits[struck]),
        "key_press_f1": _share(np.concatenate([press_hits[pressed], note_hits[struck]])),
        "landing_error_mm": _landing_error_mm(scored, time_s, joints, delay_s),
    }


def match_presses(presses, struck_s, pitch, tolerance_s=TOLERANCE_S, aside_mm=ASIDE_MM):
    """Which presses and which notes have a partner, when as many as possible are given one (Hopcroft and Karp 1973).

    Parameters
    ----------
    presses : KeyPresses
    struck_s : array (note,)
        When the keys of the notes go down, in the motion's time.
    pitch : array (note,)
    tolerance_s, aside_mm
        As of `key_press_scores`.

    Returns
    -------
    press_hits : array (press,), bool
    note_hits : array (note,), bool
    """
    order = np.argsort(presses.time_s, kind="stable")
    first = np.searchsorted(presses.time_s[order], struck_s - tolerance_s, side="left")
    last = np.searchsorted(presses.time_s[order], struck_s + tolerance_s, side="right")
    note = np.repeat(np.arange(len(struck_s)), last - first)
    # The nth candidate of a note: `first` of it, and n more.
    press = order[np.arange(len(note)) - np.repeat(np.cumsum(last - first) - last, last - first)]
    left, right = playing_width_mm(np.asarray(pitch).astype(np.int64)[note] - LOWEST_PITCH, presses.y_mm[press])
    on_key = (presses.x_mm[press] >= left - aside_mm) & (presses.x_mm[press] <= right + aside_mm)
    pairs = csr_array((on_key[on_key], (note[on_key], press[on_key])), shape=(len(struck_s), len(presses.time_s)))
    partner = maximum_bipartite_matching(pairs, perm_type="column")
    press_hits = np.zeros(len(presses.time_s), dtype=bool)
    press_hits[partner[partner >= 0]] = True
    return press_hits, partner >= 0


def _landing_error_mm(notes, time_s, joints, delay_s):
    """Mean distance of the nearest fingertip from the key's playing width, of the notes with both hands in the picture.

    Where a hand is hidden it may be the one that plays, and the other's distance says nothing.
    """
    shown = np.where(np.isfinite(joints).any(axis=(2, 3)), State.OBSERVED, State.HIDDEN)
    landing = landings(notes, time_s, joints, shown, delay_s)
    outside = np.maximum(np.abs(landing.offset_mm) - landing.half_width_mm, 0.0)
    nearest = outside.min(axis=(1, 2))
    return float(np.nanmean(nearest)) if np.isfinite(nearest).any() else float("nan")


def _share(hits):
    """Share of True; NaN of nothing."""
    return float(hits.mean()) if len(hits) else float("nan")
