"""Measure the seconds of a turn, without those in which it waits for a person."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class TurnClock:
    """A clock that stands still while at least one decision is waited for.

    Parameters
    ----------
    now
        Return the seconds of a monotonic clock.

    Examples
    --------
    >>> times = iter([0.0, 2.0, 62.0, 63.0])
    >>> clock = TurnClock(lambda: next(times))
    >>> with clock.paused():
    ...     pass
    >>> clock.seconds
    3.0
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._started = now()
        self._pauses = 0
        self._paused_at = 0.0

    @property
    def seconds(self) -> float:
        """The seconds so far."""
        return (self._paused_at if self._pauses else self._now()) - self._started

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stand still while the block runs; blocks may overlap."""
        if not self._pauses:
            self._paused_at = self._now()
        self._pauses += 1
        try:
            yield
        finally:
            self._pauses -= 1
            if not self._pauses:
                self._started += self._now() - self._paused_at
