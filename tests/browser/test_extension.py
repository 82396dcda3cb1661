"""The front-end extension in a real JupyterLab and a real Notebook 7: state in cells, and answers without a kernel."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import nbformat
import pytest
from playwright.sync_api import Dialog, Page, expect

from orchat.jupyter.kernel.output.mime_types import read_extras
from tests.browser.accessibility import accessibility_violations
from tests.browser.conftest import KEY
from tests.browser.lab import POLLING, Lab, Notebook
from tests.browser.test_view import opened
from tests.jupyter.kernel import OTHERS
from tests.jupyter.test_tool_calls import DEFINED, HULL
from tests.openrouter_server import PNG, ScriptedOpenRouter, calls, event, finish, hold, stream, text, usage

pytestmark = pytest.mark.slow

MIME = "application/vnd.orchat.v1"
STATE = {"format": "orchat", "version": 1, "turns": {"notebook": {"messages": ["How high is the tide?"]}}}
BRIDGE = """\
import asyncio
from orchat.jupyter.kernel.cell_storage.metadata_bridge import MetadataBridge
from orchat.jupyter.kernel.cell_storage.executing_cell import current_cell
bridge = MetadataBridge(get_ipython())
STATE = {"format": "orchat", "version": 1, "turns": {"notebook": {"messages": ["How high is the tide?"]}}}
def here():
    return current_cell(get_ipython())
"""
SAVED = "print(await bridge.hello(60)); bridge.write(here().id, STATE)"


def metadata(notebook: Notebook, cell: int) -> Any:
    """What a cell's metadata holds of ours, in the page."""
    return notebook.page.evaluate(
        "(cell) => window.jupyterapp.shell.currentWidget.content.model.cells.get(cell).getMetadata('orchat') ?? null",
        cell,
    )


def wait_for_metadata(notebook: Notebook, cell: int) -> Any:
    """The same, as soon as there is something."""
    found = notebook.page.wait_for_function(
        "(cell) => window.jupyterapp.shell.currentWidget.content.model.cells.get(cell).getMetadata('orchat')",
        arg=cell,
        polling=POLLING,
    )
    return found.json_value()


def is_dirty(notebook: Notebook) -> bool:
    return bool(notebook.page.evaluate("() => window.jupyterapp.shell.currentWidget.content.model.dirty"))


def wait_until_idle(notebook: Notebook) -> None:
    notebook.page.wait_for_function(
        "() => window.jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status === 'idle'", polling=POLLING
    )


def restart(notebook: Notebook) -> None:
    notebook.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    wait_until_idle(notebook)


def rewrite(notebook: Notebook, cell: int, source: str) -> None:
    """Put other code into a cell."""
    notebook.page.evaluate(
        """([cell, source]) => window.jupyterapp.shell.currentWidget.content.model.cells.get(cell)
            .sharedModel.setSource(source)""",
        [cell, source],
    )


def printed(notebook: Notebook, cell: int) -> str:
    return "".join("".join(output["text"]) for output in notebook.outputs(cell) if output["output_type"] == "stream")


def test_what_is_written_is_in_the_saved_notebook_and_comes_back(page: Page, front_end: Lab) -> None:
    notebook = front_end.open(page, "written.ipynb", BRIDGE, SAVED)
    notebook.run(0, 1)
    notebook.wait(1)
    assert printed(notebook, 1) == "open\n"
    assert wait_for_metadata(notebook, 1) == STATE
    assert notebook.save().cells[1].metadata["orchat"] == STATE

    # A restarted kernel, and one of a notebook that is opened tomorrow, are told of it with the next run of the cell.
    rewrite(notebook, 1, "print(here().metadata == STATE, await bridge.hello(60), bridge.path)")
    restart(notebook)
    notebook.run(0, 1)
    notebook.wait_for_text(1, "True open written.ipynb")
    notebook.save()
    front_end.end_sessions()
    page.goto("about:blank")
    notebook = front_end.show(page, notebook.path)
    assert metadata(notebook, 1) == STATE
    notebook.run(0, 1)
    notebook.wait_for_text(1, "True open written.ipynb")


