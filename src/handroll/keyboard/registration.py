"""Register the keyboard of a video, automatically or from marked points: fit the camera, determine the octave, validate the result."""

from dataclasses import asdict, dataclass, replace

import numpy as np

from handroll.keyboard.automatic_registration import register, shift_octaves, visible_lines
from handroll.keyboard.camera_fit import LIP, edge_points, find_edges
from handroll.keyboard.camera_shift import camera_movement
from handroll.keyboard.geometry import Keyboard, black_centres_mm, playing_points_mm
from handroll.keyboard.marked_registration import register_marked
from handroll.keyboard.octave import MIN_LOG_ODDS, octave_odds
from handroll.keyboard.projection import KeyboardView
from handroll.keyboard.registration_check import DOUBTS, MESSAGES, Problem, find_doubt, find_problem, hands_over

MAX_SHIFT_MM = 2.0
"""Maximum shift of the keys during a video, for the camera to count as fixed, mm. For fixed cameras, the measured shift is at most 0.05 mm
(two real and four rendered videos)."""

MAX_ZOOM = 0.005
"""Maximum relative change of the keys' size during a video, for the camera to count as fixed. For fixed cameras, the measured change is at
most 0.00006 (the same videos as for `MAX_SHIFT_MM`)."""

KNOWN_FOCAL_SPREAD = 0.15
"""Maximum relative standard deviation of a focal length that counts as measured. Above it, the focal length mainly depends on its prior
(`camera_fit.FOCAL_SIGMA`). Black keys that are 1 mm higher than expected have the same effect on the image as a focal length that is 9 %
shorter, so the standard deviation is rarely below 0.09."""

VERSION = 1
"""Version of the registration. Increase it manually when the same registration.json gives a different camera."""

SEARCH_MM = 3.0
"""Maximum distance of an edge from its projection when the residuals are measured, mm."""

APART_MM = 30.0
"""Minimum distance between two rows of keys along y of the keyboard frame, for them to be different rows, mm."""

MIN_RIVAL_SHARE = 0.5
"""Two rows of keys are rivals if the number of edges found in the second row is more than this share (0..1) of the number in the first row.
One of them may be a reflection, so the hands must show which row is played."""


