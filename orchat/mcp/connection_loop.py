"""The event loop of all connections to MCP servers, and their end with the process.

A connection belongs to the task that opened it, and each cell of a notebook is a task of its own: so all connections
live on one loop in a thread.
"""

from __future__ import annotations

import asyncio
import atexit
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from orchat.event_loop_thread import EventLoopThread

MCP_LOOP = EventLoopThread("orchat-mcp")
"""The loop of all connections of this process."""

_closers: set[Callable[[], Coroutine[Any, Any, None]]] = set()


def close_at_exit(close: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Register what ends a session, to be awaited on `MCP_LOOP` when the process ends."""
    if not _closers:
        atexit.unregister(_close_all)
        atexit.register(_close_all)
    _closers.add(close)


def forget_at_exit(close: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Undo `close_at_exit`."""
    _closers.discard(close)


def _close_all() -> None:
    """End all sessions within a time that Jupyter gives a kernel to end by itself, which is 2.5 seconds."""
    stdio = sys.modules.get("mcp.client.stdio")
    if stdio is not None:
        vars(stdio).update(PROCESS_TERMINATION_TIMEOUT=1.0, FORCE_KILL_TIMEOUT=0.5)

    async def close() -> None:
        await asyncio.gather(*(each() for each in list(_closers)), return_exceptions=True)

    with suppress(TimeoutError, RuntimeError):
        MCP_LOOP.run(close, timeout=3)
