"""The servers: llama.cpp's own, which orchat embeds, and LitServe, which the extra ``servers`` installs."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec

import httpx
import pytest

from tests.patience import wait_until


@pytest.fixture(scope="session")
def litserve_url() -> Iterator[str]:
    """The base URL of a running LitServe."""
    if find_spec("litserve") is None:
        pytest.skip("LitServe is not installed: pip install -e '.[servers]'")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    # In a group of its own: it starts workers, which end with it.
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.servers.litserve_app", str(port)],
        start_new_session=True,
        stderr=subprocess.DEVNULL,
    )

    def is_ready() -> bool:
        assert process.poll() is None, f"LitServe ended with {process.returncode}"
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"http://127.0.0.1:{port}/health").is_success
        return False

    try:
        assert wait_until(is_ready, every=0.1), "LitServe did not start"
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
