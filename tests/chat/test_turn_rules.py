"""What a chat's author adds to its turns: conditions that end them with an answer, hooks before and after calls."""

from __future__ import annotations

from typing import Any

import pytest

from orchat.chat import Answer, Approve, Reject, Reply, ResultStore, cost_limit, total_tokens_limit
from orchat.chat.tool_execution import ToolOutcome
from orchat.errors import ConfigurationError
from orchat.messages import ToolCall
from orchat.tools import ToolRejected, tool
from tests.chat.conftest import Make
from tests.chat.test_tools import HULL, Log, results
from tests.chat.ways import Way
from tests.openrouter_server import ScriptedOpenRouter, call, calls, text


@pytest.fixture
def log() -> Log:
    return Log()


def after_two(reply: Reply) -> bool:
    return len(reply.tool_calls) == 2


@pytest.mark.parametrize(
    ("conditions", "asked", "why"),
    [
        (["tide"], 2, "The tool `tide` was called."),
        (["launch", "tide"], 2, "The tool `tide` was called."),
        ([cost_limit(0.00007)], 3, r"The turn has cost $0.00008, and $0.00007 is the limit."),
        ([total_tokens_limit(1)], 2, "tokens, and 1 are the limit."),
        ([after_two], 3, "An exit condition holds."),
        (after_two, 3, "An exit condition holds."),
        ([lambda reply: None], 4, ""),
    ],
)
def test_an_exit_condition_ends_with_an_answer_without_tools(
    make: Make, way: Way, openrouter: ScriptedOpenRouter, log: Log, conditions: Any, asked: int, why: str
) -> None:
    responses = [*(calls(call("tide", {"port": str(n)})) for n in range(min(asked, 4) - 1)), text("So be it.")]
    openrouter.answers(*responses)
    reply = way.ask(make(tools=[log.tide()], approve="always", exit_conditions=conditions))
    choices = [request.json.get("tool_choice") for request in openrouter.requests]
    assert choices == [None] * (asked - 1) + ["none" if why else None]
    assert (reply.text, reply.ending) == ("So be it.", "exit_condition" if why else "finished")
    assert len(log.calls) == asked - 1  # each ran, and its result was sent
    assert why in "".join(reply.warnings)


@pytest.mark.parametrize("wrong", [[3], [None], ["tide", b"tide"]])
def test_what_is_no_exit_condition_is_refused(make: Make, wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="makes no sense"):
        make(exit_conditions=wrong)
    for limit, value in ((cost_limit, "much"), (cost_limit, -1), (total_tokens_limit, 0), (total_tokens_limit, 1.5)):
        with pytest.raises(ConfigurationError, match="is no limit"):
            limit(value)


def test_a_hook_changes_what_is_shown_and_runs(make: Make, way: Way, openrouter: ScriptedOpenRouter, log: Log) -> None:
    shown: list[Any] = []

    def decide(wanted: ToolCall) -> bool:
        shown.append(dict(wanted.arguments))
        return True

    def shout(wanted: ToolCall) -> dict[str, Any]:
        changed = {"port": wanted.arguments["port"].upper()}
        wanted.arguments.clear()  # it has a copy
        return changed

    openrouter.answers(calls(HULL), text("At 14:10."))
    chat = make(tools=[log.tide()], approve=decide, before_tool_call=shout)
    reply = way.ask(chat)
    assert shown == [{"port": "HULL"}]
    assert log.calls == [("HULL", 0)]
    sent = openrouter.request.json["messages"][-2]["tool_calls"][0]["function"]["arguments"]
    assert sent == '{"port": "HULL"}'
    assert reply.warnings == ["The arguments for `tide` were changed by before_tool_call."]
    assert reply.tool_calls[0].mended_arguments == '{"port": "Hull"}'


def refuse(wanted: ToolCall) -> None:
    raise ToolRejected("Not on a Sunday.")


@pytest.mark.parametrize(
    ("hook", "told"),
    [
        (lambda wanted: Reject("Not on a Sunday."), "This call was rejected and did not run. Not on a Sunday."),
        (refuse, "This call was rejected and did not run. Not on a Sunday."),
        (lambda wanted: False, "This call was rejected and did not run."),
        (lambda wanted: Answer({"high": "14:10"}), '{"high": "14:10"}'),
    ],
)
def test_a_hook_ends_a_call(make, way: Way, openrouter: ScriptedOpenRouter, log: Log, hook: Any, told: str) -> None:
    openrouter.answers(calls(HULL), text("Well."))
    reply = way.ask(make(tools=[log.tide()], approve="ask", before_tool_call=hook))
    assert (reply.ending, log.calls, results(openrouter)) == ("finished", [], [told])


@pytest.mark.parametrize("hook", [lambda wanted: None, lambda wanted: True, lambda wanted: Approve()])
def test_a_hook_cannot_approve(make: Make, way: Way, openrouter: ScriptedOpenRouter, log: Log, hook: Any) -> None:
    openrouter.answers(calls(HULL))
    reply = way.ask(make(tools=[log.tide()], approve="ask", before_tool_call=hook))
    assert (reply.ending, log.calls) == ("parked", [])


@pytest.mark.parametrize(
    ("hook", "error"),
    [
        (lambda wanted: {"port": 7}, r"before_tool_call: The arguments do not fit .*port"),
        (lambda wanted: "yes", "before_tool_call returned 'yes'"),
        (lambda wanted: 1 / 0, "division by zero"),
    ],
)
def test_a_hook_that_fails_lets_nothing_run(make, way: Way, openrouter, log: Log, hook: Any, error: str) -> None:
    openrouter.answers(calls(HULL))
    chat = make(tools=[log.tide()], approve="always", before_tool_call=hook)
    with pytest.raises((ConfigurationError, ZeroDivisionError), match=error):
        way.ask(chat)
    assert log.calls == []
    assert "This call has not run." in str(chat.messages[-1].tool_call_result)


