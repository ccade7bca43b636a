"""Dataset card: the README.md of a dataset folder, with the front matter that the Hugging Face Hub and `datasets` read."""

import json

import jinja2
from huggingface_hub import DatasetCardData

from handroll import __version__
from handroll.dataset.schema_docs import column_table_markdown
from handroll.dataset.splits import SPLITS
from handroll.reasons import Reason
from handroll.tables import SHARD, State

_SPDX = "CC0-1.0 CC-BY-4.0 CC-BY-SA-4.0 CC-BY-NC-4.0 CC-BY-NC-SA-4.0 CC-BY-ND-4.0 CC-BY-NC-ND-4.0 MIT Apache-2.0"

HUB_LICENCES = {name: name.lower() for name in _SPDX.split()}
"""Identifier of each licence on the Hugging Face Hub, by SPDX name (huggingface.co/docs/hub/repositories-licenses)."""

# Upper limit of the number of rows (exclusive), and the Hub's name for that size category.
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"), (10_000_000, "1M<n<10M"))

# Columns of `tables.SHARD` with the engine or source of a processing step, and the text for this step in the card.
_STEPS = {
    "detector": "hands detected by",
    "pose_engine": "pose fitted by",
    "transcriber": "notes from",
    "focal_source": "focal length from",
}

_BODY = """\
# {{ name }}

3D motion of both hands of people playing the piano, seen from above, with notes, pedal and audio: {{ totals.clips | count }} clips
of {{ totals.videos_in_dataset | count }} videos and {{ performers | count }} performers, {{ totals.seconds | hours }} hours.
Made from videos by handroll {{ version }}, without manual labels.

## Contents

{% if not totals.clips %}
**No clip was accepted, so the shards have no rows.** The reasons are under "Rejected and withheld clips"; the thresholds are settings.

{% endif %}
| split | videos | clips | hours | shards | MB |
| --- | --- | --- | --- | --- | --- |
{% for row in splits %}
| {{ row.split }} | {{ row.videos | count }} | {{ row.clips | count }} | {{ row.seconds | hours }} |
{#- The row of the table continues. #} {{ row.shards }} | {{ "%.1f" % (row.bytes / 1e6) }} |
{% endfor %}

| performer | videos | rejected videos | clips | rejected clips | seconds | frames |
| --- | --- | --- | --- | --- | --- | --- |
{% for row in subjects + [totals] %}
| {% if loop.last %}**all**{% else %}{{ row.subject }}{% endif %}
{%- for value in (row.videos_in_dataset, row.rejected_videos, row.clips, row.rejected_clips, row.seconds, row.frames) %}
 | {{ value | count }}{% endfor %} |
{% endfor %}

Clips of a video may overlap: the seconds, hours, frames and notes that two clips share count once. The names of performers
are those in the sheet of videos.

| ![Notes of each key](keys.png) | ![Notes of each velocity](velocities.png) |
|---|---|

## Loading

```python
from datasets import load_dataset

dataset = load_dataset("path/of/this/folder")
joints_m = dataset["{{ first_split }}"].with_format("numpy")[0]["left_joints_m"].reshape(-1, 21, 3)
```

PyArrow, Polars and DuckDB read the same Parquet files. `shards.json` lists them with their SHA-256.

## Columns

A row is {{ meaning_of_a_row | markdown }}. Shapes are stored flat, in C order.
States of a frame: {{ states }}. Coordinates are in the camera frame: x right, y down, z forward, metres.

{{ columns | markdown }}

## How it was made

{% if processing %}
| step | with | clips |
| --- | --- | --- |
{% for step, value, clips in processing %}
| {{ step }} | {{ value }} | {{ clips | count }} |
{% endfor %}
{% else %}
None.
{% endif %}

{% if settings %}
| setting | value |
| --- | --- |
{% for key, value in settings.items() %}
| `{{ key | markdown }}` | {{ value }} |
{% endfor %}
{% else %}
None.
{% endif %}

## Rejected and withheld clips

Rejected: {{ totals.rejected_videos | count }} of {{ totals.videos | count }} videos as a whole, and {{ totals.rejected_clips | count }} of
{{ (totals.clips + totals.rejected_clips) | count }} windows. One video or window may have several reasons.

{% if rejections %}
| of | reason | meaning | count |
| --- | --- | --- | --- |
{% for kind, reason, meaning, number in rejections %}
| {{ kind }} | `{{ reason | markdown }}` | {{ meaning }} | {{ number | count }} |
{% endfor %}
{% else %}
None.
{% endif %}

{% if left_out %}
Accepted, but withheld for their rights:
{%- for reason, n in left_out.items() %}
 {{ n.clips | count }} clips of {{ n.videos | count }} videos (`{{ reason | markdown }}`, {{ n.seconds | count }} s)
{{- "." if loop.last else ";" }}
{%- endfor +%}
{% else %}
No clip was withheld for its rights.
{% endif %}

Share of frames x hands that are observed or interpolated:

{% if visibility %}
|  | minimum | 5 % | 25 % | median | 75 % | maximum |
| --- | --- | --- | --- | --- | --- | --- |
{% for kind, quantiles in visibility.items() %}
| windows, {{ kind }}{% for value in quantiles %} | {{ "%.3f" % value }}{% endfor %} |
{% endfor %}
{% else %}
None.
{% endif %}

## Limits

{% if "hamer" in made_by.focal_source %}
- **Depth is not metric** where `focal_source` is `hamer`. The focal length is then HaMeR's convention (5000/256 times the longer side
  of the frame), not a measurement. Positions parallel to the image plane keep their scale; distances from the camera do not.
{% endif %}
- Each hand is reconstructed from one camera. Where a keyboard is registered, the size of the hands is estimated so that they
  are as high above the keys as playing hands. Otherwise every length in metres depends on an assumed hand size.
- Poses are estimates by the engines above, not motion capture. Occluded fingers are guessed. `residual_px` measures the agreement with the
  detector, not with the truth.
- Interpolated frames (state 1) are estimated from neighbouring frames. Observed frames are smoothed, which reduces the speed of fast
  strokes.
- Notes from a transcriber are automatic and contain errors. `sounding_offset_s` includes the pedal. `key_offset_s`, the release of the key,
  is less certain than `sounding_offset_s`.
- A split contains whole videos. The same piece, and the same performer, may be in several splits.
- Videos differ in camera, keyboard and piano, and are not aligned with each other.

## Licence

Licences of the recordings, as their publishers state them; the column `licence` contains the licence of each clip. Without a stated
licence, no rights are granted.

{% if made_by.licence %}
| licence of the recording | clips |
| --- | --- |
{% for licence, clips in made_by.licence.items() %}
| {{ licence or "not stated" }} | {{ clips | count }} |
{% endfor %}
{% else %}
None.
{% endif %}

The performer's permission to publish motion and audio; the column `permission` contains the permission of each clip.

{% if made_by.permission %}
| permission | clips |
| --- | --- |
{% for permission, clips in made_by.permission.items() %}
| {{ permission }} | {{ clips | count }} |
{% endfor %}
{% else %}
None.
{% endif %}

The poses are parameters of MANO. The model itself is not included and has its own licence (mano.is.tue.mpg.de).
"""


