"""Decide what holds rows of data, and describe it without its values, for ``privacy="schema"``. It fails closed."""

from __future__ import annotations

import dataclasses
import datetime
import sqlite3
from collections.abc import Mapping
from itertools import islice
from typing import Any, Literal

from orchat.rendering.safe_introspection import is_instance_by_name, type_name

Privacy = Literal["schema", "head", "sample"]

_MAX_NAMES = 50
_SHOWN_ROWS = 20  # rows that are compared to tell records from other lists
# A class with any of these can hand out rows, columns or cells.
_DATA_ATTRIBUTES = (
    *("__dataframe__", "__arrow_c_stream__", "__arrow_c_array__", "__array__", "__array_interface__", "__dlpack__"),
    *("__narwhals_dataframe__", "__narwhals_lazyframe__", "__narwhals_series__", "__geo_interface__"),
    *("to_pandas", "to_arrow", "to_dataframe", "to_numpy", "fetchall", "iterrows", "dtype", "dtypes"),
)
# Libraries whose objects are data or parts of it: group-bys, windows, accessors, scalars of arrow.
_DATA_LIBRARIES = frozenset(
    {"altair", "awkward", "bokeh", "cudf", "cupy", "dask", "datasets", "duckdb", "geopandas", "h5py", "ibis", "jax"}
    | {"modin", "narwhals", "networkx", "pandas", "plotly", "polars", "pyarrow", "pyspark", "scipy", "sqlalchemy"}
    | {"sqlframe", "tables", "tensorflow", "torch", "xarray", "zarr"}
)


def holds_data(value: object) -> bool:
    """Whether a value is of a class that holds rows of data.

    Examples
    --------
    >>> holds_data([1, 2]), holds_data(memoryview(b"x"))
    (False, False)
    """
    if is_instance_by_name(value, "numpy.generic"):
        return is_instance_by_name(value, "numpy.void")  # a record; other numbers are numbers
    if isinstance(value, type | datetime.date | datetime.time | datetime.timedelta):
        return False
    if isinstance(value, sqlite3.Row):
        return True
    kind = type(value)
    roots = {base.__module__.partition(".")[0] for base in kind.__mro__}
    return not roots.isdisjoint(_DATA_LIBRARIES) or any(hasattr(kind, name) for name in _DATA_ATTRIBUTES)


def describe_data(value: Any) -> str:
    """Describe an object that holds data by its class, size and the names and types of its columns."""
    if isinstance(value, sqlite3.Row):
        return f"sqlite3.Row, columns: {', '.join(value.keys())}"
    lines = [type_name(value)]
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple) and all(isinstance(size, int) for size in shape):
        lines[0] += f" of shape {shape}"
    if is_instance_by_name(value, "xarray.Dataset", "xarray.DataArray"):
        arrays = value.variables if hasattr(value, "data_vars") else {value.name or "values": value, **value.coords}
        lines[0] += f", dimensions {dict(value.sizes)}"
        lines += [
            f"{name}: {each.dtype}, by {', '.join(map(str, each.dims)) or 'nothing'}" for name, each in arrays.items()
        ]
        return "\n".join(lines)
    found = [getattr(value, "column_names", None), getattr(value, "columns", None)]
    found.append(getattr(getattr(value, "dtype", None), "names", None))
    names: Any = next((each for each in found if _is_iterable(each)), ())
    # The columns of arrow are its data: only what can be a name is one.
    shown = [str(name)[:100] for name in islice(names, _MAX_NAMES) if isinstance(name, str | int)]
    if shown:
        lines.append(f"columns: {', '.join(shown)}")
    elif hasattr(type(value), "dtype"):
        lines.append(f"dtype: {value.dtype}")
    lines.append("(its values are not shown: privacy is schema)")
    return "\n".join(lines)


def describe_records(value: object) -> str | None:
    """Describe rows of data in plain containers by their number, names and types; None for other containers.

    Records are two or more rows of one shape: dictionaries, tuples, dataclasses or lists of the same length in a list
    or in a dictionary, or columns of one length in a dictionary.

    Examples
    --------
    >>> describe_records([{"port": "Hull", "level": 7.1}, {"port": "York", "level": 2.0}])
    'list of 2 records: port (str), level (float)'
    >>> describe_records({"port": ["Hull", "York"], "level": [7.1, 2.0]})
    'dict of 2 records: port (str), level (float)'
    >>> describe_records([1, 2]) is None
    True
    """
    if isinstance(value, Mapping):
        columns = dict(islice(value.items(), _MAX_NAMES))
        sizes = {len(each) if isinstance(each, list | tuple) else -1 for each in columns.values()}
        if len(sizes) == 1 and min(sizes) >= 2 and all(isinstance(name, str) for name in columns):
            fields = {name: each[0] for name, each in columns.items()}
            return f"{type_name(value)} of {sizes.pop():,} records: {_fields_text(fields)}"
        rows = list(islice(value.values(), _SHOWN_ROWS))
    elif isinstance(value, list | tuple | set | frozenset):
        rows = list(islice(value, _SHOWN_ROWS))
    else:
        return None
    found = [_row_fields(row) for row in rows]
    if len(value) < 2 or any(fields is None for fields in found):
        return None
    names = [tuple(fields or ()) for fields in found]
    alike = len(set(names)) == 1 or (isinstance(rows[0], Mapping) and bool(set(names[0]).intersection(*names[1:])))
    if not alike:
        return None
    # The keys of a dictionary of rows, and those of the rows, may be labels of data.
    about = f" of {len(names[0])} values" if isinstance(value, Mapping) else f": {_fields_text(found[0] or {})}"
    return f"{type_name(value)} of {len(value):,} records{about}"


def _row_fields(row: Any) -> dict[str, Any] | None:
    if isinstance(row, Mapping):
        return {str(name): each for name, each in islice(row.items(), _MAX_NAMES)} or None
    if isinstance(row, sqlite3.Row):
        return dict(zip(row.keys(), row, strict=True))
    if dataclasses.is_dataclass(row) and not isinstance(row, type):
        return {field.name: getattr(row, field.name, None) for field in dataclasses.fields(row)}
    if is_instance_by_name(row, "pydantic.BaseModel"):
        return {name: getattr(row, name, None) for name in type(row).model_fields}
    if isinstance(row, tuple | list) and len(row) >= 2:
        names = getattr(type(row), "_fields", None) or range(len(row))
        return {str(name): each for name, each in zip(names, row, strict=False)}
    return None


def _fields_text(fields: Mapping[str, Any]) -> str:
    return ", ".join(f"{name[:60]} ({type(each).__name__})" for name, each in islice(fields.items(), _MAX_NAMES))


def _is_iterable(value: object) -> bool:
    return value is not None and not isinstance(value, str) and hasattr(type(value), "__iter__")
