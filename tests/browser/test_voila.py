"""The chat panel in a page of voila, which shows a notebook's outputs and widgets, and no notebook."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import BrowserContext, WebSocket, expect

from tests.browser.app_server import served
from tests.browser.conftest import KEY
from tests.browser.lab import ROOT
from tests.browser.test_panel import ask
from tests.openrouter_server import ScriptedOpenRouter, event, finish, hold, stream, text

pytestmark = pytest.mark.slow


@pytest.fixture
def voila(endpoint: ScriptedOpenRouter, tmp_path: Path) -> Iterator[str]:
    """The address of a page of voila with a panel."""
    cell = nbformat.v4.new_code_cell("from orchat import ChatPanel\nChatPanel('some/model')")
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": kernel}), tmp_path / "panel.ipynb")
    extension = tmp_path / "share" / "labextensions" / "orchat-lab"
    shutil.copytree(ROOT / "orchat" / "jupyter" / "frontend" / "extension", extension)  # voila follows no links
    environment = {
        **{f"JUPYTER_{kind}_DIR": str(tmp_path / kind.lower()) for kind in ("CONFIG", "DATA", "RUNTIME")},
        "JUPYTER_PATH": str(tmp_path / "share"),
        "OPENROUTER_BASE_URL": endpoint.base_url,
        "OPENROUTER_API_KEY": KEY,
    }
    with served(tmp_path, environment, "voila", "--no-browser", "--Voila.ip=127.0.0.1", "panel.ipynb") as address:
        yield address


def asks_for_update(frame: bytes | str) -> bool:
    return "update_output" in str(frame)


def test_a_panel_answers(browser: BrowserContext, endpoint: ScriptedOpenRouter, voila: str) -> None:
    gate = threading.Event()
    endpoint.answers(text("At *14:10*."), stream(event("At 14:35."), hold(gate), finish("stop")))
    page = browser.new_page()
    sockets: list[WebSocket] = []
    updates: list[bytes | str] = []

    def open_socket(socket: WebSocket) -> None:
        sockets.append(socket)
        socket.on("framesent", lambda frame: updates.append(frame) if asks_for_update(frame) else None)

    page.on("websocket", open_socket)
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.goto(voila)
    panel = page.locator(".orchat-panel")
    ask(panel, "When is the tide high?")
    expect(panel.locator(".orchat-items em")).to_have_text("14:10")
    # The page cannot write into a document. It asks the kernel to, when nobody looks or, with VS Code's renderer of
    # widgets, which keeps a view, when nobody types. (voila carries out no update then, and saves nothing.)
    expect(panel.locator(".orchat-submit")).to_be_visible()
    panel.evaluate("(node) => { node.isFirst = true; }")
    assert updates == []
    with sockets[-1].expect_event("framesent", asks_for_update):
        page.evaluate("""() => {
            Object.defineProperty(document, "hidden", {value: true, configurable: true});
            document.dispatchEvent(new Event("visibilitychange"));
            delete document.hidden;
            window.ipywidgetsKernel = {renderOutput() {}};
        }""")
    ask(panel, "And then?")
    expect(panel.locator(".orchat-items").nth(1)).to_contain_text("14:35")
    field = panel.locator(".orchat-text-input")
    field.press_sequentially("And")
    gate.set()
    expect(panel.locator(".orchat-submit")).to_be_visible()
    assert len(updates) == 1
    with sockets[-1].expect_event("framesent", asks_for_update):
        field.blur()
    assert panel.evaluate("(node) => node.isFirst")
    page.close()
    assert [each for each in errors if "orchat" in each] == []
