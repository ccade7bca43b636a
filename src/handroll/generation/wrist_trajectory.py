"""Plan the path of a wrist and the times of key releases from fingered notes.

The path is the smoothest path (minimum jerk: Flash and Hogan 1985, doi:10.1523/JNEUROSCI.05-07-01688.1985) on which every finger can reach
the key that it holds. A tension term reduces overshoot. Each held key restricts the position of the hand to a range, its *corridor*. The
path stays in the intersection of the corridors of all held keys. Between notes the path is free.

All values are for a right hand, in millimetres of the keyboard frame. A left hand is planned as its mirror image: the sign of x is changed
for its keys. The position of a hand is that of its *reference point*: the point on the keys below the middle fingertip of a hand at rest.
Constants are handroll's own choice, based on the range of the open hand's fingers and on visual inspection.
"""

from dataclasses import dataclass, fields

import numpy as np
from scipy.linalg import solveh_banded
from scipy.ndimage import gaussian_filter1d

from handroll.generation.inverse_kinematics import chains
from handroll.keyboard.geometry import LEVEL_HAND, STANDARD, is_black, key_centres_x_mm, key_of_pitch

# Rotation matrix from MANO's frame of a level right hand to the keyboard frame.
_PLAYER_FROM_MANO = LEVEL_HAND[1]

STEP_S = 0.01
"""Time step of a planned path (s)."""

REST_TIPS_MM = np.array([(-55.0, 110.0), (-29.0, 153.0), (-4.0, 161.5), (20.5, 155.0), (44.5, 132.0)])
"""Fingertips (finger 5, xy 2) relative to the wrist, for a hand at rest on five neighbouring white keys; bone scale 1."""

REFERENCE_MM = REST_TIPS_MM[2]
"""Reference point of the hand (xy 2) relative to the wrist; bone scale 1."""

OFFSETS_MM = REST_TIPS_MM - REFERENCE_MM
"""Fingertips at rest (finger 5, xy 2) relative to the reference point; bone scale 1."""

WHITE_Y_MM = 46.0
"""y of the reference point of a hand on white keys."""

BLACK_Y_MM = 72.0
"""y of the reference point of a hand on black keys."""

WHITE_DEPTH_MM = (8.0, 95.0)
"""Minimum and maximum y at which a fingertip may press a white key. The maximum is between the black keys."""

BLACK_DEPTH_MM = (59.0, 110.0)
"""Minimum and maximum y at which a fingertip may press a black key."""

TIP_HEIGHT_MM = np.array([7.5, 6.2, 6.4, 6.1, 5.4])
"""Height of each fingertip's joint above the surface that the fingertip touches (finger 5,); bone scale 1. It is the radius of the
fingertip."""

COMFORT_MM = np.array([(-30.0, 40.0), (-15.0, 14.0), (-14.0, 14.0), (-14.0, 15.0), (-15.0, 13.0)])
"""Comfortable range of each fingertip along the keyboard, relative to its rest position (finger 5, left and right end)."""

REACH_MM = np.array([(-46.0, 52.0), (-24.0, 20.0), (-22.0, 22.0), (-22.0, 22.0), (-24.0, 26.0)])
"""Maximum range of each fingertip along the keyboard, relative to its rest position (finger 5, left and right end). It allows an octave."""

# Maximum distance of each fingertip (finger 5,) from its rest position towards the wrist.
_BACK_MM = np.array([30.0, 22.0, 22.0, 22.0, 28.0])

# Maximum extension of a finger that presses a key, as a share of its stretched length.
_STRAIGHTEST = 0.97

# The stretch of a chord is 0 up to the first width, and 1 at the second (octave with thumb and little finger). A width is the amount by
# which the chord is wider than the hand at rest.
_STRETCH_FREE_MM, _STRETCH_FULL_MM = 30.0, 70.0

# Angle by which the hand turns at stretch 1 (yaw), so that thumb and little finger press at equal y.
_STRETCH_YAW_DEG = -8.0

# Maximum of the stretch.
_MAX_STRETCH = 1.4

# Distance between the middle of the keyboard and a hand that plays no notes at all.
_IDLE_ASIDE_MM = 150.0

# Distance by which the wrist is higher on black keys.
_BLACK_RISE_MM = 5.0

# Maximum time between the onsets of the notes of a chord.
_CHORD_S = 0.03

