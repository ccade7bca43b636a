"""Writes `docs/dataset.md` from the definitions in `handroll.tables`: `python -m handroll.dataset.schema_docs docs/dataset.md`."""

import sys

import pyarrow as pa

from handroll import tables
from handroll.hand.skeleton import JOINTS, PARENTS
from handroll.provenance import atomic_path

_PAGE = """\
<!-- Written by `python -m handroll.dataset.schema_docs docs/dataset.md` from src/handroll/tables.py. Edit those. -->

# The dataset

handroll writes a folder of Parquet shards, one row a clip: the motion of both hands, the notes, the pedal and the sound of
one window of a video. There is no picture in it, and no MANO model.

| file | what it is |
|---|---|
| `train-NNNNN.parquet`, `valid-NNNNN.parquet`, `test-NNNNN.parquet` | the clips; every split has at least one shard, maybe without rows |
| `shards.json` | every shard's rows, bytes and SHA-256; written last, so a folder with it is complete |
| `README.md` | the dataset card; it names the splits that have clips for the Hugging Face Hub and `datasets`, which loads no empty ones |
| `statistics.json`, `keys.png`, `velocities.png` | what the dataset holds and what was left out |
| `croissant.json` | the same description in [Croissant](https://docs.mlcommons.org/croissant/), for search engines and loaders |

Clips are as long as the configuration says (`clips.length_s`, 30 s); an uncut stretch of video shorter than that is one shorter clip
(at least `clips.min_length_s`). All clips of a video are in one split.
Consecutive clips of a video overlap where the hop is shorter than the clip, so
count notes and seconds by `start_s`, not by adding up clips.

PianoMotion10M comes in as such shards, and any such folder goes out in its layout: [pianomotion10m.md](pianomotion10m.md).

## Loading

With handroll, arrays come in their full shape:

```python
from handroll.tables import SHARD, read_table

clips, metadata = read_table("results/dataset/train-00000.parquet", SHARD)
joints_m = clips["left_joints_m"][0]  # (frame, joint 21, xyz 3)
```

Without it, each fixed shape is one flat list in C order, to be reshaped. PyArrow, a row group at a time:

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

Hugging Face `datasets`, from a folder or from the Hub; the sound of a clip is a FLAC file (in imported datasets an MP3
file), decoded here by `soundfile` (`cast_column("audio", datasets.Audio())` decodes by torchcodec instead):

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
| {hidden} | hidden | the hand is not in the picture, or not found for too long: every value is NaN |
| {interpolated} | interpolated | not found, or an outlier, for a short while: the values are a guess from the frames around |
| {observed} | observed | found in this frame; the values are smoothed over its neighbours |

## Coordinates and units

- **Time** is seconds from the presentation timestamps, not frame number / fps. A clip holds the frames that begin in
  [`start_s`, `end_s`); `time_s`, and the times of notes and pedal, count from `start_s`.
- **Camera frame**: x right, y down, z forward, metres (OpenCV). A point (x, y, z) is seen at
  `focal_px * d * (x / z, y / z) + centre_px`, where `d = 1 + k1 * r^2` and `r^2 = (x^2 + y^2) / z^2`.
- **Keyboard frame**: millimetres, x along the keys from the left end of A0 (1222 mm to the right end of C8), y from the player's
  edge towards the fallboard, z up from the white keys. A point p of it is at R p + `keyboard_translation_mm` in the camera
  frame (in millimetres), with R the rotation of `keyboard_rotation_rad`.
- **Depth** is metric where a keyboard is registered (`joints_keyboard_mm` is not NaN), within what the priors of the hand's heights
  above the keys allow: fingertips err by about 5 mm up and down. Without one it is metric only where `focal_source` is `sheet`,
  `config` or `truth`, up to the assumed size of the hand; where it is `hamer`, the focal length is a convention (5000/256 times
  the longer side of the picture): positions across the picture keep their scale, depth does not.
- **Pose** is MANO's: 16 rotations, axis-angle, the first global, the others relative to the parent joint. Zero is the
  flat open hand (the mean pose is not subtracted). The left hand is a true left hand, not a mirrored right one.
  Consecutive rotations are on the same sheet: a plotted series has no jumps by 2 pi.
- **Left and right** are the player's own hands.
- **Notes**: `key_offset_s` is when the key is released, `sounding_offset_s` when the sound ends, by the pedal often
  later. A note belongs to the clip in which it is struck. `hand` and `finger` (1 thumb to 5 little finger) are empty and 0 where
  the label is withheld. Motion, notes, pedal and audio of a row are on one clock, that
  of the picture: audio and notes are moved by the delay that the fingertips show (`provenance`). `audio_delay_s` is what remains: 0.
- **Key-press scores** ask of the motion alone whether it plays the notes. By default the heights of fingertips that hold
  keys are drawn to the keys by the labelled notes (`pose.contacts`), so the scores then test mostly where the fingers are along
  the keys; with `pose.contacts: false` they test the heights, too.

## Joints

{joints}

## Tables between the steps

Each step writes one Parquet file a video. In these tables and in the shards, the file's metadata holds
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
