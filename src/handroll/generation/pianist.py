"""Simulated performances: convert a fingered score to poses of two hands and depths of the keys, frame by frame.

The wrist follows a planned path (`wrist_trajectory`). Every fingertip follows its own trajectory between the keys that it presses, and
`inverse_kinematics` computes the joint angles. The depth of a key follows the fingertip that presses it, so that hands, keys and notes are
consistent. This module works in millimetres. The result (`Performance`) is in metres.
"""

from dataclasses import dataclass

import numpy as np

from handroll.generation.hand_fit import fit_hand
from handroll.generation.inverse_kinematics import rotation_from_angles
from handroll.generation.performance import Performance
from handroll.generation.style import SIMULATED
from handroll.generation.two_hands import APART_MM, TIP_CLEARANCE_MM, separate
from handroll.generation.wrist_trajectory import (
    BLACK_DEPTH_MM,
    LEAVE_S,
    OFFSETS_MM,
    RAISE_MM,
    REFERENCE_MM,
    STEP_S,
    TIP_HEIGHT_MM,
    WHITE_DEPTH_MM,
    forward_mm,
    held_at,
    plan_hand,
    presses_of,
    releases,
    slow_noise,
)
from handroll.hand.kinematics import mirrored_pose
from handroll.hand.rotations import matrix_from_rotvec, rotvec_from_matrix, unwrap_rotvec
from handroll.hand.skeleton import FINGERS, HANDS, N_ROTATIONS
from handroll.hand.template import WRIST_M
from handroll.keyboard.geometry import LEVEL_HAND, N_KEYS, STANDARD, tail_edges_mm
from handroll.music.notes import note_table

# Distance by which an idle thumb is moved outwards, so that it is visible from above beside the index finger.
_THUMB_ASIDE_MM = 9.0

# Time before the onset at which a fingertip arrives over its key.
_AIMED_S = 0.03

# Time after the release at which a fingertip starts to move away from its key.
_PART_S = 0.02

# Time after the release at which a fingertip is back at its rest position.
_PARTED_S = 0.20

# Minimum duration of a movement towards or away from a key.
_MIN_MOVE_S = 0.02

# Maximum distance of a pressed point from the middle of the key, towards the rest position of the finger. The first value is for the front
# part (head) of a white key. The second is for the narrow parts: a black key, and a white key between black keys (tail).
_AIM_SLACK_MM = (3.0, 1.2)

# Standard deviation of a pressed point along the keyboard, for the same two cases.
_AIM_NOISE_MM = (0.8, 0.5)

# Standard deviation of the height of idle fingertips.
_HOVER_NOISE_MM = 1.5

# Minimum distance of an idle fingertip from the fallboard.
_FALLBOARD_MM = 12.0

# Height of the wrist above an idle fingertip when the hand is away from the keys.
_HANG_MM = 40.0

# Maximum distance by which idle fingertips lag behind the hand. A larger one would bend the fingers too far to the side.
_MAX_LAG_MM = 18.0

# Minimum distance along the keyboard between neighbouring fingertips, unless they press closer keys.
_TIP_SPACING_MM = 15.0

# Number of passes over the fingers in which idle fingertips are moved apart.
_SPACING_ROUNDS = 8

# Distance in front of the black keys over which the part of a white key that can be pressed becomes narrow.
_BLACK_EDGE_MM = 10.0


