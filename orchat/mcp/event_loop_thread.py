"""`EventLoopThread`: the thread that owns an event loop, on which the coroutines of any thread or loop run.

A connection to a server belongs to the task that opened it, and each cell of a notebook is a task of its own. So all
connections live on one loop in a thread, which no interrupt reaches: synchronous callers wait for it, asynchronous ones
await it, and both hand their cancellation through.
"""

from __future__ import annotations

import asyncio
import atexit
import sys
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


class EventLoopThread:
    """A daemon thread with an event loop, started by its first use.

    Examples
    --------
    >>> async def answer():
    ...     return 42
    >>> loops = EventLoopThread("doctest")
    >>> loops.run(answer), asyncio.run(loops.run_async(answer))
    (42, 42)
    >>> loops.close()
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None or self._thread is None or not self._thread.is_alive():  # also after a fork
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name=self._name)
                self._thread.start()
            return self._loop

    def run(self, main: Callable[[], Coroutine[Any, Any, T]], timeout: float | None = None) -> T:
        """Run a coroutine to its end while this thread waits; an interrupt of the waiting cancels it.

        Parameters
        ----------
        main
            Makes the coroutine.
        timeout
            Seconds to wait at most; then it is cancelled, and TimeoutError raised.
        """
        if threading.current_thread() is self._thread:
            raise RuntimeError("This thread runs the loop, and cannot wait for it.")
        future = asyncio.run_coroutine_threadsafe(main(), self._running_loop())
        try:
            return future.result(timeout)
        except BaseException:
            future.cancel()
            raise

    async def run_async(self, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine to its end, awaited by another loop; a cancellation is handed through."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(main(), self._running_loop()))

    def call_soon(self, function: Callable[[], object]) -> None:
        """Call a function in the thread, if it runs."""
        with suppress(RuntimeError):  # the loop was closed in this very moment
            if self._loop is not None:
                self._loop.call_soon_threadsafe(function)

    def close(self) -> None:
        """End the loop and its thread; a later call starts new ones."""
        with self._lock:
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is None or thread is None or not thread.is_alive():
            return
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        if not thread.is_alive():
            loop.close()


MCP_LOOP = EventLoopThread("orchat-mcp")
"""The loop of all connections of this process."""

_closers: set[Callable[[], Coroutine[Any, Any, None]]] = set()


def close_at_exit(close: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Register what ends a session, to be awaited on `MCP_LOOP` when the process ends."""
    if not _closers:
        atexit.unregister(_close_all)
        atexit.register(_close_all)
    _closers.add(close)


def forget_at_exit(close: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Undo `close_at_exit`."""
    _closers.discard(close)


def _close_all() -> None:
    """End all sessions within a time that Jupyter gives a kernel to end by itself, which is 2.5 seconds."""
    stdio = sys.modules.get("mcp.client.stdio")
    if stdio is not None:
        vars(stdio).update(PROCESS_TERMINATION_TIMEOUT=1.0, FORCE_KILL_TIMEOUT=0.5)

    async def close() -> None:
        await asyncio.gather(*(each() for each in list(_closers)), return_exceptions=True)

    with suppress(TimeoutError, RuntimeError):
        MCP_LOOP.run(close, timeout=3)
