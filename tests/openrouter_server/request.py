"""What the server saw: one `Request` per HTTP request, and how it is read off a socket."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

_LARGEST_HEAD = 64 * 1024


class Headers(Mapping[str, str]):
    """Header fields, found in any case; repeated ones are joined with a comma.

    Examples
    --------
    >>> Headers([("Content-Type", "application/json")])["content-type"]
    'application/json'
    """

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self.pairs = pairs
        self._values: dict[str, str] = {}
        for name, value in pairs:
            known = self._values.get(name.lower())
            self._values[name.lower()] = value if known is None else f"{known}, {value}"

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._values

    def __repr__(self) -> str:
        return f"Headers({self.pairs!r})"


@dataclass(eq=False)
class Request:
    """One request, and what became of it.

    Attributes
    ----------
    path
        Without the base path and the query: ``/chat/completions``.
    json
        The parsed body, or None when it is not JSON.
    connection
        Which connection brought it, counted from 1.
    reused
        Whether that connection had served a request before.
    client_closed
        Set when the client went away before the answer was complete; ``client_closed_at`` tells when (monotonic).
    pieces_sent
        How many pieces of the answer's body were sent so far.
    answered
        Set when the answer has ended, in whatever way.
    """

    method: str
    target: str
    headers: Headers
    body: bytes
    connection: int
    reused: bool
    path: str = ""
    query: dict[str, str] = field(default_factory=dict)
    json: Any = None
    arrived_at: float = field(default_factory=time.monotonic)
    client_closed: threading.Event = field(default_factory=threading.Event)
    client_closed_at: float | None = None
    pieces_sent: int = 0
    answered: threading.Event = field(default_factory=threading.Event)

    @property
    def streaming(self) -> bool:
        """Whether the request asks for a stream."""
        return isinstance(self.json, dict) and self.json.get("stream") is True

    def note_client_closed(self) -> None:
        """Record the moment the client went away."""
        if not self.client_closed.is_set():
            self.client_closed_at = time.monotonic()
            self.client_closed.set()


class BadRequestError(Exception):
    """The bytes are no HTTP request."""


class RequestReader:
    """Reads requests from one connection, one after the other."""

    def __init__(self, sock: socket.socket, connection: int, base_path: str) -> None:
        self._sock = sock
        self._connection = connection
        self._base_path = base_path
        self._buffer = b""
        self._served = 0

    def read(self) -> Request | None:
        """The next request, or None when the client closed the idle connection."""
        head = self._until(b"\r\n\r\n")
        if head is None:
            return None
        lines = head.decode("latin-1").split("\r\n")
        try:
            method, target, _version = lines[0].split(" ")
            pairs = [(name, value.strip()) for name, value in (line.split(":", 1) for line in lines[1:])]
        except ValueError as problem:
            raise BadRequestError(f"not an HTTP request: {head[:80]!r}") from problem
        headers = Headers(pairs)
        if headers.get("expect", "").lower() == "100-continue":
            self._sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        request = Request(method, target, headers, self._body(headers), self._connection, reused=self._served > 0)
        self._served += 1
        url = urlsplit(target)
        request.path = url.path.removeprefix(self._base_path)
        request.query = dict(parse_qsl(url.query))
        try:
            request.json = json.loads(request.body) if request.body else None
        except ValueError:
            request.json = None
        return request

    def _body(self, headers: Headers) -> bytes:
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = b""
            while size := int(self._line().split(b";")[0], 16):
                body += self._exactly(size)
                self._line()
            while self._line():
                pass
            return body
        return self._exactly(int(headers.get("content-length", "0")))

    def _line(self) -> bytes:
        line = self._until(b"\r\n")
        if line is None:
            raise ConnectionResetError("the client left in the middle of a request")
        return line

    def _until(self, mark: bytes) -> bytes | None:
        while mark not in self._buffer:
            if len(self._buffer) > _LARGEST_HEAD:
                raise BadRequestError("the head of the request is too long")
            if not self._receive():
                if self._buffer:
                    raise ConnectionResetError("the client left in the middle of a request")
                return None
        found, self._buffer = self._buffer.split(mark, 1)
        return found

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            if not self._receive():
                raise ConnectionResetError("the client left in the middle of a request")
        found, self._buffer = self._buffer[:size], self._buffer[size:]
        return found

    def _receive(self) -> bool:
        received = self._sock.recv(65536)
        self._buffer += received
        return bool(received)
