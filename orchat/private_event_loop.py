"""Run a coroutine on an event loop of its own in a thread, while the calling thread waits for it and for Ctrl-C.

It works where a loop runs already, as in a notebook's cell, and leaves that one alone.
"""

from __future__ import annotations

import asyncio
import contextvars
import queue
import threading
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")

_WAIT_INTERVAL = 0.05  # seconds between two looks for a task of the waiting thread


_waiting_thread_tasks: contextvars.ContextVar[queue.SimpleQueue[Callable[[], None]] | None] = contextvars.ContextVar(
    "waiting_thread_tasks", default=None
)


def runs_on_private_loop() -> bool:
    """Return whether this runs on a private loop, for which a thread waits."""
    return _waiting_thread_tasks.get() is not None


async def run_in_waiting_thread(function: Callable[[], T]) -> T:
    """Await a function that runs in the thread which waits in `run_in_private_loop`, where ``input()`` belongs.

    Examples
    --------
    >>> run_in_private_loop(lambda: run_in_waiting_thread(threading.current_thread)) is threading.main_thread()
    True
    """
    tasks = _waiting_thread_tasks.get()
    if tasks is None:
        raise RuntimeError("No thread waits for this loop.")
    return await await_elsewhere(tasks.put, function)


async def await_elsewhere(put: Callable[[Callable[[], None]], object], function: Callable[[], T]) -> T:
    """Await a function that another thread calls, which takes it from where it is put."""
    loop = asyncio.get_running_loop()
    result: asyncio.Future[T] = loop.create_future()

    def work() -> None:
        value, error = None, None
        try:
            value = function()
        except Exception as caught:  # noqa: BLE001 - raised by the await; an interrupt ends the waiting
            error = caught
        with suppress(RuntimeError):  # the loop is closed: no task awaits any more
            loop.call_soon_threadsafe(settle_future, result, value, error)

    put(work)
    return await result


def settle_future(future: asyncio.Future[T], value: T | None, error: BaseException | None) -> None:
    """Set the result or the error of a future, unless it was cancelled meanwhile."""
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(value)  # type: ignore[arg-type]  # None only when T allows it


def run_in_private_loop(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine on a new loop in a thread, while this thread waits; Ctrl-C and the kernel's interrupt cancel it.

    Parameters
    ----------
    main
        Makes the coroutine.

    Examples
    --------
    >>> async def answer():
    ...     return 42
    >>> run_in_private_loop(answer)
    42
    """
    loop = asyncio.new_event_loop()
    tasks: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
    context = contextvars.copy_context()
    context.run(_waiting_thread_tasks.set, tasks)
    task: asyncio.Task[T] = loop.create_task(main(), context=context)
    result: list[T] = []
    errors: list[BaseException] = []
    is_waited_for = threading.Event()
    done = threading.Event()  # an interrupted Thread.join may report a running thread as ended

    def work() -> None:
        is_waited_for.wait()
        try:
            result.append(loop.run_until_complete(task))
        except BaseException as error:  # noqa: BLE001 - raised again where the cell waits
            errors.append(error)
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
            done.set()

    def cancel() -> None:
        with suppress(RuntimeError):  # the loop was closed in this very moment
            loop.call_soon_threadsafe(task.cancel)

    try:
        make_thread(work).start()
    except BaseException:  # an interrupt, above all: the coroutine has not begun, and is not to
        cancel()
        is_waited_for.set()
        raise
    is_interrupted = False
    while True:
        try:
            is_waited_for.set()  # from here on an interrupt cancels it; before, it would go on without anybody
            if is_interrupted:
                cancel()
                is_interrupted = False
            while not done.wait(_WAIT_INTERVAL):
                with suppress(queue.Empty):
                    tasks.get_nowait()()
            break
        except KeyboardInterrupt:
            is_interrupted = True  # cancelled above: here, a second interrupt would escape
    if errors:
        raise errors[0]
    return result[0]


def make_thread(work: Callable[[], None]) -> threading.Thread:
    """Make a daemon thread that runs a function in a copy of the present context."""
    # A copy of the context takes the cell that output belongs to along into the thread (ipykernel 7).
    return threading.Thread(target=contextvars.copy_context().run, args=(work,), daemon=True, name="orchat-loop")
