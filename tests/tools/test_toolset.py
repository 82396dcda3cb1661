from __future__ import annotations

import copy
import json
import subprocess
import sys
from typing import Any

import pytest

from orchat.errors import ConfigurationError, SerializationError
from orchat.tools import Tool, Toolset
from orchat.tools.switched_tools import SwitchedTools
from orchat.tools.toolset import flatten, tools_from_dict, tools_to_dict
from tests.tools import samples
from tests.tools.samples import PATH, Remote, decorated, decorated_async

named = {name: Tool(name, "", {}, samples.shout) for name in "abcd"}
a, b, c, d = named.values()


class Foreign:
    """A toolset of another library."""

    def __init__(self, *tools: Any) -> None:
        self.tools = list(tools)

    def __iter__(self) -> Any:
        return iter(self.tools)

    def to_dict(self) -> dict[str, Any]:
        raise NotImplementedError


def test_it_acts_as_a_list() -> None:
    toolset = Toolset([a, b])
    assert list(toolset) == [a, b]
    assert (len(toolset), toolset[0], toolset[-1], toolset[:1]) == (2, a, b, [a])
    assert "a" in toolset
    assert b in toolset
    assert "c" not in toolset
    assert c not in toolset
    assert 3 not in toolset
    assert not Toolset()
    assert toolset
    with pytest.raises(IndexError):
        toolset[2]


def test_the_callers_list_is_its_own() -> None:
    tools = [a]
    toolset = Toolset(tools)
    toolset.add(b)
    assert tools == [a]
    assert list(toolset) == [a, b]


@pytest.mark.parametrize("tools", [a, [a, "b"], [samples.shout], 3, [Toolset([a])], None])
def test_what_a_toolset_does_not_take(tools: Any) -> None:
    with pytest.raises(TypeError):
        Toolset(tools)


def test_duplicates_are_named() -> None:
    with pytest.raises(ValueError, match="Several tools are called: a, b"):
        Toolset([b, a, a, b, c])
    toolset = Toolset([a])
    with pytest.raises(ConfigurationError, match="called: a"):
        toolset.add(copy.copy(a))
    assert len(toolset) == 1
    with pytest.raises(TypeError):
        toolset.add(Toolset([b]))


def test_plus() -> None:
    one = Toolset([a])
    assert list(one + b) == [a, b]
    assert list(one + [b, Toolset([c])]) == [a, b, c]  # noqa: RUF005
    assert list(one + Toolset([b])) == [a, b]
    assert list(one + Foreign(b)) == [a, b]
    assert list(one) == [a]
    one += d
    assert list(one) == [a, d]
    with pytest.raises(ValueError, match="called: a"):
        one + a
    for wrong in (3, "b", (b,), samples.shout):
        with pytest.raises(TypeError):
            one + wrong


def test_flatten() -> None:
    assert flatten(None) == []
    assert flatten([]) == []
    assert flatten(Toolset()) == []
    assert flatten(Toolset([a, b])) == [a, b]
    assert flatten([a, Toolset([b, c]), Foreign(d)]) == [a, b, c, d]
    assert flatten(Foreign(a)) == [a]
    assert flatten([a])[0] is a
    with pytest.raises(ValueError, match="called: a"):
        flatten([a, Toolset([a])])


@pytest.mark.parametrize(
    "tools", [(a,), a, 3, "tools", samples.shout, [samples.shout], [None], {"a": a}, [[a]], Tool, [Toolset]]
)
def test_what_no_tools_argument_is(tools: Any) -> None:
    with pytest.raises(TypeError):
        flatten(tools)


def test_a_single_tool_is_told_to_go_into_a_list() -> None:
    with pytest.raises(TypeError, match=r"not Tool\. Put it in a list"):
        flatten(a)


def test_adopting_a_toolset() -> None:
    toolset = Toolset([a])
    assert Toolset.adopt(toolset) is toolset
    assert Toolset.adopt(Foreign(a)) == toolset
    with pytest.raises(TypeError, match="A Toolset is needed, not Tool"):
        Toolset.adopt(a)


