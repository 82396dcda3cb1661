from __future__ import annotations

import asyncio
import contextvars
import copy
import json
import pickle
import threading
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchat.errors import ConfigurationError, SerializationError, ToolInvocationError
from orchat.tools import Tool, tool
from tests.patience import PATIENCE
from tests.tools import samples
from tests.tools.samples import PATH

SCHEMA: dict[str, Any] = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}


def make(function: Any = samples.shout, **options: Any) -> Tool:
    return Tool("sample", "A sample.", SCHEMA, function, **options)


def fail(text: str = "") -> None:
    raise KeyError(text or "nothing there")


def returns_coroutine(text: str) -> Any:
    return samples.wait_for(text)


async def fail_async(text: str) -> None:
    await asyncio.sleep(0)
    raise KeyError(text)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"function": None}, ValueError, "needs a `function` or an `async_function`"),
        ({"function": 3}, TypeError, "not callable"),
        ({"function": samples.wait_for}, ValueError, "is a coroutine function. Give it as `async_function`"),
        ({"async_function": samples.shout}, ValueError, "is no coroutine function"),
        ({"async_function": 3}, ValueError, "is no coroutine function"),
        ({"name": None}, TypeError, "name must be a text"),
        ({"description": 3}, TypeError, "description must be a text"),
        ({"parameters": {"type": "banana"}}, ValueError, "no valid JSON Schema"),
        ({"outputs_to_state": {"docs": str}}, TypeError, r"outputs_to_state\['docs'\] must be a dictionary"),
        ({"outputs_to_state": []}, TypeError, "outputs_to_state must be a dictionary"),
        ({"outputs_to_state": {"docs": {"source": 3}}}, ValueError, "`source` must be a text"),
        ({"outputs_to_state": {"docs": {"handler": 3}}}, ValueError, "`handler` must be callable"),
        ({"outputs_to_string": "docs"}, TypeError, "outputs_to_string must be a dictionary"),
        ({"outputs_to_string": {"source": 3}}, ValueError, "`source` must be a text"),
        ({"outputs_to_string": {"handler": "x"}}, ValueError, "`handler` must be callable"),
        ({"outputs_to_string": {"raw_result": 1}}, ValueError, "`raw_result` must be true or false"),
        ({"outputs_to_string": {"source": "a", "more": {}}}, ValueError, "more beside source"),
        ({"outputs_to_string": {"a": "x"}}, TypeError, r"outputs_to_string\['a'\] must be a dictionary"),
        ({"outputs_to_string": {"a": {"handler": str}}}, ValueError, "needs a `source`"),
        ({"outputs_to_string": {"a": {"source": "x", "raw_result": True}}}, ValueError, "only a single output"),
        ({"inputs_from_state": {"key": 3}}, TypeError, "must name a parameter"),
        ({"inputs_from_state": ["key"]}, TypeError, "inputs_from_state must be a dictionary"),
        (
            {"inputs_from_state": {"key": "other"}},
            ValueError,
            "unknown parameter `other`. Parameters are: text, value.",
        ),
    ],
)
def test_wrong_configurations_are_refused(options: dict[str, Any], error: type[Exception], text: str) -> None:
    values = {"name": "t", "description": "", "parameters": SCHEMA, "function": samples.shout, **options}
    with pytest.raises(error, match=text):
        Tool(**values)


