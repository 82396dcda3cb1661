"""Write and read orchat's part of cell metadata through the page's extension, without blocking.

The comm is opened by the first write. Values wait in a queue until an extension has answered; where there is no
extension they are dropped, and the output holds as much as it can. One lock guards the queue, the offered outputs and
the comm's status, which change together at each answer of a page: hence one class drives them.
"""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from weakref import WeakKeyDictionary

from orchat._version import __version__
from orchat.jupyter.kernel.cell_storage.executing_cell import ExecutingCell, current_cell
from orchat.jupyter.kernel.cell_storage.frontend_comm import PROTOCOL, FrontendMessenger
from orchat.jupyter.kernel.cell_storage.metadata_entry import mark_cleared
from orchat.jupyter.kernel.cell_storage.offered_outputs import Key, OfferedOutputs
from orchat.jupyter.kernel.cell_storage.write_queue import ValueSource, WriteQueue
from orchat.jupyter.kernel.coroutine_runner import in_kernel

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

Status: TypeAlias = Literal["unknown", "open", "absent", "mismatch"]
"""Whether an extension answers; ``mismatch``: its protocol is another one, and nothing is written."""

_UNANSWERED_RETRY, _INCAPABLE_RETRY = 2.0, 30.0  # seconds before another hello to pages
_SHARED_DELAY = 1.0  # seconds for the page that ran the cell: what two write into one document at once stays twice
_LONGEST_WRITE = 2.0  # seconds that a restore waits for a page to confirm what it is sent


