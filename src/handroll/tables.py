"""The tables handroll writes: one definition of every column, and the only way to read and write them.

A `Table` lists its columns with Arrow type, shape with axis names, unit and meaning. Writing and reading check against
it; `docs/dataset.md` and the dataset card are generated from it. In memory a table is a dict of numpy arrays (column
name to array); a column with a shape such as (joint 21, xyz 3) is an array (rows, 21, 3). Where an axis has no fixed
length, as (frame, joint 16, xyz 3) in a table of clips, the column is a sequence of arrays (frames, 16, 3), one a row.
"""

import json
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from math import prod
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from handroll.provenance import atomic_path

SCHEMA_VERSION = "1"
"""Raised by hand when a column changes its meaning; stored in every Parquet file."""


class State(IntEnum):
    """What a frame of a cleaned motion is. Frames above `HIDDEN` hold usable values."""

    HIDDEN = 0
    INTERPOLATED = 1
    OBSERVED = 2


@dataclass(frozen=True)
class Column:
    """A column: Arrow type of an element, axes as (name, length) pairs, unit, and a sentence.

    The first axis may have the length None: it differs from row to row.
    """

    name: str
    dtype: pa.DataType
    description: str
    unit: str = ""
    axes: tuple[tuple[str, int | None], ...] = ()

    @property
    def shape(self):
        """Fixed lengths of the axes behind the row axis (behind the varying axis, where there is one)."""
        return tuple(length for _, length in self.axes if length is not None)

    @property
    def varies(self):
        """Whether the first axis behind the row axis differs from row to row."""
        return bool(self.axes) and self.axes[0][1] is None

    @property
    def arrow_type(self):
        """The stored type: fixed axes are a fixed-size list, flattened in C order; a varying axis is a list around it."""
        element = pa.list_(self.dtype, prod(self.shape)) if self.shape else self.dtype
        return pa.list_(element) if self.varies else element

    @property
    def is_object(self):
        """Whether the column is held as a sequence of Python values or arrays, one a row, not as one array."""
        return self.varies or _numpy_dtype(self.dtype) is object


@dataclass(frozen=True)
class Table:
    """A table: its name, what a row is, and its columns."""

    name: str
    row: str
    columns: tuple[Column, ...]

    @property
    def arrow_schema(self):
        """The Arrow schema without metadata."""
        return pa.schema([(column.name, column.arrow_type) for column in self.columns])

    def empty(self):
        """The table without rows: a dict of arrays of length 0."""
        return {c.name: np.empty(0, object) if c.is_object else np.empty((0, *c.shape), _numpy_dtype(c.dtype)) for c in self.columns}


def _numpy_dtype(dtype):
    return object if pa.types.is_nested(dtype) or dtype in (pa.string(), pa.binary()) else dtype.to_pandas_dtype()


STATUS = Table(
    "status",
    "a video of the sheet, by subject, then video",
    (
        Column("subject", pa.string(), "performer"),
        Column("video", pa.string(), "video id"),
        Column("source", pa.string(), "URL or path, without user name and password"),
        Column("status", pa.string(), "ok; not_fetched where the listing or a person rejects the video; else the name of a reason from handroll.reasons"),
        Column("transient", pa.bool_(), "the failure may pass: the next run asks again"),
        Column("tries", pa.int32(), "runs that have asked for it"),
        Column("size_bytes", pa.int64(), "size of the file in bytes; 0 where there is none"),
        Column("sha256", pa.string(), "SHA-256 of the file; empty where there is none"),
        Column("format", pa.string(), "the format chosen of those that the site offers; empty for local files"),
        Column("title", pa.string(), "title, as the site tells it, or the name of a local file"),
        Column("message", pa.string(), "what was expected and found; empty where ok"),
    ),
)  # fmt: skip

FRAME_KEYS = (
    Column("frame", pa.int32(), "index of the presented frame, from 0"),
    Column("time_s", pa.float64(), "presentation time since the video's first frame", "s"),
    Column("hand", pa.string(), "left or right, as the player's own hands"),
)

