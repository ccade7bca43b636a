"""Key presses by the height of the fingertips, as in Tipiano (Bae et al. 2026, arXiv:2604.09692), and their agreement with notes.

A key is pressed while a fingertip is over it and below a height. White and black keys have different heights. A press starts when the key
changes from not pressed to pressed. Presses are matched one to one with notes of the same key, whose onset is at most
`key_press.TOLERANCE_S` away. Any finger may play a note.

The heights depend on the hand model and on the data, since a fingertip is a joint inside the finger, and heights of reconstructed motion
have constant errors. Therefore they are calibrated: they maximise F1 of the ground truth. Tipiano's heights, for MANO's fingertips and
motion capture, are -1.19 mm on white and +10.38 mm on black keys.

Differences from `metrics.key_press`:

- Heights are absolute. A motion that is too high by a few millimetres presses nothing.
- A slow press and a press without a stroke count. A finger that slides from a held key to the next key presses both.
- A fingertip must be over the key itself, without a margin.

The paper's abstract and figures are public, its code is not. The tolerance in time and the matching are handroll's.
"""

from dataclasses import dataclass

import numpy as np

from handroll.hand.skeleton import TIPS
from handroll.keyboard.geometry import LOWEST_PITCH, N_KEYS, STANDARD, is_black, key_at_point
from handroll.metrics.key_press import TOLERANCE_S, match_pairs, pairs_within, share_of

CANDIDATES_MM = np.arange(-15.0, 26.0)
"""Heights among which the calibration chooses (mm), relative to the top of the key at rest."""

SCORES = ("height_press_precision", "height_press_recall", "height_press_f1")
"""Names of the scores."""


@dataclass(frozen=True)
class PressHeights:
    """Heights of the fingertips below which a key counts as pressed.

    Attributes
    ----------
    white_mm, black_mm : float
        z in the keyboard frame (mm): above the top of the white keys at rest, for both colours. NaN without calibration.
    """

    white_mm: float
    black_mm: float


@dataclass(frozen=True)
class Scored:
    """A motion and the notes that it should play.

    Attributes
    ----------
    notes : dict of str to array (note,)
        Columns of `tables.NOTES`.
    time_s : array (frame,)
    joints_keyboard_mm : array (frame, hand 2, joint 21, xyz 3)
        Keyboard frame; NaN where hidden.
    start_s, end_s : float
        Only notes and presses in [start_s, end_s) are scored.
    delay_s : float
        Delay of the notes relative to the motion.
    """

    notes: dict[str, np.ndarray]
    time_s: np.ndarray
    joints_keyboard_mm: np.ndarray
    start_s: float = -np.inf
    end_s: float = np.inf
    delay_s: float = 0.0


def tips_over_keys(joints_keyboard_mm):
    """Find the key under each fingertip, and the height of the fingertip.

    Parameters
    ----------
    joints_keyboard_mm : array (frame, hand 2, joint 21, xyz 3)
        Keyboard frame; NaN where hidden.

    Returns
    -------
    key : array (frame, tip 10), int
        Key 0..87; -1 if the fingertip is hidden or not over the keyboard. Fingertips of the left hand are first.
    height_mm : array (frame, tip 10)
        Height of the fingertip above the top of this key at rest; NaN if it is hidden.
    """
    tips = np.asarray(joints_keyboard_mm, dtype=np.float64)[:, :, list(TIPS)].reshape(len(joints_keyboard_mm), -1, 3)
    key = key_at_point(tips[..., 0], tips[..., 1])
    return key, tips[..., 2] - STANDARD.black_height_mm * is_black(np.maximum(key, 0))


