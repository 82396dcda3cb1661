"""Export a conversation as Markdown for people to read. Pure; a model's text stays Markdown, tool output is fenced."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

from orchat.messages import ChatMessage, ChatRole, TextContent, ToolCall, ToolCallResult
from orchat.messages.parts import Part

_SPEAKERS = {ChatRole.SYSTEM: "System", ChatRole.USER: "You", ChatRole.ASSISTANT: "Model", ChatRole.TOOL: "Tool"}


def as_markdown(messages: Iterable[ChatMessage], title: str | None = None) -> str:
    """Convert messages to one Markdown document.

    Examples
    --------
    >>> print(as_markdown([ChatMessage.from_user("Name a river."), ChatMessage.from_assistant("The Humber.")]), end="")
    **You**
    <BLANKLINE>
    Name a river.
    <BLANKLINE>
    **Model**
    <BLANKLINE>
    The Humber.
    """
    blocks = [f"# {title}"] if title else []
    for message in messages:
        blocks += [f"**{_speaker(message)}**", *_blocks(message)]
    return "\n\n".join(blocks) + "\n"


def _speaker(message: ChatMessage) -> str:
    facts = [_SPEAKERS[message.role]]
    if message.is_from(ChatRole.ASSISTANT) and isinstance(model := message.meta.get("model"), str):
        facts.append(f"`{model}`")
    if isinstance(ending := message.meta.get("ending"), str):
        facts.append(f"({ending})")
    return " ".join(facts)


def _blocks(message: ChatMessage) -> Iterator[str]:
    for part in message.parts:
        if isinstance(part, ToolCall):
            arguments = part.malformed_arguments or json.dumps(part.arguments, ensure_ascii=False, indent=2)
            yield f"Calls `{part.tool_name}`:"
            yield _fenced(arguments, "json")
        elif isinstance(part, ToolCallResult):
            yield f"`{part.origin.tool_name}` {'failed' if part.error else 'answered'}:"
            inner: Iterable[Part] = [TextContent(part.result)] if isinstance(part.result, str) else part.result
            for each in inner:
                yield _fenced(each.text) if isinstance(each, TextContent) else _media(each)
        elif isinstance(part, TextContent):
            yield part.text
        elif (thought := getattr(part, "reasoning_text", None)) is not None:
            yield "\n".join(f"> {line}".rstrip() for line in thought.splitlines())
        else:
            yield _media(part)


def _media(part: Part) -> str:
    kind = type(part).__name__.removesuffix("Content").lower()
    address = getattr(part, "url", None)
    return f"[{kind}]({address})" if address and not re.search(r"[\s()<>]", address) else f"*[{kind}]*"


def _fenced(text: str, language: str = "") -> str:
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"
