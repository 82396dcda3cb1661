"""`Conversation`: a list of messages that at most one turn at a time extends, and the other versions of its turns."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike
from typing import Any, TypeAlias

from orchat.chat.approval import Decisions
from orchat.chat.exit_conditions import ExitCondition
from orchat.chat.markdown_export import as_markdown
from orchat.chat.message_selection import messages_before_failure, pending_calls, skip_pending_calls, split_at_questions
from orchat.chat.message_versions import HiddenTurn, MessageVersions
from orchat.chat.tool_hooks import ToolHooks
from orchat.chat.turn import MAX_TOOL_RUNS, Turn
from orchat.errors import ConfigurationError, TurnInProgressError
from orchat.messages import ChatMessage, ChatRole, ToolCall
from orchat.messages.message import UserPart
from orchat.rendering import is_part, question_parts
from orchat.tools import Tool

_UNFINISHED = ("stopped", "interrupted", "failed")
Question: TypeAlias = str | UserPart | PathLike[str] | bytes | Sequence[Any] | ChatMessage


def check_question(question: Question) -> Question:
    """Return a question; what has another meaning within a turn is none.

    Raises
    ------
    TypeError
        It is None, or a dictionary.

    Examples
    --------
    >>> check_question(None)
    Traceback (most recent call last):
    TypeError: None is no question: give a text, an image, a file, or a list of these. `retry` asks the last one again.
    """
    if question is not None and not isinstance(question, Mapping):
        return question
    other = "`retry` asks the last one again" if question is None else "`resume` takes decisions on tool calls"
    what = f"{question!r:.100} is no question: give a text, an image, a file, or a list of these."
    raise TypeError(f"{what} {other}.")


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
        self._versions = MessageVersions()
        self._lock = threading.Lock()
        self._turn: Turn | None = None
        self._pair_lock = threading.Lock()  # messages and turn are read and written together, in any thread

    @property
    def messages(self) -> list[ChatMessage]:
        """All messages, sendable at any moment. Assign to continue from another conversation.

        The list is a copy: what is appended to it is part of the chat once the list is assigned.
        Of several `versions` of a turn these are the shown one. Assigning keeps the versions of the turns that stay.

        Raises
        ------
        TurnInProgressError
            It is set while a turn runs.
        """
        with self._pair_lock:
            return list(self._messages) if self._turn is None else [*self._messages, *self._turn.messages]

    @messages.setter
    def messages(self, messages: Iterable[ChatMessage]) -> None:
        adopted = [copy.deepcopy(ChatMessage.adopt(message)) for message in messages]
        with self._locked():
            if self._versions:
                _, old = split_at_questions(self._messages)
                _, new = split_at_questions(adopted)
                self._versions.sync(len(old))
                self._versions.sync(len(new), _count_same(old, new))
            self._messages = adopted

    @property
    def pending(self) -> list[ToolCall]:
        """The tool calls that wait for a decision, in order."""
        return pending_calls(self.messages)

    def undo(self, turn: int = -1) -> list[ChatMessage]:
        """Take back a turn and all after it, and return their messages; `redo` brings them back.

        Their cost stays counted, and they stay among the `versions`: `forget_versions` removes them for good.

        Parameters
        ----------
        turn
            The number of the turn, from 0; -1 for the last one.
        """
        with self._locked():
            before, turns = self._synced_turns()
            if not turns:
                return []
            at = _turn_index(turn, turns)
            self._versions.hide(at, turns[at:])
            self._messages = [*before, *_joined(turns[:at])]
            return _joined(turns[at:])

    def redo(self) -> list[ChatMessage]:
        """Bring back the turn that was taken back last, and return its messages; without any, an empty list."""
        with self._locked():
            self._synced_turns()
            shown = self._versions.redo() or []
            self._messages = [*self._messages, *shown]
            return list(shown)

    @property
    def can_redo(self) -> bool:
        """Whether `redo` would bring a turn back."""
        return bool(self._versions) and self._synced_versions()[0].can_redo

    def versions(self, turn: int = -1) -> list[list[ChatMessage]]:
        """Return the versions of a turn in order of time, each as its messages, the question first.

        Parameters
        ----------
        turn
            The number of the turn, from 0; -1 for the last one. The number behind the last one has the versions that
            were taken back there.
        """
        versions, turns = self._synced_versions()
        if turn == len(turns):
            return [list(each) for each in versions.turns(turn) if each is not None]
        if not turns:
            return []
        at = _turn_index(turn, turns)
        return [list(turns[at] if each is None else each) for each in versions.turns(at)]

    def shown_versions(self) -> dict[int, tuple[int, int]]:
        """Return, for each turn with several versions, which of them is shown, from 0, and how many there are."""
        return self._synced_versions()[0].positions() if self._versions else {}

    def show_version(self, number: int, turn: int = -1) -> None:
        """Continue from another version of a turn, and from what had followed it.

        Parameters
        ----------
        number
            The position of the version among `versions`, from 0; negative numbers count from the end.
        turn
            The number of the turn, from 0; -1 for the last one.

        Raises
        ------
        ConfigurationError
            There is no such turn or version (a ValueError).
        """
        with self._locked():
            before, turns = self._synced_turns()
            at = turn if turn == len(turns) else _turn_index(turn, turns)
            count = len(self._versions.turns(at))
            if not -count <= number < count:
                raise ConfigurationError(f"There is no version {number!r} of that turn.", hint=f"It has {count}.")
            shown = self._versions.show(at, number % count, turns[at:])
            self._messages = [*before, *_joined(turns[:at]), *_joined(shown)]

    def forget_versions(self) -> None:
        """Remove all turns that are not shown, for good."""
        with self._locked():
            self._versions.clear()

    def reset(self) -> None:
        """Remove all messages but the system message, and all versions; their cost stays counted."""
        with self._locked():
            self._versions.clear()
            self._messages = [message for message in self._messages[:1] if message.is_from(ChatRole.SYSTEM)]

    def export_markdown(self) -> str:
        """Export the conversation as Markdown, for people to read."""
        return as_markdown(self.messages, title=self.name)

    def hidden_turns(self) -> list[HiddenTurn]:
        """Return the turns that are not shown, as they are saved (`orchat.chat.state`)."""
        return self._synced_versions()[0].to_hidden_turns() if self._versions else []

    def restore_messages(self, messages: Iterable[ChatMessage], hidden: Iterable[HiddenTurn] = ()) -> None:
        """Continue from a saved conversation.

        Parameters
        ----------
        messages
            Its messages; they are taken as they are.
        hidden
            The other versions of its turns.
        """
        with self._locked():
            self._messages = list(messages)
            _, turns = split_at_questions(self._messages)
            self._versions = MessageVersions.from_hidden_turns(hidden, len(turns))

    def _deep_copy(self) -> tuple[list[ChatMessage], MessageVersions]:
        return copy.deepcopy(self.messages), self._synced_versions()[0].copy(deep=True)

    def _synced_turns(self) -> tuple[list[ChatMessage], list[list[ChatMessage]]]:
        """Return the messages before the first turn, and the turns; the versions know of them from now on."""
        before, turns = split_at_questions(self._messages)
        self._versions.sync(len(turns))
        return before, turns

    def _synced_versions(self) -> tuple[MessageVersions, list[list[ChatMessage]]]:
        """Return a copy of the versions that knows of the running turn, and the turns."""
        _, turns = split_at_questions(self.messages)
        versions = self._versions.copy()
        versions.sync(len(turns))
        return versions, turns

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
        question: Question | Decisions | None,
        tools: Mapping[str, Tool],
        max_rounds: int,
        max_tool_runs: int = MAX_TOOL_RUNS,
        exit_conditions: Sequence[ExitCondition] = (),
        hooks: ToolHooks = ToolHooks(),  # noqa: B008 - immutable
        version_of: int | None = None,
    ) -> Iterator[Turn]:
        """Lock the conversation for one turn, and add the turn's messages at its end.

        A question without any response is removed again, so that it can simply be asked again. Without a question the
        last turn goes on from where it failed.
        """
        rules = (tools, max_rounds, max_tool_runs, exit_conditions, hooks)
        with self._locked():
            before, versions = self._messages, self._versions
            first, turns = self._synced_turns()
            self._versions = versions.copy()
            if isinstance(question, dict):
                kept = [*first, *_joined(turns[:-1])]
                turn = Turn(turns[-1] if turns else [], *rules)
                turn.resume(question)
            elif question is None:
                kept = [*first, *_joined(turns[:-1])]
                turn = Turn(_before_failure(turns), *rules)
                if len(turn.messages) < len(turns[-1]):  # what had arrived of the response stays as a version
                    self._versions.hide(len(turns) - 1, turns[-1:])
            elif version_of is not None:
                at = _turn_index(version_of, turns)
                kept = [*first, *_joined(turns[:at])]
                turn = Turn([_message(question)], *rules)
                self._versions.hide(at, turns[at:])
            else:
                turn = Turn([_message(question)], *rules)
                kept = skip_pending_calls(before)
            had = 0 if isinstance(question, dict) else len(turn.messages)
            with self._pair_lock:
                self._messages, self._turn = kept, turn
            try:
                yield turn
            finally:
                turn.cut("failed")  # unless it has ended
                with self._pair_lock:
                    if turn.is_empty or len(turn.messages) == had:
                        self._messages, self._versions = before, versions
                    else:
                        self._messages = [*kept, *turn.messages]
                    self._turn = None


def _before_failure(turns: Sequence[Sequence[ChatMessage]]) -> list[ChatMessage]:
    """Return the last turn without the response that failed; its calls and their results stay."""
    last = turns[-1] if turns else []
    answers = [message for message in last if message.is_from(ChatRole.ASSISTANT)]
    if not answers or answers[-1].meta.get("ending") not in _UNFINISHED:
        raise ConfigurationError("No turn has failed that could go on.", hint="Ask a question.")
    kept = [copy.copy(message) for message in messages_before_failure(last)]
    for message in kept:
        message._meta = {key: value for key, value in message.meta.items() if key != "ending"}
    return kept


def _count_same(old: Sequence[list[ChatMessage]], new: Sequence[list[ChatMessage]]) -> int:
    """Return how many turns at the beginning are the same, but for what was added to them."""
    count = 0
    for was, now in zip(old, new, strict=False):
        if was != now[: len(was)]:
            break
        count += 1
    return count


def _turn_index(turn: int, turns: Sequence[object]) -> int:
    if not isinstance(turn, int) or not -len(turns) <= turn < len(turns):
        have = f"Its turns are 0 to {len(turns) - 1}." if turns else "It has none yet."
        raise ConfigurationError(f"The conversation has no turn {turn!r}.", hint=have)
    return turn % len(turns)


def _joined(turns: Iterable[Iterable[ChatMessage]]) -> list[ChatMessage]:
    return [message for turn in turns for message in turn]


def _message(question: Question) -> ChatMessage:
    if isinstance(question, str):
        if not question.strip():
            raise ConfigurationError("The question is empty.")
        return ChatMessage.from_user(question)
    if isinstance(question, list | tuple):
        return ChatMessage.from_user(content_parts=question_parts(question))
    if is_part(question) or isinstance(question, PathLike | bytes | bytearray):
        return ChatMessage.from_user(content_parts=question_parts([question]))
    if isinstance(question, ChatMessage) or type(question).__name__ == "ChatMessage":  # Haystack's
        message = ChatMessage.adopt(question)
        if not message.is_from(ChatRole.USER):
            raise ConfigurationError(f"A turn begins with a user's message, not one of role {message.role.value}.")
        return copy.deepcopy(message)
    what = f"{question!r:.100} is a {type(question).__name__}, and no question by itself."
    raise TypeError(f"{what} Put it into a list, beside a text: [text, value].")
