"""`ScriptedOpenRouter`: a loopback HTTP server that answers as a test tells it and remembers what it was asked."""

from __future__ import annotations

import socket
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Self
from urllib.parse import unquote

from tests.openrouter_server.answers import Answer, error, text
from tests.openrouter_server.connection import ClientLeftError, Connection
from tests.openrouter_server.decisions import decision_answer
from tests.openrouter_server.facts import key_answer, models_answer
from tests.openrouter_server.request import BadRequestError, Request, RequestReader
from tests.patience import PATIENCE

BASE_PATH: Final = "/api/v1"
CHAT: Final = ("POST", "/chat/completions")
DECISIONS: Final = ("POST", "/api/alpha/decisions")
DEFAULT_TEXT: Final = "The Humber flows past Hull into the North Sea."

Script = Answer | Callable[[Request], Answer]

DEFAULTS: Final[dict[tuple[str, str], Script]] = {
    CHAT: text(DEFAULT_TEXT),
    DECISIONS: decision_answer,
    ("GET", "/models"): models_answer,
    ("GET", "/key"): key_answer,
}


class Route:
    """What one method and path answer: a queue, then a standing answer."""

    def __init__(self) -> None:
        self.queue: deque[Script] = deque()
        self.standing: Script | None = None

    def answers(self, *answers: Script) -> None:
        """Give these answers to the next requests, in this order. A function gets the `Request`."""
        self.queue.extend(answers)

    def always(self, answer: Script) -> None:
        """Answer so whenever the queue is empty."""
        self.standing = answer

    def next(self) -> Script | None:
        """Take the answer for the next request."""
        return self.queue.popleft() if self.queue else self.standing


