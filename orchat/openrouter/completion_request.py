"""`RequestTemplate`: the request of a chat completion, of a generator's settings and a call's arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from orchat.errors import ConfigurationError, MissingKeyError
from orchat.messages import ChatMessage
from orchat.openrouter.client_options import DEFAULT_RETRIES, chosen_retries
from orchat.openrouter.completion_exchange import RequestPlan
from orchat.openrouter.dialect import DEFAULT_BASE_URL, DEFAULT_MODEL, dialect_of, is_loopback
from orchat.openrouter.response_limits import ResponseLimits
from orchat.openrouter.wire.canonical_json import canonical_json, plain_scalar
from orchat.openrouter.wire.request import chat_body, messages_to_wire, strictly_sent
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


class RequestTemplate:
    """All of a request but its messages, for requests that differ in nothing else.

    Parameters
    ----------
    settings
        Those of a generator, as they are now; only its key is looked up anew for each request.
    generation_kwargs
        Laid over those of the settings.
    tools
        In the place of those of the settings, unless None.
    tools_strict
        In the place of that of the settings, unless None.
    on_retry
        Called with a text before the wait for each retry.
    stream
        Whether the replies are streamed.

    Raises
    ------
    ConfigurationError, TypeError
        The request makes no sense.

    Examples
    --------
    >>> from orchat.openrouter.generator import OpenRouterChatGenerator
    >>> generator = OpenRouterChatGenerator(model="vendor/m", api_key=None)
    >>> template = RequestTemplate(generator, {"seed": 7}, None, None, None, stream=False)
    >>> template.plan("Hi").request.content
    b'{"model":"vendor/m","messages":[{"role":"user","content":"Hi"}],"n":1,"stream":false,"seed":7}'
    """

    def __init__(
        self,
        settings: RequestSettings,
        generation_kwargs: Mapping[str, Any] | None,
        tools: Tools | None,
        tools_strict: bool | None,
        on_retry: OnRetry | None,
        *,
        stream: bool,
    ) -> None:
        from orchat.openrouter.transport import check_base_url, merge_headers

        kwargs = {**read_generation_kwargs(settings.generation_kwargs), **read_generation_kwargs(generation_kwargs)}
        n = kwargs.pop("n", None)
        if stream and (n or 1) > 1:
            raise ConfigurationError("Cannot stream multiple responses.", hint="Leave n out, or do not stream.")
        self._settings = settings
        self._on_retry = on_retry
        model = kwargs.get("model", settings.model)
        if not isinstance(model, str) or not model.strip():
            raise ConfigurationError(f"{model!r:.100} is no model's name.", hint=f"One looks like {DEFAULT_MODEL}.")
        self._model = model
        self._output = read_response_format(kwargs.pop("response_format", None), strict_dialect(self._model))
        given_headers = kwargs.pop("extra_headers", None)
        server_tools = kwargs.pop("server_tools", ())
        self._base_url = check_base_url(settings.api_base_url or DEFAULT_BASE_URL)
        self._dialect = dialect_of(self._base_url, self._model)
        sent_tools = [tool for tool in flatten(settings.tools if tools is None else tools) if not tool.is_deferred]
        is_strict = settings.tools_strict if tools_strict is None else tools_strict
        self._body = chat_body(
            model=settings.model,
            messages=(),
            tools=sent_tools,
            tools_strict=is_strict,
            response_format=self._output.wire if self._output else None,
            stream=stream,
            n=1 if n is None else n,
            generation_kwargs=kwargs,
            server_tools=server_tools,
        )
        self._strict_tools, self._notes = strictly_sent(sent_tools, self._body) if is_strict else ({}, ())
        if self._output and self._output.note:
            self._notes = (*self._notes, self._output.note)
        self._is_streamed = bool(self._body.get("stream"))
        self._gives_usage_options = "stream_options" in kwargs
        accept = {"Accept": "text/event-stream, application/json" if self._is_streamed else "application/json"}
        self._headers = merge_headers(accept, self._dialect.headers, settings.extra_headers, given_headers)
        retries = chosen_retries(settings.max_retries)
        self._max_retries = DEFAULT_RETRIES if retries is None else retries
        self._gives_up_early = retries is None and is_loopback(self._base_url)

    def plan(self, messages: Messages) -> RequestPlan | None:
        """Assemble the request with these messages; None without any.

        Raises
        ------
        TypeError
            The messages are none.
        MissingKeyError
            No key is set (a ValueError).
        """
        from orchat.openrouter.transport import PreparedRequest

        conversation = _to_messages(messages)
        key = resolve_key(self._settings.api_key)
        if not conversation:
            return None
        body = {**self._body, "messages": self._body["messages"] or messages_to_wire(conversation)}  # a kwarg's first
        body, rewrite = self._dialect.prepare(body)
        request = PreparedRequest(
            url=f"{self._base_url}/chat/completions",
            content=canonical_json(body),
            headers=self._headers,
            key=key,
            max_retries=self._max_retries,
            gives_up_early=self._gives_up_early,
            on_retry=self._on_retry,
            limits=self._settings.limits,
        )
        return RequestPlan(
            request,
            self._model,
            self._base_url,
            self._output,
            rewrite,
            self._dialect,
            is_streamed=self._is_streamed,
            requests_usage="stream_options" in body and not self._gives_usage_options,
            component_info=_COMPONENT,
            strict_tools=self._strict_tools,
            notes=self._notes,
        )


def read_generation_kwargs(given: Mapping[str, Any] | None) -> dict[str, Any]:
    """Copy the parameters of a request, NumPy's scalars as plain ones.

    Raises
    ------
    ConfigurationError
        They are no dictionary of names (a ValueError).

    Examples
    --------
    >>> read_generation_kwargs(7)
    Traceback (most recent call last):
    ...
    orchat.errors.ConfigurationError: generation_kwargs=7 makes no sense. Give a dictionary, such as {"temperature": 0}.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
        raise ConfigurationError(
            f"generation_kwargs={given!r:.100} makes no sense.", hint='Give a dictionary, such as {"temperature": 0}.'
        )
    return {name: plain_scalar(value) for name, value in given.items()}


def resolve_key(api_key: Secret | None) -> str | None:
    """Return the key that is sent; None where none is.

    Raises
    ------
    MissingKeyError
        It is not set, or empty (a ValueError).
    """
    from orchat.openrouter.transport import key_value

    key = key_value(api_key)
    if key == "":
        raise MissingKeyError(f"The API key is empty: {api_key!r}.", hint="Set it, or give api_key=None.")
    return key


def _to_messages(messages: Any) -> list[ChatMessage]:
    if isinstance(messages, str):
        return [ChatMessage.from_user(messages)]
    if not isinstance(messages, list | tuple):
        raise TypeError(f"messages must be a str or a list of ChatMessages, not {type(messages).__name__}.")
    return [ChatMessage.adopt(message) for message in messages]
