"""`ResponseBody`: a response's body as text or server-sent events, with a deadline that comments do not extend."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import json
import socket
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from time import monotonic, time
from typing import Any, Self, TypeVar, cast

from orchat.errors import APIError, APITimeoutError, ProviderError, ResponseLimitError
from orchat.openrouter.dialect import host_of
from orchat.openrouter.transport.connection_errors import connection_failure, redirect_failure, timeout_error
from orchat.openrouter.transport.content_decoder import ContentDecoder, ContentDecodingError
from orchat.openrouter.transport.deadline_alarm import DeadlineAlarm
from orchat.openrouter.transport.event_splitter import ServerSentEvent
from orchat.openrouter.transport.event_stream_detection import EVENT_STREAM
from orchat.openrouter.transport.prepared_request import PreparedRequest
from orchat.openrouter.transport.response_events import ResponseEvents
from orchat.openrouter.transport.response_size import BodySize, ReceivedSize
from orchat.openrouter.wire.failures import error_from_response, redirect_error
from orchat.secrets import redact

# How long to wait for the usage that follows a finish reason, and for the end of a stream after [DONE], in seconds.
USAGE_TIMEOUT, DRAIN_TIMEOUT = 10.0, 0.2
# Comments are shorter: a block of this many bytes is progress even where no event ends in it.
_MIN_PROGRESS_BYTES = 1024
_ALIGNED = (b"", 0)  # the state of a decoder that holds nothing back and is past the byte order mark

ErrorT = TypeVar("ErrorT", bound=APIError)
PieceT = TypeVar("PieceT", str, list[ServerSentEvent])


class _TextStart:
    """The start of a text that arrives in pieces."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.text = ""

    def add(self, piece: str) -> bool:
        """Add a piece; return whether no more is wanted."""
        self.text += piece[: self._most - len(self.text)]
        return len(self.text) >= self._most


