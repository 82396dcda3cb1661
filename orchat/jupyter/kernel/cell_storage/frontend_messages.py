"""Messages to the pages that show a kernel's notebook, and their answers. It knows nothing of cells.

All pages hear each message, for what a kernel publishes goes to everybody: two tabs, or one that was loaded a moment
ago. Such a page knows of no comm, and ignores what comes on one. So a message that nobody answers opens the comm anew,
which every page hears. Whoever has no extension closes the comm; others may answer all the same.

Answers may come in another thread (ipykernel 7.1 to 7.3), late, or while a cell runs not at all.
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

_AGAIN = (1.0, 2.0, 4.0)  # seconds after which an unanswered message is sent once more
_OTHERS = 0.25  # seconds in which another page may do what one could not


@dataclass(eq=False)
class _SentMessage:
    """A message whose answer is awaited."""

    data: dict[str, Any]
    about: object
    heard: Callable[[Mapping[str, Any]], None] | None
    tries: int = 0
    answered: bool = False  # by a page that could not do it, while another may


class FrontendMessenger:
    """The pages that show this kernel's notebook.

    Parameters
    ----------
    answered
        Told of each answer, perhaps in another thread.
    refused
        Told when somebody closes the comm, as front ends without the extension do; perhaps in another thread.
    """

    def __init__(self, answered: Callable[[Mapping[str, Any]], None], refused: Callable[[], None]) -> None:
        self._answered = answered
        self._refused = refused
        self._comm: BaseComm | None = None
        self._lock = threading.RLock()
        self._unanswered: dict[str, _SentMessage] = {}
        self._silent = True  # nobody is known to listen on the comm as it is

    def send(
        self, op: str, *, about: object = None, heard: Callable[[Mapping[str, Any]], None] | None = None, **content: Any
    ) -> str:
        """Send a message, and send it again when nobody answers.

        Parameters
        ----------
        op
            What is wanted.
        about
            What the message is about: a later message about the same makes an unanswered one void.
        heard
            Told of each answer to it, perhaps in another thread.
        **content
            The rest of the message, plain JSON.

        Returns
        -------
        str
            The message's identifier.
        """
        name = uuid.uuid4().hex
        data = {"id": name, "op": op, "protocol": PROTOCOL, **content}
        sent = _SentMessage(data, about, heard)
        with self._lock:
            for other, each in list(self._unanswered.items()):
                if about is not None and each.about == about:
                    del self._unanswered[other]
            self._unanswered[name] = sent
            anew, self._silent = self._silent, True
            self._publish(data, anew=anew)
            self._watch(sent)
        return name

    async def ask(self, op: str, timeout: float, **content: Any) -> Mapping[str, Any] | None:
        """Send a message and wait for its answer: the first page's that did it, else of one that could not.

        Parameters
        ----------
        op
            What is wanted.
        timeout
            How many seconds to wait.
        **content
            The rest of the message.

        Returns
        -------
        Mapping or None
            None where nobody answered in time.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Mapping[str, Any]] = loop.create_future()

        def settle(data: Mapping[str, Any]) -> None:
            if not answer.done():
                answer.set_result(data)

        def take(data: Mapping[str, Any]) -> None:
            if data.get("ok") is True:
                settle(data)
            else:
                loop.call_later(_OTHERS, settle, data)

        def heard(data: Mapping[str, Any]) -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(take, data)

        name = self.send(op, heard=heard, **content)
        try:
            return await asyncio.wait_for(answer, timeout)
        except TimeoutError:
            return None
        finally:
            with self._lock:
                self._unanswered.pop(name, None)

    def again(self, *, but: Collection[object] = ()) -> None:
        """Send once more what nobody has answered, for a page is there now.

        Parameters
        ----------
        but
            What those messages are about that are left out.
        """
        with self._lock:
            for sent in self._unanswered.values():
                if sent.heard is None and sent.about not in but:
                    sent.tries = 0
                    self._publish(sent.data, anew=True)
                    self._watch(sent)

    def forget(self) -> None:
        """Wait for no answer any more."""
        with self._lock:
            self._unanswered.clear()

    def close(self) -> None:
        """Close the comm, in the pages too; the next message opens one."""
        self.forget()
        with self._lock:
            comm, self._comm, self._silent = self._comm, None, True
        if comm is not None:
            comm.on_close(None)
            comm.close()

    def _publish(self, data: dict[str, Any], *, anew: bool) -> None:
        if self._comm is None:
            from comm import create_comm

            self._comm = create_comm(target_name=TARGET, primary=False)
            self._comm.on_msg(self._hear)
            self._comm.on_close(self._closed)
            anew = True
        if anew:
            self._comm.open(data=data)
        else:
            self._comm.send(data)

    def _watch(self, sent: _SentMessage) -> None:
        if sent.tries >= len(_AGAIN):
            return
        with suppress(RuntimeError):  # no loop here: the next message opens the comm anew
            asyncio.get_running_loop().call_later(_AGAIN[sent.tries], self._send_again, sent)
        sent.tries += 1

    def _send_again(self, sent: _SentMessage) -> None:
        with self._lock:
            if sent.data["id"] in self._unanswered and not sent.answered:
                self._publish(sent.data, anew=True)
                self._watch(sent)

    def _hear(self, message: Mapping[str, Any]) -> None:
        data = message["content"].get("data")
        if not isinstance(data, Mapping):
            return
        with self._lock:
            self._silent = False
            name = data.get("id")
            sent = self._unanswered.get(name) if isinstance(name, str) else None
            if sent is not None:
                sent.answered = True
                if sent.heard is None:
                    del self._unanswered[sent.data["id"]]
        self._answered(data)
        if sent is not None and sent.heard is not None:
            sent.heard(data)

    def _closed(self, _message: object) -> None:
        from comm import get_comm_manager

        with self._lock:
            if self._comm is not None:  # the kernel has dropped it, but another page may answer on it
                get_comm_manager().register_comm(self._comm)
                self._silent = True
            waiting = [sent.heard for sent in self._unanswered.values() if sent.heard is not None]
        self._refused()
        for heard in waiting:
            heard({"ok": False, "reason": "no extension"})