class MetadataBridge:
    """Access the cells of the kernel's notebook through the page.

    Methods may be called in any thread of the kernel; instances are made in its main thread.

    Parameters
    ----------
    shell
        The running IPython; in a terminal the bridge is absent.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> bridge = MetadataBridge(SimpleNamespace())
    >>> bridge.write("a1", {"version": 1})
    >>> bridge.status
    'absent'
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell
        self._messenger = FrontendMessenger(self._handle_answer, self._handle_refusal)
        self._lock = threading.RLock()
        self._queue = WriteQueue()
        self._timer: tuple[asyncio.AbstractEventLoop, asyncio.TimerHandle] | None = None
        self._outputs = OfferedOutputs()
        self._page: object = None
        self._reasons: dict[str, str] = {}
        self._last_hello = -_INCAPABLE_RETRY
        self._has_cell_ids = False
        self._has_hinted = False
        self._was_unanswered = False
        self._status: Status = "unknown" if in_kernel(shell) else "absent"
        self._version = ""
        self._path: str | None = None
        try:
            self._loop: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            self._loop = None

    @property
    def status(self) -> Status:
        """Whether an extension answers."""
        return self._status

    @property
    def path(self) -> str | None:
        """The path of the notebook, as the front end gives it."""
        return self._path

    def reason(self, cell_id: str) -> str | None:
        """Return why the last write into a cell failed, such as ``newer``; None where no failure is known."""
        return self._reasons.get(cell_id)

    def hint(self) -> str | None:
        """Return, once, a hint for the person why values cannot be written; None where they can."""
        if self._has_hinted or self._status in ("unknown", "open") or not in_kernel(self._shell):
            return None
        self._has_hinted = True
        if self._status == "absent":
            return (
                "This page has no orchat extension, so conversations are kept in outputs only. "
                "Install orchat-jupyter where the Jupyter server runs, and reload the page."
            )
        return (
            f"The page's orchat extension ({self._version or 'unknown'}) and this kernel's orchat ({__version__}) "
            "do not understand each other: nothing is saved in the cells. Update the older one and reload the page."
        )

    async def hello(self, timeout: float = 1.0) -> Status:
        """Ask the pages for an extension, and return the status.

        Parameters
        ----------
        timeout
            Seconds to wait; without an answer the status stays as it is.
        """
        if self._status == "open" or not self._can_ask():
            return self._status
        with self._lock:
            self._last_hello = time.monotonic()
        await self._messenger.ask("hello", timeout, version=__version__)
        return self._status

    async def holds(self, cell_id: str, timeout: float = 2.0) -> bool:
        """Return whether a page with the extension shows a cell, so that a write into it arrives.

        After one unanswered call the next ones do not wait for a hello, though a page may still answer.

        Parameters
        ----------
        cell_id
            The front end's identifier of the cell.
        timeout
            Seconds to wait for an answer: a page that was just loaded receives only the second try.
        """
        if await self.hello(0 if self._was_unanswered else timeout) != "open":
            self._was_unanswered = self._status == "unknown"
            return False
        self._was_unanswered = False
        return bool(await self._ask("get", timeout, cell_id=cell_id))

    def write(self, cell_id: str, value: ValueSource) -> None:
        """Write a value into a cell's metadata, now or a little later; a newer value replaces a waiting one.

        Parameters
        ----------
        cell_id
            The front end's identifier of the cell.
        value
            Plain JSON with a ``version``, or a function that makes it at the time of sending. None removes it.
        """
        with self._lock:
            if self._status in ("absent", "mismatch"):
                self._queue.clear()
                self._send_hello(_INCAPABLE_RETRY)  # a page with the extension may have been loaded
                return
            self._queue.put(cell_id, value)
            self._send_due_values()

    def flush(self) -> None:
        """Write all waiting values now."""
        with self._lock:
            self._send_due_values(everything=True)

    async def get(self, cell_id: str, timeout: float = 2.0) -> Mapping[str, Any] | None:
        """Return orchat's part of a cell's metadata; None where there is none or no page answers."""
        value = (await self._ask("get", timeout, cell_id=cell_id)).get("value")
        return value if isinstance(value, Mapping) else None

    async def cells(self, timeout: float = 5.0) -> list[Mapping[str, Any]] | None:
        """Return the cells of the executing notebook from the page, unsaved changes included.

        Parameters
        ----------
        timeout
            Seconds to wait.

        Returns
        -------
        list or None
            For each cell ``id``, ``type``, ``source``, ``metadata`` (orchat's) and ``outputs`` (orchat's, as in a
            file); None where no page answers.
        """
        cells = await self._read_cells(timeout)
        if cells is not None and self._is_writing:  # to a page that was loaded during a run, and lacks its end
            deadline = time.monotonic() + _LONGEST_WRITE
            while self._is_writing and time.monotonic() < deadline:
                await asyncio.sleep(0.02)
            cells = await self._read_cells(timeout)
        return cells

    async def _read_cells(self, timeout: float) -> list[Mapping[str, Any]] | None:
        cells = (await self._ask("cells", timeout, cell_id=current_cell(self._shell).id)).get("cells")
        return [cell for cell in cells if isinstance(cell, Mapping)] if isinstance(cells, list) else None

    @property
    def _is_writing(self) -> bool:
        """Whether a page has not yet confirmed all outputs and values."""
        return bool(self._outputs.unconfirmed) or self._messenger.is_waiting

    def set_output(
        self,
        cell: ExecutingCell,
        bundle: Mapping[str, Any],
        metadata: Mapping[str, Any] | None = None,
        *,
        display_id: str | None = None,
    ) -> None:
        """Offer an output to pages that were loaded during the run and so lack it.

        The MIME bundle is sent only to a page that asks for it.

        Parameters
        ----------
        cell
            The execution that the output belongs to.
        bundle
            The output's MIME bundle.
        metadata
            The output's metadata.
        display_id
            As in the live output's metadata: ``{"orchat": {"live": display_id}}``.
        """
        if self._status in ("absent", "mismatch") or cell.id is None or cell.run is None:
            return
        output = {
            "cell_id": cell.id,
            "run": cell.run,
            "display_id": display_id,
            "execution_count": cell.execution,
            "bundle": dict(bundle),
            "metadata": dict(metadata or {}),
        }
        with self._lock:
            self._messenger.drop_topics(self._outputs.put((cell.run, display_id), output))
            if self._status == "open":
                self._offer_output(output)
            else:
                self._send_hello(_UNANSWERED_RETRY)

    def insert_cell(self, below: str, source: str) -> None:
        """Insert a code cell below another one, without running it.

        Parameters
        ----------
        below
            The front end's identifier of the other cell.
        source
            The new cell's source.
        """
        if self._status not in ("absent", "mismatch"):
            # With an identifier, because two pages that share one notebook both receive this.
            self._messenger.send("insert_cell", below=below, source=source, cell_id=str(uuid.uuid4()))

    def close(self) -> None:
        """Write all waiting values, whole for a page that was just loaded, and close the comm until the next write."""
        with self._lock:
            self._queue.put_patches_again(self._messenger.unanswered)
            self.flush()
            self._messenger.resend_unanswered(except_topics=self._outputs.unconfirmed)
            self._queue.clear()
            self._outputs.clear()
            self._messenger.close()
            if self._status != "absent":
                self._status = "unknown"

    def _can_ask(self) -> bool:
        """Return whether a page can be asked: a front end that sends no cell identifiers has no extension either."""
        self._has_cell_ids = self._has_cell_ids or current_cell(self._shell).id is not None
        return in_kernel(self._shell) and self._has_cell_ids

    async def request(self, op: str, timeout: float = 5.0, **content: Any) -> Mapping[str, Any]:
        """Ask the page for an operation, and return its answer: ``ok``, and a ``reason`` where it was refused.

        Parameters
        ----------
        op
            The operation.
        timeout
            Seconds to wait.
        **content
            The other fields of the message, plain JSON.
        """
        if self._status == "absent" or not self._can_ask():
            return {"ok": False, "reason": "no page"}
        return await self._messenger.ask(op, timeout, **content) or {"ok": False, "reason": "no page"}

    async def _ask(self, op: str, timeout: float, **content: Any) -> Mapping[str, Any]:
        answer = await self.request(op, timeout, **content)
        return answer if answer.get("ok") is True else {}

    def _send_hello(self, interval: float) -> None:
        if time.monotonic() - self._last_hello >= interval and self._can_ask():
            self._last_hello = time.monotonic()
            self._messenger.send("hello", topic="hello", version=__version__)

    def _send_due_values(self, *, everything: bool = False) -> None:
        now = time.monotonic()
        if self._status != "open":
            if self._queue:
                self._send_hello(_UNANSWERED_RETRY)
            return
        for cell_id, message in self._queue.take(now, everything=everything):
            self._queue.sent(cell_id, self._messenger.send(**message, topic=cell_id, cell_id=cell_id))
        self._schedule_send(self._queue.seconds_until_due(now))

    def _schedule_send(self, seconds: float) -> None:
        """Set a timer for the next due value, if this thread has a loop; else the next write or `flush` sends it."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        if self._queue and (self._timer is None or self._timer[0] is not loop):
            self._timer = (loop, loop.call_later(seconds, self._send_on_timer))

    def _send_on_timer(self) -> None:
        with self._lock:
            self._timer = None
            self._send_due_values()

    def _handle_answer(self, data: Mapping[str, Any]) -> None:
        with self._lock:
            cell_id = data.get("cell_id")
            if data.get("protocol") != PROTOCOL:
                self._version = str(data.get("version", ""))[:40]
                self._status = "mismatch"
                self._queue.clear()
                self._messenger.drop_unanswered()
                return
            was, self._status = self._status, "open"
            if data.get("op") == "hello":
                self._path = path if isinstance(path := data.get("path"), str) else None
            elif data.get("op") == "cleared" and isinstance(cell_id, str):
                self._queue.drop(cell_id)
                mark_cleared(cell_id, data.get("run"))
            elif data.get("op") in ("set", "patch") and isinstance(cell_id, str):
                if data.get("ok") is True:
                    self._reasons.pop(cell_id, None)
                elif data.get("reason") in ("base", "unknown"):
                    self._queue.put_again(cell_id, data.get("id"))
                    self._run_in_loop(self.flush)
                else:
                    self._reasons[cell_id] = str(data.get("reason"))[:200]
            elif data.get("op") == "set_output" and data.get("ok") is True:
                self._handle_output_answer(data)
            if was != "open" or data.get("page") != self._page:
                self._page = data.get("page")
                self._run_in_loop(self._update_new_page)

    def _update_new_page(self) -> None:
        """Send a newly seen page the unanswered messages, outputs and values."""
        with self._lock:
            self._messenger.resend_unanswered(except_topics=self._outputs.unconfirmed)
            for output in self._outputs.unconfirmed.values():
                self._offer_output(output)
            self.flush()

    def _offer_output(self, output: Mapping[str, Any]) -> None:
        content = {name: value for name, value in output.items() if name not in ("bundle", "metadata")}
        self._messenger.send("set_output", topic=(output["run"], output["display_id"]), **content)

    def _handle_output_answer(self, data: Mapping[str, Any]) -> None:
        key: Key = (data.get("run"), data.get("display_id"))
        lacks, is_shared = data.get("lacks") is True, data.get("shared") is True
        if (output := self._outputs.take_answer(key, data.get("page"), lacks=lacks, is_shared=is_shared)) is None:
            return
        if is_shared and self._loop is not None:
            self._run_in_loop(partial(self._loop.call_later, _SHARED_DELAY, self._send_unconfirmed, key, output))
        else:
            self._run_in_loop(partial(self._messenger.send, "set_output", topic=key, **output))

    def _send_unconfirmed(self, key: Key, output: Mapping[str, Any]) -> None:
        with self._lock:
            if key in self._outputs.unconfirmed:
                self._messenger.send("set_output", topic=key, **output)

    def _run_in_loop(self, send: Callable[[], object]) -> None:
        """Send from the kernel's main thread: an answer may arrive in another one, from which no comm may send."""
        if self._loop is None:
            send()
            return
        with suppress(RuntimeError):  # the loop is closed: the kernel ends
            self._loop.call_soon_threadsafe(send)

    def _handle_refusal(self) -> None:
        with self._lock:
            if self._status == "unknown":
                self._status = "absent"  # the next write drops the queue: until then another page may answer
                if self._loop is not None:
                    self._run_in_loop(partial(self._loop.call_later, _UNANSWERED_RETRY, self._retry_hello))

    def _retry_hello(self) -> None:
        """Ask again: a page that was still loading refuses as one without the extension does."""
        with self._lock:
            if self._queue and self._status == "absent":
                self._send_hello(0.0)


_bridges: WeakKeyDictionary[Any, MetadataBridge] = WeakKeyDictionary()


def get_bridge(shell: InteractiveShell) -> MetadataBridge:
    """Return the shell's only bridge; the first call makes it."""
    if (bridge := _bridges.get(shell)) is None:
        bridge = _bridges[shell] = MetadataBridge(shell)
    return bridge
