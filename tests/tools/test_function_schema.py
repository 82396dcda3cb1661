from __future__ import annotations

import datetime
import functools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, Optional

import pytest
from pydantic import Field

from orchat.errors import ConfigurationError, SchemaGenerationError
from orchat.tools import create_tool_from_function, tool
from tests.tools import samples
from tests.tools.samples import Place, Unit


def schema(function: Callable[..., Any], **options: Any) -> dict[str, Any]:
    return create_tool_from_function(function, **options).parameters


def one(hint: Any, *default: Any) -> dict[str, Any]:
    """Return the schema of a parameter with this hint."""

    def function(*, value: Any) -> None: ...

    function.__annotations__ = {"value": hint}
    if default:
        function.__kwdefaults__ = {"value": default[0]}
    made = schema(function)
    assert made.get("required", []) == ([] if default else ["value"])
    found: dict[str, Any] = made["properties"]["value"]
    return found


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        (int, {"type": "integer"}),
        (float, {"type": "number"}),
        (str, {"type": "string"}),
        (bool, {"type": "boolean"}),
        (list, {"type": "array", "items": {}}),
        (list[int], {"type": "array", "items": {"type": "integer"}}),
        (dict, {"type": "object", "additionalProperties": True}),
        (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
        (int | str, {"anyOf": [{"type": "integer"}, {"type": "string"}]}),
        (Optional[int], {"anyOf": [{"type": "integer"}, {"type": "null"}]}),  # noqa: UP045
        (Literal["p", "q"], {"enum": ["p", "q"], "type": "string"}),
        (Literal["p"], {"const": "p", "type": "string"}),
        (tuple[int, ...], {"type": "array", "items": {"type": "integer"}}),
        (set[int], {"type": "array", "items": {"type": "integer"}, "uniqueItems": True}),
        (Any, {}),
        (object, {}),
        (datetime.date, {"type": "string", "format": "date"}),
        (Path, {"type": "string", "format": "path"}),
        (Annotated[int, "how many"], {"type": "integer", "description": "how many"}),
        (Annotated[int, Field(description="how many")], {"type": "integer", "description": "how many"}),
        (Annotated[int, Field(ge=1), "how many"], {"type": "integer", "minimum": 1, "description": "how many"}),
        (Annotated[int, "one", Field(description="two")], {"type": "integer", "description": "one"}),
        (Annotated[int, object()], {"type": "integer"}),
        ("Annotated[int, 'how many']", {"type": "integer", "description": "how many"}),
        (list["int"], {"type": "array", "items": {"type": "integer"}}),
    ],
)
def test_hints(hint: Any, expected: dict[str, Any]) -> None:
    assert one(hint) == expected


@pytest.mark.parametrize(
    ("hint", "default", "expected"),
    [
        (int, 3, {"type": "integer", "default": 3}),
        (int | None, None, {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None}),
        (Any, object(), {}),
        (list[int], [1, 2], {"type": "array", "items": {"type": "integer"}, "default": [1, 2]}),
        (
            dict[str, str],
            {"title": "x"},
            {"additionalProperties": {"type": "string"}, "default": {"title": "x"}, "type": "object"},
        ),
    ],
)
def test_defaults(hint: Any, default: Any, expected: dict[str, Any]) -> None:
    assert one(hint, default) == expected


def test_classes_go_into_definitions_without_titles() -> None:
    def function(place: Place, unit: Unit = Unit.CELSIUS) -> None: ...

    assert schema(function) == {
        "type": "object",
        "properties": {"place": {"$ref": "#/$defs/Place"}, "unit": {"$ref": "#/$defs/Unit", "default": "C"}},
        "required": ["place"],
        "$defs": {
            "Place": {
                "type": "object",
                "description": "A place.",
                "properties": {"title": {"type": "string"}, "size": {"type": "integer", "default": 1}},
                "required": ["title"],
            },
            "Unit": {"type": "string", "description": "A unit.", "enum": ["C", "F"]},
        },
    }


def test_names_that_are_awkward_for_a_model_class_are_just_names() -> None:
    def function(
        title: str, schema: int, model_config: str, _hidden: bool, properties: list[str], copy: int = 1
    ) -> None: ...

    made = schema(function)
    assert list(made["properties"]) == ["title", "schema", "model_config", "_hidden", "properties", "copy"]
    assert made["required"] == ["title", "schema", "model_config", "_hidden", "properties"]
    assert made["properties"]["_hidden"] == {"type": "boolean"}


def test_no_parameters() -> None:
    def nothing() -> None: ...

    assert schema(nothing) == {"type": "object", "properties": {}}


def test_what_a_model_cannot_give_is_left_out() -> None:
    def function(
        text: str,
        state_key: Any,
        on_done: Callable[[], None] = print,
        bare: Callable = print,
        maybe: Callable[[int], None] | None = None,
        described: Annotated[Callable[..., Any] | None, "x"] = None,
        *args: int,
    ) -> None: ...

    made = schema(function, inputs_from_state={"key": "state_key"})
    assert made == {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}


