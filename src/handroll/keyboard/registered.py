"""The keyboard of a video: registered in its pictures or from marked points, checked against a moving camera, its octave settled."""

from dataclasses import asdict, dataclass, replace
from enum import StrEnum

import numpy as np

from handroll.keyboard.edges import LIP, edge_points, find_edges
from handroll.keyboard.geometry import BLACK_KEYS, Keyboard, playing_points_mm
from handroll.keyboard.landmarks import fit_landmarks
from handroll.keyboard.movement import camera_movement
from handroll.keyboard.octave import SETTLED, octave_odds
from handroll.keyboard.registration import register, visible_lines
from handroll.keyboard.view import KeyboardView

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

LEAST_CONFIDENCE = 0.5
"""Least share of the visible keys' edges that must be found."""


class Problem(StrEnum):
    """Why a video has no registered keyboard."""

    NO_MOTION = "no_motion"
    NO_USABLE_SEGMENT = "no_usable_segment"
    NO_KEYBOARD = "no_keyboard"
    CAMERA_MOVES = "camera_moves"
    CAMERA_ZOOMS = "camera_zooms"


MESSAGES = {
    Problem.NO_MOTION: "the video gives no motion; the gallery of the screens says why",
    Problem.NO_USABLE_SEGMENT: "no part of the video shows one view from a camera at rest; film from a stand, without cuts",
    Problem.NO_KEYBOARD: "no row of black and white keys was found; mark at least four points of it in the sheet's column keyboard",
    Problem.CAMERA_MOVES: "the keys are not where they were at other times of the video; a camera that stands still is needed",
    Problem.CAMERA_ZOOMS: "the keys change their size during the video; a camera that does not zoom is needed",
}


