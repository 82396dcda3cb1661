"""Strict schemas: nothing that a schema allows is lost, nothing is sent that a provider refuses, the rest is said."""

from __future__ import annotations

import copy
import enum
import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, TypeVar

import pytest
from pydantic import BaseModel, Field, HttpUrl

from orchat.messages import ChatMessage
from orchat.openrouter.wire.strict_schema import (
    ANTHROPIC,
    OPENAI,
    NotStrictError,
    StrictDialect,
    strict_dialect,
    strict_schema,
    without_added_nulls,
)
from orchat.openrouter.wire.structured import read_response_format
from orchat.tools import create_tool_from_function
from orchat.tools.schema_validation import validation_errors

T = TypeVar("T")


class Unit(enum.Enum):
    METRE = "m"
    FOOT = "ft"


class Port(BaseModel):
    """A place with water."""

    name: str
    depth: float | None


class Tide(BaseModel):
    port: Port
    other: Port = Field(description="Another one")
    heights: list[float]
    unit: Unit
    kind: Literal["spring", "neap"]
    either: Port | int | None
    aged: Annotated[int, Field(ge=0, description="Years")]


class Tree(BaseModel):
    value: int
    children: list[Tree]
    parent: Tree | None


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    kind: Literal["dog"]
    owner: str = "Ann"


class Pets(BaseModel):
    first: Annotated[Cat | Dog, Field(discriminator="kind")]
    others: list[Annotated[Cat | Dog, Field(discriminator="kind")]] = []


class Kinds(BaseModel):
    pair: tuple[int, str]
    pairs: list[tuple[date, Decimal]]
    names: set[str]
    price: Decimal
    link: HttpUrl
    code: Annotated[str, Field(min_length=3)]
    count: Annotated[int, Field(ge=1, le=9)] = 3
    mixed: Literal["a", 1, None] = "a"


class Gen(BaseModel, Generic[T]):
    item: T


class Empty(BaseModel):
    pass


@pytest.mark.parametrize("model", [Port, Tide, Empty])
def test_the_strict_schema_of_a_class_without_defaults_is_openais(model: type[BaseModel]) -> None:
    from openai.lib._pydantic import to_strict_json_schema  # each process of the tests collects this file

    assert strict_schema(model.model_json_schema()) == to_strict_json_schema(model)


def test_a_class_that_holds_itself_is_openais_but_for_references_with_siblings() -> None:
    from openai.lib._pydantic import to_strict_json_schema  # each process of the tests collects this file

    schema = strict_schema(Tree.model_json_schema())
    assert schema["properties"] == to_strict_json_schema(Tree)["properties"]
    with pytest.raises(NotStrictError, match="refers to itself"):
        strict_schema(Tree.model_json_schema(), ANTHROPIC)


def nodes(schema: Any) -> Iterator[dict[str, Any]]:
    """All schemas in a strict one."""
    yield schema
    for key in ("properties", "$defs", "definitions"):
        for each in schema.get(key, {}).values():
            yield from nodes(each)
    for each in (*schema.get("anyOf", ()), *([schema["items"]] if "items" in schema else ())):
        yield from nodes(each)


TAKEN = {
    "type", "enum", "const", "properties", "required", "additionalProperties", "items", "anyOf", "$ref", "$defs",
    "definitions", "title", "description",
}  # fmt: skip


@pytest.mark.parametrize("dialect", [OPENAI, ANTHROPIC])
@pytest.mark.parametrize("model", [Port, Tide, Cat, Pets, Kinds, Gen[int], Empty])
def test_a_strict_schema_has_only_what_its_provider_takes(model: type[BaseModel], dialect: StrictDialect) -> None:
    schema = model.model_json_schema()
    before = copy.deepcopy(schema)
    for node in nodes(strict_schema(schema, dialect)):
        assert node.keys() <= TAKEN | dialect.keywords
        assert node.get("format", "date") in dialect.formats
        assert node.keys() & {"type", "anyOf", "$ref", "enum", "const"}
        if node.get("type") == "object":
            assert node["additionalProperties"] is False
            assert node["required"] == list(node["properties"])
        if node.get("type") == "array":
            assert "items" in node
        if dialect is ANTHROPIC:
            assert node.get("minItems", 0) <= 1
    assert schema == before


