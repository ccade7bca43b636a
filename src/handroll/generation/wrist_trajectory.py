"""Where a hand goes: from fingered notes to the path of the wrist, and to the moments at which the keys are let go.

The path of a hand is the smoothest one (least jerk: Flash and Hogan 1985, doi:10.1523/JNEUROSCI.05-07-01688.1985; under
some tension, so that it does not swing) on which every finger that holds a key can reach it. Each held key leaves the hand a
corridor, the keys held together leave their common part, and between the keys the path is free.

All of this is for a right hand, in millimetres of the keyboard frame. A left hand is planned in the mirror: x of its keys
changed in sign. The hand is located by its *place*: the point on the keys below the middle fingertip of a hand at rest.
Sources: the numbers are handroll's own choice, by what the open hand's fingers reach and by eye.
"""

from dataclasses import dataclass, fields

import numpy as np
from scipy.linalg import solveh_banded
from scipy.ndimage import gaussian_filter1d

from handroll.generation.inverse_kinematics import chains
from handroll.keyboard.geometry import LEVEL_HAND, STANDARD, is_black, key_centres_x_mm, key_of_pitch

_PLAYER_FROM_MANO = LEVEL_HAND[1]

STEP_S = 0.01
"""Time step of a planned path."""

REST_TIPS_MM = np.array([(-55.0, 110.0), (-29.0, 153.0), (-4.0, 161.5), (20.5, 155.0), (44.5, 132.0)])
"""(finger 5, xy): fingertips of a hand at rest on five neighbouring white keys, from its wrist, bone scale 1."""

PLACE_MM = REST_TIPS_MM[2]
"""The hand's place seen from its wrist, bone scale 1."""

OFFSETS_MM = REST_TIPS_MM - PLACE_MM
"""(finger 5, xy): fingertips at rest, seen from the hand's place."""

WHITE_PLACE_MM, BLACK_PLACE_MM = 46.0, 72.0
# y of the middle fingertip on white and on black keys.
WHITE_DEPTH_MM = (8.0, 95.0)
BLACK_DEPTH_MM = (59.0, 110.0)
"""y between which a fingertip may press a white key (deep in, between the black keys) or a black key."""

WRIST_HEIGHT_MM = 50.0
"""Height of the wrist above the white keys, bone scale 1. Higher, thumb and pinky are too short for the outer keys."""

TIP_HEIGHT_MM = np.array([7.5, 6.2, 6.4, 6.1, 5.4])
"""(finger,): height of a tip joint above the surface that the fingertip touches, bone scale 1: the radius of the fingertip."""

COMFORT_MM = np.array([(-30.0, 40.0), (-15.0, 14.0), (-14.0, 14.0), (-14.0, 15.0), (-15.0, 13.0)])
REACH_MM = np.array([(-46.0, 52.0), (-24.0, 20.0), (-22.0, 22.0), (-22.0, 22.0), (-24.0, 26.0)])
"""(finger, side): how far left and right of its place at rest a finger plays with ease, and at all (so that an octave is held)."""
_BACK_MM = np.array([30.0, 22.0, 22.0, 22.0, 28.0])
# (finger,): how far back from its place at rest, towards the wrist.
_STRAIGHTEST = 0.97
# Share of a stretched finger's length at which it presses.

_STRETCH_FREE_MM, _STRETCH_FULL_MM = 30.0, 70.0
# A chord wider than the hand at rest by the second number (an octave with thumb and pinky) takes the whole of:
_STRETCH_DROP_MM, _STRETCH_YAW_DEG = 20.0, -8.0
# the wrist lower, so that the fingers lie flat, and the hand turned out, so that thumb and pinky are equally far in.
_STRETCH_MOST = 1.4
_IDLE_ASIDE_MM = 150.0
# A hand without a note stays so far from the middle of the keyboard.
_BLACK_RISE_MM = 5.0

_CHORD_S = 0.03
# Notes that begin within this time are struck together.
_LIFT_S = 0.06
_TRAVEL_MM_PER_S = 1000.0
_SAME_FINGER_S = 0.12
# Between presses of one finger, or of two that would cross (which a thumb may).
_SAME_KEY_S = 0.10
_LEAST_HOLD_S = 0.07
_APPROACH_S = 0.02
# A hand is over its keys from so long before the onset until the release.

