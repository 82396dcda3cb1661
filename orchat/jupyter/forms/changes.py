"""What a person changed of a call's arguments; pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from orchat.jupyter.forms.values import written

_MOST = 50
_DEEPEST = 8
_LONGEST = 2_000


def difference(before: object, after: object) -> list[dict[str, str | None]]:
    """List what is different between two values, each with its place and both texts; None where nothing stood.

    ``1``, ``1.0`` and ``true`` are three values, although Python holds them equal: they are not the same to a tool.

    Examples
    --------
    >>> difference({"port": "Hull", "days": 1}, {"port": "Goole", "days": 1})
    [{'path': 'port', 'before': '"Hull"', 'after': '"Goole"'}]
    >>> difference({"stops": [{"hours": 1}]}, {"stops": [{"hours": 1.0}]})
    [{'path': 'stops[0].hours', 'before': '1', 'after': '1.0'}]
    """
    found: list[dict[str, str | None]] = []
    for place, old, new in _changes("", before, after, 0):
        if len(found) == _MOST:
            found.append({"path": "", "before": None, "after": "..."})
            break
        found.append({"path": place.removeprefix("."), "before": _text(old), "after": _text(new)})
    return found


def _changes(place: str, before: Any, after: Any, depth: int) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(before, dict) and isinstance(after, dict) and depth < _DEEPEST:
        for name in [*before, *(name for name in after if name not in before)]:
            yield from _changes(f"{place}.{name}", before.get(name, ...), after.get(name, ...), depth + 1)
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after) and depth < _DEEPEST:
        for at, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from _changes(f"{place}[{at}]", old, new, depth + 1)
    elif not _same(before, after):
        yield place, before, after


def _same(before: Any, after: Any) -> bool:
    """Say whether two values are the same to a tool, whatever the order of their names."""
    try:
        return before is after or (
            type(before) is type(after) and bool(before == after) and _same_inside(before, after)
        )
    except RecursionError:  # then nothing is known, and a change is what must be told
        return False


def _same_inside(before: Any, after: Any) -> bool:
    if isinstance(before, dict):
        return all(_same(each, after[name]) for name, each in before.items())
    if isinstance(before, list):
        return all(_same(old, new) for old, new in zip(before, after, strict=True))
    return True


def _text(value: Any) -> str | None:
    if value is ...:
        return None
    try:
        text = written(value)
    except (RecursionError, ValueError):
        return "..."
    return text if len(text) <= _LONGEST else text[: _LONGEST - 4] + " ..."
