"""Register the keyboard by points that a person marked in a frame: fit the camera to the points, then refine it on the keys' edges."""

from dataclasses import replace

import cv2
import numpy as np
from scipy.optimize import least_squares

from handroll.keyboard.automatic_registration import MIN_SUPPORT, Registration, visible_lines, visible_row
from handroll.keyboard.camera_fit import CLICK_PX, FOCAL_SIGMA, K1_SIGMA, KNOWN_FOCAL_SIGMA, LIP, fit_edges
from handroll.keyboard.geometry import BLACK_KEYS, STANDARD
from handroll.keyboard.marked_points import MIN_POINTS
from handroll.keyboard.projection import START_FOCAL_WIDTHS, KeyboardView, straight_down

MARKED_SEARCH_MM = 6.0
"""Maximum distance of a black key's edge from its projection by the camera that is fitted to the marked points, mm."""

MIN_MARKED_BLACKS = 5
"""Minimum number of visible black keys, for the camera to be refined on the edges."""

CENTRE_SIGMA = 0.02
"""Standard deviation of the prior of the principal point's offset from the middle of the frame, in frame widths. The offset is not 0,
because lenses are mounted off centre, and videos are cropped and stabilised."""

LENGTH_SIGMA = 0.05
"""Standard deviation of the prior of the keys' length, relative to the standard keyboard. The length differs between manufacturers."""

ROUNDS = (0.05, 0.3, 1.0)
"""Factors of the priors' standard deviations, one for each round of the fit. The first rounds stay near a typical camera."""

# Typical change of each of the 11 fitted parameters, by which the optimiser scales them: log focal length, rotation (rad), translation
# (mm), k1, principal point (frame widths), length of the keys relative to the standard keyboard.
_STEPS = np.array([0.1, 0.01, 0.01, 0.01, 10.0, 10.0, 30.0, 0.02, 0.01, 0.01, 0.03])


def register_marked(image, points_px, points_mm, focal_px=None):
    """Register the keyboard by marked points, and refine the camera on the keys' edges if the image shows enough of them.

    Parameters
    ----------
    image : uint8 array (height, width), grey
    points_px : array (n, xy 2)
        Pixels of this image.
    points_mm : array (n, xyz 3)
        The same points in the keyboard frame, on the standard keyboard; see `fit_landmarks`.
    focal_px : float, optional
        Known focal length, in pixels of this image.

    Returns
    -------
    Registration
        If too few edges are found, the camera is fitted to the points alone and `covariance` is None.

    Raises
    ------
    ValueError
        There are too few points, or all are on one line.
    """
    height_px, width_px = image.shape
    view, keyboard = fit_landmarks(points_px, points_mm, width_px, height_px, focal_px=focal_px)
    rough = Registration(view, keyboard, np.arange(len(BLACK_KEYS)), (0,), None)
    blacks = visible_row(image, view, keyboard, MARKED_SEARCH_MM)
    if len(blacks) < MIN_MARKED_BLACKS:
        return rough
    on_keyboard = points_mm * [1.0, keyboard.white_length_mm / STANDARD.white_length_mm, 1.0]
    for _ in range(3):
        fitted = fit_edges(image, view, keyboard, visible_lines(blacks), blacks, focal_px, (points_px, on_keyboard))
        view, keyboard, edges, offset, covariance = fitted
        grown = visible_row(image, view, keyboard)
        if np.array_equal(grown, blacks) or not len(grown):
            break
        blacks = grown
    found = np.isfinite(offset) & (edges.kind != LIP)
    if found.mean() < MIN_SUPPORT:
        return rough
    return Registration(view, keyboard, blacks, (0,), covariance)


