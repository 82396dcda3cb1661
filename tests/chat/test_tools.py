"""Tools run when they may, and whatever happens the model can read what came of it."""

from __future__ import annotations

import asyncio
import json
import threading
from decimal import Decimal
from typing import Any

import pytest

from orchat.chat import Approve, Chat
from orchat.chat.money import Cost
from orchat.errors import ConfigurationError, ResponseLimitError
from orchat.messages import ImageContent, ToolCall
from orchat.tools import Tool, Toolset, tool
from tests.chat.conftest import Make
from tests.chat.tools import Log, broken, cancels_itself, chart, picky, thread
from tests.chat.ways import Way
from tests.openrouter_server import ScriptedOpenRouter, call, calls, text
from tests.patience import PATIENCE

HULL = call("tide", {"port": "Hull"})


@pytest.fixture
def log() -> Log:
    """What ran."""
    return Log()


def results(openrouter: ScriptedOpenRouter) -> list[Any]:
    """The tools' results in the latest request."""
    return [message["content"] for message in openrouter.request.json["messages"] if message["role"] == "tool"]


@pytest.mark.parametrize("kind", ["tide", "tide_async"])
def test_the_model_gets_what_its_call_returned(
    make: Make, way: Way, openrouter: ScriptedOpenRouter, log: Log, kind: str
) -> None:
    chat = make(tools=[getattr(log, kind)()], approve="always")
    openrouter.answers(calls(HULL, content="Let me see."), text("At 14:10."))
    reply = way.ask(chat)
    assert (reply.text, reply.ending, log.calls) == ("At 14:10.", "finished", [("Hull", 0)])
    assert results(openrouter) == ["Hull: 14:10"]
    assert [message.role.value for message in reply.messages] == ["user", "assistant", "tool", "assistant"]
    assert reply.messages[2].meta == {"decision": "approved"}
    assert [each.tool_name for each in reply.tool_calls] == ["tide"]
    assert openrouter.request.json["tools"][0]["function"]["name"] == "tide"


@pytest.mark.parametrize(
    ("written", "ran", "note"),
    [
        ({"port": "Hull", "hour": 3.0}, ("Hull", 3), "hour: number to integer"),
        ({"port": "Hull", "hour": "3"}, ("Hull", 3), "hour: string to integer"),
        ({"port": "Hull", "hour": None}, ("Hull", 0), "hour: null left out"),
    ],
)
def test_arguments_of_a_wrong_type_with_one_reading_are_mended_and_the_reply_says_so(
    make: Make, way: Way, openrouter: ScriptedOpenRouter, log: Log, written: Any, ran: Any, note: str
) -> None:
    asked: list[ToolCall] = []

    def approve(call: ToolCall) -> bool:
        asked.append(call)
        return True

    openrouter.answers(calls(call("tide", written)), text("At 14:10."), text("You are welcome."))
    chat = make(tools=[log.tide()], approve=approve)
    reply = way.ask(chat)
    meant = {name: value for name, value in zip(("port", "hour"), ran, strict=True) if written[name] is not None}
    assert repr(log.calls) == repr([ran])  # 3, not 3.0
    assert repr([each.arguments for each in asked]) == repr([meant])  # what was decided about is what ran
    (kept,) = reply.tool_calls
    assert (kept.arguments, json.loads(kept.mended_arguments or "")) == (meant, written)
    assert reply.warnings == [f"The arguments for `tide` were mended: {note}."]
    sent = openrouter.request.json["messages"][1]["tool_calls"][0]["function"]["arguments"]
    assert sent == json.dumps(meant)
    assert results(openrouter) == ["Hull: 14:10"]  # and no word of a person who changed something
    loaded = Chat.from_dict(json.loads(json.dumps(chat.to_dict())), chat.generator, tools=[log.tide()])
    assert loaded.messages[1].tool_calls == [kept]


def test_a_call_that_waits_shows_what_would_run(make: Make, way: Way, openrouter: ScriptedOpenRouter, log: Log) -> None:
    openrouter.answers(calls(call("tide", {"port": "Hull", "hour": "3"})), text("At 14:10."))
    chat = make(tools=[log.tide()])
    (waiting,) = way.ask(chat, park=True).pending
    assert waiting.arguments == {"port": "Hull", "hour": 3}
    way.resume(chat, {waiting.id: Approve()})
    assert log.calls == [("Hull", 3)]


