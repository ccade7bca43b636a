"""Fit a camera to the edges of all visible keys.

A camera fitted to the four corners of the keyboard is off by up to half a key at the other keys (measured on real keyboards). Hundreds
of edges average this error out. Two steps are repeated while the search range shrinks: find each edge of the model in the image, along its
normal and near its projection; then fit the camera to the found edges by robust least squares.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from scipy.optimize import least_squares

from handroll.keyboard.geometry import BLACK_KEYS, STANDARD, black_centres_mm
from handroll.keyboard.projection import START_FOCAL_WIDTHS, KeyboardView

SIDE = 0
"""Kind of edge: left or right side of a black key."""

FRONT = 1
"""Kind of edge: front of a black key."""

GAP = 2
"""Kind of edge: dark gap between the heads of two white keys."""

LIP = 3
"""Kind of edge: front edge of a white key."""

ROUNDS = ((6.0, 0.1), (4.0, 0.1), (3.0, 1.0), (2.0, 1.0), (2.0, 1.0))
"""For each round: maximum distance of an edge from its projection (mm), and factor of the priors' standard deviations. In the first
rounds, an edge may be mistaken for its neighbour. Therefore the priors of these rounds are narrow, and only the camera's position and
direction are free."""

STEP_PX = 0.5
"""Distance between the samples along the normal of an edge, px."""

MIN_STEP = 12.0
"""Minimum change of brightness across an edge, in grey levels (0..255)."""

SCALE_PX = 0.8
"""Residual at which the robust loss turns from quadratic to linear, px."""

FOCAL_SIGMA = 0.35
"""Standard deviation of the prior of the log focal length. Its mean is the log of `START_FOCAL_WIDTHS` frame widths."""

K1_SIGMA = 0.08
"""Standard deviation of the prior of the radial distortion k1, whose mean is 0."""

CENTRE_SIGMA = 0.01
"""Standard deviation of the prior of the principal point's offset from the middle of the frame, in frame widths."""

CLICK_PX = 2.0
"""Standard deviation of the error of a marked point, in pixels of a frame that is 1920 px wide."""

KNOWN_FOCAL_SIGMA = 0.005
"""Standard deviation of the prior of the log focal length if the focal length is given. Its mean is the log of the given value."""

LIP_WEIGHT = 0.3
"""Weight of `LIP` edges relative to other edges. It is low because the front edge of the white keys is round, and the surface below it
may be equally bright."""

BLACK_DIMENSIONS = ("black_length_mm", "black_height_mm", "black_width_mm", "black_base_width_mm")
"""Fields of `Keyboard` that are fitted together with the camera."""

BLACK_SIGMA_MM = np.array([6.0, 1.0, 0.7, 0.7])
"""Standard deviations of `BLACK_DIMENSIONS` between manufacturers, mm. They are priors, since the height of the black keys and the focal
length have nearly the same effect on the image."""

# Typical change of each of the 14 fitted parameters, by which the optimiser scales them: log focal length, rotation (rad), translation
# (mm), k1, principal point (frame widths), `BLACK_DIMENSIONS` (mm).
_STEPS = np.array([0.1, 0.01, 0.01, 0.01, 10.0, 10.0, 30.0, 0.02, 0.01, 0.01, 3.0, 1.0, 0.5, 0.5])


@dataclass(frozen=True)
class EdgePoints:
    """Points on the outlines of keys, at which edges are searched in an image.

    Attributes
    ----------
    points_mm : array (n, xyz 3)
        Keyboard frame, mm.
    outward_mm : array (n, xyz 3)
        Unit normals of the edges, pointing away from the key, parallel to the white keys' tops; keyboard frame.
    kind : int array (n,)
        `SIDE`, `FRONT`, `GAP` or `LIP`.
    key : int array (n,)
        `SIDE` and `FRONT`: key 0..87. `GAP`: number of the line between white keys, 1..51. `LIP`: number of the white key, 1..51.
    """

    points_mm: np.ndarray
    outward_mm: np.ndarray
    kind: np.ndarray
    key: np.ndarray

    def project(self, view):
        """Project the points and normals into the image of a view.

        Returns
        -------
        points_px : array (n, xy 2)
            Pixels; NaN behind the camera.
        normal : array (n, xy 2)
            Outward unit vectors in the image.
        px_per_mm : array (n,)
            Pixels per millimetre along the normal.
        """
        at = view.project(self.points_mm)
        across = view.project(self.points_mm + self.outward_mm) - at
        px_per_mm = np.linalg.norm(across, axis=-1)
        return at, across / np.maximum(px_per_mm, 1e-9)[:, None], px_per_mm


