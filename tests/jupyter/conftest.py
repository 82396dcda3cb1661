"""Fixtures for tests with real kernels."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

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


def _kernel(endpoint: ScriptedOpenRouter, ipykernel: str) -> Kernel:
    return Kernel({"OPENROUTER_BASE_URL": endpoint.base_url, "OPENROUTER_API_KEY": KEY}, ipykernel)


@pytest.fixture(scope="session", params=[INSTALLED, *OTHERS])
def _any_kernel(endpoint: ScriptedOpenRouter, request: pytest.FixtureRequest) -> Iterator[Kernel]:
    if request.param != INSTALLED:
        try:
            ipykernel_folder(request.param)
        except subprocess.SubprocessError as error:
            reason = f"ipykernel {request.param} cannot be installed: {error}"
            if os.environ.get("CI"):
                pytest.fail(reason)
            pytest.skip(reason)
    with _kernel(endpoint, request.param) as kernel:
        (loaded,) = kernel.run("%load_ext orchat")
        assert (loaded.status, loaded.printed) == ("ok", "")
        assert kernel.value("__import__('ipykernel').__version__") == repr(request.param)
        yield kernel


@pytest.fixture(scope="session")
def _usual_kernel(endpoint: ScriptedOpenRouter) -> Iterator[Kernel]:
    with _kernel(endpoint, INSTALLED) as kernel:
        kernel.run("%load_ext orchat")
        yield kernel


def _without_memory(kernel: Kernel) -> Kernel:
    (cell,) = kernel.run("%reload_ext orchat\n%openrouter reset --all")
    assert cell.status == "ok"
    return kernel


@pytest.fixture
def any_kernel(_any_kernel: Kernel) -> Kernel:
    """A kernel of each version, with the extension loaded, which remembers no conversation."""
    return _without_memory(_any_kernel)


@pytest.fixture
def kernel(_usual_kernel: Kernel) -> Kernel:
    """A kernel of the installed version, with the extension loaded, which remembers no conversation."""
    return _without_memory(_usual_kernel)
