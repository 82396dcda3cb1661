"""Tools of these tests."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from orchat.messages import ImageContent
from orchat.tools import Tool, ToolRejected, tool
from tests.openrouter_server import PNG


class Log:
    """Tools that write down how they were called."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def tide(self) -> Tool:
        """A plain one."""

        @tool
        def tide(port: str, hour: int = 0) -> str:
            """Tell a tide."""
            self.calls.append((port, hour))
            return f"{port}: 14:10"

        return tide

    def tide_async(self) -> Tool:
        """One that needs an event loop."""

        @tool(name="tide")
        async def tide(port: str, hour: int = 0) -> str:
            """Tell a tide."""
            await asyncio.sleep(0)
            self.calls.append((port, hour))
            return f"{port}: 14:10"

        return tide


@tool
def broken(port: str) -> str:
    """Fail."""
    raise OSError(f"no line to {port}")


@tool
def picky(port: str) -> str:
    """Say no."""
    raise ToolRejected(f"{port} is abroad.")


@tool
def chart() -> ImageContent:
    """Draw."""
    return ImageContent.from_url(PNG)


@tool
async def cancels_itself() -> str:
    """End as a task that was cancelled."""
    raise asyncio.CancelledError


@tool
def thread() -> str:
    """Say where it runs."""
    return str(threading.current_thread() is threading.main_thread())