def test_what_is_unchanged_does_not_make_a_notebook_changed(page: Page, front_end: Lab) -> None:
    go = front_end.work / "go"
    go.unlink(missing_ok=True)
    write = "bridge.write(here().id, STATE); bridge.flush(); print(await bridge.hello(60))"
    again = "bridge.write(WHERE, dict(reversed(STATE.items()))); bridge.flush()"
    later = (
        "import os\nasync def later():\n    while not os.path.exists('go'):\n        await asyncio.sleep(0.05)\n"
        f"    {again}\n"
        "WHERE = here().id\ntask = asyncio.create_task(later())"
    )
    notebook = front_end.open(page, "unchanged.ipynb", BRIDGE, write + "\n" + later)
    notebook.run(0, 1)
    notebook.wait_for_text(1, "open")
    assert wait_for_metadata(notebook, 1) == STATE
    notebook.save()
    assert not is_dirty(notebook)
    page.evaluate(
        """() => { window.changes = 0; const model = window.jupyterapp.shell.currentWidget.content.model;
            model.contentChanged.connect(() => { window.changes += 1; });
            window.heard = new Promise((resolve) => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel
                .iopubMessage.connect((_, message) => {
                    if (message.header.msg_type.startsWith('comm_')) resolve(message.content.data.op);
                })); }"""
    )
    go.touch()
    assert page.evaluate("() => window.heard") == "set"
    page.wait_for_timeout(200)
    assert page.evaluate("() => window.changes") == 0
    assert not is_dirty(notebook)
    assert metadata(notebook, 1) == STATE


def test_a_newer_state_and_another_protocol_are_left_untouched(page: Page, front_end: Lab) -> None:
    newer = {"format": "orchat", "version": 2, "future": True}
    refused = "while bridge.reason(here().id) is None:\n    await asyncio.sleep(0.01)"
    tell = f"bridge.flush()\n{refused}\nprint(bridge.reason(here().id), bridge.status)"
    other = "from orchat.jupyter.kernel.cell_storage import frontend_comm as messages; messages.PROTOCOL = 2; "
    other += "bridge.write(here().id, STATE); "
    notebook = front_end.open(
        page,
        "newer.ipynb",
        BRIDGE,
        f"await bridge.hello(60); bridge.write(here().id, STATE); {tell}",
        f"await bridge.hello(60); bridge.write(here().id, None); {tell}",
        other + tell,
    )
    for cell in (1, 2):
        page.evaluate(
            """([cell, value]) => window.jupyterapp.shell.currentWidget.content.model.cells.get(cell)
                .setMetadata('orchat', value)""",
            [cell, newer],
        )
    notebook.run(0, 1, 2, 3)
    notebook.wait(3)
    assert [printed(notebook, cell) for cell in (1, 2, 3)] == ["newer open\n", "newer open\n", "protocol open\n"]
    assert [metadata(notebook, cell) for cell in (1, 2, 3)] == [newer, newer, None]


def test_a_copied_cell_is_a_fork_and_a_moved_one_stays_itself(page: Page, front_end: Lab) -> None:
    notebook = front_end.open(page, "copied.ipynb", BRIDGE, SAVED)
    notebook.run(0, 1)
    assert wait_for_metadata(notebook, 1) == STATE
    page.evaluate(
        """async () => {
            const {commands} = window.jupyterapp;
            window.jupyterapp.shell.currentWidget.content.activeCellIndex = 1;
            await commands.execute('notebook:copy-cell');
            await commands.execute('notebook:paste-cell-below');
            window.jupyterapp.shell.currentWidget.content.activeCellIndex = 1;
            await commands.execute('notebook:move-cell-up');
        }"""
    )
    saved = notebook.save()
    moved, copied = saved.cells[0], saved.cells[2]
    assert moved.metadata["orchat"] == copied.metadata["orchat"] == STATE
    assert moved.id != copied.id
    # What is written into one of them does not reach the other.
    rewrite(notebook, 2, "bridge.write(here().id, {'version': 1, 'fork': True}); bridge.flush(); print('forked')")
    notebook.run(2)
    notebook.wait_for_text(2, "forked")
    page.wait_for_function(
        "() => window.jupyterapp.shell.currentWidget.content.model.cells.get(2).getMetadata('orchat').fork",
        polling=POLLING,
    )
    assert metadata(notebook, 0) == STATE


