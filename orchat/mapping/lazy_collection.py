"""Whether data is a collection of Dask, found without Dask, which is imported for nobody who does not use it."""

from __future__ import annotations

from typing import Any


def is_dask_collection(data: Any) -> bool:
    """Return whether data is a DataFrame, Series or Bag of Dask, or another of its collections.

    Examples
    --------
    >>> is_dask_collection([1, 2])
    False
    """
    return hasattr(type(data), "__dask_graph__") and any(
        each.__module__.partition(".")[0] in {"dask", "dask_expr"} for each in type(data).__mro__
    )
