"""Show the turns of any `orchat.Chat` in the executing cell, and ask a person about its tool calls.

The import of `Chat` from `orchat` in IPython sets this sink for all chats of the process
(`orchat.chat.chat_dependencies`). A reply that was shown live is not displayed again as the value of its cell.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from orchat.configuration import setting
from orchat.errors import OrchatError
from orchat.jupyter.kernel.cell_storage.executing_cell import current_cell
from orchat.jupyter.kernel.coroutine_runner import CellError, in_kernel
from orchat.jupyter.kernel.live_view.turn_clock import TurnClock

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from orchat.chat.approval import Verdict
    from orchat.chat.chat_dependencies import ShownChat
    from orchat.chat.message_selection import CallPlace
    from orchat.chat.reply import Reply
    from orchat.jupyter.kernel.live_view.threaded_view import ThreadedLiveView
    from orchat.jupyter.kernel.output.live_display import LiveDisplay, TerminalDisplay
    from orchat.messages import ChatMessage, ToolCall
    from orchat.streaming import StreamingChunk
    from orchat.tools import Tool

Display: TypeAlias = "LiveDisplay | TerminalDisplay | ThreadedLiveView"

_REPLY = ("orchat.chat.reply", "Reply")  # shown as Markdown, but named here so that loading need not import it

_UNHEARD_HINT = (
    "orchat: a tool call waits. This kernel hears no click while a cell blocks it (ipykernel 7.1 and later do): "
    "`await chat.ask(...)` shows a form, and `chat.resume({call_id: True})` lets a call of `reply.pending` run."
)


class CellSink:
    """Show one turn in a display; an `orchat.chat.chat_dependencies.Sink`.

    Parameters
    ----------
    shell
        The running IPython.
    display
        The display of the turn; None where ``start`` chooses it.
    model
        The model's name.
    on_end
        Called with the reply after it was shown.
    """

    def __init__(
        self,
        shell: InteractiveShell,
        display: Display | None,
        model: str,
        on_end: Callable[[Reply], None] | None = None,
    ) -> None:
        self._shell = shell
        if display is not None:
            self._display = display
        self._model = model
        self._on_end = on_end
        self.clock = TurnClock()

    def start(self, question: ChatMessage | None) -> None:
        """Show the waiting line."""
        self._display.start(self._model)

    def expect(self, tool_to_ask: Callable[[str], Tool | None]) -> bool:
        """Set which calls need approval; return whether a person can mend their arguments."""
        return self._display.expect(tool_to_ask)

    def add(self, chunk: StreamingChunk) -> None:
        """Show a chunk."""
        self._display.add(chunk)

    def retrying(self, text: str) -> None:
        """Show that the request will be sent again, and why."""
        self._display.retrying(text)

    def called(self, calls: Mapping[CallPlace, ToolCall], indexes: Sequence[int]) -> None:
        """Show the calls of a whole response."""
        self._display.called(calls, indexes)

    def running(self, call: ToolCall, place: CallPlace, part: float | None, text: str) -> None:
        """Show how far a running call is, where there is a place for it."""
        if (show := getattr(self._display, "running", None)) is not None:
            show(call, place, part, text)

    def reading_pause(self) -> float:
        """Return the seconds for which nothing that arrives would be shown."""
        pause = getattr(self._display, "reading_pause", None)
        return 0.0 if pause is None else float(pause())

    def ask(self, call: ToolCall, tool: Tool, place: CallPlace) -> Verdict | Awaitable[Verdict]:
        """Ask by a form or in the terminal; None where no person can be asked, and the turn parks."""
        with self.clock.paused():
            verdict = self._display.ask(call, tool, place)
        return self._await_paused(verdict) if isinstance(verdict, Awaitable) else verdict

    async def _await_paused(self, verdict: Awaitable[Verdict]) -> Verdict:
        with self.clock.paused():
            return await verdict

    def end(self, reply: Reply, error: BaseException | None) -> None:
        """Show the end of the turn."""
        known = error if isinstance(error, OrchatError) else None
        self._display.end(reply, self.clock.seconds, model=self._model, error=known)
        if self._on_end is not None:
            self._on_end(reply)


def display_for(
    shell: InteractiveShell,
    answer_format: str = "markdown",
    *,
    on_stop: Callable[[], None],
    on_new_cell: Callable[[str], None] | None = None,
    blocks_thread: bool = False,
    offers_tools: bool = False,
    fixes: Sequence[int] = (),
) -> Display:
    """Return the display for the kernel or terminal that IPython runs in.

    Parameters
    ----------
    shell
        The running IPython.
    answer_format
        The format of the answer, one of `orchat.jupyter.kernel.output.answer_formats.FORMATS`.
    on_stop
        Called when a person presses Stop.
    on_new_cell
        Called with code that a person wants in a new cell.
    blocks_thread
        Whether the turn blocks its thread: then a page is heard in a subshell only.
    offers_tools
        Whether a person may be asked about a tool call: then the view is live where the cell's thread is blocked, too.
    fixes
        The execution numbers of the cells of which the answer corrects one.
    """
    from orchat.jupyter.kernel.live_view.live_view import LiveView, shows_widgets_while_blocked
    from orchat.jupyter.kernel.output.front_end import output_ability
    from orchat.jupyter.kernel.output.live_display import LiveDisplay, TerminalDisplay, WholeDisplay

    footer_style = str(setting("footer"))
    ability = output_ability(shell) if in_kernel(shell) else "text"
    if ability == "text":
        return TerminalDisplay(shell, footer_style)
    if ability == "displays":
        return WholeDisplay(shell, answer_format, footer_style)
    if blocks_thread:
        from orchat.jupyter.kernel.live_view.threaded_view import ThreadedLiveView, runs_in_view_thread

        if offers_tools and shows_widgets_while_blocked(shell) and not runs_in_view_thread():
            return ThreadedLiveView(shell, answer_format, footer_style, on_stop=on_stop)
        return LiveDisplay(shell, answer_format, footer_style)
    return LiveView(
        shell,
        answer_format,
        footer_style,
        on_stop=on_stop,
        on_new_cell=on_new_cell,
        offers_tools=offers_tools,
        fixes=fixes,
    )


class _ChatSink(CellSink):
    """Show one turn of a chat in the executing cell."""

    def __init__(self, shell: InteractiveShell, chat: ShownChat, on_end: Callable[[Reply], None]) -> None:
        self._chat = chat
        self._is_awaited = False
        self._cell = current_cell(shell)
        super().__init__(shell, None, chat.model or "an answer", on_end)

    def awaited(self) -> None:
        """Show the turn in a live view: the event loop is free to exchange messages with a page."""
        self._is_awaited = True

    def start(self, question: ChatMessage | None) -> None:
        """Show the waiting line in the display that fits the turn."""
        self._display = display_for(
            self._shell,
            on_stop=self._chat.stop,
            blocks_thread=not self._is_awaited,
            offers_tools=not self._is_awaited and bool(self._chat.offered_tools()),
        )
        super().start(question)

    def end(self, reply: Reply, error: BaseException | None) -> None:
        """Show the end of the turn; an interrupt shows one line, and keeps its type for handlers."""
        super().end(reply, error)
        self._offer_output()
        if reply.pending and error is None and self._hears_no_click():
            print(_UNHEARD_HINT, file=sys.stderr)  # noqa: T201 - else the page would seem to have lost the form
        if isinstance(error, KeyboardInterrupt | asyncio.CancelledError):
            shown = CellError("interrupted; what arrived is kept")
            error._render_traceback_ = shown._render_traceback_  # type: ignore[union-attr]

    def _offer_output(self) -> None:
        """Offer the output to a page that was loaded meanwhile, and so lacks it."""
        from orchat.jupyter.kernel.cell_storage.metadata_bridge import get_bridge

        final = getattr(self._display, "final", None)
        if final is not None and self._cell.id is not None:
            get_bridge(self._shell).set_output(self._cell, final, display_id=getattr(self._display, "id", None))

    def _hears_no_click(self) -> bool:
        """Return whether there may be a page, whose clicks this kernel hears only when the cell has ended."""
        from orchat.jupyter.kernel.live_view.click_comm import hears_clicks_while_blocked
        from orchat.jupyter.kernel.live_view.live_view import has_widgets

        shell = self._shell
        return (
            not self._is_awaited and in_kernel(shell) and has_widgets(shell) and not hears_clicks_while_blocked(shell)
        )


class _ShownReplies:
    """The replies that were shown live in the current execution."""

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell
        self._run = 0
        self._messages: list[object] = []

    def add_shown(self, reply: Reply) -> None:
        """Record a reply that was shown live."""
        if self._run != self._shell.execution_count:
            self._run, self._messages = self._shell.execution_count, []
        self._messages.append(reply.message)

    def __call__(self, reply: Reply) -> None:
        """Display nothing for a reply that was shown in this cell, as a formatter of IPython.

        NotImplementedError makes IPython try its other formatters.
        """
        shown = self._messages if self._run == self._shell.execution_count else []
        if all(message is not reply.message for message in shown):
            raise NotImplementedError


def _reply_markdown(reply: Reply) -> str:
    from orchat.jupyter.kernel.output.markdown_sanitizer import safe_markdown

    return safe_markdown(reply.text)


def show_chats(shell: InteractiveShell) -> None:
    """Show the turns of all chats of this process in the shell's cells; a second call changes nothing."""
    from orchat.chat.chat_dependencies import set_sink_factory

    add_shown = register_sink(shell)
    process = os.getpid()

    def sink(chat: ShownChat) -> _ChatSink | None:
        # A forked process has no page: ipykernel would log each message whole, and send none.
        return _ChatSink(shell, chat, add_shown) if os.getpid() == process else None

    set_sink_factory(sink)


def register_sink(shell: InteractiveShell) -> Callable[[Reply], None]:
    """Register the formatters of replies with a shell; a second call changes nothing.

    Returns
    -------
    callable
        Call it with each reply that was shown live.
    """
    formatter = _formatter(shell)
    try:
        shown = formatter.lookup_by_type(".".join(_REPLY))
    except KeyError:
        shown = _ShownReplies(shell)
        formatter.for_type_by_name(*_REPLY, shown)
        _formatter(shell, "text/markdown").for_type_by_name(*_REPLY, _reply_markdown)
    add_shown: Callable[[Reply], None] = shown.add_shown
    return add_shown


def unregister_sink(shell: InteractiveShell) -> None:
    """Undo `show_chats` and `register_sink`."""
    if (dependencies := sys.modules.get("orchat.chat.chat_dependencies")) is not None:
        dependencies.set_sink_factory(None)
    for formatter in (_formatter(shell), _formatter(shell, "text/markdown")):
        formatter.pop(".".join(_REPLY), None)


def _formatter(shell: InteractiveShell, kind: str | None = None) -> Any:
    assert shell.display_formatter is not None
    return shell.display_formatter.formatters[kind] if kind else shell.display_formatter.ipython_display_formatter
