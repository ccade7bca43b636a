"""Fingers for music that has none: the way to play a hand's part that moves the hand least, by what fingers reach in `plan`.

Dynamic programming over the ways to hold each chord (Parncutt et al. 1997, doi:10.2307/40285730, for single notes; Al Kasimi et
al. 2007, ISMIR, for chords). What it costs to hold or to leave a chord is handroll's own choice: mostly millimetres that
the hand moves or stretches. So black keys, thumbs passed under and the usual fingers of scales follow from geometry.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, pairwise

import numpy as np

from handroll.generation.wrist_trajectory import COMFORT_MM, REACH_MM, corridor
from handroll.hand.skeleton import FINGERS, HANDS
from handroll.keyboard.geometry import STANDARD, is_black, key_centres_x_mm, key_of_pitch

_STRETCH = 3.0
# What a millimetre beyond the easy range of the fingers costs, where a millimetre that the hand moves costs 1.
_UNREACHABLE = 1000.0
_THUMB_ON_BLACK, _PINKY_ON_BLACK = 50.0, 15.0
_FINGER_COST = np.array([0.0, 0.0, 0.0, 3.0, 4.0])
_PASS, _LEAP, _SAME_FINGER = 35.0, 120.0, 60.0
# The thumb passed under or a finger over it; any other crossing; one finger on two keys in turn.
_PASS_MOST_MM = 2.2 * STANDARD.white_pitch_mm
# Farther, or under the pinky, no thumb passes.
_LEFT = HANDS.index("left")
_THUMB, _PINKY = 0, len(FINGERS) - 1


@dataclass(frozen=True)
class _Grips:
    """The ways to hold a chord; keys from the thumb's side to the pinky's, x as `plan` has it.

    Attributes
    ----------
    x_mm : array (note,)
    fingers : array (grip, note), int, index into `skeleton.FINGERS`
    place_mm : array (grip,), where the hand then is
    cost : array (grip,)
    """

    x_mm: np.ndarray
    fingers: np.ndarray
    place_mm: np.ndarray
    cost: np.ndarray


def finger(chords, hand):
    """Fingers for the part of one hand.

    Parameters
    ----------
    chords : sequence of tuple of int
        MIDI pitches struck together, rising; one to five.
    hand : int
        Index into `skeleton.HANDS`.

    Returns
    -------
    list of tuple of int
        Fingers 1 (thumb) to 5 of each chord, in the order of its pitches.
    """
    if not chords:
        return []
    mirror = -1.0 if hand == _LEFT else 1.0
    grips = [_grips(tuple(chord), mirror) for chord in chords]
    total, origin = grips[0].cost, []
    for before, now in pairwise(grips):
        ways = total[:, None] + _moves(before, now)
        origin.append(ways.argmin(axis=0))
        total = ways.min(axis=0) + now.cost
    way = [int(total.argmin())]
    for best in reversed(origin):
        way.append(int(best[way[-1]]))
    # Fingers of a left hand rise as its pitches fall.
    step = int(mirror)
    return [tuple(int(f) + 1 for f in grip.fingers[k][::step]) for grip, k in zip(grips, reversed(way), strict=True)]


@lru_cache(maxsize=4096)
def _grips(chord, mirror):
    """`_Grips` of a chord of rising pitches."""
    key = key_of_pitch(np.array(chord[:: int(mirror)]))
    x, black = mirror * key_centres_x_mm()[key], is_black(key)
    fingers = np.array(list(combinations(range(len(FINGERS)), len(key))))
    # Least and greatest place of the hand from which all fingers are on their keys.
    (low, high), (least, most) = (
        (side[0].max(axis=1), side[1].min(axis=1))
        for side in (corridor(x[None], fingers, 1.0, range_mm) for range_mm in (COMFORT_MM, REACH_MM))
    )
    cost = _STRETCH * np.maximum(low - high, 0.0) + _UNREACHABLE * (least > most)
    cost += (black & (fingers == _THUMB)).sum(axis=1) * _THUMB_ON_BLACK + (black & (fingers == _PINKY)).sum(axis=1) * _PINKY_ON_BLACK
    return _Grips(x, fingers, 0.5 * (low + high), cost + _FINGER_COST[fingers].sum(axis=1))


def _moves(before, now):
    """Cost (grip before, grip now) of going from one chord to the next."""
    cost = np.abs(now.place_mm - before.place_mm[:, None])
    if len(before.x_mm) > 1 or len(now.x_mm) > 1:
        return cost
    apart = now.x_mm[0] - before.x_mm[0]
    first, then = before.fingers, now.fingers.T
    if apart == 0.0:
        return cost
    crossing = (then - first) * np.sign(apart) < 0
    passing = ((first == _THUMB) != (then == _THUMB)) & (np.maximum(first, then) < _PINKY) & (abs(apart) <= _PASS_MOST_MM)
    return cost + np.where(crossing, np.where(passing, _PASS, _LEAP), 0.0) + _SAME_FINGER * (first == then)
