"""Run a coroutine as a notebook cell: awaited where possible, else on a private event loop in a thread.

While a cell is awaited the kernel handles messages (Stop, widgets), and later cells wait. Four parts make it reliable:

- `AwaitedCellTransformer` turns a cell magic, and a line magic that is all of a cell, into a top-level ``await``, but
  only where Python accepts one: not inside ``%%time`` or ``%%capture``, not with ``%autoawait off``, not in a terminal.
  There the magic is called as any other, and `orchat.private_event_loop` runs the same coroutine while the main
  thread waits for Ctrl-C.
- `wake_loop_on_interrupt` wakes the loop, without which an interrupt would have to wait (`orchat.event_loop_wakeup`).
- `deliver_comms_while_awaiting` delivers the messages of widgets where the kernel would not before the cell ends.
- `CellError` ends a cell as an error of one line, so that the cells queued behind it do not run.

Independent of models and messages.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import re
import sys
import threading
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

from orchat.event_loop_wakeup import LoopWakeup
from orchat.private_event_loop import make_thread, settle_future

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

T = TypeVar("T")

_PUMP_INTERVAL = 0.03


class CellError(Exception):
    r"""An error that ends a cell, and of which the notebook shows one line.

    Raise it ``from`` the real error, which stays available as ``__cause__``, and only after the partial answer was
    shown and saved.

    Parameters
    ----------
    message
        What happened, for those who run notebooks by programs.
    is_told
        Whether the cell's output tells it already: then the line does not say it again.

    Examples
    --------
    >>> CellError("interrupted; the partial answer is kept\nmore")._render_traceback_()
    ['openrouter: interrupted; the partial answer is kept']
    """

    def __init__(self, message: str, *, is_told: bool = False) -> None:
        super().__init__(message)
        self._is_told = is_told

    def _render_traceback_(self) -> list[str]:  # IPython's protocol for an exception that shows itself
        if self._is_told:
            return ["openrouter: this cell failed, as told above"]
        lines = str(self).splitlines() or ["the cell ended early"]
        return [f"openrouter: {lines[0]}"]


@asynccontextmanager
async def wake_loop_on_interrupt() -> AsyncIterator[None]:
    """Keep the running loop awake for as long as the block lasts.

    Examples
    --------
    >>> async def answer():
    ...     async with wake_loop_on_interrupt():
    ...         return await asyncio.sleep(0.01, "42")
    >>> asyncio.run(answer())
    '42'
    """
    with LoopWakeup():
        yield


@asynccontextmanager
async def deliver_comms_while_awaiting() -> AsyncIterator[None]:
    """Deliver messages of widgets for as long as the block lasts, on ipykernel 6 too.

    ipykernel 6 queues all messages while a cell is awaited. Here messages of widgets are taken out of that queue; all
    others stay in it, in their order. Later versions need no help.

    Examples
    --------
    >>> async def answer():
    ...     async with deliver_comms_while_awaiting():
    ...         return await asyncio.sleep(0.01, "42")
    >>> asyncio.run(answer())
    '42'
    """
    kernel = _kernel_with_queue()
    if kernel is None:
        yield
        return

    async def pump() -> None:
        while True:
            await _pump_comms(kernel)
            await asyncio.sleep(_PUMP_INTERVAL)

    task = asyncio.ensure_future(pump())
    try:
        yield
    finally:
        task.cancel()


def _kernel_with_queue() -> Any:
    """Return the kernel of ipykernel 6 where its queue belongs to this thread; else None."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    kernel = getattr(shell, "kernel", None)
    if getattr(kernel, "msg_queue", None) is None or threading.current_thread() is not threading.main_thread():
        return None
    return kernel


# With those that a page sends when it is loaded, to show the widgets that there are.
_COMM_MESSAGES = frozenset({"comm_msg", "comm_close", "comm_open", "comm_info_request"})


async def _pump_comms(kernel: Any) -> None:
    queued, remaining = kernel.msg_queue, []
    comms = []
    while not queued.empty():
        item = queued.get_nowait()
        try:
            idents, frames = kernel.session.feed_identities(item[2][0], copy=False)
            # Only the header is read: a message that is deserialized twice counts as forged.
            kind = json.loads(bytes(frames[1]))["msg_type"]
        except Exception:  # noqa: BLE001 - of an unknown form: left to the kernel
            kind = None
        if kind in _COMM_MESSAGES:
            comms.append((kind, idents, frames))
        else:
            remaining.append(item)
    for item in remaining:
        queued.put_nowait(item)
    for kind, idents, frames in comms:
        try:
            message = kernel.session.deserialize(frames, content=True, copy=False)
            done = kernel.shell_handlers[kind](kernel.shell_stream, idents, message)
            if inspect.isawaitable(done):
                await done
            if kind == "comm_info_request":  # for a page the answer is complete when the kernel has been idle again
                kernel._publish_status("idle", "shell", message)
                kernel._publish_status("busy", "shell")
        except Exception as error:  # noqa: BLE001 - as the kernel does: one bad message ends nothing
            kernel.log.error("A widget's message failed: %s", type(error).__name__)