@dataclass(frozen=True)
class RegisteredKeyboard:
    """Result of the registration of a video's keyboard.

    Attributes
    ----------
    problem : Problem or None
        Reason why there is no registration; None if the keyboard is registered. With a problem, all other attributes except
        `confidence`, `shift_mm` and `zoom` are None.
    doubt : Problem or None
        Reason to doubt the marked points (`registration_check.find_doubt`). The registration is used nevertheless.
    source : str
        "picture" for automatic registration, "sheet" for marked points.
    view : KeyboardView
        Camera of the frame as shown.
    keyboard : Keyboard
        The standard keyboard with the fitted dimensions.
    focal_source : str
        "sheet" or "config" for a given focal length; "keyboard" for a focal length measured on the keys; "assumed" if the keys barely
        constrain it.
    focal_spread : float or None
        Relative standard deviation of the focal length; None if the camera is fitted to marked points alone.
    octave_source : str
        "keys": the visible keys determine the octave. "sheet": the marked points name their keys. "notes": in this
        octave, the fingertips are on the sounding keys. "assumed": the octave is unknown, so all positions may be wrong by octaves.
    octave_odds : float or None
        Log odds of the likeliest octave against the second likeliest, given the notes; None if only one octave is possible without them.
    first_key, last_key : int
        First and last key, 0..87, whose playing point (`geometry.playing_points_mm`) is in the frame.
    edges_mm : array (edge, xyz 3)
        Points of the model on the edges of the visible keys, keyboard frame.
    residual_mm : array (edge, xy 2)
        Offset of the found edge from the point of the model, along the edge's normal, keyboard frame; NaN where no edge is found.
    confidence : float
        Share of `edges_mm` at which an edge is found, 0..1.
    shift_mm, zoom : float or None
        Maximum movement of the keys during the video; see `camera_shift.Movement`. None if it is not measurable.
    """

    problem: Problem | None
    doubt: Problem | None = None
    source: str | None = None
    view: KeyboardView | None = None
    keyboard: Keyboard | None = None
    focal_source: str | None = None
    focal_spread: float | None = None
    octave_source: str | None = None
    octave_odds: float | None = None
    first_key: int | None = None
    last_key: int | None = None
    edges_mm: np.ndarray | None = None
    residual_mm: np.ndarray | None = None
    confidence: float | None = None
    shift_mm: float | None = None
    zoom: float | None = None

    @property
    def camera(self):
        """The `Camera` of the video."""
        return replace(self.view.camera, focal_source=self.focal_source)

    @property
    def drawing_inputs(self):
        """Arguments of the drawing functions: (view, keyboard, visible keys 0..87); None if no keyboard is registered."""
        return None if self.problem else (self.view, self.keyboard, np.arange(self.first_key, self.last_key + 1))

    def summary_lines(self):
        """Return a readable summary of the registration, a list of lines: the problem, or octave, confidence, focal length and doubts."""
        if self.problem:
            return [f"{self.problem}: {MESSAGES[self.problem]}"]
        spread = "" if self.focal_spread is None else f", +- {100 * self.focal_spread:.0f} %"
        focal = f"focal length {self.view.focal_px:.0f} px ({self.focal_source}{spread})"
        found = "found automatically" if self.source == "picture" else "marked in the sheet"
        octave = f"octave from the {self.octave_source}" if self.octave_source != "assumed" else "octave assumed: it is unknown"
        doubt = [f"{self.doubt}: {DOUBTS[self.doubt]}"] if self.doubt else []
        return [f"{found}; {octave}; {100 * self.confidence:.0f} % of the edges found; {focal}", *doubt]

    def to_dict(self):
        """Return a dict of JSON values; it contains the median and the 95th percentile of the residuals (mm) instead of the arrays."""
        plain = {name: getattr(self, name) for name in _PLAIN}
        plain["message"] = DOUBTS[self.doubt] if self.doubt else MESSAGES.get(self.problem)
        if self.problem:
            return plain
        off = np.linalg.norm(self.residual_mm, axis=-1)
        off = off[np.isfinite(off)]
        view = {name: np.asarray(value).tolist() for name, value in asdict(self.view).items()}
        quantiles = {"median": float(np.median(off)), "p95": float(np.percentile(off, 95))} if len(off) else None
        return plain | {"view": view, "keyboard": asdict(self.keyboard), "edges": len(off), "edge_residual_mm": quantiles}

    @classmethod
    def from_dict(cls, values):
        """Build a RegisteredKeyboard from the values of `to_dict`; `edges_mm` and `residual_mm` are None."""
        plain = {name: values[name] for name in _PLAIN}
        plain |= {name: Problem(values[name]) for name in ("problem", "doubt") if values[name]}
        if values["problem"]:
            return cls(**plain)
        view = {name: np.array(value) if isinstance(value, list) else value for name, value in values["view"].items()}
        view["off_centre_px"] = tuple(values["view"]["off_centre_px"])
        return cls(**plain, view=KeyboardView(**view), keyboard=Keyboard(**values["keyboard"]))


# Names of the attributes that `to_dict` writes unchanged, because they are JSON values.
_PLAIN = (
    *("problem", "doubt", "source", "focal_source", "focal_spread", "octave_source", "octave_odds"),
    *("first_key", "last_key", "confidence", "shift_mm", "zoom"),
)