@pytest.mark.parametrize(
    "options",
    [
        {"outputs_to_string": {}},
        {"outputs_to_string": {"source": "a", "handler": str, "raw_result": True}},
        {"outputs_to_string": {"a": {"source": "x"}, "b": {"source": "y", "handler": samples.shout}}},
        {"outputs_to_state": {"source": {"source": "a"}, "handler": {"handler": samples.shout}}},
        {"inputs_from_state": {"key": "value", "other": "text"}},
        {"function": dict, "inputs_from_state": {"key": "text"}},
        {"function": max, "inputs_from_state": {"key": "text"}},
        {"function": lambda **rest: rest, "inputs_from_state": {"key": "anything"}},
        {"async_function": samples.wait_for},
    ],
)
def test_right_configurations_are_kept(options: dict[str, Any]) -> None:
    made = Tool(**{"name": "t", "description": "", "parameters": SCHEMA, "function": samples.shout, **options})
    assert all(getattr(made, name) is value for name, value in options.items())
    assert made.tool_spec == {"name": "t", "description": "", "parameters": SCHEMA}
    assert made.tool_spec["parameters"] is made.parameters


def test_a_decorated_function_is_still_a_function() -> None:
    assert samples.decorated("hello") == "hello"
    assert samples.decorated(text="hello") == "hello"
    assert asyncio.run(samples.decorated_async("hello")) == "hello"
    with pytest.raises(KeyError, match="nothing there"):
        make(fail)()


def test_invoke() -> None:
    assert make().invoke(value="quiet") == "QUIET"
    assert make(lambda self, name: self + name).invoke(self="a", name="b") == "ab"


def test_a_failure_names_tool_arguments_and_cause() -> None:
    with pytest.raises(ToolInvocationError) as caught:
        make(fail).invoke(text="x")
    assert str(caught.value) == "The tool `sample` failed when called with {'text': 'x'}: KeyError: 'x'"
    assert caught.value.tool_name == "sample"
    assert isinstance(caught.value.__cause__, KeyError)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.tool_name) == (str(caught.value), "sample")


def test_a_failure_hides_keys_and_shortens_arguments() -> None:
    with pytest.raises(ToolInvocationError) as caught:
        make(fail).invoke(text="sk-or-v1-0123456789abcdef")
    assert "0123456789abcdef" not in str(caught.value)
    with pytest.raises(ToolInvocationError) as caught:
        make(fail).invoke(text="x" * 5000)
    assert len(str(caught.value)) < 2600
    with pytest.raises(ToolInvocationError, match="missing 1 required positional argument"):
        make().invoke()


def test_a_tool_inside_a_tool_fails_under_both_names() -> None:
    inner = Tool("inner", "", {}, fail)
    outer = Tool("outer", "", {}, inner.invoke)
    with pytest.raises(ToolInvocationError, match=r"`outer` failed .* `inner` failed") as caught:
        outer.invoke()
    assert caught.value.tool_name == "outer"


def test_an_interrupt_is_no_failure() -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(stop).invoke()


def test_an_async_tool_can_be_invoked_where_no_loop_runs() -> None:
    assert samples.decorated_async.invoke(text="later") == "later"
    assert make(returns_coroutine).invoke(text="later") == "later"
    with pytest.raises(ToolInvocationError, match="KeyError: 'x'"):
        Tool("t", "", {}, async_function=fail_async).invoke(text="x")


def test_an_async_tool_invoked_inside_a_loop_says_what_to_use() -> None:
    async def cell() -> None:
        with pytest.raises(
            ToolInvocationError, match=r"already running here\. Use `await tool\.invoke_async"
        ) as caught:
            samples.decorated_async.invoke(text="later")
        assert caught.value.tool_name == "decorated_async"

    asyncio.run(cell())


def test_invoke_async() -> None:
    async def cell() -> list[Any]:
        both = make(fail, async_function=samples.wait_for)
        return [
            await samples.decorated_async.invoke_async(text="a"),
            await samples.decorated.invoke_async(text="b"),
            await both.invoke_async(text="c"),
            await make(returns_coroutine).invoke_async(text="d"),
        ]

    assert asyncio.run(cell()) == ["a", "b", "c", "d"]


