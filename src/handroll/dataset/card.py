"""The dataset card: README.md of a dataset folder, with the front matter that the Hugging Face Hub and `datasets` read."""

import json

from handroll import __version__
from handroll.dataset.schema_docs import column_table_markdown
from handroll.dataset.splits import SPLITS
from handroll.reasons import Reason
from handroll.tables import SHARD, State

_SPDX = "CC0-1.0 CC-BY-4.0 CC-BY-SA-4.0 CC-BY-NC-4.0 CC-BY-NC-SA-4.0 CC-BY-ND-4.0 CC-BY-NC-ND-4.0 MIT Apache-2.0"
HUB_LICENCES = {name: name.lower() for name in _SPDX.split()}
"""SPDX names of licences to the identifiers that the Hub knows (huggingface.co/docs/hub/repositories-licenses)."""

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (10_000_000, "1M<n<10M"))
"""The Hub's names for numbers of rows; more than handroll's clips will ever need."""

NO_CLIP = """
**No clip was accepted, so the shards have no rows.** The reasons stand under "What was left out"; the thresholds are
settings.
"""

_BODY = """\
# {name}

3D motion of both hands of people playing the piano, seen from above, with the notes, the pedal and the sound: {clips:,} clips
of {videos:,} videos and {subjects:,} performers, {hours:.2f} hours. Made from videos by handroll {version}, without manual labels.

## What is in it
{emptiness}
{splits}

{subjects_table}

Clips of a video may overlap: seconds, hours, frames and notes count what lies in two clips once. A performer's name is
the one in the sheet of videos.

| ![Notes of each key](keys.png) | ![Notes of each velocity](velocities.png) |
|---|---|

## Loading

```python
from datasets import load_dataset

dataset = load_dataset("path/of/this/folder")
joints_m = dataset["{first_split}"].with_format("numpy")[0]["left_joints_m"].reshape(-1, 21, 3)
```

PyArrow, Polars and DuckDB read the Parquet files as they are. `shards.json` lists them with their SHA-256.

## Columns

A row is {row}. Shapes are stored flat, in C order.
States of a frame: {states}. Coordinates are the camera's: x right, y down, z forward, metres.

{columns}

## How it was made

{made_by}

{settings}

## What was left out

Rejected: {rejected_videos:,} of {screened:,} videos as a whole, and {rejected_clips:,} of {windows:,} windows.
Each may have several reasons.

{rejections}

{withheld}

Share of frames x hands that are observed or interpolated:

{visibility}

## Limits

{limits}

## Licence

{licences}
"""


