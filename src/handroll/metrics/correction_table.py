"""Tables of the comparison of methods that correct motion, one for each question and each kind of noise.

The questions are those of Tables 2 to 5 of MAPnet (Shrestha et al., "AIMusicGuru: Music Assisted Human Pose Correction"): frame rates,
difficulty of the movement, fusion, and rebalancing. The CSV file contains all scores.
"""

from handroll.metrics.table_pages import Metric, scores_csv, table_contents, write_pages

NOISE_TITLES = {"paper": "noise of the paper", "measured": "measured noise"}
"""How headings name the kinds of noise."""

ABOUT = (("noise", "noise"), ("every", "frames of the output for each frame of the input"), ("tau", "tau"))
"""Columns of the CSV file that describe a row: key and heading."""

COSTS = (
    ("parameters", "parameters, M", 1e-6, 2),
    ("training_s", "training, min", 1 / 60, 1),
    ("step_ms", "training step, ms", 1.0, 0),
    ("memory_gb", "training memory, GB", 1.0, 2),
)
"""Columns with the costs of a row, as in `tables.COSTS`."""

ERRORS = (Metric("mpjpe_mm", "MPJPE, mm", 2), Metric("mpjae_mm", "MPJAE, mm", 2))
"""Columns of the tables on fusion and rebalancing."""

BY_DIFFICULTY = (
    *ERRORS,
    Metric("fine_mpjpe_mm", "fine, mm", 2),
    Metric("gross_mpjpe_mm", "gross, mm", 2),
    Metric("inversion_mpjpe_mm", "inversions, mm", 2),
    Metric("gap_mpjpe_mm", "gaps, mm", 2),
)
"""Columns of the table on difficulty. All but MPJAE are MPJPE over frames of this kind."""

_TAU = ABOUT[-1:]

# Rows of the tables that compare parts of MAPnet.
_PARTS = {"fusion": ("mapnet_early", "mapnet_balanced", "mapnet"), "rebalancing": ("mapnet_not_rebalanced", "mapnet")}

_PUBLISHED_NOTE = (
    "Published results are those of Shrestha et al. for bodies of violinists with a jitter of 300 mm. Compare only rows of the same origin."
)


def correction_rows(scores, published):
    """Build the rows of the tables.

    Parameters
    ----------
    scores : list of dict
        Results of rule `score_correction`: `row`, `every`, `costs`, and `scores`, by noise and by metric.
    published : list of dict of str to str
        Published results, read from `resources/published/mapnet.tsv`. `every` is empty where the paper's text does not state it.

    Returns
    -------
    list of dict
        As returned by `tables.benchmark_table`.
    """
    rows = []
    for entry in scores:
        for noise, found in entry["scores"].items():
            about = {"noise": noise, "every": entry["every"], "tau": _tau(entry["every"]), **entry["costs"]}
            values = {name: (score["value"], score["low"], score["high"]) for name, score in found.items()}
            rows.append({"method": entry["row"], "about": about, "scores": values, "undefined": {}, "published": False, "table": ""})
    for line in published:
        values = {name: (float(value), None, None) for name, value in line.items() if name.endswith("_mm") and value}
        every = int(line["every"]) if line["every"] else ""
        about = {"noise": "", "every": every, "tau": _tau(every)}
        rows.append({"method": line["row"], "about": about, "scores": values, "undefined": {}, "published": True, "table": line["table"]})
    return rows


def _tau(every):
    """Format the ratio of the frame rates of input and output; empty if it is not known."""
    return f"{1 / every:.2f}" if every else ""


def write_correction_tables(rows, title, csv_path, markdown_path, html_path, about=""):
    """Write the tables as CSV, Markdown and HTML, each file atomically.

    Parameters
    ----------
    rows : list of dict
        Result of `correction_rows`.
    title, csv_path, markdown_path, html_path, about
        See `tables.write_tables`.
    """
    kinds = dict.fromkeys(row["about"]["noise"] for row in rows if not row["published"])
    papers = [row for row in rows if row["published"]]
    tables = [table for noise in kinds for table in _tables(noise, [row for row in rows if row["about"]["noise"] == noise], papers)]
    scores = scores_csv(rows, ABOUT, COSTS)
    write_pages(tables, scores, f"{title}, correction of motion", csv_path, markdown_path, html_path, about, text_columns=2)


def _tables(noise, own, papers):
    """Build the contents of the tables for one kind of noise, from the rows with this noise and the published rows."""
    of_paper = {name: [row for row in papers if row["table"] == name] for name in ("frame rates", "difficulty", *_PARTS)}
    rates = sorted({row["about"]["every"] for row in own})
    by_rate = tuple(Metric(f"mpjpe_mm_{every}", f"MPJPE at tau {_tau(every)}, mm", 2) for every in rates)
    spread = "The number after ± is half the width of the 95 % confidence interval over clips. The best value of each ratio is bold."
    tau = "tau is the frame rate of the input, divided by that of the output."
    made = [
        table_contents(
            f"Frame rates, {NOISE_TITLES[noise]}",
            f"{spread} {tau} {_PUBLISHED_NOTE}",
            _side_by_side(own) + _side_by_side(of_paper["frame rates"]),
            by_rate,
            (),
            (),
        ),
        table_contents(
            f"Difficulty, {NOISE_TITLES[noise]}",
            "MPJPE of fine and gross movements, of inversions of the direction, and of gaps of the input. A dash (–) means that no "
            f"frame is of this kind. {_PUBLISHED_NOTE}",
            own + of_paper["difficulty"],
            BY_DIFFICULTY,
            _TAU,
            COSTS,
            "tau",
        ),
    ]
    for question, names in _PARTS.items():
        found = [row for row in own if row["method"] in names]
        if len({row["method"] for row in found}) > 1:
            heading = f"{question.capitalize()}, {NOISE_TITLES[noise]}"
            made.append(table_contents(heading, _PUBLISHED_NOTE, found + of_paper[question], ERRORS, _TAU, COSTS, "tau"))
    return made


def _side_by_side(rows):
    """Merge the rows of each method: the scores `mpjpe_mm_1`, `mpjpe_mm_2`, ... are its MPJPE by `every`."""
    merged = {}
    for row in rows:
        of_method = merged.setdefault(row["method"], {**row, "about": {}, "scores": {}})
        of_method["scores"][f"mpjpe_mm_{row['about']['every']}"] = row["scores"]["mpjpe_mm"]
    return list(merged.values())
