"""What a person at a terminal is asked about a call, and what comes of each answer."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchat.chat.approval import Answer, Approve, Decision, Reject
from orchat.jupyter.kernel.output.terminal_approval import ask_in_terminal, call_as_text
from orchat.messages import ToolCall
from orchat.tools import Tool, create_tool_from_function, tool


@tool
def tide(port: str, days: int = 1) -> str:
    """Say when the tide is high."""
    raise AssertionError("nothing runs here")


CALL = ToolCall("tide", {"port": "Hull"}, "call_1")


def asked(
    *answers: str | type[BaseException], call: ToolCall = CALL, of: Tool = tide
) -> tuple[Decision | None, list[str], str]:
    """The decision, what was asked for, and what was written."""
    given, prompts, written = iter(answers), [], []

    def read(prompt: str) -> str:
        prompts.append(prompt)
        answer = next(given)
        if isinstance(answer, str):
            return answer
        raise answer

    decision = ask_in_terminal(call, of, read, written.append)
    assert next(given, None) is None
    return decision, prompts, "".join(written)


@pytest.mark.parametrize(
    ("answers", "decision"),
    [
        (["y"], Approve()),
        ([" YES "], Approve()),
        (["n", ""], Reject("")),
        (["no", " later "], Reject("later")),
        (["n later, please"], Reject("later, please")),
        (["a", "14:10"], Answer("14:10")),
        (["answer 14:10"], Answer("14:10")),
        (["", "?", "yy", "j", "n", "x"], Reject("x")),
        (["e", '{"port": "Goole"}', "y"], Approve({"port": "Goole"})),
        (['edit {"port": "Goole"}', "n", "no"], Reject("no")),
        (['e {"port": "Goole"}', 'e {"port": "Hull"}', "y"], Approve()),
        (['e {"port": "Hull", "days": 1}', "y"], Approve({"port": "Hull", "days": 1})),
        (["e {", "e [1]", "e 7", "e null", 'e "x"', 'e {"prot": "x"}', 'e {"port": 1}', "y"], Approve()),
        (["e " + "[" * 5_000, "y"], Approve()),
        ([EOFError], None),
        (["n", EOFError], None),
        (["e", EOFError], None),
        (["a", EOFError], None),
        ([NotImplementedError], None),
    ],
)
def test_each_answer_is_a_decision(answers: list[Any], decision: Decision | None) -> None:
    assert asked(*answers)[0] == decision


def test_an_interrupt_goes_through() -> None:
    with pytest.raises(KeyboardInterrupt):
        asked(KeyboardInterrupt)


def test_the_call_is_shown_before_the_question_and_again_when_it_changed() -> None:
    _, prompts, written = asked('e {"port": "Goole", "days": 2}', "y")
    first, second = written.strip().split("\n\n")
    assert first == 'tide wants to run with:\n{\n  "port": "Hull"\n}'
    assert second == 'tide wants to run with:\n{\n  "port": "Goole",\n  "days": 2\n}'
    assert prompts == ["Run it? [y]es, [n]o, [e]dit its arguments, [a]nswer in its place: "] * 2


def test_a_title_and_a_preview_are_told_and_follow_a_change() -> None:
    def preview(port: str, days: int = 1) -> str:
        return f"Looks **{port}** up\x1b[2J\u202e." if port != "York" else 1 / 0

    assert tide.function is not None
    told = create_tool_from_function(tide.function, title="Ask\nthe sea", preview=preview)
    _, _, written = asked('e {"port": "Goole"}', 'e {"port": "York"}', "y", of=told)
    parts = written.strip().split("\n\n")
    assert parts[0].startswith('Ask the sea: tide wants to run with:\n{\n  "port": "Hull"')
    said = ["Looks **Hull** up[2J.", "Looks **Goole** up[2J."]
    assert parts[1::2] == [*said, "There is no preview: ZeroDivisionError: division by zero"]


@pytest.mark.parametrize(
    ("text", "words"),
    [("{", "That is no JSON"), ('{"prot": "x"}', "port"), ('{"port": 1}', "string"), ("[1]", "object")],
)
def test_what_is_wrong_with_a_change_is_told_and_the_call_stays(text: str, words: str) -> None:
    decision, _, written = asked(f"e {text}", "y")
    assert words in written
    assert decision == Approve()
    assert CALL.arguments == {"port": "Hull"}


UNSEEN = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\xad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")


@given(st.text(), st.dictionaries(st.text(), st.text() | st.lists(st.text()), max_size=3))
def test_nothing_in_a_call_is_unseen(name: str, arguments: dict[str, Any]) -> None:
    written = call_as_text(name, arguments)
    assert not UNSEEN.search(written)
    written.encode()  # a terminal can write it


@pytest.mark.parametrize(
    "make",
    [
        lambda: {"code": "x\u00ad\u034f\u115f\u3164\ufe00\U000e0041\U000e01ef"},
        lambda: {"\u202ekey": "\ud800"},
        lambda: {"deep": [{"\u200b": "\u2066"}]},
    ],
)
def test_what_hides_is_written_as_what_it_is(make: Callable[[], dict[str, Any]]) -> None:
    written = call_as_text("tide", make())
    assert written.isascii()
    assert "\\u" in written


def test_a_change_to_an_equal_value_is_a_change() -> None:
    anything = Tool("t", "", {"type": "object"}, print)
    decision, _, _ = asked('e {"n": true}', "y", call=ToolCall("t", {"n": 1}, "call_1"), of=anything)
    assert decision == Approve({"n": True})
    assert isinstance(decision, Approve)
    assert decision.arguments is not None
    assert decision.arguments["n"] is True
