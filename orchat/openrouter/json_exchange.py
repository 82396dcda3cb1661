"""`JsonExchange`: send JSON to other paths of an endpoint than chat completions, and return the JSON of the reply."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from orchat.errors import APIError, ProviderError
from orchat.openrouter.client_options import default_timeout
from orchat.openrouter.dialect import DEFAULT_BASE_URL, dialect_of
from orchat.openrouter.wire.canonical_json import canonical_json
from orchat.openrouter.wire.error_shapes import error_object
from orchat.openrouter.wire.failures import error_from_object

if TYPE_CHECKING:
    from orchat.openrouter.generator import OpenRouterChatGenerator
    from orchat.openrouter.transport import HttpClient


class JsonExchange:
    """Sends JSON with the key, the headers and the client options of a generator.

    Parameters
    ----------
    generator
        Whose endpoint is asked.

    Examples
    --------
    >>> from orchat.openrouter.generator import OpenRouterChatGenerator
    >>> JsonExchange(OpenRouterChatGenerator(api_key=None)).url("/batches")
    'https://openrouter.ai/api/v1/batches'
    >>> JsonExchange(OpenRouterChatGenerator(api_key=None)).url("/api/alpha/decisions")
    'https://openrouter.ai/api/alpha/decisions'
    """

    def __init__(self, generator: OpenRouterChatGenerator) -> None:
        self._generator = generator
        self._client: HttpClient | None = None

    def url(self, path: str) -> str:
        """Return the URL of a path: behind the base URL, or behind the host where it begins with ``/api/``."""
        from orchat.openrouter.transport import check_base_url

        base = check_base_url(self._generator.api_base_url or DEFAULT_BASE_URL)
        return (base.removesuffix("/api/v1") if path.startswith("/api/") else base) + path

    async def send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Send a request, and return the object that is answered.

        Raises
        ------
        APIError
            The endpoint refused, failed, or could not be reached.
        """
        from orchat.openrouter.transport import HttpClient, PreparedRequest, key_value, merge_headers

        generator = self._generator
        if self._client is None:
            self._client = HttpClient(default_timeout(generator.timeout), generator.http_client_kwargs)
        url = self.url(path)
        request = PreparedRequest(
            url=url,
            content=b"" if body is None else canonical_json(body),
            headers=merge_headers({"Accept": "application/json"}, dialect_of(url, "").headers, generator.extra_headers),
            key=key_value(generator.api_key),
            max_retries=generator.max_retries or 0,
            method=method,
            limits=generator.limits,
        )
        try:
            async with await self._client.open_async(request) as response:
                payload = response.json(await response.text_async())
        except APIError as error:
            raise error.with_traceback(None) from None
        if isinstance(payload, dict) and (
            "object" in payload or not payload.get("error")
        ):  # a batch tells its own error
            return payload
        if (found := error_object(payload)) is not None:
            raise error_from_object(found, payload, *request.secrets, other_url=request.other_url)
        raise ProviderError("The reply is no JSON object.", hint="Is the base URL right?")

    async def close(self) -> None:
        """Close the connections of the running event loop."""
        if self._client is not None:
            await self._client.aclose()
