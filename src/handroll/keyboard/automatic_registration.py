"""Registers the keyboard of a video taken by a fixed camera: where every key is in the picture, and where the camera is.

The temporal median of some frames shows the keyboard without the hands; its black keys are found by their rhythm
(`pattern`), a camera is put over them, and refined on the edges of all keys (`edges`).
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import least_squares

from handroll.keyboard.black_keys import black_mm, find_black_keys
from handroll.keyboard.edges import FOCAL_SIGMA, LIP, SIDE, edge_points, find_edges, fit_edges
from handroll.keyboard.geometry import BLACK_KEYS, N_WHITE, STANDARD, Keyboard, black_centres_mm, white_index
from handroll.keyboard.marked_registration import fit_landmarks
from handroll.keyboard.projection import KeyboardView, straight_down
from handroll.keyboard.registration_check import Problem

MIN_SUPPORT = 0.5
"""Share of a black key's edge points that must be found for it to count as there."""

FEW_BEYOND = 3
"""Fewer black keys than this beyond the end of a row are chance finds."""

MARKED_SEARCH_MM, MIN_MARKED_BLACKS = 6.0, 5
"""How far from marked points the sides of black keys are searched for, and with how many of them the points are refined."""


@dataclass(frozen=True)
class Registration:
    """A keyboard registered in a picture.

    Attributes
    ----------
    view : KeyboardView
    keyboard : Keyboard
    blacks : int array
        Black keys, 0..35, that are seen.
    residual_mm : float
        Median distance of the found edges from the model, at the keyboard.
    octaves : tuple of int
        By how many octaves the keys may lie to the right or left of this, given what is seen; (0,) where it is settled.
    covariance : array (14, 14) or None
        As of `edges.fit_edges`; None where points were marked.
    problem : gate.Problem or None
        Why not to believe it, once it was checked.
    """

    view: KeyboardView
    keyboard: Keyboard
    blacks: np.ndarray
    residual_mm: float
    octaves: tuple
    covariance: np.ndarray | None
    problem: Problem | None = None


def register(picture, focal_px=None):
    """Register the keyboard in a picture without hands, as the temporal median of a video's frames.

    Parameters
    ----------
    picture : uint8 array (height, width), grey
    focal_px : float, optional
        Where it is known, in pixels of this picture.

    Returns
    -------
    list of Registration
        Every row of black keys that has an edge towards white ones gives one, the longest row first: a polished fallboard shows
        the keys twice. Empty where no keyboard is found.
    """
    return list(filter(None, (_registered(picture, seen, focal_px) for seen in find_black_keys(picture))))


