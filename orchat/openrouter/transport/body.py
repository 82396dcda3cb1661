"""What comes back: the body of an answer as text or events, under a deadline that comments do not extend."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from time import monotonic
from typing import Any, cast

import httpx
from httpx_sse import EventSource

from orchat.errors import APIError, APITimeoutError, ProviderError, redact
from orchat.openrouter.dialect import host_of
from orchat.openrouter.transport.call import Call
from orchat.openrouter.transport.failure import connection_failure, timeout_error
from orchat.openrouter.wire.failures import error_from_response, redirect_error

# How long to wait for the usage that follows a finish reason, and for the end of a stream after [DONE], in seconds.
USAGE_TIMEOUT, DRAIN_TIMEOUT = 10.0, 0.2
# Comments are shorter: a block of this many bytes is progress even where no event ends in it.
_LONG_BLOCK = 1024


class Body:
    """The body of an answer as text: whole, or the events of a stream.

    It is what `httpx_sse.EventSource` needs of a response (``headers`` and ``iter_text``), and sees each block on its
    way: that is how it knows comments from progress.
    """

    def __init__(self, response: httpx.Response, call: Call, started: float, patience: float) -> None:
        self.headers = response.headers
        self.received_at: str | None = None
        self.progressed = False
        self._response = response
        self._call = call
        self._renews = False
        self._patience = patience
        self._read_timeout = patience
        self._deadline = started + patience
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._timer: threading.Timer | None = None
        self._cut = False

    @property
    def is_stream(self) -> bool:
        """Whether it is a stream of events."""
        return "text/event-stream" in self.headers.get("content-type", "")

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self._response.status_code

    @property
    def generation_id(self) -> str | None:
        """The reply's id, known before its first event."""
        generation_id = self.headers.get("x-generation-id")
        return str(generation_id) if generation_id else None

    def events(self) -> Iterator[str]:
        """Iterate over the data of the events; each event renews the deadline."""
        self._renews = True
        for event in EventSource(cast(Any, self)).iter_sse():  # headers and iter_text are all it needs
            self.progressed = True
            yield event.data

    async def aevents(self) -> AsyncIterator[str]:
        """Like `events`, on the event loop."""
        self._renews = True
        events = EventSource(cast(Any, self)).aiter_sse()
        try:
            async for event in events:
                self.progressed = True
                yield event.data
        finally:
            await events.aclose()

    def hurry(self, seconds: float) -> None:
        """Wait no longer than that from now on: what matters has come."""
        if seconds < self._patience:
            self._patience = seconds
            self._deadline = monotonic() + seconds

    def iter_text(self) -> Iterator[str]:
        """Iterate over the text as it arrives, ended by an empty line, so that a last event without one counts."""
        blocks = self._response.iter_bytes()
        try:
            while (block := self._next(blocks)) is not None:
                yield self._decoded(block)
                self._judge(len(block))
        finally:
            self._disarm()
        yield self._decoder.decode(b"", final=True) + "\n\n"

    def _next(self, blocks: Iterator[bytes]) -> bytes | None:
        failure: APIError
        try:
            self._arm()
            block = next(blocks, None)
            if not self._cut:
                return block
            failure = self._timed_out()
        except httpx.HTTPError as error:
            failure = self._timed_out() if self._cut else connection_failure(error, self._call, began=True)
        finally:
            self._disarm()
        raise failure

    async def aiter_text(self) -> AsyncIterator[str]:
        """Like `iter_text`, on the event loop."""
        blocks = self._response.aiter_bytes()
        while (block := await self._anext(blocks)) is not None:
            yield self._decoded(block)
            self._judge(len(block))
        yield self._decoder.decode(b"", final=True) + "\n\n"

    async def _anext(self, blocks: AsyncIterator[bytes]) -> bytes | None:
        failure: APIError
        try:
            async with asyncio.timeout(self._deadline - monotonic()):
                return await anext(blocks, None)
        except TimeoutError:
            failure = self._timed_out()
        except httpx.HTTPError as error:
            failure = connection_failure(error, self._call, began=True)
        raise failure

    def _decoded(self, block: bytes) -> str:
        self.received_at = datetime.now(UTC).isoformat()
        return self._decoder.decode(block)

    def _judge(self, size: int) -> None:
        """Renew the deadline if the last block brought something, or see whether it has passed."""
        now = monotonic()
        if self._renews and (self.progressed or size >= _LONG_BLOCK):
            self._deadline = now + self._patience
            self.progressed = False
        elif now >= self._deadline:
            raise self._timed_out()

    # A blocking read obeys a timeout that is fixed when the body begins, and that each comment starts anew. Where the
    # deadline comes sooner, a timer shuts the socket down.

    def _arm(self) -> None:
        left = self._deadline - monotonic()
        if left >= self._read_timeout * 0.99:
            return
        stream = self._response.extensions.get("network_stream")
        sock = stream.get_extra_info("socket") if stream is not None else None
        if sock is None or self._response.http_version == "HTTP/2":  # there a socket is shared
            return
        self._timer = threading.Timer(max(left, 0), self._shut_down, [sock])
        self._timer.daemon = True
        self._timer.start()

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
        return timeout_error(self._call, f"{what} for {self._patience:g} s")

    def refuse(self, text: str) -> Body:
        """Raise the error of an answer that is no success."""
        target = self.headers.get("location")
        if self._response.is_redirect and target:
            raise redirect_error(self.status, host_of(self._call.url), str(self._response.url.join(target)))
        raise error_from_response(self.status, self.headers, text.strip(), *self._call.secrets)

    def not_json(self, text: str) -> ProviderError:
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
