"""Incomplete calls that will need approval, as forms without a decision while they stream in.

A form holds all arguments so far, so the interval between two forms grows with their size, and the traffic per second
stays the same. A form is built only when it is due.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from orchat.jupyter.kernel.forms import build_form

if TYPE_CHECKING:
    from orchat.tools import Tool

_BYTES_PER_SECOND = 12_000


class StreamingCalls:
    """The incomplete calls by the index of their item.

    Parameters
    ----------
    clock
        Returns the time in seconds.

    Examples
    --------
    >>> from orchat.tools import tool
    >>> @tool
    ... def tide(port: str, days: int = 1) -> str: return "high"
    >>> calls = StreamingCalls()
    >>> calls.begin(3, tide)
    >>> calls.add(3, '{"port": "Hu')
    >>> [(item, form["fields"][0]["text"]) for item, form in calls.take_due_forms()]
    [(3, '"Hu"')]
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._calls: dict[int, _StreamingCall] = {}

    def __contains__(self, item: int) -> bool:
        return item in self._calls

    def begin(self, item: int, tool: Tool) -> None:
        """Add a call of which only the tool is known."""
        self._calls[item] = _StreamingCall(tool)

    def add(self, item: int, text: str) -> None:
        """Append a piece of a call's arguments."""
        call = self._calls[item]
        call.pieces.append(text)
        call.is_new |= bool(text)

    def take(self, item: int) -> str | None:
        """Remove a call, and return its arguments so far; None if there is no such call."""
        call = self._calls.pop(item, None)
        return None if call is None else "".join(call.pieces)

    def take_due_forms(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield the forms of calls that have changed and are due, with their items."""
        for item, call in self._calls.items():
            if call.is_new and self._clock() >= call.next_due:
                call.is_new = False
                if (form := call.to_form()) is not None:
                    call.next_due = self._clock() + len(json.dumps(form)) / _BYTES_PER_SECOND
                    yield item, form

    def seconds_until_due(self) -> float | None:
        """Return the seconds until the next form is due; None without changes."""
        times = [call.next_due for call in self._calls.values() if call.is_new]
        return max(min(times) - self._clock(), 0.0) if times else None


class _StreamingCall:
    def __init__(self, tool: Tool) -> None:
        self.tool = tool
        self.pieces: list[str] = []
        self.is_new = True
        self.next_due = 0.0

    def to_form(self) -> dict[str, Any] | None:
        """Return the form of the arguments so far; None where they are no prefix of a JSON object."""
        from pydantic_core import from_json

        text = "".join(self.pieces)
        self.pieces = [text]
        try:
            found = from_json(text or "{", allow_partial="trailing-strings", allow_inf_nan=False)
        except ValueError:  # the whole call shows it as malformed
            return None
        return build_form(self.tool, found, partial_text=text) if isinstance(found, dict) else None
