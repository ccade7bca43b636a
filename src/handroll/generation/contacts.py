"""Correct a motion so that it plays its notes: fingertips press their keys, and other fingertips stay above the keys.

Each finger gets the ranges in which its fingertip has to be: over its key and at the depth of the key while it presses, and raised before
and after. The correction of the motion is as small and as smooth as possible (`contact_problem`). A motion that trembles is smoothed first.
"""

from dataclasses import replace

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d

from handroll.device import torch_device, torch_threads
from handroll.generation.contact_problem import ContactProblem, Contacts
from handroll.generation.fingered_notes import FingeredNotes
from handroll.generation.fingering import DEFAULT_COSTS, UNPLAYED, finger_notes
from handroll.generation.hand_assignment import assign_hands
from handroll.generation.pianist import compute_trajectories, playing_middle_mm, smooth_step
from handroll.generation.style import PLANNED
from handroll.generation.wrist_trajectory import BLACK_DEPTH_MM, TIP_HEIGHT_MM, WHITE_DEPTH_MM, held_at, presses_of, releases
from handroll.hand.kinematics import MIRROR
from handroll.hand.rotations import matrix_from_rotvec, mirrored, rotvec_from_matrix, unwrap_rotvec
from handroll.hand.skeleton import FINGERS, HANDS, N_ROTATIONS, TIPS
from handroll.hand.template import open_hand
from handroll.keyboard.geometry import STANDARD
from handroll.metrics.key_press import find_presses, match_presses
from handroll.pose.hand_models import TemplateSkeleton
from handroll.pose.series_problem import minimise_series
from handroll.pose.temporal import acceleration_coefficients, split_into_windows
from handroll.pose.temporal_noise import jitter, steady_frames
from handroll.rendering.scene import world_joints

SMOOTHNESS = 1.0
"""Weight of the accelerations of the correction."""

ACCELERATION_M_S2 = (20.0, 10.0, 10.0, 5.0, 5.0, 3.0, 3.0, 2.0, 2.0, 2.0)
"""Scale of the accelerations of the correction (m / s^2) in each step; see `pose.series_problem.minimise_series`."""

WRIST_SIGMA_M = (0.03, 0.03, 0.015)
"""Standard deviation of the correction of the wrist along x, y and z (m)."""

ROTATION_SIGMA_RAD = (0.15, 0.3)
"""Standard deviation of the correction of rotations (rad): of the wrist, and of the joints of the fingers."""

WINDOW_S = 8.0
"""Length of the windows that are solved in parallel (s)."""

MAX_FITS = 3
"""Default maximum number of fits of `make_playable`."""

MAX_TREMBLE_MM = 0.5
"""Frame-to-frame noise of the joints (mm) above which a motion is smoothed."""

# Maximum standard deviation of the Gaussian that smooths a trembling motion.
_MAX_SMOOTH_S = 0.15

# Standard deviation of a fingertip's distance from its range: along the keyboard, across it, and in height.
_TIP_SIGMA_M = (1.0e-3, 2.0e-3, 0.7e-3)

# Standard deviation of the height of a fingertip that is raised before or after a press, or that is idle.
_RAISED_SIGMA_M = 1.5e-3

# Standard deviation of the excess over a joint limit.
_LIMIT_SIGMA_RAD = 0.05

# Maximum distance of a pressed point from the middle of a white and of a black key, and from the tail of a white key.
_WHITE_SLACK_MM, _NARROW_SLACK_MM = 6.0, 3.0

# Range of the height of a pressing fingertip: above and below the bottom of its key. A fingertip that comes from above stops at the upper
# end, which is deeper than 90 % of the travel of the key, so that the key counts as pressed (`metrics.frame_press`).
_BOTTOM_SLACK_MM = (0.4, 1.0)

# Range of the height of a fingertip around the course of its stroke.
_STROKE_SLACK_MM = 0.35 * PLANNED.hover_mm

# Minimum share of the way to the key (`aim`) from which a fingertip has to be over its key, and share of the press from which it is down.
_OVER_KEY, _DOWN = 0.95, 0.98

# Standard deviation of the Gaussian that smooths the initial shift of the wrist.
_SHIFT_S = 0.06

# Minimum height of a raised fingertip above its key, as a share of `PianistStyle.hover_mm`.
_RAISED = 0.6

# Minimum height of an idle fingertip above the keys.
_IDLE_MM = 1.0

# Maximum height of an idle fingertip above the keys while its hand plays, and time before and after a press in which the hand plays.
_MAX_IDLE_MM, _PLAYING_S = 25.0, 0.3

# Distance in front of the black keys over which the surface rises to their height.
_EDGE_MM = 10.0


