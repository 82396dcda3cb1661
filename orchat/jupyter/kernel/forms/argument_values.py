"""Arguments as JSON text and back: what a page is shown, what it sends, and what is wrong with that."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from orchat.tools import Tool

_LONGEST = 1_000_000
_HALF = re.compile("[\ud800-\udfff]")


def to_json_text(value: object, indent: int | None = None) -> str:
    """Return a value as JSON text that reads back as the same value.

    Examples
    --------
    >>> to_json_text({"n": 2**60 + 1, "x": 1.0})
    '{"n": 1152921504606846977, "x": 1.0}'
    """
    return to_exact_json(json.dumps(value, ensure_ascii=False, indent=indent, default=str))


def to_exact_json(text: str) -> str:
    r"""Return a text without half characters, which no message can hold: they become JSON's escapes.

    Examples
    --------
    >>> to_exact_json("half of a pair: " + chr(0xD83D))
    'half of a pair: \\ud83d'
    """
    return _HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", text)


def arguments_of(values: object) -> tuple[dict[str, Any] | None, str]:
    """Return the arguments that a page sent, or why they are none.

    Parameters
    ----------
    values
        ``{"json": text}``, from a page, so anything.

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
    if len(text) > _LONGEST:
        return None, f"This is longer than {_LONGEST:,} characters."
    try:
        found = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
        # As of a model's arguments: what cannot be written cannot be sent to the model.
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
    """List what is wrong with what a page sent, each with the field that it is about (``""`` for the whole).

    Examples
    --------
    >>> from orchat.tools import tool
    >>> @tool
    ... def tide(port: str) -> str: return "high"
    >>> check_arguments(tide, {"json": '{"port": 7}'})
    [{'path': 'port', 'message': 'port: 7 is not of type "string"'}]
    """
    arguments, wrong = arguments_of(values)
    if arguments is None:
        return [{"path": "", "message": wrong}]
    known = tool.parameters.get("properties")
    names = {*arguments, *(known if isinstance(known, Mapping) else ())}
    return [
        {"path": _place(message, names), "message": to_exact_json(message)}
        for message in tool.validate_arguments(arguments)
    ]


def _place(message: str, names: Iterable[str]) -> str:
    """Return the field that a message is about: the longest name that it begins with, for names may hold dots."""
    places = (name for name in names if message.startswith((f"{name}: ", f"{name}.", f"{name}[")))
    return max(places, key=len, default="")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is too large a number")
    return number