_HARD_S, _EASY_S, _IDLE_S = 0.015, 0.12, 0.4
# Stiffness of a path, as the time in which it gives way: to a corridor, to the middle of a held chord, between notes.
_TENSION_S = 0.06
# Moves longer than this are taut: without the tension a path of least jerk swings back before it leaps, and beyond its goal.
_CORRIDOR_ROUNDS = 40

LEAVE_S = 0.5
"""A hand that leaves the picture takes this long, and as long to come back."""
_LAP_Y_MM, _LAP_Z_MM = -650.0, -60.0
_LAP_DELAY_S = 0.15

_PITCH_DEG, _YAW_DEG, _YAW_DEG_PER_MM, _YAW_MOST_DEG = 6.0, 5.0, -0.012, 14.0
_NOISE = {"x": 1.5, "y": 2.5, "z": 2.0, "yaw": 1.5, "pitch": 1.2, "roll": 2.0}
_NOISE_S = 0.35
# Standard deviation of the slow noise (mm, degrees) and the width of the Gaussian that smooths it.


@dataclass(frozen=True)
class Presses:
    """The notes of one hand, by onset; x is mirrored for a left hand.

    Attributes
    ----------
    onset_s, release_s : array (press,)
        The key reaches its bottom; the finger begins to let it go.
    finger : array (press,), int, index into `skeleton.FINGERS`
    key : array (press,), int, 0..87
    x_mm : array (press,), centre of the key
    black : array (press,), bool
    velocity : array (press,), MIDI
    """

    onset_s: np.ndarray
    release_s: np.ndarray
    finger: np.ndarray
    key: np.ndarray
    x_mm: np.ndarray
    black: np.ndarray
    velocity: np.ndarray

    def at(self, index):
        """The presses of an index (pair,), each as often as it is named."""
        return Presses(*(getattr(self, field.name)[index] for field in fields(self)))


@dataclass(frozen=True)
class Held:
    """Which keys are held at which steps, as pairs: a hand holds few keys at a time, of the thousands in a long piece.

    Attributes
    ----------
    press, step : array (pair,), int
        By press, then step.
    size : int
        Number of steps.
    """

    press: np.ndarray
    step: np.ndarray
    size: int

    def least(self, values):
        """The least value (step,) of those of the pairs (pair,); inf where no key is held."""
        least = np.full(self.size, np.inf)
        np.minimum.at(least, self.step, values)
        return least

    def most(self, values):
        """The greatest value (step,) of those of the pairs (pair,); -inf where no key is held."""
        return -self.least(-values)

    def any(self, chosen=True):
        """Whether a key is held (step,), of the chosen pairs (pair,)."""
        found = np.zeros(self.size, dtype=bool)
        found[self.step[np.broadcast_to(chosen, self.step.shape)]] = True
        return found


def held_at(time_s, start_s, end_s):
    """`Held` of presses from `start_s` to `end_s` (press,), both included, at rising times (step,)."""
    first = np.searchsorted(time_s, start_s, side="left")
    count = np.maximum(np.searchsorted(time_s, end_s, side="right") - first, 0)
    press = np.repeat(np.arange(len(first)), count)
    return Held(press, np.arange(len(press)) - np.repeat(np.cumsum(count) - count - first, count), len(time_s))


@dataclass(frozen=True)
class HandPath:
    """The path of one hand (mirrored for a left hand) at times `STEP_S` apart.

    Attributes
    ----------
    time_s : array (step,)
    place_mm : array (step, xy 2), the hand's place
    height_mm : array (step,), of the wrist above the white keys
    turn_rad : array (step, 3), yaw (fingers turn to -x), pitch (knuckles up), roll (thumb up)
    """

    time_s: np.ndarray
    place_mm: np.ndarray
    height_mm: np.ndarray
    turn_rad: np.ndarray


def presses_of(notes, chosen, finger, mirror, release_s):
    """`Presses` of the notes where `chosen` (note,) is true, sorted by onset; `mirror` is -1 for a left hand, else 1."""
    rows = np.flatnonzero(chosen)
    rows = rows[np.lexsort((notes["pitch"][rows], notes["onset_s"][rows]))]
    key = key_of_pitch(notes["pitch"][rows].astype(int))
    return Presses(
        onset_s=notes["onset_s"][rows],
        release_s=release_s[rows],
        finger=finger[rows],
        key=key,
        x_mm=mirror * key_centres_x_mm()[key],
        black=is_black(key),
        velocity=notes["velocity"][rows],
    )


