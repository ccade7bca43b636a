"""Read and write annotations of PianoMotion10M (Gan et al., ICLR 2025), with their conventions.

The release represents both hands by MANO's right hand. The stored values of a left hand are those of its mirror image in the mirrored
camera frame. A hand is visible in a frame if its flag is exactly 1. Only this module converts mirrored hands and flags. Module
`pianomotion10m_rows` converts the camera.

Axes of arrays: `hand` is left, right (`handroll.hand.skeleton.HANDS`). `column` is one of the 62 numbers that describe a hand in a frame.
"""

import json
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from handroll.hand.kinematics import MIRROR, mirrored_pose
from handroll.hand.skeleton import HANDS

VERSION = 1
"""Version of import and export. Increase it manually when the same files give different results."""

N_COLUMNS = 62
"""Number of values of a hand in a frame."""

FLAG = 0
"""Column of the visibility flag: 1 if the hand is visible."""

TRANSLATION = slice(1, 4)
"""Columns of MANO's translation, metres."""

ROTATION = slice(4, 52)
"""Columns of the axis-angle rotations of all 16 joints, rad; the wrist is first."""

FINGERS = slice(7, 52)
"""Columns of the axis-angle rotations of the 15 finger joints, a part of `ROTATION`."""

BETAS = slice(52, 62)
"""Columns of MANO's shape parameters."""

MEAN_POSES = ("absolute", "subtracted")
"""Conventions of stored finger rotations. "absolute": relative to the flat hand. "subtracted": relative to MANO's mean pose."""

FACTS = "pianomotion10m"
"""Key in the column `provenance` of an imported row. Its value is a dict of properties of the annotation for which `tables.SHARD` has no
column."""

# Required keys of an annotation file.
_KEYS = ("fps", "start_frame", "adjust", "bv", *HANDS)


class LeftOut(StrEnum):
    """Reasons for which a clip is not imported or exported, as listed in reports."""

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
    """Error for a clip that cannot be imported. `reason` is a `LeftOut`."""

    def __init__(self, reason, message):
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, eq=False)
class Annotation:
    """Annotation of a clip, in the conventions of the release.

    Attributes
    ----------
    fps : float
        Frame rate, Hz.
    start_frame : int
        Index of the clip's first frame in the video.
    adjust : tuple of float
        Offset (x, y, z) that readers must add to the translations, metres; see `adjusted`. x is not used.
    bv : str
        Id of the video.
    rows : array (hand 2, frame, column 62), float32
        Values of both hands. They are finite in visible frames.
    """

    fps: float
    start_frame: int
    adjust: tuple[float, ...]
    bv: str
    rows: np.ndarray

    @property
    def visible(self):
        """Whether a hand is visible: bool array (hand 2, frame)."""
        return self.rows[..., FLAG] == 1.0


def parse_annotation(text):
    """Parse the JSON text of an annotation file.

    Parameters
    ----------
    text : str or bytes

    Returns
    -------
    annotation : Annotation
    unknown : list of str
        Unknown keys of the file. Their values are ignored.

    Raises
    ------
    ClipError
        The text is not a JSON object, a key is missing or has the wrong type, the hands have different numbers of frames, or a frame has
        the wrong number of values or a value that is not finite.
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
    hands = [_parse_hand(values[hand], hand) for hand in HANDS]
    if len(hands[0]) != len(hands[1]):
        raise ClipError(
            LeftOut.UNEQUAL_HANDS,
            f"expected the same number of frames for both hands, found {len(hands[0])} left and {len(hands[1])} right",
        )
    annotation = Annotation(float(fps), int(start), tuple(map(float, adjust)), bv, np.stack(hands))
    return annotation, sorted(set(values) - set(_KEYS))


def _expect(good, key, expected, found):
    """Raise ClipError for the value `found` of a key, unless `good` is true."""
    if not good:
        raise ClipError(LeftOut.WRONG_VALUE, f"{key}: expected {expected}, found {found!r:.80}")


def _is_number(value):
    """Return whether a JSON value is a finite number in the range of float32."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < np.finfo(np.float32).max


