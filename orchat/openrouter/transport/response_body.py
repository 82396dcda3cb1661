"""What comes back: the body of an answer as text or events, under a deadline that comments do not extend."""

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
from orchat.messages.json_text import BLANKS
from orchat.openrouter.dialect import host_of
from orchat.openrouter.transport.connection_errors import connection_failure, timeout_error
from orchat.openrouter.transport.prepared_request import PreparedRequest
from orchat.openrouter.wire.failures import error_from_response, redirect_error
from orchat.secrets import redact

# How long to wait for the usage that follows a finish reason, and for the end of a stream after [DONE], in seconds.
USAGE_TIMEOUT, DRAIN_TIMEOUT = 10.0, 0.2
# Comments are shorter: a block of this many bytes is progress even where no event ends in it.
_LONG_BLOCK = 1024
_EVENT_STREAM = "text/event-stream"


# The fields of an event stream (a comment is one without a name).
_FIELDS = (":", "data:", "event:", "id:", "retry:")

Failure = TypeVar("Failure", bound=APIError)


def looks_like_events(text: str) -> bool:
    """Whether a text is an event stream, whatever its content type says.

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


class _Led:
    """Texts with one before them; an async generator around them would cost more for each."""

    def __init__(self, head: str, texts: AsyncIterator[str]) -> None:
        self._head: str | None = head
        self._texts = texts

    def __aiter__(self) -> AsyncIterator[str]:
        return self

    def __anext__(self) -> Awaitable[str]:
        if self._head is None:
            return self._texts.__anext__()
        head, self._head = self._head, None
        return _at_once(head)


async def _at_once(text: str) -> str:
    return text


class ResponseBody:
    """The body of an answer as text: whole, or the events of a stream.

    It hands each block of text to `httpx_sse.EventSource` itself: that is how it knows comments from progress.
    """

    def __init__(self, response: httpx.Response, call: PreparedRequest, started: float, patience: float) -> None:
        self.headers = response.headers
        self.received_at: str | None = None
        self.progressed = False
        self.is_whole = False
        self._response = response
        self._call = call
        self._stamped = 0.0
        self._renews = False
        self._patience = patience
        self._read_timeout: float | None = response.request.extensions["timeout"]["read"]
        self._deadline = started + patience
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._open_line = b""  # how the line begins that the last block left open
        self._is_padding = False
        self._timer: threading.Timer | None = None
        self._cut = False

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self._response.status_code

    @property
    def generation_id(self) -> str | None:
        """The reply's id, known before its first event."""
        generation_id = self.headers.get("x-generation-id")
        return str(generation_id) if generation_id else None

    def events(self) -> Iterator[ServerSentEvent]:
        """Iterate over the events of a stream, whatever its content type says; one JSON text is a single event.

        Who reads them sets `progressed` for those that bring something: only that renews the deadline.
        """
        self._renews = True
        texts, head, is_stream = self.iter_text(), "", None
        for text in texts:
            head += text
            if (is_stream := self._is_stream(head)) is not None:
                break
        if is_stream or (is_stream is None and self.content_type == _EVENT_STREAM):
            yield from _event_source(chain([head], texts)).iter_sse()
        else:
            self._renews = False
            yield from map(_event, self._documents(head + "".join(texts)))

    async def aevents(self) -> AsyncIterator[ServerSentEvent]:
        """Like `events`, on the event loop."""
        self._renews = True
        texts, head, is_stream = self.aiter_text(), "", None
        async for text in texts:
            head += text
            if (is_stream := self._is_stream(head)) is not None:
                break
        if is_stream or (is_stream is None and self.content_type == _EVENT_STREAM):
            events = _event_source(_Led(head, texts)).aiter_sse()
            try:
                async for event in events:
                    yield event
            finally:
                await events.aclose()
        else:
            self._renews = False
            for data in self._documents(head + "".join([text async for text in texts])):
                yield _event(data)

    def _is_stream(self, head: str) -> bool | None:
        """Tell by its first letters whether this is a stream of events; None while they are too few."""
        head, is_declared = head.lstrip(BLANKS), self.content_type == _EVENT_STREAM
        if not head:
            return None
        if any(name.startswith(head) for name in _FIELDS):
            return None
        return head[0] not in "{[<" if is_declared else looks_like_events(head)

    def _documents(self, text: str) -> list[str]:
        """Split a text that is no event stream: one JSON document, or one on each line."""
        lines = [line for line in text.split("\n") if line.strip(BLANKS)]
        if len(lines) > 1 and all(map(_is_object, lines)):
            return lines
        self.is_whole = True
        self.json(text)
        return [text]

    @property
    def content_type(self) -> str:
        """What the answer says that it is; it may be wrong."""
        return str(self.headers.get("content-type", "")).partition(";")[0].strip().lower()

    def hurry(self, seconds: float) -> None:
        """Wait no longer than that from now on: what matters has come."""
        if seconds < self._patience:
            self._patience = seconds
            self._deadline = monotonic() + seconds

    def iter_text(self) -> Iterator[str]:
        """Iterate over the text as it arrives, ended by an empty line, so that a last event without one counts."""
        failure: APIError | None = None
        try:
            if (left := self._judge(0)) is not None:
                self._arm(left)
            blocks = self._response.iter_bytes() if self._is_packed else cast(Iterable[bytes], self._response.stream)
            for block in blocks:
                if self._timer is not None:
                    self._disarm()
                    if self._cut:
                        break
                yield self._decoded(block)
                if (left := self._judge(len(block))) is not None:
                    self._arm(left)
        except httpx.HTTPError as error:
            failure = self._broken(error)
        finally:
            self._disarm()
        # Outside of `except`, so that httpx's frames, whose variables hold headers, are not in the traceback.
        if self._cut:
            raise self._timed_out()
        if failure is not None:
            raise failure
        yield self._decoder.decode(b"", final=True) + "\n\n"

    async def aiter_text(self) -> AsyncIterator[str]:
        """Like `iter_text`, on the event loop."""
        failure: APIError | None = None
        try:
            left = self._judge(0)
            stream = cast(AsyncIterable[bytes], self._response.stream)
            blocks = aiter(self._response.aiter_bytes() if self._is_packed else stream)
            while True:
                if left is None:
                    block = await anext(blocks)
                else:
                    async with asyncio.timeout(left):
                        block = await anext(blocks)
                yield self._decoded(block)
                left = self._judge(len(block))
        except StopAsyncIteration:
            pass
        except TimeoutError:
            failure = self._timed_out()
        except httpx.HTTPError as error:
            failure = self._broken(error)
        if failure is not None:
            raise failure
        yield self._decoder.decode(b"", final=True) + "\n\n"

    @property
    def _is_packed(self) -> bool:
        # Where it is not, going past httpx's decompression saves a twentieth of all.
        return "content-encoding" in self.headers

    def _decoded(self, block: bytes) -> str:
        now = time()
        if now - self._stamped >= 0.001:  # what comes at once shares a stamp: making one costs as much as reading JSON
            self._stamped = now
            self.received_at = datetime.fromtimestamp(now, UTC).isoformat()
        if self._open_line or len(block) >= _LONG_BLOCK or block[-1:] != b"\n":
            self._look(block)
        return self._decoder.decode(block)

    def _look(self, block: bytes) -> None:
        """See whether a block is nothing but comments: some are long, to fill proxies' buffers, and come in pieces."""
        first, *others = block.split(b"\n")
        begins = self._open_line or first[:1]
        self._is_padding = all(begin in (b"", b"\r", b":") for begin in (begins, *(line[:1] for line in others)))
        self._open_line = others[-1][:1] if others else begins

    def _judge(self, size: int) -> float | None:
        """Renew the deadline if the last block brought something, or see whether it has passed.

        Gives the seconds that are left, or None where the timeout of the read itself will do: that one is fixed when
        the request goes out, and each block starts it anew, even a comment.
        """
        now = monotonic()
        if self._renews and (self.progressed or (size >= _LONG_BLOCK and not self._is_padding)):
            self._deadline = now + self._patience
            self.progressed = False
        elif now >= self._deadline:
            raise self._timed_out()
        left = self._deadline - now
        return left if self._read_timeout is None or left < self._read_timeout * 0.99 else None

    # A blocking read cannot be given another timeout. Where the deadline comes sooner, a timer shuts the socket down.

    def _arm(self, left: float) -> None:
        if (sock := self._socket()) is None:
            return
        self._timer = threading.Timer(left, self._shut_down, [sock])
        self._timer.daemon = True
        self._timer.start()

    def _socket(self) -> socket.socket | None:
        """Return the connection's socket, if it is this answer's alone (HTTP/2 shares it)."""
        stream = self._response.extensions.get("network_stream")
        sock = stream.get_extra_info("socket") if stream is not None else None
        return None if self._response.http_version == "HTTP/2" else sock

    def cut(self) -> None:
        """End the answer now, from any thread: whoever reads it meets an error."""
        if (sock := self._socket()) is not None:
            self._shut_down(sock)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _shut_down(self, sock: socket.socket) -> None:
        self._cut = True
        with contextlib.suppress(OSError):  # it was closed in that moment
            socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def _timed_out(self) -> APITimeoutError:
        what = "sent nothing new" if self._renews else "did not finish its reply"
        return self._told(timeout_error(self._call, f"{what} for {self._patience:g} s"))

    def _broken(self, error: httpx.HTTPError) -> APIError:
        return self._told(connection_failure(error, self._call, began=True))

    def _told(self, failure: Failure) -> Failure:
        failure.generation_id = self.generation_id
        return failure

    # What an answer that is no success says is waited for a moment only, and read as far as it came. Errors are made
    # below and raised by those who hold no text: it may repeat a key, and a verbose traceback shows what frames hold.

    def refusal(self) -> APIError:
        """Make the error of an answer that is no success."""
        self.hurry(USAGE_TIMEOUT)
        texts = []
        with contextlib.closing(self), contextlib.suppress(APIConnectionError):
            for text in self.iter_text():
                texts.append(text)  # noqa: PERF402 - a list() would lose what came before a failure
        return self._refusal("".join(texts))

    async def arefusal(self) -> APIError:
        """Like `refusal`, on the event loop."""
        self.hurry(USAGE_TIMEOUT)
        texts = []
        async with contextlib.aclosing(self):
            with contextlib.suppress(APIConnectionError):
                async for text in self.aiter_text():
                    texts.append(text)  # noqa: PERF401
        return self._refusal("".join(texts))

    def _refusal(self, text: str) -> APIError:
        target = self.headers.get("location")
        if self._response.is_redirect and target:
            return redirect_error(self.status, host_of(self._call.url), str(self._response.url.join(target)))
        return error_from_response(self.status, self.headers, text.strip(), *self._call.secrets)

    def json(self, text: str) -> Any:
        """Read a whole answer.

        Raises
        ------
        ProviderError
            It is no JSON; the decoder's own error, which quotes the text, is left behind.
        """
        with contextlib.suppress(ValueError, RecursionError):
            return json.loads(text)
        raise self._not_json(text.strip())

    def _not_json(self, text: str) -> ProviderError:
        """Make the error of a success whose body is not what the API promises."""
        error = error_from_response(self.status, self.headers, text, *self._call.secrets)
        kind = self.headers.get("content-type", "no content type")
        return ProviderError(
            f"The reply is not JSON ({redact(kind)}): {error.message.partition(': ')[2]}",
            status_code=self.status,
            generation_id=self.generation_id,
            hint=f"Is the base URL right? It led to {redact(self._call.url)}.",
        )

    def close(self) -> None:
        """Close the answer; a connection in the middle of one is closed with it."""
        self._disarm()
        self._response.close()

    async def aclose(self) -> None:
        """Like `close`, on the event loop."""
        await self._response.aclose()
