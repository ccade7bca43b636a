"""The keyboard of a video: registered in its pictures or from marked points, checked, and its octave settled."""

from dataclasses import asdict, dataclass, replace

import numpy as np

from handroll.keyboard.automatic_registration import moved, register, register_marked, visible_lines
from handroll.keyboard.camera_shift import camera_movement
from handroll.keyboard.edges import LIP, edge_points, find_edges
from handroll.keyboard.geometry import Keyboard, black_centres_mm, playing_points_mm
from handroll.keyboard.octave import MIN_LOG_ODDS, octave_odds
from handroll.keyboard.projection import KeyboardView
from handroll.keyboard.registration_check import DOUBTS, MESSAGES, Problem, find_doubt, find_problem, hands_over

MAX_SHIFT_MM, MAX_ZOOM = 2.0, 0.005
"""A camera that moves the keys farther, or changes their size by more, does not stand still. Fixed cameras measure at most 0.05 mm
and 0.00006 (two real and four synthetic videos)."""

KNOWN_FOCAL_SPREAD = 0.15
"""Relative standard deviation below which the keys tell the focal length; above, it is mostly what cameras usually have. Black
keys that are 1 mm higher than expected look like a focal length that is 9 % shorter, so it is seldom below that."""

VERSION = 1
"""Raised by hand when the same registration.json gives another camera."""

SEARCH_MM = 3.0
"""How far from the model an edge is looked for when the residuals are measured."""

APART_MM = 30.0
"""Rows of keys that are less than this apart, across the keys, are the same row."""

SURE_LEAD = 0.5
"""Another row of keys with a smaller share of the edges of the first is none that could be played."""


