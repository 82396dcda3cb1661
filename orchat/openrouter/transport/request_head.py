"""`RequestHead`: method, URL and headers of requests that differ in their bodies only, made once."""

from __future__ import annotations

from typing import Any

from orchat.openrouter.transport.prepared_request import PreparedRequest


class RequestHead:
    """The head of an HTTP package's request, for those that follow with the same headers object and another body.

    To merge and check the headers anew takes a twenty-fifth of a call's CPU time (httpx2 2.16.2).

    Parameters
    ----------
    engine
        The HTTP package.
    client
        The client that built the request.
    request
        What it was built of.
    message
        The request as the package has built it, with a body.
    length_at
        Where the length of the body is among its headers.
    """

    def __init__(self, engine: Any, client: Any, request: PreparedRequest, message: Any, length_at: int) -> None:
        self._engine = engine
        self._client = client
        self._given_headers = request.headers
        self._given_url = request.url
        self._method = message.method
        self._url = message.url
        self._headers = message.headers.raw
        self._length_at = length_at
        self._encoding = message.headers.encoding
        self._timeout = dict(message.extensions["timeout"])

    @classmethod
    def of(cls, engine: Any, client: Any, request: PreparedRequest, message: Any) -> RequestHead | None:
        """Return the head of a request; None of one with cookies, which expire, or without a body."""
        names = [name.lower() for name, _ in message.headers.raw]
        if b"cookie" in names or b"content-length" not in names:
            return None
        return cls(engine, client, request, message, names.index(b"content-length"))

    def fits(self, client: Any, request: PreparedRequest) -> bool:
        """Whether it is the head of a request."""
        return (
            request.headers is self._given_headers
            and client is self._client
            and request.url == self._given_url
            and request.method == self._method
        )

    def message(self, content: bytes) -> Any:
        """Return the request with a body, as the package would build it."""
        headers = list(self._headers)
        headers[self._length_at] = (headers[self._length_at][0], b"%d" % len(content))
        stream = self._engine.ByteStream(content)
        extensions = {"timeout": dict(self._timeout)}
        message = self._engine.Request(self._method, self._url, headers=headers, stream=stream, extensions=extensions)
        message.headers.encoding = self._encoding  # else the package would find it out
        message.read()  # for event hooks, which may look at the body
        return message
