"""Chunks against Haystack's own, and the fold that makes a message of them."""

from __future__ import annotations

import copy
import json
import os
import pickle
from collections.abc import Callable
from typing import Any

import pytest

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"

import haystack.dataclasses as haystacks_messages
import haystack.dataclasses.streaming_chunk as theirs
from haystack.components.generators.utils import print_streaming_chunk as haystacks_print

import orchat.messages as our_messages
import orchat.streaming as ours
from orchat.errors import ConfigurationError
from orchat.message_assembly import MessageAssembler, RawCall, assemble_tool_calls, build_message
from orchat.messages import ReasoningContent, ToolCall
from orchat.messages.tool_arguments import parse_arguments
from orchat.streaming import StreamingChunk, ToolCallDelta, print_streaming_chunk

Build = Callable[[Any, Any], Any]  # makes a chunk of a library's streaming and message modules

CHUNKS: dict[str, Build] = {
    "bare": lambda s, m: s.StreamingChunk("Hi"),
    "text": lambda s, m: s.StreamingChunk(
        "Hi", {"model": "m"}, s.ComponentInfo("a.B", "name"), index=0, start=True, finish_reason="stop"
    ),
    "a later block": lambda s, m: s.StreamingChunk("Hi", index=2, start=True),
    "text goes on": lambda s, m: s.StreamingChunk(" there", index=0),
    "reasoning": lambda s, m: s.StreamingChunk(
        "", index=0, start=True, reasoning=m.ReasoningContent("Hm", {"reasoning_details": [{"a": 1}]})
    ),
    "reasoning goes on": lambda s, m: s.StreamingChunk("", index=0, reasoning=m.ReasoningContent(".")),
    "call": lambda s, m: s.StreamingChunk(
        "", index=1, start=True, tool_calls=[s.ToolCallDelta(0, "tide", '{"a"', "x", {"k": 1})]
    ),
    "call goes on": lambda s, m: s.StreamingChunk("", index=1, tool_calls=[s.ToolCallDelta(0, arguments=": 1}")]),
    "result": lambda s, m: s.StreamingChunk(
        "", index=0, start=True, tool_call_result=m.ToolCallResult("14:10", m.ToolCall("tide", {}, "x"), False)
    ),
    "results end": lambda s, m: s.StreamingChunk("", finish_reason="tool_call_results"),
    "nothing": lambda s, m: s.StreamingChunk(""),
}


@pytest.mark.parametrize("build", CHUNKS.values(), ids=CHUNKS)
def test_the_json_of_a_chunk_is_haystacks(build: Build) -> None:
    mine, haystacks = build(ours, our_messages), build(theirs, haystacks_messages)
    assert json.dumps(mine.to_dict()) == json.dumps(haystacks.to_dict())
    assert StreamingChunk.from_dict(json.loads(json.dumps(haystacks.to_dict()))) == mine
    assert theirs.StreamingChunk.from_dict(json.loads(json.dumps(mine.to_dict()))) == haystacks


@pytest.mark.parametrize("build", CHUNKS.values(), ids=CHUNKS)
def test_a_chunk_is_printed_as_haystack_prints_it(build: Build, capsys: pytest.CaptureFixture[str]) -> None:
    haystacks_print(build(theirs, haystacks_messages))
    expected = capsys.readouterr().out
    print_streaming_chunk(build(ours, our_messages))
    assert capsys.readouterr().out == expected


def test_two_calls_that_begin_in_one_chunk_are_printed_apart(capsys: pytest.CaptureFixture[str]) -> None:
    calls = [ToolCallDelta(0, "a", "{}"), ToolCallDelta(1, "b", "{}")]
    print_streaming_chunk(StreamingChunk("", index=0, start=True, tool_calls=calls))
    out = capsys.readouterr().out
    assert out == "[TOOL CALL]\nTool: a \nArguments: {}\n\n[TOOL CALL]\nTool: b \nArguments: {}"


def test_a_chunk_needs_only_its_content() -> None:
    assert StreamingChunk.from_dict({"content": "Hi"}) == StreamingChunk("Hi")
    with pytest.raises(ValueError, match="content"):
        StreamingChunk.from_dict({"meta": {}})
    with pytest.raises(ValueError, match="nothing"):
        StreamingChunk.from_dict({})


def test_a_delta_without_extra_is_read() -> None:
    assert ToolCallDelta.from_dict({"index": 0, "id": "a"}) == ToolCallDelta(0, id="a")


