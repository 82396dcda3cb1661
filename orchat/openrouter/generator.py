"""`OpenRouterChatGenerator`: send messages to a model, and return its replies whole or as a stream of chunks.

The signature, the wire body and the dictionaries are those of the class that Haystack users know. The work is done
elsewhere (`completion_request`, `wire`, `transport`); here requests are sent, once for threads and once for event
loops. Each kind of request is documented where users look for it.
"""

from __future__ import annotations

import inspect
import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from orchat.errors import ConfigurationError
from orchat.messages import ChatMessage
from orchat.openrouter.client_options import (
    chosen_retries,
    default_timeout,
)
from orchat.openrouter.completion_exchange import (
    AsyncChunkStream,
    ChunkStream,
    RequestPlan,
    read_whole,
    read_whole_async,
)
from orchat.openrouter.completion_request import (
    Messages,
    OnRetry,
    RequestTemplate,
    Tools,
    read_generation_kwargs,
    resolve_key,
)
from orchat.openrouter.dialect import DEFAULT_BASE_URL, DEFAULT_MODEL
from orchat.openrouter.generator_serialization import generator_to_dict, parameters_from_dict
from orchat.openrouter.response_limits import ResponseLimits
from orchat.secret import Secret
from orchat.secrets import redact
from orchat.streaming import StreamingCallback
from orchat.tools.toolset import flatten

if TYPE_CHECKING:
    from orchat.openrouter.transport import HttpClient

_log = logging.getLogger(__name__)


