"""The sink of a panel's running turn, and the conversation's messages while it runs."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from orchat.chat.message_selection import CallPlace, answered_calls
from orchat.jupyter.kernel.cell_storage.checkpoint_timer import CheckpointTimer
from orchat.jupyter.kernel.live_view.pending_approvals import PendingApprovals
from orchat.jupyter.kernel.live_view.turn_view_model import TurnViewModel
from orchat.jupyter.kernel.output.untrusted_text import escape_control_characters
from orchat.jupyter.panel.call_pictures import hold_pictures
from orchat.jupyter.panel.tool_output_capture import CallOutput, capture_call
from orchat.jupyter.panel.turn_replay import SECONDS, WAITING_LABEL, end_view
from orchat.messages import ChatMessage, ChatRole

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from orchat.chat import Chat
    from orchat.chat.approval import Verdict
    from orchat.chat.reply import Reply
    from orchat.chat.tool_execution import ToolOutcome
    from orchat.chat.turn_steps import RunTool
    from orchat.jupyter.kernel.live_view.widget_channel import WidgetChannel
    from orchat.jupyter.panel.turn_thread import TurnThread
    from orchat.messages import ToolCall
    from orchat.streaming import StreamingChunk
    from orchat.tools import Tool

_OUTPUT_INTERVAL = 0.1  # seconds between two updates of what a tool prints
_MAX_SHOWN_OUTPUT = 4_000  # characters
_WAITS_FOR_CELL = "waits for the running cell"


class TurnInProgress:
    """Show a running turn of a panel; a `Sink` that never prints or displays, since the cell has ended.

    Parameters
    ----------
    chat
        The conversation.
    view_model
        The view model of the turn.
    approvals
        The forms that ask about its tool calls.
    channel
        The channel to the page; None where there is no page.
    model
        The model's name.
    on_change
        Called after each change of the view; with True when the conversation should be saved.
    thread
        The turn's thread, and the way to that of cells.
    shell
        The running IPython, whose output of tools goes into their boxes; None where there is none.
    """

    def __init__(
        self,
        chat: Chat,
        view_model: TurnViewModel,
        approvals: PendingApprovals,
        channel: WidgetChannel | None,
        model: str,
        on_change: Callable[[bool], None],
        thread: TurnThread,
        shell: InteractiveShell | None,
    ) -> None:
        self.chat = chat
        self._view_model = view_model
        self._approvals = approvals
        self._channel = channel
        self._model = model
        self._on_change = on_change
        self._thread = thread
        self._shell = shell
        self._asked_calls: set[CallPlace] = set()
        self._checkpoints = CheckpointTimer(lambda: on_change(True))
        self._has_chunks = False
        self.reply: Reply | None = None

    # -- the sink -----------------------------------------------------------------------------------------------

    def start(self, question: ChatMessage | None) -> None:
        """Show the model as waiting."""
        self._view_model.start(self._model)
        self._on_change(True)

    def expect(self, tool_to_ask: Callable[[str], Tool | None]) -> bool:
        """Show the calls that need approval as forms while they stream in."""
        self._approvals.expect(tool_to_ask)
        return True

    def add(self, chunk: StreamingChunk) -> None:
        """Show a chunk; save the conversation at most once a second."""
        self._has_chunks = True
        if self._view_model.add(chunk):
            self._on_change(False)
        self._checkpoints.request(at_once=chunk.tool_call_result is not None)

    def retrying(self, text: str) -> None:
        """Show that the request will be sent again, and why."""
        self._view_model.retrying(text)
        self._on_change(False)

    def called(self, calls: Mapping[CallPlace, ToolCall], indexes: Sequence[int]) -> None:
        """Show the calls of a complete response."""
        self._view_model.called(calls, indexes)
        self._on_change(True)

    def running(self, call: ToolCall, place: CallPlace, part: float | None, text: str) -> None:
        """Show how far a running call is."""
        self._view_model.running(call, place, part, text)
        self._on_change(False)

    async def call_tool(self, run: RunTool, invoke: Callable[[], Coroutine[Any, Any, ToolOutcome]]) -> ToolOutcome:
        """Run a tool where it belongs, and show its output in its box, which also says that it waits for a cell."""
        shown = _ShownOutput(self._view_model, run, self._thread, lambda: self._on_change(False))
        with capture_call(self._shell, shown.output) as take_figures:
            outcome = await self._invoke_where_it_belongs(run, invoke)
        if figures := take_figures():
            await asyncio.to_thread(shown.output.add_figures, figures)
        told, pictures = shown.end()
        if told or pictures:
            details = "\n\n".join(filter(None, (outcome.details, told)))
            outcome = replace(outcome, details=details, pictures=hold_pictures(pictures))
        return outcome

    async def _invoke_where_it_belongs(
        self, run: RunTool, invoke: Callable[[], Coroutine[Any, Any, ToolOutcome]]
    ) -> ToolOutcome:
        if not run.tool.is_bound_to_loop:
            return await invoke()

        def show_wait(waits: bool) -> None:
            self.running(run.call, run.place, None, _WAITS_FOR_CELL if waits else "")

        return await self._thread.run_among_cells(invoke, show_wait)

    async def ask(self, call: ToolCall, tool: Tool, place: CallPlace) -> Verdict:
        """Ask for a decision by a form; without a page the turn parks."""

        def before_form() -> None:
            self._asked_calls.add(place)
            self._on_change(True)

        try:
            return await self._approvals.decide(call, tool, place, self._channel, before_form)
        finally:
            self._asked_calls.discard(place)

    def end(self, reply: Reply, error: BaseException | None) -> None:
        """Show the ending and the footer."""
        self.reply = reply
        self._checkpoints.cancel()
        if reply.pending:
            self._view_model.start(WAITING_LABEL)
        else:
            if reply.messages[1:]:
                reply.message.meta[SECONDS] = round(self._view_model.clock.seconds, 1)
            end_view(self._view_model, reply)
        self._on_change(True)

    @property
    def is_streaming(self) -> bool:
        """Whether an answer is arriving, and no call waits for a decision."""
        return self._has_chunks and not self._asked_calls

    def keep_waiting(self, freeze: Callable[[], object]) -> None:
        """Freeze the storage where a call waits for a decision: the process ends, and that decides nothing."""
        if self._asked_calls:
            freeze()

    # -- for storage --------------------------------------------------------------------------------------------

    def messages_so_far(self) -> list[ChatMessage]:
        """Return the conversation with the partial response, and with calls in open forms marked as pending.

        The turn's messages are copies: it goes on to write into them, and another thread may read what is returned.
        """
        messages = self.chat.messages
        turn_start = max((at for at, message in enumerate(messages) if message.is_from(ChatRole.USER)), default=0)
        messages[turn_start:] = copy.deepcopy(messages[turn_start:])
        if self._asked_calls:
            for at, place in answered_calls(messages[turn_start:]).items():
                if place in self._asked_calls:
                    messages[turn_start + at] = _as_pending(messages[turn_start + at])
        return [*messages, *self.chat.arrived]


class _ShownOutput:
    """The output of a running call, shown in its box soon after each change."""

    def __init__(
        self, view_model: TurnViewModel, run: RunTool, thread: TurnThread, on_change: Callable[[], object]
    ) -> None:
        self._view_model = view_model
        self._run = run
        self._thread = thread
        self._on_change = on_change
        self._is_due = self._has_ended = False
        self.output = CallOutput(self._note_change)

    def _note_change(self) -> None:
        if not self._is_due:
            self._is_due = True
            self._thread.post(lambda: asyncio.get_running_loop().call_later(_OUTPUT_INTERVAL, self._show))

    def _show(self) -> None:
        self._is_due = False
        if not self._has_ended:
            item = self._view_model.attach_call(self._run.place, self._run.call)
            text = escape_control_characters(self.output.text[-_MAX_SHOWN_OUTPUT:])
            self._view_model.set(item, status="running", result=text, pictures=self.output.pictures)
            self._on_change()

    def end(self) -> tuple[str, list[dict[str, str]]]:
        """Show the pictures for good, and return the text, which becomes a part of the result's details, and them."""
        self._has_ended = True
        if self.output.pictures:
            item = self._view_model.attach_call(self._run.place, self._run.call)
            self._view_model.set(item, pictures=self.output.pictures)
        return self.output.text, self.output.pictures


def _as_pending(message: ChatMessage) -> ChatMessage:
    [result] = message.tool_call_results
    meta: dict[str, Any] = {**message.meta, "pending": True}
    return ChatMessage.from_tool(result.result, result.origin, error=True, meta=meta)