_POSE = (
    Column("rotation_rad", pa.float32(), "axis-angle of MANO's joints: global, then relative to the parent; zero = flat open hand", "rad", (("joint", 16), ("xyz", 3))),
    Column("translation_m", pa.float32(), "MANO translation, camera frame (x right, y down, z forward)", "m", (("xyz", 3),)),
    Column("betas", pa.float32(), "MANO shape; zeros where the engine has none; constant over a video", "", (("component", 10),)),
    Column("bone_scale", pa.float32(), "size of the hand relative to the engine's template; constant over a video"),
    Column("joints_m", pa.float32(), "16 MANO joints, then tips of thumb, index, middle, ring, pinky; camera frame", "m", (("joint", 21), ("xyz", 3))),
    Column("joints_keyboard_mm", pa.float32(), "the same joints in the keyboard frame: x along the keys from the left end of A0, y from the player's edge, z up from the white keys; NaN where no keyboard is registered", "mm", (("joint", 21), ("xyz", 3))),
    Column("residual_px", pa.float32(), "root mean square distance of the landmarks that the pose predicts to the detected ones", "px"),
)  # fmt: skip

DETECTIONS = Table(
    "detections",
    "a frame and hand; frame-major, left before right, every frame present; NaN where not found",
    (
        *FRAME_KEYS,
        Column("found", pa.bool_(), "a hand of this side is in this frame and its landmarks can be trusted"),
        Column("mirrored", pa.bool_(), "the tracker took this hand for its mirror image: masked, `found` is false"),
        Column("score", pa.float32(), "the detector's confidence in its left/right label, 0..1"),
        Column("box_px", pa.float32(), "box around the landmarks: left, top, right, bottom", "px", (("side", 4),)),
        Column("landmarks_px", pa.float32(), "21 MediaPipe landmarks in the shown frame", "px", (("landmark", 21), ("xy", 2))),
        Column("landmarks_m", pa.float32(), "21 MediaPipe world landmarks, origin at the hand's centre", "m", (("landmark", 21), ("xyz", 3))),
    ),
)  # fmt: skip

POSE = Table(
    "pose",
    "a frame and hand; frame-major, left before right, every frame present; NaN where not found",
    (*FRAME_KEYS, Column("found", pa.bool_(), "the engine gave a pose"), *_POSE),
)

MOTION = Table(
    "motion",
    "a frame and hand; frame-major, left before right, every frame present; NaN where hidden",
    (*FRAME_KEYS, Column("state", pa.int8(), "0 hidden, 1 interpolated, 2 observed"), *_POSE),
)

NOTES = Table(
    "notes",
    "a note, by onset, then pitch",
    (
        Column("onset_s", pa.float64(), "the hammer strikes; since the video's first frame", "s"),
        Column("key_offset_s", pa.float64(), "the key is released", "s"),
        Column("sounding_offset_s", pa.float64(), "the sound is damped: the key or, later, the pedal is released, or the note is struck again", "s"),
        Column("pitch", pa.int8(), "MIDI pitch, 21 (A0) to 108 (C8)"),
        Column("velocity", pa.int8(), "MIDI velocity, 1 to 127"),
    ),
)  # fmt: skip

FINGERED_NOTES = Table(
    "fingered notes",
    "a note, by onset, then pitch",
    (
        *NOTES.columns,
        Column("hand", pa.string(), "left or right; empty where the label is withheld"),
        Column("finger", pa.int8(), "1 thumb, 2 index, 3 middle, 4 ring, 5 little finger; 0 where the label is withheld"),
        Column("finger_confidence", pa.float32(), "probability, 0..1, that the likeliest hand and finger are right, withheld or not; 0 where no hand was seen"),
        Column("landing_error_mm", pa.float32(), "how far along the keys that fingertip is from the key's playing width at the onset; 0 inside; NaN where no hand was seen", "mm"),
    ),
)  # fmt: skip

PEDAL = Table(
    "pedal",
    "a press of the sustain pedal, by onset",
    (
        Column("onset_s", pa.float64(), "the pedal goes down; since the video's first frame", "s"),
        Column("offset_s", pa.float64(), "the pedal comes up", "s"),
    ),
)

KEY_PRESS_SCORES = (
    Column("key_press_precision", pa.float32(), "share of the fingertips' presses that strike a note of the recording; NaN where no keyboard is registered"),
    Column("key_press_recall", pa.float32(), "share of the notes that a fingertip presses; NaN where no keyboard is registered"),
    Column("key_press_f1", pa.float32(), "harmonic mean of the two"),
    Column("landing_error_mm", pa.float32(), "mean distance along the keys of the nearest fingertip from each note's key at its onset; 0 inside", "mm"),
)  # fmt: skip
"""Does the motion play the notes? See `handroll.metrics.key_press`."""

