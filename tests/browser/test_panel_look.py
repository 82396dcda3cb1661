"""What the chat panel looks like (DESIGN.md), and what its chats are called; in a real JupyterLab."""

from __future__ import annotations

import threading
from base64 import b64decode

import pytest
from playwright.sync_api import Page, expect

from tests.browser.accessibility import accessibility_violations
from tests.browser.contrast import weak_texts
from tests.browser.lab import POLLING, Lab
from tests.browser.test_panel import PANEL, ask, opened
from tests.openrouter_server import PNG, ScriptedOpenRouter, done, error, event, finish, hold, stream, text, usage

pytestmark = pytest.mark.slow

ANSWER = "It goes to the **sea**, see [here](https://example.org/a).\n\n```python\nx = [1]  # one\n```"
_SMALL_TARGETS = """(panel) => [...panel.querySelectorAll('button, summary, select, input:not([type=checkbox])')]
    .filter((target) => target.checkVisibility() && target.getBoundingClientRect().height < 24)
    .map((target) => target.className)"""
_FILLED = """(panel) => [...panel.querySelectorAll('button')].filter((button) => button.checkVisibility()
    && getComputedStyle(button).backgroundColor !== 'rgba(0, 0, 0, 0)').map((button) => button.textContent)"""


def test_it_has_one_filled_button_a_bar_of_one_row_and_can_be_read(
    page: Page, lab: Lab, endpoint: ScriptedOpenRouter
) -> None:
    endpoint.answers(text(ANSWER), text("Again."), error(402, "No credits."))
    frame = "class Frame:\n    columns = shape = ()\ntides = Frame()\n"
    notebook, panel = opened(page, lab, "panel-look.ipynb", PANEL + frame + 'ChatPanel("vendor/some-long-model-name")')
    page.evaluate("() => window.jupyterapp.commands.execute('application:toggle-left-area')")
    panel.get_by_role("button", name="Explain {tides}").click()
    expect(panel.locator(".orchat-text-input")).to_have_value("Explain {tides}")
    expect(panel.locator(".orchat-text-input")).to_be_focused()
    expect(panel.locator(".orchat-empty")).to_contain_text("paste or drop images and files")
    assert weak_texts(panel) == {}

    ask(panel, "Where does it go?")
    expect(panel.locator(".orchat-footer").first).to_contain_text("SomeProvider")
    details = panel.locator(".orchat-footer")
    details.locator("summary").click()
    expect(details.locator("dl")).to_contain_text("$0.00004")
    expect(details.locator("dl")).to_contain_text("prompt tokens 14")
    assert weak_texts(panel) == {}
    details.locator("summary").click()
    ask(panel, "What is {tides.shape()}?")
    expect(panel.get_by_role("alert").locator("code").first).to_have_text("value = tides.shape()")
    ask(panel, "And then?")
    expect(panel.locator(".orchat-footer").nth(1)).to_contain_text("SomeProvider")
    ask(panel, "And last?")
    expect(panel.get_by_role("alert")).to_contain_text("402")
    picture = {"name": "tide.png", "mimeType": "image/png", "buffer": b64decode(PNG.partition(",")[2])}
    panel.locator(".orchat-file-input").set_input_files([picture])
    expect(panel.locator(".orchat-chip-name")).to_have_text("tide.png (image, 1 kB)")
    expect(panel.locator(".orchat-thumbnail")).to_have_js_property("naturalWidth", 1)
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        notebook.change_theme(theme)
        for width in (390, 700, 1440):
            page.set_viewport_size({"width": width, "height": 900})
            assert (panel.locator(".orchat-panel-bar").bounding_box() or {})["height"] <= 32
            assert panel.evaluate("(panel) => panel.scrollWidth <= panel.clientWidth")
            assert panel.evaluate(_SMALL_TARGETS) == []
        assert panel.evaluate(_FILLED) == ["Send"]
        assert weak_texts(panel) == {}
        for name in (".orchat-model-button", ".orchat-settings-button", ".orchat-menu-button"):
            before = panel.locator(".orchat-conversation").bounding_box()
            panel.locator(name).press("Enter")
            page.wait_for_timeout(150)
            assert panel.locator(".orchat-conversation").bounding_box() == before  # what opens lies over it
            assert weak_texts(panel) == {}
            page.keyboard.press("Escape")
            expect(panel.locator(name)).to_be_focused()
    page.set_viewport_size({"width": 1280, "height": 900})
    hidden = "(node) => node.scrollHeight - node.clientHeight"
    conversation = panel.locator(".orchat-conversation")
    conversation.evaluate("(node) => node.style.setProperty('--orchat-height', '6rem')")
    assert conversation.evaluate(hidden) > 0
    page.emulate_media(media="print")
    assert conversation.evaluate(hidden) == 0
    expect(panel.locator(".orchat-composer")).to_be_hidden()
    page.emulate_media(media="screen")


