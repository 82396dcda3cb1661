"""One exchange with an endpoint: what was asked, how to read the answer, and the answer as it arrives.

What the sync and async ways share is in `RequestPlan` and `_Stream`; the two `_pump`s below only drive it.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from orchat.errors import APIConnectionError, APIError
from orchat.messages import ChatMessage
from orchat.openrouter.dialect import Dialect, Rewrite
from orchat.openrouter.wire.response import read_replies
from orchat.openrouter.wire.stream import ChunkReader
from orchat.openrouter.wire.structured import OutputFormat
from orchat.streaming import ComponentInfo, StreamingChunk

if TYPE_CHECKING:
    from orchat.openrouter.transport import HttpClient, PreparedRequest, ResponseBody, ServerSentEvent

_log = logging.getLogger(__name__)


@dataclass(repr=False)
class RequestPlan:
    """A call, and how to read its answer."""

    call: PreparedRequest
    output: OutputFormat | None
    rewrite: Rewrite | None
    dialect: Dialect
    streams: bool
    component: ComponentInfo

    def reader(self) -> ChunkReader:
        """Make what reads a streamed answer."""
        return ChunkReader(self.component, self.rewrite, self.call.secrets)

    def read(self, body: ResponseBody, text: str) -> list[ChatMessage]:
        """Read a whole answer."""
        from orchat.openrouter.transport import looks_like_events

        payload = None
        try:
            if looks_like_events(text):  # though no stream was asked for
                return [self._read_events(body, text)]
            payload = body.json(text)
            if self.rewrite is not None and isinstance(payload, dict):
                payload = self.rewrite(payload)
            return read_replies(payload, *self.call.secrets)
        except APIError as error:
            text = payload = ""  # it may repeat a key, and a verbose traceback shows what frames hold
            error.generation_id = error.generation_id or body.generation_id
            raise _bare(error) from None

    def _read_events(self, body: ResponseBody, text: str) -> ChatMessage:
        from orchat.openrouter.transport import events_of

        reader = self.reader()
        reader.received_at = body.received_at
        for event in events_of(text):
            reader.read(event.data, event.event)
        reader.end()
        return reader.fold.message()

    def stamp(self, message: ChatMessage) -> ChatMessage:
        """Mark a reply of the embedded model as such."""
        if self.dialect.note is not None:
            message.meta["note"] = self.dialect.note
        return message

    def finish(self, replies: list[ChatMessage]) -> list[ChatMessage]:
        """Stamp whole replies, warn of cut ones, and hold them against the ``response_format``."""
        for reply in replies:
            self.stamp(reply)
            if (reason := reply.meta.get("finish_reason")) in {"length", "content_filter"}:
                _log.warning("The answer was cut: finish reason %r (usage: %s).", reason, reply.meta.get("usage"))
            for warning in reply.meta.get("warnings", ()):
                _log.warning("%s", warning)
            if self.output is not None:
                self.output.parse(reply)
        return replies


def read_whole(plan: RequestPlan, transport: HttpClient) -> list[ChatMessage]:
    """Send a call whose answer comes whole, and read it."""
    try:
        with transport.open(plan.call) as body:
            return plan.read(body, "".join(body.iter_text()))
    except APIError as error:
        raise _bare(error) from None


async def read_whole_async(plan: RequestPlan, transport: HttpClient) -> list[ChatMessage]:
    """Like `read_whole`, on the event loop."""
    try:
        async with transport.open_async(plan.call) as body:
            return plan.read(body, "".join([text async for text in body.aiter_text()]))
    except APIError as error:
        raise _bare(error) from None


class _Stream:
    """What the two kinds of stream share."""

    def __init__(self, plan: RequestPlan, transport: HttpClient) -> None:
        self._plan = plan
        self._transport = transport
        self._reader = plan.reader()
        self._final: ChatMessage | None = None

    @property
    def message(self) -> ChatMessage:
        """The reply: whole after the last chunk, what has arrived before."""
        return self._final or self._plan.stamp(self._reader.fold.message())

    @property
    def call_indexes(self) -> list[int]:
        """The index (`orchat.streaming.ToolCallDelta`) under which each of the message's tool calls came."""
        return self._reader.fold.call_indexes

    def _read(self, body: ResponseBody, event: ServerSentEvent) -> list[StreamingChunk]:
        reader = self._reader
        reader.received_at = body.received_at
        chunks = reader.read(event.data, event.event)
        if reader.progressed:
            body.progressed = True
        if reader.finished or reader.failure is not None:
            from orchat.openrouter.transport import DRAIN_TIMEOUT, USAGE_TIMEOUT

            body.hurry(DRAIN_TIMEOUT if reader.done or reader.is_over else USAGE_TIMEOUT)
        return chunks

    def _ended(self, body: ResponseBody) -> None:
        self._reader.end(whole=body.is_whole)

    def _failed(self, error: APIError, body: ResponseBody | None) -> APIError | None:
        """Complete an error with what is known; None where the answer was whole and only its ending is missing."""
        if isinstance(error, APIConnectionError):
            if self._reader.finished:
                return None
            if self._reader.failure is not None:  # the error that came before says more
                error = self._reader.failed()
        error.generation_id = error.generation_id or (body.generation_id if body is not None else None)
        error.partial = error.partial or self._reader.partial()
        if error.partial is not None:
            self._plan.stamp(error.partial)
        return _bare(error)

    def _finish(self) -> None:
        [self._final] = self._plan.finish([self.message])