CLIPS = Table(
    "clips",
    "a window of a video, kept or not, by start",
    (
        Column("subject", pa.string(), "performer"),
        Column("video", pa.string(), "video id"),
        Column("clip", pa.int32(), "index of the window in its video, from 0"),
        Column("start_s", pa.float64(), "start, since the video's first frame", "s"),
        Column("end_s", pa.float64(), "end (exclusive)", "s"),
        Column("start_frame", pa.int32(), "first frame of the window"),
        Column("end_frame", pa.int32(), "frame after the last one"),
        Column("visibility", pa.float32(), "share of frames x hands that are observed or interpolated, 0..1"),
        *KEY_PRESS_SCORES,
        Column("accepted", pa.bool_(), "the clip enters the dataset"),
        Column("reasons", pa.string(), "why not: names from handroll.reasons, comma separated; empty when accepted"),
    ),
)  # fmt: skip

SPLITS = Table(
    "splits",
    "a video, by subject, then video",
    (
        Column("subject", pa.string(), "performer"),
        Column("video", pa.string(), "video id"),
        Column("split", pa.string(), "train, valid or test"),
        Column("pinned", pa.bool_(), "the sheet decided, not the hash"),
    ),
)


def _rows_of(table):
    """The type of a list whose items are rows of another table."""
    return pa.list_(pa.struct([(column.name, column.arrow_type) for column in table.columns]))


def _clip_pose(hand):
    """A clip's columns of one hand; those that are constant over a video are stored once."""
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
    "a clip, by subject, video, then clip; NaN where a hand is hidden",
    (
        Column("subject", pa.string(), "performer"),
        Column("video", pa.string(), "video id, unique for its subject"),
        Column("clip", pa.int32(), "index of the window in its video, from 0; rejected windows leave gaps"),
        Column("split", pa.string(), "train, valid or test; all clips of a video are in one"),
        Column("start_s", pa.float64(), "start, since the video's first frame", "s"),
        Column("end_s", pa.float64(), "end (exclusive)", "s"),
        Column("start_frame", pa.int32(), "the clip's first frame, as a frame of the video"),
        Column("n_frames", pa.int32(), "length of every frame axis of this row"),
        Column("fps", pa.float64(), "mean frame rate of the video; use time_s where it matters", "Hz"),
        Column("time_s", pa.float64(), "presentation time since the clip's start", "s", (("frame", None),)),
        *_clip_pose("left"),
        *_clip_pose("right"),
        Column("visibility", pa.float32(), "share of frames x hands that are observed or interpolated, 0..1"),
        *KEY_PRESS_SCORES,
        Column("notes", _rows_of(FINGERED_NOTES), "notes struck within the clip; times since the clip's start, ends may lie behind the clip's"),
        Column("audio_delay_s", pa.float64(), "how much later than the motion audio and notes of this row come; 0 in clips that handroll cut, whose audio and notes it moved", "s"),
        Column("pedal", _rows_of(PEDAL), "presses that overlap the clip, not cut to it; times since the clip's start, may be negative"),
        Column("audio", pa.struct([("bytes", pa.binary()), ("path", pa.string())]), "the clip's sound: a FLAC file, mono, or the MP3 file that was imported; null where the video has none"),
        Column("width_px", pa.int32(), "width of the picture as shown", "px"),
        Column("height_px", pa.int32(), "height of the picture as shown", "px"),
        Column("focal_px", pa.float64(), "focal length that the translations assume", "px"),
        Column("focal_source", pa.string(), "where it came from: sheet, config, keyboard (fitted to the keys), assumed (a keyboard is registered, but hardly tells it), truth, or hamer (a convention: depth is then not metric)"),
        Column("centre_px", pa.float64(), "principal point, also the centre of the lens distortion", "px", (("xy", 2),)),
        Column("k1", pa.float64(), "radial distortion: a direction (x, y, 1) is seen at focal_px * (1 + k1 r^2) (x, y) + centre_px, with r^2 = x^2 + y^2"),
        Column("keyboard_rotation_rad", pa.float64(), "axis-angle from the keyboard frame to the camera frame; NaN where no keyboard is registered", "rad", (("xyz", 3),)),
        Column("keyboard_translation_mm", pa.float64(), "the keyboard frame's origin in the camera frame; NaN where no keyboard is registered", "mm", (("xyz", 3),)),
        Column("detector", pa.string(), "what found the hands"),
        Column("pose_engine", pa.string(), "what fitted the pose"),
        Column("transcriber", pa.string(), "where the notes came from"),
        Column("permission", pa.string(), "the performer's permission to publish motion and sound: granted, unknown or refused"),
        Column("licence", pa.string(), "licence of the recording as its publisher states it; empty where not stated"),
        Column("source", pa.string(), "where the video came from: its URL, or the name of a local file"),
        Column("source_sha256", pa.string(), "SHA-256 of the video file"),
        Column("provenance", pa.string(), "versions and settings that made the row, a JSON object"),
    ),
)  # fmt: skip


