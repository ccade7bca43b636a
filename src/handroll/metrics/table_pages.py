"""Tables of scores as Markdown and HTML pages and as CSV: intervals, the best value of each column, and marked published rows."""

import csv
import io
from dataclasses import dataclass

import jinja2

from handroll.provenance import atomic_path

TRUE_MOTION = ("ground_truth", "other_half")
"""Methods that are not generated; they are never the best."""


@dataclass(frozen=True)
class Metric:
    """A column of a table.

    Attributes
    ----------
    key : str
        Name of the metric in the scores.
    title : str
        Heading of the column.
    digits : int
        Digits after the decimal point.
    better : {-1, 0, 1}
        -1 if lower values are better, 1 if higher values are better, 0 if neither.
    """

    key: str
    title: str
    digits: int
    better: int = -1


def write_pages(tables, scores, title, csv_path, markdown_path, html_path, about, text_columns):
    """Write tables as Markdown and HTML, and their scores as CSV, each file atomically.

    Parameters
    ----------
    tables : list of dict
        Results of `table_contents`.
    scores : str
        Result of `scores_csv`.
    title, csv_path, markdown_path, html_path, about
        See `tables.write_tables`.
    text_columns : int
        Number of columns at the left that contain text.
    """
    texts = {csv_path: scores}
    for path, template, escaped in ((markdown_path, _MARKDOWN, False), (html_path, _HTML, True)):
        options = {"autoescape": escaped, "trim_blocks": True, "keep_trailing_newline": True, "undefined": jinja2.StrictUndefined}
        texts[path] = jinja2.Template(template, **options).render(title=title, about=about, tables=tables, text_columns=text_columns)
    for path, text in texts.items():
        with atomic_path(path) as temporary:
            temporary.write_text(text, encoding="utf-8")


def scores_csv(rows, about, costs):
    """Format all scores with their intervals as CSV text, with one line per method.

    Parameters
    ----------
    rows : list of dict
        As returned by `tables.benchmark_table`.
    about, costs : sequence
        Columns that describe the methods, as `tables.ABOUT` and `tables.COSTS`.
    """
    names = list(dict.fromkeys(name for row in rows for name in row["scores"]))
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    ends = [f"{name}{end}" for name in names for end in ("", "_low", "_high")]
    keys = [*(key for key, _ in about), *(key for key, *_ in costs)]
    writer.writerow(["method", "published_table", *keys, *ends])
    for row in rows:
        numbers = ["" if value is None else f"{value:.6g}" for name in names for value in row["scores"].get(name, (None,) * 3)]
        writer.writerow([row["method"], row["table"], *(row["about"].get(key, "") for key in keys), *numbers])
    return file.getvalue()


def table_contents(heading, note, rows, metrics, about, costs, compared=None):
    """Build the contents of one table.

    Parameters
    ----------
    heading, note : str
        Heading, and text below it.
    rows : list of dict
        As returned by `tables.benchmark_table`.
    metrics : sequence of Metric
    about, costs : sequence
        Columns that describe the methods, as `tables.ABOUT` and `tables.COSTS`.
    compared : str, optional
        Key of `about`. Only rows with the same value are compared: the best value of each of these groups is bold.

    Returns
    -------
    dict
        `heading`, `note`, `columns`, `rows` and `undefined`. A row has `published` (bool) and `cells`, a list of (text, bold).
        `undefined` is a list of lines below the table.
    """
    arrows = {-1: " ↓", 0: "", 1: " ↑"}
    group_of = lambda row: row["about"].get(compared)  # noqa: E731
    best = {group: _best([row for row in rows if group_of(row) == group], metrics) for group in {group_of(row) for row in rows}}
    columns = ["method", *(title for _, title in about), *(f"{m.title}{arrows[m.better]}" for m in metrics), *(t for _, t, *_ in costs)]
    body = []
    for row in rows:
        texts = [f"{row['method']} (published)" if row["published"] else row["method"]]
        texts += [str(row["about"].get(key, "")) for key, _ in about]
        scores = _scores(row, metrics, best[group_of(row)])
        cells = [*((text, False) for text in texts), *scores, *((text, False) for text in _costs(row, costs))]
        body.append({"published": row["published"], "cells": cells})
    return {"heading": heading, "note": note, "columns": columns, "rows": body, "undefined": _undefined(rows, metrics)}


