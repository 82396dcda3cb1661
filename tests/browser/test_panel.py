"""The chat panel in a real JupyterLab and a real Notebook 7."""

from __future__ import annotations


import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.lab import Lab, Notebook
from tests.openrouter_server import ScriptedOpenRouter, text

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

PANEL = "from orchat.jupyter.panel.panel import ChatPanel\n"
ANSWER = "The river runs down to the *sea*. " * 30


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
