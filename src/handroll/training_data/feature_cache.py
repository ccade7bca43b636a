"""Cache for the features of clips, and for their motion in the models' convention (`model_frame`). Both are computed once per dataset.

The cache has one Parquet file per shard of the dataset, with the same rows. Arrays are stored as bytes, because decoding Parquet lists
element by element takes ten times as long. A JSON manifest lists the files. The manifest is written last, so a folder with a manifest is
complete.
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
"""Version of the cached files. Increase it manually when the same clips give different files."""

FEATURES = "features.json"
"""File name of the manifest that `write_features` writes."""

MOTION = "motion.json"
"""File name of the manifest that `write_motion` writes."""

# Columns that identify a clip.
_NAMES = ("subject", "video", "clip")

# Names and NumPy types of the arrays of cached motion.
_MOTION = {"position": "<f4", "pose": "<f4", "visible": "|b1"}


def write_features(shards, out_dir, encode, columns, about, dtype="<f2"):
    """Encode every clip of a dataset, and write the features. Files of an earlier run are removed first.

    Parameters
    ----------
    shards : path
        Folder of the dataset, which contains `shards.json`.
    out_dir : path
        Folder for the cached files.
    encode : callable (dict of str to value) -> array (frame, feature)
        Function that computes the features of a clip from columns of its row in `tables.SHARD`.
    columns : sequence of str
        Names of the columns that `encode` needs.
    about : dict
        JSON values for the manifest, such as the encoder's name and version.
    dtype : str
        NumPy type of the stored features.

    Returns
    -------
    dict
        The manifest: the entries of `about`; "width", the number of values per frame of each array; and "shards", with name, number of
        rows and SHA-256 of each file, and the SHA-256 of the shard from which it was computed.
    """
    return _write(shards, Path(out_dir) / FEATURES, lambda row: (encode(row),), columns, {"features": dtype}, about)


def write_motion(shards, out_dir, frame, rate_hz):
    """Convert the motion of every clip of a dataset to the models' convention, and write it. Files of an earlier run are removed first.

    Parameters
    ----------
    shards, out_dir : path
        See `write_features`.
    frame : {"keyboard", "camera"}
        Coordinate frame. For "keyboard", a clip without a registered keyboard has an array of 0 frames.
    rate_hz : float
        Frame rate of the written motion.

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
    """Read the cached arrays of all clips in a row group.

    Parameters
    ----------
    file : pyarrow.parquet.ParquetFile
        A file that `write_features` or `write_motion` has written.
    group : int
        Index of the row group.

    Returns
    -------
    list of dict of str to array (frame, channel)
        One dict per clip with read-only arrays: "features" (float16 or float32); or "position" and "pose" (float32) and "visible" (bool).
    """
    arrow = file.read_row_group(group, columns=[field.name for field in file.schema_arrow if field.metadata])
    clips = [{} for _ in range(len(arrow))]
    for field in arrow.schema:
        dtype, width = np.dtype(field.metadata[b"dtype"].decode()), int(field.metadata[b"width"])
        for clip, values in zip(clips, arrow.column(field.name), strict=True):
            clip[field.name] = np.frombuffer(values.as_buffer(), dtype=dtype).reshape(-1, width)
    return clips


def feature_manifest(folder):
    """Read the manifest that `write_features` has written into a folder."""
    return json.loads((Path(folder) / FEATURES).read_text(encoding="utf-8"))


def _write(shards, manifest_path, compute, columns, kinds, about):
    """Write the arrays that `compute` returns for each row, and the manifest. Return the manifest.

    `compute` maps the values of `columns` in a row to a tuple of arrays. `kinds` maps the names of these arrays to NumPy types.
    """
    width, files = {}, []
    clear_shards(manifest_path.parent, manifest_path.name)
    for shard in json.loads((Path(shards) / MANIFEST).read_text(encoding="utf-8"))["shards"]:
        file = pq.ParquetFile(Path(shards) / shard["name"])
        path, writer = manifest_path.parent / shard["name"], None
        with atomic_path(path) as temporary:
            # A shard without rows has no row group. Its cached file contains only the schema.
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
    """Build the Arrow table of a row group: names of the clips, and arrays as bytes in C order. NumPy type and width are field metadata.

    `made` contains a tuple of arrays (frame, channel) for each clip. For `kinds`, see `_write`. `width` maps names of arrays to their
    number of channels.
    """
    fields = [pa.field("subject", pa.string()), pa.field("video", pa.string()), pa.field("clip", pa.int32())]
    columns = [pa.array(list(rows[field.name]), field.type) for field in fields]
    for k, (name, dtype) in enumerate(kinds.items()):
        fields.append(pa.field(name, pa.large_binary(), metadata={"dtype": dtype, "width": str(width.get(name, 1))}))
        columns.append(pa.array([np.ascontiguousarray(arrays[k], dtype=dtype).tobytes() for arrays in made], pa.large_binary()))
    return pa.table(columns, schema=pa.schema(fields))
