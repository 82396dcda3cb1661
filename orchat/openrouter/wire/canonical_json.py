"""Write the body of a request as JSON bytes, NumPy's scalars as plain ones, and name the place of what is no JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from orchat.errors import ConfigurationError


def plain_scalar(value: Any) -> Any:
    """Return a scalar of NumPy's as Python's own number or boolean, and any other value as it is.

    Examples
    --------
    >>> import numpy
    >>> plain_scalar(numpy.int64(50)), plain_scalar("none")
    (50, 'none')
    """
    is_scalar = type(value).__module__ == "numpy" and getattr(value, "shape", None) == ()
    return value.item() if is_scalar else value


def _encode_other(value: Any) -> Any:
    if (plain := plain_scalar(value)) is value:
        raise TypeError(f"{type(value).__name__} is no JSON.")
    return plain


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_encode_other).encode


def canonical_json(body: Mapping[str, Any]) -> bytes:
    """Serialize a body as JSON bytes: compact, in its own order, the same each time, so that upstream caches can hit.

    Raises
    ------
    ConfigurationError
        It holds something that is not JSON, such as NaN; it is named by its place (a ValueError).

    Examples
    --------
    >>> canonical_json({"logit_bias": {"7": {1, 2}}})
    Traceback (most recent call last):
    ...
    orchat.errors.ConfigurationError: `logit_bias.7` of the request is a set, which is no JSON. Give plain numbers, ...
    """
    try:
        return _encode(body).encode("utf-8", "replace")
    except (TypeError, ValueError, RecursionError):
        where, what = _find_no_json(body) or ("The body", "nested too deeply")
        raise ConfigurationError(
            f"{where} of the request is {what}, which is no JSON.",
            hint="Give plain numbers, texts, booleans, None, lists and dictionaries.",
        ) from None


def _find_no_json(value: Any, path: str = "") -> tuple[str, str] | None:
    """Return the place of the first value that JSON cannot hold, and what it is; None where there is none."""
    try:
        _encode(value)
    except (TypeError, ValueError, RecursionError):
        pass
    else:
        return None
    where = f"`{path}`" if path else "The body"
    if isinstance(value, float):
        return where, str(value)
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str | int | float | None):
                return where, f"a dictionary with a key of the type {type(key).__name__}"
    if isinstance(value, Mapping | list | tuple):
        inner = value.items() if isinstance(value, Mapping) else enumerate(value)
        with suppress(RecursionError):
            return next(filter(None, (_find_no_json(each, f"{path}.{key}".lstrip(".")) for key, each in inner)), None)
        return where, "nested too deeply"
    return where, f"a {type(value).__name__}"
