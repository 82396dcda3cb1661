"""`HttpClient`: send prepared requests from threads and event loops, with retries and redirects on the same host."""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import Callable, Hashable, Mapping
from functools import lru_cache, partial
from http.cookiejar import Cookie, CookieJar, DefaultCookiePolicy
from time import monotonic
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from urllib.request import Request

from tenacity import AsyncRetrying, Retrying

from orchat._version import __version__
from orchat.errors import APIError
from orchat.openrouter.dialect import is_loopback
from orchat.openrouter.transport.certificates import certificate_state, ssl_context
from orchat.openrouter.transport.connection_errors import connection_failure, redirect_failure
from orchat.openrouter.transport.connection_pool import (
    KEEP_ALIVE,
    LIMITS,
    POOLS,
    ConnectionPool,
    close_with_event_loop,
)
from orchat.openrouter.transport.connection_socket import cache_socket, set_keep_alive
from orchat.openrouter.transport.content_decoder import ACCEPTED_ENCODINGS
from orchat.openrouter.transport.http_package import engine_of
from orchat.openrouter.transport.network_environment import NetworkRoute, check_proxy, network_route
from orchat.openrouter.transport.prepared_request import BearerAuth, HiddenValue, PreparedRequest
from orchat.openrouter.transport.request_head import RequestHead
from orchat.openrouter.transport.response_body import ResponseBody
from orchat.openrouter.transport.retry_rules import retry_rules
from orchat.openrouter.transport.sharded_transport import MAX_POOLS, ShardedTransport

# Without a timeout of the caller's: seconds to connect, and for a first token, a gap or a whole reply. A reasoning
# model may think that long.
CONNECT_TIMEOUT, DEFAULT_IDLE_TIMEOUT = 30.0, 300.0
_MAX_REDIRECTS = 3
_MAX_TIMEOUT = 86_400.0  # sockets cannot wait for ever
# The arguments that connections depend on; the others, such as headers and cookies, are of one client alone.
_CONNECTION_ARGUMENTS = ("verify", "cert", "http1", "http2", "limits", "proxy")


class _KeptClient(NamedTuple):
    client: Any
    # What closes it, where its connections are not shared: a function, or a generator.
    closer: Any = None


