"""Exchange messages with the pages that show the notebook, over one comm. Independent of cells.

The kernel publishes each message to all pages: two tabs, or a page that was just loaded. A new page does not know the
comm and ignores its messages. So an unanswered message reopens the comm, which every page receives. A page without
the extension closes the comm, and other pages may still answer.

Answers may arrive in another thread (ipykernel 7.1 to 7.3), late, or not at all while a cell runs.
"""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from comm.base_comm import BaseComm

TARGET = "orchat.meta"
PROTOCOL = 1

_RESEND_DELAYS = (1.0, 2.0, 4.0)  # seconds after which an unanswered message is sent once more
_OTHER_PAGES_DELAY = 0.25  # seconds that another page gets to do what one page could not


@dataclass(eq=False)
class _SentMessage:
    """A message that waits for its answer."""

    data: dict[str, Any]
    topic: object
    on_reply: Callable[[Mapping[str, Any]], None] | None
    tries: int = 0
    answered: bool = False  # by a page that could not do it; another page may


class FrontendMessenger:
    """Send messages to the pages of this kernel's notebook, and route their answers.

    Parameters
    ----------
    on_answer
        Called with each answer, perhaps in another thread.
    on_refusal
        Called when a page closes the comm, as front ends without the extension do; perhaps in another thread.
    """

    def __init__(self, on_answer: Callable[[Mapping[str, Any]], None], on_refusal: Callable[[], None]) -> None:
        self._on_answer = on_answer
        self._on_refusal = on_refusal
        self._comm: BaseComm | None = None
        self._lock = threading.RLock()
        self._unanswered: dict[str, _SentMessage] = {}
        self._is_comm_unheard = True  # no page is known to listen on the open comm

    def send(
        self,
        op: str,
        *,
        topic: object = None,
        on_reply: Callable[[Mapping[str, Any]], None] | None = None,
        **content: Any,
    ) -> str:
        """Send a message, and resend it until a page answers.

        Parameters
        ----------
        op
            The operation.
        topic
            The subject of the message: a later message on the same topic replaces an unanswered one.
        on_reply
            Called with each answer to it, perhaps in another thread.
        **content
            The other fields of the message, plain JSON.

        Returns
        -------
        str
            The message's identifier.
        """
        name = uuid.uuid4().hex
        data = {"id": name, "op": op, "protocol": PROTOCOL, **content}
        sent = _SentMessage(data, topic, on_reply)
        with self._lock:
            for other, each in list(self._unanswered.items()):
                if topic is not None and each.topic == topic:
                    del self._unanswered[other]
            self._unanswered[name] = sent
            reopen, self._is_comm_unheard = self._is_comm_unheard, True
            self._publish(data, reopen=reopen)
            self._schedule_resend(sent)
        return name

    async def ask(self, op: str, timeout: float, **content: Any) -> Mapping[str, Any] | None:
        """Send a message and wait for its answer: the first success, else a failure.

        Parameters
        ----------
        op
            The operation.
        timeout
            Seconds to wait.
        **content
            The other fields of the message.

        Returns
        -------
        Mapping or None
            None where no page answered in time.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Mapping[str, Any]] = loop.create_future()

        def resolve(data: Mapping[str, Any]) -> None:
            if not answer.done():
                answer.set_result(data)

        def receive(data: Mapping[str, Any]) -> None:
            if data.get("ok") is True:
                resolve(data)
            else:
                loop.call_later(_OTHER_PAGES_DELAY, resolve, data)

        def on_reply(data: Mapping[str, Any]) -> None:
            with suppress(RuntimeError):  # the loop is closed: no task waits any more
                loop.call_soon_threadsafe(receive, data)

        name = self.send(op, on_reply=on_reply, **content)
        try:
            return await asyncio.wait_for(answer, timeout)
        except TimeoutError:
            return None
        finally:
            with self._lock:
                self._unanswered.pop(name, None)

    @property
    def is_waiting(self) -> bool:
        """Whether a message has not been answered yet."""
        return bool(self.unanswered)

    @property
    def unanswered(self) -> list[Mapping[str, Any]]:
        """The messages that have not been answered yet."""
        with self._lock:
            return [sent.data for sent in self._unanswered.values()]

    def resend_unanswered(self, *, except_topics: Collection[object] = ()) -> None:
        """Resend unanswered messages to a page that has just been loaded.

        Parameters
        ----------
        except_topics
            Topics of the messages to leave out.
        """
        with self._lock:
            for sent in self._unanswered.values():
                if sent.on_reply is None and sent.topic not in except_topics:
                    sent.tries = 0
                    self._publish(sent.data, reopen=True)
                    self._schedule_resend(sent)

    def drop_topics(self, topics: Collection[object]) -> None:
        """Drop the unanswered messages on some topics."""
        with self._lock:
            self._unanswered = {name: each for name, each in self._unanswered.items() if each.topic not in topics}

    def drop_unanswered(self) -> None:
        """Drop all unanswered messages."""
        with self._lock:
            self._unanswered.clear()

    def close(self) -> None:
        """Close the comm, in the pages too; the next message opens a new one."""
        self.drop_unanswered()
        with self._lock:
            comm, self._comm, self._is_comm_unheard = self._comm, None, True
        if comm is not None:
            comm.on_close(None)
            comm.close()

    def _publish(self, data: dict[str, Any], *, reopen: bool) -> None:
        if self._comm is None:
            from comm import create_comm

            self._comm = create_comm(target_name=TARGET, primary=False)
            self._comm.on_msg(self._handle_message)
            self._comm.on_close(self._handle_close)
            reopen = True
        if reopen:
            self._comm.open(data=data)
        else:
            self._comm.send(data)

    def _schedule_resend(self, sent: _SentMessage) -> None:
        if sent.tries >= len(_RESEND_DELAYS):
            return
        with suppress(RuntimeError):  # no loop here: the next message reopens the comm
            asyncio.get_running_loop().call_later(_RESEND_DELAYS[sent.tries], self._resend, sent)
        sent.tries += 1

    def _resend(self, sent: _SentMessage) -> None:
        with self._lock:
            if sent.data["id"] in self._unanswered and not sent.answered:
                self._publish(sent.data, reopen=True)
                self._schedule_resend(sent)

    def _handle_message(self, message: Mapping[str, Any]) -> None:
        data = message["content"].get("data")
        if not isinstance(data, Mapping):
            return
        with self._lock:
            self._is_comm_unheard = False
            name = data.get("id")
            sent = self._unanswered.get(name) if isinstance(name, str) else None
            if sent is not None:
                sent.answered = True
                if sent.on_reply is None:
                    del self._unanswered[sent.data["id"]]
        self._on_answer(data)
        if sent is not None and sent.on_reply is not None:
            sent.on_reply(data)

    def _handle_close(self, _message: object) -> None:
        from comm import get_comm_manager

        with self._lock:
            if self._comm is not None:  # the kernel has dropped it, but another page may answer on it
                get_comm_manager().register_comm(self._comm)
                self._is_comm_unheard = True
            waiting = [sent.on_reply for sent in self._unanswered.values() if sent.on_reply is not None]
        self._on_refusal()
        for on_reply in waiting:
            on_reply({"ok": False, "reason": "no extension"})