def releases(onset_s, key_offset_s, pitch, hand, finger, bone_scale):
    """When each key is let go: at its written offset, or earlier where its finger or its hand is needed elsewhere.

    Parameters
    ----------
    onset_s, key_offset_s : array (note,)
        By onset.
    pitch : array (note,), MIDI
    hand, finger : array (note,), int, indices into `skeleton.HANDS` and `skeleton.FINGERS`
    bone_scale : array (hand 2,)

    Returns
    -------
    array (note,), s. Never later than `key_offset_s`; after the onset by 70 ms or half the time to the note that hurries it.
    """
    key = key_of_pitch(np.asarray(pitch, dtype=int))
    mirror, scale = np.where(hand == 0, -1.0, 1.0), np.asarray(bone_scale)[hand]
    x = mirror * key_centres_x_mm()[key]
    low, high = corridor(x, finger, scale, REACH_MM)
    released = np.array(key_offset_s, dtype=np.float64)
    first = np.searchsorted(onset_s, onset_s + _CHORD_S, side="right")
    end = np.searchsorted(onset_s, released + 1.0, side="left")
    for note in range(len(released)):
        later = slice(first[note], end[note])
        apart = np.maximum(low[later] - high[note], low[note] - high[later])
        need = np.where(apart > 0.0, _LIFT_S + apart / _TRAVEL_MM_PER_S, -np.inf)
        order = (finger[later] - finger[note]) * np.sign(x[later] - x[note])
        crossing = (order <= 0) & (((finger[later] > 0) & (finger[note] > 0)) | (finger[later] == finger[note]))
        need = np.where(crossing, np.maximum(need, _SAME_FINGER_S), need)
        need = np.where(hand[later] == hand[note], need, -np.inf)
        need = np.where(key[later] == key[note], np.maximum(need, _SAME_KEY_S), need)
        least = onset_s[note] + np.minimum(_LEAST_HOLD_S, 0.5 * (onset_s[later] - onset_s[note]))
        released[note] = np.min(np.maximum(onset_s[later] - need, least), initial=released[note])
    return released


def corridor(x_mm, finger, scale, range_mm):
    """Where a hand may be to have its fingers on their keys.

    Parameters
    ----------
    x_mm : array (press,)
        Centres of the keys; mirrored for a left hand.
    finger : array (press,), int
    scale : float or array (press,)
        Bone scale.
    range_mm : array (finger, side)
        How far a finger goes to either side: `COMFORT_MM` or `REACH_MM`.

    Returns
    -------
    low, high : array (press,)
        Least and greatest x of the hand's place.
    """
    middle = x_mm - OFFSETS_MM[finger, 0] * scale
    return middle - range_mm[finger, 1] * scale, middle - range_mm[finger, 0] * scale


def smoothest_path(low, high, centre, softness_s):
    """The path of least jerk that stays in a corridor and is drawn towards its centre.

    Minimises sum (third difference)^2 + sum (STEP_S / 60 ms)^4 (first difference)^2
    + sum (STEP_S / softness_s)^6 (path - centre)^2, and the same with a softness of 15 ms for what lies outside of the
    corridor: a semismooth Newton method on a piecewise quadratic.

    Parameters
    ----------
    low, high : array (step,)
        The corridor; infinite where there is none.
    centre, softness_s : array (step,)
        Where the path is drawn to and how loosely: it gives way within about this time.

    Returns
    -------
    array (step,)
    """
    size = len(centre)
    bands = np.zeros((4, size))
    for stencil, weight in (((-1.0, 3.0, -3.0, 1.0), 1.0), ((-1.0, 1.0), (STEP_S / _TENSION_S) ** 4)):
        order = len(stencil) - 1
        for i in range(order + 1):
            for j in range(i, order + 1):
                bands[3 - (j - i), j : size - order + j] += weight * stencil[i] * stencil[j]
    soft, hard = (STEP_S / softness_s) ** 6, (STEP_S / _HARD_S) ** 6
    path = None
    outside = np.zeros(size, dtype=bool)
    for _ in range(_CORRIDOR_ROUNDS):
        wall = np.zeros(size) if path is None else np.clip(path, low, high)
        system = bands.copy()
        system[3] += soft + hard * outside
        path = solveh_banded(system, soft * centre + hard * np.where(outside, wall, 0.0))
        # A sample that the wall has pushed back stays pushed while it leans on the wall, so that the rounds settle.
        beyond = (path < low) | (path > high)
        if np.array_equal(beyond, outside):
            break
        outside = beyond
    return path


