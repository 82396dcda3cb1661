"""`HttpClient`: send prepared requests from threads and event loops, with retries and redirects on the same host."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import ssl
import threading
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from http.cookiejar import Cookie, CookieJar, DefaultCookiePolicy
from time import monotonic
from typing import Any
from urllib.request import Request

import httpx
from tenacity import AsyncRetrying, RetryCallState, Retrying, retry_if_exception

from orchat._version import __version__
from orchat.errors import APIError
from orchat.openrouter.dialect import is_loopback
from orchat.openrouter.transport.connection_errors import connection_failure, redirect_failure
from orchat.openrouter.transport.content_decoding import ACCEPTED_ENCODINGS
from orchat.openrouter.transport.network_environment import NetworkRoute, check_proxy, make_ssl_context, network_route
from orchat.openrouter.transport.prepared_request import BearerAuth, HiddenValue, PreparedRequest
from orchat.openrouter.transport.response_body import ResponseBody

_log = logging.getLogger(__name__)

# Without a timeout of the caller's: seconds to connect, and for a first token, a gap or a whole reply. A reasoning
# model may think that long.
CONNECT_TIMEOUT, DEFAULT_IDLE_TIMEOUT = 30.0, 300.0
# Seconds; a server that asks for more is not waited for.
MAX_RETRY_AFTER = 120.0
_MAX_REDIRECTS = 3
_MAX_TIMEOUT = 86_400.0  # sockets cannot wait for ever


class HttpClient:
    """Sends prepared requests; one instance serves any number of threads and event loops.

    Parameters
    ----------
    timeout
        Seconds to connect, to the first token and for each gap between tokens; None for 30 s and 300 s.
    client_kwargs
        Arguments of the httpx clients.
    """

    def __init__(self, timeout: float | None, client_kwargs: Mapping[str, Any] | None) -> None:
        timeout = None if timeout is None else min(timeout, _MAX_TIMEOUT)
        self.idle_timeout = DEFAULT_IDLE_TIMEOUT if timeout is None else timeout
        kwargs = dict(client_kwargs or {})
        # Redirects are followed here, on the same host only.
        kwargs.pop("follow_redirects", None)
        if isinstance(limits := kwargs.get("limits"), Mapping):
            kwargs["limits"] = httpx.Limits(**limits)
        kwargs.setdefault("timeout", httpx.Timeout(self.idle_timeout, connect=timeout or CONNECT_TIMEOUT))
        headers = httpx.Headers({"User-Agent": f"orchat/{__version__}", "Content-Type": "application/json"})
        headers.update(kwargs.get("headers"))
        headers["Accept-Encoding"] = ACCEPTED_ENCODINGS
        kwargs["headers"] = headers
        kwargs["cookies"] = _given_cookies(kwargs.get("cookies"))
        self._kwargs = kwargs
        self._lock = threading.Lock()
        self._ssl_contexts: dict[tuple[bool, bool], ssl.SSLContext] = {}
        # Each with what closes it. Process ids are in the keys because a parent's connections are not a fork's to use.
        self._clients: dict[tuple[int, NetworkRoute], tuple[httpx.Client, Callable[[], object]]] = {}
        self._async_clients: dict[
            tuple[int, asyncio.AbstractEventLoop, NetworkRoute], tuple[httpx.AsyncClient, AsyncGenerator[None, None]]
        ] = {}

    def client(self, url: str) -> httpx.Client:
        """Return the httpx client for a URL's host that all threads share, made on first use."""
        return self._client(self._route(url))

    def _client(self, route: NetworkRoute) -> httpx.Client:
        key = os.getpid(), route
        with self._lock:
            if (entry := self._clients.get(key)) is None:
                client = httpx.Client(**self._arguments(route))
                entry = self._clients[key] = client, weakref.finalize(self, client.close)
            return entry[0]

    async def async_client(self, url: str) -> httpx.AsyncClient:
        """Return the running event loop's httpx client: connections cannot leave the loop that opened them."""
        return await self._async_client(self._route(url))

    async def _async_client(self, route: NetworkRoute) -> httpx.AsyncClient:
        key = os.getpid(), asyncio.get_running_loop(), route
        with self._lock:
            if (entry := self._async_clients.get(key)) is not None:
                return entry[0]
            client = httpx.AsyncClient(**self._arguments(route))
            for old in [old for old in self._async_clients if old[1].is_closed()]:
                del self._async_clients[old]
            closer = _close_with_event_loop(client)
            self._async_clients[key] = client, closer
        await anext(closer)
        return client

    def _route(self, url: str) -> NetworkRoute:
        """Return the way to a host; what the caller says of proxies takes the place of the environment."""
        given = {name for name in ("proxy", "transport") if self._kwargs.get(name) is not None}
        if "proxy" in given and isinstance(self._kwargs["proxy"], str):
            check_proxy(HiddenValue(self._kwargs["proxy"]), "The `proxy` of http_client_kwargs")
        if given or not self._kwargs.get("trust_env", True):
            return NetworkRoute(uses_tls=True, is_loopback=is_loopback(url))
        return network_route(url)

    def _arguments(self, route: NetworkRoute) -> dict[str, Any]:
        kwargs = {**self._kwargs, "trust_env": False}
        if route.proxy is not None:
            kwargs["proxy"] = route.proxy
        elif route.is_loopback:
            kwargs.pop("proxy", None)
        verify, cert = kwargs.get("verify", True), kwargs.pop("cert", None)
        if not isinstance(verify, ssl.SSLContext):
            # Reading the machine's certificates takes longer than the rest of making a client: once is enough.
            key = route.uses_tls, route.is_loopback
            if key not in self._ssl_contexts:
                trust_env = self._kwargs.get("trust_env", True)
                self._ssl_contexts[key] = make_ssl_context(route, verify, cert, trust_env=trust_env)
            kwargs["verify"] = self._ssl_contexts[key]
        return kwargs

    def close(self) -> None:
        """Close the threads' httpx clients; the next request makes a new one."""
        with self._lock:
            entries = [self._clients.pop(key) for key in list(self._clients) if key[0] == os.getpid()]
        for _, close in entries:
            close()

    async def aclose(self) -> None:
        """Close the running event loop's httpx clients."""
        mine = os.getpid(), asyncio.get_running_loop()
        with self._lock:
            entries = [self._async_clients.pop(key) for key in list(self._async_clients) if key[:2] == mine]
        for _, closer in entries:
            await closer.aclose()

    # -- sending: two thin drivers over the same rules ------------------------------------------------------------

    @contextmanager
    def open(self, request: PreparedRequest) -> Iterator[ResponseBody]:
        """Send a request, and yield the body of its response; leaving the context closes the connection."""
        for attempt in Retrying(**_retry_rules(request)):
            with attempt:
                body = self._send(request)
        try:
            yield body
        finally:
            body.close()

    def _send(self, request: PreparedRequest) -> ResponseBody:
        failure, started = None, monotonic()
        route = self._route(request.url)
        request.proxy_variable, client = route.variable, self._client(route)
        try:
            response = client.send(
                _build_request(client, request, _connection_trace(request)), stream=True, auth=BearerAuth(request)
            )
            for _ in range(_MAX_REDIRECTS):
                if (follow := _same_host_redirect(response)) is None:
                    break
                response.close()
                response = client.send(follow, stream=True, auth=BearerAuth(request))
        except httpx.HTTPError as error:
            failure = connection_failure(error, request)
        except (httpx.InvalidURL, UnicodeError) as error:
            failure = redirect_failure(error, request)
        if failure is not None:
            # Outside of `except`, so that httpx's frames, whose variables hold headers, are not in the traceback.
            raise failure
        body = ResponseBody(response, request, started, self.idle_timeout)
        if not response.is_success:
            raise body.read_error()
        return body

    @asynccontextmanager
    async def open_async(self, request: PreparedRequest) -> AsyncIterator[ResponseBody]:
        """Send a request on the running event loop, and yield the body of its response; see `open`."""
        async for attempt in AsyncRetrying(**_retry_rules(request)):
            with attempt:
                body = await self._send_async(request)
        try:
            yield body
        finally:
            await body.aclose()

    async def _send_async(self, request: PreparedRequest) -> ResponseBody:
        failure, started = None, monotonic()
        route = self._route(request.url)
        request.proxy_variable, client = route.variable, await self._async_client(route)
        try:
            response = await client.send(
                _build_request(client, request, _async_connection_trace(request)), stream=True, auth=BearerAuth(request)
            )
            for _ in range(_MAX_REDIRECTS):
                if (follow := _same_host_redirect(response)) is None:
                    break
                await response.aclose()
                response = await client.send(follow, stream=True, auth=BearerAuth(request))
        except httpx.HTTPError as error:
            failure = connection_failure(error, request)
        except (httpx.InvalidURL, UnicodeError) as error:
            failure = redirect_failure(error, request)
        if failure is not None:
            raise failure
        body = ResponseBody(response, request, started, self.idle_timeout)
        if not response.is_success:
            raise await body.read_error_async()
        return body


