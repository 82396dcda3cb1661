"""A notebook that several pages share through jupyter-collaboration, whose server saves it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import KEY
from tests.browser.lab import Lab
from tests.jupyter.kernel import package_folder
from tests.openrouter_server import ScriptedOpenRouter, event, hold, stream, text
from tests.patience import wait_until
from tests.python_path import PYTHON_PATH

pytestmark = pytest.mark.slow

WIDGET = "application/vnd.jupyter.widget-view+json"
# What it needs beside JupyterLab. Among the packages of the tests it would change the other servers.
PACKAGES = (
    "jupyter-collaboration==5.0.4",
    "jupyter-collaboration-ui==3.0.4",
    "jupyter-docprovider==3.0.4",
    "jupyter-server-fileid==0.10.0",
    "jupyter-server-ydoc==3.0.4",
    "jupyter-ydoc==4.2.1",
    "pycrdt==0.14.13",
    "pycrdt-store==0.1.5",
    "pycrdt-websocket==0.16.5",
    "sqlite-anyio==0.2.10",
)


@pytest.fixture
def shared_lab(endpoint: ScriptedOpenRouter, tmp_path: Path, servers: list[Lab]) -> Iterator[Lab]:
    """A JupyterLab with jupyter-collaboration."""
    packages = package_folder("jupyter-collaboration-5.0.4", *PACKAGES)
    folder = tmp_path / "lab"
    environment = {
        "OPENROUTER_BASE_URL": endpoint.base_url,
        "OPENROUTER_API_KEY": KEY,
        "PYTHONPATH": os.pathsep.join([PYTHON_PATH, str(packages)]),
        "JUPYTER_PATH": os.pathsep.join([str(folder / "share"), str(packages / "share" / "jupyter")]),
        "JUPYTER_CONFIG_PATH": str(packages / "etc" / "jupyter"),
    }
    with Lab(folder, environment) as server:
        servers.append(server)
        yield server
        servers.remove(server)


def test_a_panel_lives_in_all_pages_and_its_transcript_is_saved_once(
    page: Page, shared_lab: Lab, browser: BrowserContext, endpoint: ScriptedOpenRouter
) -> None:
    gate = threading.Event()
    words = [event("The river "), event("runs down "), hold(gate), event("to the sea.")]
    endpoint.answers(stream(words), text("At nine."))
    notebook = shared_lab.open(page, "shared.ipynb", "from orchat import ChatPanel\nChatPanel('some/model')")

    def saved(words: str) -> bool:
        """Whether the file holds these words; at any time it holds one transcript, and no widget."""
        try:
            outputs = nbformat.read(notebook.path, 4).cells[0].outputs
        except nbformat.reader.NotJSONError:  # it is being written
            return False
        assert len(outputs) <= 1
        assert not any(WIDGET in output.data for output in outputs)
        return any(words in output.data["text/markdown"] for output in outputs)

    notebook.run(0)
    expect(page.locator(".orchat-panel")).to_have_count(1)
    assert wait_until(lambda: saved("An empty chat."), every=0.1)
    other = browser.new_page()
    shared_lab.show(other, notebook.path)
    expect(other.locator(".orchat-panel")).to_have_count(1)
    field = page.locator(".orchat-text-input")
    field.fill("Where does it go?")
    field.press("Enter")
    for each in (page, other):
        expect(each.locator(".orchat-items")).to_contain_text("The river runs down")
    shared_lab.show(other, notebook.path)  # a reload in mid-stream
    expect(other.locator(".orchat-items")).to_contain_text("The river runs down")
    gate.set()
    for each in (page, other):
        expect(each.locator(".orchat-items")).to_contain_text("to the sea.")
    assert wait_until(lambda: saved("to the sea."), every=0.1)
    page.goto("about:blank")
    other.bring_to_front()
    field = other.locator(".orchat-text-input")
    field.fill("When is it high?")
    field.press("Enter")
    expect(other.locator(".orchat-panel")).to_contain_text("At nine.")
    assert wait_until(lambda: saved("At nine."), every=0.1)
    shared_lab.show(other, notebook.path)
    expect(other.locator(".orchat-panel")).to_contain_text("At nine.")
    assert wait_until(lambda: saved("At nine."), every=0.1)
    other.close()
