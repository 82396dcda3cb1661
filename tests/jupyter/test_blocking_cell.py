"""A panel while a cell blocks the kernel's main thread: what goes on, what is heard, and what waits, and says so."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.jupyter.kernel import INSTALLED, Kernel
from tests.jupyter.panel_page import PANEL, Page
from tests.openrouter_server import ScriptedOpenRouter, call, calls, endless, text
from tests.openrouter_server.server import CHAT
from tests.patience import PATIENCE

pytestmark = pytest.mark.slow

with_subshells = pytest.mark.parametrize("_any_kernel", [INSTALLED, "7.3.0", "7.1.0"], indirect=True)

TOOLS = (
    PANEL
    + """import orchat, threading
from orchat.jupyter.kernel.variable_tools import inspect_variable, run_python
ran, level = [], 4.2
@orchat.tool
def tide(port: str) -> str:
    "Tell the tide."
    ran.append(threading.current_thread() is threading.main_thread())
    return f"high at {port}"
@orchat.tool
async def forecast(port: str) -> str:
    "Tell the weather."
    ran.append(threading.current_thread() is threading.main_thread())
    return f"calm at {port}"
def panel_of(*tools):
    global panel
    panel = ChatPanel("some/model", tools=list(tools), approve="always")
    return panel
"""
)


class Blocked:
    """A cell that blocks the main thread until a file is there."""

    def __init__(self, page: Page, folder: Path, *, loop: bool = False) -> None:
        self._page, self._end, begun = page, folder / "end", folder / "begun"
        wait = "pass" if loop else "time.sleep(0.01)"
        code = f"import pathlib, time\npathlib.Path({str(begun)!r}).touch()\n"
        code += f"while not pathlib.Path({str(self._end)!r}).exists():\n    {wait}"
        self._request = page.begin(code)
        page.until(begun.exists)

    def end(self) -> None:
        """Let it end, and wait for that."""
        self._end.touch()
        self._page.wait(self._request)


def shown(page: Page) -> str:
    return "".join(page.answers())


@pytest.mark.parametrize("loop", [False, True], ids=["sleeps", "computes"])
def test_tokens_arrive_and_stop_works_while_a_cell_blocks(
    any_kernel: Kernel, endpoint: ScriptedOpenRouter, tmp_path: Path, loop: bool
) -> None:
    endpoint.answers(endless("The *Humber* " * 2_000).paced(0.02), text("Second."))
    page = Page(any_kernel, f"blocked-{loop}")
    page.run(PANEL + 'panel = ChatPanel("some/model")\npanel')
    hears = page.open_clicks()
    assert hears == any_kernel.value("__import__('ipykernel').version_info[0] >= 7").startswith("T")
    page.send({"t": "send", "text": "A river?"})
    page.until(lambda: "Humber" in shown(page))
    cell = Blocked(page, tmp_path, loop=loop)
    length = len(shown(page))
    page.until(lambda: len(shown(page)) > length + 300)
    if hears:
        page.send({"t": "stop"})
        page.idle()
        assert page.turns[0]["s"]["ending"] == "stopped"
        page.send({"t": "send", "text": "And now?"})  # at once, not when the cell ends
        page.until(lambda: len(page.turns) == 2 and "Second." in page.answers()[1])
        page.idle()
        page.kept("And now?")
    cell.end()
    if not hears:
        page.send({"t": "stop"})
        page.idle()


@with_subshells
@pytest.mark.parametrize("tool", ["run_python", "inspect_variable", "forecast"])
def test_a_tool_that_belongs_to_cells_waits_for_the_running_one_and_says_so(
    any_kernel: Kernel, endpoint: ScriptedOpenRouter, tmp_path: Path, tool: str
) -> None:
    arguments = {"run_python": {"code": "level + 1"}, "inspect_variable": {"name": "level"}, "forecast": {"port": "x"}}
    found = {"run_python": "5.2", "inspect_variable": "4.2", "forecast": "calm at x"}
    endpoint.answers(calls(call(tool, arguments[tool])), text("So it is."))
    page = Page(any_kernel, f"waits-{tool}")
    page.run(TOOLS + f"panel_of({tool if tool == 'forecast' else tool + '(get_ipython())'})")
    assert page.open_clicks()
    cell = Blocked(page, tmp_path)
    page.send({"t": "send", "text": "How high?"})
    if tool != "forecast":  # a decision is needed each time
        page.until(lambda: any(item.get("form") for turn in page.turns for item in turn["s"]["items"]))
        page.decide(1, 0, {"decision": "approve"})

    def box() -> dict[str, Any]:
        return dict(page.turns[0]["s"]["items"][0]) if page.turns and page.turns[0]["s"]["items"] else {}

    page.until(lambda: (box().get("progress") or {}).get("text") == "waits for the running cell")
    assert box()["status"] == "running"
    cell.end()
    page.until(lambda: "So it is." in shown(page))
    page.idle()
    assert found[tool] in box()["result"]
    assert any_kernel.value("ran") == ("[True]" if tool == "forecast" else "[]")


@with_subshells
def test_a_form_is_answered_and_a_plain_tool_runs_while_a_cell_blocks(
    any_kernel: Kernel, endpoint: ScriptedOpenRouter, tmp_path: Path
) -> None:
    endpoint.answers(calls(call("tide", {"port": "Hull"})), text("At noon."))
    page = Page(any_kernel, "form-blocked")
    page.run(TOOLS + "panel = ChatPanel('some/model', tools=[tide])\npanel")
    assert page.open_clicks()
    cell = Blocked(page, tmp_path)
    page.send({"t": "send", "text": "When?"})
    page.until(lambda: any(item.get("form") for turn in page.turns for item in turn["s"]["items"]))
    page.decide(1, 0, {"decision": "approve"})
    page.until(lambda: "At noon." in shown(page))
    page.idle()
    cell.end()
    assert any_kernel.value("ran") == "[False]"


@pytest.mark.parametrize(
    "cell",
    [
        "for port in ('Hull', 'Goole'):\n    reply = orchat.Chat('some/model', tools=[tide])('When?')",
        "%%time\nreply = orchat.Chat('some/model', tools=[tide])('When?')",
        "%%time\n%%openrouter -m some/model -T tide -o reply\nWhen?",
    ],
    ids=["a loop", "time", "a magic below time"],
)
def test_a_form_of_the_cell_that_blocks_is_answered(
    any_kernel: Kernel, endpoint: ScriptedOpenRouter, cell: str
) -> None:
    times = 2 if cell.startswith("for") else 1
    endpoint.answers(*[calls(call("tide", {"port": "Hull"})), text("At noon.")] * times)
    page = Page(any_kernel, "form-of-cell")
    page.run(TOOLS, shows=False)
    hears = page.has_subshells()
    request = page.begin(cell, in_page=True)
    for _ in range(times if hears else 0):
        page.open_view()
        page.until(lambda: any((item.get("form") or {}).get("revision") for item in page.state["items"]))
        (form,) = [(i, item["form"]) for i, item in enumerate(page.state["items"]) if item.get("form")]
        page.send({"t": "decide", "i": form[0], "revision": form[1]["revision"], "decision": "approve"})
    page.wait(request)
    page.until(lambda: not hears or "At noon." in page.displayed[-1].get("text/plain", ""))
    if hears:
        in_cells_thread = "openrouter" not in cell
        assert any_kernel.value("(ran, reply.text)") == f"({[in_cells_thread] * times}, 'At noon.')"
    else:
        page.until(lambda: ("%openrouter approve" if "openrouter" in cell else "await chat.ask") in page.printed)
        assert any_kernel.value("ran") == "[]"
        endpoint.on(*CHAT).queue.clear()


@with_subshells
def test_stop_and_an_interrupt_end_the_waiting_for_a_form_of_the_cell_that_blocks(
    any_kernel: Kernel, endpoint: ScriptedOpenRouter
) -> None:
    endpoint.answers(*[calls(call("tide", {"port": "Hull"}))] * 2)
    page = Page(any_kernel, "stop-of-cell")
    page.run(TOOLS + "chat = orchat.Chat('some/model', tools=[tide])", shows=False)
    assert page.has_subshells()
    request = page.begin("reply = chat('When?')", in_page=True)
    page.open_view()
    page.until(lambda: any((item.get("form") or {}).get("revision") for item in page.state["items"]))
    page.send({"t": "stop"})
    page.wait(request)
    assert any_kernel.value("(ran, reply.ending)") == "([], 'stopped')"
    request = page.begin(
        "try:\n    chat('And now?')\nexcept KeyboardInterrupt:\n    print('interrupted')", in_page=True
    )
    page.open_view()
    page.until(lambda: any((item.get("form") or {}).get("revision") for item in page.state["items"]))
    any_kernel._manager.interrupt_kernel()
    page.until(lambda: page.printed.endswith("interrupted\n"))
    page.wait(request)


def test_a_question_that_names_variables_is_heard_at_once_and_waits_for_them(
    kernel: Kernel, endpoint: ScriptedOpenRouter, tmp_path: Path
) -> None:
    endpoint.answers(text("High."), text("Low."))
    page = Page(kernel, "values")
    page.run(TOOLS + "panel_of()")
    assert page.open_clicks()
    asked = len(endpoint.requests)
    cell = Blocked(page, tmp_path)
    page.send({"t": "send", "text": "Is {level} high?"})
    page.until(lambda: page.fields["running"] and "names variables" in page.fields["note"])
    assert page.fields["draft"]["text"] == ""
    page.send({"t": "stop"})  # the draft comes back
    page.until(lambda: not page.fields["running"] and page.fields["draft"]["text"] == "Is {level} high?")
    page.send({"t": "send", "text": "Is {level} high?"})
    page.until(lambda: page.fields["running"])
    assert len(endpoint.requests) == asked
    cell.end()
    page.until(lambda: "High." in shown(page))
    page.idle()
    assert "4.2" in endpoint.request.json["messages"][-1]["content"]
    assert page.fields["note"] == ""
    page.send({"t": "send", "text": "Is {levl} high?"})
    page.until(lambda: page.fields["error"] is not None)
    assert page.fields["draft"]["text"] == "Is {levl} high?"


def test_a_view_opens_while_a_cell_blocks(kernel: Kernel, endpoint: ScriptedOpenRouter, tmp_path: Path) -> None:
    endpoint.answers(endless("The *Humber* " * 2_000).paced(0.02))
    page = Page(kernel, "opens")
    page.run(PANEL + 'panel = ChatPanel("some/model")\npanel')
    assert page.open_clicks()
    page.send({"t": "send", "text": "A river?"})
    page.until(lambda: "Humber" in shown(page))
    cell = Blocked(page, tmp_path)
    page.state = {}
    page.send({"t": "ready", "render": "markdown"})
    page.until(lambda: "Humber" in shown(page))
    page.send({"t": "stop"})
    page.idle()
    cell.end()


def test_two_panels_cells_and_python_use_the_same_chats_at_once(kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(*[text("word " * 60).paced(0.005)] * 12)
    page = Page(kernel, "crowd")
    code = PANEL + (
        "import asyncio, threading, orchat, time\n"
        "errors, ended = [], threading.Event()\n"
        "a, b = ChatPanel('m/a', name='left'), ChatPanel('m/b', name='right')\n"
        "def read():\n"
        "    while not ended.is_set():\n"
        "        try:\n"
        "            for panel in (a, b):\n"
        "                questions = [m.text for m in panel.messages if m.role.value == 'user']\n"
        "                assert len(questions) == len(set(questions)), questions\n"
        "                panel._repr_mimebundle_(); panel.chat.to_dict(); panel.is_running\n"
        "        except BaseException as error: errors.append(repr(error))\n"
        "reader = threading.Thread(target=read); reader.start()\n"
        "async def ask(panel):\n"
        "    for n in range(4):\n"
        "        await panel.send(f'Question {n}?'); panel.refresh()\n"
        "        await asyncio.sleep(0)\n"
        "async def cells():\n"
        "    for n in range(4):\n"
        "        await orchat.Chat('m/c', show=False).ask('Hi')\n"
        "        get_ipython().display_pub.publish({'text/plain': 'x'}); time.sleep(0.05)\n"
        "await asyncio.gather(ask(a), ask(b), cells())\n"
        "ended.set(); reader.join()\n"
        "print(errors[:3], len(a.messages), len(b.messages))"
    )
    page.run(code, shows=False)
    assert page.printed == "[] 8 8\n"
    kept = page.kept("Question 3?")
    page.until(
        lambda: all("Question 3?" in repr((page.metadata or {})["panels"].get(key)) for key in ("left", "right"))
    )
    assert set(kept) == {"left", "right"}


@pytest.mark.parametrize("package", ["nest_asyncio2", "nest_asyncio"])
def test_a_patched_event_loop_leaves_the_turns_alone(
    kernel: Kernel, endpoint: ScriptedOpenRouter, tmp_path: Path, package: str
) -> None:
    endpoint.answers(text("One."), endless("word " * 2_000).paced(0.02))
    with Kernel({"OPENROUTER_BASE_URL": endpoint.base_url, "OPENROUTER_API_KEY": "sk-or-v1-0123456789abcdef"}) as own:
        page = Page(own, package)
        page.run(PANEL + 'panel = ChatPanel("some/model")\npanel')
        assert page.open_clicks()
        page.ask("First?")
        own.run(f"import {package}; {package}.apply()")
        page.send({"t": "send", "text": "Second?"})
        page.until(lambda: "word" in shown(page))
        cell = Blocked(page, tmp_path)
        length = len(shown(page))
        page.until(lambda: len(shown(page)) > length + 100)
        page.send({"t": "stop"})
        page.idle()
        cell.end()


def test_an_interrupt_of_a_cell_that_waits_for_a_turn_ends_both(kernel: Kernel, endpoint: ScriptedOpenRouter) -> None:
    endpoint.answers(endless("word " * 2_000).paced(0.02))
    cell = PANEL + (
        "panel = ChatPanel('some/model')\n"
        "panel.observe(lambda reply: print(reply.ending))\n"
        "import asyncio\n"
        "async def tell():\n"
        "    while not panel.chat.arrived: await asyncio.sleep(0.01)\n"
        "    print('streams')\n"
        "telling = asyncio.ensure_future(tell())\n"
        "await panel.send('Hi')"
    )
    started = time.monotonic()
    (ended,) = kernel.run(cell, interrupt_when=lambda so_far: "streams" in so_far.printed)
    assert ended.status == "error"
    assert "what had arrived is kept" in repr(ended.content)
    assert time.monotonic() - started < PATIENCE
    assert endpoint.request.client_closed.wait(PATIENCE)
    kernel.run("pass")
    assert kernel.value("(panel.is_running, panel.messages[-1].meta['ending'])") == "(False, 'interrupted')"


def test_what_ends_a_thread_elsewhere_ends_a_call_or_a_turn_here(
    kernel: Kernel, endpoint: ScriptedOpenRouter, tmp_path: Path
) -> None:
    begun = tmp_path / "begun"
    forever = call("run_python", {"code": f"import pathlib\npathlib.Path({str(begun)!r}).touch()\nwhile True: pass"})
    endpoint.answers(calls(forever), text("Stopped."), calls(call("tide", {"port": "Hull"})), text("Third."))
    page = Page(kernel, "ends")
    exits = "def exits(call):\n    raise SystemExit\n"
    page.run(TOOLS + exits + "panel = ChatPanel('some/model', tools=[run_python(get_ipython()), tide])\npanel")
    assert page.open_clicks()
    page.send({"t": "send", "text": "Go on."})
    page.until(lambda: any(item.get("form") for turn in page.turns for item in turn["s"]["items"]))
    page.decide(1, 0, {"decision": "approve"})
    page.until(lambda: page.turns[0]["s"]["items"][0]["status"] == "running" and begun.exists())
    kernel._manager.interrupt_kernel()
    page.until(lambda: "Stopped." in shown(page))
    page.idle()
    assert page.turns[0]["s"]["items"][0]["status"] == "failed"
    kernel.run("panel.chat.approve = exits")
    page.send({"t": "send", "text": "And now?"})
    page.until(lambda: len(page.turns) == 2 and page.turns[1]["s"]["phase"] == "ended")
    page.idle()
    assert page.fields["error"]["text"].startswith("SystemExit")
    kernel.run("panel.chat.approve = 'ask'")
    page.send({"t": "send", "text": "And then?"})
    page.until(lambda: "Third." in shown(page))
    page.idle()
