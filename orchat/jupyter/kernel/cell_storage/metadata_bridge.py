"""`MetadataBridge`: write and read our part of cell metadata through the page's extension, without waiting.

Nothing is opened before something is to be written. What is written while it is not known whether an extension is there
waits for that; where there is none it is dropped, and the output keeps what it can.
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
from orchat.jupyter.kernel.cell_storage.frontend_messages import PROTOCOL, FrontendMessenger
from orchat.jupyter.kernel.cell_storage.write_queue import Made, WriteQueue
from orchat.jupyter.kernel.coroutine_runner import in_kernel

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

Status: TypeAlias = Literal["unknown", "open", "absent", "mismatch"]
"""Whether an extension answers; with ``mismatch`` one does that speaks otherwise, and nothing is written."""

_SILENT, _KNOWN = 2.0, 30.0  # seconds until pages are asked again that did not answer, or that cannot
_KEPT_OUTPUTS = 8  # that no page has confirmed: all may be closed while a cell runs


class MetadataBridge:
    """The way from a kernel to the cells of its notebook.

    All methods may be called in any thread of the kernel; it is made in the kernel's main thread.

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
        self._pages = FrontendMessenger(self._answered, self._refused)
        self._lock = threading.RLock()
        self._waiting = WriteQueue()
        self._due: tuple[asyncio.AbstractEventLoop, asyncio.TimerHandle] | None = None
        self._outputs: dict[tuple[Any, Any], dict[str, Any]] = {}
        self._page: object = None
        self._reasons: dict[str, str] = {}
        self._asked = -_KNOWN
        self._names_cells = False
        self._hinted = False
        self._silent = False
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
        """Where the notebook is, as the front end says."""
        return self._path

    def reason(self, cell_id: str) -> str | None:
        """Return why the last write into a cell was not done, as ``newer``; None where nothing is known against it."""
        return self._reasons.get(cell_id)

    def hint(self) -> str | None:
        """Return what a person should know of a bridge that does not carry, once; None if there is nothing to say."""
        if self._hinted or self._status in ("unknown", "open") or not in_kernel(self._shell):
            return None
        self._hinted = True
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
        """Ask the pages whether an extension is there, and return the status.

        Parameters
        ----------
        timeout
            How many seconds to wait; without an answer the status stays as it is.
        """
        if self._status == "open" or not self._may_ask():
            return self._status
        with self._lock:
            self._asked = time.monotonic()
        await self._pages.ask("hello", timeout, version=__version__)
        return self._status

    async def holds(self, cell_id: str, timeout: float = 2.0) -> bool:
        """Say whether a page with the extension shows a cell, so that what is written into it arrives.

        Who was silent once is not waited for again, but may answer all the same.

        Parameters
        ----------
        cell_id
            The front end's name of the cell.
        timeout
            How many seconds to wait for an answer: a page that was loaded a moment ago hears only the second try.
        """
        if await self.hello(0 if self._silent else timeout) != "open":
            self._silent = self._status == "unknown"
            return False
        self._silent = False
        return bool(await self._ask("get", timeout, cell_id=cell_id))

    def write(self, cell_id: str, value: Made) -> None:
        """Put a value into a cell's metadata, now or a little later; the newest one counts.

        Parameters
        ----------
        cell_id
            The front end's name of the cell.
        value
            Plain JSON with a ``version``; or what makes it when it is sent. None takes it away.
        """
        with self._lock:
            if self._status in ("absent", "mismatch"):
                self._waiting.clear()
                self._ask_who_is_there(_KNOWN)  # a page may have been loaded that can
                return
            self._waiting.put(cell_id, value)
            self._send_due()

    def flush(self) -> None:
        """Write now what waits."""
        with self._lock:
            self._send_due(all_of_them=True)

    async def get(self, cell_id: str, timeout: float = 2.0) -> Mapping[str, Any] | None:
        """Return what a cell's metadata holds of ours; None where it holds nothing or nobody answers."""
        value = (await self._ask("get", timeout, cell_id=cell_id)).get("value")
        return value if isinstance(value, Mapping) else None

    async def cells(self, timeout: float = 5.0) -> list[Mapping[str, Any]] | None:
        """Return the cells of the notebook that runs a cell, as the page holds them, saved or not.

        Parameters
        ----------
        timeout
            How many seconds to wait.

        Returns
        -------
        list or None
            For each cell ``id``, ``type``, ``source``, ``metadata`` (ours) and ``outputs`` (of ours, as in a file);
            None where nobody answers.
        """
        cells = (await self._ask("cells", timeout, cell_id=current_cell(self._shell).id)).get("cells")
        return [cell for cell in cells if isinstance(cell, Mapping)] if isinstance(cells, list) else None

    def set_output(
        self,
        cell: ExecutingCell,
        bundle: Mapping[str, Any],
        metadata: Mapping[str, Any] | None = None,
        *,
        display_id: str | None = None,
    ) -> None:
        """Give an output to pages that have not seen it, for they were loaded during the run.

        The bundle is sent only when a page says that it lacks one.

        Parameters
        ----------
        cell
            The run that it belongs to.
        bundle
            The output.
        metadata
            Its metadata.
        display_id
            What the live output's metadata says: ``{"orchat": {"live": display_id}}``.
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
            self._outputs[cell.run, display_id] = output
            while len(self._outputs) > _KEPT_OUTPUTS:
                del self._outputs[next(iter(self._outputs))]
            if self._status == "open":
                self._offer(output)
            else:
                self._ask_who_is_there(_SILENT)

    def insert_cell(self, below: str, source: str) -> None:
        """Put a new code cell below another one; it is not run.

        Parameters
        ----------
        below
            The front end's name of the other one.
        source
            What stands in it.
        """
        if self._status not in ("absent", "mismatch"):
            # With its name, for two pages that share one notebook hear this both.
            self._pages.send("insert_cell", below=below, source=source, cell_id=str(uuid.uuid4()))

    def close(self) -> None:
        """Write what waits and close the bridge; the next write opens it again."""
        self.flush()
        with self._lock:
            self._waiting.clear()
            self._outputs.clear()
            self._pages.close()
            if self._status != "absent":
                self._status = "unknown"

    def _may_ask(self) -> bool:
        """Say whether anybody can be asked: a front end that names no cells has no extension either."""
        self._names_cells = self._names_cells or current_cell(self._shell).id is not None
        return in_kernel(self._shell) and self._names_cells

    async def _ask(self, op: str, timeout: float, **content: Any) -> Mapping[str, Any]:
        if self._status == "absent" or not self._may_ask():
            return {}
        answer = await self._pages.ask(op, timeout, **content)
        return answer if answer is not None and answer.get("ok") is True else {}

    def _ask_who_is_there(self, patience: float) -> None:
        if time.monotonic() - self._asked >= patience and self._may_ask():
            self._asked = time.monotonic()
            self._pages.send("hello", about="hello", version=__version__)

    def _send_due(self, *, all_of_them: bool = False) -> None:
        now = time.monotonic()
        if self._status != "open":
            if self._waiting:
                self._ask_who_is_there(_SILENT)
            return
        for cell_id, value in self._waiting.take(now, all_of_them=all_of_them):
            self._pages.send("set", about=cell_id, cell_id=cell_id, value=value)
        self._plan(self._waiting.wait(now))

    def _plan(self, seconds: float) -> None:
        """Come back when the next value is due, if this thread has a loop; else the next write or `flush` does."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        if self._waiting and (self._due is None or self._due[0] is not loop):
            self._due = (loop, loop.call_later(seconds, self._now_due))

    def _now_due(self) -> None:
        with self._lock:
            self._due = None
            self._send_due()

    def _answered(self, data: Mapping[str, Any]) -> None:
        with self._lock:
            cell_id = data.get("cell_id")
            if data.get("protocol") != PROTOCOL:
                self._version = str(data.get("version", ""))[:40]
                self._status = "mismatch"
                self._waiting.clear()
                self._pages.forget()
                return
            was, self._status = self._status, "open"
            if data.get("op") == "hello":
                self._path = path if isinstance(path := data.get("path"), str) else None
            elif data.get("op") == "set" and isinstance(cell_id, str):
                if data.get("ok") is True:
                    self._reasons.pop(cell_id, None)
                else:
                    self._reasons[cell_id] = str(data.get("reason"))[:200]
            elif data.get("op") == "set_output" and data.get("ok") is True:
                self._take_need((data.get("run"), data.get("display_id")), lacks=data.get("lacks") is True)
            if was != "open" or data.get("page") != self._page:
                self._page = data.get("page")
                self._later(self._catch_up)

    def _catch_up(self) -> None:
        """Send a page that has just been heard of what the others may have missed."""
        with self._lock:
            self._pages.again(but=self._outputs)
            for output in self._outputs.values():
                self._offer(output)
            self.flush()

    def _offer(self, output: Mapping[str, Any]) -> None:
        content = {name: value for name, value in output.items() if name not in ("bundle", "metadata")}
        self._pages.send("set_output", about=(output["run"], output["display_id"]), **content)

    def _take_need(self, key: tuple[Any, Any], *, lacks: bool) -> None:
        if lacks and (output := self._outputs.get(key)) is not None:
            self._later(partial(self._pages.send, "set_output", about=key, **output))
        elif not lacks:
            self._outputs.pop(key, None)

    def _later(self, send: Callable[[], object]) -> None:
        """Send from the kernel's own thread: an answer may come in another one, from which nothing may be sent."""
        if self._loop is None:
            send()
            return
        with suppress(RuntimeError):  # the loop is closed: the kernel ends
            self._loop.call_soon_threadsafe(send)

    def _refused(self) -> None:
        with self._lock:
            if self._status == "unknown":
                self._status = "absent"  # what waits is dropped by the next write: another page may still answer
                if self._loop is not None:
                    self._later(partial(self._loop.call_later, _SILENT, self._ask_once_more))

    def _ask_once_more(self) -> None:
        """Ask a page that refused when it had only been opened, and perhaps not all of it."""
        with self._lock:
            if self._waiting and self._status == "absent":
                self._ask_who_is_there(0.0)


_bridges: WeakKeyDictionary[Any, MetadataBridge] = WeakKeyDictionary()


def get_bridge(shell: InteractiveShell) -> MetadataBridge:
    """Return the one bridge of a shell, which all share who write; it is made when it is first asked for."""
    if (bridge := _bridges.get(shell)) is None:
        bridge = _bridges[shell] = MetadataBridge(shell)
    return bridge
