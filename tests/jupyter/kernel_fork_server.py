"""A process that has imported what nearly each kernel imports, and forks a kernel at each request.

It runs as a script: ``python kernel_fork_server.py SOCKET``, until its standard input ends, and writes a line when it
listens. It has one thread and no event loop, and only imports orchat.

A request is one line of JSON with ``arguments``, ``environment`` and ``folder``, and the file descriptors of stdout and
stderr. The answer is a line with the kernel's process, and one with its return code once it has ended. A kernel whose
connection is closed before is killed, as one ends whose parent has ended.
"""

from __future__ import annotations

import gc
import inspect
import json
import os
import random
import selectors
import signal
import socket
import sys
import threading
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from typing import Any

# What a kernel imports when it starts, and each of these imports more.
_MODULES = (
    "ipykernel.kernelapp",
    "ipykernel.debugger",
    "IPython.core.completerlib",
    "IPython.core.debugger",
    "IPython.core.magics.extension",
    "IPython.core.oinspect",
    "IPython.extensions.storemagic",
    "faulthandler",
    "psutil",
    "sqlite3",
    "tornado.platform.asyncio",
    "tornado.queues",
    # And others' packages that the first question and the first tool import, except those that look for a running
    # kernel (ipywidgets).
    "annotated_types",
    "anyio._backends._asyncio",
    "difflib",
    "encodings.utf_8_sig",
    "h11",
    "html.parser",
    "httpcore2",
    "httpx2",
    "jsonschema_rs",
    "markdown_it",
    "pydantic.fields",
    "pydantic.json_schema",
    "pydantic.main",
    "pydantic.plugin._loader",
    "pydantic.plugin._schema_validator",
    "pydantic.type_adapter",
    "pydantic.types",
    "secrets",
    "tenacity",
    "truststore",
    # And those that the first traceback imports.
    "pygments.formatters.terminal256",
    "stack_data",
    # And what of orchat the first question and the first panel import; tests of what is imported when start a process
    # of their own, and kernels of other versions of ipykernel import orchat themselves.
    "orchat.jupyter.magic.cell_turn_runner",
    "orchat.jupyter.magic.magics",
    "orchat.jupyter.magic.turn_request",
    "orchat.jupyter.panel.chat_panel",
    "orchat.secrets.detection",
    "orchat.tools",
)


class _Forked(BaseException):
    """This is the new process: it shall leave the loop of its parent."""

    def __init__(self, request: dict[str, Any], output: list[int]) -> None:
        self.request, self.output = request, output


class ForkServer:
    """Answers requests until the standard input ends."""

    def __init__(self, address: str) -> None:
        self._selector = selectors.DefaultSelector()
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(address)
        self._listening.listen(64)
        self._selector.register(self._listening, selectors.EVENT_READ, self._accept)
        self._selector.register(0, selectors.EVENT_READ, self._stop)
        self._kernels: dict[socket.socket, tuple[int, int]] = {}  # the process and its descriptor, by the connection

    def serve(self) -> None:
        """Fork kernels until the standard input ends; raise `_Forked` in each of them."""
        while True:
            for key, _ in self._selector.select():
                key.data(key.fileobj)

    def _accept(self, _: object) -> None:
        connection, _ = self._listening.accept()
        _, output, _, _ = socket.recv_fds(connection, 1, 2)
        with connection.makefile("rb") as lines:
            request = json.loads(lines.readline())
        process = os.fork()
        if not process:
            connection.close()
            self._forget()
            raise _Forked(request, output)
        for each in output:
            os.close(each)
        ended = os.pidfd_open(process)
        self._kernels[connection] = process, ended
        self._selector.register(ended, selectors.EVENT_READ, lambda _: self._ended(connection))
        self._selector.register(connection, selectors.EVENT_READ, self._abandoned)
        connection.sendall(b"%d\n" % process)

    def _abandoned(self, connection: socket.socket) -> None:
        os.kill(self._kernels[connection][0], signal.SIGKILL)
        self._selector.unregister(connection)

    def _ended(self, connection: socket.socket) -> None:
        process, ended = self._kernels.pop(connection)
        code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        self._selector.unregister(ended)
        os.close(ended)
        with suppress(KeyError):
            self._selector.unregister(connection)
        with suppress(OSError), connection:
            connection.sendall(b"%d\n" % code)

    def _stop(self, _: object) -> None:
        if not os.read(0, 1024):
            raise SystemExit

    def _forget(self) -> None:
        """Close what belongs to the parent."""
        self._selector.close()
        self._listening.close()
        for connection, (_, ended) in self._kernels.items():
            connection.close()
            os.close(ended)


def _become_kernel(request: dict[str, Any], output: list[int], found: list[str]) -> None:
    """Make this process what a new one would be; `found` are the folders of packages without those of PYTHONPATH."""
    os.setsid()
    os.chdir(request["folder"])
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, descriptor in enumerate([nothing, *output]):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(request["environment"])
    os.environ["JPY_PARENT_PID"] = str(os.getppid())
    launcher = find_spec("ipykernel_launcher")
    sys.argv[:] = [str(launcher and launcher.origin), *request["arguments"]]
    sys.path[:] = [*filter(None, request["environment"].get("PYTHONPATH", "").split(os.pathsep)), *found]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    random.seed()


def _main() -> None:
    address = sys.argv[1]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests, which end this then
    os.environ["JPY_PARENT_PID"] = str(os.getpid())  # ipykernel reads it when it is imported
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # else the debugger writes a warning when it is imported
    given = [os.path.dirname(__file__), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    found = [folder for folder in sys.path if folder not in given]

    for name in _MODULES:
        import_module(name)
    inspect.getmodule(_main.__code__)  # it remembers the files of all modules, for which the first traceback asks
    from ipykernel.kernelapp import launch_new_instance

    assert threading.active_count() == 1
    server = ForkServer(address)
    gc.collect()
    gc.freeze()
    print("listening", flush=True)
    try:
        server.serve()
    except _Forked as forked:
        request, output = forked.request, forked.output
    del server
    _become_kernel(request, output, found)
    launch_new_instance()


if __name__ == "__main__":
    _main()
