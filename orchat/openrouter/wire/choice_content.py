"""Find the message of a choice, where it is not where chat completions have it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchat.secrets import redact

_FACTS = frozenset({"index", "finish_reason", "native_finish_reason", "logprobs", "error"})
_LONGEST_NAMES = 80  # characters


def has_message(choice: Mapping[str, Any]) -> bool:
    """Return whether a choice has a message, or a delta of one."""
    return choice.get("delta") is not None or choice.get("message") is not None


def with_message(choice: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a choice with a message, where it has ``text`` in its place, as in the older completions API.

    Examples
    --------
    >>> with_message({"index": 0, "text": "Hi", "finish_reason": None})
    {'index': 0, 'finish_reason': None, 'message': {'content': 'Hi'}}
    """
    if has_message(choice) or not isinstance(choice.get("text"), str):
        return choice
    rest = {name: value for name, value in choice.items() if name != "text"}
    return {**rest, "message": {"content": choice["text"]}}


def unread_fields(choice: Mapping[str, Any]) -> set[str]:
    """Return the names of what a choice without a message holds that is no fact about an answer.

    Examples
    --------
    >>> unread_fields({"index": 0, "output": "Hi", "logprobs": None}), unread_fields({"delta": {}, "output": "Hi"})
    ({'output'}, set())
    """
    return set() if has_message(choice) else {str(name) for name, value in choice.items() if value is not None} - _FACTS


def unread_warning(names: set[str]) -> str:
    """Return the warning of an empty answer that came without a message, and with these fields."""
    shown = redact(", ".join(sorted(names)))[:_LONGEST_NAMES]
    return f"The answer is empty: it came without a message, in fields that cannot be read ({shown})."
