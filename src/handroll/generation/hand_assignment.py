"""Assign each note to the left or the right hand: a beam search over chords that minimises the movement of both hands.

Notes that start within `CHORD_S` form a chord. Each hypothesis of the search holds the position of both hands and the keys that they hold.
For each chord, the lower notes go to the left hand and the higher ones to the right hand, with every possible number of lower notes; a
chord of few notes may also be divided with crossed hands. The costs are handroll's own choice; most are millimetres of hand movement. They
use the range of the fingers from `wrist_trajectory`, so that a hand gets only keys that it can reach.
"""

from dataclasses import dataclass

import numpy as np

from handroll.generation.wrist_trajectory import COMFORT_MM, OFFSETS_MM, REACH_MM
from handroll.hand.skeleton import HANDS
from handroll.keyboard.geometry import key_centres_x_mm, key_of_pitch

CHORD_S = 0.04
"""Maximum time from the first onset of a chord to its other onsets (s). Real chords are spread over up to 30 ms."""

UNKNOWN = -1
"""Hand of a note that is not given."""

_LEFT, _RIGHT = (HANDS.index(name) for name in ("left", "right"))

# Number of hypotheses of the search.
_BEAM = 48

# Maximum number of keys that a hypothesis holds for each hand, and maximum number of notes that a hand strikes at once.
_HELD, _FINGERS = 8, 5

# Chords of at most this many notes may be divided with crossed hands.
_CROSSED_NOTES = 2

# Range of the reference point of a right hand of bone scale 1, relative to the leftmost and to the rightmost key of a chord: from the
# highest key minus the first value to the lowest key plus the second value. The thumb is on the left side.
_REACH = OFFSETS_MM[-1, 0] + REACH_MM[-1, 1], -(OFFSETS_MM[0, 0] + REACH_MM[0, 0])
_COMFORT = OFFSETS_MM[-1, 0] + COMFORT_MM[-1, 1], -(OFFSETS_MM[0, 0] + COMFORT_MM[0, 0])

# Cost of each millimetre by which a chord is wider than the comfortable range, and than the maximum range.
_STRETCH, _TOO_WIDE = 0.5, 8.0

# Cost of a chord that is wider than the maximum range, and of each note that exceeds the number of fingers.
_UNREACHABLE, _EXTRA_NOTE = 250.0, 250.0

# Cost of a key that is released early because the hand is needed elsewhere, and of each second of its remaining duration.
_EARLY_RELEASE, _EARLY_RELEASE_PER_S, _MAX_EARLY_S = 12.0, 25.0, 1.5

# Minimum time (s) between two chords in the computation of the speed of a hand; speed (mm/s) above which movement costs more; and cost of
# each mm/s above it.
_MIN_STEP_S, _FREE_SPEED, _SPEED = 0.05, 1200.0, 0.04

# Minimum distance (mm) between the reference points of the hands, at which their thumbs do not meet, and cost of each millimetre below it.
_APART_MM, _NEAR = 105.0, 1.5

# Cost of hands that cross.
_CROSSED = 160.0

# Cost of a key on the other side of the middle of the keyboard (about D4) for each millimetre.
_OTHER_SIDE, _MIDDLE_X_MM = 0.05, 611.0

# Cost of striking a key again with the other hand within a second.
_OTHER_HAND_REPEATS = 25.0


@dataclass
class _Hypotheses:
    """Hypotheses of the beam search.

    Attributes
    ----------
    cost : array (hypothesis,)
    position_mm, moved_s : array (hypothesis, hand 2)
        x of the hand's reference point, NaN before its first note; time at which the hand struck last.
    held_x_mm, held_until_s : array (hypothesis, hand 2, slot)
        Keys that the hand holds, and their releases; -inf for an empty slot.
    """

    cost: np.ndarray
    position_mm: np.ndarray
    moved_s: np.ndarray
    held_x_mm: np.ndarray
    held_until_s: np.ndarray

    def at(self, index):
        """Return the hypotheses with these indices."""
        return _Hypotheses(*(getattr(self, name)[index] for name in self.__dataclass_fields__))


def chords_of(onset_s):
    """Group notes into chords.

    Parameters
    ----------
    onset_s : array (note,)
        Increasing onsets.

    Returns
    -------
    list of slice
        Notes of each chord.
    """
    starts, first = [], -np.inf
    for note, time_s in enumerate(onset_s):
        if time_s - first > CHORD_S:
            starts.append(note)
            first = time_s
    return [slice(start, end) for start, end in zip(starts, [*starts[1:], len(onset_s)], strict=False)]


def assign_hands(notes, given=None, hand_scale=(1.0, 1.0)):
    """Choose the hand that plays each note.

    Parameters
    ----------
    notes : dict of str to array (note,)
        Columns of `tables.NOTES`, in order of onset.
    given : array (note,), int, optional
        Known hands as indices into `skeleton.HANDS`, `UNKNOWN` for others. They are kept.
    hand_scale : (float, float)
        Bone scale of the left and the right hand.

    Returns
    -------
    array (note,), int
        Index into `skeleton.HANDS`.
    """
    onset_s, release_s = notes["onset_s"], notes["key_offset_s"]
    pitch = notes["pitch"].astype(int)
    x_mm = key_centres_x_mm()[key_of_pitch(pitch)]
    given = np.full(len(pitch), UNKNOWN) if given is None else np.asarray(given)
    beam = _Hypotheses(
        np.zeros(1), np.full((1, 2), np.nan), np.full((1, 2), -np.inf), np.zeros((1, 2, _HELD)), np.full((1, 2, _HELD), -np.inf)
    )
    steps = []
    for chord in chords_of(onset_s):
        order = chord.start + np.lexsort((pitch[chord],))
        options = _divisions(given[order])
        now, options_of, parent = [], [], []
        for number, hands in enumerate(options):
            now.append(_extend(beam, hands, x_mm[order], onset_s[chord.start], release_s[order], hand_scale))
            options_of.append(np.full(len(beam.cost), number))
            parent.append(np.arange(len(beam.cost)))
        merged = _Hypotheses(*(np.concatenate([getattr(part, name) for part in now]) for name in beam.__dataclass_fields__))
        options_of, parent = np.concatenate(options_of), np.concatenate(parent)
        best = np.argsort(merged.cost, kind="stable")[:_BEAM]
        beam = merged.at(best)
        beam.cost -= beam.cost[0]
        steps.append((order, options, options_of[best], parent[best]))
    hand = np.zeros(len(pitch), dtype=int)
    best = 0
    for order, options, options_of, parent in reversed(steps):
        hand[order] = options[options_of[best]]
        best = parent[best]
    return hand


