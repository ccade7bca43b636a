"""What is computed of clips once and kept beside the shards: features of their sound, and their motion as models see it.

One file for each shard, row by row the same clips, with arrays as bytes: a list's elements are decoded one by one, which takes ten
times as long. A JSON manifest lists the files and is written last, so a folder with it is complete.
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

VERSION = 1
"""Raised by hand when the same clips give other files."""

FEATURES, MOTION = "features.json", "motion.json"
"""Names of the manifests of `write_features` and `write_motion`."""

_NAMES = ("subject", "video", "clip")
_FEATURES = {"features": "<f2"}
_MOTION = {"place": "<f4", "pose": "<f4", "visible": "|b1"}


def write_features(shards, out_dir, encode, columns, about):
    """Encode the sound of every clip of a dataset. Files of an earlier run are removed.

    Parameters
    ----------
    shards : path
        The folder of `shards.json`.
    out_dir : path
    encode : callable (dict of str to value) -> array (frame, feature)
        Of the columns of a row of `tables.SHARD`.
    columns : sequence of str
        The columns that it needs.
    about : dict
        JSON values kept in the manifest, such as the encoder's name, its settings, and the rate.

    Returns
    -------
    dict
        The manifest: `about`, "width" (of each array, its numbers a frame), "shards" and, of each file, its name, rows and SHA-256.
    """
    return _write(shards, Path(out_dir) / FEATURES, lambda row: (encode(row),), columns, _FEATURES, about)


def write_motion(shards, out_dir, frame, rate_hz):
    """Keep the motion of every clip of a dataset as `convention.clip_channels` gives it. Files of an earlier run are removed.

    Parameters
    ----------
    shards, out_dir : path
        As of `write_features`.
    frame : {"keyboard", "camera"}
        Clips without a registered keyboard have no frames in the keyboard frame.
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


def read_stored(file, group):
    """Arrays of the clips of a row group.

    Parameters
    ----------
    file : pyarrow.parquet.ParquetFile
        As written here.
    group : int

    Returns
    -------
    list of dict of str to array (frame, channel)
        One dict a clip; arrays are read-only: "features" (float16), or "place", "pose" (float32) and "visible" (bool).
    """
    arrow = file.read_row_group(group, columns=[field.name for field in file.schema_arrow if field.metadata])
    clips = [{} for _ in range(len(arrow))]
    for field in arrow.schema:
        dtype, width = np.dtype(field.metadata[b"dtype"].decode()), int(field.metadata[b"width"])
        for clip, values in zip(clips, arrow.column(field.name), strict=True):
            clip[field.name] = np.frombuffer(values.as_buffer(), dtype=dtype).reshape(-1, width)
    return clips


def feature_manifest(folder):
    """The manifest that `write_features` left in a folder."""
    return json.loads((Path(folder) / FEATURES).read_text(encoding="utf-8"))


def _write(shards, manifest_path, compute, columns, kinds, about):
    """Write the arrays that `compute` gives of a row, of these names and dtypes (`kinds`), and the manifest; returns that."""
    width, files = {}, []
    clear_shards(manifest_path.parent, manifest_path.name)
    for shard in json.loads((Path(shards) / MANIFEST).read_text(encoding="utf-8"))["shards"]:
        file = pq.ParquetFile(Path(shards) / shard["name"])
        path, writer = manifest_path.parent / shard["name"], None
        with atomic_path(path) as temporary:
            # An empty shard has no row group: its file has a schema only.
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
    """A row group as Arrow: the clips' names, and of each array its bytes in C order, with dtype and width as the field's metadata."""
    fields = [pa.field("subject", pa.string()), pa.field("video", pa.string()), pa.field("clip", pa.int32())]
    columns = [pa.array(list(rows[field.name]), field.type) for field in fields]
    for k, (name, dtype) in enumerate(kinds.items()):
        fields.append(pa.field(name, pa.large_binary(), metadata={"dtype": dtype, "width": str(width.get(name, 1))}))
        columns.append(pa.array([np.ascontiguousarray(arrays[k], dtype=dtype).tobytes() for arrays in made], pa.large_binary()))
    return pa.table(columns, schema=pa.schema(fields))
