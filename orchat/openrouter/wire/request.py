"""Build the body of a chat completions request (API section 2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from orchat.messages import ChatMessage
from orchat.messages.openai_format import says_nothing
from orchat.openrouter.wire.strict_schema import NotStrictError, StrictDialect, strict_dialect, strict_schema
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
    body: dict[str, Any] = {
        "model": model,
        "messages": messages_to_wire(messages),
        "n": n,
        "stream": stream,
    }
    if tools:
        dialect = strict_dialect(str(generation_kwargs.get("model", model))) if tools_strict else None
        body["tools"] = [tool_to_wire(tool, strict=dialect) for tool in tools]
    if response_format is not None:
        body["response_format"] = response_format
    body |= generation_kwargs
    if server_tools:
        body["tools"] = [*(body.get("tools") or ()), *server_tools]
    return body


def messages_to_wire(messages: Iterable[ChatMessage]) -> list[dict[str, Any]]:
    """Convert messages to their wire form, without blank ones: several providers refuse the whole request for one.

    Examples
    --------
    >>> messages_to_wire([ChatMessage.from_user("Hi"), ChatMessage.from_assistant("")])
    [{'role': 'user', 'content': 'Hi'}]
    """
    conversation = list(messages)
    told = [message for message in conversation if not says_nothing(message)] or conversation
    return [message.to_openai_dict_format() for message in told]


def tool_to_wire(tool: Tool, *, strict: StrictDialect | None = None) -> dict[str, Any]:
    """Convert a tool to its wire form, with a strict schema where ``strict`` can hold it; the Tool is not modified."""
    spec = dict(tool.tool_spec)
    if strict is not None:
        with suppress(NotStrictError):
            spec = {**spec, "strict": True, "parameters": strict_schema(spec["parameters"], strict)}
    return {"type": "function", "function": spec}


def strictly_sent(tools: Sequence[Tool], body: Mapping[str, Any]) -> tuple[dict[str, Tool], tuple[str, ...]]:
    """Return the tools that a body of strict tools holds as such, by name, and notes about the others for people.

    Examples
    --------
    >>> free = Tool("log", "Log.", {"properties": {"entry": {"type": "object"}}}, print)
    >>> strictly_sent([free], {"tools": [tool_to_wire(free, strict=strict_dialect("vendor/m"))]})
    ({}, ('The tool `log` was not sent as strict: `entry` is an object of anything. Its arguments are checked here.',))
    """
    strict = {each["function"]["name"] for each in body.get("tools", ()) if each.get("function", {}).get("strict")}
    dialect, notes = strict_dialect(str(body.get("model", ""))), []
    for tool in tools:
        if tool.name in strict:
            continue
        try:
            strict_schema(tool.parameters, dialect)
        except NotStrictError as error:
            notes.append(f"The tool `{tool.name}` was not sent as strict: {error}. Its arguments are checked here.")
    return {tool.name: tool for tool in tools if tool.name in strict}, tuple(notes)
