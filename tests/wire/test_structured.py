"""Structured output: what is sent, and what is accepted."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel

from orchat.errors import ConfigurationError, OutputValidationError, SchemaGenerationError
from orchat.messages import ChatMessage, ToolCall
from orchat.openrouter.wire.structured import read_response_format, response_format_to_dict


class Port(BaseModel):
    """A place with water."""

    name: str
    depth: float | None = None


@pytest.mark.parametrize("nothing", [None, {}, ""])
def test_no_format_is_none(nothing: Any) -> None:
    assert read_response_format(nothing) is None


@pytest.mark.parametrize("odd", ["json", 5, [1], Port(name="a")])
def test_what_is_no_format_is_a_type_error(odd: Any) -> None:
    with pytest.raises(TypeError, match="response_format"):
        read_response_format(odd)


class Drawing(BaseModel):
    draw: Callable[[int], int]


@pytest.mark.parametrize("odd", [Drawing, BaseModel, list[Drawing]])
def test_a_class_that_no_schema_can_tell_is_named(odd: Any) -> None:
    with pytest.raises(
        SchemaGenerationError, match=r"`\w+` has no JSON Schema: .* Give a class whose fields JSON can hold"
    ):
        read_response_format(odd)


def test_a_default_that_is_no_json_stays_out_of_the_schema() -> None:
    class Band(BaseModel):
        top: float = float("inf")

    output = read_response_format(Band)
    assert output is not None
    assert "default" not in json.dumps(output.wire)
    assert parse(Band, "{}").top == float("inf")


def test_a_schema_that_is_none_is_refused_before_it_is_sent() -> None:
    with pytest.raises(ConfigurationError, match="JSON Schema"):
        read_response_format({"type": "json_schema", "json_schema": {"schema": {"type": "nonsense"}}})


def parse(value: Any, text: str | None, **meta: Any) -> Any:
    """What a format makes of a text."""
    output = read_response_format(value)
    assert output is not None
    message = ChatMessage.from_assistant(text, meta)
    output.parse(message)
    return message.parsed


SCHEMA = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"], "title": "Age of a man!"}
FULL = {"type": "json_schema", "json_schema": {"name": "age", "schema": SCHEMA}}


def test_a_class_is_sent_as_a_strict_schema_and_gives_an_object() -> None:
    from openai.lib._pydantic import to_strict_json_schema

    output = read_response_format(Port)
    assert output is not None
    assert output.wire == {
        "type": "json_schema",
        "json_schema": {"name": "Port", "strict": True, "schema": to_strict_json_schema(Port)},
    }
    assert parse(Port, '{"name": "Hull"}') == Port(name="Hull")
    assert response_format_to_dict(Port) == output.wire
    json.dumps(response_format_to_dict(Port))


def test_a_dictionary_is_sent_and_saved_as_it_is() -> None:
    output = read_response_format(FULL)
    assert output is not None
    assert output.wire == FULL
    assert response_format_to_dict(FULL) is FULL
    assert parse(FULL, '{"age": 3}') == {"age": 3}


def test_a_bare_schema_is_sent_inside_a_format_with_a_name_that_the_api_takes() -> None:
    output = read_response_format(SCHEMA)
    assert output is not None
    assert output.wire == {"type": "json_schema", "json_schema": {"name": "Age_of_a_man", "schema": SCHEMA}}
    assert parse({"properties": {}}, "{}") == {}


def test_a_schema_that_nobody_gave_takes_any_json() -> None:
    assert parse({"type": "json_schema"}, "[1]") == [1]


def test_a_value_without_the_object_around_it_is_taken() -> None:
    assert parse(list[Port], '[{"name": "Hull"}]') == parse(list[Port], '{"items": [{"name": "Hull"}]}')
    assert parse(list[Port], "```json\n[]\n```") == []
    assert parse(Literal["high", "low"], '"high"') == parse(Literal["high", "low"], "high\n") == "high"
    assert parse(dict[str, int], '{"Hull": 3}') == {"Hull": 3}
    with pytest.raises(OutputValidationError, match="Input should be 'high' or 'low'"):
        parse(Literal["high", "low"], '{"answer": "very high"}')
    for cut in ('{"answer": "hi', '"hi', "", "```json\n{"):
        with pytest.raises(OutputValidationError):
            parse(Annotated[str, "a level"], cut)
    for wrong in ('{"name": "Hull"}', '[{"port": "Hull"}]', "high", '[], "b": 1'):
        with pytest.raises(OutputValidationError):
            parse(list[Port], wrong)


@pytest.mark.parametrize("kind", ["text", "grammar", "python"])
def test_formats_that_are_no_json_take_any_text(kind: str) -> None:
    assert parse({"type": kind}, "not json") is None


def test_json_in_a_fence_is_read() -> None:
    assert parse(FULL, '\n```json\n{"age": 3}\n```\n') == {"age": 3}
    assert parse({"type": "json_object"}, '```\n{"a": 3}\n```') == {"a": 3}


@pytest.mark.parametrize(
    "text",
    [
        '```JSON\n{"age": 3}\n```',
        '```json {"age": 3}```',
        '```{"age": 3}```',
        '~~~\n{"age": 3}\n~~~',
        '~~~json\n{"age": 3}\n~~~',
        '````\n{"age": 3}\n````',
        'Here it is:\n\n```json\n{"age":\n 3}\n```\nIs there more?',
        'Here: ```json {"age": 3} ``` it is.',
        '```json\n{"age": 3}```',
        '```json\n{"age": 3}',
        '\r\n```json\r\n{"age": 3}\r\n```',
        '```python\nage = 3\n```\ngives\n```json\n{"age": 3}\n```',
        '```\n{"age": 3}\n```\nor again\n```\n{"age": 3}\n```',
        '\ufeff{"age": 3}',
        '\u00a0{\u00a0"age":\u00a03}\u200b',
    ],
)
def test_json_that_stands_there_once_is_read(text: str) -> None:
    assert parse(FULL, text) == {"age": 3}


def test_blanks_inside_of_strings_are_kept() -> None:
    assert parse({"type": "json_object"}, '\u00a0{"a\u00a0b":\u00a0"x\u00a0\\"\u00a0y"}') == {
        "a\u00a0b": 'x\u00a0"\u00a0y'
    }


@pytest.mark.parametrize(
    "text", ['```\n{"age": 3}\n```\nor\n```\n{"age": 4}\n```', '{"age": 3} or {"age": 4}', "```json\nage: 3\n```"]
)
def test_two_answers_or_none_are_an_error(text: str) -> None:
    with pytest.raises(OutputValidationError):
        parse(FULL, text)


@pytest.mark.parametrize(
    "text", ['"\\"' * 50_000, "```" * 50_000, "\n```" * 50_000, "~~~x\n" * 50_000, '"\u00a0' * 50_000]
)
def test_no_text_takes_long_to_look_through(text: str) -> None:
    started = time.process_time()
    with pytest.raises(OutputValidationError):
        parse(FULL, text)
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("value", "text", "why"),
    [
        (FULL, '{"age": "old"}', "age"),
        (FULL, "{}", "required"),
        (FULL, "no json", "Expecting value"),
        (FULL, "", "Expecting value"),
        (FULL, None, "Expecting value"),
        (FULL, "[" * 100_000, "recursion"),
        (Port, "{}", "Port"),
        (Port, '{"name": ', "JSON"),
        ({"type": "json_object"}, "[1]", "a list, not an object"),
    ],
)
def test_an_answer_that_does_not_fit_raises_and_is_kept(value: Any, text: str | None, why: str) -> None:
    with pytest.raises(OutputValidationError, match=why) as caught:
        parse(value, text, id="gen-1", provider="P", finish_reason="stop")
    error = caught.value
    assert isinstance(error, ValueError)
    assert error.partial is not None
    assert error.partial.text == text
    assert (error.generation_id, error.provider_name) == ("gen-1", "P")


@pytest.mark.parametrize(("reason", "hint"), [("length", "raise max_tokens"), ("content_filter", "filter")])
def test_an_answer_that_was_cut_says_so(reason: str, hint: str) -> None:
    with pytest.raises(OutputValidationError) as caught:
        parse(FULL, '{"age": ', finish_reason=reason)
    assert hint in (caught.value.hint or "")


def test_a_reply_that_calls_tools_or_refuses_is_not_held_against_the_format() -> None:
    output = read_response_format(FULL)
    assert output is not None
    output.parse(ChatMessage.from_assistant(tool_calls=[ToolCall("t", {}, "a")]))
    output.parse(ChatMessage.from_assistant("I cannot", {"refusal": "I cannot"}))
