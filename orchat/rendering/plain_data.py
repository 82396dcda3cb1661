"""Render plain data as JSON: numbers, texts, dictionaries, lists, dataclasses, pydantic models, and their items.

Of a container that is too large as many items are read as can be sent, and no more. Nothing is consumed: an iterator
is named, not read.
"""

from __future__ import annotations

import array
import dataclasses
import datetime
import decimal
import enum
import fractions
import inspect
import json
import math
import pathlib
import sqlite3
import types
import uuid
from collections import deque
from collections.abc import Collection, Iterable, Iterator, KeysView, Mapping, Set, ValuesView
from itertools import islice
from typing import Any

from orchat.rendering.data_privacy import Privacy, describe_data, describe_records, holds_data
from orchat.rendering.rendered_value import Rendered
from orchat.rendering.safe_introspection import describe_error, is_instance_by_name, own_method, safe_repr, type_name
from orchat.rendering.table_sources import LazyTable, Table, table_of
from orchat.rendering.token_budget import fits_budget
from orchat.secrets import HIDDEN, is_secret, redact, redact_lines

_STRING_TYPES = (decimal.Decimal, fractions.Fraction, complex, pathlib.PurePath, uuid.UUID, datetime.timedelta)
_DATE_TYPES = (datetime.date, datetime.time)
_BYTES_TYPES = (bytes, bytearray, memoryview)
_LIST_TYPES = (list, tuple, deque, range, array.array, Set, KeysView, ValuesView)
_MAX_DEPTH = 12
_MAX_JSON_TEXT = 262_144
_SMALL = 64  # cells of an array or a table that is shown among other data
_MARGIN = 4096  # as in `token_budget`: keys are detected beyond the cut


class _TooLargeError(Exception):
    """A value exceeds the limits of one walk; the next walk has lower ones."""


def is_plain(value: object) -> bool:
    """Whether a value is rendered as JSON."""
    return (
        value is None
        or isinstance(
            value,
            (bool, int, float, str, enum.Enum, Iterator, *_STRING_TYPES, *_DATE_TYPES, *_BYTES_TYPES, *_LIST_TYPES),
        )
        or _is_mapping(value)
        or _fields(value) is not None
        or is_instance_by_name(value, "numpy.generic")
    )


def render_plain(value: object, budget: int, privacy: Privacy = "head") -> Rendered:
    """Render a value as JSON, reading less of every container and text until it fits the budget."""
    items, characters = 2 * budget, 4 * budget
    reprs: dict[int, str] = {}
    whole = True
    while True:
        try:
            found = _JsonConverter(items, characters, 4 * budget, reprs, privacy=privacy).read(value)
            text = found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)
        except _TooLargeError:
            text = None
        if text is not None and fits_budget(text, budget):
            break
        whole = False
        if items == 1 and characters == 16:
            text = short_repr(value)
            break
        items, characters = max(1, items // 2), max(16, characters // 2)
    what = type(value).__name__
    if not whole:
        what += f", part of {len(value):,} items" if isinstance(value, Collection) else ", in part"
    return Rendered.from_text(text, what, budget)


def json_without_secrets(text: str) -> str:
    """Hide in JSON that is a text what would be hidden in the data; other text stays as it is.

    Examples
    --------
    >>> json_without_secrets('{"port": "Hull", "password": "tide"}'), json_without_secrets("{port}")
    ('{"port": "Hull", "password": "[redacted]"}', '{port}')
    """
    if text.lstrip()[:1] not in ("{", "[") or len(text) > _MAX_JSON_TEXT:
        return text
    try:
        data = json.loads(text)
        shown = _JsonConverter(len(text), len(text), 2 * len(text) + 2, {}, max_depth=len(text)).read(data)
    except (ValueError, RecursionError, _TooLargeError):
        return text
    return text if shown == data else json.dumps(shown, ensure_ascii=False, indent=2 if "\n" in text.strip() else None)


def compact_text(value: object, characters: int) -> str | None:
    """Return a list, dictionary or small array as JSON where that is no longer than so many characters.

    Examples
    --------
    >>> compact_text({"port": "Hull", "tons": [40, 50]}, 60), compact_text(list(range(100)), 60)
    ('{"port": "Hull", "tons": [40, 50]}', None)
    """
    if not (isinstance(value, _LIST_TYPES) or _is_mapping(value) or is_instance_by_name(value, "numpy.ndarray")):
        return None
    if len(value) > characters:  # type: ignore[arg-type]
        return None
    try:
        found = _JsonConverter(characters, characters, characters, {}, max_depth=4).read(value)
    except _TooLargeError:
        return None
    text = found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)
    return text if len(text) <= characters else None


