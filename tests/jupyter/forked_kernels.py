"""Kernels that are forked from a process which has imported ipykernel and orchat.

To start one and ask a first question takes a sixth of the time.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from functools import cache
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning import KernelProvisionerFactory, LocalProvisioner

__all__ = ["ADDRESS", "NAME", "ForkedProvisioner", "fork_server", "register"]

ADDRESS = "FORKED_KERNELS"  # the variable of the environment that says where the server is
NAME = "forked"


@cache
def fork_server() -> str:
    """Start the server of this process, which ends with it; return its address."""
    folder = tempfile.TemporaryDirectory(prefix="fork-")
    address = f"{folder.name}/socket"
    script = Path(__file__).with_name("kernel_fork_server.py")
    command = [sys.executable, script, address]
    path = [str(script.parents[2]), os.environ.get("PYTHONPATH", "")]  # as its kernels have it
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))}
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=folder.name, env=environment)
    assert server.stdout is not None
    server.stdout.readline()  # it listens

    def end() -> None:
        server.communicate()
        folder.cleanup()

    atexit.register(end)
    return address


class ForkedProcess:
    """A kernel of the server, as `subprocess.Popen` has one."""

    stdin = stdout = stderr = None

    def __init__(self, arguments: list[str], environment: dict[str, str], folder: str) -> None:
        self.returncode: int | None = None
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(os.environ.get(ADDRESS) or fork_server())
        request = {"arguments": arguments, "environment": environment, "folder": folder}
        socket.send_fds(self._socket, [b"\0"], [1, 2])
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        self._lines = self._socket.makefile("rb")
        self.pid = int(self._lines.readline())

    def poll(self) -> int | None:
        """Return its return code if it has ended."""
        return self._wait(0)

    def wait(self) -> int:
        """Wait for its end."""
        code = self._wait(None)
        assert code is not None
        return code

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def _wait(self, seconds: float | None) -> int | None:
        if self.returncode is None and select.select([self._socket], [], [], seconds)[0]:
            self.returncode = int(self._lines.readline() or -signal.SIGKILL)
            self._lines.close()
            self._socket.close()
        return self.returncode


class ForkedProvisioner(LocalProvisioner):
    """Forks kernels of the installed ipykernel; starts those of other versions, and all if coverage is measured."""

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Let the server fork one."""
        other = cmd[:3] != [sys.executable, "-m", "ipykernel_launcher"] or "PYTHONPATH" in self.kernel_spec.env
        if other or "COVERAGE_PROCESS_CONFIG" in os.environ:  # coverage follows processes that are started
            return await super().launch_kernel(cmd, **kwargs)
        self.cwd = kwargs.get("cwd") or os.getcwd()
        self.process = ForkedProcess(cmd[3:], kwargs["env"], str(self.cwd))
        self.pid = self.pgid = self.process.pid
        return self.connection_info


def register() -> None:
    """Let this process know these kernels by `NAME`."""
    place = f"{ForkedProvisioner.__module__}:{ForkedProvisioner.__name__}"
    KernelProvisionerFactory.provisioners[NAME] = EntryPoint(NAME, place, KernelProvisionerFactory.GROUP_NAME)


def pytest_configure() -> None:
    """Let pytest know these kernels: ``-p tests.jupyter.forked_kernels``."""
    register()


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": __name__}]


def _load_jupyter_server_extension(server: Any) -> None:
    """Fork the kernels of a Jupyter server."""
    register()
    KernelProvisionerFactory.instance(parent=server).default_provisioner_name = NAME
