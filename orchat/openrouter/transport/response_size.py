"""Count what has arrived of a response, and raise where it is over a limit."""

from __future__ import annotations

from collections.abc import Callable

from orchat.openrouter.response_limits import ResponseLimits
from orchat.openrouter.transport.event_stream_detection import looks_like_events

_GROWTH = 1024 * 1024
_STRUCTURE = "[{,:\n"  # at least one of these stands between two values, or two lines


class ReceivedSize:
    """The bytes of a body so far.

    Parameters
    ----------
    limits
        The limits of the response.
    """

    def __init__(self, limits: ResponseLimits) -> None:
        self.is_stream = False
        # Called after each megabyte, to look at what has been kept of a stream.
        self.on_growth: Callable[[], None] | None = None
        self._limits = limits
        self._received = self._next_look = 0

    def add(self, size: int) -> None:
        """Count a block by its size.

        Raises
        ------
        ResponseLimitError
            The stream is over its limit.
        """
        self._received += size
        if self._received > self._next_look:
            self._next_look = self._received + _GROWTH
            if self.is_stream and self._received > self._limits.stream_bytes:
                raise self._limits.exceeded("stream_bytes")
            if self.on_growth is not None:
                self.on_growth()


class TextSize:
    """The size of a text that is kept until it is complete.

    Parameters
    ----------
    limits
        The limits of the response.
    limit
        The name of the limit for its bytes.
    """

    def __init__(self, limits: ResponseLimits, limit: str) -> None:
        self._limits = limits
        self._limit = limit
        self._characters = self._values = 0
        self._is_ascii = True

    def add(self, text: str) -> None:
        """Count a piece.

        Raises
        ------
        ResponseLimitError
            The text is over a limit.
        """
        self._characters += len(text)
        self._is_ascii = self._is_ascii and text.isascii()
        # One wide character makes the whole text wide in memory.
        if self._characters * (1 if self._is_ascii else 4) > getattr(self._limits, self._limit):
            raise self._limits.exceeded(self._limit)
        self._values += sum(map(text.count, _STRUCTURE))
        if self._values > self._limits.json_values:
            raise self._limits.exceeded("json_values")

    def reset(self) -> None:
        """Begin anew: the text was complete."""
        self._characters = self._values = 0
        self._is_ascii = True


class BodySize(TextSize):
    """The size of a body that is read whole. It may hold events: of those each has its values."""

    def __init__(self, limits: ResponseLimits, limit: str) -> None:
        super().__init__(limits, limit)
        self._holds_events = False

    def counted(self, text: str) -> str:
        """Count a piece, and return it.

        Raises
        ------
        ResponseLimitError
            The body is over a limit.
        """
        self._holds_events = self._holds_events or (self._characters == 0 and looks_like_events(text))
        self.add(text)
        if self._holds_events and any(end in text for end in ("\n\n", "\r\n\r\n", "\r\r")):
            self._values = 0
        return text