def _scores(row, metrics, best):
    """Format the scores of a row as pairs (text, bold). The text contains the value and half the width of its interval.

    The best generated motion of a column is bold.
    """
    cells = []
    for metric in metrics:
        value, low, high = row["scores"].get(metric.key, (None,) * 3)
        if value is None:
            cells.append(("–", False))
            continue
        spread = "" if low is None else f" ± {(high - low) / 2:.{metric.digits}f}"
        # The option z removes the sign of a value that is rounded to 0.
        generated = not row["published"] and row["method"] not in TRUE_MOTION
        cells.append((f"{value:z.{metric.digits}f}{spread}", generated and best.get(metric.key) == value))
    return cells


def _costs(row, costs):
    """Format the costs of a row, with the columns `costs`; an unknown cost is an empty text."""
    known = ((row["about"].get(key), scale, digits) for key, _, scale, digits in costs)
    return ["" if value in (None, "") else f"{float(value) * scale:.{digits}f}" for value, scale, digits in known]


def _best(rows, metrics):
    """Find the best value of each column among generated motions. The ground truth and published rows are excluded."""
    generated = [row for row in rows if not row["published"] and row["method"] not in TRUE_MOTION]
    best = {}
    for metric in metrics:
        values = [row["scores"][metric.key][0] for row in generated if row["scores"].get(metric.key, (None,))[0] is not None]
        if values and metric.better:
            best[metric.key] = max(values) if metric.better > 0 else min(values)
    return best


def _undefined(rows, metrics):
    """List a line for each pair of a missing metric and a reason. The line names the methods concerned."""
    methods = {}
    for row in rows:
        for metric in metrics:
            if metric.key in row["undefined"]:
                methods.setdefault((metric.title, row["undefined"][metric.key]), []).append(row["method"])
    return [f"No value (–) for {title}: {reason} ({', '.join(dict.fromkeys(names))})." for (title, reason), names in methods.items()]


_MARKDOWN = """\
# Benchmark: {{ title }}
{% if about %}

{{ about }}
{% endif %}
{% for table in tables %}

## {{ table.heading }}

{{ table.note }}

| {{ table.columns | join(" | ") }} |
|{{ "---|" * table.columns | length }}
{% for row in table.rows %}
|{% for text, bold in row.cells %} {{ "**" + text + "**" if bold else text }} |{% endfor +%}
{% endfor %}
{% for line in table.undefined %}

{{ line }}
{% endfor %}
{% endfor %}
"""

_HTML = """\
<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>Benchmark: {{ title }}</title><style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em; color: #222; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { padding: .35em .6em; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap; }
th { white-space: normal; vertical-align: bottom; border-bottom: 2px solid #444; }
th:nth-child(-n+{{ text_columns }}), td:nth-child(-n+{{ text_columns }}) { text-align: left; }
tr.published td { color: #777; font-style: italic; }
.scroll { overflow-x: auto; }
</style>
<h1>Benchmark: {{ title }}</h1>
{% if about %}
<p>{{ about }}</p>
{% endif %}
{% for table in tables %}
<h2>{{ table.heading }}</h2>
<p>{{ table.note }}</p>
<div class="scroll"><table>
<thead><tr>{% for column in table.columns %}<th>{{ column }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in table.rows %}
<tr{% if row.published %} class="published"{% endif %}>
{%- for text, bold in row.cells %}<td>{% if bold %}<b>{{ text }}</b>{% else %}{{ text }}{% endif %}</td>{% endfor %}</tr>
{% endfor %}
</tbody></table></div>
{% for line in table.undefined %}
<p>{{ line }}</p>
{% endfor %}
{% endfor %}
"""