class ScriptedOpenRouter:
    """A loopback OpenRouter; a context manager that starts and stops it.

    Without a script a chat request gets `DEFAULT_TEXT`, streamed or whole as it asks, ``GET /models`` and ``GET /key``
    what `facts` holds, and every other path the 404 of OpenRouter.

    Attributes
    ----------
    validate
        Whether chat requests must fit the official request models; one that doesn't gets a 400 and is a failure.
    allowed
        Keys of the body's top level that a test sends on purpose although OpenRouter knows nothing of them.
    required_key
        The API key that requests must bear, or None.
    must_use_all
        Whether an answer that nobody asked for is a failure.
    requests
        What was asked so far.
    connections
        How many connections brought a request. Others do not count: a client elsewhere on the machine may still call
        the port's last owner.
    failures
        What went wrong, in words; `check` raises if there is any.
    """

    def __init__(self, *, validate: bool = True, required_key: str | None = None, keep_requests: bool = True) -> None:
        self.validate = validate
        self.allowed: set[str] = set()
        self.required_key = required_key
        self.must_use_all = False
        self.requests: list[Request] = []
        self.connections = 0
        self.failures: list[str] = []
        self._keep_requests = keep_requests
        self._routes: dict[tuple[str, str], Route] = {CHAT: Route()}
        self._changed = threading.Condition()
        self._stopping = False
        self._open: dict[socket.socket, threading.Thread] = {}
        self._listener: socket.socket | None = None
        self._accepting: threading.Thread | None = None
        self._port = 0

    # --- script ---

    def on(self, method: str, path: str) -> Route:
        """The route of a method and a path (without the base path and the query), made when it is new."""
        return self._routes.setdefault((method.upper(), path), Route())

    def answers(self, *answers: Script) -> None:
        """Give these answers to the next chat requests, in this order."""
        self.on(*CHAT).answers(*answers)

    def always(self, answer: Script) -> None:
        """Answer chat requests so whenever the queue is empty."""
        self.on(*CHAT).always(answer)

    # --- record ---

    @property
    def request(self) -> Request:
        """The latest request."""
        return self.requests[-1]

    def wait_for_requests(self, count: int = 1, timeout: float = PATIENCE) -> list[Request]:
        """Wait until so many requests have arrived, and return them all."""
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.requests) >= count, timeout):
                raise AssertionError(f"{len(self.requests)} requests arrived in {timeout} s, not {count}")
            return list(self.requests)

    def check(self) -> None:
        """Raise an AssertionError that tells every failure."""
        problems = list(self.failures)
        if self.must_use_all:
            problems += [
                f"{len(route.queue)} scripted answers of {method} {path} were not asked for"
                for (method, path), route in self._routes.items()
                if route.queue
            ]
        if problems:
            raise AssertionError(
                "the scripted OpenRouter reports:\n" + "\n".join(f"- {problem}" for problem in problems)
            )

    # --- life ---

    @property
    def origin(self) -> str:
        """``http://127.0.0.1:PORT``."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def base_url(self) -> str:
        """What goes in the place of ``https://openrouter.ai/api/v1``."""
        return self.origin + BASE_PATH

    @property
    def open_connections(self) -> int:
        """How many connections the server has not closed yet."""
        with self._changed:
            return len(self._open)

    def start(self, port: int = 0) -> Self:
        """Listen on a loopback port; 0 takes a free one."""
        if self.validate:
            from tests.openrouter_server.validation import load

            load()  # now, so that the first request is not slow
        self._listener = socket.create_server(("127.0.0.1", port), backlog=128)
        self._port = self._listener.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept, name="openrouter-accept", daemon=True)
        self._accepting.start()
        return self

    def stop(self) -> None:
        """Cut every connection and end every thread."""
        if self._listener is None or self._accepting is None:
            return
        self._stopping = True
        with socket.socket() as waker:  # accept() wakes up for a connection, on every system
            waker.connect(("127.0.0.1", self._port))
        self._accepting.join(PATIENCE)
        self._listener.close()
        self._listener = None
        with self._changed:
            workers = dict(self._open)
        for sock in workers:
            with suppress(OSError):  # it may be closed already
                sock.shutdown(socket.SHUT_RDWR)
        end = time.monotonic() + PATIENCE
        for thread in workers.values():
            thread.join(max(0.0, end - time.monotonic()))
            if thread.is_alive():
                self.failures.append(f"{thread.name} did not end")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    # --- work ---

    def _accept(self) -> None:
        listener = self._listener
        assert listener is not None
        accepted = 0
        while True:
            sock, _address = listener.accept()
            if self._stopping:
                sock.close()
                return
            accepted += 1
            name = f"openrouter-connection-{accepted}"
            thread = threading.Thread(target=self._serve, args=(sock, accepted), name=name, daemon=True)
            with self._changed:
                self._open[sock] = thread
            thread.start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        try:
            connection = Connection(sock)
            reader = RequestReader(sock, number, BASE_PATH)
            while (request := self._read(reader, sock)) is not None:
                with self._changed:
                    self.connections += not request.reused
                    if self._keep_requests:
                        self.requests.append(request)
                    self._changed.notify_all()
                try:
                    if not connection.send(request, self._answer(request)):
                        break
                except ClientLeftError:
                    if not self._stopping:
                        request.note_client_closed()
                    break
                finally:
                    request.answered.set()
        except BadRequestError as problem:
            self.failures.append(str(problem))
        except OSError:
            pass  # the client tore the connection down between two requests
        except Exception:
            self.failures.append(traceback.format_exc())
        finally:
            sock.close()
            with self._changed:
                self._open.pop(sock, None)

    @staticmethod
    def _read(reader: RequestReader, sock: socket.socket) -> Request | None:
        sock.settimeout(None)
        return reader.read()

    def _answer(self, request: Request) -> Answer:
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        route = self._routes.get((request.method, unquote(request.path)))
        with self._changed:
            script = route.next() if route else None
        if script is None:
            script = DEFAULTS.get((request.method, request.path)) or error(404, "Not Found", user_id=None)
        return script if isinstance(script, Answer) else script(request)

    def _refusal(self, request: Request) -> Answer | None:
        if self.required_key is not None:
            given = request.headers.get("authorization")
            if given is None:
                return error(401, "No cookie auth credentials found", user_id=None)
            if given != f"Bearer {self.required_key}":
                return error(401, "User not found.", user_id=None)
        if self.validate and (request.method, request.path) in {CHAT, DECISIONS}:
            from tests.openrouter_server.validation import problems_of

            problems = problems_of(request, self.allowed)
            if problems:
                kind = "chat" if request.path == CHAT[1] else "decision"
                self.failures += [f"{kind} request {len(self.requests)}: {problem}" for problem in problems]
                return error(400, "; ".join(problems), metadata={"error_type": "invalid_request"})
        return None
