"""Choose the finger of each note: the fingering of the part of one hand that minimises the movement of the hand.

A grip assigns fingers to the keys that a hand holds at the onset of a chord: the keys of the chord, and keys that are still held. Dynamic
programming selects one grip for each chord (Parncutt et al. 1997, doi:10.2307/40285730, for single notes; Al Kasimi et al. 2007, ISMIR, for
chords). The costs (`FingeringCosts`) are handroll's own choice; `fingering_training` fits them to labelled notes. Most default costs are
distances in millimetres by which the hand moves or stretches. The usual fingering of scales and black keys, with passing of the thumb,
follows from the geometry of hand and keyboard (`wrist_trajectory`).
"""

from dataclasses import dataclass, field
from functools import lru_cache
from itertools import combinations

import numpy as np

from handroll.generation.hand_assignment import CHORD_S, chords_of
from handroll.generation.wrist_trajectory import COMFORT_MM, REACH_MM, corridor
from handroll.hand.skeleton import FINGERS, HANDS
from handroll.keyboard.geometry import STANDARD, is_black, key_centres_x_mm, key_of_pitch, pitch_of_key

UNPLAYED = -1
"""Finger of a note that no finger plays."""

MAX_INTERVAL = 12
"""Largest interval (semitones) that `FingeringCosts.pair` distinguishes; larger ones count as this one."""

# Cost of a chord that exceeds the maximum range of the fingers (`REACH_MM`).
_UNREACHABLE = 1000.0

# Cost of a held key that is released early, because its finger is needed for the next chord: a constant, and an amount for each second
# of its remaining duration up to a maximum. If the sustain pedal is down, the note sounds on, and the cost is multiplied by a factor.
_EARLY_RELEASE, _EARLY_RELEASE_PER_S, _MAX_EARLY_S, _EARLY_WITH_PEDAL = 15.0, 40.0, 1.0, 0.3

# Time (s) that a finger needs to move to another key, and cost of each second that is missing if a finger plays two successive chords.
_REUSE_S, _REUSE_PER_S = 0.3, 800.0

# The same for a finger that strikes the same key again. In faster repetitions, fingers alternate.
_REPEAT_S = 0.16

# Maximum distance between two keys over which the thumb passes under (mm). The thumb never passes under the little finger.
_MAX_PASS_MM = 2.2 * STANDARD.white_pitch_mm

_LEFT = HANDS.index("left")
_THUMB, _PINKY = 0, len(FINGERS) - 1


def _no_pairs():
    """Return an array of zeros for `FingeringCosts.pair`."""
    return np.zeros((len(FINGERS), len(FINGERS), 2 * MAX_INTERVAL + 1))


@dataclass(frozen=True, eq=False)
class FingeringCosts:
    """Costs of grips and of the movement between grips. The unit is a millimetre of hand movement.

    Attributes
    ----------
    stretch : float
        Cost of each millimetre by which a chord exceeds the comfortable range of the fingers (`COMFORT_MM`).
    thumb_on_black, pinky_on_black : float
        Cost of the thumb and of the little finger on a black key.
    use : array (finger 5,)
        Cost of using each finger, thumb to little finger.
    movement : float
        Cost of each millimetre of movement of the hand.
    passing, crossing : float
        Cost of passing the thumb under a finger, or a finger over the thumb; cost of any other crossing of fingers.
    same_finger : float
        Cost of the same finger on two successive keys.
    pair : array (finger 5, finger 5, interval 2 `MAX_INTERVAL` + 1)
        Cost of a finger after another on two successive single notes, by interval: `MAX_INTERVAL` plus the semitones from the first to the
        second key towards the little finger.
    """

    stretch: float = 3.0
    thumb_on_black: float = 50.0
    pinky_on_black: float = 15.0
    use: np.ndarray = field(default_factory=lambda: np.array([0.0, 0.0, 0.0, 3.0, 4.0]))
    movement: float = 1.0
    passing: float = 35.0
    crossing: float = 120.0
    same_finger: float = 60.0
    pair: np.ndarray = field(default_factory=_no_pairs)


DEFAULT_COSTS = FingeringCosts()
"""Costs that were chosen by hand."""


