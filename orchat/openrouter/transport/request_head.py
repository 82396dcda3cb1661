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
    """

    def __init__(self, engine: Any, client: Any, request: PreparedRequest, message: Any) -> None:
        self._engine = engine
        self._client = client
        self._given_headers = request.headers
        self._given_url = request.url
        self._method = message.method
        self._url = message.url
        self._headers = message.headers.raw
        self._encoding = message.headers.encoding
        self._timeout = dict(message.extensions["timeout"])
        names = [name.lower() for name, _ in self._headers]
        self._length_at = names.index(b"content-length") if b"content-length" in names else None
        self._has_cookie = b"cookie" in names

    def fits(self, client: Any, request: PreparedRequest) -> bool:
        """Whether it is the head of a request; never where that has cookies, which expire, or no body."""
        return (
            request.headers is self._given_headers
            and client is self._client
            and request.url == self._given_url
            and request.method == self._method
            and self._length_at is not None
            and not self._has_cookie
            and bool(request.content)
        )

    def message(self, content: bytes) -> Any:
        """Return the request with a body, as the package would build it."""
        headers = list(self._headers)
        if self._length_at is not None:
            headers[self._length_at] = (headers[self._length_at][0], b"%d" % len(content))
        stream = self._engine.ByteStream(content)
        extensions = {"timeout": dict(self._timeout)}
        message = self._engine.Request(self._method, self._url, headers=headers, stream=stream, extensions=extensions)
        message.headers.encoding = self._encoding  # else the package would find it out
        message.read()  # for event hooks, which may look at the body
        return message
