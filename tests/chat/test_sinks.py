"""Someone who shows a turn, and asks a person about its tool calls."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from orchat.chat import Answer, Approve, Reject
from orchat.chat.chat_dependencies import set_sink_factory
from orchat.chat.message_selection import CallPlace
from orchat.errors import OrchatError
from orchat.messages import ToolCall, ToolCallResult
from orchat.tools import Tool
from tests.chat.conftest import Make
from tests.chat.test_approval import OSLO, later
from tests.chat.test_tools import HULL, results
from tests.chat.tools import Log
from tests.chat.ways import Way
from tests.openrouter_server import ScriptedOpenRouter, call, calls, text
from tests.tools.test_tool_progress import THREE, WAYS, by_generator


@pytest.fixture
def log() -> Log:
    """What ran."""
    return Log()


class Watching:
    """A sink that keeps what it saw, and decides as told."""

    def __init__(self, verdict: Any) -> None:
        self.seen: list[Any] = []
        self.verdict = verdict

    def start(self, question: Any) -> None:
        self.seen.append(question.text if question else None)

    def add(self, chunk: Any) -> None:
        self.seen.append(chunk.content or chunk.tool_call_result)

    def ask(self, call: ToolCall, tool: Any, place: CallPlace) -> Any:
        self.seen.append((call.id, tool.name))
        if isinstance(self.verdict, BaseException):
            raise self.verdict
        return self.verdict() if callable(self.verdict) else self.verdict

    def end(self, reply: Any, error: Any) -> None:
        self.seen.append((reply.ending, type(error)))


@pytest.mark.parametrize("verdict", [True, lambda: later(Approve())])
def test_a_sink_sees_the_turn_and_asks(
    make: Make, way: Way, openrouter: ScriptedOpenRouter, log: Log, verdict: Any
) -> None:
    sink = Watching(verdict)
    chat = make(tools=[log.tide()])
    set_sink_factory(lambda asked: sink if asked is chat else None)
    try:
        openrouter.answers(calls(HULL), text("At 14:10."))
        way.ask(chat, "When?")
        way.stream(chat)  # shown by whoever iterates
    finally:
        set_sink_factory(None)
    assert sink.seen[0] == "When?"
    assert ("call_1", "tide") in sink.seen
    assert [getattr(each, "result", None) for each in sink.seen].count("Hull: 14:10") == 1
    assert sink.seen[-1] == ("finished", type(None))
    assert log.calls == [("Hull", 0)]


def test_what_is_shown_of_a_call_that_was_mended_is_what_runs(
    make: Make, way: Way, openrouter: ScriptedOpenRouter, log: Log
) -> None:
    shown: list[dict[str, Any]] = []

    class Showing(Watching):
        def called(self, calls: Any, indexes: Any) -> None:
            shown.extend(call.arguments for call in calls.values())

        def ask(self, call: ToolCall, tool: Any, place: CallPlace) -> Any:
            shown.append(call.arguments)
            return True

    set_sink_factory(lambda asked: Showing(None))
    try:
        openrouter.answers(calls(call("tide", {"port": "Hull", "hour": "3"})), text("At 14:10."))
        way.ask(make(tools=[log.tide()]))
    finally:
        set_sink_factory(None)
    assert shown == [{"port": "Hull", "hour": 3}] * 2
    assert log.calls == [("Hull", 3)]


@pytest.mark.parametrize("policy", [lambda call: None, lambda call: later(None), lambda call: later("ask")])
def test_a_policy_may_leave_it_to_the_sink(
    make: Make, way: Way, openrouter: ScriptedOpenRouter, log: Log, policy: Any
) -> None:
    sink = Watching(True)
    set_sink_factory(lambda asked: sink)
    try:
        openrouter.answers(calls(HULL), text("At 14:10."))
        assert way.ask(make(tools=[log.tide()], approve=policy)).text == "At 14:10."
    finally:
        set_sink_factory(None)
    assert ("call_1", "tide") in sink.seen


def test_a_sink_that_cannot_ask_parks_and_sees_the_turn_go_on(
    make: Make, way: Way, openrouter: ScriptedOpenRouter, log: Log
) -> None:
    sink = Watching(None)
    chat = make(tools=[log.tide()])
    set_sink_factory(lambda asked: sink)
    try:
        openrouter.answers(calls(HULL), text("At 14:10."))
        assert way.ask(chat).ending == "parked"
        way.resume(chat, {"call_1": True})
    finally:
        set_sink_factory(None)
    assert ("parked", type(None)) in sink.seen
    assert None in sink.seen  # a turn without a question
    assert sink.seen[-1] == ("finished", type(None))


@pytest.mark.parametrize(
    ("policy", "asked"),
    [
        ("ask", ["tide", "sign"]),
        ("always", ["sign"]),
        ("never", []),
        (lambda call: None, []),  # it may decide
        ({"sign": "never"}, ["tide"]),
        ({"tide": "never", "*": "always"}, ["sign"]),
    ],
)
def test_a_sink_is_told_what_it_will_be_asked_about(
    make: Make, way: Way, openrouter: ScriptedOpenRouter, log: Log, policy: Any, asked: list[str]
) -> None:
    class Asking(Tool):
        asks_always = True

    class Expecting(Watching):
        def expect(self, asked: Any) -> None:
            self.expected = [name for name in ("tide", "sign", "launch") if (tool := asked(name)) and tool.name == name]

    sink = Expecting(None)
    sign = Asking("sign", "Sign.", {"type": "object"}, lambda: None)
    set_sink_factory(lambda asked: sink)
    try:
        openrouter.answers(text("Hello."))
        way.ask(make(tools=[log.tide(), sign], approve=policy))
    finally:
        set_sink_factory(None)
    assert sink.expected == asked


def test_a_sink_that_fails_ends_the_turn(make: Make, way: Way, openrouter: ScriptedOpenRouter, log: Log) -> None:
    chat = make(tools=[log.tide()])
    set_sink_factory(lambda asked: Watching(OrchatError("The form is gone.")))
    try:
        openrouter.answers(calls(HULL))
        with pytest.raises(OrchatError, match="The form is gone"):
            way.ask(chat)
    finally:
        set_sink_factory(None)
    assert (log.calls, chat.messages[1].meta["ending"]) == ([], "failed")


def test_forms_are_open_side_by_side_and_close_with_the_turn(
    make: Make, openrouter: ScriptedOpenRouter, log: Log
) -> None:
    both, opened, closed = asyncio.Event(), [], []

    class Forms(Watching):
        async def ask(self, call: ToolCall, tool: Any, place: CallPlace) -> Any:
            opened.append(call.id)
            if len(opened) == 2:
                both.set()
            try:
                await asyncio.Event().wait()
            finally:
                closed.append(call.id)

    async def main() -> str:
        asking = asyncio.ensure_future(chat.ask("When?"))
        await both.wait()
        chat.stop()
        return (await asking).ending

    chat = make(tools=[log.tide()])
    set_sink_factory(lambda asked: Forms(None))
    try:
        openrouter.answers(calls(HULL, OSLO))
        assert asyncio.run(main()) == "stopped"
    finally:
        set_sink_factory(None)
    assert (closed, log.calls, chat.pending) == (["call_1", "call_2"], [], [])


def test_a_form_that_fails_closes_the_others(make: Make, openrouter: ScriptedOpenRouter, log: Log) -> None:
    closed = []

    async def decide(call: ToolCall) -> Any:
        if call.id == "call_1":
            raise OrchatError("The form is gone.")
        try:
            await asyncio.Event().wait()
        finally:
            closed.append(call.id)

    chat = make(tools=[log.tide()], approve=decide)
    openrouter.answers(calls(HULL, OSLO))

    async def main() -> None:
        with pytest.raises(OrchatError, match="The form is gone"):
            await chat.ask("When?")
        await asyncio.sleep(0)

    asyncio.run(main())
    assert (closed, log.calls) == (["call_2"], [])


MISFIT = 'The arguments do not fit the tool `tide`: port: 7 is not of type "string"'


@pytest.mark.parametrize(
    ("verdict", "told", "ran"),
    [
        (Approve(arguments={"port": "Oslo"}), "Oslo: 14:10", [("Oslo", 0)]),
        (Reject(), f"This call was rejected and did not run. {MISFIT}", []),
        (Reject("Not now."), "This call was rejected and did not run. Not now.", []),
        (Answer("Low."), "Low.", []),
        (None, MISFIT, []),  # where nobody answers it is told to the model, and nothing waits
    ],
)
@pytest.mark.parametrize(
    "wanted", [call("tide", {"port": 7}), call("tide", '{"port": 7, ')], ids=["misfit", "malformed"]
)
def test_a_call_that_does_not_fit_may_be_mended(
    make: Make, way: Way, openrouter: ScriptedOpenRouter, log: Log, wanted: Any, verdict: Any, told: str, ran: list[Any]
) -> None:
    class Mending(Watching):
        def expect(self, asked: Any) -> bool:
            return True

        def ask(self, call: ToolCall, tool: Tool, place: CallPlace) -> Any:
            assert (call.tool_name, tool.name) == ("tide", "tide")
            return self.verdict

    if wanted["function"]["arguments"].endswith(", "):
        told = told.replace(MISFIT, 'The arguments are no JSON object: {"port": 7,  Call the tool again, with one.')
    sink = Mending(verdict)
    set_sink_factory(lambda asked: sink)
    try:
        openrouter.answers(calls(wanted), text("I see."))
        reply = way.ask(make(tools=[log.tide()]))
    finally:
        set_sink_factory(None)
    assert (reply.text, reply.ending, log.calls) == ("I see.", "finished", ran)
    (said,) = results(openrouter)
    assert said.endswith(told)
    assert ("A person changed the arguments" in said) == bool(ran)
    if verdict is None:
        assert [each.result for each in sink.seen if isinstance(each, ToolCallResult)] == [told]


@pytest.mark.parametrize("policy", ["always", "never", lambda call: None])
def test_only_people_who_are_asked_anyway_mend_calls(
    make: Make, way: Way, openrouter: ScriptedOpenRouter, log: Log, policy: Any
) -> None:
    class Mending(Watching):
        def expect(self, asked: Any) -> bool:
            return True

        def ask(self, call: ToolCall, tool: Tool, place: CallPlace) -> Any:
            raise AssertionError("asked")

    set_sink_factory(lambda asked: Mending(None))
    try:
        openrouter.answers(calls(call("tide", {"port": 7})), text("I see."))
        way.ask(make(tools=[log.tide()], approve=policy))
    finally:
        set_sink_factory(None)
    assert results(openrouter) == [MISFIT]


class Sink(Watching):
    """Someone who shows progress, and whose page goes at its end."""

    def running(self, call: ToolCall, place: CallPlace, part: float | None, words: str) -> None:
        self.seen.append((place, part, words))
        if part == 1:
            raise OSError("the page is gone")


@pytest.mark.parametrize("function", WAYS)
def test_a_chat_shows_progress_and_a_page_that_is_gone_harms_nobody(
    make: Make, way: Way, openrouter: ScriptedOpenRouter, function: Any, caplog: pytest.LogCaptureFixture
) -> None:
    sink = Sink(True)
    chat = make(tools=[function])
    set_sink_factory(lambda asked: sink)
    try:
        openrouter.answers(calls(call(function.__name__, {"pages": 3})), text("Read."))
        assert way.ask(chat).text == "Read."
    finally:
        set_sink_factory(None)
    told = [each for each in sink.seen if isinstance(each, tuple) and isinstance(each[0], CallPlace)]
    first = 1 / 3 if function is not by_generator else None
    # What comes too soon after another is not shown, but for the end.
    assert told == [(CallPlace(0, 0), first, THREE[0]), (CallPlace(0, 0), 1.0, THREE[2])]
    assert "could not be shown" in caplog.text
    assert openrouter.request.json["messages"][-1]["content"] == "all there"