def edge_points(view, keyboard, whites, blacks):
    """Sample points on the outlines of keys.

    Parameters
    ----------
    view : KeyboardView
        Camera. It determines whether the visible outline of a black key is that of its top or of its base.
    keyboard : handroll.keyboard.geometry.Keyboard
    whites : int array
        Numbers of the lines between white keys, 1..51 from the left.
    blacks : int array
        Black keys 0..35.

    Returns
    -------
    EdgePoints
    """
    front, back, height = keyboard.black_front_mm, keyboard.white_length_mm, keyboard.black_height_mm
    centre = black_centres_mm(keyboard)[blacks]
    groups = []
    along = np.linspace(front + 8.0, back - 30.0, 10)
    for side in (-1.0, 1.0):
        x, y = np.meshgrid(centre, along, indexing="ij")
        top = np.stack([x + side * keyboard.black_width_mm / 2, y, np.full_like(x, height)], axis=-1)
        base = np.stack([x + side * keyboard.black_base_width_mm / 2, y, np.zeros_like(x)], axis=-1)
        outward = np.array([side, 0.0, 0.0])
        groups.append((_outer(view, base, top, outward), outward, SIDE, np.repeat(BLACK_KEYS[blacks], len(along))))
    x, dx = np.meshgrid(centre, [-3.0, 0.0, 3.0], indexing="ij")
    x = x + dx
    base = np.stack([x, np.full_like(x, front), np.zeros_like(x)], axis=-1)
    top = np.stack([x, np.full_like(x, front + 4.0), np.full_like(x, height)], axis=-1)
    outward = np.array([0.0, -1.0, 0.0])
    groups.append((_outer(view, base, top, outward), outward, FRONT, np.repeat(BLACK_KEYS[blacks], 3)))
    x, y = np.meshgrid(np.asarray(whites) * keyboard.white_pitch_mm, np.linspace(8.0, front - 8.0, 8), indexing="ij")
    gaps = np.stack([x, y, np.zeros_like(x)], axis=-1).reshape(-1, 3)
    groups.append((gaps, np.array([1.0, 0.0, 0.0]), GAP, np.repeat(np.asarray(whites), 8)))
    x = (np.asarray(whites) - 0.5) * keyboard.white_pitch_mm
    lip = np.stack([x, np.zeros_like(x), np.zeros_like(x)], axis=-1)
    groups.append((lip, np.array([0.0, -1.0, 0.0]), LIP, np.asarray(whites)))
    return EdgePoints(
        np.concatenate([points for points, *_ in groups]),
        np.concatenate([np.broadcast_to(outward, points.shape) for points, outward, *_ in groups]),
        np.concatenate([np.full(len(points), kind) for points, _, kind, _ in groups]),
        np.concatenate([key for *_, key in groups]),
    )


def _outer(view, base, top, outward):
    """Choose between the base and the top of a key: for each pair of points, return the one that is farther outward in the image.

    `base` and `top` are arrays (..., xyz 3), keyboard frame, mm. `outward` (xyz 3) is the edge's outward normal. The result is an array
    (n, xyz 3).
    """
    base, top = base.reshape(-1, 3), top.reshape(-1, 3)
    low = view.project(base)
    direction = view.project(base + outward) - low
    beyond = ((view.project(top) - low) * direction).sum(axis=-1) > 0.0
    return np.where(beyond[:, None], top, base)


