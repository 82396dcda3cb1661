"""Show the turns of any `orchat.Chat` in the cell that asks, and ask a person about its tool calls.

It is lent to the chats of this process (`orchat.chat.dependency_injection`) when somebody takes `Chat` from
the front door while IPython runs. A reply that was shown live does not show itself again as the value of the same cell.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from orchat.configuration import setting
from orchat.errors import OrchatError
from orchat.jupyter.kernel.coroutine_runner import CellError, in_kernel

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from orchat.chat.approval import Verdict
    from orchat.chat.dependency_injection import ShownChat
    from orchat.chat.message_selection import CallPlace
    from orchat.chat.reply import Reply
    from orchat.jupyter.kernel.output.live_display import LiveDisplay, TerminalDisplay
    from orchat.messages import ChatMessage, ToolCall
    from orchat.streaming import StreamingChunk
    from orchat.tools import Tool

Display: TypeAlias = "LiveDisplay | TerminalDisplay"

_REPLY = ("orchat.chat.reply", "Reply")  # shown as Markdown, but named here so that loading need not import it


class CellSink:
    """Shows one turn in a display; a `orchat.chat.dependency_injection.Sink`.

    Parameters
    ----------
    shell
        The running IPython.
    display
        Where the turn is shown.
    model
        Who is asked.
    ended
        Told of the reply when it was shown.
    """

    def __init__(
        self, shell: InteractiveShell, display: Display, model: str, ended: Callable[[Reply], None] | None = None
    ) -> None:
        self._shell = shell
        self._display = display
        self._model = model
        self._ended = ended
        self._started = time.monotonic()

    def start(self, question: ChatMessage | None) -> None:
        """Say that an answer is on its way."""
        self._display.start(self._model)

    def expect(self, asked: Callable[[str], Tool | None]) -> bool:
        """Take note of which calls will be asked about; say whether people can mend one."""
        return self._display.expect(asked)

    def add(self, chunk: StreamingChunk) -> None:
        """Show what arrived."""
        self._display.add(chunk)

    def called(self, calls: Mapping[CallPlace, ToolCall], indexes: Sequence[int]) -> None:
        """Take the calls of a response that is whole."""
        self._display.called(calls, indexes)

    def ask(self, call: ToolCall, tool: Tool, place: CallPlace) -> Verdict | Awaitable[Verdict]:
        """Ask by a form or at the terminal; where nobody can be asked, the turn parks."""
        return self._display.ask(call, tool, place)

    def end(self, reply: Reply, error: BaseException | None) -> None:
        """Show how it ended."""
        known = error if isinstance(error, OrchatError) else None
        self._display.end(reply, time.monotonic() - self._started, model=self._model, error=known)
        if self._ended is not None:
            self._ended(reply)


def display_for(
    shell: InteractiveShell,
    form: str = "markdown",
    *,
    stopped: Callable[[], None],
    to_cell: Callable[[str], None] | None = None,
    blocks: bool = False,
) -> Display:
    """Return the display that fits where IPython runs.

    Parameters
    ----------
    shell
        The running IPython.
    form
        How the model's words are shown, one of `orchat.jupyter.kernel.output.answer_formats.FORMATS`.
    stopped
        Called when a person presses Stop.
    to_cell
        Called with code that a person wants in a new cell.
    blocks
        Whether the turn blocks its thread: then no page would get an answer before the end.
    """
    from orchat.jupyter.kernel.live_view.live_view import LiveView
    from orchat.jupyter.kernel.output.live_display import LiveDisplay, TerminalDisplay

    caption = str(setting("footer"))
    if in_kernel(shell) and blocks:
        return LiveDisplay(shell, form, caption)
    if in_kernel(shell):
        return LiveView(shell, form, caption, stopped=stopped, to_cell=to_cell)
    return TerminalDisplay(caption)


class _ChatSink(CellSink):
    """Shows one turn of a chat."""

    def __init__(self, shell: InteractiveShell, chat: ShownChat, ended: Callable[[Reply], None]) -> None:
        self._stopped = chat.stop
        blocking = display_for(shell, stopped=chat.stop, blocks=True)
        super().__init__(shell, blocking, chat.model or "an answer", ended)

    def awaited(self) -> None:
        """Show it in a view: the loop is free to talk to a page."""
        self._display = display_for(self._shell, stopped=self._stopped)

    def end(self, reply: Reply, error: BaseException | None) -> None:
        """Show how it ended; an interrupt is told in one line, and stays what it is for who catches it."""
        super().end(reply, error)
        if isinstance(error, KeyboardInterrupt | asyncio.CancelledError):
            told = CellError("interrupted; what arrived is kept")
            error._render_traceback_ = told._render_traceback_  # type: ignore[union-attr]


class _ShownReplies:
    """The replies that were shown live, and in which run of which cell."""

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell
        self._run = 0
        self._messages: list[object] = []

    def note(self, reply: Reply) -> None:
        """Remember a reply that was shown."""
        if self._run != self._shell.execution_count:
            self._run, self._messages = self._shell.execution_count, []
        self._messages.append(reply.message)

    def __call__(self, reply: Reply) -> None:
        """Show nothing where a reply has been shown in this cell.

        IPython asks whoever displays an object by itself; NotImplementedError says that nobody does.
        """
        shown = self._messages if self._run == self._shell.execution_count else []
        if all(message is not reply.message for message in shown):
            raise NotImplementedError


def _markdown_of(reply: Reply) -> str:
    from orchat.jupyter.kernel.output.markdown_sanitizer import safe_markdown

    return safe_markdown(reply.text)


def show_chats(shell: InteractiveShell) -> None:
    """Show the turns of all chats of this process in the shell's cells; again changes nothing."""
    from orchat.chat.dependency_injection import set_sink_factory

    note = register_sink(shell)

    def sink(chat: ShownChat) -> _ChatSink:
        return _ChatSink(shell, chat, note)

    set_sink_factory(sink)


def register_sink(shell: InteractiveShell) -> Callable[[Reply], None]:
    """Teach a shell how replies show themselves; again changes nothing.

    Returns
    -------
    callable
        To be told of a reply that was shown live.
    """
    formatter = _formatter(shell)
    try:
        shown = formatter.lookup_by_type(".".join(_REPLY))
    except KeyError:
        shown = _ShownReplies(shell)
        formatter.for_type_by_name(*_REPLY, shown)
        _formatter(shell, "text/markdown").for_type_by_name(*_REPLY, _markdown_of)
    note: Callable[[Reply], None] = shown.note
    return note


def unregister_sink(shell: InteractiveShell) -> None:
    """Undo `show_chats` and `register_sink`."""
    if (dependencies := sys.modules.get("orchat.chat.dependency_injection")) is not None:
        dependencies.set_sink_factory(None)
    for formatter in (_formatter(shell), _formatter(shell, "text/markdown")):
        formatter.pop(".".join(_REPLY), None)


def _formatter(shell: InteractiveShell, kind: str | None = None) -> Any:
    assert shell.display_formatter is not None
    return shell.display_formatter.formatters[kind] if kind else shell.display_formatter.ipython_display_formatter
