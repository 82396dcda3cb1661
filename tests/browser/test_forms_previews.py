"""What a tool's author says of a call, as people see it in a form: rendered, following each change, and harmless."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.lab import Lab
from tests.browser.test_panel import ask
from tests.browser.test_untrusted import Watch, watch
from tests.browser.test_view import opened, printed, serious
from tests.openrouter_server import ScriptedOpenRouter, call, calls, text

pytestmark = pytest.mark.slow
__all__ = ["watch"]

MAIL = """
from orchat import tool
ran = []
def told(to: str, times: int = 1) -> str:
    if to == "nobody":
        raise ValueError(f"no such <b>person</b>: {to}")
    return f"Mails **{times}** times to *{to}*.\\n\\n```\\n" + "a long line of a letter " * 20 + "\\n```"
@tool(title="Send a mail", preview=told)
def mail(to: str, times: int = 1) -> str:
    "Send it."
    ran.append((to, times))
    return "sent"
"""
SHOW = "reply = await show(tools=[mail])"


def asks(endpoint: ScriptedOpenRouter, to: str) -> None:
    endpoint.answers(calls(call("mail", {"to": to, "times": 2})), text("Done."))


def test_a_preview_follows_each_change_and_fails_in_its_place(
    page: Page, front_end: Lab, endpoint: ScriptedOpenRouter
) -> None:
    asks(endpoint, "Zoe")
    notebook = opened(page, front_end, "preview.ipynb", MAIL, SHOW, "print(ran)")
    notebook.run(1, 2)
    form = page.locator(".orchat-form")
    preview = form.get_by_role("group", name="What it would do")
    expect(preview.locator("em")).to_have_text("Zoe")
    expect(preview.locator("strong")).to_have_text("2")
    expect(form.locator(".orchat-form-title")).to_have_text("Send a mail")
    expect(page.locator(".orchat-call-name")).to_have_text("mail")  # the title hides no name
    below, above = form.locator(".orchat-approve").bounding_box(), preview.bounding_box()
    assert below is not None
    assert above is not None
    assert above["y"] + above["height"] <= below["y"]
    to, times = form.get_by_label("to", exact=True), form.get_by_label("times", exact=True)
    to.fill("Ann")
    expect(preview.locator("em")).to_have_text("Ann")
    times.fill("x")
    expect(times).to_have_attribute("aria-invalid", "true")
    expect(preview).to_have_class("orchat-preview orchat-stale")
    expect(preview.locator("em")).to_have_text("Ann")
    times.fill("3")
    expect(preview.locator("strong")).to_have_text("3")
    expect(preview).to_have_class("orchat-preview")
    to.fill("nobody")
    expect(preview).to_have_text("There is no preview: ValueError: no such <b>person</b>: nobody")
    form.get_by_role("button", name="Approve edited").click()
    notebook.wait(2)
    assert printed(notebook, 3) == "[('nobody', 3)]\n"


def test_an_attack_in_a_preview_runs_and_fetches_nothing(
    page: Page, lab: Lab, endpoint: ScriptedOpenRouter, watch: Watch
) -> None:
    attack = (
        f"<img src={watch.origin}/a.png onerror=window.pwned=1><script>window.pwned=1</script>"
        f"![x]({watch.origin}/b.png) [y](javascript:window.pwned=1) <style>*{{display:none}}</style>"
    )
    tool = MAIL.replace('return f"Mails', 'return to + f"Mails')
    asks(endpoint, attack)
    notebook = opened(page, lab, "preview-attack.ipynb", tool, SHOW, "print(len(ran))")
    notebook.run(1, 2)
    preview = page.locator(".orchat-preview")
    expect(preview).to_contain_text("<script>window.pwned=1</script>")
    page.wait_for_timeout(500)
    assert preview.locator("img, script, style, [href^='javascript']").count() == 0
    assert page.evaluate("() => window.pwned") is None
    assert watch.asked == []
    page.locator(".orchat-reject").click()
    page.locator(".orchat-send").click()
    notebook.wait(2)
    assert printed(notebook, 3) == "0\n"


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_a_form_with_a_preview_is_accessible(page: Page, lab: Lab, endpoint: ScriptedOpenRouter, theme: str) -> None:
    asks(endpoint, "Zoe")
    name = theme.rsplit(maxsplit=1)[-1].lower()
    notebook = opened(page, lab, f"preview-{name}.ipynb", MAIL, SHOW)
    notebook.change_theme(theme)
    notebook.run(1, 2)
    form = page.locator(".orchat-form")
    expect(form.locator(".orchat-preview em")).to_have_text("Zoe")
    form.get_by_label("times", exact=True).fill("x")
    expect(form.locator(".orchat-stale")).to_have_count(1)
    form.get_by_label("to", exact=True).focus()
    page.wait_for_timeout(300)
    page.locator(".orchat-turn").screenshot(path=str(lab.work / f"form-preview-{name}.png"))
    assert serious(page, ".orchat-turn") == []
    form.locator(".orchat-reject").click()
    form.locator(".orchat-send").click()
    notebook.wait(2)


def test_a_preview_stands_in_a_panel_too(page: Page, lab: Lab, endpoint: ScriptedOpenRouter) -> None:
    asks(endpoint, "Zoe")
    code = "from orchat import ChatPanel\nChatPanel('some/model', tools=[mail])"
    notebook = opened(page, lab, "preview-panel.ipynb", MAIL, code, "print(ran)")
    notebook.run(1, 2)
    panel = page.locator(".orchat-panel")
    expect(panel.locator(".orchat-storage-status")).not_to_be_empty()
    ask(panel, "Mail her.")
    expect(panel.locator(".orchat-preview em")).to_have_text("Zoe")
    panel.locator(".orchat-approve").click()
    expect(panel.locator(".orchat-items")).to_contain_text("Done.")
    assert printed(notebook, 3) == "[('Zoe', 2)]\n"
