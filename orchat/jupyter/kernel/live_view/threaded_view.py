"""`ThreadedLiveView`: the live view of a turn whose cell blocks the kernel's main thread.

``Chat(...)("...")`` in a cell, in a loop or below ``%%time``, leaves the kernel no time for a page's messages. The view
lives on an event loop in a thread of its own; the page's clicks come by a comm in a subshell
(`orchat.jupyter.kernel.live_view.click_comm`). The turn, its tools and the user's variables stay in the cell's thread,
which waits where a person is asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from orchat.event_loop_thread import EventLoopThread
from orchat.jupyter.kernel.live_view.live_view import LiveView

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from IPython.core.interactiveshell import InteractiveShell

    from orchat.chat.approval import Verdict
    from orchat.chat.message_selection import CallPlace
    from orchat.chat.reply import Reply
    from orchat.messages import ToolCall
    from orchat.streaming import StreamingChunk
    from orchat.tools import Tool

T = TypeVar("T")

_VIEW_LOOP = EventLoopThread("orchat-views")


def runs_in_view_thread() -> bool:
    """Return whether this is called in the thread of these views, which cannot wait for itself."""
    return _VIEW_LOOP.is_current


class ThreadedLiveView:
    """A `LiveView` with the same methods, which are called in the cell's thread.

    An interrupt of the cell ends the waiting for a person, and so does Stop.

    Parameters
    ----------
    shell, answer_format, footer_style, on_stop
        As of `LiveView`; ``on_stop`` is called in the view's thread.
    """

    def __init__(
        self, shell: InteractiveShell, answer_format: str, footer_style: str, *, on_stop: Callable[[], None]
    ) -> None:
        self._on_stop = on_stop
        self._view = LiveView(shell, answer_format, footer_style, on_stop=self._stop)
        self._asking: asyncio.Task[Any] | None = None

    @property
    def id(self) -> str:
        """The display's id."""
        return self._view.id

    @property
    def final(self) -> dict[str, Any] | None:
        """The static output; None before the end."""
        return self._view.final

    def start(self, label: str) -> None:
        """Show the waiting line with the model's name, and open the widget."""
        self._call(lambda: self._view.start(label))

    def retrying(self, text: str) -> None:
        """Show that the request will be sent again, and why."""
        _VIEW_LOOP.call_soon(lambda: self._view.retrying(text))

    def add(self, chunk: StreamingChunk) -> None:
        """Add a chunk; it is shown a little later."""
        _VIEW_LOOP.call_soon(lambda: self._view.add(chunk))

    def expect(self, tool_to_ask: Callable[[str], Tool | None]) -> bool:
        """Show incomplete calls that need approval as forms; return True: a person can mend arguments."""
        return self._call(lambda: self._view.expect(tool_to_ask))

    def called(self, calls: Mapping[CallPlace, ToolCall], indexes: Sequence[int]) -> None:
        """Show the calls of a whole response."""
        whole = dict(calls)
        _VIEW_LOOP.call_soon(lambda: self._view.called(whole, indexes))

    def running(self, call: ToolCall, place: CallPlace, part: float | None, text: str) -> None:
        """Show how far a running call is."""
        _VIEW_LOOP.call_soon(lambda: self._view.running(call, place, part, text))

    def ask(self, call: ToolCall, tool: Tool, place: CallPlace) -> Verdict:
        """Wait for a person's decision about a call by a form; None without a ready view, and the turn parks."""

        async def ask() -> Verdict:
            self._asking = asyncio.current_task()
            try:
                return await self._view.ask(call, tool, place)
            finally:
                self._asking = None

        return _VIEW_LOOP.run(ask)

    def end(self, reply: Reply, seconds: float, **more: Any) -> None:
        """Replace the widget by the static output; see `LiveDisplay.end`."""
        self._call(lambda: self._view.end(reply, seconds, **more))

    def _stop(self) -> None:
        self._on_stop()
        if self._asking is not None:
            self._asking.cancel()

    def _call(self, function: Callable[[], T]) -> T:
        async def main() -> T:
            return function()

        return _VIEW_LOOP.run(main)
