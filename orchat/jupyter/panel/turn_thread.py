"""The thread of panels' turns, and the ways between it and the thread in which cells run.

A cell that computes or sleeps blocks the kernel's event loop. So all panels live on a loop in a thread of their own:
the state of a panel (its chats, view model, forms, channel and storage) is touched in this thread only, and therefore
has no locks.

- Messages of a page are handed over to it, in whichever thread they arrive (`widget_channel.WidgetChannel`).
- Methods of `ChatPanel`, which cells call, run there while the cell waits (`TurnThread.call`, `TurnThread.run`). The
  thread itself never waits for a cell but by ``await``, so that the two cannot wait for each other.
- What may touch the user's variables, or belongs to the loop of cells, runs between cells or while one is awaited
  (`TurnThread.run_among_cells`): asynchronous tools, the values of placeholders, observers.
- What is written into a cell may be encoded in any thread. It is made of a snapshot (`PanelStorage.store`).

What is called for a page's message has the context of the panel's own cell, so that what it displays belongs there.
"""

from __future__ import annotations

import asyncio
import atexit
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from orchat.event_loop_thread import EventLoopThread
from orchat.private_event_loop import settle_future

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

T = TypeVar("T")

_exit_functions: set[Callable[[], object]] = set()

TURN_LOOP = EventLoopThread("orchat-turns")
"""The loop of all panels of this process."""

_EXIT_LIMIT = 1.0  # seconds for the ends of turns when the process ends
_SWITCH_INTERVAL = 0.001  # seconds
_UNNOTICED_WAIT = 0.15  # seconds for a cell's end that nobody is told of