# If the hand must leave a key to reach the next one, the time from the release to the next onset is this value plus the time of travel.
_LIFT_S = 0.06

# Speed of the hand in this travel.
_TRAVEL_MM_PER_S = 1000.0

# Minimum time from a release to the next press of the same finger, or of a finger that would cross it. The thumb may cross other fingers.
_SAME_FINGER_S = 0.12

# Minimum time from a release to the next press of the same key.
_SAME_KEY_S = 0.10

# Minimum duration of a press. If a later note starts within twice this time, half the time to that note replaces it.
_MIN_HOLD_S = 0.07

# Time before the onset at which the hand is over the key. It stays there until the release.
_APPROACH_S = 0.02

# Time constant with which a path returns to its corridor.
_HARD_S = 0.015

# Time constant with which a path approaches the middle of a held chord.
_EASY_S = 0.12

# Time constant of the tension. Without tension, a minimum-jerk path moves backwards before a leap, and overshoots.
_TENSION_S = 0.06

# Maximum number of iterations of `smoothest_path`.
_CORRIDOR_ROUNDS = 40

LEAVE_S = 0.5
"""Time in which a hand leaves the view of the camera, and in which it returns (s)."""

# y and z of a hand that rests on the player's lap.
_LAP_Y_MM, _LAP_Z_MM = -650.0, -60.0

# Time from the moment when a hand starts to leave the keys until it starts to move down to the lap.
_LAP_DELAY_S = 0.15

RAISE_MM = 75.0
"""Distance (mm) by which the wrist is higher while the hand plays above the other hand."""

# Change of the pitch while the hand plays above the other hand.
_RAISED_PITCH_DEG = -10.0

# Change of the yaw along the keyboard.
_YAW_DEG_PER_MM = -0.012

# Maximum absolute yaw.
_MAX_YAW_DEG = 14.0

# Standard deviation of the slow noise of position (mm) and rotation (degrees).
_NOISE = {"x": 1.5, "y": 2.5, "z": 2.0, "yaw": 1.5, "pitch": 1.2, "roll": 2.0}

# Standard deviation of the Gaussian that smooths the slow noise over time.
_NOISE_S = 0.35


@dataclass(frozen=True)
class Presses:
    """Key presses of one hand, ordered by onset.

    Attributes
    ----------
    onset_s : array (press,)
        Time at which the key reaches its lowest position.
    release_s : array (press,)
        Time at which the finger begins to release the key.
    finger : array (press,), int
        Index into `skeleton.FINGERS`.
    key : array (press,), int
        0..87.
    x_mm : array (press,)
        Centre of the key; mirrored for a left hand.
    black : array (press,), bool
        Whether the key is black.
    velocity : array (press,)
        MIDI velocity.
    """

    onset_s: np.ndarray
    release_s: np.ndarray
    finger: np.ndarray
    key: np.ndarray
    x_mm: np.ndarray
    black: np.ndarray
    velocity: np.ndarray

    def at(self, index):
        """Return the presses with these indices (pair,). An index may occur several times."""
        return Presses(*(getattr(self, field.name)[index] for field in fields(self)))


@dataclass(frozen=True)
class Held:
    """Pairs of a press and a time step at which its key is held. Few keys are held at a time, so pairs need less memory than a matrix.

    Attributes
    ----------
    press, step : array (pair,), int
        Index of the press and of the time step; ordered by press, then step.
    size : int
        Number of time steps.
    """

    press: np.ndarray
    step: np.ndarray
    size: int

    def min(self, values):
        """Return the minimum at each step (step,) of the values of pairs (pair,). It is inf where no key is held."""
        smallest = np.full(self.size, np.inf)
        np.minimum.at(smallest, self.step, values)
        return smallest

    def max(self, values):
        """Return the maximum at each step (step,) of the values of pairs (pair,). It is -inf where no key is held."""
        return -self.min(-values)

    def any(self, chosen=True):
        """Return whether a key of the chosen pairs (pair,) is held at each step (step,)."""
        found = np.zeros(self.size, dtype=bool)
        found[self.step[np.broadcast_to(chosen, self.step.shape)]] = True
        return found


def held_at(time_s, start_s, end_s):
    """List the pairs (`Held`) of presses that last from `start_s` to `end_s` (press,), both inclusive. Times (step,) are increasing."""
    first = np.searchsorted(time_s, start_s, side="left")
    count = np.maximum(np.searchsorted(time_s, end_s, side="right") - first, 0)
    press = np.repeat(np.arange(len(first)), count)
    return Held(press, np.arange(len(press)) - np.repeat(np.cumsum(count) - count - first, count), len(time_s))


