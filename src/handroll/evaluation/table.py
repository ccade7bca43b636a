"""Format the figures of the evaluation as Markdown tables, and insert them into the pages that quote them.

    python -m handroll.evaluation.table results/evaluation/evaluation.json

This command updates the tables in `README.md` and `docs/measurements.md`, and copies evaluation.json to `docs/evaluation.json`.
"""

import json
import re
import sys
from itertools import groupby
from pathlib import Path

from handroll.evaluation.figures import interval_text, value_text
from handroll.evaluation.videos import frame_size_px

HEADLINES = (
    ("both_hands_found", "ratio"),
    ("tip_error_mm", "ratio"),
    ("joint_error_mm", "ratio"),
    ("label_right", "ratio"),
    ("onset_f1", "ratio"),
    ("offset_error_ms", "p95_abs"),
)
"""Figures that the README contains: key and statistic of each."""

MARKS = "<!-- evaluation: {} -->", "<!-- end of evaluation -->"
"""First and last line of a generated part of a page. The first line contains the name of the part."""


def full_table(evaluation):
    """Format all figures of an evaluation as Markdown tables.

    Parameters
    ----------
    evaluation : dict
        Content of evaluation.json, as written by rule `summarise_evaluation`: `about`, `figures`, `reliability`, `scenes`, `recordings`.
    """
    lines = [_sentence(evaluation["about"]), ""]
    for stage, rows in groupby(evaluation["figures"], key=lambda row: row["stage"]):
        lines += ["| " + stage + " | value | 95 % interval | of |", "|---|---:|---:|---:|"]
        lines += [f"| {row['title']} | {value_text(row)} | {interval_text(row)} | {_count(row)} |" for row in rows]
        lines.append("")
    if evaluation["reliability"]:
        lines += ["| confidence of a label | labels | mean confidence | correct |", "|---|---:|---:|---:|"]
        for row in evaluation["reliability"]:
            lines.append(
                f"| {row['from']:.2f} to {row['to']:.2f} | {row['labels']} | {row['confidence']:.3f} | {100 * row['right']:.1f} % |"
            )
        lines.append("")
    if evaluation["scenes"]:
        lines += _scenes(evaluation["scenes"])
    if evaluation["recordings"]:
        lines += _recordings(evaluation["recordings"])
    return "\n".join(lines).rstrip() + "\n"


def headline_table(evaluation):
    """Format the figures of the README as a Markdown table."""
    rows = {(row["key"], row["statistic"]): row for row in evaluation["figures"]}
    lines = [_sentence(evaluation["about"]), "", "| | value | 95 % interval |", "|---|---:|---:|"]
    lines += [f"| {rows[key]['title']} | {value_text(rows[key])} | {interval_text(rows[key])} |" for key in HEADLINES if key in rows]
    return "\n".join(lines) + "\n"


def _sentence(about):
    """Describe the simulated performances of an evaluation in a sentence."""
    width_px, height_px = frame_size_px(about["width_px"])
    return (
        f"The {about['performances']} performances of {about['seconds']:g} s ({width_px} x {height_px} px, {about['fps']:g} frames/s, "
        f"random seeds {about['seeds'][0]} to {about['seeds'][-1]}) differ in music, hands, camera, light and noise."
    )


def _count(row):
    """Format the denominator of a figure's row. The text is empty if the denominator is at most 1, or is part of the value ("7 of 8")."""
    return "" if row["unit"] == "of" or row["count"] < 1.5 else f"{row['count']:.0f}"


def _scenes(scenes):
    """Format the accuracy of the registration by kind of scene as the lines of a Markdown table. `scenes`: results of `score_scenes`."""
    lines = [
        "| scenes | registered | rejected | wrong | error along the keyboard | error across the keyboard |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for row in scenes:
        errors = [("" if row[key] is None else f"{row[key]:.2f} mm") for key in ("along_mm", "across_mm")]
        lines.append(
            f"| {row['kind']} | {row['registered']} of {row['scenes']} | {row['refused']} | {row['wrong']} | {' | '.join(errors)} |"
        )
    return [*lines, ""]


def _recordings(rows):
    """Format the scores of real recordings (sheet `evaluation.recordings`) as the lines of a Markdown table."""
    lines = [
        "| recording | frames with both hands | hands observed | keyboard registered | notes | notes with a label | key press F1 |",
        "|---|---:|---:|---|---:|---:|---:|",
    ]
    for row in rows:
        cells = [f"{100 * row[key]:.1f} %" if row[key] is not None else "–" for key in ("both_hands_found", "observed")]
        cells += [row["keyboard"], str(row["notes"]), f"{100 * row['labelled']:.1f} %" if row["labelled"] is not None else "–"]
        cells.append(f"{row['key_press_f1']:.3f}" if row["key_press_f1"] is not None else "–")
        lines.append(f"| {row['subject']}/{row['video']} | {' | '.join(cells)} |")
    return [*lines, ""]


def insert(text, name, part):
    """Return the text of a page in which the generated part called `name` is replaced by `part`.

    Raises
    ------
    ValueError
        The page has no generated part with this name.
    """
    start, end = MARKS[0].format(name), MARKS[1]
    pattern = re.compile(re.escape(start) + ".*?" + re.escape(end), re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"page: expected a generated part between the lines {start} and {end}, found no such lines; add them")
    return pattern.sub(lambda _: f"{start}\n{part}{end}", text)


def pages(evaluation, root):
    """Return the new texts of the pages that quote an evaluation, with updated tables: dict of path, relative to `root`, to text."""
    parts = {"README.md": ("headlines", headline_table), "docs/measurements.md": ("all", full_table)}
    return {
        name: insert((Path(root) / name).read_text(encoding="utf-8"), part, made_by(evaluation)) for name, (part, made_by) in parts.items()
    }


def main(arguments):
    """Update the pages of a checkout. Arguments: path of evaluation.json, and optionally the folder of the checkout."""
    source, root = Path(arguments[0]), Path(arguments[1] if len(arguments) > 1 else ".")
    text = source.read_text(encoding="utf-8")
    texts = pages(json.loads(text), root) | {"docs/evaluation.json": text}
    for name, page in texts.items():
        (root / name).write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
