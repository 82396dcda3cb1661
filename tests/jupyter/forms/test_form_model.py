"""Forms of tool calls: every schema becomes fields within bounds, and untouched ones give back what the model gave."""

from __future__ import annotations

import json
import time
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from orchat.jupyter.kernel.forms import arguments_of, build_form, check_arguments
from orchat.jupyter.kernel.variable_tools import KernelTool
from orchat.tools import Tool, create_tool_from_function
from tests.jupyter.forms.complex_tools import CALLS, complex_tool


class Stop(BaseModel):
    """A place on the way."""

    port: str
    hours: int = 2


def tool_of(schema: Any, **properties: Any) -> Tool:
    if properties:
        schema = {"type": "object", "properties": properties}
    return Tool(name="t", description="d", parameters=schema, function=lambda **kwargs: kwargs)


def field_of(schema: Any, *value: Any) -> dict[str, Any]:
    form = build_form(tool_of(None, x=schema), {"x": value[0]} if value else {})
    (field,) = form["fields"]
    return dict(field)


@pytest.mark.parametrize(
    ("schema", "value", "kind"),
    [
        ({"type": "string"}, "Hull", {"kind": "string", "lines": True, "code": False, "input": "text"}),
        ({"type": "string"}, "two\nlines", {"kind": "string", "lines": True}),
        ({"type": "string", "format": "uuid"}, "a", {"kind": "string", "lines": False}),
        ({"type": "string", "format": "uuid"}, "a\nb", {"kind": "string", "lines": True}),
        ({"type": "string", "pattern": "^[a-z]+$"}, "a", {"kind": "string", "lines": True}),
        ({"type": "string", "x-orchat": {"widget": "code"}}, "x = 1", {"kind": "string", "code": True}),
        ({"type": "string", "widget": "textarea"}, "x", {"kind": "string", "lines": True, "code": False}),
        ({"type": "string", "format": "email"}, "a@b.c", {"kind": "string", "input": "email"}),
        ({"type": "string", "format": "date"}, "tomorrow", {"kind": "string", "input": "text"}),
        ({"type": "integer"}, 3, {"kind": "number"}),
        ({"type": "number"}, 1e300, {"kind": "number"}),
        ({"type": "boolean"}, True, {"kind": "boolean"}),
        ({"enum": ["a", 1, None]}, 1, {"kind": "choice", "options": ['"a"', "1", "null"]}),
        ({"const": "only"}, "only", {"kind": "choice", "options": ['"only"']}),
        ({"type": ["string", "null"]}, None, {"kind": "string", "nullable": True, "text": "null"}),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, 3, {"kind": "number", "nullable": True}),
        ({"type": ["string", "integer"]}, 3, {"kind": "variant", "chosen": 1}),
        ({}, {"a": [1]}, {"kind": "json"}),
        ({"type": "object"}, {"free": 1}, {"kind": "json"}),
        ({"allOf": [{"type": "string"}]}, "x", {"kind": "json"}),
        ({"type": "array", "prefixItems": [{"type": "string"}]}, ["x"], {"kind": "json"}),
        # What the model gave does not fit its field: it is shown as it is.
        ({"type": "integer"}, "three", {"kind": "json", "text": '"three"'}),
        ({"type": "string"}, 7, {"kind": "json", "text": "7"}),
        ({"enum": ["a"]}, "b", {"kind": "json"}),
        ({"type": "string"}, "a\r\nb", {"kind": "json"}),
    ],
)
def test_kinds(schema: Any, value: Any, kind: dict[str, Any]) -> None:
    field = field_of(schema, value)
    assert {name: field[name] for name in kind} == kind


def test_what_a_schema_says_is_told() -> None:
    field = field_of(
        {"type": "integer", "title": "Days", "description": "how long", "minimum": 1, "maximum": 9, "default": 2,
         "examples": [3, 4]}
    )  # fmt: skip
    assert (field["title"], field["text"], field["start"], field["required"]) == ("Days", None, "2", False)
    assert field["note"] == "how long; at least 1; at most 9; default: 2; such as 3, 4"