def test_chats_are_called_by_their_first_question_found_renamed_and_deleted(
    page: Page, lab: Lab, endpoint: ScriptedOpenRouter
) -> None:
    gate = threading.Event()
    endpoint.answers(stream(event("To the sea."), hold(gate), finish("stop"), usage(), done()), text("At noon."))
    notebook, panel = opened(page, lab, "panel-chats.ipynb", PANEL + 'panel = ChatPanel("some/model")\npanel', "...")
    opener, sheet = panel.locator(".orchat-chats-button"), panel.locator(".orchat-chats")
    expect(opener).to_be_hidden()
    ask(panel, "Where does it go?")
    expect(panel.locator(".orchat-items")).to_contain_text("To the sea.")
    expect(panel.get_by_role("button", name="Undo")).to_be_hidden()
    places = [panel.locator(each).bounding_box() for each in (".orchat-items", ".orchat-composer")]
    gate.set()
    expect(panel.locator(".orchat-footer")).to_contain_text("SomeProvider")
    expect(panel.get_by_role("button", name="Undo")).to_be_visible()
    assert [panel.locator(each).bounding_box() for each in (".orchat-items", ".orchat-composer")] == places
    panel.get_by_role("button", name="New chat").click()
    ask(panel, "When is it high?")
    expect(panel.locator(".orchat-items")).to_contain_text("At noon.")
    expect(panel.locator(".orchat-footer")).to_contain_text("SomeProvider")

    opener.press("Enter")
    titles = sheet.locator(".orchat-chat-title:visible")
    expect(titles).to_have_text(["When is it high?", "Where does it go?"])
    expect(titles.first).to_have_attribute("aria-current", "true")
    expect(sheet.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("where")
    expect(titles).to_have_text(["Where does it go?"])
    sheet.get_by_role("button", name="Rename: Where does it go?").click()
    page.keyboard.type("The river")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelector('[data-title=\"The river\"]')", polling=POLLING)
    sheet.get_by_role("searchbox").fill("")
    expect(titles).to_have_text(["When is it high?", "The river"])
    found = accessibility_violations(page, ".orchat-panel")
    assert [each["id"] for each in found if each["impact"] in ("serious", "critical")] == []
    titles.nth(1).click()
    expect(sheet).to_be_hidden()
    expect(panel.locator(".orchat-items")).to_contain_text("To the sea.")

    opener.click()
    delete = sheet.get_by_role("button", name="Delete: When is it high?")
    delete.click()
    expect(delete).to_have_text("Delete?")  # a second press does it
    delete.click()
    expect(sheet.locator(".orchat-chat")).to_have_count(1)
    expect(panel.locator(".orchat-cost")).to_have_text("$0.00008")  # what it cost stays counted
    page.keyboard.press("Escape")
    expect(opener).to_be_hidden()
    notebook.page.evaluate(
        "(code) => window.jupyterapp.shell.currentWidget.content.model.cells.get(1).sharedModel.setSource(code)",
        "print(panel.chat.messages[0].text)",
    )
    notebook.run(1)
    notebook.wait(1)
    assert notebook.text(1).strip() == "Where does it go?"
