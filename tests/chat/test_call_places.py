"""Calls are told apart by their place in the turn: ids that repeat, clash or are missing join no two of them."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchat.chat import Answer, Approve, Reject
from orchat.chat.message_selection import CallPlace, answered_calls, waiting_calls
from orchat.chat.tool_execution import ToolOutcome
from orchat.chat.turn import Turn
from orchat.chat.turn_steps import AskApproval, RunTools
from orchat.errors import ConfigurationError
from orchat.message_assembly import MessageAssembler, RawCall, assemble_tool_calls
from orchat.messages import ChatMessage, ChatRole, ToolCall
from orchat.streaming import StreamingChunk, ToolCallDelta
from orchat.tools import Tool
from tests.chat.conftest import Make
from tests.chat.ways import Way
from tests.openrouter_server import ScriptedOpenRouter, call, calls, event, finish, fragment, stream, text, usage

NAMES = ("tide", "wipe")
IDS = st.sampled_from([None, "", "call_0", "call_1"])


def tools(ran: list[Any]) -> dict[str, Tool]:
    """Tools that write down which of them ran, and with what."""

    def made(name: str) -> Tool:
        def run(port: str) -> str:
            ran.append((name, port))
            return f"{name} at {port}"

        schema = {"type": "object", "properties": {"port": {"type": "string"}}, "required": ["port"]}
        return Tool(name, "Do it.", schema, run)

    return {name: made(name) for name in NAMES}


@given(st.lists(st.lists(st.tuples(st.sampled_from(NAMES), IDS), max_size=3), max_size=4), st.data())
def test_each_decision_is_about_its_own_call_and_each_result_stands_with_it(
    responses: list[list[tuple[str, str | None]]], data: st.DataObject
) -> None:
    turn = Turn([ChatMessage.from_user("Go")], tools([]), max_rounds=25)
    expected: dict[CallPlace, str] = {}
    for number, wanted in enumerate(responses):
        made = [ToolCall(name, {"port": f"{number}/{at}"}, given) for at, (name, given) in enumerate(wanted)]
        assert turn.responded(ChatMessage.from_assistant("Well.", tool_calls=made)) == {}
        if not made:
            break
        step = turn.step()
        assert isinstance(step, AskApproval)
        assert list(step.calls.values()) == made
        decisions = {place: data.draw(st.sampled_from([Approve(), Reject("no")])) for place in step.calls}
        turn.decided(decisions)
        for place, decision in decisions.items():
            if isinstance(decision, Reject):
                expected[place] = "This call was rejected and did not run. no"
        if isinstance(step := turn.step(), RunTools):
            for run in data.draw(st.permutations(step.runs)):
                assert run.call is made[run.place.number]
                expected[run.place] = f"{run.call.tool_name} at {run.arguments['port']}"
                turn.started(run.place)
                turn.returned(run.place, ToolOutcome(expected[run.place]))
    results = [message.tool_call_result for message in turn.messages if message.is_from(ChatRole.TOOL)]
    assert [each.result for each in results if each] == [expected[place] for place in sorted(expected)]
    assert list(answered_calls(turn.messages).values()) == sorted(expected)


def test_waiting_calls_with_one_id_are_not_mistaken_for_each_other() -> None:
    made = [ToolCall("tide", {"port": "Hull"}, "call_0"), ToolCall("wipe", {"port": "Hull"}, "call_0")]
    turn = Turn([ChatMessage.from_user("Go")], tools([]))
    turn.responded(ChatMessage.from_assistant(tool_calls=made))
    turn.decided(dict.fromkeys([CallPlace(0, 0), CallPlace(0, 1)]))
    turn.step()
    assert (turn.reply.ending, list(turn.reply.pending)) == ("parked", made)
    again = Turn(turn.messages, tools([]))
    with pytest.raises(ConfigurationError, match="2 waiting tool calls have the id 'call_0': tide, wipe"):
        again.resume({"call_0": Approve()})
    assert waiting_calls(again.messages) == dict(zip([(0, 0), (0, 1)], made, strict=True))
    again.resume({CallPlace(0, 1): Answer("kept")})
    again.resume({"call_0": Approve()})  # now only one waits
    step = again.step()
    assert isinstance(step, RunTools)
    assert [run.call for run in step.runs] == made[:1]
    assert again.messages[3].tool_call_result.result == "kept"  # type: ignore[union-attr]


def test_a_waiting_call_without_an_id_is_decided_about() -> None:
    turn = Turn([ChatMessage.from_user("Go")], tools([]))
    turn.responded(ChatMessage.from_assistant(tool_calls=[ToolCall("tide", {"port": "Hull"})]))
    turn.decided({CallPlace(0, 0): None})
    with pytest.raises(ConfigurationError, match=r"No tool call 'call_0' waits for a decision\. These do: None\."):
        turn.resume({"call_0": Approve()})
    turn.resume({None: Reject()})
    assert waiting_calls(turn.messages) == {}


def test_a_result_that_fits_no_call_joins_none() -> None:
    made, other = ToolCall("tide", {}, "a"), ToolCall("wipe", {}, "b")
    said = [ChatMessage.from_assistant(tool_calls=[made]), *(ChatMessage.from_tool("", each) for each in (other, made))]
    assert answered_calls(said) == {1: (0, 1), 2: (0, 0)}
    assert answered_calls(said[1:]) == {0: (0, 0), 1: (0, 1)}


def test_an_id_that_we_make_is_never_one_that_came() -> None:
    def made(number: int) -> str:
        return "call_" + hashlib.sha256(f"gen-1/{number}/wipe/{{}}".encode()).hexdigest()[:24]

    found = assemble_tool_calls([RawCall(made(1), "tide", "{}"), RawCall(None, "wipe", "{}")], salt="gen-1")
    assert found[0].id == made(1)
    assert len({call.id for call in found}) == 2


def test_a_fold_tells_in_which_pieces_each_call_came() -> None:
    fold = MessageAssembler()
    for index, name in ((4, "tide"), (1, "wipe"), (2, "wipe")):
        delta = ToolCallDelta(index, name, "{}", id="same")
        fold.add(StreamingChunk("", index=index, tool_calls=[delta]))
    assert [
        (each.tool_name, index) for each, index in zip(fold.message().tool_calls, fold.call_indexes, strict=True)
    ] == [
        ("wipe", 1),
        ("tide", 4),
    ]


def written(*pieces: dict[str, Any]) -> Any:
    return stream(*(event(None, tool_calls=[piece]) for piece in pieces), finish("tool_calls"), usage())


def test_whatever_ids_an_endpoint_gives_what_was_shown_is_what_ran(
    make: Make, way: Way, openrouter: ScriptedOpenRouter
) -> None:
    ran: list[Any] = []
    asked: list[tuple[str, str]] = []

    def approve(wanted: ToolCall) -> bool:
        asked.append((wanted.tool_name, wanted.arguments["port"]))
        return wanted.tool_name == "tide"

    openrouter.answers(
        calls(call("tide", {"port": "a"}, id="call_0")),
        calls(call("wipe", {"port": "b"}, id="call_0")),  # counted anew in each response
        calls(call("tide", {"port": "c"}, id="x"), call("wipe", {"port": "d"}, id="x")),  # twice in one
        written(  # none, and one that changes on the way
            fragment("tide", '{"port": ', index=0),
            fragment("wipe", '{"port": "f"}', index=1, id="y"),
            fragment(arguments='"e"}', index=0, id="z"),
        ),
        text("Done."),
    )
    reply = way.ask(make(tools=list(tools(ran).values()), approve=approve))
    assert sorted(asked) == [("tide", "a"), ("tide", "c"), ("tide", "e"), ("wipe", "b"), ("wipe", "d"), ("wipe", "f")]
    assert sorted(ran) == [("tide", "a"), ("tide", "c"), ("tide", "e")]
    answered = [message.tool_call_result for message in reply.messages if message.tool_call_result]
    assert [(each.origin.tool_name, each.origin.arguments["port"], each.error) for each in answered] == [
        ("tide", "a", False),
        ("wipe", "b", True),
        ("tide", "c", False),
        ("wipe", "d", True),
        ("tide", "e", False),
        ("wipe", "f", True),
    ]
    assert [each.result for each in answered if not each.error] == ["tide at a", "tide at c", "tide at e"]