def test_a_pydantic_model_becomes_groups_lists_and_variants() -> None:
    def plan(stops: list[Stop], when: int | str, season: Literal["spring", "summer"], code: str) -> str:
        """Plan."""
        return ""

    form = build_form(
        create_tool_from_function(plan),
        {"stops": [{"port": "Hull"}], "when": "May", "season": "spring", "code": "x", "more": 1},
    )
    stops, when, season, code, more = form["fields"]
    assert stops["kind"] == "list"
    (item,) = stops["items"]
    assert [(each["name"], each["text"]) for each in item["fields"]] == [("port", '"Hull"'), ("hours", None)]
    assert [each["name"] for each in stops["item"]["fields"]] == ["port", "hours"]
    assert (when["kind"], when["chosen"], [each["kind"] for each in when["variants"]]) == (
        "variant", 1, ["number", "string"],
    )  # fmt: skip
    assert season["options"] == ['"spring"', '"summer"']
    assert code["code"] is True
    assert (more["name"], more["kind"], more["text"]) == ("more", "json", "1")


def test_recursion_and_crowds_end_in_the_json_editor() -> None:
    tree = {"type": "object", "properties": {"child": {"$ref": "#/$defs/tree"}, "n": {"type": "integer"}}}
    form = build_form(tool_of({"$defs": {"tree": tree}, **tree}), {"child": {"child": {"child": {"child": {"n": 1}}}}})
    deepest = form["fields"][0]
    while deepest["kind"] == "group":
        deepest = deepest["fields"][0]
    assert deepest["kind"] == "json"


def test_of_many_fields_those_with_a_value_are_drawn_first() -> None:
    texts = {f"p{number}": {"type": "string"} for number in range(500)}
    form = build_form(tool_of(None, **texts), {"p400": "x"})
    assert [field["text"] for field in form["fields"]] == [*[None] * 150, '"x"']
    assert (form["fields"][-1]["name"], form["fields"][-1]["kind"], form["omitted"]) == ("p400", "string", 349)
    # A group that nobody gave, and that has too many fields of its own, is JSON; the given one has all of its fields.
    group = {"type": "object", "properties": {f"p{number}": {"type": "string"} for number in range(60)}}
    groups = {f"g{number}": group for number in range(6)}
    form = build_form(tool_of(None, **groups, subject={"type": "string"}), {"g5": {"p1": "x"}, "subject": "y"})
    assert [field["kind"] for field in form["fields"]] == ["group", *["json"] * 4, "group", "string"]
    assert form["omitted"] == 0
    given = {f"p{number}": "x" for number in range(200)}
    assert build_form(tool_of(None, **texts), given)["fields"] is None
    assert [field["kind"] for field in build_form(tool_of(None, x=group), {"x": given})["fields"]] == ["json"]


def test_what_a_person_gives_begins_with_its_default() -> None:
    stops = {"type": "array", "items": {"type": "string"}, "default": ["Hull", "Goole"]}
    place = {"type": "object", "properties": {"port": {"type": "string"}}, "default": {"port": "Selby"}}
    kinds = [{"type": "integer"}, {"type": "string"}]
    when = {"anyOf": kinds, "default": "May"}
    none = {"anyOf": [*kinds, {"type": "null"}], "default": None}
    fields = build_form(tool_of(None, stops=stops, place=place, when=when, none=none), {})["fields"]
    assert [field["text"] for field in fields] == [None] * 4
    assert [item["text"] for item in fields[0]["items"]] == ['"Hull"', '"Goole"']
    assert fields[1]["fields"][0]["text"] == '"Selby"'
    assert (fields[2]["chosen"], fields[2]["variants"][1]["text"]) == (1, '"May"')
    assert (fields[3]["chosen"], fields[3]["start"]) == (None, None)
    assert field_of({**place, "default": ["no", "object"]})["start"] is not None


def test_malformed_arguments_are_shown_as_they_are() -> None:
    form = build_form(tool_of(None, x={"type": "string"}), {}, malformed='{"x": "unfin')
    assert (form["fields"], form["json"], form["error"]) == (
        None, '{"x": "unfin',
        "These arguments are no JSON object. This is no JSON: Unterminated string starting at, line 1.",
    )  # fmt: skip


def test_a_tool_that_asks_always_is_not_offered_for_always() -> None:
    kernel = KernelTool(name="t", description="", parameters={"type": "object"}, function=lambda: None)
    assert build_form(kernel, {})["always"] is False
    assert build_form(tool_of({"type": "object"}), {})["always"] is True


def test_halves_of_characters_can_be_sent_to_a_page() -> None:
    tool = tool_of(None, x={"type": "string"})
    half = {"x": "a \ud800", "y": {"b": ["\udfff"]}}
    form = build_form(tool, half)
    json.dumps(form, ensure_ascii=False).encode()
    assert json.loads(put_together(form["fields"])) == half
    for odd in (build_form(tool, {"\ud800": 1}), build_form(tool, None, '{"\ud800')):
        json.dumps(odd, ensure_ascii=False).encode()
        assert odd["fields"] is None


