"""Convert connection errors and timeouts to `APIConnectionError`, and decide whether a request is retried."""

from __future__ import annotations

import errno
from urllib.parse import urlsplit

from orchat.errors import APIConnectionError, APIError, APITimeoutError
from orchat.openrouter.dialect import host_of
from orchat.openrouter.transport.certificates import certificate_hint
from orchat.openrouter.transport.http_package import error_names
from orchat.openrouter.transport.prepared_request import PreparedRequest
from orchat.secrets import redact


def connection_failure(error: Exception, request: PreparedRequest, *, response_started: bool = False) -> APIError:
    """Convert an error of an HTTP package to an `APIConnectionError`, retryable only if the request did not start."""
    host = _host_and_port(request.url)
    said = redact(str(error), *request.secrets)[: request.limits.header_characters]
    reason = said.rstrip(".") or type(error).__name__
    names = error_names(error)
    if not names.isdisjoint({"ConnectTimeout", "PoolTimeout"}):
        return timeout_error(request, "could not be reached in time", retryable=True)
    if is_dead := _is_dead(error):
        reason = "nothing that was sent to it was confirmed"
    elif "TimeoutException" in names:
        return timeout_error(request, "sent nothing in time")
    if not names.isdisjoint({"ConnectError", "ProxyError"}):
        # A certificate is not trusted more the second time.
        retryable = "certificate" not in reason.lower()
        return APIConnectionError(
            f"No connection to {host}: {reason}.", hint=_connect_hint(reason, request), retryable=retryable
        )
    if response_started:
        return APIConnectionError(
            f"The connection to {host} broke in the middle of the answer: {reason}.",
            hint="What came is in `.partial`; try again.",
        )
    if "ProtocolError" in names and "disconnected" not in reason:
        return APIConnectionError(f"{host} answered what is no HTTP: {reason}.", hint="Is the base URL right?")
    # A pooled connection that the server closed meanwhile never saw the request. A fresh one may have, and there is no
    # idempotency key: sending it again could be paid for twice.
    what = f"The connection to {host} is dead" if is_dead else f"{host} closed the connection without an answer"
    return APIConnectionError(
        f"{what}: {reason}.",
        hint="Try again.",
        retryable=not request.opened_connection,
    )


def _is_dead(error: BaseException | None) -> bool:
    """Whether the system gave a connection up, which looks like a timeout of ours."""
    while error is not None:
        if isinstance(error, OSError) and error.errno == errno.ETIMEDOUT:
            return True
        error = error.__cause__ or error.__context__
    return False


def redirect_failure(reason: object, request: PreparedRequest) -> APIError:
    """Make the error of a redirect whose target is no address; the reason is an error, or the target."""
    reason = redact(str(reason), *request.secrets)[: request.limits.header_characters].rstrip(".")
    return APIError(f"{host_of(request.url)} redirects to what is no address: {reason}.", hint="Is the base URL right?")


def timeout_error(request: PreparedRequest, what: str, *, retryable: bool = False) -> APITimeoutError:
    """Make the error of a host that was too slow."""
    hint = "Raise timeout=, or choose a faster model or provider; the request may still be billed."
    if retryable:
        hint = "Check the network and the base URL."
    return APITimeoutError(f"{_host_and_port(request.url)} {what}.", hint=hint, retryable=retryable)


def _host_and_port(url: str) -> str:
    """Return a URL's host, with its port where one is given: of the servers of a machine it tells one from another."""
    host, port = host_of(url) or url, urlsplit(url).port
    if port is None:
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _connect_hint(reason: str, request: PreparedRequest) -> str:
    lower = reason.lower()
    if "certificate" in lower:
        return certificate_hint()
    if request.proxy_variable is not None:
        variable = request.proxy_variable
        return f"{variable} names a proxy on the way: is it right? A host that needs none belongs into NO_PROXY."
    if "name" in lower or "getaddrinfo" in lower or "nodename" in lower:
        return "Is there a network, and is the base URL's host spelt right?"
    return "Is the base URL right, and does a server run there?"
