"""Build the body of a chat completions request (API section 2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from orchat.messages import ChatMessage
from orchat.messages.openai_format import says_nothing
from orchat.openrouter.wire.structured import strict_schema
from orchat.tools import Tool


def chat_body(
    *,
    model: str,
    messages: Iterable[ChatMessage],
    tools: Sequence[Tool],
    tools_strict: bool,
    response_format: Mapping[str, Any] | None,
    stream: bool,
    n: int,
    generation_kwargs: Mapping[str, Any],
    server_tools: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Build the body of ``POST /chat/completions``; every generation kwarg is included unchanged, and takes precedence.

    Server tools, which OpenRouter runs itself, stand behind all others.

    Examples
    --------
    >>> body = chat_body(model="vendor/m", messages=[ChatMessage.from_user("Hi")], tools=[], tools_strict=False,
    ...                  response_format=None, stream=False, n=1, generation_kwargs={"seed": 7})
    >>> list(body)
    ['model', 'messages', 'n', 'stream', 'seed']
    """
    conversation = list(messages)
    # Several providers refuse blanks, and with them the whole request.
    told = [message for message in conversation if not says_nothing(message)] or conversation
    body: dict[str, Any] = {
        "model": model,
        "messages": [message.to_openai_dict_format() for message in told],
        "n": n,
        "stream": stream,
    }
    if tools:
        body["tools"] = [tool_to_wire(tool, strict=tools_strict) for tool in tools]
    if response_format is not None:
        body["response_format"] = response_format
    body |= generation_kwargs
    if server_tools:
        body["tools"] = [*(body.get("tools") or ()), *server_tools]
    return body


def tool_to_wire(tool: Tool, *, strict: bool) -> dict[str, Any]:
    """Convert a tool to its wire form, with a strict schema at every level if ``strict``; the Tool is not modified."""
    spec = dict(tool.tool_spec)
    if strict:
        spec = {**spec, "strict": True, "parameters": strict_schema(spec["parameters"])}
    return {"type": "function", "function": spec}
