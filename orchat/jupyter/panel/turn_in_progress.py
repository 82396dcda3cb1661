"""One turn on its way into the log, and the conversation as it stands while the turn goes on."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from orchat.chat.message_selection import CallPlace, answered_calls
from orchat.configuration import setting
from orchat.jupyter.kernel.live_view.pending_approvals import PendingApprovals
from orchat.jupyter.kernel.live_view.turn_view_model import TurnViewModel
from orchat.jupyter.kernel.output.answer_footer import footer
from orchat.jupyter.panel.turn_grouping import WAITS
from orchat.messages import ChatMessage, ChatRole

if TYPE_CHECKING:
    from orchat.chat import Chat
    from orchat.chat.approval import Verdict
    from orchat.chat.reply import Reply
    from orchat.jupyter.kernel.live_view.widget_channel import WidgetChannel
    from orchat.messages import ToolCall
    from orchat.streaming import StreamingChunk
    from orchat.tools import Tool

_CHECKPOINT = 1.0  # seconds of streaming between two thoughts of keeping


class TurnInProgress:
    """Show a turn of a panel, as a `Sink` of its chat. It never prints or displays: the cell has ended.

    Parameters
    ----------
    chat
        The conversation.
    feed
        Where the turn is shown.
    questions
        Where people decide about its tool calls.
    channel
        The way to people; None where nobody looks on.
    model
        Who is asked.
    changed
        Called when there is something to show; with True, when there is something to keep.
    """

    def __init__(
        self,
        chat: Chat,
        feed: TurnViewModel,
        questions: PendingApprovals,
        channel: WidgetChannel | None,
        model: str,
        changed: Callable[[bool], None],
    ) -> None:
        self.chat = chat
        self._feed = feed
        self._questions = questions
        self._channel = channel
        self._model = model
        self._changed = changed
        self._asking: set[CallPlace] = set()
        self._started = time.monotonic()
        self._kept = 0.0
        self.reply: Reply | None = None

    # -- the sink -----------------------------------------------------------------------------------------------

    def start(self, question: ChatMessage | None) -> None:
        """Say that an answer is on its way."""
        self._feed.start(self._model)
        self._changed(True)

    def expect(self, asked: Callable[[str], Tool | None]) -> bool:
        """Show the calls that will be asked about as forms while they are written; people can mend one."""
        self._questions.expect(asked)
        return True

    def add(self, chunk: StreamingChunk) -> None:
        """Show what arrived."""
        seen = self._feed.add(chunk)
        now = time.monotonic()
        keep = chunk.tool_call_result is not None or now - self._kept > _CHECKPOINT
        if keep:
            self._kept = now
        if seen or keep:
            self._changed(keep)

    def called(self, calls: Mapping[CallPlace, ToolCall], indexes: Sequence[int]) -> None:
        """Take the calls of a response that is whole."""
        self._feed.called(calls, indexes)
        self._changed(True)

    async def ask(self, call: ToolCall, tool: Tool, place: CallPlace) -> Verdict:
        """Ask by a form; where nobody looks on, the turn parks."""
        if (decision := self._questions.granted(call, tool, place)) is not None:
            return decision
        if self._channel is None or not await self._channel.answers():
            return None
        self._asking.add(place)
        self._changed(True)
        try:
            return await self._questions.ask(call, tool, place)
        finally:
            self._asking.discard(place)

    def end(self, reply: Reply, error: BaseException | None) -> None:
        """Show how it ended."""
        self.reply = reply
        if reply.pending:
            self._feed.start(WAITS)
        else:
            below = footer(reply, time.monotonic() - self._started, style=str(setting("footer")))
            self._feed.end(below if reply.messages[1:] else "", reply.ending)
        self._changed(True)

    # -- for keeping --------------------------------------------------------------------------------------------

    def messages(self) -> list[ChatMessage]:
        """Return the conversation with what has arrived of an answer, and with the calls that a person looks at."""
        messages = self.chat.messages
        if self._asking:
            begin = max((at for at, message in enumerate(messages) if message.is_from(ChatRole.USER)), default=0)
            for at, place in answered_calls(messages[begin:]).items():
                if place in self._asking:
                    messages[begin + at] = _as_pending(messages[begin + at])
        return [*messages, *self.chat.arrived]


def _as_pending(message: ChatMessage) -> ChatMessage:
    [result] = message.tool_call_results
    meta: dict[str, Any] = {**message.meta, "pending": True}
    return ChatMessage.from_tool(result.result, result.origin, error=True, meta=meta)