class _Markdown(str):
    """Text that is already Markdown: the template does not escape it."""


def escape(text):
    """Escape text for Markdown, so that it is displayed unchanged and on one line, also in a cell of a table."""
    text = " ".join(str(text).split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{character}" if character in "\\`*_{}[]()#!|~$@" else character for character in text)


def _template():
    """Return the template of the card's body. It escapes all values except those with the filter `markdown`."""
    environment = jinja2.Environment(
        trim_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: value if isinstance(value, _Markdown) else escape(value),
    )
    environment.filters |= {
        "markdown": _Markdown,
        "count": "{:,.0f}".format,
        "hours": lambda seconds: f"{seconds / 3600:.2f}",
    }
    return environment.from_string(_BODY)


def card(name, statistics, settings):
    """Return the card of a dataset as Markdown.

    Parameters
    ----------
    name : str
        Title.
    statistics : dict
        Result of `statistics.describe`.
    settings : dict of str to value
        Settings that the dataset was made with, by dotted name.

    Returns
    -------
    str
    """
    made_by, splits = statistics["made_by"], statistics["splits"]
    body = _template().render(
        name=name,
        version=__version__,
        totals=statistics["totals"],
        subjects=statistics["subjects"],
        splits=splits,
        performers=sum(row["videos_in_dataset"] > 0 for row in statistics["subjects"]),
        first_split=next((row["split"] for row in splits if row["clips"]), SPLITS[0]),
        meaning_of_a_row=SHARD.row,
        states=", ".join(f"{int(state)} {state.name.lower()}" for state in State),
        columns=column_table_markdown(SHARD),
        made_by=made_by,
        processing=[(step, value, clips) for column, step in _STEPS.items() for value, clips in made_by[column].items()],
        settings={key: json.dumps(value) for key, value in settings.items()},
        rejections=[
            (kind, reason, Reason(reason).description, number)
            for kind, counts in (("video", statistics["rejections"]["videos"]), ("clip", statistics["rejections"]["clips"]))
            for reason, number in counts.items()
        ],
        left_out=statistics["left_out"],
        visibility={kind: list(quantiles.values()) for kind, quantiles in statistics["visibility"].items() if quantiles},
    )
    return f"---\n{_metadata(name, statistics).to_yaml()}\n---\n\n{body}"


def _metadata(name, statistics):
    """Return the front matter of the card, which the Hub and `datasets` read."""
    licences = list(statistics["made_by"]["licence"])
    # `datasets` cannot load a split without rows, so empty splits are not listed.
    files = [{"split": row["split"], "path": f"{row['split']}-*.parquet"} for row in statistics["splits"] if row["clips"]]
    return DatasetCardData(
        pretty_name=name,
        license=HUB_LICENCES.get(licences[0], "other") if len(licences) == 1 else "other",
        tags=["piano", "hand-pose", "motion", "audio", "music"],
        size_categories=[next(size for limit, size in _SIZES if statistics["totals"]["clips"] < limit)],
        configs=[{"config_name": "default", "data_files": files}] if files else None,
    )