def short_repr(value: object, characters: int = 120) -> str:
    """Describe a value briefly: containers by type and size, other values by their ``repr``.

    Examples
    --------
    >>> short_repr(b"abc"), short_repr([1, 2]), short_repr(len)
    ('bytes, 3 of them', 'list of 2', 'builtin_function_or_method len')
    """
    if isinstance(value, _BYTES_TYPES):
        return f"{type_name(value)}, {memoryview(value).nbytes:,} of them"
    if isinstance(value, Iterator):
        name = getattr(value, "__qualname__", None) or getattr(value, "name", None)
        return f"{type_name(value)}{f' {name}' if isinstance(name, str) else ''}, not read"
    if isinstance(value, str):
        return _truncate(value, characters)
    if isinstance(value, _LIST_TYPES) or _is_mapping(value):
        return f"{type_name(value)} of {len(value):,}"  # type: ignore[arg-type]
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and not isinstance(value, type):
        return f"{type_name(value)} of shape {shape}"[:characters]
    if inspect.isroutine(value) or isinstance(value, type | types.ModuleType):
        return f"{type_name(value)} {getattr(value, '__qualname__', value.__name__)}"[:characters]
    return _truncate(safe_repr(value), characters)


class _JsonConverter:
    """Converts a value to JSON types within limits of items, characters and nodes."""

    def __init__(
        self,
        items: int,
        characters: int,
        nodes: int,
        reprs: dict[int, str],
        *,
        max_depth: int = _MAX_DEPTH,
        privacy: Privacy = "head",
    ) -> None:
        self._max_depth = max_depth
        self._items = items
        self._characters = characters
        self._nodes = nodes
        self._reprs = reprs
        self._open: set[int] = set()
        self._privacy = privacy

    def read(self, value: Any) -> Any:
        """Convert a value to JSON types; an item that raises is replaced by its type and error."""
        self._nodes -= 1
        if self._nodes < 0:
            raise _TooLargeError
        try:
            return self._read(value)
        except _TooLargeError:
            raise
        except Exception as error:  # noqa: BLE001 - anybody's object
            return _truncate(
                f"<{type_name(value)}, which could not be rendered: {describe_error(error)}>", self._characters
            )

    def _read(self, value: Any) -> Any:
        if isinstance(value, enum.Enum):
            return self.read(value.value)
        if is_instance_by_name(value, "numpy.generic") and not (self._privacy == "schema" and holds_data(value)):
            value = value.item()
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int):
            # Python refuses to write out integers of more than some thousand digits.
            return int(value) if value.bit_length() < 10_000 else f"int of {value.bit_length():,} bits"
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else str(float(value))
        if isinstance(value, str):
            return _truncate(str.__str__(value), self._characters)
        if isinstance(value, _DATE_TYPES):
            return value.isoformat()
        if isinstance(value, _STRING_TYPES):
            return _truncate(str(value), self._characters)
        if self._privacy == "schema":
            described = _table_columns(value) or (
                describe_data(value) if holds_data(value) else describe_records(value)
            )
            if described is not None:
                return _truncate(described, max(120, self._characters))
        elif (small := _small_data(value)) is not None:
            value = small
        fields = _fields(value)
        if fields is None and (
            isinstance(value, (Iterator, *_BYTES_TYPES)) or not isinstance(value, (*_LIST_TYPES, Mapping))
        ):
            return self._repr_text(value)
        if id(value) in self._open:
            return f"the same {type_name(value)} again"
        if len(self._open) >= self._max_depth:
            return short_repr(value)
        self._open.add(id(value))
        try:
            if fields is not None or _is_mapping(value):
                return self._mapping(value if fields is None else fields)
            return self._list(value) if isinstance(value, _LIST_TYPES) else self._repr_text(value)
        finally:
            self._open.discard(id(value))

    def _mapping(self, value: Mapping[Any, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if (split := split_table(value, self._items)) is not None:
            value = split
        for key, item in islice(value.items(), self._items):
            name = plain = self._key_text(key)
            number = 1
            while name in found:  # two keys never become one
                number += 1
                name = f"{plain} ({number})"
            found[name] = HIDDEN if any(is_secret(each, item) for each in self._names(key)) else self.read(item)
        if len(value) > self._items:
            found["..."] = f"{len(value) - self._items:,} more"
        return found

    @classmethod
    def _names(cls, key: Any) -> list[str]:
        """Return the texts of a key, which may say that its value is a secret."""
        if isinstance(key, enum.Enum):
            key = key.value
        if isinstance(key, tuple):
            return [name for each in key[:4] for name in cls._names(each)]
        return [key[:200]] if isinstance(key, str) else []

    def _key_text(self, key: Any) -> str:
        """Return a key as text that says its value: keys that are no text must stay apart."""
        if isinstance(key, str) and not isinstance(key, enum.Enum):
            return _truncate(key, self._characters)
        plain = self.read(key)
        text = plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)
        if isinstance(key, tuple) and isinstance(plain, list):
            text = f"({text[1:-1]})"
        return _truncate(text, self._characters)

    def _list(self, value: Iterable[Any]) -> list[Any]:
        items = list(islice(value, self._items))
        if isinstance(value, list | tuple) and items and all(type(item) is str for item in items):
            items = redact_lines(items)  # what a command printed, say
        found = [self.read(_without_secret(item)) for item in items]
        if isinstance(value, set | frozenset):  # an order that is the same in the next process
            found.sort(key=lambda item: json.dumps(item, ensure_ascii=False))
        size = len(value)  # type: ignore[arg-type]
        return [*found, f"... {size - self._items:,} more"] if size > self._items else found

    def _repr_text(self, value: object) -> str:
        if id(value) not in self._reprs:
            self._reprs[id(value)] = short_repr(value, max(120, self._characters))
        return _truncate(self._reprs[id(value)], self._characters)


def _is_mapping(value: object) -> bool:
    """Whether to render a value as a dictionary; not if it has an HTML display, such as a library's data set."""
    return isinstance(value, dict) or (isinstance(value, Mapping) and own_method(value, "_repr_html_") is None)


def _fields(value: Any) -> dict[str, Any] | None:
    """Return the fields in the repr of a dataclass, pydantic model, named tuple or namespace; None for others."""
    kind = type(value)
    if isinstance(value, type):
        return None
    if dataclasses.is_dataclass(value):
        return {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value) if field.repr}
    if is_instance_by_name(value, "pydantic.BaseModel"):
        known = {
            name: getattr(value, name, None)
            for name, field in kind.model_fields.items()
            if field.repr and not field.exclude
        }
        return known | (value.model_extra or {})
    if isinstance(value, tuple) and hasattr(kind, "_fields") and hasattr(kind, "_asdict"):
        return dict(zip(kind._fields, value, strict=False))
    if isinstance(value, sqlite3.Row):
        return dict(zip(value.keys(), value, strict=True))
    return vars(value) if isinstance(value, types.SimpleNamespace) else None