def make_playable(performance, notes, pedal, device="cpu", hand=None, finger=None, costs=(DEFAULT_COSTS,) * 2, max_fits=MAX_FITS):
    """Correct a generated motion so that it plays notes: choose hands and fingers, and fit the motion until its key presses match.

    After each fit the key presses are detected (`metrics.key_press`). While a fit reduces the number of missed notes and false presses, and
    notes are missed, the motion of their hand is fitted again. If the first fit increases it, the given motion is returned.

    Parameters
    ----------
    performance : Performance
        The generated motion.
    notes, pedal : dict of str to array
        Columns of `tables.NOTES`, in order of onset, and of `tables.PEDAL`.
    device : str
        See `fit_contacts`.
    hand, finger : array (note,), int, optional
        Known hands (`hand_assignment.UNKNOWN` for others) and fingers (`fingering.UNPLAYED` for others).
    costs : (FingeringCosts, FingeringCosts)
        Costs of the fingering of the left and of the right hand.
    max_fits : int
        Maximum number of fits.

    Returns
    -------
    performance : Performance
        The corrected motion, with the notes that it has to play.
    missed : array (note,), bool
        Notes without a key press of the corrected motion.
    """
    scale = tuple(float(size) for size in performance.bone_scale)
    hand = assign_hands(notes, hand, scale)
    finger = finger_notes(notes, pedal, hand, finger, costs, scale)
    played = finger != UNPLAYED
    table = {name: values[played] for name, values in notes.items()}
    duration_s = float(performance.time_s[-1])
    music = FingeredNotes(duration_s=duration_s, notes=table, hand=hand[played], finger=finger[played], pedal=pedal)
    performance = replace(performance, notes=table, note_hand=music.hand, note_finger=music.finger)
    missed, errors = _press_errors(performance, notes)
    # Notes without a finger, and notes outside the motion, cannot be played.
    possible = played & (notes["onset_s"] >= performance.time_s[0]) & (notes["onset_s"] <= duration_s)
    sides = range(len(HANDS))
    for number in range(max_fits):
        rotation, translation = fit_contacts(performance, music, device, sides)
        again = replace(performance, rotation_rad=rotation, translation_m=translation)
        missed_again, errors_again = _press_errors(again, notes)
        if errors_again > errors or (number and errors_again == errors):
            break
        performance, missed, errors = again, missed_again, errors_again
        sides = np.unique(hand[missed & possible])
        if not len(sides):
            break
    return performance, missed


def _press_errors(performance, notes):
    """Return which notes (note,) have no key press of a performance, and the number of missed notes and false presses."""
    presses = find_presses(performance.time_s, 1e3 * world_joints(performance))
    matched, played = match_presses(presses, notes["onset_s"], notes["pitch"])
    return ~played, int((~played).sum() + (~matched).sum())


def fit_contacts(performance, music, device="cpu", sides=(0, 1)):
    """Correct a motion so that it plays fingered notes.

    Parameters
    ----------
    performance : Performance
        The given motion.
    music : FingeredNotes
        Notes with hands and fingers.
    device : str
        Device on which torch solves the problem; see `handroll.device.torch_device`.
    sides : iterable of int
        Hands that are corrected, as indices into `skeleton.HANDS`. The motion of the other hand is returned unchanged.

    Returns
    -------
    rotation_rad, translation_m : arrays (frame, hand 2, joint 16, 3) and (frame, hand 2, 3)
        The corrected motion; see `Performance`.
    """
    device = torch_device(device)
    scale = np.asarray(performance.bone_scale)
    notes = music.notes
    released = releases(notes["onset_s"], notes["key_offset_s"], notes["pitch"], music.hand, music.finger, scale)
    rotation, translation = performance.rotation_rad.copy(), performance.translation_m.copy()
    with torch_threads(1):
        for side in sides:
            name = HANDS[side]
            mirror = -1 if name == "left" else 1
            presses = presses_of(notes, music.hand == side, music.finger, mirror, released)
            turned = performance.rotation_rad[:, side]
            flip = MIRROR if name == "left" else np.ones(3)
            given = matrix_from_rotvec(mirrored(turned) if name == "left" else turned), performance.translation_m[:, side] * flip
            fitted = _fit_hand(*given, presses, performance.time_s, mirror, float(scale[side]), device)
            rotvec = rotvec_from_matrix(fitted[0])
            rotation[:, side] = mirrored(rotvec) if name == "left" else rotvec
            translation[:, side] = fitted[1] * flip
    return unwrap_rotvec(rotation), translation