@dataclass(frozen=True)
class RegisteredKeyboard:
    """Where a video's keyboard is, or why it is not known.

    Attributes
    ----------
    problem : Problem or None
        None where it is registered; else everything below but `shift_mm` and `zoom` is None.
    source : str
        "picture", or "sheet" where somebody marked points.
    view : KeyboardView
        Of the picture as shown.
    keyboard : Keyboard
        With the dimensions found.
    focal_source : str
        "sheet" or "config" where it was given, "keyboard" where the keys tell it, "assumed" where they hardly do.
    focal_spread : float or None
        Relative standard deviation of the focal length; None where points were marked.
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
    def drawn(self):
        """(view, keyboard, visible keys), what pictures of it need; None where none is registered."""
        return None if self.problem else (self.view, self.keyboard, np.arange(self.first_key, self.last_key + 1))

    def in_words(self):
        """What there is to say beside a picture of it, as lines."""
        if self.problem:
            return [f"{self.problem}: {MESSAGES[self.problem]}"]
        known = "" if self.focal_spread is None else f", give or take {100 * self.focal_spread:.0f} %"
        focal = f"focal length {self.view.focal_px:.0f} px ({self.focal_source}{known})"
        found = f"found in the {self.source}" if self.source == "picture" else "marked in the sheet"
        octave = f"octave by the {self.octave_source}" if self.octave_source != "assumed" else "octave assumed: nothing tells it"
        return [f"{found}; {octave}; {100 * self.confidence:.0f} % of the edges found; {focal}"]

    def to_dict(self):
        """JSON values; residuals as their median and 95th percentile."""
        plain = {name: getattr(self, name) for name in _PLAIN}
        plain["message"] = MESSAGES.get(self.problem)
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
        if values["problem"]:
            return cls(**plain | {"problem": Problem(values["problem"])})
        view = {name: np.array(value) if isinstance(value, list) else value for name, value in values["view"].items()}
        view["off_centre_px"] = tuple(values["view"]["off_centre_px"])
        return cls(**plain, view=KeyboardView(**view), keyboard=Keyboard(**values["keyboard"]))


_PLAIN = (
    *("problem", "source", "focal_source", "focal_spread", "octave_source", "octave_odds"),
    *("first_key", "last_key", "confidence", "shift_mm", "zoom"),
)


def register_keyboard(windows, width_px, notes, time_s, landmarks_px, marked=None, focal=None):
    """Register the keyboard of a video.

    Parameters
    ----------
    windows : list of uint8 array (height, width), grey
        Medians over frames of consecutive parts of the video, so that hands are gone from most of them; none where no segment of
        the video is usable.
    width_px : int
        Width of the picture as shown; the windows may be smaller.
    notes : dict of str to array (note,)
        `schema.NOTES`; may be empty.
    time_s : array (frame,)
    landmarks_px : array (frame, hand 2, landmark 21, xy 2)
        Of `schema.DETECTIONS`, picture as shown.
    marked : (points_px (n, xy 2), points_mm (n, xyz 3)), optional
        Points that somebody marked in the picture as shown, and what they are (`marks.marked_points`).
    focal : (focal_px, source), optional
        A focal length that is known, of the picture as shown, and "sheet" or "config".

    Returns
    -------
    RegisteredKeyboard
    """
    if not windows:
        return RegisteredKeyboard(Problem.NO_USABLE_SEGMENT)
    scale = width_px / windows[0].shape[1]
    picture = np.median(np.stack(windows), axis=0).astype(np.uint8)
    octaves, focal_px = (0,), focal and focal[0] / scale
    if marked is None:
        # A moving camera blurs the median of all, and no single window.
        found = next(filter(None, (register(seen, focal_px=focal_px) for seen in (picture, *windows))), None)
        if found is None:
            return RegisteredKeyboard(Problem.NO_KEYBOARD)
        view, keyboard, blacks, octaves = found.view, found.keyboard, found.blacks, found.octaves
        spread = float(np.sqrt(found.covariance[0, 0]))
        focal_source = focal[1] if focal else "keyboard" if spread < KNOWN_FOCAL_SPREAD else "assumed"
    else:
        view, keyboard = fit_landmarks(marked[0] / scale, marked[1], picture.shape[1], picture.shape[0], focal_px=focal_px)
        blacks, focal_source, spread = np.arange(len(BLACK_KEYS)), focal[1] if focal else "assumed", None
    lines = visible_lines(blacks)
    moved = camera_movement(windows, view, keyboard, lines, blacks)
    if moved is None and marked is None:
        return RegisteredKeyboard(Problem.CAMERA_MOVES)
    movement = {"shift_mm": moved and moved.shift_mm, "zoom": moved and moved.zoom}
    if moved and (moved.shift_mm > MAX_SHIFT_MM or moved.zoom > MAX_ZOOM):
        return RegisteredKeyboard(Problem.CAMERA_ZOOMS if moved.zoom > MAX_ZOOM else Problem.CAMERA_MOVES, **movement)

    octave, source, odds = 0, "keys" if marked is None else "sheet", None
    if len(octaves) > 1:
        shown = _scaled(view, scale)
        likely = octave_odds(shown, keyboard, octaves, notes, time_s, landmarks_px)
        best = np.argsort(-likely, kind="stable")
        odds = float(likely[best[0]] - likely[best[1]])
        source = "notes" if odds >= SETTLED else "assumed"
        # Nothing tells: the pianist sits before the middle of the keyboard, and so does the camera.
        octave = octaves[best[0]] if source == "notes" else min(octaves, key=lambda n: abs(_middle_mm(view, keyboard, n)))
        view, blacks = _moved(view, keyboard, octave), blacks + 5 * octave
    edges_mm, residual_mm = edge_residuals(picture, view, keyboard, blacks)
    seen = np.isfinite(residual_mm[:, 0])
    confidence = float(seen.mean()) if len(seen) else 0.0
    if marked is None and confidence < LEAST_CONFIDENCE:
        return RegisteredKeyboard(Problem.NO_KEYBOARD, **movement)
    first, last = visible_keys(view, keyboard)
    return RegisteredKeyboard(
        problem=None,
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


def _moved(view, keyboard, octave):
    """The view of keys that are so many octaves farther right than it says."""
    step_mm = np.array([7 * octave * keyboard.white_pitch_mm, 0.0, 0.0])
    return replace(view, translation_mm=view.translation_mm - view.extrinsics.rotation @ step_mm)


def _scaled(view, scale):
    """The same view in a picture that is larger by a factor."""
    return replace(
        view,
        width_px=round(view.width_px * scale),
        height_px=round(view.height_px * scale),
        focal_px=view.focal_px * scale,
        off_centre_px=tuple(scale * part for part in view.off_centre_px),
    )