def find_edges(image, view, edges, search_mm):
    """Find the edges of the keys in an image, near their projections.

    Parameters
    ----------
    image : float32 array (height, width)
    view : KeyboardView
    edges : EdgePoints
    search_mm : float
        Maximum distance of an edge from its projected point, along the normal, mm.

    Returns
    -------
    offset_px : array (n,)
        Distance of the edge from the projected point along the normal, positive outwards, px; NaN where no edge is found.
    """
    at, normal, px_per_mm = edges.project(view)
    half = int(np.ceil(search_mm * np.nanmedian(px_per_mm) / STEP_PX))
    steps = np.arange(-half - 2, half + 3) * STEP_PX
    x, y = at[:, :1] + normal[:, :1] * steps, at[:, 1:] + normal[:, 1:] * steps
    height, width = image.shape
    inside = ((x >= 1) & (x <= width - 2) & (y >= 1) & (y <= height - 2)).all(axis=1)
    profile = cv2.remap(image, np.nan_to_num(x, nan=-9).astype(np.float32), np.nan_to_num(y, nan=-9).astype(np.float32), cv2.INTER_LINEAR)
    kind = edges.kind
    # Brightness rises outward at the edges of a black key and falls outward at the lip. A gap is a dark line.
    rise = np.zeros_like(profile)
    rise[:, 2:-2] = profile[:, 4:] + profile[:, 3:-1] - profile[:, 1:-3] - profile[:, :-4]
    line = np.zeros_like(profile)
    reach = max(2, round(1.2 * np.nanmedian(px_per_mm) / STEP_PX))
    line[:, reach:-reach] = np.minimum(profile[:, 2 * reach :], profile[:, : -2 * reach]) - profile[:, reach:-reach]
    strength = np.where((kind == GAP)[:, None], 2.0 * line, np.where((kind == LIP)[:, None], -rise, rise)) / 2.0
    strength[:, :2] = strength[:, -2:] = 0.0
    best = strength.argmax(axis=1)
    rows = np.arange(len(best))
    peak = strength[rows, best]
    before, after = strength[rows, np.maximum(best - 1, 0)], strength[rows, np.minimum(best + 1, strength.shape[1] - 1)]
    bend = before - 2.0 * peak + after
    shift = np.where(np.abs(bend) > 1e-6, 0.5 * (before - after) / np.where(np.abs(bend) > 1e-6, bend, 1.0), 0.0).clip(-0.5, 0.5)
    clear = inside & (peak > MIN_STEP) & (best > 2) & (best < strength.shape[1] - 3)
    return np.where(clear, steps[best] + shift * STEP_PX, np.nan)


def fit_edges(image, view, keyboard, whites, blacks, focal_px=None, marked=None):
    """Refine a camera and the dimensions of the black keys on the edges of all keys.

    Parameters
    ----------
    image : uint8 array (height, width)
    view : KeyboardView
        Initial camera, accurate to some millimetres at the keys.
    keyboard : Keyboard
    whites, blacks : int arrays
        Lines between white keys, and black keys; see `edge_points`. Keys outside the image are ignored.
    focal_px : float, optional
        Known focal length, px.
    marked : (points_px (n, xy 2), points_mm (n, xyz 3)), optional
        Marked points and their positions on `keyboard`, to which the camera is also fitted.

    Returns
    -------
    view : KeyboardView
    keyboard : Keyboard
        The given keyboard with the fitted dimensions of the black keys.
    edges : EdgePoints
    offset_px : array (n,)
        Residuals of the edges, px, positive outwards; NaN where no edge is found.
    covariance : array (14, 14)
        Covariance of the fitted parameters, in this order: log focal length, rotation (rad), translation (mm), k1, principal point (frame
    widths), `BLACK_DIMENSIONS` (mm).
    """
    grey = cv2.GaussianBlur(image, (0, 0), 0.7).astype(np.float32)
    covariance = np.full((len(_STEPS), len(_STEPS)), np.nan)
    for search_mm, looseness in ROUNDS:
        edges = edge_points(view, keyboard, whites, blacks)
        offset = find_edges(grey, view, edges, search_mm)
        found = np.isfinite(offset)
        if found.sum() < 30:
            break
        at, normal, _ = (part[found] for part in edges.project(view))
        observations = _Observations(
            points_mm=edges.points_mm[found],
            derivatives=_derivatives(edges, keyboard)[found],
            target_px=at + offset[found, None] * normal,
            normal=normal,
            weight=np.where(edges.kind[found] == LIP, LIP_WEIGHT, 1.0) / SCALE_PX,
            view=view,
            looseness=looseness,
            start=_pack(view, keyboard),
            focal=(START_FOCAL_WIDTHS * view.width_px, FOCAL_SIGMA) if focal_px is None else (focal_px, KNOWN_FOCAL_SIGMA),
            marked=(np.empty((0, 2)), np.empty((0, 3))) if marked is None else marked,
        )
        fitted = least_squares(_residual, observations.start, args=(observations,), loss="soft_l1", x_scale=_STEPS, max_nfev=30)
        view, black = _unpack(fitted.x, view)
        keyboard = replace(keyboard, **dict(zip(BLACK_DIMENSIONS, black.tolist(), strict=True)))
        # The information matrix of the edges is divided by the variance of their residuals; the priors keep their standard deviations.
        edges_part, prior_part = fitted.jac[: len(normal)], fitted.jac[len(normal) :]
        variance = np.mean(fitted.fun[: len(normal)] ** 2)
        covariance = np.linalg.pinv(edges_part.T @ edges_part / variance + prior_part.T @ prior_part)
    edges = edge_points(view, keyboard, whites, blacks)
    offset = find_edges(grey, view, edges, ROUNDS[-1][0])
    return view, keyboard, edges, offset, covariance