@dataclass(frozen=True)
class Grips:
    """All grips of the keys that a hand holds. The keys are in the order from thumb to little finger; x is mirrored for a left hand.

    Attributes
    ----------
    key : array (note,), int
        Keys 0..87.
    x_mm : array (note,)
        Centres of the keys.
    fingers : array (grip, note), int
        Finger on each key, as an index into `skeleton.FINGERS`.
    position_mm : array (grip,)
        x of the hand's reference point (`wrist_trajectory`).
    stretch_mm : array (grip,)
        Distance by which the keys exceed the comfortable range of the fingers.
    reachable : array (grip,), bool
        Whether all fingers reach their keys.
    black : array (note,), bool
        Whether the key is black.
    """

    key: np.ndarray
    x_mm: np.ndarray
    fingers: np.ndarray
    position_mm: np.ndarray
    stretch_mm: np.ndarray
    reachable: np.ndarray
    black: np.ndarray

    def cost(self, costs):
        """Return the cost (grip,) of the grips themselves, without movement."""
        black = self.black
        cost = costs.stretch * self.stretch_mm + _UNREACHABLE * ~self.reachable + np.asarray(costs.use)[self.fingers].sum(axis=1)
        cost += (black & (self.fingers == _THUMB)).sum(axis=1) * costs.thumb_on_black
        return cost + (black & (self.fingers == _PINKY)).sum(axis=1) * costs.pinky_on_black


@lru_cache(maxsize=8192)
def grips_of(pitches, mirror, scale=1.0):
    """List all grips of a chord.

    Parameters
    ----------
    pitches : tuple of int
        MIDI pitches in increasing order; one to five.
    mirror : int
        -1 for a left hand, 1 for a right hand.
    scale : float
        Bone scale.

    Returns
    -------
    Grips
    """
    key = key_of_pitch(np.array(pitches[::mirror]))
    x = mirror * key_centres_x_mm()[key]
    fingers = np.array(list(combinations(range(len(FINGERS)), len(key))))
    # Range of the hand's x in which all fingers reach their keys: within their comfortable range, and within their maximum range.
    (low, high), (reach_low, reach_high) = (
        (side[0].max(axis=1), side[1].min(axis=1))
        for side in (corridor(x[None], fingers, scale, range_mm) for range_mm in (COMFORT_MM, REACH_MM))
    )
    return Grips(key, x, fingers, 0.5 * (low + high), np.maximum(low - high, 0.0), reach_low <= reach_high, is_black(key))


@dataclass(frozen=True)
class Moves:
    """Movement from each grip of a chord to each grip of the next one.

    Attributes
    ----------
    travel_mm : array (grip before, grip now)
        Movement of the hand.
    single : bool
        Whether a single note follows a single note on another key. Otherwise the other attributes are None.
    passing, crossing, same_finger : array (grip before, grip now), bool
        Whether the thumb passes under or a finger passes over the thumb, whether fingers cross in another way, and whether a finger
        plays both notes.
    first, second : array (grip before, grip now), int
        Fingers of both notes.
    interval : int
        Index of the interval in `FingeringCosts.pair`.
    """

    travel_mm: np.ndarray
    single: bool
    passing: np.ndarray | None = None
    crossing: np.ndarray | None = None
    same_finger: np.ndarray | None = None
    first: np.ndarray | None = None
    second: np.ndarray | None = None
    interval: int = 0

    def cost(self, costs):
        """Return the cost (grip before, grip now) of the movement."""
        cost = costs.movement * self.travel_mm
        if not self.single:
            return cost
        cost = cost + costs.passing * self.passing + costs.crossing * self.crossing + costs.same_finger * self.same_finger
        return cost + costs.pair[self.first, self.second, self.interval]


def moves_between(before, struck_before, now, struck_now):
    """Describe the movement from one chord to the next.

    Parameters
    ----------
    before, now : Grips
    struck_before, struck_now : tuple of int
        Struck pitches of both chords, without held ones.

    Returns
    -------
    Moves
    """
    travel = np.abs(now.position_mm - before.position_mm[:, None])
    if len(struck_before) > 1 or len(struck_now) > 1 or struck_before == struck_now:
        return Moves(travel, False)
    (index_before,), (index_now,) = (
        np.flatnonzero(grips.key == key_of_pitch(struck[0])) for grips, struck in ((before, struck_before), (now, struck_now))
    )
    apart = now.x_mm[index_now] - before.x_mm[index_before]
    first, second = np.broadcast_arrays(before.fingers[:, [index_before]], now.fingers[:, index_now])
    crossed = (second - first) * np.sign(apart) < 0
    passing = crossed & ((first == _THUMB) != (second == _THUMB)) & (np.maximum(first, second) < _PINKY) & (abs(apart) <= _MAX_PASS_MM)
    semitones = int(np.sign(apart)) * abs(struck_now[0] - struck_before[0])
    interval = MAX_INTERVAL + int(np.clip(semitones, -MAX_INTERVAL, MAX_INTERVAL))
    return Moves(travel, True, passing, crossed & ~passing, first == second, first, second, interval)


