"""Summarize a column of a table: missing and distinct values, the range and quartiles, or the most frequent values."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from orchat.rendering.number_format import decimals_of, number_text
from orchat.secrets import HIDDEN, is_secret, redact

_MOST_FREQUENT = 3
_LONGEST_VALUE = 30  # characters of a frequent value
_MARGIN = 4096
_DISTINCT_CELLS = 2_000_000  # counting the distinct values of more would be felt


def missing_count(series: Any) -> int:
    """Return how many values of a narwhals series are missing; NaN counts."""
    missing = int(series.null_count())
    if series.dtype.is_float():
        missing += int(series.drop_nulls().is_nan().sum() or 0)
    return missing


def distinct_count(series: Any) -> int | None:
    """Return how many different values a narwhals series has, missing ones apart; None where that is not to be had."""
    if len(series) > _DISTINCT_CELLS:
        return None
    present = _attempt(series.drop_nulls)
    return None if present is None else _attempt(present.n_unique)


def value_summary(series: Any, name: str, distinct: int | None) -> str:
    """Return minimum, quartiles and maximum of numbers, the range of times, or the most frequent values.

    Empty where there is nothing short to say, hidden under the name of a secret.

    Examples
    --------
    >>> import polars, narwhals.stable.v2 as nw
    >>> read = lambda values: nw.from_native(polars.Series(values), series_only=True)
    >>> value_summary(read([1, 2, 3, 4, 100]), "level", 5)
    '1 2 3 4 100'
    >>> value_summary(read(["Hull", "York", "Hull"]), "port", 2)
    'Hull (2), York (1)'
    """
    import narwhals.stable.v2 as nw

    present = _attempt(series.drop_nulls)
    if present is None or not len(present):
        return ""
    dtype = present.dtype
    if dtype.is_numeric():
        return _quartiles(present, name)
    if dtype.is_temporal():
        low, high = present.min(), present.max()
        return HIDDEN if is_secret(name, str(low)) else f"{_short(low)} to {_short(high)}"
    textual = (nw.String, nw.Categorical, nw.Enum, nw.Boolean, nw.Object)
    if distinct is None or not isinstance(dtype, textual) or distinct == len(present) > 1:
        return ""
    counts = _attempt(lambda: present.value_counts(sort=True).head(_MOST_FREQUENT).rows()) or []
    if any(is_secret(name, value) for value, _ in counts):
        return HIDDEN
    if not all(isinstance(value, str | bool | int) or type(value).__name__ == "bool" for value, _ in counts):
        return ""
    return ", ".join(f"{_short(value)} ({number:,})" for value, number in counts)


def _quartiles(present: Any, name: str) -> str:
    if present.dtype.is_float():
        present = present.filter(present.is_finite())
        if not len(present):
            return ""
    whole = present.dtype.is_integer()
    places = [present.min(), *(_attempt(partial(present.quantile, at, "linear")) for at in (0.25, 0.5, 0.75))]
    numbers = [float(each) for each in [*places, present.max()] if each is not None]
    if is_secret(name, str(numbers[0])):
        return HIDDEN
    decimals = min(decimals_of(numbers), 1) if whole else decimals_of(numbers)
    return " ".join(number_text(number, decimals) for number in numbers)


def _short(value: object) -> str:
    text = redact(str(value)[:_MARGIN]).removesuffix(" 00:00:00")  # before the cut: no half of a secret stays
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 1] + "…"


def _attempt(compute: Callable[[], Any]) -> Any:
    """Return a figure, or None where the column's library cannot have it of these values."""
    try:
        return compute()
    except Exception:  # noqa: BLE001 - each library raises its own errors, for lists and structs for instance
        return None
