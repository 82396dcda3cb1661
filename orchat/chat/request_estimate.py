"""Estimate an upper bound of a request's tokens and cost, before it is sent. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from math import ceil
from typing import Any, TypeAlias

from orchat.messages import (
    AudioContent,
    ChatMessage,
    ImageContent,
    ReasoningContent,
    TextContent,
    ToolCall,
    ToolCallResult,
)
from orchat.openrouter.prices import RequestSize
from orchat.tools import Tool

Price: TypeAlias = Callable[[str, RequestSize], Decimal | None]
"""Model and size of a request -> USD, or None where the price is not known."""

# Where no cap is sent, an answer is taken to be this long: longer than nearly all.
_COMPLETION_TOKENS = 4096
# An image or a file costs about as much as a page or two.
_MEDIA_TOKENS = 1500
# A sound costs up to 32 tokens a second, and has at least so many bytes in one: packed, and as bare samples.
_AUDIO_TOKENS_PER_SECOND = 32
_PACKED_BYTES, _SAMPLE_BYTES = 2_000, 16_000
_SAMPLES = frozenset({"wav", "aiff", "pcm16", "pcm24"})
# How often a model may search the web where nothing limits it.
_SEARCHES = 5


def estimate_request(
    price: Price | None,
    model: str,
    messages: Iterable[ChatMessage],
    tools: Sequence[Tool] = (),
    generation_kwargs: Mapping[str, Any] | None = None,
) -> Decimal | None:
    """Estimate an upper bound of a request's cost in USD; None where the price is unknown.

    Of several models that may answer (``models``), the dearest counts.

    Examples
    --------
    >>> per_token = lambda model, size: Decimal(size.prompt_tokens + size.completion_tokens) / 1_000_000
    >>> estimate_request(per_token, "vendor/m", [ChatMessage.from_user("Hi")], generation_kwargs={"max_tokens": 95})
    Decimal('0.0001')
    """
    if price is None:
        return None
    kwargs = generation_kwargs or {}
    size = estimate_size(messages, tools, kwargs, searches=int(":online" in model))
    fallbacks = kwargs.get("models")
    names = [model, *(name for name in fallbacks if isinstance(name, str))] if isinstance(fallbacks, list) else [model]
    prices = [price(name, size) for name in dict.fromkeys(names)]
    known = [each for each in prices if each is not None]
    return max(known) if len(known) == len(prices) else None


def estimate_size(
    messages: Iterable[ChatMessage],
    tools: Sequence[Tool] = (),
    generation_kwargs: Mapping[str, Any] | None = None,
    *,
    searches: int = 0,
) -> RequestSize:
    """Estimate an upper bound of what a request and its answer hold.

    Many endpoints write each prompt to a cache unasked: that is taken to happen.

    Examples
    --------
    >>> estimate_size([ChatMessage.from_user("Is it high tide?")], generation_kwargs={"max_tokens": 10}).prompt_tokens
    8
    """
    kwargs = generation_kwargs or {}
    sent = list(messages)
    caps = [kwargs.get(name) for name in ("max_tokens", "max_completion_tokens")]
    parts = [part for message in sent for part in _parts(message)]
    images = sum(isinstance(part, ImageContent) for part in parts)
    marks = [kwargs.get("cache_control"), *(getattr(part, "cache_control", None) for part in parts)]
    for_an_hour = any(isinstance(mark, Mapping) and mark.get("ttl") == "1h" for mark in marks)
    return RequestSize(
        sum(map(estimate_message_tokens, sent)) + sum(_tokens(str(tool.tool_spec)) for tool in tools),
        max((cap for cap in caps if isinstance(cap, int)), default=_COMPLETION_TOKENS),
        audio_tokens=sum(_part_tokens(part) for part in parts if isinstance(part, AudioContent)),
        image_tokens=images * _MEDIA_TOKENS,
        images=images,
        cache_write="1h" if for_an_hour else "5m",
        searches=searches + _count_searches(kwargs),
    )


def estimate_message_tokens(message: ChatMessage) -> int:
    """Estimate an upper bound of a message's tokens.

    Examples
    --------
    >>> estimate_message_tokens(ChatMessage.from_user("Is it high tide?"))
    8
    """
    return 4 + sum(map(_part_tokens, _parts(message)))  # 4 for what frames it


def _parts(message: ChatMessage) -> Iterator[Any]:
    """Yield a message's parts; those of a tool's result in its place."""
    for part in message.parts:
        if isinstance(part, ToolCallResult) and not isinstance(part.result, str):
            yield from part.result
        else:
            yield part


def _part_tokens(part: Any) -> int:
    if isinstance(part, TextContent):
        return _tokens(part.text)
    if isinstance(part, ToolCall):
        return _tokens(f"{part.tool_name}{part.arguments}")
    if isinstance(part, ToolCallResult):
        return _tokens(str(part.result))
    if isinstance(part, AudioContent):
        per_second = _SAMPLE_BYTES if part.format in _SAMPLES else _PACKED_BYTES
        seconds = len(part.base64_audio or "") * 3 / 4 / per_second
        return max(_MEDIA_TOKENS, ceil(seconds * _AUDIO_TOKENS_PER_SECOND))
    if isinstance(part, ReasoningContent):
        return _tokens(part.reasoning_text)
    return _MEDIA_TOKENS


def _tokens(text: str) -> int:
    """Estimate an upper bound: four ASCII characters to a token, one of any other."""
    plain = sum(map(str.isascii, text))
    return ceil(plain / 4) + len(text) - plain


def _count_searches(kwargs: Mapping[str, Any]) -> int:
    """Estimate how often the web may be searched: by a plugin or option once, by a server tool as often as it says."""
    plugins, own, server = (kwargs.get(name) for name in ("plugins", "tools", "server_tools"))
    found = int(kwargs.get("web_search_options") is not None)
    found += sum(int(each.get("id") == "web") for each in _objects(plugins))
    for each in (*_objects(own), *_objects(server)):
        if "web_search" in str(each.get("type")):
            limits = each.get("parameters")
            most = limits.get("max_uses") if isinstance(limits, Mapping) else None
            found += most if isinstance(most, int) else _SEARCHES
    return found


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list | tuple) else []