@pytest.mark.usefixtures("samples_allowed")
def test_round_trips() -> None:
    own = samples.OwnTool("own", "", {}, samples.shout)
    for tools in (
        None,
        [],
        [a, decorated],
        Toolset([a, decorated_async]),
        Toolset(),
        [a, Toolset([b]), Toolset()],
        [own, Remote("there")],
        Toolset([own]),
        Remote("there"),
    ):
        saved = tools_to_dict(tools)
        before = copy.deepcopy(saved)
        loaded = tools_from_dict(json.loads(json.dumps(saved)))
        assert loaded == tools
        assert tools_from_dict(saved) == tools
        assert type(loaded) is type(tools)
        assert saved == before


def test_shapes_of_the_saved_form() -> None:
    assert tools_to_dict(None) is None
    assert tools_to_dict([]) == []
    assert tools_to_dict(Toolset([a])) == {"type": "orchat.tools.Toolset", "data": {"tools": [a.to_dict()]}}
    assert tools_to_dict([Foreign(a)]) == [Toolset([a]).to_dict()]
    assert Toolset.from_dict({"data": {}}) == Toolset()
    assert Remote("there").to_dict() == {"type": f"{PATH}.Remote", "data": {"address": "there"}}
    with pytest.raises(TypeError):
        tools_to_dict((a,))


SAVED = Tool("t", "", {}, print).to_dict()


@pytest.mark.parametrize(
    "data",
    [
        "tools",
        3,
        (SAVED,),
        ["tool"],
        [None],
        SAVED,
        [{"type": "builtins.dict", "data": {}}],
        {"type": "builtins.print", "data": {}},
        {"type": "orchat.tools.Toolset", "data": {"tools": "x"}},
        {"type": "orchat.tools.Toolset", "data": {"tools": None}},
        {"type": "orchat.tools.Toolset", "data": {"tools": [Toolset().to_dict()]}},
        {"type": "orchat.tools.Toolset", "data": {"tools": Toolset().to_dict()}},
    ],
)
def test_type_errors_of_the_saved_form(data: Any) -> None:
    with pytest.raises(TypeError):
        tools_from_dict(data)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({}, "text under `type`"),
        ([{"data": {}}], "text under `type`"),
        ([{"type": None, "data": {}}], "text under `type`"),
        ([{"type": "orchat.tools.Tool"}], "under `data`"),
        ({"type": "orchat.tools.Toolset", "data": []}, "under `data`"),
        ([{"type": f"{PATH}.OwnTool", "data": {}}], r"`tests.tools.samples` is not allowed. .*allow_modules"),
        ([{"type": "haystack.tools.component_tool.ComponentTool", "data": {}}], "is not allowed"),
        ([{"type": "os.system", "data": {}}], "is not allowed"),
    ],
)
def test_serialization_errors_of_the_saved_form(data: Any, text: str) -> None:
    with pytest.raises(SerializationError, match=text):
        tools_from_dict(data)


@pytest.mark.usefixtures("samples_allowed")
def test_a_class_that_is_no_tool() -> None:
    with pytest.raises(TypeError, match="neither a Tool nor a Toolset"):
        tools_from_dict([{"type": f"{PATH}.Place", "data": {}}])


def test_the_import_is_light() -> None:
    heavy = ("pydantic", "jsonschema_rs", "httpx2", "IPython")
    code = f"import sys, orchat.tools; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_switched_tools_are_grouped_by_their_toolset_and_can_all_be_switched() -> None:
    class Named(Toolset):
        name = "north"

    switched = SwitchedTools([Named([a, b]), c, Foreign(d)], {"a"})
    assert switched.groups() == [("", [c, d]), ("north", [a, b])]
    assert list(switched) == [b, c, d]
    assert list(SwitchedTools(switched)) == [a, b, c, d]
    assert SwitchedTools(None).groups() == []
    with pytest.raises(ConfigurationError, match="not to its switches"):
        switched.add(a)