class _KeepsNoCookies(DefaultCookiePolicy):
    """Keeps no cookie of a response: there is no session, and one with odd characters would end all later requests."""

    def set_ok(self, cookie: Cookie, request: Request) -> bool:
        return False


def _given_cookies(cookies: Any) -> CookieJar:
    """Return a jar that holds the user's cookies, and never another."""
    jar = CookieJar(_KeepsNoCookies())
    for cookie in httpx.Cookies(cookies).jar:
        jar.set_cookie(cookie)
    return jar


async def _close_with_event_loop(client: httpx.AsyncClient) -> AsyncGenerator[None, None]:
    """Close a client when its event loop ends: `asyncio.run` closes the generators that are still open first."""
    try:
        yield
    finally:
        await client.aclose()


def _build_request(client: httpx.Client | httpx.AsyncClient, request: PreparedRequest, trace: Any) -> httpx.Request:
    extensions = {"trace": trace}
    return client.build_request(
        request.method, request.url, content=request.content, headers=request.headers, extensions=extensions
    )


def _connection_trace(request: PreparedRequest) -> Any:
    """Make httpx's trace callback that records whether a request opened a connection or took one from the pool."""
    opened, request.opened_connection = False, True

    def trace(name: str, info: Mapping[str, Any]) -> None:
        nonlocal opened
        what = name.partition(".")[2]
        if what.startswith("connect_"):
            opened = True
        elif what == "send_request_headers.started":
            request.opened_connection = opened

    return trace


