"""Writes `docs/dataset.md` from the definitions in `handroll.tables`: `python -m handroll.dataset.schema_docs docs/dataset.md`."""

import sys

import pyarrow as pa

from handroll import tables
from handroll.hand.skeleton import JOINTS, PARENTS
from handroll.provenance import atomic_path

_PAGE = """\
<!-- Written by `python -m handroll.dataset.schema_docs docs/dataset.md` from src/handroll/tables.py. Edit those. -->

# Dataset and tables

This page describes every file, column and coordinate frame of a dataset, for everyone who reads one. A dataset is a
folder of Parquet shards. One row is one clip: the motion of both hands, the notes, the pedal and the audio of one
window of a video. It contains no frames of the video and no MANO model.

| file | content |
|---|---|
| `train-NNNNN.parquet`, `valid-NNNNN.parquet`, `test-NNNNN.parquet` | the clips; every split has at least one shard, maybe without rows |
| `shards.json` | rows, bytes and SHA-256 of every shard; written last, so a folder with it is complete |
| `README.md` | the dataset card; it lists the splits with clips, since the Hugging Face Hub and `datasets` load no empty ones |
| `statistics.json`, `keys.png`, `velocities.png` | statistics of the clips, and of what was left out |
| `croissant.json` | the same description in [Croissant](https://docs.mlcommons.org/croissant/), for search engines and loaders |

A clip is as long as `clips.length_s` (30 s). A usable segment that is shorter gives one shorter clip of at least
`clips.min_length_s`. All clips of a video are in one split. Consecutive clips of a video overlap if the hop is shorter
than the clip. To count notes and seconds, use `start_s`; do not add up clips.

Datasets can be [imported from and exported to PianoMotion10M](how-to/pianomotion10m.md).

## Loading

With handroll, arrays have their full shape:

```python
from handroll.tables import SHARD, read_table

clips, metadata = read_table("results/dataset/train-00000.parquet", SHARD)
joints_m = clips["left_joints_m"][0]  # (frame, joint 21, xyz 3)
```

Without handroll, each array of fixed shape is one flat list in C order, which you reshape. With PyArrow, one row group
at a time:

```python
import numpy as np
import pyarrow.parquet as pq

with pq.ParquetFile("results/dataset/train-00000.parquet") as shard:
    clips = shard.read_row_group(0, columns=["time_s", "right_rotation_rad", "right_state"])
time_s = clips["time_s"][0].values.to_numpy()
rotation_rad = clips["right_rotation_rad"][0].values.flatten().to_numpy().reshape(-1, 16, 3)
visible = clips["right_state"][0].values.to_numpy() > 0
```

With Polars:

```python
import polars as pl

clips = pl.scan_parquet("results/dataset/*-*.parquet").filter(pl.col("visibility") >= 0.8)
joints_m = clips.select("left_joints_m").head(1).collect()["left_joints_m"][0].to_numpy().reshape(-1, 21, 3)
pitches = clips.select(pl.col("notes").explode().struct.unnest()).group_by("pitch").len().sort("pitch").collect()
```

With DuckDB:

```python
import duckdb

duckdb.sql("SELECT split, count(*) AS clips, sum(len(notes)) AS notes FROM 'results/dataset/*-*.parquet' GROUP BY split").show()
```

With Hugging Face `datasets`, from a folder or from the Hub. The audio of a clip is a FLAC file (in imported datasets an
MP3 file). Here `soundfile` decodes it; `cast_column("audio", datasets.Audio())` decodes it with torchcodec instead:

```python
import io

import soundfile
from datasets import load_dataset

dataset = load_dataset("results/dataset")
clip = dataset["train"].with_format("numpy")[0]
joints_m = clip["left_joints_m"].reshape(-1, 21, 3)
samples, rate_hz = soundfile.read(io.BytesIO(clip["audio"]["bytes"]))
```

## Columns of a clip

{shard}

## State of a frame

| code | name | meaning |
|---|---|---|
| {hidden} | hidden | the hand is outside the frame, or not detected for too long: every value is NaN |
| {interpolated} | interpolated | not detected, or an outlier, for a short time: the values are estimated from nearby frames |
| {observed} | observed | detected in this frame; the values are smoothed over its neighbours |

## Coordinates and units

- **Time** is seconds from the presentation timestamps, not frame number / fps. A clip contains the frames that begin in
  [`start_s`, `end_s`). `time_s` and the times of notes and pedal count from `start_s`.
- **Camera frame**: x right, y down, z forward, metres (OpenCV). A point (x, y, z) projects to `focal_px * d * (x / z, y
  / z) + centre_px`, where `d = 1 + k1 * r^2` and `r^2 = (x^2 + y^2) / z^2`.
- **Keyboard frame**: millimetres, x along the keys from the left end of A0 (1222 mm to the right end of C8), y from the
  player's edge towards the fallboard, z up from the white keys. A point p in it is R p + `keyboard_translation_mm` in
  the camera frame (in millimetres), with R the rotation of `keyboard_rotation_rad`.
- **Depth** is metric if a keyboard is registered (`joints_keyboard_mm` is not NaN), within the priors of the hand's
  height above the keys: the height of fingertips has an error of about 5 mm. Without a keyboard, depth is metric only
  if `focal_source` is `sheet`, `config` or `truth`, up to the assumed size of the hand. If it is `hamer`, the focal
  length is a convention (5000/256 times the longer side of the frame): positions parallel to the image plane keep their
  scale, depth does not.
- **Pose** is MANO's: 16 rotations, axis-angle, the first global, the others relative to the parent joint. Zero is the
  flat open hand (the mean pose is not subtracted). The left hand is a true left hand, not a mirrored right one.
  Consecutive rotations are continuous: a plotted series has no jumps by 2 pi.
- **Left and right** are the player's own hands.
- **Notes**: `key_offset_s` is the key release. `sounding_offset_s` is the end of the sounding note, which is often
  later because of the pedal. A note belongs to the clip that contains its onset. `hand` (empty) and `finger` (0; 1 is
  the thumb, 5 the little finger) have no value if the label is withheld.
- **Clock**: motion, notes, pedal and audio of a row are on the clock of the video. Audio and notes are moved by the
  delay that the fingertips show (`provenance`). `audio_delay_s` is the remaining delay: 0.
- **Key press scores** measure, from the motion alone, whether it plays the notes. By default, the labelled notes pull
  the heights of fingertips on held keys to the keys (`pose.contacts`). The scores then test mostly the positions of the
  fingers along the keys. With `pose.contacts: false` they also test the heights.

## Joints

{joints}

## Tables between the steps

Each step writes one Parquet file for each video. In these tables and in the shards, the file's metadata contains
`handroll_schema_version` (now {version}) and `handroll_table`.
{tables}
"""


