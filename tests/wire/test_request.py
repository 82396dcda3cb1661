"""Requests: Haystack's form for all that Haystack can send, OpenRouter's for the rest (API section 2)."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from typing import Any

import pytest

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"

import haystack.dataclasses as theirs

import orchat.messages as ours
from orchat.errors import ConfigurationError
from orchat.messages import AudioContent, ChatMessage, FileContent, ImageContent, TextContent, ToolCall, VideoContent
from orchat.openrouter.wire.request import chat_body, tool_to_wire
from orchat.openrouter.wire.response import read_replies
from orchat.openrouter.wire.strict_schema import strict_dialect
from orchat.tools import create_tool_from_function
from tests.openrouter_server import PNG, completion, file_annotation, url_citation
from tests.tools import samples

PIXEL = PNG.partition(",")[2]
Build = Callable[[Any], Any]  # makes a message with either library

SENDABLE: dict[str, Build] = {
    "system": lambda m: m.ChatMessage.from_system("Be brief."),
    "system with a name": lambda m: m.ChatMessage.from_system("Be brief.", {"a": 1}, "boss"),
    "user": lambda m: m.ChatMessage.from_user("Tide at Hull?", {"a": 1}, "Ann"),
    "user, empty": lambda m: m.ChatMessage.from_user(""),
    "user, one text part": lambda m: m.ChatMessage.from_user(content_parts=["a"]),
    "user, two text parts": lambda m: m.ChatMessage.from_user(content_parts=["a", m.TextContent("b")]),
    "user, an image": lambda m: m.ChatMessage.from_user(content_parts=["a", m.ImageContent(PIXEL, detail="low")]),
    "user, an image alone": lambda m: m.ChatMessage.from_user(content_parts=[m.ImageContent(PIXEL, "image/webp")]),
    "user, an image of no type": lambda m: m.ChatMessage.from_user(
        content_parts=[m.ImageContent("AAAA", validation=False)]
    ),
    "user, a file": lambda m: m.ChatMessage.from_user(
        content_parts=["a", m.FileContent("JVBERi0xLjQK", filename="a.pdf")]
    ),
    "user, a file of no type and name": lambda m: m.ChatMessage.from_user(
        content_parts=[m.FileContent("AAAA", validation=False)]
    ),
    "assistant": lambda m: m.ChatMessage.from_assistant("14:10", {"usage": {}}, "bot"),
    "assistant, empty text": lambda m: m.ChatMessage.from_assistant(""),
    "assistant, nothing": lambda m: m.ChatMessage.from_assistant(),
    "assistant, calls": lambda m: m.ChatMessage.from_assistant(
        tool_calls=[m.ToolCall("tide", {"port": "Køge"}, "a"), m.ToolCall("wind", {}, "b")]
    ),
    "assistant, text and call": lambda m: m.ChatMessage.from_assistant("Wait", tool_calls=[m.ToolCall("t", {}, "a")]),
    "assistant, refusal": lambda m: m.ChatMessage.from_assistant(None, {"refusal": "No."}),
    "assistant, text and refusal": lambda m: m.ChatMessage.from_assistant("Well", {"refusal": "No."}),
    "assistant, call and refusal": lambda m: m.ChatMessage.from_assistant(
        None, {"refusal": "No."}, tool_calls=[m.ToolCall("t", {}, "a")]
    ),
    "assistant, reasoning": lambda m: m.ChatMessage.from_assistant("Hi", reasoning="Hm"),
    "tool": lambda m: m.ChatMessage.from_tool("14:10", m.ToolCall("tide", {}, "a"), meta={"b": 1}),
    "tool, an error": lambda m: m.ChatMessage.from_tool("broken", m.ToolCall("tide", {}, "a"), error=True),
    "tool, texts": lambda m: m.ChatMessage.from_tool(
        [m.TextContent("a"), m.TextContent("b")], m.ToolCall("t", {}, "a")
    ),
}


@pytest.mark.parametrize("build", SENDABLE.values(), ids=SENDABLE)
def test_what_haystack_sends_is_sent_in_its_form(build: Build) -> None:
    message = build(ours)
    expected = build(theirs).to_openai_dict_format()
    assert message.to_openai_dict_format() == message.to_openai_dict_format() == expected
    assert ChatMessage.to_openai_dict_format(ChatMessage.adopt(build(theirs))) == expected


NOT_SENDABLE: dict[str, Build] = {
    "a call without an id": lambda m: m.ChatMessage.from_assistant(tool_calls=[m.ToolCall("t", {})]),
    "a result without an id": lambda m: m.ChatMessage.from_tool("x", m.ToolCall("t", {})),
    "a user's message without content": lambda m: m.ChatMessage(m.ChatRole.USER, []),
    "a system's message without content": lambda m: m.ChatMessage(m.ChatRole.SYSTEM, []),
    "a tool's message without content": lambda m: m.ChatMessage(m.ChatRole.TOOL, []),
    "a result beside a text": lambda m: m.ChatMessage(
        m.ChatRole.TOOL, [m.ToolCallResult("x", m.ToolCall("t", {}, "a"), False), m.TextContent("y")]
    ),
    "a result that is a number": lambda m: m.ChatMessage.from_tool(7, m.ToolCall("t", {}, "a")),
    "a result that is a list of numbers": lambda m: m.ChatMessage.from_tool([7], m.ToolCall("t", {}, "a")),
    "a tool call of the user's": lambda m: m.ChatMessage(m.ChatRole.USER, [m.ToolCall("t", {}, "a")]),
}


@pytest.mark.parametrize("build", NOT_SENDABLE.values(), ids=NOT_SENDABLE)
def test_what_cannot_be_sent_is_a_value_error(build: Build) -> None:
    with pytest.raises(ConfigurationError):
        ChatMessage.to_openai_dict_format(build(ours))


@pytest.mark.parametrize("name", ["a call without an id", "a result without an id"])
def test_ids_may_be_left_out_where_nobody_requires_them(name: str) -> None:
    build = NOT_SENDABLE[name]
    assert build(ours).to_openai_dict_format(require_tool_call_ids=False) == (
        build(theirs).to_openai_dict_format(require_tool_call_ids=False)
    )


@pytest.mark.parametrize(
    ("part", "wire"),
    [
        (
            ImageContent.from_url("https://e.org/a.png", detail="high"),
            {"type": "image_url", "image_url": {"url": "https://e.org/a.png", "detail": "high"}},
        ),
        (ImageContent.from_url(PNG), {"type": "image_url", "image_url": {"url": PNG}}),
        (
            AudioContent("UklGRg==", "mp3"),
            {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "mp3"}},
        ),
        (VideoContent.from_url("https://e.org/v"), {"type": "video_url", "video_url": {"url": "https://e.org/v"}}),
        (VideoContent("AAAA"), {"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AAAA"}}),
        (FileContent.from_url("https://e.org/a.pdf"), {"type": "file", "file": {"file_data": "https://e.org/a.pdf"}}),
        (
            FileContent.from_url("https://e.org/a.pdf", filename="b.pdf"),
            {"type": "file", "file": {"file_data": "https://e.org/a.pdf", "filename": "b.pdf"}},
        ),
        (
            TextContent("a", {"type": "ephemeral"}),
            {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
        ),
        (
            ImageContent(url="https://e.org/a", cache_control={"type": "ephemeral"}),
            {"type": "image_url", "image_url": {"url": "https://e.org/a"}, "cache_control": {"type": "ephemeral"}},
        ),
    ],
)
def test_parts_that_haystack_refuses_but_openrouter_takes_are_sent(part: Any, wire: dict[str, Any]) -> None:
    message = ChatMessage.from_user(content_parts=[part])
    assert message.to_openai_dict_format()["content"] == [wire]
    assert ChatMessage.from_dict(json.loads(json.dumps(message.to_dict()))) == message
    assert (
        ChatMessage.to_openai_dict_format(ChatMessage.from_openai_dict_format(message.to_openai_dict_format()))
        == message.to_openai_dict_format()
    )


def test_a_cache_breakpoint_in_a_system_message_is_sent() -> None:
    message = ChatMessage(ours.ChatRole.SYSTEM, [TextContent("long", {"type": "ephemeral"})])
    assert message.to_openai_dict_format()["content"][0]["cache_control"] == {"type": "ephemeral"}


def test_images_and_files_as_tool_results_are_sent() -> None:
    parts = [TextContent("see"), ImageContent(PIXEL), FileContent("JVBERi0xLjQK", filename="a.pdf")]
    wire = ChatMessage.to_openai_dict_format(ChatMessage.from_tool(parts, ToolCall("t", {}, "a")))
    assert [part["type"] for part in wire["content"]] == ["text", "image_url", "file"]
    assert wire["tool_call_id"] == "a"


def test_a_file_annotation_is_echoed_so_that_nobody_pays_twice() -> None:
    [reply] = read_replies(completion("Hi", annotations=[url_citation(), file_annotation()]))
    assert reply.to_openai_dict_format()["annotations"] == [file_annotation()]


def test_a_picture_and_a_sound_of_the_models_go_back() -> None:
    [reply] = read_replies(
        completion(None, images=[{"image_url": {"url": PNG}}], audio={"id": "audio_1", "data": "UQ==", "format": "wav"})
    )
    wire = reply.to_openai_dict_format()
    assert wire["content"] is None
    assert wire["images"] == [{"type": "image_url", "image_url": {"url": PNG}}]
    assert wire["audio"] == {"id": "audio_1"}


def test_a_pure_call_has_no_empty_content() -> None:
    assert "content" not in ChatMessage.to_openai_dict_format(
        ChatMessage.from_assistant(tool_calls=[ToolCall("t", {}, "a")])
    )


def test_reasoning_details_are_on_the_right_message_only() -> None:
    content = ours.ReasoningContent("Hm", {"reasoning_details": [{"type": "x"}]})
    assert ChatMessage.to_openai_dict_format(ChatMessage.from_assistant("a", reasoning=content))[
        "reasoning_details"
    ] == [{"type": "x"}]
    assert "reasoning_details" not in ChatMessage.to_openai_dict_format(ChatMessage.from_assistant("a", reasoning="Hm"))


def tide(port: str, place: samples.Place | None = None) -> str:
    """Tell the tide."""
    return port


def test_a_strict_tool_is_strict_at_every_level_and_the_tool_stays_as_it_is() -> None:
    tool = create_tool_from_function(tide)
    before = copy.deepcopy(tool.tool_spec)
    wire = tool_to_wire(tool, strict=strict_dialect("vendor/m"))
    assert wire["function"]["strict"] is True
    parameters = wire["function"]["parameters"]
    assert parameters["required"] == ["port", "place"]
    assert parameters["additionalProperties"] is parameters["$defs"]["Place"]["additionalProperties"] is False
    assert tool.tool_spec == before
    assert tool_to_wire(tool) == {"type": "function", "function": before}


def test_the_body_has_haystacks_keys_and_every_generation_kwarg_wins() -> None:
    body = chat_body(
        model="v/m",
        messages=[ChatMessage.from_user("Hi")],
        tools=[create_tool_from_function(tide)],
        tools_strict=True,
        response_format={"type": "json_object"},
        stream=True,
        n=1,
        generation_kwargs={"seed": None, "from_the_future": [1], "model": "other"},
    )
    assert list(body) == [
        "model", "messages", "n", "stream", "tools", "response_format", "seed", "from_the_future",
    ]  # fmt: skip
    assert (body["model"], body["seed"], body["from_the_future"]) == ("other", None, [1])
    assert body["tools"][0]["function"]["strict"] is True


@pytest.mark.parametrize("given", [None, [{"type": "function"}]])
def test_server_tools_stand_behind_all_others(given: list[dict[str, str]] | None) -> None:
    search = {"type": "openrouter:web_search"}
    body = chat_body(
        model="v/m",
        messages=[],
        tools=[create_tool_from_function(tide)],
        tools_strict=False,
        response_format=None,
        stream=False,
        n=1,
        generation_kwargs={} if given is None else {"tools": given},
        server_tools=[search],
    )
    first, last = body["tools"]
    assert (first["type"], last) == ("function", search)
    assert ("function" in first) == (given is None)


@pytest.mark.parametrize("model", ["v/m:nitro", "v/m:free:online", "@preset/mine", "~v/latest", "openrouter/auto"])
def test_any_model_name_is_sent_and_only_what_was_asked_for(model: str) -> None:
    body = chat_body(
        model=model,
        messages=[],
        tools=[],
        tools_strict=False,
        response_format=None,
        stream=False,
        n=1,
        generation_kwargs={},
    )
    assert body == {"model": model, "messages": [], "n": 1, "stream": False}


CALL = {"id": "a", "type": "function", "function": {"name": "tide", "arguments": '{"port": "Hull"}'}}


@pytest.mark.parametrize(
    "wire",
    [
        {"role": "user", "content": "Hi", "name": "Ann"},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": PNG}}]},
        {"role": "user", "content": [{"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERi0="}}]},
        {"role": "system", "content": "Hi"},
        {"role": "system", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "developer", "content": "Hi", "name": "Dev"},
        {"role": "assistant", "content": "Hi", "name": "bot"},
        {"role": "assistant", "content": ""},
        {"role": "assistant", "content": [{"type": "text", "text": "a"}, {"type": "refusal", "refusal": "No"}]},
        {"role": "assistant", "content": None, "refusal": "No"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "assistant", "tool_calls": [{**CALL, "function": {"name": "tide", "arguments": ""}}]},
        {"role": "assistant", "tool_calls": [{**CALL, "function": {"name": "tide"}}]},
        {"role": "tool", "content": "14:10", "tool_call_id": "a"},
        {"role": "tool", "content": [{"type": "text", "text": "a"}], "tool_call_id": "a"},
    ],
)
def test_messages_in_the_apis_form_are_read_as_haystack_reads_them(wire: dict[str, Any]) -> None:
    expected = ChatMessage.adopt(theirs.ChatMessage.from_openai_dict_format(copy.deepcopy(wire)))
    assert ChatMessage.from_openai_dict_format(wire) == expected


def test_malformed_arguments_in_the_apis_form_are_kept_as_text() -> None:
    broken = {**CALL, "function": {"name": "tide", "arguments": "{"}}
    [only] = ChatMessage.from_openai_dict_format({"role": "assistant", "tool_calls": [broken]}).tool_calls
    assert only.malformed_arguments == "{"


def test_a_call_without_an_id_in_the_apis_form_stays_without() -> None:
    [only] = ChatMessage.from_openai_dict_format(
        {"role": "assistant", "tool_calls": [{"function": {"name": "t"}}]}
    ).tool_calls
    assert only == ToolCall("t", {}, None)


def test_remote_images_in_the_apis_form_stay_addresses() -> None:
    part = {"type": "image_url", "image_url": {"url": "https://e.org/a", "detail": "low"}}
    image = ChatMessage.from_openai_dict_format({"role": "user", "content": [part]}).images[0]
    assert (image.url, image.detail, image.base64_image) == ("https://e.org/a", "low", "")


@pytest.mark.parametrize(
    "wire",
    [
        {},
        {"role": "user"},
        {"role": "user", "content": None},
        {"role": "user", "content": 5},
        {"role": "user", "content": []},
        {"role": "boss", "content": "Hi"},
        {"role": "assistant", "content": None},
        {"role": "assistant"},
        {"role": "system", "content": [{"type": "image_url", "image_url": {"url": PNG}}]},
        {"role": "user", "content": [{"type": "mystery"}]},
        {"role": "user", "content": [{"type": "image_url", "image_url": "bare"}]},
        {"role": "user", "content": [["text"]]},
        {"role": "user", "content": [{}]},
        {"role": "user", "content": [{"type": "file", "file": {}}]},
        {"role": "assistant", "tool_calls": [{}]},
        {"role": "assistant", "tool_calls": ["x"]},
        {"role": "assistant", "tool_calls": 5},
        {"role": "assistant", "content": [5]},
    ],
)
def test_what_is_no_message_in_the_apis_form_is_a_value_error(wire: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        ChatMessage.from_openai_dict_format(wire)
