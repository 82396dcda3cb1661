"""`response_format`: sent in each form, checked in each way, and never thrown away."""

from __future__ import annotations

import pytest
from pydantic import BaseModel

from orchat.errors import ConfigurationError, OutputValidationError
from tests.generator.samples import River, tide_tool
from tests.generator.ways import Way
from tests.openrouter_server import call, calls, completion, reply_json, text

RIVER = '{"name": "Humber", "length": 62}'
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "length": {"type": "integer"}},
    "required": ["name", "length"],
}
WRAPPED = {"type": "json_schema", "json_schema": {"name": "river", "strict": True, "schema": SCHEMA}}
FORMATS = {"class": River, "wrapped": WRAPPED, "schema": SCHEMA, "object": {"type": "json_object"}}


@pytest.mark.parametrize("tools", [None, [tide_tool()]], ids=["without tools", "with tools"])
@pytest.mark.parametrize("form", FORMATS)
def test_the_answer_is_parsed_whatever_the_form(openrouter, generator, way: Way, form: str, tools) -> None:
    openrouter.answers(text(RIVER))
    reply = way(generator, generation_kwargs={"response_format": FORMATS[form]}, tools=tools)
    expected = River(name="Humber", length=62) if form == "class" else {"name": "Humber", "length": 62}
    assert reply.parsed == expected
    assert reply.text == RIVER
    sent = openrouter.request.json["response_format"]
    assert sent["type"] == ("json_object" if form == "object" else "json_schema")
    assert ("tools" in openrouter.request.json) is bool(tools)


def test_a_class_is_sent_as_its_strict_schema(openrouter, generator, way: Way) -> None:
    openrouter.answers(text(RIVER))
    way(generator, generation_kwargs={"response_format": River})
    sent = openrouter.request.json["response_format"]["json_schema"]
    assert (sent["name"], sent["strict"]) == ("River", True)
    assert sent["schema"]["additionalProperties"] is False
    assert sent["schema"]["required"] == ["name", "length"]


def test_a_wrapped_schema_is_sent_as_it_is(openrouter, generator, way: Way) -> None:
    openrouter.answers(text(RIVER))
    way(generator, generation_kwargs={"response_format": WRAPPED})
    assert openrouter.request.json["response_format"] == WRAPPED


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("answer", ["The Humber is 62 km long.", "[1]", "", '{"name": "Hum'])
def test_an_answer_that_does_not_fit_raises_and_is_kept(openrouter, generator, way: Way, form, answer) -> None:
    openrouter.answers(text(answer))
    with pytest.raises(OutputValidationError, match="does not fit") as caught:
        way(generator, generation_kwargs={"response_format": FORMATS[form]})
    assert (caught.value.partial.text or "") == answer
    assert isinstance(caught.value, ValueError)
    assert caught.value.generation_id == caught.value.partial.meta["id"]
    assert caught.value.provider_name == "SomeProvider"


@pytest.mark.parametrize("form", ["class", "wrapped", "schema"])
def test_a_field_of_the_wrong_type_does_not_fit(openrouter, generator, way: Way, form: str) -> None:
    openrouter.answers(text('{"name": "Humber", "length": "long"}'))
    with pytest.raises(OutputValidationError, match="length"):
        way(generator, generation_kwargs={"response_format": FORMATS[form]})


@pytest.mark.parametrize(
    ("reason", "words"), [("length", "raise max_tokens"), ("content_filter", "content filter"), ("stop", "raw text")]
)
def test_the_error_says_why_the_answer_may_be_broken(openrouter, generator, way: Way, reason, words: str) -> None:
    openrouter.answers(text('{"name": "Hum', finish_reason=reason))
    with pytest.raises(OutputValidationError, match=words):
        way(generator, generation_kwargs={"response_format": River})


def test_a_tool_call_is_not_held_against_the_format(openrouter, make, way: Way) -> None:
    openrouter.answers(calls(call("tide", {"port": "Hull"})))
    reply = way(make(tools=[tide_tool()]), generation_kwargs={"response_format": River})
    assert reply.parsed is None
    assert reply.tool_call.arguments == {"port": "Hull"}


def test_a_refusal_is_not_held_against_the_format(openrouter, generator, whole: Way) -> None:
    openrouter.answers(reply_json(completion(None, refusal="I will not.")))
    reply = whole(generator, generation_kwargs={"response_format": River})
    assert (reply.parsed, reply.meta["refusal"]) == (None, "I will not.")


def test_a_format_of_the_constructor_may_be_cancelled_for_a_call(openrouter, make, way: Way) -> None:
    generator = make(generation_kwargs={"response_format": River})
    openrouter.answers(text(RIVER), text("Just words."))
    assert way(generator).parsed == River(name="Humber", length=62)
    reply = way(generator, generation_kwargs={"response_format": None})
    assert (reply.text, reply.parsed) == ("Just words.", None)
    assert "response_format" not in openrouter.request.json


@pytest.mark.parametrize("value", ["json", 5, ["json"], int, River(name="a", length=1)])
def test_a_format_of_another_type_is_a_type_error(openrouter, generator, way: Way, value) -> None:
    with pytest.raises(TypeError, match="response_format"):
        way(generator, generation_kwargs={"response_format": value})
    assert openrouter.requests == []


def test_a_schema_that_is_none_is_a_value_error(openrouter, generator, way: Way) -> None:
    with pytest.raises(ConfigurationError, match="response_format"):
        way(generator, generation_kwargs={"response_format": {"type": "object", "properties": {"a": {"type": "no"}}}})
    assert openrouter.requests == []


def test_nested_classes_are_parsed(openrouter, generator, way: Way) -> None:
    class Estuary(BaseModel):
        rivers: list[River]
        note: str | None = None

    openrouter.answers(text(f'```json\n{{"rivers": [{RIVER}], "note": null}}\n```'))
    reply = way(generator, generation_kwargs={"response_format": Estuary})
    assert reply.parsed == Estuary(rivers=[River(name="Humber", length=62)])
