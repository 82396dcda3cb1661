"""The notebook tools in a real kernel, before a page that is played by hand: what is read, shown and changed."""

from __future__ import annotations

import asyncio
import base64
import json
from io import BytesIO
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from PIL import Image

from orchat.errors import ConfigurationError, SerializationError, ToolInvocationError
from orchat.jupyter.kernel.notebook_tools import tool_set, tool_sets
from tests.jupyter.kernel import Kernel
from tests.jupyter.notebook_page import NotebookPage


def png() -> str:
    buffer = BytesIO()
    Image.new("RGB", (40, 30), "red").save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


class ToolPage(NotebookPage):
    """A page whose cells the notebook tools read and change, and the test behind their back."""

    def __init__(self, kernel: Kernel, *cells: dict[str, Any]) -> None:
        super().__init__(kernel)
        self.shown = [{"type": "code", "count": None, "kinds": [], "outputs": [], **cell} for cell in cells]

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        op = request["op"]
        if op == "read_notebook":
            wanted = request["wanted"]
            return {
                "ok": True,
                "cells": [{**c, "outputs": c["outputs"] if c["id"] in wanted else None} for c in self.shown],
            }
        if op == "insert_cell":
            at = [cell["id"] for cell in self.shown].index(request.get("below") or request["above"])
            new = {"id": request["cell_id"], "type": request["cell_type"], "source": request["source"]}
            self.shown.insert(at + ("below" in request), {"count": None, "kinds": [], "outputs": [], **new})
            return {"ok": True}
        if op not in ("check_cell", "edit_cell", "delete_cell", "place_outputs"):
            return super()._answer(request)
        cell = next((cell for cell in self.shown if cell["id"] == request["cell_id"]), None)
        if cell is None:
            return {"ok": False, "reason": "no such cell"}
        if "expected" in request and cell["source"] != request["expected"]:
            return {"ok": False, "reason": "changed"}
        match op:
            case "edit_cell":
                cell["source"] = request["source"]
            case "delete_cell":
                self.shown.remove(cell)
            case "place_outputs":
                cell["outputs"] = request["outputs"]
        return {"ok": True}

    def call(self, tool: str, **arguments: Any) -> Any:
        """Call a tool in a cell of the kernel, and return its text, its parts as texts, or ``{"error": ...}``."""
        return json.loads(self.run(f"await call({tool!r}, {arguments!r})", "asking").splitlines()[-1])

    def preview(self, tool: str, **arguments: Any) -> str:
        """Return what a form would show."""
        return str(json.loads(self.run(f"preview({tool!r}, {arguments!r})", "asking")))


SETUP = """
import json
from orchat.jupyter import notebook_tools
from orchat.jupyter.kernel.coroutine_runner import deliver_comms_while_awaiting, wake_loop_on_interrupt
from orchat.tools.call_preview import preview_call
tools = {tool.name: tool for tool in notebook_tools("analyst")}
async def call(name, arguments):
    assert tools[name].validate_arguments(arguments) == []
    async with wake_loop_on_interrupt(), deliver_comms_while_awaiting():
        try:
            found = await tools[name].invoke_async(**arguments)
        except Exception as error:
            found = {"error": str(error)}
    print(json.dumps(found if isinstance(found, str | dict) else [getattr(p, "text", type(p).__name__) for p in found]))
def preview(name, arguments):
    print(json.dumps(preview_call(tools[name], arguments).text))
"""


@pytest.fixture
def page(kernel: Kernel) -> ToolPage:
    page = ToolPage(
        kernel,
        {"id": "aaaaaaaa-1", "source": "import math\n" * 9, "count": 1},
        {"id": "bbbbbbbb-1", "source": "# Tides", "type": "markdown"},
        {"id": "cccccccc-1", "source": "level = 7", "count": 3},
    )
    page.greet()
    assert page.run(SETUP, "asking") == ""
    return page


def test_cells_are_listed_by_short_names_and_first_lines(page: ToolPage) -> None:
    assert page.call("list_cells").splitlines() == [
        "3 cells.", "",
        "cell 1 (aaaaaaaa, code), In [1]", *["  import math"] * 3, "  … 6 more lines", "",
        "cell 2 (bbbbbbbb, markdown)", "  # Tides", "",
        "cell 3 (cccccccc, code), In [3]", "  level = 7",
    ]  # fmt: skip


