"""Wake an event loop 20 times a second while something is awaited, so that a kernel's interrupt ends the waiting.

A kernel's interrupt only schedules the cancellation of its cell: on a quiet loop that takes effect with the next byte
from the network, however long that takes. Waking costs one timer of each loop, however many wait, and none where
nothing does.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import Any
from weakref import WeakKeyDictionary

WAKE_INTERVAL = 0.05
"""Seconds between two wake-ups of the loop: the longest delay of an interrupt."""


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

    def __init__(self, *, only_in_kernel: bool = False) -> None:
        self._only_in_kernel = only_in_kernel
        self._timer: _Timer | None = None

    def __enter__(self) -> None:
        if self._only_in_kernel and not is_interruptible():
            return
        loop = asyncio.get_running_loop()
        if (timer := _timers.get(loop)) is None:
            timer = _timers[loop] = _Timer()
        self._timer = timer
        timer.users += 1
        if not timer.is_set:
            timer.set(loop)

    def __exit__(self, *exc_info: object) -> None:
        if self._timer is not None:
            self._timer.users -= 1


class _Timer:
    """The timer of one loop: it sets itself again for as long as it has users."""

    def __init__(self) -> None:
        self.users = 0
        self.is_set = False

    def set(self, loop: asyncio.AbstractEventLoop) -> None:
        self.is_set = True
        loop.call_later(WAKE_INTERVAL, self._ring, loop)

    def _ring(self, loop: asyncio.AbstractEventLoop) -> None:
        self.is_set = False
        if self.users:
            self.set(loop)


_timers: WeakKeyDictionary[asyncio.AbstractEventLoop, _Timer] = WeakKeyDictionary()


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
