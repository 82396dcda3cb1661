"""The editors of cells that hold a prompt, in a real JupyterLab and a real Notebook 7."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.lab import Lab, Notebook

pytestmark = pytest.mark.slow

PROMPT = (
    "%%openrouter some/model -s 'Be *brief*'\n"
    "It's a question about {df}, don't you see? What does the *mean* of {df[\"a\"]} say, `{x}`, {{y}}, {}?\n\n"
    "```python\nx = {df}\n```\n"
)


def languages(notebook: Notebook) -> list[str]:
    return list(
        notebook.page.evaluate(
            "() => window.jupyterapp.shell.currentWidget.content.widgets.map((cell) => cell.model.mimeType)"
        )
    )


def test_a_prompt_reads_as_prose_while_its_line_is_there(page: Page, front_end: Lab) -> None:
    python, prose = "text/x-ipython", "text/x-ipythongfm"
    code = "%%openrouter_of_others\nit = 's {df}'"
    notebook = front_end.open(page, "prose.ipynb", "%load_ext orchat\ntides = 1", PROMPT, code)
    notebook.run(0)
    notebook.wait(0)
    assert languages(notebook) == [python, prose, python]
    fields = page.locator(".orchat-prompt-field")
    expect(fields).to_have_text(["{df}", '{df["a"]}'])
    lines = page.locator(".jp-Cell").nth(1).locator(".cm-line")
    expect(lines.nth(1)).to_contain_text("It's a question")
    options = page.locator(".orchat-prompt-options")
    expect(options).to_have_text(["%%openrouter some/model -s 'Be *brief*'"])
    colours = "(line) => [line, ...line.querySelectorAll('*')].map((each) => getComputedStyle(each).color)"
    assert len(set(options.evaluate(colours))) == 1
    assert lines.nth(1).evaluate(colours)[0] != options.evaluate(colours)[0]
    editor = page.locator(".jp-Cell .cm-content").nth(1)

    editor.click()
    page.keyboard.press("Control+End")
    page.keyboard.type("And {ti")
    page.keyboard.press("Tab")  # the kernel completes the names of variables here as well
    expect(page.locator(".jp-Completer:visible")).to_contain_text("tides")
    page.keyboard.press("Enter")
    expect(editor).to_contain_text("And {tides")
    page.keyboard.press("Control+Home")
    page.keyboard.press("Delete")
    expect(fields).to_have_count(0)
    expect(options).to_have_count(0)
    assert languages(notebook) == [python, python, python]
    page.keyboard.type("%")
    expect(fields).to_have_count(2)
    assert languages(notebook) == [python, prose, python]

    notebook.page.evaluate("() => window.jupyterapp.commands.execute('notebook:insert-cell-below')")
    page.keyboard.type("%%openrouter\nWho has {seen} it?")
    expect(fields).to_have_count(3)
    assert languages(notebook) == [python, prose, prose, python]
    saved = notebook.save()
    assert saved.cells[2].source == "%%openrouter\nWho has {seen} it?"
    assert all(cell.cell_type == "code" for cell in saved.cells)
