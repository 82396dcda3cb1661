"""Fixtures for tests with real kernels."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest

from tests.jupyter.ipython_terminal import KEY, Terminal
from tests.jupyter.kernel import INSTALLED, OTHERS, Kernel, ipykernel_folder
from tests.openrouter_server import ScriptedOpenRouter

__all__ = ["KEY"]


@pytest.fixture(scope="session")
def _endpoint() -> Iterator[ScriptedOpenRouter]:
    with ScriptedOpenRouter() as server:
        yield server
    server.check()


@pytest.fixture(scope="session")
def endpoint(_endpoint: ScriptedOpenRouter) -> ScriptedOpenRouter:
    """The endpoint of all kernels; each test scripts it anew."""
    return _endpoint


@pytest.fixture(autouse=True)
def _unscripted(request: pytest.FixtureRequest) -> Iterator[None]:
    """Leave nothing of a test's script to the next one."""
    yield
    if "endpoint" in request.fixturenames:
        chat = request.getfixturevalue("endpoint").on("POST", "/chat/completions")
        chat.queue.clear()
        chat.standing = None


class Kernels:
    """Kernels with the extension loaded, one of each version, which all tests of a session share."""

    def __init__(self, endpoint: ScriptedOpenRouter) -> None:
        self._environment = {"OPENROUTER_BASE_URL": endpoint.base_url, "OPENROUTER_API_KEY": KEY}
        self._running: dict[str, Kernel] = {}
        self._users: dict[str, str] = {}

    def lend(self, ipykernel: str, module: str) -> Kernel:
        """Return the kernel of a version, which remembers no conversation, and to a new module no variable either."""
        if ipykernel not in self._running:
            kernel = self._running[ipykernel] = Kernel(self._environment, ipykernel).__enter__()
            (loaded,) = kernel.run("%load_ext orchat")
            assert (loaded.status, loaded.printed) == ("ok", "")
            assert kernel.value("__import__('ipykernel').__version__") == repr(ipykernel)
        kernel = self._running[ipykernel]
        if self._users.get(ipykernel) != module:
            # %reset has the garbage collector walk over all that is there, several times: modules above all.
            kernel.run("__import__('gc').freeze()\n%reset -f\n__import__('logging').getLogger().handlers.clear()")
            self._users[ipykernel] = module
        (cell,) = kernel.run("%reload_ext orchat\n%openrouter reset --all")
        assert cell.status == "ok"
        return kernel

    def end(self, *versions: str) -> None:
        """End the kernels of these versions; the next test gets new ones."""
        for ipykernel in versions:
            if kernel := self._running.pop(ipykernel, None):
                kernel.__exit__()

    def close(self) -> None:
        """End all."""
        self.end(*self._running)


@pytest.fixture(scope="session")
def _kernels(_endpoint: ScriptedOpenRouter) -> Iterator[Kernels]:
    kernels = Kernels(_endpoint)
    yield kernels
    kernels.close()


def _lent(request: pytest.FixtureRequest, kernels: Kernels, ipykernel: str) -> Iterator[Kernel]:
    failures = request.session.testsfailed
    try:
        kernel = kernels.lend(ipykernel, request.module.__name__)
    except BaseException:
        kernels.end(ipykernel)
        raise
    try:
        yield kernel
    finally:
        if request.session.testsfailed > failures:  # whatever it does now is not for the next test
            kernels.end(ipykernel)


@pytest.fixture(scope="session", params=[INSTALLED, *OTHERS])
def _any_kernel(request: pytest.FixtureRequest) -> str:
    """The version of a kernel."""
    if request.param != INSTALLED:
        try:
            ipykernel_folder(request.param)
        except subprocess.SubprocessError as error:
            reason = f"ipykernel {request.param} cannot be installed: {error}"
            if os.environ.get("CI"):
                pytest.fail(reason)
            pytest.skip(reason)
    return str(request.param)


@pytest.fixture
def any_kernel(request: pytest.FixtureRequest, _kernels: Kernels, _any_kernel: str) -> Iterator[Kernel]:
    """A kernel of each version, with the extension loaded, which remembers no conversation."""
    yield from _lent(request, _kernels, _any_kernel)


@pytest.fixture
def kernel(request: pytest.FixtureRequest, _kernels: Kernels) -> Iterator[Kernel]:
    """A kernel of the installed version, with the extension loaded, which remembers no conversation."""
    yield from _lent(request, _kernels, INSTALLED)


@pytest.fixture(scope="session")
def _terminals() -> Iterator[list[Terminal]]:
    """The terminal that the tests of a session share, if there is one."""
    terminals: list[Terminal] = []
    yield terminals
    for terminal in terminals:
        terminal.close()


@pytest.fixture
def terminal(
    request: pytest.FixtureRequest,
    endpoint: ScriptedOpenRouter,
    _terminals: list[Terminal],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Terminal]:
    """IPython at a terminal, with the extension loaded, which remembers no conversation and no variable."""
    if not _terminals:
        _terminals.append(Terminal(endpoint, tmp_path_factory.mktemp("ipython")))
        assert _terminals[0].run("%load_ext orchat").strip() == ""
    failures = request.session.testsfailed
    (terminal,) = _terminals
    try:
        for line in ("%reset -f", "%reload_ext orchat", "%openrouter reset --all"):
            terminal.run(line)
        yield terminal
    except BaseException:
        failures = -1
        raise
    finally:
        if request.session.testsfailed > failures:  # whatever it shows now is not for the next test
            _terminals.remove(terminal)
            terminal.close()
