"""`RowExchange`: how a row's messages become a request and its answer; here by chat completions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from orchat.messages import ChatMessage
from orchat.openrouter.completion_request import RequestTemplate
from orchat.openrouter.dialect import DEFAULT_BASE_URL
from orchat.openrouter.generator import OpenRouterChatGenerator


class RowExchange(Protocol):
    """Sends the messages of one row, once, and returns the answer as a message."""

    @property
    def base_url(self) -> str:
        """Where the requests go."""

    @property
    def options(self) -> Mapping[str, Any]:
        """What decides on the length of an answer: ``max_tokens`` ..."""

    def body(self, messages: list[ChatMessage]) -> Mapping[str, Any]:
        """Return the body of a row's request; all but its messages is the same for all rows."""

    async def send(self, messages: list[ChatMessage]) -> ChatMessage:
        """Send a row's request, and return the answer.

        Raises
        ------
        APIError
            The endpoint refused or failed; what had arrived is its ``partial``.
        """

    async def close(self) -> None:
        """Close the connections of the running event loop."""


class ChatExchange:
    """Asks a row's question by chat completions.

    Parameters
    ----------
    generator
        Sends each request once.
    generation_kwargs
        Of every request, the ``response_format`` included.
    """

    def __init__(self, generator: OpenRouterChatGenerator, generation_kwargs: Mapping[str, Any]) -> None:
        self._generator = generator
        self._template: RequestTemplate | None = None
        self.options: Mapping[str, Any] = dict(generation_kwargs)

    @property
    def base_url(self) -> str:
        """Where the requests go."""
        return self._generator.api_base_url or DEFAULT_BASE_URL

    def body(self, messages: list[ChatMessage]) -> Mapping[str, Any]:
        """Return the body of a row's request."""
        return self._generator.request_body(messages, dict(self.options))

    async def send(self, messages: list[ChatMessage]) -> ChatMessage:
        """Send a row's request, and return the first reply."""
        if self._template is None:  # made with the first request: the caller may set the generator up until then
            self._template = RequestTemplate(self._generator, self.options, None, None, None, stream=False)
        return (await self._generator.answer_async(self._template, messages))[0]

    async def close(self) -> None:
        """Close the connections of the running event loop."""
        await self._generator.close_async()
