"""What a person typed as a question, where values of variables went out in the place of placeholders.

The message holds what was sent. Its meta keeps the typed text and the names of the values, so that the panel shows a
short question, and *Edit* begins with it. Both may come from a notebook file: a text that does not fit the message is
not believed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orchat.jupyter.kernel.output.untrusted_text import single_line
from orchat.messages import ChatMessage, TextContent
from orchat.prompt_language.interpolation import Prompt
from orchat.prompt_language.placeholder_parser import find_placeholders

TYPED, VALUES = "typed", "values"
_MAX_VALUES = 20


def typed_meta(text: str, prompt: Prompt) -> dict[str, Any]:
    """Return the meta of a message whose placeholders were replaced; empty where none was.

    Examples
    --------
    >>> from orchat.prompt_language.interpolation import interpolate
    >>> typed_meta("Greet {name}.", interpolate("Greet {name}.", {"name": "Ada"}))
    {'typed': 'Greet {name}.', 'values': ['name (text, 1 token)']}
    """
    return {TYPED: text, VALUES: [str(value) for value in prompt.sent]} if prompt.sent else {}


def typed_text(question: ChatMessage, texts: Sequence[TextContent]) -> str | None:
    """Return the text that was typed; None where all of it is in the message, or the message is about something else.

    Parameters
    ----------
    question
        A user's message.
    texts
        Its texts that are no attached files.

    Examples
    --------
    >>> def asked(typed):
    ...     message = ChatMessage.from_user("Greet Ada.", {"typed": typed, "values": ["name (text)"]})
    ...     return typed_text(message, message.parts)
    >>> asked("Greet {name}."), asked("Forget {name}.")
    ('Greet {name}.', None)
    """
    typed = question.meta.get(TYPED)
    if not isinstance(typed, str) or not sent_values(question):
        return None
    sent, at, start = "".join(part.text for part in texts), 0, 0
    for placeholder in [*find_placeholders(typed), None]:
        literal = typed[start : None if placeholder is None else placeholder.start]
        if (found := sent.find(literal, at)) < 0:
            return None
        at, start = found + len(literal), 0 if placeholder is None else placeholder.end
    return typed


def sent_values(question: ChatMessage) -> list[str]:
    """Return the names of the values in a message, for people.

    Examples
    --------
    >>> sent_values(ChatMessage.from_user("Greet Ada.", {"values": ["name (text)", 7]}))
    ['name (text)']
    """
    values = question.meta.get(VALUES)
    given = values[:_MAX_VALUES] if isinstance(values, list) else []
    return [single_line(value, 120) for value in given if isinstance(value, str)]
