"""The server of an app made of a notebook, on the loopback: voila, marimo."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.patience import PATIENCE
from tests.python_path import PYTHON_PATH


@contextmanager
def served(folder: Path, environment: Mapping[str, str], *arguments: str) -> Iterator[str]:
    """Run a module of Python in a folder, which serves at ``--port``; yield its address, and end it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = {**os.environ, "IPYTHONDIR": str(folder / "ipython"), "PYTHONPATH": PYTHON_PATH, **environment}
    path = folder / "server.log"
    with path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments, f"--port={port}"], env=own, stdout=log, stderr=log, cwd=folder
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None, path.read_text()
                assert time.monotonic() < deadline
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait(PATIENCE)
