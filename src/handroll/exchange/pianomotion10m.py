"""The files of PianoMotion10M (Gan et al., ICLR 2025): a clip's annotation, what its numbers mean, reading and writing it.

That release draws both hands with MANO's right hand: a left hand's numbers are those of its mirror image, before the mirrored camera.
A frame is visible where its flag is exactly 1. No other module knows of mirrors and flags; `pianomotion10m_rows` knows its camera.

Axes: `hand` left, right (`handroll.hand.skeleton.HANDS`); `column` the 62 numbers of a hand in a frame.
"""

import json
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from handroll.hand.kinematics import MIRROR, mirrored_pose
from handroll.hand.skeleton import HANDS

VERSION = 1
"""Raised by hand when an import or an export of the same files gives something else."""

N_COLUMNS = 62
FLAG, TRANSLATION, ROTATION, FINGERS, BETAS = 0, slice(1, 4), slice(4, 52), slice(7, 52), slice(52, 62)
"""What the columns are: 1 where visible; metres; axis-angle, rad, the wrist's first; of it, the 15 finger joints'; MANO's shape."""

MEAN_POSES = ("absolute", "subtracted")
"""What stored rotations may be relative to: the flat hand, or MANO's mean pose."""

FACTS = "pianomotion10m"
"""Under this name the provenance of an imported row holds what the columns of the shards have no place for."""

_KEYS = ("fps", "start_frame", "adjust", "bv", *HANDS)


