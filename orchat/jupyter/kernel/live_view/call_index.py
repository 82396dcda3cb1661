"""Map tool calls to the items that show them: an incomplete call by its index, a whole call by its `CallPlace`.

The ids that endpoints give are not used: they repeat, change and are missing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchat.chat.message_selection import CallPlace


@dataclass
class StreamedCall:
    """An incomplete call, which streams in.

    Parameters
    ----------
    item
        The index of its item.
    name
        The tool's name, empty until it arrives.
    arguments_before_name
        The pieces of its arguments that arrived before the name.
    length
        The length of its arguments so far, in characters.
    """

    item: int
    name: str = ""
    arguments_before_name: list[str] = field(default_factory=list)
    length: int = 0


class CallIndex:
    """The items of the calls of one turn, by index or place."""

    def __init__(self) -> None:
        self._streamed: dict[int, StreamedCall] = {}  # by index, of the current or just ended response
        self._has_ended = False
        self._items: dict[CallPlace, int] = {}
        self._unsettled: set[int] = set()

    def find_streamed(self, index: int) -> StreamedCall | None:
        """Return the incomplete call with that index in the current response; None where it is new."""
        if self._has_ended:
            self._streamed, self._has_ended = {}, False
        return self._streamed.get(index)

    def add_streamed(self, index: int, item: int) -> StreamedCall:
        """Add an incomplete call and its item."""
        self._unsettled.add(item)
        self._streamed[index] = StreamedCall(item)
        return self._streamed[index]

    def end_response(self) -> None:
        """End the response: later indexes belong to the calls of the next one."""
        self._has_ended = True

    def take_streamed(self) -> dict[int, StreamedCall]:
        """Remove and return the calls of the just ended response, by index."""
        streamed, self._streamed, self._has_ended = self._streamed, {}, False
        return streamed

    def bind(self, place: CallPlace, item: int) -> None:
        """Set the item of a whole call."""
        self._items[place] = item
        self._unsettled.add(item)

    def find(self, place: CallPlace) -> int | None:
        """Return the item of a whole call; None where it has none."""
        return self._items.get(place)

    @property
    def unsettled(self) -> list[int]:
        """The items of calls that have neither an approval request nor a result."""
        return sorted(self._unsettled)

    def settle(self, item: int) -> None:
        """Mark a call as asked about or answered."""
        self._unsettled.discard(item)
