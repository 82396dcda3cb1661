"""`ResponseBody`: a response's body as text or server-sent events, with a deadline that comments do not extend."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import json
import socket
import threading
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain
from time import monotonic, time
from typing import Any, TypeVar, cast

import httpx
from httpx_sse import ServerSentEvent

from orchat.errors import APIError, APITimeoutError, ProviderError, ResponseLimitError
from orchat.messages.lenient_json import BLANKS
from orchat.openrouter.dialect import host_of
from orchat.openrouter.transport.connection_errors import connection_failure, timeout_error
from orchat.openrouter.transport.content_decoding import ContentDecoder
from orchat.openrouter.transport.event_stream import (
    EVENT_FIELDS,
    EVENT_STREAM,
    PrefixedTexts,
    event_source,
    looks_like_events,
)
from orchat.openrouter.transport.prepared_request import PreparedRequest
from orchat.openrouter.transport.response_size import ResponseSize
from orchat.openrouter.wire.failures import error_from_response, redirect_error
from orchat.secrets import redact

# How long to wait for the usage that follows a finish reason, and for the end of a stream after [DONE], in seconds.
USAGE_TIMEOUT, DRAIN_TIMEOUT = 10.0, 0.2
# Comments are shorter: a block of this many bytes is progress even where no event ends in it.
_MIN_PROGRESS_BYTES = 1024

ErrorT = TypeVar("ErrorT", bound=APIError)


def _event(data: str) -> ServerSentEvent:
    return ServerSentEvent(data=data)


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


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
    """The body of a response, as text or as the events of a stream.

    It passes each block of text to `httpx_sse.EventSource` itself, to tell comments from progress.
    """

    def __init__(self, response: httpx.Response, request: PreparedRequest, started: float, idle_timeout: float) -> None:
        self.headers = response.headers
        self.received_at: str | None = None
        self.progressed = False
        self.is_whole = False
        self._response = response
        self._request = request
        self._limits = request.limits
        self._size = ResponseSize(request.limits, "list_bytes" if request.method == "GET" else "answer_bytes")
        self._stamped_at = 0.0
        self._renews_deadline = False
        self._idle_timeout = idle_timeout
        self._read_timeout: float | None = response.request.extensions["timeout"]["read"]
        self._deadline = started + idle_timeout
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._open_line = b""  # how the line begins that the last block left open
        self._timer: threading.Timer | None = None
        self._socket_shut_down = False

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self._response.status_code

    @property
    def generation_id(self) -> str | None:
        """The reply's id from the headers, known before its first event."""
        generation_id = self.headers.get("x-generation-id")
        return str(generation_id)[: self._limits.header_characters] if generation_id else None

    def call_on_growth(self, look: Callable[[], None]) -> None:
        """Call a function after each megabyte that arrives, which may raise an error."""
        self._size.on_growth = look

    def events(self) -> Iterator[ServerSentEvent]:
        """Iterate over the events of a stream, regardless of its content type; one JSON text is a single event.

        Who reads them sets `progressed` for those that bring something: only that renews the deadline.
        """
        self._renews_deadline = self._size.is_stream = True
        texts, head, is_stream = self.iter_text(), "", None
        for text in texts:
            head += text
            if (is_stream := self._is_stream(head)) is not None:
                break
        if is_stream or (is_stream is None and self.content_type == EVENT_STREAM):
            yield from event_source(chain([head], texts)).iter_sse()
        else:
            self._renews_deadline = self._size.is_stream = False
            yield from map(_event, self._documents(head + "".join(texts)))

    async def aevents(self) -> AsyncIterator[ServerSentEvent]:
        """Iterate over the data of the events, on the running event loop."""
        self._renews_deadline = self._size.is_stream = True
        texts, head, is_stream = self.aiter_text(), "", None
        async for text in texts:
            head += text
            if (is_stream := self._is_stream(head)) is not None:
                break
        if is_stream or (is_stream is None and self.content_type == EVENT_STREAM):
            events = event_source(PrefixedTexts(head, texts)).aiter_sse()
            try:
                async for event in events:
                    yield event
            finally:
                await events.aclose()
        else:
            self._renews_deadline = self._size.is_stream = False
            for data in self._documents(head + "".join([text async for text in texts])):
                yield _event(data)

    def text(self) -> str:
        """Read the whole text."""
        text = ""
        for piece in self.iter_text():
            text += piece  # in place: a list of pieces would take as much memory again
        return text

    async def text_async(self) -> str:
        """Read the whole text, on the running event loop."""
        text = ""
        async for piece in self.aiter_text():
            text += piece
        return text

    def _is_stream(self, head: str) -> bool | None:
        """Detect an event stream by its first characters; None while they are too few."""
        head, is_declared = head.lstrip(BLANKS), self.content_type == EVENT_STREAM
        if not head:
            return None
        if any(name.startswith(head) for name in EVENT_FIELDS):
            return None
        return head[0] not in "{[<" if is_declared else looks_like_events(head)

    def _documents(self, text: str) -> list[str]:
        """Split a text that is not an event stream: one JSON document, or one on each line."""
        lines = [line for line in text.split("\n") if line.strip(BLANKS)]
        if len(lines) > 1 and all(map(_is_object, lines)):
            return lines
        self.is_whole = True
        self.json(text)
        return [text]

    @property
    def content_type(self) -> str:
        """The response's content type; it may be wrong."""
        return str(self.headers.get("content-type", "")).partition(";")[0].strip().lower()

    def shorten_timeout(self, seconds: float) -> None:
        """Shorten the idle timeout from now on: the important part has arrived."""
        if seconds < self._idle_timeout:
            self._idle_timeout = seconds
            self._deadline = monotonic() + seconds

    def iter_text(self) -> Iterator[str]:
        """Iterate over the text as it arrives, ended by an empty line, so that a last event without one counts."""
        failure: APIError | None = None
        try:
            if (left := self._update_deadline()) is not None:
                self._start_timer(left)
            stream = cast(Iterable[bytes], self._response.stream)
            decoder = self._content_decoder()
            for block in stream if decoder is None else decoder.blocks(stream):
                if self._timer is not None:
                    self._stop_timer()
                    if self._socket_shut_down:
                        break
                yield self._decode(block)
                if (left := self._update_deadline(block)) is not None:
                    self._start_timer(left)
        except httpx.HTTPError as error:
            failure = self._connection_error(error)
        except (ProviderError, ResponseLimitError) as error:
            failure = self._with_generation_id(error)
        finally:
            self._stop_timer()
        # Outside of `except`, so that httpx's frames, whose variables hold headers, are not in the traceback.
        if self._socket_shut_down:
            raise self._timeout()
        if failure is not None:
            raise failure
        yield self._decoder.decode(b"", final=True) + "\n\n"

    async def aiter_text(self) -> AsyncIterator[str]:
        """Iterate over the text as it arrives, on the running event loop; see `iter_text`."""
        failure: APIError | None = None
        try:
            left = self._update_deadline()
            stream = cast(AsyncIterable[bytes], self._response.stream)
            decoder = self._content_decoder()
            blocks = aiter(stream if decoder is None else decoder.ablocks(stream))
            while True:
                if left is None:
                    block = await anext(blocks)
                else:
                    async with asyncio.timeout(left):
                        block = await anext(blocks)
                yield self._decode(block)
                left = self._update_deadline(block)
        except StopAsyncIteration:
            pass
        except TimeoutError:
            failure = self._timeout()
        except httpx.HTTPError as error:
            failure = self._connection_error(error)
        except (ProviderError, ResponseLimitError) as error:
            failure = self._with_generation_id(error)
        if failure is not None:
            raise failure
        yield self._decoder.decode(b"", final=True) + "\n\n"

    def _content_decoder(self) -> ContentDecoder | None:
        encoding = self.headers.get("content-encoding")
        return None if encoding is None else ContentDecoder(encoding, self._limits)

    def _decode(self, block: bytes) -> str:
        now = time()
        if now - self._stamped_at >= 0.001:  # what comes at once shares a stamp: one costs as much as reading JSON
            self._stamped_at = now
            self.received_at = datetime.fromtimestamp(now, UTC).isoformat()
        text = self._decoder.decode(block)
        self._size.add(text, len(block))
        return text

    def _is_padding(self, block: bytes) -> bool:
        """Detect a block of comments only: some are long, to fill proxies' buffers, and come in pieces."""
        first, *others = block.split(b"\n")
        begins = self._open_line or first[:1]
        return all(begin in (b"", b"\r", b":") for begin in (begins, *(line[:1] for line in others)))

    def _update_deadline(self, block: bytes = b"") -> float | None:
        """Renew the deadline if the last block made progress; else raise if it has passed.

        Returns the seconds that are left, or None where the timeout of the read itself suffices: that one is fixed
        when the request is sent, and each block restarts it, even a comment.
        """
        now = monotonic()
        # Whether it is padding is asked last: finding out takes longer than anything else here.
        if self._renews_deadline and (
            self.progressed or (len(block) >= _MIN_PROGRESS_BYTES and not self._is_padding(block))
        ):
            self._deadline = now + self._idle_timeout
            self.progressed = False
        elif now >= self._deadline:
            raise self._timeout()
        if block.endswith(b"\n"):
            self._open_line = b""
        elif block:
            begin = block.rfind(b"\n") + 1
            self._open_line = block[begin : begin + 1] if begin else self._open_line or block[:1]
        left = self._deadline - now
        return left if self._read_timeout is None or left < self._read_timeout * 0.99 else None

    # A blocking read cannot be given another timeout. Where the deadline comes sooner, a timer shuts the socket down.

    def _start_timer(self, left: float) -> None:
        if (sock := self._socket()) is None:
            return
        self._timer = threading.Timer(left, self._shut_down_socket, [sock])
        self._timer.daemon = True
        self._timer.start()

    def _socket(self) -> socket.socket | None:
        """Return the connection's socket, if only this response uses it (HTTP/2 shares it)."""
        stream = self._response.extensions.get("network_stream")
        sock = stream.get_extra_info("socket") if stream is not None else None
        return None if self._response.http_version == "HTTP/2" else sock

    def abort(self) -> None:
        """Cut the connection, from any thread: the reader raises."""
        if (sock := self._socket()) is not None:
            self._shut_down_socket(sock)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _shut_down_socket(self, sock: socket.socket) -> None:
        self._socket_shut_down = True
        with contextlib.suppress(OSError):  # it was closed in that moment
            socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def _timeout(self) -> APITimeoutError:
        what = "sent nothing new" if self._renews_deadline else "did not finish its reply"
        return self._with_generation_id(timeout_error(self._request, f"{what} for {self._idle_timeout:g} s"))

    def _connection_error(self, error: httpx.HTTPError) -> APIError:
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
            for text in self.iter_text():
                if read.add(text):
                    break
        return self._error_from_text(read.text)

    async def read_error_async(self) -> APIError:
        """Read the error of a response whose status is no success, on the running event loop."""
        self.shorten_timeout(USAGE_TIMEOUT)
        read = _TextStart(self._limits.error_bytes)
        async with contextlib.aclosing(self):
            with contextlib.suppress(APIError):
                async for text in self.aiter_text():
                    if read.add(text):
                        break
        return self._error_from_text(read.text)

    def _error_from_text(self, text: str) -> APIError:
        if (follow := self._response.next_request) is not None:
            return redirect_error(self.status, host_of(self._request.url), self._shown(str(follow.url)))
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
        """Make the error of a successful response whose body is not JSON."""
        error = self._refusal(text[: self._limits.error_bytes])
        kind = self._shown(self.headers.get("content-type", "no content type"))
        return ProviderError(
            f"The reply is not JSON ({kind}): {error.message.partition(': ')[2]}",
            status_code=self.status,
            generation_id=self.generation_id,
            hint=f"Is the base URL right? It led to {redact(self._request.url)}.",
        )

    def close(self) -> None:
        """Close the response; an unfinished one closes its connection."""
        self._stop_timer()
        self._response.close()

    async def aclose(self) -> None:
        """Close the response, on the running event loop."""
        await self._response.aclose()
