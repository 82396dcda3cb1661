"""What `run` and its kin take, and what they make of it."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import threading
from typing import Any

import pytest

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"

from haystack.dataclasses import ChatMessage as HaystackMessage
from haystack.dataclasses import ToolCall as HaystackCall
from haystack.tools import Tool as HaystackTool
from haystack.tools import Toolset as HaystackToolset

from orchat.errors import ConfigurationError, StreamError
from orchat.messages import ChatMessage
from orchat.openrouter.generator import OpenRouterChatGenerator
from orchat.tools import Tool, Toolset
from tests.generator.samples import TIDE_SCHEMA, names_of, tide, tide_tool, toolset
from tests.generator.ways import Way
from tests.openrouter_server import (
    ScriptedOpenRouter,
    call,
    calls,
    completion,
    done,
    event,
    finish,
    hold,
    reply_json,
    stream,
    text,
)


def test_a_text_is_one_user_message(openrouter, generator, way: Way) -> None:
    openrouter.answers(text("The Humber."))
    assert way(generator, "Name a river.").text == "The Humber."
    assert openrouter.request.json["messages"] == [{"role": "user", "content": "Name a river."}]
    assert openrouter.request.streaming is way.streams


def test_the_body_has_the_plain_keys_and_no_more(openrouter, generator, way: Way) -> None:
    way(generator)
    usage_is_due = ["stream_options"] if way.streams else []  # of OpenRouter it is not: test_haystack_parity.py
    assert list(openrouter.request.json) == ["model", "messages", "n", "stream", *usage_is_due]
    assert openrouter.request.json["model"] == "openai/gpt-4o-mini"
    assert (openrouter.request.method, openrouter.request.path) == ("POST", "/chat/completions")


def test_a_slash_at_the_end_of_the_base_url_changes_nothing(openrouter, make, driver: Way) -> None:
    driver(make(api_base_url=openrouter.base_url + "/"))
    assert openrouter.request.path == "/chat/completions"


@pytest.mark.parametrize("messages", [None, 5, {"role": "user"}, ["Hi"], [{"role": "user", "content": "Hi"}], [None]])
def test_messages_that_are_none_are_a_type_error(openrouter, generator, way: Way, messages) -> None:
    with pytest.raises(TypeError, match="ChatMessage"):
        way(generator, messages)
    assert openrouter.requests == []


def test_haystacks_messages_are_taken(openrouter, generator, way: Way) -> None:
    old = HaystackCall("tide", {"port": "Hull"}, "call_1")
    way(
        generator,
        [
            HaystackMessage.from_system("Be brief."),
            HaystackMessage.from_user("Tide?", name="ann"),
            HaystackMessage.from_assistant(tool_calls=[old]),
            HaystackMessage.from_tool("14:10", old),
            ChatMessage.from_user("And now?"),
        ],
    )
    assert [message["role"] for message in openrouter.request.json["messages"]] == [
        "system", "user", "assistant", "tool", "user",
    ]  # fmt: skip
    assert openrouter.request.json["messages"][2]["tool_calls"][0]["function"]["arguments"] == '{"port": "Hull"}'


def test_haystacks_tools_are_taken(openrouter, make, way: Way) -> None:
    theirs = HaystackTool("theirs", "Tell a tide.", TIDE_SCHEMA, tide)
    more = HaystackToolset([HaystackTool("more", "Tell more.", TIDE_SCHEMA, tide)])
    way(make(tools=[theirs, more, tide_tool("ours")]))
    assert names_of(openrouter.request.json) == ["theirs", "more", "ours"]
    assert openrouter.request.json["tools"][0]["function"]["parameters"] == TIDE_SCHEMA


def test_generation_kwargs_go_into_the_body_and_win(openrouter, make, way: Way) -> None:
    openrouter.allowed = {"future_switch"}
    kwargs = {"temperature": 0.5, "seed": None, "provider": {"order": ["a"], "sort": "price"}, "model": "vendor/other"}
    given = {"temperature": 0.25, "provider": {"order": ["b"]}, "future_switch": [1, {"x": "ü"}]}
    way(make(generation_kwargs=kwargs), generation_kwargs=given)
    body = openrouter.request.json
    assert (body["temperature"], body["seed"], body["model"]) == (0.25, None, "vendor/other")
    assert body["provider"] == {"order": ["b"]}  # key by key, one level deep
    assert body["future_switch"] == [1, {"x": "ü"}]
    assert given == {"temperature": 0.25, "provider": {"order": ["b"]}, "future_switch": [1, {"x": "ü"}]}
    assert kwargs["temperature"] == 0.5


def test_messages_and_tools_may_be_replaced_in_the_body(openrouter, make, way: Way) -> None:
    tool = {"type": "function", "function": {"name": "raw", "parameters": {"type": "object"}}}
    kwargs = {"messages": [{"role": "user", "content": "Other"}], "tools": [tool]}
    way(make(tools=[tide_tool()]), generation_kwargs=kwargs)
    assert openrouter.request.json["messages"][0]["content"] == "Other"
    assert names_of(openrouter.request.json) == ["raw"]


def test_the_generation_kwargs_given_are_kept_not_copied() -> None:
    kwargs = {"seed": 1}
    assert OpenRouterChatGenerator(generation_kwargs=kwargs).generation_kwargs is kwargs
    assert OpenRouterChatGenerator().generation_kwargs == {}


@pytest.mark.parametrize("value", [object(), {1, 2}, float("nan"), b"x"])
def test_a_generation_kwarg_that_is_no_json_is_refused_and_nothing_sent(openrouter, generator, way: Way, value) -> None:
    with pytest.raises((TypeError, ValueError)):
        way(generator, generation_kwargs={"x": value})
    assert openrouter.requests == []


def test_stream_true_without_a_callback_streams_all_the_same(openrouter, generator, whole: Way) -> None:
    openrouter.answers(text("Streamed."))
    assert whole(generator, generation_kwargs={"stream": True}).text == "Streamed."
    assert openrouter.request.streaming


def test_stream_false_with_a_callback_gives_the_whole_reply(openrouter, generator) -> None:
    seen = []
    [reply] = generator.run("Hi", seen.append, {"stream": False})["replies"]
    assert reply.text
    assert (seen, openrouter.request.streaming) == ([], False)


@pytest.mark.parametrize("kind", ["run", "run_async"])
def test_n_replies_come_in_order(openrouter, generator, kind: str) -> None:
    body = completion("one")
    body["choices"].append(body["choices"][0] | {"index": 1, "message": {"role": "assistant", "content": "two"}})
    openrouter.answers(reply_json(body))
    if kind == "run":
        replies = generator.run("Hi", generation_kwargs={"n": 2})["replies"]
    else:
        replies = asyncio.run(generator.run_async("Hi", generation_kwargs={"n": 2}))["replies"]
    assert [(reply.text, reply.meta["index"]) for reply in replies] == [("one", 0), ("two", 1)]
    assert openrouter.request.json["n"] == 2


def test_several_replies_cannot_be_streamed(openrouter, make, streaming: Way) -> None:
    with pytest.raises(ValueError, match="Cannot stream multiple responses"):
        streaming(make(generation_kwargs={"n": 2}))
    assert openrouter.requests == []


def test_an_async_callback_needs_run_async(openrouter, make) -> None:
    async def async_callback(chunk) -> None:
        raise AssertionError

    class Callback:
        async def __call__(self, chunk) -> None:
            raise AssertionError

    for callback in (async_callback, functools.partial(async_callback), Callback()):
        with pytest.raises(ValueError, match="run_async"):
            make().run("Hi", callback)
        with pytest.raises(ValueError, match="run_async"):
            make(streaming_callback=callback).run("Hi")
        with pytest.raises(ValueError, match="run_async"):
            make(streaming_callback=callback).run("Hi", print)
    assert openrouter.requests == []


def test_run_async_takes_callbacks_of_both_kinds_and_awaits_them(openrouter, generator) -> None:
    seen: list[str] = []

    async def async_callback(chunk) -> None:
        await asyncio.sleep(0)
        seen.append(chunk.content)

    for callback in (async_callback, lambda chunk: seen.append(chunk.content)):
        openrouter.answers(text("One two."))
        asyncio.run(generator.run_async("Hi", callback))
    assert "".join(seen) == "One two." * 2


def test_the_callback_of_a_call_replaces_the_constructors(openrouter, make) -> None:
    first, second = [], []
    generator = make(streaming_callback=first.append)
    generator.run("Hi")
    assert first
    count = len(first)
    generator.run("Hi", second.append)
    assert (len(first), bool(second)) == (count, True)


def test_the_callback_has_seen_each_chunk_before_the_next_is_read(openrouter, generator) -> None:
    gate = threading.Event()
    openrouter.answers(stream(event("a"), hold(gate), event("b"), finish(), done()))
    seen = []

    def callback(chunk) -> None:
        seen.append(chunk.content)
        gate.set()  # without it the server never goes on

    generator.run("Hi", callback)
    assert seen == ["a", "b", ""]


def test_chunks_name_the_component_that_made_them(generator, streaming: Way) -> None:
    streaming(generator)
    names = {chunk.component_info.type for chunk in streaming.chunks}
    assert names == {"orchat.openrouter.generator.OpenRouterChatGenerator"}


def test_tools_of_a_call_replace_the_constructors_and_an_empty_list_means_none(openrouter, make, way: Way) -> None:
    generator = make(tools=[tide_tool()])
    way(generator)
    way(generator, tools=[tide_tool("ebb"), toolset("flood", "surge")])
    way(generator, tools=toolset("storm"))
    way(generator, tools=[])
    way(generator, tools=Toolset([]))
    assert [names_of(request.json) for request in openrouter.requests] == [
        ["tide"], ["ebb", "flood", "surge"], ["storm"], [], [],
    ]  # fmt: skip
    assert "tools" not in openrouter.request.json


@pytest.mark.parametrize("tools", ["tide", [1], [tide], (1,)])
def test_tools_of_another_type_are_a_type_error(generator, way: Way, tools) -> None:
    with pytest.raises(TypeError):
        way(generator, tools=tools)
    with pytest.raises(TypeError):
        OpenRouterChatGenerator(tools=tools)


def test_two_tools_of_one_name_are_a_value_error(generator, way: Way) -> None:
    twice = [tide_tool(), toolset("tide")]
    with pytest.raises(ValueError, match="tide"):
        way(generator, tools=twice)
    with pytest.raises(ValueError, match="tide"):
        OpenRouterChatGenerator(tools=twice)


def test_strict_tools_are_strict_at_every_level_and_stay_as_they_are(openrouter, make, way: Way) -> None:
    tool = tide_tool()
    before = repr(tool.parameters)
    generator = make(tools=[tool])
    way(generator, tools_strict=True)
    way(generator)
    generator.tools_strict = True
    way(generator, tools_strict=False)
    way(generator)
    strict = [request.json["tools"][0]["function"].get("strict") for request in openrouter.requests]
    assert strict == [True, None, None, True]
    parameters = openrouter.requests[0].json["tools"][0]["function"]["parameters"]
    when = parameters["properties"]["when"]["anyOf"][0]
    assert parameters["additionalProperties"] is when["additionalProperties"] is False
    assert parameters["required"] == ["port", "when"]
    assert repr(tool.parameters) == before


def test_nulls_that_only_strict_mode_knows_are_taken_out_of_a_call(openrouter, make, way: Way) -> None:
    openrouter.answers(calls(call("tide", {"port": "Hull", "when": None})))
    reply = way(make(tools=[tide_tool()]), tools_strict=True)
    assert reply.tool_calls[0].arguments == {"port": "Hull"}
    assert "when" not in reply.to_openai_dict_format()["tool_calls"][0]["function"]["arguments"]
    assert "warnings" not in reply.meta


def test_a_tool_that_no_strict_mode_can_hold_is_sent_as_it_is_and_that_is_said(openrouter, make, way: Way) -> None:
    free = Tool("log", "Log.", {"type": "object", "properties": {"entry": {"type": "object"}}}, print)
    openrouter.answers(calls(call("log", {"entry": {"a": None}})))
    reply = way(make(tools=[tide_tool(), free]), tools_strict=True)
    assert [each["function"].get("strict") for each in openrouter.request.json["tools"]] == [True, None]
    assert openrouter.request.json["tools"][1]["function"]["parameters"] == free.parameters
    assert reply.tool_calls[0].arguments == {"entry": {"a": None}}
    assert reply.meta["warnings"] == [
        "The tool `log` was not sent as strict: `entry` is an object of anything. Its arguments are checked here."
    ]


def test_a_tool_call_comes_back_whole(openrouter, make, way: Way) -> None:
    openrouter.answers(calls(call("tide", {"port": "Hüll"}), call("tide", {"port": "Grimsby"}, id="call_2")))
    reply = way(make(tools=[tide_tool()]))
    assert [(c.id, c.tool_name, c.arguments) for c in reply.tool_calls] == [
        ("call_1", "tide", {"port": "Hüll"}),
        ("call_2", "tide", {"port": "Grimsby"}),
    ]
    assert reply.meta["finish_reason"] == "tool_calls"


def test_facts_of_the_reply_are_in_its_meta(openrouter, generator, way: Way) -> None:
    openrouter.answers(text("Hi.", reasoning="Greet.", signature="c2ln", system_fingerprint="fp_1"))
    reply = way(generator)
    assert reply.meta["model"] == "vendor/some-model-20260301"
    assert reply.meta["provider"] == "SomeProvider"
    assert reply.meta["id"].startswith("gen-")
    assert reply.meta["system_fingerprint"] == "fp_1"
    assert reply.meta["usage"]["cost"] == 0.00004
    assert reply.reasoning.reasoning_text == "Greet."
    assert reply.reasoning.extra["reasoning_details"][0]["signature"] == "c2ln"


@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_a_cut_answer_is_warned_of(openrouter, generator, way: Way, reason: str, caplog) -> None:
    openrouter.answers(text("Cut", finish_reason=reason))
    with caplog.at_level(logging.WARNING, "orchat"):
        assert way(generator).text == "Cut"
    assert reason in caplog.text


def test_the_demo_model_is_stamped_on_its_replies(openrouter, make, way: Way) -> None:
    assert way(make(model="local/smollm2-135m-instruct")).meta["note"] == "demo model, often wrong"
    assert "note" not in way(make()).meta


def test_the_demo_model_is_stamped_on_what_came_of_a_reply(openrouter, make, streaming: Way) -> None:
    openrouter.answers(stream(event("Half")))
    with pytest.raises(StreamError) as caught:
        streaming(make(model="local/smollm2-135m-instruct"))
    assert caught.value.partial.meta["note"] == "demo model, often wrong"
    assert caught.value.partial.meta["usage"] == {"cost": 0}


def test_the_model_in_the_kwargs_decides_how_to_speak(openrouter, generator, way: Way) -> None:
    kwargs = {"model": "local/smollm2-135m-instruct", "tool_choice": "required"}
    openrouter.answers(text('{"port": "Hull"}'))
    reply = way(generator, generation_kwargs=kwargs, tools=[tide_tool()])
    assert reply.tool_call.arguments == {"port": "Hull"}
    assert "tools" not in openrouter.request.json


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"model": 7}, "7 is no model's name. One looks like openai/gpt-4o-mini"),
        ({"model": " "}, "' ' is no model's name"),
        ({"generation_kwargs": {"model": None}}, "None is no model's name"),
        ({"generation_kwargs": [7]}, r"generation_kwargs=\[7\] makes no sense"),
        ({"streaming_callback": 7}, "streaming_callback must be a function of a StreamingChunk, not 7"),
        ({"extra_headers": 7}, "Headers must be a dict of names and values, not 7"),
    ],
)
def test_what_a_generator_cannot_take_is_named_before_anything_is_sent(
    openrouter: ScriptedOpenRouter, given: dict[str, Any], said: str
) -> None:
    generator = OpenRouterChatGenerator(
        **{"model": "vendor/m", "api_base_url": openrouter.base_url, "api_key": None, **given}
    )
    with pytest.raises((TypeError, ConfigurationError), match=said):
        generator.run("Name a river.")
    assert not openrouter.requests