class HttpClient:
    """Sends prepared requests; one instance serves any number of threads and event loops.

    Connections are shared by all instances with the same arguments (`connection_pool`), but for transports of the
    caller's own.

    Parameters
    ----------
    timeout
        Seconds to connect, to the first token and for each gap between tokens; None for 30 s and 300 s.
    client_kwargs
        Arguments of the clients of httpx2, or of httpx where they hold objects of that package.

    Raises
    ------
    TypeError
        They hold objects of both packages.
    """

    def __init__(self, timeout: float | None, client_kwargs: Mapping[str, Any] | None) -> None:
        timeout = None if timeout is None else min(timeout, _MAX_TIMEOUT)
        self.idle_timeout = DEFAULT_IDLE_TIMEOUT if timeout is None else timeout
        kwargs = dict(client_kwargs or {})
        self._engine = engine = engine_of(kwargs)
        # Of a client that has nothing of its own but a timeout, one serves all instances.
        self._client_settings = (timeout,) if kwargs.keys() <= {*_CONNECTION_ARGUMENTS, "trust_env"} else None
        # Redirects are followed here, on the same host only.
        kwargs.pop("follow_redirects", None)
        self._trusts_env = kwargs.pop("trust_env", True)
        self._is_sharded = not kwargs.get("limits") and not kwargs.get("http2")
        if not isinstance(limits := kwargs.get("limits"), engine.Limits):
            kwargs["limits"] = engine.Limits(**{**LIMITS, **(limits or {})})
        self._connect_timeout = timeout or CONNECT_TIMEOUT
        self._connection_kwargs = {name: kwargs.pop(name) for name in _CONNECTION_ARGUMENTS if name in kwargs}
        self._kwargs = kwargs
        self._settings = self._connection_settings()
        self._lock = threading.Lock()
        # By process, because a parent's connections are not a fork's to use, by event loop and by way.
        self._clients: dict[tuple[int, asyncio.AbstractEventLoop | None, Hashable], _KeptClient] = {}
        self._head: RequestHead | None = None
        self._latest_headers: Mapping[str, str] | None = None

    def _connection_settings(self) -> Hashable:
        """Return the arguments that connections depend on; None where they cannot be shared."""
        if self._kwargs.get("transport") is not None or self._kwargs.get("mounts"):
            return None
        limits = self._connection_kwargs["limits"]
        values = [self._connection_kwargs.get(name) for name in _CONNECTION_ARGUMENTS if name != "limits"]
        settings = (
            self._engine.__name__,
            self._trusts_env,
            (limits.max_connections, limits.max_keepalive_connections, limits.keepalive_expiry),
            *(HiddenValue(value) if isinstance(value, str) else value for value in values),
        )
        try:
            hash(settings)
        except TypeError:
            return None
        return settings

    def _client_arguments(self) -> dict[str, Any]:
        """Return the arguments of clients; most instances take one that is there, and never need them."""
        engine, kwargs = self._engine, dict(self._kwargs)
        kwargs.setdefault("timeout", engine.Timeout(self.idle_timeout, connect=self._connect_timeout))
        headers = engine.Headers({"User-Agent": f"orchat/{__version__}", "Content-Type": "application/json"})
        headers.update(kwargs.get("headers"))
        headers["Accept-Encoding"] = ACCEPTED_ENCODINGS
        return {**kwargs, "headers": headers, "cookies": _given_cookies(engine.Cookies(kwargs.get("cookies")))}

    def client(self, url: str) -> Any:
        """Return the client for a URL's host that all threads share, made on first use."""
        return self._client(url, self._route(url))

    def _client(self, url: str, route: NetworkRoute) -> Any:
        way = self._way(url, route)
        key = os.getpid(), None, way
        if (kept := self._clients.get(key)) is not None:
            return kept.client
        engine = self._engine
        with self._lock:
            if (kept := self._clients.get(key)) is None:
                if self._settings is None:
                    client = engine.Client(**self._client_arguments(), **self._connection_arguments(route))
                    kept = _KeptClient(client, weakref.finalize(self, client.close))
                else:
                    pool = POOLS.pool(way, self, self._maker(engine.HTTPTransport, route))
                    kept = _KeptClient(self._client_of(pool, engine.Client))
                self._clients[key] = kept
        return kept.client

    async def async_client(self, url: str) -> Any:
        """Return the running event loop's client for a URL's host, made on first use."""
        return await self._async_client(url, self._route(url))

    async def _async_client(self, url: str, route: NetworkRoute) -> Any:
        way, loop = self._way(url, route), asyncio.get_running_loop()
        key = os.getpid(), loop, way
        if (kept := self._clients.get(key)) is not None:
            return kept.client
        engine, pool = self._engine, None
        if self._settings is not None:
            pool = await POOLS.async_pool(way, self, self._maker(engine.AsyncHTTPTransport, route))
        with self._lock:
            if (kept := self._clients.get(key)) is not None:
                return kept.client
            for old in [old for old in self._clients if old[1] is not None and old[1].is_closed()]:
                del self._clients[old]
            if pool is None:
                client = engine.AsyncClient(**self._client_arguments(), **self._connection_arguments(route))
                kept = _KeptClient(client, close_with_event_loop(client))
            else:
                kept = _KeptClient(self._client_of(pool, engine.AsyncClient))
            self._clients[key] = kept
        if kept.closer is not None:
            await anext(kept.closer)
        return kept.client

    def _client_of(self, pool: ConnectionPool, client: Callable[..., Any]) -> Any:
        def make() -> Any:
            return client(**self._client_arguments(), transport=pool.transport, trust_env=False)

        return pool.client(self._client_settings, make)

    def _route(self, url: str) -> NetworkRoute:
        """Return the way to a host; what the caller says of proxies takes the place of the environment."""
        proxy = self._connection_kwargs.get("proxy")
        if isinstance(proxy, str):
            check_proxy(HiddenValue(proxy), "The `proxy` of http_client_kwargs")
        if proxy is not None or self._kwargs.get("transport") is not None or not self._trusts_env:
            return NetworkRoute(uses_tls=True, is_loopback=is_loopback(url))
        return network_route(url)

    def _way(self, url: str, route: NetworkRoute) -> Hashable:
        """Return all that a connection to a URL's host depends on."""
        parts = urlsplit(url)
        state = certificate_state(route, self._connection_kwargs.get("verify", True), trust_env=self._trusts_env)
        return parts.scheme, parts.hostname, parts.port, route, state, self._settings

    def _maker(self, transport: Callable[..., Any], route: NetworkRoute) -> Callable[[], Any]:
        def make() -> Any:
            arguments = self._connection_arguments(route)
            if not self._is_sharded:  # a limit of the caller's holds for one pool, and HTTP/2 has one connection
                return transport(**arguments)
            share = {name: LIMITS[name] // MAX_POOLS for name in ("max_connections", "max_keepalive_connections")}
            arguments["limits"] = self._engine.Limits(**{**LIMITS, **share})
            return ShardedTransport(self._engine, partial(transport, **arguments), KEEP_ALIVE)

        return make

    def _connection_arguments(self, route: NetworkRoute) -> dict[str, Any]:
        kwargs = {**self._connection_kwargs, "trust_env": False}
        if route.proxy is not None:
            kwargs["proxy"] = route.proxy
        elif route.is_loopback:
            kwargs.pop("proxy", None)
        verify, cert = kwargs.get("verify", True), kwargs.pop("cert", None)
        kwargs["verify"] = ssl_context(route, verify, cert, trust_env=self._trusts_env)
        return kwargs

    def close(self) -> None:
        """End the use of the threads' connections, and close those that no other instance uses."""
        for kept in self._take_clients(None):
            if kept.closer is not None:
                kept.closer()
        POOLS.release(self)

    async def aclose(self) -> None:
        """End the use of the running event loop's connections, and close those that no other instance uses."""
        for kept in self._take_clients(asyncio.get_running_loop()):
            if kept.closer is not None:
                await kept.closer.aclose()
        await POOLS.release_async(self)

    def _take_clients(self, loop: asyncio.AbstractEventLoop | None) -> list[_KeptClient]:
        mine = os.getpid(), loop
        self._head = self._latest_headers = None
        with self._lock:
            return [self._clients.pop(key) for key in list(self._clients) if key[:2] == mine]

    # -- sending: two thin drivers over the same rules ------------------------------------------------------------

    def open(self, request: PreparedRequest) -> ResponseBody:
        """Send a request, and return the body of its response: a context manager that closes it."""
        failure: APIError | None = None
        try:
            body = self._send(request)
        except APIError as error:
            failure = error
        return body if failure is None else self._send_again(request, failure)

    def _send_again(self, request: PreparedRequest, failure: APIError) -> ResponseBody:
        """Send a request whose first attempt failed again, as the rules say."""
        for attempt in Retrying(**retry_rules(request)):
            with attempt:
                if attempt.retry_state.attempt_number == 1:
                    raise failure
                body = self._send(request)
        return body

    def _send(self, request: PreparedRequest) -> ResponseBody:
        failure, started, engine = None, monotonic(), self._engine
        route = self._route(request.url)
        request.proxy_variable, client = route.variable, self._client(request.url, route)
        try:
            message = self._build_request(client, request)
            message.extensions["trace"] = self._connection_trace(request, message.extensions)
            response = client.send(message, stream=True, auth=self._auth(message, request))
            for _ in range(_MAX_REDIRECTS):
                if (follow := _same_host_redirect(response)) is None:
                    break
                response.close()
                response = client.send(follow, stream=True, auth=self._auth(follow, request))
        except engine.HTTPError as error:
            failure = connection_failure(error, request)
        except (engine.InvalidURL, UnicodeError) as error:
            failure = redirect_failure(error, request)
        if failure is not None:
            # Outside of `except`, so that the package's frames, whose variables hold headers, are not in the traceback.
            raise failure
        body = ResponseBody(response, request, started, self.idle_timeout, engine.HTTPError)
        if not response.is_success:
            raise body.read_error()
        return body

    async def open_async(self, request: PreparedRequest) -> ResponseBody:
        """Send a request on the running event loop, and return the body of its response; see `open`."""
        failure: APIError | None = None
        try:
            body = await self._send_async(request)
        except APIError as error:
            failure = error
        return body if failure is None else await self._send_again_async(request, failure)

    async def _send_again_async(self, request: PreparedRequest, failure: APIError) -> ResponseBody:
        async for attempt in AsyncRetrying(**retry_rules(request)):
            with attempt:
                if attempt.retry_state.attempt_number == 1:
                    raise failure
                body = await self._send_async(request)
        return body

    async def _send_async(self, request: PreparedRequest) -> ResponseBody:
        failure, started, engine = None, monotonic(), self._engine
        route = self._route(request.url)
        request.proxy_variable, client = route.variable, await self._async_client(request.url, route)
        try:
            message = self._build_request(client, request)
            message.extensions["trace"] = _as_async(self._connection_trace(request, message.extensions))
            response = await client.send(message, stream=True, auth=self._auth(message, request))
            for _ in range(_MAX_REDIRECTS):
                if (follow := _same_host_redirect(response)) is None:
                    break
                await response.aclose()
                response = await client.send(follow, stream=True, auth=self._auth(follow, request))
        except engine.HTTPError as error:
            failure = connection_failure(error, request)
        except (engine.InvalidURL, UnicodeError) as error:
            failure = redirect_failure(error, request)
        if failure is not None:
            raise failure
        body = ResponseBody(response, request, started, self.idle_timeout, engine.HTTPError)
        if not response.is_success:
            raise await body.read_error_async()
        return body

    def _build_request(self, client: Any, request: PreparedRequest) -> Any:
        if (head := self._head) is not None and head.fits(client, request):
            return head.message(request.content)
        url = _parsed_url(self._engine, request.url)
        message = client.build_request(request.method, url, content=request.content, headers=request.headers)
        if request.headers is self._latest_headers:  # the second of many, such as the rows of a column
            self._head = RequestHead.of(self._engine, client, request, message)
        self._latest_headers = request.headers
        return message

    def _auth(self, message: Any, request: PreparedRequest) -> Any:
        """Return the authorization of a request; one of the caller's own comes on top of the key."""
        bearer = BearerAuth(request)
        if self._kwargs.get("auth") is None:
            return bearer
        bearer(message)
        return self._engine.USE_CLIENT_DEFAULT

    def _connection_trace(
        self, request: PreparedRequest, extensions: dict[str, Any]
    ) -> Callable[[str, Mapping[str, Any]], None]:
        """Make the package's trace callback, which records whether a request opened a connection or took a kept one.

        It takes itself out of the request's extensions when it knows: the package would call it eight times more.
        """
        opened, request.opened_connection = False, True

        def trace(name: str, info: Mapping[str, Any]) -> None:
            nonlocal opened
            what = name.partition(".")[2]
            if what.startswith("connect_"):
                opened = True
                if what == "connect_tcp.complete" and self._settings is not None:
                    set_keep_alive(info["return_value"].get_extra_info("socket"))
            if what in {"connect_tcp.complete", "start_tls.complete"} and self._settings is not None:
                cache_socket(info["return_value"])
            elif what == "send_request_headers.started":
                request.opened_connection = opened
                extensions.pop("trace", None)

        return trace


@lru_cache(maxsize=64)  # reading one takes as long as all else that makes a request
def _parsed_url(engine: Any, url: str) -> Any:
    return engine.URL(url)


class _KeepsNoCookies(DefaultCookiePolicy):
    """Keeps no cookie of a response: there is no session, and one with odd characters would end all later requests."""

    def set_ok(self, cookie: Cookie, request: Request) -> bool:
        return False


def _given_cookies(cookies: Any) -> CookieJar:
    """Return a jar that holds the user's cookies, and never another."""
    jar = CookieJar(_KeepsNoCookies())
    for cookie in cookies.jar:
        jar.set_cookie(cookie)
    return jar


def _as_async(trace: Callable[[str, Mapping[str, Any]], None]) -> Any:
    async def async_trace(name: str, info: Mapping[str, Any]) -> None:
        trace(name, info)

    return async_trace


def _same_host_redirect(response: Any) -> Any:
    """Return the request to follow a redirect with, if it stays on its host and keeps its method."""
    follow = response.next_request
    if follow is None or response.status_code not in {307, 308}:
        return None
    here, there = response.request.url, follow.url
    if (here.scheme, here.host, here.port) != (there.scheme, there.host, there.port):
        return None
    return follow
