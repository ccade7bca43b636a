"""Write accepted clips as Parquet shards, one row per clip, and read them back.

The writer holds at most one row group and one video in memory. The same input gives the same bytes. `clip_content` makes the rows.
"""

import json
import re
from collections import Counter, defaultdict
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from handroll.dataset.clip_content import clip_row
from handroll.dataset.splits import SPLITS
from handroll.provenance import atomic_path, file_sha256, temporary_target
from handroll.storage import SchemaError, from_arrow, to_arrow, write_json
from handroll.tables import SCHEMA_VERSION, SHARD

MANIFEST = "shards.json"
"""Name of the list of shards. It is written last, so a folder that contains it is complete."""

TARGET_BYTES = 128 * 1024**2
"""Default size of a shard, bytes: small enough for the Hugging Face viewer, large enough that a dataset has at most a few hundred
shards."""

# Pattern of the file names of shards.
_SHARD_NAME = re.compile(rf"({'|'.join(SPLITS)})-\d{{5}}\.parquet")

# Columns with dictionary encoding, which is useful only for repeated values.
_DICTIONARY = [c.name for c in SHARD.columns if c.dtype == pa.string()]

# Columns with Parquet's encoding BYTE_STREAM_SPLIT, which makes the motion 40 % smaller.
_BYTE_STREAM_SPLIT = [c.name + ".list.element" * (1 + bool(c.shape)) for c in SHARD.columns if c.varies and pa.types.is_floating(c.dtype)]


def write_shards(clips, splits, open_video, out_dir, target_bytes=TARGET_BYTES, row_group_rows=8, metadata=None, left_out=None):
    """Write the accepted clips as `{split}-NNNNN.parquet` (`handroll.tables.SHARD`) and their list as `shards.json`.

    Every split gets at least one shard, without rows if it has no clips. Shards of an earlier run are removed.

    Parameters
    ----------
    clips : dict of str to array (window,)
        Columns of `tables.CLIPS` of all videos, in any order; rejected windows are ignored.
    splits : dict of str to array (video,)
        Columns of `tables.SPLITS`; every video with an accepted clip must have a row.
    open_video : callable (subject, video) -> VideoRecord
        Called once per video with an accepted clip.
    out_dir : path
    target_bytes : int
        Size of a shard, bytes: a shard ends with the row group that reaches this size.
    row_group_rows : int
        Number of clips in a row group. A reader loads at least one row group.
    metadata : dict of str to str, optional
        Stored in every shard.
    left_out : dict, optional
        Counts of clips that are not published, from `handroll.dataset.rights.withhold`.

    Returns
    -------
    dict
        The manifest, also written as `shards.json`: `{"schema_version", "shards": [{"name", "split", "rows", "bytes", "sha256"}],
        "left_out"}`.

    Raises
    ------
    ValueError
        A video with an accepted clip has no split.
    """
    split_of = dict(zip(zip(splits["subject"], splits["video"], strict=True), splits["split"], strict=True))
    windows = defaultdict(lambda: defaultdict(list))
    for row in np.flatnonzero(clips["accepted"]):
        name = clips["subject"][row], clips["video"][row]
        if name not in split_of:
            raise ValueError(f"{'/'.join(name)} has accepted clips but no split: add a row for this video to the table of splits")
        windows[split_of[name]][name].append(row)
    rows = {split: _clip_rows(clips, windows[split], split, open_video) for split in SPLITS}
    return write_rows(rows, out_dir, target_bytes, row_group_rows, metadata, left_out)


def write_rows(rows, out_dir, target_bytes=TARGET_BYTES, row_group_rows=8, metadata=None, left_out=None):
    """Write rows as shards. Memory holds at most one row group.

    Parameters
    ----------
    rows : dict of split to iterable of dict
        Rows of `handroll.tables.SHARD`, sorted by subject, video and clip; read one by one, so generators are possible.
    out_dir, target_bytes, row_group_rows, metadata, left_out
        Same as in `write_shards`.

    Returns
    -------
    dict
        The manifest; see `write_shards`.
    """
    out_dir = Path(out_dir)
    clear_shards(out_dir, MANIFEST)
    shards = []
    for split in SPLITS:
        shards += _write_split(out_dir, split, iter(rows[split]), target_bytes, row_group_rows, metadata)
    manifest = {"schema_version": SCHEMA_VERSION, "shards": shards, "left_out": left_out or {}}
    write_json(out_dir / MANIFEST, manifest)
    return manifest


