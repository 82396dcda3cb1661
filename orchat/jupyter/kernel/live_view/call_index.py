"""Which item shows which tool call: what is being written has an index in its response, a whole call a `CallPlace`.

The ids that endpoints give play no part: they repeat, change and are missing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchat.chat.message_selection import CallPlace


@dataclass
class Written:
    """What has come of a call by pieces.

    Parameters
    ----------
    number
        Its item.
    name
        The tool's name, as soon as it has come.
    before_name
        The pieces of its arguments that came before that.
    length
        How long its arguments are so far.
    """

    number: int
    name: str = ""
    before_name: list[str] = field(default_factory=list)
    length: int = 0


class CallIndex:
    """The items of the calls of one turn."""

    def __init__(self) -> None:
        self._written: dict[int, Written] = {}  # by index, of the response that goes on, or has just ended
        self._has_ended = False
        self._numbers: dict[CallPlace, int] = {}
        self._unsettled: set[int] = set()

    def open(self, index: int) -> Written | None:
        """Return the call of the response that goes on to which a piece belongs; None where the piece begins it."""
        if self._has_ended:
            self._written, self._has_ended = {}, False
        return self._written.get(index)

    def begin(self, index: int, number: int) -> Written:
        """Take note of the item of a call that begins."""
        self._unsettled.add(number)
        self._written[index] = Written(number)
        return self._written[index]

    def end_response(self) -> None:
        """Know that what comes now belongs to other calls: each response counts its own."""
        self._has_ended = True

    def take_written(self) -> dict[int, Written]:
        """Return the calls of the response that has just ended, by their index, and forget them."""
        written, self._written, self._has_ended = self._written, {}, False
        return written

    def bind(self, place: CallPlace, number: int) -> None:
        """Take note of the item of a whole call."""
        self._numbers[place] = number
        self._unsettled.add(number)

    def find(self, place: CallPlace) -> int | None:
        """Return the item of a whole call."""
        return self._numbers.get(place)

    @property
    def unsettled(self) -> list[int]:
        """The items of calls of which nobody has asked or answered."""
        return sorted(self._unsettled)

    def settle(self, number: int) -> None:
        """Take note that a call was asked about or answered."""
        self._unsettled.discard(number)