def finger(chords, hand, costs=DEFAULT_COSTS, scale=1.0):
    """Choose fingers for the part of one hand, if no key is held beyond the next chord.

    Parameters
    ----------
    chords : sequence of tuple of int
        MIDI pitches of each chord, in increasing order; one to five pitches per chord.
    hand : int
        Index into `skeleton.HANDS`.
    costs : FingeringCosts
    scale : float
        Bone scale.

    Returns
    -------
    list of tuple of int
        Fingers 1 (thumb) to 5 of each chord, in the order of its pitches.
    """
    path = _best_grips([Chord(tuple(chord)) for chord in chords], hand, costs, scale)
    return [tuple(found[pitch] + 1 for pitch in chord) for chord, found in zip(chords, path, strict=True)]


@dataclass(frozen=True)
class Chord:
    """Keys that a hand strikes at one time, and keys that it holds at that time.

    Attributes
    ----------
    struck : tuple of int
        MIDI pitches in increasing order; one to five.
    held : dict of int to float
        Pitches that are still held, and the cost of releasing each early.
    fingers : dict of int to int
        Known fingers (indices into `skeleton.FINGERS`) of struck pitches.
    time_s : float
        Onset; NaN if unknown.
    """

    struck: tuple[int, ...]
    held: dict[int, float] = field(default_factory=dict)
    fingers: dict[int, int] = field(default_factory=dict)
    time_s: float = np.nan

    @property
    def pitches(self):
        """Struck and held pitches in increasing order."""
        return tuple(sorted((*self.struck, *self.held)))


def finger_notes(notes, pedal, hand, given=None, costs=(DEFAULT_COSTS, DEFAULT_COSTS), hand_scale=(1.0, 1.0)):
    """Choose the finger of each note of both hands. Keys that are held beyond the next chord keep their fingers.

    Parameters
    ----------
    notes : dict of str to array (note,)
        Columns of `tables.NOTES`, in order of onset.
    pedal : dict of str to array (press,)
        Columns of `tables.PEDAL`. While the pedal is down, a key can be released early without an audible change.
    hand : array (note,), int
        Index into `skeleton.HANDS`.
    given : array (note,), int, optional
        Known fingers as indices into `skeleton.FINGERS`, `UNPLAYED` for others. A known finger is kept if the chord can be played with it.
    costs : (FingeringCosts, FingeringCosts)
        Costs of the left and of the right hand.
    hand_scale : (float, float)
        Bone scale of the left and of the right hand.

    Returns
    -------
    array (note,), int
        Index into `skeleton.FINGERS`; `UNPLAYED` for notes that no finger of the hand can play in their chord.
    """
    chosen = np.full(len(hand), UNPLAYED)
    for side in range(len(HANDS)):
        chords, struck = chords_of_hand(notes, pedal, np.flatnonzero(hand == side), side, given, hand_scale[side])
        for new, found in zip(struck, _best_grips(chords, side, costs[side], hand_scale[side]), strict=True):
            for key, note in new.items():
                chosen[note] = found[key]
    return chosen


def chords_of_hand(notes, pedal, rows, side, given=None, scale=1.0):
    """Group the notes of a hand into chords, and find the keys that it holds at the onset of each chord.

    Parameters
    ----------
    notes, pedal, given
        See `finger_notes`.
    rows : array (n,), int
        Indices of the notes of the hand.
    side : int
        Index into `skeleton.HANDS`.
    scale : float
        Bone scale.

    Returns
    -------
    chords : list of Chord
    struck : list of dict of int to int
        Pitches that each chord strikes, and their notes. Notes that the hand cannot play in their chord are missing.
    """
    pitch = notes["pitch"].astype(int)
    chords, struck, until = [], [], {}
    for chord in chords_of(notes["onset_s"][rows]):
        new = rows[chord]
        time_s = float(notes["onset_s"][new[0]])
        new = _playable(dict(zip(pitch[new].tolist(), new.tolist(), strict=True)), side, scale)
        until = {key: end_s for key, end_s in until.items() if end_s > time_s + CHORD_S and key not in new}
        until = _compatible(until, tuple(new), side, scale)
        factor = _EARLY_WITH_PEDAL if _is_down(pedal, time_s) else 1.0
        held = {key: factor * (_EARLY_RELEASE + _EARLY_RELEASE_PER_S * min(end_s - time_s, _MAX_EARLY_S)) for key, end_s in until.items()}
        known = {} if given is None else {key: int(given[note]) for key, note in new.items() if given[note] != UNPLAYED}
        chords.append(Chord(tuple(new), held, known, time_s))
        struck.append(new)
        until |= {key: float(notes["key_offset_s"][note]) for key, note in new.items()}
    return chords, struck


