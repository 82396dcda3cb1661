"""A generator as a dictionary: ours, and those that Haystack wrote."""

from __future__ import annotations

import copy
import json
import os
from typing import Any

import pytest

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"

from haystack.components.generators.utils import print_streaming_chunk as haystacks_print
from haystack.tools import Tool as HaystackTool
from haystack.tools import Toolset as HaystackToolset
from haystack.utils import Secret as HaystackSecret

from orchat.errors import ConfigurationError, SerializationError
from orchat.openrouter.dialect import DEFAULT_BASE_URL, DEFAULT_MODEL
from orchat.openrouter.generator import OpenRouterChatGenerator
from orchat.secret import Secret
from orchat.streaming import print_streaming_chunk
from orchat.tools import Tool, Toolset
from tests.generator.samples import (
    PATH,
    TIDE_SCHEMA,
    River,
    haystacks_generator,
    on_chunk,
    on_chunk_async,
    tide,
    tide_tool,
    toolset,
)

TYPE = "orchat.openrouter.generator.OpenRouterChatGenerator"
KEYS = [
    "model", "streaming_callback", "api_base_url", "generation_kwargs", "api_key", "tools", "extra_headers", "timeout",
    "max_retries", "http_client_kwargs",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHAT_ALLOWED_MODULES", PATH)


def full() -> OpenRouterChatGenerator:
    """A generator with everything set."""
    return OpenRouterChatGenerator(
        api_key=Secret.from_env_var(["FIRST_KEY", "SECOND_KEY"], strict=False),
        model="vendor/m",
        streaming_callback=on_chunk,
        api_base_url="https://gateway.example/v1",
        generation_kwargs={
            "seed": 7,
            "response_format": River,
            "extra_headers": {"X-Call": Secret.from_env_var("CALL_KEY")},
        },
        tools=[tide_tool(), toolset("ebb", "flood")],
        timeout=12.5,
        extra_headers={"X-Title": "t", "X-Gateway": Secret.from_env_var("GATEWAY_KEY")},
        max_retries=0,
        http_client_kwargs={"limits": {"max_connections": 3}},
    )


def test_the_defaults_are_ten_keys_in_order() -> None:
    data = OpenRouterChatGenerator().to_dict()
    assert data["type"] == TYPE
    assert list(data["init_parameters"]) == KEYS
    assert data["init_parameters"] == {
        "model": DEFAULT_MODEL,
        "streaming_callback": None,
        "api_base_url": DEFAULT_BASE_URL,
        "generation_kwargs": {},
        "api_key": {"type": "env_var", "env_vars": ["OPENROUTER_API_KEY"], "strict": True},
        "tools": None,
        "extra_headers": None,
        "timeout": None,
        "max_retries": None,
        "http_client_kwargs": None,
    }
    assert (DEFAULT_MODEL, DEFAULT_BASE_URL) == ("openai/gpt-4o-mini", "https://openrouter.ai/api/v1")


def test_everything_survives_json_and_comes_back_twice() -> None:
    generator = full()
    data = generator.to_dict()
    assert list(data["init_parameters"]) == KEYS
    text = json.dumps(data)
    loaded = json.loads(text)
    for _ in range(2):
        twin = OpenRouterChatGenerator.from_dict(loaded)
        assert json.dumps(loaded) == text
        assert json.dumps(twin.to_dict()) == text
        assert twin.streaming_callback is on_chunk
        assert twin.api_key == generator.api_key
        assert twin.extra_headers == generator.extra_headers
        assert twin.generation_kwargs["extra_headers"]["X-Call"] == Secret.from_env_var("CALL_KEY")
        assert [type(tool) for tool in twin.tools] == [Tool, Toolset]
        assert (twin.timeout, twin.max_retries, twin.http_client_kwargs) == (
            12.5,
            0,
            {"limits": {"max_connections": 3}},
        )


def test_loading_leaves_nested_dictionaries_to_their_owner() -> None:
    data = full().to_dict()
    before = copy.deepcopy(data)
    twin = OpenRouterChatGenerator.from_dict(data)
    twin.generation_kwargs["seed"] = 8
    twin.extra_headers["X-Title"] = "changed"
    twin.http_client_kwargs["limits"]["max_connections"] = 9
    assert data == before


def test_writing_leaves_the_generator_as_it_is() -> None:
    generator = full()
    generator.to_dict()["init_parameters"]["generation_kwargs"]["seed"] = 8
    assert generator.generation_kwargs["seed"] == 7
    assert generator.generation_kwargs["response_format"] is River


def test_a_pydantic_response_format_is_written_as_its_strict_schema() -> None:
    written = full().to_dict()["init_parameters"]["generation_kwargs"]["response_format"]
    assert written["json_schema"]["name"] == "River"
    assert written["json_schema"]["strict"] is True
    assert written["json_schema"]["schema"]["additionalProperties"] is False


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"api_key": Secret.from_token("sk-0123456789")}, "token-based"),
        ({"extra_headers": {"X-A": Secret.from_token("sk-0123456789")}}, "token-based"),
        ({"generation_kwargs": {"extra_headers": {"X-A": Secret.from_token("sk-0123456789")}}}, "token-based"),
        ({"streaming_callback": lambda chunk: None}, "lambda"),
    ],
    ids=["key", "header", "header of a call", "lambda"],
)
def test_what_cannot_be_saved_is_a_value_error_without_the_secret(parameters, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        OpenRouterChatGenerator(**parameters).to_dict()
    assert "0123456789" not in str(caught.value)


@pytest.mark.parametrize(
    ("tools", "written"),
    [(None, type(None)), ([], list), ([tide_tool()], list), (toolset("tide"), dict)],
    ids=["None", "empty", "list", "toolset"],
)
def test_tools_keep_their_form(tools, written: type) -> None:
    data = OpenRouterChatGenerator(tools=tools).to_dict()
    assert type(data["init_parameters"]["tools"]) is written
    twin = OpenRouterChatGenerator.from_dict(data)
    assert type(twin.tools) is type(tools)


@pytest.mark.parametrize("callback", [on_chunk, on_chunk_async, print_streaming_chunk])
def test_callbacks_go_by_their_path(callback) -> None:
    data = OpenRouterChatGenerator(streaming_callback=callback).to_dict()
    path = f"{callback.__module__}.{callback.__name__}"
    assert data["init_parameters"]["streaming_callback"] == path
    assert OpenRouterChatGenerator.from_dict(data).streaming_callback is callback


def test_no_parameters_give_the_defaults() -> None:
    twin = OpenRouterChatGenerator.from_dict({"type": TYPE, "init_parameters": {}})
    assert twin.to_dict() == OpenRouterChatGenerator().to_dict()


def test_the_name_in_the_front_door_is_a_type_as_well() -> None:
    assert OpenRouterChatGenerator.from_dict({"type": "orchat.OpenRouterChatGenerator", "init_parameters": {}})


def test_a_missing_variable_is_no_reason_not_to_load() -> None:
    assert OpenRouterChatGenerator.from_dict(OpenRouterChatGenerator().to_dict()).api_key is not None


@pytest.mark.parametrize("data", [{}, {"type": TYPE}])
def test_a_dictionary_without_parameters_is_a_key_error(data) -> None:
    with pytest.raises(KeyError, match="init_parameters"):
        OpenRouterChatGenerator.from_dict(data)


@pytest.mark.parametrize(
    "kind", [None, "", "os.system", "haystack.components.generators.chat.openai.OpenAIChatGenerator"]
)
def test_another_type_is_a_value_error(kind) -> None:
    with pytest.raises(SerializationError, match="is no OpenRouterChatGenerator"):
        OpenRouterChatGenerator.from_dict({"type": kind, "init_parameters": {}})


def test_an_unknown_parameter_is_a_type_error_that_names_it() -> None:
    with pytest.raises(TypeError, match="tools_strict, wrong"):
        OpenRouterChatGenerator.from_dict({"type": TYPE, "init_parameters": {"wrong": 1, "tools_strict": True}})


@pytest.mark.parametrize("path", ["os.system", "builtins.eval", "no.such.module", "nonsense"])
def test_a_callback_that_nobody_allowed_is_not_imported(path: str) -> None:
    with pytest.raises(SerializationError):
        OpenRouterChatGenerator.from_dict({"type": TYPE, "init_parameters": {"streaming_callback": path}})


@pytest.mark.parametrize("tools", ["tide", [1], [{"type": "os.system", "data": {}}], {"type": "x"}])
def test_tools_that_are_none_are_refused(tools) -> None:
    with pytest.raises((TypeError, ValueError), match=r"tool|load"):
        OpenRouterChatGenerator.from_dict({"type": TYPE, "init_parameters": {"tools": tools}})


@pytest.mark.parametrize("key", ["sk-0123456789", {"type": "token", "token": "sk-0123456789"}, 5])
def test_a_key_that_is_no_secret_is_refused_unseen(key) -> None:
    with pytest.raises((TypeError, ConfigurationError)) as caught:
        OpenRouterChatGenerator.from_dict({"type": TYPE, "init_parameters": {"api_key": key}})
    assert "0123456789" not in str(caught.value)


def haystacks_tool(name: str) -> HaystackTool:
    return HaystackTool(name, "Tell a tide.", TIDE_SCHEMA, tide)


@pytest.mark.parametrize(
    "tools",
    [None, [], [haystacks_tool("tide")], HaystackToolset([haystacks_tool("tide")]),
     [haystacks_tool("tide"), HaystackToolset([haystacks_tool("ebb")])]],
    ids=["None", "empty", "list", "toolset", "mixed"],
)  # fmt: skip
def test_what_haystack_wrote_is_read(tools) -> None:
    theirs = haystacks_generator(
        api_key=HaystackSecret.from_env_var(["A_KEY", "B_KEY"], strict=False),
        model="vendor/m",
        streaming_callback=haystacks_print,
        api_base_url="https://gateway.example/v1",
        generation_kwargs={"temperature": 0.5, "provider": {"order": ["x"]}},
        tools=tools,
        timeout=3,
        extra_headers={"X-Title": "t"},
        max_retries=2,
        http_client_kwargs={"limits": {"max_connections": 3}},
    )
    data = theirs.to_dict()
    before = copy.deepcopy(data)
    ours = [OpenRouterChatGenerator.from_dict(data) for _ in range(2)][1]
    assert data == before
    assert ours.streaming_callback is print_streaming_chunk
    assert ours.api_key == Secret.from_env_var(["A_KEY", "B_KEY"], strict=False)
    written = ours.to_dict()["init_parameters"]
    for name in KEYS:
        if name not in {"streaming_callback", "tools"}:
            assert written[name] == before["init_parameters"][name]
    assert list(written) == list(before["init_parameters"])
    renamed = json.dumps(before["init_parameters"]["tools"]).replace("haystack.tools.tool.Tool", "orchat.tools.Tool")
    renamed = renamed.replace("haystack.tools.toolset.Toolset", "orchat.tools.Toolset")
    assert written["tools"] == json.loads(renamed)


def test_what_haystack_2_19_wrote_is_read() -> None:
    old = {
        "type": "haystack_integrations.components.generators.openrouter.chat.chat_generator.OpenRouterChatGenerator",
        "init_parameters": {
            "model": "openai/gpt-4o-mini",
            "streaming_callback": "haystack.components.generators.utils.print_streaming_chunk",
            "api_base_url": "https://openrouter.ai/api/v1",
            "generation_kwargs": {"max_tokens": 10},
            "api_key": {"type": "env_var", "env_vars": ["OPENROUTER_API_KEY"], "strict": True},
            "tools": [
                {
                    "type": "haystack.tools.tool.Tool",
                    "data": {
                        "name": "tide",
                        "description": "Tell a tide.",
                        "parameters": TIDE_SCHEMA,
                        "function": f"{PATH}.tide",
                        "outputs_to_string": None,
                        "inputs_from_state": None,
                        "outputs_to_state": None,
                    },
                }
            ],
            "extra_headers": None,
            "timeout": None,
            "max_retries": None,
            "http_client_kwargs": None,
        },
    }
    generator = OpenRouterChatGenerator.from_dict(old)
    assert generator.tools[0].invoke(port="Hull") == "Hull: 14:10"
    assert generator.streaming_callback is print_streaming_chunk


@pytest.mark.parametrize(
    "parameters",
    [
        {"extra_headers": {"X-Api-Key": "a hub's key"}},
        {"extra_headers": {"X-Note": "sk-or-v1-0123456789abcdef"}},
        {"generation_kwargs": {"extra_headers": {"Authorization": "Bearer 0123456789"}}},
        {"http_client_kwargs": {"headers": {"Cookie": "session=0123456789"}}},
    ],
)
def test_a_key_that_stands_in_a_header_as_text_is_not_saved(parameters: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="never saved") as caught:
        OpenRouterChatGenerator(**parameters).to_dict()
    assert "0123456789" not in str(caught.value)
