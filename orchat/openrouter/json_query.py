"""Query an endpoint: a GET request whose response is JSON with ``data``, such as models, prices or account status.

The transport is responsible for retries, deadlines, keys and connections.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from orchat.errors import APIError, MissingKeyError, NotFoundError, ProviderError
from orchat.event_loop_wakeup import LoopWakeup
from orchat.messages.memory_size import json_memory
from orchat.openrouter.client_options import default_timeout
from orchat.openrouter.dialect import dialect_of, is_loopback
from orchat.openrouter.response_limits import DEFAULT_LIMITS, ResponseLimits
from orchat.openrouter.wire.error_shapes import error_object
from orchat.openrouter.wire.failures import error_from_object
from orchat.secret import Secret
from orchat.secrets import redact

if TYPE_CHECKING:
    from orchat.openrouter.transport import HttpClient, PreparedRequest, ResponseBody

_log = logging.getLogger(__name__)

# Such data comes soon or not at all: neither a model's timeout nor its number of retries suits it.
TIMEOUT, RETRIES = 30.0, 2
_MAX_PAGES = 20


@dataclass(frozen=True)
class JsonQuery:
    """The path and options of one GET request to an endpoint.

    Parameters
    ----------
    path
        The path behind the base URL.
    parameters
        The query parameters.
    not_found_hint
        The hint of the error for a 404.
    needs_key
        Whether a key is required.
    timeout
        An upper limit of the endpoint's timeout, in seconds.
    max_retries
        Replaces the endpoint's number.
    retry_statuses
        Further statuses that are retried.
    """

    path: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    not_found_hint: str = "Is the base URL right?"
    needs_key: bool = False
    timeout: float | None = None
    max_retries: int | None = None
    retry_statuses: frozenset[int] = frozenset()


@dataclass(frozen=True)
class JsonEndpoint:
    """The address and key of an endpoint, for JSON queries; its parameters are those of a generator.

    Parameters
    ----------
    api_base_url
        The API's base URL.
    api_key
        The key, sent to the host of ``api_base_url`` only.
    timeout
        Seconds to connect, and for the whole response. Default: ``OPENAI_TIMEOUT``, else 30 s.
    extra_headers
        Headers of every request; values are texts or Secrets.
    max_retries
        The number of retries of a request that did not start.
    http_client_kwargs
        Arguments of the HTTP clients (``proxy``, ``verify`` ...), as those of a generator.
    limits
        How much of a response is read.

    Examples
    --------
    >>> JsonEndpoint("https://openrouter.ai/api/v1", Secret.from_env_var("OPENROUTER_API_KEY", strict=False))
    JsonEndpoint(api_base_url='https://openrouter.ai/api/v1')
    """

    api_base_url: str
    api_key: Secret | None = field(default=None, repr=False)
    timeout: float | None = field(default=None, repr=False)
    extra_headers: Mapping[str, Any] | None = field(default=None, repr=False)
    max_retries: int | None = field(default=None, repr=False)
    http_client_kwargs: Mapping[str, Any] | None = field(default=None, repr=False)
    limits: ResponseLimits = field(default=DEFAULT_LIMITS, repr=False)

    def __repr__(self) -> str:
        return f"JsonEndpoint(api_base_url={redact(self.api_base_url)!r})"

    def get_list(self, query: JsonQuery) -> Any:
        """Send a query for a list, and follow its ``links.next`` for at most 20 pages; return the whole list.

        Only the query parameters of a link are taken: the next page is asked of the same address.

        Raises
        ------
        APIError
            As of `get`; a part of a list is never returned.
        """
        pages = _Pages(query, self.limits)
        while pages.query is not None:
            pages.add(self._get_payload(pages.query))
        return pages.data

    async def get_list_async(self, query: JsonQuery) -> Any:
        """Send a query for a list, on the running event loop; see `get_list`."""
        pages = _Pages(query, self.limits)
        while pages.query is not None:
            pages.add(await self._get_payload_async(pages.query))
        return pages.data

    def get(self, query: JsonQuery) -> Any:
        """Send a query, and return the response's ``data``.

        Raises
        ------
        MissingKeyError
            The query needs a key and there is none (a ValueError); nothing was sent.
        APIError
            The endpoint refused, failed, or could not be reached.
        """
        return self._get_payload(query)["data"]

    async def get_async(self, query: JsonQuery) -> Any:
        """Send a query, and return the response's ``data``, on the running event loop."""
        return (await self._get_payload_async(query))["data"]

    def _get_payload(self, query: JsonQuery) -> dict[str, Any]:
        request, transport = self._prepare(query)
        try:
            with transport.open(request) as body:
                return _read_payload(body, body.text(), request)
        except APIError as error:
            raise _as_query_error(error, query) from None

    async def _get_payload_async(self, query: JsonQuery) -> dict[str, Any]:
        request, transport = self._prepare(query)
        try:
            with LoopWakeup(only_in_kernel=True):
                async with await transport.open_async(request) as body:
                    return _read_payload(body, await body.text_async(), request)
        except APIError as error:
            raise _as_query_error(error, query) from None

    def _prepare(self, query: JsonQuery) -> tuple[PreparedRequest, HttpClient]:
        from orchat.openrouter.transport import HttpClient, PreparedRequest, check_base_url, merge_headers

        base_url = check_base_url(self.api_base_url)
        retries = query.max_retries if query.max_retries is not None else self.max_retries
        parameters = f"?{urlencode(query.parameters)}" if query.parameters else ""
        request = PreparedRequest(
            url=f"{base_url}{query.path}{parameters}",
            content=b"",
            headers=merge_headers({"Accept": "application/json"}, dialect_of(base_url, "").headers, self.extra_headers),
            key=self._key(query.needs_key),
            max_retries=RETRIES if retries is None else retries,
            gives_up_early=retries is None and is_loopback(base_url),
            on_retry=_log.info,  # short waits, and often in the background, where a warning would be shown anywhere
            method="GET",
            retry_statuses=query.retry_statuses,
            limits=self.limits,
        )
        timeout = default_timeout(self.timeout) or TIMEOUT
        return request, HttpClient(min(timeout, query.timeout or timeout), self.http_client_kwargs)

    def _key(self, needed: bool) -> str | None:
        from orchat.openrouter.transport import key_value

        key = None
        try:
            key = key_value(self.api_key)
        except MissingKeyError:
            if needed:
                raise
        if needed and not key:
            raise MissingKeyError("There is no API key.", hint="Set OPENROUTER_API_KEY, or give another Secret.")
        return key or None