@dataclass(frozen=True)
class RegisteredKeyboard:
    """Where a video's keyboard is, or why it is not known.

    Attributes
    ----------
    problem : Problem or None
        None where it is registered; else everything below but `confidence`, `shift_mm` and `zoom` is None.
    doubt : Problem or None
        Why `gate` doubts points that somebody marked; they are used all the same.
    source : str
        "picture", or "sheet" where somebody marked points.
    view : KeyboardView
        Of the picture as shown.
    keyboard : Keyboard
        With the dimensions found.
    focal_source : str
        "sheet" or "config" where it was given, "keyboard" where the keys tell it, "assumed" where they hardly do.
    focal_spread : float or None
        Relative standard deviation of the focal length; None where marked points were not refined on the edges.
    octave_source : str
        "keys": the picture shows it; "sheet": marked keys have names; "notes": the fingers stand on the sounding keys;
        "assumed": nothing tells it, so everything may be off by octaves.
    octave_odds : float or None
        Log odds of the octave against the next likely one, by the notes; None where it is settled without them.
    first_key, last_key : int
        Keys 0..87 whose playing points are in the picture.
    edges_mm : array (edge, xyz 3)
        Points of the visible keys' edges, keyboard frame.
    residual_mm : array (edge, xy 2)
        From there to where the picture has them, along the edge's normal; NaN where none is found.
    confidence : float
        Share of those edges that are found, 0..1.
    shift_mm, zoom : float
        Greatest movement of the keys over the video (`movement.Movement`); None where they were lost.
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
        """The `Camera` that took the video."""
        return replace(self.view.camera, focal_source=self.focal_source)

    @property
    def drawing_inputs(self):
        """(view, keyboard, visible keys), what pictures of it need; None where none is registered."""
        return None if self.problem else (self.view, self.keyboard, np.arange(self.first_key, self.last_key + 1))

    def summary_lines(self):
        """What there is to say beside a picture of it, as lines."""
        if self.problem:
            return [f"{self.problem}: {MESSAGES[self.problem]}"]
        known = "" if self.focal_spread is None else f", give or take {100 * self.focal_spread:.0f} %"
        focal = f"focal length {self.view.focal_px:.0f} px ({self.focal_source}{known})"
        found = f"found in the {self.source}" if self.source == "picture" else "marked in the sheet"
        octave = f"octave by the {self.octave_source}" if self.octave_source != "assumed" else "octave assumed: nothing tells it"
        doubt = [f"{self.doubt}: {DOUBTS[self.doubt]}"] if self.doubt else []
        return [f"{found}; {octave}; {100 * self.confidence:.0f} % of the edges found; {focal}", *doubt]

    def to_dict(self):
        """JSON values; residuals as their median and 95th percentile."""
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
        """The inverse of `to_dict`, without the edges."""
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
        Medians over frames of consecutive parts of the video, so that hands are gone from most of them; none where no segment of
        the video is usable.
    width_px : int
        Width of the picture as shown; the windows may be smaller.
    notes : dict of str to array (note,)
        `tables.NOTES`; may be empty.
    time_s : array (frame,)
    landmarks_px : array (frame, hand 2, landmark 21, xy 2)
        Of `tables.DETECTIONS`, picture as shown.
    marked : (points_px (n, xy 2), points_mm (n, xyz 3)), optional
        Points that somebody marked in the picture as shown, and what they are (`marks.marked_points`). They win over `gate`,
        whose problem becomes a doubt.
    focal : (focal_px, source), optional
        A focal length that is known, of the picture as shown, and "sheet" or "config".
    hands_tilt_deg : float, optional
        The camera's tilt by the look of the hands (`screening.viewpoint.axis_from_hands`).

    Returns
    -------
    RegisteredKeyboard
    """
    if not windows:
        return RegisteredKeyboard(Problem.NO_USABLE_SEGMENT)
    scale = width_px / windows[0].shape[1]
    picture = np.median(np.stack(windows), axis=0).astype(np.uint8)
    focal_px = focal and focal[0] / scale

    def problem_of(view, confidence):
        return find_problem(_scaled(view, scale), confidence, landmarks_px, hands_tilt_deg)

    if marked is None:
        # A moving camera blurs the median of all, and no single window.
        found = _best_candidate([picture, *windows], focal_px, problem_of, lambda view: hands_over(_scaled(view, scale), landmarks_px))
        if found is None:
            return RegisteredKeyboard(Problem.NO_KEYBOARD)
    else:
        found = register_marked(picture, marked[0] / scale, marked[1], focal_px)
    spread = None if found.covariance is None else float(np.sqrt(found.covariance[0, 0]))
    focal_source = focal[1] if focal else "keyboard" if spread is not None and spread < KNOWN_FOCAL_SPREAD else "assumed"
    view, keyboard, blacks, octaves = found.view, found.keyboard, found.blacks, found.octaves
    motion = camera_movement(windows, view, keyboard, visible_lines(blacks), blacks)
    if motion is None and marked is None:
        return RegisteredKeyboard(Problem.CAMERA_MOVES)
    movement = {"shift_mm": motion and motion.shift_mm, "zoom": motion and motion.zoom}
    if motion and (motion.shift_mm > MAX_SHIFT_MM or motion.zoom > MAX_ZOOM):
        return RegisteredKeyboard(Problem.CAMERA_ZOOMS if motion.zoom > MAX_ZOOM else Problem.CAMERA_MOVES, **movement)

    octave, source, odds = octaves[0], "keys" if marked is None else "sheet", None
    if len(octaves) > 1:
        likely = octave_odds(_scaled(view, scale), keyboard, octaves, notes, time_s, landmarks_px)
        best = np.argsort(-likely, kind="stable")
        odds = float(likely[best[0]] - likely[best[1]])
        source = "notes" if odds >= MIN_LOG_ODDS else "assumed"
        # Nothing tells: the pianist sits before the middle of the keyboard, and so does the camera.
        octave = octaves[best[0]] if source == "notes" else min(octaves, key=lambda n: abs(_middle_mm(view, keyboard, n)))
    view, blacks = moved(view, keyboard, octave), blacks + 5 * octave
    edges_mm, residual_mm = edge_residuals(picture, view, keyboard, blacks)
    confidence = _share_found(residual_mm)
    problem, doubt = None, None
    if marked is None:
        problem = found.problem or problem_of(view, confidence)
    else:
        doubt = find_doubt(_scaled(view, scale), keyboard, marked, landmarks_px, hands_tilt_deg)
    if problem:
        return RegisteredKeyboard(problem, confidence=confidence, **movement)
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
        **movement,
    )


