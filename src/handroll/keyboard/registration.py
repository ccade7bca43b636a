"""Register the keyboard of a video, automatically or from marked points: fit the camera, determine the octave and validate both."""

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

MAX_SHIFT_MM, MAX_ZOOM = 2.0, 0.005
"""Maximum shift of the keys (mm) and maximum relative change of their size for a fixed camera. Fixed cameras have at most 0.05 mm and
0.00006 (two real and four synthetic videos)."""

KNOWN_FOCAL_SPREAD = 0.15
"""Maximum relative standard deviation of a focal length that counts as measured; above, the prior of common cameras dominates. Black
keys that are 1 mm higher than expected look like a focal length that is 9 % shorter, so the deviation is rarely below 9 %."""

VERSION = 1
"""Raise by hand when the same registration.json gives another camera."""

SEARCH_MM = 3.0
"""Maximum distance of an edge from the model when the residuals are measured, mm."""

APART_MM = 30.0
"""Minimum distance between two different rows of keys, across the keys, mm."""

MIN_RIVAL_SHARE = 0.5
"""Minimum number of edges of a second row of keys, relative to the first row, for the second row to be a possible keyboard."""


@dataclass(frozen=True)
class RegisteredKeyboard:
    """Result of the registration of a video's keyboard.

    Attributes
    ----------
    problem : Problem or None
        None where the keyboard is registered. Otherwise everything below except `confidence`, `shift_mm` and `zoom` is None.
    doubt : Problem or None
        Reason to doubt marked points (`registration_check.find_doubt`); they are used nevertheless.
    source : str
        "picture" for automatic registration, "sheet" for marked points.
    view : KeyboardView
        Camera of the frame as shown.
    keyboard : Keyboard
        With the fitted dimensions.
    focal_source : str
        "sheet" or "config" for a given focal length, "keyboard" where the keys constrain it, "assumed" where they barely do.
    focal_spread : float or None
        Relative standard deviation of the focal length; None where marked points were not refined on the edges.
    octave_source : str
        "keys": the visible keys determine it; "sheet": marked points name their keys; "notes": the fingertips are on the sounding
        keys; "assumed": it is unknown, so all positions may be wrong by octaves.
    octave_odds : float or None
        Log odds of the octave against the second likeliest, by the notes; None where the notes are not needed.
    first_key, last_key : int
        First and last key 0..87 whose playing point is in the frame.
    edges_mm : array (edge, xyz 3)
        Points of the visible keys' edges, keyboard frame.
    residual_mm : array (edge, xy 2)
        Offset of the found edge from the model point, along the edge's normal; NaN where no edge is found.
    confidence : float
        Share of those edges that are found, 0..1.
    shift_mm, zoom : float
        Maximum movement of the keys over the video (`camera_shift.Movement`); None where the keys were lost.
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
        """View, keyboard and visible keys, as the drawing functions need them; None where no keyboard is registered."""
        return None if self.problem else (self.view, self.keyboard, np.arange(self.first_key, self.last_key + 1))

    def summary_lines(self):
        """Return a summary for people, as a list of lines."""
        if self.problem:
            return [f"{self.problem}: {MESSAGES[self.problem]}"]
        spread = "" if self.focal_spread is None else f", +- {100 * self.focal_spread:.0f} %"
        focal = f"focal length {self.view.focal_px:.0f} px ({self.focal_source}{spread})"
        found = "found automatically" if self.source == "picture" else "marked in the sheet"
        octave = f"octave from the {self.octave_source}" if self.octave_source != "assumed" else "octave assumed: it is unknown"
        doubt = [f"{self.doubt}: {DOUBTS[self.doubt]}"] if self.doubt else []
        return [f"{found}; {octave}; {100 * self.confidence:.0f} % of the edges found; {focal}", *doubt]

    def to_dict(self):
        """Return JSON values, with the residuals as their median and 95th percentile."""
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
        """Read the values of `to_dict`; edges and residuals are None."""
        plain = {name: values[name] for name in _PLAIN}
        plain |= {name: Problem(values[name]) for name in ("problem", "doubt") if values[name]}
        if values["problem"]:
            return cls(**plain)
        view = {name: np.array(value) if isinstance(value, list) else value for name, value in values["view"].items()}
        view["off_centre_px"] = tuple(values["view"]["off_centre_px"])
        return cls(**plain, view=KeyboardView(**view), keyboard=Keyboard(**values["keyboard"]))


_PLAIN = (
    *("problem", "doubt", "source", "focal_source", "focal_spread", "octave_source", "octave_odds"),
    *("first_key", "last_key", "confidence", "shift_mm", "zoom"),
)


def register_keyboard(windows, width_px, notes, time_s, landmarks_px, marked=None, focal=None, hands_tilt_deg=None):
    """Register the keyboard of a video.

    Parameters
    ----------
    windows : list of uint8 array (height, width), grey
        Temporal medians of consecutive parts of the video, most of them without hands; empty where no segment of the video is
        usable.
    width_px : int
        Width of the frame as shown; the windows may be smaller.
    notes : dict of str to array (note,)
        `tables.NOTES`; may be empty.
    time_s : array (frame,)
        Presentation times, rising.
    landmarks_px : array (frame, hand 2, landmark 21, xy 2)
        Of `tables.DETECTIONS`, frame as shown.
    marked : (points_px (n, xy 2), points_mm (n, xyz 3)), optional
        Marked points of the frame as shown, in the keyboard frame (`marked_points.marked_points`). They are used even where the
        validation finds a problem, which then becomes a doubt.
    focal : (focal_px, source), optional
        Known focal length of the frame as shown, and its source, "sheet" or "config".
    hands_tilt_deg : float, optional
        Angle between the camera's axis and straight down, estimated from the hands (`screening.viewpoint.axis_from_hands`).

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
        # A moving camera blurs the median of all windows, but not every single window.
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
        # Otherwise assume that the middle of the frame is near the middle of the keyboard, where pianists and cameras usually are.
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
    """Choose the row of keys that is played; return its Registration with `problem`, or None where no image shows a row of keys."""
    best = None
    for image in images:
        candidates = []
        for found in register(image, focal_px=focal_px):
            residual_mm = edge_residuals(image, found.view, found.keyboard, found.blacks)[1]
            problem = problem_of(found.view, _share_found(residual_mm))
            # Sorted by the number of edges instead of their share, so that a whole row is preferred to a part of it.
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
    """Whether a Registration shows another row of keys than `other`: apart across the keys, or seen from the other side."""
    middle = np.array([[x, found.keyboard.black_front_mm, 0.0] for x in black_centres_mm(found.keyboard)[found.blacks[[0, -1]]]])
    left, right = other.view.on_plane(found.view.project(middle))
    return bool(right[0] < left[0] or abs((left + right)[1] / 2.0 - other.keyboard.black_front_mm) > APART_MM)


