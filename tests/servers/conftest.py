"""The servers: LitServe, which the extra ``servers`` installs, and gateways of environments of their own."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.openrouter_server import ScriptedOpenRouter
from tests.patience import wait_until
from tests.servers.gateways import litellm_command, mlflow_command

collect_ignore = ["litserve_app.py"]  # a program, which no test imports


@contextlib.contextmanager
def running(command: Callable[[int], list[str]], health: str) -> Iterator[str]:
    """Run a server on a free port of the loopback, and yield its address; it and all that it starts end with it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    arguments = command(port)
    # Programs that start others look for them beside themselves.
    path = os.pathsep.join([os.path.dirname(arguments[0]), os.environ.get("PATH", "")])
    process = subprocess.Popen(
        arguments,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PATH": path, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
    )

    def is_ready() -> bool:
        assert process.poll() is None, f"{arguments[0]} ended with {process.returncode}"
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"http://127.0.0.1:{port}{health}").is_success
        return False

    try:
        assert wait_until(is_ready, every=0.1), f"{arguments[0]} did not start"
        yield f"http://127.0.0.1:{port}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture(scope="session")
def litserve_url() -> Iterator[str]:
    """The base URL of a running LitServe."""
    with running(lambda port: [sys.executable, "-m", "tests.servers.litserve_app", str(port)], "/health") as url:
        yield f"{url}/v1"


@pytest.fixture(scope="session")
def gateway_upstream() -> Iterator[ScriptedOpenRouter]:
    """The scripted server behind the gateways, which send bodies of their own."""
    with ScriptedOpenRouter(validate=False) as server:
        yield server


@pytest.fixture
def upstream(gateway_upstream: ScriptedOpenRouter) -> ScriptedOpenRouter:
    """The same, without the requests of earlier tests."""
    gateway_upstream.requests.clear()
    return gateway_upstream


@pytest.fixture(scope="session")
def litellm_url(gateway_upstream: ScriptedOpenRouter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of a running LiteLLM proxy."""
    command = litellm_command(gateway_upstream.base_url, tmp_path_factory.mktemp("litellm"))
    with running(command, "/health/liveliness") as url:
        yield f"{url}/v1"


@pytest.fixture(scope="session")
def mlflow_url(gateway_upstream: ScriptedOpenRouter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of a running MLflow gateway."""
    folder: Path = tmp_path_factory.mktemp("mlflow")
    with running(mlflow_command(gateway_upstream.base_url, folder), "/health") as url:
        yield f"{url}/v1"