def register_keyboard(windows, width_px, notes, time_s, landmarks_px, marked=None, focal=None, hands_tilt_deg=None):
    """Register the keyboard of a video.

    Parameters
    ----------
    windows : list of uint8 array (height, width), grey
        Temporal medians of consecutive parts of the video; most of them show the keys without hands. Empty if no segment of the video is
        usable.
    width_px : int
        Width of the frame as shown; the windows may be smaller.
    notes : dict of str to array (note,)
        `onset_s` and `pitch` of `tables.NOTES`; may be empty.
    time_s : array (frame,)
        Presentation times of `landmarks_px`, s, increasing.
    landmarks_px : array (frame, hand 2, landmark 21, xy 2)
        Landmarks of `tables.DETECTIONS`, pixels of the frame as shown; NaN where no hand is detected.
    marked : (points_px (n, xy 2), points_mm (n, xyz 3)), optional
        Result of `marked_points.marked_points`: pixels of the frame as shown, and positions in the keyboard frame. Marked points are
        used even if the validation finds a problem, which is then reported as a doubt.
    focal : (focal_px, source), optional
        Known focal length, in pixels of the frame as shown, and its source, "sheet" or "config".
    hands_tilt_deg : float, optional
        Angle between the camera's axis and straight down, estimated from the hands (`screening.viewpoint.axis_from_hands`), degrees.

    Returns
    -------
    RegisteredKeyboard
    """
    if not windows:
        return RegisteredKeyboard(Problem.NO_USABLE_SEGMENT)
    scale = width_px / windows[0].shape[1]
    image = np.median(np.stack(windows), axis=0).astype(np.uint8)
    focal_px = focal and focal[0] / scale

    def problem_of(view, confidence):
        return find_problem(_scaled(view, scale), confidence, landmarks_px, hands_tilt_deg)

    if marked is None:
        # A moving camera blurs `image`, the median of all windows, but not the windows. So each window is a further candidate image.
        found = _best_candidate([image, *windows], focal_px, problem_of, lambda view: hands_over(_scaled(view, scale), landmarks_px))
        if found is None:
            return RegisteredKeyboard(Problem.NO_KEYBOARD)
    else:
        found = register_marked(image, marked[0] / scale, marked[1], focal_px)
    spread = None if found.covariance is None else float(np.sqrt(found.covariance[0, 0]))
    focal_source = focal[1] if focal else "keyboard" if spread is not None and spread < KNOWN_FOCAL_SPREAD else "assumed"
    view, keyboard, blacks, octaves = found.view, found.keyboard, found.blacks, found.octaves
    movement = camera_movement(windows, view, keyboard, visible_lines(blacks), blacks)
    if movement is None and marked is None:
        return RegisteredKeyboard(Problem.CAMERA_MOVES)
    moved = {"shift_mm": movement and movement.shift_mm, "zoom": movement and movement.zoom}
    if movement and (movement.shift_mm > MAX_SHIFT_MM or movement.zoom > MAX_ZOOM):
        return RegisteredKeyboard(Problem.CAMERA_ZOOMS if movement.zoom > MAX_ZOOM else Problem.CAMERA_MOVES, **moved)

    octave, source, odds = octaves[0], "keys" if marked is None else "sheet", None
    if len(octaves) > 1:
        likely = octave_odds(_scaled(view, scale), keyboard, octaves, notes, time_s, landmarks_px)
        best = np.argsort(-likely, kind="stable")
        odds = float(likely[best[0]] - likely[best[1]])
        source = "notes" if odds >= MIN_LOG_ODDS else "assumed"
        # Without enough evidence, assume that the camera is above the middle of the keyboard, as it usually is.
        octave = octaves[best[0]] if source == "notes" else min(octaves, key=lambda n: abs(_middle_mm(view, keyboard, n)))
    view, blacks = shift_octaves(view, keyboard, octave), blacks + 5 * octave
    edges_mm, residual_mm = edge_residuals(image, view, keyboard, blacks)
    confidence = _share_found(residual_mm)
    problem, doubt = None, None
    if marked is None:
        problem = found.problem or problem_of(view, confidence)
    else:
        doubt = find_doubt(_scaled(view, scale), keyboard, marked, landmarks_px, hands_tilt_deg)
    if problem:
        return RegisteredKeyboard(problem, confidence=confidence, **moved)
    first, last = visible_keys(view, keyboard)
    return RegisteredKeyboard(
        problem=None,
        doubt=doubt,
        source="picture" if marked is None else "sheet",
        view=_scaled(view, scale),
        keyboard=keyboard,
        focal_source=focal_source,
        focal_spread=spread,
        octave_source=source,
        octave_odds=odds,
        first_key=first,
        last_key=last,
        edges_mm=edges_mm,
        residual_mm=residual_mm,
        confidence=confidence,
        **moved,
    )


