"""Tool calls in pieces, however sloppy (API section 4.3): a test's name is the rule."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orchat.messages import ToolCall
from orchat.messages.openai_format import encode_message
from orchat.openrouter.wire.response import read_replies
from orchat.openrouter.wire.stream import ChunkReader
from orchat.streaming import StreamingChunk
from tests.openrouter_server import call, completion, done, event, finish, fragment, tool_call, usage
from tests.wire.reading import read


def calls_of(*events: Any, reason: str | None = "tool_calls") -> list[ToolCall]:
    """The calls of a stream, which ends as it should."""
    reading = read(*events, finish(reason), done())
    reading.reader.end()
    return reading.message.tool_calls


def as_tuples(calls: list[ToolCall]) -> list[tuple[str, dict[str, Any]]]:
    return [(call.tool_name, call.arguments) for call in calls]


HULL, GOOLE = {"port": "Hull"}, {"port": "Goole"}
TWO = [("tide", HULL), ("tide", GOOLE)]


def test_pieces_of_one_call_are_joined() -> None:
    [only] = calls_of(
        tool_call("tide", "", id="call_1"), tool_call(arguments='{"port": '), tool_call(arguments='"Hull"}')
    )
    assert only == ToolCall("tide", HULL, "call_1")


def test_two_calls_interleaved_by_index_are_told_apart() -> None:
    calls = calls_of(
        tool_call("tide", '{"port"', id="a", index=0),
        tool_call("tide", '{"port"', id="b", index=1),
        tool_call(arguments=': "Goole"}', index=1),
        tool_call(arguments=': "Hull"}', index=0),
    )
    assert as_tuples(calls) == TWO
    assert [call.id for call in calls] == ["a", "b"]


def test_two_calls_in_one_event_are_two() -> None:
    calls = calls_of(event(None, tool_calls=[fragment("a", "{}", id="1"), fragment("b", "{}", id="2", index=1)]))
    assert [call.tool_name for call in calls] == ["a", "b"]


def test_a_new_id_at_a_used_index_begins_a_call() -> None:
    calls = calls_of(
        tool_call("tide", '{"port": "Hull"}', id="a", index=0), tool_call("tide", '{"port": "Goole"}', id="b", index=0)
    )
    assert as_tuples(calls) == TWO


def test_without_an_index_a_new_id_begins_a_call() -> None:
    calls = calls_of(
        tool_call("tide", '{"port":', id="a", index=None),
        tool_call(arguments='"Hull"}', index=None),
        tool_call("tide", '{"port":', id="b", index=None),
        tool_call(arguments='"Goole"}', index=None),
    )
    assert as_tuples(calls) == TWO


def test_without_an_index_a_known_id_finds_its_call() -> None:
    calls = calls_of(
        tool_call("tide", '{"port":', id="a", index=None),
        tool_call("tide", '{"port":', id="b", index=None),
        tool_call(arguments='"Hull"}', id="a", index=None),
        tool_call(arguments='"Goole"}', id="b", index=None),
    )
    assert as_tuples(calls) == TWO


def test_without_an_index_calls_of_one_event_go_by_their_place() -> None:
    calls = calls_of(
        event(None, tool_calls=[fragment("tide", '{"port":', index=None), fragment("tide", '{"port":', index=None)]),
        event(None, tool_calls=[fragment(arguments='"Hull"}', index=None), fragment(arguments='"Goole"}', index=None)]),
    )
    assert as_tuples(calls) == TWO


def test_without_index_and_id_another_name_begins_a_call() -> None:
    calls = calls_of(tool_call("tide", "{}", index=None), tool_call("wind", "{}", index=None))
    assert as_tuples(calls) == [("tide", {}), ("wind", {})]


def test_without_an_id_the_same_name_after_complete_arguments_begins_a_call() -> None:
    calls = calls_of(tool_call("tide", '{"port": "Hull"}'), tool_call("tide", '{"port": "Goole"}'))
    assert as_tuples(calls) == TWO
    assert calls[0].id != calls[1].id


@pytest.mark.parametrize("index", [None, "0", 1.5, []])
def test_an_index_that_is_no_number_counts_as_none(index: Any) -> None:
    calls = calls_of(
        event(None, tool_calls=[fragment("tide", '{"port":', id="a", index=None) | {"index": index}]),
        event(None, tool_calls=[fragment(arguments='"Hull"}', index=None) | {"index": index}]),
    )
    assert as_tuples(calls) == [("tide", HULL)]


@pytest.mark.parametrize("blank", ["", None])
def test_a_blank_id_in_later_pieces_is_no_new_one(blank: str | None) -> None:
    [only] = calls_of(tool_call("tide", '{"port":', id="a"), tool_call(arguments='"Hull"}', id=blank))
    assert (only.id, only.arguments) == ("a", HULL)


def test_an_id_repeated_in_each_piece_is_one_call() -> None:
    [only] = calls_of(tool_call("tide", '{"port":', id="a"), tool_call(arguments='"Hull"}', id="a"))
    assert (only.id, only.arguments) == ("a", HULL)


def test_a_repeated_name_is_not_concatenated() -> None:
    [only] = calls_of(
        tool_call("tide", '{"port"', id="a"), tool_call("tide", ':"Hull"', id="a"), tool_call("tide", "}", id="a")
    )
    assert (only.tool_name, only.arguments) == ("tide", HULL)


def test_name_and_id_are_on_the_first_piece_only_so_that_who_joins_them_is_right() -> None:
    chunks = read(tool_call("tide", '{"port"', id="a"), tool_call("tide", ':"Hull"}', id="a"), finish()).chunks
    deltas = [delta for chunk in chunks for delta in chunk.tool_calls or ()]
    assert [(delta.tool_name, delta.id) for delta in deltas] == [("tide", "a"), (None, None)]


def test_a_repeated_name_with_trailing_white_space_begins_no_call() -> None:
    calls = calls_of(tool_call("tide", '{"port":"Hull"}', id="a"), tool_call("tide", " \n"), tool_call("tide", ""))
    assert as_tuples(calls) == [("tide", HULL)]


def test_trailing_white_space_does_no_harm() -> None:
    [only] = calls_of(tool_call("tide", '{"port":"Hull"}', id="a"), tool_call(arguments="  \n"))
    assert (only.arguments, only.extra) == (HULL, None)


def test_an_id_that_comes_after_the_name_is_that_calls_own() -> None:
    calls = calls_of(tool_call("tide", ""), tool_call(arguments='{"port":"Hull"}', id="a"))
    assert calls == [ToolCall("tide", HULL, "a")]


def test_an_id_that_comes_with_the_name_repeated_is_that_calls_own() -> None:
    calls = calls_of(tool_call("tide", ""), tool_call("tide", '{"port":"Hull"}', id="a"))
    assert calls == [ToolCall("tide", HULL, "a")]


def test_a_name_that_comes_after_the_arguments_is_that_calls_own() -> None:
    calls = calls_of(tool_call(arguments='{"port":"Hull"}'), tool_call("tide", None, id="a"))
    assert calls == [ToolCall("tide", HULL, "a")]


def test_an_id_shared_by_two_calls_gives_the_second_a_new_one() -> None:
    calls = calls_of(
        tool_call("tide", '{"port":"Hull"}', id="a", index=0), tool_call("tide", '{"port":"Goole"}', id="a", index=1)
    )
    assert as_tuples(calls) == TWO
    assert calls[0].id == "a"
    assert calls[1].id not in {None, "", "a"}


def test_an_id_shared_by_calls_of_different_tools_at_one_index_is_two_calls() -> None:
    calls = calls_of(tool_call("tide", "{}", id="a"), tool_call("wind", "{}", id="a"))
    assert as_tuples(calls) == [("tide", {}), ("wind", {})]
    assert len({call.id for call in calls}) == 2


@pytest.mark.parametrize("index", [0, 1, None])
def test_a_call_sent_twice_counts_once(index: int | None) -> None:
    whole = tool_call("tide", '{"port":"Hull"}', id="a")
    again = tool_call("tide", '{"port": "Hull"}', id="a", index=index)
    assert calls_of(whole, again) == [ToolCall("tide", HULL, "a")]


def test_a_call_without_an_id_gets_a_unique_and_lasting_one() -> None:
    events = [tool_call("tide", "{}", index=0), tool_call("tide", "{}", index=1)]
    first, second = calls_of(*events), calls_of(*events)
    assert len({call.id for call in first}) == 2
    assert all(call.id for call in first)
    assert [call.id for call in first] == [call.id for call in second]


def test_made_up_ids_differ_between_replies() -> None:
    [one] = calls_of(tool_call("tide", "{}", id=None))
    other = read(event(None, tool_calls=[fragment("tide", "{}")]) | {"id": "gen-other"}).message.tool_calls[0]
    assert one.id != other.id


@pytest.mark.parametrize("nothing", ["", "  ", None, "null", " null\n"])
def test_no_arguments_are_an_empty_object(nothing: str | None) -> None:
    [only] = calls_of(tool_call("tide", nothing, id="a"))
    assert only == ToolCall("tide", {}, "a")


def test_missing_arguments_are_an_empty_object() -> None:
    assert calls_of(tool_call("tide", id="a")) == [ToolCall("tide", {}, "a")]


def test_arguments_that_come_as_an_object_are_taken() -> None:
    odd: Any = {"port": "Hull", "näme": "ü"}
    assert calls_of(tool_call("tide", odd, id="a"))[0].arguments == odd


@pytest.mark.parametrize("text", ['{"port": ', "Hull", "[1]", "7", '{"a": NaN}', '{"a": 1e999}', "{'a': 1}"])
def test_arguments_that_are_no_json_object_are_kept_as_text(text: str) -> None:
    [only] = calls_of(tool_call("tide", text, id="a"))
    assert (only.arguments, only.malformed_arguments) == ({}, text)


def test_malformed_arguments_do_not_harm_the_calls_beside_them() -> None:
    calls = calls_of(tool_call("tide", "{", id="a", index=0), tool_call("tide", '{"port":"Hull"}', id="b", index=1))
    assert [call.malformed_arguments for call in calls] == ["{", None]
    assert calls[1].arguments == HULL


def test_half_a_character_in_arguments_makes_them_malformed_so_that_a_notebook_can_be_saved() -> None:
    text = '{"port": "\\ud83d"}'
    [only] = calls_of(tool_call("tide", text, id="a"))
    assert only.malformed_arguments == text
    json.dumps(only.to_dict(), ensure_ascii=False).encode()


def test_malformed_arguments_go_back_inside_json() -> None:
    message = read(tool_call("tide", '{"port": ', id="a"), finish("tool_calls")).message
    [sent] = message.to_openai_dict_format()["tool_calls"]
    assert json.loads(sent["function"]["arguments"]) == {"malformed": '{"port": '}


def test_arguments_nested_without_end_are_kept_as_text() -> None:
    text = '{"a":' * 100_000
    [only] = calls_of(tool_call("tide", text, id="a"), tool_call("tide", "}", id="a"))
    assert only.malformed_arguments == text + "}"


@pytest.mark.parametrize("reason", ["stop", "end_turn", "length"])
def test_calls_count_whatever_the_finish_reason_says(reason: str | None) -> None:
    assert len(calls_of(tool_call("tide", "{}", id="a"), reason=reason)) == 1


def test_a_tool_that_has_no_name_is_a_call_without_one() -> None:
    [only] = calls_of(tool_call(None, "{}", id="a"))
    assert only.tool_name == ""


@pytest.mark.parametrize("junk", [None, "x", 5, [None], ["x"], [5], {}])
def test_calls_that_are_no_list_of_objects_are_no_calls(junk: Any) -> None:
    assert calls_of(event("Hi", tool_calls=junk)) == []


@pytest.mark.parametrize("function", [None, "x", {}, {"name": 5, "arguments": None}, {"name": None}])
def test_a_function_that_is_none_is_a_call_without_a_name(function: Any) -> None:
    [only] = calls_of(event(None, tool_calls=[{"index": 0, "id": 5, "function": function}]))
    assert (only.tool_name, only.arguments) == ("", {})
    assert isinstance(only.id, str)


def test_the_old_function_call_is_a_tool_call() -> None:
    pieces = [
        {"choices": [{"delta": {"function_call": {"name": "tide", "arguments": '{"port":'}}}]},
        {"choices": [{"delta": {"function_call": {"arguments": '"Hull"}'}}}]},
    ]
    [only] = calls_of(*pieces, reason="function_call")
    assert (only.tool_name, only.arguments) == ("tide", HULL)


def test_deltas_count_our_calls_and_keep_the_raw_fragment_beside() -> None:
    events = [tool_call("tide", "{}", id="a", index=0), tool_call("tide", '{"a":1}', id="b", index=0), usage()]
    chunks: list[StreamingChunk] = read(*events).chunks
    assert [delta.index for chunk in chunks for delta in chunk.tool_calls or ()] == [0, 1]
    assert chunks[0].meta["tool_calls"] == events[0]["choices"][0]["delta"]["tool_calls"]


def test_calls_of_a_whole_reply_follow_the_same_rules() -> None:
    sloppy = [
        call("tide", "", id="a"),
        call("tide", "{}", id="a"),
        call("tide", '{"port": ', id="a"),
        {"function": {"name": "tide", "arguments": None}},
        {"type": "function", "id": "b", "function": {"name": "tide", "arguments": HULL}},
        {"type": "custom", "id": "c", "custom": {"name": "x", "input": "y"}},
    ]
    [reply] = read_replies(completion(None, tool_calls=sloppy))
    assert [(call.arguments, call.malformed_arguments) for call in reply.tool_calls] == [
        ({}, None),
        ({}, '{"port": '),
        ({}, None),
        (HULL, None),
    ]
    assert len({call.id for call in reply.tool_calls}) == 4


def test_a_partial_message_shows_a_call_before_it_is_whole() -> None:
    reader = ChunkReader()
    reader.read(json.dumps(tool_call("tide", '{"port": ', id="a")))
    assert reader.fold.message().tool_calls[0].malformed_arguments == '{"port": '
    reader.read(json.dumps(tool_call(arguments='"Hull"}')))
    assert reader.fold.message().tool_calls == [ToolCall("tide", HULL, "a")]


def test_an_id_that_changes_in_the_middle_of_the_arguments_is_the_same_call() -> None:
    calls = calls_of(
        tool_call("tide", "", id="a-1"),
        tool_call(arguments='{"port":', id="b-9"),
        tool_call(arguments=' "Hull"}', id="c-7"),
        tool_call(arguments="", id="c-7"),
    )
    assert calls == [ToolCall("tide", HULL, "a-1")]


@pytest.mark.parametrize("index", [0, 3, None])
def test_ids_that_change_with_each_piece_are_one_call(index: int | None) -> None:
    pieces = ['{"po', 'rt": "', "Hu", 'll"}']
    calls = calls_of(
        tool_call("tide", "", id="a", index=index),
        *(tool_call(arguments=piece, id=f"b{n}", index=index) for n, piece in enumerate(pieces)),
    )
    assert calls == [ToolCall("tide", HULL, "a")]


def test_a_new_id_without_a_name_after_complete_arguments_is_another_call() -> None:
    calls = calls_of(tool_call("tide", '{"port": "Hull"}', id="a"), tool_call(arguments='{"port": "Goole"}', id="b"))
    assert [call.arguments for call in calls] == [HULL, GOOLE]


@pytest.mark.parametrize("index", [0, 1, None])
@pytest.mark.parametrize("blank", ["", None])
def test_a_call_without_id_name_and_arguments_is_none(index: int | None, blank: str | None) -> None:
    whole = tool_call("tide", '{"port":"Hull"}', id="a")
    calls = calls_of(whole, tool_call(blank, blank, id=blank, index=index))
    assert calls == [ToolCall("tide", HULL, "a")]
    ghost = {"id": blank, "type": "", "function": {"name": blank, "arguments": blank}}
    [reply] = read_replies(completion(None, tool_calls=[ghost, call("tide", '{"port":"Hull"}', id="a")]))
    assert reply.tool_calls == calls


@pytest.mark.parametrize("kind", ["", "null", "tool_call"])
def test_a_function_counts_whatever_its_type_says(kind: str) -> None:
    odd = event(None, tool_calls=[fragment("tide", "{}", id="a", type=kind)])
    assert as_tuples(calls_of(odd)) == [("tide", {})]
    [reply] = read_replies(completion(None, tool_calls=[{**call("tide", "{}"), "type": kind}]))
    assert as_tuples(reply.tool_calls) == [("tide", {})]


def test_a_custom_tools_call_is_none_of_a_function() -> None:
    custom = {"index": 0, "id": "a", "type": "custom", "custom": {"name": "sql", "input": "select 1"}}
    assert calls_of(event(None, tool_calls=[custom])) == []
    [reply] = read_replies(completion(None, tool_calls=[custom]))
    assert reply.tool_calls == []


@pytest.mark.parametrize(
    "odd",
    [
        {"id": "a", "function": {"name": "tide", "arguments": '{"port": "Hull"}'}},
        {"0": {"id": "a", "function": {"name": "tide", "arguments": '{"port": "Hull"}'}}},
        [{"id": "a", "name": "tide", "arguments": HULL}],
    ],
)
def test_calls_in_an_object_and_calls_without_a_function_are_read(odd: Any) -> None:
    assert calls_of(event(None, tool_calls=odd)) == [ToolCall("tide", HULL, "a")]
    [reply] = read_replies(completion(None, tool_calls=odd))
    assert reply.tool_calls == [ToolCall("tide", HULL, "a")]


@pytest.mark.parametrize(
    "text",
    [
        '{}{"port":"Hull"}',
        '{"port":"Hull"}{"port": "Hull"}',
        '{"port":"Hull"}{}',
        '{"port":"Hull"}</tool_call>',
        '<tool_call>\n{"port":"Hull"}\n</tool_call><|im_end|>',
        '```json\n{"port":"Hull"}\n```',
        '```\n{"port":"Hull"}</function>\n```',
        '"{\\"port\\":\\"Hull\\"}"',
        '\ufeff{"port":"Hull"}',
    ],
)
def test_arguments_that_can_be_read_in_one_way_are_mended_and_the_reply_says_so(text: str) -> None:
    streamed = read(tool_call("tide", text[:4], id="a"), tool_call(arguments=text[4:]), finish("tool_calls")).message
    [whole] = read_replies(completion(None, tool_calls=[call("tide", text, id="a")]))
    for message in (streamed, whole):
        [only] = message.tool_calls
        assert (only.arguments, only.malformed_arguments, only.mended_arguments) == (HULL, None, text)
        assert message.meta["warnings"] == ["The arguments for `tide` were no JSON object, and were mended."]
        assert json.loads(encode_message(message)["tool_calls"][0]["function"]["arguments"]) == HULL


def test_line_ends_that_were_not_escaped_are_mended() -> None:
    [only] = calls_of(tool_call("run", '{"code": "a\nb\tc"}', id="a"))
    assert only.arguments == {"code": "a\nb\tc"}


@pytest.mark.parametrize(
    "text", ['{"a": 1}{"b": 2}', '{"a": 1} and more', '"Hull"', '```\n{"a": 1}\n```\n```\n{"a": 2}\n```', '{"a": 1}}']
)
def test_arguments_that_can_be_read_in_two_ways_stay_as_they_are(text: str) -> None:
    [only] = calls_of(tool_call("tide", text, id="a"))
    assert (only.arguments, only.malformed_arguments) == ({}, text)


def test_arguments_go_back_byte_for_byte_until_something_changes_them() -> None:
    text = '{"port":"Hull",  "hours":[1,2.50]}'
    message = read(tool_call("tide", text, id="a"), finish("tool_calls")).message
    message = type(message).from_dict(json.loads(json.dumps(message.to_dict())))
    assert encode_message(message)["tool_calls"][0]["function"]["arguments"] == text
    message.tool_calls[0].arguments["port"] = "Goole"
    changed = encode_message(message)["tool_calls"][0]["function"]["arguments"]
    assert changed == '{"port": "Goole", "hours": [1, 2.5]}'
