"""The chat panel in a page of voila, which shows a notebook's outputs and widgets, and no notebook."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import BrowserContext, expect

from tests.browser.conftest import KEY
from tests.browser.lab import ROOT
from tests.browser.test_panel import ask
from tests.openrouter_server import ScriptedOpenRouter, text
from tests.patience import PATIENCE
from tests.python_path import PYTHON_PATH

pytestmark = pytest.mark.slow


@pytest.fixture
def voila(endpoint: ScriptedOpenRouter, tmp_path: Path) -> Iterator[str]:
    """The address of a page of voila with a panel."""
    cell = nbformat.v4.new_code_cell("from orchat import ChatPanel\nChatPanel('some/model')")
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": kernel}), tmp_path / "panel.ipynb")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    extension = tmp_path / "share" / "labextensions" / "orchat-lab"
    shutil.copytree(ROOT / "orchat" / "jupyter" / "frontend" / "extension", extension)  # voila follows no links
    environment = {
        **os.environ,
        **{f"JUPYTER_{kind}_DIR": str(tmp_path / kind.lower()) for kind in ("CONFIG", "DATA", "RUNTIME")},
        "JUPYTER_PATH": str(tmp_path / "share"),
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "PYTHONPATH": PYTHON_PATH,
        "OPENROUTER_BASE_URL": endpoint.base_url,
        "OPENROUTER_API_KEY": KEY,
    }
    command = [sys.executable, "-m", "voila", "--no-browser", f"--port={port}", "--Voila.ip=127.0.0.1", "panel.ipynb"]
    with (tmp_path / "voila.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=tmp_path)
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None, (tmp_path / "voila.log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait(PATIENCE)


def test_a_panel_answers(browser: BrowserContext, endpoint: ScriptedOpenRouter, voila: str) -> None:
    endpoint.answers(text("At *14:10*."))
    page = browser.new_page()
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(voila)
    panel = page.locator(".orchat-panel")
    ask(panel, "When is the tide high?")
    expect(panel.locator(".orchat-items em")).to_have_text("14:10")
    page.close()
    assert [each for each in errors if "orchat" in each] == []