def perform(score, seed, fps=30.0, hand_scale=(1.0, 1.0), style=SIMULATED):
    """Simulate the performance of a fingered score.

    Parameters
    ----------
    score : FingeredNotes
    seed : int
        Random seed of the variations of movement.
    fps : float
        Frame rate.
    hand_scale : (float, float)
        Bone scale of the left and the right hand.
    style : style.PianistStyle

    Returns
    -------
    Performance
        Its notes are those of the score, but with the actual key releases (`key_offset_s`). A key is released earlier than written if its
        finger or its hand is needed elsewhere. `sounding_offset_s` is recomputed.
    """
    notes, hand, finger = score.notes, score.hand, score.finger
    time = np.arange(int(round(score.duration_s * fps))) / fps
    scale = np.asarray(hand_scale, dtype=np.float64)
    released = releases(notes["onset_s"], notes["key_offset_s"], notes["pitch"], hand, finger, scale)
    rotation = np.zeros((len(time), 2, N_ROTATIONS, 3))
    translation = np.zeros((len(time), 2, 3))
    depth = np.zeros((len(time), N_KEYS))
    present = np.ones((len(time), 2), dtype=bool)
    mirrors = [-1 if name == "left" else 1 for name in HANDS]
    presses_of_hand = [presses_of(notes, hand == side, finger, mirror, released) for side, mirror in enumerate(mirrors)]
    away_of_hand = [[(start, end) for resting, start, end in score.rests if resting == name] for name in HANDS]

    def plan(side, *apart):
        """Plan the path of a hand. Returns the path, and the random generator for the rest of the hand's variations."""
        rng = np.random.default_rng([seed, side])
        args = presses_of_hand[side], away_of_hand[side], mirrors[side], scale[side], score.duration_s, rng, style, *apart
        return plan_hand(*args), rng

    planned = [plan(side) for side in range(len(HANDS))]
    apart = separate([path for path, _ in planned], presses_of_hand, scale, score.duration_s) if style.keeps_apart else None
    for side, name in enumerate(HANDS):
        mirror, presses, away, (path, rng) = mirrors[side], presses_of_hand[side], away_of_hand[side], planned[side]
        if apart is not None:
            half = 0.5 * APART_MM * scale[side]
            path, rng = plan(side, (apart.low_mm[side] + half, apart.high_mm[side] - half), apart.raised[side])
        courses = compute_trajectories(presses, time, style)
        at_frames = None
        if apart is not None:
            at_frames = [_nearest(time, series[side]) for series in (apart.low_mm, apart.high_mm, apart.raised)]
        pose, moved = _compute_poses(presses, courses, path, mirror, time, scale[side], rng, style, at_frames)
        rotation[:, side] = mirrored_pose(pose.reshape(len(time), -1)).reshape(pose.shape) if name == "left" else pose
        translation[:, side] = moved * np.array([mirror, 1.0, 1.0])
        key_down = np.maximum(courses.down * (style.hover_mm + STANDARD.dip_mm) - style.hover_mm, 0.0)
        np.maximum.at(depth, (courses.frame, presses.key[courses.press]), key_down)
        for start, end in away:
            present[(time >= start + LEAVE_S) & (time <= end - LEAVE_S), side] = False
    return Performance(
        time_s=time,
        rotation_rad=unwrap_rotvec(rotation),
        translation_m=translation,
        bone_scale=scale,
        key_depth_mm=depth,
        present=present,
        notes=note_table(notes["onset_s"], released, notes["pitch"], notes["velocity"], score.pedal),
        note_hand=hand,
        note_finger=finger,
    )


def _nearest(time, series):
    """Return the values (frame,) of a series (step,) at frame times."""
    return series[np.rint(time / STEP_S).astype(int)]


def _compute_poses(presses, courses, path, mirror, time, scale, rng, style, apart=None):
    """Compute the poses of one hand: rotation (frame, joint 16, 3) and translation (frame, 3), metres. A left hand is mirrored.

    `apart` contains the fields of `two_hands.Separation` for this hand: the range of x that idle fingertips do not leave, two arrays
    (frame,), and how far the hand is raised (frame,). None if the hands are never near each other.
    """
    position = np.stack([np.interp(time, path.time_s, path.position_mm[:, axis]) for axis in (0, 1)], -1)
    height = np.interp(time, path.time_s, path.height_mm)
    yaw, pitch, roll = (np.interp(time, path.time_s, path.turn_rad[:, axis]) for axis in range(3))
    orientation = _turns(2, yaw) @ _turns(0, pitch) @ _turns(1, roll) @ LEVEL_HAND[1]
    flat = _turns(2, yaw)[:, :2, :2]
    wrist = np.concatenate([position - scale * flat @ REFERENCE_MM, height[:, None]], -1)

    point = _press_points(presses, path, mirror, scale, rng)
    cell = courses.frame * len(FINGERS) + presses.finger[courses.press]

    def by_finger(values):
        """Sum values of pairs of press and frame (pair,) into an array (frame, finger)."""
        return np.bincount(cell, values, len(time) * len(FINGERS)).reshape(len(time), len(FINGERS))

    aims = by_finger(courses.aim)
    held = np.minimum(aims, 1.0)

    rest = OFFSETS_MM * scale - np.array([[_THUMB_ASIDE_MM, 0.0]] + 4 * [[0.0, 0.0]])
    idle = (position + _lag_mm(path, time, style.finger_lag_s))[:, None] + np.einsum("tij,fj->tfi", flat, rest)
    idle[..., 1] = np.minimum(idle[..., 1], STANDARD.white_length_mm - _FALLBOARD_MM)
    if apart is not None:
        idle[..., 0] = np.clip(idle[..., 0], (apart[0] + TIP_CLEARANCE_MM)[:, None], (apart[1] - TIP_CLEARANCE_MM)[:, None])
    drawn = np.stack([by_finger(courses.aim * along[courses.press]) for along in point.T], -1)
    tip = idle * (1.0 - held)[..., None] + drawn / np.maximum(aims, 1.0)[..., None]
    tip[..., 0] = _space_fingertips(tip[..., 0], held)

    surface = STANDARD.black_height_mm * smooth_step((tip[..., 1] - STANDARD.black_front_mm + style.rise_mm) / style.rise_mm)
    over_keys = smooth_step((tip[..., 1] + 60.0) / 60.0)
    wander = np.stack([np.interp(time, path.time_s, slow_noise(len(path.time_s), rng)) for _ in FINGERS], -1) * _HOVER_NOISE_MM
    # The height of idle fingertips is relative to the keys while the hand is over the keys, and relative to the wrist elsewhere.
    hanging = height[:, None] - _HANG_MM * scale
    idle_z = over_keys * (surface + style.hover_mm) + (1.0 - over_keys) * hanging + wander
    if apart is not None:
        idle_z += RAISE_MM * apart[2][:, None]
    key_top = np.where(presses.black, STANDARD.black_height_mm, 0.0)
    top = by_finger(courses.aim * key_top[courses.press])
    poised = idle_z * (1.0 - held) + (top + style.hover_mm * aims) / np.maximum(aims, 1.0)
    pressed = by_finger(courses.down)
    tip_z = poised - pressed * (style.hover_mm + STANDARD.dip_mm)
    target = np.concatenate([tip, (tip_z + TIP_HEIGHT_MM * scale)[..., None]], -1)

    key_range_mm = _key_ranges_mm(presses, point, by_finger, courses, aims) if style.turns_wrist else None
    wrist, orientation, angles = fit_hand(target, wrist, orientation, scale, pressed, 1.0 / np.median(np.diff(time)), key_range_mm)
    rotation = rotation_from_angles(angles)
    rotation[:, 0] = rotvec_from_matrix(orientation)
    return rotation, wrist * 1e-3 - scale * np.array(WRIST_M)


