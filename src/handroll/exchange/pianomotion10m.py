"""Annotations of PianoMotion10M (Gan et al., ICLR 2025): reading, writing, and their conventions.

The release represents both hands by MANO's right hand: the values of a left hand are those of its mirror image in the mirrored camera
frame. A hand is visible in a frame if its flag is exactly 1. Only this module handles mirroring and flags; `pianomotion10m_rows`
handles the camera.

Axes: `hand` left, right (`handroll.hand.skeleton.HANDS`); `column` the 62 numbers of a hand in a frame.
"""

import json
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from handroll.hand.kinematics import MIRROR, mirrored_pose
from handroll.hand.skeleton import HANDS

VERSION = 1
"""Raised by hand when an import or an export of the same files gives other results."""

N_COLUMNS = 62
FLAG, TRANSLATION, ROTATION, FINGERS, BETAS = 0, slice(1, 4), slice(4, 52), slice(7, 52), slice(52, 62)
"""Columns: flag, 1 if visible; translation, metres; axis-angle of all joints, rad, wrist first; its part for the 15 finger joints; MANO's
shape."""

MEAN_POSES = ("absolute", "subtracted")
"""Conventions of stored rotations: relative to the flat hand ("absolute"), or to MANO's mean pose ("subtracted")."""

FACTS = "pianomotion10m"
"""Key in the provenance of an imported row for values that have no column in the shards."""

_KEYS = ("fps", "start_frame", "adjust", "bv", *HANDS)


class LeftOut(StrEnum):
    """Reasons in reports for clips that are not imported or exported."""

    UNSAFE_NAME = "unsafe_name"
    NO_SPLIT = "no_split"
    TWO_SPLITS = "two_splits"
    NO_CLIPS = "no_clips"
    NO_SOUND = "no_sound"
    UNREADABLE = "unreadable"
    WRONG_VALUE = "wrong_value"
    NO_FRAMES = "no_frames"
    WRONG_WIDTH = "wrong_width"
    UNEQUAL_HANDS = "unequal_hands"
    NOT_FINITE = "not_finite"


class ClipError(ValueError):
    """A clip that cannot be imported; has a reason and a message."""

    def __init__(self, reason, message):
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, eq=False)
class Annotation:
    """Annotation of a clip in the release's conventions.

    Attributes
    ----------
    fps : float
        Frame rate, Hz.
    start_frame : int
        Index of the clip's first frame in the video.
    adjust : tuple of float
        Offset of the translations, metres, which readers must add (`adjusted`). The first value is not used.
    bv : str
        Id of the video.
    rows : array (hand 2, frame, column 62), float32
        Finite in visible frames.
    """

    fps: float
    start_frame: int
    adjust: tuple[float, ...]
    bv: str
    rows: np.ndarray

    @property
    def visible(self):
        """Visibility, bool array (hand 2, frame)."""
        return self.rows[..., FLAG] == 1.0


def parse_annotation(text):
    """Parse the JSON text of an annotation.

    Parameters
    ----------
    text : str or bytes

    Returns
    -------
    annotation : Annotation
    unknown : list of str
        Unknown keys, whose values are ignored.

    Raises
    ------
    ClipError
        Not a JSON object; a key is missing or has the wrong type; frames have the wrong width, differ in number, or are not finite.
    """
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ClipError(LeftOut.UNREADABLE, f"expected a JSON object, found invalid JSON: {error}") from None
    if not isinstance(values, dict):
        raise ClipError(LeftOut.UNREADABLE, f"expected a JSON object, found a {type(values).__name__}")
    if missing := [key for key in _KEYS if key not in values]:
        raise ClipError(LeftOut.WRONG_VALUE, f"expected the keys {', '.join(_KEYS)}; missing: {', '.join(missing)}")
    fps, start, adjust, bv = (values[key] for key in _KEYS[:4])
    _expect(_is_number(fps) and fps > 0, "fps", "a number above 0", fps)
    _expect(_is_number(start) and start >= 0 and start == int(start), "start_frame", "a whole number from 0", start)
    _expect(isinstance(adjust, list) and len(adjust) >= 3 and all(map(_is_number, adjust)), "adjust", "a list of 3 numbers", adjust)
    _expect(isinstance(bv, str), "bv", "a string", bv)
    hands = [_rows(values[hand], hand) for hand in HANDS]
    if len(hands[0]) != len(hands[1]):
        raise ClipError(
            LeftOut.UNEQUAL_HANDS,
            f"expected the same number of frames for both hands, found {len(hands[0])} left and {len(hands[1])} right",
        )
    annotation = Annotation(float(fps), int(start), tuple(map(float, adjust)), bv, np.stack(hands))
    return annotation, sorted(set(values) - set(_KEYS))