class OpenRouterChatGenerator:
    """Chat generator: sends messages to a model through OpenRouter or any host with the same API.

    Parameters
    ----------
    api_key
        The key; resolved when a request is made, and sent to the host of ``api_base_url`` only.
    model
        ``vendor/model`` with or without a variant such as ``:free`` (API section 8).
    streaming_callback
        A function, sync or async, that takes each `StreamingChunk`; with one, replies are streamed.
    api_base_url
        Where the API is; ``/chat/completions`` is appended.
    generation_kwargs
        Anything that goes into the request's body: ``temperature``, ``max_tokens``, ``reasoning``, ``provider`` ...
        (API section 2.1); ``response_format`` takes a dictionary or a pydantic class, ``extra_headers`` become headers,
        and ``server_tools``, which OpenRouter runs itself, stand behind ``tools``.
    tools
        What the model may call: a list of Tools and Toolsets, or one Toolset.
    timeout
        Seconds to connect, to the first token, and for each gap between tokens. Default: ``OPENAI_TIMEOUT``, else 30 s
        to connect and 300 s for the rest.
    extra_headers
        Sent with every request; values are texts or Secrets.
    max_retries
        How many times a request that did not start is sent again. Default: ``OPENAI_MAX_RETRIES``, else 5; on the
        loopback once where nothing listens or the server fails.
    http_client_kwargs
        Arguments of the HTTP clients (``proxy``, ``verify``, ``limits`` ...): of httpx2, or of httpx where they hold
        objects of that package. Generators with the same arguments share their connections.
    limits
        How much of a response is read and kept: `orchat.openrouter.response_limits.ResponseLimits`, or a dictionary of
        those that differ from the defaults.

    Raises
    ------
    ConfigurationError
        Two tools have one name, or a value makes no sense (a ValueError).
    TypeError
        A value is of the wrong type.

    Examples
    --------
    >>> generator = OpenRouterChatGenerator(model="vendor/m", generation_kwargs={"temperature": 0})
    >>> generator.to_dict()["init_parameters"]["api_key"]["env_vars"]
    ['OPENROUTER_API_KEY']
    """

    def __init__(
        self,
        *,
        api_key: Secret | None = Secret.from_env_var("OPENROUTER_API_KEY"),  # noqa: B008 - immutable
        model: str = DEFAULT_MODEL,
        streaming_callback: StreamingCallback | None = None,
        api_base_url: str | None = DEFAULT_BASE_URL,
        generation_kwargs: dict[str, Any] | None = None,
        tools: Tools | None = None,
        timeout: float | None = None,
        extra_headers: dict[str, Any] | None = None,
        max_retries: int | None = None,
        http_client_kwargs: dict[str, Any] | None = None,
        limits: ResponseLimits | Mapping[str, int] | None = None,
    ) -> None:
        if api_key is not None and not isinstance(api_key, Secret):
            raise TypeError("api_key must be a Secret: Secret.from_env_var('NAME') or Secret.from_token(...).")
        if http_client_kwargs is not None and not isinstance(http_client_kwargs, dict):
            raise TypeError(f"http_client_kwargs must be a dict, not {type(http_client_kwargs).__name__}.")
        self.api_key = api_key
        self.model = model
        self.streaming_callback = streaming_callback
        self.api_base_url = api_base_url
        self.generation_kwargs = generation_kwargs if generation_kwargs is not None else {}
        self.tools = tools
        self.timeout = timeout
        self.extra_headers = extra_headers
        self.max_retries = max_retries
        self.http_client_kwargs = http_client_kwargs
        self.limits = ResponseLimits.of(limits)
        self.tools_strict = False
        self._transport: HttpClient | None = None
        flatten(self.tools)

    def __repr__(self) -> str:
        return f"OpenRouterChatGenerator(model={self.model!r}, api_base_url={redact(str(self.api_base_url))!r})"

    def __getstate__(self) -> dict[str, Any]:
        # Connections belong to one process; a copy opens its own.
        return {**self.__dict__, "_transport": None}

    # -- asking -------------------------------------------------------------------------------------------------

    def run(
        self,
        messages: Messages,
        streaming_callback: StreamingCallback | None = None,
        generation_kwargs: dict[str, Any] | None = None,
        *,
        tools: Tools | None = None,
        tools_strict: bool | None = None,
        on_retry: OnRetry | None = None,
    ) -> dict[str, list[ChatMessage]]:
        """Send messages to the model, and return its replies.

        Parameters
        ----------
        messages
            The conversation, or a text for a single user message.
        streaming_callback
            Used for this call instead of the constructor's.
        generation_kwargs
            Laid over the constructor's, key by key.
        tools
            Used for this call instead of the constructor's; ``[]`` means none.
        tools_strict
            Whether the model must keep to the tools' schemas, at every level. A tool that no strict mode can hold is
            sent as it is, and the reply's warnings say why. Whatever is not sent is validated here.
        on_retry
            Called with a text, why and how long, before the wait for each retry; without it a warning is logged.

        Returns
        -------
        dict
            ``{"replies": [...]}``, one ChatMessage of each choice.

        Raises
        ------
        APIError
            The endpoint refused or failed; what had arrived is its ``partial``.
        ConfigurationError, TypeError
            The request makes no sense; nothing was sent.
        """
        callback = self._effective_callback(streaming_callback)
        if callback is not None and (_is_async(callback) or _is_async(self.streaming_callback)):
            raise ConfigurationError("An async streaming_callback needs run_async.")
        template = RequestTemplate(self, generation_kwargs, tools, tools_strict, on_retry, stream=callback is not None)
        plan = template.plan(messages)
        if plan is None:
            return {"replies": []}
        if not plan.is_streamed:
            return {"replies": plan.finish(read_whole(plan, self._get_transport()))}
        with ChunkStream(plan, self._get_transport()) as stream:
            for chunk in stream:
                if callback is not None:
                    callback(chunk)
        return {"replies": [stream.message]}

    async def run_async(
        self,
        messages: Messages,
        streaming_callback: StreamingCallback | None = None,
        generation_kwargs: dict[str, Any] | None = None,
        *,
        tools: Tools | None = None,
        tools_strict: bool | None = None,
        on_retry: OnRetry | None = None,
    ) -> dict[str, list[ChatMessage]]:
        """Do as `run`, on the running event loop; the callback may be async. Cancelling closes the connection."""
        callback = self._effective_callback(streaming_callback)
        if callback is not None and not _is_async(callback):
            _log.warning("The streaming_callback is not async: it runs on the event loop, and may hold it up.")
        template = RequestTemplate(self, generation_kwargs, tools, tools_strict, on_retry, stream=callback is not None)
        return {"replies": await self.answer_async(template, messages, callback)}

    async def answer_async(
        self, template: RequestTemplate, messages: Messages, callback: StreamingCallback | None = None
    ) -> list[ChatMessage]:
        """Send messages in a request that was prepared for many, and return the replies; errors as of `run`.

        Examples
        --------
        >>> generator = OpenRouterChatGenerator(model="vendor/m", api_key=None)
        >>> template = RequestTemplate(generator, {"temperature": 0}, None, None, None, stream=False)
        >>> import asyncio
        >>> asyncio.run(generator.answer_async(template, []))
        []
        """
        plan = template.plan(messages)
        if plan is None:
            return []
        if not plan.is_streamed:
            return plan.finish(await read_whole_async(plan, self._get_transport()))
        async with AsyncChunkStream(plan, self._get_transport()) as stream:
            async for chunk in stream:
                if callback is not None and inspect.isawaitable(waiting := callback(chunk)):
                    await waiting
        return [stream.message]

    def stream(
        self,
        messages: Messages,
        generation_kwargs: dict[str, Any] | None = None,
        *,
        tools: Tools | None = None,
        tools_strict: bool | None = None,
        on_retry: OnRetry | None = None,
    ) -> ChunkStream:
        """Send messages to the model, and return its reply as an iterator of chunks; parameters as of `run`.

        Returns
        -------
        ChunkStream
            An iterator of StreamingChunk and a context manager; its ``message`` is the reply.
        """
        plan = self._stream_plan(messages, generation_kwargs, tools, tools_strict, on_retry)
        return ChunkStream(plan, self._get_transport())

    def stream_async(
        self,
        messages: Messages,
        generation_kwargs: dict[str, Any] | None = None,
        *,
        tools: Tools | None = None,
        tools_strict: bool | None = None,
        on_retry: OnRetry | None = None,
    ) -> AsyncChunkStream:
        """Return the model's reply as an asynchronous iterator of chunks; see `stream`."""
        plan = self._stream_plan(messages, generation_kwargs, tools, tools_strict, on_retry)
        return AsyncChunkStream(plan, self._get_transport())

    def request_body(
        self,
        messages: Messages,
        generation_kwargs: dict[str, Any] | None = None,
        *,
        tools: Tools | None = None,
        tools_strict: bool | None = None,
        stream: bool = False,
    ) -> dict[str, Any]:
        """Return the JSON body that `run` or `stream` would send, without sending it.

        Examples
        --------
        >>> generator = OpenRouterChatGenerator(model="vendor/m", api_key=None)
        >>> generator.request_body("Name a river.")["messages"]
        [{'role': 'user', 'content': 'Name a river.'}]
        """
        kwargs = {**read_generation_kwargs(generation_kwargs), "stream": stream}
        plan = RequestTemplate(self, kwargs, tools, tools_strict, None, stream=stream).plan(messages)
        return {} if plan is None else cast("dict[str, Any]", json.loads(plan.request.content))

    # -- life cycle ---------------------------------------------------------------------------------------------

    def warm_up(self) -> None:
        """Resolve the key and make the HTTP client, so that their errors are raised now.

        Raises
        ------
        MissingKeyError
            No key is set (a ValueError).
        """
        resolve_key(self.api_key)
        chosen_retries(self.max_retries)
        self._get_transport().client(self.api_base_url or DEFAULT_BASE_URL)

    async def warm_up_async(self) -> None:
        """Resolve the key and make the HTTP client of the running event loop."""
        resolve_key(self.api_key)
        chosen_retries(self.max_retries)
        await self._get_transport().async_client(self.api_base_url or DEFAULT_BASE_URL)

    def close(self) -> None:
        """Close the connections of sync requests that no other generator uses; a later request opens new ones."""
        if self._transport is not None:
            self._transport.close()

    async def close_async(self) -> None:
        """Close the connections of the running event loop that no other generator uses."""
        if self._transport is not None:
            await self._transport.aclose()

    def _get_transport(self) -> HttpClient:
        if self._transport is None:
            from orchat.openrouter.transport import HttpClient

            self._transport = HttpClient(default_timeout(self.timeout), self.http_client_kwargs)
        return self._transport

    # -- as data ------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Serialize the generator to a dictionary of its parameters, with the key's variable, not its value.

        They are the ten that Haystack knows, and ``limits`` where some are not the defaults.

        Raises
        ------
        ConfigurationError, SerializationError
            The key is a token or a header's text, or a callback or tool has no path (ValueErrors).
        """
        return generator_to_dict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> OpenRouterChatGenerator:
        """Restore a generator from `to_dict`'s form, or from Haystack's; the dictionary is not modified.

        Callables are imported from ``__main__`` and from modules allowed by `orchat.tools.allow_modules` only.

        Raises
        ------
        SerializationError
            It describes something else, or a callable that may not be imported (a ValueError).
        """
        return cls(**parameters_from_dict(data, inspect.signature(cls).parameters.keys()))

    # -- assembling a request -----------------------------------------------------------------------------------

    def _effective_callback(self, given: StreamingCallback | None) -> StreamingCallback | None:
        callback = given if given is not None else self.streaming_callback
        if callback is not None and not callable(callback):
            raise TypeError(f"streaming_callback must be a function of a StreamingChunk, not {callback!r:.100}.")
        return callback

    def _stream_plan(
        self,
        messages: Messages,
        generation_kwargs: dict[str, Any] | None,
        tools: Tools | None,
        tools_strict: bool | None,
        on_retry: OnRetry | None,
    ) -> RequestPlan:
        kwargs = {**read_generation_kwargs(generation_kwargs), "stream": True}
        plan = RequestTemplate(self, kwargs, tools, tools_strict, on_retry, stream=True).plan(messages)
        if plan is None:
            raise ConfigurationError("There are no messages to answer.", hint="Give a text or a list of ChatMessages.")
        return plan


def _is_async(callback: Any) -> bool:
    # An object may also be async by its class's `__call__`.
    return any(map(inspect.iscoroutinefunction, (callback, type(callback).__call__)))
