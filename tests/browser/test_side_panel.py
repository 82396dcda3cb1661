"""A chat in the side bar of a real JupyterLab and a real Notebook 7: the panel of a cell, shown beside the notebook."""

from __future__ import annotations

import json

import nbformat
import pytest
from playwright.sync_api import Page, expect

from tests.browser.contrast import weak_texts
from tests.browser.lab import Lab
from tests.browser.test_panel import ask, restart
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
    assert page.evaluate("() => document.querySelector('.orchat-submit').getBoundingClientRect().right < innerWidth")
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
    panel.locator(".orchat-text-input").fill("And then")
    cell.get_by_role("button", name="Bring it back").click()
    expect(own.locator(".orchat-items")).to_have_text(["To the sea.", "At noon."])
    expect(own.locator(".orchat-text-input")).to_have_value("And then")
    assert (own.locator(".orchat-text-input").bounding_box() or {})["height"] > 40  # of two lines
    page.evaluate(OPEN)
    expect(panel.locator(".orchat-items")).to_have_text(["To the sea.", "At noon."])
    expect(panel.locator(".orchat-text-input")).to_have_value("And then")
    first = panel.get_attribute("data-widget")
    notebook.run(1)  # another panel takes its place, where it was
    expect(panel).not_to_have_attribute("data-widget", first or "")
    expect(panel.locator(".orchat-items")).to_have_text(["To the sea.", "At noon."])
    expect(own).to_be_hidden()
    page.wait_for_timeout(2_500)  # what is kept is written at most every two seconds
    saved = notebook.save()
    assert saved.cells[1].source.endswith("ChatPanel()")
    assert "When is it high?" in json.dumps(saved.cells[1].metadata["orchat"])


def test_each_notebook_has_its_own_and_a_restart_leaves_it_there(
    page: Page, lab: Lab, endpoint: ScriptedOpenRouter
) -> None:
    endpoint.answers(text("To the *sea*."))
    kernel = {"name": "python3", "display_name": "python3", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(metadata={"kernelspec": kernel}), lab.work / "side-other.ipynb")
    lab.open(page, "side-first.ipynb", "x = 1")
    page.evaluate(OPEN)
    side = page.locator(".orchat-side")
    panel = side.locator(".orchat-panel")
    ask(panel, "Where does it go?")
    expect(panel.locator(".orchat-items")).to_contain_text("To the sea.")
    page.evaluate("() => void window.jupyterapp.commands.execute('docmanager:open', {path: 'side-other.ipynb'})")
    expect(side).to_contain_text("This notebook has no chat at the side.")
    expect(panel).to_be_hidden()
    assert weak_texts(side) == {}
    page.evaluate("() => void window.jupyterapp.commands.execute('docmanager:open', {path: 'side-first.ipynb'})")
    expect(panel).to_be_visible()
    expect(side.get_by_role("button", name="Open one")).to_be_hidden()

    restart(page)
    field = panel.locator(".orchat-text-input")
    field.fill("And then")
    panel.get_by_role("button", name="Run this cell").click()
    expect(panel.locator(".orchat-kernel-notice")).to_be_hidden()
    expect(panel.locator(".orchat-items")).to_contain_text("To the sea.")
    expect(field).to_have_value("And then")
    page.evaluate("() => window.jupyterapp.shell.currentWidget.content.model.sharedModel.deleteCell(1)")
    expect(side).to_have_count(0)
    page.evaluate(OPEN)  # another one
    expect(panel.get_by_role("button", name="Write a function that …")).to_be_visible()
    page.evaluate("() => window.jupyterapp.shell.currentWidget.dispose()")
    expect(side).to_have_count(0)
