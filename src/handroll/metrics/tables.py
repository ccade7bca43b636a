"""Tables of the benchmark, with one row per method and one column per metric. Each table answers one question.

The CSV file contains all metrics. The Markdown and HTML files (`table_pages`) contain the main ones.
"""

from handroll.metrics.table_pages import Metric, scores_csv, table_contents, write_pages

OWN = (
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
"""Columns of the first table: handroll's own metrics."""

_AXES = (("x", "along the keys"), ("y", "towards the fallboard"), ("z", "in height"))

PLAYING = (
    Metric("key_press_f1", "key press F1", 3, 1),
    Metric("height_press_precision", "precision by height", 3, 1),
    Metric("height_press_recall", "recall by height", 3, 1),
    Metric("height_press_f1", "F1 by height", 3, 1),
    Metric("frame_press_f1", "F1 by frame", 3, 1),
    Metric("labelled_finger_share", "labelled finger", 3, 1),
    Metric("false_presses_per_min", "false presses/min", 1),
    Metric("landing_error_mm", "landing error, mm", 1),
    Metric("anticipation_ms", "anticipation, ms", 0, 0),
    Metric("anticipation_difference_ms", "anticipation - truth, ms", 0, 0),
    *(Metric(f"playing_position_{axis}_error_mm", f"{title}, playing, mm", 1) for axis, title in _AXES),
    *(Metric(f"idle_position_{axis}_error_mm", f"{title}, idle, mm", 1) for axis, title in _AXES),
)
"""Columns of the table on playing, which exists only in the keyboard frame."""

RELEASED = tuple(
    Metric(f"released_{side}_{name}", f"{side[0].upper()}-{title}", 3)
    for side in ("left", "right")
    for name, title in (("fgd", "FGD"), ("wgd", "WGD"), ("pd", "PD"), ("smooth", "Smooth"))
) + (Metric("released_fid", "FID", 3),)
"""Columns of the next table: the metrics of PianoMotion10M, as its released code computes them."""

_BY_KEY = {metric.key: metric for metric in (*OWN, *PLAYING)}

STEPS = (
    *(_BY_KEY[name] for name in ("frechet_motion", "frechet_pose_rad2", "frechet_joints_mm2", "acceleration_ratio", "key_press_f1")),
    *(Metric(f"released_{name}", title, 3) for name, title in (("fid", "FID"), ("fgd", "FGD"), ("wgd", "WGD"), ("smooth", "Smooth"))),
)
"""Columns of the table on sampling steps; the last are means over both hands, as in Table 4 of PianoMotion10M."""

ABLATIONS = tuple(
    _BY_KEY[name]
    for name in (
        *("position_error_mm", "frechet_motion", "frechet_pose_rad2", "frechet_joints_mm2", "mixture_wasserstein"),
        *("acceleration_ratio", "key_press_f1", "height_press_f1", "labelled_finger_share"),
    )
)
"""Columns of the table on ablations, which exists only if the experiment has ablations."""

ABOUT = tuple((name, name) for name in ("variant", "input", "features", "decoder", "sampler", "steps"))
"""Columns that describe a method: key and heading. `input` is `notes` or `audio`: what the method receives of the music."""

COSTS = (
    ("parameters", "parameters, M", 1e-6, 2),
    ("training_s", "training, min", 1 / 60, 1),
    ("sampling_ms", "sampling, ms a window", 1.0, 1),
)
"""Columns with the costs of a method. Each entry contains the key, the heading, the factor that converts the stored unit to the unit of the
heading, and the number of digits after the decimal point."""


def benchmark_table(scores, costs, published):
    """Build the rows of the tables from scores, costs and published results.

    Parameters
    ----------
    scores : list of dict
        `method` and `scores` of each method, as written by rule `score_motion`.
    costs : list of dict
        Description and costs of the same methods, as written by rule `generate_motion`.
    published : list of dict of str to str
        Published results: Tables 3 and 4 of PianoMotion10M, read from `resources/published`.

    Returns
    -------
    list of dict
        - `method`: name of the method.
        - `about`: description and costs of the method.
        - `scores`: metric to (value, low, high).
        - `undefined`: metric to the reason for which it has no value.
        - `published`: whether the row contains published results.
        - `table`: number of the table in the paper; empty for own results.
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
        about = {"input": "audio"} | {name: line[name] for name in ("features", "decoder", "steps")}
        about["parameters"] = str(1e6 * known.pop("parameters_million"))
        values = {f"released_{name}": (value, None, None) for name, value in known.items()}
        row = {"method": line["method"], "about": about, "scores": values, "undefined": {}}
        rows.append({**row, "published": True, "table": line["table"]})
    return rows


def write_tables(rows, title, csv_path, markdown_path, html_path, about=""):
    """Write the tables as CSV, Markdown and HTML, each file atomically.

    Parameters
    ----------
    rows : list of dict
        Result of `benchmark_table`.
    title : str
        Name of the experiment.
    csv_path, markdown_path, html_path : path
    about : str
        Description of the experiment, which is printed below the title.
    """
    scores = scores_csv(rows, ABOUT, COSTS)
    write_pages(_tables(rows), scores, title, csv_path, markdown_path, html_path, about, len(ABOUT) + 1)


def _tables(rows):
    """Build the contents of all tables for the templates. Each table answers one question."""
    own, papers = [row for row in rows if not row["published"]], [row for row in rows if row["published"]]
    main = _main_rows(own)
    sampled = [row for row in own if row["about"].get("steps") and not row["about"].get("variant")]
    return [
        _table(
            "Motion",
            "Which method is closest to true motion? Each model is sampled with the first sampler that suits it. The number after ± is "
            "half the width of the 95 % confidence interval over windows. The best generated motion is bold.",
            main,
            OWN,
        ),
        *_playing_tables(main),
        _table(
            "Sampling steps",
            "How many steps does a model need? The last columns are metrics of PianoMotion10M (means over both hands), next to its "
            "published Table 4. Published results were measured on other data: compare only rows of the same origin.",
            sampled + [row for row in papers if row["table"] == "4"],
            STEPS,
        ),
        *_ablation_tables(own, main),
        _table(
            "As PianoMotion10M computes them",
            "Metrics of PianoMotion10M's released evaluation code, including its errors, next to the published Table 3. Published results "
            "were measured on other data: compare only rows of the same origin.",
            main + [row for row in papers if row["table"] == "3"],
            RELEASED,
        ),
    ]


def _main_rows(rows):
    """Return the rows without ablations, and with only the first sampler of each model."""
    main, samplers = [], {}
    for row in rows:
        about = row["about"]
        sampler = about.get("sampler"), about.get("steps")
        if not about.get("ablation") and samplers.setdefault(_kind(row), sampler) == sampler:
            main.append(row)
    return main


def _kind(row):
    """Return what identifies a trained model without its variant and sampler."""
    return row["method"], row["about"].get("features"), row["about"].get("decoder")


def _ablation_tables(rows, main):
    """Build the contents of the table on ablations: a list of one table, or an empty list without ablations."""
    ablations = [row for row in rows if row["about"].get("ablation")]
    # The features of the model fingertips are another plan in one of its variants, so that the name of the method is compared.
    whole = {method: [row for row in main if row["method"] == method] for method in dict.fromkeys(row["method"] for row in ablations)}
    body = [row for method, of in whole.items() for row in of + [row for row in ablations if row["method"] == method]]
    note = "Which parts of a model are needed? Each variant is next to its model."
    return [_table("Ablations", note, body, ABLATIONS)] if ablations else []


def _playing_tables(rows):
    """Build the contents of the table on playing: a list of one table, or an empty list without such scores."""
    scored = [row["scores"] for row in rows if "height_press_f1" in row["scores"]]
    if not scored:
        return []
    heights = [scored[0][f"press_height_{colour}_mm"][0] for colour in ("white", "black")]
    known = "" if None in heights else " ({:z.0f} mm on white and {:z.0f} mm on black keys, above the white keys)".format(*heights)
    note = (
        "Which method plays the notes? Key presses are scored in three definitions: by stroke (key press F1), by height as in Tipiano, and "
        f"by frame as in FürElise and RoboPianist. The heights are calibrated on the ground truth{known}. Position errors are "
        "those of the wrist. Compare only rows that have the same input."
    )
    return [_table("Playing the notes", note, rows, PLAYING)]


def _table(heading, note, rows, metrics):
    """Build the contents of one table; see `table_pages.table_contents`."""
    return table_contents(heading, note, rows, metrics, ABOUT, COSTS)
