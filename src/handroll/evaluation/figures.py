"""Figures (measured values) of the evaluation: their definitions, and their values with confidence intervals over performances."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import bootstrap

from handroll.evaluation.passage_types import TEXTURES
from handroll.metrics.bootstrap import CONFIDENCE, RESAMPLES


@dataclass(frozen=True)
class Figure:
    """Definition of a figure, which is a row of an evaluation table.

    Attributes
    ----------
    key : str
        Name of the counts or samples from which the figure is computed.
    stage : str
        Group of steps of the pipeline, such as "Keyboard". It is the heading of the figure's table.
    title : str
        Title of the row.
    unit : str
        Unit of the value. "%" formats a share in percent; "of" formats counts, such as "7 of 8".
    digits : int
        Number of decimals.
    statistic : str
        How the value is computed: "ratio" is the sum of numerators divided by the sum of denominators. "mean_abs", "p95_abs" and
        "max_abs" are mean, 95th percentile and maximum of the absolute values of samples.
    """

    key: str
    stage: str
    title: str
    unit: str
    digits: int
    statistic: str = "ratio"


_DETECTION, _KEYBOARD, _MUSIC, _FINGERING, _MOTION = "Hands in the frame", "Keyboard", "Notes", "Fingering", "Motion"

FIGURES = (
    Figure("both_hands_found", _DETECTION, "frames with both hands detected, of frames that show both", "%", 1),
    Figure("hands_lost", _DETECTION, "hands not detected, of visible hands", "%", 2),
    Figure("right_side", _DETECTION, "correct left/right label, of detected hands", "%", 1),
    Figure("landmark_error", _DETECTION, "landmark error, relative to the width of the palm", "%", 1),
    Figure("registered", _KEYBOARD, "keyboards registered", "of", 0),
    Figure("along_mm", _KEYBOARD, "error along the keyboard, worst keyboard (p95 over its keys)", "mm", 2, "max_abs"),
    Figure("across_mm", _KEYBOARD, "error across the keyboard, worst keyboard (p95 over its keys)", "mm", 2, "max_abs"),
    Figure("onset_f1", _MUSIC, "note onset F1 (tolerance 50 ms)", "", 3),
    Figure("onset_offset_f1", _MUSIC, "note onset and release F1", "", 3),
    Figure("offset_error_ms", _MUSIC, "error of the audio delay, mean", "ms", 1, "mean_abs"),
    Figure("offset_error_ms", _MUSIC, "error of the audio delay, p95", "ms", 1, "p95_abs"),
    Figure("offset_error_ms", _MUSIC, "error of the audio delay, maximum", "ms", 1, "max_abs"),
    Figure("labelled", _FINGERING, "notes with a fingering label", "%", 1),
    Figure("label_right", _FINGERING, "fingering labels with correct hand and finger", "%", 1),
    Figure("label_hand_right", _FINGERING, "labels with correct hand", "%", 1),
    *(Figure(f"label_right_{name}", _FINGERING, f"labels correct, {name.replace('_', ' ')}", "%", 1) for name in TEXTURES),
    Figure("observed", _MOTION, "hands observed after cleaning, of visible hands", "%", 1),
    Figure("short_gaps", _MOTION, "short gaps interpolated", "of", 0),
    Figure("long_gaps", _MOTION, "long gaps hidden", "of", 0),
    Figure("joint_error_mm", _MOTION, "joint error after rigid alignment of each hand", "mm", 1),
    Figure("tip_error_mm", _MOTION, "fingertip error in the keyboard frame", "mm", 1),
    Figure("tip_error_along_mm", _MOTION, "fingertip error along the keyboard", "mm", 1),
    Figure("tip_error_across_mm", _MOTION, "fingertip error across the keyboard", "mm", 1),
    Figure("tip_error_height_mm", _MOTION, "fingertip error in height", "mm", 1),
    Figure("tip_error_by_sight_mm", _MOTION, "fingertip error before refinement with notes", "mm", 1),
    Figure("key_press_f1", _MOTION, "key press F1 of the estimated motion, with the true notes", "", 3),
    Figure("key_press_f1_of_truth", _MOTION, "key press F1 of the true motion, with the true notes", "", 3),
)
"""All figures, in the order of the tables."""

# Statistics of samples, by name.
_STATISTICS = {
    "mean_abs": lambda samples: float(np.mean(np.abs(samples))),
    "p95_abs": lambda samples: float(np.percentile(np.abs(samples), 95)),
    "max_abs": lambda samples: float(np.max(np.abs(samples))),
}


def summarise(scores, seed=0):
    """Compute the figures over all performances.

    Parameters
    ----------
    scores : sequence of dict
        Scores of each performance: `counts` (key to numerator and denominator) and `samples` (key to list of numbers).
    seed : int
        Random seed of the bootstrap over performances.

    Returns
    -------
    list of dict
        The fields of each `Figure`, and its values: `value`; `low` and `high`, the ends of the 95 % interval; `count`, the denominator or
        the number of samples; `good`, the numerator, or None for samples. The ends of the interval are None for percentiles and maxima, and
        if there are fewer than two performances. Figures without a value are left out.
    """
    return [row for figure in FIGURES if (row := _summarise(figure, scores, seed))]


def _summarise(figure, scores, seed):
    """Compute the row of a figure, a dict as in the result of `summarise`; None if the figure has no value."""
    facts = {name: getattr(figure, name) for name in ("key", "stage", "title", "unit", "digits", "statistic")}
    if figure.statistic == "ratio":
        pairs = np.array([score["counts"][figure.key] for score in scores if figure.key in score["counts"]], dtype=float).reshape(-1, 2)
        pairs = pairs[pairs[:, 1] > 0]
        if not len(pairs):
            return None
        good, count = pairs.sum(axis=0)
        return facts | {"value": good / count, "good": good, "count": count} | _interval(pairs, seed)
    samples = [np.array(score["samples"][figure.key], dtype=float) for score in scores if score["samples"].get(figure.key)]
    if not samples:
        return None
    pooled, statistic = np.concatenate(samples), _STATISTICS[figure.statistic]
    bounds = {"low": None, "high": None}
    if figure.statistic == "mean_abs":
        sums = np.array([[np.abs(part).sum(), len(part)] for part in samples])
        bounds = _interval(sums, seed)
    return facts | {"value": statistic(pooled), "good": None, "count": len(pooled)} | bounds


def _ratio(numerator, denominator, axis=-1):
    """Divide the sum of numerators by the sum of denominators, both along `axis`."""
    return np.sum(numerator, axis=axis) / np.sum(denominator, axis=axis)


def _interval(pairs, seed):
    """Compute the 95 % interval of a ratio of sums by the bootstrap over performances. Return a dict of its ends, `low` and `high`.

    `pairs` (performance, 2) contains numerator and denominator of each performance; `seed` is the random seed of the bootstrap.
    """
    if len(pairs) < 2:
        return {"low": None, "high": None}
    drawn = bootstrap(
        tuple(pairs.T),
        _ratio,
        n_resamples=RESAMPLES,
        paired=True,
        vectorized=True,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return {"low": float(drawn.low), "high": float(drawn.high)}


CONFIDENCE_EDGES = (0.0, 0.7, 0.8, 0.9, 0.95, 0.99, 1.0)
"""Edges of the confidence bins of `reliability`, 0..1."""


def reliability(scores):
    """Compute the share of correct fingering labels for each bin of confidence.

    Parameters
    ----------
    scores : sequence of dict
        See `summarise`.

    Returns
    -------
    list of dict
        For each bin that contains labels: its edges `from` and `to`, the number of `labels`, their mean `confidence`, and `right`, the
        share of correct labels.
    """
    confidence, right = (
        np.array([value for score in scores for value in score["samples"].get(key, ())]) for key in ("label_confidence", "label_right")
    )
    group = np.digitize(confidence, CONFIDENCE_EDGES[1:-1])
    rows = []
    for i in np.unique(group):
        chosen = group == i
        means = {"confidence": float(confidence[chosen].mean()), "right": float(right[chosen].mean())}
        rows.append({"from": CONFIDENCE_EDGES[i], "to": CONFIDENCE_EDGES[i + 1], "labels": int(chosen.sum()), **means})
    return rows


def value_text(row):
    """Format the value of a row with its unit."""
    if row["unit"] == "of":
        return f"{row['good']:.0f} of {row['count']:.0f}"
    return _number(row, row["value"]) + (f" {row['unit']}" if row["unit"] else "")


def interval_text(row):
    """Format the interval of a row. Without an interval the text is empty."""
    return "" if row["low"] is None or row["unit"] == "of" else f"{_number(row, row['low'])} to {_number(row, row['high'])}"


def _number(row, value):
    """Format a number with the decimals of a row (`digits`), multiplied by 100 if the unit of the row is %."""
    return f"{(100.0 if row['unit'] == '%' else 1.0) * value:.{row['digits']}f}"
