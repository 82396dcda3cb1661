"""What a tool of a panel prints, logs, warns of, displays and draws: it belongs to its call's box, and to no cell.

A tool runs in a worker's thread, or on the loop of cells while others run there. So output is told apart by the context
in which it is made (`contextvars`), which threads of `asyncio.to_thread` and tasks inherit; the threads that a tool
starts by itself print where cells do. The kernel's streams and its publisher of displays are routed once, and pass on
whatever has no call. Pyplot has one list of open figures, which the inline backend shows and closes when a cell, or the
handling of a comm's message, ends: what a tool drew before these began is left out of that. A cell that draws shows
those of a tool, too.
"""

from __future__ import annotations

import base64
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from io import BytesIO
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from orchat.jupyter.kernel.variable_tools.output_capture import keep_figures_open, open_figures, take_figures
from orchat.jupyter.panel.call_pictures import MAX_CALL_PICTURES, read_picture
from orchat.secrets import redact

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_MAX_TEXT = 20_000  # characters of the end that are kept
_PICTURE_TYPES = ("image/png", "image/jpeg", "image/gif")

_current_output: ContextVar[CallOutput | None] = ContextVar("call_output", default=None)


class CallOutput:
    r"""The output of one call, bounded.

    Parameters
    ----------
    on_change
        Called after each addition, in the thread of the tool.

    Examples
    --------
    >>> output = CallOutput(lambda: None)
    >>> output.write("10 %\r20 %\n")
    >>> output.publish({"text/plain": "a table"})
    >>> output.text
    '20 %\na table'
    """

    def __init__(self, on_change: Callable[[], object]) -> None:
        self._on_change = on_change
        self._lock = threading.Lock()  # a tool may print in several threads
        self._text = ""
        self._omits = False
        self.pictures: list[dict[str, str]] = []

    @property
    def text(self) -> str:
        """The end of what was printed, without secrets; of lines that were written over only the last."""
        lines = [line.rstrip("\r").rpartition("\r")[2] for line in self._text.split("\n")]
        text = redact("\n".join(lines).strip("\n"))
        return f"… (the beginning is left out)\n{text}" if self._omits else text

    def write(self, text: str) -> None:
        """Add printed text."""
        with self._lock:
            whole = self._text + text
            self._omits = self._omits or len(whole) > _MAX_TEXT
            self._text = whole[-_MAX_TEXT:]
        self._on_change()

    def publish(self, data: Mapping[str, Any]) -> None:
        """Add a display: its picture, else its text."""
        for kind in _PICTURE_TYPES:
            if isinstance(found := data.get(kind), str | bytes):
                encoded = base64.b64encode(found).decode() if isinstance(found, bytes) else found
                if self._add_picture("".join(encoded.split()), kind):
                    return
        self.write(f"{data.get('text/plain', '')}\n")

    def clear(self) -> None:
        """Remove what is there, as `IPython.display.clear_output` does."""
        with self._lock:
            self._text, self.pictures = "", []
        self._on_change()

    def add_figures(self, figures: list[Any]) -> None:
        """Draw figures of matplotlib, and add them."""
        for figure in figures:
            buffer = BytesIO()
            try:
                figure.savefig(buffer, format="png", bbox_inches="tight")
            except Exception as error:  # noqa: BLE001 - whatever is wrong with a figure, the call has not failed
                self.write(f"(A figure could not be drawn: {type(error).__name__}: {error})\n")
            else:
                self._add_picture(base64.b64encode(buffer.getvalue()).decode(), "image/png")

    def _add_picture(self, encoded: str, kind: str) -> bool:
        picture = read_picture(encoded, kind)
        if picture is None or len(self.pictures) >= MAX_CALL_PICTURES:
            return False
        with self._lock:
            self.pictures = [*self.pictures, picture]
        self._on_change()
        return True


@contextmanager
def capture_call(shell: InteractiveShell | None, output: CallOutput) -> Iterator[Callable[[], list[Any]]]:
    """Put the output of this context, and of what is started in it, into a call's.

    Parameters
    ----------
    shell
        The running IPython; without a kernel output goes where it would.
    output
        The output of the call.

    Yields
    ------
    callable
        Takes the figures that were drawn since and left open. While a cell runs there are none: they may be the cell's.
    """
    if shell is None or getattr(shell, "kernel", None) is None:
        yield list
        return
    _route(shell)
    before = open_figures()

    def keep_figures() -> None:
        if not runs_cell(shell):
            keep_figures_open()

    token = _current_output.set(output)
    shell.events.register("pre_execute", keep_figures)
    try:
        yield lambda: [] if runs_cell(shell) else take_figures(before)
    finally:
        shell.events.unregister("pre_execute", keep_figures)
        _current_output.reset(token)


_activities: WeakKeyDictionary[Any, _CellActivity] = WeakKeyDictionary()


class _CellActivity:
    """Whether a cell runs; made while one does."""

    def __init__(self, shell: InteractiveShell) -> None:
        self.runs_cell = True
        shell.events.register("pre_run_cell", self._begin)
        shell.events.register("post_run_cell", self._end)

    def _begin(self, _: object) -> None:
        self.runs_cell = True

    def _end(self, _: object) -> None:
        self.runs_cell = False


def runs_cell(shell: InteractiveShell) -> bool:
    """Return whether a cell runs, or ran when this was first asked and none has ended since."""
    if (activity := _activities.get(shell)) is None:
        activity = _activities[shell] = _CellActivity(shell)
    return activity.runs_cell


def _route(shell: InteractiveShell) -> None:
    """Route the kernel's streams and displays; those that are routed already stay as they are."""
    for stream in (sys.stdout, sys.stderr):
        _route_method(stream, "write", lambda output, text: (output.write(text), len(text))[1])
    publisher = shell.display_pub
    _route_method(publisher, "publish", lambda output, data, *args, **options: output.publish(data))
    _route_method(publisher, "clear_output", lambda output, *args, **options: output.clear())


def _route_method(target: Any, name: str, capture: Callable[..., Any]) -> None:
    original = getattr(target, name)
    if not hasattr(target, "__dict__") or getattr(original, "routes_calls", False):
        return

    def method(*args: Any, **options: Any) -> Any:
        output = _current_output.get()
        return original(*args, **options) if output is None else capture(output, *args, **options)

    method.routes_calls = True  # type: ignore[attr-defined]
    setattr(target, name, method)