def _small_data(value: Any) -> Any:
    """Return a small array or table as plain data; None for larger ones and all else."""
    if is_instance_by_name(value, "numpy.ndarray"):
        return value.tolist() if value.ndim and value.size <= _SMALL else None
    table = table_of(value)
    if not isinstance(table, Table) or not 0 < table.rows * table.columns <= _SMALL:
        return None
    names, cells = table.read(range(table.rows), table.columns)
    if table.is_single:
        return [row[0] for row in cells] if len(names) == 1 else {_row_key(row[:-1]): row[-1] for row in cells}
    return [dict(zip(names, row, strict=True)) for row in cells]


def _table_columns(value: Any) -> str | None:
    """Return class and columns of a table; None for anything else."""
    table = table_of(value)
    if table is None:
        return None
    columns = table.schema if isinstance(table, LazyTable) else {table.name(n): "" for n in range(table.columns)}
    size = "" if isinstance(table, LazyTable) else f", {table.rows:,} rows"
    return f"{table.kind}{size}, columns: {', '.join(columns)}"


def _row_key(labels: list[Any]) -> Any:
    return labels[0] if len(labels) == 1 else tuple(labels)


def _without_secret(item: Any) -> Any:
    """Hide the value of a pair whose first item is the name of a secret, as ``dict.items`` gives it."""
    if type(item) in (tuple, list) and len(item) == 2 and isinstance(item[0], str) and is_secret(item[0], item[1]):
        return [item[0], HIDDEN]
    return item


def split_table(value: Mapping[Any, Any], rows: int) -> dict[Any, Any] | None:
    """Hide what stands under secret names in a frame as ``to_dict("split")`` gives it; None where it is no such."""
    columns, data, index = value.get("columns"), value.get("data"), value.get("index")
    if not isinstance(columns, list | tuple) or not isinstance(data, list | tuple):
        return None
    labels = index if isinstance(index, list | tuple) and len(index) == len(data) else [None] * min(len(data), rows)
    shown = [
        [
            HIDDEN if any(isinstance(name, str) and is_secret(name, cell) for name in (label, column)) else cell
            for column, cell in zip(columns, row, strict=False)
        ]
        if isinstance(row, list | tuple) and len(row) == len(columns)
        else row
        for label, row in zip(labels, data[:rows], strict=False)
    ]
    return {**value, "data": [*shown, *data[rows:]]}


def _truncate(text: str, characters: int) -> str:
    """Redact secrets in a text, and truncate it."""
    if len(text) <= characters:
        return redact(text)
    return f"{redact(text[: characters + _MARGIN])[:characters]}... ({len(text):,} characters)"
