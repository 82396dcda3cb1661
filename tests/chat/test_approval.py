"""Nothing runs that nobody allowed: policies, decisions, parked turns."""

from __future__ import annotations

import copy
import dataclasses
import json
from typing import Any

import pytest

from orchat.chat import Answer, Approve, Chat, Reject, ask
from orchat.errors import ConfigurationError
from orchat.openrouter.generator import OpenRouterChatGenerator
from orchat.tools import Tool, Toolset, tool
from tests.chat.conftest import Make
from tests.chat.test_tools import HULL, results
from tests.chat.tools import Log, chart
from tests.chat.ways import Way, check_sendable
from tests.openrouter_server import ScriptedOpenRouter, call, calls, text

OSLO = call("tide", {"port": "Oslo"}, id="call_2")


@pytest.fixture
def log() -> Log:
    """What ran."""
    return Log()


async def later(verdict: Any) -> Any:
    """Decide, some time."""
    return verdict


# -- policies -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "approve",
    ["always", lambda call: True, lambda call: Approve(), lambda call: later(True), {"tide": "always", "*": "never"}],
)
def test_what_a_policy_allows_runs(
    make: Make, way: Way, openrouter: ScriptedOpenRouter, log: Log, approve: Any
) -> None:
    openrouter.answers(calls(HULL), text("There."))
    assert way.ask(make(tools=[log.tide()], approve=approve)).text == "There."
    assert log.calls == [("Hull", 0)]


@pytest.mark.parametrize(
    ("approve", "said"),
    [
        ("never", "This call was rejected and did not run. This tool may not be used."),
        (lambda call: False, "This call was rejected and did not run."),
        (lambda call: Reject(f"Not {call.arguments['port']}."), "This call was rejected and did not run. Not Hull."),
        (lambda call: later("never"), "This call was rejected and did not run. This tool may not be used."),
        ({"*": "never"}, "This call was rejected and did not run. This tool may not be used."),
        (lambda call: Answer({"at": 14}), '{"at": 14}'),
    ],
)
def test_what_a_policy_forbids_does_not_and_the_model_knows(
    make: Make, way: Way, openrouter: ScriptedOpenRouter, log: Log, approve: Any, said: str
) -> None:
    openrouter.answers(calls(HULL), text("Sorry."))
    assert way.ask(make(tools=[log.tide()], approve=approve)).text == "Sorry."
    assert (results(openrouter), log.calls) == ([said], [])


@pytest.mark.parametrize("verdict", [1, "yes", {}, Approve], ids=str)
@pytest.mark.parametrize("wait", [False, True])
def test_what_is_not_understood_lets_nothing_run(
    make: Make, way: Way, openrouter: ScriptedOpenRouter, log: Log, verdict: Any, wait: bool
) -> None:
    chat = make(tools=[log.tide()], approve=lambda call: later(verdict) if wait else verdict)
    openrouter.answers(calls(HULL))
    with pytest.raises(ConfigurationError, match="is no decision"):
        way.ask(chat)
    assert log.calls == []
    check_sendable(chat.messages)
    assert chat.messages[-1].tool_call_result.result == "This call did not run: the turn failed."  # type: ignore[union-attr]


def test_a_policy_that_raises_lets_nothing_run(make: Make, way: Way, openrouter: ScriptedOpenRouter, log: Log) -> None:
    chat = make(tools=[log.tide()], approve=lambda call: 1 / 0)  # type: ignore[arg-type,return-value]
    openrouter.answers(calls(HULL, OSLO))
    with pytest.raises(ZeroDivisionError):
        way.ask(chat)
    assert (log.calls, chat.pending) == ([], [])


# -- tools that ask always ------------------------------------------------------------------------------------------


class Careful(Tool):
    """A tool each of whose calls is decided about."""

    asks_always = True


def careful(log: Log) -> Tool:
    """The tide, asked about each time."""
    plain = log.tide()
    return Careful(plain.name, plain.description, plain.parameters, plain.function)


