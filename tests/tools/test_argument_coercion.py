"""Arguments of a wrong type are mended where there is one way to read them, and stay as they came everywhere else."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchat.tools import Tool, tool
from orchat.tools.argument_coercion import coerce_arguments
from orchat.tools.schema_validation import validation_errors
from tests.patterns.cpu_time import cpu_time

INTEGER, NUMBER, BOOLEAN, STRING = ({"type": name} for name in ("integer", "number", "boolean", "string"))
STRINGS, INTEGERS = {"type": "array", "items": STRING}, {"type": "array", "items": INTEGER}
PLACE = {"type": "object", "properties": {"name": STRING, "depth": INTEGER}, "required": ["name"]}
NULLABLE = {"anyOf": [INTEGER, {"type": "null"}], "default": None}
ABSENT = "absent"


def read(schema: Any, value: Any, *, required: bool = True) -> Any:
    """What becomes of one argument; `ABSENT` where it is left out."""
    whole = {"type": "object", "properties": {"x": schema}, "required": ["x"] if required else []}
    return coerce_arguments(whole, {"x": value}).values.get("x", ABSENT)


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON: 3 is not 3.0, and 1 is not true."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


@pytest.mark.parametrize(
    ("schema", "written", "meant"),
    [
        (INTEGER, "5", 5),
        (INTEGER, " -12\n", -12),
        (INTEGER, "3.0", 3),
        (INTEGER, "1e3", 1000),
        (INTEGER, 3.0, 3),
        (INTEGER, -0.0, 0),
        (INTEGER, str(2**70), 2**70),
        (NUMBER, "1.5", 1.5),
        (NUMBER, "5", 5),
        (BOOLEAN, "true", True),
        (BOOLEAN, "False", False),
        (NULLABLE, "7", 7),
        (NULLABLE, 7.0, 7),
        (NULLABLE, "null", None),
        (NULLABLE, "None", None),
        ({"type": ["integer", "null"]}, "7", 7),
        ({"enum": [1, 2]}, "2", 2),
        ({"const": 4}, "4", 4),
        (STRINGS, '["a"]', ["a"]),
        (STRINGS, "[]", []),
        (STRINGS, "a", ["a"]),
        (STRINGS, "5", ["5"]),
        (INTEGERS, '["1", 2.0]', [1, 2]),
        ({"type": "array", "items": INTEGERS}, '[[1], ["2"]]', [[1], [2]]),
        ({"type": "array", "items": {}}, "[5]", [5]),
        (INTEGERS, "5", [5]),
        (INTEGERS, 5, [5]),
        (INTEGERS, 5.0, [5]),
        ({"type": "array", "items": PLACE}, {"name": "Hull", "depth": "7"}, [{"name": "Hull", "depth": 7}]),
        ({"type": "array", "items": PLACE}, '{"name": "Hull"}', [{"name": "Hull"}]),
        ({"type": "array", "prefixItems": [STRING, INTEGER]}, ["a", "2"], ["a", 2]),
        (PLACE, '{"name": "Hull", "depth": 7}', {"name": "Hull", "depth": 7}),
        (PLACE, {"name": "Hull", "depth": None}, {"name": "Hull"}),
        ({"type": "object", "additionalProperties": INTEGER}, {"a": "1", "b": 2.0}, {"a": 1, "b": 2}),
        ({"allOf": [INTEGER, {"minimum": 3}]}, "5", 5),
        ({"oneOf": [BOOLEAN, INTEGER]}, "5", 5),
        ({"type": ["integer", "array"]}, 5.0, 5),
        ({"anyOf": [PLACE, {"type": "null"}]}, {"name": "Hull", "depth": "7"}, {"name": "Hull", "depth": 7}),
    ],
)
def test_a_value_with_one_reading_is_mended(schema: Any, written: Any, meant: Any) -> None:
    found = read(schema, written)
    assert same(found, meant)
    assert same(read(schema, meant), meant)  # what is right stays


@pytest.mark.parametrize(
    ("schema", "written"),
    [
        (STRING, "5"),  # it may be a text
        (STRING, "null"),
        ({"type": ["string", "integer"]}, "5"),
        ({"anyOf": [STRING, STRINGS]}, '["a"]'),
        ({}, "5"),
        (NUMBER, 3.0),
        ({"type": ["number", "null"]}, 3.0),
        (STRING, 5),  # how it was spelt is not known
        (BOOLEAN, 1),
        (BOOLEAN, "yes"),
        (INTEGER, True),
        (INTEGER, 3.5),
        (INTEGER, "3.5"),
        (INTEGER, "5 km"),
        (INTEGER, "05"),
        (INTEGER, '"5"'),
        (INTEGER, ""),
        (INTEGER, "[5]"),
        (INTEGER, [5]),
        (INTEGER, None),  # it must be there
        ({"type": ["integer", "array"]}, float(2**60)),
        (INTEGER, float(2**60)),  # which integer was meant is not known any more
        (NUMBER, "NaN"),
        (NUMBER, "Infinity"),
        (NUMBER, "1e999"),
        (STRINGS, "a, b"),
        (STRINGS, "a\nb"),
        (STRINGS, "[a]"),
        (STRINGS, ""),
        (STRINGS, None),
        (STRINGS, 5),
        (INTEGERS, "1, 2"),
        ({"anyOf": [INTEGER, INTEGERS]}, "5"),
        ({"anyOf": [BOOLEAN, INTEGERS]}, "[5"),
        ({"type": "array", "items": INTEGERS}, [1, 2]),
        ({"type": "array", "items": INTEGERS}, "[1, 2]"),
        ({"type": "array", "items": INTEGER, "minItems": 2}, 5),
        ({"type": "integer", "minimum": 10}, "5"),
        ({"enum": [1, 2]}, "3"),
        ({"anyOf": [PLACE, {**PLACE, "required": []}]}, {"name": "Hull", "depth": "7"}),
        (PLACE, "Hull"),
        (PLACE, '{"name": "Hull", "depth": 7, "depth": 8}'),
        ({"type": "array", "items": PLACE}, '[{"name": "Hull", "name": "Goole"}]'),
    ],
)
def test_a_value_with_none_or_several_stays_as_it_came(schema: Any, written: Any) -> None:
    assert same(read(schema, written), written)


@pytest.mark.parametrize("written", [None, "null", "None"])
@pytest.mark.parametrize("schema", [INTEGER, INTEGERS, PLACE, BOOLEAN])
def test_null_for_what_need_not_be_there_is_left_out(schema: Any, written: Any) -> None:
    assert read(schema, written, required=False) == ABSENT
    assert read({"anyOf": [schema, {"type": "null"}]}, None, required=False) is None
    assert same(read(schema, written), written)


def test_null_of_an_unknown_name_or_inside_a_list_stays() -> None:
    assert coerce_arguments({"properties": {}}, {"y": None}).values == {"y": None}
    assert read(INTEGERS, [1, None]) == [1, None]
    assert read(STRINGS, "null", required=False) == "null"  # nothing, or a list of that word?


def test_what_is_mended_is_named_and_the_arguments_as_written_are_not_touched() -> None:
    schema = {
        "properties": {"n": INTEGER, "place": {"$ref": "#/$defs/place"}, "xs": INTEGERS},
        "$defs": {"place": PLACE},
    }
    written = {"n": "5", "place": {"name": "Hull", "depth": "7"}, "xs": None}
    before = copy.deepcopy(written)
    found = coerce_arguments(schema, written)
    assert found.values == {"n": 5, "place": {"name": "Hull", "depth": 7}}
    assert found.notes == ("n: string to integer", "place.depth: string to integer", "xs: null left out")
    assert written == before
    right = {"n": 5}
    assert coerce_arguments(schema, right).values is right


def test_what_can_be_mended_is_beside_what_cannot() -> None:
    schema = {"properties": {"n": INTEGER, "m": INTEGER}}
    found = coerce_arguments(schema, {"n": "5", "m": "many"})
    assert found.values == {"n": 5, "m": "many"}
    assert validation_errors(schema, found.values) == ['m: "many" is not of type "integer"']


def test_nothing_is_mended_into_breaking_another_rule() -> None:
    schema = {"properties": {"n": {"anyOf": [INTEGER, BOOLEAN], "maximum": 3}, "m": INTEGER}}
    written = {"n": "5", "m": "2"}
    assert coerce_arguments(schema, written).values is written


def test_schemas_of_functions_are_understood() -> None:
    @tool
    def plan(days: int, ports: list[str], share: float = 0.5, slow: bool = False, limit: int | None = None) -> str:
        """Plan."""
        return f"{days!r} {ports!r} {share!r} {slow!r} {limit!r}"

    found = plan.coerce_arguments({"days": "3", "ports": '["Hull"]', "share": None, "slow": "true", "limit": "9"})
    assert plan.invoke(**found.values) == "3 ['Hull'] 0.5 True 9"


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#"},
        {"properties": {"x": {"$ref": "#/nowhere"}}},
        {"properties": {"x": {"$ref": "https://example.org/x.json"}}},
        {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]},
        {"properties": {"x": {"allOf": [{"anyOf": [INTEGER, NUMBER, BOOLEAN]}] * 5}}},
        {"properties": {"x": {"type": "integer", "allOf": [STRING]}}},
        {"properties": {"x": False}},
        {"properties": [], "required": 1},
        7,
    ],
)
def test_a_schema_that_cannot_be_followed_mends_nothing(schema: Any) -> None:
    written = {"x": "5"}
    assert coerce_arguments(schema, written).values is written


def test_schemas_that_refer_to_each_other_without_end_take_no_time() -> None:
    names = [f"d{number}" for number in range(30)]
    variants = [{"$ref": f"#/$defs/{name}"} for name in names]
    schema = {"$defs": {name: {"anyOf": variants} for name in names}, "properties": {"x": {"anyOf": variants}}}
    assert cpu_time(lambda: coerce_arguments(schema, {"x": "5"}), 10.0) < 5.0


def test_a_tree_is_mended_in_its_leaves() -> None:
    schema = {"properties": {"n": INTEGER, "below": {"type": "array", "items": {"$ref": "#"}}}}
    written = {"n": "1", "below": [{"n": "2", "below": {"n": 3.0}}]}
    assert coerce_arguments(schema, written).values == {"n": 1, "below": [{"n": 2, "below": [{"n": 3}]}]}


def test_what_is_nested_very_deep_stays() -> None:
    deep: Any = "5"
    for _ in range(5000):
        deep = [deep]
    schema = {
        "properties": {"x": {"$ref": "#/$defs/t"}},
        "$defs": {"t": {"anyOf": [INTEGER, {"type": "array", "items": {"$ref": "#/$defs/t"}}]}},
    }
    written = {"x": deep}
    assert coerce_arguments(schema, written).values is written
    assert same(read(STRINGS, "[" * 100_000), "[" * 100_000)


def test_long_lists_take_time_in_proportion() -> None:
    schema = {"properties": {"x": {"type": "array", "items": {"$ref": "#/$defs/n"}}}, "$defs": {"n": INTEGER}}
    written = {"x": [str(number) for number in range(50_000)]}
    found: list[dict[str, Any]] = []
    assert cpu_time(lambda: found.append(coerce_arguments(schema, written).values), 30.0) < 10.0
    assert found == [{"x": list(range(50_000))}]


VALUES = {
    "integer": st.integers(),
    "number": st.floats(allow_nan=False, allow_infinity=False),
    "boolean": st.booleans(),
    "array": st.lists(st.integers(), max_size=4),
    "object": st.dictionaries(st.text(max_size=4), st.integers(), max_size=3),
}
TEXTS = st.text(max_size=8) | st.sampled_from(["5", "null", "true", "[1]", "{}", "3.0", "1e3", "None"])
ANY = st.one_of(*VALUES.values(), st.none(), TEXTS)


@given(st.sampled_from(sorted(VALUES)).flatmap(lambda name: st.tuples(st.just(name), VALUES[name])))
def test_the_json_of_any_value_is_read_back(case: tuple[str, Any]) -> None:
    name, value = case
    assert same(read({"type": name}, json.dumps(value)), value)


@given(st.lists(st.sampled_from([*VALUES, "string", "null"]), min_size=1, unique=True), ANY, st.booleans())
def test_nothing_gets_worse_and_what_fits_stays(types: list[str], value: Any, required: bool) -> None:
    schema = {"properties": {"x": {"type": types}}, "required": ["x"] if required else []}
    before, found = validation_errors(schema, {"x": value}), coerce_arguments(schema, {"x": value})
    assert set(validation_errors(schema, found.values)) <= set(before)
    if not before:
        assert found.values == {"x": value}
    again = coerce_arguments(schema, found.values)
    assert (again.notes, again.values) == ((), found.values)


def test_a_tool_of_another_library_is_mended_as_well() -> None:
    class Foreign:
        name, description, parameters = "count", "Count.", {"properties": {"n": INTEGER}}

        @staticmethod
        def function(n: int) -> int:
            return n + 1

        async_function = None

    adopted = Tool.adopt(Foreign())
    assert adopted.invoke(**adopted.coerce_arguments({"n": "4"}).values) == 5