@dataclass(frozen=True)
class HandPath:
    """Path of one hand at time steps of `STEP_S`; mirrored for a left hand.

    Attributes
    ----------
    time_s : array (step,)
    position_mm : array (step, xy 2)
        Position of the reference point.
    height_mm : array (step,)
        Height of the wrist above the white keys.
    turn_rad : array (step, 3)
        Yaw, pitch and roll. A positive angle turns the fingers towards -x (yaw), the knuckles up (pitch), or the thumb up (roll).
    """

    time_s: np.ndarray
    position_mm: np.ndarray
    height_mm: np.ndarray
    turn_rad: np.ndarray


def presses_of(notes, chosen, finger, mirror, release_s):
    """Return the key presses of the notes for which `chosen` (note,) is true. `mirror` is -1 for a left hand, 1 for a right hand."""
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
    """Compute when each key is released: at its written offset, or earlier if its finger or its hand is needed for another key.

    Parameters
    ----------
    onset_s, key_offset_s : array (note,)
        Written times of the notes, ordered by onset.
    pitch : array (note,)
        MIDI pitch.
    hand, finger : array (note,), int
        Indices into `skeleton.HANDS` and `skeleton.FINGERS`.
    bone_scale : array (hand 2,)

    Returns
    -------
    array (note,)
        Release times (s), never later than `key_offset_s`. An early release is not before the onset plus the shorter of two times:
        `_MIN_HOLD_S`, and half the time to the onset of the note that needs the finger, the hand or the key.
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
        earliest = onset_s[note] + np.minimum(_MIN_HOLD_S, 0.5 * (onset_s[later] - onset_s[note]))
        released[note] = np.min(np.maximum(onset_s[later] - need, earliest), initial=released[note])
    return released


def corridor(x_mm, finger, scale, range_mm):
    """Compute the corridor of each press: the range of the hand's x in which the finger reaches its key.

    Parameters
    ----------
    x_mm : array (press,)
        Centres of the keys; mirrored for a left hand.
    finger : array (press,), int
        Index into `skeleton.FINGERS`.
    scale : float or array (press,)
        Bone scale.
    range_mm : array (finger 5, side 2)
        Range of the fingers: `COMFORT_MM` or `REACH_MM`.

    Returns
    -------
    low, high : array (press,)
        Minimum and maximum x of the reference point.
    """
    middle = x_mm - OFFSETS_MM[finger, 0] * scale
    return middle - range_mm[finger, 1] * scale, middle - range_mm[finger, 0] * scale


def smoothest_path(low, high, centre, softness_s):
    """Compute the minimum-jerk path that stays in a corridor and is attracted to a centre line.

    The path minimises the sum over steps of

        (third difference)^2 + (STEP_S / _TENSION_S)^4 (first difference)^2
        + (STEP_S / softness_s)^6 (path - centre)^2 + (STEP_S / _HARD_S)^6 (distance outside the corridor)^2.

    A semismooth Newton method minimises this piecewise quadratic function.

    Parameters
    ----------
    low, high : array (step,)
        Ends of the corridor; infinite where the path is free.
    centre, softness_s : array (step,)
        Centre line, and time constant of the attraction to it.

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
        # The penalty is soft: a sample that is moved back remains slightly outside the corridor. Therefore the set of such samples
        # converges.
        beyond = (path < low) | (path > high)
        if np.array_equal(beyond, outside):
            break
        outside = beyond
    return path


def steps_until(end_s):
    """Return the time steps (step,) of a path that lasts from 0 to at least `end_s`, seconds."""
    return np.arange(int(np.ceil(end_s / STEP_S)) + 2) * STEP_S


def held_keys(presses, end_s):
    """List the pairs (`Held`) of presses and time steps at which a path has to be over the key."""
    return held_at(steps_until(end_s), presses.onset_s - _APPROACH_S, presses.release_s)


