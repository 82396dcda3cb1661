"""Decide when what has arrived of an answer is saved: at once, then once in a while, and always the last of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

_INTERVAL = 1.0  # seconds of streaming between two checkpoints


class CheckpointTimer:
    """Call a function for chunks that arrive, at most once in a while, and once after the last.

    A stream may pause for minutes, in which its kernel may end; so a chunk that comes too soon after a checkpoint is
    part of one a little later, whether another chunk comes or not.

    Parameters
    ----------
    save
        Saves what has arrived, and returns how many seconds pass at least before the next checkpoint; None for one.
        It is called in the thread of `request`, whose event loop runs the timer. Without a loop the next chunk is
        waited for.

    Examples
    --------
    >>> saved = []
    >>> async def stream():
    ...     timer = CheckpointTimer(lambda: saved.append(list(arrived)))
    ...     arrived = []
    ...     for word in ("The", "river", "runs"):
    ...         arrived.append(word)
    ...         timer.request()
    ...     await asyncio.sleep(1.1)
    >>> asyncio.run(stream())
    >>> saved
    [['The'], ['The', 'river', 'runs']]
    """

    def __init__(self, save: Callable[[], float | None]) -> None:
        self._save = save
        self._timer: asyncio.TimerHandle | None = None
        self._next_at = 0.0

    def request(self, *, at_once: bool = False) -> None:
        """Ask for a checkpoint: now, where the last one is long enough ago or ``at_once`` is set, else soon."""
        if self._timer is not None and not at_once:
            return
        seconds = 0.0 if at_once else self._next_at - time.monotonic()
        if seconds <= 0:
            self._save_now()
            return
        try:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._save_now)
        except RuntimeError:  # no loop runs here
            return

    def cancel(self) -> None:
        """Make no checkpoint that was asked for: what it would save has been saved, or must not be."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _save_now(self) -> None:
        self.cancel()
        self._next_at = time.monotonic() + _INTERVAL  # also where it cannot be saved
        if (seconds := self._save()) is not None:
            self._next_at = time.monotonic() + seconds
