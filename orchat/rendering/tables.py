"""Render tables: of each column its type, gaps and spread, then some rows.

Never a whole frame: at most 20 rows, fewer if the budget requires it, none if ``privacy`` does.
"""

from __future__ import annotations

import csv
import io
import math
import random
from typing import Any

from orchat.rendering.column_summary import distinct_count, missing_count, value_summary
from orchat.rendering.data_privacy import Privacy
from orchat.rendering.number_format import decimals_of, number_text
from orchat.rendering.plain_data import compact_text, short_repr
from orchat.rendering.rendered_value import Rendered
from orchat.rendering.table_sources import LazyTable, Table
from orchat.rendering.token_budget import estimate_tokens, fits_budget
from orchat.secrets import HIDDEN, is_secret, is_secret_name, redact

_MAX_ROWS = 20
_MAX_CELLS = 10_000_000  # counting what is missing in more, or its quartiles, would be felt
_MAX_CELL_WIDTH = 80
_MAX_LABELS = 1_000  # rows of a frame that may have been turned over


def render_table(table: Table | LazyTable, budget: int, privacy: Privacy) -> Rendered:
    """Render a table's columns, and as many rows as the budget and ``privacy`` allow, as CSV."""
    if isinstance(table, LazyTable):
        lines = "".join(_csv_line([_cell_text(name), dtype]) for name, dtype in table.schema.items())
        head = f"{table.kind}: {_count_text(len(table.schema), 'column')}, a query that has not run\n"
        return Rendered.from_text(f"{head}column,dtype\n{lines}".rstrip("\n"), "schema of a query", budget)
    size = _count_text(table.rows, "row")
    head = f"{table.kind}: {size}, {_count_text(table.columns, 'column')}\n"
    lines, listed = _format_columns(table, budget - estimate_tokens(head), show_values=privacy != "schema")
    schema = head + lines
    if privacy == "schema" or not table.rows or not listed:
        return Rendered.from_text(schema.rstrip("\n"), f"schema and 0 of {size}", budget)
    wanted = min(_MAX_ROWS, table.rows)
    positions = list(range(wanted))
    if privacy == "sample":
        # The same rows each time, so that asking again is asking the same.
        positions = sorted(random.Random(0).sample(range(table.rows), wanted))  # noqa: S311 - a sample, no secret
    names, cells = table.read(positions, listed)
    decimals = [decimals_of(row[at] for row in cells) for at in range(len(names))]
    rows = [_csv_line(names)]
    kept = 0
    title = "\nrandom rows:\n" if privacy == "sample" else "\nfirst rows:\n"
    for row in cells:
        label = row[0] if row and isinstance(row[0], str) else ""
        shown = [_cell_text(cell, places) for cell, places in zip(row, decimals, strict=True)]
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


def _format_columns(table: Table, budget: int, *, show_values: bool) -> tuple[str, int]:
    """Format the columns within half the budget, to leave room for rows; return them with their number."""
    counted = table.rows <= _MAX_CELLS
    show_values = show_values and counted and not _is_turned_over(table)
    header = ["column", "dtype", *(["missing", "distinct"] if counted else [])]
    lines = _csv_line([*header, "min quartiles max or top values"] if show_values else header)
    cells = 0
    for position in range(table.columns):
        name, dtype = table.name(position), table.dtype(position)
        line = [_cell_text(name), _cell_text(dtype)]
        if counted and (cells := cells + table.rows) <= _MAX_CELLS:
            series = table.series(position)
            distinct = distinct_count(series)
            line += [str(missing_count(series)), "" if distinct is None else str(distinct)]
            line += [value_summary(series, name, distinct)] if show_values else []
        text = _csv_line(line)
        if not fits_budget(lines + text, budget // 2):
            return f"{lines}... and {table.columns - position:,} more columns\n", position
        lines += text
    return lines, table.columns


def _is_turned_over(table: Table) -> bool:
    """Whether names of secrets stand in front of the rows: then a column mixes their values with others."""
    if not 0 < table.rows <= _MAX_LABELS or not table.columns:
        return False
    return any(isinstance(label, str) and is_secret_name(label) for label in table.labels(_MAX_LABELS))


def _count_text(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _csv_line(cells: Any) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(cells)
    return out.getvalue()


def _cell_text(value: Any, decimals: int = 10) -> str:
    if value is None or type(value).__name__ in {"NAType", "NaTType"}:
        return ""
    if isinstance(value, float):
        return "" if math.isnan(value) else number_text(float(value), decimals)
    if isinstance(value, str):
        return value if len(value) <= _MAX_CELL_WIDTH else redact(value[:4096])[:_MAX_CELL_WIDTH] + "..."
    if type(value).__module__.partition(".")[0] == "numpy" and "DType" in type(value).__name__:
        return str(value)  # a frame's dtypes are a series of these
    if (compact := compact_text(value, _MAX_CELL_WIDTH)) is not None:
        return compact
    return short_repr(value, _MAX_CELL_WIDTH) if hasattr(type(value), "__len__") else str(value)[:_MAX_CELL_WIDTH]
