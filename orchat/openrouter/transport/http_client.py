"""Sending: clients for threads and event loops, retries, and redirects that stay on their host."""

from __future__ import annotations

import asyncio
import os
import random
import ssl
import threading
import weakref
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from time import monotonic
from typing import Any

import httpx
from tenacity import AsyncRetrying, RetryCallState, Retrying, retry_if_exception, stop_after_attempt

from orchat._version import __version__
from orchat.errors import APIError
from orchat.openrouter.transport.connection_errors import connection_failure
from orchat.openrouter.transport.prepared_request import BearerAuth, PreparedRequest
from orchat.openrouter.transport.response_body import ResponseBody

# Without a timeout of the caller's: seconds to connect, and for a first token, a gap or a whole reply. A reasoning
# model may think that long.
CONNECT_TIMEOUT, PATIENT_TIMEOUT = 30.0, 300.0
# Seconds; a server that asks for more is not waited for.
LONGEST_RETRY_AFTER = 120.0
_MOST_REDIRECTS = 3
_LONGEST_TIMEOUT = 86_400.0  # sockets cannot wait for ever
_LOOPBACK_MOUNTS = {"all://localhost": None, "all://127.0.0.1": None, "all://[::1]": None}


class HttpClient:
    """Sends calls; one instance serves any number of threads and event loops.

    Parameters
    ----------
    timeout
        Seconds to connect, to the first token and for each gap between tokens; None for patient defaults.
    client_kwargs
        Arguments of the httpx clients.
    """

    def __init__(self, timeout: float | None, client_kwargs: Mapping[str, Any] | None) -> None:
        timeout = None if timeout is None else min(timeout, _LONGEST_TIMEOUT)
        self.patience = PATIENT_TIMEOUT if timeout is None else timeout
        kwargs = dict(client_kwargs or {})
        # Redirects are followed here, on the same host only.
        kwargs.pop("follow_redirects", None)
        if isinstance(limits := kwargs.get("limits"), Mapping):
            kwargs["limits"] = httpx.Limits(**limits)
        kwargs.setdefault("timeout", httpx.Timeout(self.patience, connect=timeout or CONNECT_TIMEOUT))
        kwargs["mounts"] = {**_LOOPBACK_MOUNTS, **(kwargs.get("mounts") or {})}
        headers = httpx.Headers({"User-Agent": f"orchat/{__version__}", "Content-Type": "application/json"})
        headers.update(kwargs.get("headers"))
        kwargs["headers"] = headers
        self._kwargs = kwargs
        self._lock = threading.Lock()
        # Each with what closes it. Process ids are in the keys because a parent's connections are not a fork's to use.
        self._clients: dict[int, tuple[httpx.Client, Callable[[], object]]] = {}
        self._async_clients: dict[
            tuple[int, asyncio.AbstractEventLoop], tuple[httpx.AsyncClient, AsyncGenerator[None, None]]
        ] = {}

    def client(self) -> httpx.Client:
        """Return the client that all threads share, made when first needed."""
        with self._lock:
            if (kept := self._clients.get(os.getpid())) is None:
                client = httpx.Client(**self._arguments())
                kept = self._clients[os.getpid()] = client, weakref.finalize(self, client.close)
            return kept[0]

    async def async_client(self) -> httpx.AsyncClient:
        """Return the running event loop's client: connections cannot leave the loop that opened them."""
        key = os.getpid(), asyncio.get_running_loop()
        with self._lock:
            if (kept := self._async_clients.get(key)) is not None:
                return kept[0]
            client = httpx.AsyncClient(**self._arguments())
            for old in [old for old in self._async_clients if old[1].is_closed()]:
                del self._async_clients[old]
            closer = _closed_with_its_loop(client)
            self._async_clients[key] = client, closer
        await anext(closer)
        return client

    def _arguments(self) -> dict[str, Any]:
        # Reading the machine's certificates takes longer than the rest of making a client: once is enough.
        if not isinstance(verify := self._kwargs.get("verify", True), ssl.SSLContext):
            cert, trust_env = self._kwargs.pop("cert", None), self._kwargs.get("trust_env", True)
            self._kwargs["verify"] = httpx.create_ssl_context(verify, cert, trust_env)
        return self._kwargs

    def close(self) -> None:
        """Close the threads' client; the next call makes a new one."""
        with self._lock:
            kept = self._clients.pop(os.getpid(), None)
        if kept is not None:
            kept[1]()

    async def aclose(self) -> None:
        """Close the running loop's client."""
        with self._lock:
            kept = self._async_clients.pop((os.getpid(), asyncio.get_running_loop()), None)
        if kept is not None:
            await kept[1].aclose()

    # -- sending: two thin drivers over the same rules ------------------------------------------------------------

    @contextmanager
    def open(self, call: PreparedRequest) -> Iterator[ResponseBody]:
        """Send a call and give the body of its answer; leaving closes the connection."""
        for attempt in Retrying(**_retry_rules(call)):
            with attempt:
                body = self._send(call)
        try:
            yield body
        finally:
            body.close()

    def _send(self, call: PreparedRequest) -> ResponseBody:
        failure, started = None, monotonic()
        client = self.client()
        try:
            response = client.send(_request(client, call, _trace(call)), stream=True, auth=BearerAuth(call))
            for _ in range(_MOST_REDIRECTS):
                if (follow := _redirected(response)) is None:
                    break
                response.close()
                response = client.send(follow, stream=True, auth=BearerAuth(call))
        except httpx.HTTPError as error:
            failure = connection_failure(error, call)
        if failure is not None:
            # Outside of `except`, so that httpx's frames, whose variables hold headers, are not in the traceback.
            raise failure
        body = ResponseBody(response, call, started, self.patience)
        if not response.is_success:
            raise body.refusal()
        return body

    @asynccontextmanager
    async def open_async(self, call: PreparedRequest) -> AsyncIterator[ResponseBody]:
        """Like `open`, on the running event loop."""
        async for attempt in AsyncRetrying(**_retry_rules(call)):
            with attempt:
                body = await self._send_async(call)
        try:
            yield body
        finally:
            await body.aclose()

    async def _send_async(self, call: PreparedRequest) -> ResponseBody:
        failure, started = None, monotonic()
        client = await self.async_client()
        try:
            response = await client.send(_request(client, call, _async_trace(call)), stream=True, auth=BearerAuth(call))
            for _ in range(_MOST_REDIRECTS):
                if (follow := _redirected(response)) is None:
                    break
                await response.aclose()
                response = await client.send(follow, stream=True, auth=BearerAuth(call))
        except httpx.HTTPError as error:
            failure = connection_failure(error, call)
        if failure is not None:
            raise failure
        body = ResponseBody(response, call, started, self.patience)
        if not response.is_success:
            raise await body.arefusal()
        return body


