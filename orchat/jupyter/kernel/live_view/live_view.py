"""Display a turn in its cell as a widget while it runs.

It is a `LiveDisplay` in all lasting parts: the first paint, the plain updates where no page answers, and the static
output at the end, which replaces the widget. In between, from the first ready view on, the widget shows the chunks, and
a person can stop the turn and decide about tool calls. Where the cell's output is cleared meanwhile, what comes then is
shown in a new one, as what a loop prints would be, and a form at once: to clear is no decision, and a cell that waits
for a person must say so. If that cell was run again, its first run parks, so that the next one begins.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from orchat.jupyter.kernel.cell_storage.executing_cell import current_cell
from orchat.jupyter.kernel.cell_storage.metadata_entry import get_entry
from orchat.jupyter.kernel.live_view.click_comm import hears_clicks_while_blocked
from orchat.jupyter.kernel.live_view.pending_approvals import PendingApprovals
from orchat.jupyter.kernel.live_view.turn_view_model import TurnViewModel
from orchat.jupyter.kernel.live_view.widget_channel import WidgetChannel
from orchat.jupyter.kernel.output.front_end import has_page, request_of
from orchat.jupyter.kernel.output.live_display import LiveDisplay
from orchat.jupyter.kernel.output.mime_types import VIEW_MIME_TYPE
from orchat.private_event_loop import runs_on_private_loop

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

# Seconds for the first answer of a page before the plain updates begin, each of which redraws the widget.
_FIRST_ANSWER_LIMIT = 1.0
# Seconds for another view to say that it shows the turn, when one is gone.
_OTHER_VIEW_LIMIT = 0.5
# Seconds for a form that is shown again to be drawn. That of a cell that was run again meanwhile never is.
_DRAWN_AGAIN_LIMIT = 15.0


class LiveView(LiveDisplay):
    """One output of a notebook cell: a widget during the turn, static afterwards.

    Its methods are called in the turn's event loop; without one, or without widgets, it is a `LiveDisplay`.

    Parameters
    ----------
    shell, form, caption
        As for `LiveDisplay`.
    on_stop
        Called when a person presses Stop.
    on_new_cell
        Called with code that a person wants in a new cell.
    offers_tools
        Whether a person may be asked about a tool call: worth a widget even where the cell's thread is blocked.
    fixes
        The execution numbers of the cells of which the answer corrects one.
    """

    def __init__(
        self,
        shell: InteractiveShell,
        answer_format: str = "markdown",
        footer_style: str = "full",
        *,
        on_stop: Callable[[], None] | None = None,
        on_new_cell: Callable[[str], None] | None = None,
        offers_tools: bool = False,
        fixes: Sequence[int] = (),
    ) -> None:
        super().__init__(shell, answer_format, footer_style)
        self._on_stop = on_stop
        self._on_new_cell = on_new_cell
        self._offers_tools = offers_tools
        self._fixes = list(fixes)
        self._view_model = TurnViewModel(answer_format)
        self._channel: WidgetChannel | None = None
        self._approvals = PendingApprovals(self._view_model, self._flush)
        self._plain_updates_from = 0.0
        self._shows_widget = False  # whether the widget is in the output now
        self._entry = get_entry(current_cell(shell))
        self._view_search: asyncio.TimerHandle | None = None
        self._has_lost_views = False  # whether the output is gone, as its views have said

    @property
    def is_seen(self) -> bool:
        """Whether a view shows the turn."""
        return self._channel is not None and self._channel.ready

    def start(self, label: str) -> None:
        """Show the waiting line with the model's name, and open the widget."""
        self._view_model.start(label)
        self._view_model.set_actions(
            stop=self._on_stop is not None, cell=self._on_new_cell is not None, fixes=self._fixes
        )
        if self._channel is None and self._may_open_widget():
            self._channel = WidgetChannel("view/view", self._view_model, self._handle_message)
            self._plain_updates_from = time.monotonic() + _FIRST_ANSWER_LIMIT
        super().start(label)

    def retrying(self, text: str) -> None:
        """Show that the request will be sent again, and why."""
        self._view_model.retrying(text)
        self._flush()
        super().retrying(text)

    def add(self, chunk: StreamingChunk) -> None:
        """Add a chunk; it is shown a little later."""
        if self._channel is None:
            super().add(chunk)
            return
        is_visible = self._view_model.add(chunk)
        if not self._channel.ready:
            super().add(chunk)
        elif is_visible:
            self._show_soon()

    def reading_pause(self) -> float:
        """Return 0 where a page shows the turn, or still may; else as a `LiveDisplay`."""
        is_live = self._channel is not None and (self.is_seen or time.monotonic() < self._plain_updates_from)
        return 0.0 if is_live else super().reading_pause()

    def expect(self, tool_to_ask: Callable[[str], Tool | None]) -> bool:
        """Show incomplete calls that need approval as forms; return True: a person can mend arguments."""
        self._approvals.expect(tool_to_ask)
        return True

    def called(self, calls: Mapping[CallPlace, ToolCall], indexes: Sequence[int]) -> None:
        """Show the calls of a whole response."""
        if self._channel is not None:
            self._view_model.called(calls, indexes)
            self._show_soon()

    def running(self, call: ToolCall, place: CallPlace, part: float | None, text: str) -> None:
        """Show how far a running call is."""
        if self._channel is not None:
            self._view_model.running(call, place, part, text)
            self._show_soon()

    async def ask(self, call: ToolCall, tool: Tool, place: CallPlace) -> Verdict:
        """Ask for a decision about a call by a form; None without a ready view, and the turn parks."""
        return await self._approvals.decide(call, tool, place, self._channel, self._ensure_widget)

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
        self._end_search()
        self._forget_cleared_output()
        try:
            super().end(reply, seconds, model=model, error=error, sent=sent, record=record)
        finally:
            if channel is not None:
                channel.close()

    def _may_open_widget(self) -> bool:
        if runs_on_private_loop():
            return self._offers_tools and shows_widgets_while_blocked(self._shell)
        return shows_widgets(self._shell)

    def _ensure_widget(self) -> None:
        """Display the widget again where nobody would see a form.

        A plain update may have replaced it before its page answered, and a person may have cleared the output.
        """
        if self._channel is not None and (self._forget_cleared_output() or not self._shows_widget):
            super()._paint()

    def _forget_cleared_output(self) -> bool:
        """Return whether the output was cleared; then the next one is new, and the turn is kept with it."""
        if not (self._has_lost_views or self._entry.is_cleared):
            return False
        self._has_lost_views = self._entry.is_cleared = self._is_published = False
        return True

    def _show_soon(self) -> None:
        if self._channel is not None and self._channel.ready:
            self._ensure_widget()
            self._channel.schedule_flush()

    def _search_view(self) -> None:
        """Look for another view when one is gone; without one the output was cleared."""
        if self._channel is not None and self._view_search is None:
            self._channel.send({"t": "here?"})
            self._view_search = asyncio.get_running_loop().call_later(_OTHER_VIEW_LIMIT, self._miss_view)

    def _miss_view(self) -> None:
        self._view_search, self._has_lost_views = None, True
        if self._approvals.is_waiting and self._channel is not None:
            self._ensure_widget()
            asyncio.get_running_loop().call_later(_DRAWN_AGAIN_LIMIT, self._miss_drawing, self._channel.ready_count)

    def _miss_drawing(self, ready_count: int) -> None:
        """Let the turn park where no view has come since the form was shown again: the cell's next run would wait."""
        if self._channel is not None and self._channel.ready_count == ready_count:
            self._approvals.abandon()

    def _end_search(self) -> None:
        if self._view_search is not None:
            self._view_search.cancel()
            self._view_search = None

    def _paint(self) -> None:
        if self._is_published and self._channel is not None:
            if self._channel.ready:
                self._stop_timer()
                return
            if (wait := self._plain_updates_from - time.monotonic()) > 0:
                self._paint_after(wait)
                return
        super()._paint()

    def _publish(self, bundle: dict[str, Any]) -> None:
        channel = self._channel
        self._shows_widget = False
        if channel is not None and (channel.has_page or time.monotonic() < self._plain_updates_from):
            self._shows_widget = True
            # A page that shows widgets shows nothing else of a bundle: so only while a page may still answer.
            bundle = {**bundle, **channel.bundle(VIEW_MIME_TYPE), "text/plain": bundle.get("text/markdown", "")}
        super()._publish(bundle)

    def _flush(self) -> None:
        if self._channel is not None:
            self._channel.flush()

    def _handle_message(self, content: dict[str, Any]) -> None:
        match content.get("t"):
            case "stop" if self._on_stop is not None:
                self._on_stop()
            case "cell" if self._on_new_cell is not None and isinstance(content.get("code"), str):
                self._on_new_cell(content["code"])
            case "check" | "decide" | "revoke":
                self._approvals.handle_message(content)
            case "gone":
                self._search_view()
            case "here":
                self._end_search()


def shows_widgets(shell: InteractiveShell) -> bool:
    """Return whether the front end of this cell may show a widget, whose messages the running loop handles."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    if runs_on_private_loop():  # messages of widgets would wait, as the cell's thread does, until the turn ends
        return False
    return has_widgets(shell)


def shows_widgets_while_blocked(shell: InteractiveShell) -> bool:
    """Return the same where the cell's thread is blocked until the turn ends: a page is heard only in a subshell."""
    return has_widgets(shell) and hears_clicks_while_blocked(shell)


def has_widgets(shell: InteractiveShell) -> bool:
    """Return whether the front end may show widgets; those that only execute (nbclient) would save their states."""
    from IPython.core.displaypub import CapturingDisplayPublisher

    if isinstance(shell.display_pub, CapturingDisplayPublisher):
        return False
    parent = request_of(shell)
    return bool(parent) and has_page(parent)