def _lag_mm(path, time, lag_s):
    """Compute the vector (frame, xy 2) from the hand to the point where idle fingers are that lag behind it by `lag_s`.

    It approaches the length `_MAX_LAG_MM` when the hand moves fast.
    """
    now, before = (np.stack([np.interp(at, path.time_s, along) for along in path.position_mm.T], -1) for at in (time, time - lag_s))
    behind = before - now
    return behind / np.sqrt(1.0 + (behind**2).sum(-1, keepdims=True) / _MAX_LAG_MM**2)


def _key_ranges_mm(presses, point, by_finger, courses, aims):
    """Return the minimum and maximum y (frame, finger), mm, at which fingers may press their keys near the points (press, xy 2)."""
    low = np.where(presses.black, BLACK_DEPTH_MM[0], WHITE_DEPTH_MM[0])
    high = np.where(presses.black, BLACK_DEPTH_MM[1], np.maximum(point[:, 1], STANDARD.black_front_mm - _BLACK_EDGE_MM))
    return [by_finger(courses.aim * end[courses.press]) / np.maximum(aims, 1e-9) for end in (low, high)]


@dataclass(frozen=True)
class Trajectories:
    """Trajectories of the presses of a hand, as pairs of a press and a frame. Frames in which `down` and `aim` are 0 may be left out.

    Attributes
    ----------
    press, frame : array (pair,), int
        Index of the press and of the frame; ordered by press, then frame.
    down : array (pair,)
        How far the finger is down: 0 at its idle height, 1 at the bottom of the key.
    aim : array (pair,)
        How far the finger has moved to its key: 0 at its rest position, 1 over the key.
    """

    press: np.ndarray
    frame: np.ndarray
    down: np.ndarray
    aim: np.ndarray


def compute_trajectories(presses, time, style):
    """Compute the `Trajectories` of the presses of a hand at increasing times (frame,), for a `style.PianistStyle`."""
    onset, release = presses.onset_s, presses.release_s
    before_finger, after_finger = _neighbours(presses, presses.finger)
    before_key, after_key = _neighbours(presses, presses.key)
    hardness = (presses.velocity - 1.0) / 126.0
    strike = style.strike_s[0] + (style.strike_s[1] - style.strike_s[0]) * hardness
    strike = np.minimum(strike, 0.5 * (onset - np.maximum(before_finger, before_key)))
    lift = np.minimum(style.lift_s, 0.5 * (np.minimum(after_finger, after_key) - release))
    aim_start, part_end = np.maximum(onset - style.aim_s, before_finger + _PART_S), np.minimum(release + _PARTED_S, after_finger - _AIMED_S)
    # Outside this interval, `down` and `aim` are 0.
    pairs = held_at(time, np.minimum(aim_start, onset - strike), np.maximum(release + np.maximum(lift, _PART_S + _MIN_MOVE_S), part_end))
    onset, release, strike, lift, aim_start, part_end = (
        values[pairs.press] for values in (onset, release, strike, lift, aim_start, part_end)
    )
    t = time[pairs.step]
    down = smooth_step((t - onset + strike) / strike) * smooth_step((release + lift - t) / lift)
    aim = _ramp_between(t, aim_start, onset - _AIMED_S) * (1.0 - _ramp_between(t, release + _PART_S, part_end))
    return Trajectories(pairs.press, pairs.step, down, aim)