def _divisions(given):
    """List the divisions of a chord: arrays (note,) of hands, for notes of increasing pitch. `given`: known hands (note,)."""
    size = len(given)
    low = np.arange(size)
    found = [np.where(low < number, _LEFT, _RIGHT) for number in range(size + 1)]
    if 1 < size <= _CROSSED_NOTES:
        found += [np.where(low < number, _RIGHT, _LEFT) for number in range(1, size)]
    known = given != UNKNOWN
    if not known.any():
        return found
    kept = [hands for hands in found if (hands[known] == given[known]).all()]
    return kept or [np.where(known, given, np.where(low < size / 2, _LEFT, _RIGHT))]


def _extend(beam, hands, x_mm, time_s, release_s, hand_scale):
    """Extend all hypotheses by a chord whose notes, with keys at `x_mm` (note,), are played by `hands` (note,)."""
    cost, position = beam.cost.copy(), beam.position_mm.copy()
    moved, held_x, held_until = beam.moved_s.copy(), beam.held_x_mm.copy(), beam.held_until_s.copy()
    for side, scale in enumerate(hand_scale):
        struck = x_mm[hands == side]
        if not len(struck):
            continue
        comfort_below, comfort_above = scale * np.array(_COMFORT if side == _RIGHT else _COMFORT[::-1])
        below, above = scale * np.array(_REACH if side == _RIGHT else _REACH[::-1])
        cost += _EXTRA_NOTE * max(len(struck) - _FINGERS, 0)
        cost += _OTHER_SIDE * np.maximum((_MIDDLE_X_MM - struck) * (1 if side == _RIGHT else -1), 0.0).sum()
        sounding = held_until[:, side] > time_s + CHORD_S
        again = (held_until[:, 1 - side, :, None] > time_s - 1.0) & (held_x[:, 1 - side, :, None] == struck)
        cost += _OTHER_HAND_REPEATS * again.any(1).sum(1)
        # Held keys that are too far from the struck keys are released.
        kept = sounding & (np.maximum(held_x[:, side], struck.max()) - np.minimum(held_x[:, side], struck.min()) <= below + above)
        low = np.minimum(np.where(kept, held_x[:, side], np.inf).min(1), struck.min())
        high = np.maximum(np.where(kept, held_x[:, side], -np.inf).max(1), struck.max())
        wide = (high - low > below + above) | (kept.sum(1) + len(struck) > _FINGERS)
        kept &= ~wide[:, None]
        low, high = np.where(wide, struck.min(), low), np.where(wide, struck.max(), high)
        early_s = np.clip(held_until[:, side] - time_s, 0.0, _MAX_EARLY_S)
        cost += (sounding & ~kept) @ np.full(_HELD, _EARLY_RELEASE) + np.where(sounding & ~kept, early_s, 0.0).sum(1) * _EARLY_RELEASE_PER_S
        excess = high - low - below - above
        cost += np.where(excess > 0.0, _UNREACHABLE + _TOO_WIDE * excess, 0.0)
        cost += _STRETCH * np.maximum(high - low - comfort_below - comfort_above, 0.0)
        middle = 0.5 * (high - below + low + above)
        start, end = np.minimum(high - below, middle), np.maximum(low + above, middle)
        target = np.where(
            np.isnan(position[:, side]), 0.5 * (high - comfort_below + low + comfort_above), np.clip(position[:, side], start, end)
        )
        travel = np.nan_to_num(np.abs(target - position[:, side]))
        speed = travel / np.maximum(time_s - moved[:, side], _MIN_STEP_S)
        cost += travel + _SPEED * np.maximum(speed - _FREE_SPEED, 0.0)
        position[:, side], moved[:, side] = target, time_s
        # The slots of the released keys are reused.
        until = np.where(kept, held_until[:, side], -np.inf)
        slots = np.argsort(until, axis=1)[:, : min(len(struck), _HELD)]
        np.put_along_axis(until, slots, release_s[hands == side][:_HELD], axis=1)
        np.put_along_axis(held_x[:, side], slots, struck[:_HELD], axis=1)
        held_until[:, side] = until
    apart = position[:, _RIGHT] - position[:, _LEFT]
    active = held_until.max(2) > time_s
    both = active.all(1)
    crossed = both & (apart < 0.0)
    cost += np.where(both, _NEAR * np.maximum(_APART_MM - np.abs(apart), 0.0), 0.0) + _CROSSED * crossed
    # A hand that holds no key is moved away from the other hand.
    for side, sign in ((_LEFT, -1.0), (_RIGHT, 1.0)):
        give_way = ~active[:, side] & (apart < _APART_MM)
        position[:, side] = np.where(give_way, position[:, 1 - side] + sign * _APART_MM, position[:, side])
    return _Hypotheses(cost, position, moved, held_x, held_until)