class SchemaError(ValueError):
    """A table does not have the columns, types or shapes of its definition, or a file is damaged."""


@contextmanager
def undamaged(path, kind):
    """Reading a file in the block raises SchemaError, with what to do, where the file is not of its kind or is damaged.

    Parameters
    ----------
    path : path
    kind : str
        What the file should be, with an article.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except (pa.ArrowException, KeyError, OSError, TypeError, ValueError) as error:
        # Arrow calls damage in the middle of a file an OSError.
        raise SchemaError(
            f"{path}: expected {kind}, found another file or a damaged one ({error}); delete it and run again: it is made again where it is needed"
        ) from error


def to_arrow(table, columns, metadata=None):
    """A dict of arrays as an Arrow table.

    Parameters
    ----------
    table : Table
    columns : dict of str to array (rows, *column shape)
    metadata : dict of str to str, optional
        Stored as Parquet key-value metadata beside the schema version and table name.

    Raises
    ------
    SchemaError
        A column is missing, unknown, or has another shape than its definition.
    """
    expected = [column.name for column in table.columns]
    if sorted(expected) != sorted(columns):
        missing, unknown = sorted(set(expected) - set(columns)), sorted(set(columns) - set(expected))
        raise SchemaError(f"table {table.name}: missing columns {missing}, unknown columns {unknown}")
    rows = len(columns[expected[0]])
    arrays = []
    for column in table.columns:
        values = columns[column.name]
        shape, wanted = ((len(values),), (rows,)) if column.is_object else (np.shape(values), (rows, *column.shape))
        if shape != wanted:
            raise SchemaError(f"table {table.name}, column {column.name}: expected shape {wanted}, found {shape}")
        if column.varies:
            arrays.append(_varying_array(table, column, values))
        elif column.shape:
            arrays.append(_fixed_array(column, values))
        else:
            arrays.append(pa.array(list(values) if column.is_object else np.asarray(values), column.dtype))
    extra = {**(metadata or {}), "handroll_table": table.name, "handroll_schema_version": SCHEMA_VERSION}
    return pa.Table.from_arrays(arrays, schema=table.arrow_schema.with_metadata(extra))


def _fixed_array(column, values):
    """Values (n, *shape) as an Arrow array of n items."""
    flat = pa.array(np.ascontiguousarray(values, dtype=_numpy_dtype(column.dtype)).reshape(-1), column.dtype)
    return pa.FixedSizeListArray.from_arrays(flat, prod(column.shape)) if column.shape else flat


def _varying_array(table, column, values):
    """A sequence of arrays (n_i, *shape) as an Arrow list array."""
    for row, value in enumerate(values):
        if np.ndim(value) != 1 + len(column.shape) or np.shape(value)[1:] != column.shape:
            wanted = f"({', '.join(map(str, (column.axes[0][0], *column.shape)))})"
            raise SchemaError(f"table {table.name}, column {column.name}, row {row}: expected shape {wanted}, found {np.shape(value)}")
    offsets = np.cumsum([0, *(len(value) for value in values)])
    joined = np.concatenate([*values, np.empty((0, *column.shape), _numpy_dtype(column.dtype))])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), _fixed_array(column, joined))


def from_arrow(table, arrow):
    """The inverse of `to_arrow`: a dict of arrays; raises SchemaError where the columns differ from the definition."""
    found = arrow.schema.remove_metadata()
    if not found.equals(table.arrow_schema):
        raise SchemaError(f"table {table.name}: expected columns\n{table.arrow_schema}\nfound\n{found}")
    return {column.name: _values(column, arrow.column(column.name)) for column in table.columns}


def _values(column, chunked):
    """The values of a column from its Arrow array in chunks; copies, which may be written to."""
    if (column.varies or not column.is_object) and chunked.null_count:
        # Numbers would become floats, and rows of arrays would be left out.
        raise SchemaError(f"column {column.name}: expected a value in every row, found {chunked.null_count} without one")
    # Arrow copies even a single chunk to combine it.
    chunk = chunked.chunk(0) if chunked.num_chunks == 1 else chunked.combine_chunks()
    if column.varies:
        items = chunk.flatten()
        flat = items.flatten() if column.shape else items
        joined = flat.to_numpy(zero_copy_only=False).reshape(-1, *column.shape).copy()
        bounds = np.cumsum(chunk.value_lengths().to_numpy(zero_copy_only=False))
        return _objects(np.split(joined, bounds)[:-1])
    if column.shape:
        return chunk.flatten().to_numpy(zero_copy_only=False).reshape(-1, *column.shape).copy()
    if column.is_object:
        return _objects(chunk.to_pylist())
    return chunk.to_numpy(zero_copy_only=False).copy()


def read_rows(file, table, group, names):
    """Some columns of a row group.

    Parameters
    ----------
    file : pyarrow.parquet.ParquetFile
        Of the given definition.
    table : Table
    group : int
        Index of the row group.
    names : sequence of str
        Columns to read; others cost nothing.

    Returns
    -------
    dict of str to array (rows, *column shape)
    """
    columns = {column.name: column for column in table.columns}
    arrow = file.read_row_group(group, columns=list(names))
    return {name: _values(columns[name], arrow.column(name)) for name in names}


def _objects(values):
    """A list as an object array (n,), also where its items are sequences of one length."""
    array = np.empty(len(values), dtype=object)
    for row, value in enumerate(values):
        array[row] = value
    return array


def write_table(path, table, columns, metadata=None):
    """Write a dict of arrays as Parquet (zstd, with checksums), checked against its definition; atomic; the same input gives the same bytes."""
    with atomic_path(path) as temporary:
        pq.write_table(to_arrow(table, columns, metadata), temporary, compression="zstd", write_page_checksum=True)


def read_table(path, table):
    """Read a Parquet file of the given definition.

    Returns
    -------
    columns : dict of str to array (rows, *column shape)
    metadata : dict of str to str

    Raises
    ------
    SchemaError
        The file holds another table, or is damaged.
    """
    with undamaged(path, f"a handroll {table.name} table"):
        arrow = pq.read_table(path, page_checksum_verification=True)
        columns = from_arrow(table, arrow)
    return columns, {key.decode(): value.decode() for key, value in (arrow.schema.metadata or {}).items()}


def join_rows(table, parts):
    """The rows of several dicts of arrays of one table, one after the other."""
    return {column.name: np.concatenate([table.empty()[column.name], *(part[column.name] for part in parts)]) for column in table.columns}


def by_frame(columns, hands=2):
    """Reshape a frame-and-hand table (rows, ...) to arrays (frame, hand, ...); hand order as `skeleton.HANDS`."""
    return {name: values.reshape(-1, hands, *values.shape[1:]) for name, values in columns.items()}


def by_row(columns):
    """The inverse of `by_frame`: arrays (frame, hand, ...) to rows."""
    return {name: values.reshape(-1, *values.shape[2:]) for name, values in columns.items()}


def frame_keys(time_s):
    """The three key columns, as (frame, hand) arrays, of a video with these presentation times (frame,)."""
    from handroll.hand.skeleton import HANDS

    frames = len(time_s)
    return {
        "frame": np.repeat(np.arange(frames, dtype=np.int32)[:, None], 2, axis=1),
        "time_s": np.repeat(np.asarray(time_s, dtype=np.float64)[:, None], 2, axis=1),
        "hand": np.tile(np.array(HANDS, dtype=object), (frames, 1)),
    }


def write_json(path, value):
    """Write a dict as indented JSON, keys in the order given; atomic."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path):
    """The values of a JSON file.

    Raises
    ------
    SchemaError
        The file is damaged, such as cut off.
    """
    with undamaged(path, "JSON"):
        return json.loads(Path(path).read_text(encoding="utf-8"))
