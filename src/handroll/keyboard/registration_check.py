"""Validation of registered keyboards by their edges, their camera and the hands.

All later steps use a registration without a problem, and ignore a registration with a problem. A polished fallboard reflects the
keys. The reflection has edges, a plausible camera and the right order of black keys, but nobody plays on it: a pianist's fingertips
are over the keys, and the wrists are on the player's side.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from handroll.hand.skeleton import LANDMARK_OF_JOINT, TIPS
from handroll.keyboard.geometry import STANDARD
from handroll.keyboard.octave import TIP_HEIGHT_MM

MIN_CONFIDENCE = 0.65
"""Minimum share of the visible keys' edges that are found. Correct registrations have 0.67 to 1.0 (two real videos: 0.71 and 0.77;
tilts up to 69 degrees). Wrong ones, of keys at 45 and 47 degrees, had 0.61 and 0.51."""

MIN_FOCAL_WIDTHS, MIN_K1, MAX_K1 = 0.45, -0.4, 0.12
"""Plausible focal lengths (frame widths) and radial distortions. The wide lens of an action camera has about 0.47 and -0.3, and
pincushion distortion is weak. A wrong registration, of keys seen at 50 degrees from the left, had 0.40 and 0.26."""

MAX_DISAGREEMENT_DEG = 25.0
"""Maximum difference from the camera tilt estimated from the hands. Correct registrations differ by up to 19 degrees (two real and
20 synthetic videos, tilts up to 60 degrees)."""

MAX_MARK_MM = 15.0
"""Maximum distance of a marked point from its position by the camera fitted to all points; half a key and more is a mistake."""

MIN_HANDS = 20
"""Minimum number of detected hands (frames x hands) for the checks that use hands."""

FRONT_MM, BACK_MM = -20.0, STANDARD.white_length_mm
"""Range of the middle of a hand's fingertips, y of the keyboard frame, that counts as on the keys. It applies to the median over the
video, so pauses do not matter."""


class Problem(StrEnum):
    """Reasons why a video has no registered keyboard, or why marked points are doubtful."""

    NO_MOTION = "no_motion"
    NO_USABLE_SEGMENT = "no_usable_segment"
    NO_KEYBOARD = "no_keyboard"
    FEW_EDGES = "few_edges"
    IMPLAUSIBLE_CAMERA = "implausible_camera"
    TILT_DISAGREES = "tilt_disagrees"
    HANDS_OFF_KEYS = "hands_off_keys"
    AMBIGUOUS = "ambiguous"
    CAMERA_MOVES = "camera_moves"
    CAMERA_ZOOMS = "camera_zooms"
    MARKS_DISAGREE = "marks_disagree"


_DESCRIPTIONS = {
    Problem.IMPLAUSIBLE_CAMERA: "no common camera has the focal length and distortion that were fitted to the keys",
    Problem.TILT_DISAGREES: "the camera tilts estimated from the keys and from the hands differ, so the registration may be wrong",
    Problem.HANDS_OFF_KEYS: "the fingertips are not over the keys that were found; these may be a reflection",
}
_MARK = "mark at least four points of the keyboard in the sheet's column keyboard"

MESSAGES = {
    Problem.NO_MOTION: "the video is rejected before the keyboard step; see its reasons in the screening gallery",
    Problem.NO_USABLE_SEGMENT: "no segment of the video shows a single view from a fixed camera; film from a stand, without cuts",
    Problem.NO_KEYBOARD: f"no row of black and white keys was found; {_MARK}",
    Problem.FEW_EDGES: f"too few edges of the keys were found, so the registration may be wrong; {_MARK}",
    **{problem: f"{what}; {_MARK}" for problem, what in _DESCRIPTIONS.items()},
    Problem.AMBIGUOUS: f"two rows of keys were found, one of them a reflection, and the hands do not show which one is played; {_MARK}",
    Problem.CAMERA_MOVES: "the keys move in the frame during the video; use a fixed camera",
    Problem.CAMERA_ZOOMS: "the keys change their size during the video; use a camera without zoom",
    Problem.MARKS_DISAGREE: "a marked point is far from its position according to the other points; correct the sheet's column keyboard",
}
"""Meaning of each problem and its remedy, for reports."""

DOUBTS = {problem: f"{what}; check the points in the sheet's column keyboard" for problem, what in _DESCRIPTIONS.items()}
DOUBTS |= {Problem.MARKS_DISAGREE: MESSAGES[Problem.MARKS_DISAGREE]}
"""The same for marked points, which are used despite the doubt."""


@dataclass(frozen=True)
class Hands:
    """Median y of the hands over a video, keyboard frame.

    Attributes
    ----------
    tips_mm, wrist_mm : float
        y of the middle of a hand's five fingertips, and of the wrist, millimetres.
    count : int
        Number of detected hands, frames x hands.
    """

    tips_mm: float
    wrist_mm: float
    count: int

    @property
    def on_keys(self):
        """Whether the hands are on the keys; None with fewer than `MIN_HANDS` hands."""
        if self.count < MIN_HANDS:
            return None
        return FRONT_MM <= self.tips_mm <= BACK_MM and self.wrist_mm < self.tips_mm


def hands_over(view, landmarks_px):
    """Measure the position of the hands across the keys.

    Parameters
    ----------
    view : handroll.keyboard.projection.KeyboardView
    landmarks_px : array (frame, hand 2, landmark 21, xy 2)
        Of `tables.DETECTIONS`, frame of the view; NaN where no hand is found.

    Returns
    -------
    Hands
        NaN where no hand is found at all.
    """
    tips = view.on_plane(landmarks_px[:, :, [LANDMARK_OF_JOINT[tip] for tip in TIPS]], TIP_HEIGHT_MM)[..., 1].mean(axis=-1)
    wrist = view.on_plane(landmarks_px[:, :, 0], TIP_HEIGHT_MM)[..., 1]
    found = np.isfinite(tips) & np.isfinite(wrist)
    if not found.any():
        return Hands(np.nan, np.nan, 0)
    return Hands(float(np.median(tips[found])), float(np.median(wrist[found])), int(found.sum()))


def find_problem(view, confidence, landmarks_px, hands_tilt_deg=None):
    """Find the reason to reject a registration.

    Parameters
    ----------
    view : handroll.keyboard.projection.KeyboardView
        Camera of the frame as shown.
    confidence : float
        Share of the visible keys' edges that are found, 0..1.
    landmarks_px : array (frame, hand 2, landmark 21, xy 2)
        Of `tables.DETECTIONS`, frame as shown.
    hands_tilt_deg : float, optional
        Angle between the camera's axis and straight down, estimated from the hands.

    Returns
    -------
    Problem or None
        The first problem that applies; None where the registration is accepted.
    """
    if not plausible(view):
        return Problem.IMPLAUSIBLE_CAMERA
    if hands_over(view, landmarks_px).on_keys is False:
        return Problem.HANDS_OFF_KEYS
    if confidence < MIN_CONFIDENCE:
        return Problem.FEW_EDGES
    if hands_tilt_deg is not None and abs(tilt_deg(view) - hands_tilt_deg) > MAX_DISAGREEMENT_DEG:
        return Problem.TILT_DISAGREES
    return None


def find_doubt(view, keyboard, marked, landmarks_px, hands_tilt_deg=None):
    """Find the reason to doubt a registration from marked points.

    The share of found edges does not count, since people mark points where edges are hard to see.

    Parameters
    ----------
    view, landmarks_px, hands_tilt_deg
        As in `find_problem`.
    keyboard : handroll.keyboard.geometry.Keyboard
        With the fitted length of its keys.
    marked : (points_px (n, xy 2), points_mm (n, xyz 3))
        As `marked_points.marked_points`, in the frame of the view.

    Returns
    -------
    Problem or None
        A key of `DOUBTS`.
    """
    points_px, points_mm = marked
    length = keyboard.white_length_mm / STANDARD.white_length_mm
    off = np.linalg.norm(view.on_plane(points_px) - points_mm[:, :2] * [1.0, length], axis=-1)
    return Problem.MARKS_DISAGREE if not (off < MAX_MARK_MM).all() else find_problem(view, 1.0, landmarks_px, hands_tilt_deg)


def plausible(view):
    """Whether common cameras have the focal length and distortion of a view."""
    return view.focal_px >= MIN_FOCAL_WIDTHS * view.width_px and MIN_K1 <= view.k1 <= MAX_K1


def tilt_deg(view):
    """Return the angle between a view's axis and straight down (-z of the keyboard frame), degrees."""
    return float(np.degrees(np.arccos(np.clip(-view.extrinsics.rotation[2, 2], -1.0, 1.0))))
