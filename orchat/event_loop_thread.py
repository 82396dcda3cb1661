"""`EventLoopThread`: the thread that owns an event loop, on which the coroutines of any thread or loop run.

What belongs to one event loop, and must outlive the tasks and the waiting of those who use it, lives there: the
connections to MCP servers, and the turns of chat panels. No interrupt reaches the thread: synchronous callers wait for
it, asynchronous ones await it, and both hand their cancellation through.
"""

from __future__ import annotations

import asyncio
import contextvars
import queue
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

from orchat.private_event_loop import await_elsewhere

T = TypeVar("T")


WaitingTasks = queue.SimpleQueue[Callable[[], object] | None]

_waiting_tasks: contextvars.ContextVar[WaitingTasks | None] = contextvars.ContextVar("waiting_tasks", default=None)


def waiting_tasks() -> WaitingTasks | None:
    """Return where functions are put that the thread which waits for this coroutine calls; None where none waits."""
    return _waiting_tasks.get()


async def run_in_waiting_thread(tasks: WaitingTasks, function: Callable[[], T]) -> T:
    """Await a function that runs in the thread which waits, where a person may be asked in a terminal."""
    return await await_elsewhere(tasks.put, function)


def _run_forever(loop: asyncio.AbstractEventLoop) -> None:
    """Run a loop until it is stopped; a `SystemExit` in a task ends that task, as any error does, and not the loop."""
    while True:
        try:
            loop.run_forever()
        except (KeyboardInterrupt, SystemExit):
            continue
        return


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
                self._thread = threading.Thread(target=_run_forever, args=(self._loop,), daemon=True, name=self._name)
                self._thread.start()
            return self._loop

    @property
    def is_running(self) -> bool:
        """Whether the thread runs."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def is_current(self) -> bool:
        """Whether the calling thread is this one."""
        return threading.current_thread() is self._thread

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
        if self.is_current:
            raise RuntimeError("This thread runs the loop, and cannot wait for it.")
        tasks: WaitingTasks = queue.SimpleQueue()
        context = contextvars.copy_context()
        context.run(_waiting_tasks.set, tasks)
        is_given_up = False
        running: list[asyncio.Task[Any]] = []

        async def run_unless_given_up() -> T:
            if is_given_up:
                raise asyncio.CancelledError
            running.extend(filter(None, [asyncio.current_task()]))
            return await main()

        try:
            future = context.run(self.submit, run_unless_given_up)
            future.add_done_callback(lambda _: tasks.put(None))
            while (task := tasks.get(timeout=timeout)) is not None:
                task()
            return future.result()
        except BaseException as error:
            # Not by its future: an interrupt may come when the coroutine runs already, and the future is not here yet.
            is_given_up = True
            self.call_soon(lambda: running and running[0].cancel())
            if isinstance(error, queue.Empty):
                raise TimeoutError from None
            raise

    def submit(self, main: Callable[[], Coroutine[Any, Any, T]]) -> Future[T]:
        """Start a coroutine, and return its future; to cancel it cancels the coroutine."""
        return asyncio.run_coroutine_threadsafe(main(), self._running_loop())

    async def run_async(self, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine to its end, awaited by another loop; a cancellation is handed through."""
        return await asyncio.wrap_future(self.submit(main))

    def call_soon(self, function: Callable[[], object], context: contextvars.Context | None = None) -> None:
        """Call a function in the thread, if it runs, in the caller's context or another one."""
        with suppress(RuntimeError):  # the loop was closed in this very moment
            if self._loop is not None:
                self._loop.call_soon_threadsafe(function, context=context)

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