def fit_landmarks(points_px, points_mm, width_px, height_px, focal_px=None):
    """Fit a camera and the length of the keys to marked points.

    The length must be fitted: short keys viewed from straight above look like standard keys viewed from an angle.

    Parameters
    ----------
    points_px : array (n, xy 2)
        Pixels of the frame as shown.
    points_mm : array (n, xyz 3)
        The same points in the keyboard frame, on the standard keyboard. At least 4, not on one line. Both ends of the keyboard should
        be among them, since the distortion beyond the outermost points is unknown.
    width_px, height_px : int
        Size of the frame.
    focal_px : float, optional
        Known focal length, px.

    Returns
    -------
    view : KeyboardView
    keyboard : Keyboard
        The standard keyboard with the fitted length of the white and black keys.

    Raises
    ------
    ValueError
        There are too few points, or all are on one line.
    """
    points_px, points_mm = np.asarray(points_px, dtype=np.float64), np.asarray(points_mm, dtype=np.float64)
    if points_px.shape != (len(points_mm), 2) or points_mm.shape[1:] != (3,) or len(points_mm) < MIN_POINTS:
        raise ValueError(
            f"marked points: expected at least {MIN_POINTS} points, as arrays (n, 2) px and (n, 3) mm of equal length, "
            f"found {points_px.shape} and {points_mm.shape}"
        )
    homography, _ = cv2.findHomography(points_mm[:, :2], points_px)
    spread = np.linalg.svd(points_mm[:, :2] - points_mm[:, :2].mean(axis=0), compute_uv=False)
    if homography is None or spread[1] < 1.0:
        raise ValueError("marked points: expected points that are not all on one line of the keyboard, found all on one line")
    state = _initial_state(homography, points_mm, width_px, height_px)
    scale = CLICK_PX * width_px / 1920.0
    for looseness in ROUNDS:
        arguments = points_px, points_mm, width_px, height_px, scale, looseness, focal_px
        state = least_squares(_residual, state, args=arguments, loss="soft_l1", x_scale=_STEPS, max_nfev=200).x
    lengths = {name: float(state[10]) * getattr(STANDARD, name) for name in ("white_length_mm", "black_length_mm")}
    return _view_of_state(state, width_px, height_px), replace(STANDARD, **lengths)


def _initial_state(homography, points_mm, width_px, height_px):
    """Return the initial parameters, array (11,): a camera that looks straight down at the middle of the points.

    Its position, its rotation about the view axis and its scale are those of `homography`, from the keys (mm) to the frame (px).
    """
    middle = points_mm[:, :2].mean(axis=0)
    at, beside = cv2.perspectiveTransform(np.array([[middle, middle + [1.0, 0.0]]]), homography)[0]
    above = straight_down(width_px, height_px, np.append(middle, 0.0), at, beside - at)
    return np.concatenate([[np.log(above.focal_px)], above.rotation_rad, above.translation_mm, np.zeros(3), [1.0]])


def _view_of_state(state, width_px, height_px):
    """Return the KeyboardView of the fitted parameters (11,)."""
    off_centre = tuple((state[8:10] * width_px).tolist())
    return KeyboardView(width_px, height_px, float(np.exp(state[0])), state[1:4], state[4:7], float(state[7]), off_centre)


def _residual(state, points_px, points_mm, width_px, height_px, scale, looseness, focal_px):
    """Return the residuals of the fit: distances of the marked points, then deviations from the priors, in one array.

    All are divided by their standard deviations. `state` contains the parameters (11,) in the order of `_STEPS`. `scale` is the standard
    deviation of a marked point, px. `looseness` is a factor of the priors' standard deviations. `focal_px` is the known focal length or
    None. The other parameters are those of `fit_landmarks`.
    """
    off = (_view_of_state(state, width_px, height_px).project(points_mm * [1.0, state[10], 1.0]) - points_px) / scale
    usual, sigma = (START_FOCAL_WIDTHS * width_px, FOCAL_SIGMA) if focal_px is None else (focal_px, KNOWN_FOCAL_SIGMA)
    focal = (state[0] - np.log(usual)) / sigma
    priors = np.concatenate([[focal, state[7] / K1_SIGMA], state[8:10] / CENTRE_SIGMA, [(state[10] - 1.0) / LENGTH_SIGMA]]) / looseness
    return np.concatenate([np.nan_to_num(off, nan=1e3).ravel(), priors])
