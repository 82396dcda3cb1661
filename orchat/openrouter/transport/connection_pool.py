"""The connection pools of this process: one for each endpoint and way to it, shared by all clients.

Closing a client closes a pool only if no other client has used it. What nobody holds any more is kept for the next one
for as long as connections are kept alive; all pools are closed at exit, and those of an event loop when it ends.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
from collections.abc import AsyncGenerator, Callable, Hashable
from time import monotonic
from typing import Any
from weakref import WeakSet

# Seconds that an idle connection is kept: a person thinks between two cells.
KEEP_ALIVE = 300.0
# As many connections may stay idle as were busy: else each burst of requests would open most of them anew.
LIMITS = {"max_connections": 1000, "max_keepalive_connections": 1000, "keepalive_expiry": KEEP_ALIVE}
_MAX_UNUSED_POOLS = 16
_MAX_CLIENTS = 16  # of one pool


class ConnectionPool:
    """One pool: a transport of an HTTP package, and who has used it."""

    def __init__(self, transport: Any, loop: asyncio.AbstractEventLoop | None) -> None:
        self.transport = transport
        self.loop = loop
        self.process = os.getpid()
        self.holders: WeakSet[Any] = WeakSet()
        self.used_at = monotonic()
        self._clients: dict[Hashable, Any] = {}
        self.closer = close_with_event_loop(transport)

    def client(self, settings: Hashable, make: Callable[[], Any]) -> Any:
        """Return the client of this pool with these settings, made on first use; None as settings are like no others.

        Making one takes longer than all else here that a question costs.
        """
        if settings is None:
            return make()
        if (client := self._clients.get(settings)) is None:
            if len(self._clients) >= _MAX_CLIENTS:
                self._clients.clear()
            client = self._clients[settings] = make()
        return client

    def belongs_to(self, loop: asyncio.AbstractEventLoop | None) -> bool:
        """Whether it is of this process, whose fork may not use it, and of a loop, or of the threads."""
        return self.process == os.getpid() and self.loop is loop


async def close_with_event_loop(transport: Any) -> AsyncGenerator[None, None]:
    """Close a transport, or a client, when its event loop ends: `asyncio.run` closes open generators first."""
    try:
        yield
    finally:
        await transport.aclose()


class ConnectionPools:
    """Pools by key, for any number of threads and event loops.

    Examples
    --------
    >>> import httpx2
    >>> class Holder:
    ...     pass
    >>> pools, one, another = ConnectionPools(), Holder(), Holder()
    >>> pool = pools.pool("key", one, httpx2.HTTPTransport)
    >>> pools.pool("key", another, httpx2.HTTPTransport) is pool
    True
    >>> pools.release(one)
    >>> pools.pool("key", another, httpx2.HTTPTransport) is pool
    True
    >>> pools.release(another)
    >>> pools.pool("key", another, httpx2.HTTPTransport) is pool
    False
    >>> pools.close()
    """

    def __init__(self) -> None:
        self.renew_lock()
        self._pools: dict[Hashable, ConnectionPool] = {}

    def renew_lock(self) -> None:
        """Make the lock anew: in a fork, a thread that is not there may hold it."""
        self._lock = threading.Lock()

    def pool(self, key: Hashable, holder: Any, make: Callable[[], Any]) -> ConnectionPool:
        """Return the pool of a key for threads, made on first use.

        Parameters
        ----------
        key
            All that a connection depends on.
        holder
            The client that uses it; while there is one that did not `release` it, it stays open.
        make
            Makes the transport.
        """
        with self._lock:
            pool, unused = self._find(key, holder, make, None)
        _close(unused)
        return pool

    async def async_pool(self, key: Hashable, holder: Any, make: Callable[[], Any]) -> ConnectionPool:
        """Return the pool of a key for the running event loop: connections cannot leave the loop of theirs."""
        loop = asyncio.get_running_loop()
        with self._lock:
            is_new = (os.getpid(), loop, key) not in self._pools
            pool, unused = self._find(key, holder, make, loop)
        if is_new:
            await anext(pool.closer)
        await _close_async(unused)
        return pool

    def _find(
        self, key: Hashable, holder: Any, make: Callable[[], Any], loop: asyncio.AbstractEventLoop | None
    ) -> tuple[ConnectionPool, list[ConnectionPool]]:
        """Return the pool of a key, and those to close."""
        key, unused = (os.getpid(), loop, key), []
        if (pool := self._pools.get(key)) is None:
            unused = self._take_unused(loop)
            pool = self._pools[key] = ConnectionPool(make(), loop)
        pool.holders.add(holder)
        pool.used_at = monotonic()
        return pool, unused

    def _take_unused(self, loop: asyncio.AbstractEventLoop | None) -> list[ConnectionPool]:
        """Forget the pools of loops that ended, and take those that nobody holds, where they are old or too many."""
        for key in [key for key, pool in self._pools.items() if pool.loop is not None and pool.loop.is_closed()]:
            del self._pools[key]
        unused = [key for key, pool in self._pools.items() if pool.belongs_to(loop) and not pool.holders]
        unused.sort(key=lambda key: self._pools[key].used_at)
        oldest = monotonic() - KEEP_ALIVE
        too_many = len(unused) - _MAX_UNUSED_POOLS
        taken = [key for at, key in enumerate(unused) if at < too_many or self._pools[key].used_at < oldest]
        return [self._pools.pop(key) for key in taken]

    def release(self, holder: Any) -> None:
        """End a client's use of the pools of threads, and close those that nobody else uses."""
        _close(self._released(holder, None))

    async def release_async(self, holder: Any) -> None:
        """End a client's use of the running event loop's pools, and close those that nobody else uses."""
        await _close_async(self._released(holder, asyncio.get_running_loop()))

    def _released(self, holder: Any, loop: asyncio.AbstractEventLoop | None) -> list[ConnectionPool]:
        with self._lock:
            mine = [key for key, pool in self._pools.items() if pool.belongs_to(loop) and holder in pool.holders]
            for key in mine:
                self._pools[key].holders.discard(holder)
            return [self._pools.pop(key) for key in mine if not self._pools[key].holders]

    def close(self) -> None:
        """Close all pools of threads."""
        with self._lock:
            keys = [key for key, pool in self._pools.items() if pool.belongs_to(None)]
            pools = [self._pools.pop(key) for key in keys]
        _close(pools)


def _close(pools: list[ConnectionPool]) -> None:
    for pool in pools:
        pool.transport.close()


async def _close_async(pools: list[ConnectionPool]) -> None:
    for pool in pools:
        await pool.closer.aclose()


POOLS = ConnectionPools()
atexit.register(POOLS.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=POOLS.renew_lock)
