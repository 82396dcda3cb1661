"""The chat panel in a real JupyterLab and a real Notebook 7, with the extension that keeps its state in the cell."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import nbformat
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.accessibility import accessibility_violations
from tests.browser.lab import POLLING, Lab, Notebook
from tests.openrouter_server import (
    PNG,
    ScriptedOpenRouter,
    call,
    calls,
    error,
    event,
    hold,
    stream,
    text,
)
from tests.patience import PATIENCE

pytestmark = pytest.mark.slow

KEY = "sk-or-v1-0123456789abcdef"
WIDGET = "application/vnd.jupyter.widget-view+json"
PANEL = "from orchat.jupyter.panel.chat_panel import ChatPanel\n"
ANSWER = "The river runs down to the *sea*. " * 30
# What a screen reader is told from now on, wherever that is in the panel, with the moment.
SAID = """(panel) => {
    window.said = [];
    const live = "[aria-live]:not([aria-live=off]), [role=status], [role=alert], [role=log]:not([aria-live=off])";
    new MutationObserver((changes) => {
        const words = changes.filter(({target}) => (target.closest ?? (() => null)).call(target, live))
            .flatMap((each) => [...each.addedNodes].map((node) => node.textContent)).join(" ");
        if (words) window.said.push([performance.now(), words]);
    }).observe(panel, {childList: true, characterData: true, subtree: true});
}"""


def opened(page: Page, lab: Lab, name: str, *cells: str) -> tuple[Notebook, Locator]:
    """A notebook whose first cell shows a panel."""
    notebook = lab.open(page, name, *cells)
    notebook.run(0)
    notebook.wait(0)
    panel = page.locator(".orchat-panel")
    expect(panel).to_have_count(1)
    panel.evaluate("(node) => { node.isFirst = true; }")
    expect(panel.locator(".orchat-storage-status")).not_to_be_empty()
    return notebook, panel


def ask(panel: Locator, words: str) -> None:
    field = panel.locator(".orchat-text-input")
    field.fill(words)
    field.press("Enter")


def test_a_variable_is_completed_sent_and_shown_on_demand(page: Page, lab: Lab, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(text("At 14:10."))
    code = PANEL + "tides, time_zone = {'Hull': '14:10'}, 'GMT'\nChatPanel('some/model')"
    _, panel = opened(page, lab, "panel-variables.ipynb", code)
    field, names = panel.locator(".orchat-text-input"), panel.get_by_role("listbox", name="Variables")
    field.press_sequentially("High when? {ti")
    expect(names.get_by_role("option")).to_have_text(["tides", "time_zone"])
    panel.screenshot(path=str(lab.work / "completion.png"))
    field.press("ArrowDown")
    field.press("ArrowUp")
    field.press("Enter")
    expect(field).to_have_value("High when? {tides}")
    page.wait_for_timeout(300)  # as long as an answer of the kernel takes
    expect(names).to_be_hidden()  # what was taken is not offered again
    field.press_sequentially("[")  # behind the name, before the brace
    expect(names.get_by_role("option")).to_have_text(['["Hull"]'])
    field.press("Escape")
    expect(names).to_be_hidden()
    field.press("Backspace")
    # Behind an @ is what one does not remember the name of.
    field.press("End")
    field.press_sequentially(" @tid")
    expect(names.get_by_role("option")).to_have_text(["{tides}dict"])
    panel.screenshot(path=str(lab.work / "mention.png"))
    field.press("Tab")
    expect(field).to_have_value("High when? {tides} {tides}")
    field.fill("High when? {tides}")
    field.press("Enter")
    expect(panel.locator(".orchat-items")).to_contain_text("At 14:10.")
    question = panel.locator(".orchat-question")
    expect(question.locator(".orchat-question-text")).to_contain_text("High when? {tides}")
    expect(question.locator("summary")).to_contain_text("Sent with tides (")
    expect(question.locator("pre")).to_be_hidden()
    question.locator("summary").click()
    expect(question.locator("pre")).to_have_text(endpoint.request.json["messages"][-1]["content"])
    panel.screenshot(path=str(lab.work / "sent.png"))
    assert accessibility_violations(page, ".orchat-panel") == []


def test_it_is_a_widget_among_others_and_lives_where_a_callback_shows_it(
    page: Page, lab: Lab, endpoint: ScriptedOpenRouter
) -> None:
    endpoint.answers(text("First."), text("Second."))
    code = PANEL + (
        "from ipywidgets import Button, HTML, Output, VBox\n"
        "more, shown = Button(description='Another chat'), Output()\n"
        "def show(_):\n    with shown:\n        display(ChatPanel('some/model'))\n"
        "more.on_click(show)\n"
        "VBox([HTML('<b>Tides</b>'), ChatPanel('some/model').widget, more, shown])"
    )
    _, panel = opened(page, lab, "panel-composed.ipynb", code)
    ask(panel, "One?")
    expect(panel.locator(".orchat-items")).to_contain_text("First.")
    page.get_by_role("button", name="Another chat").click()
    expect(panel).to_have_count(2)
    ask(panel.nth(1), "Two?")
    expect(panel.nth(1).locator(".orchat-items")).to_contain_text("Second.")


def test_what_a_tool_prints_and_draws_is_in_its_box(
    page: Page, lab: Lab, endpoint: ScriptedOpenRouter, tmp_path: Path
) -> None:
    endpoint.answers(calls(call("survey", {"port": "Hull"})), text("Rising."))
    code = PANEL + (
        "import pathlib, time, orchat\n"
        "@orchat.tool\n"
        "def survey(port: str) -> str:\n"
        "    'Look at the tide.'\n"
        "    import matplotlib.pyplot as pyplot\n"
        "    print(f'looking at {port}')\n"
        f"    while not pathlib.Path({str(tmp_path / 'go')!r}).exists(): time.sleep(0.01)\n"
        "    pyplot.plot([1, 3, 2])\n"
        "    return 'rising'\n"
        "ChatPanel('some/model', tools=[survey], approve='always')"
    )
    _, panel = opened(page, lab, "panel-output.ipynb", code)
    ask(panel, "High?")
    box = panel.locator(".orchat-call")
    expect(box.locator(".orchat-call-result-text")).to_have_text("looking at Hull")
    expect(box.locator(".orchat-call-result-text")).to_be_visible()
    panel.screenshot(path=str(lab.work / "prints.png"))
    (tmp_path / "go").touch()
    expect(panel.locator(".orchat-items")).to_contain_text("Rising.")
    expect(box.locator("img")).to_be_visible()
    box.locator("summary").first.click()
    expect(box.locator(".orchat-call-result-text")).to_contain_text("looking at Hull")
    panel.screenshot(path=str(lab.work / "draws.png"))
    assert accessibility_violations(page, ".orchat-panel") == []


# Where Stop stands in its panel, in each frame from the first token on.
_STOP_PLACES = """(panel) => {
    window.places = new Set();
    const look = () => {
        const {x, y, width, height} = panel.querySelector(".orchat-panel-stop").getBoundingClientRect();
        if (panel.querySelector(".orchat-items")?.innerText && width) {
            window.places.add([x, y - panel.getBoundingClientRect().y, width, height].map(Math.round).join(" "));
        }
        requestAnimationFrame(look);
    };
    look();
}"""


def test_it_streams_and_stops_while_later_cells_run(page: Page, front_end: Lab, endpoint: ScriptedOpenRouter) -> None:
    gate = threading.Event()
    words = [event(word) for word in re.findall(r"\S+\s*", ANSWER * 2)]
    endpoint.answers(stream(words[:40], hold(gate), words[40:]).ending("stall").paced(0.02), text("Second."))
    cells = (PANEL + 'panel = ChatPanel("some/model")\npanel', "print(6 * 7)", "print(len(panel.messages))")
    notebook, panel = opened(page, front_end, "panel-streams.ipynb", *cells)
    panel.evaluate(_STOP_PLACES)
    ask(panel, "Where does it go?")
    items = panel.locator(".orchat-items")
    expect(items).to_contain_text("The river runs down to the sea.")
    assert items.locator("em").first.inner_text() == "sea"
    moving = "(panel) => panel.getAnimations({subtree: true}).length"
    assert panel.evaluate(moving) == 1  # the pulse of what goes on
    page.emulate_media(reduced_motion="reduce")
    assert panel.evaluate(moving) == 0
    page.emulate_media(reduced_motion="no-preference")
    panel.evaluate(SAID)
    gate.set()
    notebook.run(1)
    notebook.wait(1)
    assert notebook.text(1).strip() == "42"
    assert not notebook.running(0)
    page.wait_for_function("() => window.said.length > 1", polling=POLLING)
    said = page.evaluate("() => window.said")
    assert all(after - before > 1_200 for (before, _), (after, _) in pairwise(said))  # milliseconds
    assert all(each.startswith("The river runs") and each.endswith("the sea.") for _, each in said)
    page.wait_for_function(
        "() => document.querySelector('.orchat-items').innerText.split('sea').length > 29", polling=POLLING
    )
    assert len(page.evaluate("() => [...window.places]")) == 1  # while 200 tokens came
    panel.locator(".orchat-panel-stop").click()
    expect(panel.locator(".orchat-footer")).to_contain_text("stopped")
    assert endpoint.request.client_closed.wait(PATIENCE)
    expect(panel.locator(".orchat-text-input")).to_be_focused()
    ask(panel, "Again?")
    expect(panel.locator(".orchat-exchange").nth(1)).to_contain_text("Second.")
    assert [m["role"] for m in endpoint.request.json["messages"]] == ["user", "assistant", "user"]
    notebook.run(2)
    notebook.wait(2)
    assert notebook.text(2).strip() == "4"


_METADATA = "() => window.jupyterapp.shell.currentWidget.content.widgets[0].model.metadata"


def panels_in(notebook: Notebook, cell: int = 0) -> dict[str, Any]:
    """What a saved cell keeps of panels."""
    kept = notebook.save().cells[cell].metadata.get("orchat", {})
    return dict(kept.get("panels", {}))


def wait_until_kept(page: Page, notebook: Notebook, words: str) -> dict[str, Any]:
    """Wait until the first cell keeps these words, and return what the saved one keeps: to save takes 0.1 s of work."""
    deadline = time.monotonic() + PATIENCE
    while words not in json.dumps(kept := page.evaluate(_METADATA)):
        assert time.monotonic() < deadline, f"{words!r} is not kept: {kept}"
        page.wait_for_timeout(100)
    kept = panels_in(notebook)
    assert words in json.dumps(kept)
    return kept


def restart(page: Page) -> None:
    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.restartKernel()")
    page.wait_for_function(
        "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'idle'",
        polling=POLLING,
    )


def test_it_is_kept_in_the_cell_and_there_again_after_a_restart(
    page: Page, front_end: Lab, endpoint: ScriptedOpenRouter
) -> None:
    endpoint.answers(text("The *Humber*."), text("It is wide."))
    notebook, panel = opened(page, front_end, "panel-kept.ipynb", PANEL + 'ChatPanel("some/model")')
    expect(panel.locator(".orchat-storage-status")).to_contain_text("metadata of this cell")
    ask(panel, "Name a river.")
    expect(panel.locator(".orchat-items")).to_contain_text("The Humber.")
    kept = wait_until_kept(page, notebook, "The *Humber*.")
    assert kept["1"]["chats"]["chat"]["messages"] == [
        {"role": "user", "content": [{"text": ["Name a river."]}]},
        {
            "role": "assistant",
            "content": [{"text": ["The *Humber*."]}],
            "meta": {"model": "vendor/some-model-20260301", "requested_model": "some/model"},
        },
    ]
    (output,) = notebook.save().cells[0].outputs
    assert WIDGET not in output.data
    assert output.data["text/markdown"] == "**You:** Name a river.\n\nThe *Humber*."
    assert panel.evaluate(
        "(node) => node.isFirst"
    )  # it was not drawn anew, which closes sheets and takes the focus away
    restart(page)
    notebook.run(0)
    notebook.wait(0)
    panel = page.locator(".orchat-panel")
    expect(panel.locator(".orchat-items")).to_contain_text("The Humber.")
    assert panel.locator(".orchat-question-text").inner_text().endswith("Name a river.")
    ask(panel, "And?")
    expect(panel.locator(".orchat-exchange").nth(1)).to_contain_text("It is wide.")
    sent = endpoint.request.json["messages"]
    assert [message["role"] for message in sent] == ["user", "assistant", "user"]
    assert KEY not in notebook.path.read_text()


def clear(notebook: Notebook, command: str, cell: int = 0) -> list[bool]:
    """Clear outputs by a command, and return which cells keep something of ours in the file."""
    notebook.page.evaluate(
        """async ([command, cell]) => {
            window.jupyterapp.shell.currentWidget.content.activeCellIndex = cell;
            await window.jupyterapp.commands.execute(command);
        }""",
        [command, cell],
    )
    return ["orchat" in cell.metadata for cell in notebook.save().cells]


def test_it_is_kept_in_the_second_notebook_of_a_kernel(page: Page, lab: Lab, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(text("At 14:10."))
    lab.open(page, "panel-first.ipynb", "")
    notebook = lab.open_beside(page, "panel-second.ipynb", PANEL + "ChatPanel('some/model')")
    notebook.run(0)
    notebook.wait(0)
    panel = page.locator(".orchat-panel")
    expect(panel.locator(".orchat-storage-status")).not_to_be_empty()
    ask(panel, "When is the tide high?")
    expect(panel.locator(".orchat-exchange")).to_contain_text("At 14:10.")
    outputs = "window.jupyterapp.shell.currentWidget.content.model.toJSON().cells[0].outputs"
    page.wait_for_function(f"() => JSON.stringify({outputs}).includes('At 14:10.')", polling=POLLING)
    (output,) = notebook.save().cells[0].outputs
    assert output.data["text/plain"] == "You: When is the tide high?\n\nAt 14:10."


def test_what_a_person_clears_is_gone(page: Page, front_end: Lab, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(text("The *Humber*."), text("High at nine."), text("The *Ouse*."))
    cells = (PANEL + 'ChatPanel("some/model")', "%load_ext orchat", "%%openrouter\nWhen is it high?")
    notebook, panel = opened(page, front_end, "panel-cleared.ipynb", *cells)
    ask(panel, "Name a river.")
    wait_until_kept(page, notebook, "The *Humber*.")
    notebook.run(1, 2)
    notebook.wait(2)
    assert "orchat" in notebook.save().cells[2].metadata
    assert clear(notebook, "notebook:clear-cell-output") == [False, False, True]
    # It stays so when the cell is run again in the same kernel, whose panel knows it.
    notebook.run(0)
    notebook.wait(0)
    panel = page.locator(".orchat-panel")
    expect(panel.locator(".orchat-storage-status")).to_contain_text("metadata of this cell")
    expect(panel.locator(".orchat-exchange")).to_have_count(0)
    ask(panel, "Another river?")
    assert "Humber" not in json.dumps(wait_until_kept(page, notebook, "The *Ouse*."))
    page.evaluate("() => void window.jupyterapp.commands.execute('notebook:restart-clear-output')")
    page.locator(".jp-Dialog button.jp-mod-accept").click()
    page.wait_for_function(
        "() => window.jupyterapp.shell.currentWidget.content.widgets.every((cell) => !cell.model.outputs.length)",
        polling=POLLING,
    )
    assert not any("orchat" in cell.metadata for cell in notebook.save().cells)
    assert "Ouse" not in notebook.path.read_text()


def test_what_a_tool_cleared_is_gone_and_what_a_run_took_away_is_not(
    page: Page, lab: Lab, endpoint: ScriptedOpenRouter
) -> None:
    endpoint.answers(text("The *Ouse*."))
    notebook, panel = opened(
        page, lab, "panel-tool.ipynb", PANEL + 'ChatPanel("some/model")', "import time; time.sleep(600)"
    )
    ask(panel, "Name a river.")
    wait_until_kept(page, notebook, "The *Ouse*.")
    # A run that never comes to its output: the cell before it is interrupted.
    notebook.run(1, 0)
    page.wait_for_function(
        "() => window.jupyterapp.shell.currentWidget.content.widgets[0].model.outputs.length === 0"
        " && window.jupyterapp.shell.currentWidget.content.widgets[1].model.executionState === 'running'",
        polling=POLLING,
    )
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:interrupt-kernel')")
    page.wait_for_function(
        "() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'idle'",
        polling=POLLING,
    )
    unfinished = notebook.save().cells[0]
    assert (unfinished.outputs, "Ouse" in json.dumps(unfinished.metadata)) == ([], True)
    restart(page)
    notebook.run(0)
    notebook.wait(0)
    expect(page.locator(".orchat-panel .orchat-items")).to_contain_text("The Ouse.")
    assert notebook.save().cells[0].metadata["orchat"]["shown"] is True
    lab.close_notebooks(page)
    lab.end_sessions()
    clear_output = ["nbconvert", "--clear-output", "--inplace", str(notebook.path)]
    subprocess.run([sys.executable, "-m", *clear_output], check=True, capture_output=True)
    assert "Ouse" in notebook.path.read_text()
    notebook = lab.show(page, notebook.path)
    notebook.run(0)
    notebook.wait(0)
    expect(page.locator(".orchat-panel .orchat-storage-status")).to_contain_text("metadata of this cell")
    expect(page.locator(".orchat-exchange")).to_have_count(0)
    assert "Ouse" not in json.dumps(notebook.save().cells)


_SENT = """(words) => {
    const {kernel} = window.jupyterapp.shell.currentWidget.sessionContext.session;
    window.sent = new Promise((resolve) => kernel.anyMessage.connect((_, {msg, direction}) => {
        if (direction === 'send' && JSON.stringify(msg.content).includes(words)) resolve();
    }));
}"""  # resolved when the page has told the kernel these words


def test_a_page_reloaded_mid_stream_has_it_again_and_a_dead_kernel_leaves_the_transcript(
    page: Page, front_end: Lab, endpoint: ScriptedOpenRouter
) -> None:
    gate = threading.Event()
    words = [event(word) for word in re.findall(r"\S+\s*", ANSWER)]
    endpoint.answers(stream(words[:4], hold(gate), words[4:]).paced(0.05).ending("stall"))
    notebook, panel = opened(page, front_end, "panel-reload.ipynb", PANEL + 'ChatPanel("some/model")')
    ask(panel, "Where does it go?")
    expect(panel.locator(".orchat-items")).to_contain_text("The river runs")
    page.evaluate(_SENT, "half a quest")
    panel.locator(".orchat-text-input").fill("half a quest")
    page.evaluate("() => window.sent")
    notebook.save()
    notebook = front_end.show(page, notebook.path)
    panel = page.locator(".orchat-panel")
    expect(panel).to_be_visible()
    expect(panel.locator(".orchat-text-input")).to_have_value("half a quest")
    before = len(panel.locator(".orchat-items").inner_text())
    gate.set()
    expect(panel.locator(".orchat-items")).to_contain_text("sea")
    page.wait_for_function(
        "(n) => document.querySelector('.orchat-panel .orchat-items').innerText.length > n", arg=before, polling=POLLING
    )
    panel.locator(".orchat-panel-stop").click()
    expect(panel.locator(".orchat-footer")).to_contain_text("stopped")
    deadline = time.monotonic() + PATIENCE
    while True:
        (output,) = notebook.save().cells[0].outputs
        if output.data.get("text/markdown", "").endswith("*(stopped)*"):
            break
        assert time.monotonic() < deadline, output
        page.wait_for_timeout(100)
    assert set(output.data) == {"text/markdown", "text/plain", "application/vnd.orchat.panel"}
    front_end.close_notebooks(page)
    front_end.end_sessions()
    notebook = front_end.show(page, notebook.path)
    notebook.wait_for_text(0, "The river runs")
    page.wait_for_timeout(1_500)
    assert "Error displaying" not in notebook.text(0)
    assert "widget" not in notebook.text(0).lower()


def test_it_is_done_by_keyboard_and_is_accessible(page: Page, lab: Lab, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(text("# Tides\n\nThe *Humber* has `tides`.\n\n```python\nx = 1\n```"), error(402, "No credits."))
    notebook, panel = opened(page, lab, "panel-axe.ipynb", PANEL + 'ChatPanel("some/model")')
    field = panel.locator(".orchat-text-input")
    field.focus()
    page.keyboard.type("One line")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("and another")
    assert field.input_value() == "One line\nand another"
    page.keyboard.press("Enter")
    expect(panel.locator(".orchat-items")).to_contain_text("Tides")
    expect(field).to_be_focused()
    expect(field).to_have_value("")
    expect(panel.locator(".orchat-again")).to_be_visible()
    reached = []
    for _ in range(13):  # backwards, through all of the panel
        page.keyboard.press("Shift+Tab")
        reached.append(page.evaluate("() => document.activeElement.ariaLabel ?? document.activeElement.localName"))
    actions, code = ["Undo", "Edit", "Ask again with another model", "Ask again"], ["Replace the selected cell …"]
    assert reached[: len(actions)] == actions
    assert reached[4:9] == ["summary", *code, "To a new cell", "Copy", "pre"]
    assert reached[9:] == ["Conversation", "More", "Settings", "New chat"]
    field.focus()
    page.keyboard.press("ArrowUp")
    expect(field).to_have_value("One line\nand another")
    panel.locator(".orchat-model-button").press("Enter")
    search = panel.locator(".orchat-search")
    expect(search).to_be_focused()
    page.keyboard.type("gpt-4o-mini")
    chosen = panel.locator(".orchat-model[aria-selected=true]")
    expect(chosen).to_have_attribute("title", "openai/gpt-4o-mini")
    expect(chosen).to_contain_text("128k · $0.15 in, $0.60 out per million")
    violations(page)
    page.keyboard.press("Enter")
    expect(panel.locator(".orchat-model-button")).to_have_text("openai/gpt-4o-mini")
    expect(panel.locator(".orchat-model-button")).to_be_focused()
    panel.locator(".orchat-settings-button").press("Enter")
    expect(panel.locator(".orchat-number").first).to_be_focused()
    violations(page)
    page.keyboard.press("Escape")
    expect(panel.locator(".orchat-settings-button")).to_be_focused()
    field.fill("And now?")
    field.press("Enter")
    expect(panel.get_by_role("alert")).to_contain_text("402")
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        notebook.change_theme(theme)
        page.wait_for_timeout(300)
        violations(page)
    assert len(notebook.outputs(0)) == 1


def violations(page: Page) -> None:
    found = accessibility_violations(page, ".orchat-panel")
    assert not [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in ("serious", "critical")]


def test_every_version_of_a_turn_stays_an_edit_is_cancelled_and_undo_redone(
    page: Page, front_end: Lab, endpoint: ScriptedOpenRouter
) -> None:
    endpoint.answers(*map(text, ("The *Humber*.", "It is wide.", "The *Ouse*.", "It is long.")))
    _, panel = opened(page, front_end, "panel-versions.ipynb", PANEL + 'ChatPanel("some/model")')
    field, turns = panel.locator(".orchat-text-input"), panel.locator(".orchat-exchange")
    answers = panel.locator(".orchat-exchange .orchat-items")
    ask(panel, "Name a river.")
    expect(answers).to_have_text(["The Humber."])
    ask(panel, "And?")
    expect(answers).to_have_text(["The Humber.", "It is wide."])
    # Any turn is asked again; what had followed comes back with its version.
    turns.nth(0).get_by_role("button", name="Ask again with another model").click()
    panel.locator(".orchat-search").fill("other/model")
    panel.locator(".orchat-use").click()
    expect(answers).to_have_text(["The Ouse."])
    assert endpoint.request.json["model"] == "other/model"
    first = turns.nth(0)
    expect(first.locator(".orchat-version-position")).to_have_text("2/2")
    earlier, later = (panel.get_by_role("button", name=f"{which} version") for which in ("Earlier", "Later"))
    earlier.press("Enter")
    expect(answers).to_have_text(["The Humber.", "It is wide."])
    expect(first.locator(".orchat-version-position")).to_have_text("1/2")
    expect(later).to_be_focused()  # it is the only way on
    # Side by side, each with its model, tokens, cost and seconds.
    panel.get_by_role("button", name="Side by side").click()
    expect(first.locator(".orchat-version-label")).to_have_text(["Version 1", "Version 2"])
    expect(first.locator(".orchat-items")).to_have_text(["The Humber.", "The Ouse."])
    for footer in first.locator(".orchat-footer > summary").all():
        expect(footer).to_have_text(re.compile(r"^vendor/some-model-20260301 · SomeProvider · .* out · \$.* s$"))
    is_whole = "(all) => all.every((each) => each.scrollWidth <= each.clientWidth)"
    assert first.locator(".orchat-footer > summary").evaluate_all(is_whole)
    panel.screenshot(path=str(front_end.work / "side-by-side.png"))
    violations(page)
    panel.get_by_role("button", name="Side by side").click()
    expect(first.locator(".orchat-items")).to_have_text(["The Humber."])
    # Esc ends an edit; the draft of before is there again.
    field.fill("half a sen")
    panel.locator(".orchat-edit").click()
    expect(field).to_have_value("And?")
    expect(panel.get_by_text("You edit an earlier question.")).to_be_visible()
    panel.screenshot(path=str(front_end.work / "editing.png"))
    violations(page)
    field.press("Escape")
    expect(field).to_have_value("half a sen")
    expect(panel.get_by_text("You edit an earlier question.")).to_be_hidden()
    panel.locator(".orchat-edit").click()
    ask(panel, "And how long?")
    expect(answers).to_have_text(["The Humber.", "It is long."])
    expect(field).to_have_value("half a sen")
    # Undo and redo.
    panel.locator(".orchat-undo").click()
    expect(answers).to_have_text(["The Humber."])
    panel.locator(".orchat-undo").click()
    expect(answers).to_have_count(0)
    for shown in (["The Humber."], ["The Humber.", "It is long."]):
        panel.get_by_role("button", name="Redo").click()
        expect(answers).to_have_text(shown)
    expect(panel.get_by_role("button", name="Redo")).to_be_hidden()


def test_retry_repeats_what_failed_and_a_restart_keeps_it_and_the_draft(
    page: Page, front_end: Lab, endpoint: ScriptedOpenRouter
) -> None:
    endpoint.answers(text("The *Humber*."), error(404, "No such model."), text("Brown."))
    notebook, panel = opened(page, front_end, "panel-retry.ipynb", PANEL + 'ChatPanel("some/model")')
    field = panel.locator(".orchat-text-input")
    ask(panel, "Name a river.")
    expect(panel.locator(".orchat-items")).to_have_text(["The Humber."])
    # What is wrong with a setting stands beside its field, and costs nothing.
    asked = len(endpoint.requests)
    panel.locator(".orchat-settings-button").click()
    temperature = panel.get_by_role("spinbutton", name="Temperature")
    temperature.fill("7")
    panel.locator(".orchat-apply").click()
    expect(panel.locator(".orchat-field-error:visible")).to_have_text("A number from 0 to 2.")
    expect(temperature).to_be_focused()
    expect(temperature).to_have_attribute("aria-invalid", "true")
    expect(panel.get_by_role("button", name="Retry")).to_have_count(0)
    panel.screenshot(path=str(front_end.work / "setting.png"))
    violations(page)
    temperature.fill("0")
    panel.locator(".orchat-apply").click()
    expect(panel.locator(".orchat-settings")).to_be_hidden()
    assert len(endpoint.requests) == asked
    # A question that failed, and the draft, survive a restart of the kernel.
    ask(panel, "What colour?")
    expect(panel.get_by_role("alert").filter(has_text="404")).to_be_visible()
    field.fill("half a quest")
    panel.locator(".orchat-file-input").set_input_files(
        [{"name": "tides.csv", "mimeType": "text/csv", "buffer": b"port,high\nHull,4\n"}]
    )
    wait_until_kept(page, notebook, "half a quest")
    wait_until_kept(page, notebook, "tides.csv")
    restart(page)
    front_end.close_notebooks(page)
    notebook = front_end.show(page, notebook.path)
    notebook.run(0)
    notebook.wait(0)
    panel = page.locator(".orchat-panel")
    field, turns = panel.locator(".orchat-text-input"), panel.locator(".orchat-exchange")
    expect(field).to_have_value("half a quest")
    expect(panel.locator(".orchat-chip")).to_contain_text("tides.csv")
    expect(turns.locator(".orchat-question-text")).to_contain_text(["Name a river.", "What colour?"])
    expect(panel.get_by_role("alert").filter(has_text="404")).to_be_visible()
    expect(panel.get_by_role("button", name="Choose a model")).to_be_visible()
    panel.screenshot(path=str(front_end.work / "failed.png"))
    violations(page)
    asked = len(endpoint.requests)
    panel.get_by_role("button", name="Retry").click()
    expect(turns.locator(".orchat-items")).to_have_text(["The Humber.", "Brown."])
    assert (len(endpoint.requests), endpoint.request.json["messages"][-1]["content"]) == (asked + 1, "What colour?")
    expect(field).to_have_value("half a quest")


def test_files_by_button_paste_and_drop(page: Page, lab: Lab, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(text("I see."))
    _, panel = opened(page, lab, "panel-files.ipynb", PANEL + 'ChatPanel("some/model")')
    large = ("port,high\n" + "Hull,4\n" * 100_000).encode()[:390_000] + b"\n" * 10
    png = PNG.partition(",")[2]
    panel.locator(".orchat-file-input").set_input_files(
        [
            {"name": "tides.csv", "mimeType": "text/csv", "buffer": large},
            {"name": "a.bin", "mimeType": "application/octet-stream", "buffer": b"\0\1\2"},
        ]
    )
    for kind, target in (("drop", ".orchat-panel"), ("paste", ".orchat-text-input")):
        page.evaluate(
            """([kind, target, png]) => {
                const bytes = Uint8Array.from(atob(png), (c) => c.charCodeAt(0)), data = new DataTransfer();
                data.items.add(new File([bytes], kind + '.png', {type: 'image/png'}));
                const about = {bubbles: true, cancelable: true, dataTransfer: data, clipboardData: data};
                const event = kind === 'drop' ? new DragEvent(kind, about) : new ClipboardEvent(kind, about);
                document.querySelector(target).dispatchEvent(event);
            }""",
            [kind, target, png],
        )
    chips = panel.locator(".orchat-chip")
    expect(chips).to_have_count(4)
    for words in ("tides.csv (text, 391 kB)", "neither text, image, PDF", "drop.png (image, 1", "paste.png (image, 1"):
        expect(chips.filter(has_text=words)).to_have_count(1)
    chips.filter(has_text="neither text").get_by_role("button").click()
    expect(chips).to_have_count(3)
    ask(panel, "What is it?")
    expect(panel.locator(".orchat-items")).to_contain_text("I see.")
    expect(chips).to_have_count(0)
    sent = panel.locator(".orchat-question-pictures img")
    expect(sent).to_have_count(2)
    assert sorted(image.get_attribute("alt") or "" for image in sent.all()) == ["drop.png", "paste.png"]
    expect(sent.first).to_have_js_property("naturalWidth", 1)
    parts = endpoint.request.json["messages"][0]["content"]
    assert sorted(part["type"] for part in parts) == ["image_url", "image_url", "text", "text"]
    assert sum(part.get("text", "").count("Hull,4") for part in parts) > 50_000
    assert parts[-1] == {"type": "text", "text": "What is it?"}


def test_a_secret_is_named_below_the_draft_and_goes_out_as_it_is_by_a_button(
    page: Page, lab: Lab, endpoint: ScriptedOpenRouter
) -> None:
    token = "gh" + "p_" + "aB3dE5fG7hI9" * 3
    endpoint.answers(text("First."), text("Second."))
    notebook, panel = opened(page, lab, "panel-secrets.ipynb", PANEL + 'ChatPanel("some/model")')
    field, warning = panel.locator(".orchat-text-input"), panel.locator(".orchat-secret-warning")
    buttons = panel.get_by_role("button", name="Send", exact=False)
    expect(warning).to_be_hidden()
    expect(buttons).to_have_text(["Send"])
    asked = len(endpoint.requests)
    # What is pasted and sent at once waits until the secret has been named: a busy page would take its time between the
    # two, and name it before the key.
    field.focus()
    field.evaluate(
        """(field, words) => {
            field.value = words;
            field.dispatchEvent(new Event("input"));
            field.dispatchEvent(new KeyboardEvent("keydown", {key: "Enter", bubbles: true, cancelable: true}));
        }""",
        f"Is {token} valid?",
    )
    expect(warning).to_have_text(
        "Your message holds what looks like a GitHub token: it goes out as [redacted].Send as it is"
    )
    expect(panel.locator("[aria-live]").filter(has_text="GitHub token")).to_have_count(1)
    expect(buttons).to_have_text(["Send redacted", "Send as it is"])
    expect(field).to_be_focused()
    expect(field).to_have_value(f"Is {token} valid?")
    expect(field).to_have_attribute("aria-describedby", warning.locator("span").get_attribute("id") or "")
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        notebook.change_theme(theme)
        page.wait_for_timeout(300)
        violations(page)
    assert len(endpoint.requests) == asked
    field.press("Enter")
    expect(panel.locator(".orchat-items")).to_contain_text("First.")
    assert endpoint.request.json["messages"][-1]["content"] == "Is [redacted] valid?"
    expect(panel.locator(".orchat-note")).to_have_text("What looked like a secret went out as [redacted].")
    expect(warning).to_be_hidden()
    # While it is typed, the warning comes by itself; the button is two steps behind the text.
    field.fill(f"And {token}?")
    expect(warning).to_be_visible()
    field.fill("And this?")
    expect(warning).to_be_hidden()
    panel.locator(".orchat-file-input").set_input_files(
        [{"name": "prod.env", "mimeType": "text/plain", "buffer": b"DB_PASSWORD=hunter2xyz\n"}]
    )
    expect(warning).to_contain_text("prod.env holds what looks like the value of DB_PASSWORD")
    field.focus()
    for name in ("Attach files", "Send redacted", "Send as it is"):
        page.keyboard.press("Tab")
        expect(panel.get_by_role("button", name=name)).to_be_focused()
    page.keyboard.press("Enter")
    expect(panel.locator(".orchat-items").last).to_contain_text("Second.")
    file, words = endpoint.request.json["messages"][-1]["content"]
    assert "DB_PASSWORD=hunter2xyz" in file["text"]
    assert words["text"] == "And this?"
    expect(field).to_be_focused()
    expect(warning).to_be_hidden()
    notebook.save()
    saved = notebook.path.read_text()
    assert "prod.env" in saved
    assert token not in saved
    assert "hunter2xyz" not in saved


def test_of_a_thousand_messages_those_are_drawn_that_are_looked_at(
    page: Page, lab: Lab, endpoint: ScriptedOpenRouter
) -> None:
    endpoint.answers(text("The newest."))
    code = """
