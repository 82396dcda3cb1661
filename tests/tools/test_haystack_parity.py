"""Our tools against Haystack's own, both of them run."""

from __future__ import annotations

import asyncio
import copy
import datetime
import inspect
import json
import os
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Optional

import pytest
from pydantic import Field

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"

import haystack.tools
from haystack import component
from haystack.components.agents.state import State
from haystack.components.generators.utils import print_streaming_chunk as haystacks_print_streaming_chunk
from haystack.core.errors import DeserializationError
from haystack.core.errors import SerializationError as HaystackSerializationError
from haystack.tools.serde_utils import deserialize_tools_or_toolset_inplace, serialize_tools_or_toolset
from haystack.utils.callable_serialization import serialize_callable

import orchat.tools
from orchat.errors import SerializationError, ToolInvocationError
from orchat.tools.import_path import import_path_of, resolve_import_path
from orchat.tools.toolset import flatten, tools_from_dict, tools_to_dict
from tests.tools import samples
from tests.tools.samples import PATH, Place, Unit

pytestmark = pytest.mark.usefixtures("samples_allowed")

TYPES = {
    "orchat.tools.Tool": "haystack.tools.tool.Tool",
    "orchat.tools.Toolset": "haystack.tools.toolset.Toolset",
}


def as_haystack(text: str) -> str:
    """Write Haystack's type strings for ours."""
    for ours, theirs in TYPES.items():
        text = text.replace(f'"type": "{ours}"', f'"type": "{theirs}"')
    return text


def simple(a: int, b: str = "x", c: float = 1.5, d: bool = True) -> None:
    """Do it.

    With indentation.
    """


def collections(
    a: list, b: list[int], c: dict, d: dict[str, int], e: tuple[int, str], f: set[int], g: tuple[int, ...]
) -> None: ...
def unions(a: int | str, b: Optional[int] = None, c: int | None = 3) -> None: ...  # noqa: UP045
def literals(a: Literal["p", "q"], b: Literal["one"], c: Any, d: object) -> None: ...
def formats(a: datetime.date, b: uuid.UUID, c: bytes, d: Path, e: datetime.datetime) -> None: ...
def classes(place: Place, places: list[Place], unit: Unit, again: Place | None = None) -> None: ...
def described(
    a: Annotated[int, "first"], b: Annotated[Place, "second"], title: Annotated[str, "third", "more"] = "t"
) -> None: ...
def bounded(a: Annotated[int, "first", Field(ge=1)] = 1) -> None: ...
def nothing() -> None: ...
def callables(a: int, b: Callable[[int], str] = str, c: Callable[[], None] | None = None) -> None: ...
def stateful(a: int, state: State, other: State | None = None, third: Annotated[State | None, "x"] = None) -> None: ...
def mutable(a: list[dict[str, str]] = [{"title": "x"}]) -> None: ...  # noqa: B006
async def asynchronous(a: int) -> None: ...


FUNCTIONS = [
    simple, collections, unions, literals, formats, classes, described, bounded, nothing, callables, stateful, mutable,
    asynchronous, samples.weather, samples.Maker.plain, samples.Maker.make,
]  # fmt: skip


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_the_same_function_gives_the_same_json(function: Callable[..., Any]) -> None:
    ours = orchat.tools.create_tool_from_function(function)
    theirs = haystack.tools.create_tool_from_function(function)
    theirs.description = inspect.cleandoc(theirs.description)  # ours has no indentation
    assert as_haystack(json.dumps(ours.to_dict())) == json.dumps(theirs.to_dict())


def configured(module: Any) -> list[Any]:
    """Make the same tools with either library."""
    schema: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}}
    options: list[dict[str, Any]] = [
        {"function": samples.weather},
        {"async_function": samples.wait_for},
        {"function": samples.weather, "async_function": samples.wait_for},
        {
            "function": samples.weather,
            "outputs_to_string": {"source": "a", "handler": samples.shout, "raw_result": True},
        },
        {"function": samples.weather, "outputs_to_string": {"a": {"source": "x", "handler": samples.shout}}},
        {"function": samples.weather, "outputs_to_state": {"docs": {"source": "x", "handler": samples.shout}, "b": {}}},
        {"function": samples.weather, "inputs_from_state": {"place": "city"}},
    ]
    return [module.Tool(f"tool_{i}", "Text.", schema, **each) for i, each in enumerate(options)]


def arguments(module: Any) -> list[Any]:
    tools = configured(module)
    return [None, [], tools, module.Toolset(tools), [tools[0], module.Toolset(tools[1:])], module.Toolset([])]


def test_saved_tools_are_the_same() -> None:
    for ours, theirs in zip(arguments(orchat.tools), arguments(haystack.tools), strict=True):
        assert as_haystack(json.dumps(tools_to_dict(ours))) == json.dumps(serialize_tools_or_toolset(theirs))


def test_what_haystack_saved_we_load() -> None:
    for ours, theirs in zip(arguments(orchat.tools), arguments(haystack.tools), strict=True):
        saved = serialize_tools_or_toolset(theirs)
        before = copy.deepcopy(saved)
        assert tools_from_dict(saved) == ours
        assert saved == before


def test_what_we_saved_haystack_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HAYSTACK_DESERIALIZATION_ALLOWLIST", "tests.*")
    for ours, theirs in zip(arguments(orchat.tools), arguments(haystack.tools), strict=True):
        data = {"tools": json.loads(as_haystack(json.dumps(tools_to_dict(ours))))}
        deserialize_tools_or_toolset_inplace(data)
        assert data["tools"] == theirs