@pytest.mark.parametrize(
    "approve",
    [
        "always",
        {"*": "always"},
        {"tide": "always"},
        lambda call: True,
        lambda call: "always",
        lambda call: later(True),
        lambda call: later("always"),
        {"tide": lambda call: True},
    ],
)
def test_what_asks_always_runs_by_no_blanket_policy(
    make: Make, way: Way, openrouter: ScriptedOpenRouter, log: Log, approve: Any
) -> None:
    chat = make(tools=[careful(log)], approve=approve)
    openrouter.answers(calls(HULL), text("Sorry."), calls(HULL), text("There."))
    assert way.ask(chat, park=False).text == "Sorry."
    assert results(openrouter) == ["This call was rejected and did not run. Nobody can be asked about it here."]
    reply = way.ask(chat)
    assert (reply.ending, log.calls) == ("parked", [])
    assert way.resume(chat, {"call_1": True}).text == "There."
    assert log.calls == [("Hull", 0)]


@pytest.mark.parametrize("wait", [False, True])
def test_what_asks_always_runs_by_a_decision_about_this_call(
    make: Make, way: Way, openrouter: ScriptedOpenRouter, log: Log, wait: bool
) -> None:
    def decide(tool_call: Any) -> Any:
        decision = Approve() if tool_call.arguments["port"] == "Hull" else Reject("Too far.")
        return later(decision) if wait else decision

    openrouter.answers(calls(HULL, OSLO), text("There."))
    assert way.ask(make(tools=[careful(log)], approve=decide)).text == "There."
    assert log.calls == [("Hull", 0)]


def test_what_asks_always_still_obeys_never(make: Make, way: Way, openrouter: ScriptedOpenRouter, log: Log) -> None:
    openrouter.answers(calls(HULL), text("Sorry."))
    assert way.ask(make(tools=[careful(log)], approve="never")).text == "Sorry."
    assert log.calls == []


@pytest.mark.parametrize("verdict", [1, "yes"], ids=str)
def test_nonsense_is_an_error_there_too(
    make: Make, way: Way, openrouter: ScriptedOpenRouter, log: Log, verdict: Any
) -> None:
    openrouter.answers(calls(HULL))
    with pytest.raises(ConfigurationError, match="is no decision"):
        way.ask(make(tools=[careful(log)], approve=lambda call: later(verdict)))
    assert log.calls == []


def test_a_dictionary_does_not_take_the_question_away() -> None:
    plain = careful(Log())
    for copied in (copy.copy(plain), dataclasses.replace(plain), Tool.adopt(plain), *Toolset([plain])):
        assert copied.asks_always
    data = Tool("tide", "Tell.", {"type": "object"}, print).to_dict()
    assert Tool.from_dict(data | {"asks_always": True}).asks_always is False
    data["data"]["asks_always"] = False  # nothing that a dictionary may say
    with pytest.raises(TypeError):
        Careful.from_dict(data)
    del data["data"]["asks_always"]
    assert Careful.from_dict(data).asks_always


# -- parking --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("approve", ["ask", {"other": "always"}, lambda call: None, lambda call: later("ask")])
def test_where_nobody_can_be_asked_the_turn_parks(
    make: Make, way: Way, openrouter: ScriptedOpenRouter, log: Log, approve: Any
) -> None:
    chat = make(tools=[log.tide()], approve=approve)
    openrouter.answers(calls(HULL, OSLO), text("There."))
    reply = way.ask(chat)
    assert (reply.ending, [each.id for each in reply.pending]) == ("parked", ["call_1", "call_2"])
    assert list(reply.pending) == chat.pending
    assert log.calls == []
    check_sendable(chat.messages)
    reply = way.resume(chat, {"call_1": Approve(), "call_2": Reject("Too far.")})
    assert (reply.text, reply.pending, log.calls) == ("There.", (), [("Hull", 0)])
    assert results(openrouter) == ["Hull: 14:10", "This call was rejected and did not run. Too far."]
    assert [message.role.value for message in reply.messages] == ["user", "assistant", "tool", "tool", "assistant"]


