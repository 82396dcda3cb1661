"""Assemble the request of a chat completion from a generator's settings and a call's arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from orchat.errors import ConfigurationError, MissingKeyError
from orchat.messages import ChatMessage
from orchat.openrouter.client_options import DEFAULT_RETRIES, chosen_retries
from orchat.openrouter.completion_exchange import RequestPlan
from orchat.openrouter.dialect import DEFAULT_BASE_URL, canonical_json, dialect_of, is_loopback
from orchat.openrouter.response_limits import ResponseLimits
from orchat.openrouter.wire.request import chat_body, strictly_sent
from orchat.openrouter.wire.strict_schema import strict_dialect
from orchat.openrouter.wire.structured import read_response_format
from orchat.secret import Secret
from orchat.streaming import ComponentInfo
from orchat.tools import Tool, Toolset
from orchat.tools.toolset import flatten

Messages = str | Sequence[ChatMessage]
Tools = Sequence[Tool | Toolset] | Toolset
OnRetry = Callable[[str], object]

GENERATOR_TYPE = "orchat.openrouter.generator.OpenRouterChatGenerator"
"""The name of the class whose requests these are, in chunks and dictionaries."""

_COMPONENT = ComponentInfo(GENERATOR_TYPE)


class RequestSettings(Protocol):
    """What is the same for all requests of a generator; a call's arguments are laid over it."""

    api_key: Secret | None
    model: str
    api_base_url: str | None
    generation_kwargs: dict[str, Any]
    tools: Tools | None
    tools_strict: bool
    extra_headers: dict[str, Any] | None
    max_retries: int | None
    limits: ResponseLimits


def plan_request(
    settings: RequestSettings,
    messages: Messages,
    generation_kwargs: Mapping[str, Any] | None,
    tools: Tools | None,
    tools_strict: bool | None,
    on_retry: OnRetry | None,
    *,
    stream: bool,
) -> RequestPlan | None:
    """Assemble a request; None without messages.

    Raises
    ------
    ConfigurationError, TypeError
        The request makes no sense.
    MissingKeyError
        No key is set (a ValueError).
    """
    from orchat.openrouter.transport import PreparedRequest, check_base_url, merge_headers

    conversation = _to_messages(messages)
    key = resolve_key(settings.api_key)
    if not conversation:
        return None
    kwargs = {**settings.generation_kwargs, **(generation_kwargs or {})}
    n = kwargs.pop("n", None)
    if stream and (n or 1) > 1:
        raise ConfigurationError("Cannot stream multiple responses.", hint="Leave n out, or do not stream.")
    model = str(kwargs.get("model", settings.model))
    output = read_response_format(kwargs.pop("response_format", None), strict_dialect(model))
    given_headers = kwargs.pop("extra_headers", None)
    server_tools = kwargs.pop("server_tools", ())
    base_url = check_base_url(settings.api_base_url or DEFAULT_BASE_URL)
    dialect = dialect_of(base_url, model)
    sent_tools = [tool for tool in flatten(settings.tools if tools is None else tools) if not tool.is_deferred]
    is_strict = settings.tools_strict if tools_strict is None else tools_strict
    body = chat_body(
        model=settings.model,
        messages=conversation,
        tools=sent_tools,
        tools_strict=is_strict,
        response_format=output.wire if output else None,
        stream=stream,
        n=1 if n is None else n,
        generation_kwargs=kwargs,
        server_tools=server_tools,
    )
    strict_tools, notes = strictly_sent(sent_tools, body) if is_strict else ({}, ())
    body, rewrite = dialect.prepare(body)
    retries = chosen_retries(settings.max_retries)
    accept = {"Accept": "text/event-stream, application/json" if body.get("stream") else "application/json"}
    request = PreparedRequest(
        url=f"{base_url}/chat/completions",
        content=canonical_json(body),
        headers=merge_headers(accept, dialect.headers, settings.extra_headers, given_headers),
        key=key,
        max_retries=DEFAULT_RETRIES if retries is None else retries,
        gives_up_early=retries is None and is_loopback(base_url),
        on_retry=on_retry,
        limits=settings.limits,
    )
    return RequestPlan(
        request,
        model,
        base_url,
        output,
        rewrite,
        dialect,
        is_streamed=bool(body.get("stream")),
        requests_usage="stream_options" in body and "stream_options" not in kwargs,
        component_info=_COMPONENT,
        strict_tools=strict_tools,
        notes=(*notes, output.note) if output and output.note else notes,
    )


def resolve_key(api_key: Secret | None) -> str | None:
    """Return the key that is sent; None where none is.

    Raises
    ------
    MissingKeyError
        It is not set, or empty (a ValueError).
    """
    from orchat.openrouter.transport import header_value

    key = None if api_key is None else header_value("the API key", api_key)
    if key == "":
        raise MissingKeyError(f"The API key is empty: {api_key!r}.", hint="Set it, or give api_key=None.")
    return key


def _to_messages(messages: Any) -> list[ChatMessage]:
    if isinstance(messages, str):
        return [ChatMessage.from_user(messages)]
    if not isinstance(messages, list | tuple):
        raise TypeError(f"messages must be a str or a list of ChatMessages, not {type(messages).__name__}.")
    return [ChatMessage.adopt(message) for message in messages]
