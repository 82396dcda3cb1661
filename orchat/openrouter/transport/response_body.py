"""`ResponseBody`: a response's body as text or server-sent events, with a deadline that comments do not extend."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import json
import socket
import threading
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain
from time import monotonic, time
from types import SimpleNamespace
from typing import Any, TypeVar, cast

import httpx
from httpx_sse import EventSource, ServerSentEvent

from orchat.errors import APIConnectionError, APIError, APITimeoutError, ProviderError
from orchat.messages.lenient_json import BLANKS
from orchat.openrouter.dialect import host_of
from orchat.openrouter.transport.connection_errors import connection_failure, timeout_error
from orchat.openrouter.transport.prepared_request import PreparedRequest
from orchat.openrouter.wire.failures import error_from_response, redirect_error
from orchat.secrets import redact

# How long to wait for the usage that follows a finish reason, and for the end of a stream after [DONE], in seconds.
USAGE_TIMEOUT, DRAIN_TIMEOUT = 10.0, 0.2
# Comments are shorter: a block of this many bytes is progress even where no event ends in it.
_MIN_PROGRESS_BYTES = 1024
_EVENT_STREAM = "text/event-stream"


# The fields of an event stream (a comment is one without a name).
_FIELDS = (":", "data:", "event:", "id:", "retry:")

ErrorT = TypeVar("ErrorT", bound=APIError)


def looks_like_events(text: str) -> bool:
    """Whether a text starts like an event stream, regardless of its content type.

    Examples
    --------
    >>> looks_like_events(": OPENROUTER PROCESSING"), looks_like_events('{"choices": []}')
    (True, False)
    """
    return text.lstrip(BLANKS).startswith(_FIELDS)


def events_of(text: str) -> Iterator[ServerSentEvent]:
    """Iterate over the events in the text of a whole stream."""
    return _event_source([text]).iter_sse()


def _event_source(texts: Any) -> EventSource:
    # All that it needs of a response, in the spelling that it knows.
    parts = {"iter_text": lambda: texts, "aiter_text": lambda: texts}
    return EventSource(cast(Any, SimpleNamespace(headers={"content-type": _EVENT_STREAM}, **parts)))


def _event(data: str) -> ServerSentEvent:
    return ServerSentEvent(data=data)


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


class _PrefixedTexts:
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
        self._stamped_at = 0.0
        self._renews_deadline = False
        self._idle_timeout = idle_timeout
        self._read_timeout: float | None = response.request.extensions["timeout"]["read"]
        self._deadline = started + idle_timeout
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._open_line = b""  # how the line begins that the last block left open
        self._is_padding = False
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
        return str(generation_id) if generation_id else None

    def events(self) -> Iterator[ServerSentEvent]:
        """Iterate over the events of a stream, regardless of its content type; one JSON text is a single event.

        Who reads them sets `progressed` for those that bring something: only that renews the deadline.
        """
        self._renews_deadline = True
        texts, head, is_stream = self.iter_text(), "", None
        for text in texts:
            head += text
            if (is_stream := self._is_stream(head)) is not None:
                break
        if is_stream or (is_stream is None and self.content_type == _EVENT_STREAM):
            yield from _event_source(chain([head], texts)).iter_sse()
        else:
            self._renews_deadline = False
            yield from map(_event, self._documents(head + "".join(texts)))

    async def aevents(self) -> AsyncIterator[ServerSentEvent]:
        """Iterate over the data of the events, on the running event loop."""
        self._renews_deadline = True
        texts, head, is_stream = self.aiter_text(), "", None
        async for text in texts:
            head += text
            if (is_stream := self._is_stream(head)) is not None:
                break
        if is_stream or (is_stream is None and self.content_type == _EVENT_STREAM):
            events = _event_source(_PrefixedTexts(head, texts)).aiter_sse()
            try:
                async for event in events:
                    yield event
            finally:
                await events.aclose()
        else:
            self._renews_deadline = False
            for data in self._documents(head + "".join([text async for text in texts])):
                yield _event(data)

    def _is_stream(self, head: str) -> bool | None:
        """Detect an event stream by its first characters; None while they are too few."""
        head, is_declared = head.lstrip(BLANKS), self.content_type == _EVENT_STREAM
        if not head:
            return None
        if any(name.startswith(head) for name in _FIELDS):
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
            if (left := self._update_deadline(0)) is not None:
                self._start_timer(left)
            blocks = (
                self._response.iter_bytes() if self._is_compressed else cast(Iterable[bytes], self._response.stream)
            )
            for block in blocks:
                if self._timer is not None:
                    self._stop_timer()
                    if self._socket_shut_down:
                        break
                yield self._decode(block)
                if (left := self._update_deadline(len(block))) is not None:
                    self._start_timer(left)
        except httpx.HTTPError as error:
            failure = self._connection_error(error)
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
            left = self._update_deadline(0)
            stream = cast(AsyncIterable[bytes], self._response.stream)
            blocks = aiter(self._response.aiter_bytes() if self._is_compressed else stream)
            while True:
                if left is None:
                    block = await anext(blocks)
                else:
                    async with asyncio.timeout(left):
                        block = await anext(blocks)
                yield self._decode(block)
                left = self._update_deadline(len(block))
        except StopAsyncIteration:
            pass
        except TimeoutError:
            failure = self._timeout()
        except httpx.HTTPError as error:
            failure = self._connection_error(error)
        if failure is not None:
            raise failure
        yield self._decoder.decode(b"", final=True) + "\n\n"

    @property
    def _is_compressed(self) -> bool:
        # Where it is not, going past httpx's decompression saves a twentieth of all.
        return "content-encoding" in self.headers

    def _decode(self, block: bytes) -> str:
        now = time()
        if (
            now - self._stamped_at >= 0.001
        ):  # what comes at once shares a stamp: making one costs as much as reading JSON
            self._stamped_at = now
            self.received_at = datetime.fromtimestamp(now, UTC).isoformat()
        if self._open_line or len(block) >= _MIN_PROGRESS_BYTES or block[-1:] != b"\n":
            self._detect_padding(block)
        return self._decoder.decode(block)

    def _detect_padding(self, block: bytes) -> None:
        """Detect a block of comments only: some are long, to fill proxies' buffers, and come in pieces."""
        first, *others = block.split(b"\n")
        begins = self._open_line or first[:1]
        self._is_padding = all(begin in (b"", b"\r", b":") for begin in (begins, *(line[:1] for line in others)))
        self._open_line = others[-1][:1] if others else begins

    def _update_deadline(self, size: int) -> float | None:
        """Renew the deadline if the last block made progress; else raise if it has passed.

        Returns the seconds that are left, or None where the timeout of the read itself suffices: that one is fixed
        when the request is sent, and each block restarts it, even a comment.
        """
        now = monotonic()
        if self._renews_deadline and (self.progressed or (size >= _MIN_PROGRESS_BYTES and not self._is_padding)):
            self._deadline = now + self._idle_timeout
            self.progressed = False
        elif now >= self._deadline:
            raise self._timeout()
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
        texts = []
        with contextlib.closing(self), contextlib.suppress(APIConnectionError):
            for text in self.iter_text():
                texts.append(text)  # noqa: PERF402 - a list() would lose what came before a failure
        return self._error_from_text("".join(texts))

    async def read_error_async(self) -> APIError:
        """Read the error of a response whose status is no success, on the running event loop."""
        self.shorten_timeout(USAGE_TIMEOUT)
        texts = []
        async with contextlib.aclosing(self):
            with contextlib.suppress(APIConnectionError):
                async for text in self.aiter_text():
                    texts.append(text)  # noqa: PERF401
        return self._error_from_text("".join(texts))

    def _error_from_text(self, text: str) -> APIError:
        target = self.headers.get("location")
        if self._response.is_redirect and target:
            return redirect_error(self.status, host_of(self._request.url), str(self._response.url.join(target)))
        return self._refusal(text.strip())

    def _refusal(self, text: str) -> APIError:
        request = self._request
        return error_from_response(self.status, self.headers, text, *request.secrets, other_url=request.other_url)

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
        error = self._refusal(text)
        kind = self.headers.get("content-type", "no content type")
        return ProviderError(
            f"The reply is not JSON ({redact(kind)}): {error.message.partition(': ')[2]}",
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