def test_two_pages_of_one_notebook_hold_the_same(page: Page, front_end: Lab) -> None:
    notebook = front_end.open(page, "two.ipynb", BRIDGE, SAVED)
    other_page = page.context.new_page()
    try:
        other = front_end.show(other_page, notebook.path)
        notebook.run(0, 1)
        for each in (notebook, other):
            assert wait_for_metadata(each, 1) == STATE
        other_page.evaluate(
            """() => { window.ops = [];
                window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.iopubMessage
                    .connect((_, {content}) => { if (content.data?.op) window.ops.push(content.data.op); }); }"""
        )
        # A long value, and only what is new of the next one.
        write = "bridge.write(here().id, value); bridge.flush()\n"
        grown = f"value = {{**STATE, 'second': {{'days': list(range(2_000))}}}}\n{write}"
        grown += f"value['second']['days'].append('last')\n{write}"
        rewrite(other, 1, grown)
        other.run(1)
        for each in (notebook, other):
            each.page.wait_for_function(
                "() => window.jupyterapp.shell.currentWidget.content.model.cells.get(1).getMetadata('orchat').second"
                "?.days[2000] === 'last'",
                polling=POLLING,
            )
        assert other_page.evaluate("() => window.ops")[-1] == "patch"
    finally:
        other_page.close()


def test_restoring_reads_the_cells_of_the_page_saved_or_not(page: Page, front_end: Lab) -> None:
    shown = {
        "text/markdown": "It is *high*.",
        "text/plain": "It is high.",
        MIME: json.dumps({"turn": {"thread": "notebook"}}),
    }
    read = (
        "cells = await bridge.cells(60)\nprint([c['type'] for c in cells], cells[2]['metadata'] == STATE)\n"
        "print([o['data'] for c in cells for o in c['outputs']] == [SHOWN], cells[1]['source'] == '# unsaved')\n"
        "print(await bridge.get(cells[2]['id'], 60) == STATE, await bridge.get('gone', 1))"
    )
    display = f"SHOWN = {shown!r}\nget_ipython().display_pub.publish(SHOWN); print('x'); {SAVED}"
    notebook = front_end.open(page, "cells.ipynb", BRIDGE, "", display, read)
    notebook.run(0, 2)
    wait_for_metadata(notebook, 2)
    rewrite(notebook, 1, "# unsaved")
    notebook.run(3)
    notebook.wait(3)
    assert printed(notebook, 3) == "['code', 'code', 'code', 'code'] True\nTrue True\nTrue None\n"


def test_what_had_arrived_when_the_kernel_was_restarted_comes_back(
    page: Page, front_end: Lab, endpoint: ScriptedOpenRouter
) -> None:
    endpoint.answers(text("The river runs down to the sea. " * 40).paced(0.1), text("And on."))
    cells = ("%load_ext orchat", "%%openrouter\nTell me of the river.", "%openrouter restore", "%%openrouter\nGo on.")
    notebook = front_end.open(page, "died.ipynb", *cells)
    notebook.run(0, 1)
    wait_for_metadata(notebook, 1)
    while "sea" not in json.dumps(metadata(notebook, 1)):  # not each word is kept at once
        page.wait_for_timeout(100)
    assert [turn["live"] for turn in metadata(notebook, 1)["turns"]["notebook"]] == [True]
    notebook.save()
    restart(notebook)
    wait_until_idle(notebook)
    notebook.run(0, 2, 3)
    notebook.wait(3)
    notebook.wait_for_text(2, "from the page")
    assert notebook.text(2).startswith("notebook: 1 turn restored\nfrom the page")
    asked, partial, then = [each["content"] for each in endpoint.request.json["messages"]]
    assert (asked, then) == ("Tell me of the river.", "Go on.")
    assert partial.startswith("The river runs down to the sea.")


