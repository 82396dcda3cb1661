"""Read the arguments of a tool call from what an endpoint sent."""

from __future__ import annotations

import json
from typing import Any


def parse_arguments(raw: Any) -> tuple[dict[str, Any], str | None]:
    """Read a call's arguments; what is no JSON object comes back as text beside an empty dictionary.

    Examples
    --------
    >>> parse_arguments('{"port": "Hull"}'), parse_arguments(None), parse_arguments("[1]")
    (({'port': 'Hull'}, None), ({}, None), ({}, '[1]'))
    """
    if isinstance(raw, dict):
        return raw, None
    if raw is None or (isinstance(raw, str) and not raw.strip()):
        return {}, None
    try:
        value = json.loads(raw)
        # What cannot be written again cannot be sent again: NaN, infinities, halves of characters.
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError):
        value = None
    if isinstance(value, dict):
        return value, None
    return {}, raw if isinstance(raw, str) else json.dumps(raw)