def column_table_markdown(table):
    """The columns of a `handroll.tables.Table` as a Markdown table: name, type, shape with axis names, unit, meaning."""
    lines = ["| column | type | shape | unit | meaning |", "|---|---|---|---|---|"]
    for column in table.columns:
        shape = ", ".join(name if length is None else f"{name} {length}" for name, length in column.axes)
        lines.append(f"| `{column.name}` | {_type_name(column.dtype)} | {shape} | {column.unit} | {column.description} |")
    return "\n".join(lines)


def _type_name(dtype):
    """An Arrow type in words; nested types name their fields."""
    if pa.types.is_list(dtype):
        return f"list of {_type_name(dtype.value_type)}"
    if pa.types.is_struct(dtype):
        return f"({', '.join(f'{field.name} {_type_name(field.type)}' for field in dtype)})"
    return {"double": "float64", "float": "float32"}.get(str(dtype), str(dtype))


def page():
    """The text of `docs/dataset.md`."""
    published = [value for value in vars(tables).values() if isinstance(value, tables.Table) and value is not tables.SHARD]
    joints = ["| index | joint | parent |", "|---|---|---|"]
    joints += [f"| {i} | {name} | {JOINTS[p] if p >= 0 else ''} |" for i, (name, p) in enumerate(zip(JOINTS, PARENTS, strict=True))]
    return _PAGE.format(
        shard=column_table_markdown(tables.SHARD),
        joints="\n".join(joints),
        tables="".join(f"\n### {table.name}\n\nA row is {table.row}.\n\n{column_table_markdown(table)}\n" for table in published),
        version=tables.SCHEMA_VERSION,
        **{state.name.lower(): int(state) for state in tables.State},
    )


if __name__ == "__main__":
    with atomic_path(sys.argv[1]) as temporary:
        temporary.write_text(page(), encoding="utf-8")
