"""Tables of results: typed columns as a data frame of the kind that was given, with its index and order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchat.mapping.answer_schema import AnswerColumn
from orchat.mapping.row_source import RowSource

_LARGEST_EXACT = 2**53  # up to which each integer is a float


@dataclass(frozen=True)
class TableColumn:
    """A column of a result: its type, and its values with None where there is none."""

    column: AnswerColumn
    values: Sequence[Any]


def build_table(source: RowSource, columns: Sequence[TableColumn], positions: Sequence[int] | None = None) -> Any:
    """Build a table of the kind of the source.

    Parameters
    ----------
    source
        The rows that were given: a data frame of its kind is made, a dictionary of columns, or a list of dictionaries.
    columns
        The columns.
    positions
        The row of the source of each row of the table, for the index; None where they are the same.

    Examples
    --------
    >>> from orchat.mapping.row_source import row_source
    >>> build_table(row_source(["a", "b"]), [TableColumn(AnswerColumn("answer", "text"), ["x", None])])
    [{'answer': 'x'}, {'answer': None}]
    """
    values = {each.column.name: _plain_values(each) for each in columns}
    if source.kind == "columns":
        return {name: list(each) for name, each in values.items()}
    if source.kind in {"values", "records"}:
        names = list(values)
        return [dict(zip(names, row, strict=True)) for row in zip(*values.values(), strict=True)]
    library = type(source.native).__module__.partition(".")[0]
    if library in {"pandas", "modin"}:
        return _pandas_table(source.native, columns, positions, library)
    if library == "polars":
        return _polars_table(columns, is_lazy=source.is_lazy)
    table = _arrow_table(columns)
    if library in {"duckdb", "_duckdb"}:
        import duckdb

        return duckdb.from_arrow(table)
    return table


def _plain_values(each: TableColumn) -> Sequence[Any]:
    """Return a column's values for a table of Python's own: a number that came as an integer is a number as well."""
    if each.column.kind != "number":
        return each.values
    return [float(value) if type(value) is int and abs(value) < _LARGEST_EXACT else value for value in each.values]


def take_column(table: Any, name: str) -> Any:
    """Return a column of a table, as the table's library has it.

    Examples
    --------
    >>> take_column([{"answer": "x"}, {"answer": None}], "answer")
    ['x', None]
    """
    if isinstance(table, list):
        return [row[name] for row in table]
    if type(table).__module__.partition(".")[0] in {"duckdb", "_duckdb"}:
        escaped = name.replace('"', '""')
        return table.select(f'"{escaped}"')
    if hasattr(table, "collect") and not hasattr(table, "to_dict"):  # a lazy frame of polars
        return table.select(name).collect()[name]
    return table[name]


def _pandas_table(native: Any, columns: Sequence[TableColumn], positions: Sequence[int] | None, library: str) -> Any:
    import pandas

    index = native.index if positions is None else native.index.take(list(positions))
    if library == "modin":
        index = pandas.Index(index)
    made = {each.column.name: pandas.Series(_pandas_values(each), index=index) for each in columns}
    table = pandas.DataFrame(made, index=index)
    if library == "modin":
        from modin.pandas import DataFrame

        return DataFrame(table)
    return table


def _pandas_values(each: TableColumn) -> Any:
    import pandas

    values, kind = list(each.values), each.column.kind
    has_missing = any(value is None for value in values)
    try:
        match kind:
            case "label":
                return pandas.Categorical(values, categories=list(each.column.labels))
            case "integer":
                return pandas.array(values, dtype="Int64" if has_missing else "int64")
            case "number":
                return pandas.array(values, dtype="float64")
            case "boolean":
                return pandas.array(values, dtype="boolean" if has_missing else "bool")
            case "text":
                return pandas.Series(values, dtype="str" if not values or has_missing else None).array
    except (TypeError, ValueError, OverflowError):  # an integer of a hundred digits, say
        pass
    return pandas.Series(values, dtype="object").infer_objects().array


def _polars_table(columns: Sequence[TableColumn], *, is_lazy: bool) -> Any:
    import polars

    types: Mapping[str, Any] = {
        "text": polars.String,
        "integer": polars.Int64,
        "number": polars.Float64,
        "boolean": polars.Boolean,
    }
    made = []
    for each in columns:
        name, values = each.column.name, list(each.values)
        dtype = polars.Enum(each.column.labels) if each.column.kind == "label" else types.get(each.column.kind)
        try:
            made.append(polars.Series(name, values, dtype=dtype))
        except Exception:  # noqa: BLE001 - polars has many errors, and even Rust's panics
            made.append(polars.Series(name, values, dtype=polars.Object))
    table = polars.DataFrame(made)
    return table.lazy() if is_lazy else table


def _arrow_table(columns: Sequence[TableColumn]) -> Any:
    import pyarrow

    types: Mapping[str, Any] = {
        "text": pyarrow.string(),
        "integer": pyarrow.int64(),
        "number": pyarrow.float64(),
        "boolean": pyarrow.bool_(),
    }
    names, arrays = [], []
    for each in columns:
        values = list(each.values)
        if each.column.kind == "label":
            array = pyarrow.array(values, pyarrow.string()).dictionary_encode()
        else:
            try:
                array = pyarrow.array(values, types.get(each.column.kind))
            except (pyarrow.ArrowException, OverflowError):  # values of several types
                array = pyarrow.array([None if value is None else str(value) for value in values], pyarrow.string())
        names.append(each.column.name)
        arrays.append(array)
    return pyarrow.Table.from_arrays(arrays, names=names)