def test_what_a_person_writes_is_not_mended_but_an_integer_is_one(
    make: Make, way: Way, openrouter: ScriptedOpenRouter, log: Log
) -> None:
    openrouter.answers(calls(HULL), text("At 14:10."))
    chat = make(tools=[log.tide()])
    (waiting,) = way.ask(chat, park=True).pending
    with pytest.raises(ConfigurationError, match='hour: "3" is not of type "integer"'):
        way.resume(chat, {waiting.id: Approve(arguments={"port": "Hull", "hour": "3"})})
    way.resume(chat, {waiting.id: Approve(arguments={"port": "Hull", "hour": 3.0})})
    assert repr(log.calls) == repr([("Hull", 3)])
    assert results(openrouter)[0].startswith("A person changed the arguments before the call ran. It ran with:")


def test_the_model_is_told_of_what_could_mean_two_things(
    make: Make, way: Way, openrouter: ScriptedOpenRouter, log: Log
) -> None:
    openrouter.answers(calls(call("tide", {"port": "Hull", "hour": "three"})), text("I see."))
    reply = way.ask(make(tools=[log.tide()], approve="always"))
    assert (log.calls, reply.warnings) == ([], [])
    assert results(openrouter) == ['The arguments do not fit the tool `tide`: hour: "three" is not of type "integer"']


def test_usage_and_cost_are_those_of_all_rounds(make: Make, way: Way, openrouter: ScriptedOpenRouter, log: Log) -> None:
    chat = make(tools=[log.tide()], approve="always")
    openrouter.answers(calls(HULL), text("At 14:10."))
    reply = way.ask(chat)
    first, second = (message.meta["usage"] for message in reply.messages if message.meta.get("usage"))
    assert reply.usage["prompt_tokens"] == first["prompt_tokens"] + second["prompt_tokens"]
    assert reply.usage["cost"] == reply.cost == 0.00008
    assert str(chat.cost) == "$0.00008"


def test_results_are_streamed_as_chunks(make: Make, way: Way, openrouter: ScriptedOpenRouter, log: Log) -> None:
    openrouter.answers(calls(HULL), text("At 14:10."))
    chunks, _ = way.stream(make(tools=[log.tide()], approve="always"))
    [result] = [chunk for chunk in chunks if chunk.tool_call_result]
    assert (result.tool_call_result.result, result.index, result.start) == ("Hull: 14:10", 0, True)
    assert result.meta["tool_call"].id == "call_1"
    assert "tool_call_results" in [chunk.finish_reason for chunk in chunks]


def test_a_call_that_cannot_run_is_streamed_as_a_result_too(
    make: Make, way: Way, openrouter: ScriptedOpenRouter, log: Log
) -> None:
    openrouter.answers(calls(call("tied", {}), HULL), text("At 14:10."))
    chunks, _ = way.stream(make(tools=[log.tide()], approve="always"))
    told, ran = [chunk.tool_call_result for chunk in chunks if chunk.tool_call_result]
    assert (told.result, told.error) == ("There is no tool `tied`. The tools are: tide.", True)
    assert ran.result == "Hull: 14:10"


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (call("tied", {}), "There is no tool `tied`. The tools are: tide."),
        (call("tide", {}), "The arguments do not fit the tool `tide`: port: is a required property"),
        (call("tide", {"port": 7}), 'The arguments do not fit the tool `tide`: port: 7 is not of type "string"'),
        (call("tide", '{"port": '), 'The arguments are no JSON object: {"port":  Call the tool again, with one.'),
    ],
    ids=["unknown", "missing", "wrong type", "malformed"],
)
def test_a_call_that_cannot_run_is_explained(
    make: Make, way: Way, openrouter: ScriptedOpenRouter, log: Log, wanted: Any, said: str
) -> None:
    asked: list[Any] = []
    chat = make(tools=[log.tide()], approve=asked.append)
    openrouter.answers(calls(wanted), text("Sorry."))
    reply = way.ask(chat)
    assert results(openrouter) == [said]
    assert reply.messages[2].tool_call_result.error  # type: ignore[union-attr]
    assert asked == log.calls == []  # nobody was bothered with it


def test_without_tools_that_is_said(make: Make, way: Way, openrouter: ScriptedOpenRouter) -> None:
    openrouter.answers(calls(HULL), text("Sorry."))
    way.ask(make())
    assert results(openrouter) == ["There is no tool `tide`. There are no tools."]


def test_what_a_tool_raises_is_told(make: Make, way: Way, openrouter: ScriptedOpenRouter) -> None:
    openrouter.answers(
        calls(call("broken", {"port": "Hull"}), call("picky", {"port": "Oslo"}, id="call_2")), text("Sorry.")
    )
    reply = way.ask(make(tools=[broken, picky], approve="always"))
    failed, refused = results(openrouter)
    assert failed == "The tool `broken` failed when called with {'port': 'Hull'}: OSError: no line to Hull"
    assert refused == "The tool `picky` refused. Oslo is abroad."
    assert [message.tool_call_result.error for message in reply.messages[2:4]] == [True, True]  # type: ignore[union-attr]


