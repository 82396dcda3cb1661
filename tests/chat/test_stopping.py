"""However a turn ends before its time: what arrived is kept and stamped, and the next question can be asked."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from orchat.chat import Chat, Reply
from orchat.chat.chat_dependencies import set_sink_factory
from orchat.errors import APIConnectionError, OutputValidationError
from orchat.tools import Tool, tool
from tests.chat.conftest import Make
from tests.chat.test_sinks import Watching
from tests.chat.test_tools import HULL, results
from tests.chat.tools import Log
from tests.chat.ways import Way
from tests.openrouter_server import (
    ScriptedOpenRouter,
    call,
    calls,
    comment,
    error_event,
    event,
    finish,
    hold,
    reasoning,
    stream,
    text,
    tool_call,
)
from tests.patience import PATIENCE, stretched, wait_until


def soon(action: Callable[[], object], delay: float = 0.1) -> threading.Thread:
    """Do something from another thread, a little later."""
    thread = threading.Timer(delay, action)
    thread.start()
    return thread


def wait_for_text(chat: Chat, openrouter: ScriptedOpenRouter) -> None:
    """Wait until what is scripted of the answer is on its way, and a moment longer."""
    openrouter.wait_for_requests(1)
    assert wait_until(lambda: openrouter.request.pieces_sent)
    time.sleep(stretched(0.1))


# -- stop -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "items",
    [[event("The ")], [comment(), comment()], [reasoning("Hm.")]],
    ids=["mid-stream", "before the first token", "while it thinks"],
)
def test_stop_ends_the_turn_and_closes_the_connection(
    chat: Chat, way: Way, openrouter: ScriptedOpenRouter, items: Any
) -> None:
    openrouter.answers(stream(*items).ending("stall"), text("Again."))
    stopper = threading.Thread(target=lambda: (wait_for_text(chat, openrouter), chat.stop()))
    stopper.start()
    started = time.monotonic()
    reply = way.ask(chat, "Name a river.")
    assert time.monotonic() - started < stretched(2)
    stopper.join()
    assert openrouter.request.client_closed.wait(PATIENCE)
    assert reply.ending == "stopped"
    assert reply.text == ("The " if items == [event("The ")] else "")
    assert way.ask(chat, "Again?").text == "Again."
    assert str(chat.cost) == "$0.00004 + 1 unknown"
    kept = chat.messages[:-2]
    assert [m.meta.get("ending") for m in kept] == ([] if "comment" in str(items) or not kept else [None, "stopped"])


def test_stop_from_another_task(chat: Chat, openrouter: ScriptedOpenRouter) -> None:
    openrouter.answers(stream(event("The ")).ending("stall"))

    async def main() -> tuple[Reply, int]:
        asking = asyncio.ensure_future(chat.ask("Hi"))
        await asyncio.to_thread(wait_for_text, chat, openrouter)
        chat.stop()
        chat.stop()
        reply = await asking
        return reply, asking.cancelling()

    reply, cancelling = asyncio.run(main())
    assert (reply.text, reply.ending, cancelling) == ("The ", "stopped", 0)


def test_stop_between_two_chunks(chat: Chat, way: Way, openrouter: ScriptedOpenRouter) -> None:
    openrouter.answers(text("One two three"))
    seen = []

    async def main() -> Reply:
        async with chat.stream_async("Hi") as stream:
            async for chunk in stream:
                seen.append(chunk.content)
                chat.stop()
                await asyncio.sleep(0)  # ours to await: a stop must not cancel it
        return stream.reply

    if way.is_async:
        reply = way.runner.run(main())
    else:
        with chat.stream("Hi") as stream:
            for chunk in stream:
                seen.append(chunk.content)
                chat.stop()
        reply = stream.reply
    assert (seen, reply.text, reply.ending) == (["One"], "One", "stopped")


def test_stop_before_and_after_a_turn_is_nothing(chat: Chat, way: Way) -> None:
    chat.stop()
    assert way.ask(chat).ending == "finished"
    chat.stop()
    assert way.ask(chat).ending == "finished"


def test_stop_while_a_tool_runs(make: Make, way: Way, openrouter: ScriptedOpenRouter) -> None:
    began, go_on = threading.Event(), threading.Event()

    @tool
    def slow(port: str) -> str:
        """Wait."""
        began.set()
        go_on.wait(PATIENCE)
        return "14:10"

    def stop() -> None:
        began.wait(PATIENCE)
        chat.stop()
        if not way.is_async:  # a tool in this thread is waited for
            go_on.set()

    chat = make(tools=[slow], approve="always")
    wanted = [call("slow", {"port": "Hull"}), call("slow", {"port": "Oslo"}, id="call_2")]
    openrouter.answers(calls(*wanted), text("Well."))
    stopper = soon(stop, 0)
    reply = way.ask(chat)
    stopper.join()
    go_on.set()
    assert (reply.ending, len(openrouter.requests)) == ("stopped", 1)
    assert way.ask(chat, "Well?").text == "Well."
    cut = "This call was cut off, and what it did is not known: the answer was stopped by a person."
    assert results(openrouter) == (
        [cut, cut] if way.is_async else ["14:10", "This call did not run: the answer was stopped by a person."]
    )


def test_a_stop_during_a_foreign_cancellation_does_not_hide_it(chat: Chat, openrouter: ScriptedOpenRouter) -> None:
    openrouter.answers(stream(event("The ")).ending("stall"))

    async def main() -> None:
        asking = asyncio.ensure_future(chat.ask("Hi"))
        await asyncio.to_thread(wait_for_text, chat, openrouter)
        chat.stop()
        asking.cancel()
        await asking

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())


# -- leaving --------------------------------------------------------------------------------------------------------


def test_leaving_the_loop_stops_the_turn(chat: Chat, way: Way, openrouter: ScriptedOpenRouter) -> None:
    openrouter.answers(stream(event("One "), event("two")).ending("stall"), text("Again."))
    chunks, reply = way.stream(chat, leave_after=1)
    assert (len(chunks), reply.text, reply.ending) == (1, "One ", "stopped")
    assert openrouter.request.client_closed.wait(PATIENCE)
    assert way.ask(chat).text == "Again."


# -- interruption ---------------------------------------------------------------------------------------------------


def interrupt(way: Way, chat: Chat, openrouter: ScriptedOpenRouter) -> None:
    """Ask, and be interrupted as a kernel or a terminal does it."""

    def press() -> None:
        wait_for_text(chat, openrouter)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    waiter = threading.Thread(target=press)
    waiter.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            way.ask(chat)
    finally:
        waiter.join()


def test_an_interrupt_keeps_what_arrived(chat: Chat, way: Way, openrouter: ScriptedOpenRouter) -> None:
    openrouter.answers(stream(reasoning("Hm."), event("The ")).ending("stall"), text("Again."))
    interrupt(way, chat, openrouter)
    assert openrouter.request.client_closed.wait(PATIENCE)
    last = chat.messages[-1]
    assert (last.text, last.meta["ending"], last.reasoning.reasoning_text) == ("The ", "interrupted", "Hm.")  # type: ignore[union-attr]
    way.ask(chat, "Again?")
    assistant = openrouter.request.json["messages"][1]
    assert assistant == {"role": "assistant", "content": "The "}  # no detail without its signature


def test_an_interrupt_before_the_first_token_leaves_nothing(
    chat: Chat, way: Way, openrouter: ScriptedOpenRouter
) -> None:
    openrouter.answers(stream(comment()).ending("stall"))
    interrupt(way, chat, openrouter)
    assert (chat.messages, chat.cost.unknown) == ([], 1)


def test_a_cancelled_task_is_an_interruption(chat: Chat, openrouter: ScriptedOpenRouter) -> None:
    openrouter.answers(stream(event("The ")).ending("stall"))

    async def main() -> None:
        async with asyncio.timeout(stretched(0.3)):
            await chat.ask("Hi")

    with pytest.raises(TimeoutError):
        asyncio.run(main())
    assert chat.messages[-1].meta["ending"] == "interrupted"
    assert openrouter.request.client_closed.wait(PATIENCE)


def test_an_interrupt_while_a_tool_runs_answers_its_call(make: Make, openrouter: ScriptedOpenRouter) -> None:
    def press() -> None:
        signal.raise_signal(signal.SIGINT)

    chat = make(tools=[Tool("press", "Ctrl-C.", {"type": "object"}, press)], approve="always")
    openrouter.answers(calls(call("press"), call("press", id="call_2")), text("Well."))
    with pytest.raises(KeyboardInterrupt):
        chat("Hi")
    assert chat.messages[1].meta["ending"] == "interrupted"
    chat("Well?")
    assert results(openrouter) == [
        "This call was cut off, and what it did is not known: the answer was interrupted.",
        "This call did not run: the answer was interrupted.",
    ]


def test_an_interrupt_while_a_sink_paints_is_one(chat: Chat, openrouter: ScriptedOpenRouter) -> None:
    class Slow(Watching):
        def add(self, chunk: Any) -> None:
            raise KeyboardInterrupt

    openrouter.answers(text("The Humber."))
    sink = Slow(None)
    set_sink_factory(lambda asked: sink)
    try:
        with pytest.raises(KeyboardInterrupt):
            chat("Hi")
    finally:
        set_sink_factory(None)
    assert (chat.messages[-1].text, chat.messages[-1].meta["ending"]) == ("The", "interrupted")
    assert sink.seen[-1] == ("interrupted", KeyboardInterrupt)


def test_an_interrupt_leaves_the_others_waiting(make: Make, openrouter: ScriptedOpenRouter) -> None:
    def press() -> None:
        signal.raise_signal(signal.SIGINT)

    chat = make(tools=[Tool("press", "Ctrl-C.", {"type": "object"}, press), Log().tide()])
    openrouter.answers(calls(call("press", id="call_7"), HULL), text("There."))
    chat("Hi")
    with pytest.raises(KeyboardInterrupt):
        chat.resume({"call_7": True})
    assert [each.id for each in chat.pending] == ["call_1"]
    assert chat.resume({"call_1": True}).text == "There."


# -- failures -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        stream(event("The "), error_event(502)),
        stream(event("The ")).ending("reset"),
        stream(event("The "), tool_call("tide", '{"po', id="call_1")).ending("eof"),
    ],
    ids=["error", "reset", "cut call"],
)
def test_a_failure_keeps_what_arrived(make: Make, way: Way, openrouter: ScriptedOpenRouter, answer: Any) -> None:
    log = Log()
    chat = make(tools=[log.tide()], approve="always")
    openrouter.answers(answer, text("Again."))
    with pytest.raises(Exception, match=r".") as caught:
        way.ask(chat, "Hi")
    assert caught.value.partial.text == "The "  # type: ignore[attr-defined]
    assert [(m.text, m.meta.get("ending")) for m in chat.messages] == [("Hi", None), ("The ", "failed")]
    assert log.calls == []
    assert chat.cost.unknown == 1
    assert way.ask(chat, "Again?").text == "Again."


def test_a_failure_in_a_later_round_keeps_the_results(make: Make, way: Way, openrouter: ScriptedOpenRouter) -> None:
    log = Log()
    chat = make(tools=[log.tide()], approve="always")
    broken = stream(comment()).ending("eof")  # the second time it was asked for its reason
    openrouter.answers(calls(HULL), broken, broken, text("At 14:10."))
    with pytest.raises(APIConnectionError):
        way.ask(chat)
    assert [m.role.value for m in chat.messages] == ["user", "assistant", "tool"]
    assert chat.messages[1].meta["ending"] == "failed"
    assert way.ask(chat, "And?").text == "At 14:10."
    assert results(openrouter) == ["Hull: 14:10"]


def test_an_answer_that_does_not_fit_the_format_is_kept(chat: Chat, way: Way, openrouter: ScriptedOpenRouter) -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "river", "schema": {"type": "object"}}}
    openrouter.answers(text("no JSON"), text('{"name": "Humber"}'))
    with pytest.raises(OutputValidationError):
        way.ask(chat, generation_kwargs={"response_format": schema})
    assert (chat.messages[-1].text, chat.messages[-1].meta["ending"]) == ("no JSON", "failed")
    assert str(chat.cost) == "$0.00004"
    assert way.ask(chat, generation_kwargs={"response_format": schema}).parsed == {"name": "Humber"}


def test_an_empty_answer_is_an_answer_but_not_sent_again(chat: Chat, way: Way, openrouter: ScriptedOpenRouter) -> None:
    openrouter.answers(stream(event(""), finish("length")), text("Again."))
    reply = way.ask(chat)
    assert (reply.text, reply.finish_reason, reply.ending) == ("", "length", "finished")
    way.ask(chat, "Again?")
    assert [m["role"] for m in openrouter.request.json["messages"]] == ["user", "user"]


def test_the_stop_reaches_an_answer_that_has_not_begun(chat: Chat, openrouter: ScriptedOpenRouter) -> None:
    gate = threading.Event()
    openrouter.answers(stream(comment(), hold(threading.Event())).held(gate))
    stopper = threading.Thread(
        target=lambda: (openrouter.wait_for_requests(1), chat.stop(), gate.set())  # the head comes after the stop
    )
    stopper.start()
    assert chat("Hi").ending == "stopped"
    stopper.join()