import orchat
from orchat.messages import ChatMessage
chat = orchat.Chat("some/model")
chat.messages = [m for n in range(500) for m in (ChatMessage.from_user(f"Question {n}?"),
    ChatMessage.from_assistant("The *Humber* has `tides`.\\n\\n```python\\nx = 1\\n```\\n\\n" + "word " * 60))]
"""
    notebook = lab.open(page, "panel-long.ipynb", code, PANEL + "ChatPanel(chat)")
    notebook.run(0)
    notebook.wait(0)
    notebook.run(1)
    panel = page.locator(".orchat-panel")
    expect(panel.locator(".orchat-exchange")).to_have_count(20)
    older = panel.locator(".orchat-older-turns")
    for count in (40, 60, 80):
        older.focus()
        page.keyboard.press("Enter")
        expect(panel.locator(".orchat-exchange")).to_have_count(count)
    assert panel.locator(".orchat-exchange .orchat-turn").count() < 60  # what is far away is not drawn
    ask(panel, "And now?")
    expect(panel.locator(".orchat-exchange").last).to_contain_text("The newest.")


TIDES = (
    PANEL
    + """import orchat
ran = []
@orchat.tool
def tide(port: str, note: str = "") -> str:
    "Tell the tide."
    ran.append(port)
    return f"high at {port}"
