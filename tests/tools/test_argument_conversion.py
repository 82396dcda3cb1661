"""Typed arguments: what a function gets is what its hints say, made of the very JSON that was shown."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import functools
import json
import math
import pickle
import uuid
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Optional

import pytest
from pydantic import AfterValidator, BaseModel, Field, field_validator

from orchat.chat.tool_execution import mend_arguments
from orchat.errors import ConfigurationError, SchemaGenerationError, ToolInvocationError
from orchat.messages import ToolCall
from orchat.tools import Tool, create_tool_from_function, tool
from orchat.tools.call_preview import preview_call
from tests.tools import samples, typed_samples
from tests.tools.typed_samples import Kind, Place, Spot

ROWS = [
    tuple(cell.strip() for cell in line.split(" | "))
    for line in (tool.__doc__ or "").splitlines()
    if line.count(" | ") >= 2
]


def in_samples(expression: str) -> Any:
    return eval(expression, vars(typed_samples))


def of_hint(hint: Any) -> Tool:
    def function(x: Any) -> Any:
        return x

    function.__annotations__ = {"x": hint}
    return create_tool_from_function(function)


def test_the_table_has_all_kinds_of_types() -> None:
    assert ROWS[0] == ("hint", "a model gives", "the function gets")
    assert len(ROWS) - 1 >= 72


@pytest.mark.parametrize(("hint", "given", "expected"), [(" | ".join(row[:-2]), *row[-2:]) for row in ROWS[1:]])
def test_each_row_of_the_table_of_tool_is_true(hint: str, given: str, expected: str) -> None:
    made = of_hint(in_samples(hint))
    call = ToolCall(made.name, {"x": json.loads(given)})
    mend_arguments(call, made)
    assert made.validate_arguments(call.arguments) == []
    shown = copy.deepcopy(call.arguments)
    found, right = made.invoke(**call.arguments), in_samples(expected)
    assert (found, type(found)) == (right, type(right))
    assert call.arguments == shown


def test_what_a_person_of_python_gives_stays() -> None:
    place = Place(name="Hull")
    assert of_hint(Place).invoke(x=place) is place
    assert of_hint(date)(date(2026, 1, 2)) == date(2026, 1, 2)
    assert of_hint(date)("as it is") == "as it is"


def test_a_default_that_is_a_field_is_its_value() -> None:
    made: list[int] = []

    def factory() -> list[int]:
        made.append(1)
        return [len(made)]

    @tool
    def f(
        a: int = Field(3, ge=1),
        b: list[int] = Field(default_factory=factory),  # noqa: B008
        c: Annotated[int, Field(default=5)] = 4,
        d: Decimal = Decimal("0.5"),
    ) -> tuple[Any, ...]:
        return a, b, c, d

    assert f.parameters.get("required") is None
    assert f.parameters["properties"]["a"] == {"default": 3, "minimum": 1, "type": "integer"}
    assert f.invoke() == (3, [1], 4, Decimal("0.5"))
    assert f.invoke(a=2.0) == (2, [2], 4, Decimal("0.5"))
    assert made == [1, 1]
    assert f.validate_arguments({"b": [1]}) == []
    assert made == [1, 1]


def test_a_field_without_default_is_required_and_a_default_in_annotated_counts() -> None:
    @tool
    def f(a: int = Field(ge=1), *, b: Annotated[int, Field(default=5)]) -> tuple[int, int]:
        return a, b

    assert f.parameters["required"] == ["a"]
    assert f.invoke(a=1) == (1, 5)


def test_a_parameter_under_another_name_is_refused() -> None:
    def f(a: int = Field(3, alias="other")) -> None: ...

    with pytest.raises(ConfigurationError, match="`a` of `f` has the alias 'other'"):
        create_tool_from_function(f)


def test_keyword_arguments_of_any_name_are_converted() -> None:
    @tool
    def f(more_than: int, **more: date) -> tuple[int, dict[str, date]]:
        return more_than, more

    assert f.invoke(more_than=1, more="2026-01-02", x="2026-01-03") == (
        1,
        {"more": date(2026, 1, 2), "x": date(2026, 1, 3)},
    )
    with pytest.raises(ToolInvocationError, match=r"did not run .* do not fit: x: Input should be a valid date"):
        f.invoke(more_than=1, x="soon")


def test_what_comes_from_state_and_what_has_no_hint_stays() -> None:
    def f(day: date, key: Any, on_done: Callable[[], None] | None = None) -> tuple[Any, ...]:
        return day, key, on_done

    made = create_tool_from_function(f, inputs_from_state={"k": "key"})
    assert made.invoke(day="2026-01-02", key="2026-01-02", on_done=print) == (date(2026, 1, 2), "2026-01-02", print)


def test_a_day_that_there_is_not_shows_before_the_call() -> None:
    @tool
    def f(day: date, place: Place) -> None: ...

    good = {"day": "2026-02-28", "place": {"name": "Hull"}}
    assert f.validate_arguments(good) == []
    [error] = f.validate_arguments({**good, "day": "2026-02-30"})
    assert error.startswith("day: Input should be a valid date")
    [error] = f.validate_arguments({**good, "place": {"name": "Hull", "since": "soon"}})
    assert error.startswith("place.since: Input should be a valid date")


RAN: list[str] = []


class Noted(BaseModel):
    name: str

    @field_validator("name")
    @classmethod
    def check_name(cls, name: str) -> str:
        RAN.append(name)
        if name == "bad":
            raise ValueError("no such name")
        return name


@dataclasses.dataclass
class NotedData:
    name: str

    def __post_init__(self) -> None:
        RAN.append(self.name)


def note(name: str) -> str:
    RAN.append(name)
    return name


@pytest.mark.parametrize(
    ("hint", "value"),
    [
        (Noted, {"name": "a"}),
        (list[Noted], [{"name": "a"}]),
        (NotedData, {"name": "a"}),
        (Optional[NotedData], {"name": "a"}),  # noqa: UP045
        (Annotated[str, AfterValidator(note)], "a"),
        (Annotated[str, AfterValidator(functools.partial(note))], "a"),
    ],
)
def test_types_with_code_of_their_own_wait_for_the_decision(hint: Any, value: Any) -> None:
    def f(x: Any, day: date) -> None: ...

    f.__annotations__ = {"x": hint, "day": date}
    made = create_tool_from_function(f)
    RAN.clear()
    assert made.validate_arguments({"x": value, "day": "2026-02-28"}) == []
    [error] = made.validate_arguments({"x": value, "day": "2026-02-30"})
    assert error.startswith("day: ")
    assert RAN == []
    made.invoke(x=value, day="2026-02-28")
    assert RAN == ["a"]


@pytest.mark.parametrize("way", ["sync", "async"])
def test_what_cannot_be_converted_does_not_run(way: str) -> None:
    ran: list[Any] = []

    def plain(x: Noted) -> None:
        ran.append(x)

    async def later(x: Noted) -> None:
        ran.append(x)

    made = create_tool_from_function(plain if way == "sync" else later)
    with pytest.raises(ToolInvocationError, match=r"did not run.*x\.name: Value error, no such name"):
        asyncio.run(made.invoke_async(x={"name": "bad"}))
    assert ran == []
    asyncio.run(made.invoke_async(x={"name": "good"}))
    assert ran == [Noted(name="good")]


def test_a_preview_gets_what_the_function_gets() -> None:
    @tool(preview=lambda day, kind: f"In {day.year}, {kind.name}")
    def f(day: date, kind: Kind) -> None: ...

    preview = preview_call(f, {"day": "2026-01-02", "kind": "sea"})
    assert preview is not None
    assert preview.text == "In 2026, SEA"


def test_a_saved_tool_is_typed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHAT_ALLOWED_MODULES", "tests.tools")
    made = create_tool_from_function(at_top)
    for again in (Tool.from_dict(made.to_dict()), pickle.loads(pickle.dumps(made)), copy.deepcopy(made)):
        assert again.invoke(day="2026-01-02", spot={"name": "Hull"}) == (date(2026, 1, 2), Spot("Hull"))
    hand_made = Tool("at_top", "", {"type": "object"}, at_top)
    assert Tool.from_dict(hand_made.to_dict()).invoke(day="soon", spot=1) == ("soon", 1)


def at_top(day: date, spot: Spot) -> tuple[date, Spot]:
    return day, spot


def test_functions_that_no_model_can_call_are_refused() -> None:
    def asks(on_done: Callable[[], None]) -> None: ...

    with pytest.raises(ConfigurationError, match="`on_done` of `asks` is a function, which no model can give"):
        create_tool_from_function(asks)
    assert create_tool_from_function(functools.partial(asks, on_done=print), name="asks").parameters["properties"] == {}
    with pytest.raises(ConfigurationError, match=r"`gcd` takes its arguments by position only \(`\*integers`\)"):
        create_tool_from_function(math.gcd)
    with pytest.raises(ConfigurationError, match="'<lambda>' is no name for a tool"):
        create_tool_from_function(lambda: None)
    with pytest.raises(ConfigurationError, match="'Gezeiten für Hull' is no name for a tool"):
        create_tool_from_function(samples.weather, name="Gezeiten für Hull")
    with pytest.raises(SchemaGenerationError, match="hints that JSON can express"):
        of_hint(bytearray)


def test_the_docstring_has_no_indentation() -> None:
    @tool
    def f() -> None:
        """Tell the tide.

        Parameters
            None.
        """

    assert f.description == "Tell the tide.\n\nParameters\n    None."


def test_large_identifiers_and_texts_stay_exact() -> None:
    assert of_hint(int).invoke(x=2**63 + 1) == 2**63 + 1
    assert of_hint(uuid.UUID | str).invoke(x="no uuid") == "no uuid"
