"""What a connection that failed or was too slow means, and whether its request may be sent again."""

from __future__ import annotations

import httpx

from orchat.errors import APIConnectionError, APIError, APITimeoutError
from orchat.openrouter.dialect import host_of
from orchat.openrouter.transport.prepared_request import PreparedRequest
from orchat.secrets import redact


def connection_failure(error: httpx.HTTPError, call: PreparedRequest, *, began: bool = False) -> APIError:
    """Say what a failed request means, and whether it may be sent again."""
    host = host_of(call.url) or call.url
    words = redact(str(error), *call.secrets).rstrip(".") or type(error).__name__
    if isinstance(error, httpx.ConnectTimeout | httpx.PoolTimeout):
        return timeout_error(call, "could not be reached in time", retryable=True)
    if isinstance(error, httpx.TimeoutException):
        return timeout_error(call, "sent nothing in time")
    if isinstance(error, httpx.ConnectError | httpx.ProxyError):
        # A certificate is not trusted more the second time.
        retryable = "certificate" not in words.lower()
        return APIConnectionError(f"No connection to {host}: {words}.", hint=_connect_hint(words), retryable=retryable)
    if began:
        return APIConnectionError(
            f"The connection to {host} broke in the middle of the answer: {words}.",
            hint="What came is in `.partial`; try again.",
        )
    if isinstance(error, httpx.ProtocolError) and "disconnected" not in words:
        return APIConnectionError(f"{host} answered what is no HTTP: {words}.", hint="Is the base URL right?")
    # A pooled connection that the server closed meanwhile never saw the request. A fresh one may have, and there is no
    # idempotency key: sending it again could be paid for twice.
    return APIConnectionError(
        f"{host} closed the connection without an answer: {words}.", hint="Try again.", retryable=not call.fresh
    )


def timeout_error(call: PreparedRequest, what: str, *, retryable: bool = False) -> APITimeoutError:
    """Say that a host was too slow."""
    hint = "Raise timeout=, or choose a faster model or provider; the request may still be billed."
    if retryable:
        hint = "Check the network and the base URL."
    return APITimeoutError(f"{host_of(call.url)} {what}.", hint=hint, retryable=retryable)


def _connect_hint(words: str) -> str:
    lower = words.lower()
    if "certificate" in lower:
        return "The host's certificate is not trusted here; is a proxy in between?"
    if "name" in lower or "getaddrinfo" in lower or "nodename" in lower:
        return "Is there a network, and is the base URL's host spelt right?"
    return "Is the base URL right, and does a server run there?"
