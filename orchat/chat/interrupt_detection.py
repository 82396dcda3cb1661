"""Distinguish a user's interrupt from a `KeyboardInterrupt` that a tool raises itself."""

from __future__ import annotations

import contextlib
import signal
import threading
from types import FrameType
from typing import Any, Self

# Those that watch at this moment, and the handler that was there before the first of them. Main thread only.
_watching: list[InterruptDetector] = []
_before: Any = None


class InterruptDetector:
    """Records whether an interrupt signal arrived while a tool ran; the previous handler is called as before.

    Outside of the main thread no signal arrives, so that there every `KeyboardInterrupt` is the tool's own.

    Examples
    --------
    >>> with InterruptDetector() as watch:
    ...     pass
    >>> watch.interrupted
    False
    """

    def __init__(self) -> None:
        self.interrupted = False

    def __enter__(self) -> Self:
        global _before  # noqa: PLW0603 - a process has one handler of a signal
        if threading.current_thread() is not threading.main_thread():
            return self
        current = signal.getsignal(signal.SIGINT)
        if current is not _note and callable(current):
            with contextlib.suppress(ValueError):  # a subinterpreter takes no handlers
                signal.signal(signal.SIGINT, _note)
                _before = current
        _watching.append(self)
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self not in _watching:
            return
        _watching.remove(self)
        # Others may have set their own meanwhile: theirs stays.
        if not _watching and signal.getsignal(signal.SIGINT) is _note:
            signal.signal(signal.SIGINT, _before)


def raise_keyboard_interrupt(number: int, frame: FrameType | None) -> None:
    """Handle SIGINT as Python does, for code that sets a handler of its own while an `InterruptDetector` watches.

    Examples
    --------
    >>> with InterruptDetector() as watch:
    ...     try:
    ...         raise_keyboard_interrupt(signal.SIGINT, None)
    ...     except KeyboardInterrupt:
    ...         pass
    >>> watch.interrupted
    True
    """
    for watch in _watching:
        watch.interrupted = True
    signal.default_int_handler(number, frame)


def _note(number: int, frame: FrameType | None) -> None:
    for watch in _watching:
        watch.interrupted = True
    _before(number, frame)