def _registered(picture, seen, focal_px):
    """The Registration that begins with `BlackKeys`; None where they are no part of 88 keys."""
    # Any octave will do to begin with: the lowest that puts all keys on the keyboard.
    first = int(seen.black.min())
    shift = -((first + 1) // 5)
    if int(seen.black.max()) + 1 + 5 * shift > 35:
        return None
    black, front_black = seen.black + 1 + 5 * shift, seen.front_black + 1 + 5 * shift
    view = _first_view(seen, black, front_black, picture.shape[1], picture.shape[0])
    keyboard = STANDARD
    blacks = np.arange(black.min(), black.max() + 1)
    for _ in range(3):
        view, keyboard, edges, offset, covariance = fit_edges(picture, view, keyboard, visible_lines(blacks), blacks, focal_px)
        residual = _residual_mm(view, edges, offset)
        # Room for more keys to be found on both sides: without it, the end of the row would pass for the end of the keyboard.
        octave = (_lowest(blacks) + _highest(blacks)) // 2
        view, blacks = moved(view, keyboard, octave), blacks + 5 * octave
        grown = _supported(picture, view, keyboard)
        if np.array_equal(grown, blacks) or not len(grown):
            break
        blacks = grown
    return Registration(view, keyboard, blacks, residual, _octaves(view, keyboard, blacks, _there(picture, view, keyboard)), covariance)


def register_marked(picture, points_px, points_mm, focal_px=None):
    """Register the keyboard by points that somebody marked, refined on the edges where the picture shows them.

    Parameters
    ----------
    picture : uint8 array (height, width), grey
    points_px : array (n, xy 2)
        In this picture.
    points_mm : array (n, xyz 3)
        As of `landmarks.fit_landmarks`.
    focal_px : float, optional
        Where it is known, in pixels of this picture.

    Returns
    -------
    Registration
        Of the points alone, with a covariance of None, where too few edges are found near them.

    Raises
    ------
    ValueError
        As of `landmarks.fit_landmarks`.
    """
    height_px, width_px = picture.shape
    view, keyboard = fit_landmarks(points_px, points_mm, width_px, height_px, focal_px=focal_px)
    rough = Registration(view, keyboard, np.arange(len(BLACK_KEYS)), np.nan, (0,), None)
    blacks = _supported(picture, view, keyboard, MARKED_SEARCH_MM)
    if len(blacks) < MIN_MARKED_BLACKS:
        return rough
    on_keyboard = points_mm * [1.0, keyboard.white_length_mm / STANDARD.white_length_mm, 1.0]
    for _ in range(3):
        fitted = fit_edges(picture, view, keyboard, visible_lines(blacks), blacks, focal_px, (points_px, on_keyboard))
        view, keyboard, edges, offset, covariance = fitted
        grown = _supported(picture, view, keyboard)
        if np.array_equal(grown, blacks) or not len(grown):
            break
        blacks = grown
    found = np.isfinite(offset) & (edges.kind != LIP)
    if found.mean() < MIN_SUPPORT:
        return rough
    return Registration(view, keyboard, blacks, _residual_mm(view, edges, offset), (0,), covariance)


def _residual_mm(view, edges, offset):
    """Median distance of the found edges from the model; infinite where none is found."""
    found = np.isfinite(offset) & (edges.kind != LIP)
    _, _, px_per_mm = edges.seen(view)
    return float(np.median(np.abs(offset[found] / px_per_mm[found]))) if found.any() else np.inf


def visible_lines(blacks):
    """Lines between white keys 1..51 around black keys 0..35."""
    white = white_index(BLACK_KEYS[blacks])
    return np.arange(max(1, white.min() - 1), min(N_WHITE - 1, white.max() + 2) + 1)


def _supported(picture, view, keyboard, search_mm=3.0):
    """The row of black keys whose edges are seen; where something covers some, between pieces of at least `FEW_BEYOND` keys."""
    there = _there(picture, view, keyboard, search_mm)
    if not len(there):
        return there
    pieces = np.split(there, np.flatnonzero(np.diff(there) > 4) + 1)
    longest = max(map(len, pieces))
    kept = np.concatenate([piece for piece in pieces if len(piece) >= min(FEW_BEYOND, longest)])
    return np.arange(kept[0], kept[-1] + 1)


def _there(picture, view, keyboard, search_mm=3.0):
    """The black keys 0..35 whose edges are seen."""
    everything = np.arange(len(BLACK_KEYS))
    edges = edge_points(view, keyboard, np.arange(1, 2), everything)
    offset = find_edges(picture.astype(np.float32), view, edges, search_mm)
    sides = edges.kind == SIDE
    share = np.array([np.isfinite(offset[sides & (edges.key == key)]).mean() for key in BLACK_KEYS])
    return np.flatnonzero(share >= MIN_SUPPORT)


def moved(view, keyboard, octave):
    """The view of keys that are so many octaves farther right than it says."""
    step_mm = np.array([7 * octave * keyboard.white_pitch_mm, 0.0, 0.0])
    return replace(view, translation_mm=view.translation_mm - view.extrinsics.rotation @ step_mm)


def _lowest(blacks):
    """By how many octaves a row of black keys 0..35 can be farther left, at most 0."""
    return -int(blacks[0] // 5)


def _highest(blacks):
    """By how many octaves it can be farther right."""
    return int((len(BLACK_KEYS) - 1 - blacks[-1]) // 5)


def _octaves(view, keyboard, blacks, there):
    """Octave shifts that what is seen allows; `there` are the black keys that are seen, also apart from the row `blacks`."""
    allowed = range(_lowest(blacks), _highest(blacks) + 1)
    margin = np.array([0.01 * view.width_px, 0.01 * view.height_px])

    def ends(black):
        """The place of a black key would be in the picture, and there is none."""
        x = black_mm(black - 1) + black_centres_mm(keyboard)[1]
        at = view.project(np.array([x, keyboard.black_front_mm + 20.0, keyboard.black_height_mm]))
        return bool(np.isfinite(at).all() and (at > margin).all() and (at < 2 * view.centre_px - margin).all())

    # Keys beyond the end of the row: something covers those in between.
    left = ends(blacks[0] - 1) and (there < blacks[0]).sum() < FEW_BEYOND
    right = ends(blacks[-1] + 1) and (there > blacks[-1]).sum() < FEW_BEYOND
    if left and right and len(blacks) < 36:
        return tuple(allowed)  # a keyboard with fewer keys
    if left and blacks[0] % 5 == 0:
        return (_lowest(blacks),)
    if right and blacks[-1] % 5 == 0:
        return (_highest(blacks),)
    return tuple(allowed)


def _first_view(seen, black, front_black, width_px, height_px):
    """A camera over the black keys: from the lines across them, whose places along the keys are not known, and their fronts."""
    rows = np.unique(seen.row)
    rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), 12)).astype(int)]
    use = np.isin(seen.row, rows)
    points, key = seen.points_px[use], black[use]
    nth = np.searchsorted(rows, seen.row[use])
    x_mm, front_mm = black_centres_mm()[key], black_centres_mm()[front_black]
    widest = nth == np.bincount(nth).argmax()
    slope = np.polyfit(x_mm[widest], points[widest], 1)[0]
    middle_px, middle_mm = np.median(seen.front_px, axis=0), np.array([np.median(front_mm), STANDARD.black_front_mm, 0.0])
    above = straight_down(width_px, height_px, middle_mm, middle_px, slope)
    focal = above.focal_px
    high = STANDARD.black_height_mm
    fronts = np.stack([front_mm, np.full(len(front_mm), STANDARD.black_front_mm), np.zeros(len(front_mm))], axis=-1)

    def view_of(state):
        return KeyboardView(width_px, height_px, float(np.exp(state[0])), state[1:4], state[4:7], 0.0)

    def residual(state):
        view = view_of(state)
        y = state[8:][nth] + state[7] * (x_mm - x_mm.mean())
        off = view.project(np.stack([x_mm, y, np.full(len(y), high)], axis=-1)) - points
        front = view.project(fronts) - seen.front_px
        prior = 10.0 * (state[0] - np.log(focal)) / FOCAL_SIGMA  # not to be told from these points
        return np.concatenate([np.nan_to_num(off, nan=1e3).ravel(), np.nan_to_num(front, nan=1e3).ravel(), [prior]])

    y_start = np.linspace(STANDARD.white_length_mm - 10.0, STANDARD.black_front_mm + 5.0, len(rows))
    start = np.concatenate([[np.log(focal)], above.rotation_rad, above.translation_mm, [0.0], y_start])
    steps = np.concatenate([[0.1], [0.05] * 3, [30.0, 30.0, 100.0], [0.02], [20.0] * len(rows)])
    fitted = least_squares(residual, start, loss="soft_l1", f_scale=3.0, x_scale=steps, max_nfev=200)
    return view_of(fitted.x)
