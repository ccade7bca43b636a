import csv
from pathlib import Path

import pytest

from handroll.metrics.tables import benchmark_table, write_tables

PUBLISHED = Path(__file__).resolve().parents[3] / "resources" / "published" / "pianomotion10m.tsv"


def score(value, low=None, high=None):
    return {"value": value, "low": low, "high": high, "clips": 10, "left_out": 0}


SCORES = [
    {"method": "ground_truth", "scores": {"key_press_f1": score(0.9, 0.8, 1.0), "frechet_motion": score(0.0, 0.0, 0.0)}},
    {"method": "mean_pose", "scores": {"key_press_f1": score(None), "frechet_motion": score(9.0, 8.0, 10.0)}},
    {
        "method": "two_stage-notes-transformer-ddpm-5",
        "scores": {"key_press_f1": score(0.5, 0.4, 0.6), "frechet_motion": score(2.0, 1.5, 2.5), "released_left_fgd": score(0.3)},
    },
]
COSTS = [
    {},
    {},
    {
        "variant": "contacts",
        "input": "notes",
        "features": "<notes>",
        "decoder": "transformer",
        "sampler": "ddpm",
        "steps": 5,
        "parameters": 2500000,
        "training_s": 90.0,
        "sampling_ms": 12.5,
    },
]


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    with open(PUBLISHED, encoding="utf-8", newline="") as file:
        published = list(csv.DictReader(file, delimiter="\t"))
    paths = [folder / name for name in ("table.csv", "table.md", "table.html")]
    write_tables(benchmark_table(SCORES, COSTS, published), "demo & more", *paths, "What <it> is")
    return {path.suffix[1:]: path.read_text(encoding="utf-8") for path in paths}


def test_the_experiment_is_described(tables):
    assert "\n\nWhat <it> is\n" in tables["md"] and "<p>What &lt;it&gt; is</p>" in tables["html"]


def test_csv_has_every_score_with_its_interval(tables):
    rows = list(csv.DictReader(tables["csv"].splitlines()))
    assert [row["method"] for row in rows[:3]] == ["ground_truth", "mean_pose", "two_stage"]
    assert (rows[2]["key_press_f1"], rows[2]["key_press_f1_low"], rows[2]["key_press_f1_high"]) == ("0.5", "0.4", "0.6")
    assert rows[1]["key_press_f1"] == "" and rows[2]["parameters"] == "2500000"


def test_published_rows_stand_beside_and_are_marked(tables):
    rows = [row for row in csv.DictReader(tables["csv"].splitlines()) if row["published_table"]]
    assert len(rows) == 15 and sum(row["published_table"] == "4" for row in rows) == 5
    large = next(row for row in rows if row["features"] == "HuBERT" and row["decoder"] == "TF" and row["method"] == "large")
    assert float(large["released_fid"]) == 3.281 and float(large["parameters"]) == 557e6
    assert tables["md"].count("(published)") == 15


def test_the_best_of_what_is_generated_is_bold(tables):
    line = next(line for line in tables["md"].splitlines() if line.startswith("| two_stage"))
    assert "**0.500 ± 0.100**" in line and "**2.00 ± 0.50**" in line and "| 2.50 | 1.5 | 12.5 |" in line
    truth = next(line for line in tables["md"].splitlines() if line.startswith("| ground_truth"))
    assert "**" not in truth


def test_text_is_escaped(tables):
    assert "&lt;notes&gt;" in tables["html"] and "<notes>" not in tables["html"]
    assert "demo &amp; more" in tables["html"]


def test_tables_are_rectangular(tables):
    for block in tables["md"].split("\n\n"):
        lines = [line for line in block.splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in lines}) <= 1


def test_the_input_of_methods_is_marked(tables):
    rows = list(csv.DictReader(tables["csv"].splitlines()))
    assert [row["input"] for row in rows[:3]] == ["", "", "notes"]
    assert all(row["input"] == "audio" for row in rows if row["published_table"])
    # Rows of one method differ by their variant.
    row = next(line for line in tables["md"].splitlines() if line.startswith("| two_stage"))
    assert row.startswith("| two_stage | contacts | notes | <notes> |")


def test_playing_has_a_table_with_the_calibrated_heights(tmp_path, tables):
    assert "## Playing the notes" not in tables["md"]
    playing = {"height_press_f1": score(0.9, 0.8, 1.0), "press_height_white_mm": score(-0.2), "press_height_black_mm": score(12.0)}
    rows = benchmark_table([{"method": "planned", "scores": playing}], [{"input": "notes"}], [])
    write_tables(rows, "demo", *(tmp_path / f"table.{kind}" for kind in ("csv", "md", "html")))
    text = (tmp_path / "table.md").read_text(encoding="utf-8")
    block = text[text.index("## Playing the notes") : text.index("## As PianoMotion10M")]
    assert "(0 mm on white and 12 mm on black keys" in block and "**0.900 ± 0.100**" in block
    unknown = playing | {"press_height_white_mm": score(None), "press_height_black_mm": score(None)}
    rows = benchmark_table([{"method": "planned", "scores": unknown}], [{}], [])
    write_tables(rows, "demo", *(tmp_path / f"table.{kind}" for kind in ("csv", "md", "html")))
    assert "calibrated on the ground truth. Position" in (tmp_path / "table.md").read_text(encoding="utf-8")


def test_each_table_answers_one_question(tmp_path):
    about = {"features": "notes", "decoder": "transformer"}
    sampled = [about | {"sampler": name, "steps": steps} for name, steps in (("dpmsolver++", 20), ("ddpm", 5))]
    first, second = sampled
    costs = [first, second, first | {"variant": "contacts"}, first | {"variant": "fusion 0", "ablation": True}]
    scores = [{"method": "s2c-notes", "scores": {"frechet_motion": score(float(number))}} for number in range(1, 5)]
    other = [{"method": "emotalk-notes", "scores": {"frechet_motion": score(9.0)}}]
    rows = benchmark_table([*scores, *other], [*costs, about], [])
    write_tables(rows, "demo", *(tmp_path / f"table.{kind}" for kind in ("csv", "md", "html")))
    blocks = (tmp_path / "table.md").read_text(encoding="utf-8").split("\n## ")[1:]

    def values(block):
        lines = [line for line in block.splitlines() if line.startswith(("| s2c", "| emotalk"))]
        return [next(cell for cell in line.replace("*", "").split(" | ") if cell.endswith(".00")) for line in lines]

    assert [block.splitlines()[0] for block in blocks] == ["Motion", "Sampling steps", "Ablations", "As PianoMotion10M computes them"]
    motion, steps, ablations, _ = blocks
    assert values(motion) == ["1.00", "3.00", "9.00"]
    assert values(steps) == ["1.00", "2.00"]
    assert values(ablations) == ["1.00", "3.00", "4.00"]