def test_a_sync_function_leaves_the_loop_free_and_keeps_the_context() -> None:
    name: contextvars.ContextVar[str] = contextvars.ContextVar("name")

    ticked = threading.Event()

    def slow() -> tuple[str, int]:
        ticked.wait(PATIENCE)
        return name.get(), threading.get_ident()

    async def cell() -> None:
        name.set("mine")
        ticks = 0
        task = asyncio.create_task(make(slow).invoke_async())
        while not task.done():
            await asyncio.sleep(0.01)
            ticks += 1
            if ticks == 3:
                ticked.set()
        assert task.result() == ("mine", task.result()[1])
        assert task.result()[1] != threading.get_ident()
        assert ticks >= 3

    asyncio.run(cell())


@pytest.mark.parametrize("error", [StopIteration, ValueError, asyncio.TimeoutError])
def test_failures_of_invoke_async(error: type[Exception]) -> None:
    def function() -> None:
        raise error("cause")

    async def function_async() -> None:
        raise error("cause")

    for made in (make(function), Tool("sample", "", {}, async_function=function_async)):
        with pytest.raises(ToolInvocationError, match="`sample` failed"):
            asyncio.run(made.invoke_async())


def test_cancelling_is_no_failure() -> None:
    async def cell() -> None:
        task = asyncio.create_task(Tool("t", "", {}, async_function=asyncio.sleep).invoke_async(delay=30))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cell())


class Warmed(Tool):
    def warm_up(self) -> None:
        self.__dict__.setdefault("steps", []).append("warm_up")


class WarmedAsync(Warmed):
    async def warm_up_async(self) -> None:
        self.__dict__.setdefault("steps", []).append("warm_up_async")


def test_a_subclass_warms_itself_up() -> None:
    for cls, options, expected in (
        (Warmed, {"function": samples.shout}, ["warm_up", "warm_up"]),
        (Warmed, {"async_function": samples.wait_for}, ["warm_up", "warm_up"]),
        (WarmedAsync, {"async_function": samples.wait_for}, ["warm_up", "warm_up_async"]),
    ):
        made: Any = cls("t", "", {}, **options)
        argument = {"value": "a"} if "function" in options else {"text": "a"}
        made.invoke(**argument)
        asyncio.run(made.invoke_async(**argument))
        assert made.steps == expected


@pytest.mark.usefixtures("samples_allowed")
def test_round_trip() -> None:
    whole = Tool(
        name="weather",
        description="Tell.",
        parameters=SCHEMA,
        function=samples.weather,
        outputs_to_string={"a": {"source": "x", "handler": samples.shout}, "b": {"source": "y"}},
        inputs_from_state={"place": "city"},
        outputs_to_state={"handler": {"source": "x", "handler": samples.Maker.plain}, "b": {}},
        async_function=samples.wait_for,
    )
    saved = whole.to_dict()
    assert saved == {
        "type": "orchat.tools.Tool",
        "data": {
            "name": "weather",
            "description": "Tell.",
            "parameters": SCHEMA,
            "function": f"{PATH}.weather",
            "outputs_to_string": {"a": {"source": "x", "handler": f"{PATH}.shout"}, "b": {"source": "y"}},
            "inputs_from_state": {"place": "city"},
            "outputs_to_state": {"handler": {"source": "x", "handler": f"{PATH}.Maker.plain"}, "b": {}},
            "async_function": f"{PATH}.wait_for",
        },
    }
    before = copy.deepcopy(saved)
    assert Tool.from_dict(saved) == whole
    assert Tool.from_dict(json.loads(json.dumps(saved))) == whole
    assert saved == before
    assert saved["data"]["parameters"] is not whole.parameters
    single = make(outputs_to_string={"handler": samples.shout, "raw_result": True})
    assert single.to_dict()["data"]["outputs_to_string"] == {"handler": f"{PATH}.shout", "raw_result": True}
    assert Tool.from_dict(single.to_dict()) == single
    only_async = samples.decorated_async
    assert only_async.to_dict()["data"]["function"] is None
    assert Tool.from_dict(only_async.to_dict()) == only_async


