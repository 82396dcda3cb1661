"""How long something takes, with an end to it."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class TooLongError(Exception):
    """It took longer than it may."""


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise `TooLongError` in what takes more of the processor than that; `re` lets itself be interrupted."""

    def stop(*_: object) -> None:
        raise TooLongError

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def cpu_time(work: Callable[[], object], limit: float) -> float:
    """Return how many seconds of the processor it takes; where that is more than the limit, infinity."""
    started = time.process_time()
    try:
        with at_most(limit):
            work()
    except TooLongError:
        return float("inf")
    return time.process_time() - started