def test_a_hook_replaces_a_result(make: Make, way: Way, openrouter: ScriptedOpenRouter, log: Log) -> None:
    seen: list[Any] = []

    def after(ran: ToolCall, result: Any) -> Any:
        seen.append((ran.tool_name, ran.arguments, result))
        return {"short": True} if ran.arguments["port"] == "Oslo" else None

    two = [call("tide", {"port": "Hull"}, id="a"), call("tide", {"port": "Bergen"}, id="b")]
    openrouter.answers(calls(*two), text("Well."))

    def decide(wanted: ToolCall) -> Approve:
        return Approve({"port": "Oslo"}) if wanted.arguments["port"] == "Bergen" else Approve()

    way.ask(make(tools=[log.tide()], approve=decide, after_tool_call=after))
    assert sorted(seen, key=str) == [
        ("tide", {"port": "Hull"}, "Hull: 14:10"),
        ("tide", {"port": "Oslo"}, "Oslo: 14:10"),
    ]
    first, second = results(openrouter)
    assert first == "Hull: 14:10"
    assert second.endswith('{"short": true}')  # behind the note that a person changed the arguments


def test_a_hook_after_a_call_that_fails_leaves_the_turn_sendable(make, way: Way, openrouter, log: Log) -> None:
    openrouter.answers(calls(HULL))
    chat = make(tools=[log.tide()], approve="always", after_tool_call=lambda ran, result: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        way.ask(chat)
    assert log.calls
    assert "what it did is not known" in str(chat.messages[-1].tool_call_result)
    openrouter.answers(text("Yes?"))
    chat.hooks = type(chat.hooks)()
    assert way.ask(chat).text == "Yes?"


async def later(wanted: ToolCall) -> None: ...


def test_a_hook_is_a_plain_function(make: Make) -> None:
    for name in ("before_tool_call", "after_tool_call"):
        for wrong in (later, 3):
            with pytest.raises(ConfigurationError, match=f"{name}=.* makes no sense"):
                make(**{name: wrong})


def test_no_hook_sees_a_call_that_cannot_run(make: Make, way: Way, openrouter: ScriptedOpenRouter) -> None:
    @tool
    def count(number: int) -> str:
        """Count."""
        return str(number)

    seen: list[Any] = []
    openrouter.answers(calls(call("count", {"number": "many"})), calls(call("count", {"number": "7"})), text("7."))
    way.ask(make(tools=[count], approve="always", before_tool_call=lambda wanted: seen.append(wanted.arguments)))
    assert seen == [{"number": 7}]


def lines(start: int, end: int) -> str:
    return "".join(f"line {number}\n" for number in range(start, end))


@tool
def table(kind: str) -> Any:
    """Return a lot."""
    return lines(0, 2_000) if kind == "text" else [{"line": number} for number in range(2_000)]


def test_of_a_long_result_the_model_gets_the_head_and_reads_on(make: Make, way: Way, openrouter) -> None:
    store = ResultStore(head=1_000, page=5_000)
    read = [call("read_result", {"result": "result_1", "start": at}, id=str(at)) for at in (1_000, 16_000, 99_999)]
    openrouter.answers(calls(call("table", {"kind": "text"})), calls(*read), text("Read."))
    chat = make(tools=[table], approve="always", result_store=store)
    assert way.ask(chat).text == "Read."
    assert [each["function"]["name"] for each in openrouter.request.json["tools"]] == ["table", "read_result"]
    whole = lines(0, 2_000)
    head, first, second, none = results(openrouter)
    note = f'[The first 1,000 of {len(whole):,} characters. Read on with read_result(result="result_1", start=1000).]'
    assert head == f"{whole[:1_000]}\n{note}"
    assert first.startswith(whole[1_000:6_000])
    assert first.endswith('Read on with read_result(result="result_1", start=6000).]')
    assert second == whole[16_000:]
    assert none == f"result_1 ends before: it has {len(whole):,} characters."


def test_long_data_is_kept_as_json_and_short_results_stay(make: Make, way: Way, openrouter, log: Log) -> None:
    store = ResultStore(head=200)
    two = [call("table", {"kind": "data"}, id="a"), call("tide", {"port": "Hull"}, id="b")]
    openrouter.answers(calls(*two), text("Read."))
    way.ask(make(tools=[table, log.tide()], approve="always", result_store=store))
    data, tide = results(openrouter)
    assert data.startswith('[{"line": 0}, {"line": 1}')
    assert "The first 200 of " in data
    assert tide == "Hull: 14:10"


def test_reading_on_is_decided_about_as_any_call(make: Make, way: Way, openrouter: ScriptedOpenRouter) -> None:
    openrouter.answers(calls(call("read_result", {"result": "result_1"})))
    reply = way.ask(make(tools=[table], result_store=ResultStore()))
    assert reply.ending == "parked"


def test_a_kept_result_has_no_secrets_and_the_oldest_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchat.chat.result_store._MOST_CHARACTERS", 1_000)
    store = ResultStore(head=100)
    key = "sk-or-v1-" + "0123456789abcdef" * 4
    for at in range(3):
        store.shorten(ToolOutcome("", value=f"{at} {'x' * 90} {key} {'y' * 300}"))
    told = store.read_result.invoke(result="result_1")
    assert told.startswith("There is no result 'result_1'")
    assert "result_2, result_3" in told
    kept = store.read_result.invoke(result="result_3")
    assert key not in kept
    assert "[redacted]" in kept
    for wrong in (0, 99, 1.5, True, "all"):
        with pytest.raises(ConfigurationError, match="makes no sense"):
            ResultStore(head=wrong)