async def _closed_with_its_loop(client: httpx.AsyncClient) -> AsyncGenerator[None, None]:
    """Close a client when its event loop ends: `asyncio.run` closes the generators that are still open first."""
    try:
        yield
    finally:
        await client.aclose()


def _request(client: httpx.Client | httpx.AsyncClient, call: PreparedRequest, trace: Any) -> httpx.Request:
    extensions = {"trace": trace}
    return client.build_request(
        call.method, call.url, content=call.content, headers=call.headers, extensions=extensions
    )


def _trace(call: PreparedRequest) -> Any:
    """Make the callback that learns whether a request opened a connection or took one from the pool."""
    opened, call.fresh = False, True

    def trace(name: str, info: Mapping[str, Any]) -> None:
        nonlocal opened
        what = name.partition(".")[2]
        if what.startswith("connect_"):
            opened = True
        elif what == "send_request_headers.started":
            call.fresh = opened

    return trace


def _async_trace(call: PreparedRequest) -> Any:
    trace = _trace(call)

    async def async_trace(name: str, info: Mapping[str, Any]) -> None:
        trace(name, info)

    return async_trace


def _redirected(response: httpx.Response) -> httpx.Request | None:
    """Return the request that a redirect asks for, if it stays on its host and keeps its method."""
    follow = response.next_request
    if follow is None or response.status_code not in {307, 308}:
        return None
    here, there = response.request.url, follow.url
    if (here.scheme, here.host, here.port) != (there.scheme, there.host, there.port):
        return None
    return follow


def _retry_rules(call: PreparedRequest) -> dict[str, Any]:
    return {
        "stop": stop_after_attempt(call.max_retries + 1),
        "wait": _wait,
        "retry": retry_if_exception(lambda error: _may_retry(error, call)),
        "reraise": True,
    }


def _may_retry(error: BaseException, call: PreparedRequest) -> bool:
    if not isinstance(error, APIError) or (error.retry_after or 0) > LONGEST_RETRY_AFTER:
        return False
    return error.retryable or error.status_code in call.transient


def _wait(state: RetryCallState) -> float:
    """Wait as long as the server asks, else half a second, doubled each time up to 8 s, less up to a quarter."""
    error = state.outcome.exception() if state.outcome is not None else None
    if isinstance(error, APIError) and error.retry_after is not None:
        return error.retry_after
    pause: float = min(8.0, 0.5 * 2 ** (state.attempt_number - 1))
    return pause * (1 - 0.25 * random.random())  # noqa: S311 - jitter
