"""`ShardedTransport`: one transport for many requests at once, over several connection pools.

The pool of the HTTP packages looks through all its connections when a request begins and when it ends (httpcore 1.0.9
and httpcore2 2.16.2: `_assign_requests_to_connections`); with 64 open ones that is a fifth of a call's CPU time. A few
connections a pool cost next to nothing.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from functools import cache
from time import monotonic
from typing import Any

# The second pool is made when the first is as busy as this, so that a person's questions have one pool. The shares of
# the limits are whole numbers.
_BUSY, MAX_POOLS = 8, 20


class _Shard:
    """A transport with a pool of its own, and how many responses of it are open."""

    def __init__(self, transport: Any) -> None:
        self.transport = transport
        self.open_responses = 0
        self.ended_at = 0.0


class ShardedTransport:
    """Distribute requests over transports of an HTTP package; a transport itself, for threads or for one event loop.

    A request takes the first transport that is not busy, and so connections are used again rather than opened.

    Parameters
    ----------
    engine
        The HTTP package.
    make
        Makes a transport, with a share of the limits.
    idle_seconds
        After how long a transport without open responses is closed, as its connections would be.
    """

    def __init__(self, engine: Any, make: Callable[[], Any], idle_seconds: float) -> None:
        self._make = make
        self._idle_seconds = idle_seconds
        self._lock = threading.Lock()
        self._shards = [_Shard(make())]
        self._sync_stream, self._async_stream = _stream_classes(engine)

    def _begin(self) -> tuple[_Shard, list[Any]]:
        """Choose where a request goes; return also the transports to close."""
        with self._lock:
            idle = []
            while len(self._shards) > 1 and self._is_idle(self._shards[-1]):
                idle.append(self._shards.pop().transport)
            shard = next((each for each in self._shards if each.open_responses < _BUSY), None)
            if shard is None and len(self._shards) < MAX_POOLS:
                shard = _Shard(self._make())
                self._shards.append(shard)
            elif shard is None:
                shard = min(self._shards, key=lambda each: each.open_responses)
            shard.open_responses += 1
        return shard, idle

    def _is_idle(self, shard: _Shard) -> bool:
        return not shard.open_responses and monotonic() - shard.ended_at > self._idle_seconds

    def _end(self, shard: _Shard) -> None:
        with self._lock:
            shard.open_responses -= 1
            shard.ended_at = monotonic()

    def handle_request(self, request: Any) -> Any:
        """Send a request, as the transports of the HTTP packages do."""
        shard, idle = self._begin()
        try:
            for transport in idle:
                with suppress(Exception):  # it answers nobody any more
                    transport.close()
            response = shard.transport.handle_request(request)
        except BaseException:
            self._end(shard)
            raise
        response.stream = self._sync_stream(response.stream, self._end, shard)
        return response

    async def handle_async_request(self, request: Any) -> Any:
        """Send a request on the running event loop."""
        shard, idle = self._begin()
        try:
            for transport in idle:
                with suppress(Exception):
                    await transport.aclose()
            response = await shard.transport.handle_async_request(request)
        except BaseException:
            self._end(shard)
            raise
        response.stream = self._async_stream(response.stream, self._end, shard)
        return response

    def close(self) -> None:
        """Close all connections."""
        for shard in self._shards:
            shard.transport.close()

    async def aclose(self) -> None:
        """Close all connections, on the event loop that they belong to."""
        for shard in self._shards:
            await shard.transport.aclose()


class _CountedStream:
    """A response's stream whose end, which comes once, is told."""

    def __init__(self, stream: Any, end: Callable[[_Shard], None], shard: _Shard) -> None:
        self._stream = stream
        self._end: Callable[[_Shard], None] | None = end
        self._shard = shard

    def _has_ended(self) -> None:
        end, self._end = self._end, None
        if end is not None:
            end(self._shard)


@cache
def _stream_classes(engine: Any) -> tuple[Any, Any]:
    """Make the classes of streams that are of an HTTP package, which checks that they are."""

    class SyncStream(_CountedStream, engine.SyncByteStream):  # type: ignore[misc]
        def __iter__(self) -> Iterator[bytes]:
            return iter(self._stream)

        def close(self) -> None:
            try:
                self._stream.close()
            finally:
                self._has_ended()

    class AsyncStream(_CountedStream, engine.AsyncByteStream):  # type: ignore[misc]
        def __aiter__(self) -> AsyncIterator[bytes]:
            return aiter(self._stream)

        async def aclose(self) -> None:
            try:
                await self._stream.aclose()
            finally:
                self._has_ended()

    return SyncStream, AsyncStream