class ResponseBody:
    """The body of a response, as text or as the events of a stream."""

    def __init__(
        self, response: Any, request: PreparedRequest, started: float, idle_timeout: float, http_error: type[Exception]
    ) -> None:
        self.headers = response.headers
        self.received_at: str | None = None
        self.progressed = False
        self._response = response
        self._http_error = http_error
        self._request = request
        self._limits = request.limits
        self._size = ReceivedSize(request.limits)
        self._events: ResponseEvents | None = None
        self._stamped_at = 0.0
        self._idle_timeout = idle_timeout
        self._read_timeout: float | None = response.request.extensions["timeout"]["read"]
        self._deadline = started + idle_timeout
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._is_aligned = False  # the decoder holds nothing back
        self._alarm: DeadlineAlarm | None = None
        self._socket_shut_down = False

    @property
    def status(self) -> int:
        """The HTTP status."""
        return int(self._response.status_code)

    @property
    def generation_id(self) -> str | None:
        """The reply's id from the headers, known before its first event."""
        generation_id = self.headers.get("x-generation-id")
        return str(generation_id)[: self._limits.header_characters] if generation_id else None

    def call_on_growth(self, look: Callable[[], None]) -> None:
        """Call a function after each megabyte that arrives, which may raise an error."""
        self._size.on_growth = look

    @property
    def is_whole(self) -> bool:
        """Whether the body that was asked for as a stream came as one text, which cannot break off."""
        return self._events is not None and self._events.is_whole

    def events(self) -> Iterator[list[ServerSentEvent]]:
        """Iterate over the events of a stream, regardless of its content type; those that come at once are in one list.

        The caller sets `progressed` for those that bring something: only that renews the deadline.

        Raises
        ------
        APIError
            The connection broke, the deadline passed, or the body is neither a stream nor JSON.
        """
        events = self._make_events()
        return self._read(events.split, partial(self._last_events, events))

    def aevents(self) -> AsyncIterator[list[ServerSentEvent]]:
        """Iterate over the events, on the running event loop; see `events`."""
        events = self._make_events()
        return self._aread(events.split, partial(self._last_events, events))

    def _make_events(self) -> ResponseEvents:
        self._size.is_stream = True
        self._events = ResponseEvents(self._limits, is_declared=self.content_type == EVENT_STREAM)
        return self._events

    def _last_events(self, events: ResponseEvents) -> list[ServerSentEvent]:
        batch = events.split(self._last_text()) + events.end()
        if events.is_whole:
            self.json(batch[0][0])
        return batch

    def text(self) -> str:
        """Read the whole text."""
        text = ""
        for piece in self._read(self._body_size().counted, self._last_text):
            text += piece  # in place: a list of pieces would take as much memory again
        return text

    async def text_async(self) -> str:
        """Read the whole text, on the running event loop."""
        text = ""
        async for piece in self._aread(self._body_size().counted, self._last_text):
            text += piece
        return text

    def _body_size(self) -> BodySize:
        return BodySize(self._limits, "list_bytes" if self._request.method == "GET" else "answer_bytes")

    def _last_text(self) -> str:
        return self._decoder.decode(b"", final=True)

    @property
    def content_type(self) -> str:
        """The response's content type; it may be wrong."""
        return str(self.headers.get("content-type", "")).partition(";")[0].strip().lower()

    def shorten_timeout(self, seconds: float) -> None:
        """Shorten the idle timeout from now on: the important part has arrived."""
        if seconds < self._idle_timeout:
            self._idle_timeout = seconds
            self._deadline = monotonic() + seconds

    def _read(self, take: Callable[[str], PieceT], end: Callable[[], PieceT]) -> Iterator[PieceT]:
        """Read the body as it arrives: yield what ``take`` makes of the text of each block, and ``end`` of its end."""
        failure: APIError | None = None
        try:
            is_alarmed = self._update_deadline(0) is not None and self._set_alarm()
            stream = cast(Iterable[bytes], self._response.stream)
            decoder = self._content_decoder()
            for block in stream if decoder is None else decoder.blocks(stream):
                if is_alarmed:
                    self._clear_alarm()
                    if self._socket_shut_down:
                        break
                if piece := take(self._decode(block)):
                    yield piece
                is_alarmed = self._update_deadline(len(block)) is not None and self._set_alarm()
        except (self._http_error, ContentDecodingError) as error:
            failure = self._connection_error(error)
        except (ProviderError, ResponseLimitError) as error:
            failure = self._with_generation_id(error)
        finally:
            self._clear_alarm()
            self._alarm = None  # it refers to this object, and only the garbage collector would free the two
        # Outside of `except`: the frames of the HTTP package, whose variables hold headers, are not in the traceback.
        if self._socket_shut_down:
            raise self._timeout()
        if failure is not None:
            raise failure
        if piece := end():
            yield piece

    async def _aread(self, take: Callable[[str], PieceT], end: Callable[[], PieceT]) -> AsyncIterator[PieceT]:
        """Read the body as it arrives, on the running event loop; see `_read`."""
        failure: APIError | None = None
        received = aiter(cast(AsyncIterable[bytes], self._response.stream))
        decoder = self._content_decoder()
        blocks = received if decoder is None else decoder.ablocks(received)
        try:
            left = self._update_deadline(0)
            next_block = blocks.__anext__
            while True:
                if left is None:
                    block = await next_block()
                else:
                    async with asyncio.timeout(left):
                        block = await next_block()
                if piece := take(self._decode(block)):
                    yield piece
                left = self._update_deadline(len(block))
        except StopAsyncIteration:
            pass
        except TimeoutError:
            failure = self._timeout()
        except (self._http_error, ContentDecodingError) as error:
            failure = self._connection_error(error)
        except (ProviderError, ResponseLimitError) as error:
            failure = self._with_generation_id(error)
        finally:
            await self.aclose()  # then the HTTP package's generators have nothing left to wait for
            for generator in (blocks, received):
                if isinstance(generator, AsyncGenerator):
                    await generator.aclose()
        if failure is not None:
            raise failure
        if piece := end():
            yield piece

    def _content_decoder(self) -> ContentDecoder | None:
        encoding = self.headers.get("content-encoding")
        return None if encoding is None else ContentDecoder(encoding, self._limits)

    def _decode(self, block: bytes) -> str:
        now = time()
        if now - self._stamped_at >= 0.001:  # what comes at once shares a stamp: one costs as much as reading JSON
            self._stamped_at = now
            self.received_at = datetime.fromtimestamp(now, UTC).isoformat()
        self._size.add(len(block))
        if self._is_aligned:
            try:
                return block.decode()
            except UnicodeDecodeError:  # it ends within a character, or is no UTF-8
                pass
        text = self._decoder.decode(block)
        self._is_aligned = self._decoder.getstate() == _ALIGNED
        return text

    @property
    def _renews_deadline(self) -> bool:
        return self._events is not None and self._events.is_stream is not False

    def _update_deadline(self, size: int) -> float | None:
        """Renew the deadline if the last block, of that size, made progress; else raise if it has passed.

        Returns the seconds that are left, or None where the timeout of the read itself suffices: that one is fixed
        when the request is sent, and each block restarts it, even a comment.
        """
        now = monotonic()
        if self.progressed or (size >= _MIN_PROGRESS_BYTES and self._events is not None and self._events.has_content):
            self._deadline = now + self._idle_timeout
            self.progressed = False
        elif now >= self._deadline:
            raise self._timeout()
        left = self._deadline - now
        return left if self._read_timeout is None or left < self._read_timeout * 0.99 else None

    # A blocking read cannot be given another timeout. Where the deadline comes sooner, an alarm shuts the socket down.

    def _set_alarm(self) -> bool:
        if self._socket() is None:
            return False
        self._alarm = self._alarm or DeadlineAlarm(self.abort)
        self._alarm.set(self._deadline)
        return True

    def _clear_alarm(self) -> None:
        if (alarm := self._alarm) is not None:
            alarm.clear()

    def _socket(self) -> socket.socket | None:
        """Return the connection's socket, if only this response uses it (HTTP/2 shares it)."""
        stream = self._response.extensions.get("network_stream")
        sock = stream.get_extra_info("socket") if stream is not None else None
        return None if self._response.http_version == "HTTP/2" else sock

    def abort(self) -> None:
        """Cut the connection, from any thread: the reader raises."""
        if (sock := self._socket()) is not None:
            self._shut_down_socket(sock)

    def _shut_down_socket(self, sock: socket.socket) -> None:
        self._socket_shut_down = True
        with contextlib.suppress(OSError):  # it was closed in that moment
            socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def _timeout(self) -> APITimeoutError:
        what = "sent nothing new" if self._renews_deadline else "did not finish its reply"
        return self._with_generation_id(timeout_error(self._request, f"{what} for {self._idle_timeout:g} s"))

    def _connection_error(self, error: Exception) -> APIError:
        return self._with_generation_id(connection_failure(error, self._request, response_started=True))

    def _with_generation_id(self, failure: ErrorT) -> ErrorT:
        failure.generation_id = self.generation_id
        return failure

    # What an answer that is no success says is waited for a moment only, and read as far as it came. Errors are made
    # below and raised by those who hold no text: it may repeat a key, and a verbose traceback shows what frames hold.

    def read_error(self) -> APIError:
        """Read the error of a response whose status is no success."""
        self.shorten_timeout(USAGE_TIMEOUT)
        read = _TextStart(self._limits.error_bytes)
        with contextlib.closing(self), contextlib.suppress(APIError):
            for text in self._read(str, self._last_text):
                if read.add(text):
                    break
        return self._error_from_text(read.text)

    async def read_error_async(self) -> APIError:
        """Read the error of a response whose status is no success, on the running event loop."""
        self.shorten_timeout(USAGE_TIMEOUT)
        read = _TextStart(self._limits.error_bytes)
        async with contextlib.aclosing(self):
            with contextlib.suppress(APIError):
                async for text in self._aread(str, self._last_text):
                    if read.add(text):
                        break
        return self._error_from_text(read.text)

    def _error_from_text(self, text: str) -> APIError:
        if (follow := self._response.next_request) is not None:
            return redirect_error(self.status, host_of(self._request.url), self._shown(str(follow.url)))
        if self._response.has_redirect_location:
            return redirect_failure(self.headers["location"], self._request)
        return self._refusal(text.strip())

    def _refusal(self, text: str) -> APIError:
        request, headers = self._request, {name: self._shown(value) for name, value in self.headers.items()}
        return error_from_response(self.status, headers, text, *request.secrets, other_url=request.other_url)

    def _shown(self, header: str) -> str:
        """Return what may be shown of a header's value."""
        return redact(header, *self._request.secrets)[: self._limits.header_characters]

    def json(self, text: str) -> Any:
        """Parse a whole body as JSON.

        Raises
        ------
        ProviderError
            It is not JSON; the decoder's own error, which quotes the text, is dropped.
        """
        with contextlib.suppress(ValueError, RecursionError):
            return json.loads(text)
        raise self._not_json(text.strip())

    def _not_json(self, text: str) -> ProviderError:
        """Make the error of a successful response whose body is not JSON, or not all of it."""
        if text[:1] in ("{", "["):
            from pydantic_core import from_json  # not at import: who sends nothing reads nothing

            with contextlib.suppress(ValueError):
                from_json(text, allow_partial=True)
                return ProviderError(
                    f"The reply was cut: its JSON ends in the middle, after {len(text):,} characters.",
                    status_code=self.status,
                    generation_id=self.generation_id,
                    hint="Try again.",
                )
        error = self._refusal(text[: self._limits.error_bytes])
        kind = self._shown(self.headers.get("content-type", "no content type"))
        return ProviderError(
            f"The reply is not JSON ({kind}): {error.message.partition(': ')[2]}",
            status_code=self.status,
            generation_id=self.generation_id,
            hint=f"Is the base URL right? It led to {redact(self._request.url)}.",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    def close(self) -> None:
        """Close the response; an unfinished one closes its connection."""
        self._clear_alarm()
        self._response.close()

    async def aclose(self) -> None:
        """Close the response, on the running event loop."""
        await self._response.aclose()
