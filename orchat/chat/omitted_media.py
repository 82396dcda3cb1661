"""Leave inline media out of a conversation that has too little room: a text takes the place of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from orchat.messages import (
    AudioContent,
    ChatMessage,
    FileContent,
    ImageContent,
    TextContent,
    ToolCallResult,
    VideoContent,
)
from orchat.messages.parts import Part

INLINE_MEDIA = ("base64_image", "base64_data", "base64_audio", "base64_video")
_WORDS = {"image": "an image", "file": "a file", "audio": "a sound", "video": "a video"}
_KINDS = {ImageContent: "image", FileContent: "file", AudioContent: "audio", VideoContent: "video"}


def omit_oldest_media(messages: Sequence[ChatMessage], max_bytes: int) -> tuple[list[ChatMessage], int]:
    """Return messages without the oldest inline media, until the media alone take at most so many bytes.

    Messages are not modified: one that loses something is replaced by another. Nothing is encoded here, so this takes
    next to no time.

    Returns
    -------
    messages, count
        The messages, and the number of media that were left out.

    Examples
    --------
    >>> pictures = [ImageContent("iVBORw0KGgo=", "image/png"), ImageContent("iVBORw0KGgo=", "image/png")]
    >>> messages, count = omit_oldest_media([ChatMessage.from_user(content_parts=[part]) for part in pictures], 20)
    >>> messages[0].text, messages[1].images == pictures[1:], count
    ('[an image was left out to save space]', True, 1)
    """
    sizes = [inline_media_size(message) for message in messages]
    total = sum(sizes)
    kept, count = list(messages), 0
    for at, message in enumerate(messages):
        if total <= max_bytes:
            break
        if sizes[at]:
            total -= sizes[at]
            count += sum(_inline_size(part) > 0 for part in _parts_of(message.parts))
            kept[at] = replace(message, _content=[_without_media(part) for part in message.parts])
    return kept, count


def replace_media(parts: list[Any]) -> int:
    """Replace the inline media in a message's data, inside tool results too, and return their number."""
    count = 0
    for at, part in enumerate(parts):
        if isinstance(part, dict) and isinstance(result := part.get("tool_call_result"), dict):
            count += replace_media(result["result"]) if isinstance(result["result"], list) else 0
            continue
        for kind in _WORDS:
            inline = part.get(kind) if isinstance(part, dict) else None
            if isinstance(inline, dict) and any(inline.get(name) for name in INLINE_MEDIA):
                parts[at] = {"text": _note(kind)}
                count += 1
    return count


def inline_media_size(message: ChatMessage) -> int:
    """Return how many characters the inline media of a message take.

    Examples
    --------
    >>> inline_media_size(ChatMessage.from_user(content_parts=["Look.", ImageContent("iVBORw0KGgo=", "image/png")]))
    12
    """
    return sum(map(_inline_size, _parts_of(message.parts)))


def _parts_of(parts: Sequence[Part]) -> Iterator[Any]:
    for part in parts:
        if isinstance(part, ToolCallResult):
            yield from part.result if isinstance(part.result, list | tuple) else ()
        else:
            yield part


def _inline_size(part: Any) -> int:
    return sum(len(getattr(part, name, None) or "") for name in INLINE_MEDIA) if type(part) in _KINDS else 0


def _without_media(part: Any) -> Any:
    if isinstance(part, ToolCallResult) and isinstance(part.result, list | tuple):
        return replace(part, result=[_without_media(each) for each in part.result])
    return TextContent(_note(_KINDS[type(part)])) if _inline_size(part) else part


def _note(kind: str) -> str:
    return f"[{_WORDS[kind]} was left out to save space]"