@pytest.mark.usefixtures("samples_allowed")
def test_a_subclass_is_saved_under_its_own_name() -> None:
    own = samples.OwnTool("t", "", {}, samples.shout)
    assert own.to_dict()["type"] == f"{PATH}.OwnTool"
    loaded = samples.OwnTool.from_dict(own.to_dict())
    assert (type(loaded), loaded) == (samples.OwnTool, own)


@pytest.mark.usefixtures("samples_allowed")
def test_old_dictionaries_load() -> None:
    data = {"name": "t", "description": "", "parameters": {}, "function": f"{PATH}.shout"}
    assert Tool.from_dict({"type": "haystack.tools.tool.Tool", "data": data}) == Tool("t", "", {}, samples.shout)


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"function": "os.system"}, SerializationError, "`os.system` cannot be loaded"),
        ({"async_function": "os.system"}, SerializationError, "`os.system` cannot be loaded"),
        ({"outputs_to_string": {"handler": "os.system"}}, SerializationError, "`os.system` cannot be loaded"),
        ({"outputs_to_state": {"a": {"handler": "os.system"}}}, SerializationError, "`os.system` cannot be loaded"),
        ({"outputs_to_state": {"a": 3}}, TypeError, "must be a dictionary"),
        ({"outputs_to_string": 3}, TypeError, "must be a dictionary"),
        ({"function": 3}, SerializationError, "by its path"),
        ({"function": None}, ConfigurationError, "needs a `function`"),
        ({"unknown": 3}, TypeError, "unknown"),
    ],
)
def test_dictionaries_that_are_refused(change: dict[str, Any], error: type[Exception], text: str) -> None:
    data = {"name": "t", "description": "", "parameters": {}, "function": "builtins.print", **change}
    with pytest.raises(error, match=text):
        Tool.from_dict({"type": "orchat.tools.Tool", "data": data})


@pytest.mark.parametrize("data", [{}, {"data": None}, {"data": []}])
def test_a_dictionary_without_data_is_refused(data: Any) -> None:
    with pytest.raises(SerializationError, match="under `data`"):
        Tool.from_dict(data)


def test_what_has_no_path_cannot_be_saved() -> None:
    for made in (make(lambda: None), make(outputs_to_string={"handler": lambda x: x})):
        with pytest.raises(SerializationError, match="A lambda"):
            made.to_dict()


@pytest.mark.parametrize(
    "made", [samples.decorated, samples.decorated_async, samples.Maker.decorated_inside, make(), make(dict), make(max)]
)
def test_tools_are_copied_and_pickled(made: Tool) -> None:
    for twin in (pickle.loads(pickle.dumps(made)), copy.copy(made), copy.deepcopy(made)):
        assert twin is not made
        assert twin == made
    assert copy.deepcopy(made).parameters is not made.parameters


def test_a_tool_typed_in_a_notebook_is_pickled(notebook: Any) -> None:
    assert pickle.loads(pickle.dumps(notebook.half)) == notebook.half


class Shaped:
    """A tool of another library: the attributes, no shared class."""

    name = "shaped"
    description = "Foreign."

    def __init__(self, **attributes: Any) -> None:
        self.parameters: Any = SCHEMA
        self.__dict__.update(attributes)


class ShapedWithWarmUp(Shaped):
    warm = False

    def warm_up(self) -> None:
        self.warm = True

    def invoke(self, **kwargs: Any) -> Any:
        self.warm_up()
        return self.function(**kwargs)

    async def invoke_async(self, **kwargs: Any) -> Any:
        self.warm_up()
        return await self.async_function(**kwargs)


def test_a_tool_adopts_itself() -> None:
    assert Tool.adopt(samples.decorated) is samples.decorated


