"""Sending: clients for threads and event loops, retries, and redirects that stay on their host."""

from __future__ import annotations

import asyncio
import os
import random
import threading
import weakref
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from time import monotonic
from typing import Any

import httpx
from tenacity import AsyncRetrying, RetryCallState, Retrying, retry_if_exception, stop_after_attempt

from orchat._version import __version__
from orchat.errors import APIError
from orchat.openrouter.transport.body import Body
from orchat.openrouter.transport.call import BearerAuth, Call
from orchat.openrouter.transport.failure import connection_failure

# Without a timeout of the caller's: seconds to connect, and for a first token, a gap or a whole reply. A reasoning
# model may think that long.
CONNECT_TIMEOUT, PATIENT_TIMEOUT = 30.0, 300.0
# Seconds; a server that asks for more is not waited for.
LONGEST_RETRY_AFTER = 120.0
_MOST_REDIRECTS = 3
_LOOPBACK_MOUNTS = {"all://localhost": None, "all://127.0.0.1": None, "all://[::1]": None}


class Transport:
    """Sends calls; one instance serves any number of threads and event loops.

    Parameters
    ----------
    timeout
        Seconds to connect, to the first token and for each gap between tokens; None for patient defaults.
    client_kwargs
        Arguments of the httpx clients.
    """

    def __init__(self, timeout: float | None, client_kwargs: Mapping[str, Any] | None) -> None:
        self.patience = PATIENT_TIMEOUT if timeout is None else timeout
        kwargs = dict(client_kwargs or {})
        # Redirects are followed here, on the same host only.
        kwargs.pop("follow_redirects", None)
        if isinstance(limits := kwargs.get("limits"), Mapping):
            kwargs["limits"] = httpx.Limits(**limits)
        kwargs.setdefault("timeout", httpx.Timeout(self.patience, connect=timeout or CONNECT_TIMEOUT))
        kwargs["mounts"] = {**_LOOPBACK_MOUNTS, **(kwargs.get("mounts") or {})}
        self._kwargs = kwargs
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self._pid = os.getpid()
        self._client: httpx.Client | None = None
        self._async_clients: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, httpx.AsyncClient] = (
            weakref.WeakKeyDictionary()
        )

    def client(self) -> httpx.Client:
        """Return the client that all threads share, made when first needed."""
        with self._lock:
            if self._pid != os.getpid():
                self._forget()  # after a fork the parent's connections are not ours to use
            if self._client is None:
                self._client = httpx.Client(**self._kwargs)
            return self._client

    def async_client(self) -> httpx.AsyncClient:
        """Return the running event loop's client: connections cannot leave the loop that opened them."""
        loop = asyncio.get_running_loop()
        with self._lock:
            if self._pid != os.getpid():
                self._forget()
            if (client := self._async_clients.get(loop)) is None:
                client = self._async_clients[loop] = httpx.AsyncClient(**self._kwargs)
            return client

    def close(self) -> None:
        """Close the threads' client; the next call makes a new one."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    async def aclose(self) -> None:
        """Close the running loop's client."""
        with self._lock:
            client = self._async_clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()

    # -- sending: two thin drivers over the same rules ------------------------------------------------------------

    @contextmanager
    def open(self, call: Call) -> Iterator[Body]:
        """Send a call and give the body of its answer; leaving closes the connection."""
        for attempt in Retrying(**_retry_rules(call)):
            with attempt:
                body = self._send(call)
        try:
            yield body
        finally:
            body.close()

    def _send(self, call: Call) -> Body:
        failure, started = None, monotonic()
        call.fresh = False
        try:
            client = self.client()
            response = client.send(_request(client, call, _trace(call)), stream=True, auth=BearerAuth(call))
            for _ in range(_MOST_REDIRECTS):
                if (follow := _redirected(response)) is None:
                    break
                response.close()
                response = client.send(follow, stream=True, auth=BearerAuth(call))
            body = Body(response, call, started, self.patience)
            if response.is_success:
                return body
            return body.refuse("".join(body.iter_text()))
        except httpx.HTTPError as error:
            failure = connection_failure(error, call)
        # Outside of `except`, so that httpx's frames, whose variables hold headers, are not in the traceback.
        raise failure

    @asynccontextmanager
    async def open_async(self, call: Call) -> AsyncIterator[Body]:
        """Like `open`, on the running event loop."""
        async for attempt in AsyncRetrying(**_retry_rules(call)):
            with attempt:
                body = await self._send_async(call)
        try:
            yield body
        finally:
            await body.aclose()

    async def _send_async(self, call: Call) -> Body:
        failure, started = None, monotonic()
        call.fresh = False
        try:
            client = self.async_client()
            response = await client.send(_request(client, call, _async_trace(call)), stream=True, auth=BearerAuth(call))
            for _ in range(_MOST_REDIRECTS):
                if (follow := _redirected(response)) is None:
                    break
                await response.aclose()
                response = await client.send(follow, stream=True, auth=BearerAuth(call))
            body = Body(response, call, started, self.patience)
            if response.is_success:
                return body
            return body.refuse("".join([text async for text in body.aiter_text()]))
        except httpx.HTTPError as error:
            failure = connection_failure(error, call)
        raise failure


def _request(client: httpx.Client | httpx.AsyncClient, call: Call, trace: Any) -> httpx.Request:
    headers = {"User-Agent": f"orchat/{__version__}", "Content-Type": "application/json", **call.headers}
    return client.build_request("POST", call.url, content=call.content, headers=headers, extensions={"trace": trace})


def _trace(call: Call) -> Any:
    """Make the callback that learns whether a request opened a connection or took one from the pool."""

    def trace(name: str, info: Mapping[str, Any]) -> None:
        if name.startswith("connection.connect"):
            call.fresh = True

    return trace


def _async_trace(call: Call) -> Any:
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


def _retry_rules(call: Call) -> dict[str, Any]:
    return {
        "stop": stop_after_attempt(call.max_retries + 1),
        "wait": _wait,
        "retry": retry_if_exception(_may_retry),
        "reraise": True,
    }


def _may_retry(error: BaseException) -> bool:
    return isinstance(error, APIError) and error.retryable and (error.retry_after or 0) <= LONGEST_RETRY_AFTER


def _wait(state: RetryCallState) -> float:
    """Wait as long as the server asks, else half a second, doubled each time up to 8 s, less up to a quarter."""
    error = state.outcome.exception() if state.outcome is not None else None
    if isinstance(error, APIError) and error.retry_after is not None:
        return error.retry_after
    pause: float = min(8.0, 0.5 * 2 ** (state.attempt_number - 1))
    return pause * (1 - 0.25 * random.random())  # noqa: S311 - jitter