def test_decisions_may_come_one_by_one(make: Make, way: Way, openrouter: ScriptedOpenRouter, log: Log) -> None:
    chat = make(tools=[log.tide()])
    openrouter.answers(calls(HULL, OSLO), text("There."))
    way.ask(chat)
    reply = way.resume(chat, {"call_2": True})
    assert ([each.id for each in reply.pending], log.calls) == (["call_1"], [("Oslo", 0)])
    assert len(openrouter.requests) == 1
    assert way.resume(chat, {"call_1": Answer("14:10")}).text == "There."
    assert results(openrouter) == ["14:10", "Oslo: 14:10"]
    assert [m.meta.get("decision") for m in chat.messages[2:4]] == ["answered", "approved"]


def test_some_run_while_others_wait(make: Make, way: Way, openrouter: ScriptedOpenRouter, log: Log) -> None:
    chat = make(tools=[log.tide(), chart], approve={"tide": "always"})
    openrouter.answers(calls(HULL, call("chart", id="call_2")), text("There."))
    reply = way.ask(chat)
    assert ([each.tool_name for each in reply.pending], log.calls) == (["chart"], [("Hull", 0)])
    assert way.resume(chat, {"call_2": True}).text == "There."


def test_a_person_may_change_the_arguments_and_the_model_is_told(
    make: Make, way: Way, openrouter: ScriptedOpenRouter, log: Log
) -> None:
    chat = make(tools=[log.tide(), chart])
    openrouter.answers(calls(HULL, call("chart", id="call_2")), text("There."))
    way.ask(chat)
    way.resume(chat, {"call_1": Approve({"port": "Grimsby", "hour": 3}), "call_2": Approve({})})
    assert log.calls == [("Grimsby", 3)]
    note = 'A person changed the arguments before the call ran. It ran with: {"port": "Grimsby", "hour": 3}'
    assert results(openrouter)[0] == f"{note}\n\nGrimsby: 14:10"
    assistant, result = openrouter.request.json["messages"][1:3]
    assert json.loads(assistant["tool_calls"][0]["function"]["arguments"]) == {"port": "Hull"}  # as the model said it
    assert result["tool_call_id"] == "call_1"
    assert chat.messages[2].meta == {"decision": "edited", "arguments": {"port": "Grimsby", "hour": 3}}
    assert chat.messages[3].meta == {"decision": "approved"}  # nothing was changed


def test_parts_keep_the_note(make: Make, way: Way, openrouter: ScriptedOpenRouter) -> None:
    openrouter.answers(calls(call("chart")), text("There."))
    chat = make(tools=[chart])
    chart.parameters["additionalProperties"] = True
    way.ask(chat)
    chat.tools = [type(chart)("chart", "Draw.", {"type": "object"}, lambda **_: chart.invoke())]
    way.resume(chat, {"call_1": Approve({"colour": "red"})})
    note, picture = results(openrouter)[0]
    assert "changed the arguments" in note["text"]
    assert picture["type"] == "image_url"


@pytest.mark.parametrize("changed", [1.0, True])
def test_a_number_of_another_kind_is_a_change(
    make: Make, way: Way, openrouter: ScriptedOpenRouter, changed: Any
) -> None:
    @tool
    def wait(days: Any) -> str:
        """Wait."""
        return f"{days!r}"

    openrouter.answers(calls(call("wait", {"days": 1}, id="call_1")), text("Done."))
    chat = make(tools=[wait])
    way.ask(chat)
    reply = way.resume(chat, {"call_1": Approve(arguments={"days": changed})})
    result = next(message.tool_call_result for message in reply.messages if message.tool_call_result is not None)
    assert "A person changed the arguments" in str(result.result)
    assert str(result.result).endswith(f"{changed!r}")


def test_changed_arguments_are_checked_before_anything_runs(
    make: Make, way: Way, openrouter: ScriptedOpenRouter, log: Log
) -> None:
    chat = make(tools=[log.tide()])
    openrouter.answers(calls(HULL, OSLO), text("There."))
    way.ask(chat)
    before = chat.to_dict()
    with pytest.raises(ConfigurationError, match="port: 7 is not of type"):
        way.resume(chat, {"call_1": True, "call_2": Approve({"port": 7})})
    assert (log.calls, chat.to_dict()) == ([], before)
    assert way.resume(chat, {"call_1": True, "call_2": True}).text == "There."


