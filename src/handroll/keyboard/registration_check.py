"""The one gate for registered keyboards: whether to believe one, by its edges, its camera and the hands.

Everything that uses a keyboard trusts a registration without a problem, and uses none with a problem. A polished fallboard
mirrors the keys, and the mirror image has edges, a plausible camera and the right rhythm; but nobody plays there: the
fingertips of a pianist are over the keys, and the wrists on the player's side of them.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from handroll.hand.skeleton import LANDMARK_OF_JOINT, TIPS
from handroll.keyboard.geometry import STANDARD
from handroll.keyboard.octave import TIP_HEIGHT_MM

MIN_CONFIDENCE = 0.65
"""Minimum share of the visible keys' edges that are found. Right registrations have 0.67 to 1.0 (two real videos: 0.71 and
0.77; tilts to 69 degrees); wrong ones, of keys at 45 and 47 degrees, had 0.61 and 0.51."""

MIN_FOCAL_WIDTHS, MIN_K1, MAX_K1 = 0.45, -0.4, 0.12
"""Plausible focal lengths (image widths) and radial distortion: the wide lens of an action camera has about 0.47 and -0.3, and
pincushions are weak. Keys at 50 degrees from the left were registered as seen from above, with 0.40 and 0.26."""

MAX_DISAGREEMENT_DEG = 25.0
"""Maximum difference from the tilt by the hands. Right registrations differ by up to 19 degrees (two real and 20 synthetic
videos, tilts to 60 degrees)."""

MAX_MARK_MM = 15.0
"""A marked point that is farther than this from where the camera fitted to all points has it is a mistake: half a key and more."""

MIN_HANDS = 20
"""Fewer detected hands (frames x hands) than this say nothing about where the keys are."""

FRONT_MM, BACK_MM = -20.0, STANDARD.white_length_mm
"""Where the middle of a hand's fingertips is, y of the keyboard frame: on the keys. Median over the video; pauses do no harm."""


class Problem(StrEnum):
    """Why a video has no registered keyboard, or why to doubt marked points."""

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


_WHAT = {
    Problem.IMPLAUSIBLE_CAMERA: "no usual camera has the focal length and distortion that were fitted to the keys",
    Problem.TILT_DISAGREES: "the keys and the hands show the camera at different tilts, so the registration may be wrong",
    Problem.HANDS_OFF_KEYS: "the fingertips are not over the keys that were found, which may be a reflection",
}
_MARK = "mark at least four points of the keyboard in the sheet's column keyboard"

MESSAGES = {
    Problem.NO_MOTION: "the video gives no motion; the gallery of the screens says why",
    Problem.NO_USABLE_SEGMENT: "no part of the video shows one view from a camera at rest; film from a stand, without cuts",
    Problem.NO_KEYBOARD: f"no row of black and white keys was found; {_MARK}",
    Problem.FEW_EDGES: f"too few edges of the keys are where a keyboard would have them, so the registration may be wrong; {_MARK}",
    **{problem: f"{what}; {_MARK}" for problem, what in _WHAT.items()},
    Problem.AMBIGUOUS: f"two rows of keys were found, one of them a reflection, and the hands do not show which is played; {_MARK}",
    Problem.CAMERA_MOVES: "the keys are not where they were at other times of the video; a camera that stands still is needed",
    Problem.CAMERA_ZOOMS: "the keys change their size during the video; a camera that does not zoom is needed",
    Problem.MARKS_DISAGREE: "a marked point is far from where the other points put it; correct the sheet's column keyboard",
}
"""What each problem means and what to do, for reports."""

DOUBTS = {problem: f"{what}; check the points in the sheet's column keyboard" for problem, what in _WHAT.items()}
DOUBTS |= {Problem.MARKS_DISAGREE: MESSAGES[Problem.MARKS_DISAGREE]}
"""The same of marked points, which are used all the same."""


@dataclass(frozen=True)
class Hands:
    """Where the hands are over a keyboard, medians over a video, y of the keyboard frame.

    Attributes
    ----------
    tips_mm, wrist_mm : float
        Of the middle of a hand's five fingertips, and of the wrist.
    count : int
        Detected hands, frames x hands.
    """

    tips_mm: float
    wrist_mm: float
    count: int

    @property
    def on_keys(self):
        """Whether they play these keys; None where there are too few hands to say."""
        if self.count < MIN_HANDS:
            return None
        return FRONT_MM <= self.tips_mm <= BACK_MM and self.wrist_mm < self.tips_mm


def hands_over(view, landmarks_px):
    """Where the hands are over a keyboard.

    Parameters
    ----------
    view : handroll.keyboard.projection.KeyboardView
    landmarks_px : array (frame, hand 2, landmark 21, xy 2)
        Of `tables.DETECTIONS`, in the picture of the view; NaN where no hand is found.

    Returns
    -------
    Hands
        NaN where no hand is found.
    """
    tips = view.on_plane(landmarks_px[:, :, [LANDMARK_OF_JOINT[tip] for tip in TIPS]], TIP_HEIGHT_MM)[..., 1].mean(axis=-1)
    wrist = view.on_plane(landmarks_px[:, :, 0], TIP_HEIGHT_MM)[..., 1]
    found = np.isfinite(tips) & np.isfinite(wrist)
    if not found.any():
        return Hands(np.nan, np.nan, 0)
    return Hands(float(np.median(tips[found])), float(np.median(wrist[found])), int(found.sum()))


def find_problem(view, confidence, landmarks_px, hands_tilt_deg=None):
    """Why not to believe a registration.

    Parameters
    ----------
    view : handroll.keyboard.projection.KeyboardView
        Of the picture as shown.
    confidence : float
        Share of the visible keys' edges that are found, 0..1.
    landmarks_px : array (frame, hand 2, landmark 21, xy 2)
        Of `tables.DETECTIONS`.
    hands_tilt_deg : float, optional
        Angle between the camera's axis and straight down, as the look of the hands has it.

    Returns
    -------
    Problem or None
        The first that applies.
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
    """Why to doubt a registration from marked points; edges do not count, since points are marked where they are hard to see.

    Parameters
    ----------
    view, landmarks_px, hands_tilt_deg
        As of `find_problem`.
    keyboard : handroll.keyboard.geometry.Keyboard
        With the length of its keys found.
    marked : (points_px (n, xy 2), points_mm (n, xyz 3))
        Of `marks.marked_points`, in the picture of the view.

    Returns
    -------
    Problem or None
        One of `DOUBTS`.
    """
    points_px, points_mm = marked
    length = keyboard.white_length_mm / STANDARD.white_length_mm
    off = np.linalg.norm(view.on_plane(points_px) - points_mm[:, :2] * [1.0, length], axis=-1)
    return Problem.MARKS_DISAGREE if not (off < MAX_MARK_MM).all() else find_problem(view, 1.0, landmarks_px, hands_tilt_deg)


def plausible(view):
    """Whether usual cameras have the focal length and distortion of a view."""
    return view.focal_px >= MIN_FOCAL_WIDTHS * view.width_px and MIN_K1 <= view.k1 <= MAX_K1


def tilt_deg(view):
    """Angle between a view's axis and straight down, degrees."""
    return float(np.degrees(np.arccos(np.clip(-view.extrinsics.rotation[2, 2], -1.0, 1.0))))
