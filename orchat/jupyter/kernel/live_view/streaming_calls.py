"""Calls that are still being written and will be asked about: each is a form already, which nobody can decide in yet.

A description holds all that has been written so far, so that the time between two of them grows with their size, and
what they cost per second stays the same. It is made only when it is due.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchat.tools import Tool

_BYTES_PER_SECOND = 12_000


class StreamingCalls:
    """The calls that are being written, by the number of their item.

    Parameters
    ----------
    clock
        Tells the time in seconds.

    Examples
    --------
    >>> from orchat.tools import tool
    >>> @tool
    ... def tide(port: str, days: int = 1) -> str: return "high"
    >>> drafts = StreamingCalls()
    >>> drafts.begin(3, tide)
    >>> drafts.add(3, '{"port": "Hu')
    >>> [(number, form["fields"][0]["text"]) for number, form in drafts.due()]
    [(3, '"Hu"')]
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._open: dict[int, _StreamingCall] = {}

    def __contains__(self, number: int) -> bool:
        return number in self._open

    def begin(self, number: int, tool: Tool) -> None:
        """Begin with a call of which only the tool is known."""
        self._open[number] = _StreamingCall(tool)

    def add(self, number: int, text: str) -> None:
        """Take in a piece of a call's arguments."""
        draft = self._open[number]
        draft.pieces.append(text)
        draft.is_new |= bool(text)

    def take(self, number: int) -> str | None:
        """End a call, and return what was written; None if there is no such call."""
        draft = self._open.pop(number, None)
        return None if draft is None else "".join(draft.pieces)

    def due(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Describe the calls of which there is something new and enough time has passed."""
        for number, draft in self._open.items():
            if draft.is_new and self._clock() >= draft.next:
                draft.is_new = False
                if (form := draft.described()) is not None:
                    draft.next = self._clock() + len(json.dumps(form)) / _BYTES_PER_SECOND
                    yield number, form

    def later(self) -> float | None:
        """Return in how many seconds one is due; None if there is nothing new."""
        times = [draft.next for draft in self._open.values() if draft.is_new]
        return max(min(times) - self._clock(), 0.0) if times else None


class _StreamingCall:
    def __init__(self, tool: Tool) -> None:
        self.tool = tool
        self.pieces: list[str] = []
        self.is_new = True
        self.next = 0.0

    def described(self) -> dict[str, Any] | None:
        """Return the form of what was written so far; None where that is no beginning of a JSON object."""
        from pydantic_core import from_json

        from orchat.jupyter.kernel.forms import build_form

        text = "".join(self.pieces)
        self.pieces = [text]
        try:
            found = from_json(text or "{", allow_partial="trailing-strings", allow_inf_nan=False)
        except ValueError:  # it is whole at some time, or told to be none
            return None
        return build_form(self.tool, found, partial_text=text) if isinstance(found, dict) else None