def test_conversations_are_in_the_cells_and_come_back_with_unsaved_changes(
    page: Page, front_end: Lab, endpoint: ScriptedOpenRouter
) -> None:
    drawn = PNG.partition(",")[2]
    answers = (text("At *14:10*."), text("So it is.", images=[PNG]), text("Thanks."))
    endpoint.answers(calls(HULL, content="I look it up."), *answers)
    notebook = front_end.open(
        page,
        "turns.ipynb",
        "%load_ext orchat" + DEFINED,
        '%%openrouter -s "Be brief." -T tide --approve always\nWhen is the tide high in Hull?',
        "%%openrouter\nReally?",
        "%%openrouter\nThank you.",
        "%openrouter restore",
    )
    notebook.run(0, 1, 2)
    notebook.wait_for_text(2, "So it is.")
    notebook.wait(2)
    saved = notebook.save()
    for cell, count in ((1, 4), (2, 2)):
        kept = saved.cells[cell].metadata["orchat"]
        assert (kept["format"], kept["version"], list(kept["turns"])) == ("orchat", 1, ["notebook"])
        ((turn,),) = kept["turns"].values()
        assert len(turn["messages"]) == count
        assert turn["messages"][0] == {"role": "user", "content": None}
        output = saved.cells[cell].outputs[0]
        assert "messages" not in read_extras(output.data)["turn"]
        assert "text/markdown" in output.data
        assert all(word not in json.dumps(kept) for word in (KEY, "call_1", "gen-", "cost", "14:10*", "So it is"))
    assert [len(cell.outputs) for cell in saved.cells[1:3]] == [1, 3]
    assert json.dumps(saved).count(drawn) == 1  # a picture is kept once, as an output
    assert json.dumps(saved.cells[1].metadata["orchat"]).count("Hull: 14:10") == 1
    # What is asked next is not saved, and the kernel starts anew.
    notebook.run(3)
    notebook.wait_for_text(3, "Thanks.")
    notebook.wait(3)
    before = endpoint.request.json["messages"]
    assert [each["role"] for each in before] == [
        "system",
        "user",
        "assistant",
        "tool",
        "assistant",
        "user",
        "assistant",
        "user",
    ]
    assert json.dumps(before).count(drawn) == 1
    assert is_dirty(notebook)
    assert "orchat" not in nbformat.read(notebook.path, 4).cells[3].metadata
    restart(notebook)
    endpoint.answers(text("Thanks for what?"))
    notebook.run(0, 3)
    notebook.wait_for_text(3, "2 earlier turns of this notebook were not sent: %openrouter restore brings them back.")
    notebook.run(4)
    notebook.wait_for_text(4, "notebook: 3 turns restored")
    notebook.wait_for_text(4, "from the page, unsaved changes included")
    endpoint.answers(text("Thanks again."))
    notebook.run(3)
    notebook.wait_for_text(3, "Thanks again.")
    assert endpoint.request.json["messages"] == before
    # A picture that somebody took out of the outputs is not sent any more, and the model reads that it is missing.
    page.evaluate(
        """() => {
            const cell = window.jupyterapp.shell.currentWidget.content.model.cells.get(2);
            cell.sharedModel.updateOutputs(1, 2);
        }"""
    )
    assert len(notebook.outputs(2)) == 2
    notebook.run(4)
    notebook.wait_for_text(4, "1 restored without a picture: A picture of an answer is not in its output any more.")
    endpoint.answers(text("Without it."))
    notebook.run(3)
    notebook.wait_for_text(3, "Without it.")
    assert drawn not in json.dumps(endpoint.request.json)
    (answer,) = [each for each in endpoint.request.json["messages"] if each not in before]
    texts = [part["text"] for part in answer["content"]]
    assert texts == ["So it is.", "[a picture of this answer is not in the notebook any more]"]