def test_decisions_that_make_no_sense_change_nothing(
    make: Make, way: Way, openrouter: ScriptedOpenRouter, log: Log
) -> None:
    chat = make(tools=[log.tide()])
    openrouter.answers(calls(HULL))
    way.ask(chat)
    before = chat.to_dict()
    for decisions, said in [
        ({"call_7": True}, "No tool call 'call_7' waits for a decision. These do: call_1."),
        ({}, "There is no decision to go on with"),
        ({"call_1": None}, "There is no decision to go on with"),
        ({"call_1": "yes"}, "'yes' is no decision"),
    ]:
        with pytest.raises(ConfigurationError, match=said):
            way.resume(chat, decisions)
    assert chat.to_dict() == before
    chat.reset()
    with pytest.raises(ConfigurationError, match="None does"):
        way.resume(chat, {"call_1": True})


def test_a_tool_that_is_gone_cannot_be_approved_but_rejected(
    make: Make, way: Way, openrouter: ScriptedOpenRouter, log: Log
) -> None:
    chat = make(tools=[log.tide()])
    openrouter.answers(calls(HULL), text("Sorry."))
    way.ask(chat)
    chat.tools = []
    with pytest.raises(ConfigurationError, match="The tool `tide` is not there"):
        way.resume(chat, {"call_1": True})
    assert way.resume(chat, {"call_1": False}).text == "Sorry."


def test_a_new_question_passes_the_waiting_calls_over(
    make: Make, way: Way, openrouter: ScriptedOpenRouter, log: Log
) -> None:
    chat = make(tools=[log.tide()])
    openrouter.answers(calls(HULL), text("Fine."))
    way.ask(chat)
    assert way.ask(chat, "Never mind.").text == "Fine."
    assert results(openrouter) == ["This call did not run: nobody decided about it."]
    assert (chat.pending, log.calls) == ([], [])


def test_a_question_that_fails_leaves_the_calls_waiting(
    make: Make, way: Way, openrouter: ScriptedOpenRouter, log: Log
) -> None:
    chat = make(tools=[log.tide()])
    openrouter.answers(calls(HULL))
    way.ask(chat)
    with pytest.raises(ConfigurationError):
        way.ask(chat, generation_kwargs={"n": 2})
    assert [each.id for each in chat.pending] == ["call_1"]
    chat.undo()
    assert chat.pending == []


def test_undo_takes_a_parked_turn_back(make: Make, way: Way, openrouter: ScriptedOpenRouter, log: Log) -> None:
    chat = make(tools=[log.tide()])
    openrouter.answers(calls(HULL))
    way.ask(chat)
    assert [message.role.value for message in chat.undo()] == ["user", "assistant", "tool"]
    assert chat.messages == []


def test_where_a_turn_may_not_park_the_call_is_rejected(
    make: Make, way: Way, openrouter: ScriptedOpenRouter, log: Log
) -> None:
    openrouter.answers(calls(HULL), text("Sorry."))
    assert way.ask(make(tools=[log.tide()]), park=False).text == "Sorry."
    assert results(openrouter) == ["This call was rejected and did not run. Nobody can be asked about it here."]
    assert log.calls == []


def test_a_single_question_never_parks(
    generator: OpenRouterChatGenerator, openrouter: ScriptedOpenRouter, log: Log
) -> None:
    openrouter.answers(calls(HULL), text("Sorry."))
    assert ask("When?", generator, tools=[log.tide()]).text == "Sorry."
    assert log.calls == []


def test_a_chat_restored_without_a_generator_connects_when_asked() -> None:
    chat = Chat.from_dict({"format": "orchat", "version": 1, "model": "vendor/m"})
    assert chat.model == "vendor/m"


def test_what_was_shown_runs_though_the_tool_plays_with_it(
    make: Make, way: Way, openrouter: ScriptedOpenRouter
) -> None:
    @tool
    def drain(ports: list[str]) -> str:
        """Empty a list."""
        ports.clear()
        return "done"

    chat = make(tools=[drain], approve="always")
    openrouter.answers(calls(call("drain", {"ports": ["Hull"]})), text("Done."))
    way.ask(chat)
    assert chat.messages[1].tool_calls[0].arguments == {"ports": ["Hull"]}
