"""Asking an endpoint for facts: a GET whose answer is JSON with ``data``. Knows nothing of what the facts mean.

Retries, deadlines and the care for keys are the transport's. Connections are not kept: such questions are rare.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from orchat.errors import APIError, MissingKeyError, NotFoundError, ProviderError
from orchat.openrouter.client_options import default_timeout
from orchat.openrouter.dialect import dialect_of
from orchat.openrouter.wire.error_shapes import error_object
from orchat.openrouter.wire.failures import error_from_object
from orchat.secret import Secret
from orchat.secrets import redact

if TYPE_CHECKING:
    from orchat.openrouter.transport import HttpClient, PreparedRequest, ResponseBody

# Facts come soon or not at all: neither a model's patience nor its number of retries suits them.
TIMEOUT, RETRIES = 30.0, 2


@dataclass(frozen=True)
class JsonQuery:
    """One question to an endpoint.

    Parameters
    ----------
    path
        What follows the base URL.
    parameters
        What follows the question mark.
    absent
        The hint where a 404 says that there is no such thing.
    needs_key
        Whether to ask without a key makes no sense.
    timeout
        Seconds that are enough, even if the endpoint's are more.
    max_retries
        Used instead of the endpoint's.
    transient
        Statuses that are worth another try although they look final.
    """

    path: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    absent: str = "Is the base URL right?"
    needs_key: bool = False
    timeout: float | None = None
    max_retries: int | None = None
    transient: frozenset[int] = frozenset()


@dataclass(frozen=True)
class JsonEndpoint:
    """Where to ask, and with what key; a generator's parameters of the same names fit.

    Parameters
    ----------
    api_base_url
        Where the API is.
    api_key
        The key, sent to the host of ``api_base_url`` only.
    timeout
        Seconds to connect, and for the whole answer. Default: ``OPENAI_TIMEOUT``, else 30 s.
    extra_headers
        Sent with every request; values are texts or Secrets.
    max_retries
        How many times a request that did not start is sent again.
    http_client_kwargs
        Arguments of the httpx clients (``proxy``, ``verify`` ...).

    Examples
    --------
    >>> JsonEndpoint("https://openrouter.ai/api/v1", Secret.from_env_var("OPENROUTER_API_KEY", strict=False))
    Endpoint(api_base_url='https://openrouter.ai/api/v1')
    """

    api_base_url: str
    api_key: Secret | None = field(default=None, repr=False)
    timeout: float | None = field(default=None, repr=False)
    extra_headers: Mapping[str, Any] | None = field(default=None, repr=False)
    max_retries: int | None = field(default=None, repr=False)
    http_client_kwargs: Mapping[str, Any] | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        return f"Endpoint(api_base_url={redact(self.api_base_url)!r})"

    def get(self, query: JsonQuery) -> Any:
        """Ask, and return the answer's ``data``.

        Raises
        ------
        MissingKeyError
            The question needs a key and there is none (a ValueError); nothing was sent.
        APIError
            The endpoint refused, failed, or could not be reached.
        """
        call, transport = self._prepare(query)
        try:
            with transport.open(call) as body:
                return _read(body, "".join(body.iter_text()), call)
        except APIError as error:
            raise _told(error, query) from None
        finally:
            transport.close()

    async def get_async(self, query: JsonQuery) -> Any:
        """Like `get`, on the running event loop."""
        call, transport = self._prepare(query)
        try:
            async with transport.open_async(call) as body:
                return _read(body, "".join([text async for text in body.aiter_text()]), call)
        except APIError as error:
            raise _told(error, query) from None
        finally:
            await transport.aclose()

    def _prepare(self, query: JsonQuery) -> tuple[PreparedRequest, HttpClient]:
        from orchat.openrouter.transport import HttpClient, PreparedRequest, check_base_url, merge_headers

        base_url = check_base_url(self.api_base_url)
        retries = query.max_retries if query.max_retries is not None else self.max_retries
        parameters = f"?{urlencode(query.parameters)}" if query.parameters else ""
        call = PreparedRequest(
            url=f"{base_url}{query.path}{parameters}",
            content=b"",
            headers=merge_headers({"Accept": "application/json"}, dialect_of(base_url, "").headers, self.extra_headers),
            key=self._key(query.needs_key),
            max_retries=RETRIES if retries is None else retries,
            method="GET",
            transient=query.transient,
        )
        timeout = default_timeout(self.timeout) or TIMEOUT
        return call, HttpClient(min(timeout, query.timeout or timeout), self.http_client_kwargs)

    def _key(self, needed: bool) -> str | None:
        from orchat.openrouter.transport import header_value

        key = None
        try:
            key = None if self.api_key is None else header_value("the API key", self.api_key)
        except MissingKeyError:
            if needed:
                raise
        if needed and not key:
            raise MissingKeyError("There is no API key.", hint="Set OPENROUTER_API_KEY, or give another Secret.")
        return key or None


def _told(error: APIError, query: JsonQuery) -> APIError:
    """Say what a 404 means here, and take off the frames below: they may hold text that repeats a key."""
    if isinstance(error, NotFoundError):
        error.hint = query.absent
    error.__context__ = None
    return error.with_traceback(None)


def _read(body: ResponseBody, text: str, call: PreparedRequest) -> Any:
    # A key that the answer repeats must not get into a file that facts are kept in.
    for secret in call.secrets:
        text = text.replace(secret, "[redacted]")
    payload = body.json(text)
    if isinstance(payload, dict) and payload.get("data") is not None and not payload.get("error"):
        return payload["data"]
    if (found := error_object(payload)) is not None:
        raise error_from_object(found, payload, *call.secrets)
    raise ProviderError("The reply holds no `data`.", hint="Is the base URL right?")