def test_what_is_taken_out_is_told_in_the_description() -> None:
    made = strict_schema(Kinds.model_json_schema())["properties"]
    assert made["code"]["description"] == "(minLength: 3)"
    assert strict_schema({"type": "string", "pattern": "^(?=a)"})["description"] == "(pattern: ^(?=a))"
    assert strict_schema({"type": "string", "pattern": "^(?:a)"})["pattern"] == "^(?:a)"
    assert made["count"] == {
        "anyOf": [{"type": "integer", "minimum": 1, "maximum": 9}, {"type": "null"}],
        "title": "Count",
        "description": "(default: 3)",
    }
    assert made["names"] == {
        "type": "array", "title": "Names", "items": {"type": "string"}, "description": "(uniqueItems: true)",
    }  # fmt: skip
    assert made["link"]["description"].startswith("(format: uri, ")
    assert made["mixed"]["type"] == ["string", "integer", "null"]
    pair = made["pair"]
    assert (pair["minItems"], pair["maxItems"]) == (2, 2)
    assert pair["items"] == {"anyOf": [{"type": "integer"}, {"type": "string"}]}
    assert pair["description"] == '(in this order: ["integer", "string"])'
    assert "minimum: 1" in strict_schema(Kinds.model_json_schema(), ANTHROPIC)["properties"]["count"]["description"]


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"type": "object"}, "`x` is an object of anything"),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, "`x` is an object of anything"),
        ({"properties": {"a": {"type": "string"}}, "additionalProperties": True}, "`x` may have further properties"),
        ({"properties": {}, "patternProperties": {"a": {"type": "string"}}}, "`x` may have further properties"),
        ({}, "`x` may be anything"),
        (True, "`x` may be anything"),
        ({"description": "d"}, "`x` may be anything"),
        ({"type": "array"}, "`x[]` may be anything"),
        ({"type": "array", "items": {}}, "`x[]` may be anything"),
        ({"type": "array", "prefixItems": [{"type": "string"}]}, "`x[]` may be anything"),
        ({"properties": {"y": {"items": {"type": "object"}}}}, "`x.y[]` is an object of anything"),
        ({"allOf": [{"type": "string"}, {"minLength": 1}]}, "`x` is several schemas at once"),
        ({"anyOf": [{"type": "string"}], "oneOf": [{"type": "string"}]}, "`x` has both anyOf and oneOf"),
    ],
)
def test_what_strict_mode_cannot_hold_is_refused_in_words(schema: Any, why: str) -> None:
    with pytest.raises(NotStrictError) as caught:
        strict_schema({"type": "object", "properties": {"x": schema}})
    assert str(caught.value).startswith(why)


def test_objects_without_parameters_close() -> None:
    closed = {"type": "object", "properties": {}, "additionalProperties": False, "required": []}
    assert strict_schema({"type": "object", "properties": {}}) == closed
    assert strict_schema({"type": "object", "additionalProperties": False}) == closed


def test_old_tuples_single_all_of_and_rules_beside_properties() -> None:
    old = strict_schema({"type": "array", "items": [{"type": "string"}, {"type": "integer"}], "additionalItems": False})
    assert old["items"] == {"anyOf": [{"type": "string"}, {"type": "integer"}]}
    assert old["maxItems"] == 2
    assert strict_schema({"allOf": [{"type": "string"}], "title": "t"}) == {"type": "string", "title": "t"}
    either = {"properties": {"a": {"type": "string"}}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}
    assert "anyOf" not in strict_schema(either)
    assert strict_schema({"type": ["object", "null"], "properties": {}})["type"] == ["object", "null"]


def test_references_with_siblings_are_inlined_also_escaped_ones() -> None:
    schema = {
        "properties": {"x": {"$ref": "#/$defs/a~1b~0", "description": "d"}},
        "required": ["x"],
        "$defs": {"a/b~": {"type": "string"}},
    }
    assert strict_schema(schema)["properties"]["x"] == {"type": "string", "description": "d"}
    anchor = {
        "properties": {"x": {"$ref": "#p"}},
        "$defs": {"p": {"$anchor": "p", "type": "string"}},
        "required": ["x"],
    }
    assert strict_schema(anchor)["properties"]["x"] == {"$ref": "#p"}


def test_the_dialect_is_that_of_the_models_vendor() -> None:
    names = ["anthropic/claude-sonnet-5", "~Anthropic/claude-latest", "claude-sonnet-5", "openai/gpt-6", "vendor/m"]
    assert [strict_dialect(name) is ANTHROPIC for name in names] == [True, True, True, False, False]


