"""Convert arguments to the JSON text of a form and back, and validate them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from orchat.tools import Tool

_MOST_CHARACTERS = 1_000_000
_SURROGATE = re.compile("[\ud800-\udfff]")


def to_json_text(value: object, indent: int | None = None) -> str:
    """Return a value as JSON text that reads back as the same value.

    Examples
    --------
    >>> to_json_text({"n": 2**60 + 1, "x": 1.0})
    '{"n": 1152921504606846977, "x": 1.0}'
    """
    return escape_surrogates(json.dumps(value, ensure_ascii=False, indent=indent, default=str))


def escape_surrogates(text: str) -> str:
    r"""Escape lone surrogates, which no message can hold, as JSON does.

    Examples
    --------
    >>> escape_surrogates("half of a pair: " + chr(0xD83D))
    'half of a pair: \\ud83d'
    """
    return _SURROGATE.sub(lambda half: f"\\u{ord(half[0]):04x}", text)


def arguments_of(values: object) -> tuple[dict[str, Any] | None, str]:
    """Return the arguments that a page sent, or None and the error.

    Parameters
    ----------
    values
        ``{"json": text}`` from a page, untrusted.

    Examples
    --------
    >>> arguments_of({"json": '{"n": 1152921504606846977, "x": 1.0}'})
    ({'n': 1152921504606846977, 'x': 1.0}, '')
    >>> arguments_of({"json": "{"})
    (None, 'This is no JSON: Expecting property name enclosed in double quotes, line 1.')
    """
    text = values.get("json") if isinstance(values, Mapping) else None
    if not isinstance(text, str):
        return None, "There are no arguments."
    if len(text) > _MOST_CHARACTERS:
        return None, f"This is longer than {_MOST_CHARACTERS:,} characters."
    try:
        found = json.loads(text, parse_constant=_reject_constant, parse_float=_parse_finite)
        # As for a model's arguments: a text that cannot be encoded cannot be sent to the model.
        json.dumps(found, ensure_ascii=False).encode()
    except RecursionError:
        return None, "This is nested too deep."
    except json.JSONDecodeError as error:
        return None, f"This is no JSON: {error.msg}, line {error.lineno}."
    except UnicodeEncodeError:
        return None, "There is half a character in it (a lone surrogate)."
    except ValueError as error:
        return None, f"This is no JSON: {error}."
    return (found, "") if isinstance(found, dict) else (None, "Arguments are a JSON object: {...}.")


def check_arguments(tool: Tool, values: object) -> list[dict[str, str]]:
    """Return the validation errors of a page's arguments, each with its field (``""`` for the whole).

    Examples
    --------
    >>> from orchat.tools import tool
    >>> @tool
    ... def tide(port: str) -> str: return "high"
    >>> check_arguments(tide, {"json": '{"port": 7}'})
    [{'path': 'port', 'message': 'port: 7 is not of type "string"'}]
    """
    arguments, error_text = arguments_of(values)
    if arguments is None:
        return [{"path": "", "message": error_text}]
    known = tool.parameters.get("properties")
    names = {*arguments, *(known if isinstance(known, Mapping) else ())}
    return [
        {"path": _field_of(message, names), "message": escape_surrogates(message)}
        for message in tool.validate_arguments(arguments)
    ]


def _field_of(message: str, names: Iterable[str]) -> str:
    """Return the field of an error message: the longest name that it begins with, as names may hold dots."""
    places = (name for name in names if message.startswith((f"{name}: ", f"{name}.", f"{name}[")))
    return max(places, key=len, default="")


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _parse_finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is too large a number")
    return number
