"""Tools of real MCP servers: listed, called, asked about, stopped, lost and found again."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest

from orchat import OpenRouterChatGenerator
from orchat.chat import Chat, Reply
from orchat.errors import ConfigurationError, SerializationError, ToolInvocationError, ToolServerError
from orchat.jupyter.kernel.live_view.tool_grants import ToolGrants
from orchat.mcp import McpTool, McpToolset
from orchat.secret import Secret
from orchat.tools.toolset import flatten
from tests.chat.ways import KEY
from tests.mcp.conftest import SERVER, HttpServer, Tides
from tests.openrouter_server import ScriptedOpenRouter, call, calls, text
from tests.patience import PATIENCE, stretched, wait_until


def chat_with(openrouter: ScriptedOpenRouter, tools: Any, **options: Any) -> Chat:
    generator = OpenRouterChatGenerator(api_key=Secret.from_token(KEY), api_base_url=openrouter.base_url)
    return Chat(generator, tools=tools, **{"approve": "always", **options})


def run_python(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *options], check=False, capture_output=True, text=True, timeout=PATIENCE)


def ask(way: str, chat: Chat) -> Reply:
    return asyncio.run(chat.ask("Hi")) if way == "async" else chat("Hi")


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:  # also where it ends between two looks
        return False


def test_a_tool_tells_models_its_own_words_and_people_its_title(tides: Tides) -> None:
    tool = tides.tool("high_water")
    assert tool.tool_spec["name"] == "tides_high_water"
    assert tool.description == "Say how high the tide is."
    assert tool.title == "High water"
    assert "title" not in tool.parameters  # "high_waterArguments"
    assert list(tool.parameters["properties"]) == ["port", "day"]
    assert tides.tool("wait").title == "wait"
    assert "tides_high_water" in tides
    assert repr(tides).startswith(f"McpToolset('tides', {len(tides)} tools, ")


def test_annotations_are_shown_and_not_trusted(tides: Tides) -> None:
    tool = tides.tool("high_water")
    shown = tool.preview(port="Hull")
    assert "Calls `high_water` on the MCP server `tides (" in shown
    assert "nobody has checked, that the tool changes nothing, stays in its own world." in shown
    assert not tool.asks_always


@pytest.mark.parametrize("way", ["sync", "async"])
def test_a_chat_calls_a_tool_of_a_server(openrouter: ScriptedOpenRouter, tides: Tides, way: str) -> None:
    openrouter.answers(calls(call("tides_high_water", {"port": "Hull"})), text("8.1 m"))
    reply = ask(way, chat_with(openrouter, tides))
    assert reply.text == "8.1 m"
    sent = {each["function"]["name"]: each["function"] for each in openrouter.requests[0].json["tools"]}
    assert sent["tides_high_water"]["parameters"]["required"] == ["port"]
    [told] = [each for each in openrouter.requests[1].json["messages"] if each["role"] == "tool"]
    assert json.loads(told["content"]) == {"port": "Hull", "metres": 8.1}


def test_calls_of_threads_and_loops_share_one_server(tides: Tides) -> None:
    where = tides.tool("where")
    here = where.invoke().content[0].text

    async def both() -> list[Any]:
        return await asyncio.gather(where.invoke_async(), where.invoke_async())

    there = [each.content[0].text for _ in range(2) for each in asyncio.run(both())]
    assert {here, *there} == {here}


@pytest.mark.parametrize("way", ["sync", "async"])
def test_a_failed_tool_is_told_to_the_model_and_its_stderr_to_people(
    openrouter: ScriptedOpenRouter, tides: Tides, way: str
) -> None:
    openrouter.answers(calls(call("tides_fail", {"words": f"by {KEY}"})), text("Sorry."))
    chat = chat_with(openrouter, [tides])
    ask(way, chat)
    [failed] = [message for message in chat.messages if message.tool_call_result]
    assert failed.tool_call_result is not None
    assert failed.tool_call_result.error
    assert failed.tool_call_result.result == "Error executing tool fail"
    assert "about to fail: by [redacted]" in failed.meta["details"]
    assert "the words of the exception" in " ".join(failed.meta["details"].split())
    assert KEY not in repr(failed.meta)
    assert "about to fail" not in json.dumps(openrouter.requests[1].json)


def test_a_result_may_be_an_error_and_a_picture(openrouter: ScriptedOpenRouter, tides: Tides) -> None:
    openrouter.answers(calls(call("tides_refuse", {})), text("Sorry."))
    chat = chat_with(openrouter, tides)
    chat("Hi")
    [told] = [each for each in openrouter.requests[1].json["messages"] if each["role"] == "tool"]
    assert [part["type"] for part in told["content"]] == ["text", "image_url"]
    assert next(m for m in chat.messages if m.tool_call_result).tool_call_result.error  # type: ignore[union-attr]
    with pytest.raises(ToolInvocationError, match="no tide") as caught:
        tides.tool("refuse").invoke()
    assert caught.value.result.is_error  # type: ignore[attr-defined]


def test_a_crash_ends_the_call_and_not_the_tools(tides: Tides) -> None:
    tool = tides.tool("high_water")
    before = tides.tool("where").invoke().content[0].text
    with pytest.raises(ToolInvocationError, match="the connection was closed") as caught:
        tides.tool("crash").invoke()
    assert "out of water" in caught.value.details
    assert wait_until(lambda: not tides.is_connected)
    assert tides.tool("high_water") is tool  # whose grant still holds
    after = tides.tool("where").invoke().content[0].text
    assert before != after
    assert tool.invoke(port="Hull").structured_content == {"port": "Hull", "metres": 8.1}


def test_an_interrupt_cancels_a_call_on_the_server(tides: Tides, tmp_path: Path) -> None:
    path = tmp_path / "sync"
    tool = tides.tool("wait")

    def interrupt() -> None:
        wait_until(Path(f"{path}.began").exists)
        signal.raise_signal(signal.SIGINT) if sys.platform == "win32" else os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        tool.invoke(path=str(path))
    assert wait_until(path.exists)
    assert tides.tool("where").invoke()


def test_a_stopped_turn_cancels_its_call_on_the_server(
    openrouter: ScriptedOpenRouter, tides: Tides, tmp_path: Path
) -> None:
    path = tmp_path / "async"
    openrouter.answers(calls(call("tides_wait", {"path": str(path)})))
    chat = chat_with(openrouter, tides)

    def stop() -> None:
        wait_until(Path(f"{path}.began").exists)
        chat.stop()

    threading.Thread(target=stop).start()
    reply = asyncio.run(chat.ask("Hi"))
    assert reply.ending == "stopped"
    assert wait_until(path.exists)


def test_a_server_at_an_address(openrouter: ScriptedOpenRouter, http_server: HttpServer, tmp_path: Path) -> None:
    toolset = Tides(http_server.url, prefix="")
    assert toolset.name == "mcp"
    openrouter.answers(calls(call("high_water", {"port": "Hull"})), text("8.1 m"))
    assert chat_with(openrouter, toolset)("Hi").text == "8.1 m"
    path = tmp_path / "http"

    async def cancel() -> None:
        task = asyncio.ensure_future(toolset.tool("wait").invoke_async(path=str(path)))
        assert await asyncio.to_thread(wait_until, Path(f"{path}.began").exists)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert wait_until(path.exists)
    http_server.end()
    with pytest.raises(ToolInvocationError, match=r"cannot be reached: ConnectError|did not answer"):
        toolset.tool("high_water").invoke(port="Hull")
    other = Tides(http_server.url, name="other")
    with pytest.raises(ToolServerError, match="cannot be reached: ConnectError"):
        list(other)
    http_server.start()
    high_water = toolset.tool("high_water")
    assert high_water.invoke(port="Hull").structured_content == {"port": "Hull", "metres": 8.1}
    assert "other_high_water" in other
    http_server.end()
    http_server.start()  # it knows nothing of the session, and so has not seen the call
    assert high_water.invoke(port="Goole").structured_content == {"port": "Goole", "metres": 8.1}
    toolset.close()
    other.close()


def test_only_the_wanted_tools_are_there(http_server: HttpServer) -> None:
    toolset = McpToolset(http_server.url, tools=["where"], prefix="tides")
    assert [tool.name for tool in toolset] == ["tides_where"]
    with pytest.raises(ConfigurationError, match="Several tools are called: tides_where"):
        flatten([toolset, toolset])
    toolset.close()
    with pytest.raises(ConfigurationError, match=r"has no tool low_water\. It has high_water, wait"):
        list(McpToolset(http_server.url, tools=["low_water"]))


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_each_way_to_negotiate_the_protocol(http_server: HttpServer, mode: str) -> None:
    toolset = Tides(http_server.url, mode=mode, tools=["high_water"])
    assert [tool.name for tool in toolset] == ["mcp_high_water"]
    assert toolset.tool("high_water").invoke(port="Hull").structured_content == {"port": "Hull", "metres": 8.1}
    toolset.close()


def test_a_tool_that_has_changed_since_it_was_shown_does_not_run() -> None:
    toolset = Tides([sys.executable, SERVER], name="tides")
    old = toolset.tool("high_water")
    grants = ToolGrants()
    grants.allow(old)
    assert grants.covers(toolset.tool("high_water"))  # listed again, and still the same
    toolset.tool("change").invoke(name="high_water")
    with pytest.raises(ToolInvocationError, match="has changed its tool `high_water` since it was shown") as caught:
        old.invoke(port="Hull")
    assert "Nothing has run" in str(caught.value)
    new = toolset.tool("high_water")
    assert new is not old
    assert not grants.covers(new)
    assert new.invoke(port="Hull").content[0].text == "changed Hull True"
    toolset.close()


@pytest.mark.parametrize(
    ("server", "words"),
    [
        ("no-such-program --port 7", "there is no program `no-such-program`. Install it"),
        (f"{sys.executable} -c 'print(7)'", "cannot be started: the connection was closed. It said: .*Failed to parse"),
        (f"{sys.executable} -c 'raise SystemExit(\"no tide today\")'", "It said: no tide today"),
        ("http://127.0.0.1:9/mcp", r"\(http://127.0.0.1:9/mcp\) cannot be reached: ConnectError"),
    ],
)
def test_what_is_no_server_is_told_in_a_line(
    server: str, words: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ToolServerError, match=words) as caught:
        list(McpToolset(server))
    assert "\n" not in str(caught.value)
    assert not isinstance(caught.value.__context__, BaseExceptionGroup) or caught.value.__suppress_context__
    assert capfd.readouterr() == ("", "")


def test_an_address_without_an_mcp_server_names_the_status(openrouter: ScriptedOpenRouter) -> None:
    openrouter.on("POST", "/mcp")
    with pytest.raises(ToolServerError, match=r"HTTP status 404\)\. There is no MCP server at this address"):
        list(McpToolset(openrouter.base_url.replace("/api/v1", "/nothing")))


def test_what_makes_no_sense_is_refused_at_once() -> None:
    for wrong, words in (
        ("", "is a command line or an address"),
        ("uvx 'time", "No closing quotation"),
        ("http://", "is no address"),
    ):
        with pytest.raises(ConfigurationError, match=words):
            McpToolset(wrong)
    with pytest.raises(ConfigurationError, match="takes no `headers`"):
        McpToolset("uvx time", headers={"a": "b"})
    with pytest.raises(ConfigurationError, match="neither `env` nor `cwd`"):
        McpToolset("https://example.org/mcp", env={"a": "b"})
    with pytest.raises(ConfigurationError, match=r"tools=\['a'\]"):
        McpToolset("uvx time", tools="a")


def test_it_is_a_toolset_like_any_other(tides: Tides) -> None:
    assert flatten([tides]) == list(tides)
    assert isinstance(tides[0], McpTool)
    with pytest.raises(ConfigurationError, match="those of its server"):
        tides.add(tides[0])


def test_a_toolset_is_saved_without_its_secrets() -> None:
    toolset = McpToolset("uvx tide", env={"TIDE_KEY": Secret.from_env_var("TIDE_KEY")}, tools=["a"], timeout=7)
    data = json.loads(json.dumps(toolset.to_dict()))
    assert data["type"] == "orchat.mcp.McpToolset"
    again = McpToolset.from_dict(data)
    assert again.to_dict() == data
    assert again.parameters == toolset.parameters
    for wrong in (
        McpToolset("uvx tide", env={"TIDE_KEY": Secret.from_token("hunter2")}),
        McpToolset("uvx tide", env={"API_KEY": "hunter2"}),
        McpToolset(f"uvx tide --key {KEY}"),
    ):
        with pytest.raises(SerializationError):
            wrong.to_dict()
        assert KEY not in repr(wrong) + str(wrong)
        assert "hunter2" not in repr(wrong.parameters)


def test_no_dictionary_of_a_generator_starts_a_program() -> None:
    data = {"type": "orchat.mcp.McpToolset", "data": {"server": {"command": ["touch", "x"]}}}
    saved = OpenRouterChatGenerator(api_key=Secret.from_env_var("A", strict=False)).to_dict()
    saved["init_parameters"]["tools"] = data
    with pytest.raises(SerializationError, match="orchat"):
        OpenRouterChatGenerator.from_dict(saved)


def test_no_server_outlives_its_toolset_or_its_process() -> None:
    code = f"""
