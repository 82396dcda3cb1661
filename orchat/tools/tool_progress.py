"""Progress of a running tool, for the people who wait: a function, an argument of its own, or what a generator yields.

A tool reports to whatever watches it (`watch_progress`); where nothing does, reports have no effect.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True)
class ProgressUpdate:
    """One report of a tool.

    Parameters
    ----------
    message
        What it is about.
    done, total
        How much is done, of how much; None where that is not known.

    Examples
    --------
    >>> str(ProgressUpdate("pages", 3, 10)), str(ProgressUpdate("pages", 3)), str(ProgressUpdate("reading"))
    ('pages: 3 of 10', 'pages: 3', 'reading')
    """

    message: str = ""
    done: float | None = None
    total: float | None = None

    @property
    def part(self) -> float | None:
        """The part of 1 that is done; None where that is not known."""
        return self.done / self.total if self.done is not None and self.total else None

    def __str__(self) -> str:
        count = "" if self.done is None else f"{self.done:g}" + ("" if self.total is None else f" of {self.total:g}")
        return ": ".join(filter(None, (self.message, count)))


ProgressWatcher: TypeAlias = Callable[[ProgressUpdate], object]
_watcher: ContextVar[ProgressWatcher | None] = ContextVar("progress_watcher", default=None)


@contextmanager
def watch_progress(watcher: ProgressWatcher) -> Iterator[None]:
    """Call a function with each report of the tools that run in this block, in threads and tasks that it starts too.

    Examples
    --------
    >>> with watch_progress(print):
    ...     report_progress("pages", 3, 10)
    pages: 3 of 10
    """
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


def report_progress(message: object = "", done: float | None = None, total: float | None = None) -> None:
    """Tell people how far the running tool is; no model is told.

    Parameters
    ----------
    message
        What it is about.
    done, total
        How much is done, of how much.
    """
    if (watcher := _watcher.get()) is not None:
        watcher(message if isinstance(message, ProgressUpdate) else ProgressUpdate(str(message), done, total))


class ToolProgress:
    """The type of a tool's parameter that gets `report_progress`; no model is told of the parameter.

    Examples
    --------
    >>> from orchat.tools import tool
    >>> @tool
    ... def fetch(pages: int, progress: ToolProgress) -> str:
    ...     for number in range(pages):
    ...         progress("page", number + 1, pages)
    ...     return "all there"
    >>> with watch_progress(print):
    ...     fetch.invoke(pages=2)
    page: 1 of 2
    page: 2 of 2
    'all there'
    >>> list(fetch.parameters["properties"])
    ['pages']
    """

    def __call__(self, message: object = "", done: float | None = None, total: float | None = None) -> None:
        """Report progress."""
        report_progress(message, done, total)


_MOST_STEPS = 1_000  # that are a result


def run_generator(steps: Generator[Any, Any, Any]) -> Any:
    """Run a generator that is a tool: what it yields is progress, what it returns is the result.

    One that returns nothing is taken for a function that makes a list: its first thousand steps are the result, too.

    Examples
    --------
    >>> def count():
    ...     yield "one"
    ...     return 2
    >>> with watch_progress(print):
    ...     run_generator(count())
    one
    2
    >>> run_generator(row for row in ["a", "b"])
    ['a', 'b']
    """
    told: list[Any] = []
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            return told or None if end.value is None else end.value
        if len(told) < _MOST_STEPS:
            told.append(step)
        report_progress(step)