@pytest.mark.parametrize("value", ["large", "deep"])
def test_what_cannot_be_shown_cannot_be_approved_unseen(value: Any) -> None:
    if value == "large":
        value = 10**5_000
    else:
        for _ in range(5_000):
            value = [value]
    form = build_form(tool_of(None, x={}), {"x": value})
    assert (form["fields"], form["json"]) == (None, "{}")
    assert form["error"]


def test_a_form_is_bounded_whatever_its_schema_says() -> None:
    long = "z" * 300_000
    schemas = [{"enum": [long, "b"]}, {"type": "string", "default": long}, {"title": long, "description": long},
               {"pattern": long, "examples": [long]}]  # fmt: skip
    for schema in schemas:
        assert len(json.dumps(build_form(tool_of(None, x=schema), {}))) < 15_000
    named = tool_of({"type": "object", "properties": {long: {}}})
    assert (build_form(named, {})["fields"], build_form(named, {})["omitted"]) == ([], 1)
    assert build_form(named, {long: 1})["fields"] is None
    nested = {"properties": {"a": {"type": "object", "properties": {"b": {"type": "string"}}}}}
    form = build_form(tool_of({"type": "object", **nested}), {"a": {"b": long}})
    assert form["fields"] is None
    assert json.loads(form["json"]) == {"a": {"b": long}}
    assert len(json.dumps(form)) < 301_000


def test_schemas_that_branch_without_end_are_described_at_once() -> None:
    bush = {"anyOf": [{"$ref": "#/$defs/bush"}] * 8 + [{"type": "integer"}]}
    tool = tool_of({"type": "object", "$defs": {"bush": bush}, "properties": {"x": {"$ref": "#/$defs/bush"}}})
    started = time.process_time()
    assert len(json.dumps(build_form(tool, {"x": 7}))) < 200_000
    assert time.process_time() - started < 5


@pytest.mark.parametrize("name", CALLS)
def test_the_most_complex_tools_are_forms(name: str) -> None:
    tool, given = complex_tool(name), CALLS[name][1]
    assert tool.validate_arguments(given) == []
    form = build_form(tool, given)
    assert form["fields"], "no part of it is one JSON text"
    assert arguments_of({"json": put_together(form["fields"])}) == (given, "")
    assert len(json.dumps(form)) < 60_000
    started = time.process_time()
    build_form(tool, given)
    assert time.process_time() - started < 0.25


def test_variants_that_share_a_name_are_told_apart() -> None:
    by_kind = [{"type": "object", "properties": {"kind": {"enum": [kind]}, "x": {}}} for kind in ("point", "line")]
    by_names = [{"type": "object", "required": ["id"]}, {"type": "object", "properties": {"a": {}, "b": {}}}]
    lists = [{"type": "array", "items": {"type": kind}} for kind in ("string", "integer")]
    formats = [{"type": "string", "format": "date"}, {"type": "string"}, {"const": 7}, {"type": "string"}]
    for variants, labels in (
        (by_kind, ["point", "line"]),
        (by_names, ["object: id", "object: a, b"]),
        (lists, ["list of string", "list of integer"]),
        (formats, ["string: date", "string [2]", "7", "string [4]"]),
        ([{"title": "Shape", **each} for each in by_kind], ["Shape (point)", "Shape (line)"]),
    ):
        field = field_of({"oneOf": variants})
        assert [each["title"] for each in field["variants"]] == labels


def test_what_a_page_puts_together_is_written_as_the_form_writes_it() -> None:
    inner = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "number"}}}
    items = {"type": "array", "items": inner}
    form = build_form(tool_of(None, x=items), {"x": [{"b": 1.0, "c": None, "a": 2**60 + 1}]})
    assert form["fields"][0]["text"] == '[{"a": 1152921504606846977, "b": 1.0, "c": null}]'


def test_variants_are_called_what_their_schema_calls_them() -> None:
    def visit(place: Stop | int) -> str:
        return ""

    (field,) = build_form(create_tool_from_function(visit), {"place": {"port": "Hull"}})["fields"]
    assert [each["title"] for each in field["variants"]] == ["Stop", "integer"]
    assert (field["kind"], field["chosen"]) == ("variant", 0)
    old = {"type": "object", "definitions": {"s": {"type": "string"}},
           "properties": {"x": {"anyOf": [{"type": "integer"}, {"$ref": "#/definitions/s"}]}}}  # fmt: skip
    assert build_form(tool_of(old), {"x": "Hull"})["fields"][0]["chosen"] == 1


