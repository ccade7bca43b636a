import csv
from pathlib import Path

import pytest

from handroll.metrics.correction_table import correction_rows, write_correction_tables
from handroll.models.correction_rows import ROWS
from handroll.training_data.motion_noise import NOISES

PUBLISHED = Path(__file__).resolve().parents[3] / "resources" / "published" / "mapnet.tsv"


def entry(row, every, mpjpe_mm):
    score = {"value": mpjpe_mm, "low": mpjpe_mm - 0.5, "high": mpjpe_mm + 0.5, "clips": 9, "left_out": 0}
    scores = {"mpjpe_mm": score, "mpjae_mm": score, "gap_mpjpe_mm": dict.fromkeys(score)}
    costs = {} if row == "interpolation" else {"parameters": 2500000, "training_s": 90.0, "step_ms": 30.0, "memory_gb": 0.5}
    return {"row": row, "every": every, "windows": 9, "costs": costs, "scores": dict.fromkeys(NOISES, scores)}


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    with open(PUBLISHED, encoding="utf-8", newline="") as file:
        published = list(csv.DictReader(file, delimiter="\t"))
    scores = [entry("interpolation", 3, 9.0), entry("mapnet", 1, 4.0), entry("mapnet", 3, 5.0), entry("mapnet_early", 3, 6.0)]
    paths = [folder / name for name in ("correction.csv", "correction.md", "correction.html")]
    write_correction_tables(correction_rows(scores, published), "demo & more", *paths, "What <it> is")
    return {path.suffix[1:]: path.read_text(encoding="utf-8") for path in paths}


def block(tables, heading):
    """Lines of the table with a heading."""
    text = tables["md"].split(f"## {heading}\n")[1].split("\n## ")[0]
    return [line for line in text.splitlines() if line.startswith("|")]


def test_frame_rates_are_side_by_side_with_the_published_ones(tables):
    lines = block(tables, "Frame rates, noise of the paper")
    assert lines[0] == "| method | MPJPE at tau 1.00, mm ↓ | MPJPE at tau 0.33, mm ↓ |"
    assert "| interpolation | – | 9.00 ± 0.50 |" in lines and "| mapnet | **4.00 ± 0.50** | **5.00 ± 0.50** |" in lines
    assert "| moving_average (published) | 292.31 | 311.20 |" in lines


def test_the_best_row_of_each_frame_rate_is_bold(tables):
    lines = block(tables, "Difficulty, measured noise")
    bold = [line.split(" | ")[:2] for line in lines if "**" in line]
    assert bold == [["| mapnet", "1.00"], ["| mapnet", "0.33"]]
    assert "| lstm_pose (published) |  | – | – | 385.17 | 310.62 | 273.72 | – |  |  |  |  |" in lines
    assert next(line for line in lines if line.startswith("| mapnet_early")).endswith("| – | 2.50 | 1.5 | 30 | 0.50 |")


def test_a_question_needs_two_of_its_rows(tables):
    assert tables["md"].count("## Fusion") == 2 and "## Rebalancing" not in tables["md"]
    assert "| mapnet_balanced (published) |  | 28.22 | 41.53 |  |  |  |  |" in block(tables, "Fusion, noise of the paper")


def test_csv_has_every_score_and_names_the_noise(tables):
    rows = list(csv.DictReader(tables["csv"].splitlines()))
    own = [row for row in rows if not row["published_table"]]
    assert len(own) == 8 and {row["noise"] for row in own} == set(NOISES)
    assert (own[0]["mpjpe_mm"], own[0]["mpjpe_mm_low"], own[0]["gap_mpjpe_mm"], own[0]["parameters"]) == ("9", "8.5", "", "")
    assert {row["method"] for row in rows if row["published_table"]} <= set(ROWS)


def test_text_is_escaped(tables):
    assert "demo &amp; more, correction of motion" in tables["html"] and "What &lt;it&gt; is" in tables["html"]
