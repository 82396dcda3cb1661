"""What a tool of a panel prints, logs and draws is in its call's box, and in no cell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.jupyter.kernel import INSTALLED, Kernel
from tests.jupyter.panel_page import PANEL, Page
from tests.openrouter_server import ScriptedOpenRouter, call, calls, text

pytestmark = pytest.mark.slow

LOUD = """
import asyncio, logging, pathlib, sys, time, warnings, orchat
from IPython.display import Markdown, clear_output, display
logging.basicConfig()
def talk(port):
    print(f"asking {port}")
    print("10 %", end="\\r"); print("90 %")
    print("to stderr", file=sys.stderr)
    logging.getLogger("tides").warning("logged")
    warnings.warn("warned")
    display(Markdown("*shown*"), {"a": 1})
@orchat.tool
def loud(port: str) -> str:
    "Tell the tide."
    import matplotlib.pyplot as pyplot
    pyplot.close("all")  # what other tests of this kernel have left open
    pyplot.plot([1, 2, 3])
    talk(port)
    while not pathlib.Path(gate).exists(): time.sleep(0.01)
    pyplot.title("of the same figure")
    print("the end")
    return "high"
@orchat.tool
async def loud_async(port: str) -> str:
    "Tell the tide."
    talk(port)
    while not pathlib.Path(gate).exists(): await asyncio.sleep(0.01)
    print("the end")
    return "high"
@orchat.tool
def endless_print(port: str) -> str:
    "Print."
    print("first line")
    for n in range(20_000): print("word", n)
    raise ValueError("broken")
"""


def box(page: Page, number: int = 0) -> dict[str, Any]:
    items = [item for turn in page.turns for item in turn["s"]["items"] if item["kind"] == "call"]
    return dict(items[number]) if len(items) > number else {}


@pytest.mark.parametrize("_any_kernel", [INSTALLED, "7.1.0", "6.31.0"], indirect=True)
@pytest.mark.parametrize("tool", ["loud", "loud_async"])
def test_output_of_a_tool_is_in_its_box_while_it_runs_and_after(
    any_kernel: Kernel, endpoint: ScriptedOpenRouter, tmp_path: Path, tool: str
) -> None:
    gate = tmp_path / "gate"
    endpoint.answers(calls(call(tool, {"port": "Hull"})), text("At noon."))
    page = Page(any_kernel, f"output-{tool}")
    page.run(PANEL + f"gate = {str(gate)!r}" + LOUD + f"ChatPanel('some/model', tools=[{tool}], approve='always')")
    page.printed = ""
    page.send({"t": "send", "text": "When?"})
    page.until(lambda: "shown" in str(box(page).get("result")) or "Markdown" in str(box(page).get("result")))
    words = ["asking Hull", "90 %", "to stderr", "WARNING:tides:logged", "UserWarning: warned", "{'a': 1}"]
    assert [word for word in words if word not in box(page)["result"]] == []
    assert "10 %" not in box(page)["result"]
    assert box(page)["status"] == "running"
    (cell,) = any_kernel.run("print('of the cell'); display('as well')")  # meanwhile
    assert cell.printed == "of the cell\n"
    assert [bundle["text/plain"] for bundle in cell.bundles] == ["'as well'"]
    page.state = {}
    page.send({"t": "ready", "render": "markdown"})  # as after a reload
    page.until(lambda: bool(page.state))
    gate.touch()
    page.until(lambda: "At noon." in "".join(page.answers()))
    page.idle()
    shown = box(page)
    assert shown["status"] == "done"
    assert shown["result"].startswith("high\n\nThe tool wrote")
    assert "asking Hull" in shown["result"]
    assert "the end" in shown["result"]
    if tool == "loud":
        page.until(lambda: box(page).get("pictures"))
        (picture,) = box(page)["pictures"]
        assert picture["type"] == "image/png"
        assert any_kernel.value("__import__('matplotlib.pyplot').pyplot.get_fignums()") == "[]"
    assert "asking Hull" not in page.printed
    assert "asking" not in endpoint.request.json["messages"][-1]["content"]


def test_long_output_is_bounded_and_that_of_a_failed_tool_stays(kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(calls(call("endless_print", {"port": "Hull"})), text("At noon."))
    page = Page(kernel, "bounded")
    page.run(PANEL + LOUD + "panel = ChatPanel('some/model', tools=[endless_print], approve='always'); panel")
    page.ask("When?")
    assert box(page)["status"] == "failed"
    assert "broken" in box(page)["result"]
    assert "word 19999" in box(page)["result"]
    assert len(box(page)["result"]) < 5_000
    assert kernel.value("len([m for m in panel.messages if m.tool_call_result][0].meta['details']) < 21_000") == "True"
    (cell,) = kernel.run("import logging; print('later'); logging.warning('logged later')")
    assert "later\n" in cell.printed
    assert "logged later" in cell.printed