def plan_hand(presses, leaves, mirror, bone_scale, end_s, rng):
    """Plan the path of one hand.

    Parameters
    ----------
    presses : Presses
    leaves : array (leave, 2)
        Start and end (s) of the times in which the hand is away from the keys: it sets out at the start and is back at the end.
    mirror : -1 for a left hand, else 1
    bone_scale : float
    end_s : float
        The path runs from 0 to at least here.
    rng : numpy.random.Generator

    Returns
    -------
    HandPath
    """
    time = np.arange(int(np.ceil(end_s / STEP_S)) + 2) * STEP_S
    size = len(time)
    held = held_at(time, presses.onset_s - _APPROACH_S, presses.release_s)
    # From here on by pairs of press and step.
    presses, scale = presses.at(held.press), bone_scale
    stretch = _stretch(presses, held, scale)
    black = held.any(presses.black)

    any_held = held.any()
    softness = np.where(any_held, _EASY_S, _IDLE_S)
    noise = {name: slow_noise(size, rng) * sigma for name, sigma in _NOISE.items()}
    middle_x = mirror * 0.5 * STANDARD.width_mm

    centre = _filled(_mean_where(held, presses.x_mm - OFFSETS_MM[presses.finger, 0] * scale), middle_x + _IDLE_ASIDE_MM)
    bounds = _common(held, *corridor(presses.x_mm, presses.finger, scale, COMFORT_MM))
    x = smoothest_path(*(bound - noise["x"] for bound in bounds), centre, softness) + noise["x"]

    centre = _filled(
        np.where(any_held, WRIST_HEIGHT_MM * scale - _STRETCH_DROP_MM * stretch + _BLACK_RISE_MM * black, np.nan), WRIST_HEIGHT_MM * scale
    )
    bounds = np.full(size, -np.inf), np.full(size, np.inf)
    for start, end in leaves:
        _pin(bounds, centre, (time >= start + LEAVE_S + _LAP_DELAY_S) & (time <= end - LEAVE_S - _LAP_DELAY_S), _LAP_Z_MM)
    z = smoothest_path(*bounds, centre, softness) + noise["z"]

    opened = smoothest_path(np.full(size, -np.inf), np.full(size, np.inf), _filled(np.where(any_held, stretch, np.nan), 0.0), softness)
    yaw = np.clip(_YAW_DEG + _YAW_DEG_PER_MM * (x - middle_x), -_YAW_MOST_DEG, _YAW_MOST_DEG) + _STRETCH_YAW_DEG * opened + noise["yaw"]
    turn = np.radians(np.stack([yaw, _PITCH_DEG + noise["pitch"], noise["roll"]], -1))

    centre = _filled(np.where(any_held, np.where(black, 0.5 * (WHITE_PLACE_MM + BLACK_PLACE_MM), WHITE_PLACE_MM), np.nan), WHITE_PLACE_MM)
    depth = np.where(presses.black[:, None], BLACK_DEPTH_MM, WHITE_DEPTH_MM)
    behind = ((OFFSETS_MM[:, 1] - _BACK_MM) * scale)[presses.finger]
    # A finger that cannot reach its key sideways is no reason to send the hand in.
    ahead = np.maximum(forward_mm(presses, *(series[held.step] for series in (x, z, turn[:, 0], turn[:, 1])), scale), behind)
    bounds = _common(held, depth[:, 0] - ahead, depth[:, 1] - behind)
    bounds = tuple(bound - noise["y"] for bound in bounds)
    for start, end in leaves:
        _pin(bounds, centre, (time >= start + LEAVE_S) & (time <= end - LEAVE_S), _LAP_Y_MM)
    y = smoothest_path(*bounds, centre, softness) + noise["y"]
    return HandPath(time, np.stack([x, y], -1), z, turn)