def test_cells_are_read_with_their_outputs_pictures_too_and_no_secret(page: ToolPage) -> None:
    page.shown[2] |= {
        "source": "api_key = 'hunter2-tide'",
        "outputs": [
            {"output_type": "stream", "name": "stdout", "text": "high\n"},
            {"output_type": "display_data", "data": {"image/png": png(), "text/plain": "<Figure>"}},
            {"output_type": "error", "ename": "ValueError", "evalue": "no tide", "traceback": []},
        ],
    }
    text, picture = page.call("read_cells", cells=["cccccccc"])
    assert text.startswith("Cell 3 (cccccccc, code), In [3]:\napi_key = '[redacted]'\n\nPrinted:\nhigh\n\nOutput:")
    assert text.endswith("Failed:\nValueError: no tide")
    assert picture == "ImageContent"
    assert "no cell that was read is called so" in page.call("read_cells", cells=["zzz"])["error"]
    page.run("%config OpenRouterMagics.privacy = 'schema'", "asking")
    try:
        assert "high" not in page.call("read_cells", cells=["cccccccc"])
    finally:
        page.run("%config OpenRouterMagics.privacy = 'head'", "asking")


def test_forms_show_the_difference_and_the_place(page: ToolPage) -> None:
    shown = page.preview
    assert "no cell that was read" in shown("edit_cell", cell="cccccccc", source="x")
    assert "below the cell that asks" in shown("insert_cell", source="x")
    page.call("list_cells")
    assert shown("edit_cell", cell="cccccccc", source="level = 8") == (
        "Changes **cell 3** (`cccccccc`, code):\n\n```diff\n-level = 7\n+level = 8\n```"
    )
    assert shown("edit_cell", cell="cccccccc", source="level = 7").startswith("Changes nothing: ")
    assert shown("insert_cell", source="```", below="bbbbbbbb") == (
        "Inserts a code cell below **cell 2** (`bbbbbbbb`), which begins with `# Tides`:\n\n````diff\n+```\n````"
    )
    assert shown("delete_cell", cell="aaaa").count("-import math") == 9
    assert shown("run_cell", cell="cccccccc") == "Runs **cell 3** (`cccccccc`):\n\n```python\nlevel = 7\n```"
    assert shown("edit_cell", cell="cccccccc", source="x\n" * 9_000).endswith("more lines, see the cell.")


def test_changes_are_made_to_what_the_form_has_shown(page: ToolPage) -> None:
    page.call("list_cells")
    assert "was changed" in page.call("edit_cell", cell="cccccccc", source="level = 8")
    assert page.shown[2]["source"] == "level = 8"
    name = page.call("insert_cell", source="tide = 1", below="cccccccc").partition("called ")[2].partition(",")[0]
    assert page.shown[3]["id"].startswith(name)
    page.preview("delete_cell", cell=name)
    page.shown[3]["source"] = "mine = 1"
    page.call("list_cells")  # another call reads it meanwhile: the form has still shown the old text
    assert "changed since it was read" in page.call("delete_cell", cell=name)["error"]
    page.preview("delete_cell", cell=name)
    assert "was deleted" in page.call("delete_cell", cell=name)
    assert len(page.shown) == 3
    page.shown[2]["source"] = "mine = 1"
    changes: list[tuple[str, dict[str, str]]] = [("edit_cell", {"source": "x"}), ("run_cell", {}), ("delete_cell", {})]
    for tool, arguments in changes:
        assert "changed since it was read" in page.call(tool, cell="cccccccc", **arguments)["error"]


def test_a_run_places_its_outputs_below_the_cell(page: ToolPage) -> None:
    page.shown[2]["source"] = (
        "from IPython.display import Markdown, display\nprint('high')\ndisplay(Markdown('**7**'))\n7"
    )
    page.call("list_cells")
    assert page.call("run_cell", cell="cccccccc") == "Printed:\nhigh\n\nDisplayed:\n**7**\n\nValue:\n7"
    stream, shown, value = page.shown[2]["outputs"]
    assert (stream["output_type"], stream["text"]) == ("stream", "high\n")
    assert shown["data"]["text/markdown"] == "**7**"
    assert value["data"] == {"text/plain": "7"}
    page.shown[0]["source"] = "1 / 0"
    page.call("list_cells")
    assert "ZeroDivisionError" in page.call("run_cell", cell="aaaaaaaa")["error"]
    (error,) = page.shown[0]["outputs"]
    assert (error["output_type"], error["ename"]) == ("error", "ZeroDivisionError")
    assert error["traceback"]
    assert "is no code" in page.call("run_cell", cell="bbbbbbbb")["error"]


def test_a_panel_takes_a_set_by_its_name(page: ToolPage) -> None:
    said = page.run(
        "from orchat import ChatPanel\nprint(len(ChatPanel('some/model', tools='analyst').chat.tools))", "asking"
    )
    assert said == "8\n"


def test_tools_fail_closed_where_no_page_is() -> None:
    tools = tool_sets(InteractiveShell())["analyst"]
    assert [tool.name for tool in tools if not tool.asks_always] == ["list_cells", "read_cells"]
    for tool in tools:
        with pytest.raises(SerializationError):
            tool.to_dict()
    with pytest.raises(ConfigurationError, match="no set of tools"):
        tool_set("all")
    with pytest.raises(ToolInvocationError, match="no page with the orchat extension"):
        asyncio.run(tools[0].invoke_async())
