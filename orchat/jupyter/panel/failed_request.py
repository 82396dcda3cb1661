"""A request of a panel that failed: what *Retry* repeats, also after a restart, and the card that tells of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from orchat.errors import OrchatError
from orchat.jupyter.kernel.output.error_card import error_actions, error_title, hint_for_people, message_for_people
from orchat.jupyter.kernel.output.untrusted_text import single_line
from orchat.messages import ChatMessage
from orchat.secrets import redact

ACTIONS = ("retry", "model", "key")


@dataclass(frozen=True)
class FailedRequest:
    """A request that failed.

    Parameters
    ----------
    question
        The user's message, of which nothing is in the conversation; None where the last turn of the conversation
        failed after a part of it had arrived.
    version_of
        The number of the turn in whose place it was asked; None for a new one.
    model
        The model that was asked, where it is not the chat's.
    error
        The card, as `error_view` makes it; None where a person stopped it, or dismissed the card.
    """

    question: ChatMessage | None = None
    version_of: int | None = None
    model: str | None = None
    error: dict[str, Any] | None = None

    @property
    def is_shown_as_turn(self) -> bool:
        """Whether the question stands behind the turns of the conversation."""
        return self.question is not None and self.version_of is None


def error_view(error: BaseException, *, can_retry: bool) -> dict[str, Any]:
    """Return the card of an error for the page: title, text, hint, and which actions may help.

    Examples
    --------
    >>> from orchat.errors import NotFoundError
    >>> error_view(NotFoundError("No such model.", status_code=404), can_retry=True)
    {'title': 'Not found · 404', 'text': 'No such model.', 'hint': '', 'actions': ['retry', 'model']}
    """
    title, text, hint = "It failed", f"{type(error).__name__}: {error}", ""
    if isinstance(error, OrchatError):
        title, text, hint = error_title(error), message_for_people(error), hint_for_people(error)
    helpful = error_actions(error) if isinstance(error, OrchatError) else []
    actions = [name for name in ACTIONS if name in {"retry", *helpful}] if can_retry else []
    return {
        "title": single_line(title),
        "text": single_line(redact(text), 600),
        "hint": single_line(redact(hint), 300),
        "actions": actions,
    }


def read_error_view(data: object) -> dict[str, Any] | None:
    """Return the card of an error in a notebook file; None where there is none that can be read.

    Examples
    --------
    >>> read_error_view({"title": "Busy", "text": "Wait.", "actions": ["retry", "format"]})
    {'title': 'Busy', 'text': 'Wait.', 'hint': '', 'actions': ['retry']}
    """
    if not isinstance(data, dict) or not isinstance(data.get("title"), str):
        return None
    actions = data.get("actions")
    return {
        **{key: single_line(str(data.get(key) or ""), 600) for key in ("title", "text", "hint")},
        "actions": [name for name in ACTIONS if isinstance(actions, list) and name in actions],
    }