def forward_mm(presses, place_x_mm, height_mm, yaw_rad, pitch_rad, scale):
    """How far ahead of the hand's place the fingers reach on their keys.

    Parameters
    ----------
    presses : Presses
    place_x_mm, height_mm, yaw_rad, pitch_rad : array (press,)
        x of the hand's place, height of the wrist, turn of the hand, as in `HandPath`.
    scale : float
        Bone scale.

    Returns
    -------
    array (press,), mm
        Greatest y of a fingertip, minus y of the hand's place, with the finger nearly straight on the pressed key. A
        finger too short for its key gives the y of its base.
    """
    base = 1e3 * scale * (_PLAYER_FROM_MANO @ chains().base_m).T[presses.finger]
    length = 1e3 * scale * np.linalg.norm(chains().bones_m, axis=1).sum(0)[presses.finger] * _STRAIGHTEST
    right, ahead = base[:, 0] - scale * PLACE_MM[0], base[:, 1] - scale * PLACE_MM[1]
    base_x = place_x_mm + np.cos(yaw_rad) * right - np.sin(yaw_rad) * ahead
    base_y = np.sin(yaw_rad) * right + np.cos(yaw_rad) * ahead
    base_z = height_mm + np.cos(pitch_rad) * base[:, 2] + np.sin(pitch_rad) * base[:, 1]
    tip_z = TIP_HEIGHT_MM[presses.finger] * scale + STANDARD.black_height_mm * presses.black - STANDARD.dip_mm
    across = length**2 - (base_z - tip_z) ** 2 - (presses.x_mm - base_x) ** 2
    return base_y + np.sqrt(np.maximum(across, 0.0))


def _pin(bounds, centre, where, value):
    """Hold a path at one value, in place: its corridor and, lest the pull to the keys bend it, its centre."""
    for series in (*bounds, centre):
        series[where] = value


def _stretch(presses, held, scale):
    """How wide the hand is opened at each time (step,): 0 at ease, 1 in an octave with thumb and pinky. Presses by pairs."""
    at_rest = presses.x_mm - OFFSETS_MM[presses.finger, 0] * scale
    any_held = held.any()
    wide = np.where(any_held, held.most(at_rest), 0.0) - np.where(any_held, held.least(at_rest), 0.0)
    # Only an opening counts: a thumb passed under draws the fingers together.
    thumb = presses.finger == 0
    inner = held.most(np.where(thumb, -np.inf, presses.x_mm))
    outer = held.least(np.where(thumb, presses.x_mm, np.inf))
    crossed = np.isfinite(inner) & np.isfinite(outer) & (inner < outer)
    return np.where(crossed, 0.0, np.clip((wide / scale - _STRETCH_FREE_MM) / (_STRETCH_FULL_MM - _STRETCH_FREE_MM), 0.0, _STRETCH_MOST))


def _common(held, low, high):
    """The common part (step,) of the corridors (pair,) of the held keys; where there is none, midway between the two worst."""
    least, most = held.most(low), held.least(high)
    empty = least > most
    middle = 0.5 * (np.where(empty, least, 0.0) + np.where(empty, most, 0.0))
    return np.where(empty, middle, least), np.where(empty, middle, most)


def _mean_where(held, values):
    """Midway between the least and the greatest of the values (pair,) at each step (step,); NaN where no key is held."""
    any_held = held.any()
    least, most = (np.where(any_held, side(values), 0.0) for side in (held.least, held.most))
    return np.where(any_held, 0.5 * (least + most), np.nan)


def _filled(series, default):
    """NaN replaced by the straight line between its neighbours in time, or by `default` where the whole series is NaN."""
    known = np.flatnonzero(np.isfinite(series))
    return np.interp(np.arange(len(series)), known, series[known]) if len(known) else np.full(len(series), default)


def slow_noise(size, rng):
    """Gaussian noise (step,) of standard deviation 1 that varies over about `_NOISE_S`."""
    width = _NOISE_S / STEP_S
    smooth = gaussian_filter1d(rng.standard_normal(size), width, mode="reflect")
    return smooth * np.sqrt(2.0 * width * np.sqrt(np.pi))