class TurnThread:
    """The thread of turns, as one panel uses it.

    Parameters
    ----------
    shell
        The running IPython, whose kernel has the loop of cells; without one it is the loop that runs here.

    Examples
    --------
    >>> import threading
    >>> TurnThread().call(lambda: threading.current_thread().name)
    'orchat-turns'
    """

    def __init__(self, shell: InteractiveShell | None = None) -> None:
        # A widget's callback may run on another loop, that of a subshell.
        kernel_loop = getattr(getattr(shell, "kernel", None), "io_loop", None)
        self._kernel_loop: asyncio.AbstractEventLoop | None = getattr(kernel_loop, "asyncio_loop", None)
        self._cell_loop = self._kernel_loop
        self._note_cell_loop()

    def _note_cell_loop(self) -> None:
        if self._kernel_loop is None:
            with suppress(RuntimeError):  # a plain script has none
                self._cell_loop = asyncio.get_running_loop()

    def call(self, function: Callable[[], T]) -> T:
        """Return what a function returns, or raise what it raises, when it was called in the thread."""
        if TURN_LOOP.is_current:
            return function()

        async def main() -> T:
            return function()

        return TURN_LOOP.submit(main).result()

    async def run(self, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine in the thread, awaited elsewhere; a cancellation is handed through, and the end awaited."""
        if TURN_LOOP.is_current:
            return await main()
        self._note_cell_loop()
        caller = asyncio.get_running_loop()
        result: asyncio.Future[T] = caller.create_future()
        tasks: list[asyncio.Task[None]] = []

        async def work() -> None:
            value, error = None, None
            try:
                value = await main()
            except BaseException as caught:  # noqa: BLE001 - raised where it is awaited
                error = caught
            with suppress(RuntimeError):  # that loop is closed: nobody waits any more
                caller.call_soon_threadsafe(settle_future, result, value, error)

        self.call(lambda: tasks.append(asyncio.get_running_loop().create_task(work())))
        try:
            return await asyncio.shield(result)
        except asyncio.CancelledError:
            if not result.done():
                TURN_LOOP.call_soon(tasks[0].cancel)
                await asyncio.wait([result])
            if not result.cancelled():
                result.exception()  # it counts as retrieved
            raise

    def post(self, function: Callable[[], object]) -> None:
        """Call a function in the thread soon."""
        TURN_LOOP.call_soon(function)

    # -- the thread of cells ------------------------------------------------------------------------------------

    async def run_among_cells(
        self, main: Callable[[], Coroutine[Any, Any, T]], on_wait: Callable[[bool], object] = lambda waits: None
    ) -> T:
        """Run a coroutine on the loop of cells: before a cell runs, after it, or while one is awaited.

        Parameters
        ----------
        main
            Makes the coroutine.
        on_wait
            Called, here, with True when a cell keeps the coroutine waiting, and with False when it begins after all.
        """
        cells = self._cell_loop
        if cells is None or not cells.is_running():
            return await main()
        here = asyncio.get_running_loop()
        begun: asyncio.Future[None] = here.create_future()
        result: asyncio.Future[T] = here.create_future()
        tasks: list[asyncio.Task[None]] = []

        async def work() -> None:
            here.call_soon_threadsafe(settle_future, begun, None, None)
            value: T | None = None
            error: BaseException | None = None
            try:
                value = await main()
            except KeyboardInterrupt:  # of the thread of cells, and no other one
                error = asyncio.CancelledError("interrupted")
            except BaseException as caught:  # noqa: BLE001 - raised where it is awaited
                error = caught
            here.call_soon_threadsafe(settle_future, result, value, error)

        def begin() -> None:
            if not result.done():  # cancelled while it waited
                tasks.append(cells.create_task(work()))

        def cancel() -> None:
            for task in tasks:
                task.cancel()

        cells.call_soon_threadsafe(begin)
        try:
            if not (await asyncio.wait([begun], timeout=_UNNOTICED_WAIT))[0]:
                on_wait(True)
                await begun
                on_wait(False)
            return await result
        finally:
            if not result.done():
                result.cancel()
                with suppress(RuntimeError):  # that loop is closed, and runs nothing any more
                    cells.call_soon_threadsafe(cancel)

    def post_to_cells(self, function: Callable[[], object]) -> None:
        """Call a function on the loop of cells soon; here where there is none."""
        if self._cell_loop is None or not self._cell_loop.is_running():
            function()
        else:
            self._cell_loop.call_soon_threadsafe(function)


class QuickThreadSwitches:
    """Lets the thread of turns come to its turn sooner while a cell computes, for as long as its block lasts.

    A thread that wants the interpreter's lock waits for the switch interval before it gets it from one that computes,
    and a token takes several such waits: with 1 ms in the place of 5 it is shown in half the time. Only the thread of
    turns uses it; where the user's code has set another interval meanwhile, that one stays.

    Examples
    --------
    >>> with QuickThreadSwitches():
    ...     sys.getswitchinterval() <= 0.001
    True
    """

    _users = 0
    _before = _ours = 0.0

    def __enter__(self) -> None:
        cls = QuickThreadSwitches
        if cls._users == 0:
            cls._before = sys.getswitchinterval()
            sys.setswitchinterval(min(cls._before, _SWITCH_INTERVAL))
            cls._ours = sys.getswitchinterval()
        cls._users += 1

    def __exit__(self, *exc_info: object) -> None:
        cls = QuickThreadSwitches
        cls._users -= 1
        if cls._users == 0 and sys.getswitchinterval() == cls._ours:
            sys.setswitchinterval(cls._before)


@contextmanager
def before_exit(function: Callable[[], object]) -> Iterator[None]:
    """Have a function called, in the thread of turns, if the process ends within this block, before all is cancelled.

    Examples
    --------
    >>> with before_exit(lambda: print("The process ends.")):
    ...     "It goes on."
    'It goes on.'
    """
    _exit_functions.add(function)
    try:
        yield
    finally:
        _exit_functions.discard(function)


@atexit.register
def _end_turns() -> None:
    """End what runs when the process ends: what had arrived is kept, and a form is there again in the next process."""

    async def cancel() -> None:
        for function in list(_exit_functions):
            with suppress(Exception):  # of one panel's storage; the turns of the others end all the same
                function()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_EXIT_LIMIT)

    if TURN_LOOP.is_running:
        with suppress(TimeoutError):
            TURN_LOOP.submit(cancel).result(2 * _EXIT_LIMIT)
        TURN_LOOP.close()
