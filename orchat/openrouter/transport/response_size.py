"""`ResponseSize`: count what has arrived of a response, and raise where it is over a limit."""

from __future__ import annotations

from collections.abc import Callable

from orchat.openrouter.response_limits import ResponseLimits
from orchat.openrouter.transport.event_stream import looks_like_events

_GROWTH = 1024 * 1024
_STRUCTURE = "[{,:\n"  # at least one of these stands between two values, or two lines


class ResponseSize:
    """The size of a body so far, of all of it and of the event that has begun: that one is kept until it ends.

    Most blocks end where an event ends, and cost next to nothing. An event that begins and ends in one block is not
    looked at: blocks are 64 kB at most.

    Parameters
    ----------
    limits
        The limits of the response.
    whole
        The name of the limit for a body that is no event stream.
    """

    def __init__(self, limits: ResponseLimits, whole: str) -> None:
        self.is_stream = False
        # Called after each megabyte, to look at what has been kept of a stream.
        self.on_growth: Callable[[], None] | None = None
        self._limits = limits
        self._whole = whole
        self._received = self._next_look = 0
        self._characters = self._values = 0
        self._is_ascii = True
        self._tail = ""  # of the last block: an event's end may be cut
        self._holds_events = False  # though it is read whole

    def add(self, text: str, size: int) -> None:
        """Count a block, given as decoded text and by its size in bytes.

        Raises
        ------
        ResponseLimitError
            The body, or the event that has begun, is over a limit.
        """
        self._received += size
        if self._received > self._next_look:
            self._look()
        if self.is_stream and text.endswith("\n\n"):
            if self._characters:
                self._characters = self._values = 0
                self._is_ascii = True
        elif not self.is_stream:
            self._holds_events = self._holds_events or (self._characters == 0 and looks_like_events(text))
            self._add(text, self._whole)
            if self._holds_events and _event_end(text) >= 0:
                self._values = 0
        else:
            searched = self._tail + text
            if (end := _event_end(searched)) >= 0:
                self._characters = self._values = 0
                self._is_ascii = True
                text = searched[end + 2 :]
            self._tail = text[-3:]
            self._add(text, "event_bytes")

    def _look(self) -> None:
        self._next_look = self._received + _GROWTH
        if self.is_stream and self._received > self._limits.stream_bytes:
            raise self._limits.exceeded("stream_bytes")
        if self.on_growth is not None:
            self.on_growth()

    def _add(self, text: str, limit: str) -> None:
        self._characters += len(text)
        self._is_ascii = self._is_ascii and text.isascii()
        # One wide character makes the whole text wide in memory.
        if self._characters * (1 if self._is_ascii else 4) > getattr(self._limits, limit):
            raise self._limits.exceeded(limit)
        self._values += sum(map(text.count, _STRUCTURE))
        if self._values > self._limits.json_values:
            raise self._limits.exceeded("json_values")


def _event_end(text: str) -> int:
    """Return where the last event that ends in a text does; -1 where none does."""
    return max(text.rfind("\n\n"), text.rfind("\r\n\r\n"), text.rfind("\r\r"))
