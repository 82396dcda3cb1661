"""Answers, a column and the chat panel in a page of marimo, whose cells are plain Python."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.browser.app_server import served
from tests.browser.conftest import KEY
from tests.browser.test_panel import ask
from tests.openrouter_server import ScriptedOpenRouter, call, calls, endless, event, hold, stream, text

pytestmark = pytest.mark.slow

APP = '''
import marimo

app = marimo.App()


@app.cell
def _():
    import orchat
    return (orchat,)


@app.cell
def _(orchat):
    reply = orchat.Chat("some/model")("Which river?")
    reply
    return


@app.cell
def _(orchat):
    tones = orchat.map("Tone? {text}", [{"text": "Bright."}], model="some/model", store=False)
    tones["answer"]
    return


@app.cell
def _(orchat):
    def tide(port: str) -> str:
        """High tide at a port."""
        return f"{port}: 14:10"

    orchat.ChatPanel("some/model", tools=[tide])
    return
'''


@pytest.fixture
def marimo(endpoint: ScriptedOpenRouter, tmp_path: Path) -> Iterator[str]:
    """The address of a page of marimo."""
    (tmp_path / "app.py").write_text(APP)
    environment = {
        **{f"XDG_{kind}_HOME": str(tmp_path / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA", "STATE")},
        "OPENROUTER_BASE_URL": endpoint.base_url,
        "OPENROUTER_API_KEY": KEY,
    }
    with served(tmp_path, environment, "marimo", "run", "app.py", "--headless", "--no-token") as address:
        yield address


def test_a_reply_a_column_and_a_panel(browser: BrowserContext, endpoint: ScriptedOpenRouter, marimo: str) -> None:
    endpoint.answers(text("The *Humber* at $5 or $6."), text("Cheerful."))
    page = browser.new_page()
    page.goto(marimo)
    expect(page.locator("em", has_text="Humber")).to_be_visible()
    expect(page.get_by_text("The Humber at $5 or $6.")).to_be_visible()
    expect(page.get_by_text("Cheerful.")).to_be_visible()
    panel = page.locator(".orchat-panel")
    gate = threading.Event()
    endpoint.answers(stream(event("It runs "), hold(gate), event("down.")))
    ask(panel, "Where?")
    turns = panel.locator(".orchat-exchange")
    expect(turns.first).to_contain_text("It runs")
    gate.set()
    expect(turns.first).to_contain_text("down.")
    endpoint.answers(calls(call("tide", {"port": "Hull"})), text("High at *14:10*."))
    ask(panel, "When is it high?")
    panel.locator(".orchat-approve").click()
    expect(turns.nth(1).locator("em")).to_have_text("14:10")
    assert "Hull: 14:10" in str(endpoint.request.json["messages"][-1])
    endpoint.answers(endless("on and on ").paced(0.05))
    ask(panel, "Go on.")
    expect(turns.nth(2)).to_contain_text("on and on")
    panel.locator(".orchat-panel-stop").click()
    expect(turns.nth(2).locator(".orchat-footer")).to_contain_text("stopped")
    page.close()
