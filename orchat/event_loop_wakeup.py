"""Wake an event loop when a signal comes while something is awaited, so that a kernel's interrupt ends the waiting.

A kernel's interrupt only schedules the cancellation of its cell: on a quiet loop that takes effect with the next byte
from the network, however long that takes. In the main thread of Unix the signal itself wakes the loop, which costs
nothing until then (`signal.set_wakeup_fd`). Elsewhere, and where other code uses that, a timer wakes it 20 times a
second: one of each loop, however many wait, and none where nothing does.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import threading
import weakref
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary

WAKE_INTERVAL = 0.05
"""Seconds between two wake-ups by the timer: the longest delay of an interrupt."""


class LoopWakeup:
    """Keeps the running loop awake for as long as its block lasts.

    Parameters
    ----------
    only_in_kernel
        Whether it does so only where a kernel's interrupt may come: in the main thread of a Jupyter kernel.

    Examples
    --------
    >>> async def answer():
    ...     with LoopWakeup():
    ...         return await asyncio.sleep(0.01, "42")
    >>> asyncio.run(answer())
    '42'
    """

    __slots__ = ("_only_in_kernel", "_wakeup")

    def __init__(self, *, only_in_kernel: bool = False) -> None:
        self._only_in_kernel = only_in_kernel
        self._wakeup: _Wakeup | None = None

    def __enter__(self) -> None:
        loop = asyncio.get_running_loop()
        if (wakeup := _wakeups.get(loop)) is None:  # else that was asked before: it is asked for each chunk
            if self._only_in_kernel and not is_interruptible():
                return
            wakeup = _wakeups[loop] = _Wakeup(_signal_socket(loop))
        self._wakeup = wakeup
        wakeup.begin(loop)

    def __exit__(self, *exc_info: object) -> None:
        if self._wakeup is not None:
            self._wakeup.end()


class _Wakeup:
    """What wakes one loop while it has users: signals, or the timer, which sets itself again."""

    def __init__(self, signal_socket: socket.socket | None) -> None:
        self.users = 0
        self._signal_socket = signal_socket
        self._watches_signals = False
        self._is_timer_set = False

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self.users += 1
        if self.users == 1:
            self._watches_signals = self._watch_signals()
        if not self._watches_signals and not self._is_timer_set:
            self._set_timer(loop)

    def end(self) -> None:
        self.users -= 1
        if not self.users and self._watches_signals and self._signal_socket is not None:
            self._watches_signals = False
            with suppress(ValueError):  # in another thread, which collects what was left unfinished
                current = signal.set_wakeup_fd(-1)
                if current not in {-1, self._signal_socket.fileno()}:  # other code has set its own meanwhile
                    _give_back(current)

    def _watch_signals(self) -> bool:
        if self._signal_socket is None:
            return False
        try:
            current = signal.set_wakeup_fd(self._signal_socket.fileno(), warn_on_full_buffer=False)
        except ValueError:  # the loop has moved to another thread
            return False
        return current == -1 or not _give_back(current)

    def _set_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        self._is_timer_set = True
        loop.call_later(WAKE_INTERVAL, self._ring, loop)

    def _ring(self, loop: asyncio.AbstractEventLoop) -> None:
        self._is_timer_set = False
        if self.users and not self._watches_signals:
            self._set_timer(loop)


def _give_back(descriptor: int) -> bool:
    """Let signals go to other code's descriptor again, and return True; False for one that is closed, or another's."""
    try:
        signal.set_wakeup_fd(descriptor)
    except (OSError, ValueError):
        return False
    return True


_wakeups: WeakKeyDictionary[asyncio.AbstractEventLoop, _Wakeup] = WeakKeyDictionary()


def _signal_socket(loop: asyncio.AbstractEventLoop) -> socket.socket | None:
    """Return a socket whose other end wakes the loop; None where signals do not come here, or the loop takes none."""
    if threading.current_thread() is not threading.main_thread():
        return None
    reader, writer = socket.socketpair()
    for end in (reader, writer):
        end.setblocking(False)
        weakref.finalize(loop, end.close)

    def drain() -> None:
        with suppress(BlockingIOError):
            reader.recv(4096)

    try:
        loop.add_reader(reader, drain)
    except (NotImplementedError, RuntimeError):  # Windows' own kind of loop
        return None
    return writer


def is_interruptible() -> bool:
    """Return whether an interrupt may end what this thread awaits: whether it is the main thread of a kernel.

    Examples
    --------
    >>> is_interruptible()
    False
    """
    ipython: Any = sys.modules.get("IPython")
    if ipython is None or "ipykernel" not in sys.modules or threading.current_thread() is not threading.main_thread():
        return False
    return getattr(ipython.get_ipython(), "kernel", None) is not None