ChatPanel("some/model", tools=[tide])"""
)


def test_a_form_in_the_log_is_edited_approved_and_rejected(
    page: Page, front_end: Lab, endpoint: ScriptedOpenRouter
) -> None:
    wants = calls(call("tide", {"port": "Hull"}))
    endpoint.answers(wants, text("At noon."), wants, text("As you like."))
    notebook, panel = opened(page, front_end, "panel-forms.ipynb", TIDES, "print(ran)")
    ask(panel, "When?")
    form = panel.locator(".orchat-call-form")
    field = form.locator("input[type=text], input:not([type]), textarea").first
    expect(field).to_have_value("Hull")
    violations(page)
    field.fill("Goole")
    notebook.run(1)  # a form holds no cell up
    notebook.wait(1)
    assert notebook.text(1).strip() == "[]"
    expect(field).to_have_value("Goole")
    form.locator(".orchat-approve").click()
    expect(panel.locator(".orchat-items")).to_contain_text("At noon.")
    assert "high at Goole" in endpoint.request.json["messages"][-1]["content"]
    ask(panel, "And now?")
    second = panel.locator(".orchat-exchange").nth(1)
    second.locator(".orchat-reject").click()
    second.locator(".orchat-call-form textarea, .orchat-call-form input").last.fill("Not today.")
    second.locator(".orchat-call-form .orchat-send").click()
    expect(second.locator(".orchat-items")).to_contain_text("As you like.")
    assert "Not today." in endpoint.request.json["messages"][-1]["content"]
    notebook.run(1)
    notebook.wait(1)
    assert notebook.text(1).strip() == "['Goole']"


ATTACKS = [
    "<script>window.owned = 1</script>",
    "<img src=x onerror='window.owned = 1'>",
    "[x](javascript:window.owned=1)",
    "![x](https://evil.invalid/leak.png)",
    "<svg onload='window.owned = 1'></svg>",
    "<style>* { display: none }</style>",
]


def test_attacks_in_every_place_of_a_panel_do_nothing(
    page: Page, requested: list[str], lab: Lab, endpoint: ScriptedOpenRouter
) -> None:
    attack = "\n\n".join(ATTACKS)
    line = " ".join(ATTACKS)
    endpoint.answers(text(attack), error(402, line))
    state = {
        "format": "orchat",
        "version": 1,
        "panels": {
            "1": {
                "chats": {
                    ATTACKS[1][:40]: {
                        "model": line[:150],
                        "messages": [
                            {"role": "system", "content": [{"text": attack}]},
                            {
                                "role": "user",
                                "content": [{"text": attack}, {"text": f"The file {ATTACKS[1]}:\n\nx\n\n"}],
                            },
                            {"role": "assistant", "content": [{"text": attack}]},
                        ],
                    },
                    "other": {"messages": []},
                }
            }
        },
    }
    cell = nbformat.v4.new_code_cell(PANEL + 'ChatPanel("some/model")', metadata={"orchat": state})
    notebook = nbformat.v4.new_notebook(
        cells=[cell],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    path: Path = lab.work / "panel-attacks.ipynb"
    nbformat.write(notebook, path)
    shown = lab.show(page, path)
    shown.run(0)
    shown.wait(0)
    panel = page.locator(".orchat-panel")
    expect(panel.locator(".orchat-items")).to_contain_text("window.owned")
    ask(panel, attack)
    expect(panel.locator(".orchat-exchange").nth(1).locator(".orchat-items")).to_contain_text("window.owned")
    ask(panel, "Again")
    expect(panel.get_by_role("alert")).to_contain_text("402")
    panel.locator(".orchat-settings-button").click()
    page.wait_for_timeout(500)
    assert page.evaluate("() => window.owned") is None
    assert not [url for url in requested if "evil" in url]
    hostile = "script, style, svg:not(button > svg), [onerror], [onload], a[href^='javascript']"
    assert panel.locator(hostile).count() == 0
    expect(panel.locator(".orchat-exchange")).to_have_count(3)