def _async_connection_trace(request: PreparedRequest) -> Any:
    trace = _connection_trace(request)

    async def async_trace(name: str, info: Mapping[str, Any]) -> None:
        trace(name, info)

    return async_trace


def _same_host_redirect(response: httpx.Response) -> httpx.Request | None:
    """Return the request to follow a redirect with, if it stays on its host and keeps its method."""
    follow = response.next_request
    if follow is None or response.status_code not in {307, 308}:
        return None
    here, there = response.request.url, follow.url
    if (here.scheme, here.host, here.port) != (there.scheme, there.host, there.port):
        return None
    return follow


def _retry_rules(request: PreparedRequest) -> dict[str, Any]:
    return {
        "stop": lambda state: state.attempt_number > _max_retries(request, state),
        "wait": _retry_delay,
        "retry": retry_if_exception(lambda error: _may_retry(error, request)),
        "before_sleep": lambda state: _tell_retry(request, state),
        "reraise": True,
    }


def _max_retries(request: PreparedRequest, state: RetryCallState) -> int:
    """Return how often a request is retried: once where a server on this machine is not there, or fails.

    One that is busy, or loads its model (503), says so and is waited for as any other.
    """
    error = state.outcome.exception() if state.outcome is not None else None
    is_busy = isinstance(error, APIError) and (error.retry_after or error.status_code in {408, 409, 429, 503})
    return request.max_retries if is_busy or not request.gives_up_early else min(1, request.max_retries)


def _tell_retry(request: PreparedRequest, state: RetryCallState) -> None:
    """Report a failure that is not yet final, since what follows is a silence."""
    assert state.outcome is not None
    assert state.next_action is not None
    error = state.outcome.exception()
    reason = " ".join(error.message.split()) if isinstance(error, APIError) else type(error).__name__
    count = f"retry {state.attempt_number} of {_max_retries(request, state)}"
    text = f"{reason} Trying again in {state.next_action.sleep:.1f} s ({count})."
    if request.on_retry is not None:
        request.on_retry(text)
    else:
        _log.warning("%s", text)


def _may_retry(error: BaseException, request: PreparedRequest) -> bool:
    if not isinstance(error, APIError) or (error.retry_after or 0) > MAX_RETRY_AFTER:
        return False
    return error.retryable or error.status_code in request.retry_statuses


def _retry_delay(state: RetryCallState) -> float:
    """Return the seconds to wait: the server's, else 0.5 s, doubled each time up to 8 s, less up to 25 % of jitter.

    ``Retry-After: 0`` is no delay of the server's: asked again at once, it would answer the same.
    """
    error = state.outcome.exception() if state.outcome is not None else None
    pause: float = min(8.0, 0.5 * 2 ** (state.attempt_number - 1))
    if isinstance(error, APIError) and error.retry_after:
        return max(error.retry_after, pause / 10)
    return pause * (1 - 0.25 * random.random())  # noqa: S311 - jitter
