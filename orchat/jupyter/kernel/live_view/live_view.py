"""`LiveView`: the display of a turn that is a widget while the turn goes on.

It is a `LiveDisplay` in everything that lasts: the first paint, the plain updates where no page answers, and the static
output at the end, which takes the widget's place. Between them, once a view said that it is ready, the widget shows
what arrives, and people stop the turn and decide about tool calls.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from orchat.jupyter.kernel.coroutine_runner import runs_on_private_loop
from orchat.jupyter.kernel.live_view.pending_approvals import PendingApprovals
from orchat.jupyter.kernel.live_view.turn_view_model import TurnViewModel
from orchat.jupyter.kernel.live_view.widget_channel import WidgetChannel
from orchat.jupyter.kernel.output.live_display import LiveDisplay

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from IPython.core.interactiveshell import InteractiveShell

    from orchat.chat.approval import Verdict
    from orchat.chat.message_selection import CallPlace
    from orchat.chat.reply import Reply
    from orchat.errors import OrchatError
    from orchat.messages import ToolCall
    from orchat.streaming import StreamingChunk
    from orchat.tools import Tool

_PATIENCE = (
    1.0  # seconds that a page gets to answer before the plain updates begin, each of which draws the widget anew
)


class LiveView(LiveDisplay):
    """One output of a notebook cell: a widget while the turn goes on, static when it ended.

    Its methods are called in the event loop that the turn runs in; without one, or where nobody can show a widget, it
    is a `LiveDisplay`.

    Parameters
    ----------
    shell, form, caption
        As for `LiveDisplay`.
    stopped
        Called when a person presses Stop.
    to_cell
        Called with the code that a person wants in a new cell.
    """

    def __init__(
        self,
        shell: InteractiveShell,
        form: str = "markdown",
        caption: str = "full",
        *,
        stopped: Callable[[], None] | None = None,
        to_cell: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__(shell, form, caption)
        self._stopped = stopped
        self._to_cell = to_cell
        self._feed = TurnViewModel(form)
        self._channel: WidgetChannel | None = None
        self._questions = PendingApprovals(self._feed, self._flush)
        self._patience = 0.0

    @property
    def is_seen(self) -> bool:
        """Whether a view shows the turn."""
        return self._channel is not None and self._channel.ready

    def start(self, label: str) -> None:
        """Show at once that an answer is on its way, and from whom."""
        self._feed.start(label)
        self._feed.may(stop=self._stopped is not None, cell=self._to_cell is not None)
        if self._channel is None and shows_widgets(self._shell):
            self._channel = WidgetChannel("view/view", self._feed, self._take)
            self._patience = time.monotonic() + _PATIENCE
        super().start(label)

    def add(self, chunk: StreamingChunk) -> None:
        """Take in what arrived; it is shown a little later."""
        if self._channel is None:
            super().add(chunk)
            return
        seen = self._feed.add(chunk)
        if not self._channel.ready:
            super().add(chunk)
        elif seen:
            self._channel.changed()

    def expect(self, asked: Callable[[str], Tool | None]) -> bool:
        """Show the calls that will be asked about as forms while they are written; people can mend one."""
        self._questions.expect(asked)
        return True

    def called(self, calls: Mapping[CallPlace, ToolCall], indexes: Sequence[int]) -> None:
        """Take the calls of a response that is whole."""
        if self._channel is not None:
            self._feed.called(calls, indexes)
            self._channel.changed()

    async def ask(self, call: ToolCall, tool: Tool, place: CallPlace) -> Verdict:
        """Ask a person about a call; None where no view answers, and the turn parks."""
        if (decision := self._questions.granted(call, tool, place)) is not None:
            return decision
        if self._channel is None or not await self._channel.answers():
            return None
        return await self._questions.ask(call, tool, place)

    def end(
        self,
        reply: Reply,
        seconds: float,
        *,
        model: str,
        error: OrchatError | None = None,
        sent: Sequence[object] = (),
        record: Callable[[str], Mapping[str, Any]] | None = None,
    ) -> None:
        """Replace the widget by the static output; see `LiveDisplay.end`."""
        channel, self._channel = self._channel, None
        try:
            super().end(reply, seconds, model=model, error=error, sent=sent, record=record)
        finally:
            if channel is not None:
                channel.close()

    def _paint(self) -> None:
        if self._shown and self._channel is not None:
            if self._channel.ready:
                self._stop_timer()
                return
            if (wait := self._patience - time.monotonic()) > 0:
                self._timer = asyncio.get_running_loop().call_later(wait, self._paint)
                return
        super()._paint()

    def _publish(self, bundle: dict[str, Any]) -> None:
        if self._channel is not None and (self._channel.is_heard or time.monotonic() < self._patience):
            # Where pages show widgets they show nothing else of a bundle: only as long as a widget can be hoped for.
            bundle = {**bundle, **self._channel.bundle, "text/plain": bundle.get("text/markdown", "")}
        super()._publish(bundle)

    def _flush(self) -> None:
        if self._channel is not None:
            self._channel.flush()

    def _take(self, content: dict[str, Any]) -> None:
        match content.get("t"):
            case "stop" if self._stopped is not None:
                self._stopped()
            case "cell" if self._to_cell is not None and isinstance(content.get("code"), str):
                self._to_cell(content["code"])
            case "check" | "decide" | "revoke":
                self._questions.take(content)


def shows_widgets(shell: InteractiveShell) -> bool:
    """Say whether whoever runs this cell may show a widget and answer from it.

    Front ends send a cell's metadata along; those that only execute (nbclient, a console) send none, and would keep
    the state of each widget.
    """
    from IPython.core.displaypub import CapturingDisplayPublisher

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    if runs_on_private_loop():  # what people do would wait, as the cell's thread does, until the turn ends
        return False
    parent: Any = shell.get_parent() if hasattr(shell, "get_parent") else None
    return bool(parent and parent.get("metadata")) and not isinstance(shell.display_pub, CapturingDisplayPublisher)