def plan_hand(presses, leaves, mirror, bone_scale, end_s, rng, style, side_mm=None, raised=0.0):
    """Plan the path of one hand.

    Parameters
    ----------
    presses : Presses
    leaves : array (leave, 2)
        Start and end (s) of each absence from the keys. The hand starts to leave at the start, and is back at the end.
    mirror : int
        -1 for a left hand, 1 for a right hand.
    bone_scale : float
    end_s : float
        End of the performance. The path lasts from 0 to at least this time.
    rng : numpy.random.Generator
        Source of the slow noise.
    style : style.PianistStyle
    side_mm : (low, high) arrays (step,), optional
        Range of x of the reference point (mirrored for a left hand) in which the hand keeps its distance from the other hand. The reach of
        the held keys has priority.
    raised : array (step,)
        How far the hand is raised above the other hand, 0..1.

    Returns
    -------
    HandPath
    """
    time = steps_until(end_s)
    size = len(time)
    held = held_keys(presses, end_s)
    # From here on, `presses` has one entry per pair of press and step.
    presses, scale = presses.at(held.press), bone_scale
    stretch = _hand_stretch(presses, held, scale)
    black = held.any(presses.black)

    any_held = held.any()
    softness = np.where(any_held, _EASY_S, style.travel_s)
    noise = {name: slow_noise(size, rng) * sigma for name, sigma in _NOISE.items()}
    middle_x = mirror * 0.5 * STANDARD.width_mm

    centre = _fill_gaps(_mid_range(held, presses.x_mm - OFFSETS_MM[presses.finger, 0] * scale), middle_x + _IDLE_ASIDE_MM)
    bounds = intersect_corridors(held, *corridor(presses.x_mm, presses.finger, scale, COMFORT_MM))
    if side_mm is not None:
        reach = intersect_corridors(held, *corridor(presses.x_mm, presses.finger, scale, REACH_MM))
        side = [np.clip(limit, *reach) for limit in side_mm]
        bounds = tuple(np.clip(bound, *side) for bound in bounds)
        centre = np.clip(centre, *side)
    x = smoothest_path(*(bound - noise["x"] for bound in bounds), centre, softness) + noise["x"]

    centre = _fill_gaps(
        np.where(any_held, style.wrist_height_mm * scale - style.stretch_drop_mm * stretch + _BLACK_RISE_MM * black, np.nan),
        style.wrist_height_mm * scale,
    )
    bounds = np.full(size, -np.inf), np.full(size, np.inf)
    for start, end in leaves:
        _fix_path(bounds, centre, (time >= start + LEAVE_S + _LAP_DELAY_S) & (time <= end - LEAVE_S - _LAP_DELAY_S), _LAP_Z_MM)
    z = smoothest_path(*bounds, centre, softness) + noise["z"] + RAISE_MM * raised

    opened = smoothest_path(np.full(size, -np.inf), np.full(size, np.inf), _fill_gaps(np.where(any_held, stretch, np.nan), 0.0), softness)
    yaw = np.clip(style.yaw_deg + _YAW_DEG_PER_MM * (x - middle_x), -_MAX_YAW_DEG, _MAX_YAW_DEG) + _STRETCH_YAW_DEG * opened + noise["yaw"]
    turn = np.radians(
        np.stack([yaw, style.pitch_deg + style.stretch_pitch_deg * opened + noise["pitch"] + _RAISED_PITCH_DEG * raised, noise["roll"]], -1)
    )

    centre = _fill_gaps(np.where(any_held, np.where(black, 0.5 * (WHITE_Y_MM + BLACK_Y_MM), WHITE_Y_MM), np.nan), WHITE_Y_MM)
    centre += style.depth_mm
    depth = np.where(presses.black[:, None], BLACK_DEPTH_MM, WHITE_DEPTH_MM)
    behind = ((OFFSETS_MM[:, 1] - _BACK_MM) * scale)[presses.finger]
    # A finger that is too far from its key along x must not move the hand further towards the fallboard.
    forward = np.maximum(forward_mm(presses, *(series[held.step] for series in (x, z, turn[:, 0], turn[:, 1])), scale), behind)
    bounds = intersect_corridors(held, depth[:, 0] - forward, depth[:, 1] - behind)
    bounds = tuple(bound - noise["y"] for bound in bounds)
    for start, end in leaves:
        _fix_path(bounds, centre, (time >= start + LEAVE_S) & (time <= end - LEAVE_S), _LAP_Y_MM)
    y = smoothest_path(*bounds, centre, softness) + noise["y"]
    return HandPath(time, np.stack([x, y], -1), z, turn)


