"""One connection of the server: sends an `Answer` byte by byte as scripted, and notices when the client leaves."""

from __future__ import annotations

import socket
import struct
import time

from tests.openrouter_server.answers import Answer, Framing, chunk
from tests.openrouter_server.request import Request
from tests.openrouter_server.sse import Hold, Pause

_NO_LINGER = struct.pack("ii", 1, 0)  # close() then sends RST
_STEP = 0.01  # how often a held answer looks at its gate


class ClientLeftError(Exception):
    """The client closed the connection while it was being answered, or the server stops."""


class Connection:
    """A socket to one client."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # each piece is a packet of its own

    def send(self, request: Request, answer: Answer) -> bool:
        """Answer a request; return whether the connection can serve another one.

        Raises
        ------
        ClientLeftError
            The client left before the answer was complete.
        """
        for wait in answer.waits:
            self._wait(wait)
        streaming = answer.streams(request.streaming)
        framing = answer.framing_of(streaming)
        if not answer.verbatim:
            self._write(answer.head(streaming))
        if streaming and answer.at_once:
            self._write(answer.flood)
            return True
        if request.method != "HEAD":
            self._send_body(request, answer, streaming, framing)
        return self._finish(answer, framing) and request.headers.get("connection", "").lower() != "close"

    def _send_body(self, request: Request, answer: Answer, streaming: bool, framing: Framing) -> None:
        due = time.monotonic()
        first = True
        for step in answer.steps(streaming):
            if not isinstance(step, bytes):
                self._wait(step)
                due = time.monotonic()
                continue
            if answer.interval and not first:
                due += answer.interval  # by the clock, so that the work in between does not slow the pace
                self._wait(Pause(due - time.monotonic()))
            first = False
            self._write(chunk(step) if framing == "chunked" else step)
            request.pieces_sent += 1

    def _finish(self, answer: Answer, framing: Framing) -> bool:
        match answer.end:
            case "complete" | "drop":
                if framing == "chunked":
                    self._write(chunk(b""))
                return answer.end == "complete" and framing in {"chunked", "length"}
            case "reset":
                self.client_leaves_within(0.02)  # what was sent may be read first
                self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            case "half-close":
                self._sock.shutdown(socket.SHUT_WR)
                self._wait_for_client()
            case "stall":
                self._wait_for_client()
        return False

    def _write(self, content: bytes) -> None:
        if self.client_leaves_within(0):
            raise ClientLeftError
        self._sock.settimeout(None)
        try:
            self._sock.sendall(content)
        except OSError as problem:
            raise ClientLeftError from problem

    def _wait(self, wait: Pause | Hold) -> None:
        if isinstance(wait, Pause):
            end = time.monotonic() + wait.seconds
            while (rest := end - time.monotonic()) > 0:
                if self.client_leaves_within(rest):
                    raise ClientLeftError
        else:
            while not wait.gate.is_set():
                if self.client_leaves_within(_STEP):
                    raise ClientLeftError

    def _wait_for_client(self) -> None:
        while not self.client_leaves_within(60):
            pass
        raise ClientLeftError

    def client_leaves_within(self, seconds: float) -> bool:
        """Wait for the client to close; stopping the server shuts the socket down, which looks the same."""
        self._sock.settimeout(seconds)
        try:
            received = self._sock.recv(1, socket.MSG_PEEK)
        except (TimeoutError, BlockingIOError):
            return False
        except OSError:
            return True
        if received and seconds:
            time.sleep(
                min(seconds, _STEP)
            )  # the client sent its next request early: it is there, and peeking is no wait
        return not received
