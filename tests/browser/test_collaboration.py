"""A notebook that several pages share through jupyter-collaboration, whose server saves it."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import KEY
from tests.browser.driver import PATIENT_VIEWS
from tests.browser.lab import Lab, Notebook
from tests.jupyter.kernel import package_folder
from tests.openrouter_server import ScriptedOpenRouter, event, finish, hold, stream, text
from tests.patience import wait_until
from tests.python_path import PYTHON_PATH

pytestmark = pytest.mark.slow

WIDGET = "application/vnd.jupyter.widget-view+json"
VIEW = "application/vnd.orchat.view"
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
    settings = tmp_path / "settings" / "jupyter_server_config.json"
    settings.parent.mkdir()
    settings.write_text('{"YDocExtension": {"document_save_delay": 0.1}}')  # seconds, of which each save would wait one
    environment = {
        "OPENROUTER_BASE_URL": endpoint.base_url,
        "OPENROUTER_API_KEY": KEY,
        "PYTHONPATH": os.pathsep.join([PYTHON_PATH, str(packages)]),
        "JUPYTER_PATH": os.pathsep.join([str(folder / "share"), str(packages / "share" / "jupyter")]),
        "JUPYTER_CONFIG_PATH": os.pathsep.join([str(settings.parent), str(packages / "etc" / "jupyter")]),
    }
    with Lab(folder, environment) as server:
        servers.append(server)
        yield server
        servers.remove(server)


def saved_data(notebook: Notebook, cell: int) -> dict[str, Any]:
    """What the file holds of the only output of a cell, which at no time is a widget."""
    try:
        outputs = nbformat.read(notebook.path, 4).cells[cell].outputs
    except nbformat.reader.NotJSONError:  # it is being written
        return {}
    assert len(outputs) <= 1
    assert not any(WIDGET in output.data for output in outputs)
    return dict(outputs[0].data) if outputs else {}


def test_a_panel_and_a_live_view_are_in_all_pages_and_their_transcripts_are_saved(
    page: Page, shared_lab: Lab, browser: BrowserContext, endpoint: ScriptedOpenRouter
) -> None:
    gate = threading.Event()
    words = [event("The river "), event("runs down "), hold(gate), event("to the sea."), finish()]
    moon = [event("The moon "), hold(gate), event("rises."), finish()]
    panel = PATIENT_VIEWS + "%load_ext orchat\nfrom orchat import ChatPanel\nChatPanel('some/model')"
    notebook = shared_lab.open(page, "shared.ipynb", panel, "%%openrouter some/model\nAnd the moon?")

    def saved(words: str, kind: str = "text/markdown", cell: int = 0) -> bool:
        """Whether the panel's transcript in the file holds these words."""
        return words in saved_data(notebook, cell).get(kind, "")

    notebook.run(0)
    expect(page.locator(".orchat-panel")).to_have_count(1)
    assert wait_until(lambda: saved("An empty chat."), every=0.1)
    other = browser.new_page()
    shared_lab.show(other, notebook.path)
    expect(other.locator(".orchat-panel")).to_have_count(1)
    field = page.locator(".orchat-text-input")
    endpoint.answers(stream(words))
    field.fill("Where does it go?")
    field.press("Enter")
    for each in (page, other):
        expect(each.locator(".orchat-items")).to_contain_text("The river runs down")
    endpoint.answers(stream(moon), text("At nine."))
    notebook.run(1)
    expect(page.locator(".orchat-items").last).to_contain_text("The moon")
    assert wait_until(lambda: VIEW in saved_data(notebook, 1), every=0.1)
    # A reload in mid-stream. JupyterLab trusts no output of a cell that ran in another page after this one was loaded.
    shared_lab.load(other, notebook.path)
    expect(other.locator(".orchat-panel .orchat-items")).to_contain_text("The river runs down")
    expect(other.locator(".orchat-items").last).to_contain_text("The moon")
    gate.set()
    for each in (page, other):
        expect(each.locator(".orchat-panel .orchat-items")).to_contain_text("to the sea.")
        expect(each.locator(".orchat-saved").last).to_contain_text("The moon rises.")
    assert wait_until(lambda: saved("to the sea."), every=0.1)
    assert wait_until(lambda: saved("The moon rises.", "text/plain", 1), every=0.1)
    page.goto("about:blank")
    other.bring_to_front()
    field = other.locator(".orchat-text-input")
    field.fill("When is it high?")
    field.press("Enter")
    expect(other.locator(".orchat-panel")).to_contain_text("At nine.")
    assert wait_until(lambda: saved("At nine."), every=0.1)
    assert shared_lab.close_notebooks(other)
    expect(other.locator(".orchat-panel")).to_have_count(0)
    shared_lab.show(other, notebook.path)
    expect(other.locator(".orchat-panel")).to_contain_text("At nine.")
    assert wait_until(lambda: saved("At nine."), every=0.1)
    other.close()
