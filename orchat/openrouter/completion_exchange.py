"""One chat completion exchange: send a prepared request, and read its response whole or as a stream of chunks.

`RequestPlan` and `_Stream` hold what sync and async code share; the two `_pump`s below only drive it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from orchat.errors import APIConnectionError, APIError, ResponseLimitError, hint_without_partial
from orchat.event_loop_wakeup import LoopWakeup
from orchat.interruptible_stream import InterruptibleStream
from orchat.message_assembly import warn
from orchat.messages import ChatMessage, ToolCall
from orchat.openrouter.adjusted_requests import RequestSequence
from orchat.openrouter.catalog import suggest_models
from orchat.openrouter.dialect import Dialect, Rewrite
from orchat.openrouter.wire.response import read_replies
from orchat.openrouter.wire.stream import ChunkReader
from orchat.openrouter.wire.strict_schema import without_added_nulls
from orchat.openrouter.wire.structured import OutputFormat
from orchat.streaming import ComponentInfo, StreamingChunk
from orchat.tools import Tool
from orchat.untracked_generators import untracked

if TYPE_CHECKING:
    from orchat.openrouter.transport import HttpClient, PreparedRequest, ResponseBody, ServerSentEvent

_log = logging.getLogger(__name__)

_READS_AT_ONCE = 8  # without a pause, so that the beginning is seen and a short answer takes no longer
_WAITED = 0.004  # seconds that a read takes where nothing had arrived before
_EVENTS_BETWEEN_LOOKS = 1000


@dataclass(repr=False)
class RequestPlan:
    """A prepared request, and how to read its response."""

    request: PreparedRequest
    model: str
    api_base_url: str
    output: OutputFormat | None
    rewrite: Rewrite | None
    dialect: Dialect
    is_streamed: bool
    requests_usage: bool
    component_info: ComponentInfo
    strict_tools: Mapping[str, Tool] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def make_reader(self) -> ChunkReader:
        """Make the reader of a streamed response."""
        request = self.request
        return ChunkReader(self.component_info, self.rewrite, request.secrets, request.other_url, request.limits)

    def read(self, body: ResponseBody, text: str) -> list[ChatMessage]:
        """Parse a whole response."""
        from orchat.openrouter.transport import looks_like_events

        payload = None
        try:
            if looks_like_events(text):  # though no stream was asked for
                return [self._read_events(body, text)]
            payload, has_whole_characters = _parse(body, text)
            if self.rewrite is not None and isinstance(payload, dict):
                payload = self.rewrite(payload)
            request = self.request
            return read_replies(
                payload,
                *request.secrets,
                other_url=request.other_url,
                limits=request.limits,
                has_whole_characters=has_whole_characters,
            )
        except APIError as error:
            text = payload = ""  # it may repeat a key, and a verbose traceback shows what frames hold
            error.generation_id = error.generation_id or body.generation_id
            raise _without_frames(error) from None

    def _read_events(self, body: ResponseBody, text: str) -> ChatMessage:
        from orchat.openrouter.transport import events_of

        reader = self.make_reader()
        reader.received_at = body.received_at
        try:
            for number, (data, name) in enumerate(events_of(text)):
                reader.read(data, name)
                if number % _EVENTS_BETWEEN_LOOKS == 0:
                    reader.check_size()
        except ResponseLimitError as error:
            error.partial = reader.partial()
            raise
        reader.end()
        return reader.fold.message()

    def explained(self, error: APIError) -> APIError:
        """Return an error for the user: with the names of models that may be meant, without traceback and context.

        What has arrived is stamped as an answer is.
        """
        if error.partial is not None:
            self.dialect.stamp(error.partial)
        elif error.hint is not None:
            error.hint = hint_without_partial(error.hint)
        if (suggestion := suggest_models(error, self.model, self.api_base_url)) is not None:
            error.hint = f"{suggestion} {error.hint or ''}".rstrip()
        return _without_frames(error)

    def finish(self, replies: list[ChatMessage]) -> list[ChatMessage]:
        """Stamp whole replies, warn of truncated ones, and validate them against the ``response_format``."""
        for reply in replies:
            self.dialect.stamp(reply)
            for note in self.notes:
                warn(reply, note)
            for call in reply.tool_calls:
                self._take_out_added_nulls(call)
            if (reason := reply.meta.get("finish_reason")) in ("length", "content_filter"):  # of any type
                _log.warning("The answer was cut: finish reason %r (usage: %s).", reason, reply.meta.get("usage"))
            for warning in reply.meta.get("warnings", ()):
                _log.warning("%s", warning)
            if self.output is not None:
                self.output.parse(reply)
        return replies

    def _take_out_added_nulls(self, call: ToolCall) -> None:
        """Undo in a call what its tool's strict schema added; what goes back to the model is without it too."""
        if (tool := self.strict_tools.get(call.tool_name)) is None:
            return
        if (arguments := without_added_nulls(tool.parameters, call.arguments)) != call.arguments:
            call.arguments, call.arguments_text = arguments, None


