"""Exit conditions: when a turn asks the model for one more answer without tools, and ends.

A condition is a function of the turn so far (`Reply`). It is looked at each time that tools' results are about to go to
the model. The words are those of Haystack (``exit_conditions``) and pydantic-ai (limits of usage).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import TypeAlias

from orchat.chat.money import parse_amount
from orchat.chat.reply import Reply
from orchat.errors import ConfigurationError

ExitCondition: TypeAlias = Callable[[Reply], str | bool | None]
"""Returns the reason to end, or True; None or False to go on."""


def cost_limit(usd: float | Decimal) -> ExitCondition:
    """Return the condition that a turn has cost so much.

    Unlike `Chat(max_cost=)`, which refuses a request that may cost too much, this ends with an answer.

    Raises
    ------
    ConfigurationError
        It is no amount of money (a ValueError).

    Examples
    --------
    >>> from orchat.messages import ChatMessage
    >>> cost_limit(0.01)(Reply(ChatMessage.from_assistant("Hi", {"usage": {"cost": 0.02}})))
    'The turn has cost $0.02, and $0.01 is the limit.'
    """
    if (limit := parse_amount(usd)) is None:
        raise ConfigurationError(f"{usd!r} is no limit.", hint="cost_limit takes a number of USD, such as 0.05.")

    def is_reached(reply: Reply) -> str | None:
        spent = reply.spent.known
        return f"The turn has cost ${spent:f}, and ${limit:f} is the limit." if spent >= limit else None

    return is_reached


def total_tokens_limit(tokens: int) -> ExitCondition:
    """Return the condition that a turn has used so many tokens, those of prompts included.

    Examples
    --------
    >>> from orchat.messages import ChatMessage
    >>> total_tokens_limit(5_000)(Reply(ChatMessage.from_assistant("Hi", {"usage": {"total_tokens": 6_000}})))
    'The turn has used 6,000 tokens, and 5,000 are the limit.'
    """
    if not isinstance(tokens, int) or isinstance(tokens, bool) or tokens < 1:
        raise ConfigurationError(f"{tokens!r} is no limit.", hint="It is a whole number of tokens, 1 or more.")

    def is_reached(reply: Reply) -> str | None:
        used = reply.usage.get("total_tokens")
        if not isinstance(used, int) or used < tokens:
            return None
        return f"The turn has used {used:,} tokens, and {tokens:,} are the limit."

    return is_reached


def read_exit_conditions(given: Iterable[str | ExitCondition]) -> tuple[ExitCondition, ...]:
    """Return the conditions of a list in which a tool's name means that the tool was called.

    Raises
    ------
    ConfigurationError
        An entry is neither a name nor a function (a ValueError).

    Examples
    --------
    >>> read_exit_conditions(["submit", 3])
    Traceback (most recent call last):
    ...
    orchat.errors.ConfigurationError: The exit condition 3 makes no sense. Give a tool's name or a function.
    """
    entries = list(given) if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    for each in entries:
        if not isinstance(each, str) and not callable(each):
            raise ConfigurationError(
                f"The exit condition {each!r} makes no sense.", hint="Give a tool's name or a function."
            )
    return tuple(_tool_called(each) if isinstance(each, str) else each for each in entries)


def exit_reason(conditions: Iterable[ExitCondition], reply: Reply) -> str | None:
    """Return the reason of the first condition that holds; None where none does."""
    for condition in conditions:
        if found := condition(reply):
            return found if isinstance(found, str) else "An exit condition holds."
    return None


def _tool_called(name: str) -> ExitCondition:
    def was_called(reply: Reply) -> str | None:
        called = any(call.tool_name == name for call in reply.tool_calls)
        return f"The tool `{name}` was called." if called else None

    return was_called
