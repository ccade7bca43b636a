import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from handroll import tables
from handroll.storage import SchemaError, from_arrow, read_table, to_arrow, write_json, write_table
from handroll.tables import MOTION, NOTES, Column, Table

SAMPLE = Table(
    "sample",
    "a thing",
    (
        Column("name", pa.string(), "a name"),
        Column("kept", pa.bool_(), "a flag"),
        Column("count", pa.int8(), "a number"),
        Column("points_m", pa.float32(), "points", "m", (("point", 4), ("xyz", 3))),
        Column("time_s", pa.float64(), "times", "s", (("frame", None),)),
        Column("path_m", pa.float32(), "a path", "m", (("frame", None), ("joint", 2), ("xyz", 3))),
        Column("events", pa.list_(pa.struct([("onset_s", pa.float64()), ("pitch", pa.int8())])), "events"),
        Column("blob", pa.struct([("bytes", pa.binary()), ("path", pa.string())]), "a file"),
    ),
)


def sample(lengths=(5, 0, 3)):
    rng = np.random.default_rng(1)
    rows = len(lengths)
    return {
        "name": np.array([f"é{i}" for i in range(rows)], dtype=object),
        "kept": np.arange(rows) % 2 == 0,
        "count": np.arange(rows, dtype=np.int8),
        "points_m": rng.normal(size=(rows, 4, 3)).astype(np.float32),
        "time_s": [np.arange(n) / 30.0 for n in lengths],
        "path_m": [rng.normal(size=(n, 2, 3)).astype(np.float32) for n in lengths],
        "events": [[{"onset_s": 0.5 * k, "pitch": 60 + k} for k in range(n)] for n in lengths],
        "blob": [{"bytes": b"\0" * n, "path": None} if n else None for n in lengths],
    }


@pytest.mark.parametrize("lengths", [(5, 0, 3), (2, 2), (0,), ()])
def test_what_is_written_is_read(tmp_path, lengths):
    written = sample(lengths)
    write_table(tmp_path / "x.parquet", SAMPLE, written, {"engine": "ü"})
    read, metadata = read_table(tmp_path / "x.parquet", SAMPLE)
    assert metadata == {"handroll_table": "sample", "handroll_schema_version": tables.SCHEMA_VERSION, "engine": "ü"}
    assert list(read) == [column.name for column in SAMPLE.columns]
    for name in ("kept", "count", "points_m"):
        np.testing.assert_array_equal(read[name], written[name])
        assert read[name].dtype == written[name].dtype
        read[name][...] = 0  # Arrays belong to the caller, who may write to them.
    for name in ("time_s", "path_m"):
        assert len(read[name]) == len(lengths)
        for got, expected in zip(read[name], written[name], strict=True):
            np.testing.assert_array_equal(got, expected)
            assert got.dtype == expected.dtype
    for name in ("name", "events", "blob"):
        assert list(read[name]) == list(written[name])


def test_nan_stays_nan_and_is_not_null(tmp_path):
    columns = sample()
    columns["points_m"][1] = np.nan
    write_table(tmp_path / "x.parquet", SAMPLE, columns)
    assert pq.read_table(tmp_path / "x.parquet")["points_m"].null_count == 0
    assert np.isnan(read_table(tmp_path / "x.parquet", SAMPLE)[0]["points_m"][1]).all()


def test_a_sliced_and_chunked_table_is_read_as_a_whole_one():
    whole = to_arrow(SAMPLE, sample((4, 1, 0, 6)))
    pieces = pa.concat_tables([whole.slice(1, 1), whole.slice(3, 1)])
    read = from_arrow(SAMPLE, pieces)
    assert [len(path) for path in read["path_m"]] == [1, 6]
    np.testing.assert_array_equal(read["path_m"][1], from_arrow(SAMPLE, whole)["path_m"][3])
    np.testing.assert_array_equal(read["points_m"], from_arrow(SAMPLE, whole)["points_m"][[1, 3]])


