"""About how many bytes messages take when they are saved: a fast first look, before anything is encoded."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from orchat.chat.omitted_media import inline_media_size
from orchat.messages import ChatMessage, ChatRole, TextContent, ToolCallResult

if TYPE_CHECKING:
    from orchat.chat.state import ChatState

DETAILS = "details"
"""The meta with what a tool printed: for people, no model is told."""

MAX_DETAILS = 4_000
"""Characters of the end of these details that are saved."""

_MESSAGE_OVERHEAD = 300  # bytes, about, that a message takes beside its words


def newest_turns(messages: list[ChatMessage], bytes_left: int) -> tuple[list[ChatMessage], int]:
    """Return the newest turns that can fit, and how many are dropped: a fast first cut for long chats.

    Examples
    --------
    >>> turns = [ChatMessage.from_user("Hi"), ChatMessage.from_assistant("Hello."), ChatMessage.from_user("And now?")]
    >>> [message.text for message in newest_turns(turns, 400)[0]], newest_turns(turns, 10_000)[1]
    (['And now?'], 0)
    """
    system = messages[:1] if messages and messages[0].is_from(ChatRole.SYSTEM) else []
    first = len(messages)
    for at in reversed(range(len(system), len(messages))):
        bytes_left -= estimated_size(messages[at])
        if bytes_left < 0 and first < len(messages):
            break
        if messages[at].is_from(ChatRole.USER):
            first = at
    dropped = [message.role for message in messages[:first]].count(ChatRole.USER)
    return ([*system, *messages[first:]], dropped) if dropped else (messages, 0)


def fits(saved: ChatState, bytes_left: int) -> bool:
    """Whether all of a chat has room, about."""
    hidden = (message for turn in saved.versions for message in turn.messages)
    messages = chain(saved.messages, hidden)
    return sum(estimated_size(message) + inline_media_size(message) for message in messages) <= bytes_left


def estimated_size(message: ChatMessage) -> int:
    """Return about how many bytes a message takes, without its media."""
    size = _MESSAGE_OVERHEAD
    if (details := message.meta.get(DETAILS)) is not None:
        size += min(len(str(details)), MAX_DETAILS)
    for part in message.parts:
        if isinstance(part, TextContent):
            size += len(part.text)
        elif isinstance(part, ToolCallResult):
            size += len(part.result) if isinstance(part.result, str) else _MESSAGE_OVERHEAD
    return size
