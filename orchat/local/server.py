"""`LocalServer`: the embedded model behind an OpenAI-compatible HTTP server on the loopback.

The server is a child process, so that a crash in native code cannot end the kernel. This module manages its lifetime;
it knows nothing of chat requests.
"""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType

from orchat.errors import ConfigurationError
from orchat.local.server_process import KEY_VARIABLE, ServerAddress, ServerProcess
from orchat.local.weights import check_gguf, require_weights
from orchat.secret import Secret

URL_VARIABLE = "ORCHAT_LOCAL_URL"
START_TIMEOUT = 60.0


def require_runtime() -> None:
    """Check that the extra ``local`` is installed; raise if not.

    Raises
    ------
    ConfigurationError
        It is not.
    """
    if find_spec("xllamacpp") is None:
        raise ConfigurationError(
            "The runtime of the embedded model is not installed.", hint='Run `pip install "orchat-jupyter[local]"`.'
        )


class LocalServer:
    """The embedded model as a server of its own, for the length of a ``with`` block or from `start` to `stop`.

    It can be started again after it was stopped, and its methods may be called from any thread. It stops by itself
    when the object is garbage or the process ends. A forked process does not inherit it: there it is not running.

    Parameters
    ----------
    model
        A GGUF file; the weights that `orchat.local.find_weights` finds by default.
    timeout
        Seconds that it may take to load the model.

    Examples
    --------
    >>> server = LocalServer()
    >>> server.running
    False

    Needs the extra ``local`` and the weights::

        with LocalServer() as server:
            generator = OpenRouterChatGenerator(api_base_url=server.base_url, api_key=server.api_key)
    """

    def __init__(self, model: str | Path | None = None, *, timeout: float = START_TIMEOUT) -> None:
        self._model = None if model is None else Path(model)
        self._timeout = timeout
        self._lock = threading.Lock()
        self._child: ServerProcess | None = None
        self._end: weakref.finalize[..., LocalServer] | None = None
        _servers.add(self)

    def start(self) -> ServerAddress:
        """Start the server unless it runs, wait until it listens, and return its address.

        Raises
        ------
        ConfigurationError
            The extra or the weights are missing, or the server did not come up; the text has its last words.
        """
        with self._lock:
            if self._child is None or not self._child.running:
                self._stop()
                require_runtime()
                model = require_weights() if self._model is None else check_gguf(self._model)
                self._child = ServerProcess(model, self._timeout)
                self._end = weakref.finalize(self, self._child.end)
            return self._child.endpoint

    def stop(self) -> None:
        """Stop the server if it runs."""
        with self._lock:
            self._stop()

    def _stop(self) -> None:
        if self._end is not None:
            self._end()
        self._child = self._end = None

    @property
    def running(self) -> bool:
        """Whether the server's process is alive."""
        child = self._child
        return child is not None and child.running

    @property
    def endpoint(self) -> ServerAddress:
        """The server's address and key.

        Raises
        ------
        ConfigurationError
            The server was not started.
        """
        if (child := self._child) is None:
            raise ConfigurationError(
                "The embedded server is not running.",
                hint="Call start(), or use it as `with LocalServer() as server:`.",
            )
        return child.endpoint

    @property
    def base_url(self) -> str:
        """The base URL for requests; it ends in ``/api/v1``."""
        return self.endpoint.base_url

    @property
    def api_key(self) -> Secret:
        """The random key of the running server."""
        return self.endpoint.api_key

    def __enter__(self) -> LocalServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        child = self._child
        return f"<LocalServer {child.endpoint.base_url if child and child.running else 'not running'}>"

    def _release_after_fork(self) -> None:
        """Release the server in a forked process: it is the parent's."""
        self._lock = threading.Lock()  # another thread of the parent may have held it at that moment
        if self._child is not None and self._end is not None:
            self._end.detach()
            self._child.release()
        self._child = self._end = None


_servers: weakref.WeakSet[LocalServer] = weakref.WeakSet()
_shared = LocalServer()


def _release_servers_after_fork() -> None:
    for server in list(_servers):
        server._release_after_fork()


with contextlib.suppress(AttributeError):  # Windows does not fork
    os.register_at_fork(after_in_child=_release_servers_after_fork)


def shared_server() -> ServerAddress:
    """Return this process's embedded server, started on first use and stopped at the end.

    Where ``ORCHAT_LOCAL_URL`` and ``ORCHAT_LOCAL_KEY`` name a server that runs already, as in the kernels under
    ``orchat demo``, that one serves.

    Raises
    ------
    ConfigurationError
        The server cannot be started, or an address is given without its key.
    """
    if url := os.environ.get(URL_VARIABLE):
        if not os.environ.get(KEY_VARIABLE):
            raise ConfigurationError(
                f"{URL_VARIABLE} is set and {KEY_VARIABLE} is not.",
                hint="Set the server's key too, or unset the address: then a server is started here.",
            )
        return ServerAddress(url.rstrip("/"), Secret.from_env_var(KEY_VARIABLE))
    return _shared.start()
