"""Cache of features of clips and of their motion in the models' convention, computed once per dataset.

There is one file per shard, with the same rows. Arrays are stored as bytes, because decoding Parquet lists element by element takes ten
times as long. A JSON manifest lists the files. It is written last, so a folder with a manifest is complete.
"""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from handroll.dataset.shards import MANIFEST, clear_shards
from handroll.provenance import atomic_path, file_sha256
from handroll.storage import read_rows, write_json
from handroll.tables import SHARD
from handroll.training_data.model_frame import clip_channels, shard_columns

VERSION = 2
"""Raised by hand when the same clips give other files."""

FEATURES, MOTION = "features.json", "motion.json"
"""Manifest file names of `write_features` and `write_motion`."""

_NAMES = ("subject", "video", "clip")
_FEATURES = {"features": "<f2"}
_MOTION = {"position": "<f4", "pose": "<f4", "visible": "|b1"}


def write_features(shards, out_dir, encode, columns, about):
    """Encode every clip of a dataset. Files of an earlier run are removed.

    Parameters
    ----------
    shards : path
        Folder of `shards.json`.
    out_dir : path
    encode : callable (dict of str to value) -> array (frame, feature)
        Takes the columns of a row of `tables.SHARD`.
    columns : sequence of str
        Names of the columns that `encode` needs.
    about : dict
        JSON values for the manifest, such as the encoder's name and version.

    Returns
    -------
    dict
        The manifest: `about`, "width" (array name to values per frame), and "shards": name, number of rows and SHA-256 of each file, and
        the SHA-256 of its shard.
    """
    return _write(shards, Path(out_dir) / FEATURES, lambda row: (encode(row),), columns, _FEATURES, about)


def write_motion(shards, out_dir, frame, rate_hz):
    """Write `model_frame.clip_channels` of every clip of a dataset. Files of an earlier run are removed.

    Parameters
    ----------
    shards, out_dir : path
        As of `write_features`.
    frame : {"keyboard", "camera"}
        In the keyboard frame, clips without a registered keyboard get zero frames.
    rate_hz : float

    Returns
    -------
    dict
        The manifest.
    """

    def motion(row):
        if frame == "keyboard" and not np.isfinite(row["keyboard_rotation_rad"]).all():
            return np.empty((0, 6)), np.empty((0, 96)), np.empty((0, 2))
        return clip_channels(row, rate_hz, frame)

    return _write(shards, Path(out_dir) / MOTION, motion, shard_columns(frame), _MOTION, {"frame": frame, "rate_hz": rate_hz})


def read_cached(file, group):
    """Read the cached arrays of the clips of a row group.

    Parameters
    ----------
    file : pyarrow.parquet.ParquetFile
        A file of this cache.
    group : int

    Returns
    -------
    list of dict of str to array (frame, channel)
        One dict per clip with read-only arrays: "features" (float16), or "position", "pose" (float32) and "visible" (bool).
    """
    arrow = file.read_row_group(group, columns=[field.name for field in file.schema_arrow if field.metadata])
    clips = [{} for _ in range(len(arrow))]
    for field in arrow.schema:
        dtype, width = np.dtype(field.metadata[b"dtype"].decode()), int(field.metadata[b"width"])
        for clip, values in zip(clips, arrow.column(field.name), strict=True):
            clip[field.name] = np.frombuffer(values.as_buffer(), dtype=dtype).reshape(-1, width)
    return clips


def feature_manifest(folder):
    """Read the manifest of `write_features` in a folder."""
    return json.loads((Path(folder) / FEATURES).read_text(encoding="utf-8"))


def _write(shards, manifest_path, compute, columns, kinds, about):
    """Write the arrays that `compute` returns for each row, and the manifest; `kinds` maps their names to dtypes. Returns the manifest."""
    width, files = {}, []
    clear_shards(manifest_path.parent, manifest_path.name)
    for shard in json.loads((Path(shards) / MANIFEST).read_text(encoding="utf-8"))["shards"]:
        file = pq.ParquetFile(Path(shards) / shard["name"])
        path, writer = manifest_path.parent / shard["name"], None
        with atomic_path(path) as temporary:
            # An empty shard has no row group; its file contains a schema only.
            for group in range(max(file.metadata.num_row_groups, 1)):
                rows = {name: [] for name in _NAMES}
                if file.metadata.num_row_groups:
                    rows = read_rows(file, SHARD, group, tuple(dict.fromkeys((*_NAMES, *columns))))
                made = [compute({name: values[row] for name, values in rows.items()}) for row in range(len(rows["clip"]))]
                width |= {name: made[0][k].shape[1] for k, name in enumerate(kinds)} if made else {}
                table = _table(rows, made, kinds, width)
                writer = writer or pq.ParquetWriter(temporary, table.schema, compression="zstd", compression_level=1)
                writer.write_table(table, row_group_size=max(len(made), 1))
            writer.close()
        files.append({"name": path.name, "rows": shard["rows"], "sha256": file_sha256(path), "shard_sha256": shard["sha256"]})
    manifest = {**about, "width": width, "shards": files}
    write_json(manifest_path, manifest)
    return manifest


def _table(rows, made, kinds, width):
    """Build a row group as an Arrow table: names of the clips, and arrays as bytes in C order; dtype and width are field metadata."""
    fields = [pa.field("subject", pa.string()), pa.field("video", pa.string()), pa.field("clip", pa.int32())]
    columns = [pa.array(list(rows[field.name]), field.type) for field in fields]
    for k, (name, dtype) in enumerate(kinds.items()):
        fields.append(pa.field(name, pa.large_binary(), metadata={"dtype": dtype, "width": str(width.get(name, 1))}))
        columns.append(pa.array([np.ascontiguousarray(arrays[k], dtype=dtype).tobytes() for arrays in made], pa.large_binary()))
    return pa.table(columns, schema=pa.schema(fields))
