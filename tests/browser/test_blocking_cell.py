"""A panel in a real JupyterLab while a cell blocks the kernel's main thread."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.lab import POLLING, Lab, Notebook
from tests.browser.test_panel import ask
from tests.jupyter.kernel import INSTALLED
from tests.openrouter_server import ScriptedOpenRouter, call, calls, endless, text
from tests.patience import wait_until

pytestmark = pytest.mark.slow

PANEL = """\
import orchat, pathlib, time
from orchat.jupyter.kernel.variable_tools import inspect_variable
level = 4.2
@orchat.tool
def tide(port: str) -> str:
    "Tell the tide."
    return f"high at {port}"
orchat.ChatPanel('some/model', tools=[tide, inspect_variable(get_ipython())])
"""


def block(notebook: Notebook, cell: int, folder: Path) -> None:
    """Run the cell of `blocking`, and wait until it blocks."""
    notebook.run(cell)
    assert wait_until((folder / "begun").exists)


def blocking(folder: Path) -> str:
    """A cell that sleeps until a file is there."""
    return (
        "import pathlib, time\n"
        f"pathlib.Path({str(folder / 'begun')!r}).touch()\n"
        f"while not pathlib.Path({str(folder / 'end')!r}).exists():\n    time.sleep(0.01)\n"
        "print('ended')"
    )


def words(panel: Locator) -> int:
    return len(panel.locator(".orchat-items").last.inner_text())


def grows(page: Page, panel: Locator, characters: int) -> None:
    """Wait until the answer has grown."""
    length = words(panel)
    page.wait_for_function(
        "(length) => [...document.querySelectorAll('.orchat-items')].at(-1).innerText.length > length",
        arg=length + characters,
        polling=POLLING,
    )


@pytest.mark.parametrize("ipykernel", [INSTALLED, "7.3.0"])
def test_it_streams_stops_and_asks_while_a_cell_blocks(
    page: Page, lab: Lab, endpoint: ScriptedOpenRouter, tmp_path: Path, ipykernel: str
) -> None:
    endpoint.answers(
        endless("The river runs. " * 1_000).paced(0.02),
        calls(call("tide", {"port": "Hull"}), call("inspect_variable", {"name": "level"})),
        text("At noon."),
        *[calls(call("tide", {"port": "Hull"})), text("At nine.")] * 2,
    )
    blocked_turns = "for _ in range(2):\n    orchat.Chat('some/model', tools=[tide])('When?')"
    cells = (PANEL, blocking(tmp_path), blocked_turns)
    notebook = lab.open(page, f"blocked-{ipykernel}.ipynb", *cells, ipykernel=ipykernel)
    notebook.run(0)
    block(notebook, 1, tmp_path)  # at once, as Run All does: the panel is drawn all the same
    panel = page.locator(".orchat-panel")
    expect(panel.locator(".orchat-storage-status")).not_to_be_empty()
    ask(panel, "Where does it go?")
    grows(page, panel, 100)
    panel.locator(".orchat-panel-stop").click()
    expect(panel.locator(".orchat-footer")).to_contain_text("stopped")
    ask(panel, "When is high tide?")
    expect(panel.locator(".orchat-question-text").last).to_contain_text("When is high tide?")
    forms = panel.locator(".orchat-form")
    expect(forms).to_have_count(2)
    for _ in range(2):
        panel.get_by_role("button", name="Approve").first.click()
    expect(panel).to_contain_text("waits for the running cell")
    assert notebook.running(1)
    (tmp_path / "end").touch()
    notebook.wait(1)
    expect(panel.locator(".orchat-items").last).to_contain_text("At noon.")
    expect(panel).not_to_contain_text("waits for the running cell")
    notebook.wait_for_text(1, "ended")
    assert notebook.text(1).strip() == "ended"
    expect(panel.locator(".orchat-busy-notice")).to_be_hidden()
    # The forms of turns that block the kernel themselves, one after another.
    notebook.run(2)
    outputs = page.locator(".jp-CodeCell", has_text="for _ in range(2)").locator(".jp-OutputArea-child")
    for number in range(2):
        outputs.nth(number).get_by_role("button", name="Approve").click()
    notebook.wait(2)
    notebook.wait_for_text(2, "At nine.", 2)
    assert notebook.text(2).count("At nine.") == 2
    assert "tide(port=" in notebook.text(2)


def test_where_no_click_is_heard_the_stream_goes_on_and_stop_says_what_to_do(
    page: Page, lab: Lab, endpoint: ScriptedOpenRouter, tmp_path: Path
) -> None:
    endpoint.answers(endless("The river runs. " * 1_000).paced(0.02))
    notebook = lab.open(page, "blocked-6.ipynb", PANEL, blocking(tmp_path), ipykernel="6.31.0")
    notebook.run(0)
    notebook.wait(0)
    panel = page.locator(".orchat-panel")
    expect(panel.locator(".orchat-storage-status")).not_to_be_empty()
    ask(panel, "Where does it go?")
    grows(page, panel, 10)
    block(notebook, 1, tmp_path)
    grows(page, panel, 100)
    notice = panel.locator(".orchat-busy-notice")
    expect(notice).to_be_hidden()
    panel.locator(".orchat-panel-stop").click()
    expect(notice).to_contain_text("interrupt the kernel")
    grows(page, panel, 50)
    notebook.interrupt(1, "KeyboardInterrupt")
    expect(panel.locator(".orchat-footer")).to_contain_text("stopped")
    expect(notice).to_be_hidden()