def _parse(body: ResponseBody, text: str) -> tuple[Any, bool]:
    """Parse a whole response as JSON; return also whether its characters are surely whole."""
    from pydantic_core import from_json

    try:
        return from_json(text), True
    except ValueError:
        # Perhaps valid JSON that the fast decoder refuses: half of a character, escaped.
        return body.json(text), False


def read_whole(plan: RequestPlan, transport: HttpClient) -> list[ChatMessage]:
    """Send a request, and read its response whole."""
    try:
        with transport.open(plan.request) as body:
            return plan.read(body, body.text())
    except APIError as error:
        raise plan.explained(error) from None


async def read_whole_async(plan: RequestPlan, transport: HttpClient) -> list[ChatMessage]:
    """Send a request, and read its response whole, on the running event loop."""
    try:
        with LoopWakeup(only_in_kernel=True):
            async with await transport.open_async(plan.request) as body:
                return plan.read(body, await body.text_async())
    except APIError as error:
        raise plan.explained(error) from None


class _Stream:
    """The shared base of both streams: reading events, completing errors, the final message."""

    def __init__(self, plan: RequestPlan, transport: HttpClient) -> None:
        self._plan = plan
        self._transport = transport
        self._reader = plan.make_reader()
        self._requests = RequestSequence(plan.request, requests_usage=plan.requests_usage)
        self._final: ChatMessage | None = None
        self._reads, self._read_at = 0, time.monotonic()
        self.reading_pause: Callable[[], float] | None = None

    def _pause(self) -> float:
        """Return the seconds to wait after a read; 0 at the start, at the end, and where more has arrived."""
        now = time.monotonic()
        waited, self._read_at = now - self._read_at, now
        self._reads += 1
        if self.reading_pause is None or self._reads < _READS_AT_ONCE or waited < _WAITED or self._reader.finished:
            return 0.0
        return self.reading_pause()

    @property
    def message(self) -> ChatMessage:
        """The reply: whole after the last chunk, partial before."""
        return self._final or self._plan.dialect.stamp(self._reader.fold.message())

    @property
    def call_indexes(self) -> list[int]:
        """The delta index (`orchat.streaming.ToolCallDelta`) of each of the message's tool calls."""
        return self._reader.fold.call_indexes

    def _read_events(self, body: ResponseBody, events: list[ServerSentEvent]) -> Iterator[StreamingChunk]:
        reader = self._reader
        reader.received_at = body.received_at
        for data, name in events:
            chunks = reader.read(data, name)
            if reader.progressed:
                body.progressed = True
            if reader.may_have_ended:  # not so with a piece of text
                self._expect_end(body)
            yield from chunks

    def _expect_end(self, body: ResponseBody) -> None:
        reader = self._reader
        reader.may_have_ended = False
        if reader.finished or reader.failure is not None:
            from orchat.openrouter.transport import DRAIN_TIMEOUT, USAGE_TIMEOUT

            body.shorten_timeout(DRAIN_TIMEOUT if reader.done or reader.is_over else USAGE_TIMEOUT)

    def _end(self, body: ResponseBody) -> None:
        self._reader.end(whole=body.is_whole)

    def _complete_error(self, error: APIError, body: ResponseBody | None) -> APIError | None:
        """Add generation id and partial message to an error; None to ignore it.

        It is ignored where the reply was complete, and where another request follows.
        """
        if self._requests.follow(error, responded=body is not None, is_empty=self._reader.is_empty):
            return None
        error = self._requests.first_error(error)
        if isinstance(error, APIConnectionError | ResponseLimitError):
            if self._reader.finished:
                return None
            if self._reader.failure is not None:  # the error that came before says more
                error = self._reader.failed()
        error.generation_id = error.generation_id or (body.generation_id if body is not None else None)
        error.partial = error.partial or self._reader.partial()
        return self._plan.explained(error)

    def _finish(self) -> None:
        [self._final] = self._plan.finish([self.message])


