"""Whole replies: the JSON that comes without streaming, and the stream that says the same."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from tests.openrouter_server.events import (
    ABSENT,
    annotation,
    event,
    finish,
    fragment,
    frame,
    given,
    image,
    reasoning,
    reasoning_signature,
    usage_object,
)
from tests.openrouter_server.sse import Item, comment, done


def call(name: str, arguments: Any = "", *, id: str = "call_1") -> dict[str, Any]:  # noqa: A002 - the field's own name
    """A complete tool call; arguments that are no str are written as JSON."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    return {"id": id, "type": "function", "function": {"name": name, "arguments": text}}


def completion(
    content: str | None = "The Humber.",
    *,
    finish_reason: str | None = "stop",
    native_finish_reason: str | None = ABSENT,
    reasoning: str | None = ABSENT,
    reasoning_details: list[Any] = ABSENT,
    tool_calls: Sequence[Any] = ABSENT,
    images: list[Any] = ABSENT,
    annotations: list[Any] = ABSENT,
    audio: dict[str, Any] = ABSENT,
    refusal: str | None = None,
    logprobs: Any = None,
    error: dict[str, Any] = ABSENT,
    usage: dict[str, Any] | None = ABSENT,
    **fields: Any,
) -> dict[str, Any]:
    """A ``chat.completion`` as it comes without streaming; ``error`` is the choice's own, ``fields`` the body's."""
    message = {"role": "assistant", "content": content, "refusal": refusal}
    message |= given(
        reasoning=reasoning,
        reasoning_details=reasoning_details,
        tool_calls=tool_calls,
        images=images,
        annotations=annotations,
        audio=audio,
    )
    native = finish_reason if native_finish_reason is ABSENT else native_finish_reason
    choice = {"index": 0, "logprobs": logprobs, "finish_reason": finish_reason, "native_finish_reason": native}
    choice |= {"message": message} | given(error=error)
    spent = usage_object() if usage is ABSENT else usage
    return frame("chat.completion", [choice], {"system_fingerprint": None, "usage": spent} | fields)


def words(text: str) -> list[str]:
    """Cut a text the way tokens come: each word with the space before it.

    Examples
    --------
    >>> words("Name a river. ")
    ['Name', ' a', ' river.', ' ']
    """
    return re.findall(r"\s*\S+|\s+$", text)


def events_of(
    content: str | None,
    *,
    reasoning_text: str = "",
    signature: str | None = None,
    tool_calls: Sequence[dict[str, Any]] = (),
    images: Sequence[str] = (),
    annotations: Sequence[dict[str, Any]] = (),
    finish_reason: str | None = "stop",
    spent: dict[str, Any] | None = None,
    **fields: Any,
) -> list[Item]:
    """Stream a whole reply: comment, reasoning, annotations, text, images, tool calls, finish reason, usage, end."""
    items: list[Item] = [comment()]
    items += [reasoning(piece, **fields) for piece in words(reasoning_text)]
    if signature is not None:
        items.append(reasoning_signature(signature, **fields))
    items += [annotation(item, **fields) for item in annotations]
    items += [event(piece, **fields) for piece in words(content or "")]
    items += [image(url, index=index, **fields) for index, url in enumerate(images)]
    for index, whole in enumerate(tool_calls):
        function = whole["function"]
        fragments = [fragment(function["name"], "", id=whole["id"], index=index)]
        pieces = re.findall(r"(?s).{1,8}", function["arguments"])
        fragments += [fragment(arguments=piece, index=index) for piece in pieces]
        items += [event(None, tool_calls=[item], **fields) for item in fragments]
    items.append(finish(finish_reason, **fields))
    items.append(finish(finish_reason, **({"usage": spent or usage_object()} | fields)))
    return [*items, done()]
