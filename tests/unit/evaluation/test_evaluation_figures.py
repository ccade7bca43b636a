"""Figures over performances, their intervals, and the pages that quote them."""

import json
from pathlib import Path

import numpy as np
import pytest

from handroll.config.pipeline import Evaluation
from handroll.config.sheet import SheetError
from handroll.evaluation.figures import FIGURES, reliability, summarise, value_text
from handroll.evaluation.table import full_table, headline_table, insert, pages
from handroll.evaluation.videos import distinct_rows, simulated_rows

ROOT = Path(__file__).resolve().parents[3]


def scores(rng, number=12):
    return [
        {
            "counts": {
                "label_right": (int(rng.integers(80, 100)), 100),
                "tip_error_mm": (float(rng.normal(800, 50)), 100),
                "short_gaps": (2, 2),
            },
            "samples": {"offset_error_ms": [float(rng.normal(0, 5))], "label_confidence": [0.75, 0.995], "label_right": [0.0, 1.0]},
        }
        for _ in range(number)
    ]


def row_of(rows, key, statistic="ratio"):
    return next(row for row in rows if (row["key"], row["statistic"]) == (key, statistic))


def test_ratios_are_of_sums_and_intervals_hold_them():
    made = scores(np.random.default_rng(0))
    row = row_of(summarise(made), "label_right")
    assert row["value"] == sum(score["counts"]["label_right"][0] for score in made) / 1200
    assert row["low"] < row["value"] < row["high"] and row["count"] == 1200
    assert summarise(made) == summarise(made)


def test_extremes_of_samples():
    made = scores(np.random.default_rng(1))
    errors = np.abs([score["samples"]["offset_error_ms"][0] for score in made])
    rows = summarise(made)
    assert row_of(rows, "offset_error_ms", "max_abs")["value"] == errors.max()
    assert row_of(rows, "offset_error_ms", "p95_abs")["value"] == pytest.approx(np.percentile(errors, 95))
    mean = row_of(rows, "offset_error_ms", "mean_abs")
    assert mean["value"] == pytest.approx(errors.mean()) and mean["low"] < mean["value"] < mean["high"]


def test_figures_that_no_performance_has_are_left_out_and_one_has_no_interval():
    rows = summarise([{"counts": {"label_right": (0, 0), "tip_error_mm": (8.0, 2)}, "samples": {}}])
    assert [row["key"] for row in rows] == ["tip_error_mm"]
    assert (rows[0]["value"], rows[0]["low"]) == (4.0, None)


def test_reliability_by_class():
    rows = reliability(scores(np.random.default_rng(2), 3))
    assert [(row["labels"], row["right"]) for row in rows] == [(3, 0.0), (3, 1.0)]


def test_values_as_text():
    assert value_text({"unit": "%", "digits": 1, "value": 0.9876}) == "98.8 %"
    assert value_text({"unit": "of", "digits": 0, "value": 0.5, "good": 7.0, "count": 8.0}) == "7 of 8"
    assert value_text({"unit": "mm", "digits": 1, "value": 4.96}) == "5.0 mm"


def test_a_page_keeps_its_own_text():
    page = "before\n<!-- evaluation: all -->\nold\n<!-- end of evaluation -->\nafter\n"
    assert insert(page, "all", "new\n") == "before\n<!-- evaluation: all -->\nnew\n<!-- end of evaluation -->\nafter\n"
    with pytest.raises(ValueError, match="expected a generated part between the lines"):
        insert("nothing here", "all", "new\n")


def test_keys_of_figures_are_distinct():
    names = [(figure.key, figure.statistic) for figure in FIGURES]
    assert len(set(names)) == len(names)


def test_readme_and_docs_quote_the_stored_evaluation():
    evaluation = json.loads((ROOT / "docs" / "evaluation.json").read_text(encoding="utf-8"))
    for name, text in pages(evaluation, ROOT).items():
        assert (ROOT / name).read_text(encoding="utf-8") == text, "run: python -m handroll.evaluation.table docs/evaluation.json"
    assert "fingertip error" in headline_table(evaluation) and len(full_table(evaluation)) > len(headline_table(evaluation))


def test_rows_of_the_evaluation_may_not_have_a_name_of_the_sheet():
    rows = simulated_rows(Evaluation(performances=2, first_seed=7))
    assert [name for _, name in rows] == ["seed_7", "seed_8"]
    assert distinct_rows({}, rows) == rows
    with pytest.raises(SheetError, match="evaluation/seed_7"):
        distinct_rows({("evaluation", "seed_7"): None}, rows)