class LeftOut(StrEnum):
    """Why a clip is neither imported nor exported; reports name it."""

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
    """A clip that cannot be taken over: the reason, and what was expected and found."""

    def __init__(self, reason, message):
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, eq=False)
class Annotation:
    """The annotation of a clip as it is stored.

    Attributes
    ----------
    fps : float
        Frame rate, Hz.
    start_frame : int
        The clip's first frame, as a frame of the video.
    adjust : tuple of float
        Offset of the translations, metres, which readers add (`adjusted`); its first number is not used.
    bv : str
        The video's id.
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
        """bool array (hand 2, frame)"""
        return self.rows[..., FLAG] == 1.0


def parse_annotation(text):
    """An annotation from its JSON text.

    Parameters
    ----------
    text : str or bytes

    Returns
    -------
    annotation : Annotation
    unknown : list of str
        Keys that no one knows; their values are not taken over.

    Raises
    ------
    ClipError
        Not a JSON object; a key missing or of another kind; frames of another width, of unequal number, or not finite.
    """
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ClipError(LeftOut.UNREADABLE, f"expected a JSON object, found none that can be read: {error}") from None
    if not isinstance(values, dict):
        raise ClipError(LeftOut.UNREADABLE, f"expected a JSON object, found a {type(values).__name__}")
    if missing := [key for key in _KEYS if key not in values]:
        raise ClipError(LeftOut.WRONG_VALUE, f"expected the keys {', '.join(_KEYS)}; found no {', '.join(missing)}")
    fps, start, adjust, bv = (values[key] for key in _KEYS[:4])
    _expect(_is_number(fps) and fps > 0, "fps", "a number above 0", fps)
    _expect(_is_number(start) and start >= 0 and start == int(start), "start_frame", "a whole number from 0", start)
    _expect(isinstance(adjust, list) and len(adjust) >= 3 and all(map(_is_number, adjust)), "adjust", "a list of 3 numbers", adjust)
    _expect(isinstance(bv, str), "bv", "a text", bv)
    hands = [_rows(values[hand], hand) for hand in HANDS]
    if len(hands[0]) != len(hands[1]):
        raise ClipError(LeftOut.UNEQUAL_HANDS, f"expected hands of one length, found {len(hands[0])} frames left and {len(hands[1])} right")
    annotation = Annotation(float(fps), int(start), tuple(map(float, adjust)), bv, np.stack(hands))
    return annotation, sorted(set(values) - set(_KEYS))


def _expect(good, key, expected, found):
    if not good:
        raise ClipError(LeftOut.WRONG_VALUE, f"{key}: expected {expected}, found {found!r:.80}")


def _is_number(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < np.finfo(np.float32).max


def _rows(values, hand):
    """The rows (frame, column 62) of a hand, checked."""
    if not isinstance(values, list) or not values:
        raise ClipError(LeftOut.NO_FRAMES, f"{hand}: expected a list of frames, found {'none' if values == [] else type(values).__name__}")
    widths = {len(row) if isinstance(row, list) else None for row in values}
    if widths != {N_COLUMNS}:
        raise ClipError(LeftOut.WRONG_WIDTH, f"{hand}: expected {N_COLUMNS} numbers a frame, found {sorted(widths - {N_COLUMNS}, key=str)}")
    try:
        with np.errstate(over="ignore"):
            rows = np.array(values, dtype=np.float64).reshape(len(values), N_COLUMNS).astype(np.float32)
    except (ValueError, TypeError, OverflowError) as error:
        raise ClipError(LeftOut.WRONG_VALUE, f"{hand}: expected numbers, found others: {error}") from None
    bad = ~np.isfinite(rows[:, FLAG]) | ((rows[:, FLAG] == 1.0) & ~np.isfinite(rows).all(axis=1))
    if bad.any():
        raise ClipError(LeftOut.NOT_FINITE, f"{hand}: expected finite numbers, found others in {bad.sum()} frames, first {np.argmax(bad)}")
    return rows


def annotation_json(annotation):
    """An annotation as JSON text; the same annotation gives the same text. A whole frame rate is written as an integer."""
    fps = int(annotation.fps) if annotation.fps == int(annotation.fps) else annotation.fps
    values = {"bv": annotation.bv, "fps": fps, "start_frame": annotation.start_frame, "adjust": annotation.adjust}
    values |= dict(zip(HANDS, annotation.rows.astype(np.float64).tolist(), strict=True))
    return json.dumps(values, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def mirrored_rows(rows):
    """Rows (..., column 62) of a left hand in the mirror: from the release's right-handed numbers to a true left hand's, and back."""
    rows = np.array(rows)
    rows[..., TRANSLATION] *= MIRROR.astype(rows.dtype)
    rows[..., ROTATION] = mirrored_pose(rows[..., ROTATION])
    return rows


def with_mean_pose(rows, hands_mean, sign):
    """Rows (..., column 62) as stored, with MANO's mean pose (45,), rad, added to (`sign` 1) or taken from (-1) the fingers.

    The sum is of axis-angle vectors, as the models add it that have a mean pose (smplx, `flat_hand_mean=False`).
    """
    rows = np.array(rows)
    rows[..., FINGERS] += np.float32(sign) * np.asarray(hands_mean, dtype=rows.dtype)
    return rows


def hands_mean_of(mean_pose, model):
    """The mean pose that stored rotations lack.

    Parameters
    ----------
    mean_pose : {"absolute", "subtracted"}
    model : handroll.hand.mano.ManoModel or None

    Returns
    -------
    array (45,), rad, or None where they lack none

    Raises
    ------
    ValueError
        An unknown `mean_pose`; "subtracted" without a model.
    """
    if mean_pose not in MEAN_POSES:
        raise ValueError(f"mean_pose: expected {' or '.join(MEAN_POSES)}, found {mean_pose!r}")
    if mean_pose == "subtracted" and model is None:
        raise ValueError("mean_pose subtracted: expected MANO's file, which holds the mean pose, found none; put it at pose.hamer.mano")
    return model.hands_mean if mean_pose == "subtracted" else None


def adjust_of(row):
    """The offset (xyz 3), metres, of an imported row, which its release asks readers to add; zeros for all other rows.

    Parameters
    ----------
    row : dict of str to value
        With the column `provenance` of `handroll.tables.SHARD`.
    """
    facts = json.loads(row["provenance"]).get(FACTS)
    return np.array(facts["adjust"][:3] if facts else (0.0, 0.0, 0.0), dtype=np.float64)


def adjusted(translation_m, adjust):
    """Translations as the release's training sees them: y and z moved by the clip's offset, of both hands, x as it is.

    Parameters
    ----------
    translation_m : array (..., xyz 3)
        Of a row; NaN stays NaN. A true left hand's and its mirror image's move alike.
    adjust : array (xyz 3)
        As of `adjust_of`.

    Returns
    -------
    array (..., xyz 3)
    """
    return translation_m + np.array([0.0, adjust[1], adjust[2]])
