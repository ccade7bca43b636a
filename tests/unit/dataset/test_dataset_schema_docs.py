import re
from pathlib import Path

import numpy as np
import pytest

from handroll import tables
from handroll.dataset.schema_docs import column_table_markdown, page

PAGE = Path(__file__).parents[3] / "docs" / "dataset.md"
SNIPPETS = re.findall(r"```python\n(.*?)```", page(), re.DOTALL)


def test_the_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == page(), "out of date; run: python -m handroll.dataset.schema_docs docs/dataset.md"


def test_every_table_and_column_is_on_the_page():
    for table in (v for v in vars(tables).values() if isinstance(v, tables.Table)):
        for column in table.columns:
            assert f"| `{column.name}` |" in page() and column.description in page()
            assert "|" not in column.description + column.unit


def test_shapes_have_axis_names():
    assert "| `left_joints_m` | float32 | frame, joint 21, xyz 3 | m |" in column_table_markdown(tables.SHARD)


@pytest.fixture
def offline(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)


@pytest.mark.parametrize("snippet", SNIPPETS, ids=["handroll", "pyarrow", "polars", "duckdb", "datasets"])
def test_the_examples_for_loading_run(snippet, dataset, records, monkeypatch, offline):
    monkeypatch.chdir(dataset)
    names = {}
    exec(snippet, names)
    motion = records["ann", "long"].motion
    if "joints_m" in names:
        np.testing.assert_array_equal(names["joints_m"], motion["joints_m"][:900, 0])
    if "rotation_rad" in names:
        np.testing.assert_array_equal(names["rotation_rad"], motion["rotation_rad"][:900, 1])
        np.testing.assert_array_equal(names["visible"], motion["state"][:900, 1] > 0)
    if "pitches" in names:
        assert names["pitches"]["len"].sum() == 4 * 60
    if "samples" in names:
        assert len(names["samples"]) == 30 * names["rate_hz"]


def test_duckdb_reads_every_value(dataset, records):
    import duckdb

    path = dataset / "results" / "dataset" / "*-*.parquet"
    counts = duckdb.sql(f"SELECT split, count(*), sum(len(notes)) FROM '{path}' GROUP BY split ORDER BY split").fetchall()
    assert counts == [("test", 2, 120), ("train", 2, 120)]
    ((values,),) = duckdb.sql(f"SELECT right_translation_m FROM '{path}' WHERE subject = 'bob' AND clip = 1").fetchall()
    np.testing.assert_array_equal(np.array(values, np.float32), records["bob", "long"].motion["translation_m"][720:1620, 1])


def test_datasets_reads_the_splits_that_have_clips_and_keeps_shapes(dataset, offline):
    from datasets import Audio, List, load_dataset

    loaded = load_dataset(str(dataset / "results" / "dataset"))
    assert {split: len(rows) for split, rows in loaded.items()} == {"train": 2, "test": 2}
    assert loaded["train"].features["left_rotation_rad"].feature == List(loaded["train"].features["left_bone_scale"], length=48)
    sound = loaded["test"].cast_column("audio", Audio(decode=False))[0]["audio"]
    assert sound["path"].endswith(".flac") and sound["bytes"][:4] == b"fLaC"
