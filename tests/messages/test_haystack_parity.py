"""Messages against Haystack's own, both of them run: the same JSON, in both directions."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from typing import Any

import pytest

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"

import haystack.dataclasses as theirs

import orchat.messages as ours
from orchat.messages import ChatMessage, ChatRole
from tests.openrouter_server import PNG

PIXEL = PNG.partition(",")[2]
Build = Callable[[Any], Any]

MESSAGES: dict[str, Build] = {
    "user": lambda m: m.ChatMessage.from_user("Tide?", {"a": [1, None]}, "Ann"),
    "empty text": lambda m: m.ChatMessage.from_user(""),
    "parts": lambda m: m.ChatMessage.from_user(
        content_parts=[
            "see",
            m.TextContent("this"),
            m.ImageContent(PIXEL, detail="low", meta={"x": 1}),
            m.FileContent("JVBERi0xLjQK", filename="a.pdf", extra={"y": 2}),
        ]
    ),
    "unvalidated": lambda m: m.ChatMessage.from_user(content_parts=[m.ImageContent("?", validation=False)]),
    "a file by its bytes": lambda m: m.ChatMessage.from_user(content_parts=[m.FileContent("JVBERi0xLjQK")]),
    "system": lambda m: m.ChatMessage.from_system("Be brief.", {"a": 1}, "boss"),
    "assistant": lambda m: m.ChatMessage.from_assistant("14:10", {"usage": {"cost": 0.1}}, "bot"),
    "nothing": lambda m: m.ChatMessage.from_assistant(),
    "all of an assistant's": lambda m: m.ChatMessage.from_assistant(
        "Wait",
        tool_calls=[m.ToolCall("tide", {"port": "Køge"}, "a", {"k": 1}), m.ToolCall("wind", {})],
        reasoning=m.ReasoningContent("Hm", {"reasoning_details": [{"type": "x"}]}),
    ),
    "reasoning": lambda m: m.ChatMessage.from_assistant("Hi", reasoning="Hm"),
    "no reasoning": lambda m: m.ChatMessage.from_assistant("Hi", reasoning=""),
    "tool": lambda m: m.ChatMessage.from_tool("14:10", m.ToolCall("tide", {}, "a"), meta={"b": 1}),
    "tool error": lambda m: m.ChatMessage.from_tool("broken", m.ToolCall("tide", {}, "a"), error=True),
    "tool parts": lambda m: m.ChatMessage.from_tool(
        [m.TextContent("a"), m.ImageContent(PIXEL), m.FileContent("JVBERi0xLjQK")], m.ToolCall("t", {}, "a")
    ),
}


@pytest.mark.parametrize("build", MESSAGES.values(), ids=MESSAGES)
def test_the_json_of_a_message_is_haystacks(build: Build) -> None:
    mine, haystacks = build(ours), build(theirs)
    assert json.dumps(mine.to_dict()) == json.dumps(haystacks.to_dict())
    data = json.loads(json.dumps(haystacks.to_dict()))
    assert ChatMessage.from_dict(data) == mine
    assert theirs.ChatMessage.from_dict(json.loads(json.dumps(mine.to_dict()))) == haystacks


@pytest.mark.parametrize("build", MESSAGES.values(), ids=MESSAGES)
def test_haystacks_own_messages_are_adopted(build: Build) -> None:
    assert ChatMessage.adopt(build(theirs)) == build(ours)


@pytest.mark.parametrize("build", MESSAGES.values(), ids=MESSAGES)
def test_every_reading_of_a_message_is_haystacks(build: Build) -> None:
    mine, haystacks = build(ours), build(theirs)
    names = ["text", "texts", "name", "meta", "tool_call", "tool_calls", "tool_call_result", "tool_call_results"]
    names += ["image", "images", "file", "files", "reasoning", "reasonings"]
    for name in names:
        assert repr(getattr(mine, name)).replace(", cache_control=None", "") == repr(getattr(haystacks, name))
    assert len(mine) == len(haystacks)
    assert str(mine.role) == str(haystacks.role)
    for role in ("user", "assistant", "system", "tool"):
        assert mine.is_from(role) is haystacks.is_from(role)


CALL = {"tool_name": "t", "arguments": {"a": 1}, "id": "x"}
OLDER: dict[str, dict[str, Any]] = {
    "content is a text (before 2.9)": {"role": "user", "content": "Hi", "name": None, "meta": {"a": 1}},
    "underscores (2.9 to 2.11)": {"_role": "user", "_content": [{"text": "Hi"}], "_name": "Ann", "_meta": {}},
    "no meta and no name": {"role": "user", "content": [{"text": "Hi"}]},
    "a call without extra (2.19)": {"role": "assistant", "content": [{"tool_call": CALL}]},
    "a result without extra (2.19)": {
        "role": "tool",
        "content": [{"tool_call_result": {"result": "r", "origin": CALL, "error": False}}],
    },
    "flat parts": {
        "role": "assistant",
        "content": [
            {"reasoning_text": "Hm", "extra": {}},
            {"text": "Hi"},
            CALL,
            {"result": "r", "origin": CALL, "error": True},
        ],
    },
    "flat media": {
        "role": "user",
        "content": [
            {"base64_image": PIXEL, "mime_type": "image/png", "detail": None, "meta": {}, "validation": True},
            {"base64_data": "JVBERi0xLjQK", "mime_type": None, "filename": None, "extra": {}, "validation": True},
        ],
    },
    "null meta": {"role": "user", "content": [{"text": "Hi"}], "meta": {}, "name": None},
}


@pytest.mark.parametrize("data", OLDER.values(), ids=OLDER)
def test_older_forms_are_read_as_haystack_reads_them(data: dict[str, Any]) -> None:
    before = json.dumps(data)
    mine = ChatMessage.from_dict(data)
    assert json.dumps(data) == before
    assert mine.to_dict() == theirs.ChatMessage.from_dict(json.loads(before)).to_dict()


UNREADABLE: dict[str, Any] = {
    "empty": {},
    "no role": {"content": "Hi"},
    "no content": {"role": "user"},
    "unknown role": {"role": "boss", "content": "Hi"},
    "content is null": {"role": "user", "content": None},
    "content is a number": {"role": "user", "content": 5},
    "unknown part": {"role": "user", "content": [{"mystery": 1}]},
    "openai's part": {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
    "result without origin": {"role": "tool", "content": [{"tool_call_result": {"result": "r", "error": False}}]},
    "result without error": {"role": "tool", "content": [{"tool_call_result": {"result": "r", "origin": CALL}}]},
}


@pytest.mark.parametrize("data", UNREADABLE.values(), ids=UNREADABLE)
def test_what_haystack_cannot_read_is_the_same_kind_of_error(data: Any) -> None:
    with pytest.raises((ValueError, TypeError)) as caught:
        theirs.ChatMessage.from_dict(data)
    with pytest.raises(ValueError if isinstance(caught.value, ValueError) else TypeError):
        ChatMessage.from_dict(data)


@pytest.mark.parametrize("part", ["text", 5, None, ["text"]])
def test_a_part_that_is_no_object_is_a_value_error(part: Any) -> None:
    with pytest.raises(ValueError, match="no content part"):
        ChatMessage.from_dict({"role": "user", "content": [part]})


def test_haystacks_parts_are_taken_into_our_messages() -> None:
    parts = [theirs.TextContent("a"), theirs.ImageContent(PIXEL), theirs.FileContent("JVBERi0xLjQK")]
    message = ChatMessage.from_user(content_parts=parts)  # type: ignore[arg-type]
    assert [type(part) for part in message.parts] == [ours.TextContent, ours.ImageContent, ours.FileContent]
    assert message.to_dict() == theirs.ChatMessage.from_user(content_parts=parts).to_dict()


def test_a_message_of_ours_is_adopted_as_it_is() -> None:
    message = ChatMessage.from_user("Hi")
    assert ChatMessage.adopt(message) is message


@pytest.mark.parametrize(
    ("odd", "words"),
    [
        ("Hi", "is a str, not a ChatMessage: ChatMessage.from_user makes one of it."),
        ({"role": "user", "content": "Hi"}, "not a ChatMessage: ChatMessage.from_openai_dict_format makes one of it."),
        (ours.TextContent("Hi"), "not a ChatMessage: ChatMessage.from_user(content_parts=[...]) takes it beside"),
        (None, "None is a NoneType, not a ChatMessage."),
        (5, "5 is a int, not a ChatMessage."),
    ],
)
def test_what_is_no_message_is_not_adopted(odd: Any, words: str) -> None:
    with pytest.raises(TypeError, match=re.escape(words)):
        ChatMessage.adopt(odd)


def test_roles_are_haystacks() -> None:
    assert [(role.name, role.value, str(role)) for role in ChatRole] == [
        (role.name, role.value, str(role)) for role in theirs.ChatRole
    ]
    assert ChatRole.from_str("user") is ChatRole.USER
    with pytest.raises(ValueError, match="boss"):
        ChatRole.from_str("boss")
