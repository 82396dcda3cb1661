"""The coordinator of the parts of columns that threads of this process answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import cache

from orchat.mapping.coordinator_messages import Message, Reply
from orchat.mapping.distributed_progress import show_run
from orchat.mapping.run_coordinator import RunCoordinator

_THIS_PROCESS = ""


class ThreadLink:
    """A coordinator on an event loop in a thread of its own."""

    is_alive = True

    def __init__(self) -> None:
        self._receivers: dict[str, Callable[[Reply], None]] = {}
        self._coordinator = RunCoordinator(self._reply, show_run)
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True, name="orchat-coordinator").start()

    def _reply(self, _: str, reply: Reply) -> None:
        if (receive := self._receivers.get(reply.part)) is not None:
            receive(reply)

    def send(self, message: Message) -> None:
        """Hand a message to the coordinator's loop."""
        self._loop.call_soon_threadsafe(self._coordinator.receive, _THIS_PROCESS, [message])

    def attach(self, part: str, receive: Callable[[Reply], None]) -> None:
        """Say who gets the replies to a part."""
        self._receivers[part] = receive

    def detach(self, part: str) -> None:
        """Drop further replies to a part."""
        self._receivers.pop(part, None)


@cache
def thread_link() -> ThreadLink:
    """Return the link to the coordinator of this process, which is made when it is first needed."""
    return ThreadLink()
