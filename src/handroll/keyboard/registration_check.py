"""Validate registered keyboards by their edges, their camera and the hands.

Later steps use only a registration without a problem. A frequent problem is the reflection of the keys in a polished fallboard. It has
edges, a plausible camera and the right order of black keys, but nobody plays on it. On the real keys, the fingertips are over the
keys, and the wrists are on the player's side.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from handroll.hand.skeleton import LANDMARK_OF_JOINT, TIPS
from handroll.keyboard.geometry import STANDARD
from handroll.keyboard.octave import TIP_HEIGHT_MM

MIN_CONFIDENCE = 0.65
"""Minimum share of the visible keys' edges that are found, 0..1. Correct registrations have 0.67 to 1.0 (two real videos: 0.71 and 0.77;
camera tilts up to 69 degrees). Two wrong registrations, at tilts of 45 and 47 degrees, had 0.61 and 0.51."""

MIN_FOCAL_WIDTHS = 0.45
"""Minimum plausible focal length, in frame widths. The wide lens of an action camera has about 0.47. A wrong registration, of keys viewed
at 50 degrees from the left, had 0.40."""

MIN_K1 = -0.4
"""Minimum plausible radial distortion k1 (barrel distortion). The wide lens of an action camera has about -0.3."""

MAX_K1 = 0.12
"""Maximum plausible radial distortion k1: pincushion distortion is weak. A wrong registration, of keys viewed at 50 degrees from the left,
had 0.26."""

MAX_DISAGREEMENT_DEG = 25.0
"""Maximum difference between the camera tilts by the keys and by the hands, degrees. In correct registrations it is up to 19 degrees (two
real and 20 rendered videos, tilts up to 60 degrees)."""

MAX_MARK_MM = 15.0
"""Maximum distance of a marked point from its position by the camera fitted to all points, mm. A larger distance, more
than half a white key, is a mistake of the person."""

MIN_HANDS = 20
"""Minimum number of detected hands, summed over all frames, for the checks that use hands."""

FRONT_MM = -20.0
"""Minimum y of the fingertips on the keys, keyboard frame, mm. It applies to `Hands.tips_mm`, the median over the
video, so pauses do not matter."""

BACK_MM = STANDARD.white_length_mm
"""Maximum y of the fingertips on the keys, keyboard frame, mm; see `FRONT_MM`."""


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


# Texts that are used both for problems of a registration and for doubts about marked points.
_DESCRIPTIONS = {
    Problem.IMPLAUSIBLE_CAMERA: "no ordinary camera has the focal length and distortion that were fitted to the keys",
    Problem.TILT_DISAGREES: "the camera tilts estimated from the keys and from the hands differ, so the registration may be wrong",
    Problem.HANDS_OFF_KEYS: "the fingertips are not over the registered keys, which may be a reflection",
}

# What to do if the automatic registration fails.
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
    Problem.MARKS_DISAGREE: "a marked point does not fit the other points; correct it in the sheet's column keyboard",
}
"""Meaning of each problem and its remedy, for reports."""

DOUBTS = {problem: f"{what}; check the points in the sheet's column keyboard" for problem, what in _DESCRIPTIONS.items()}
DOUBTS |= {Problem.MARKS_DISAGREE: MESSAGES[Problem.MARKS_DISAGREE]}
"""Meaning of each doubt about marked points and its remedy, for reports. The points are used despite the doubt."""


@dataclass(frozen=True)
class Hands:
    """Median position of the hands over a video, along y of the keyboard frame.

    Attributes
    ----------
    tips_mm : float
        y of the mean of a hand's five fingertips, keyboard frame, mm.
    wrist_mm : float
        y of a hand's wrist, keyboard frame, mm.
    count : int
        Number of detected hands, summed over all frames.
    """

    tips_mm: float
    wrist_mm: float
    count: int

    @property
    def on_keys(self):
        """Whether the fingertips are on the keys and the wrists on the player's side; None with fewer than `MIN_HANDS` hands."""
        if self.count < MIN_HANDS:
            return None
        return FRONT_MM <= self.tips_mm <= BACK_MM and self.wrist_mm < self.tips_mm


def hands_over(view, landmarks_px):
    """Measure the median position of the hands over a video, along y of the keyboard frame.

    Parameters
    ----------
    view : handroll.keyboard.projection.KeyboardView
    landmarks_px : array (frame, hand 2, landmark 21, xy 2)
        Landmarks of `tables.DETECTIONS`, pixels of the view's frame; NaN where no hand is detected.

    Returns
    -------
    Hands
        Its positions are NaN where no hand is detected in any frame.
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
        Landmarks of `tables.DETECTIONS`, pixels of the frame as shown; NaN where no hand is detected.
    hands_tilt_deg : float, optional
        Angle between the camera's axis and straight down, estimated from the hands, degrees.

    Returns
    -------
    Problem or None
        The first problem found; None if the registration is accepted.
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

    The share of found edges is not checked. It may be low here, because points are marked mainly in videos whose edges have low contrast.

    Parameters
    ----------
    view, landmarks_px, hands_tilt_deg
        Same as in `find_problem`.
    keyboard : handroll.keyboard.geometry.Keyboard
        Keyboard with the fitted length of its keys.
    marked : (points_px (n, xy 2), points_mm (n, xyz 3))
        Result of `marked_points.marked_points`; pixels of the view's frame.

    Returns
    -------
    Problem or None
        A key of `DOUBTS`; None if there is no doubt.
    """
    points_px, points_mm = marked
    length = keyboard.white_length_mm / STANDARD.white_length_mm
    off = np.linalg.norm(view.on_plane(points_px) - points_mm[:, :2] * [1.0, length], axis=-1)
    return Problem.MARKS_DISAGREE if not (off < MAX_MARK_MM).all() else find_problem(view, 1.0, landmarks_px, hands_tilt_deg)


def plausible(view):
    """Return whether focal length and radial distortion are in the range of ordinary cameras (`MIN_FOCAL_WIDTHS`, `MIN_K1`, `MAX_K1`)."""
    return view.focal_px >= MIN_FOCAL_WIDTHS * view.width_px and MIN_K1 <= view.k1 <= MAX_K1


def tilt_deg(view):
    """Return the angle between a view's axis and straight down (-z of the keyboard frame), degrees."""
    return float(np.degrees(np.arccos(np.clip(-view.extrinsics.rotation[2, 2], -1.0, 1.0))))
