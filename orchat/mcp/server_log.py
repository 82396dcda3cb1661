"""`ServerLog`: the last words of a server, from its stderr and from what the SDK logs about it, bounded.

What the SDK logs would be red text in a cell, and what a server writes would go to the terminal of the kernel, where no
user of a notebook looks. Both are kept here, for the details of a failed call.
"""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TextIO

_MOST_CHARACTERS = 32_000
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
_FRAME = " │╭╮╰╯─"
_FRAME_CHARACTERS = frozenset(_FRAME) - {" "}
_LOGGERS = ("mcp", "client")  # the SDK's, one of which is called like this

_current_log: ContextVar[ServerLog | None] = ContextVar("current_log", default=None)


class ServerLog:
    r"""The end of a server's text output, which threads may write and read.

    Examples
    --------
    >>> log = ServerLog()
    >>> position = log.position
    >>> log.write("ready\n")
    >>> log.since(position), log.since(log.position)
    ('ready', '')
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._text = ""
        self._written = 0

    @property
    def position(self) -> int:
        """The number of characters that were written so far."""
        with self._lock:
            return self._written

    def write(self, text: str) -> None:
        """Add text; only the last 32,000 characters are kept."""
        text = _ESCAPE.sub("", text)
        with self._lock:
            self._text = (self._text + text)[-_MOST_CHARACTERS:]
            self._written += len(text)

    def since(self, position: int) -> str:
        """Return what was written after a `position`, as far as it is kept, without frames and empty lines."""
        with self._lock:
            count = min(self._written - position, len(self._text))
            found = self._text[len(self._text) - count :] if count > 0 else ""
        return "\n".join(filter(None, map(_without_frame, found.splitlines())))

    @contextmanager
    def pipe(self) -> Iterator[TextIO]:
        """Open a file for a program's stderr; it is closed here when the block ends, by when the program has it."""
        reading, writing = os.pipe()
        threading.Thread(target=self._read, args=(reading,), daemon=True, name="orchat-mcp-stderr").start()
        with os.fdopen(writing, "w", encoding="utf-8") as file:
            yield file

    def _read(self, reading: int) -> None:
        with os.fdopen(reading, "rb", buffering=0) as file:
            while data := file.read(65_536):
                self.write(data.decode("utf-8", "replace"))

    @contextmanager
    def capture_logging(self) -> Iterator[None]:
        """Keep what the SDK logs in this context, and in the tasks that are started in it."""
        _install_handler()
        token = _current_log.set(self)
        try:
            yield
        finally:
            _current_log.reset(token)


def _without_frame(line: str) -> str:
    """Return a line without the frame that Rich draws around tracebacks, which is more than what stands in it."""
    return line.strip(_FRAME) if not _FRAME_CHARACTERS.isdisjoint(line) else line.rstrip()


class _LogHandler(logging.Handler):
    """Writes records to the log of the connection whose task logs them; that one is there keeps them off stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        if (log := _current_log.get()) is not None:
            log.write(f"[client] {record.getMessage()}\n")


_handler = _LogHandler(logging.WARNING)


def _install_handler() -> None:
    for name in _LOGGERS:
        if _handler not in (logger := logging.getLogger(name)).handlers:
            logger.addHandler(_handler)
