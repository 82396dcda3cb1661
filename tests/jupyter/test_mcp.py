"""MCP servers in a notebook: ``%openrouter mcp``, ``-T``, interrupts, and what a cell shows of their failures."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.jupyter.kernel import SOON, Kernel
from tests.jupyter.test_magic_options import ask
from tests.mcp.conftest import SERVER
from tests.openrouter_server import ScriptedOpenRouter, call, calls, text
from tests.patience import stretched, wait_until

pytestmark = pytest.mark.slow

ADD = f"%openrouter mcp add tides {sys.executable} {SERVER}"


def test_the_tools_of_a_server_from_the_first_word_to_the_last(kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    assert ask(kernel, "%openrouter mcp").printed.startswith("There is no MCP server yet. %openrouter mcp add")
    added = ask(kernel, ADD).printed.splitlines()
    assert added[0].startswith("tides: 10 tools, ")
    assert added[1].startswith("  tides_high_water, tides_wait, ")
    assert added[-1] == "Give them to a model with -T tides."
    assert f"({sys.executable} {SERVER})" in ask(kernel, "%openrouter mcp list").printed
    assert "tides_high_water " in ask(kernel, "%openrouter mcp tools tides").printed
    kernel.run("tides = 'a variable, which the server hides'")
    endpoint.answers(calls(call("tides_high_water", {"port": "Hull"})), text("It is 8.1 m."))
    cell = ask(kernel, "%%openrouter -T tides --approve always\nHow high?")
    assert "It is 8.1 m." in cell.bundles[-1]["text/plain"]
    [told] = [each for each in endpoint.request.json["messages"] if each["role"] == "tool"]
    assert json.loads(told["content"]) == {"port": "Hull", "metres": 8.1}
    (twice,) = kernel.run(ADD)
    assert twice.content["traceback"] == [
        "openrouter: There is a server `tides` already. %openrouter mcp remove tides, or give this one another name."
    ]
    assert ask(kernel, "%openrouter mcp remove tides").printed == "tides is gone.\n"
    (gone,) = kernel.run("%openrouter mcp tools tides")
    assert gone.content["traceback"] == [f"openrouter: There is no MCP server tides. {gone_hint()}"]


def gone_hint() -> str:
    return "%openrouter mcp add [NAME] COMMAND, such as: %openrouter mcp add uvx mcp-server-time"


def test_a_stopped_cell_cancels_its_call_on_the_server(
    kernel: Kernel, endpoint: ScriptedOpenRouter, tmp_path: Path
) -> None:
    ask(kernel, f"from orchat.mcp import McpToolset\nserver = McpToolset([{sys.executable!r}, {SERVER!r}], name='sea')")
    awaited, blocking, direct = (tmp_path / name for name in ("awaited", "blocking", "direct"))
    endpoint.answers(calls(call("sea_wait", {"path": str(awaited)})))
    (cell,) = kernel.run(
        "%%openrouter -T server --approve always\nWait.",
        interrupt_when=lambda _: Path(f"{awaited}.began").exists(),
    )
    assert cell.status == "error"
    assert cell.seconds < stretched(SOON)
    assert wait_until(awaited.exists)
    endpoint.answers(calls(call("sea_wait", {"path": str(blocking)})))
    (cell,) = kernel.run(
        "from orchat import Chat\nchat = Chat(tools=server, approve='always')\nchat('Wait.')",
        interrupt_when=lambda _: Path(f"{blocking}.began").exists(),
    )
    assert (cell.status, cell.content["ename"]) == ("error", "KeyboardInterrupt")
    assert cell.seconds < stretched(SOON)
    assert wait_until(blocking.exists)
    (cell,) = kernel.run(
        f"next(t for t in server if t.server_tool == 'wait').invoke(path={str(direct)!r})",
        interrupt_when=lambda _: Path(f"{direct}.began").exists(),
    )
    assert cell.status == "error"
    assert wait_until(direct.exists)
    endpoint.answers(calls(call("sea_high_water", {"port": "Hull"})), text("It is 8.1 m."))
    assert "It is 8.1 m." in ask(kernel, "%%openrouter -T server --approve always\nHow high?").bundles[-1]["text/plain"]
    kernel.run("server.close()")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("nothing-of-that-name --port 7", "there is no program `nothing-of-that-name`. Install it"),
        ("nothing-of-that-name", "The MCP server `nothing_of_that_name` (nothing-of-that-name) cannot be started: "),
        ("none.json", "none.json cannot be read: No such file or directory."),
        ("", "Which server? %openrouter mcp add [NAME] COMMAND"),
        (
            f"{sys.executable} -c 'print(7)'",
            "the connection was closed. It said: [client] Failed to",
        ),
    ],
)
def test_what_cannot_be_added_is_one_line(kernel: Kernel, words: str, told: str) -> None:
    (cell,) = kernel.run(f"%openrouter mcp add {words}")
    assert cell.status == "error"
    [line] = cell.content["traceback"]
    assert told in line
    assert cell.printed == ""
