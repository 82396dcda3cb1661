"""`EventLoopThread`: the thread that owns an event loop, on which the coroutines of any thread or loop run.

A connection to a server belongs to the task that opened it, and each cell of a notebook is a task of its own. So all
connections live on one loop in a thread, which no interrupt reaches: synchronous callers wait for it, asynchronous ones
await it, and both hand their cancellation through.
"""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import queue
import sys
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


WaitingTasks = queue.SimpleQueue[Callable[[], object] | None]

_waiting_tasks: contextvars.ContextVar[WaitingTasks | None] = contextvars.ContextVar("waiting_tasks", default=None)


def waiting_tasks() -> WaitingTasks | None:
    """Return where functions are put that the thread which waits for this coroutine calls; None where none waits."""
    return _waiting_tasks.get()


async def run_in_waiting_thread(tasks: WaitingTasks, function: Callable[[], T]) -> T:
    """Await a function that runs in the thread which waits, where a person may be asked in a terminal."""
    loop = asyncio.get_running_loop()
    result: asyncio.Future[T] = loop.create_future()

    def settle(value: T | None, error: Exception | None) -> None:
        if result.done():  # cancelled meanwhile
            return
        if error is not None:
            result.set_exception(error)
        else:
            result.set_result(value)  # type: ignore[arg-type]  # None only when T allows it

    def work() -> None:
        value, error = None, None
        try:
            value = function()
        except Exception as caught:  # noqa: BLE001 - raised by the await; an interrupt ends the waiting
            error = caught
        loop.call_soon_threadsafe(settle, value, error)

    tasks.put(work)
    return await result


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
            Seconds to wait at most for the end, or for what the coroutine wants done here; then it is cancelled, and
            TimeoutError raised.
        """
        if threading.current_thread() is self._thread:
            raise RuntimeError("This thread runs the loop, and cannot wait for it.")
        tasks: WaitingTasks = queue.SimpleQueue()
        context = contextvars.copy_context()
        context.run(_waiting_tasks.set, tasks)
        future = context.run(asyncio.run_coroutine_threadsafe, main(), self._running_loop())
        future.add_done_callback(lambda _: tasks.put(None))
        try:
            while (task := tasks.get(timeout=timeout)) is not None:
                task()
            return future.result()
        except queue.Empty:
            future.cancel()
            raise TimeoutError from None
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
