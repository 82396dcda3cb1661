"""`Conversation`: a list of messages that at most one turn at a time extends."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeAlias

from orchat.chat.approval import Decisions
from orchat.chat.exit_conditions import ExitCondition
from orchat.chat.markdown_export import as_markdown
from orchat.chat.message_selection import pending_calls, skip_pending_calls
from orchat.chat.tool_hooks import ToolHooks
from orchat.chat.turn import MAX_TOOL_RUNS, Turn
from orchat.errors import ConfigurationError, TurnInProgressError
from orchat.messages import ChatMessage, ChatRole, ToolCall
from orchat.messages.message import UserPart
from orchat.tools import Tool

Question: TypeAlias = str | UserPart | Sequence[str | UserPart] | ChatMessage


class Conversation:
    """The messages of a chat, sendable at any moment, and the turn that is adding to them.

    Examples
    --------
    >>> conversation = Conversation([ChatMessage.from_system("Be brief.")])
    >>> with conversation._turn_in_progress("Hi", {}, 25) as turn:
    ...     _ = turn.responded(ChatMessage.from_assistant("Hello."))
    >>> [message.text for message in conversation.undo()]
    ['Hi', 'Hello.']
    """

    def __init__(self, messages: Iterable[ChatMessage] = (), name: str | None = None) -> None:
        self.name = name
        self._messages = list(messages)
        self._lock = threading.Lock()
        self._turn: Turn | None = None

    @property
    def messages(self) -> list[ChatMessage]:
        """All messages, sendable at any moment. Assign to continue from another conversation.

        Raises
        ------
        TurnInProgressError
            It is set while a turn runs.
        """
        turn = self._turn
        return list(self._messages) if turn is None else [*self._messages, *turn.messages]

    @messages.setter
    def messages(self, messages: Iterable[ChatMessage]) -> None:
        adopted = [copy.deepcopy(ChatMessage.adopt(message)) for message in messages]
        with self._locked():
            self._messages = adopted

    @property
    def pending(self) -> list[ToolCall]:
        """The tool calls that wait for a decision, in order."""
        return pending_calls(self.messages)

    def undo(self) -> list[ChatMessage]:
        """Remove the last turn, and return its messages; its cost stays counted."""
        with self._locked():
            at = self._last_question()
            taken, self._messages = self._messages[at:], self._messages[:at]
            return taken

    def reset(self) -> None:
        """Remove all messages but the system message; their cost stays counted."""
        with self._locked():
            self._messages = [message for message in self._messages[:1] if message.is_from(ChatRole.SYSTEM)]

    def export_markdown(self) -> str:
        """Export the conversation as Markdown, for people to read."""
        return as_markdown(self.messages, title=self.name)

    def _deep_copy(self) -> list[ChatMessage]:
        return copy.deepcopy(self.messages)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if not self._lock.acquire(blocking=False):
            raise TurnInProgressError(
                "The chat is busy with another turn.", hint="Wait for it, stop() it, or fork() the chat."
            )
        try:
            yield
        finally:
            self._lock.release()

    @contextmanager
    def _turn_in_progress(
        self,
        question: Question | Decisions,
        tools: Mapping[str, Tool],
        max_rounds: int,
        max_tool_runs: int = MAX_TOOL_RUNS,
        exit_conditions: Sequence[ExitCondition] = (),
        hooks: ToolHooks = ToolHooks(),  # noqa: B008 - immutable
    ) -> Iterator[Turn]:
        """Lock the conversation for one turn, and add the turn's messages at its end.

        A question without any response is removed again, so that it can simply be asked again.
        """
        rules = (tools, max_rounds, max_tool_runs, exit_conditions, hooks)
        with self._locked():
            before = self._messages
            if isinstance(question, dict):
                at = self._last_question()
                turn = Turn(before[at:], *rules)
                turn.resume(question)
                kept = before[:at]
            else:
                turn = Turn([_message(question)], *rules)
                kept = skip_pending_calls(before)
            self._messages, self._turn = kept, turn
            try:
                yield turn
            finally:
                turn.cut("failed")  # unless it has ended
                self._messages = before if turn.is_empty else [*kept, *turn.messages]
                self._turn = None

    def _last_question(self) -> int:
        places = [at for at, message in enumerate(self._messages) if message.is_from(ChatRole.USER)]
        return places[-1] if places else len(self._messages)


def _message(question: Question) -> ChatMessage:
    if isinstance(question, str):
        return ChatMessage.from_user(question)
    if isinstance(question, list | tuple):
        return ChatMessage.from_user(content_parts=question)
    if hasattr(question, "role"):
        message = ChatMessage.adopt(question)
        if not message.is_from(ChatRole.USER):
            raise ConfigurationError(f"A turn begins with a user's message, not one of role {message.role.value}.")
        return copy.deepcopy(message)
    return ChatMessage.from_user(content_parts=[question])  # type: ignore[list-item]