def _best_candidate(pictures, focal_px, problem_of, hands_of):
    """The row of keys that is played: a Registration with its `problem`; None where no picture shows a row of keys."""
    best = None
    for picture in pictures:
        candidates = []
        for found in register(picture, focal_px=focal_px):
            residual_mm = edge_residuals(picture, found.view, found.keyboard, found.blacks)[1]
            problem = problem_of(found.view, _share_found(residual_mm))
            # Of what shows a part of the row and what shows all, the latter: most edges, not the greatest share.
            candidates.append((int(np.isfinite(residual_mm[:, 0]).sum()), replace(found, problem=problem)))
        candidates.sort(key=lambda candidate: -candidate[0])
        believed = [candidate for candidate in candidates if candidate[1].problem is None]
        if believed:
            edges, first = believed[0]
            others = [found for count, found in believed[1:] if count > SURE_LEAD * edges and _elsewhere(found, first)]
            unclear = others and hands_of(first.view).on_keys is None
            return replace(first, problem=Problem.AMBIGUOUS) if unclear else first
        if candidates and (best is None or candidates[0][0] > best[0]):
            best = candidates[0]
    return best and best[1]


def _elsewhere(found, other):
    """Whether a Registration has the keys at other places across the keys than another one, or the other way round."""
    middle = np.array([[x, found.keyboard.black_front_mm, 0.0] for x in black_centres_mm(found.keyboard)[found.blacks[[0, -1]]]])
    left, right = other.view.on_plane(found.view.project(middle))
    return bool(right[0] < left[0] or abs((left + right)[1] / 2.0 - other.keyboard.black_front_mm) > APART_MM)


def _share_found(residual_mm):
    """Share of the edges (edge, xy 2) that are found, 0..1."""
    return float(np.isfinite(residual_mm[:, 0]).mean()) if len(residual_mm) else 0.0


def edge_residuals(picture, view, keyboard, blacks):
    """Points (edge, xyz 3) of the edges in the picture, and from there to where it shows them (edge, xy 2), mm; NaN where it does not."""
    edges = edge_points(view, keyboard, visible_lines(blacks), blacks)
    at, _, px_per_mm = edges.seen(view)
    offset = find_edges(picture.astype(np.float32), view, edges, SEARCH_MM)
    inside = ((at > 0.0) & (at < [view.width_px, view.height_px])).all(axis=1) & (edges.kind != LIP)
    return edges.points_mm[inside], ((offset / px_per_mm)[:, None] * edges.outward_mm[:, :2])[inside]


def visible_keys(view, keyboard):
    """First and last key 0..87 whose playing point is in the picture; (0, -1) where there is none."""
    at = view.project(playing_points_mm(keyboard))
    inside = np.flatnonzero(((at >= 0.0) & (at < [view.width_px, view.height_px])).all(axis=1))
    return (int(inside[0]), int(inside[-1])) if len(inside) else (0, -1)


def _middle_mm(view, keyboard, octave):
    """How far right of the keyboard's middle the picture's middle is, if the keys are so many octaves farther right."""
    return view.on_plane(view.centre_px)[0] + 7 * octave * keyboard.white_pitch_mm - keyboard.width_mm / 2.0


def _scaled(view, scale):
    """The same view in a picture that is larger by a factor."""
    return replace(
        view,
        width_px=round(view.width_px * scale),
        height_px=round(view.height_px * scale),
        focal_px=view.focal_px * scale,
        off_centre_px=tuple(scale * part for part in view.off_centre_px),
    )