WRONG: list[dict[str, Any]] = [
    {"function": None},
    {"function": samples.wait_for},
    {"async_function": samples.weather},
    {"parameters": {"type": "banana"}},
    {"outputs_to_state": {"docs": 3}},
    {"outputs_to_state": {"docs": {"source": 3}}},
    {"outputs_to_state": {"docs": {"handler": 3}}},
    {"outputs_to_string": {"source": 3}},
    {"outputs_to_string": {"handler": 3}},
    {"outputs_to_string": {"raw_result": 3}},
    {"outputs_to_string": {"source": "x", "more": 3}},
    {"outputs_to_string": {"more": 3}},
    {"outputs_to_string": {"more": {"handler": str}}},
    {"outputs_to_string": {"more": {"source": "x", "raw_result": True}}},
    {"inputs_from_state": {"key": 3}},
    {"inputs_from_state": {"key": "unknown"}},
]


@pytest.mark.parametrize("wrong", WRONG)
def test_what_haystack_refuses_we_refuse_with_the_same_kind_of_error(wrong: dict[str, Any]) -> None:
    values = {"name": "t", "description": "", "parameters": {}, "function": samples.weather, **wrong}
    with pytest.raises((ValueError, TypeError)) as theirs:
        haystack.tools.Tool(**values)
    with pytest.raises(theirs.type):
        orchat.tools.Tool(**values)


@pytest.mark.parametrize("tools", ["x", 3, (1,), [3], [None], "tuple", "tool"], ids=str)
def test_tools_arguments_that_are_type_errors_in_both(tools: Any) -> None:
    from haystack.tools.utils import flatten_tools_or_toolsets

    for module, flattened in ((haystack.tools, flatten_tools_or_toolsets), (orchat.tools, flatten)):
        tool = configured(module)[0]
        with pytest.raises(TypeError):
            flattened({"tuple": (tool,), "tool": tool}.get(tools, tools) if isinstance(tools, str) else tools)


@pytest.mark.parametrize(
    "function",
    [print, len, json.dumps, simple, samples.weather, samples.Maker, samples.Maker.make, samples.Maker.plain],
    ids=lambda function: function.__qualname__,
)
def test_paths_are_the_same(function: Any) -> None:
    assert import_path_of(function) == serialize_callable(function)


def test_what_has_no_path_has_none_in_both() -> None:
    def nested() -> None: ...

    for function in (lambda: None, nested, samples.instance.method, samples.Maker.method):
        with pytest.raises(HaystackSerializationError):
            serialize_callable(function)
        with pytest.raises(SerializationError):
            import_path_of(function)


def test_paths_that_both_refuse() -> None:
    from haystack.utils.callable_serialization import deserialize_callable

    for path in (
        "os.system",
        "builtins.eval",
        "builtins.open",
        "json.dumps",
        f"{PATH}.shout.__globals__",
        "nothing.there",
    ):
        with pytest.raises(DeserializationError):
            deserialize_callable(path)
        with pytest.raises(SerializationError):
            resolve_import_path(path)


def test_haystacks_callback_is_found() -> None:
    from orchat.streaming import print_streaming_chunk

    assert resolve_import_path(serialize_callable(haystacks_print_streaming_chunk)) is print_streaming_chunk


def test_haystacks_objects_are_adopted() -> None:
    ours, theirs = configured(orchat.tools), configured(haystack.tools)
    assert flatten(theirs) == ours
    assert flatten(haystack.tools.Toolset(theirs)) == ours
    assert flatten([theirs[0], haystack.tools.Toolset(theirs[1:])]) == ours
    assert orchat.tools.Toolset(theirs) == orchat.tools.Toolset(ours)
    for mine, foreign in zip(arguments(orchat.tools), arguments(haystack.tools), strict=True):
        assert tools_to_dict(foreign) == tools_to_dict(mine)
    assert flatten(haystack.tools.Toolset([])) == []


@component
class Doubler:
    """Doubles."""

    warmed = 0

    def warm_up(self) -> None:
        self.warmed += 1

    @component.output_types(result=int)
    def run(self, number: int) -> dict[str, int]:
        """Double a number.

        :param number: Which one.
        """
        if number < 0:
            raise ValueError("too small")
        return {"result": 2 * number}


def test_a_haystack_component_tool_is_adopted_and_runs() -> None:
    doubler = Doubler()
    foreign = haystack.tools.ComponentTool(doubler, name="double")
    adopted = orchat.tools.Tool.adopt(foreign)
    assert adopted.tool_spec == foreign.tool_spec
    assert adopted.validate_arguments({}) == ["number: is a required property"]
    assert adopted.invoke(number=2) == {"result": 4}
    assert doubler.warmed == 1
    assert asyncio.run(adopted.invoke_async(number=3)) == {"result": 6}
    with pytest.raises(ToolInvocationError, match="too small"):
        adopted.invoke(number=-1)


def test_a_haystack_tool_of_a_notebook_is_found_by_its_path(notebook: Any) -> None:
    notebook.foreign = haystack.tools.tool(notebook.double)
    notebook.double = notebook.foreign
    saved = notebook.foreign.to_dict()
    assert orchat.tools.Tool.from_dict(saved).function is notebook.foreign.function


def annotated_state(a: int, notes: Sequence[str] = ()) -> None: ...


def test_a_tuple_as_default() -> None:
    ours = orchat.tools.create_tool_from_function(annotated_state).parameters
    assert ours == haystack.tools.create_tool_from_function(annotated_state).parameters
