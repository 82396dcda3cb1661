"""A kernel that restarts or dies under a view: the page says so at once, and what was typed is there again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.driver import PATIENT_LOAD
from tests.browser.lab import POLLING, Lab, Notebook
from tests.browser.test_panel import PANEL, ask, opened, restart, wait_until_kept
from tests.openrouter_server import ScriptedOpenRouter, call, calls, endless, text

pytestmark = pytest.mark.slow

KILL = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"
TIDE = """
from orchat import tool

@tool
def tide(port: str) -> str:
    "Tell the tide."
    return f"{port}: high"
"""
# From the page's own change of the kernel's status to what the view says.
NOTICE_DELAY = """() => {
    const {kernel} = window.jupyterapp.shell.currentWidget.sessionContext.session;
    window.noticeDelay = new Promise((resolve) => kernel.statusChanged.connect(async (_, status) => {
        if (!['restarting', 'autorestarting', 'dead'].includes(status)) return;
        const started = performance.now();
        while (!document.querySelector('.orchat-kernel-notice:not([hidden])')) {
            await new Promise(requestAnimationFrame);
        }
        resolve(performance.now() - started);
    }));
}"""


def kill(page: Page, notebook: Notebook) -> None:
    """End the kernel's process; the server starts another one."""
    notebook.run(1)
    page.wait_for_function("() => window.noticeDelay.then(() => true)", polling=POLLING)
    page.locator(".jp-Dialog button").first.click()  # the front end tells of it, too
    expect(page.locator(".jp-Dialog")).to_have_count(0)


def press_restart(page: Page, _notebook: Notebook) -> None:
    restart(page)


@pytest.mark.parametrize("end", [press_restart, kill])
def test_a_panel_says_that_its_kernel_is_gone_and_goes_on_where_it_was(
    page: Page, front_end: Lab, endpoint: ScriptedOpenRouter, end: Callable[[Page, Notebook], None]
) -> None:
    endpoint.answers(text("The *Humber*."), endless("It is wide. ").paced(0.05), text("Very wide."))
    notebook, panel = opened(page, front_end, f"kernel-{end.__name__}.ipynb", PANEL + 'ChatPanel("some/model")', KILL)
    ask(panel, "Name a river.")
    expect(panel.locator(".orchat-items")).to_contain_text("The Humber.")
    ask(panel, "How wide is it?")
    expect(panel.locator(".orchat-exchange").nth(1)).to_contain_text("It is wide.")
    field = panel.locator(".orchat-text-input")
    field.fill("And how long")
    page.evaluate(NOTICE_DELAY)
    end(page, notebook)
    assert page.evaluate("() => window.noticeDelay") < 500
    notice = panel.locator(".orchat-kernel-notice")
    expect(notice).to_contain_text("The kernel has restarted")
    expect(panel.locator(".orchat-submit")).to_be_disabled()
    expect(panel.locator(".orchat-panel-stop")).to_be_hidden()
    expect(panel.locator(".orchat-model-button")).to_be_disabled()
    expect(panel.locator(".orchat-bar:not([hidden])")).to_have_count(0)
    expect(field).to_have_value("And how long")
    field.press("End")
    field.press_sequentially(" is it?")
    notice.get_by_role("button", name="Run this cell").click()
    expect(notice).to_have_count(1)
    expect(panel.locator(".orchat-kernel-notice")).to_be_hidden()
    expect(panel.locator(".orchat-items").first).to_contain_text("The Humber.")
    expect(field).to_have_value("And how long is it?")
    panel.locator(".orchat-submit").click()
    expect(panel.locator(".orchat-exchange").last).to_contain_text("Very wide.")
    assert [m["content"] for m in endpoint.request.json["messages"] if m["role"] == "user"] == [
        "Name a river.",
        "How wide is it?",
        "And how long is it?",
    ]


def test_an_open_form_says_it_and_waits_again_after_the_cell_has_run(
    page: Page, lab: Lab, endpoint: ScriptedOpenRouter
) -> None:
    endpoint.answers(calls(call("tide", {"port": "Hull"}, id="call_1")), text("High."))
    cells = (PANEL + TIDE + 'ChatPanel("some/model", tools=[tide])', KILL)
    notebook, panel = opened(page, lab, "kernel-form.ipynb", *cells)
    ask(panel, "How is the tide at Hull?")
    form = panel.locator(".orchat-form")
    expect(form.locator(".orchat-approve")).to_be_enabled()
    port = form.locator(".orchat-form-fields").get_by_role("textbox")
    port.fill("Goole")
    wait_until_kept(page, notebook, '"pending": true')
    page.evaluate(NOTICE_DELAY)
    kill(page, notebook)
    expect(panel.locator(".orchat-kernel-notice")).to_contain_text("The kernel has restarted")
    expect(form.locator(".orchat-approve")).to_be_disabled()
    expect(form).to_contain_text("nothing can be decided here")
    expect(port).to_have_value("Goole")
    panel.get_by_role("button", name="Run this cell").click()
    expect(form.locator(".orchat-approve")).to_be_enabled()
    form.locator(".orchat-approve").click()
    expect(panel.locator(".orchat-exchange").last).to_contain_text("High.")


def test_the_view_of_a_running_cell_says_it(page: Page, lab: Lab, endpoint: ScriptedOpenRouter, tmp_path: Path) -> None:
    endpoint.answers(endless("It is wide. ").paced(0.05), text("It was short."))
    notebook = lab.open(page, "kernel-cell.ipynb", PATIENT_LOAD, "%%openrouter some/model\nHow wide?")
    notebook.run(0)
    notebook.wait(0)
    notebook.run(1)
    view = page.locator(".jp-OutputArea .orchat-turn")
    expect(view).to_contain_text("It is wide.")
    restart(page)
    expect(view.locator(".orchat-kernel-notice")).to_contain_text("The kernel has restarted")
    expect(view.locator(".orchat-stop")).to_be_hidden()
    expect(view).to_have_attribute("aria-busy", "false")
    notebook.run(0)
    view.get_by_role("button", name="Run this cell").click()
    notebook.wait_for_text(1, "It was short.")