@dataclass(frozen=True)
class _Observations:
    """Observations and priors of one round of the fit: the input of `_residual`.

    Attributes
    ----------
    points_mm : array (n, xyz 3)
        Positions of the edge points on the model of the keyboard, keyboard frame.
    derivatives : array (n, xyz 3, dimension 4)
        Derivatives of `points_mm` with respect to `BLACK_DIMENSIONS`.
    target_px : array (n, xy 2)
        Positions of the edges that are found in the image, px.
    normal : array (n, xy 2)
        Outward unit vectors of the edges in the image.
    weight : array (n,)
        Factor of each edge's distance, 1/px.
    view : KeyboardView
        View whose frame size is used.
    looseness : float
        Factor of the priors' standard deviations.
    start : array (14,)
        Initial parameters; see `fit_edges`.
    focal : (float, float)
        Mean (px) and standard deviation (of the logarithm) of the focal length's prior.
    marked : (points_px (m, xy 2), points_mm (m, xyz 3))
        Marked points.
    """

    points_mm: np.ndarray
    derivatives: np.ndarray
    target_px: np.ndarray
    normal: np.ndarray
    weight: np.ndarray
    view: KeyboardView
    looseness: float
    start: np.ndarray
    focal: tuple[float, float]
    marked: tuple[np.ndarray, np.ndarray]


def _residual(state, observations):
    """Return the residuals of the fit for parameters `state` (14,), in one array.

    The residuals are the distances of the edges along their normals, then the deviations from the priors, then the distances of the marked
    points. All are divided by their standard deviations.
    """
    view, black = _unpack(state, observations.view)
    points = observations.points_mm + observations.derivatives @ (black - observations.start[len(state) - len(black) :])
    off = ((view.project(points) - observations.target_px) * observations.normal).sum(axis=-1)
    focal = (state[0] - np.log(observations.focal[0])) / observations.focal[1]
    usual = np.array([getattr(STANDARD, name) for name in BLACK_DIMENSIONS])
    priors = (
        np.concatenate([[focal, view.k1 / K1_SIGMA], state[8:10] / CENTRE_SIGMA, (black - usual) / BLACK_SIGMA_MM]) / observations.looseness
    )
    points_px, points_mm = observations.marked
    marks = (view.project(points_mm) - points_px).ravel() / (CLICK_PX * view.width_px / 1920.0)
    return np.concatenate([np.nan_to_num(off, nan=1e3) * observations.weight, priors, np.nan_to_num(marks, nan=1e3)])


def _pack(view, keyboard):
    """Return the fitted parameters of a view and a keyboard, array (14,); see `fit_edges` for their order."""
    black = [getattr(keyboard, name) for name in BLACK_DIMENSIONS]
    centre = np.array(view.off_centre_px) / view.width_px
    return np.concatenate([[np.log(view.focal_px)], view.rotation_rad, view.translation_mm, [view.k1], centre, black])


def _unpack(state, view):
    """Return the KeyboardView and the black keys' dimensions (mm) of parameters (14,), with the frame size of `view`."""
    off_centre = tuple((state[8:10] * view.width_px).tolist())
    unpacked = KeyboardView(view.width_px, view.height_px, float(np.exp(state[0])), state[1:4], state[4:7], float(state[7]), off_centre)
    return unpacked, state[10:]


def _derivatives(edges, keyboard):
    """Return the derivatives of edge points with respect to `BLACK_DIMENSIONS`, array (n, xyz 3, dimension 4)."""
    derivatives = np.zeros((len(edges.points_mm), 3, len(BLACK_DIMENSIONS)))
    length, height, width, base = range(4)
    high = edges.points_mm[:, 2] > keyboard.black_height_mm / 2
    side = edges.outward_mm[:, 0]
    derivatives[edges.kind == FRONT, 1, length] = -1.0
    derivatives[high, 2, height] = 1.0
    on_side = edges.kind == SIDE
    derivatives[on_side & high, 0, width] = side[on_side & high] / 2.0
    derivatives[on_side & ~high, 0, base] = side[on_side & ~high] / 2.0
    return derivatives