import gc, sys
from orchat.mcp import McpToolset

def pid_of(toolset):
    return toolset[[tool.server_tool for tool in toolset].index("where")].invoke().content[0].text

command = [sys.executable, {SERVER!r}]
gone, stubborn = McpToolset(command), McpToolset([*command, "--stubborn"])
print(pid_of(gone), pid_of(stubborn))
del gone
gc.collect()
input()
"""
    process = subprocess.Popen([sys.executable, "-W", "error", "-c", code], stdin=-1, stdout=-1, stderr=-1, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    gone, stubborn = map(int, process.stdout.readline().split())
    assert wait_until(lambda: not is_running(gone))
    assert is_running(stubborn)
    assert process.communicate("\n", timeout=PATIENCE) == ("", "")
    assert wait_until(lambda: not is_running(stubborn))


def test_without_the_sdk_the_error_says_what_to_install() -> None:
    code = "import sys; sys.modules['mcp'] = None; import orchat.mcp; orchat.mcp.McpToolset('uvx time')"
    done = run_python("-c", code)
    assert 'pip install "orchat-jupyter[mcp]"' in done.stderr.splitlines()[-1]


def test_the_servers_of_other_makers() -> None:
    clock = McpToolset([sys.executable, "-m", "mcp_server_time", "--local-timezone", "UTC"])
    assert [tool.name for tool in clock] == ["time_get_current_time", "time_convert_time"]
    told = json.loads(clock[0].invoke(timezone="Europe/Paris").content[0].text)
    assert told["timezone"] == "Europe/Paris"
    with pytest.raises(ToolInvocationError, match="Invalid timezone"):
        clock[0].invoke(timezone="Atlantis")
    clock.close()
    git = McpToolset([sys.executable, "-m", "mcp_server_git"])
    assert "git_status" in git
    git.close()


_SILENT = """
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    if asked["method"] == "initialize":
        version = asked["params"]["protocolVersion"]
        about = {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": {"name": "s", "version": "1"}}
        print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": about}), flush=True)
"""


@pytest.mark.timeout(PATIENCE * 2)
def test_a_server_that_never_lists_its_tools_is_not_waited_for_without_end() -> None:
    toolset = McpToolset([sys.executable, "-c", _SILENT], name="silent", connect_timeout=stretched(3))
    with pytest.raises(ToolServerError, match=r"does not list its tools: it took too long\. Raise `connect_timeout`"):
        list(toolset)
    toolset.close()
