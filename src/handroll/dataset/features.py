"""Features of the clips' sound, computed once and kept beside the shards: one file for each shard, row by row the same clips."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from handroll.dataset.shards import MANIFEST
from handroll.provenance import atomic_path, file_sha256
from handroll.schema import SHARD, read_rows, write_json

FEATURES_MANIFEST = "features.json"
"""Name of the list of files; written last, so a folder with it is complete."""

_NAMES = ("subject", "video", "clip")
_HALF = np.dtype("<f2")


def write_features(shards, out_dir, encode, columns, about):
    """Encode every clip of a dataset.

    Parameters
    ----------
    shards : path
        The folder of `shards.json`.
    out_dir : path
    encode : callable (dict of str to value) -> array (frame, feature)
        Of the columns of a row of `schema.SHARD`.
    columns : sequence of str
        The columns that it needs.
    about : dict
        JSON values kept in the manifest, such as the encoder's name, its settings, and the rate.

    Returns
    -------
    dict
        The manifest: `about`, "width" (the number of features), "shards" and, of each file, its name, rows and SHA-256.
    """
    out_dir, width, files = Path(out_dir), 0, []
    for shard in json.loads((Path(shards) / MANIFEST).read_text(encoding="utf-8"))["shards"]:
        file = pq.ParquetFile(Path(shards) / shard["name"])
        path, writer = out_dir / shard["name"], None
        with atomic_path(path) as temporary:
            for group in range(file.metadata.num_row_groups):
                rows = read_rows(file, SHARD, group, tuple(dict.fromkeys((*_NAMES, *columns))))
                made = [encode({name: values[row] for name, values in rows.items()}) for row in range(len(rows["clip"]))]
                width = made[0].shape[1] if made else width
                table = _table({name: rows[name] for name in _NAMES}, made)
                writer = writer or pq.ParquetWriter(temporary, table.schema, compression="zstd", compression_level=1)
                writer.write_table(table, row_group_size=len(made))
            if writer is None:
                table = _table({name: np.empty(0, np.int32 if name == "clip" else object) for name in _NAMES}, [])
                writer = pq.ParquetWriter(temporary, table.schema)
            writer.close()
        files.append({"name": path.name, "rows": shard["rows"], "sha256": file_sha256(path), "shard_sha256": shard["sha256"]})
    manifest = {**about, "width": width, "shards": files}
    write_json(out_dir / FEATURES_MANIFEST, manifest)
    return manifest


def _table(names, made):
    """A row group as Arrow: names, features (frame, feature) as the bytes of half floats in C order, and their width.

    Bytes, since a list's elements are decoded one by one: reading them took ten times as long.
    """
    columns = {
        "subject": pa.array(list(names["subject"]), pa.string()),
        "video": pa.array(list(names["video"]), pa.string()),
        "clip": pa.array(names["clip"], pa.int32()),
        "width": pa.array([features.shape[1] for features in made], pa.int32()),
        "features": pa.array([np.ascontiguousarray(features, dtype=_HALF).tobytes() for features in made], pa.large_binary()),
    }
    return pa.table(columns)


def read_features(file, group):
    """Features of the clips of a row group: a list of arrays (frame, feature), float16, read-only.

    Parameters
    ----------
    file : pyarrow.parquet.ParquetFile
        As `write_features` writes it.
    group : int
    """
    arrow = file.read_row_group(group, columns=["width", "features"])
    rows = zip(arrow.column("features"), arrow.column("width").to_pylist(), strict=True)
    return [np.frombuffer(features.as_buffer(), dtype=_HALF).reshape(-1, width) for features, width in rows]
