"""`EventSplitter`: cut the text of an event stream into server-sent events, as it arrives."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO

from orchat.openrouter.response_limits import DEFAULT_LIMITS, ResponseLimits
from orchat.openrouter.transport.response_size import TextSize

ServerSentEvent = tuple[str, str]
"""The data of an event and its name, ``message`` where it has none. A tuple: nothing else is made as fast."""

UNNAMED = "message"
_PIECE = 65_536


class EventSplitter:
    r"""Cuts a text that arrives in pieces into events, in linear time (HTML standard, section 9.2.6).

    A line ends in LF, CR or CRLF. This differs from what browsers do: an event with a name and no data is one, for it
    may be an error; a line ``error: {...}`` is an event of that name, as llama.cpp's server of 2025 tells of its
    failures, and a line that is a JSON object is data, as those tell whose server forgot that it streams; ``id`` and
    ``retry`` are passed over, for no stream is resumed here. What is kept of the event that has begun is bounded.

    Parameters
    ----------
    limits
        The limits of the response.

    Examples
    --------
    >>> splitter = EventSplitter()
    >>> splitter.split(": a comment\n\ndata: 1\n\ndata"), splitter.split(": 2\r\nevent: tide\r\n\r\n")
    ([('1', 'message')], [('2', 'tide')])
    """

    def __init__(self, limits: ResponseLimits = DEFAULT_LIMITS) -> None:
        # Whether the last piece held something else than comments and empty lines.
        self.has_content = False
        self._size = TextSize(limits, "event_bytes")
        self._is_measured = False  # an event has begun
        self._after_return = False  # a line feed that comes next belongs to the line end before
        self._in_comment = False
        self._line: StringIO | None = None
        self._data: list[str] = []
        self._name = ""

    def split(self, text: str) -> list[ServerSentEvent]:
        """Take the next piece of the text, and return the events that it completes.

        Raises
        ------
        ResponseLimitError
            The event that has begun is over a limit.
        """
        if self._after_return or "\r" in text:
            text = self._with_line_feeds(text)
        lines = text.split("\n")
        rest = lines.pop()
        if lines and (self._line is not None or self._in_comment):
            lines[0] = self._end_line(lines[0])
        events: list[ServerSentEvent] = []
        data, has_content = self._data, False
        for line in lines:
            if line.startswith("data: "):
                has_content = True
                data.append(line[6:])
            elif line:
                has_content = self._read_field(line) or has_content
            elif data or self._name:
                events.append((data[0] if len(data) == 1 else "\n".join(data), self._name or UNNAMED))
                data.clear()
                self._name = ""
        if rest:
            has_content = self._begin_line(rest) or has_content
        self.has_content = has_content
        if rest or data or self._is_measured:
            self._measure(text, "" in lines)
        return events

    def _with_line_feeds(self, text: str) -> str:
        if text:
            if self._after_return:
                text = text.removeprefix("\n")
            self._after_return = text.endswith("\r")
        return text.replace("\r\n", "\n").replace("\r", "\n")

    def _begin_line(self, rest: str) -> bool:
        """Keep the part of a line that is not complete; return whether it has content.

        Comments are not kept: some fill the buffers of proxies, and never end.
        """
        if self._line is None:
            if self._in_comment or rest[0] == ":":
                self._in_comment = True
                return False
            self._line = StringIO()
        self._line.write(rest)
        return True

    def _end_line(self, end: str) -> str:
        """Return the line whose last part came."""
        if self._line is None:
            self._in_comment = False
            return ":"
        self._line.write(end)
        line, self._line = self._line.getvalue(), None
        return line

    def _read_field(self, line: str) -> bool:
        """Read a line other than the usual one; return whether it has content."""
        field, _, value = line.partition(":")
        if field == "data":
            self._data.append(value.removeprefix(" "))
        elif field == "event":
            self._name = value.removeprefix(" ")
        elif field == "error":
            self._name = field
            self._data.append(value.removeprefix(" "))
        elif line.startswith('{"') and not self._data:
            self._data.append(line)
        return field != ""

    def _measure(self, text: str, has_ended: bool) -> None:
        """Count the part of a piece that belongs to an event which is not complete."""
        if has_ended:
            self._size.reset()
        self._is_measured = self._line is not None or bool(self._data or self._name)
        if self._is_measured:
            self._size.add(text[text.rfind("\n\n") + 1 :])


def events_of(text: str) -> Iterator[ServerSentEvent]:
    r"""Iterate over the events in the text of a whole stream, of which the last may lack the empty line after it.

    Examples
    --------
    >>> [data for data, name in events_of("data: 1\n\ndata: [DONE]")]
    ['1', '[DONE]']
    """
    splitter = EventSplitter()
    for at in range(0, len(text), _PIECE):
        yield from splitter.split(text[at : at + _PIECE])
    yield from splitter.split("\n\n")
