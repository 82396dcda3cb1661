"""Parse a tool call's arguments from a model's text, and repair unambiguous mistakes.

What is a JSON object is taken. What is none, but can be read as one in a single way, is mended, and that is said: an
empty object before the real one, JSON that was written as a JSON string, a fence or a model's own markers around it,
line ends that were not escaped. All else is malformed, and kept as text.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from orchat.messages.lenient_json import BLANKS, fenced

# Markers of chat templates that leak into arguments: </tool_call>, <|im_end|>, and some with full-width bars.
_MARKER = re.compile(r"</?[\w:.-]{1,40}>|<[|\uff5c][^<>]{1,40}[|\uff5c]>")
# Control characters in strings pass: a model that forgets to escape a line end can mean nothing else.
_DECODER = json.JSONDecoder(strict=False)
_DEEPEST = 3


@dataclass(frozen=True)
class Arguments:
    """Parsed arguments.

    Parameters
    ----------
    values
        The arguments; empty where they are malformed.
    malformed
        The text that is no JSON object.
    mended
        The text that was none, and could be read as one.
    text
        The JSON text as it came, where `values` is what it says.
    """

    values: dict[str, Any]
    malformed: str | None = None
    mended: str | None = None
    text: str | None = None

    @property
    def extra(self) -> dict[str, Any] | None:
        """The ``extra`` of their `ToolCall`: malformed and repaired texts."""
        notes = {"malformed_arguments": self.malformed, "mended_arguments": self.mended}
        return {key: value for key, value in notes.items() if value is not None} or None


def read_arguments(raw: Any) -> Arguments:
    """Parse a call's arguments: JSON text, an object, or None.

    Examples
    --------
    >>> read_arguments('{"port": "Hull"}').values, read_arguments("null").values, read_arguments("[1]").malformed
    ({'port': 'Hull'}, {}, '[1]')
    >>> read_arguments('{}{"port": "Hull"}</tool_call>').values
    {'port': 'Hull'}
    """
    if isinstance(raw, dict):
        return Arguments(raw)
    if raw is None:
        return Arguments({})
    if not isinstance(raw, str):
        return Arguments({}, malformed=json.dumps(raw))
    if (bare := raw.strip(BLANKS)) in ("", "null"):
        return Arguments({})
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict):
        return Arguments(value, text=raw) if _can_be_sent(value) else Arguments({}, malformed=raw)
    try:
        mended = _mended(bare)
    except (ValueError, RecursionError):
        mended = None
    if mended is not None and _can_be_sent(mended):
        return Arguments(mended, mended=raw)
    return Arguments({}, malformed=raw)


def parse_arguments(raw: Any) -> tuple[dict[str, Any], str | None]:
    """Parse a call's arguments to a dictionary; anything but a JSON object is returned as text, with an empty one.

    Examples
    --------
    >>> parse_arguments('{"port": "Hull"}'), parse_arguments(None), parse_arguments("[1]")
    (({'port': 'Hull'}, None), ({}, None), ({}, '[1]'))
    """
    arguments = read_arguments(raw)
    return arguments.values, arguments.malformed


def _can_be_sent(value: Any) -> bool:
    """Whether a value can be serialized again: NaN, infinities and unpaired surrogates cannot."""
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return False
    return True


def _mended(text: str, depth: int = 0) -> dict[str, Any] | None:
    if text == "null" or not text:
        return {}
    objects = _objects(text)
    if objects is None:
        inner = list(fenced(text))
        objects = _objects(inner[0]) if len(inner) == 1 else None
    if objects is not None:
        telling = [found for found in objects if found] or [{}]
        return telling[0] if all(found == telling[0] for found in telling) else None
    value, end = _DECODER.raw_decode(text)
    if isinstance(value, str) and _is_marked(text[end:]) and depth < _DEEPEST:
        return _mended(value.strip(BLANKS), depth + 1)
    return None


def _objects(text: str) -> list[dict[str, Any]] | None:
    """Parse a text of consecutive JSON objects and markers; None for any other text."""
    found = []
    at = 0
    while at < len(text):
        if text[at] in BLANKS:
            at += 1
        elif marker := _MARKER.match(text, at):
            at = marker.end()
        elif text[at] == "{":
            try:
                value, at = _DECODER.raw_decode(text, at)
            except ValueError:
                return None
            found.append(value)
        else:
            return None
    return found or None


def _is_marked(text: str) -> bool:
    return not _MARKER.sub("", text).strip(BLANKS)
