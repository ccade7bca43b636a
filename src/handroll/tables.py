"""Definitions of all tables: name, type, shape, unit and meaning of every column.

`handroll.storage` checks every file that it reads or writes against these definitions. `docs/dataset.md` and the dataset card
are generated from them. In memory, a table is a dict of column name to numpy array. A column with the axes (joint 21, xyz 3) is an
array (rows, 21, 3). If the first axis has no fixed length, such as (frame, joint 16, xyz 3) in a table of clips, the column is a
sequence of arrays (frames, 16, 3), one for each row.
"""

from dataclasses import dataclass
from enum import IntEnum
from math import prod

import numpy as np
import pyarrow as pa

from handroll.hand.skeleton import HANDS

SCHEMA_VERSION = "1"
"""Version of the schema, stored in every Parquet file. Increase it manually when a column changes its name or meaning."""


class State(IntEnum):
    """State of a hand in a frame of a cleaned motion. A pose is usable in every state above `HIDDEN`."""

    HIDDEN = 0
    INTERPOLATED = 1
    OBSERVED = 2


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes
    ----------
    name : str
        Name of the column.
    dtype : pyarrow.DataType
        Type of an element.
    description : str
        Meaning of the column, for the documentation.
    unit : str
        Unit of the elements; empty for values without unit.
    axes : tuple of (name, length)
        Axes after the row axis. The length of the first of these axes may be None, if it differs between rows.
    """

    name: str
    dtype: pa.DataType
    description: str
    unit: str = ""
    axes: tuple[tuple[str, int | None], ...] = ()

    @property
    def shape(self):
        """Lengths of the axes after the row axis, without an axis of varying length."""
        return tuple(length for _, length in self.axes if length is not None)

    @property
    def varies(self):
        """Whether the length of the first axis after the row axis differs between rows."""
        return bool(self.axes) and self.axes[0][1] is None

    @property
    def arrow_type(self):
        """Stored type. The fixed axes are a fixed-size list, flattened in C order; a varying axis is a list of such lists."""
        element = pa.list_(self.dtype, prod(self.shape)) if self.shape else self.dtype
        return pa.list_(element) if self.varies else element

    @property
    def is_object(self):
        """Whether the column is a sequence of Python values or arrays, one for each row, instead of a single array."""
        return self.varies or self.numpy_dtype is object

    @property
    def numpy_dtype(self):
        """NumPy type of an element; `object` for text, bytes and structs."""
        dtype = self.dtype
        return object if pa.types.is_nested(dtype) or dtype in (pa.string(), pa.binary()) else dtype.to_pandas_dtype()


@dataclass(frozen=True)
class Table:
    """Definition of a table.

    Attributes
    ----------
    name : str
        Name of the table.
    row : str
        What a row describes, and the order of the rows.
    columns : tuple of Column
    """

    name: str
    row: str
    columns: tuple[Column, ...]

    @property
    def arrow_schema(self):
        """Arrow schema of the table, without metadata."""
        return pa.schema([(column.name, column.arrow_type) for column in self.columns])

    def empty(self):
        """Return the table without rows: a dict of arrays of length 0."""
        return {c.name: np.empty(0, object) if c.is_object else np.empty((0, *c.shape), c.numpy_dtype) for c in self.columns}


STATUS = Table(
    "status",
    "a video of the sheet, sorted by subject, then video",
    (
        Column("subject", pa.string(), "performer"),
        Column("video", pa.string(), "video id"),
        Column("source", pa.string(), "URL or path, without user name and password"),
        Column("status", pa.string(), "ok; not_fetched if the sheet already shows that the video is rejected; otherwise the name of a reason from handroll.reasons"),
        Column("transient", pa.bool_(), "the failure may be temporary: the next run tries again"),
        Column("tries", pa.int32(), "number of runs that tried to fetch the video"),
        Column("size_bytes", pa.int64(), "size of the file in bytes; 0 if there is none"),
        Column("sha256", pa.string(), "SHA-256 of the file; empty if there is none"),
        Column("format", pa.string(), "downloaded format, one of those that the site offers; empty for local files"),
        Column("title", pa.string(), "title that the site reports, or the name of a local file"),
        Column("message", pa.string(), "what was expected and what was found; empty if the status is ok"),
    ),
)  # fmt: skip
"""Status of every video of the sheet."""

FRAME_KEYS = (
    Column("frame", pa.int32(), "index of the presented frame, from 0"),
    Column("time_s", pa.float64(), "presentation time since the video's first frame", "s"),
    Column("hand", pa.string(), "the player's left or right hand"),
)
"""Columns that identify a row of a table with a row for each frame and hand."""

_POSE = (
    Column("rotation_rad", pa.float32(), "axis-angle of MANO's joints: first global, then relative to the parent; zero is the flat open hand", "rad", (("joint", 16), ("xyz", 3))),
    Column("translation_m", pa.float32(), "MANO translation, camera frame (x right, y down, z forward)", "m", (("xyz", 3),)),
    Column("betas", pa.float32(), "MANO shape coefficients; zeros if the engine estimates no shape; constant over a video", "", (("component", 10),)),
    Column("bone_scale", pa.float32(), "size of the hand relative to the engine's template; constant over a video"),
    Column("joints_m", pa.float32(), "16 MANO joints, then the tips of thumb, index, middle, ring and pinky; camera frame", "m", (("joint", 21), ("xyz", 3))),
    Column("joints_keyboard_mm", pa.float32(), "the same joints in the keyboard frame: x along the keyboard from the left end of A0, y from the player's edge towards the fallboard, z up from the top of the white keys; NaN if no keyboard is registered", "mm", (("joint", 21), ("xyz", 3))),
    Column("residual_px", pa.float32(), "root mean square distance between the landmarks of the pose and the detected landmarks", "px"),
)  # fmt: skip

DETECTIONS = Table(
    "detections",
    "a frame and hand, sorted by frame, left before right; every frame is present; NaN if the hand is not found",
    (
        *FRAME_KEYS,
        Column("found", pa.bool_(), "true if this hand is detected in this frame and its landmarks are accepted"),
        Column("mirrored", pa.bool_(), "true if the tracker gave this hand the label of the other hand; its values are masked, and `found` is false"),
        Column("score", pa.float32(), "the detector's confidence in its left/right label, 0..1"),
        Column("box_px", pa.float32(), "bounding box of the landmarks: left, top, right, bottom", "px", (("side", 4),)),
        Column("landmarks_px", pa.float32(), "21 MediaPipe landmarks in the frame as shown", "px", (("landmark", 21), ("xy", 2))),
        Column("landmarks_m", pa.float32(), "21 MediaPipe world landmarks; origin at the hand's centre", "m", (("landmark", 21), ("xyz", 3))),
    ),
)  # fmt: skip
"""Detected hands: landmarks, boxes and scores."""

POSE = Table(
    "pose",
    "a frame and hand, sorted by frame, left before right; every frame is present; NaN if the hand is not found",
    (*FRAME_KEYS, Column("found", pa.bool_(), "true if the engine fitted a pose"), *_POSE),
)
"""Fitted hand poses."""

MOTION = Table(
    "motion",
    "a frame and hand, sorted by frame, left before right; every frame is present; NaN if the hand is hidden",
    (*FRAME_KEYS, Column("state", pa.int8(), "0 hidden, 1 interpolated, 2 observed"), *_POSE),
)
"""Cleaned hand motion."""

NOTES = Table(
    "notes",
    "a note, sorted by onset, then pitch",
    (
        Column("onset_s", pa.float64(), "note onset, since the video's first frame", "s"),
        Column("key_offset_s", pa.float64(), "key release", "s"),
        Column("sounding_offset_s", pa.float64(), "sounding end: the time at which the key and the pedal are both released, or the note is struck again", "s"),
        Column("pitch", pa.int8(), "MIDI pitch, 21 (A0) to 108 (C8)"),
        Column("velocity", pa.int8(), "MIDI velocity, 1 to 127"),
    ),
)  # fmt: skip
"""Notes of a video."""

FINGERED_NOTES = Table(
    "fingered notes",
    "a note, sorted by onset, then pitch",
    (
        *NOTES.columns,
        Column("hand", pa.string(), "left or right; empty without a label, because the confidence is too low"),
        Column("finger", pa.int8(), "1 thumb, 2 index, 3 middle, 4 ring, 5 little finger; 0 without a label"),
        Column("finger_confidence", pa.float32(), "probability, 0..1, that the likeliest hand and finger are correct, even without a label; 0 if no hand is detected"),
        Column("landing_error_mm", pa.float32(), "distance along the keyboard from the likeliest fingertip to the key's playing width at the onset; 0 inside; NaN if no hand is detected", "mm"),
    ),
)  # fmt: skip
"""Notes with the hand and finger that play them."""

PEDAL = Table(
    "pedal",
    "a press of the sustain pedal, sorted by onset",
    (
        Column("onset_s", pa.float64(), "pedal down, since the video's first frame", "s"),
        Column("offset_s", pa.float64(), "pedal up", "s"),
    ),
)
"""Presses of the sustain pedal."""

KEY_PRESS_SCORES = (
    Column("key_press_precision", pa.float32(), "share of the fingertips' key presses that match a note of the recording; NaN if no keyboard is registered"),
    Column("key_press_recall", pa.float32(), "share of the notes that match a key press of a fingertip; NaN if no keyboard is registered"),
    Column("key_press_f1", pa.float32(), "harmonic mean of key press precision and recall"),
    Column("landing_error_mm", pa.float32(), "mean distance along the keyboard between each note's key and the nearest fingertip at the onset; 0 for a fingertip inside the key", "mm"),
)  # fmt: skip
"""Columns with the agreement between the key presses of a motion and the notes; see `handroll.metrics.key_press`."""

CLIPS = Table(
    "clips",
    "a window of a video, accepted or rejected, sorted by start",
    (
        Column("subject", pa.string(), "performer"),
        Column("video", pa.string(), "video id"),
        Column("clip", pa.int32(), "index of the window in its video, from 0"),
        Column("start_s", pa.float64(), "start, since the video's first frame", "s"),
        Column("end_s", pa.float64(), "end (exclusive), since the video's first frame", "s"),
        Column("start_frame", pa.int32(), "first frame of the window"),
        Column("end_frame", pa.int32(), "frame after the last frame of the window"),
        Column("visibility", pa.float32(), "share of frames x hands that are observed or interpolated, 0..1"),
        *KEY_PRESS_SCORES,
        Column("accepted", pa.bool_(), "true if the clip is part of the dataset"),
        Column("reasons", pa.string(), "rejection reasons: names from handroll.reasons, comma separated; empty when accepted"),
    ),
)  # fmt: skip
"""Clips that a video is cut into, with rejection reasons."""

SPLITS = Table(
    "splits",
    "a video, sorted by subject, then video",
    (
        Column("subject", pa.string(), "performer"),
        Column("video", pa.string(), "video id"),
        Column("split", pa.string(), "train, valid or test"),
        Column("pinned", pa.bool_(), "true if the sheet sets the split, instead of a hash"),
    ),
)
"""Split of every video."""


def _rows_of(table):
    """Return the Arrow type of a list whose items are rows of another table."""
    return pa.list_(pa.struct([(column.name, column.arrow_type) for column in table.columns]))


def _clip_pose(hand):
    """Return the columns of a clip for one hand. Values that are constant over a video are stored once for each clip."""
    motion = {column.name: column for column in MOTION.columns}
    per_clip = ("betas", "bone_scale")
    names = ("state", "rotation_rad", "translation_m", "joints_m", "joints_keyboard_mm", "residual_px", *per_clip)
    return tuple(
        Column(
            f"{hand}_{name}", c.dtype, f"{hand} hand: {c.description}", c.unit, c.axes if name in per_clip else (("frame", None), *c.axes)
        )
        for name, c in ((name, motion[name]) for name in names)
    )


SHARD = Table(
    "shard",
    "a clip, sorted by subject, video, then clip; NaN in frames in which a hand is hidden",
    (
        Column("subject", pa.string(), "performer"),
        Column("video", pa.string(), "video id, unique for its subject"),
        Column("clip", pa.int32(), "index of the window in its video, from 0; indices of rejected windows are missing"),
        Column("split", pa.string(), "train, valid or test; all clips of a video are in the same split"),
        Column("start_s", pa.float64(), "start, since the video's first frame", "s"),
        Column("end_s", pa.float64(), "end (exclusive), since the video's first frame", "s"),
        Column("start_frame", pa.int32(), "index of the clip's first frame in the video"),
        Column("n_frames", pa.int32(), "number of frames of the clip: length of every frame axis of this row"),
        Column("fps", pa.float64(), "mean frame rate of the video; time_s contains the exact times", "Hz"),
        Column("time_s", pa.float64(), "presentation time since the clip's start", "s", (("frame", None),)),
        *_clip_pose("left"),
        *_clip_pose("right"),
        Column("visibility", pa.float32(), "share of frames x hands that are observed or interpolated, 0..1"),
        *KEY_PRESS_SCORES,
        Column("notes", _rows_of(FINGERED_NOTES), "notes whose onset is within the clip; times since the clip's start; key releases and sounding ends may be after the clip's end"),
        Column("audio_delay_s", pa.float64(), "delay of this row's audio and notes after its motion; 0 in clips that handroll cut, since it has removed the delay", "s"),
        Column("pedal", _rows_of(PEDAL), "pedal presses that overlap the clip, not cut at its ends; times since the clip's start may be negative"),
        Column("audio", pa.struct([("bytes", pa.binary()), ("path", pa.string())]), "the clip's audio: a mono FLAC file, or the MP3 file that was imported; null if the video has none"),
        Column("width_px", pa.int32(), "width of the frame as shown", "px"),
        Column("height_px", pa.int32(), "height of the frame as shown", "px"),
        Column("focal_px", pa.float64(), "focal length of the camera model of the poses", "px"),
        Column("focal_source", pa.string(), "source of the focal length: sheet, config, keyboard (fitted to the keys), assumed (a keyboard is registered but barely constrains it), truth, or hamer (a convention: depth is then not metric)"),
        Column("centre_px", pa.float64(), "principal point, also the centre of the lens distortion", "px", (("xy", 2),)),
        Column("k1", pa.float64(), "radial distortion: a direction (x, y, 1) projects to focal_px * (1 + k1 r^2) (x, y) + centre_px, with r^2 = x^2 + y^2"),
        Column("keyboard_rotation_rad", pa.float64(), "axis-angle from the keyboard frame to the camera frame; NaN if no keyboard is registered", "rad", (("xyz", 3),)),
        Column("keyboard_translation_mm", pa.float64(), "the keyboard frame's origin in the camera frame; NaN if no keyboard is registered", "mm", (("xyz", 3),)),
        Column("detector", pa.string(), "engine that detected the hands"),
        Column("pose_engine", pa.string(), "engine that fitted the pose"),
        Column("transcriber", pa.string(), "source of the notes: transcription engine or MIDI file"),
        Column("permission", pa.string(), "the performer's permission to publish motion and audio: granted, unknown or refused"),
        Column("licence", pa.string(), "licence of the recording, as stated by its publisher; empty if not stated"),
        Column("source", pa.string(), "source of the video: its URL, or the name of a local file"),
        Column("source_sha256", pa.string(), "SHA-256 of the video file"),
        Column("provenance", pa.string(), "versions and settings that produced the row, a JSON object"),
    ),
)  # fmt: skip
"""A shard of clips: one of the files of the published dataset."""


def join_rows(table, parts):
    """Concatenate the rows of several dicts of arrays that belong to the same table."""
    return {column.name: np.concatenate([table.empty()[column.name], *(part[column.name] for part in parts)]) for column in table.columns}


def by_frame(columns):
    """Reshape the columns of a table with a row for each frame and hand, (rows, ...), to arrays (frame, hand 2, ...).

    The hands have the order of `skeleton.HANDS`.
    """
    return {name: values.reshape(-1, len(HANDS), *values.shape[1:]) for name, values in columns.items()}


def by_row(columns):
    """Reshape arrays (frame, hand 2, ...) to columns (rows, ...): the inverse of `by_frame`."""
    return {name: values.reshape(-1, *values.shape[2:]) for name, values in columns.items()}


def frame_keys(time_s):
    """Return the columns of `FRAME_KEYS` as arrays (frame, hand 2). `time_s` (frame,): presentation times of the video, s."""
    frames = len(time_s)
    return {
        "frame": np.repeat(np.arange(frames, dtype=np.int32)[:, None], 2, axis=1),
        "time_s": np.repeat(np.asarray(time_s, dtype=np.float64)[:, None], 2, axis=1),
        "hand": np.tile(np.array(HANDS, dtype=object), (frames, 1)),
    }
