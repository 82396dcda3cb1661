"""Inspect untrusted objects safely: type checks without importing libraries, and methods that may raise."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]{4,}")


def is_instance_by_name(value: object, *kinds: str) -> bool:
    """Whether a value is an instance of a class given by its dotted path; False if the class's module is not loaded.

    Examples
    --------
    >>> is_instance_by_name({}, "builtins.dict"), is_instance_by_name({}, "pandas.DataFrame")
    (True, False)
    """
    for kind in kinds:
        module, _, name = kind.rpartition(".")
        found = getattr(sys.modules.get(module), name, None)
        if isinstance(found, type) and isinstance(value, found):
            return True
    return False


def own_method(value: object, name: str) -> Callable[..., Any] | None:
    """Return a method that the value's class defines; None for one that only ``__getattr__`` provides."""
    if isinstance(value, type) or not callable(getattr(type(value), name, None)):
        return None
    method: Callable[..., Any] = getattr(value, name)
    return method


def type_name(value: object) -> str:
    """Return the name of a value's class, with its module unless that is builtins or ``__main__``.

    Examples
    --------
    >>> type_name(3), type_name(re.compile("a"))
    ('int', 're.Pattern')
    """
    kind = type(value)
    module = kind.__module__
    return kind.__qualname__ if module in {"builtins", "__main__"} else f"{module}.{kind.__qualname__}"


def describe_error(error: BaseException) -> str:
    """Describe an exception in one line, even if its ``str`` raises.

    Examples
    --------
    >>> describe_error(ValueError("too deep"))
    'ValueError: too deep'
    """
    try:
        message = str(error)
    except Exception as broken:  # noqa: BLE001 - anybody's __str__
        message = f"(its message cannot be read: {type(broken).__name__})"
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def safe_repr(value: object) -> str:
    """Return ``repr(value)`` without memory addresses, or a description of its failure."""
    try:
        return _ADDRESS.sub("", repr(value))
    except Exception as error:  # noqa: BLE001 - anybody's __repr__
        return f"<{type_name(value)}, whose repr failed: {describe_error(error)}>"
