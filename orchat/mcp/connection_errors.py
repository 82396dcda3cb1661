"""Convert what the SDK raises to `orchat.errors.ToolServerError`: groups of exceptions are taken apart."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from orchat.errors import ToolServerError
from orchat.secrets import redact

CONNECTION_CLOSED = -32000
REQUEST_TIMEOUT = -32001
_HTTP_HINTS = {
    401: "It wants to know who you are: headers={'Authorization': Secret.from_env_var(NAME)}.",
    403: "It does not let you in: look at what `headers` gives it.",
    404: "There is no MCP server at this address: many stand at /mcp.",
}


def leaf_errors(error: BaseException) -> Iterator[BaseException]:
    """Yield the exceptions of a group, and of groups in it; those of a cancellation last.

    Examples
    --------
    >>> list(leaf_errors(ExceptionGroup("two", [asyncio.TimeoutError(), ExceptionGroup("one", [OSError(7, "no")])])))
    [TimeoutError(), OSError(7, 'no')]
    """
    found = [error]
    while any(isinstance(each, BaseExceptionGroup) for each in found):
        found = [
            leaf for each in found for leaf in (each.exceptions if isinstance(each, BaseExceptionGroup) else (each,))
        ]
    yield from sorted(found, key=lambda each: isinstance(each, asyncio.CancelledError))


def is_mcp_error(error: BaseException) -> bool:
    """Whether a server, or the SDK in its place, answered with an error of the protocol."""
    from mcp import MCPError

    return isinstance(error, MCPError)


def error_code(error: BaseException) -> int | None:
    """Return the code of an error of the protocol; None for any other exception."""
    return getattr(error, "code", None) if is_mcp_error(error) else None


def to_server_error(
    error: BaseException, server: str, *, what: str, status: int | None = None, details: str = ""
) -> ToolServerError:
    """Make an error of orchat of what the SDK raised.

    Parameters
    ----------
    error
        The exception, or a group.
    server
        The name and place of the server, for people.
    what
        What did not succeed, such as "cannot be started".
    status
        The HTTP status of the last refusal, of which the SDK tells nothing.
    details
        The server's last words.
    """
    leaf = next(leaf_errors(error))
    if isinstance(leaf, ToolServerError):
        return leaf
    hint = None
    if isinstance(leaf, FileNotFoundError):
        text, hint = f"there is no program `{leaf.filename}`", "Install it, or give its whole path."
    elif isinstance(leaf, TimeoutError) or error_code(leaf) == REQUEST_TIMEOUT:
        text, hint = "it took too long", "Raise `connect_timeout` or `timeout` if it needs longer."
    elif error_code(leaf) == CONNECTION_CLOSED:
        text = "the connection was closed"
    elif is_mcp_error(leaf):
        text = str(leaf)
    else:
        text = f"{type(leaf).__name__}: {leaf}".removesuffix(": ")
    if status is not None:
        text, hint = f"{text} (HTTP status {status})", _HTTP_HINTS.get(status, hint)
    return ToolServerError(redact(f"The MCP server {server} {what}: {text}."), details=details, hint=hint)