def _fit_hand(rotation, translation, presses, time_s, mirror, scale, device):
    """Correct the motion of one hand: rotations (frame, 16, 3, 3) and translation (frame, 3); a left hand is mirrored."""
    skeleton = TemplateSkeleton()

    def joints_of(matrices):
        return skeleton.joints(matrices, None, scale)

    def tensor(values):
        return torch.tensor(np.asarray(values), dtype=torch.float64, device=device)

    rotation, translation = _smooth_tremble(rotation, translation, joints_of, time_s)
    joints = (joints_of(torch.from_numpy(rotation)) + torch.from_numpy(translation)[:, None]).numpy()
    ranges = tip_ranges(presses, time_s, joints[:, list(TIPS)], mirror, scale)
    shift = _wrist_shift(joints[:, list(TIPS)], ranges, time_s)
    translation, joints = translation + shift, joints + shift[:, None]
    low, high, sigma = tip_ranges(presses, time_s, joints[:, list(TIPS)], mirror, scale)
    template = open_hand()
    limits = template.limits_rad.copy()
    limits[0] = (-np.inf, np.inf)
    rotation_sigma = np.full(N_ROTATIONS, ROTATION_SIGMA_RAD[1])
    rotation_sigma[0] = ROTATION_SIGMA_RAD[0]
    constants = {
        "rotation_sigma_rad": tensor(rotation_sigma),
        "translation_sigma_m": tensor(WRIST_SIGMA_M),
        "axes": tensor(template.axes),
        "limits_rad": tensor(limits),
        "limit_sigma_rad": _LIMIT_SIGMA_RAD,
    }
    out = rotation.copy(), translation.copy()
    for windows in split_into_windows(time_s, WINDOW_S):
        rows = np.stack([rows for rows, _ in windows])
        state = tensor(rotation[rows]), tensor(translation[rows])
        difference = tensor(acceleration_coefficients(time_s, rows))
        parts = tensor(joints[rows])
        around = torch.stack([parts[:, :-2], parts[:, 1:-1], parts[:, 2:]], dim=2)
        expected = torch.einsum("stk,stkjc->stjc", difference, around)
        contacts = Contacts(*state, low_m=tensor(low[rows]), high_m=tensor(high[rows]), sigma_m=tensor(sigma[rows]), **constants)
        problem = ContactProblem(contacts, joints_of, difference, SMOOTHNESS, expected)
        state, _ = minimise_series(problem, state, ACCELERATION_M_S2)
        for values, solved in zip(out, state, strict=True):
            solved = solved.cpu().numpy()
            for k, (_, kept) in enumerate(windows):
                values[rows[k, kept]] = solved[k, kept]
    return out


def _smooth_tremble(rotation, translation, joints_of, time_s):
    """Smooth rotations (frame, 16, 3, 3) and translations (frame, 3) over time if the joints tremble.

    The tremble is the frame-to-frame noise of the joints. The width of the Gaussian is the one that reduces white noise of this size to
    `MAX_TREMBLE_MM`, but at most `_MAX_SMOOTH_S`.
    """
    steady = steady_frames(time_s)
    joints = (joints_of(torch.from_numpy(rotation)) + torch.from_numpy(translation)[:, None]).numpy()
    tremble_mm = 1e3 * float(np.median(jitter(joints, steady)))
    if tremble_mm <= MAX_TREMBLE_MM:
        return rotation, translation
    interval_s = max(float(np.median(np.diff(time_s))), 1e-3)
    # A Gaussian of standard deviation s divides the standard deviation of white noise by the root of 2 s sqrt(pi).
    sigma = min((tremble_mm / MAX_TREMBLE_MM) ** 2 / (2.0 * np.sqrt(np.pi)), _MAX_SMOOTH_S / interval_s)
    smooth = gaussian_filter1d(rotation, sigma, axis=0, mode="nearest")
    left, _, right = np.linalg.svd(smooth)
    left[..., -1] *= np.linalg.det(left @ right)[..., None]
    return left @ right, gaussian_filter1d(translation, sigma, axis=0, mode="nearest")


def _wrist_shift(tips_m, ranges, time_s):
    """Return a smooth shift (frame, xyz 3) of the wrist that moves the pressing fingertips (frame, finger 5, xyz 3) near their keys.

    `ranges` is a result of `tip_ranges`. In each frame the shift is the mean distance of the pressing fingertips from their ranges along x
    and y. It is interpolated between presses.
    """
    low, high, _ = ranges
    pressing = np.isfinite(high[..., 0])
    known = np.flatnonzero(pressing.any(axis=1))
    shift = np.zeros((len(time_s), 3))
    if not len(known):
        return shift
    distance = np.maximum(low - tips_m, 0.0) - np.maximum(tips_m - high, 0.0)
    mean = np.where(pressing[..., None], distance, 0.0).sum(axis=1)[known] / pressing[known].sum(axis=1)[:, None]
    sigma = _SHIFT_S / max(float(np.median(np.diff(time_s))), 1e-3)
    for axis in (0, 1):
        shift[:, axis] = gaussian_filter1d(np.interp(time_s, time_s[known], mean[:, axis]), sigma, mode="nearest")
    return shift


