"""What a person sees when they press a button is what runs, whatever ids an endpoint gives its calls."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.lab import Lab
from tests.browser.test_panel import ask
from tests.browser.test_panel import opened as panel_opened
from tests.browser.test_view import printed
from tests.openrouter_server import (
    ScriptedOpenRouter,
    call,
    calls,
    text,
)

pytestmark = pytest.mark.slow

TOOLS = """
from orchat import ChatPanel, Tool
ran = []
def made(name):
    def run(port):
        ran.append([name, port])
        return f"{name} at {port}"
    schema = {"type": "object", "properties": {"port": {"type": "string"}}, "required": ["port"]}
    return Tool(name, "Do something.", schema, run, title="Look it up")
tools = [made(name) for name in ("tide", "wipe", "sink")]
"""
PANEL = TOOLS + "panel = ChatPanel('some/model', tools=tools)\npanel"


def test_ids_that_repeat_in_each_round_have_forms_of_their_own(
    page: Page, front_end: Lab, endpoint: ScriptedOpenRouter
) -> None:
    rounds = [calls(call(name, {"port": "Hull"}, id="call_0")) for name in ("tide", "wipe")]
    endpoint.answers(*rounds, text("Done."))
    notebook, panel = panel_opened(page, front_end, "same-ids.ipynb", PANEL, "print(ran)")
    ask(panel, "Go")
    for number, name in enumerate(("tide", "wipe")):
        box = panel.get_by_role("group", name=f"Tool call {name}", exact=True)
        expect(box.locator(".orchat-call-name")).to_have_text(name)
        expect(box.locator(".orchat-form-title")).to_have_text("Look it up")
        whole = ("Approve {}", "Reject {}", "Answer instead: {}", "Always for this tool: {}", "Edit as JSON: {}")
        expect(box.get_by_role("button")).to_have_count(len(whole))
        for each in whole:
            expect(box.get_by_role("button", name=each.format(name), exact=True)).to_be_visible()
        expect(panel.locator(".orchat-form")).to_have_count(1)
        panel.screenshot(path=str(front_end.work / f"same-ids-{number}.png"))
        box.get_by_role("button", name=f"Approve {name}", exact=True).click()
    expect(panel.locator(".orchat-items")).to_contain_text("Done.")
    expect(panel.locator(".orchat-call-result-summary")).to_contain_text(["tide at Hull", "wipe at Hull"])
    assert printed(notebook, 1) == "[['tide', 'Hull'], ['wipe', 'Hull']]\n"


def test_a_decision_about_a_form_that_is_not_shown_any_more_is_refused(
    page: Page, lab: Lab, endpoint: ScriptedOpenRouter
) -> None:
    endpoint.answers(calls(call("wipe", {"port": "Hull"})), text("Done."))
    change = "panel.messages[-2].tool_calls[0].arguments['port'] = 'Goole'"
    notebook, panel = panel_opened(page, lab, "stale.ipynb", PANEL, change, "print(ran)")
    ask(panel, "Go")
    port = panel.get_by_label("port", exact=True)
    expect(port).to_have_value("Hull")
    notebook.run(1)
    notebook.wait(1)
    panel.locator(".orchat-approve").click()
    notice = panel.locator(".orchat-form-notice")
    expect(notice).to_have_text("This form had changed in the meantime. Nothing has run: look at it again, and decide.")
    expect(port).to_have_value("Goole")
    panel.screenshot(path=str(lab.work / "form-shown-anew.png"))
    assert printed(notebook, 2) == "[]\n"
    panel.locator(".orchat-approve").click()
    expect(panel.locator(".orchat-items")).to_contain_text("Done.")
    assert printed(notebook, 2) == "[['wipe', 'Goole']]\n"