async def run_in_thread(function: Callable[[], T]) -> T:
    """Await a blocking function that runs in a thread of its own.

    A cancellation takes effect at once, without waiting for the thread, which ends when its function does. (That is why
    this is not `asyncio.to_thread`, whose threads are joined when their loop or the process ends.)

    Examples
    --------
    >>> asyncio.run(run_in_thread(lambda: 6 * 7))
    42
    """
    loop = asyncio.get_running_loop()
    result: asyncio.Future[T] = loop.create_future()

    def work() -> None:
        value, error = None, None
        try:
            value = function()
        except BaseException as caught:  # noqa: BLE001 - every error is raised by the await
            error = caught
        with suppress(RuntimeError):  # the loop is closed: no task awaits any more
            loop.call_soon_threadsafe(settle_future, result, value, error)

    make_thread(work).start()
    return await result


class AwaitedCellTransformer:
    """An input transformer that turns ``%%magic`` cells into ``await get_ipython()....awaited(line, cell)``.

    Cells of one line ``%magic COMMAND`` become ``await ....awaited(line)``.

    Parameters
    ----------
    shell
        The running IPython.
    magic
        A cell magic whose function is a method of an object that has a coroutine method ``awaited(line, cell=None)``.
    commands
        The sub-commands of the line magic of that name that are awaited.
    """

    def __init__(self, shell: InteractiveShell, magic: str, commands: Collection[str]) -> None:
        self.shell = shell
        words = "|".join(map(re.escape, commands))
        line = rf"line_magic\({magic!r}, (?=['\"](?:{words})\b)"
        self._call_pattern = re.compile(rf"get_ipython\(\)\.run_(?:cell_magic\({magic!r}, |{line})")
        self._await_prefix = f"await get_ipython().find_cell_magic({magic!r}).__self__.awaited("
        self._last_rewrite = ("", "")
        self._store_inputs: Callable[..., Any] | None = None

    def keep_history(self) -> None:
        """Let the history hold the call of the magic, as of any other, where it would hold what this has made of it.

        ``%history -t``, ``%save`` and ``%macro`` read that; IPython has no hook for it.
        """
        if (history := self.shell.history_manager) is None:
            return
        store_inputs = self._store_inputs = history.store_inputs

        def store_typed_inputs(line_num: int, source: str, source_raw: str | None = None) -> None:
            awaited, called = self._last_rewrite
            store_inputs(line_num, source.replace(awaited, called) if awaited else source, source_raw)

        history.store_inputs = store_typed_inputs

    def release_history(self) -> None:
        """Undo `keep_history`."""
        if self._store_inputs is not None and self.shell.history_manager is not None:
            del self.shell.history_manager.store_inputs
            self._store_inputs = None

    def __call__(self, lines: list[str]) -> list[str]:
        """Rewrite the lines of one cell, which IPython's own transformer has prepared."""
        code = [line for line in lines if line.strip() and not line.startswith("#")]
        found = self._call_pattern.match(code[0]) if len(code) == 1 else None
        if found is None or not can_await(self.shell):
            return lines
        awaited = self._await_prefix + code[0][found.end() :]
        self._last_rewrite = (awaited, code[0])
        return [awaited]


def in_kernel(shell: InteractiveShell) -> bool:
    """Return whether IPython runs in a kernel, with a front end, rather than in a terminal."""
    return getattr(shell, "kernel", None) is not None


def is_parallel_engine(shell: InteractiveShell) -> bool:
    """Return whether the kernel is an engine of ipyparallel."""
    return type(getattr(shell, "kernel", None)).__module__.startswith("ipyparallel.")


def can_await(shell: InteractiveShell) -> bool:
    """Return whether the cell that is being transformed may be a top-level ``await``.

    Not in a terminal (there Ctrl-C would break off the coroutine), not in an engine of ipyparallel (the cell would
    never end there), not without autoawait, not on another kind of loop, and not when running code transforms the
    cell, as ``%%time`` and ``%%capture`` do.
    """
    from IPython.core.async_helpers import _asyncio_runner

    if not in_kernel(shell) or is_parallel_engine(shell):
        return False
    if not shell.autoawait or shell.loop_runner is not _asyncio_runner:
        return False
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        code = frame.f_code
        if code.co_name == "run_code" and code.co_filename.endswith("interactiveshell.py"):
            return False
        frame = frame.f_back
    return True
