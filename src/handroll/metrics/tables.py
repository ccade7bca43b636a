"""The benchmark's tables: a row a method, a column a metric; CSV with all of them, Markdown and HTML with the chief ones."""

import csv
import html
import io
from dataclasses import dataclass

from handroll.provenance import atomic_path


@dataclass(frozen=True)
class Metric:
    """A column: its key in the scores, its heading, digits after the point, and which way is better (0: neither)."""

    key: str
    title: str
    digits: int
    better: int = -1


OURS = (
    Metric("position_error_mm", "position, mm", 1),
    Metric("root_mpjpe_mm", "MPJPE from the wrist, mm", 2),
    Metric("procrustes_mpjpe_mm", "MPJPE aligned, mm", 2),
    Metric("frechet_motion", "Fréchet, motion", 2),
    Metric("frechet_pose_rad2", "Fréchet, pose, rad²", 3),
    Metric("frechet_joints_mm2", "Fréchet, joints, mm²", 0),
    Metric("mixture_wasserstein", "mixture Wasserstein", 2),
    Metric("acceleration_ratio", "acceleration / truth", 2, 0),
    Metric("jerk_ratio", "jerk / truth", 2, 0),
    Metric("key_press_precision", "key press precision", 3, 1),
    Metric("key_press_recall", "key press recall", 3, 1),
    Metric("key_press_f1", "key press F1", 3, 1),
    Metric("diversity_mm", "diversity, mm", 1, 0),
    Metric("multimodality_mm", "multimodality, mm", 1, 0),
)
"""Columns of the first table: metrics of ours."""

RELEASED = tuple(
    Metric(f"released_{side}_{name}", f"{side[0].upper()}-{title}", 3)
    for side in ("left", "right")
    for name, title in (("fgd", "FGD"), ("wgd", "WGD"), ("pd", "PD"), ("smooth", "Smooth"))
) + (Metric("released_fid", "FID", 3),)
"""Columns of the second table: PianoMotion10M's, as its released code computes them; published figures stand below."""

ABOUT = (("features", "features"), ("decoder", "decoder"), ("sampler", "sampler"), ("steps", "steps"))
COSTS = (
    ("parameters", "parameters, M", 1e-6, 2),
    ("training_s", "training, min", 1 / 60, 1),
    ("sampling_ms", "sampling, ms a window", 1.0, 1),
)
"""What a method is, and what it costs."""


def benchmark_table(scores, costs, published):
    """Rows of the tables.

    Parameters
    ----------
    scores : list of dict
        As rule `score_motion` writes them: method, scores.
    costs : list of dict
        Of the same methods, as rule `generate_motion` writes them.
    published : list of dict of str to str
        Rows of resources/published: PianoMotion10M's Tables 3 and 4.

    Returns
    -------
    list of dict
        `method`, `about` (dict of str), `scores` (metric to (value, low, high)), `undefined` (metric to why it has no value),
        `published` (bool), `table` (of the paper, or "").
    """
    rows = []
    for entry, about in zip(scores, costs, strict=True):
        values = {name: (score["value"], score["low"], score["high"]) for name, score in entry["scores"].items()}
        undefined = {name: score["undefined"] for name, score in entry["scores"].items() if "undefined" in score}
        row = {"method": entry["method"].split("-")[0], "about": about, "scores": values, "undefined": undefined}
        rows.append({**row, "published": False, "table": ""})
    for line in published:
        known = {
            name: float(value) for name, value in line.items() if name not in ("table", "method", "features", "decoder", "steps") and value
        }
        about = {name: line[name] for name in ("features", "decoder", "steps")}
        about["parameters"] = str(1e6 * known.pop("parameters_million"))
        values = {f"released_{name}": (value, None, None) for name, value in known.items()}
        row = {"method": line["method"], "about": about, "scores": values, "undefined": {}}
        rows.append({**row, "published": True, "table": line["table"]})
    return rows


def write_tables(rows, title, csv_path, markdown_path, html_path):
    """Write the tables as CSV, Markdown and HTML; atomic.

    Parameters
    ----------
    rows : list of dict
        Of `benchmark_table`.
    title : str
        Of the experiment.
    csv_path, markdown_path, html_path : path
    """
    for path, text in ((csv_path, _csv(rows)), (markdown_path, _markdown(rows, title)), (html_path, _html(rows, title))):
        with atomic_path(path) as temporary:
            temporary.write_text(text, encoding="utf-8")


def _csv(rows):
    """All scores with their intervals, a line a method."""
    names = list(dict.fromkeys(name for row in rows for name in row["scores"]))
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    ends = [f"{name}{end}" for name in names for end in ("", "_low", "_high")]
    writer.writerow(["method", "published_table", *(key for key, _ in ABOUT), *(key for key, *_ in COSTS), *ends])
    for row in rows:
        about = [row["about"].get(key, "") for key in (*(key for key, _ in ABOUT), *(key for key, *_ in COSTS))]
        numbers = ["" if value is None else f"{value:.6g}" for name in names for value in row["scores"].get(name, (None,) * 3)]
        writer.writerow([row["method"], row["table"], *about, *numbers])
    return file.getvalue()


