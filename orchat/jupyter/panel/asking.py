"""One turn on its way into the log, and the conversation as it stands while the turn goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from orchat.configuration import setting
from orchat.jupyter.output.caption import footer
from orchat.jupyter.panel.turns import WAITS
from orchat.jupyter.view.feed import Feed
from orchat.jupyter.view.questions import Questions
from orchat.messages import ChatMessage, ChatRole

if TYPE_CHECKING:
    from orchat.chat import Chat
    from orchat.chat.approval import Verdict
    from orchat.chat.reply import Reply
    from orchat.jupyter.view.channel import Channel
    from orchat.messages import ToolCall
    from orchat.streaming import StreamingChunk
    from orchat.tools import Tool

_CHECKPOINT = 1.0  # seconds of streaming between two thoughts of keeping


class Asking:
    """Shows a turn of a panel; a `orchat.chat.hooks.Sink`. It never prints or displays: the cell has ended.

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
        feed: Feed,
        questions: Questions,
        channel: Channel | None,
        model: str,
        changed: Callable[[bool], None],
    ) -> None:
        self.chat = chat
        self._feed = feed
        self._questions = questions
        self._channel = channel
        self._model = model
        self._changed = changed
        self._asking: set[str] = set()
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

    async def ask(self, call: ToolCall, tool: Tool) -> Verdict:
        """Ask by a form; where nobody looks on, the turn parks."""
        if (decision := self._questions.granted(call, tool)) is not None:
            return decision
        if self._channel is None or not await self._channel.answers():
            return None
        self._asking.add(str(call.id))
        self._changed(True)
        try:
            return await self._questions.ask(call, tool)
        finally:
            self._asking.discard(str(call.id))

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
        return [*(self._as_asked(message) for message in self.chat.messages), *self.chat.arrived]

    def _as_asked(self, message: ChatMessage) -> ChatMessage:
        result = message.tool_call_result if message.is_from(ChatRole.TOOL) else None
        if result is None or str(result.origin.id) not in self._asking:
            return message
        meta: dict[str, Any] = {**message.meta, "pending": True}
        return ChatMessage.from_tool(result.result, result.origin, error=True, meta=meta)
