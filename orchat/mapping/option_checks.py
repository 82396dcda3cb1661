"""Check the options of a column before anything is sent: each error names the option, its value, and what it takes."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

from orchat.errors import ConfigurationError


def check_number(name: str, value: Any, *, positive: bool = True, whole: bool = False) -> None:
    """Check an option that is a number, or None.

    Parameters
    ----------
    name
        The option.
    value
        What was given.
    positive
        Whether 0 makes no sense.
    whole
        Whether it is a count.

    Raises
    ------
    ConfigurationError
        It is no number, or too small (a ValueError).

    Examples
    --------
    >>> check_number("timeout", 0)
    Traceback (most recent call last):
    ...
    orchat.errors.ConfigurationError: timeout=0 makes no sense. Give a number above 0.
    """
    if value is None:
        return
    is_number = isinstance(value, Integral if whole else Real) and not isinstance(value, bool)
    if not (is_number and value >= 0) or (positive and value == 0):  # NaN is not, either
        wanted = "1 or more" if whole else "a number above 0" if positive else "0 or more"
        raise ConfigurationError(f"{name}={value!r:.80} makes no sense.", hint=f"Give {wanted}.")


def check_type(name: str, value: Any, types: type | tuple[type, ...], wanted: str) -> None:
    """Check the type of an option that may be None.

    Parameters
    ----------
    name
        The option.
    value
        What was given.
    types
        What it may be.
    wanted
        What it may be, in words.

    Raises
    ------
    ConfigurationError
        It is something else (a ValueError).

    Examples
    --------
    >>> check_type("model", 5, str, "a name")
    Traceback (most recent call last):
    ...
    orchat.errors.ConfigurationError: model=5 makes no sense. Give a name.
    """
    if value is not None and not isinstance(value, types):
        raise ConfigurationError(f"{name}={value!r:.80} makes no sense.", hint=f"Give {wanted}.")