def forward_mm(presses, position_x_mm, height_mm, yaw_rad, pitch_rad, scale):
    """Compute how far the fingers reach towards the fallboard on their keys, relative to the reference point.

    Parameters
    ----------
    presses : Presses
    position_x_mm, height_mm, yaw_rad, pitch_rad : array (press,)
        x of the reference point, height of the wrist, and rotation of the hand; see `HandPath`.
    scale : float
        Bone scale.

    Returns
    -------
    array (press,), mm
        Maximum y of the fingertip minus y of the reference point, for a nearly straight finger on the pressed key. If the finger is too
        short for its key, the y of the finger's base replaces that of the fingertip.
    """
    base = 1e3 * scale * (_PLAYER_FROM_MANO @ chains().base_m).T[presses.finger]
    length = 1e3 * scale * np.linalg.norm(chains().bones_m, axis=1).sum(0)[presses.finger] * _STRAIGHTEST
    right, forward = base[:, 0] - scale * REFERENCE_MM[0], base[:, 1] - scale * REFERENCE_MM[1]
    base_x = position_x_mm + np.cos(yaw_rad) * right - np.sin(yaw_rad) * forward
    base_y = np.sin(yaw_rad) * right + np.cos(yaw_rad) * forward
    base_z = height_mm + np.cos(pitch_rad) * base[:, 2] + np.sin(pitch_rad) * base[:, 1]
    tip_z = TIP_HEIGHT_MM[presses.finger] * scale + STANDARD.black_height_mm * presses.black - STANDARD.dip_mm
    across = length**2 - (base_z - tip_z) ** 2 - (presses.x_mm - base_x) ** 2
    return base_y + np.sqrt(np.maximum(across, 0.0))


def _fix_path(bounds, centre, where, value):
    """Fix a path at a value where `where` (step,) is true, by setting its corridor and its centre line to the value."""
    for series in (*bounds, centre):
        series[where] = value


def _hand_stretch(presses, held, scale):
    """Compute the stretch of the hand at each step (step,): 0 at rest, 1 in an octave with thumb and little finger.

    `presses` has one entry per pair of press and step.
    """
    at_rest = presses.x_mm - OFFSETS_MM[presses.finger, 0] * scale
    any_held = held.any()
    wide = np.where(any_held, held.max(at_rest), 0.0) - np.where(any_held, held.min(at_rest), 0.0)
    # If the thumb passes under a finger, the distance to its rest position is large although the hand is not stretched.
    thumb = presses.finger == 0
    inner = held.max(np.where(thumb, -np.inf, presses.x_mm))
    outer = held.min(np.where(thumb, presses.x_mm, np.inf))
    crossed = np.isfinite(inner) & np.isfinite(outer) & (inner < outer)
    return np.where(crossed, 0.0, np.clip((wide / scale - _STRETCH_FREE_MM) / (_STRETCH_FULL_MM - _STRETCH_FREE_MM), 0.0, _MAX_STRETCH))


def intersect_corridors(held, low, high):
    """Intersect the corridors (pair,) of the held keys at each step (step,).

    If the corridors do not intersect, the result is a single point: the middle between maximum low end and minimum high end.
    """
    lower, upper = held.max(low), held.min(high)
    empty = lower > upper
    middle = 0.5 * (np.where(empty, lower, 0.0) + np.where(empty, upper, 0.0))
    return np.where(empty, middle, lower), np.where(empty, middle, upper)


def _mid_range(held, values):
    """Return, for each step (step,), the mean of the minimum and the maximum of the values (pair,); NaN where no key is held."""
    any_held = held.any()
    low, high = (np.where(any_held, bound(values), 0.0) for bound in (held.min, held.max))
    return np.where(any_held, 0.5 * (low + high), np.nan)


def _fill_gaps(series, default):
    """Replace NaN by linear interpolation. A series that contains only NaN becomes constant, with the value `default`."""
    known = np.flatnonzero(np.isfinite(series))
    return np.interp(np.arange(len(series)), known, series[known]) if len(known) else np.full(len(series), default)


def slow_noise(size, rng):
    """Draw Gaussian noise (step,) of standard deviation 1, smoothed over `_NOISE_S`."""
    width = _NOISE_S / STEP_S
    smooth = gaussian_filter1d(rng.standard_normal(size), width, mode="reflect")
    return smooth * np.sqrt(2.0 * width * np.sqrt(np.pi))
