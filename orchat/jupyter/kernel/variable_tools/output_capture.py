"""Capture printed text, displays and figures of code, instead of showing them in the cell.

Only this thread's output is captured: an answer that another thread streams into the cell is shown there.
"""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_END_LENGTH = 250_000  # characters kept of each end of the printed text: all of a table, so that its names are known
_MOST_DISPLAYS = 24


class OutputCapture:
    r"""Capture the output of the code in its ``with`` block.

    Parameters
    ----------
    shell
        The running IPython.

    Examples
    --------
    >>> from IPython.core.interactiveshell import InteractiveShell
    >>> with OutputCapture(InteractiveShell()) as captured:
    ...     print("high water")
    >>> captured.printed
    'high water\n'
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell
        self._text = _TruncatedText()
        self._displays: dict[object, Mapping[str, Any]] = {}
        self._figures_before: list[Any] = []
        self._figures: list[Any] = []

    def __enter__(self) -> Self:
        self._original: tuple[Any, Any, Any] = (sys.stdout, sys.stderr, self._shell.display_pub)
        self._figures_before = open_figures()
        sys.stdout, sys.stderr = (_CapturedStream(self._text, stream) for stream in self._original[:2])
        self._shell.display_pub = _CapturedPublisher(self._displays, self._original[2])  # type: ignore[assignment]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        sys.stdout, sys.stderr, self._shell.display_pub = self._original
        self._figures = take_figures(self._figures_before)

    @property
    def printed(self) -> str:
        """The text written to stdout and stderr; both ends of a long one."""
        return str(self._text)

    @property
    def displayed(self) -> list[Any]:
        """The displays, then the figures that were drawn and left open."""
        return [*map(_CapturedDisplay, self._displays.values()), *self._figures]


class _TruncatedText:
    """A text of any length, of which both ends are kept."""

    def __init__(self) -> None:
        self._head, self._tail, self._omitted = "", "", 0

    def add(self, text: str) -> None:
        room = _END_LENGTH - len(self._head)
        self._head += text[:room]
        self._tail += text[room:]
        if len(self._tail) > 2 * _END_LENGTH:  # not for each small text
            self._omitted += len(self._tail) - _END_LENGTH
            self._tail = self._tail[-_END_LENGTH:]

    def __str__(self) -> str:
        gap = f"\n[... {self._omitted:,} characters left out ...]\n" if self._omitted else ""
        return self._head + gap + self._tail


class _CapturedStream:
    """Replace a standard stream."""

    def __init__(self, text: _TruncatedText, displayed: Any) -> None:
        self._text, self._original, self._thread = text, displayed, threading.get_ident()

    def write(self, text: str) -> int:
        if threading.get_ident() != self._thread:
            return self._original.write(text)  # type: ignore[no-any-return]
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self._text.add(text)
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        raise io.UnsupportedOperation("fileno")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)


class _CapturedPublisher:
    """Replace IPython's display publisher."""

    def __init__(self, displays: dict[object, Mapping[str, Any]], displayed: Any) -> None:
        self._displays, self._original, self._thread = displays, displayed, threading.get_ident()

    def publish(self, data: Mapping[str, Any], *args: Any, **options: Any) -> None:
        if threading.get_ident() != self._thread:
            self._original.publish(data, *args, **options)
            return
        name = (options.get("transient") or {}).get("display_id") or object()
        if name in self._displays or len(self._displays) < _MOST_DISPLAYS:
            self._displays[name] = data

    def clear_output(self, wait: bool = False) -> None:
        if threading.get_ident() != self._thread:
            self._original.clear_output(wait)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._original, name)


class _CapturedDisplay:
    """A captured display, as a value with a MIME bundle."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = data

    def _repr_mimebundle_(self, include: object, exclude: object) -> Mapping[str, Any]:
        return self._data


def open_figures() -> list[Any]:
    """Return the figures of pyplot that are open."""
    # As the inline backend finds them: asking pyplot for one would make it the current one.
    pylab = sys.modules.get("matplotlib._pylab_helpers")
    return [manager.canvas.figure for manager in pylab.Gcf.get_all_fig_managers()] if pylab is not None else []


def keep_figures_open() -> None:
    """Let the inline backend leave what has been drawn so far open, when the next cell or message of a comm ends.

    It shows and closes all figures then, if something was drawn since it did so last (matplotlib-inline 0.1 and 0.2).
    """
    inline: Any = sys.modules.get("matplotlib_inline.backend_inline")
    if inline is not None and hasattr(inline.show, "_draw_called"):
        inline.show._draw_called = False


def take_figures(before: list[Any]) -> list[Any]:
    """Return the new figures, and close them for the inline backend, which would show them in the cell."""
    new = [figure for figure in open_figures() if not any(figure is old for old in before)]
    pyplot: Any = sys.modules.get("matplotlib.pyplot")
    if new and "inline" in pyplot.get_backend():
        for figure in new:
            pyplot.close(figure)
    return new
