"""Render tables: schema, size and some rows of pandas and polars data; shape and corner values of numpy arrays.

Never a whole frame: at most 20 rows, fewer if the budget requires it, none if ``privacy`` does.
"""

from __future__ import annotations

import csv
import io
import math
import random
import sys
from collections.abc import Sequence
from typing import Any, Literal, Protocol

from orchat.rendering.plain_data import short_repr
from orchat.rendering.rendered_value import Rendered
from orchat.rendering.safe_introspection import is_instance_by_name
from orchat.rendering.token_budget import estimate_tokens, fits_budget
from orchat.secrets import HIDDEN, is_secret, redact

Privacy = Literal["schema", "head", "sample"]

_MAX_ROWS = 20
_MAX_CELLS = 10_000_000  # counting values or their mean in more would be felt
_MAX_CELL_WIDTH = 80


class _Table(Protocol):
    """The interface to a frame of any library."""

    kind: str
    rows: int
    columns: int

    def column(self, position: int) -> tuple[str, str]: ...
    def non_null(self, position: int) -> int: ...
    def read(self, positions: Sequence[int], columns: int) -> tuple[list[str], list[list[Any]]]: ...


class _PandasTable:
    def __init__(self, value: Any) -> None:
        self.kind = f"pandas {type(value).__name__}"
        if is_instance_by_name(value, "pandas.Series"):
            value = value.to_frame("value" if value.name is None else value.name)
        self._frame = value
        self.rows, self.columns = value.shape

    def column(self, position: int) -> tuple[str, str]:
        return _column_label(self._frame.columns[position]), str(self._frame.dtypes.iloc[position])

    def non_null(self, position: int) -> int:
        return int(self._frame.iloc[:, position].count())

    def read(self, positions: Sequence[int], columns: int) -> tuple[list[str], list[list[Any]]]:
        part = self._frame.iloc[list(positions), :columns]
        names = [_column_label(name) for name in part.columns]
        cells = [[part.iat[row, column] for column in range(part.shape[1])] for row in range(len(part))]
        if is_instance_by_name(self._frame.index, "pandas.RangeIndex") and self._frame.index.name is None:
            return names, cells
        index = [_column_label(name if name is not None else "index") for name in part.index.names]
        keys = [list(key) if isinstance(key, tuple) else [key] for key in part.index]
        return index + names, [key + row for key, row in zip(keys, cells, strict=True)]


class _PolarsTable:
    def __init__(self, value: Any) -> None:
        self.kind = f"polars {type(value).__name__}"
        self._frame = value.to_frame() if is_instance_by_name(value, "polars.Series") else value
        self.rows: int
        self.columns: int
        self.rows, self.columns = self._frame.shape

    def column(self, position: int) -> tuple[str, str]:
        return str(self._frame.columns[position]), str(self._frame.dtypes[position])

    def non_null(self, position: int) -> int:
        nulls: int = self._frame.to_series(position).null_count()
        return self.rows - nulls

    def read(self, positions: Sequence[int], columns: int) -> tuple[list[str], list[list[Any]]]:
        part = self._frame[list(positions), :columns]
        return list(part.columns), [list(row) for row in part.rows()]


def table_of(value: Any) -> _Table | None:
    """Wrap a frame or series, also one styled for display, as a table; None for anything else."""
    if is_instance_by_name(value, "pandas.io.formats.style.Styler"):
        value = value.data
    if is_instance_by_name(value, "pandas.DataFrame", "pandas.Series"):
        return _PandasTable(value)
    return _PolarsTable(value) if is_instance_by_name(value, "polars.DataFrame", "polars.Series") else None