def _is_down(pedal, time_s):
    """Return whether the sustain pedal is down at a time, for columns of `tables.PEDAL`."""
    index = int(np.searchsorted(pedal["onset_s"], time_s, side="right")) - 1
    return index >= 0 and bool(pedal["offset_s"][index] > time_s)


def _playable(chord, side, scale):
    """Leave out notes of a chord until one hand can play the others.

    `chord` maps pitches to notes. The note that is left out is the one inside the chord that is nearest to another; if the chord is too
    wide, the lowest note of a right hand or the highest note of a left hand, which is the most likely to be an accompaniment.
    """
    chord = dict(sorted(chord.items()))
    while len(chord) > 1 and (len(chord) > len(FINGERS) or not grips_of(tuple(chord), _mirror(side), scale).reachable.any()):
        pitches = list(chord)
        if len(chord) > len(FINGERS):
            gaps = np.diff(pitches)
            dropped = pitches[1 + int(np.argmin(gaps[:-1] + gaps[1:]))]
        else:
            dropped = pitches[-1] if side == _LEFT else pitches[0]
        del chord[dropped]
    return chord


def _compatible(held, chord, side, scale):
    """Return the held keys (a dict from pitch to release) that a hand can hold while it plays a chord; the nearest to the chord first."""
    kept = {}
    middle = 0.5 * (chord[0] + chord[-1])
    for pitch in sorted(held, key=lambda pitch: abs(pitch - middle)):
        union = tuple(sorted((*chord, *kept, pitch)))
        if len(union) <= len(FINGERS) and grips_of(union, _mirror(side), scale).reachable.any():
            kept[pitch] = held[pitch]
    return kept


def _mirror(side):
    """Return -1 for a left hand, 1 for a right hand."""
    return -1 if side == _LEFT else 1


def _best_grips(chords, hand, costs, scale):
    """Find the sequence of grips with the lowest cost.

    Parameters
    ----------
    chords : list of Chord
    hand, costs, scale
        See `finger`.

    Returns
    -------
    list of dict of int to int
        Finger (index into `skeleton.FINGERS`) of each struck and held pitch.
    """
    if not chords:
        return []
    grips = [grips_of(chord.pitches, _mirror(hand), scale) for chord in chords]
    total, origin = None, []
    for number, (now, chord) in enumerate(zip(grips, chords, strict=True)):
        cost = now.cost(costs)
        for pitch, finger in chord.fingers.items():
            cost = cost + _UNREACHABLE * (fingers_on(now, pitch) != finger)
        if total is not None:
            before, earlier = grips[number - 1], chords[number - 1]
            totals = total[:, None] + moves_between(before, earlier.struck, now, chord.struck).cost(costs)
            totals = totals + held_and_reused_cost(before, earlier, now, chord)
            origin.append(totals.argmin(axis=0))
            cost = cost + totals.min(axis=0)
        total = cost
    path = [int(total.argmin())]
    for best in reversed(origin):
        path.append(int(best[path[-1]]))
    return [
        dict(zip(pitch_of_key(found.key).tolist(), found.fingers[k].tolist(), strict=True))
        for found, k in zip(grips, reversed(path), strict=True)
    ]


def held_and_reused_cost(before, chord_before, now, chord_now):
    """Return the cost (grip before, grip now) of held keys that are released early, and of fingers that have no time to reach their key.

    These costs do not depend on `FingeringCosts`.

    Parameters
    ----------
    before, now : Grips
        Grips of both chords.
    chord_before, chord_now : Chord
        Successive chords of a hand.
    """
    cost = np.zeros((len(before.fingers), len(now.fingers)))
    for pitch, early in chord_now.held.items():
        cost += early * (fingers_on(before, pitch)[:, None] != fingers_on(now, pitch))
    passed_s = chord_now.time_s - chord_before.time_s
    for first in chord_before.struck:
        for second in chord_now.struck:
            missing_s = (_REPEAT_S if first == second else _REUSE_S) - passed_s
            if missing_s > 0.0:
                cost += _REUSE_PER_S * missing_s * (fingers_on(before, first)[:, None] == fingers_on(now, second))
    return cost


def fingers_on(grips, pitch):
    """Return the finger (grip,) on a pitch."""
    return grips.fingers[:, np.flatnonzero(grips.key == key_of_pitch(pitch))[0]]