def test_another_kernel_is_heard_too(page: Page, front_end: Lab) -> None:
    notebook = front_end.open(page, "changed.ipynb", BRIDGE, SAVED)
    notebook.run(0, 1)
    assert wait_for_metadata(notebook, 1) == STATE
    page.evaluate(
        """async () => {
            const panel = window.jupyterapp.shell.currentWidget;
            panel.content.model.cells.get(1).deleteMetadata('orchat');
            await panel.sessionContext.changeKernel({name: 'python3'});
        }"""
    )
    wait_until_idle(notebook)
    notebook.run(0, 1)
    assert wait_for_metadata(notebook, 1) == STATE


def test_two_notebooks_on_one_kernel_are_told_apart(page: Page, lab: Lab) -> None:
    first = lab.open(page, "first.ipynb", BRIDGE, SAVED)
    first.run(0, 1)
    assert wait_for_metadata(first, 1) == STATE
    second = lab.open_beside(
        page,
        "second.ipynb",
        "print(len(await bridge.cells(60)), await bridge.hello(60))",
        "bridge.write(here().id, {'version': 1, 'second': True}); bridge.flush()",
        "",
    )
    second.run(0, 1)
    assert wait_for_metadata(second, 1) == {"version": 1, "second": True}
    assert printed(second, 0) == "3 open\n"


def test_code_goes_to_a_new_cell_that_is_not_run(page: Page, front_end: Lab) -> None:
    insert = "await bridge.hello(60); bridge.insert_cell(here().id, 'print(6 * 7)  # <b>')"
    notebook = front_end.open(page, "insert.ipynb", BRIDGE, insert, "last = True")
    notebook.run(0, 1)
    notebook.wait(1)
    page.wait_for_function(
        "() => window.jupyterapp.shell.currentWidget.content.model.cells.length === 4", polling=POLLING
    )
    cells = notebook.save().cells
    assert [cell.source for cell in cells[2:]] == ["print(6 * 7)  # <b>", "last = True"]
    assert cells[2].outputs == []
    assert cells[2].execution_count is None


BUNDLE = {
    "text/markdown": "The *whole* answer.",
    "text/plain": "The whole answer.",
    MIME: json.dumps({"model": "some/model"}),
}
STREAMED = f"""\
import os
async def answer():
    publish = get_ipython().display_pub.publish
    live = {{"transient": {{"display_id": "d-1"}}, "metadata": {{"orchat": {{"live": "d-1"}}}}}}
    publish({{"text/markdown": "The *first half*"}}, **live)
    while not os.path.exists("go"):
        await asyncio.sleep(0.05)
    publish({BUNDLE!r}, update=True, transient={{"display_id": "d-1"}})
    bridge.set_output(here(), {BUNDLE!r}, display_id="d-1")
    bridge.write(here().id, STATE)
    bridge.flush()
async with wake_loop_on_interrupt():
    await answer()
"""


@pytest.mark.parametrize("saved", ["saved while it streamed", "never saved", "saved with an older answer"])
def test_a_page_reloaded_while_a_cell_runs_ends_with_the_right_output(page: Page, front_end: Lab, saved: str) -> None:
    setup = BRIDGE + "from orchat.jupyter.kernel.coroutine_runner import wake_loop_on_interrupt"
    go = front_end.work / "go"
    go.unlink(missing_ok=True)
    notebook = front_end.open(page, f"reloaded-{saved.replace(' ', '-')}.ipynb", setup, STREAMED, "print('after')")
    if saved == "saved with an older answer":
        content = nbformat.read(notebook.path, 4)
        old = {**BUNDLE, "text/markdown": "An older answer."}
        content.cells[1].outputs = [nbformat.v4.new_output("display_data", old)]
        content.cells[1].execution_count = 2
        front_end.close_notebooks(page)
        nbformat.write(content, notebook.path)
        notebook = front_end.show(page, notebook.path)
    notebook.run(0, 1)
    notebook.wait_for_text(1, "first half")
    if saved == "saved while it streamed":
        notebook.save()

    def leave(dialog: Dialog) -> None:
        dialog.accept()

    page.on("dialog", leave)
    page.goto("about:blank")
    page.goto(front_end.address(notebook.path))
    page.remove_listener("dialog", leave)
    page.wait_for_function(
        """() => {
            const panel = window.jupyterapp?.shell?.currentWidget;
            return panel?.content?.model?.cells?.length === 3
                && panel.sessionContext?.session?.kernel?.connectionStatus === 'connected';
        }""",
        timeout=60_000,
        polling=POLLING,
    )
    if saved == "saved while it streamed":
        notebook.wait_for_text(1, "first half")
    else:
        assert "first half" not in notebook.text(1)
    go.touch()
    notebook.wait_for_text(1, "whole")
    assert wait_for_metadata(notebook, 1) == STATE
    wait_until_idle(notebook)
    page.wait_for_timeout(300)
    (output,) = notebook.save().cells[1].outputs
    assert output.data == BUNDLE
    assert output.metadata == {}
    assert nbformat.read(notebook.path, 4).cells[1].execution_count == 2