def test_the_same_table_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_table(tmp_path / name, SAMPLE, sample(), {"x": "y"})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": None}, "missing: name; unknown: none"),
        ({"extra": [1]}, "missing: none; unknown: extra"),
        ({"kept": np.zeros(2, bool)}, r"column kept: expected shape \(3,\), found \(2,\)"),
        ({"count": np.zeros((3, 2), np.int8)}, r"column count: expected shape \(3,\), found \(3, 2\)"),
        ({"points_m": np.zeros((3, 12), np.float32)}, r"column points_m: expected shape \(3, 4, 3\), found \(3, 12\)"),
        ({"path_m": [np.zeros((5, 6))] * 3}, r"column path_m, row 0: expected shape \(frame, 2, 3\), found \(5, 6\)"),
        ({"time_s": [np.zeros(1), np.zeros(2), np.float64(3)]}, r"column time_s, row 2: expected shape \(frame\), found \(\)"),
        ({"events": [[]]}, r"column events: expected shape \(3,\), found \(1,\)"),
    ],
)
def test_a_column_that_does_not_fit_is_rejected_by_name(change, message):
    columns = {name: value for name, value in {**sample(), **change}.items() if value is not None}
    with pytest.raises(SchemaError, match=f"table sample.*{message}"):
        to_arrow(SAMPLE, columns)


def test_a_value_that_the_column_cannot_hold_is_refused():
    with pytest.raises(pa.ArrowInvalid):
        to_arrow(SAMPLE, {**sample(), "count": np.array([1, 2, 300])})


def test_another_table_is_refused_with_its_path(tmp_path):
    write_table(tmp_path / "notes.parquet", NOTES, NOTES.empty())
    with pytest.raises(SchemaError, match=r"notes\.parquet: expected a handroll motion table"):
        read_table(tmp_path / "notes.parquet", MOTION)
    (tmp_path / "text.parquet").write_text("no Parquet at all")
    with pytest.raises(SchemaError, match=r"text\.parquet: expected a handroll motion table"):
        read_table(tmp_path / "text.parquet", MOTION)


@pytest.mark.parametrize("name", ["count", "time_s"])
def test_missing_numbers_are_refused(tmp_path, name):
    """Arrow would turn integers with gaps into floats, and leave out rows of arrays."""
    whole = to_arrow(SAMPLE, sample())
    values = pa.array([None, *whole[name].to_pylist()[1:]], whole[name].type)
    pq.write_table(whole.set_column(whole.column_names.index(name), whole.schema.field(name), values), tmp_path / "a.parquet")
    with pytest.raises(SchemaError, match=f"column {name}: expected a value in every row, found 1 without one"):
        read_table(tmp_path / "a.parquet", SAMPLE)


def test_damage_anywhere_is_noticed(tmp_path):
    path = tmp_path / "notes.parquet"
    rng = np.random.default_rng(0)
    notes = {column.name: rng.integers(1, 100, 400).astype(NOTES.empty()[column.name].dtype) for column in NOTES.columns}
    write_table(path, NOTES, notes)
    whole = path.read_bytes()
    for at in np.linspace(4, len(whole) - 1, 40).astype(int):
        damaged = bytearray(whole)
        damaged[at] ^= 0x10
        path.write_bytes(damaged)
        try:
            columns, _ = read_table(path, NOTES)
        except SchemaError as error:
            assert "delete it and run again" in str(error)
        else:
            # Not every byte matters: some are reserved or name the writer of the file.
            assert all(np.array_equal(columns[name], notes[name]) for name in notes)


def test_folders_named_like_partitions_add_no_columns(tmp_path):
    write_table(tmp_path / "subject=3" / "notes.parquet", NOTES, NOTES.empty())
    assert list(read_table(tmp_path / "subject=3" / "notes.parquet", NOTES)[0]) == [column.name for column in NOTES.columns]


def test_json_keeps_order_and_refuses_nan(tmp_path):
    write_json(tmp_path / "x.json", {"b": "é", "a": [1]})
    assert (tmp_path / "x.json").read_text(encoding="utf-8") == '{\n  "b": "é",\n  "a": [\n    1\n  ]\n}\n'
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "x.json", {"a": float("nan")})
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"] and "é" in (tmp_path / "x.json").read_text(encoding="utf-8")
