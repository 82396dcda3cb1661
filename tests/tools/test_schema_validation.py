from __future__ import annotations

import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchat.errors import ConfigurationError
from orchat.tools import Tool
from orchat.tools.schema_validation import check_schema, validation_errors
from tests.tools.samples import weather

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "days": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        "unit": {"enum": ["C", "F"]},
        "stops": {"type": "array", "items": {"$ref": "#/$defs/Stop"}},
    },
    "required": ["city"],
    "additionalProperties": False,
    "$defs": {"Stop": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}},
}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"city": "Oslo", "days": None, "unit": "C", "stops": [{"name": "Moss"}]}, []),
        ({}, ["city: is a required property"]),
        ({"city": 3}, ['city: 3 is not of type "string"']),
        ({"city": "Oslo", "days": "x"}, ['days: "x" is not of type "integer" or "x" is not of type "null"']),
        ({"city": "Oslo", "unit": "K"}, ['unit: "K" is not one of "C" or "F"']),
        ({"city": "Oslo", "stops": [{}, {"name": "Moss"}]}, ["stops[0].name: is a required property"]),
        ({"city": "Oslo", "stops": [{"name": 1}]}, ['stops[0].name: 1 is not of type "string"']),
        ({"city": "Oslo", "town": 1}, ["Additional properties are not allowed ('town' was unexpected)"]),
        ({"days": "x", "unit": 1}, None),
        ("Oslo", ["the arguments must be a JSON object, not a str"]),
        (None, ["the arguments must be a JSON object, not a NoneType"]),
        (["Oslo"], ["the arguments must be a JSON object, not a list"]),
        ({1: 2}, ["it cannot be checked: Dict key must be str or str enum. Got 'int'"]),
    ],
)
def test_each_problem_names_its_place(arguments: Any, expected: list[str] | None) -> None:
    found = Tool("weather", "", SCHEMA, weather).validate_arguments(arguments)
    assert found == expected if expected is not None else len(found) == 3


def test_values_that_are_no_object_can_be_checked_against_any_schema() -> None:
    assert validation_errors({"type": "array"}, [1]) == []
    assert validation_errors({"type": "array"}, 3) == ['3 is not of type "array"']


def test_one_of_says_what_each_branch_wanted() -> None:
    schema = {"oneOf": [{"required": ["a"]}, {"required": ["b"]}]}
    assert validation_errors(schema, {}) == ['"a" is a required property or "b" is a required property']
    assert validation_errors(schema, {"a": 1, "b": 1})[0].startswith('{"a":1,"b":1} is valid under more than one')


def test_messages_are_short_and_few() -> None:
    schema = {"properties": {"items": {"items": {"type": "integer"}}}}
    found = validation_errors(schema, {"items": ["x" * 1000] * 50})
    assert len(found) == 21
    assert found[-1] == "... and 30 more"
    assert all(len(message) < 330 for message in found)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "banana"},
        {"minLength": -1},
        {"properties": {"a": 3}},
        {"pattern": "("},
        {"required": "city"},
        {"$ref": "#/$defs/Nowhere"},
        {"default": object()},
        {1: 2},
        True,
        None,
        [],
        "object",
    ],
)
def test_what_is_no_schema_is_refused(schema: Any) -> None:
    with pytest.raises(ConfigurationError, match="is no valid JSON Schema"):
        check_schema(schema)
    with pytest.raises(ValueError, match="dictionary of the tool `t`"):
        Tool("t", "", schema, weather)


@pytest.mark.parametrize(
    "schema", [{}, {"city": {"type": "string"}}, {"$schema": "http://json-schema.org/draft-07/schema#"}]
)
def test_loose_schemas_are_schemas(schema: Any) -> None:
    check_schema(schema)
    assert validation_errors(schema, {"city": 3}) == []


def test_nesting_without_end_is_refused() -> None:
    schema: dict[str, Any] = {}
    schema["properties"] = {"again": schema}
    with pytest.raises(ConfigurationError, match="Recursion limit"):
        check_schema(schema)
    value: dict[str, Any] = {}
    value["again"] = value
    assert validation_errors({"type": "object"}, {"a": 1}) == []
    assert validation_errors({"additionalProperties": {"required": ["x"]}}, value) == [
        "it cannot be checked: Recursion limit reached"
    ]


def test_a_reference_to_another_host_is_not_fetched() -> None:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        schema = {"$ref": f"http://127.0.0.1:{server.server_port}/schema.json"}
        with pytest.raises(ConfigurationError, match="only references inside the schema are followed"):
            check_schema(schema)
        assert validation_errors(schema, {})[0].startswith("it cannot be checked, the schema is wrong")
        server.shutdown()
    assert asked == []