def test_a_tool_that_cancels_itself_ends_nothing(make: Make, way: Way, openrouter: ScriptedOpenRouter) -> None:
    openrouter.answers(calls(call("cancels_itself")), text("Sorry."))
    assert way.ask(make(tools=[cancels_itself], approve="always")).text == "Sorry."
    assert results(openrouter)[0].startswith("The tool `cancels_itself` failed: CancelledError")


def test_pictures_reach_the_model(make: Make, way: Way, openrouter: ScriptedOpenRouter) -> None:
    openrouter.answers(calls(call("chart")), text("Nice."))
    reply = way.ask(make(tools=[chart], approve="always"))
    [[part]] = results(openrouter)
    assert part["type"] == "image_url"
    assert isinstance(reply.messages[2].tool_call_result.result[0], ImageContent)  # type: ignore[union-attr,index]


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (None, '{"docs": ["a", "b"], "n": 2}'),
        ({"source": "docs"}, '["a", "b"]'),
        ({"source": "docs", "handler": "+".join}, "a+b"),
        ({"handler": len}, "2"),
        ({"source": "docs", "raw_result": True}, '["a", "b"]'),
        (
            {"found": {"source": "docs", "handler": "+".join}, "count": {"source": "n"}},
            '{"found": "a+b", "count": "2"}',
        ),
        ({"handler": lambda _: 1 / 0}, "The tool `find` failed: ZeroDivisionError: division by zero"),
    ],
)
def test_outputs_to_string_is_honoured(
    make: Make, way: Way, openrouter: ScriptedOpenRouter, config: Any, said: str
) -> None:
    find = Tool("find", "Find.", {"type": "object"}, lambda: {"docs": ["a", "b"], "n": 2}, outputs_to_string=config)
    openrouter.answers(calls(call("find")), text("There."))
    way.ask(make(tools=Toolset([find]), approve="always"))
    assert results(openrouter) == [said]


def test_long_results_are_bounded(make: Make, way: Way, openrouter: ScriptedOpenRouter) -> None:
    long = Tool("long", "Long.", {"type": "object"}, lambda: "word " * 100_000)
    openrouter.answers(calls(call("long")), text("Long."))
    way.ask(make(tools=[long], approve="always"))
    assert len(results(openrouter)[0]) < 60_000


def test_sync_tools_run_in_order_here_and_async_ones_at_once(
    make: Make, way: Way, openrouter: ScriptedOpenRouter
) -> None:
    meeting = threading.Barrier(2)
    order: list[str] = []

    @tool
    def meet(name: str) -> str:
        """Meet."""
        if way.is_async:
            meeting.wait(PATIENCE)  # passes only where both are there
        order.append(name)
        return name

    wanted = [call("meet", {"name": "a"}, id="1"), call("meet", {"name": "b"}, id="2")]
    openrouter.answers(calls(*wanted), text("Met."))
    way.ask(make(tools=[meet], approve="always"))
    assert results(openrouter) == ["a", "b"]
    assert sorted(order) == ["a", "b"] if way.is_async else order == ["a", "b"]


def test_where_a_sync_tool_runs(make: Make, way: Way, openrouter: ScriptedOpenRouter) -> None:
    openrouter.answers(calls(call("thread")), text("There."))
    way.ask(make(tools=[thread], approve="always"))
    assert results(openrouter) == [str(not way.is_async)]


def test_async_tools_of_a_turn_share_a_loop(make: Make, way: Way, openrouter: ScriptedOpenRouter) -> None:
    loops = set()

    @tool
    async def loop() -> str:
        """Remember the loop."""
        loops.add(asyncio.get_running_loop())
        return "ok"

    openrouter.answers(calls(call("loop"), call("loop", id="2")), calls(call("loop")), text("There."))
    way.ask(make(tools=[loop], approve="always"))
    assert len(loops) == 1


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "tide"}}])
@pytest.mark.parametrize("of_the_generator", [True, False])
def test_a_call_that_is_demanded_is_demanded_once(
    make: Make, way: Way, openrouter: ScriptedOpenRouter, log: Log, choice: Any, of_the_generator: bool
) -> None:
    openrouter.answers(calls(HULL), text("At 14:10."), text("Yes."))
    chat = make(tools=[log.tide()], approve="always")
    demanded = {"tool_choice": choice}
    if of_the_generator:
        chat.generator.generation_kwargs.update(demanded)
    way.ask(chat, generation_kwargs={} if of_the_generator else demanded)
    assert [request.json["tool_choice"] for request in openrouter.requests] == [choice, "auto"]
    way.ask(chat)
    assert openrouter.request.json.get("tool_choice") == (choice if of_the_generator else None)


