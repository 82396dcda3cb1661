"""What waits to be written into cells, and when it may be: the newest value of each, not too often. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

Value: TypeAlias = Mapping[str, Any] | None
"""What a cell's metadata is to hold of ours; None takes it away."""

Made: TypeAlias = Value | Callable[[], Value]
"""A value, or what makes it when it is sent."""

_SHORTEST, _LONGEST = 2.0, 30.0  # seconds between two writes
_BYTES_PER_SECOND = 20_000


def write_interval(size: int) -> float:
    """Return how many seconds to leave after writing that many bytes.

    Every write sends the whole value, so that the period grows with it.

    Examples
    --------
    >>> [write_interval(size) for size in (0, 40_000, 256_000, 10_000_000)]
    [2.0, 2.0, 12.8, 30.0]
    """
    return min(max(size / _BYTES_PER_SECOND, _SHORTEST), _LONGEST)


class WriteQueue:
    """The values that wait, by cell.

    Examples
    --------
    >>> waiting = WriteQueue()
    >>> waiting.put("a", {"version": 1, "words": "The tide"})
    >>> waiting.put("a", {"version": 1, "words": "The tide is high."})
    >>> waiting.take(now=0.0)
    [('a', {'version': 1, 'words': 'The tide is high.'})]
    >>> waiting.put("a", lambda: None)
    >>> waiting.take(now=1.0), waiting.wait(now=1.0)
    ([], 1.0)
    >>> waiting.take(now=1.0, all_of_them=True)
    [('a', None)]
    """

    def __init__(self) -> None:
        self._waiting: dict[str, Made] = {}
        self._next: dict[str, float] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def put(self, cell_id: str, value: Made) -> None:
        """Let a value wait, in the place of one that waits already."""
        self._waiting[cell_id] = value

    def clear(self) -> None:
        """Forget what waits."""
        self._waiting.clear()

    def wait(self, now: float) -> float:
        """Return in how many seconds the next one is due."""
        return max(min((self._next.get(each, now) for each in self._waiting), default=now) - now, 0.0)

    def take(self, now: float, *, all_of_them: bool = False) -> list[tuple[str, dict[str, Any] | None]]:
        """Return what is due, as plain JSON with sorted keys, and note that it is written now."""
        due = [each for each in self._waiting if all_of_them or self._next.get(each, now) <= now]
        taken = []
        for cell_id in due:
            made = self._waiting.pop(cell_id)
            text = json.dumps(made() if callable(made) else made, sort_keys=True)
            self._next[cell_id] = now + write_interval(len(text))
            taken.append((cell_id, json.loads(text)))
        return taken