class ChunkStream(_Stream):
    """A reply as it arrives: an iterator of `StreamingChunk`, and a context manager that closes the connection.

    The request goes out when the first chunk is asked for.
    """

    def __init__(self, plan: RequestPlan, transport: HttpClient) -> None:
        super().__init__(plan, transport)
        self._body: ResponseBody | None = None
        self._aborted = False
        self._chunks = self._pump()

    def _pump(self) -> Iterator[StreamingChunk]:
        body: ResponseBody | None = None
        try:
            with self._transport.open(self._plan.call) as body:
                self._body = body
                if self._aborted:
                    body.cut()
                for event in body.events():
                    yield from self._read(body, event)
                self._ended(body)
        except APIError as error:
            event = None  # see Plan.read
            if (failed := self._failed(error, body)) is not None:
                raise failed from None
        self._finish()

    def __iter__(self) -> Iterator[StreamingChunk]:
        return self._chunks

    def __next__(self) -> StreamingChunk:
        return next(self._chunks)

    def close(self) -> None:
        """Close the connection; `message` keeps what arrived."""
        cast(Any, self._chunks).close()

    def abort(self) -> None:
        """Cut the connection, from any thread: whoever iterates meets an error, and `message` keeps what arrived."""
        self._aborted = True
        if self._body is not None:
            self._body.cut()

    def __enter__(self) -> ChunkStream:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class AsyncChunkStream(_Stream):
    """Like `ChunkStream`, for ``async for`` and ``async with``."""

    def __init__(self, plan: RequestPlan, transport: HttpClient) -> None:
        super().__init__(plan, transport)
        self._chunks = self._pump()

    async def _pump(self) -> AsyncIterator[StreamingChunk]:
        body: ResponseBody | None = None
        try:
            async with self._transport.open_async(self._plan.call) as body:
                events = body.aevents()
                try:
                    async for event in events:
                        for chunk in self._read(body, event):
                            yield chunk
                finally:
                    await cast(Any, events).aclose()
                self._ended(body)
        except APIError as error:
            event = None  # see Plan.read
            if (failed := self._failed(error, body)) is not None:
                raise failed from None
        self._finish()

    def __aiter__(self) -> AsyncIterator[StreamingChunk]:
        return self._chunks

    async def __anext__(self) -> StreamingChunk:
        return await anext(self._chunks)

    async def aclose(self) -> None:
        """Close the connection; `message` keeps what arrived."""
        await cast(Any, self._chunks).aclose()

    async def __aenter__(self) -> AsyncChunkStream:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()


def _bare(error: APIError) -> APIError:
    """Take off what may repeat a key: frames with raw text below, and exceptions on the way that quote it."""
    error.__context__ = None
    return error.with_traceback(None)
