"""Tools of an MCP server in JupyterLab: a call's form, a question of the server as a form, and its progress."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.driver import PATIENT_LOAD
from tests.browser.lab import Lab
from tests.browser.test_panel import ask
from tests.browser.test_view import opened, results
from tests.mcp.conftest import SERVER
from tests.openrouter_server import ScriptedOpenRouter, call, calls, text

pytestmark = pytest.mark.slow


def test_a_call_is_edited_a_question_answered_and_progress_seen(
    page: Page, lab: Lab, endpoint: ScriptedOpenRouter, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    endpoint.answers(
        calls(call("tides_high_water", {"port": "Hull"})),
        calls(call("tides_choose", {})),
        calls(call("tides_step", {"count": 4, "until": str(go)})),
        text("All is told."),
    )
    server = f"tides = McpToolset([{sys.executable!r}, {SERVER!r}], name='tides')"
    cell = f"{PATIENT_LOAD}\nfrom orchat.mcp import McpToolset\n{server}"
    panel_cell = "from orchat import ChatPanel\nChatPanel('some/model', tools=[tides])"
    notebook = opened(page, lab, "mcp.ipynb", cell, "%%openrouter -T tides\nTell me all.", panel_cell)
    notebook.run(1, 2)
    form = page.locator(".orchat-form")
    expect(form).to_contain_text("High water")
    expect(form).to_contain_text("nobody has checked, that the tool changes nothing")
    form.get_by_label("Port", exact=True).fill("Goole")
    page.screenshot(path=str(lab.work / "mcp-form.png"))
    form.get_by_role("button", name="Approve").click()

    expect(page.locator(".orchat-call").nth(1)).to_contain_text("tides_choose")
    form.get_by_role("button", name="Approve").click()
    expect(form).to_contain_text("tides asks: Which tide?")
    expect(form).to_contain_text("It goes to the MCP server")
    form.get_by_label("Day", exact=True).fill("3")
    page.screenshot(path=str(lab.work / "mcp-question.png"))
    form.get_by_role("button", name="Approve").click()

    last = page.locator(".orchat-call").nth(2)
    expect(last).to_contain_text("tides_step")
    form.get_by_role("button", name="Approve").click()
    expect(last.locator(".orchat-call-progress-text")).to_have_text("2 of 4: step 2")
    assert last.locator("progress").evaluate("node => node.value") == 0.5
    expect(page.locator(".orchat-call").nth(1).locator(".orchat-call-name")).to_have_text("tides_choose")
    page.screenshot(path=str(lab.work / "mcp-progress.png"))
    go.touch()
    notebook.wait(2)
    told = results(endpoint)
    assert json.loads(told[0].partition("\n\n")[2]) == {"port": "Goole", "metres": 8.1}
    assert told[1:] == ["accept: port='Hull' day=3", "done"]

    notebook.run(3)
    switch_tools_off(page.locator(".orchat-panel"), lab)
    endpoint.answers(text("Without them."))
    ask(page.locator(".orchat-panel"), "Hi")
    expect(page.locator(".orchat-panel .orchat-items")).to_contain_text("Without them.")
    assert "tools" not in endpoint.request.json


def switch_tools_off(panel: Locator, lab: Lab) -> None:
    """Switch one tool off in the panel's settings, all on, and all off."""
    group = panel.locator(".orchat-tool-group")
    for _ in range(5):  # a panel that was just displayed may be drawn once more, without the open sheet
        panel.locator(".orchat-settings-button").click()
        with suppress(AssertionError):
            expect(group.locator("summary")).to_be_visible(timeout=5_000)
            break
    group.locator("summary").click()
    group.get_by_label("tides_crash", exact=True).uncheck()
    expect(group.locator("summary")).to_contain_text("9 of 10")
    expect(group.get_by_label("tides_crash", exact=True)).to_be_focused()
    panel.screenshot(path=str(lab.work / "mcp-switches.png"))
    group.get_by_label("tides", exact=True).check()
    expect(group.locator("summary")).to_contain_text("10 of 10")
    group.get_by_label("tides", exact=True).uncheck()
    expect(group.locator("summary")).to_contain_text("0 of 10")
    panel.locator(".orchat-apply").click()
