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
    from orchat.openrouter.transport import HttpClient, PreparedRequest, ResponseBody

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
        payload = None
        try:
            payload = body.json(text)
            if self.rewrite is not None and isinstance(payload, dict):
                payload = self.rewrite(payload)
            return read_replies(payload, *self.call.secrets)
        except APIError as error:
            text = payload = ""  # it may repeat a key, and a verbose traceback shows what frames hold
            error.generation_id = error.generation_id or body.generation_id
            raise _bare(error) from None

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

    def _read(self, body: ResponseBody, data: str) -> list[StreamingChunk]:
        reader = self._reader
        reader.received_at = body.received_at
        chunks = reader.read(data)
        if reader.finished:
            from orchat.openrouter.transport import DRAIN_TIMEOUT, USAGE_TIMEOUT

            body.hurry(DRAIN_TIMEOUT if reader.done else USAGE_TIMEOUT)
        return chunks

    def _failed(self, error: APIError, body: ResponseBody | None) -> bool:
        """Complete an error with what is known; False where the answer was whole and only its ending is missing."""
        error.generation_id = error.generation_id or (body.generation_id if body is not None else None)
        if self._reader.finished and isinstance(error, APIConnectionError):
            return False
        error.partial = error.partial or self._reader.partial()
        if error.partial is not None:
            self._plan.stamp(error.partial)
        return True

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
                events = body.events() if body.is_stream else _whole(body, "".join(body.iter_text()))
                for data in events:
                    yield from self._read(body, data)
            self._reader.end()
        except APIError as error:
            data = ""  # see Plan.read
            if self._failed(error, body):
                raise _bare(error) from None
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
                if body.is_stream:
                    events = body.aevents()
                else:
                    events = _whole_async(body, "".join([text async for text in body.aiter_text()]))
                try:
                    async for data in events:
                        for chunk in self._read(body, data):
                            yield chunk
                finally:
                    await cast(Any, events).aclose()
            self._reader.end()
        except APIError as error:
            data = ""  # see Plan.read
            if self._failed(error, body):
                raise _bare(error) from None
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


def _whole(body: ResponseBody, text: str) -> Iterator[str]:
    """Give a reply that came whole, though a stream was asked for, as its only event."""
    body.json(text)
    yield text


async def _whole_async(body: ResponseBody, text: str) -> AsyncIterator[str]:
    for data in _whole(body, text):
        yield data
