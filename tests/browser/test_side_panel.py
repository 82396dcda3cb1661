"""A chat in the side bar of a real JupyterLab and a real Notebook 7: the panel of a cell, shown beside the notebook."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Page, expect

from tests.browser.contrast import weak_texts
from tests.browser.lab import Lab
from tests.browser.test_panel import ask
from tests.openrouter_server import ScriptedOpenRouter, text

pytestmark = pytest.mark.slow

OPEN = "() => window.jupyterapp.commands.execute('orchat:open-side-chat')"


def test_a_chat_opens_at_the_side_goes_back_to_its_cell_and_is_stored_there(
    page: Page, front_end: Lab, endpoint: ScriptedOpenRouter
) -> None:
    endpoint.answers(text("To the *sea*."), text("At noon."))
    notebook = front_end.open(page, "side.ipynb", "x = 1")
    page.locator(".jp-Cell .cm-content").first.click()
    page.keyboard.press("Control+Alt+C")
    side = page.locator(".orchat-side")
    panel = side.locator(".orchat-panel")
    expect(panel.locator(".orchat-text-input")).to_be_focused()
    ask(panel, "Where does it go?")
    expect(panel.locator(".orchat-items")).to_contain_text("To the sea.")
    height = (side.bounding_box() or {})["height"]
    assert (panel.bounding_box() or {})["height"] == pytest.approx(height, abs=1)
    assert height > 500
    assert weak_texts(panel) == {}

    cell = page.locator(".jp-Cell").nth(1)
    expect(cell.locator(".orchat-panel")).to_be_hidden()
    expect(cell).to_contain_text("This chat is at the side.")
    page.evaluate(OPEN)  # is there already
    expect(side).to_have_count(1)
    panel.get_by_role("button", name="More").click()
    panel.get_by_role("menuitem", name="Move into its cell").click()
    expect(side).to_have_count(0)
    own = cell.locator(".orchat-panel")
    expect(own.locator(".orchat-items")).to_contain_text("To the sea.")
    ask(own, "When is it high?")
    expect(own.locator(".orchat-items").nth(1)).to_contain_text("At noon.")
    own.get_by_role("button", name="More").click()
    own.get_by_role("menuitem", name="Move to the side").click()
    expect(panel.locator(".orchat-items")).to_have_text(["To the sea.", "At noon."])
    cell.get_by_role("button", name="Bring it back").click()
    expect(own.locator(".orchat-items")).to_have_text(["To the sea.", "At noon."])
    page.evaluate(OPEN)
    expect(panel.locator(".orchat-items")).to_have_text(["To the sea.", "At noon."])
    notebook.run(1)  # another panel takes its place, in the cell
    expect(side).to_have_count(0)
    expect(own.locator(".orchat-items")).to_have_text(["To the sea.", "At noon."])
    page.wait_for_timeout(2_500)  # what is kept is written at most every two seconds
    saved = notebook.save()
    assert saved.cells[1].source.endswith("ChatPanel()")
    assert "When is it high?" in json.dumps(saved.cells[1].metadata["orchat"])
