"""The functions that are called with each reply of a panel, in the thread of cells."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from orchat.chat.reply import Reply
    from orchat.jupyter.panel.turn_thread import TurnThread

_logger = logging.getLogger(__name__)


class ReplyObservers:
    """Observers of a panel's replies; one that fails is logged, and the others are called.

    Parameters
    ----------
    thread
        The way to the thread of cells.

    Examples
    --------
    >>> from orchat.jupyter.panel.turn_thread import TurnThread
    >>> from orchat.messages import ChatMessage
    >>> observers, seen = ReplyObservers(TurnThread()), []
    >>> remove = observers.add(seen.append)
    >>> observers.notify("a reply")
    >>> remove()
    >>> observers.notify("another one")
    >>> seen
    ['a reply']
    """

    def __init__(self, thread: TurnThread) -> None:
        self._thread = thread
        self._functions: list[Callable[[Reply], object]] = []

    def add(self, function: Callable[[Reply], object]) -> Callable[[], None]:
        """Add an observer, and return what removes it."""
        self._functions.append(function)

        def remove() -> None:
            if function in self._functions:
                self._functions.remove(function)

        return remove

    def notify(self, reply: Reply) -> None:
        """Call the observers with a reply soon."""

        def call_all() -> None:
            for function in list(self._functions):
                try:
                    function(reply)
                except Exception:
                    _logger.exception("An observer of a chat panel failed")

        self._thread.post_to_cells(call_all)
