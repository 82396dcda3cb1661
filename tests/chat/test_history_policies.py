"""History policies: what is sent, what stays in the chat, and that nobody is left in the dark."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from orchat.chat import SummarizeOlder, drop_tool_results, last_turns
from orchat.errors import ConfigurationError
from orchat.messages import ChatMessage
from orchat.tools import tool
from tests.chat.conftest import Make
from tests.chat.ways import Way
from tests.openrouter_server import ScriptedOpenRouter, call, calls, text


def sent(openrouter: ScriptedOpenRouter) -> list[str]:
    """The last request's messages, as ``role: text``."""
    return [f"{message['role']}: {message['content']}" for message in openrouter.request.json["messages"]]


@tool
def table() -> str:
    """Return a lot."""
    return "row " * 300


def test_only_the_last_turns_are_sent(make: Make, way: Way, openrouter: ScriptedOpenRouter) -> None:
    chat = make(system="Be brief.", history=last_turns(1))
    openrouter.answers(*(text(f"answer {n}") for n in range(4)))
    warnings = [way.ask(chat, f"question {n}").warnings for n in range(4)]
    assert sent(openrouter) == [
        "system: Be brief.", "user: question 2", "assistant: answer 2", "user: question 3",
    ]  # fmt: skip
    assert warnings == [
        [], [], ["2 of 5 earlier messages were not sent."], ["4 of 7 earlier messages were not sent."],
    ]  # fmt: skip
    assert len(chat.messages) == 9


def test_old_tool_results_are_replaced_in_a_copy(make: Make, way: Way, openrouter: ScriptedOpenRouter) -> None:
    chat = make(tools=[table], approve="always", history=[drop_tool_results(keep_turns=1)])
    openrouter.answers(calls(call("table")), text("A lot."), calls(call("table")), text("Again."), text("Well."))
    first, second, third = (way.ask(chat, f"question {n}") for n in range(3))
    tools = [line for line in sent(openrouter) if line.startswith("tool: ")]
    assert tools[0] == "tool: [A result of 1,200 characters was left out here.]"
    assert tools[1].startswith("tool: row row")
    assert (first.warnings, second.warnings) == ([], [])  # the turn before the last is still whole
    assert third.warnings == ["1 of 8 earlier messages was not sent, 1 changed or new one in their place."]
    results = [str(m.tool_call_result.result) for m in chat.messages if m.tool_call_result is not None]
    assert all(result.startswith("row row") for result in results)


def test_a_note_is_told_once_in_a_turn(make: Make, way: Way, openrouter: ScriptedOpenRouter) -> None:
    chat = make(tools=[table], approve="always", history=last_turns(0))
    openrouter.answers(text("Hello."), calls(call("table")), text("A lot."))
    way.ask(chat, "Hi")
    assert way.ask(chat, "Rows?").warnings == ["2 of 2 earlier messages were not sent."]
    assert sent(openrouter)[0] == "user: Rows?"


def test_older_turns_are_summarized_and_summaries_go_on(make: Make, way: Way, openrouter: ScriptedOpenRouter) -> None:
    asked: list[list[str | None]] = []
    threads: list[threading.Thread] = []

    def summarize(messages: list[ChatMessage]) -> str:
        asked.append([message.text for message in messages])
        threads.append(threading.current_thread())
        return f"summary {len(asked)}"

    chat = make(history=SummarizeOlder(summarize, keep_turns=1, every=2))
    openrouter.answers(*(text(f"a{n}") for n in range(6)))
    replies = [way.ask(chat, f"q{n}") for n in range(6)]
    first = "[A summary of the conversation before this]\nsummary 1"
    assert asked == [["q0", "a0", "q1", "a1"], [first, "q2", "a2", "q3", "a3"]]
    second = first.replace("1", "2")
    assert sent(openrouter) == [f"user: {second}", "user: q4", "assistant: a4", "user: q5"]
    assert [bool(reply.warnings) for reply in replies] == [False, False, False, True, True, True]
    assert replies[3].warnings == ["4 of 6 earlier messages were not sent, 1 changed or new one in their place."]
    assert (threading.main_thread() in threads) is not way.is_async
    chat.messages = chat.messages[:4]  # another history: nothing of the old one is told
    openrouter.answers(text("a"))
    way.ask(chat, "q")
    assert sent(openrouter)[0] == "user: q0"


def test_a_policy_of_ones_own_is_a_function(make: Make, way: Way, openrouter: ScriptedOpenRouter) -> None:
    def shout(messages: list[ChatMessage]) -> list[ChatMessage]:
        return [ChatMessage.from_user((message.text or "").upper()) for message in messages]

    chat = make(history=[last_turns(1), shout])
    openrouter.answers(text("hello"), text("bye"))
    way.ask(chat, "hi")
    reply = way.ask(chat, "and?")
    assert sent(openrouter) == ["user: HI", "user: HELLO", "user: and?"]
    assert reply.warnings == ["2 of 2 earlier messages were not sent, 2 changed or new ones in their place."]


def test_a_policy_that_fails_sends_nothing(make: Make, way: Way, openrouter: ScriptedOpenRouter) -> None:
    chat = make(history=lambda messages: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        way.ask(chat, "hi")
    assert (openrouter.requests, chat.messages) == ([], [])


@pytest.mark.parametrize(
    "wrong",
    [lambda: last_turns(-1), lambda: drop_tool_results(keep_turns=1.5), lambda: SummarizeOlder("short")],  # type: ignore[arg-type]
)
def test_what_makes_no_sense_is_refused(make: Make, wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="makes no sense"):
        wrong()
    with pytest.raises(ConfigurationError, match="history=3 makes no sense"):
        make(history=[3])