def test_rules_beside_fields_do_not_hide_them() -> None:
    either = {"anyOf": [{"required": ["a"]}, {"required": ["b"]}]}
    schema = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}, **either}
    tool = tool_of(schema)
    assert [each["kind"] for each in build_form(tool, {"a": "x"})["fields"]] == ["string", "string"]
    assert field_of(schema, {"a": "x"})["kind"] == "group"
    assert check_arguments(tool, {"json": "{}"})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)
WORDS = st.sampled_from(
    ["type", "properties", "items", "anyOf", "oneOf", "enum", "const", "$ref", "default", "required", "title", "format",
     "description", "examples", "minimum", "pattern", "allOf", "x-orchat", "widget"]
)  # fmt: skip
KINDS = st.sampled_from(["string", "integer", "number", "boolean", "array", "object", "null", "#", "#/properties/x"])
SCHEMAS = st.recursive(
    JSON | KINDS, lambda inner: st.dictionaries(WORDS | st.sampled_from(["x", "y"]), inner, max_size=6), max_leaves=25
)


def put_together(fields: list[dict[str, Any]]) -> str:
    """What a page sends of fields that nobody touched: their own texts."""
    given = [field for field in fields if field["text"] is not None]
    return "{" + ", ".join(f"{json.dumps(field['name'])}: {field['text']}" for field in given) + "}"


@given(schema=SCHEMAS, arguments=st.dictionaries(st.text(max_size=5) | st.sampled_from(["x", "y"]), JSON, max_size=4))
def test_any_schema_and_any_arguments(schema: Any, arguments: dict[str, Any]) -> None:
    tool = tool_of({"type": "object", "properties": {}})
    tool.parameters = schema if isinstance(schema, dict) else {"properties": {"x": schema}}
    form = build_form(tool, arguments)
    assert len(json.dumps(form)) < 200_000
    text = form["json"] if form["fields"] is None else put_together(form["fields"])
    assert arguments_of({"json": text}) == (arguments, "")
    assert [type(value) for value in arguments_of({"json": text})[0].values()] == [  # type: ignore[union-attr]
        type(arguments[name])
        for name in arguments_of({"json": text})[0]  # type: ignore[union-attr]
    ]


def test_errors_name_their_field() -> None:
    tool = create_tool_from_function(_trip)
    assert check_arguments(tool, {"json": '{"days": 99, "port": {"a": 1}}'}) == [
        {"path": "days", "message": "days: 99 is greater than the maximum of 30"},
        {"path": "port", "message": 'port: {"a":1} is not of type "string"'},
    ]
    assert check_arguments(tool, {"json": '{"days": 3}'}) == [
        {"path": "port", "message": "port: is a required property"}
    ]
    assert check_arguments(tool, {"json": '{"days": 3, "port": "Hull"}'}) == []


def test_errors_find_fields_whose_names_look_like_paths() -> None:
    text = {"type": "string"}
    tool = tool_of(None, **{"a": {"type": "array", "items": text}, "a.b": text, "two words": text, "it": text})
    assert [each["path"] for each in check_arguments(tool, {"json": '{"a": [7], "a.b": 1, "two words": 2}'})] == [
        "a", "a.b", "two words",
    ]  # fmt: skip


def test_a_text_that_is_too_long_is_told_so() -> None:
    (error,) = check_arguments(tool_of({"type": "object"}), {"json": '{"a": "' + "x" * 1_000_000 + '"}'})
    assert error["message"] == "This is longer than 1,000,000 characters."


def _trip(days: Annotated[int, Field(ge=1, le=30)], port: str) -> str:
    """Plan a trip."""
    return ""


@pytest.mark.parametrize(
    "values",
    [{"json": '{"a": 1e999}'}, {"json": '{"a": "\\ud800"}'}, {"json": '{"a": ' + "9" * 5_000 + "}"},
     None, 7, {}, {"json": 7}, {"json": ""}, {"json": "[1]"}, {"json": "NaN"}, {"json": '{"a": Infinity}'},
     {"json": "[" * 100_000}, {"json": "x" * 2_000_000}, {"raw": "{}"}],
)  # fmt: skip
def test_what_is_no_json_object_is_refused(values: Any) -> None:
    arguments, wrong = arguments_of(values)
    assert arguments is None
    assert wrong
    (error,) = check_arguments(tool_of({"type": "object"}), values)
    assert error["path"] == ""
