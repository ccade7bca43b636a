import json
import re

import numpy as np
import pytest

from handroll.dataset.card import card, escape
from handroll.dataset.croissant import croissant
from handroll.dataset.plots import plot_keys, plot_velocities
from handroll.dataset.shards import survey_shards
from handroll.dataset.statistics import describe
from handroll.tables import CLIPS, FINGERED_NOTES, SHARD, SPLITS


@pytest.fixture
def statistics(dataset):
    return json.loads((dataset / "results" / "dataset" / "statistics.json").read_text())


def test_subjects_splits_and_rejections_are_counted(statistics):
    assert statistics["subjects"] == [
        {
            "subject": subject,
            "videos": videos,
            "rejected_videos": videos - 1,
            "videos_in_dataset": 1,
            "clips": 2,
            "rejected_clips": 0,
            "seconds": 54.0,
            "clip_seconds": 60.0,
            "frames": 1620,
        }
        for subject, videos in (("ann", 1), ("bob", 2))
    ]
    assert statistics["totals"]["videos"] == 3 and statistics["totals"]["seconds"] == 108.0
    assert [(row["split"], row["clips"], row["seconds"], row["shards"]) for row in statistics["splits"]] == [
        ("train", 2, 54.0, 1),
        ("valid", 0, 0, 1),
        ("test", 2, 54.0, 1),
    ]
    assert statistics["rejections"] == {"videos": {"too_short": 1}, "clips": {}}
    assert statistics["notes"]["count"] == 216 and len(statistics["notes"]["pitch"]) == 88 and len(statistics["notes"]["velocity"]) == 127
    assert statistics["notes"]["pitch"][40 - 21] == 6
    assert statistics["visibility"]["accepted"]["0"] == pytest.approx(1700 / 1800, abs=1e-4)


def test_rejected_windows_between_kept_ones_do_not_count(splits):
    clips = {
        "subject": ["ann"] * 3,
        "video": ["long"] * 3,
        "clip": [0, 1, 2],
        "start_s": [0.0, 24.0, 48.0],
        "end_s": [30.0, 54.0, 78.0],
        "start_frame": [0, 240, 480],
        "end_frame": [300, 540, 780],
        "visibility": [1.0, 0.2, 0.9],
        "accepted": [True, False, True],
        "reasons": ["", "clip_hands_hidden,clip_no_notes", ""],
    }
    clips = {name: np.array(values) for name, values in clips.items()}
    survey = {"pitch": np.zeros(128, int), "velocity": np.zeros(128, int), "values": {}}
    statistics = describe([], clips, splits, {"shards": [], "left_out": {}}, survey)
    assert statistics["totals"]["seconds"] == 60.0 and statistics["totals"]["frames"] == 600
    assert statistics["rejections"]["clips"] == {"clip_hands_hidden": 1, "clip_no_notes": 1}
    assert statistics["totals"]["rejected_clips"] == 1


def test_the_front_matter_is_yaml_that_names_the_splits_with_clips(dataset):
    yaml = pytest.importorskip("yaml")
    _, front, body = (dataset / "results" / "dataset" / "README.md").read_text().split("---\n", 2)
    front = yaml.safe_load(front)
    assert front["pretty_name"] == 'A <test> | of *cards*: "quoted"'
    assert front["license"] == "other" and front["size_categories"] == ["n<1K"]
    assert front["configs"][0]["data_files"] == [{"split": s, "path": f"{s}-*.parquet"} for s in ("train", "test")]
    assert "A &lt;test&gt; \\| of \\*cards\\*" in body


def test_the_card_describes_its_own_data(statistics):
    text = card("x", statistics, {"clips.length_s": 30.0, "pose.focal_px": None})
    assert "Depth is not metric" in text and "| `pose.focal_px` | null |" in text
    assert "`too_short`" in text and "not stated" in text
    assert "| CC-BY-4.0 | 2 |" in text
    made_by = statistics["made_by"] | {"focal_source": {"sheet": 4}, "licence": {"CC-BY-4.0": 4}}
    text = card("x", statistics | {"made_by": made_by}, {})
    assert "Depth is not metric" not in text and "license: cc-by-4.0" in text


def test_every_table_of_the_card_has_rows_of_one_width(dataset):
    width = None
    for line in (dataset / "results" / "dataset" / "README.md").read_text().splitlines():
        if not line.startswith("|"):
            width = None
            continue
        cells = len(re.findall(r"(?<!\\)\|", line))
        assert width in (None, cells), line
        width = cells


@pytest.mark.parametrize(
    ("text", "shown"),
    [("a|b", "a\\|b"), ("a\n\n# b", "a \\# b"), ("<b>&", "&lt;b&gt;&amp;"), ("[x](y)", "\\[x\\]\\(y\\)"), ("`c`", "\\`c\\`")],
)
def test_text_from_outside_is_displayed_unchanged(text, shown):
    assert escape(text) == shown


def test_an_empty_dataset_has_a_card(tmp_path):
    survey = survey_shards(tmp_path, {"shards": [], "left_out": {}})
    left_out = {"permission_unknown": {"videos": 2, "clips": 7, "seconds": 180.0}}
    statistics = describe([], CLIPS.empty(), SPLITS.empty(), {"shards": [], "left_out": left_out}, survey)
    text = card("nothing", statistics, {})
    assert "None." in text and "withheld for their rights: 7 clips of 2 videos (`permission_unknown`, 180 s)" in text
    plot_keys(tmp_path / "keys.png", statistics["notes"]["pitch"])
    plot_velocities(tmp_path / "velocities.png", statistics["notes"]["velocity"])
    json.dumps(statistics, allow_nan=False)


def test_plots_have_the_same_bytes_each_time(tmp_path, dataset, statistics):
    plot_keys(tmp_path / "keys.png", statistics["notes"]["pitch"])
    plot_velocities(tmp_path / "velocities.png", statistics["notes"]["velocity"])
    for name in ("keys.png", "velocities.png"):
        data = (tmp_path / name).read_bytes()
        assert data == (dataset / "results" / "dataset" / name).read_bytes()
        assert b"matplotlib" not in data.lower()


def test_croissant_describes_every_shard_and_column(dataset, statistics):
    manifest = json.loads((dataset / "results" / "dataset" / "shards.json").read_text())
    described = croissant("x", statistics, manifest)
    assert [f["sha256"] for f in described["distribution"] if f["@type"] == "cr:FileObject"] == [s["sha256"] for s in manifest["shards"]]
    fields = {field["source"]["extract"]["column"]: field for field in described["recordSet"][0]["field"]}
    assert list(fields) == [column.name for column in SHARD.columns]
    assert fields["left_joints_m"]["arrayShape"] == "-1,21,3" and fields["left_joints_m"]["dataType"] == "cr:Float32"
    assert [f["name"] for f in fields["notes"]["subField"]] == [f"clips/notes/{column.name}" for column in FINGERED_NOTES.columns]