def _expect(good, key, expected, found):
    if not good:
        raise ClipError(LeftOut.WRONG_VALUE, f"{key}: expected {expected}, found {found!r:.80}")


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < np.finfo(np.float32).max


def _rows(values, hand):
    """Convert the values of a hand to rows (frame, column 62), and check them."""
    if not isinstance(values, list) or not values:
        raise ClipError(
            LeftOut.NO_FRAMES, f"{hand}: expected a list of frames, found {'an empty list' if values == [] else type(values).__name__}"
        )
    widths = {len(row) if isinstance(row, list) else None for row in values}
    if widths != {N_COLUMNS}:
        raise ClipError(
            LeftOut.WRONG_WIDTH, f"{hand}: expected {N_COLUMNS} numbers per frame, found {sorted(widths - {N_COLUMNS}, key=str)}"
        )
    try:
        with np.errstate(over="ignore"):
            rows = np.array(values, dtype=np.float64).reshape(len(values), N_COLUMNS).astype(np.float32)
    except (ValueError, TypeError, OverflowError) as error:
        raise ClipError(LeftOut.WRONG_VALUE, f"{hand}: expected numbers, found other values: {error}") from None
    bad = ~np.isfinite(rows[:, FLAG]) | ((rows[:, FLAG] == 1.0) & ~np.isfinite(rows).all(axis=1))
    if bad.any():
        raise ClipError(
            LeftOut.NOT_FINITE,
            f"{hand}: expected finite numbers, found other values in {bad.sum()} frames, first in frame {np.argmax(bad)}",
        )
    return rows


def annotation_json(annotation):
    """Convert an annotation to JSON text, deterministically. An integral frame rate is written as an integer."""
    fps = int(annotation.fps) if annotation.fps == int(annotation.fps) else annotation.fps
    values = {"bv": annotation.bv, "fps": fps, "start_frame": annotation.start_frame, "adjust": annotation.adjust}
    values |= dict(zip(HANDS, annotation.rows.astype(np.float64).tolist(), strict=True))
    return json.dumps(values, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def mirrored_rows(rows):
    """Mirror rows (..., column 62) of a left hand: from the release's right-handed values to those of a true left hand, and back."""
    rows = np.array(rows)
    rows[..., TRANSLATION] *= MIRROR.astype(rows.dtype)
    rows[..., ROTATION] = mirrored_pose(rows[..., ROTATION])
    return rows


def with_mean_pose(rows, hands_mean, sign):
    """Add MANO's mean pose (45,), rad, to the fingers of rows (..., column 62) (`sign` 1), or subtract it (-1).

    Axis-angle vectors are added, as in models with a mean pose (smplx, `flat_hand_mean=False`).
    """
    rows = np.array(rows)
    rows[..., FINGERS] += np.float32(sign) * np.asarray(hands_mean, dtype=rows.dtype)
    return rows


def hands_mean_of(mean_pose, model):
    """Return the mean pose that must be added to stored rotations.

    Parameters
    ----------
    mean_pose : {"absolute", "subtracted"}
    model : handroll.hand.mano.ManoModel or None

    Returns
    -------
    array (45,), rad, or None for "absolute"

    Raises
    ------
    ValueError
        Unknown `mean_pose`, or "subtracted" without a model.
    """
    if mean_pose not in MEAN_POSES:
        raise ValueError(f"mean_pose: expected {' or '.join(MEAN_POSES)}, found {mean_pose!r}")
    if mean_pose == "subtracted" and model is None:
        raise ValueError(
            "mean_pose subtracted: expected MANO's file, which contains the mean pose, found none; set pose.hamer.mano to its path"
        )
    return model.hands_mean if mean_pose == "subtracted" else None


def adjust_of(row):
    """Return the offset (xyz 3), metres, that readers of the release must add to an imported row; zeros for other rows.

    Parameters
    ----------
    row : dict of str to value
        With the column `provenance` of `handroll.tables.SHARD`.
    """
    facts = json.loads(row["provenance"]).get(FACTS)
    return np.array(facts["adjust"][:3] if facts else (0.0, 0.0, 0.0), dtype=np.float64)


def adjusted(translation_m, adjust):
    """Add a clip's offset to y and z of translations, as the release's training does; x is unchanged.

    Parameters
    ----------
    translation_m : array (..., xyz 3)
        Translations of a row; NaN stays NaN. The offset is the same for a true left hand and its mirror image.
    adjust : array (xyz 3)
        Result of `adjust_of`.

    Returns
    -------
    array (..., xyz 3)
    """
    return translation_m + np.array([0.0, adjust[1], adjust[2]])
