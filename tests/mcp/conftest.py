"""Fixtures for the tests of MCP: real servers of the official SDK, by standard streams and on the loopback."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchat.mcp import McpToolset
from tests.patience import PATIENCE, wait_until

SERVER = str(Path(__file__).with_name("tide_server.py"))


class Tides(McpToolset):
    """The test server's toolset; its tools by the server's names as well."""

    def tool(self, name: str):
        """Return the tool that the server calls so."""
        return next(tool for tool in self if tool.server_tool == name)


class HttpServer:
    """The test server on the loopback, which can be ended and started again at the same port."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/mcp"
        self.start()

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self._process = subprocess.Popen(
            [sys.executable, SERVER, "--port", str(self.port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        assert wait_until(self._listens)

    def _listens(self) -> bool:
        assert self._process.poll() is None
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def end(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait(PATIENCE)


@pytest.fixture(scope="session")
def _tides() -> Iterator[Tides]:
    toolset = Tides([sys.executable, SERVER], name="tides")
    yield toolset
    toolset.close()


@pytest.fixture
def tides(_tides: Tides) -> Tides:
    """The test server, started by its first use, and shared by all tests that leave it as it is."""
    return _tides


@pytest.fixture(scope="session")
def http_server() -> Iterator[HttpServer]:
    """The test server on the loopback."""
    server = HttpServer()
    yield server
    server.end()