def test_a_parameter_filled_from_state_needs_no_hint() -> None:
    def function(text: str, state_key) -> None: ...

    assert list(schema(function, inputs_from_state={"key": "state_key"})["properties"]) == ["text"]


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        (int, {"type": "integer"}),
        (Any, True),
        (None, True),
        (Annotated[str, "more"], {"type": "string", "description": "more"}),
    ],
)
def test_keyword_arguments_open_the_object(hint: Any, expected: Any) -> None:
    def function(text: str, **more: Any) -> dict[str, Any]:
        return more

    function.__annotations__ = {"text": str} | ({} if hint is None else {"more": hint})
    made = create_tool_from_function(function)
    assert made.parameters == {
        "type": "object",
        "properties": {"text": {"type": "string"}},
        "required": ["text"],
        "additionalProperties": expected,
    }
    value = "1" if hint == Annotated[str, "more"] else 1
    assert made.invoke(text="a", x=value) == {"x": value}


def test_only_keyword_arguments() -> None:
    def function(**more: int) -> None: ...

    assert schema(function) == {"type": "object", "properties": {}, "additionalProperties": {"type": "integer"}}


def test_positional_only_parameters() -> None:
    def optional(a: int = 1, /, *, b: int) -> int:
        return a + b

    def required(a: int, /) -> None: ...

    made = create_tool_from_function(optional)
    assert list(made.parameters["properties"]) == ["b"]
    assert made.invoke(b=2) == 3
    with pytest.raises(ConfigurationError, match="`a` of `required` can be given by position only"):
        create_tool_from_function(required)


def test_a_missing_hint_is_a_value_error() -> None:
    def function(city) -> None: ...

    with pytest.raises(ValueError, match="`city` of `function` has no type hint"):
        create_tool_from_function(function)


def test_a_type_without_schema() -> None:
    class Opaque: ...

    def function(value: Any) -> None: ...

    function.__annotations__["value"] = Opaque
    with pytest.raises(SchemaGenerationError, match="signature of `function` has no JSON Schema") as caught:
        create_tool_from_function(function)
    assert caught.value.__cause__ is not None
    assert "\n" not in str(caught.value)


def test_hints_that_only_type_checkers_can_read() -> None:
    with pytest.raises(SchemaGenerationError, match=r"`Decimal` of the parameter `ignored` .* means nothing here"):
        create_tool_from_function(samples.typed_for_checkers_only)
    made = schema(samples.typed_for_checkers_only, inputs_from_state={"key": "ignored"})
    assert made["properties"] == {"city": {"type": "string"}}


def test_a_builtin_without_signature() -> None:
    with pytest.raises(SchemaGenerationError, match="`max` has no signature"):
        create_tool_from_function(max)


def test_name_and_description() -> None:
    def function(a: int) -> None:
        """First line.

        Second one.
        """

    assert create_tool_from_function(function).description == "First line.\n\nSecond one."
    assert create_tool_from_function(function, description="").description == ""
    assert create_tool_from_function(function, "other", "text").tool_spec["name"] == "other"
    with pytest.raises(ConfigurationError, match="'<lambda>' is no name for a tool"):
        create_tool_from_function(lambda: None)


def test_the_decorator_takes_every_option() -> None:
    @tool(
        name="other",
        description="Text.",
        inputs_from_state={"key": "hidden"},
        outputs_to_state={"docs": {"source": "docs"}},
        outputs_to_string={"source": "docs"},
    )
    def function(a: int, hidden: str) -> None: ...

    assert (function.name, function.description) == ("other", "Text.")
    assert list(function.parameters["properties"]) == ["a"]
    assert function.inputs_from_state == {"key": "hidden"}
    assert function.outputs_to_state == {"docs": {"source": "docs"}}
    assert function.outputs_to_string == {"source": "docs"}


def test_every_kind_of_function() -> None:
    box = samples.Maker()
    assert create_tool_from_function(box.method).invoke(text="a") == "a"
    assert create_tool_from_function(samples.Heir.make).invoke(text="a") == "Heira"
    partial = create_tool_from_function(samples.partial)
    assert (partial.name, partial.description) == ("weather", "Tell the weather.")
    assert partial.parameters["properties"]["days"] == {"type": "integer", "default": 1}
    assert partial.invoke(city="Oslo") == "Oslo: 1 days of rain"
    instance = create_tool_from_function(box)
    assert (instance.name, instance.invoke(text="a")) == ("Maker", "a")
    caller = create_tool_from_function(samples.AsyncCaller())
    assert (caller.name, caller.function, caller.invoke(text="a")) == ("AsyncCaller", None, "a")
    assert create_tool_from_function(functools.partial(samples.wait_for)).async_function is not None
    assert create_tool_from_function(samples.wait_for).async_function is samples.wait_for

    @functools.wraps(samples.weather)
    def wrapped(*args: Any, **kwargs: Any) -> str:
        return samples.weather(*args, **kwargs) + "!"

    assert create_tool_from_function(wrapped).parameters == create_tool_from_function(samples.weather).parameters
    assert create_tool_from_function(wrapped).invoke(city="Oslo") == "Oslo: 3 days of rain!"


def test_a_default_that_is_no_json_stays_out_of_the_schema() -> None:
    def clip(low: float = -math.inf, high: float = math.nan, bands: tuple[float, ...] = (1.0, math.inf)) -> None: ...

    schema = create_tool_from_function(clip, description="Clip.").parameters
    assert json.loads(json.dumps(schema, allow_nan=False)) == schema
    assert all("default" not in each for each in schema["properties"].values())
