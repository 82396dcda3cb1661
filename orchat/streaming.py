"""Chunks of a streamed reply: `StreamingChunk` and its parts. `orchat.message_assembly` assembles them to a message."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from orchat.errors import ConfigurationError
from orchat.messages import ReasoningContent, ToolCallResult

FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "tool_call_results"]


@dataclass
class ComponentInfo:
    """The component that made a chunk: the import path of its class, and its name where it has one.

    Examples
    --------
    >>> ComponentInfo("orchat.openrouter.generator.OpenRouterChatGenerator").to_dict()["name"]
    """

    type: str
    name: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"type": self.type, "name": self.name}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ComponentInfo:
        """Read `to_dict`'s form."""
        return cls(**data)


@dataclass
class ToolCallDelta:
    """A fragment of a tool call.

    Parameters
    ----------
    index
        The number of its call in the reply.
    tool_name
        In the first fragment only.
    arguments
        A fragment of the arguments' JSON text.
    id
        In the first fragment only.
    extra
        Any addition of a provider.

    Examples
    --------
    >>> ToolCallDelta(0, arguments='{"port": ').to_dict()["arguments"]
    '{"port": '
    """

    index: int
    tool_name: str | None = None
    arguments: str | None = None
    id: str | None = None
    extra: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "index": self.index,
            "tool_name": self.tool_name,
            "arguments": self.arguments,
            "id": self.id,
            "extra": self.extra,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ToolCallDelta:
        """Read `to_dict`'s form."""
        return cls(**data)


@dataclass
class StreamingChunk:
    """A piece of a streamed reply: text, reasoning, fragments of tool calls or a tool's result, one of these only.

    Parameters
    ----------
    content
        A piece of text; empty in chunks of another kind.
    meta
        ``model``, ``finish_reason`` (the endpoint's word), ``received_at`` (ISO, UTC), ``usage`` and everything else
        that the endpoint said at the top of the event, as JSON data.
    component_info
        The component that made it.
    index
        The number of the block (run of reasoning, run of text, tool call) that it belongs to.
    tool_calls, tool_call_result, reasoning
        Its content other than text.
    start
        Whether the block begins here.
    finish_reason
        In the last piece: why the reply ended.

    Raises
    ------
    ConfigurationError
        It carries two kinds of content, or a block without an index (a ValueError).

    Examples
    --------
    >>> StreamingChunk("The ", index=0, start=True).to_dict()["start"]
    True
    """

    content: str
    meta: dict[str, Any] = field(default_factory=dict)
    component_info: ComponentInfo | None = None
    index: int | None = None
    tool_calls: list[ToolCallDelta] | None = None
    tool_call_result: ToolCallResult | None = None
    start: bool = False
    finish_reason: FinishReason | None = None
    reasoning: ReasoningContent | None = None

    def __post_init__(self) -> None:
        block = self.tool_calls or self.tool_call_result or self.reasoning
        if sum(map(bool, (self.content, self.tool_calls, self.tool_call_result, self.reasoning))) > 1:
            raise ConfigurationError("A chunk carries only one of content, tool_calls, tool_call_result and reasoning.")
        if block and self.index is None:
            raise ConfigurationError("A chunk with tool_calls, tool_call_result or reasoning needs an index.")

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "content": self.content,
            "meta": self.meta,
            "component_info": self.component_info.to_dict() if self.component_info else None,
            "index": self.index,
            "tool_calls": [call.to_dict() for call in self.tool_calls] if self.tool_calls else None,
            "tool_call_result": self.tool_call_result.to_dict() if self.tool_call_result else None,
            "start": self.start,
            "finish_reason": self.finish_reason,
            "reasoning": self.reasoning.to_dict() if self.reasoning else None,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> StreamingChunk:
        """Read `to_dict`'s form; only ``content`` is needed.

        Raises
        ------
        ConfigurationError
            ``content`` is missing (a ValueError).
        """
        if "content" not in data:
            raise ConfigurationError(f"A chunk needs `content`; this one has {', '.join(data) or 'nothing'}.")
        info, result, reasoning = (data.get(key) for key in ("component_info", "tool_call_result", "reasoning"))
        return cls(
            content=data["content"],
            meta=data.get("meta") or {},
            component_info=ComponentInfo.from_dict(info) if info else None,
            index=data.get("index"),
            tool_calls=[ToolCallDelta.from_dict(call) for call in data.get("tool_calls") or ()] or None,
            tool_call_result=ToolCallResult.from_dict(result) if result else None,
            start=data.get("start", False),
            finish_reason=data.get("finish_reason"),
            reasoning=ReasoningContent.from_dict(reasoning) if reasoning else None,
        )


StreamingCallback = Callable[[StreamingChunk], None] | Callable[[StreamingChunk], Awaitable[None]]


def print_streaming_chunk(chunk: StreamingChunk) -> None:
    """Print a chunk as it arrives; a streaming callback for a terminal or a plain cell.

    Examples
    --------
    >>> print_streaming_chunk(StreamingChunk("Hello", index=0, start=True))
    [ASSISTANT]
    Hello
    """
    print("".join(_printed_text(chunk)), end="", flush=True)  # noqa: T201 - printing is what it is for


def _printed_text(chunk: StreamingChunk) -> Iterator[str]:
    if chunk.start and chunk.index:
        yield "\n\n"
    for number, call in enumerate(chunk.tool_calls or ()):
        if chunk.start and call.tool_name:
            yield ("\n\n" if number else "") + f"[TOOL CALL]\nTool: {call.tool_name} \nArguments: "
        yield call.arguments or ""
    if chunk.tool_call_result:
        yield f"[TOOL RESULT]\n{chunk.tool_call_result.result}"
    if chunk.content:
        yield ("[ASSISTANT]\n" if chunk.start else "") + chunk.content
    if chunk.reasoning:
        yield ("[REASONING]\n" if chunk.start else "") + chunk.reasoning.reasoning_text
    if chunk.finish_reason:
        yield "\n\n"
