"""Automatic fingering of the part of one hand. It minimises the movement of the hand within the range of the fingers.

A grip assigns fingers to the keys of a chord. Dynamic programming selects one grip for each chord (Parncutt et al. 1997,
doi:10.2307/40285730, for single notes; Al Kasimi et al. 2007, ISMIR, for chords). Costs are handroll's own choice. Most costs are
distances in millimetres by which the hand moves or stretches. The usual fingering of scales and black keys, with passing of the thumb,
follows from the geometry of hand and keyboard (`wrist_trajectory`).
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations, pairwise

import numpy as np

from handroll.generation.wrist_trajectory import COMFORT_MM, REACH_MM, corridor
from handroll.hand.skeleton import FINGERS, HANDS
from handroll.keyboard.geometry import STANDARD, is_black, key_centres_x_mm, key_of_pitch

# The unit of all costs is a millimetre of hand movement.

# Cost of each millimetre by which a chord exceeds the comfortable range of the fingers (`COMFORT_MM`).
_STRETCH = 3.0

# Cost of a chord that exceeds the maximum range of the fingers (`REACH_MM`).
_UNREACHABLE = 1000.0

# Cost of the thumb on a black key.
_THUMB_ON_BLACK = 50.0

# Cost of the little finger on a black key.
_PINKY_ON_BLACK = 15.0

# Cost of using each finger, thumb to little finger.
_FINGER_COST = np.array([0.0, 0.0, 0.0, 3.0, 4.0])

# Cost of passing the thumb under a finger, or a finger over the thumb.
_PASS = 35.0

# Cost of any other crossing of fingers.
_LEAP = 120.0

# Cost of the same finger on two successive keys.
_SAME_FINGER = 60.0

# Maximum distance between two keys over which the thumb passes under (mm). The thumb never passes under the little finger.
_MAX_PASS_MM = 2.2 * STANDARD.white_pitch_mm

_LEFT = HANDS.index("left")
_THUMB, _PINKY = 0, len(FINGERS) - 1


@dataclass(frozen=True)
class _Grips:
    """All grips of a chord. The keys of the chord are in the order from thumb to little finger; x is mirrored for a left hand.

    Attributes
    ----------
    x_mm : array (note,)
        Centres of the keys.
    fingers : array (grip, note), int
        Finger on each key, as an index into `skeleton.FINGERS`.
    position_mm : array (grip,)
        x of the hand's reference point (`wrist_trajectory`).
    cost : array (grip,)
        Cost of the grip itself, without movement.
    """

    x_mm: np.ndarray
    fingers: np.ndarray
    position_mm: np.ndarray
    cost: np.ndarray


def finger(chords, hand):
    """Choose fingers for the part of one hand.

    Parameters
    ----------
    chords : sequence of tuple of int
        MIDI pitches of each chord, in increasing order; one to five pitches per chord.
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
    grips = [_chord_grips(tuple(chord), mirror) for chord in chords]
    total, origin = grips[0].cost, []
    for before, now in pairwise(grips):
        totals = total[:, None] + _move_costs(before, now)
        origin.append(totals.argmin(axis=0))
        total = totals.min(axis=0) + now.cost
    path = [int(total.argmin())]
    for best in reversed(origin):
        path.append(int(best[path[-1]]))
    # The notes of a left hand's grips are in the order of decreasing pitch.
    step = int(mirror)
    return [tuple(int(f) + 1 for f in grip.fingers[k][::step]) for grip, k in zip(grips, reversed(path), strict=True)]


@lru_cache(maxsize=4096)
def _chord_grips(chord, mirror):
    """List all grips of a chord of increasing pitches. `mirror` is -1 for a left hand, 1 for a right hand."""
    key = key_of_pitch(np.array(chord[:: int(mirror)]))
    x, black = mirror * key_centres_x_mm()[key], is_black(key)
    fingers = np.array(list(combinations(range(len(FINGERS)), len(key))))
    # Range of the hand's x in which all fingers reach their keys: within their comfortable range, and within their maximum range.
    (low, high), (reach_low, reach_high) = (
        (side[0].max(axis=1), side[1].min(axis=1))
        for side in (corridor(x[None], fingers, 1.0, range_mm) for range_mm in (COMFORT_MM, REACH_MM))
    )
    cost = _STRETCH * np.maximum(low - high, 0.0) + _UNREACHABLE * (reach_low > reach_high)
    cost += (black & (fingers == _THUMB)).sum(axis=1) * _THUMB_ON_BLACK + (black & (fingers == _PINKY)).sum(axis=1) * _PINKY_ON_BLACK
    return _Grips(x, fingers, 0.5 * (low + high), cost + _FINGER_COST[fingers].sum(axis=1))


def _move_costs(before, now):
    """Compute the cost (grip before, grip now) of the movement from one chord to the next."""
    cost = np.abs(now.position_mm - before.position_mm[:, None])
    if len(before.x_mm) > 1 or len(now.x_mm) > 1:
        return cost
    apart = now.x_mm[0] - before.x_mm[0]
    first, then = before.fingers, now.fingers.T
    if apart == 0.0:
        return cost
    crossing = (then - first) * np.sign(apart) < 0
    passing = ((first == _THUMB) != (then == _THUMB)) & (np.maximum(first, then) < _PINKY) & (abs(apart) <= _MAX_PASS_MM)
    return cost + np.where(crossing, np.where(passing, _PASS, _LEAP), 0.0) + _SAME_FINGER * (first == then)
