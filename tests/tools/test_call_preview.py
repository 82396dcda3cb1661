"""A title and a preview of a tool: told to people, to no model, and never in a call's way."""

from __future__ import annotations

import copy
import pickle
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any

import pytest
from pydantic import Field

from orchat.errors import ConfigurationError, SerializationError
from orchat.tools import Tool, create_tool_from_function, tool
from orchat.tools.call_preview import preview_call
from tests.tools import samples

CODE = Field(description="the program", json_schema_extra={"x-orchat": {"widget": "code"}})


def send(to: str, times: int = 1) -> str:
    """Send it."""
    raise AssertionError("nothing runs here")


def told(to: str, times: int = 1) -> str:
    return f"Sends *{times}* to {to}."


def previewed(preview: Callable[..., Any]) -> Tool:
    return create_tool_from_function(send, preview=preview)


def test_they_are_given_in_every_way_and_no_model_is_told() -> None:
    plain = create_tool_from_function(send)
    made = [
        create_tool_from_function(send, title="Send a mail", preview=told),
        tool(title="Send a mail", preview=told)(send),
        tool(send, title="Send a mail", preview=told),
        Tool("send", "Send it.", plain.parameters, send, title="Send a mail", preview=told),
    ]
    for each in made:
        assert (each.title, each.preview) == ("Send a mail", told)
        assert each.tool_spec == plain.tool_spec
        assert preview_call(each, {"to": "Zoe", "times": 2}) == ("Sends *2* to Zoe.", False)
        assert [copy.copy(each), copy.deepcopy(each), pickle.loads(pickle.dumps(each))] == [each] * 3
    with pytest.raises(TypeError, match="positional"):
        Tool("send", "", {}, send, None, None, None, None, "Send a mail")


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"title": 3}, TypeError, "title must be a text"),
        ({"preview": "told"}, TypeError, "`preview` of the tool `send` is not callable"),
        ({"preview": samples.wait_for}, ConfigurationError, "is a coroutine function"),
    ],
)
def test_wrong_ones_are_refused(options: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        create_tool_from_function(send, **options)


@pytest.mark.parametrize("arguments", [{}, {"to": 7}, {"to": "Zoe", "times": "x"}, None, [], "to"])
def test_it_never_runs_for_arguments_that_do_not_fit(arguments: Any) -> None:
    def preview(**_: Any) -> str:
        raise AssertionError("it must not run")

    assert preview_call(previewed(preview), arguments) is None
    assert preview_call(create_tool_from_function(send), {"to": "Zoe"}) is None


async def later() -> str:
    return "later"


def fail(**_: Any) -> str:
    raise OSError("sk-or-v1-0123456789abcdef\nat home")


@pytest.mark.parametrize(
    ("preview", "words"),
    [
        (lambda **_: 1 / 0, "There is no preview: ZeroDivisionError: division by zero"),
        (lambda **_: None, "There is no preview: it returned NoneType, not a text"),
        (lambda **_: later(), "There is no preview: it returned coroutine, not a text"),
        (lambda nothing: "", "There is no preview: TypeError: "),
        (lambda **_: sys.exit(3), "There is no preview: SystemExit: 3"),
        (
            lambda **_: (_ for _ in ()).throw(OSError("sk-or-v1-0123456789abcdef\nat home")),
            "There is no preview: OSError: ",
        ),
    ],
)
def test_one_that_fails_is_a_line_in_its_place(preview: Any, words: str) -> None:
    said = preview_call(previewed(preview), {"to": "Zoe"})
    assert said is not None
    assert said.failed
    assert said.text.startswith(words)
    assert "\n" not in said.text
    assert "0123456789" not in said.text


def test_an_interrupt_is_none_of_its_failures() -> None:
    def preview(**_: Any) -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        preview_call(previewed(preview), {"to": "Zoe"})


def test_it_is_short_and_changes_nothing_of_what_runs() -> None:
    def nested(rows: list[int]) -> None: ...
    def preview(rows: list[int]) -> str:
        rows.append(3)
        return "x" * 100_000

    arguments = {"rows": [1, 2]}
    said = preview_call(create_tool_from_function(nested, preview=preview), arguments)
    assert arguments == {"rows": [1, 2]}
    assert said is not None
    assert len(said.text) == 4_000


@pytest.mark.usefixtures("samples_allowed")
def test_of_a_file_comes_a_title_and_no_preview() -> None:
    made = create_tool_from_function(samples.weather, title="Weather", preview=samples.shout)
    saved = made.to_dict()
    assert saved["data"]["title"] == "Weather"
    assert "preview" not in saved["data"]
    assert Tool.from_dict(saved) == replace(made, preview=None)
    plain = create_tool_from_function(samples.weather).to_dict()
    assert "title" not in plain["data"]  # Haystack would not load it
    saved["data"]["preview"] = "__main__.shout"
    with pytest.raises(SerializationError, match="must not name a `preview`"):
        Tool.from_dict(saved)
    lambdas = create_tool_from_function(samples.weather, preview=lambda **_: "")
    assert lambdas.to_dict() == plain


def test_a_parameter_says_how_its_field_looks() -> None:
    @tool
    def launch(program: Annotated[str, CODE], why: Annotated[str | None, "a reason", CODE] = None) -> None: ...

    program, why = launch.parameters["properties"].values()
    assert (program["description"], program["x-orchat"]) == ("the program", {"widget": "code"})
    assert (why["description"], why["x-orchat"]) == ("a reason", {"widget": "code"})