class ChunkStream(_Stream):
    """A streamed reply: an iterator of `StreamingChunk`, and a context manager that closes the connection.

    The request is sent when the first chunk is requested.
    """

    def __init__(self, plan: RequestPlan, transport: HttpClient) -> None:
        super().__init__(plan, transport)
        self._body: ResponseBody | None = None
        self._aborted = False
        self._chunks = self._pump()

    def _pump(self) -> Iterator[StreamingChunk]:
        for request in self._requests:
            body: ResponseBody | None = None
            try:
                with self._transport.open(request) as body:
                    self._body = body
                    body.call_on_growth(self._reader.check_size)
                    if self._aborted:
                        body.abort()
                    for events in body.events():
                        yield from self._read_events(body, events)
                        if pause := self._pause():
                            time.sleep(pause)
                            self._read_at = time.monotonic()
                    self._end(body)
            except APIError as error:
                events = None  # see RequestPlan.read
                if (completed := self._complete_error(error, body)) is not None:
                    raise completed from None
        self._finish()

    def __iter__(self) -> Iterator[StreamingChunk]:
        return self._chunks

    def __next__(self) -> StreamingChunk:
        return next(self._chunks)

    def pause_reading(self, seconds: Callable[[], float]) -> None:
        """Read less often, for one who shows less often what arrives: several tokens at once cost little more than one.

        Parameters
        ----------
        seconds
            Returns how long to wait before a read.
        """
        self.reading_pause = seconds

    def close(self) -> None:
        """Close the connection; `message` keeps the part that arrived."""
        cast(Any, self._chunks).close()

    def abort(self) -> None:
        """Cut the connection, from any thread: the iterator raises, and `message` keeps the part that arrived."""
        self._aborted = True
        self._requests.end()
        if self._body is not None:
            self._body.abort()

    def __enter__(self) -> ChunkStream:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


class _AsyncStream(_Stream):
    """The reading of an asynchronous stream. It does not know its `AsyncChunkStream`: a cycle would be closed late."""

    async def pump(self) -> AsyncGenerator[StreamingChunk]:
        for request in self._requests:
            body: ResponseBody | None = None
            try:
                async with await self._transport.open_async(request) as body:
                    body.call_on_growth(self._reader.check_size)
                    batches = body.aevents()
                    try:
                        events = await untracked(partial(anext, batches, None))
                        while events is not None:
                            for chunk in self._read_events(body, events):
                                yield chunk
                            if pause := self._pause():
                                await asyncio.sleep(pause)
                                self._read_at = time.monotonic()
                            events = await anext(batches, None)
                    finally:
                        await cast(Any, batches).aclose()
                    self._end(body)
            except APIError as error:
                events = None  # see RequestPlan.read
                if (completed := self._complete_error(error, body)) is not None:
                    raise completed from None
        self._finish()


class AsyncChunkStream(InterruptibleStream[StreamingChunk]):
    """A streamed reply as an asynchronous iterator of `StreamingChunk`, for ``async for`` and ``async with``.

    One that is left without either is closed by the event loop.
    """

    def __init__(self, plan: RequestPlan, transport: HttpClient) -> None:
        self._stream = _AsyncStream(plan, transport)
        super().__init__(self._stream.pump())

    @property
    def message(self) -> ChatMessage:
        """The reply: whole after the last chunk, partial before."""
        return self._stream.message

    @property
    def call_indexes(self) -> list[int]:
        """The delta index (`orchat.streaming.ToolCallDelta`) of each of the message's tool calls."""
        return self._stream.call_indexes

    def pause_reading(self, seconds: Callable[[], float]) -> None:
        """As `ChunkStream.pause_reading`."""
        self._stream.reading_pause = seconds

    @property
    def chunks(self) -> AsyncIterator[StreamingChunk]:
        """The chunks, for those who keep the event loop awake by themselves (`orchat.event_loop_wakeup`)."""
        return self._items


def _without_frames(error: APIError) -> APIError:
    """Remove traceback and context from an error: their frames and texts may hold a key."""
    error.__context__ = None
    return error.with_traceback(None)
