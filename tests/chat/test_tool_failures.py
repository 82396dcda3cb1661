"""Tools that raise what ends a process, and loops that would not end: the model is told, the kernel lives."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from typing import Any

import pytest

from orchat.chat import Chat
from orchat.tools import tool
from tests.chat.ways import Way
from tests.openrouter_server import call, calls, done, event, finish, stream, text, tool_call, usage
from tests.patience import PATIENCE


def ends(error: BaseException) -> Any:
    """Make a tool that raises this."""

    @tool
    def end() -> str:
        """End."""
        raise error

    return end


def ends_async(error: BaseException) -> Any:
    """Make an async tool that raises this."""

    @tool(name="end")
    async def end() -> str:
        """End."""
        await asyncio.sleep(0)
        raise error

    return end


class Odd(BaseException):
    """Some library's own."""


@pytest.mark.parametrize("make_tool", [ends, ends_async])
@pytest.mark.parametrize("error", [SystemExit(2), KeyboardInterrupt(), Odd("odd")], ids=repr)
def test_whatever_a_tool_raises_is_its_failure(openrouter, make, way: Way, make_tool, error) -> None:
    openrouter.answers(calls(call("end", {})), text("I see."))
    before = signal.getsignal(signal.SIGINT)
    reply = way.ask(make(tools=[make_tool(error)], approve="always"))
    assert (reply.text, reply.ending) == ("I see.", "finished")
    told = openrouter.requests[1].json["messages"][-1]["content"]
    assert "The tool `end` failed" in told
    assert type(error).__name__ in told
    assert signal.getsignal(signal.SIGINT) is before


def test_a_tool_that_parses_arguments_like_a_program_fails_like_others(openrouter, make, way: Way) -> None:
    import argparse

    @tool
    def program(line: str) -> str:
        """Run a program."""
        parser = argparse.ArgumentParser(exit_on_error=True)
        parser.add_argument("--port", required=True)
        return str(parser.parse_args(line.split()))

    openrouter.answers(calls(call("program", {"line": "--prot Hull"})), text("I see."))
    assert way.ask(make(tools=[program], approve="always")).text == "I see."
    assert "SystemExit: 2" in openrouter.requests[1].json["messages"][-1]["content"]


@pytest.mark.parametrize("awaits", [False, True])
def test_the_users_own_interrupt_stays_one(openrouter, make, awaits) -> None:
    @tool(name="slow")
    def slow() -> str:
        """Take long."""
        threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGINT]).start()
        time.sleep(PATIENCE)
        return "late"

    @tool(name="slow")
    async def slow_async() -> str:
        """Take long."""
        threading.Timer(0.2, os.kill, [os.getpid(), signal.SIGINT]).start()
        await asyncio.sleep(PATIENCE)
        return "late"

    openrouter.answers(calls(call("slow", {})), text("never"))
    chat: Chat = make(tools=[slow_async if awaits else slow], approve="always")
    before, started = signal.getsignal(signal.SIGINT), time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        chat("Hi")
    assert time.monotonic() - started < PATIENCE / 2
    assert len(openrouter.requests) == 1
    assert signal.getsignal(signal.SIGINT) is before


def test_parallel_tools_leave_the_handler_as_it_was(openrouter, make) -> None:
    @tool
    async def wait(seconds: float) -> str:
        """Wait."""
        await asyncio.sleep(seconds)
        sys.exit(1)

    openrouter.answers(
        calls(*(call("wait", {"seconds": s}, id=f"c{n}") for n, s in enumerate((0.05, 0.01, 0.03)))), text("Done.")
    )
    before = signal.getsignal(signal.SIGINT)
    assert asyncio.run(make(tools=[wait], approve="always").ask("Hi")).text == "Done."
    assert signal.getsignal(signal.SIGINT) is before


def report(summary: str) -> str:
    """Report."""
    return summary


@pytest.mark.parametrize(
    ("reason", "native"), [("tool_calls", "length"), ("tool_calls", "max_output_tokens"), ("length", "MAX_TOKENS")]
)
def test_a_call_that_the_token_limit_cut_ends_the_turn(openrouter, make, way: Way, caplog, reason, native) -> None:
    openrouter.answers(
        stream(
            tool_call("report", '{"summary":"The tide was', id="a"),
            finish(reason, native),
            usage(shape="null", cost=0.001),
            done(),
        )
    )
    reply = way.ask(make(tools=[report], approve="always"))
    assert len(openrouter.requests) == 1
    assert (reply.ending, reply.cost) == ("cut", 0.001)
    assert "raise max_tokens" in reply.warnings[0]
    assert "raise max_tokens" in caplog.text
    assert "raise max_tokens" in reply.messages[-1].tool_call_result.result


def test_whole_calls_beside_a_length_run(openrouter, make, way: Way) -> None:
    openrouter.answers(calls(call("report", {"summary": "High."}), finish_reason="length"), text("Done."))
    assert way.ask(make(tools=[report], approve="always")).text == "Done."


@pytest.mark.parametrize(
    "wrong",
    [call("report", '{"summary": '), call("report", {"sum": 1}), call("wind", {"port": "Hull"}), call("", "{}")],
    ids=["malformed", "misfit", "unknown", "nameless"],
)
def test_a_call_that_cannot_run_ends_the_turn_when_it_comes_again(openrouter, make, way: Way, wrong) -> None:
    openrouter.answers(calls(wrong, content="a"), calls(wrong, content="b"))
    reply = way.ask(make(tools=[report], approve="always"))
    assert len(openrouter.requests) == 2
    assert reply.ending == "repeated"
    assert "twice in a row" in reply.warnings[0]
    assert "2 responses cost $0.00008." in reply.warnings[0]


def test_a_call_that_is_wrong_in_another_way_may_go_on(openrouter, make, way: Way) -> None:
    openrouter.answers(
        calls(call("report", {"sum": 1})),
        calls(call("report", {"sum": 2})),
        calls(call("report", {"summary": "High."})),
        text("Done."),
    )
    assert way.ask(make(tools=[report], approve="always")).text == "Done."


def test_a_tool_loop_that_ends_tells_what_it_spent(openrouter, make, way: Way) -> None:
    openrouter.answers(*(calls(call("report", {"summary": str(n)})) for n in range(3)), text("Well."))
    reply = way.ask(make(tools=[report], approve="always", max_rounds=3))
    assert reply.ending == "max_rounds"
    assert reply.warnings == ["3 rounds are the limit. 4 responses cost $0.00016."]


def test_text_that_was_cut_is_no_loop(openrouter, make, way: Way) -> None:
    openrouter.answers(stream(event("The ti"), finish("length"), usage(), done()))
    assert way.ask(make(tools=[report], approve="always")).ending == "finished"
