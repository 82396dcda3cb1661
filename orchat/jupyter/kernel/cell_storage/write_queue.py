"""Queue values to write into cells: the newest value of each cell, at a limited rate. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

Value: TypeAlias = Mapping[str, Any] | None
"""Orchat's part of a cell's metadata; None removes it."""

ValueSource: TypeAlias = Value | Callable[[], Value]
"""A value, or a function that makes it at the time of sending."""

_SHORTEST, _LONGEST = 2.0, 30.0  # seconds between two writes
_BYTES_PER_SECOND = 20_000


def write_interval(size: int) -> float:
    """Return the seconds to wait after writing that many bytes.

    Every write sends the whole value, so the interval grows with its size.

    Examples
    --------
    >>> [write_interval(size) for size in (0, 40_000, 256_000, 10_000_000)]
    [2.0, 2.0, 12.8, 30.0]
    """
    return min(max(size / _BYTES_PER_SECOND, _SHORTEST), _LONGEST)


class WriteQueue:
    """Waiting values by cell, and the time from which each may be written.

    Examples
    --------
    >>> waiting = WriteQueue()
    >>> waiting.put("a", {"version": 1, "words": "The tide"})
    >>> waiting.put("a", {"version": 1, "words": "The tide is high."})
    >>> waiting.take(now=0.0)
    [('a', {'version': 1, 'words': 'The tide is high.'})]
    >>> waiting.put("a", lambda: None)
    >>> waiting.take(now=1.0), waiting.seconds_until_due(now=1.0)
    ([], 1.0)
    >>> waiting.take(now=1.0, everything=True)
    [('a', None)]
    """

    def __init__(self) -> None:
        self._waiting: dict[str, ValueSource] = {}
        self._next_write: dict[str, float] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def put(self, cell_id: str, value: ValueSource) -> None:
        """Add a value, in the place of the cell's waiting one."""
        self._waiting[cell_id] = value

    def drop(self, cell_id: str) -> None:
        """Drop the waiting value of a cell."""
        self._waiting.pop(cell_id, None)

    def clear(self) -> None:
        """Drop all waiting values."""
        self._waiting.clear()

    def seconds_until_due(self, now: float) -> float:
        """Return the seconds until the next value is due."""
        return max(min((self._next_write.get(each, now) for each in self._waiting), default=now) - now, 0.0)

    def take(self, now: float, *, everything: bool = False) -> list[tuple[str, dict[str, Any] | None]]:
        """Remove and return the due values, as plain JSON with sorted keys; they count as written now."""
        due = [each for each in self._waiting if everything or self._next_write.get(each, now) <= now]
        taken = []
        for cell_id in due:
            value = self._waiting.pop(cell_id)
            text = json.dumps(value() if callable(value) else value, sort_keys=True)
            self._next_write[cell_id] = now + write_interval(len(text))
            taken.append((cell_id, json.loads(text)))
        return taken