def test_an_output_that_was_seen_or_taken_away_is_not_set_again(page: Page, front_end: Lab) -> None:
    setup = BRIDGE + "from orchat.jupyter.kernel.coroutine_runner import wake_loop_on_interrupt"
    go = front_end.work / "go"
    go.touch()
    notebook = front_end.open(page, "seen.ipynb", setup, STREAMED, STREAMED)
    notebook.run(0, 1)
    wait_for_metadata(notebook, 1)
    assert [output["data"] for output in notebook.outputs(1)] == [BUNDLE]
    go.unlink()
    notebook.run(2)
    notebook.wait_for_text(2, "first half")
    page.evaluate("() => window.jupyterapp.shell.currentWidget.content.model.cells.get(2).outputs.clear()")
    go.touch()
    wait_for_metadata(notebook, 2)
    page.wait_for_timeout(500)
    assert notebook.outputs(2) == []


def test_a_notebook_without_the_extension_works_and_is_told(
    page: Page, tmp_path_factory: pytest.TempPathFactory, endpoint: ScriptedOpenRouter
) -> None:
    environment = {"OPENROUTER_BASE_URL": endpoint.base_url, "OPENROUTER_API_KEY": KEY}
    with Lab(tmp_path_factory.mktemp("without"), environment, extension=False) as server:
        code = f"{SAVED}; bridge.flush(); print(bridge.hint()); display({BUNDLE!r}, raw=True)"
        notebook = server.open(page, "without.ipynb", BRIDGE, code)
        notebook.run(0, 1)
        notebook.wait(1)
        assert printed(notebook, 1).startswith("absent\nThis page has no orchat extension")
        expect(notebook.page.locator(".jp-RenderedMarkdown em", has_text="whole")).to_have_count(1)
        assert notebook.save().cells[1].outputs[-1].data == BUNDLE
        # A copy of a live view says at the end where the answer is.
        gate = threading.Event()
        endpoint.answers(stream(event("High at nine."), hold(gate), finish("stop"), usage()))
        notebook = opened(page, server, "copied-live.ipynb", "reply = await show()")
        notebook.run(1)
        expect(page.locator(".orchat-turn")).to_contain_text("High at nine.")
        page.evaluate(
            """async () => {
                const {commands} = window.jupyterapp;
                window.jupyterapp.shell.currentWidget.content.activeCellIndex = 1;
                await commands.execute('notebook:copy-cell');
                await commands.execute('notebook:paste-cell-below');
            }"""
        )
        expect(page.locator(".orchat-turn")).to_have_count(2)
        gate.set()
        notebook.wait(1)
        note = page.locator(".jp-Cell .jp-OutputArea-output").filter(has_text="of which this is a copy")
        expect(note).to_have_count(1)
        expect(page.locator(".jp-RenderedMarkdown", has_text="High at nine.")).to_have_count(1)
        server.end_sessions()


KERNELS = [version for version in OTHERS if version in ("7.3.0", "7.1.0", "6.31.0")]


