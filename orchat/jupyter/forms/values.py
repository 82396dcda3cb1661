"""What a page sends back: JSON text that becomes arguments, and what is wrong with it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from orchat.tools import Tool

_LONGEST = 1_000_000
_PLACE = re.compile(r"([^:\[. ]+)[^:]*: ")


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
    if not isinstance(text, str) or len(text) > _LONGEST:
        return None, "There are no arguments."
    try:
        found = json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        return None, "This is nested too deep."
    except json.JSONDecodeError as error:
        return None, f"This is no JSON: {error.msg}, line {error.lineno}."
    except ValueError as error:
        return None, f"This is no JSON: {error}."
    return (found, "") if isinstance(found, dict) else (None, "Arguments are a JSON object: {...}.")


def check(tool: Tool, values: object) -> list[dict[str, str]]:
    """List what is wrong with what a page sent, each with the field that it is about (``""`` for the whole).

    Examples
    --------
    >>> from orchat.tools import tool
    >>> @tool
    ... def tide(port: str) -> str: return "high"
    >>> check(tide, {"json": '{"port": 7}'})
    [{'path': 'port', 'message': 'port: 7 is not of type "string"'}]
    """
    arguments, wrong = arguments_of(values)
    if arguments is None:
        return [{"path": "", "message": wrong}]
    known = tool.parameters.get("properties")
    names = known if isinstance(known, Mapping) else {}
    found = []
    for message in tool.validate_arguments(arguments):
        place = _PLACE.match(message)
        found.append({"path": place[1] if place is not None and place[1] in names else "", "message": message})
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
