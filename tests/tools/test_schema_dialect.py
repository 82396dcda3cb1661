"""Schemas of every dialect: what they refuse and take, what is mended by them, and which one a schema is of."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from orchat.errors import ConfigurationError
from orchat.tools import Tool
from orchat.tools.argument_coercion import coerce_arguments
from orchat.tools.schema_dialect import named_dialect
from orchat.tools.schema_reference import resolve_pointer
from orchat.tools.schema_validation import check_schema, validation_errors

DRAFT_4 = "http://json-schema.org/draft-04/schema#"
DRAFT_7 = "http://json-schema.org/draft-07/schema#"
OF_2019 = "https://json-schema.org/draft/2019-09/schema"
OF_2020 = "https://json-schema.org/draft/2020-12/schema"
PAIR = {"type": "array", "items": [{"type": "string"}, {"type": "integer"}], "additionalItems": False}


def of_x(schema: Any, dialect: str | None = None, **more: Any) -> dict[str, Any]:
    named = {} if dialect is None else {"$schema": dialect}
    return {**named, "type": "object", "properties": {"x": schema}, **more}


@pytest.mark.parametrize(
    ("schema", "right", "wrong"),
    [
        (of_x(PAIR, DRAFT_7), ["Hull", 3], ["Hull", 3, 4]),
        (of_x(PAIR), ["Hull", 3], [3, "Hull"]),
        (of_x(PAIR, OF_2020), ["Hull", 3], ["Hull", "3"]),  # another one than it says
        (of_x({"minimum": 0, "exclusiveMinimum": True}, DRAFT_4), 1, 0),
        (of_x({"minimum": 0, "exclusiveMinimum": True}), 1, 0),
        (of_x({"minimum": 0, "exclusiveMinimum": True}, DRAFT_7), 1, 0),
        (of_x({"exclusiveMinimum": 0}, DRAFT_7), 1, 0),
        (of_x({"prefixItems": [{"type": "string"}], "items": False}, OF_2020), ["Hull"], ["Hull", 3]),
        (of_x({"$ref": "#/definitions/p"}, DRAFT_7, **{"$id": "#t", "definitions": {"p": {"type": "string"}}}), "a", 3),
        (of_x({"$ref": "#/definitions/p"}, **{"$id": "t", "definitions": {"p": {"type": "string"}}}), "a", 3),
        (of_x({"$ref": "t#/definitions/p"}, **{"$id": "t", "definitions": {"p": {"type": "string"}}}), "a", 3),
        (of_x({"$recursiveRef": "#"}, OF_2019, additionalProperties=False), {"x": {}}, {"y": 1}),
        (of_x({"$recursiveRef": "#"}, additionalProperties=False), {"x": {}}, {"y": 1}),
        (of_x({"dependencies": {"a": ["b"]}}, DRAFT_7), {"a": 1, "b": 2}, {"a": 1}),
        (of_x({"type": "string"}, "https://example.org/of-my-own"), "a", 3),
    ],
)
def test_a_schema_is_judged_in_its_dialect(schema: dict[str, Any], right: Any, wrong: Any) -> None:
    before = copy.deepcopy(schema)
    check_schema(schema)
    tool = Tool("t", "T.", schema, lambda x: x)
    assert tool.validate_arguments({"x": right}) == []
    assert tool.validate_arguments({"x": wrong}) != []
    assert schema == before


@pytest.mark.parametrize("dialect", [None, DRAFT_4, DRAFT_7, OF_2019, OF_2020])
@pytest.mark.parametrize("wrong", [{"type": "banana"}, {"minLength": -1}, {"pattern": "("}])
def test_what_is_a_schema_in_no_dialect_is_refused(dialect: str | None, wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="no valid JSON Schema"):
        check_schema(of_x(wrong, dialect))


def test_the_error_is_that_of_the_dialect_which_is_named() -> None:
    schema = {**of_x({"minimum": 0, "exclusiveMinimum": True}), "required": "x"}
    with pytest.raises(ConfigurationError, match=r'"x" is not of type "array"|true is not of type "number"'):
        check_schema(schema)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        (DRAFT_4, "draft-04"),
        ("http://json-schema.org/draft-06/schema", "draft-06"),
        ("https://json-schema.org/draft-07/schema#", "draft-07"),
        (OF_2019, "2019-09"),
        (OF_2020, "2020-12"),
        ("http://json-schema.org/schema#", None),
        (5, None),
    ],
)
def test_names_of_dialects(uri: Any, expected: str | None) -> None:
    assert named_dialect({"$schema": uri}) == expected


def test_arguments_are_mended_by_tuples_of_old_dialects_and_by_recursive_references() -> None:
    pair = of_x({**PAIR, "additionalItems": {"type": "integer"}}, DRAFT_7)
    assert coerce_arguments(pair, {"x": ["Hull", "3", "4"]}).values == {"x": ["Hull", 3, 4]}
    tree = of_x({"$recursiveRef": "#"}, OF_2019)
    tree["properties"]["n"] = {"type": "integer"}
    assert coerce_arguments(tree, {"x": {"n": "3"}}).values == {"x": {"n": 3}}


def test_references_are_pointers_behind_the_id_of_the_root() -> None:
    root = {"$id": "https://example.org/t#", "definitions": {"a b": {"type": "string"}}, "p": {"type": "integer"}}
    assert resolve_pointer("https://example.org/t#/definitions/a%20b", root) == {"type": "string"}
    assert resolve_pointer("#/definitions/a b", root) == {"type": "string"}
    assert resolve_pointer("#", root) is root
    for other in ("#p", "https://example.org/u#/p", "p", "", 3):  # an anchor is no pointer
        assert resolve_pointer(other, root) is None


def test_a_schema_that_holds_itself_ends() -> None:
    schema: dict[str, Any] = {"items": []}
    schema["properties"] = {"x": schema}
    assert validation_errors(schema, {})[0].startswith("it cannot be checked, the schema is wrong")