def escape(text):
    """Text from outside as Markdown that shows it as it is, on one line, also in a cell of a table."""
    text = " ".join(str(text).split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{character}" if character in "\\`*_{}[]()#!|~$@" else character for character in text)


def card(name, statistics, settings):
    """The card of a dataset as Markdown.

    Parameters
    ----------
    name : str
        Title.
    statistics : dict
        As `statistics.describe` returns.
    settings : dict of str to value
        Settings that made the dataset, by their dotted name.

    Returns
    -------
    str
    """
    totals, made_by = statistics["totals"], statistics["made_by"]
    rejections = [
        [kind, f"`{reason}`", escape(Reason(reason).description), f"{count:,}"]
        for kind, counts in (("video", statistics["rejections"]["videos"]), ("clip", statistics["rejections"]["clips"]))
        for reason, count in counts.items()
    ]
    quantiles = {"0": "least", "0.05": "5 %", "0.25": "25 %", "0.5": "median", "0.75": "75 %", "1": "greatest"}
    visibility = [[f"windows, {kind}", *(f"{v:.3f}" for v in q.values())] for kind, q in statistics["visibility"].items() if q]
    body = _BODY.format(
        name=escape(name),
        version=__version__,
        clips=totals["clips"],
        videos=totals["videos_in_dataset"],
        subjects=sum(row["videos_in_dataset"] > 0 for row in statistics["subjects"]),
        hours=totals["seconds"] / 3600,
        splits=_splits(statistics),
        emptiness="" if totals["clips"] else NO_CLIP,
        subjects_table=_subjects(statistics),
        first_split=next((row["split"] for row in statistics["splits"] if row["clips"]), SPLITS[0]),
        row=SHARD.row,
        states=", ".join(f"{int(state)} {state.name.lower()}" for state in State),
        columns=column_table_markdown(SHARD),
        made_by=_made_by(made_by),
        settings=_table(("setting", "value"), [[f"`{key}`", escape(json.dumps(value))] for key, value in settings.items()]),
        screened=totals["videos"],
        rejected_videos=totals["rejected_videos"],
        windows=totals["clips"] + totals["rejected_clips"],
        rejected_clips=totals["rejected_clips"],
        rejections=_table(("of", "reason", "meaning", "count"), rejections),
        withheld=_withheld(statistics["left_out"]),
        visibility=_table(("", *quantiles.values()), visibility),
        limits="\n".join(f"- {limit}" for limit in _limits(made_by)),
        licences=_licences(made_by),
    )
    return _front_matter(name, statistics) + body


def _front_matter(name, statistics):
    """The YAML block; strings as JSON, which is YAML whatever they hold."""
    lines = [
        "---",
        f"pretty_name: {json.dumps(str(name), ensure_ascii=False)}",
        f"license: {_hub_licence(statistics['made_by']['licence'])}",
    ]
    lines += ["tags:", *(f"- {tag}" for tag in ("piano", "hand-pose", "motion", "audio", "music"))]
    lines += ["size_categories:", f"- {next(size for limit, size in _SIZES if statistics['totals']['clips'] < limit)}"]
    # `datasets` cannot load a split without rows, so those are not named.
    splits = [row["split"] for row in statistics["splits"] if row["clips"]]
    if splits:
        lines += ["configs:", "- config_name: default", "  data_files:"]
        lines += [f'  - split: {split}\n    path: "{split}-*.parquet"' for split in splits]
    return "\n".join([*lines, "---", "", ""])


def _hub_licence(licences):
    """The Hub's name of the licence that all clips share; "other" where there is no such."""
    return HUB_LICENCES.get(next(iter(licences)), "other") if len(licences) == 1 else "other"


def _subjects(statistics):
    """One row a performer, then the sum: the table that PianoMotion10M publishes, and what was rejected."""
    header = ("performer", "videos", "rejected videos", "clips", "rejected clips", "seconds", "frames")
    names = ("videos_in_dataset", "rejected_videos", "clips", "rejected_clips", "seconds", "frames")
    rows = [*((escape(row["subject"]), row) for row in statistics["subjects"]), ("**all**", statistics["totals"])]
    return _table(header, [[subject, *(f"{row[name]:,.0f}" for name in names)] for subject, row in rows])


def _withheld(left_out):
    """What was kept back for its rights, in words."""
    if not left_out:
        return "No clip was kept back for its rights."
    parts = [f"{n['clips']:,} clips of {n['videos']:,} videos (`{reason}`, {n['seconds']:,.0f} s)" for reason, n in left_out.items()]
    return f"Good, and kept back for their rights: {'; '.join(parts)}."


def _splits(statistics):
    header = ("split", "videos", "clips", "hours", "shards", "MB")
    rows = [
        [
            row["split"],
            f"{row['videos']:,}",
            f"{row['clips']:,}",
            f"{row['seconds'] / 3600:.2f}",
            row["shards"],
            f"{row['bytes'] / 1e6:.1f}",
        ]
        for row in statistics["splits"]
    ]
    return _table(header, rows)


def _made_by(made_by):
    """What did each step, and for how many clips."""
    steps = {
        "detector": "hands found by",
        "pose_engine": "pose fitted by",
        "transcriber": "notes from",
        "focal_source": "focal length from",
    }
    rows = [[step, escape(value), f"{count:,}"] for column, step in steps.items() for value, count in made_by[column].items()]
    return _table(("step", "with", "clips"), rows)


def _table(header, rows):
    """A Markdown table; "None." where it has no rows."""
    if not rows:
        return "None."
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def _limits(made_by):
    """What not to expect, as it holds for what made this dataset."""
    if "hamer" in made_by["focal_source"]:
        yield (
            "**Depth is not metric** where `focal_source` is `hamer`: the focal length is then HaMeR's convention (5000/256 times "
            "the longer side of the picture), not a measurement. Positions across the picture keep their scale; distances from "
            "the camera do not."
        )
    yield (
        "Each hand is reconstructed from one camera. Where a keyboard is registered, the size of the hands is the one with which "
        "they lie above the keys as playing hands do; else every length in metres rests on an assumed size of the hand."
    )
    yield (
        "Poses are estimates by the engines above, not motion capture. Fingers hidden behind others are guessed, and "
        "`residual_px` measures agreement with the detector, not with the truth."
    )
    yield "Interpolated frames (state 1) are a guess from the frames around; observed ones are smoothed, which rounds off fast strokes."
    yield (
        "Notes by a transcriber are automatic and hold mistakes. `sounding_offset_s` includes the pedal; `key_offset_s`, when the "
        "key is released, is the harder one to hear."
    )
    yield "Splits keep a video together. The same piece, and the same performer, may be in several splits."
    yield "Camera, keyboard and piano differ between videos; nothing is aligned across them."


def _licences(made_by):
    rows = [[escape(value) or "not stated", f"{count:,}"] for value, count in made_by["licence"].items()]
    permissions = [[escape(value), f"{count:,}"] for value, count in made_by["permission"].items()]
    return f"""\
Licences of the recordings, as their publishers state them; the column `licence` has each clip's. A licence that is not
stated grants nothing.

{_table(("licence of the recording", "clips"), rows)}

The performer's permission to publish motion and sound; the column `permission` has each clip's.

{_table(("permission", "clips"), permissions)}

The poses are parameters of MANO; the model itself is not included and has a licence of its own (mano.is.tue.mpg.de)."""
