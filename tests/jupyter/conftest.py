"""Fixtures for tests with real kernels."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.jupyter.kernel import INSTALLED, OTHERS, Kernel, ipykernel_folder
from tests.openrouter_server import ScriptedOpenRouter

KEY = "sk-or-v1-0123456789abcdef"


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


Start = Callable[[str], Kernel]


@pytest.fixture(scope="session")
def _started(endpoint: ScriptedOpenRouter) -> Iterator[Start]:
    """Start a kernel of a version, with the extension loaded; the same one each time, until the session ends."""
    kernels: dict[str, Kernel] = {}
    with ExitStack() as running:

        def start(ipykernel: str) -> Kernel:
            if ipykernel not in kernels:
                environment = {"OPENROUTER_BASE_URL": endpoint.base_url, "OPENROUTER_API_KEY": KEY}
                kernel = running.enter_context(Kernel(environment, ipykernel))
                (loaded,) = kernel.run("%load_ext orchat")
                assert (loaded.status, loaded.printed) == ("ok", "")
                assert kernel.value("__import__('ipykernel').__version__") == repr(ipykernel)
                kernels[ipykernel] = kernel
            return kernels[ipykernel]

        yield start


@pytest.fixture(scope="session", params=[INSTALLED, *OTHERS])
def _any_kernel(_started: Start, request: pytest.FixtureRequest) -> Kernel:
    if request.param != INSTALLED:
        try:
            ipykernel_folder(request.param)
        except subprocess.SubprocessError as error:
            reason = f"ipykernel {request.param} cannot be installed: {error}"
            if os.environ.get("CI"):
                pytest.fail(reason)
            pytest.skip(reason)
    return _started(request.param)


def _without_memory(kernel: Kernel) -> Kernel:
    (cell,) = kernel.run("%reload_ext orchat\n%openrouter reset --all")
    assert cell.status == "ok"
    return kernel


@pytest.fixture
def any_kernel(_any_kernel: Kernel) -> Kernel:
    """A kernel of each version, with the extension loaded, which remembers no conversation."""
    return _without_memory(_any_kernel)


@pytest.fixture
def kernel(_started: Start) -> Kernel:
    """A kernel of the installed version, with the extension loaded, which remembers no conversation."""
    return _without_memory(_started(INSTALLED))
