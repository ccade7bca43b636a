import numpy as np
import pytest

from handroll import tables
from handroll.storage import from_arrow, read_table, to_arrow, write_table
from handroll.tables import MOTION, NOTES, SHARD, Table, by_frame, by_row, frame_keys, join_rows

TABLES = [value for value in vars(tables).values() if isinstance(value, Table)]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_definition_is_sound_and_empty_tables_are_valid(table, tmp_path):
    names = [column.name for column in table.columns]
    assert len(set(names)) == len(names)
    for column in table.columns:
        unit = next((u for u in ("s", "m", "px", "rad", "hz", "db", "mm") if column.name.endswith(f"_{u}")), "")
        assert column.unit.lower() == unit or (column.name, column.unit) == ("fps", "Hz"), column.name
        assert all(length is not None for _, length in column.axes[1:]), column.name
    write_table(tmp_path / "x.parquet", table, table.empty())
    assert all(len(values) == 0 for values in read_table(tmp_path / "x.parquet", table)[0].values())
    assert {name: values.dtype for name, values in table.empty().items()} == {
        name: values.dtype for name, values in from_arrow(table, to_arrow(table, table.empty())).items()
    }


def test_tables_have_different_names():
    assert len({table.name for table in TABLES}) == len(TABLES)


def test_a_clip_has_every_column_of_the_motion_for_both_hands():
    names = {column.name for column in SHARD.columns}
    for column in MOTION.columns[3:]:
        assert {f"left_{column.name}", f"right_{column.name}"} <= names


def test_rows_are_joined_in_order():
    parts = [{**NOTES.empty(), **{c.name: np.array([k, k + 1], c.dtype.to_pandas_dtype()) for c in NOTES.columns}} for k in (5, 1)]
    assert join_rows(NOTES, parts)["pitch"].tolist() == [5, 6, 1, 2]
    assert join_rows(NOTES, [])["pitch"].dtype == np.int8


def test_by_row_and_by_frame_are_inverse():
    keys = frame_keys([0.0, 0.04, 0.1])
    rows = by_row({**keys, "points_m": np.arange(3 * 2 * 4 * 3).reshape(3, 2, 4, 3)})
    assert rows["hand"].tolist() == ["left", "right"] * 3
    assert rows["frame"].tolist() == [0, 0, 1, 1, 2, 2]
    assert rows["time_s"].tolist() == [0.0, 0.0, 0.04, 0.04, 0.1, 0.1]
    assert rows["points_m"].shape == (6, 4, 3)
    np.testing.assert_array_equal(by_frame(rows)["points_m"][2, 1], rows["points_m"][5])
    empty = by_frame(by_row(frame_keys([])))
    assert empty["frame"].shape == (0, 2) and by_frame(MOTION.empty())["joints_m"].shape == (0, 2, 21, 3)