def calibrate_heights(motions):
    """Choose the heights for which the F1 of true motions is highest, for white and for black keys separately.

    Parameters
    ----------
    motions : iterable of Scored
        Ground truth.

    Returns
    -------
    PressHeights
        F1 is computed over the notes and presses of all motions together. Among equally good candidates, the middle one is chosen. If a
        colour has no notes, its height relative to its keys is that of the other colour. Without any notes, both are NaN.
    """
    hits, items = np.zeros((2, len(CANDIDATES_MM))), np.zeros((2, len(CANDIDATES_MM)))
    notes = np.zeros(2)
    for motion in motions:
        key, height = tips_over_keys(motion.joints_keyboard_mm)
        for number, candidate in enumerate(CANDIDATES_MM):
            of_press, of_note = _hits(motion, key, height <= candidate)
            for (keys, found), count in ((of_press, False), (of_note, number == 0)):
                black = is_black(keys).astype(np.int64)
                hits[:, number] += np.bincount(black[found], minlength=2)
                items[:, number] += np.bincount(black, minlength=2)
                notes += np.bincount(black, minlength=2) * count
    f1 = hits / np.maximum(items, 1.0)
    chosen = []
    for of_colour in f1:
        best = np.flatnonzero(of_colour == of_colour.max())
        chosen.append(CANDIDATES_MM[best[len(best) // 2]])
    white, black = np.where(notes > 0, chosen, np.nan)
    white, black = (float(value if np.isfinite(value) else other) for value, other in ((white, black), (black, white)))
    return PressHeights(white, STANDARD.black_height_mm + black)


def height_press_scores(motion, heights):
    """Score the agreement of the presses of a motion with notes.

    Parameters
    ----------
    motion : Scored
    heights : PressHeights
        Result of `calibrate_heights` for the ground truth.

    Returns
    -------
    dict of str to float
        `height_press_precision`, `height_press_recall` and `height_press_f1`. A note whose hand is hidden counts as missed. A key that is
        already pressed in the first frame in which its hand is visible counts only if it matches a note, since its press may have started
        earlier. F1 is the share of matched items among all presses and notes.

        All values are NaN without visible joints or without calibration. Precision is NaN without presses, recall without notes, and F1
        without both.
    """
    frames = (motion.time_s >= motion.start_s) & (motion.time_s < motion.end_s)
    if not np.isfinite(motion.joints_keyboard_mm[frames]).any() or np.isnan(heights.white_mm):
        return dict.fromkeys(SCORES, float("nan"))
    key, height = tips_over_keys(motion.joints_keyboard_mm)
    limit = np.where(is_black(np.maximum(key, 0)), heights.black_mm - STANDARD.black_height_mm, heights.white_mm)
    (_, press_hits), (_, note_hits) = _hits(motion, key, height <= limit)
    values = share_of(press_hits), share_of(note_hits), share_of(np.concatenate([press_hits, note_hits]))
    return dict(zip(SCORES, values, strict=True))


def _hits(motion, key, low):
    """Match presses with notes. Returns the key and the success of each scored press, and the same for each scored note.

    `key` (frame, tip) is the key under each fingertip. `low` (frame, tip), bool, is True if the fingertip is below the height.
    """
    press_s, press_key, whole = _presses(motion.time_s, key, low & (key >= 0), np.isfinite(motion.joints_keyboard_mm).all(axis=(2, 3)))
    struck_s = np.asarray(motion.notes["onset_s"], dtype=np.float64) - motion.delay_s
    note_key = np.asarray(motion.notes["pitch"]).astype(np.int64) - LOWEST_PITCH
    # Keys are far apart on this axis, so that only presses and notes of the same key are near each other.
    times = np.concatenate([press_s, struck_s, [0.0]])
    apart = np.ptp(times) + 2.0 * TOLERANCE_S + 1.0
    pairs = pairs_within(press_s + apart * press_key, struck_s + apart * note_key, TOLERANCE_S)
    press_hits, note_hits = match_pairs(*pairs, len(press_s), len(struck_s))
    pressed = (press_s >= motion.start_s) & (press_s < motion.end_s) & (whole | press_hits)
    struck = (struck_s >= motion.start_s) & (struck_s < motion.end_s)
    return (press_key[pressed], press_hits[pressed]), (note_key[struck], note_hits[struck])


def _presses(time_s, key, down, visible):
    """Find the presses of all keys.

    Returns the time (press,) and the key (press,) of each press, and whether its start is visible (press,). `down` (frame, tip), bool,
    is True if a fingertip presses the key `key` (frame, tip). `visible` (frame, hand), bool.
    """
    pressed, unseen = np.zeros((2, len(time_s) + 1, N_KEYS), dtype=bool)
    frame, tip = np.nonzero(down)
    pressed[frame + 1, key[frame, tip]] = True
    before = np.concatenate([np.zeros((1, visible.shape[1]), dtype=bool), visible[:-1]])
    hidden = ~before[frame, tip // (down.shape[1] // visible.shape[1])]
    unseen[frame[hidden] + 1, key[frame, tip][hidden]] = True
    frame, key = np.nonzero(pressed[1:] & ~pressed[:-1])
    return time_s[frame], key, ~unseen[frame + 1, key]