@pytest.mark.parametrize("ipykernel", KERNELS)
def test_other_kernels_write_while_a_cell_runs(page: Page, front_end: Lab, ipykernel: str) -> None:
    code = (
        "import os\nfrom orchat.jupyter.kernel import coroutine_runner as runner\n"
        "async with runner.wake_loop_on_interrupt(), runner.deliver_comms_while_awaiting():\n"
        "    bridge.write(here().id, STATE)\n    while not os.path.exists('go'):\n        await asyncio.sleep(0.05)\n"
        "    print(bridge.status)"
    )
    go = front_end.work / "go"
    go.unlink(missing_ok=True)
    notebook = front_end.open(page, f"kernel-{ipykernel}.ipynb", BRIDGE, code, ipykernel=ipykernel)
    notebook.run(0, 1)
    wait_for_metadata(notebook, 1)
    assert notebook.running(1)
    go.touch()
    notebook.wait(1)
    assert printed(notebook, 1) == "open\n"


KEPT = {
    "format": "orchat",
    "version": 1,
    "requested": "some/model",
    "model": "some/model-2",
    "provider": "<img src=x onerror=fetch('/evil')>",
    "usage": {"prompt_tokens": 12, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 0}},
    "cost": 0.00123,
    "seconds": 2.1,
    "parameters": {"temperature": 0, "max_tokens": 50},
}
RICH = (
    "# Tides\n\nThe *Humber* has `tides`, see [here](https://example.org/a) and $x^2$.\n\n"
    "```python\ndef f(x):\n    return x  # one\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n*some/model-2 · $0.00123*"
)


def saved_notebook(lab: Lab, name: str, *bundles: dict[str, Any]) -> Path:
    """A notebook of outputs that were saved some time ago."""
    cells = [
        nbformat.v4.new_code_cell("%%openrouter\nHow high?", outputs=[nbformat.v4.new_output("display_data", bundle)])
        for bundle in bundles
    ]
    path = lab.work / name
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def reopen(page: Page, lab: Lab, path: Path) -> Notebook:
    """Open it without a kernel."""
    lab.load(page, path)
    page.wait_for_function("() => window.jupyterapp?.shell?.currentWidget?.content?.widgets?.length", polling=POLLING)
    page.locator(".jp-Dialog button", has_text="No Kernel").click()
    return Notebook(page, path)


def test_a_reopened_notebook_is_readable_without_a_kernel(page: Page, front_end: Lab) -> None:
    bundle = {"text/markdown": RICH, "text/plain": "plain", MIME: json.dumps(KEPT)}
    page.goto("about:blank")  # a page that is loaded with the notebook
    notebook = reopen(page, front_end, saved_notebook(front_end, "reopened.ipynb", bundle))
    notebook.wait_for_text(0, "Tides")
    answer = page.locator(".jp-OutputArea-output.orchat-saved, .jp-OutputArea-output .orchat-saved").first
    markdown = answer.locator(".jp-RenderedMarkdown")
    for element in ("h1", "em", "table", "a[href='https://example.org/a']", "pre code"):
        markdown.locator(element).first.wait_for()
    markdown.locator("pre .cm-keyword, pre [class*='ͼ'], pre span").first.wait_for()
    markdown.locator("mjx-container, .MathJax").first.wait_for()
    details = answer.locator("details")
    assert details.get_attribute("open") is None
    details.locator("summary").click()
    figures = details.inner_text()
    for words in (
        "some/model-2",
        "prompt tokens 12 · completion tokens 3",
        "0.00123",
        "<img src=x onerror",
        "temperature 0 · max tokens 50",
    ):
        assert words in figures
    assert details.locator("img").count() == 0
    assert "Error" not in notebook.text(0)
    assert not accessibility_violations(page, ".orchat-saved")
    page.screenshot(path=str(front_end.work.parent / "reopened.png"))


