"""History policies: which earlier messages of a chat are sent with a question.

A policy is a function from the earlier messages to those that are sent (pydantic-ai calls it a history processor). The
chat keeps all of them, the turn that runs is always sent whole, and the reply's warnings say what was left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from orchat.chat.message_selection import split_at_questions
from orchat.errors import ConfigurationError
from orchat.messages import ChatMessage, ChatRole

HistoryPolicy: TypeAlias = Callable[[list[ChatMessage]], Sequence[ChatMessage]]


def last_turns(count: int) -> HistoryPolicy:
    """Return the policy that sends the system message and the last turns only.

    Examples
    --------
    >>> history = [ChatMessage.from_user("Hi"), ChatMessage.from_assistant("Hello."), ChatMessage.from_user("Bye")]
    >>> [message.text for message in last_turns(1)(history)]
    ['Bye']
    """
    _check_count(count, least=0)

    def select(messages: list[ChatMessage]) -> list[ChatMessage]:
        first, turns = split_at_questions(messages)
        return [*first, *(message for turn in turns[max(0, len(turns) - count) :] for message in turn)]

    return select


def drop_tool_results(keep_turns: int = 2, longer_than: int = 500) -> HistoryPolicy:
    """Return the policy that replaces the results of tools in earlier turns by a line that tells their length.

    Parameters
    ----------
    keep_turns
        In how many of the last turns results stay.
    longer_than
        Results of at most so many characters stay everywhere.

    Examples
    --------
    >>> from orchat.messages import ToolCall
    >>> history = [ChatMessage.from_user("Hi"), ChatMessage.from_tool("x" * 900, ToolCall("tide", {}, "a"))]
    >>> drop_tool_results(keep_turns=0)(history)[1].tool_call_result.result
    '[A result of 900 characters was left out here.]'
    """
    _check_count(keep_turns, least=0)

    def select(messages: list[ChatMessage]) -> list[ChatMessage]:
        first, turns = split_at_questions(messages)
        old = len(turns) - keep_turns
        shortened = [[_without_result(each, longer_than) for each in turn] for turn in turns[: max(0, old)]]
        return [*first, *(message for turn in (*shortened, *turns[max(0, old) :]) for message in turn)]

    return select


class SummarizeOlder:
    r"""The policy that sends a summary in the place of older turns.

    A summary is made when ``every`` more turns have become old, of the last summary and of what came since.

    Parameters
    ----------
    summarize
        Makes the summary of messages, such as ``lambda messages: ask(...).text``. An awaited chat calls it in a thread.
    keep_turns
        How many of the last turns are sent whole.
    every
        How many turns are old before they are summarized.

    Examples
    --------
    >>> policy = SummarizeOlder(lambda messages: f"{len(messages)} greetings", keep_turns=1, every=1)
    >>> history = [ChatMessage.from_user("Hi"), ChatMessage.from_assistant("Hello."), ChatMessage.from_user("Bye")]
    >>> [message.text for message in policy(history)]
    ['[A summary of the conversation before this]\n2 greetings', 'Bye']
    """

    def __init__(self, summarize: Callable[[list[ChatMessage]], str], keep_turns: int = 4, every: int = 4) -> None:
        if not callable(summarize):
            raise ConfigurationError(f"summarize={summarize!r} makes no sense.", hint="Give a function of messages.")
        _check_count(keep_turns, least=0)
        _check_count(every, least=1)
        self._summarize = summarize
        self._keep_turns = keep_turns
        self._every = every
        self._covered: list[ChatMessage] = []
        self._summary: ChatMessage | None = None

    def __call__(self, messages: list[ChatMessage]) -> list[ChatMessage]:
        """Return the messages that are sent."""
        first, turns = split_at_questions(messages)
        split = max(0, len(turns) - self._keep_turns)
        old = [message for turn in turns[:split] for message in turn]
        if not self._is_prefix_of(old):  # another conversation, or this one was changed
            self._covered, self._summary = [], None
        rest = old[len(self._covered) :]
        if sum(message.is_from(ChatRole.USER) for message in rest) >= self._every:
            told = self._summarize([*self._summaries, *rest])
            self._summary = ChatMessage.from_user(f"[A summary of the conversation before this]\n{told}")
            self._covered, rest = old, []
        return [*first, *self._summaries, *rest, *(message for turn in turns[split:] for message in turn)]

    @property
    def _summaries(self) -> list[ChatMessage]:
        return [] if self._summary is None else [self._summary]

    def _is_prefix_of(self, messages: Sequence[ChatMessage]) -> bool:
        covered = self._covered
        return len(covered) <= len(messages) and all(
            one is other for one, other in zip(covered, messages, strict=False)
        )


def read_history_policies(given: HistoryPolicy | Iterable[HistoryPolicy] | None) -> tuple[HistoryPolicy, ...]:
    """Return the policies of a ``history`` argument: None, a function, or several that are applied in order.

    Raises
    ------
    ConfigurationError
        One is no function (a ValueError).
    """
    policies = () if given is None else tuple(given) if isinstance(given, Iterable) else (given,)
    for policy in policies:
        if not callable(policy):
            raise ConfigurationError(
                f"history={policy!r} makes no sense.", hint="Give functions of messages, such as last_turns(10)."
            )
    return policies


def apply_policies(
    policies: Iterable[HistoryPolicy], messages: Sequence[ChatMessage]
) -> tuple[list[ChatMessage], str | None]:
    """Apply policies to the earlier messages; return those to send, and a note for people on what is not sent.

    Examples
    --------
    >>> history = [ChatMessage.from_user("Hi"), ChatMessage.from_assistant("Hello.")]
    >>> apply_policies([last_turns(0)], history)
    ([], '2 of 2 earlier messages were not sent.')
    """
    sent = list(messages)
    for policy in policies:
        sent = [ChatMessage.adopt(message) for message in policy(list(sent))]
    before, after = {id(message) for message in messages}, {id(message) for message in sent}
    left_out, new = len(before - after), len(after - before)
    if not left_out and not new:
        return sent, None
    others = f", {new} changed or new one{'s' if new > 1 else ''} in their place" if new else ""
    verb = "was" if left_out == 1 else "were"
    return sent, f"{left_out} of {len(messages)} earlier messages {verb} not sent{others}."


def _without_result(message: ChatMessage, longer_than: int) -> ChatMessage:
    result = message.tool_call_result
    if result is None:
        return message
    if isinstance(result.result, str):
        if len(result.result) <= longer_than:
            return message
        text = f"[A result of {len(result.result):,} characters was left out here.]"
    else:
        text = f"[A result of {len(result.result)} parts was left out here.]"
    return ChatMessage.from_tool(text, result.origin, result.error)


def _check_count(count: object, *, least: int) -> None:
    if not isinstance(count, int) or isinstance(count, bool) or count < least:
        raise ConfigurationError(f"{count!r} makes no sense.", hint=f"It is a whole number, {least} or more.")