def tip_ranges(presses, time_s, tips_m, mirror, scale):
    """Find the range of each fingertip of a hand over time.

    Parameters
    ----------
    presses : Presses
        Key presses of the hand; mirrored for a left hand.
    time_s : array (frame,)
    tips_m : array (frame, finger 5, xyz 3)
        Fingertips of the given motion, keyboard frame in metres; mirrored for a left hand.
    mirror : int
        -1 for a left hand, 1 for a right hand.
    scale : float
        Bone scale.

    Returns
    -------
    low_m, high_m, sigma_m : arrays (frame, finger 5, xyz 3)
        See `contact_problem.Contacts`.
    """
    shape = len(time_s), len(FINGERS), 3
    low, high = np.full(shape, -np.inf), np.full(shape, np.inf)
    sigma = np.broadcast_to(np.array(_TIP_SIGMA_M), shape).copy()
    tips_mm = 1e3 * tips_m
    height = TIP_HEIGHT_MM * scale
    # Idle fingertips stay above the white keys, and above the black keys where they are.
    surface = STANDARD.black_height_mm * smooth_step((tips_mm[..., 1] - STANDARD.black_front_mm + _EDGE_MM) / _EDGE_MM)
    over = (tips_mm[..., 1] > -height) & (tips_mm[..., 1] < STANDARD.white_length_mm)
    low[..., 2] = np.where(over, surface + height + _IDLE_MM, -np.inf)
    sigma[..., 2] = _RAISED_SIGMA_M
    if not len(presses.onset_s):
        return 1e-3 * low, 1e-3 * high, sigma
    # A playing hand keeps its idle fingertips near the keys.
    playing = np.zeros(len(time_s), dtype=bool)
    playing[held_at(time_s, presses.onset_s - _PLAYING_S, presses.release_s + _PLAYING_S).step] = True
    high[..., 2] = np.where(playing[:, None], np.where(over, surface, 0.0) + height + _MAX_IDLE_MM, np.inf)
    courses = compute_trajectories(presses, time_s, PLANNED)
    press, frame = courses.press, courses.frame
    finger, black = presses.finger[press], presses.black[press]
    at_onset = np.stack([np.interp(presses.onset_s, time_s, tips_mm[:, f, 1]) for f in range(len(FINGERS))], -1)
    y = np.clip(
        at_onset[np.arange(len(presses.finger)), presses.finger], *np.where(presses.black[:, None], BLACK_DEPTH_MM, WHITE_DEPTH_MM).T
    )
    middle_x, narrow = playing_middle_mm(presses, y, mirror)
    slack = _WHITE_SLACK_MM + narrow * (_NARROW_SLACK_MM - _WHITE_SLACK_MM)
    top = np.where(presses.black, STANDARD.black_height_mm, 0.0)

    aimed = courses.aim > _OVER_KEY
    where = frame[aimed], finger[aimed]
    low[(*where, 0)], high[(*where, 0)] = (middle_x - slack)[press][aimed], (middle_x + slack)[press][aimed]
    depth = np.where(black[:, None], BLACK_DEPTH_MM, WHITE_DEPTH_MM)
    low[(*where, 1)], high[(*where, 1)] = depth[aimed].T
    # The height follows the course of the stroke. Before and after it, the fingertip is raised.
    raised = aimed & (courses.down <= 0.0)
    low[frame[raised], finger[raised], 2] = (top[press] + height[finger] + _RAISED * PLANNED.hover_mm)[raised]
    moving = (courses.down > 0.0) & (courses.down < _DOWN)
    middle = top[press] + height[finger] + PLANNED.hover_mm - courses.down * (PLANNED.hover_mm + STANDARD.dip_mm)
    for chosen, (above, below) in ((moving, (_STROKE_SLACK_MM,) * 2), (courses.down >= _DOWN, _BOTTOM_SLACK_MM)):
        low[frame[chosen], finger[chosen], 2] = middle[chosen] - below
        high[frame[chosen], finger[chosen], 2] = middle[chosen] + above
    sigma[frame[courses.down > 0.0], finger[courses.down > 0.0], 2] = _TIP_SIGMA_M[2]
    return 1e-3 * low, 1e-3 * high, sigma
