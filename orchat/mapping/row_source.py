"""Rows of data: lists, iterators, dictionaries of columns, and every data frame that narwhals knows, one by one."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, Literal

from orchat.errors import ConfigurationError

Kind = Literal["frame", "series", "records", "values", "columns"]

VALUE = "value"
"""The name of a row that is one value, in a prompt."""
ROW = "row"
"""The name of a whole row in a prompt, for columns whose names are no identifiers."""

_SAMPLE = 50


@dataclass
class RowSource:
    """Rows of data, and what is known of them.

    Parameters
    ----------
    kind
        Frames, series, records and dictionaries of columns have named columns; values have none.
    native
        The data as given; of lazy frames the collected one.
    columns
        The names of the columns.
    count
        The number of rows; None where only reading tells.
    read
        Reads the rows that need these columns (None for all): each a dictionary, or a value where there are no columns.
    ambiguous
        Names that several columns have; they cannot be read by name.
    is_lazy
        Whether a lazy frame was given, so that one is given back.
    is_iterator
        Whether the rows can be read once only.
    labels
        The columns as the rows have them, which may be no texts; none where rows that come may have others.

    Examples
    --------
    >>> source = row_source([{"city": "Hull"}, {"city": "Goole"}])
    >>> source.kind, source.columns, source.count, [row["city"] for row in source.rows()]
    ('records', ('city',), 2, ['Hull', 'Goole'])
    """

    kind: Kind
    native: Any
    columns: tuple[str, ...]
    count: int | None
    read: Callable[[Collection[str] | None], Iterator[Any]]
    ambiguous: frozenset[str] = frozenset()
    is_lazy: bool = False
    is_iterator: bool = field(default=False)
    labels: tuple[Any, ...] = ()

    @property
    def is_table(self) -> bool:
        """Whether a row has columns."""
        return self.kind not in {"values", "series"}

    @property
    def fields(self) -> list[str]:
        """The names that a prompt may use."""
        if not self.is_table:
            return [VALUE]
        return [*self.columns, *([] if ROW in self.columns else [ROW])]

    def rows(self, columns: Collection[str] | None = None) -> Iterator[Any]:
        """Read the rows, from the first one on; those of an iterator can be read once."""
        names = None if columns is None or ROW in set(columns) - set(self.columns) else columns
        return self.read(names) if self.is_iterator else _in_one_context(self.read(names))

    def sample(self, columns: Collection[str] | None = None) -> list[Any]:
        """Read some rows, evenly spread; none of an iterator, whose rows would be gone."""
        if self.is_iterator or not self.count:
            return []
        step = -(-self.count // _SAMPLE)
        return list(islice(self.rows(columns), 0, None, step))


def row_source(data: Any) -> RowSource:
    """Make the rows of some data.

    Raises
    ------
    TypeError
        It is no data, or a single text.
    ConfigurationError
        Columns are not of the same length (a ValueError).

    Examples
    --------
    >>> source = row_source(n for n in range(3))
    >>> source.kind, source.count, list(source.rows())
    ('values', None, [0, 1, 2])
    """
    if isinstance(data, str | bytes):
        raise TypeError("The data is a single text: give a list of texts, or a data frame.")
    if isinstance(data, Mapping):
        return _of_columns(data)
    if isinstance(data, sqlite3.Cursor):
        data = data.fetchall()  # it belongs to this thread, and rows are read in another
    if (found := _of_frame(_whole_arrow(data))) is not None:
        return found
    if isinstance(data, Sequence) or _is_array(data):
        return _of_values(data, data, len(data))
    if isinstance(data, Iterable) and getattr(data, "ndim", 1) != 0:
        return _of_values(data, iter(data), None)
    raise TypeError(
        f"Data is a list, an iterator, a dict of columns or a data frame, not {type(data).__name__}: {data!r:.80}"
    )


def _is_array(data: Any) -> bool:
    is_scalar = getattr(data, "ndim", 1) == 0  # of NumPy, which has no length in spite of its method
    return hasattr(data, "__len__") and hasattr(data, "__getitem__") and hasattr(data, "__iter__") and not is_scalar


def _whole_arrow(data: Any) -> Any:
    """Return a table or a column of pyarrow for its batches and arrays, which narwhals does not know."""
    if type(data).__module__.partition(".")[0] != "pyarrow":
        return data
    import pyarrow

    if isinstance(data, pyarrow.Array):
        return pyarrow.chunked_array([data])
    if isinstance(data, pyarrow.RecordBatch):
        return pyarrow.Table.from_batches([data])
    return data.read_all() if isinstance(data, pyarrow.RecordBatchReader) else data


def _of_columns(data: Mapping[Any, Any]) -> RowSource:
    columns = {str(name): values for name, values in data.items()}
    if len(columns) < len(data):
        raise ConfigurationError("Several columns have the same name, as texts.", hint="Rename them.")
    for name, values in columns.items():
        if isinstance(values, str | bytes | Mapping) or not hasattr(values, "__len__"):
            raise TypeError(f"A dict of data holds columns; {name!r} is a {type(values).__name__}, not a list.")
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise ConfigurationError(f"The columns are not of the same length: {told}.")

    def read(names: Collection[str] | None) -> Iterator[Any]:
        chosen = [name for name in columns if names is None or name in names]
        return (dict(zip(chosen, row, strict=True)) for row in zip(*(columns[name] for name in chosen), strict=True))

    names = tuple(columns)
    return RowSource("columns", data, names, next(iter(lengths.values()), 0), read, labels=names)


def _of_values(data: Any, values: Any, count: int | None) -> RowSource:
    if count is None:  # an iterator: its first value tells what the others are
        values = _in_one_context(chain(values))  # without `close`: the rest is the caller's to read
        first = list(islice(values, 1))
        rest = chain(first, values)
        is_record = bool(first) and isinstance(first[0], Mapping)
        columns = tuple(map(str, first[0])) if is_record else ()
        return RowSource(
            "records" if is_record else "values", data, columns, None, lambda _: iter(rest), is_iterator=True
        )
    if count and all(isinstance(value, Mapping) for value in values):
        labels = tuple(dict.fromkeys(name for value in values for name in value))
        names = tuple(dict.fromkeys(map(str, labels)))
        return RowSource("records", data, names, count, lambda _: iter(values), labels=labels)
    return RowSource("values", data, (), count, lambda _: iter(values))


def _in_one_context(rows: Iterator[Any]) -> Iterator[Any]:
    """Read rows in one context, whichever task or thread asks for the next, and close them there.

    A generator may set a context variable before a row and reset it behind it, as within `numpy.errstate`.
    """
    context, end = copy_context(), object()
    try:
        while (row := context.run(next, rows, end)) is not end:
            yield row
    finally:
        if (close := getattr(rows, "close", None)) is not None:
            context.run(close)


def _of_frame(data: Any) -> RowSource | None:
    """Make the rows of what narwhals knows; None for anything else."""
    import narwhals as nw
    from narwhals.exceptions import DuplicateError

    ambiguous: frozenset[str] = frozenset()
    native = data
    try:
        frame: Any = nw.from_native(data, allow_series=True, pass_through=True)
    except DuplicateError:
        names = [str(name) for name in getattr(data, "column_names", data.columns)]
        ambiguous = frozenset(name for name in names if names.count(name) > 1)
        kept = [position for position, name in enumerate(names) if name not in ambiguous]
        frame = nw.from_native(data.select(kept) if hasattr(data, "column_names") else data.iloc[:, kept])
    if isinstance(frame, nw.Series):
        return RowSource("series", native, (), len(frame), lambda _: iter(frame))
    is_lazy = isinstance(frame, nw.LazyFrame)
    if is_lazy:
        frame = frame.collect()
        native = frame.to_native()
    if not isinstance(frame, nw.DataFrame):
        return None
    labels = list(frame.columns)

    def read(names: Collection[str] | None) -> Iterator[Any]:
        chosen = [label for label in labels if names is None or str(label) in names]
        keys = [str(label) for label in chosen] if names is not None else chosen
        if not chosen:
            return ({} for _ in range(len(frame)))
        part = frame if names is None else frame.select([nw.col(label) for label in chosen])
        return (dict(zip(keys, row, strict=True)) for row in part.iter_rows())

    return RowSource(
        "frame",
        data if is_lazy else native,
        tuple(map(str, labels)),
        len(frame),
        read,
        ambiguous,
        is_lazy=is_lazy,
        labels=tuple(labels),
    )
