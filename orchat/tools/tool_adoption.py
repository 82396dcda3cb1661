"""Read the fields of objects with the interface of a tool, such as Haystack's."""

from __future__ import annotations

import inspect
from typing import Any


def adopted_fields(other: object) -> dict[str, Any]:
    """Return the fields of a `orchat.tools.Tool` that does what another tool does.

    Raises
    ------
    TypeError
        It has not: a name, a description, a parameters dictionary and a function.

    Examples
    --------
    >>> adopted_fields("tide")
    Traceback (most recent call last):
    ...
    TypeError: A Tool is needed, not str.
    """
    function, async_function = (getattr(other, name, None) for name in ("function", "async_function"))
    has_text = all(isinstance(getattr(other, name, None), str) for name in ("name", "description"))
    parameters = getattr(other, "parameters", None)
    if isinstance(other, type) or not has_text or not isinstance(parameters, dict) or not (function or async_function):
        raise TypeError(f"A Tool is needed, not {type(other).__name__}.")
    if inspect.iscoroutinefunction(function):  # so Haystack before 3
        function, async_function = None, function
    if _warms_up(other):  # only its own methods know when
        function = function and getattr(other, "invoke", function)
        async_function = async_function and getattr(other, "invoke_async", async_function)
    mappings = ("outputs_to_string", "inputs_from_state", "outputs_to_state")
    options: dict[str, Any] = {name: getattr(other, name, None) for name in mappings}
    return {
        "name": other.name,  # type: ignore[attr-defined]
        "description": other.description,  # type: ignore[attr-defined]
        "parameters": parameters,
        "function": function,
        "async_function": async_function,
        **options,
    }


def _warms_up(other: object) -> bool:
    """Whether a tool has a warm-up of its own; that of Haystack's plain Tool does nothing."""
    methods = (getattr(other, name, None) for name in ("warm_up", "warm_up_async"))
    return any(getattr(method, "__qualname__", "Tool.").partition(".")[0] != "Tool" for method in methods)
