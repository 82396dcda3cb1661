"""One interface to the frames, series and indexes of all libraries, by narwhals; a table is read, never changed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from orchat.rendering.safe_introspection import is_instance_by_name, type_name

# What a class has whose values narwhals may know; others are not asked, since narwhals takes 0.1 s to load.
_FRAME_ATTRIBUTES = (
    *("__narwhals_dataframe__", "__narwhals_lazyframe__", "__narwhals_series__", "__arrow_c_stream__"),
    *("__arrow_c_array__", "__dataframe__", "columns", "dtype"),
)


class Table:
    """A table in memory.

    Parameters
    ----------
    kind
        Library and class.
    frame
        A narwhals frame; where names may repeat, its columns are called by their numbers.
    names
        The names of its columns.
    index
        The pandas index, if it says more than the number of a row.
    is_single
        Whether it is a series or an index, a single column.
    """

    def __init__(
        self, kind: str, frame: Any, names: Sequence[str], index: Any = None, *, is_single: bool = False
    ) -> None:
        self.kind = kind
        self.is_single = is_single
        self._frame = frame
        self._names = list(names)
        self._index = index
        self.rows, self.columns = frame.shape

    def name(self, position: int) -> str:
        """Return the name of a column."""
        return self._names[position]

    def series(self, position: int) -> Any:
        """Return a column as a narwhals series."""
        return self._frame[self._frame.columns[position]]

    def dtype(self, position: int) -> str:
        """Return the data type of a column, as its library calls it."""
        native = self.series(position).to_native()
        return str(getattr(native, "dtype", None) or native.type)

    def read(self, positions: Sequence[int], columns: int) -> tuple[list[str], list[list[Any]]]:
        """Return names and cells of some rows and the first columns, an index first."""
        part = self._frame[list(positions), list(self._frame.columns[:columns])]
        names = self._names[:columns]
        cells = [list(row) for row in part.rows()]
        if self._index is None:
            return names, cells
        labels = self._index[list(positions)]
        keys = [list(key) if isinstance(key, tuple) else [key] for key in labels]
        index_names = [_label("index" if name is None else name) for name in labels.names]
        return index_names + names, [key + row for key, row in zip(keys, cells, strict=True)]

    def labels(self, rows: int) -> list[object]:
        """Return what stands at the left of the first rows: in a frame that was turned over, its names."""
        _, cells = self.read(range(min(rows, self.rows)), 1)
        return [row[0] for row in cells if row]


class LazyTable:
    """A query that has not run: its schema is known, its values are not read.

    Parameters
    ----------
    kind
        Library and class.
    schema
        Names and types of its columns.
    """

    def __init__(self, kind: str, schema: dict[str, str]) -> None:
        self.kind = kind
        self.schema = schema


def table_of(value: Any) -> Table | LazyTable | None:
    """Wrap a frame, series or index of any library, also one styled for display; None for anything else."""
    if is_instance_by_name(value, "pandas.io.formats.style.Styler"):
        value = value.data
    kind = type(value)
    if isinstance(value, type) or not any(hasattr(kind, name) for name in _FRAME_ATTRIBUTES):
        return None
    if is_instance_by_name(value, "numpy.ndarray", "numpy.generic"):
        return None
    if is_instance_by_name(value, "narwhals.dataframe.BaseFrame", "narwhals.series.Series"):
        value = value.to_native()
    import narwhals.stable.v2 as nw

    words = f"{type_name(value).partition('.')[0]} {type(value).__name__}"
    value, is_single = _as_frame(value)
    names, index = None, None
    # Their names may repeat, which narwhals refuses.
    if nw.dependencies.is_pandas_like_dataframe(value):
        names = [_label(name) for name in value.columns]
        if type(value.index).__name__ != "RangeIndex" or value.index.name is not None:
            index = value.index
        value = value.copy(deep=False)
        value.columns = [str(number) for number in range(len(names))]
    elif is_instance_by_name(value, "pyarrow.Table"):
        names = list(map(str, value.column_names))
        value = value.rename_columns([str(number) for number in range(len(names))])
    frame: Any = nw.from_native(value, pass_through=True)
    if isinstance(frame, nw.LazyFrame):
        return LazyTable(words, {name: str(dtype) for name, dtype in frame.collect_schema().items()})
    if not isinstance(frame, nw.DataFrame):
        return None
    return Table(words, frame, frame.columns if names is None else names, index, is_single=is_single)


def _as_frame(value: Any) -> tuple[Any, bool]:
    """Return a series, index or array as a frame of one column, and whether it was one."""
    import narwhals.stable.v2 as nw

    if is_instance_by_name(value, "pandas.MultiIndex"):
        return value.to_frame(index=False, allow_duplicates=True), False
    if nw.dependencies.is_pandas_like_index(value):
        return value.to_frame(index=False, name="index" if value.name is None else value.name), True
    if nw.dependencies.is_pandas_like_series(value):
        return value.to_frame("value" if value.name is None else value.name), True
    if is_instance_by_name(value, "pyarrow.RecordBatch"):
        return sys.modules["pyarrow"].Table.from_batches([value]), False
    if is_instance_by_name(value, "pyarrow.Array", "pyarrow.ChunkedArray"):
        return sys.modules["pyarrow"].table({"value": value}), True
    if nw.dependencies.is_pandas_like_dataframe(value) or is_instance_by_name(value, "pyarrow.Table"):
        return value, False
    series: Any = nw.from_native(value, allow_series=True, pass_through=True)
    return (series.to_frame().to_native(), True) if isinstance(series, nw.Series) else (value, False)


def _label(name: object) -> str:
    return " / ".join(map(str, name)) if isinstance(name, tuple) else str(name)
