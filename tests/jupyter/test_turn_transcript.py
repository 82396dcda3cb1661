"""A turn as people read it: thoughts, words and calls in their order, harmless whatever a model wrote."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchat.jupyter.kernel.output.markdown_sanitizer import LONE_DOLLAR
from orchat.jupyter.kernel.output.turn_transcript import TurnTranscript, call_text, result_text
from orchat.messages import ChatMessage, ImageContent, ReasoningContent, TextContent, ToolCall, ToolCallResult
from orchat.streaming import StreamingChunk, ToolCallDelta

CALL = ToolCall("tide", {"port": "Hull"}, "call_1")
HOSTILE = "<img src=x onerror=alert(1)> [x](javascript:y) `*_\n# b | c\x1b[2J\u202e"


def chunks() -> list[StreamingChunk]:
    return [
        StreamingChunk("", index=0, reasoning=ReasoningContent("Which ")),
        StreamingChunk("", index=0, reasoning=ReasoningContent("port?")),
        StreamingChunk("I look "),
        StreamingChunk("it up."),
        StreamingChunk("", index=0, tool_calls=[ToolCallDelta(0, "tide", id="call_1")]),
        StreamingChunk("", index=0, tool_calls=[ToolCallDelta(0, arguments='{"port": "Hull"}')]),
        StreamingChunk("", index=0, tool_call_result=ToolCallResult("14:10", CALL, error=False)),
        StreamingChunk("At 14:10."),
    ]


def test_calls_go_on_until_their_own_results_come_and_the_next_response_begins() -> None:
    growing = TurnTranscript()
    for at, name in enumerate(("tide", "wipe", "tide", "wipe")):  # the last one came twice, and has no result
        growing.add(StreamingChunk("", index=0, tool_calls=[ToolCallDelta(at, name, "{}", id="same")]))
    shown = []
    for name in ("wipe", "tide", "tide"):
        result = ToolCallResult("Done.", ToolCall(name, {}, "same"), error=False)
        growing.add(StreamingChunk("", index=0, tool_call_result=result))
        shown.append(growing.markdown().rpartition("> ")[2])
    assert shown == ["*calls tide, tide, wipe …*", "*calls tide, wipe …*", "*calls wipe …*"]
    growing.add(StreamingChunk("", index=0, tool_calls=[ToolCallDelta(0, "depth", "{}", id="same")]))
    assert growing.markdown().endswith("> *calls depth …*")
    assert growing.markdown().count("Done.") == 3


def test_a_call_without_a_name_says_so() -> None:
    nameless = ChatMessage.from_tool("There is no tool.", ToolCall("", {"port": "Hull"}, "a"), error=True)
    cut = ChatMessage.from_assistant(None, {"cut_calls": [{"tool_name": "", "arguments": "{"}]})
    assert TurnTranscript([nameless, cut]).markdown().splitlines()[::2] == [
        '> *a call that names no tool* (port="Hull") → There is no tool.',
        "> *a call that names no tool* ({ … was still being written",
    ]


def test_what_grows_ends_as_what_is_kept() -> None:
    growing = TurnTranscript()
    assert (bool(growing), growing.markdown(), growing.plain()) == (False, "", "")
    shown = [(growing.add(chunk), growing.markdown())[1] for chunk in chunks()]
    assert shown[0] == "> *Reasoning … Which*"
    assert shown[4].endswith("I look it up.\n\n> *calls tide …*")
    assert shown[5] == shown[4]
    whole = TurnTranscript(
        [
            ChatMessage.from_user("When?"),
            ChatMessage.from_assistant("I look it up.", tool_calls=[CALL], reasoning=ReasoningContent("Which port?")),
            ChatMessage.from_tool("14:10", CALL),
            ChatMessage.from_assistant("At 14:10."),
        ]
    )
    assert (
        growing.markdown()
        == whole.markdown()
        == (
            "> *Reasoning (11 characters): Which port?*\n\nI look it up.\n\n"
            '> **tide**(port="Hull") → 14:10\n\nAt 14:10.'
        )
    )
    assert growing.plain() == whole.plain() == 'I look it up.\n\ntide(port="Hull") → 14:10\n\nAt 14:10.'
    assert len(growing) == len("I look it up.At 14:10.")


def test_what_cannot_be_seen_changes_nothing() -> None:
    turn = TurnTranscript()
    assert not turn.add(StreamingChunk(""))
    assert not turn.add(StreamingChunk("", index=0, tool_calls=[ToolCallDelta(0, arguments="{")]))
    assert turn.add(StreamingChunk("", index=0, tool_calls=[ToolCallDelta(0, "tide")]))


@pytest.mark.parametrize("form", ["markdown", "text", "code", "json"])
def test_calls_look_the_same_in_each_form(form: str) -> None:
    assert '> **tide**(port="Hull") → 14:10' in TurnTranscript([ChatMessage.from_tool("14:10", CALL)]).markdown(form)


@given(st.text(), st.text(), st.dictionaries(st.text(max_size=5), st.text(), max_size=3))
@example("", "$$", {})
def test_a_call_is_one_line_whatever_is_in_it(name: str, result: str, arguments: dict[str, Any]) -> None:
    call = ToolCall(name, arguments, "call_1")
    for text in (call_text(call), result_text(ToolCallResult(result, call, error=False))):
        assert len(text.splitlines()) <= 1
        assert not any(each in text for each in "\x00\x07\x1b\x9b\u202e\u2066")
    markdown = TurnTranscript([ChatMessage.from_tool(result, call)]).markdown()
    assert len(markdown.splitlines()) == 1
    assert "<" not in markdown.replace(LONE_DOLLAR, "$")


def test_hostile_names_arguments_and_results_are_words() -> None:
    call = ToolCall(HOSTILE, {"a": HOSTILE}, "call_1")
    shown = TurnTranscript([ChatMessage.from_tool(HOSTILE, call), ChatMessage.from_assistant(HOSTILE)]).markdown()
    assert "<img" not in shown
    assert not re.search(r"(?<!\\)\]\(", shown)
    assert "\x1b" not in shown + TurnTranscript([ChatMessage.from_assistant(HOSTILE)]).plain()
    growing = TurnTranscript()
    growing.add(StreamingChunk("", index=0, tool_calls=[ToolCallDelta(0, HOSTILE)]))
    growing.add(StreamingChunk("", index=0, reasoning=ReasoningContent(HOSTILE)))
    assert "<img" not in growing.markdown()


@pytest.mark.parametrize(
    ("result", "shown"),
    [
        ("x" * 9_000, "x" * 159 + "…"),
        ("", "nothing"),
        ([TextContent("Look:"), ImageContent("R0lGODlhAQABAAAAACw=", "image/gif")], "Look: [image]"),
    ],
)
def test_results_are_short(result: Any, shown: str) -> None:
    assert result_text(ToolCallResult(result, CALL, error=False)) == f'tide(port="Hull") → {shown}'


def test_arguments_that_are_long_or_malformed_are_short() -> None:
    assert len(call_text(ToolCall("run", {"code": "x" * 9_000, "n": 1}))) < 100
    malformed = ToolCall("run", {}, "call_1", {"malformed_arguments": '{"code": ' + "x" * 9_000})
    assert call_text(malformed).startswith('run({"code": xxx')
    assert len(call_text(malformed)) <= 200


def test_a_call_that_waits_or_was_changed_says_so() -> None:
    waits = ChatMessage.from_tool("It waits.", CALL, error=True, meta={"pending": True})
    assert TurnTranscript([waits]).plain() == 'tide(port="Hull") → waits for your decision'
    note = "A person changed the arguments before the call ran. It ran with: {}"
    meta = {"decision": "edited", "arguments": {"port": "Goole"}}
    edited = ChatMessage.from_tool(f"{note}\n\n15:00", CALL, meta=meta)
    assert TurnTranscript([edited]).plain() == 'tide (edited)(port="Goole") → 15:00'
    parts = ChatMessage.from_tool([TextContent(note), TextContent("15:00")], CALL, meta=meta)
    assert TurnTranscript([parts]).plain() == 'tide (edited)(port="Goole") → 15:00'
    # What a file says of a decision is only words.
    odd = ChatMessage.from_tool("15:00", CALL, meta={"decision": "edited", "arguments": "x"})
    assert TurnTranscript([odd]).plain() == 'tide(port="Hull") → 15:00'


def test_a_live_thought_shows_its_end_and_a_past_one_its_beginning() -> None:
    turn = TurnTranscript()
    words = [f"word{number} " for number in range(1_000)]
    for each in words:
        turn.add(StreamingChunk("", index=0, reasoning=ReasoningContent(each)))
    assert "word999" in turn.markdown()
    assert len(turn.markdown()) < 300
    turn.add(StreamingChunk("Yes."))
    assert "word0 " in turn.markdown()
    assert f"({len(''.join(words)):,} characters)" in turn.markdown()
    assert json.dumps(turn.plain()) == '"Yes."'


def test_a_call_that_was_cut_is_shown_as_far_as_it_was_written() -> None:
    cut = [
        {"tool_name": "t<b>", "arguments": '{"code": "<img src=x>\n*'},
        {"tool_name": "u", "arguments": "x" * 50_000},
    ]
    turn = TurnTranscript([ChatMessage.from_assistant("I ask.", {"cut_calls": cut})])
    assert turn.plain().split("\n\n")[1] == 't<b>({"code": "<img src=x> * … was still being written'
    assert turn.markdown().split("\n\n")[1].startswith('> **t&lt;b>**({"code": "&lt;img src=x> \\* …')
    assert len(turn.markdown()) < 2_500
    for odd in (None, 3, "x", [3, None, {}], [{"tool_name": 7}]):
        TurnTranscript([ChatMessage.from_assistant("I ask.", {"cut_calls": odd})]).markdown()
