"""Queue values to write into cells: the newest of each cell, at a limited rate, as a patch if that is short. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from orchat.jupyter.kernel.cell_storage.value_patch import make_patch

Value: TypeAlias = Mapping[str, Any] | None
"""Orchat's part of a cell's metadata; None removes it."""

ValueSource: TypeAlias = Value | Callable[[], Value]
"""A value, or a function that makes it at the time of sending."""

_SHORTEST, _LONGEST = 2.0, 30.0  # seconds between two writes
_BYTES_PER_SECOND = 20_000
_SHORTEST_PATCHED = 4_000  # bytes of a value; a shorter one is always sent whole
_MOST_SENT = 8  # cells whose last value is remembered


def write_interval(size: int) -> float:
    """Return the seconds to wait after writing that many bytes.

    The interval grows with that, so the traffic per second stays the same.

    Examples
    --------
    >>> [write_interval(size) for size in (0, 40_000, 256_000, 10_000_000)]
    [2.0, 2.0, 12.8, 30.0]
    """
    return min(max(size / _BYTES_PER_SECOND, _SHORTEST), _LONGEST)


@dataclass
class _Sent:
    """What was sent last for a cell; ``message`` is the identifier by which the page knows it."""

    value: Any
    message: str = ""
    is_patch: bool = False


class WriteQueue:
    """Waiting values by cell, the time from which each may be written, and what was sent last.

    Examples
    --------
    >>> waiting = WriteQueue()
    >>> waiting.put("a", {"version": 1, "words": "The tide"})
    >>> waiting.put("a", {"version": 1, "words": "The tide is high."})
    >>> waiting.take(now=0.0)
    [('a', {'op': 'set', 'value': {'version': 1, 'words': 'The tide is high.'}})]
    >>> waiting.put("a", lambda: None)
    >>> waiting.take(now=1.0), waiting.seconds_until_due(now=1.0)
    ([], 1.0)
    >>> waiting.take(now=1.0, everything=True)
    [('a', {'op': 'set', 'value': None})]
    """

    def __init__(self) -> None:
        self._waiting: dict[str, ValueSource] = {}
        self._next_write: dict[str, float] = {}
        self._sent: dict[str, _Sent] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def put(self, cell_id: str, value: ValueSource) -> None:
        """Add a value, in the place of the cell's waiting one."""
        self._waiting[cell_id] = value

    def drop(self, cell_id: str) -> None:
        """Drop the waiting value of a cell."""
        self._waiting.pop(cell_id, None)
        self._sent.pop(cell_id, None)

    def clear(self) -> None:
        """Drop all waiting values."""
        self._waiting.clear()
        self._sent.clear()

    def seconds_until_due(self, now: float) -> float:
        """Return the seconds until the next value is due."""
        return max(min((self._next_write.get(each, now) for each in self._waiting), default=now) - now, 0.0)

    def take(self, now: float, *, everything: bool = False) -> list[tuple[str, dict[str, Any]]]:
        """Remove the due values and return the messages that write them; they count as written now.

        A value is plain JSON with sorted keys, or a patch of what `sent` was told of.
        """
        due = [each for each in self._waiting if everything or self._next_write.get(each, now) <= now]
        taken = []
        for cell_id in due:
            value = self._waiting.pop(cell_id)
            text = json.dumps(value() if callable(value) else value, sort_keys=True)
            message, size = self._message(cell_id, json.loads(text), len(text))
            self._next_write[cell_id] = now + write_interval(size)
            taken.append((cell_id, message))
        return taken

    def sent(self, cell_id: str, message: str) -> None:
        """Remember that the message which was taken for a cell was sent, with this identifier."""
        if cell_id in self._sent:
            self._sent[cell_id].message = message

    def put_again(self, cell_id: str, message: object) -> None:
        """Let the value of a message that was a patch wait again, whole: a page does not know what it is a patch of."""
        sent = self._sent.get(cell_id)
        if sent is not None and sent.message == message and sent.is_patch:
            del self._sent[cell_id]
            self._waiting.setdefault(cell_id, sent.value)

    def put_patches_again(self, messages: Iterable[Mapping[str, Any]]) -> None:
        """Let the values of those messages that are patches wait again, whole."""
        for message in messages:
            if message["op"] == "patch":
                self.put_again(message["cell_id"], message["id"])

    def _message(self, cell_id: str, value: Any, size: int) -> tuple[dict[str, Any], int]:
        """Return the message that writes a value, and about how many bytes it takes."""
        last = self._sent.pop(cell_id, None)
        if size < _SHORTEST_PATCHED:
            return {"op": "set", "value": value}, size
        self._sent[cell_id] = _Sent(value)
        while len(self._sent) > _MOST_SENT:
            del self._sent[next(iter(self._sent))]
        if last is not None and last.message:
            patch = make_patch(last.value, value)
            patch_size = len(json.dumps(patch))
            if patch_size < size // 2:
                self._sent[cell_id].is_patch = True
                return {"op": "patch", "base": last.message, "patch": patch}, patch_size
        return {"op": "set", "value": value}, size
