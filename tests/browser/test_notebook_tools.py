"""The notebook as a tool, in a real JupyterLab: a change is shown as a difference, approved, undone by the editor."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.driver import PATIENT_LOAD
from tests.browser.lab import POLLING, Lab
from tests.browser.test_view import results
from tests.openrouter_server import ScriptedOpenRouter, call, calls, text

pytestmark = pytest.mark.slow

OLD = "x = 1\ny = 2\nx + y"
NEW = "x = 1\ny = 30\nprint(x + y)"
_PANEL = "window.jupyterapp.shell.currentWidget.content"


def source(page: Page, cell: int) -> str:
    return str(page.evaluate(f"(at) => {_PANEL}.widgets[at].model.sharedModel.getSource()", cell))


def identifiers(page: Page) -> list[str]:
    return list(page.evaluate(f"() => {_PANEL}.widgets.map((each) => each.model.id)"))


def test_a_change_is_shown_as_a_difference_approved_and_undone(
    page: Page, lab: Lab, endpoint: ScriptedOpenRouter
) -> None:
    cells = (PATIENT_LOAD, OLD, "%%openrouter -T analyst\nMend it.", "print('behind', y)")
    notebook = lab.open(page, "notebook-tools.ipynb", *cells)
    name = identifiers(page)[1][:8]
    endpoint.answers(
        calls(call("list_cells", {})),
        calls(call("edit_cell", {"cell": name, "source": NEW})),
        calls(call("run_cell", {"cell": name})),
        calls(call("insert_cell", {"source": "# Tides", "kind": "markdown", "above": name})),
        calls(call("read_cells", {"cells": [name]})),
        calls(call("edit_cell", {"cell": name, "source": "x = 0"})),
        text("It is mended."),
    )
    notebook.run(0, 2, 3)
    form, preview = page.locator(".orchat-form"), page.locator(".orchat-preview")
    approve = form.locator(".orchat-approve")
    expect(form).to_have_attribute("aria-label", "A tool call that waits for your decision: list_cells")
    approve.click()

    expect(preview).to_contain_text(f"Changes cell 2 ({name}, code):")
    expect(preview.locator("code").last).to_have_text(" x = 1\n-y = 2\n-x + y\n+y = 30\n+print(x + y)\n")
    page.locator(".orchat-turn").screenshot(path=str(lab.work / "notebook-edit.png"))
    assert source(page, 1) == OLD  # nothing has changed yet
    approve.click()

    expect(preview).to_contain_text(f"Runs cell 2 ({name}):")
    assert source(page, 1) == NEW
    approve.click()

    expect(preview).to_contain_text(f"Inserts a markdown cell above cell 2 ({name}), which begins with x = 1:")
    notebook.wait_for_text(1, "31")  # placed there while the asking cell still runs
    assert notebook.running(2)
    approve.click()
    expect(form).to_have_attribute("aria-label", "A tool call that waits for your decision: read_cells")
    approve.click()

    # The editor's own undo takes it back; a change that was proposed to what is no more there is refused.
    expect(preview).to_contain_text(f"Changes cell 3 ({name}, code):")
    page.evaluate(
        f"() => {{ {_PANEL}.activeCellIndex = 2; {_PANEL}.mode = 'edit'; {_PANEL}.activeCell.editor.focus(); }}"
    )
    page.keyboard.press("Control+z")
    page.wait_for_function(
        f"(old) => {_PANEL}.widgets[2].model.sharedModel.getSource() === old", arg=OLD, polling=POLLING
    )
    approve.click()
    notebook.wait(4)

    told = results(endpoint)
    assert f"cell 2 ({name}, code)\n  x = 1\n  y = 2\n  x + y" in told[0]
    assert "this cell asks you" in told[0]
    assert told[1].startswith(f"Cell 2 ({name}, code) was changed.")
    assert told[2] == "Printed:\n31"
    assert told[4] == f"Cell 3 ({name}, code):\n{NEW}\n\nPrinted:\n31"
    assert "Nothing was done: the cell has been changed since it was read" in told[5]
    assert source(page, 2) == OLD
    assert notebook.text(4).strip() == "behind 30"
    assert source(page, 1) == "# Tides"
    saved = notebook.save()
    assert [cell.cell_type for cell in saved.cells] == ["code", "markdown", "code", "code", "code"]

    page.evaluate("() => window.jupyterapp.commands.execute('notebook:undo-cell-action')")
    page.wait_for_function(f"() => {_PANEL}.widgets.length === 4", polling=POLLING)
