"""Motion from notes without training: choose hands and fingers, plan the motion, and repair what cannot be played.

A chord that is too wide for a hand is rolled: its notes are struck one after the other. A note that no finger can play, or for which the
hands would have to pass through each other, is left out. Both are reported.
"""

from dataclasses import dataclass, replace

import numpy as np
from threadpoolctl import threadpool_limits

from handroll.generation.fingering import DEFAULT_COSTS, UNPLAYED, finger_notes, grips_of
from handroll.generation.hand_assignment import CHORD_S, UNKNOWN, assign_hands, chords_of
from handroll.generation.perform_apart import perform_apart
from handroll.generation.performance import Performance
from handroll.hand.skeleton import FINGERS, HANDS

FPS = 60.0
"""Default frame rate of a planned motion (frames/s). A fast stroke takes less than two frames at 30 frames/s."""

HAND_SIZES = (0.8, 1.25)
"""Minimum and maximum bone scale of a pianist's hands."""

# Time between the notes of a rolled chord. It is longer than `CHORD_S`.
_ROLL_S = CHORD_S + 0.02

# Maximum number of times that hands are chosen for notes whose given hand cannot play them.
_REASSIGNMENTS = 2

_LEFT = HANDS.index("left")


def check_hand_size(size):
    """Raise ValueError for a bone scale outside `HAND_SIZES`."""
    if not HAND_SIZES[0] <= size <= HAND_SIZES[1]:
        raise ValueError(f"hand size: expected {HAND_SIZES[0]:g} to {HAND_SIZES[1]:g}, found {size:g}")


@dataclass(frozen=True)
class Plan:
    """A planned performance, and what was changed in its notes.

    Attributes
    ----------
    performance : Performance
        Contains the notes that are played. A rolled chord has its new onsets.
    left_out : array (note,), bool
        Notes of the input that are not played.
    rolled : array (note,), bool
        Notes of the input that are struck later than written, because their chord is too wide.
    other_hand : array (note,), bool
        Notes of the input whose given hand cannot play them, so that hands were chosen for them.
    """

    performance: Performance
    left_out: np.ndarray
    rolled: np.ndarray
    other_hand: np.ndarray


# BLAS threads wait for each other at each of thousands of tiny matrices. On a busy computer this takes many times as long as one thread.
@threadpool_limits.wrap(limits=1, user_api="blas")
def plan_performance(notes, pedal, duration_s, seed=0, fps=FPS, hand_scale=(1.0, 1.0), hand=None, finger=None, costs=(DEFAULT_COSTS,) * 2):
    """Plan the motion of both hands for notes.

    Parameters
    ----------
    notes, pedal : dict of str to array
        Columns of `tables.NOTES`, in order of onset, and of `tables.PEDAL`.
    duration_s : float
    seed : int
        Random seed of the variations of movement.
    fps : float
        Frame rate.
    hand_scale : (float, float)
        Bone scale of the left and the right hand.
    hand, finger : array (note,), int, optional
        Known hands (`hand_assignment.UNKNOWN` for others) and fingers (`fingering.UNPLAYED` for others). Notes that the known hand cannot
        play may get the other hand.
    costs : (FingeringCosts, FingeringCosts)
        Costs of the fingering of the left and of the right hand.

    Returns
    -------
    Plan
    """
    given = np.full(len(notes["pitch"]), UNKNOWN) if hand is None else np.asarray(hand)
    options = notes, pedal, duration_s, seed, fps, hand_scale, finger, costs
    plan = _plan_with_hands(given, *options)
    other_hand = np.zeros(len(given), dtype=bool)
    for _ in range(_REASSIGNMENTS):
        released = other_hand | (plan.left_out & (given != UNKNOWN))
        if (released == other_hand).all():
            break
        again = _plan_with_hands(np.where(released, UNKNOWN, given), *options)
        if again.left_out.sum() >= plan.left_out.sum():
            break
        plan, other_hand = replace(again, other_hand=released), released
    return plan


def _plan_with_hands(given, notes, pedal, duration_s, seed, fps, hand_scale, finger, costs):
    """Plan a performance in which the given hands (note,) are kept; for the other arguments, see `plan_performance`."""
    hand = assign_hands(notes, given, hand_scale)
    onset_s = _roll_wide_chords(notes, hand, hand_scale)
    order = np.lexsort((notes["pitch"], onset_s))
    struck = {name: values[order] for name, values in notes.items()} | {"onset_s": onset_s[order]}
    hand_of, known = hand[order], None if finger is None else finger[order]
    chosen = finger_notes(struck, pedal, hand_of, known, costs, hand_scale)
    performance, chosen = perform_apart(struck, pedal, duration_s, hand_of, chosen, seed, fps, hand_scale)
    left_out = np.zeros(len(hand), dtype=bool)
    left_out[order[chosen == UNPLAYED]] = True
    return Plan(performance, left_out, onset_s != notes["onset_s"], np.zeros(len(hand), dtype=bool))


def _roll_wide_chords(notes, hand, hand_scale):
    """Return the onsets (note,) after chords that are too wide for their hand (note,) are rolled from the lowest to the highest note."""
    onset_s = notes["onset_s"].copy()
    pitch = notes["pitch"].astype(int)
    for side, scale in enumerate(hand_scale):
        mirror = -1 if side == _LEFT else 1
        rows = np.flatnonzero(hand == side)
        chords = [rows[chord] for chord in chords_of(notes["onset_s"][rows])]
        nexts = [notes["onset_s"][chord[0]] for chord in chords[1:]] + [np.inf]
        for chord, next_s in zip(chords, nexts, strict=False):
            rising = chord[np.argsort(pitch[chord])]
            groups, first = [], 0
            for number in range(1, len(rising) + 1):
                part = tuple(pitch[rising[first : number + 1]].tolist())
                if number == len(rising) or (len(part) <= len(FINGERS) and not grips_of(part, mirror, scale).reachable.any()):
                    groups.append(rising[first:number])
                    first = number
            start_s = notes["onset_s"][chord].min()
            fits = start_s + len(groups) * _ROLL_S < next_s - CHORD_S
            enough = all((notes["key_offset_s"][group] > start_s + (k + 1) * _ROLL_S).all() for k, group in enumerate(groups))
            if len(groups) > 1 and fits and enough:
                for k, group in enumerate(groups[1:], 1):
                    onset_s[group] = start_s + k * _ROLL_S
    return onset_s
