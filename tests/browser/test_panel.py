"""The chat panel in a real JupyterLab and a real Notebook 7, with the extension that keeps its state in the cell."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.lab import ROOT, Lab, Notebook, Notebook7
from tests.openrouter_server import ScriptedOpenRouter, text

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

KEY = "sk-or-v1-0123456789abcdef"
EXTENSION = ROOT / "orchat" / "jupyter" / "labextension"
WIDGET = "application/vnd.jupyter.widget-view+json"
PANEL = "from orchat.jupyter.panel.panel import ChatPanel\n"
ANSWER = "The river runs down to the *sea*. " * 30


def _served(kind: type[Lab], folders: pytest.TempPathFactory, endpoint: ScriptedOpenRouter) -> Iterator[Lab]:
    folder = folders.mktemp(f"{kind.MODULE}-panel")
    (folder / "share" / "labextensions").mkdir(parents=True)
    (folder / "share" / "labextensions" / "orchat-lab").symlink_to(EXTENSION)
    environment = {"OPENROUTER_BASE_URL": endpoint.base_url, "OPENROUTER_API_KEY": KEY}
    environment |= {"JUPYTER_PATH": str(folder / "share"), "XDG_CACHE_HOME": str(folder / "cache")}
    with kind(folder, environment) as server:
        yield server


@pytest.fixture(scope="module")
def lab(endpoint: ScriptedOpenRouter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    yield from _served(Lab, tmp_path_factory, endpoint)


@pytest.fixture(scope="module")
def notebook7(endpoint: ScriptedOpenRouter, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    yield from _served(Notebook7, tmp_path_factory, endpoint)


@pytest.fixture(autouse=True)
def _no_sessions_left(request: pytest.FixtureRequest, page: Page) -> Iterator[None]:
    yield
    page.goto("about:blank")
    for name in {"lab", "notebook7"} & set(request.fixturenames):
        request.getfixturevalue(name).end_sessions()


def opened(page: Page, lab: Lab, name: str, *cells: str) -> tuple[Notebook, Locator]:
    """A notebook whose first cell shows a panel."""
    notebook = lab.open(page, name, *cells)
    notebook.run(0)
    notebook.wait(0)
    panel = page.locator(".orchat-panel")
    expect(panel).to_have_count(1, timeout=20_000)
    expect(panel.locator(".orchat-where")).not_to_be_empty(timeout=20_000)
    return notebook, panel


def ask(panel: Locator, words: str) -> None:
    field = panel.locator(".orchat-text-input")
    field.fill(words)
    field.press("Enter")


def test_it_streams_and_stops_while_later_cells_run(page: Page, front_end: Lab, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(text(ANSWER).paced(0.05), text("Second."))
    cells = (PANEL + 'panel = ChatPanel("some/model")\npanel', "print(6 * 7)", "print(len(panel.messages))")
    notebook, panel = opened(page, front_end, "panel-streams.ipynb", *cells)
    ask(panel, "Where does it go?")
    items = panel.locator(".orchat-items")
    expect(items).to_contain_text("The river runs down to the sea.")
    assert items.locator("em").first.inner_text() == "sea"
    notebook.run(1)
    notebook.wait(1)
    assert notebook.text(1).strip() == "42"
    assert not notebook.running(0)
    panel.locator(".orchat-panel-stop").click()
    expect(panel.locator(".orchat-footer")).to_contain_text("stopped", timeout=2_000)
    assert endpoint.request.client_closed.wait(1)
    expect(panel.locator(".orchat-text-input")).to_be_focused()
    ask(panel, "Again?")
    expect(panel.locator(".orchat-exchange").nth(1)).to_contain_text("Second.")
    assert [m["role"] for m in endpoint.request.json["messages"]] == ["user", "assistant", "user"]
    notebook.run(2)
    notebook.wait(2)
    assert notebook.text(2).strip() == "4"


def panels_in(notebook: Notebook, cell: int = 0) -> dict[str, Any]:
    """What a saved cell keeps of panels."""
    kept = notebook.save().cells[cell].metadata.get("orchat", {})
    return dict(kept.get("panels", {}))


def wait_until_kept(page: Page, notebook: Notebook, words: str) -> dict[str, Any]:
    for _ in range(100):
        if words in json.dumps(kept := panels_in(notebook)):
            return kept
        page.wait_for_timeout(100)
    raise AssertionError(f"{words!r} is not kept: {kept}")


def restart(page: Page) -> None:
    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.restartKernel()")
    page.wait_for_function(
        "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'idle'"
    )


def test_it_is_kept_in_the_cell_and_there_again_after_a_restart(
    page: Page, front_end: Lab, endpoint: ScriptedOpenRouter
) -> None:
    endpoint.answers(text("The *Humber*."), text("It is wide."))
    notebook, panel = opened(page, front_end, "panel-kept.ipynb", PANEL + 'ChatPanel("some/model")')
    expect(panel.locator(".orchat-where")).to_contain_text("metadata of this cell", timeout=10_000)
    ask(panel, "Name a river.")
    expect(panel.locator(".orchat-items")).to_contain_text("The Humber.")
    kept = wait_until_kept(page, notebook, "The *Humber*.")
    assert kept["1"]["chats"]["chat"]["messages"] == [
        {"role": "user", "content": [{"text": ["Name a river."]}]},
        {
            "role": "assistant",
            "content": [{"text": ["The *Humber*."]}],
            "meta": {"model": "vendor/some-model-20260301", "requested_model": "some/model"},
        },
    ]
    (output,) = notebook.save().cells[0].outputs
    assert WIDGET not in output.data
    assert output.data["text/markdown"] == "**You:** Name a river.\n\nThe *Humber*."
    restart(page)
    notebook.run(0)
    notebook.wait(0)
    panel = page.locator(".orchat-panel")
    expect(panel.locator(".orchat-items")).to_contain_text("The Humber.", timeout=20_000)
    assert panel.locator(".orchat-asked").inner_text().endswith("Name a river.")
    ask(panel, "And?")
    expect(panel.locator(".orchat-exchange").nth(1)).to_contain_text("It is wide.")
    sent = endpoint.request.json["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "user"]
    assert KEY not in notebook.path.read_text()