def _parse_hand(values, hand):
    """Check the JSON values of a hand, and convert them to an array (frame, column 62), float32."""
    if not isinstance(values, list) or not values:
        raise ClipError(
            LeftOut.NO_FRAMES, f"{hand}: expected a list of frames, found {'an empty list' if values == [] else type(values).__name__}"
        )
    widths = {len(row) if isinstance(row, list) else None for row in values}
    if widths != {N_COLUMNS}:
        odd = sorted(widths - {N_COLUMNS}, key=str)
        found = ", ".join("a frame that is not a list" if width is None else f"a frame with {width}" for width in odd)
        raise ClipError(LeftOut.WRONG_WIDTH, f"{hand}: expected {N_COLUMNS} numbers per frame, found {found}")
    try:
        with np.errstate(over="ignore"):
            rows = np.array(values, dtype=np.float64).reshape(len(values), N_COLUMNS).astype(np.float32)
    except (ValueError, TypeError, OverflowError) as error:
        raise ClipError(LeftOut.WRONG_VALUE, f"{hand}: expected numbers, found other values: {error}") from None
    bad = ~np.isfinite(rows[:, FLAG]) | ((rows[:, FLAG] == 1.0) & ~np.isfinite(rows).all(axis=1))
    if bad.any():
        raise ClipError(
            LeftOut.NOT_FINITE,
            f"{hand}: expected finite numbers, found NaN or infinity in {bad.sum()} frames, first in frame {np.argmax(bad)}",
        )
    return rows


def annotation_json(annotation):
    """Convert an annotation to JSON text. The text is deterministic, and an integral frame rate is written as an integer."""
    fps = int(annotation.fps) if annotation.fps == int(annotation.fps) else annotation.fps
    values = {"bv": annotation.bv, "fps": fps, "start_frame": annotation.start_frame, "adjust": annotation.adjust}
    values |= dict(zip(HANDS, annotation.rows.astype(np.float64).tolist(), strict=True))
    return json.dumps(values, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def mirrored_rows(rows):
    """Mirror the values (..., column 62) of a left hand.

    The function converts the release's mirrored values to those of a true left hand, and also in the other direction.
    """
    rows = np.array(rows)
    rows[..., TRANSLATION] *= MIRROR.astype(rows.dtype)
    rows[..., ROTATION] = mirrored_pose(rows[..., ROTATION])
    return rows


def with_mean_pose(rows, hands_mean, sign):
    """Add MANO's mean pose to the finger rotations of values (..., column 62) if `sign` is 1, or subtract it if `sign` is -1.

    `hands_mean` is the mean pose (45,), rad. Axis-angle vectors are added component by component, as in the package smplx with
    `flat_hand_mean=False`.
    """
    rows = np.array(rows)
    rows[..., FINGERS] += np.float32(sign) * np.asarray(hands_mean, dtype=rows.dtype)
    return rows


def hands_mean_of(mean_pose, model):
    """Return the mean pose that must be added to stored finger rotations to make them relative to the flat hand.

    Parameters
    ----------
    mean_pose : {"absolute", "subtracted"}
        Convention of the stored rotations; see `MEAN_POSES`.
    model : handroll.hand.mano.ManoModel or None
        Source of the mean pose.

    Returns
    -------
    array (45,) or None
        Radians; None for "absolute".

    Raises
    ------
    ValueError
        `mean_pose` is unknown, or it is "subtracted" and there is no model.
    """
    if mean_pose not in MEAN_POSES:
        raise ValueError(f"mean_pose: expected {' or '.join(MEAN_POSES)}, found {mean_pose!r}")
    if mean_pose == "subtracted" and model is None:
        raise ValueError("mean_pose subtracted: expected MANO's file, which contains the mean pose, found no path; set pose.hamer.mano")
    return model.hands_mean if mean_pose == "subtracted" else None


def adjust_of(row):
    """Return the offset (xyz 3), metres, that must be added to the translations of an imported row. For other rows it is zero.

    Parameters
    ----------
    row : dict of str to value
        Row of `handroll.tables.SHARD` with the column `provenance`.
    """
    facts = json.loads(row["provenance"]).get(FACTS)
    return np.array(facts["adjust"][:3] if facts else (0.0, 0.0, 0.0), dtype=np.float64)


def adjusted(translation_m, adjust):
    """Add the offset of a clip to its translations, as PianoMotion10M's training code does: to y and z, but not to x.

    Parameters
    ----------
    translation_m : array (..., xyz 3)
        Translations of a row; NaN remains NaN. Mirroring changes only x, so left hands may be mirrored or not.
    adjust : array (xyz 3)
        Result of `adjust_of`.

    Returns
    -------
    array (..., xyz 3)
    """
    return translation_m + np.array([0.0, adjust[1], adjust[2]])
