"""Register the keyboard in an image automatically: fit a camera to the keys, and list the possible octaves.

The image is the temporal median of frames of a fixed camera, which shows the keyboard without hands. The black keys are detected by
their pattern (`black_key_detection`). An initial camera is fitted to them and refined on the edges of all keys (`camera_fit`). If the
image shows only a part of the keys, several octaves may be possible; `registration` chooses one.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import least_squares

from handroll.keyboard.black_key_detection import black_mm, find_black_keys
from handroll.keyboard.camera_fit import FOCAL_SIGMA, SIDE, edge_points, find_edges, fit_edges
from handroll.keyboard.geometry import BLACK_KEYS, N_WHITE, STANDARD, Keyboard, black_centres_mm, white_index
from handroll.keyboard.projection import KeyboardView, straight_down
from handroll.keyboard.registration_check import Problem

MIN_SUPPORT = 0.5
"""A black key counts as visible if an edge is found at this share (0..1) of the points on its sides, or at more."""

MIN_PIECE = 3
"""Minimum number of visible black keys in a group, for the group to be part of the keyboard; smaller groups are false detections."""


@dataclass(frozen=True)
class Registration:
    """A keyboard registered in an image.

    Attributes
    ----------
    view : KeyboardView
        Camera of the image.
    keyboard : Keyboard
        The standard keyboard with the fitted dimensions.
    blacks : int array (n,)
        Visible black keys, 0..35, as a row without gaps.
    octaves : tuple of int
        Octave shifts that the visible keys allow, for `shift_octaves`: with a shift of 1, the visible keys are one octave farther right on
        the keyboard than in `view`. A single shift if the octave is certain.
    covariance : array (14, 14) or None
        Result of `camera_fit.fit_edges`; None for marked points that were not refined.
    problem : registration_check.Problem or None
        Problem that the validation found. None before the validation, and if the validation accepts the registration.
    """

    view: KeyboardView
    keyboard: Keyboard
    blacks: np.ndarray
    octaves: tuple
    covariance: np.ndarray | None
    problem: Problem | None = None


def register(image, focal_px=None):
    """Register the keyboard in an image without hands, such as the temporal median of a video's frames.

    Parameters
    ----------
    image : uint8 array (height, width), grey
    focal_px : float, optional
        Known focal length, in pixels of this image.

    Returns
    -------
    list of Registration
        One for each row of black keys that end on white keys, the row with the most keys first. A polished fallboard reflects the keys,
        which gives a second row. Empty if no keyboard is found.
    """
    return list(filter(None, (_register_row(image, row, focal_px) for row in find_black_keys(image))))


def _register_row(image, row, focal_px):
    """Register the keyboard from one row of black keys. Return a Registration, or None if the row does not fit on 88 keys.

    `image` (height, width), grey; `row`: a `BlackKeys`; `focal_px`: known focal length, pixels of this image, or None.
    """
    # The octave is still unknown, so start with the lowest one in which all keys are on the keyboard.
    first = int(row.black.min())
    shift = -((first + 1) // 5)
    if int(row.black.max()) + 1 + 5 * shift > 35:
        return None
    black, front_black = row.black + 1 + 5 * shift, row.front_black + 1 + 5 * shift
    view = _initial_view(row, black, front_black, image.shape[1], image.shape[0])
    keyboard = STANDARD
    blacks = np.arange(black.min(), black.max() + 1)
    for _ in range(3):
        view, keyboard, _, _, covariance = fit_edges(image, view, keyboard, visible_lines(blacks), blacks, focal_px)
        # Shift the row to the middle of its possible octaves. There, further keys can be found on both sides of the row.
        octave = (_min_octave(blacks) + _max_octave(blacks)) // 2
        view, blacks = shift_octaves(view, keyboard, octave), blacks + 5 * octave
        grown = visible_row(image, view, keyboard)
        if np.array_equal(grown, blacks) or not len(grown):
            break
        blacks = grown
    octaves = _possible_octaves(view, keyboard, blacks, _visible_blacks(image, view, keyboard))
    return Registration(view, keyboard, blacks, octaves, covariance)


def visible_lines(blacks):
    """Return the numbers of the lines between neighbouring white keys, 1..51 from the left, that are next to the black keys `blacks`.

    `blacks` is a row without gaps, int array of keys 0..35.
    """
    white = white_index(BLACK_KEYS[blacks])
    return np.arange(max(1, white.min() - 1), min(N_WHITE - 1, white.max() + 2) + 1)


def visible_row(image, view, keyboard, search_mm=3.0):
    """Return a row of black keys 0..35 without gaps, from the first to the last visible key.

    Groups of fewer than `MIN_PIECE` visible keys are ignored, unless no group is larger. Keys between the groups belong to the row, though
    hands may cover them. `search_mm`: maximum distance of an edge from its projection, mm.
    """
    visible = _visible_blacks(image, view, keyboard, search_mm)
    if not len(visible):
        return visible
    pieces = np.split(visible, np.flatnonzero(np.diff(visible) > 4) + 1)
    longest = max(map(len, pieces))
    kept = np.concatenate([piece for piece in pieces if len(piece) >= min(MIN_PIECE, longest)])
    return np.arange(kept[0], kept[-1] + 1)


def _visible_blacks(image, view, keyboard, search_mm=3.0):
    """Return the black keys 0..35 that are visible: an edge is found at `MIN_SUPPORT` of the points on their sides."""
    everything = np.arange(len(BLACK_KEYS))
    edges = edge_points(view, keyboard, np.arange(1, 2), everything)
    offset = find_edges(image.astype(np.float32), view, edges, search_mm)
    sides = edges.kind == SIDE
    share = np.array([np.isfinite(offset[sides & (edges.key == key)]).mean() for key in BLACK_KEYS])
    return np.flatnonzero(share >= MIN_SUPPORT)


def shift_octaves(view, keyboard, octave):
    """Shift a KeyboardView by `octave` octaves: the same pixels then show keys that are farther right by this number of octaves."""
    step_mm = np.array([7 * octave * keyboard.white_pitch_mm, 0.0, 0.0])
    return replace(view, translation_mm=view.translation_mm - view.extrinsics.rotation @ step_mm)


def _min_octave(blacks):
    """Return the minimum octave shift that keeps a row of black keys 0..35 on the keyboard, at most 0."""
    return -int(blacks[0] // 5)


def _max_octave(blacks):
    """Return the maximum octave shift that keeps a row of black keys 0..35 on the keyboard, at least 0."""
    return int((len(BLACK_KEYS) - 1 - blacks[-1]) // 5)


def _possible_octaves(view, keyboard, blacks, visible):
    """Return the octave shifts that the image allows, a tuple of int.

    `blacks` is the row of black keys without gaps; `visible` are all visible black keys, including those outside of the row. Both are int
    arrays of keys 0..35.
    """
    allowed = range(_min_octave(blacks), _max_octave(blacks) + 1)
    margin = np.array([0.01 * view.width_px, 0.01 * view.height_px])

    def ends(black):
        """Return whether the position of a black key that is not visible is inside the image. If so, the keyboard ends before this key."""
        x = black_mm(black - 1) + black_centres_mm(keyboard)[1]
        at = view.project(np.array([x, keyboard.black_front_mm + 20.0, keyboard.black_height_mm]))
        return bool(np.isfinite(at).all() and (at > margin).all() and (at < 2 * view.centre_px - margin).all())

    # If other black keys are visible beyond the end of the row, the keys in between are covered, and the keyboard does not end there.
    left = ends(blacks[0] - 1) and (visible < blacks[0]).sum() < MIN_PIECE
    right = ends(blacks[-1] + 1) and (visible > blacks[-1]).sum() < MIN_PIECE
    if left and right and len(blacks) < 36:
        return tuple(allowed)  # a keyboard with fewer than 88 keys
    if left and blacks[0] % 5 == 0:
        return (_min_octave(blacks),)
    if right and blacks[-1] % 5 == 0:
        return (_max_octave(blacks),)
    return tuple(allowed)


def _initial_view(found, black, front_black, width_px, height_px):
    """Fit an initial KeyboardView to a row of black keys.

    The camera is fitted to points on the keys' centre lines and to the keys' front ends. The x of a point in the keyboard frame is known.
    Its y is fitted: one value for each scan line, and one slope of all scan lines. The x and y of a front end are known.

    Parameters
    ----------
    found : BlackKeys
    black, front_black : int array
        Black key, 0..35, of each of the `points_px` and of each of the `front_px` of `found`.
    width_px, height_px : int
        Size of the image.
    """
    rows = np.unique(found.row)
    rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), 12)).astype(int)]
    use = np.isin(found.row, rows)
    points, key = found.points_px[use], black[use]
    nth = np.searchsorted(rows, found.row[use])
    x_mm, front_mm = black_centres_mm()[key], black_centres_mm()[front_black]
    widest = nth == np.bincount(nth).argmax()
    slope = np.polyfit(x_mm[widest], points[widest], 1)[0]
    middle_px, middle_mm = np.median(found.front_px, axis=0), np.array([np.median(front_mm), STANDARD.black_front_mm, 0.0])
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
        front_off = view.project(fronts) - found.front_px
        prior = 10.0 * (state[0] - np.log(focal)) / FOCAL_SIGMA  # the points do not constrain the focal length
        return np.concatenate([np.nan_to_num(off, nan=1e3).ravel(), np.nan_to_num(front_off, nan=1e3).ravel(), [prior]])

    initial_y = np.linspace(STANDARD.white_length_mm - 10.0, STANDARD.black_front_mm + 5.0, len(rows))
    initial = np.concatenate([[np.log(focal)], above.rotation_rad, above.translation_mm, [0.0], initial_y])
    steps = np.concatenate([[0.1], [0.05] * 3, [30.0, 30.0, 100.0], [0.02], [20.0] * len(rows)])
    fitted = least_squares(residual, initial, loss="soft_l1", f_scale=3.0, x_scale=steps, max_nfev=200)
    return view_of(fitted.x)
