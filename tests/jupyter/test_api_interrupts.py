"""A kernel's interrupt stops what a plain cell awaits of the Python API, however silent the upstream is."""

from __future__ import annotations

import threading

import pytest

from tests.jupyter.kernel import SOON, Kernel
from tests.openrouter_server import ScriptedOpenRouter, call, calls, text
from tests.patience import stretched

pytestmark = pytest.mark.slow

SETUP = """
import asyncio, os
from orchat import Chat, OpenRouterChatGenerator
from orchat.event_loop_wakeup import _wakeups

begun, cancelled = [], []

async def wait(seconds: int) -> str:
    "Wait."
    print("begun")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        cancelled.append(seconds)
        raise
    return "done"

generator = OpenRouterChatGenerator(model="some/model", api_base_url=os.environ["OPENROUTER_BASE_URL"])
chat = Chat(generator, tools=[wait], approve="always", show=False)
"""
WAITS = {
    "run_async": "await generator.run_async('Hi')",
    "stream_async": "async for chunk in generator.stream_async('Hi'): pass",
    "chat.stream_async": "async for chunk in chat.stream_async('Hi'): pass",
}


@pytest.fixture
def ready(kernel: Kernel) -> Kernel:
    (cell,) = kernel.run(SETUP)
    assert cell.status == "ok", cell.content
    return kernel


@pytest.mark.parametrize("way", WAITS)
def test_an_interrupt_ends_what_awaits_a_silent_upstream(ready: Kernel, endpoint: ScriptedOpenRouter, way: str) -> None:
    gate = threading.Event()
    endpoint.answers(text("late").held(gate))
    asked = len(endpoint.requests)
    try:
        (ended,) = ready.run(WAITS[way], interrupt_when=lambda _: endpoint.requests[asked:])
    finally:
        gate.set()
    assert ended.status == "error"
    assert ended.seconds < stretched(SOON)
    assert ready.value("[wakeup.users for wakeup in _wakeups.values()]") == "[0]"
    if "chat" in WAITS[way]:
        assert ready.value("(len(chat.messages), chat.pending)") == "(0, [])"  # the question can be asked again


@pytest.mark.parametrize("cell", ["await chat.ask('Wait.')", "chat('Wait.')"])
def test_an_interrupt_cancels_an_async_tool(ready: Kernel, endpoint: ScriptedOpenRouter, cell: str) -> None:
    endpoint.answers(calls(call("wait", {"seconds": 3})))
    (ended,) = ready.run(cell, interrupt_when=lambda so_far: "begun" in so_far.printed)
    assert ended.status == "error"
    assert ended.seconds < stretched(SOON)
    assert ready.value("cancelled") == "[3]"
    assert ready.value("chat.messages[-2].meta['ending']") == "'interrupted'"
    assert "cut off" in ready.value("chat.messages[-1].tool_call_result.result")
    assert ready.value("[task for task in asyncio.all_tasks() if 'wait' in repr(task.get_coro())]") == "[]"