class _Pages:
    """The pages of a list: its entries so far, and the query of the next page, None after the last one."""

    def __init__(self, query: JsonQuery, limits: ResponseLimits) -> None:
        self.query: JsonQuery | None = query
        self.data: Any = None
        self._limits = limits
        self._size = 0
        self._asked: list[Mapping[str, str]] = []

    def add(self, payload: Mapping[str, Any]) -> None:
        """Add a page."""
        assert self.query is not None
        self._asked.append(self.query.parameters)
        page, links = payload["data"], payload.get("links")
        self._size += json_memory(page) // 2  # JSON text takes less than that
        if self._asked[1:] and self._size > self._limits.list_bytes:
            raise self._limits.exceeded("list_bytes")
        if self.data is None:
            self.data = page
        elif isinstance(page, list):
            self.data = [*self.data, *page]
        else:
            raise ProviderError("A page of the list is none.")
        link = links.get("next") if isinstance(links, Mapping) and isinstance(page, list) and page else None
        parameters = {**self.query.parameters, **_link_parameters(link)}
        if parameters in self._asked or len(self._asked) >= _MAX_PAGES:
            self.query = None
        else:
            self.query = replace(self.query, parameters=parameters)


def _link_parameters(link: object) -> dict[str, str]:
    """Return the query parameters of a link; none of what is no link."""
    if not isinstance(link, str):
        return {}
    try:
        return dict(parse_qsl(urlsplit(link).query, keep_blank_values=True))
    except ValueError:
        return {}


def _as_query_error(error: APIError, query: JsonQuery) -> APIError:
    """Set the hint of a 404, and remove traceback and context: their frames may hold a key."""
    if isinstance(error, NotFoundError):
        error.hint = query.not_found_hint
    error.__context__ = None
    return error.with_traceback(None)


def _read_payload(body: ResponseBody, text: str, request: PreparedRequest) -> dict[str, Any]:
    # A key that the answer repeats must not get into a file that facts are kept in.
    for secret in request.secrets:
        text = text.replace(secret, "[redacted]")
    payload = body.json(text)
    if isinstance(payload, dict) and payload.get("data") is not None and not payload.get("error"):
        return payload
    if (found := error_object(payload)) is not None:
        raise error_from_object(found, payload, *request.secrets, other_url=request.other_url)
    if isinstance(payload, list) and payload:  # Together's models, and GitHub's
        return {"data": payload}
    if isinstance(payload, dict) and payload.get("object") == "list" and "data" in payload:
        return {"data": []}  # null, by which Ollama says that it has no model yet
    raise ProviderError("The reply holds no `data`.", hint="Is the base URL right?")
