"""Texts that are event streams: detect them, and cut them into events with `httpx_sse`."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Iterable, Iterator
from types import SimpleNamespace
from typing import Any, cast

from httpx_sse import EventSource, ServerSentEvent

from orchat.messages.lenient_json import BLANKS

EVENT_STREAM = "text/event-stream"
# The fields of an event stream (a comment is one without a name).
EVENT_FIELDS = (":", "data:", "event:", "id:", "retry:")
_PIECE = 65_536


def looks_like_events(text: str) -> bool:
    """Whether a text starts like an event stream, regardless of its content type.

    Examples
    --------
    >>> looks_like_events(": OPENROUTER PROCESSING"), looks_like_events('{"choices": []}')
    (True, False)
    """
    return text.lstrip(BLANKS).startswith(EVENT_FIELDS)


def events_of(text: str) -> Iterator[ServerSentEvent]:
    r"""Iterate over the events in the text of a whole stream, whose lines are made piece by piece.

    Examples
    --------
    >>> [event.data for event in events_of("data: 1\n\ndata: [DONE]\n\n")]
    ['1', '[DONE]']
    """
    return event_source(text[at : at + _PIECE] for at in range(0, len(text), _PIECE)).iter_sse()


def event_source(texts: Iterable[str] | AsyncIterable[str]) -> EventSource:
    """Make the source of events from texts; it wants a response, of which it needs no more than this."""
    parts = {"iter_text": lambda: texts, "aiter_text": lambda: texts}
    return EventSource(cast(Any, SimpleNamespace(headers={"content-type": EVENT_STREAM}, **parts)))


class PrefixedTexts:
    """An async iterator of a first text and all others; an async generator would cost more for each."""

    def __init__(self, head: str, texts: AsyncIterator[str]) -> None:
        self._head: str | None = head
        self._texts = texts

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    def __anext__(self) -> Awaitable[str]:
        if self._head is None:
            return self._texts.__anext__()
        head, self._head = self._head, None
        return _immediately(head)


async def _immediately(text: str) -> str:
    return text