def test_a_slow_pattern_ends_as_a_problem() -> None:
    schema = {"properties": {"text": {"type": "string", "pattern": "^(a|a)*(?=b)$"}}}
    assert validation_errors(schema, {"text": "a" * 60 + "!"})[0].startswith("text: ")


def test_a_schema_spoiled_after_construction_does_not_let_arguments_through() -> None:
    tool = Tool("t", "", {"type": "object"}, weather)
    tool.parameters["type"] = "banana"
    assert tool.validate_arguments({})[0].startswith("it cannot be checked, the schema is wrong: type: ")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)
KEYWORDS = [
    "type",
    "properties",
    "items",
    "required",
    "anyOf",
    "oneOf",
    "not",
    "$ref",
    "$defs",
    "enum",
    "const",
    "pattern",
]
KEYWORDS += [
    "minimum",
    "additionalProperties",
    "$id",
    "$schema",
    "format",
    "prefixItems",
    "if",
    "then",
    "dependentSchemas",
]
SCHEMAS = st.dictionaries(
    st.sampled_from(KEYWORDS) | st.text(max_size=5),
    st.recursive(
        JSON | st.sampled_from(["object", "string", "#", "#/$defs/a", "http://127.0.0.1:1/x"]),
        lambda inner: st.dictionaries(st.sampled_from(KEYWORDS), inner, max_size=3) | st.lists(inner, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)


@settings(deadline=None)
@given(SCHEMAS | JSON, st.dictionaries(st.text(max_size=8), JSON, max_size=4))
def test_arbitrary_schemas_and_arguments_end_in_messages(schema: Any, arguments: dict[str, Any]) -> None:
    tool = Tool("t", "", {}, weather)
    tool.parameters = schema
    assert all(isinstance(message, str) and message for message in tool.validate_arguments(arguments))
    try:
        check_schema(schema)
    except ConfigurationError:
        assert schema is True or tool.validate_arguments(arguments)


@pytest.fixture
def without_rust(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in Pyodide, for which there is no jsonschema-rs."""
    monkeypatch.setitem(sys.modules, "jsonschema_rs", None)


@pytest.mark.usefixtures("without_rust")
@pytest.mark.parametrize(
    ("schema", "value", "errors"),
    [
        (SCHEMA, {"city": "Oslo", "days": None, "stops": [{"name": "Moss"}]}, []),
        (SCHEMA, {}, ["city: is a required property"]),
        (SCHEMA, {"city": "Oslo", "days": "x"}, ["days: 'x' is not of type 'integer' or 'x' is not of type 'null'"]),
        (SCHEMA, {"city": "Oslo", "stops": [{}]}, ["stops[0].name: is a required property"]),
        ({"items": [{}], "additionalItems": False}, [1, 2], ["Additional items are not allowed (2 was unexpected)"]),
        ({"maximum": 3, "exclusiveMaximum": True}, 3, ["3 is greater than or equal to the maximum of 3"]),
        (
            {"properties": {"a": {"$id": "b", "$ref": "c"}}},
            {"a": 1},
            ["it cannot be checked: only references inside the schema are followed, not c"],
        ),
    ],
)
def test_without_the_fast_validator_one_in_python_says_the_same(schema: Any, value: Any, errors: list[str]) -> None:
    check_schema(schema)
    assert validation_errors(schema, value) == errors


@pytest.mark.usefixtures("without_rust")
def test_the_validator_in_python_refuses_bad_schemas_and_ends_with_deep_values() -> None:
    for schema, reason in (
        ({"minLength": "many"}, "minLength: 'many' is not of type 'integer'"),
        ({"$ref": "https://example.invalid/x"}, "not https://example.invalid/x"),
        ({"$ref": "#/nowhere"}, "not /nowhere"),
    ):
        with pytest.raises(ConfigurationError, match=reason):
            check_schema(schema)
    endless: dict[str, Any] = {}
    endless["properties"] = {"again": endless}
    with pytest.raises(ConfigurationError, match="holds itself"):
        check_schema(endless)
    deep: list[Any] = []
    for _ in range(3_000):
        deep = [deep]
    schema = {"$ref": "#/$defs/nest", "$defs": {"nest": {"items": {"$ref": "#/$defs/nest"}}}}
    assert validation_errors(schema, deep) == ["it cannot be checked: it lies too deep"]


@pytest.mark.usefixtures("without_rust")
def test_without_any_validator_the_call_that_needs_one_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    with pytest.raises(ImportError, match="pip install jsonschema"):
        check_schema({})