def clear_shards(folder, manifest):
    """Remove all shards of an earlier run from a folder. Otherwise a run with fewer shards would keep some of them.

    Parameters
    ----------
    folder : path
        Created if it is missing.
    manifest : str
        Name of the file that lists the shards. It is removed first, because a folder without it counts as incomplete.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for path in [
        folder / manifest,
        *(path for path in folder.iterdir() if _SHARD_NAME.fullmatch(temporary_target(path.name) or path.name)),
    ]:
        path.unlink(missing_ok=True)


def read_rows(folder):
    """Read the rows of a folder of shards, in the order of its manifest. Memory holds at most one row group.

    Parameters
    ----------
    folder : path
        Written by `write_rows`.

    Yields
    ------
    dict of str to value
        A row of `handroll.tables.SHARD`, frame columns as arrays (frame, ...).

    Raises
    ------
    SchemaError
        The manifest contains a name that is not the name of a shard, or a shard has other columns.
    """
    folder = Path(folder)
    for shard in json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["shards"]:
        if not _SHARD_NAME.fullmatch(shard["name"]):
            raise SchemaError(f"{folder / MANIFEST}: expected names of shards such as train-00000.parquet, found {shard['name']!r}")
        with pq.ParquetFile(folder / shard["name"], page_checksum_verification=True) as file:
            for group in range(file.num_row_groups):
                columns = from_arrow(SHARD, file.read_row_group(group))
                for row in range(len(columns["clip"])):
                    yield {name: values[row] for name, values in columns.items()}


def _clip_rows(clips, windows, split, open_video):
    """Yield the rows of one split, as dicts with the columns of `SHARD`, sorted by subject, video and clip.

    `clips` and `open_video` are those of `write_shards`. `windows` maps (subject, video) to indices of windows in the arrays of `clips`.
    """
    for subject, video in sorted(windows):
        record = open_video(subject, video)
        for row in sorted(windows[subject, video], key=lambda row: clips["clip"][row]):
            yield clip_row({name: values[row] for name, values in clips.items()}, split, record)


def _write_split(out_dir, split, rows, target_bytes, row_group_rows, metadata):
    """Write the shards of a split from an iterator of rows, and return their entries in the manifest; see `write_rows`."""
    schema = to_arrow(SHARD, SHARD.empty(), metadata).schema
    options = {"compression": "zstd", "use_dictionary": _DICTIONARY, "use_byte_stream_split": _BYTE_STREAM_SPLIT}
    groups = iter(lambda: list(islice(rows, row_group_rows)), [])
    group, shards = next(groups, []), []
    while group or not shards:
        path = out_dir / f"{split}-{len(shards):05d}.parquet"
        written = 0
        with atomic_path(path) as temporary, open(temporary, "wb") as file, pq.ParquetWriter(file, schema, **options) as writer:
            while group and (not written or file.tell() < target_bytes):
                table = {column.name: [row[column.name] for row in group] for column in SHARD.columns}
                writer.write_table(to_arrow(SHARD, table, metadata), row_group_size=row_group_rows)
                written += len(group)
                group = next(groups, [])
        shards.append({"name": path.name, "split": split, "rows": written, "bytes": path.stat().st_size, "sha256": file_sha256(path)})
    return shards


def survey_shards(folder, manifest):
    """Count the notes, and the clips of each source, in the shards of a folder.

    Clips of a video overlap. A note in two clips counts once.

    Parameters
    ----------
    folder : path
    manifest : dict
        Result of `write_shards`.

    Returns
    -------
    dict
        `pitch`: array (128,), number of notes of each MIDI pitch; `velocity`: array (128,), number of notes of each MIDI velocity;
        `values`: for each of detector, pose_engine, transcriber, focal_source, permission and licence, the number of clips by value.
    """
    names = ("detector", "pose_engine", "transcriber", "focal_source", "permission", "licence")
    pitch, velocity = np.zeros(128, dtype=np.int64), np.zeros(128, dtype=np.int64)
    values = {name: Counter() for name in names}
    counted_until_s = {}
    for shard in manifest["shards"]:
        with pq.ParquetFile(Path(folder) / shard["name"]) as file:
            for batch in file.iter_batches(batch_size=1024, columns=["subject", "video", "start_s", "end_s", "notes", *names]):
                for name in names:
                    values[name].update(batch[name].to_pylist())
                overlap_s = []
                for subject, video, start_s, end_s in zip(*(batch[i].to_pylist() for i in range(4)), strict=True):
                    overlap_s.append(counted_until_s.get((subject, video), 0.0) - start_s)
                    counted_until_s[subject, video] = end_s
                notes, row = batch["notes"].flatten(), pc.list_parent_indices(batch["notes"]).to_numpy()
                new = notes.field("onset_s").to_numpy() >= np.array(overlap_s)[row]
                pitch += np.bincount(notes.field("pitch").to_numpy()[new], minlength=128)
                velocity += np.bincount(notes.field("velocity").to_numpy()[new], minlength=128)
    return {"pitch": pitch, "velocity": velocity, "values": {name: dict(sorted(counts.items())) for name, counts in values.items()}}