DRAWN = '<img src="data:image/png;base64,AA==" alt="Image">'
HOSTILE = [
    "![x](http://127.0.0.1:9/evil.png)",
    "<img src='http://127.0.0.1:9/evil.png'>",
    "<img src=x onerror='window.evil = 1'>",
    "<script>window.evil = 1</script>",
    "<picture><source srcset='http://127.0.0.1:9/evil.png'><img src='data:image/png;base64,AA=='></picture>",
    "<img src='data:image/png;base64,AA==' srcset='http://127.0.0.1:9/evil.png 2x'>",
    "<video poster='http://127.0.0.1:9/evil.png'></video><audio src='http://127.0.0.1:9/evil.mp3'></audio>",
    "<svg onload='window.evil = 1'><image href='http://127.0.0.1:9/evil.png'/></svg>",
    "<div style='background: url(http://127.0.0.1:9/evil.png)'>x</div>",
    "<div style='background: \\75rl(http://127.0.0.1:9/evil.png)'>x</div>",
    "<style>body { background: url(http://127.0.0.1:9/evil.png) }</style>",
    "<link rel=stylesheet href='http://127.0.0.1:9/evil.css'><iframe src='http://127.0.0.1:9/evil'></iframe>",
    "<table background='http://127.0.0.1:9/evil.png'><tr><td>x</td></tr></table>",
    "<input type=image src='http://127.0.0.1:9/evil.png'><object data='http://127.0.0.1:9/evil'></object>",
    "[x](javascript:window.evil=1) <a href='javascript:window.evil=1'>y</a>",
    "<form action='http://127.0.0.1:9/evil'><button autofocus onfocus='window.evil = 1'>x</button></form>",
    "<template><img src='http://127.0.0.1:9/evil.png'></template><noscript><img src='http://127.0.0.1:9/evil'></noscript>",
    "<math><mtext><table><mglyph><style><img src='http://127.0.0.1:9/evil.png' onerror='window.evil = 1'>",
    "```mermaid\nflowchart LR\n a[<img src='http://127.0.0.1:9/evil.png'>]\n```",
]


@pytest.mark.parametrize("trusted", [False, True])
def test_a_hostile_saved_answer_runs_and_fetches_nothing(
    page: Page, requested: list[str], front_end: Lab, trusted: bool
) -> None:
    bundles = [
        {
            "text/markdown": text,
            "text/plain": text,
            MIME: json.dumps({"model": text, "provider": text, "usage": {text: text}}),
        }
        for text in HOSTILE
    ]
    broken = [
        {"text/plain": "plain only", MIME: json.dumps({"model": "m"})},
        {"text/markdown": "*with* odd extras", MIME: ["<img src=x onerror='window.evil = 1'>"]},
        {"text/markdown": "*with* no extras", MIME: "{}"},
        {MIME: json.dumps({"__proto__": {"model": "x"}, "model": {"toString": "x"}})},
    ]
    path = saved_notebook(front_end, f"hostile-{trusted}.ipynb", *bundles, *broken)
    notebook = reopen(page, front_end, path)
    if trusted:
        page.evaluate(
            """() => { const panel = window.jupyterapp.shell.currentWidget;
                for (const cell of panel.content.model.cells) cell.trusted = true; }"""
        )
    page.wait_for_timeout(500)
    for cell in range(len(bundles) + len(broken)):
        page.evaluate("(cell) => window.jupyterapp.shell.currentWidget.content.scrollToItem(cell)", cell)
    last = len(bundles)
    notebook.wait_for_text(last + 3, "holds no text")
    page.wait_for_timeout(1500)
    assert [notebook.text(last + at).split("\n")[0].strip() for at in range(3)] == [
        "plain only",
        "with odd extras",
        "with no extras",
    ]
    assert page.locator(".orchat-saved").count() >= len(HOSTILE)
    loads = "img, script, svg:not(.orchat-icon), iframe, object, video, audio, style, link"
    assert page.locator(".orchat-saved svg:not(.orchat-code-bar > button > svg)").count() == 0
    loading = page.locator(".orchat-saved").locator(loads).all()
    assert {each.evaluate("(node) => node.outerHTML") for each in loading} <= {DRAWN}
    for link in page.locator(".orchat-saved a").all():
        assert not (link.get_attribute("href") or "").lower().startswith("javascript")
    assert page.evaluate("() => window.evil") is None
    assert not [url for url in requested if "evil" in url]