def test_calls_again_and_again_end_with_an_answer(
    make: Make, way: Way, openrouter: ScriptedOpenRouter, log: Log
) -> None:
    openrouter.answers(calls(HULL), calls(HULL), calls(HULL), text("That is all I know."))
    chat = make(tools=[log.tide()], approve="always", max_rounds=3)
    reply = way.ask(chat)
    assert (reply.ending, reply.text, len(log.calls)) == ("max_rounds", "That is all I know.", 2)
    assert [request.json.get("tool_choice") for request in openrouter.requests] == [None, None, None, "none"]
    assert len(openrouter.request.json["tools"]) == 1
    assert results(openrouter)[-1] == "This call did not run: 3 rounds are the limit."
    assert "max_rounds" in repr(reply)
    assert reply.warnings == ["3 rounds are the limit. 4 responses cost $0.00016."]
    openrouter.always(text("Enough."))
    assert way.ask(chat, "Go on.").ending == "finished"


def test_who_calls_tools_all_the_same_is_not_asked_again(
    make, way: Way, openrouter: ScriptedOpenRouter, log: Log
) -> None:
    openrouter.always(calls(HULL))
    chat = make(tools=[log.tide()], approve="always", max_rounds=1, max_tool_runs=1)
    reply = way.ask(chat)
    assert (reply.ending, len(openrouter.requests), len(log.calls)) == ("max_rounds", 2, 0)
    assert chat.messages[-1].tool_call_result.result == "This call did not run: 1 rounds are the limit."


def test_a_plain_function_is_made_a_tool(make: Make, way: Way, openrouter: ScriptedOpenRouter) -> None:
    def tide(port: str) -> str:
        """Say when the tide is high."""
        return f"{port}: 14:10"

    openrouter.answers(calls(HULL), text("At 14:10."))
    reply = way.ask(make(tools=[tide], approve="always"))
    assert reply.messages[2].tool_call_result is not None
    assert reply.messages[2].tool_call_result.result == "Hull: 14:10"
    with pytest.raises(ConfigurationError, match="type hint"):
        make(tools=[lambda port: port])


def test_the_generators_tools_are_used_unless_others_are_given(
    make: Make, way: Way, openrouter: ScriptedOpenRouter, log: Log
) -> None:
    chat = make(approve="always")
    chat.generator.tools = [log.tide()]
    openrouter.answers(calls(HULL), text("There."))
    way.ask(chat)
    assert log.calls
    chat.tools = []
    way.ask(chat)
    assert "tools" not in openrouter.request.json


def test_a_tool_cannot_ask_the_chat_that_runs_it(make: Make, way: Way, openrouter: ScriptedOpenRouter) -> None:
    @tool
    def again() -> str:
        """Ask back."""
        return chat("And you?").text

    chat = make(tools=[again], approve="always")
    openrouter.answers(calls(call("again")), text("No."))
    way.ask(chat)
    assert "TurnInProgressError: The chat is busy" in results(openrouter)[0]


def test_a_turn_makes_so_many_calls_at_most(make: Make, way: Way, openrouter: ScriptedOpenRouter, log: Log) -> None:
    chat = make(tools=[log.tide()], approve="always", max_tool_runs=3)
    two = [call("tide", {"port": port}, id=port) for port in ("Hull", "Goole")]
    openrouter.answers(calls(*two), calls(*two, content="Again."), text("At 14:10."))
    with pytest.raises(ResponseLimitError, match=r"more than 3 tool calls in one turn\. .*max_tool_runs=6") as caught:
        way.ask(chat)
    assert len(log.calls) == 2
    assert caught.value.partial is not None
    assert caught.value.partial.text == "Again."
    roles = "user assistant tool tool assistant tool tool"
    assert " ".join(message.role.value for message in chat.messages) == roles
    assert "did not run: The turn is over a limit" in str(chat.messages[-1].tool_call_result)
    assert chat.messages[-3].meta["ending"] == "failed"
    assert chat.cost == Cost(Decimal("0.00008"))  # of both responses


def test_calls_count_from_the_question_on(make: Make, way: Way, openrouter: ScriptedOpenRouter, log: Log) -> None:
    chat = make(tools=[log.tide()], approve="ask", max_tool_runs=1)
    openrouter.answers(calls(HULL), calls(HULL))
    parked = way.ask(chat)
    with pytest.raises(ResponseLimitError):
        way.resume(chat, {parked.pending[0].id: True})
    assert len(log.calls) == 1
    for wrong in (0, -1, "3", 1.5, True, None):
        with pytest.raises(ConfigurationError, match=f"max_tool_runs={wrong!r} makes no sense. It is a whole number"):
            make(max_tool_runs=wrong)