def render_table(table: _Table, budget: int, privacy: Privacy) -> Rendered:
    """Render a table's schema, and as many rows as the budget and ``privacy`` allow, as CSV."""
    size = _count_text(table.rows, "row")
    head = f"{table.kind}: {size}, {_count_text(table.columns, 'column')}\n"
    lines, listed = _format_schema(table, budget - estimate_tokens(head))
    schema = head + lines
    if privacy == "schema" or not table.rows or not listed:
        return Rendered.from_text(schema.rstrip("\n"), f"schema and 0 of {size}", budget)
    wanted = min(_MAX_ROWS, table.rows)
    positions = list(range(wanted))
    if privacy == "sample":
        # The same rows each time, so that asking again is asking the same.
        positions = sorted(random.Random(0).sample(range(table.rows), wanted))  # noqa: S311 - a sample, no secret
    names, cells = table.read(positions, listed)
    rows = [_csv_line(names)]
    kept = 0
    title = "\nrandom rows:\n" if privacy == "sample" else "\nfirst rows:\n"
    for row in cells:
        label = row[0] if row and isinstance(row[0], str) else ""
        shown = [_cell_text(cell) for cell in row]
        for at, (name, cell) in enumerate(zip(names, row, strict=True)):
            # A frame that was turned over has its names in front of the rows.
            is_labelled = at > 0 and isinstance(cell, str) and is_secret(label, cell)
            if shown[at] and (is_secret(name, cell) or is_labelled):
                shown[at] = HIDDEN
        line = _csv_line(shown)
        if not fits_budget("".join([schema, title, *rows, line]), budget):
            break
        rows.append(line)
        kept += 1
    text = "".join([schema, title, *rows]) if kept else schema
    return Rendered.from_text(text.rstrip("\n"), f"schema and {kept} of {size}", budget)


def _format_schema(table: _Table, budget: int) -> tuple[str, int]:
    """Format the schema within half the budget, to leave room for rows; return it with the number of listed columns."""
    counted = table.rows <= _MAX_CELLS
    lines = _csv_line(["column", "dtype", "non-null"] if counted else ["column", "dtype"])
    cells = 0
    for position in range(table.columns):
        name, dtype = table.column(position)
        counted_here = counted and (cells := cells + table.rows) <= _MAX_CELLS
        line = _csv_line(
            [_cell_text(name), _cell_text(dtype), *([str(table.non_null(position))] if counted_here else [])]
        )
        if not fits_budget(lines + line, budget // 2):
            return f"{lines}... and {table.columns - position:,} more columns\n", position
        lines += line
    return lines, table.columns


def _count_text(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _column_label(name: object) -> str:
    return " / ".join(map(str, name)) if isinstance(name, tuple) else str(name)


def _csv_line(cells: Any) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue()


def _cell_text(value: Any) -> str:
    if value is None or type(value).__name__ in {"NAType", "NaTType"}:
        return ""
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.10g}"
    if isinstance(value, str):
        return value if len(value) <= _MAX_CELL_WIDTH else redact(value[:4096])[:_MAX_CELL_WIDTH] + "..."
    return short_repr(value, _MAX_CELL_WIDTH) if hasattr(type(value), "__len__") else str(value)[:_MAX_CELL_WIDTH]


def render_array(array: Any, budget: int, privacy: Privacy) -> Rendered:
    """Render a numpy array: shape, dtype, range and mean, and the values in its corners."""
    numpy = sys.modules["numpy"]
    text = f"numpy array, shape {array.shape}, dtype {array.dtype}"
    what = f"array of shape {array.shape}"
    if privacy == "schema" or not array.size:
        return Rendered.from_text(text, what, budget)
    if array.dtype.kind in "biuf" and array.size <= _MAX_CELLS:
        finite = array[numpy.isfinite(array)]
        if is_instance_by_name(array, "numpy.ma.MaskedArray"):
            finite = finite.compressed()
        if finite.size:
            text += (
                f"\nmin {float(finite.min()):.6g}, max {float(finite.max()):.6g}, mean {finite.mean(dtype=float):.6g}"
            )
        if finite.size < array.size:
            text += f", {array.size - finite.size:,} without a finite value"
    with numpy.printoptions(threshold=60, edgeitems=2, precision=6, suppress=True):
        corners = str(array)
    return Rendered.from_text(f"{text}\n{corners}", f"{what} and its corners", budget)