@pytest.mark.parametrize(
    "fields",
    [
        {"content": "Hi", "index": 0, "tool_calls": [ToolCallDelta(0)]},
        {"content": "Hi", "index": 0, "reasoning": ReasoningContent("Hm")},
        {"content": "", "tool_calls": [ToolCallDelta(0)]},
        {"content": "", "reasoning": ReasoningContent("Hm")},
    ],
)
def test_a_chunk_carries_one_kind_and_a_block_has_a_number(fields: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        StreamingChunk(**fields)


@pytest.mark.parametrize("travel", [copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))])
def test_chunks_travel(travel: Any) -> None:
    for build in CHUNKS.values():
        chunk = build(ours, our_messages)
        assert travel(chunk) == chunk


def fold(*chunks: StreamingChunk) -> our_messages.ChatMessage:
    """The message of some chunks."""
    folding = MessageAssembler()
    for chunk in chunks:
        folding.add(chunk)
    return folding.message()


def test_no_chunk_at_all_is_an_empty_message_with_haystacks_meta() -> None:
    message = fold()
    assert len(message) == 0
    assert message.meta == {
        "model": None,
        "index": 0,
        "finish_reason": None,
        "completion_start_time": None,
        "usage": None,
    }


def test_chunks_made_by_hand_fold() -> None:
    message = fold(
        StreamingChunk("The ", {"model": "m", "received_at": "t0"}, index=0),
        StreamingChunk("Humber", {"model": "m", "received_at": "t1"}, index=0),
        StreamingChunk("", index=1, tool_calls=[ToolCallDelta(1, "b", "{}", "y"), ToolCallDelta(0, "a", "{}", "x")]),
        StreamingChunk("", {"finish_reason": "stop", "usage": {"cost": 1}}, finish_reason="stop"),
        StreamingChunk("", {"usage": None}),
    )
    assert message.text == "The Humber"
    assert message.tool_calls == [ToolCall("a", {}, "x"), ToolCall("b", {}, "y")]
    assert (message.meta["model"], message.meta["usage"], message.meta["completion_start_time"]) == (
        "m",
        {"cost": 1},
        "t0",
    )


def test_a_message_may_be_asked_for_at_any_moment_and_does_not_change_afterwards() -> None:
    folding = MessageAssembler()
    folding.add(StreamingChunk("a", {"model": "m", "logprobs": [1]}, index=0))
    first = folding.message()
    before = copy.deepcopy(first)
    folding.add(StreamingChunk("b", {"model": "m", "logprobs": [2], "extras": {"annotations": [1]}}, index=0))
    folding.add(StreamingChunk("", {"extras": {"annotations": [2]}}, index=1, reasoning=ReasoningContent("c")))
    assert first == before
    assert (folding.message().text, folding.message().meta["annotations"]) == ("ab", [1, 2])
    assert folding.message() == folding.message()


def test_facts_of_any_event_are_kept_the_last_value_counts_and_null_does_not() -> None:
    message = fold(
        StreamingChunk("", {"a": 1, "b": 1}),
        StreamingChunk("", {"a": None, "c": 3}),
        StreamingChunk("x", {"a": 2, "b": None}, index=0),
    )
    assert {key: message.meta[key] for key in "abc"} == {"a": 2, "b": 1, "c": 3}


def test_an_extra_that_changes_its_kind_is_the_last_one() -> None:
    def extra(value: Any) -> StreamingChunk:
        return StreamingChunk("", {"extras": {"x": value}})

    assert fold(extra([1]), extra("a"), extra(None)).meta["x"] == "a"
    assert fold(extra({"a": 1, "data": 5}), extra({"b": 2, "data": "x"})).meta["x"] == {"a": 1, "data": "x", "b": 2}


@pytest.mark.parametrize("sound", ["text", {"id": "a"}, {"data": 5}, 7])
def test_a_sound_that_cannot_be_read_is_kept_as_it_came(sound: Any) -> None:
    message = build_message(text=None, reasoning=None, calls=[], extras={"audio": sound}, meta={})
    assert (message.audio, message.meta) == (None, {"audio": sound})


def test_arguments_are_an_object_or_a_text() -> None:
    assert parse_arguments({"a": 1}) == ({"a": 1}, None)
    assert parse_arguments([1]) == ({}, "[1]")
    assert parse_arguments(7) == ({}, "7")
    assert parse_arguments(" ") == ({}, None)
    assert parse_arguments('{"a": Infinity}') == ({}, '{"a": Infinity}')


def test_calls_without_ids_get_some_that_depend_on_the_reply() -> None:
    calls = [RawCall(None, "a", "{}"), RawCall("", "a", "{}"), RawCall(None, "\ud83d", "\ud83d")]
    ids = [call.id for call in assemble_tool_calls(calls, salt="gen-1")]
    assert len(set(ids)) == 3
    assert ids == [call.id for call in assemble_tool_calls(calls, salt="gen-1")]
    assert not set(ids) & {call.id for call in assemble_tool_calls(calls, salt="gen-2")}
