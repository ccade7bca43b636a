"""Generate `docs/dataset.md` from the definitions in `handroll.tables`: `python -m handroll.dataset.schema_docs docs/dataset.md`."""

import sys

import pyarrow as pa

from handroll import tables
from handroll.hand.skeleton import JOINTS, PARENTS
from handroll.provenance import atomic_path

_PAGE = """\
<!-- Written by `python -m handroll.dataset.schema_docs docs/dataset.md`.
Edit src/handroll/tables.py or src/handroll/dataset/schema_docs.py instead. -->

# Dataset and tables

This page describes the files of the dataset and all tables, for readers who load them. [Measurements](measurements.md) has their
accuracy.

The dataset is a folder of Parquet shards with one row per clip. A row contains the motion of both hands, the notes, the pedal and the
audio of one window of a video. The dataset contains neither images nor the MANO model.

| file | contents |
|---|---|
| `train-NNNNN.parquet`, `valid-NNNNN.parquet`, `test-NNNNN.parquet` | the clips; every split has at least one shard, which may be empty |
| `shards.json` | rows, bytes and SHA-256 of every shard; written last, so a folder that contains it is complete |
| `README.md` | the dataset card; its front matter lists the splits with clips, because `datasets` cannot load empty ones |
| `statistics.json`, `keys.png`, `velocities.png` | statistics of the dataset and of rejected and withheld clips |
| `croissant.json` | a description in [Croissant](https://docs.mlcommons.org/croissant/), for search engines and loaders |

The length of a clip is `clips.length_s` (30 s). A shorter usable segment of a video gives one shorter clip (at least
`clips.min_length_s`). All clips of a video are in one split. By default, consecutive clips of a video overlap, because the time
between their starts (`clips.hop_s`, 24 s) is shorter than a clip. So do not add up the notes or lengths of clips: use `start_s` to
count each note only once.

handroll can import PianoMotion10M into such shards, and export such shards to the layout of PianoMotion10M:
[Import and export PianoMotion10M](how-to/pianomotion10m.md).

## Loading

With handroll, arrays have their full shape:

```python
from handroll.storage import read_table
from handroll.tables import SHARD

clips, metadata = read_table("results/dataset/train-00000.parquet", SHARD)
joints_m = clips["left_joints_m"][0]  # (frame, joint 21, xyz 3)
```

Without handroll, arrays are flat lists in C order, which you reshape. With PyArrow, you can read one row group at a time:

```python
import numpy as np
import pyarrow.parquet as pq

with pq.ParquetFile("results/dataset/train-00000.parquet") as shard:
    clips = shard.read_row_group(0, columns=["time_s", "right_rotation_rad", "right_state"])
time_s = clips["time_s"][0].values.to_numpy()
rotation_rad = clips["right_rotation_rad"][0].values.flatten().to_numpy().reshape(-1, 16, 3)
visible = clips["right_state"][0].values.to_numpy() > 0
```

Polars:

```python
import polars as pl

clips = pl.scan_parquet("results/dataset/*-*.parquet").filter(pl.col("visibility") >= 0.8)
joints_m = clips.select("left_joints_m").head(1).collect()["left_joints_m"][0].to_numpy().reshape(-1, 21, 3)
pitches = clips.select(pl.col("notes").explode().struct.unnest()).group_by("pitch").len().sort("pitch").collect()
```

DuckDB:

```python
import duckdb

duckdb.sql("SELECT split, count(*) AS clips, sum(len(notes)) AS notes FROM 'results/dataset/*-*.parquet' GROUP BY split").show()
```

Hugging Face `datasets` reads the dataset from a folder or from the Hub. The audio of a clip is a FLAC file (in imported datasets an
MP3 file). This example decodes it with `soundfile`; `cast_column("audio", datasets.Audio())` decodes it with torchcodec:

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
| {hidden} | hidden | the hand is outside the frame, or is not detected for a long time: all values are NaN |
| {interpolated} | interpolated | not detected, or an outlier, for a short time: the values are interpolated from neighbouring frames |
| {observed} | observed | detected in this frame; the values are smoothed over neighbouring frames |

## Coordinates and units

- **Time** is in seconds from the presentation timestamps, not frame number / fps. A clip contains the frames that start in
  [`start_s`, `end_s`). `time_s` and the times of notes and pedal are relative to `start_s`.
- **Camera frame**: x right, y down, z forward, metres (OpenCV). The projection of a point (x, y, z) is
  `focal_px * d * (x / z, y / z) + centre_px`, where `d = 1 + k1 * r^2` and `r^2 = (x^2 + y^2) / z^2`.
- **Keyboard frame**: millimetres, x along the keyboard from the left end of A0 (1222 mm to the right end of C8), y from the player's
  edge towards the fallboard, z up from the white keys. A point p in this frame is R p + `keyboard_translation_mm` in the camera
  frame (in millimetres), with R the rotation of `keyboard_rotation_rad`.
- **Depth** is metric if a keyboard is registered (`joints_keyboard_mm` is not NaN). Its accuracy then depends on the prior
  of the height of the hands above the keys ([measured errors](measurements.md#the-whole-pipeline)). Without a registered keyboard,
  depth is metric only if `focal_source` is `sheet`, `config` or `truth`, and if the hands have the assumed size. If `focal_source` is
  `hamer`, the focal length is a convention (5000/256 times the longer side of the frame). Then positions parallel to the image plane
  have the correct scale, but depth does not.
- **Pose**: the 16 rotations of MANO, as axis-angle. The first is global, the others are relative to the parent joint. Zero is the
  flat open hand (the mean pose is not subtracted). The left hand is a true left hand, not a mirrored right one.
  Consecutive rotations are continuous: a plotted series has no jumps by 2 pi.
- **Left and right** are the player's own hands.
- **Notes**: `key_offset_s` is the release of the key. `sounding_offset_s` is the end of the sound, which is often later if the pedal
  is down. A note is in the clip that contains its onset. `finger` is 1 (thumb) to 5 (little finger). If the label is withheld, `hand`
  is empty and `finger` is 0.
- **Synchronisation**: motion, notes, pedal and audio of a row have the time of the video. The audio delay, which is estimated from the
  fingertips (`provenance`), is removed from audio and notes. `audio_delay_s` is the remaining delay, which is 0.
- **Key press scores** measure whether the motion plays the notes. By default, fingertips that hold keys down are fitted to the height
  of the keys (`pose.contacts`). The scores then mostly test the positions of the fingers along the keyboard. With `pose.contacts: false`
  they also test the heights.

## Joints

{joints}

## Tables between the steps

Each step writes one Parquet file for each video. The metadata of these files and of the shards contains `handroll_schema_version`
(now {version}) and `handroll_table`.
{tables}
"""


def column_table_markdown(table):
    """Return the columns of a `handroll.tables.Table` as a Markdown table: name, type, shape with axis names, unit, meaning."""
    lines = ["| column | type | shape | unit | meaning |", "|---|---|---|---|---|"]
    for column in table.columns:
        shape = ", ".join(name if length is None else f"{name} {length}" for name, length in column.axes)
        lines.append(f"| `{column.name}` | {_type_name(column.dtype)} | {shape} | {column.unit} | {column.description} |")
    return "\n".join(lines)


def _type_name(dtype):
    """Return the name of an Arrow type for readers; nested types list their fields."""
    if pa.types.is_list(dtype):
        return f"list of {_type_name(dtype.value_type)}"
    if pa.types.is_struct(dtype):
        return f"({', '.join(f'{field.name} {_type_name(field.type)}' for field in dtype)})"
    return {"double": "float64", "float": "float32"}.get(str(dtype), str(dtype))


def page():
    """Return the text of `docs/dataset.md`."""
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