OPTIONAL = {
    "type": "object",
    "properties": {
        "days": {"type": "integer"},
        "note": {"type": ["string", "null"]},
        "pet": {"oneOf": [{"$ref": "#/$defs/cat"}, {"$ref": "#/$defs/dog"}]},
        "pets": {"type": "array", "items": {"anyOf": [{"$ref": "#/$defs/cat"}, {"$ref": "#/$defs/dog"}]}},
        "pair": {"prefixItems": [{"$ref": "#/$defs/cat"}], "items": False},
    },
    "required": ["pet"],
    "$defs": {
        "cat": {"properties": {"kind": {"const": "cat"}, "lives": {"type": "integer"}}, "required": ["kind"]},
        "dog": {"properties": {"kind": {"const": "dog"}, "owner": {"type": "string"}}, "required": ["kind"]},
    },
}


def test_nulls_that_strict_mode_added_go_and_all_others_stay() -> None:
    cat, dog = {"kind": "cat", "lives": None}, {"kind": "dog", "owner": None}
    answer = {"days": None, "note": None, "pet": dog, "pets": [cat, dog], "pair": [cat]}
    assert validation_errors(strict_schema(OPTIONAL), answer) == []
    before = copy.deepcopy(answer)
    found = without_added_nulls(OPTIONAL, answer)
    bare = [{"kind": "cat"}, {"kind": "dog"}]
    assert found == {"note": None, "pet": bare[1], "pets": bare, "pair": bare[:1]}
    assert validation_errors(OPTIONAL, found) == []
    assert answer == before
    assert without_added_nulls(OPTIONAL, {"pet": None, "more": None}) == {"pet": None, "more": None}
    tree = {"properties": {"n": {"type": "integer"}, "below": {"$ref": "#"}}}
    assert without_added_nulls(tree, {"below": {"n": None, "below": None}}) == {"below": {}}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            {"first": {"kind": "cat", "lives": None}, "others": None},
            Pets(first=Cat(kind="cat", lives=9), others=[]),
        ),
        (
            {"pair": [1, "a"], "pairs": [["2026-01-02", 0.5]], "names": ["a"], "price": "1.50",
             "link": "https://example.org", "code": "abc", "count": None, "mixed": None},
            Kinds(pair=(1, "a"), pairs=[(date(2026, 1, 2), Decimal("0.5"))], names={"a"}, price=Decimal("1.50"),
                  link=HttpUrl("https://example.org"), code="abc", count=3, mixed=None),
        ),
    ],
)  # fmt: skip
def test_an_answer_to_a_strict_class_has_its_defaults(answer: dict[str, Any], expected: BaseModel) -> None:
    output = read_response_format(type(expected))
    assert output is not None
    assert output.note is None
    described = output.wire["json_schema"]
    assert described["strict"] is True
    assert validation_errors(described["schema"], answer) == []
    message = ChatMessage.from_assistant(json.dumps(answer))
    output.parse(message)
    assert message.parsed == expected


class Free(BaseModel):
    by_name: dict[str, int]
    anything: Any = None


def test_a_class_that_strict_mode_cannot_hold_is_sent_without_it_and_that_is_said() -> None:
    output = read_response_format(Free)
    assert output is not None
    described = output.wire["json_schema"]
    assert (described["strict"], described["schema"]) == (False, Free.model_json_schema())
    assert output.note is not None
    assert output.note.startswith(
        "The response_format `Free` was not sent as strict: `by_name` is an object of anything"
    )
    message = ChatMessage.from_assistant('{"by_name": {"a": 1}, "anything": [1]}')
    output.parse(message)
    assert message.parsed == Free(by_name={"a": 1}, anything=[1])


def test_the_name_of_a_generic_class_is_one_that_the_api_takes() -> None:
    output = read_response_format(Gen[int])
    assert output is not None
    assert output.wire["json_schema"]["name"] == "Gen_int"


def test_a_function_with_typed_parameters_can_be_strict() -> None:
    def plan(day: date, ports: set[str], pet: Cat | Dog, budget: Decimal = Decimal("1.5"), legs: int = 3) -> None: ...

    made = strict_schema(create_tool_from_function(plan).parameters)
    assert made["required"] == ["day", "ports", "pet", "budget", "legs"]
    assert made["properties"]["legs"]["anyOf"][-1] == {"type": "null"}
    assert {"type": "null"} not in made["properties"]["pet"]["anyOf"]
