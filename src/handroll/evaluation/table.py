"""Tables of the evaluation as Markdown, and the parts of README and docs that quote them.

    python -m handroll.evaluation.table results/evaluation/evaluation.json

copies the figures of a run into `README.md` and `docs/measurements.md`, and the run itself to `docs/evaluation.json`.
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
"""Figures in the README: key and statistic."""

MARKS = "<!-- evaluation: {} -->", "<!-- end of evaluation -->"
"""Comments before and after a generated part of a page; the first contains the name of the part."""


def full_table(evaluation):
    """Format all figures of an evaluation as Markdown tables.

    Parameters
    ----------
    evaluation : dict
        As rule `summarise_evaluation` writes it: `about`, `figures`, `reliability`, `scenes`, `recordings`.
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
    width_px, height_px = frame_size_px(about["width_px"])
    return (
        f"{about['performances']} performances of {about['seconds']:g} s at {width_px} x {height_px} px, "
        f"{about['fps']:g} frames/s, "
        f"seeds {about['seeds'][0]} to {about['seeds'][-1]}: music, hands, camera, light and noise differ between them."
    )


def _count(row):
    return "" if row["unit"] == "of" or row["count"] < 1.5 else f"{row['count']:.0f}"


def _scenes(scenes):
    """Format the registration by kind of scene."""
    lines = ["| scenes | registered | rejected | wrong | error along the keys | error across the keys |", "|---|---:|---:|---:|---:|---:|"]
    for row in scenes:
        errors = [("" if row[key] is None else f"{row[key]:.2f} mm") for key in ("along_mm", "across_mm")]
        lines.append(
            f"| {row['kind']} | {row['registered']} of {row['scenes']} | {row['refused']} | {row['wrong']} | {' | '.join(errors)} |"
        )
    return [*lines, ""]


def _recordings(rows):
    """Format the scores of real recordings (sheet `evaluation.recordings`)."""
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
    """Replace the generated part with this name in a page.

    Raises
    ------
    ValueError
        The page has no part with this name.
    """
    start, end = MARKS[0].format(name), MARKS[1]
    pattern = re.compile(re.escape(start) + ".*?" + re.escape(end), re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"expected the lines {start} and {end}, found none")
    return pattern.sub(lambda _: f"{start}\n{part}{end}", text)


def pages(evaluation, root):
    """Return the pages that quote an evaluation, with updated tables: path to text."""
    parts = {"README.md": ("headlines", headline_table), "docs/measurements.md": ("all", full_table)}
    return {
        name: insert((Path(root) / name).read_text(encoding="utf-8"), part, made_by(evaluation)) for name, (part, made_by) in parts.items()
    }


def main(arguments):
    """Copy an evaluation into the docs of a checkout: `evaluation.json [checkout]`."""
    source, root = Path(arguments[0]), Path(arguments[1] if len(arguments) > 1 else ".")
    text = source.read_text(encoding="utf-8")
    texts = pages(json.loads(text), root) | {"docs/evaluation.json": text}
    for name, page in texts.items():
        (root / name).write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
