"""`DeadlineAlarm`: calls a function when a deadline passes, by one thread that all alarms of the process share.

A deadline moves with each block of a stream. That costs a lock here, where a `threading.Timer` would cost a thread.
"""

from __future__ import annotations

import heapq
import os
import threading
from collections.abc import Callable
from itertools import count
from time import monotonic
from weakref import ref


class _Watch:
    """The thread, and the alarms in the order of the times at which it looks at them."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self._looks: list[tuple[float, int, ref[DeadlineAlarm]]] = []
        self._numbers = count()
        self._is_running = False

    def look_at(self, alarm: DeadlineAlarm, when: float) -> None:
        """Look at an alarm at a time; the lock is held."""
        heapq.heappush(self._looks, (when, next(self._numbers), ref(alarm)))
        if not self._is_running:
            self._is_running = True
            threading.Thread(target=self._run, daemon=True, name="orchat-deadlines").start()
        elif self._looks[0][0] == when:
            self.changed.notify()

    def _run(self) -> None:
        while True:
            with self.changed:
                if not self._looks:  # the next alarm starts another thread
                    self._is_running = False
                    return
                if (left := self._looks[0][0] - monotonic()) > 0:
                    self.changed.wait(left)
                    continue
                alarm = heapq.heappop(self._looks)[2]()
                if alarm is not None:
                    alarm.look()
            alarm = None


_watch = _Watch()


def _forget_watch() -> None:
    global _watch  # noqa: PLW0603 - a fork has neither the thread nor the streams
    _watch = _Watch()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_watch)


class DeadlineAlarm:
    """Calls a function when the deadline that is set passes.

    Parameters
    ----------
    ring
        The function, called in another thread; it must be quick.

    Examples
    --------
    >>> rung = threading.Event()
    >>> alarm = DeadlineAlarm(rung.set)
    >>> alarm.set(monotonic() + 0.01)
    >>> rung.wait(10)
    True
    """

    def __init__(self, ring: Callable[[], object]) -> None:
        self._ring = ring
        self._deadline: float | None = None
        self._looked_at: float | None = None  # when the thread looks next

    def set(self, deadline: float) -> None:
        """Set the deadline, in the time of `time.monotonic`; it takes the place of the one before."""
        with _watch.changed:
            self._deadline = deadline
            if self._looked_at is None or deadline < self._looked_at:
                self._looked_at = deadline
                _watch.look_at(self, deadline)

    def clear(self) -> None:
        """Set no deadline; afterwards it does not ring, nor is it ringing."""
        if self._looked_at is not None:
            with _watch.changed:
                self._deadline = None

    def look(self) -> None:
        """Ring if the deadline has passed, else have it looked at again; the lock is held."""
        deadline = self._deadline
        if deadline is not None and deadline > monotonic():
            self._looked_at = deadline
            _watch.look_at(self, deadline)
            return
        self._deadline = None
        if deadline is not None:
            self._ring()
        self._looked_at = None  # afterwards: until then `clear` waits for the lock