def test_adopting_by_shape() -> None:
    handlers = {"handler": samples.shout}
    adopted = Tool.adopt(Shaped(function=samples.shout, outputs_to_string=handlers))
    assert adopted == Tool("shaped", "Foreign.", SCHEMA, samples.shout, outputs_to_string=handlers)
    old = Tool.adopt(Shaped(function=samples.wait_for))
    assert (old.function, old.async_function) == (None, samples.wait_for)


def test_a_foreign_tool_that_warms_up_runs_through_its_own_methods() -> None:
    foreign = ShapedWithWarmUp(function=samples.shout, async_function=samples.wait_for)
    adopted = Tool.adopt(foreign)
    assert adopted.invoke(value="a") == "A"
    assert foreign.warm
    foreign.warm = False
    assert asyncio.run(adopted.invoke_async(text="a")) == "a"
    assert foreign.warm
    assert Tool.adopt(ShapedWithWarmUp(function=samples.shout)).async_function is None
    with pytest.raises(SerializationError, match="method of an instance"):
        adopted.to_dict()


def test_a_partial_has_no_module_to_look_in() -> None:
    made = make(samples.partial)
    assert pickle.loads(pickle.dumps(made)).invoke(city="Oslo") == "Oslo: 1 days of rain"


def test_a_foreign_tool_that_warms_up_but_has_no_invoke_runs_its_function() -> None:
    foreign: Any = Shaped(function=samples.shout)
    foreign.warm_up = ShapedWithWarmUp.warm_up
    assert Tool.adopt(foreign).function is samples.shout


@pytest.mark.parametrize(
    "other",
    [None, 3, "tool", samples.shout, Tool, Shaped, Shaped(), Shaped(function=print, parameters=None), {"name": "x"}],
)
def test_what_is_no_tool_is_not_adopted(other: Any) -> None:
    with pytest.raises(TypeError, match="A Tool is needed"):
        Tool.adopt(other)


FUNCTIONS = st.sampled_from([samples.shout, samples.weather, samples.Maker.plain, samples.Heir.make, print])
ENTRIES = st.fixed_dictionaries({"source": st.text()}, optional={"handler": FUNCTIONS})
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=15,
)


@given(
    st.builds(
        Tool,
        name=st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True),
        description=st.text(),
        parameters=st.fixed_dictionaries({"type": st.just("object"), "default": JSON, "examples": st.lists(JSON)}),
        function=FUNCTIONS,
        outputs_to_string=st.none()
        | st.fixed_dictionaries({"raw_result": st.booleans()}, optional={"source": st.text(), "handler": FUNCTIONS})
        | st.dictionaries(st.text().filter(lambda key: key not in {"source", "handler", "raw_result"}), ENTRIES),
        outputs_to_state=st.none() | st.dictionaries(st.text() | st.just("handler"), ENTRIES),
        inputs_from_state=st.none() | st.just({}),
        async_function=st.none() | st.just(samples.wait_for),
        title=st.none() | st.text(),
    )
)
def test_any_tool_survives_json(made: Tool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ORCHAT_ALLOWED_MODULES", PATH)
        saved = made.to_dict()
        untold = {"preview", "typed"} | ({"title"} if made.title is None else set())
        assert list(saved["data"]) == [field.name for field in fields(Tool) if field.name not in untold]
        assert Tool.from_dict(json.loads(json.dumps(saved))) == made


def test_decorating_twice_keeps_the_function() -> None:
    again = tool(samples.decorated, name="again")
    assert (again.name, again.function) == ("again", samples.decorated.function)


def test_a_coroutine_of_a_sync_function_runs_on_the_loop_of_the_caller() -> None:
    async def inner(text: str) -> tuple[str, asyncio.AbstractEventLoop]:
        return text, asyncio.get_running_loop()

    def wrapper(text: str) -> Any:
        return inner(text)

    async def call() -> None:
        text, loop = await Tool("t", "", {}, wrapper).invoke_async(text="x")
        assert (text, loop) == ("x", asyncio.get_running_loop())

    asyncio.run(call())
