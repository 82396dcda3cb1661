"""Write numbers of a table with the digits that say something."""

from __future__ import annotations

import math
from collections.abc import Iterable

_DIGITS = 5
_EXACT_DECIMALS = 2  # prices and the like stay as they are


def decimals_of(numbers: Iterable[object]) -> int:
    """Return how many decimals the numbers of a column need: five digits of the largest.

    Examples
    --------
    >>> decimals_of([0.123456789, 12.3]), decimals_of([123456.7]), decimals_of([])
    (3, 0, 4)
    """
    sizes = [abs(each) for each in numbers if isinstance(each, float) and math.isfinite(each) and each]
    return max(0, _DIGITS - 1 - math.floor(math.log10(max(sizes, default=1.0))))


def number_text(number: float, decimals: int) -> str:
    """Write a number with so many decimals, but exactly where that is short.

    Examples
    --------
    >>> number_text(0.123456789, 4), number_text(1234.56, 1), number_text(1e-9, 4), number_text(2.0, 4)
    ('0.1235', '1234.56', '1e-09', '2')
    """
    exact = f"{number:.10g}"
    if "e" in exact:
        return f"{number:.{_DIGITS}g}"
    if len(exact.partition(".")[2]) <= max(decimals, _EXACT_DECIMALS):
        return exact
    rounded = f"{number:.{decimals}f}"
    if decimals:
        rounded = rounded.rstrip("0").rstrip(".")
    return f"{number:.{_DIGITS}g}" if rounded in ("0", "-0") else rounded
