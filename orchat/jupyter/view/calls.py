"""Which item shows which tool call: pieces of a call know an index within a response, results know an id."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchat.messages import ToolCall
    from orchat.streaming import ToolCallDelta


class ShownCalls:
    """The items of tool calls, by what is known of each call so far."""

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}
        self._open: dict[int, tuple[int | None, str]] = {}
        self._lengths: dict[int, int] = {}
        self._unsettled: set[int] = set()

    def note(self, number: int, call_id: str | None, name: str, index: int | None = None) -> None:
        """Remember the item of a new call."""
        self._open[number] = (index, name)
        self._unsettled.add(number)
        if call_id:
            self._ids.setdefault(call_id, number)

    def open(self, delta: ToolCallDelta) -> int | None:
        """Return the item that a piece of a call belongs to."""
        return next((number for number, (index, _) in self._open.items() if index == delta.index), None)

    def find(self, call: ToolCall) -> int | None:
        """Return the item of a complete call: by its id, else by its name."""
        if call.id in self._ids:
            return self._ids[call.id]
        named = (number for number, (_, name) in self._open.items() if name == call.tool_name)
        return next((number for number in named if number not in self._ids.values()), None)

    def end_response(self) -> None:
        """Know that what comes now belongs to other calls: each response counts its own."""
        self._open = {number: (None, name) for number, (_, name) in self._open.items()}

    @property
    def unsettled(self) -> list[int]:
        """The items of calls that nobody has taken for complete."""
        return sorted(self._unsettled)

    def settle(self, number: int, call_id: str | None) -> None:
        """Take a call for complete: no piece of it comes any more."""
        self._unsettled.discard(number)
        if call_id:
            self._ids.setdefault(call_id, number)
        if number in self._open:
            self._open[number] = (None, self._open[number][1])

    def finish(self, number: int) -> None:
        """Take a call for answered."""
        self._open.pop(number, None)

    def lengthen(self, number: int, by: int) -> int:
        """Return how long a call's arguments are with a piece that has just come."""
        self._lengths[number] = self._lengths.get(number, 0) + by
        return self._lengths[number]