def _cells(row, metrics, best):
    """Texts of a row's scores: value, with half the interval's width; the best of a column marked."""
    texts = []
    for metric in metrics:
        value, low, high = row["scores"].get(metric.key, (None,) * 3)
        if value is None:
            texts.append(("–", False))
            continue
        spread = "" if low is None else f" ± {(high - low) / 2:.{metric.digits}f}"
        # z: what is rounded to 0 has no sign.
        texts.append((f"{value:z.{metric.digits}f}{spread}", best.get(metric.key) == value and not row["published"]))
    return texts


def _undefined(rows, metrics):
    """A line for each reason why a metric has no value: its heading, the reason, and the methods."""
    methods = {}
    for row in rows:
        for metric in metrics:
            if metric.key in row["undefined"]:
                methods.setdefault((metric.title, row["undefined"][metric.key]), []).append(row["method"])
    return [f"– in {title}: {reason} ({', '.join(dict.fromkeys(names))})." for (title, reason), names in methods.items()]


def _best(rows, metrics):
    """Of each column the best value of the methods that generate: neither truth nor published."""
    own = [row for row in rows if not row["published"] and row["method"] not in ("ground_truth", "other_half")]
    best = {}
    for metric in metrics:
        values = [row["scores"][metric.key][0] for row in own if row["scores"].get(metric.key, (None,))[0] is not None]
        if values and metric.better:
            best[metric.key] = max(values) if metric.better > 0 else min(values)
    return best


def _about(row):
    return [str(row["about"].get(key, "")) for key, _ in ABOUT]


def _costs(row):
    known = ((row["about"].get(key), scale, digits) for key, _, scale, digits in COSTS)
    return ["" if value in (None, "") else f"{float(value) * scale:.{digits}f}" for value, scale, digits in known]


def _tables(rows):
    """(heading, note, rows, metrics) of each table."""
    own, papers = [row for row in rows if not row["published"]], [row for row in rows if row["published"]]
    mean_hands = tuple(
        Metric(f"released_{name}", title, 3) for name, title in (("fid", "FID"), ("fgd", "FGD"), ("wgd", "WGD"), ("smooth", "Smooth"))
    )
    return (
        ("Motion", "± is half the 95 % interval over windows. Bold: the best of what is generated.", own, OURS),
        (
            "As PianoMotion10M computes them",
            "Metrics of the released evaluation, with its oddities, beside the published Table 3. Published figures are of other data: "
            "compare rows of one origin.",
            own + [row for row in papers if row["table"] == "3"],
            RELEASED,
        ),
        (
            "Denoising steps",
            "Means of both hands, as in the published Table 4.",
            [row for row in own if row["about"].get("steps")] + [row for row in papers if row["table"] == "4"],
            mean_hands,
        ),
    )


def _headings(metrics):
    arrows = {-1: " ↓", 0: "", 1: " ↑"}
    return [
        "method",
        *(title for _, title in ABOUT),
        *(f"{m.title}{arrows[m.better]}" for m in metrics),
        *(title for _, title, *_ in COSTS),
    ]


def _name(row):
    return f"{row['method']} (published)" if row["published"] else row["method"]


def _markdown(rows, title):
    lines = [f"# Benchmark: {title}", ""]
    for heading, note, shown, metrics in _tables(rows):
        best = _best(shown, metrics)
        lines += [f"## {heading}", "", note, "", f"| {' | '.join(_headings(metrics))} |", "|" + "---|" * len(_headings(metrics))]
        for row in shown:
            scores = [f"**{text}**" if bold else text for text, bold in _cells(row, metrics, best)]
            lines.append(f"| {' | '.join([_name(row), *_about(row), *scores, *_costs(row)])} |")
        for line in _undefined(shown, metrics):
            lines += ["", line]
        lines.append("")
    return "\n".join(lines)


_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em; color: #222; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { padding: .35em .6em; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap; }
th { white-space: normal; vertical-align: bottom; border-bottom: 2px solid #444; }
th:nth-child(-n+4), td:nth-child(-n+4) { text-align: left; }
tr.published td { color: #777; font-style: italic; }
.scroll { overflow-x: auto; }
"""


def _html(rows, title):
    parts = [
        f"<!DOCTYPE html>\n<html lang='en'><meta charset='utf-8'><title>Benchmark: {html.escape(title)}</title><style>{_STYLE}</style>"
    ]
    parts.append(f"<h1>Benchmark: {html.escape(title)}</h1>")
    for heading, note, shown, metrics in _tables(rows):
        best = _best(shown, metrics)
        head = "".join(f"<th>{html.escape(text)}</th>" for text in _headings(metrics))
        parts.append(
            f"<h2>{html.escape(heading)}</h2><p>{html.escape(note)}</p><div class='scroll'><table><thead><tr>{head}</tr></thead><tbody>"
        )
        for row in shown:
            scores = [f"<b>{html.escape(text)}</b>" if bold else html.escape(text) for text, bold in _cells(row, metrics, best)]
            cells = [html.escape(cell) for cell in (_name(row), *_about(row))] + scores + [html.escape(cell) for cell in _costs(row)]
            kind = " class='published'" if row["published"] else ""
            parts.append(f"<tr{kind}>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
        parts.append("</tbody></table></div>")
        parts += [f"<p>{html.escape(line)}</p>" for line in _undefined(shown, metrics)]
    return "\n".join(parts) + "\n"
