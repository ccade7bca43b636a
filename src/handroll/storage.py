"""Write and read tables as Parquet files, and dicts as JSON files. Steps of the workflow use this module for both.

Every table is checked against its definition in `handroll.tables`, on writing and on reading. In memory, a table is a dict of column
name to numpy array.
"""

import json
from contextlib import contextmanager
from math import prod
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from handroll.provenance import atomic_path
from handroll.tables import SCHEMA_VERSION


class SchemaError(ValueError):
    """Raised if a table differs from its definition in columns, types or shapes, or if a file is damaged."""


@contextmanager
def undamaged(path, kind):
    """Convert an error that the block raises while it reads a file to a SchemaError with the path and the remedy.

    Parameters
    ----------
    path : path
    kind : str
        Expected kind of file with its article, for the message, such as "a handroll notes table".

    Raises
    ------
    SchemaError
        The file is of another kind, or is damaged. A missing file raises FileNotFoundError instead.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except (pa.ArrowException, KeyError, OSError, TypeError, ValueError) as error:
        # Arrow raises OSError if the middle of a file is damaged.
        raise SchemaError(
            f"{path}: expected {kind}, found another kind of file or a damaged one ({error}); "
            "delete it and run again: the workflow creates it again if it is needed"
        ) from error


def to_arrow(table, columns, metadata=None):
    """Convert a dict of arrays to an Arrow table, after a check against the definition.

    Parameters
    ----------
    table : Table
    columns : dict of str to array (rows, *column shape)
    metadata : dict of str to str, optional
        Further Parquet key-value metadata; the table name and the schema version are added.

    Returns
    -------
    pyarrow.Table

    Raises
    ------
    SchemaError
        A column is missing, unknown, or has another shape than its definition.
    """
    expected = [column.name for column in table.columns]
    if sorted(expected) != sorted(columns):
        missing, unknown = (", ".join(sorted(names)) or "none" for names in (set(expected) - set(columns), set(columns) - set(expected)))
        raise SchemaError(f"table {table.name}: expected exactly the columns of its definition; missing: {missing}; unknown: {unknown}")
    rows = len(columns[expected[0]])
    arrays = []
    for column in table.columns:
        values = columns[column.name]
        shape, wanted = ((len(values),), (rows,)) if column.is_object else (np.shape(values), (rows, *column.shape))
        if shape != wanted:
            raise SchemaError(f"table {table.name}, column {column.name}: expected shape {wanted}, found {shape}")
        if column.varies:
            arrays.append(_to_list_array(table, column, values))
        elif column.shape:
            arrays.append(_to_fixed_array(column, values))
        else:
            arrays.append(pa.array(list(values) if column.is_object else np.asarray(values), column.dtype))
    extra = {**(metadata or {}), "handroll_table": table.name, "handroll_schema_version": SCHEMA_VERSION}
    return pa.Table.from_arrays(arrays, schema=table.arrow_schema.with_metadata(extra))


def _to_fixed_array(column, values):
    """Convert values (n, *column shape) to an Arrow array of n items of fixed size."""
    flat = pa.array(np.ascontiguousarray(values, dtype=column.numpy_dtype).reshape(-1), column.dtype)
    return pa.FixedSizeListArray.from_arrays(flat, prod(column.shape)) if column.shape else flat


def _to_list_array(table, column, values):
    """Convert a sequence of arrays (n_i, *column shape), one for each row i, to an Arrow list array. `table`: for error messages."""
    for row, value in enumerate(values):
        if np.ndim(value) != 1 + len(column.shape) or np.shape(value)[1:] != column.shape:
            wanted = f"({', '.join(map(str, (column.axes[0][0], *column.shape)))})"
            raise SchemaError(f"table {table.name}, column {column.name}, row {row}: expected shape {wanted}, found {np.shape(value)}")
    offsets = np.cumsum([0, *(len(value) for value in values)])
    joined = np.concatenate([*values, np.empty((0, *column.shape), column.numpy_dtype)])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), _to_fixed_array(column, joined))


def from_arrow(table, arrow):
    """Convert an Arrow table to a dict of column name to array: the inverse of `to_arrow`.

    Raises
    ------
    SchemaError
        The columns differ from the definition, or a value of a numeric column is missing.
    """
    found = arrow.schema.remove_metadata()
    if not found.equals(table.arrow_schema):
        raise SchemaError(f"table {table.name}: expected columns\n{table.arrow_schema}\nfound\n{found}")
    return {column.name: _column_values(column, arrow.column(column.name)) for column in table.columns}


def _column_values(column, chunked):
    """Return the values of a column from its chunked Arrow array, as a writable copy."""
    if (column.varies or not column.is_object) and chunked.null_count:
        # If values are missing, Arrow would convert integers to floats, and drop the missing rows of array columns.
        raise SchemaError(f"column {column.name}: expected a value in every row, found {chunked.null_count} without one")
    # `combine_chunks` is avoided for a single chunk, since it always copies.
    chunk = chunked.chunk(0) if chunked.num_chunks == 1 else chunked.combine_chunks()
    if column.varies:
        items = chunk.flatten()
        flat = items.flatten() if column.shape else items
        joined = flat.to_numpy(zero_copy_only=False).reshape(-1, *column.shape).copy()
        bounds = np.cumsum(chunk.value_lengths().to_numpy(zero_copy_only=False))
        return _object_array(np.split(joined, bounds)[:-1])
    if column.shape:
        return chunk.flatten().to_numpy(zero_copy_only=False).reshape(-1, *column.shape).copy()
    if column.is_object:
        return _object_array(chunk.to_pylist())
    return chunk.to_numpy(zero_copy_only=False).copy()


def read_rows(file, table, group, names):
    """Read selected columns of a row group of a Parquet file.

    Parameters
    ----------
    file : pyarrow.parquet.ParquetFile
        Open file with the columns of `table`.
    table : Table
    group : int
        Index of the row group.
    names : sequence of str
        Columns to read. Other columns are not decoded.

    Returns
    -------
    dict of str to array (rows, *column shape)
    """
    columns = {column.name: column for column in table.columns}
    arrow = file.read_row_group(group, columns=list(names))
    return {name: _column_values(columns[name], arrow.column(name)) for name in names}


def _object_array(values):
    """Return a list as an object array (n,), even if its items are sequences of equal length."""
    array = np.empty(len(values), dtype=object)
    for row, value in enumerate(values):
        array[row] = value
    return array


def write_table(path, table, columns, metadata=None):
    """Write a dict of arrays as a Parquet file, atomically. Equal input gives equal bytes (zstd, with page checksums).

    Raises
    ------
    SchemaError
        See `to_arrow`.
    """
    with atomic_path(path) as temporary:
        pq.write_table(to_arrow(table, columns, metadata), temporary, compression="zstd", write_page_checksum=True)


def read_table(path, table):
    """Read a Parquet file and check it against the definition of its table.

    Returns
    -------
    columns : dict of str to array (rows, *column shape)
    metadata : dict of str to str

    Raises
    ------
    SchemaError
        The file contains another table, or is damaged.
    """
    with undamaged(path, f"a handroll {table.name} table"):
        arrow = pq.read_table(path, page_checksum_verification=True)
        columns = from_arrow(table, arrow)
    return columns, {key.decode(): value.decode() for key, value in (arrow.schema.metadata or {}).items()}


def write_json(path, value):
    """Write a dict as indented JSON, atomically. Keys keep their order. NaN raises ValueError."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path):
    """Read a JSON file.

    Raises
    ------
    SchemaError
        The file is damaged, for example truncated.
    """
    with undamaged(path, "JSON"):
        return json.loads(Path(path).read_text(encoding="utf-8"))