def _best_candidate(images, focal_px, problem_of, hands_of):
    """Return the Registration of the row of keys that is played, including its `problem`; None if no image shows a row of keys.

    `images` are grey images (height, width) in order of preference. `focal_px` is the known focal length in their pixels, or None.
    `problem_of(view, confidence)` validates a row: it returns a Problem or None. `hands_of(view)` returns the `registration_check.Hands`
    over the keys of a view.
    """
    best = None
    for image in images:
        candidates = []
        for found in register(image, focal_px=focal_px):
            residual_mm = edge_residuals(image, found.view, found.keyboard, found.blacks)[1]
            problem = problem_of(found.view, _share_found(residual_mm))
            # Sort by the number of found edges instead of their share, so that a whole row is preferred to a part of a row.
            candidates.append((int(np.isfinite(residual_mm[:, 0]).sum()), replace(found, problem=problem)))
        candidates.sort(key=lambda candidate: -candidate[0])
        accepted = [candidate for candidate in candidates if candidate[1].problem is None]
        if accepted:
            edges, first = accepted[0]
            others = [found for count, found in accepted[1:] if count > MIN_RIVAL_SHARE * edges and _is_other_row(found, first)]
            ambiguous = others and hands_of(first.view).on_keys is None
            return replace(first, problem=Problem.AMBIGUOUS) if ambiguous else first
        if candidates and (best is None or candidates[0][0] > best[0]):
            best = candidates[0]
    return best and best[1]


def _is_other_row(found, other):
    """Return whether two Registrations show different rows of keys: `APART_MM` apart, or with the player on opposite sides."""
    middle = np.array([[x, found.keyboard.black_front_mm, 0.0] for x in black_centres_mm(found.keyboard)[found.blacks[[0, -1]]]])
    left, right = other.view.on_plane(found.view.project(middle))
    return bool(right[0] < left[0] or abs((left + right)[1] / 2.0 - other.keyboard.black_front_mm) > APART_MM)


def _share_found(residual_mm):
    """Return the share of residuals (edge, xy 2) that are not NaN, 0..1: the share of the edges that are found."""
    return float(np.isfinite(residual_mm[:, 0]).mean()) if len(residual_mm) else 0.0


def edge_residuals(image, view, keyboard, blacks):
    """Measure the offsets of the keys' edges in an image from their projections.

    Parameters
    ----------
    image : uint8 array (height, width), grey
    view : KeyboardView
        Camera of this image.
    keyboard : Keyboard
    blacks : int array
        Visible black keys, 0..35.

    Returns
    -------
    points_mm : array (edge, xyz 3)
        Points of the model on the edges, keyboard frame. Points outside the image and on the front edges of white keys are left out.
    residual_mm : array (edge, xy 2)
        Offset of the found edge from its point along the normal, keyboard frame; NaN where no edge is found.
    """
    edges = edge_points(view, keyboard, visible_lines(blacks), blacks)
    at, _, px_per_mm = edges.project(view)
    offset = find_edges(image.astype(np.float32), view, edges, SEARCH_MM)
    inside = ((at > 0.0) & (at < [view.width_px, view.height_px])).all(axis=1) & (edges.kind != LIP)
    return edges.points_mm[inside], ((offset / px_per_mm)[:, None] * edges.outward_mm[:, :2])[inside]


def visible_keys(view, keyboard):
    """Return the first and last key, 0..87, whose playing point is in the frame; (0, -1) if no playing point is in the frame."""
    at = view.project(playing_points_mm(keyboard))
    inside = np.flatnonzero(((at >= 0.0) & (at < [view.width_px, view.height_px])).all(axis=1))
    return (int(inside[0]), int(inside[-1])) if len(inside) else (0, -1)


def _middle_mm(view, keyboard, octave):
    """Return how far the middle of the frame is right of the middle of the keyboard after an octave shift, mm; negative if it is left."""
    return view.on_plane(view.centre_px)[0] + 7 * octave * keyboard.white_pitch_mm - keyboard.width_mm / 2.0


def _scaled(view, scale):
    """Return the KeyboardView of a frame whose width and height are multiplied by `scale`."""
    return replace(
        view,
        width_px=round(view.width_px * scale),
        height_px=round(view.height_px * scale),
        focal_px=view.focal_px * scale,
        off_centre_px=tuple(scale * part for part in view.off_centre_px),
    )