def _neighbours(presses, group):
    """Return the previous release (press,) and the next onset (press,) of the same finger or key; -inf and inf if there is none.

    `group` contains the finger or the key of each press.
    """
    before, after = np.full(len(group), -np.inf), np.full(len(group), np.inf)
    order = np.lexsort((presses.onset_s, group))
    same = group[order][1:] == group[order][:-1]
    before[order[1:][same]] = presses.release_s[order[:-1][same]]
    after[order[:-1][same]] = presses.onset_s[order[1:][same]]
    return before, after


def _press_points(presses, path, mirror, scale, rng):
    """Choose the point (press, xy 2), mm, at which each key is pressed: near the finger's rest position, and within its range."""
    courses = (*path.position_mm.T, path.height_mm, *path.turn_rad.T)
    *position, height, yaw, pitch, _ = (np.interp(presses.onset_s, path.time_s, course) for course in courses)
    position = np.stack(position, -1)
    finger, black = presses.finger, presses.black
    flat = _turns(2, yaw)[:, :2, :2]
    rest = position + scale * np.einsum("pij,pj->pi", flat, OFFSETS_MM[finger])
    farthest = position[:, 1] + forward_mm(presses, position[:, 0], height, yaw, pitch, scale)
    y = np.clip(np.minimum(rest[:, 1], farthest), *np.where(black[:, None], BLACK_DEPTH_MM, WHITE_DEPTH_MM).T)
    middle, narrow = playing_middle_mm(presses, y, mirror)
    slack, sigma = (wide + narrow * (tight - wide) for wide, tight in (_AIM_SLACK_MM, _AIM_NOISE_MM))
    x = middle + np.clip(rest[:, 0] - middle, -slack, slack) + sigma * np.clip(rng.standard_normal(len(y)), -2.0, 2.0)
    return np.stack([x, y], -1)


def playing_middle_mm(presses, y_mm, mirror):
    """Find the middle of the part of each key that can be pressed at a distance from the player's edge.

    Between the black keys, only the narrow tail of a white key can be pressed.

    Parameters
    ----------
    presses : Presses
    y_mm : array (press,)
    mirror : int
        -1 for a left hand, 1 for a right hand.

    Returns
    -------
    middle_mm : array (press,)
        x; mirrored for a left hand.
    narrow : array (press,)
        0 for the head of a white key, 1 for a tail or a black key.
    """
    deep = smooth_step((y_mm - STANDARD.black_front_mm + _BLACK_EDGE_MM) / _BLACK_EDGE_MM)
    tail = mirror * tail_edges_mm()[presses.key].mean(1)
    return presses.x_mm + np.where(presses.black, 0.0, deep) * (tail - presses.x_mm), np.maximum(deep, presses.black)


def _space_fingertips(x_mm, held):
    """Move idle fingertips apart, from index to little finger, until neighbours keep the distance `_TIP_SPACING_MM`.

    `x_mm` and the result are the x of the fingertips (frame, finger). `held` is 1 for a finger that presses a key, 0 for an idle one.
    """
    x, mobile = x_mm.copy(), 1.0 - held + 1e-3
    for _ in range(_SPACING_ROUNDS):
        for near in range(1, len(FINGERS) - 1):
            short = np.maximum(_TIP_SPACING_MM - (x[:, near + 1] - x[:, near]), 0.0)
            share = mobile[:, near] / (mobile[:, near] + mobile[:, near + 1])
            short = short * np.maximum(mobile[:, near], mobile[:, near + 1])
            x[:, near] -= short * share
            x[:, near + 1] += short * (1.0 - share)
    return x


def smooth_step(u):
    """Evaluate the minimum-jerk function that rises from 0 at u = 0 to 1 at u = 1 (Flash and Hogan 1985)."""
    u = np.clip(u, 0.0, 1.0)
    return u**3 * (10.0 - 15.0 * u + 6.0 * u**2)


def _ramp_between(time, start, end):
    """Evaluate a minimum-jerk rise from 0 at `start` to 1 at `end`. The rise takes at least `_MIN_MOVE_S`."""
    return smooth_step((time - start) / np.maximum(end - start, _MIN_MOVE_S))


def _turns(axis, angle_rad):
    """Return rotation matrices (..., 3, 3) about the world axis 0 (x), 1 (y) or 2 (z)."""
    return matrix_from_rotvec(np.asarray(angle_rad)[..., None] * np.eye(3)[axis])
