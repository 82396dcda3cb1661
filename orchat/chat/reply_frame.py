"""A parsed reply as a data frame of the library that the notebook uses."""

from __future__ import annotations

import dataclasses
import enum
import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from orchat.errors import ConfigurationError

BACKENDS = ("pandas", "polars", "pyarrow")
_VALUE = "answer"  # the column of items that have no fields


def frame_of(parsed: Any, backend: str | None = None) -> Any:
    """Return an object, or a list of objects, as a data frame.

    Parameters
    ----------
    parsed
        Dictionaries, dataclasses, pydantic objects or plain values.
    backend
        The library; default: the one that is imported, else the first that is installed.

    Raises
    ------
    ConfigurationError
        There is no object, no library, or the library takes no such values in one column (a ValueError).

    Examples
    --------
    >>> frame_of([{"port": "Hull", "high": 7.1}, {"port": "Oslo"}], "polars").to_dict(as_series=False)
    {'port': ['Hull', 'Oslo'], 'high': [7.1, None]}
    """
    import narwhals as nw

    if parsed is None:
        raise ConfigurationError(
            "The reply holds no object that could be a table.",
            hint="Ask with response_format=list[CLASS], or in a cell with --schema list[CLASS].",
        )
    if backend is not None and backend not in BACKENDS:
        raise ConfigurationError(
            f"backend={backend!r:.40} makes no sense.", hint=f"It is one of {', '.join(BACKENDS)}."
        )
    wanted = [backend] if backend else sorted(BACKENDS, key=lambda name: name not in sys.modules)
    library = next((name for name in wanted if find_spec(name) is not None), None)
    if library is None:
        names = " or ".join(wanted)
        raise ConfigurationError(f"There is no {names} here.", hint=f"Install one: pip install {wanted[0]}.")
    rows = [_fields_of(item) for item in (parsed if isinstance(parsed, list | tuple) else [parsed])]
    names_of_columns = {name: None for row in rows for name in row}
    columns = {name: _same_numbers([row.get(name) for row in rows]) for name in names_of_columns}
    try:
        return nw.from_dict(columns, backend=import_module(library)).to_native()
    except (TypeError, ValueError, OverflowError) as error:
        reason = str(error).strip().split("\n")[0]
        raise ConfigurationError(
            f"The reply's objects make no table of {library}: {reason:.300}",
            hint='With backend="pandas" a column may hold values of several types.' if library != "pandas" else "",
        ) from None


def _same_numbers(values: list[Any]) -> list[Any]:
    """Return a column with its whole numbers as floats where others are: JSON writes 2.0 as 2, too."""
    kinds = {type(value) for value in values if value is not None}
    return [float(value) if type(value) is int else value for value in values] if kinds == {int, float} else values


def _fields_of(item: Any) -> Mapping[str, Any]:
    item = _plain(item)
    return item if isinstance(item, Mapping) else {_VALUE: item}


def _plain(value: Any) -> Any:
    if hasattr(value, "model_dump") and not isinstance(value, type):
        value = value.model_dump()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value.value if isinstance(value, enum.Enum) else value
