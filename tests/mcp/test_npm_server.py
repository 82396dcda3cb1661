"""A server that is no Python: the protocol's own example, from the npm registry."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchat.mcp import McpToolset
from orchat.messages import ImageContent, TextContent
from tests.mcp.test_mcp_toolset import chat_with
from tests.openrouter_server import ScriptedOpenRouter, call, calls, text

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

PACKAGE = "@modelcontextprotocol/server-everything@2026.8.31"


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[McpToolset]:
    """The server's tools."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        if os.environ.get("CI"):
            pytest.fail("neither npm nor node is installed")
        pytest.skip("npm or node is not installed")
    folder: Path = tmp_path_factory.mktemp("npm")
    install = [npm, "install", "--silent", "--no-save", "--no-audit", "--no-fund", "--prefix", str(folder), PACKAGE]
    subprocess.run(install, check=True, timeout=150, capture_output=True)
    script = folder / "node_modules" / "@modelcontextprotocol" / "server-everything" / "dist" / "index.js"
    toolset = McpToolset([node, str(script), "stdio"], prefix="all")
    yield toolset
    toolset.close()


def test_its_tools_answer(everything: McpToolset, openrouter: ScriptedOpenRouter) -> None:
    made = [
        call("all_get-sum", {"a": 2, "b": 3}, id="call_1"),
        call("all_get-tiny-image", {}, id="call_2"),
        call("all_get-structured-content", {"location": "New York"}, id="call_3"),
        call("all_get-sum", {"a": "two"}, id="call_4"),
    ]
    openrouter.answers(calls(*made), text("Fine."))
    chat = chat_with(openrouter, everything)
    reply = chat("Try them all.")
    results = [message.tool_call_result for message in reply.messages if message.tool_call_result is not None]
    sums, picture, weather, wrong = results
    assert "The sum of 2 and 3 is 5." in str(sums.result)
    assert {ImageContent, TextContent} == {type(part) for part in picture.result}
    assert "conditions" in str(weather.result)
    assert [result.error for result in results] == [False, False, False, True]
    assert "all_get-sum" in [each["function"]["name"] for each in openrouter.request.json["tools"]]
    assert "b" in str(wrong.result)
