"""Async tools under the sync chat: with a loop of its own, and inside a notebook's, which goes on as if nothing was."""

from __future__ import annotations

import asyncio
import importlib
import importlib.metadata
import os
import subprocess
import sys
from typing import Any

import pytest

from orchat.chat import event_loop_runner
from orchat.chat.event_loop_runner import EventLoopRunner
from orchat.errors import ConfigurationError
from tests.chat.test_tools import HULL, results
from tests.chat.ways import KEY
from tests.jupyter.kernel import INSTALLED, ROOT, Kernel
from tests.openrouter_server import ScriptedOpenRouter, calls, text

NOTEBOOK = """
import asyncio
from orchat import Chat, tool

queue = asyncio.Queue()  # belongs to the kernel's loop

@tool
async def tide(port: str) -> str:
    "Tell a tide."
    asyncio.get_running_loop().call_soon(queue.put_nowait, f"{port}: 14:10")
    await asyncio.sleep(0.05)
    return await queue.get()

home = asyncio.get_running_loop()
chat = Chat("vendor/m", tools=[tide], approve="always")
"""


@pytest.mark.slow
@pytest.mark.parametrize("ipykernel", [INSTALLED, "6.31.0"])
def test_a_cell_that_calls_an_async_tool_loses_no_other_cell(openrouter: ScriptedOpenRouter, ipykernel: str) -> None:
    openrouter.answers(text("Hello."), calls(HULL), text("At 14:10."), text("Bye."))
    environment = {"OPENROUTER_API_KEY": KEY, "OPENROUTER_BASE_URL": openrouter.base_url}
    with Kernel(environment, ipykernel) as kernel:
        kernel.run(NOTEBOOK)
        plain, *_ = kernel.run("print(chat('Hi').text, hasattr(home, '_nest_patched'))")
        first, second, third, fourth = kernel.run(
            "print(chat('When?').text)",
            "print(asyncio.get_running_loop() is home)",
            "await asyncio.sleep(0.01); print('awaited')",
            "print(chat('Thanks.').text, len(chat.messages))",
        )
    assert plain.printed == "Hello. False\n"  # without an async tool nothing is patched
    assert [cell.status for cell in (first, second, third, fourth)] == ["ok"] * 4
    printed = [cell.printed for cell in (first, second, third, fourth)]
    assert printed == ["At 14:10.\n", "True\n", "awaited\n", "Bye. 8\n"]
    assert results(openrouter) == ["Hull: 14:10"]


SCRIPT = (
    NOTEBOOK.replace("home = ", "#")
    + """
async def main():
    global queue
    queue = asyncio.Queue()
    print(chat("When?").text)
    await asyncio.sleep(0.01)
    print("awaited")

asyncio.run(main())
"""
)


def test_a_script_with_a_running_loop_works_as_well(openrouter: ScriptedOpenRouter) -> None:
    # In a process of its own: what lets loops nest stays in a process for good.
    openrouter.answers(calls(HULL), text("At 14:10."))
    environment = {**os.environ, "OPENROUTER_API_KEY": KEY, "OPENROUTER_BASE_URL": openrouter.base_url}
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=True)
    assert (done.stdout, done.stderr) == ("At 14:10.\nawaited\n", "")
    assert results(openrouter) == ["Hull: 14:10"]


def test_every_run_of_one_loop_is_on_the_same_one() -> None:
    async def here() -> Any:
        return asyncio.get_running_loop()

    with EventLoopRunner() as loop:
        assert loop.run(here()) is loop.run(here())


@pytest.mark.parametrize(
    ("version", "found", "chosen"),
    [
        ("7.4.0", True, "nest_asyncio2"),
        ("7.4.0", False, "nest_asyncio"),
        ("6.31.0", True, "nest_asyncio"),
        (None, True, "nest_asyncio"),
    ],
)
def test_the_package_goes_with_the_kernel(
    monkeypatch: pytest.MonkeyPatch, version: str | None, found: bool, chosen: str
) -> None:
    def version_of(name: str) -> str:
        if version is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return version

    def import_module(name: str) -> Any:
        if not found:
            raise ImportError(name)
        return importlib.import_module(name)

    monkeypatch.setattr(event_loop_runner, "version", version_of)
    monkeypatch.setattr(event_loop_runner, "import_module", import_module)
    assert event_loop_runner._nesting_package() == chosen


@pytest.mark.parametrize(("failure", "said"), [(ImportError("no"), "is missing"), (ValueError("Can't patch"), "patch")])
def test_where_a_loop_cannot_nest_that_is_said(monkeypatch: pytest.MonkeyPatch, failure: Exception, said: str) -> None:
    def import_module(name: str) -> Any:
        raise failure

    async def never() -> None:
        raise AssertionError

    async def main() -> None:
        waiting: Any = never()
        with EventLoopRunner() as loop, pytest.raises(ConfigurationError, match=f"{said}.*await chat.ask"):
            loop.run(waiting)
        future = asyncio.get_running_loop().create_future()
        with EventLoopRunner() as loop, pytest.raises(ConfigurationError):
            loop.run(future)

    monkeypatch.setattr(event_loop_runner, "_nesting_package", lambda: "nest_asyncio")
    monkeypatch.setattr(event_loop_runner, "import_module", import_module)
    asyncio.run(main())