def _share_found(residual_mm):
    """Return the share of the edges (edge, xy 2) that are found, 0..1."""
    return float(np.isfinite(residual_mm[:, 0]).mean()) if len(residual_mm) else 0.0


def edge_residuals(image, view, keyboard, blacks):
    """Measure the offsets of the found edges from the model.

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
        Points of the edges that are inside the image, keyboard frame.
    residual_mm : array (edge, xy 2)
        Offset of the found edge along its normal, keyboard frame; NaN where none is found.
    """
    edges = edge_points(view, keyboard, visible_lines(blacks), blacks)
    at, _, px_per_mm = edges.project(view)
    offset = find_edges(image.astype(np.float32), view, edges, SEARCH_MM)
    inside = ((at > 0.0) & (at < [view.width_px, view.height_px])).all(axis=1) & (edges.kind != LIP)
    return edges.points_mm[inside], ((offset / px_per_mm)[:, None] * edges.outward_mm[:, :2])[inside]


def visible_keys(view, keyboard):
    """Return the first and last key 0..87 whose playing point is in the frame; (0, -1) where there is none."""
    at = view.project(playing_points_mm(keyboard))
    inside = np.flatnonzero(((at >= 0.0) & (at < [view.width_px, view.height_px])).all(axis=1))
    return (int(inside[0]), int(inside[-1])) if len(inside) else (0, -1)


def _middle_mm(view, keyboard, octave):
    """Return the x distance (mm) from the keyboard's middle to the frame's middle, for an octave shift."""
    return view.on_plane(view.centre_px)[0] + 7 * octave * keyboard.white_pitch_mm - keyboard.width_mm / 2.0


def _scaled(view, scale):
    """Return the view of the same frame resized by a factor."""
    return replace(
        view,
        width_px=round(view.width_px * scale),
        height_px=round(view.height_px * scale),
        focal_px=view.focal_px * scale,
        off_centre_px=tuple(scale * part for part in view.off_centre_px),
    )
