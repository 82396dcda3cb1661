"""`ResponseEvents`: the events of a body that was asked for as a stream, whatever it turns out to be."""

from __future__ import annotations

import json
from io import StringIO

from orchat.messages.lenient_json import BLANKS
from orchat.openrouter.response_limits import ResponseLimits
from orchat.openrouter.transport.event_splitter import UNNAMED, EventSplitter, ServerSentEvent
from orchat.openrouter.transport.event_stream_detection import EVENT_FIELDS, looks_like_events
from orchat.openrouter.transport.response_size import TextSize


class ResponseEvents:
    r"""Takes the text of a body as it arrives, and returns its events.

    The first characters tell whether it is an event stream. One JSON text is a single event, and of several lines that
    are JSON objects each is one.

    Parameters
    ----------
    limits
        The limits of the response.
    is_declared
        Whether its content type says that it is an event stream.

    Examples
    --------
    >>> events = ResponseEvents(ResponseLimits(), is_declared=False)
    >>> events.split("data: 1\n\nda"), events.split("ta: 2"), events.end()
    ([('1', 'message')], [], [('2', 'message')])
    """

    def __init__(self, limits: ResponseLimits, *, is_declared: bool) -> None:
        # None while its first characters have not come.
        self.is_stream: bool | None = None
        # Whether it was one text, which cannot break off.
        self.is_whole = False
        self._limits = limits
        self._is_declared = is_declared
        self._head = ""
        self._head_size = TextSize(limits, "event_bytes")
        self._splitter = EventSplitter(limits)
        self._document = StringIO()
        self._document_size = TextSize(limits, "answer_bytes")

    def split(self, text: str) -> list[ServerSentEvent]:
        """Take the next piece of the text, and return the events that it completes.

        Raises
        ------
        ResponseLimitError
            The body is over a limit.
        """
        if self.is_stream:
            return self._splitter.split(text)
        if self.is_stream is None:
            self._head_size.add(text)  # it may be nothing but blanks
            text = self._head = (self._head + text).lstrip(BLANKS)
            self.is_stream = self._detect(text)
            if self.is_stream is None:
                return []
            if self.is_stream:
                return self._splitter.split(text)
        self._document_size.add(text)
        self._document.write(text)
        return []

    @property
    def has_content(self) -> bool:
        """Whether the last piece of a stream held something else than comments and empty lines."""
        return self._splitter.has_content

    def end(self) -> list[ServerSentEvent]:
        """Return the events that the body's end completes: the last one may lack the empty line after it."""
        if self.is_stream or (self.is_stream is None and self._is_declared):
            return self._splitter.split(("" if self.is_stream else self._head) + "\n\n")
        text = self._document.getvalue() if self.is_stream is False else self._head
        lines = [line for line in text.split("\n") if line.strip(BLANKS)]
        if len(lines) > 1 and all(map(_is_object, lines)):
            return [(line, UNNAMED) for line in lines]
        self.is_whole = True
        return [(text, UNNAMED)]

    def _detect(self, head: str) -> bool | None:
        """Detect an event stream by its first characters; None while they are too few."""
        if not head or any(name.startswith(head) for name in EVENT_FIELDS):
            return None
        return head[0] not in "{[<" if self._is_declared else looks_like_events(head)


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
