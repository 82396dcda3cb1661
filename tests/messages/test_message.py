"""`ChatMessage`: how one is made, compared, copied and read."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from orchat.errors import ConfigurationError
from orchat.messages import (
    AudioContent,
    ChatMessage,
    ChatRole,
    ImageContent,
    ReasoningContent,
    TextContent,
    ToolCall,
    ToolCallResult,
    VideoContent,
)
from orchat.messages.parts import part_to_dict


def test_an_assistants_parts_are_in_order() -> None:
    image, sound, call = ImageContent(url="https://e.org/a"), AudioContent("AAAA"), ToolCall("t", {})
    message = ChatMessage.from_assistant("Hi", reasoning="Hm", tool_calls=[call], images=[image], audio=sound)
    assert message.parts == [ReasoningContent("Hm"), TextContent("Hi"), call, image, sound]
    assert (message.audio, message.image, message.tool_call) == (sound, image, call)


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (ChatMessage.from_user, ConfigurationError),
        (lambda: ChatMessage.from_user("a", content_parts=["b"]), ConfigurationError),
        (lambda: ChatMessage.from_user(content_parts=[]), ConfigurationError),
        (lambda: ChatMessage.from_user(content_parts=[5]), TypeError),  # type: ignore[list-item]
        (lambda: ChatMessage.from_user(content_parts=[ToolCall("t", {})]), TypeError),  # type: ignore[list-item]
        (lambda: ChatMessage.from_assistant(reasoning=5), TypeError),  # type: ignore[arg-type]
        (lambda: ChatMessage("Hi"), TypeError),  # type: ignore[call-arg, arg-type]
        (lambda: ChatMessage(role="user"), TypeError),  # type: ignore[call-arg]
        (lambda: part_to_dict("text"), TypeError),  # type: ignore[arg-type]
        (lambda: ChatMessage.from_user("a").is_from("boss"), ConfigurationError),
    ],
)
def test_what_cannot_be_is_refused(make: Callable[[], Any], kind: type[Exception]) -> None:
    with pytest.raises(kind):
        make()


def test_all_four_fields_count_in_a_comparison() -> None:
    message = ChatMessage.from_user("Hi", {"a": 1}, "Ann")
    assert message == ChatMessage.from_user("Hi", {"a": 1}, "Ann")
    for other in (
        ChatMessage.from_user("Ho", {"a": 1}, "Ann"),
        ChatMessage.from_user("Hi", {"a": 2}, "Ann"),
        ChatMessage.from_user("Hi", {"a": 1}, "Bob"),
        ChatMessage.from_system("Hi", {"a": 1}, "Ann"),
        "Hi",
    ):
        assert message != other


def test_the_parsed_object_is_neither_compared_nor_saved() -> None:
    message = ChatMessage.from_assistant('{"a": 1}')
    message._parsed = {"a": 1}
    assert message.parsed == {"a": 1}
    assert message == ChatMessage.from_assistant('{"a": 1}')
    assert ChatMessage.from_dict(message.to_dict()).parsed is None


def test_a_message_cannot_be_hashed() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(ChatMessage.from_user("Hi"))


@pytest.mark.parametrize("name", ["role", "text", "meta", "parsed", "tool_calls"])
def test_what_a_message_says_cannot_be_set(name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(ChatMessage.from_user("Hi"), name, None)


@pytest.mark.parametrize("travel", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_are_equal_and_share_nothing(travel: Any) -> None:
    message = ChatMessage.from_assistant("Hi", {"a": {}}, tool_calls=[ToolCall("t", {"b": 1}, "x")])
    twin = travel(message)
    assert twin == message
    twin.meta["a"]["c"] = 1
    twin.tool_calls[0].arguments["b"] = 2
    assert message == ChatMessage.from_assistant("Hi", {"a": {}}, tool_calls=[ToolCall("t", {"b": 1}, "x")])


def test_a_tuple_of_parts_equals_a_list_of_them() -> None:
    assert ChatMessage(ChatRole.USER, (TextContent("a"),)) == ChatMessage(ChatRole.USER, [TextContent("a")])


def test_sound_and_video_travel_as_json() -> None:
    message = ChatMessage.from_user(
        content_parts=["a", AudioContent("AAAA", "mp3", "Hi", {"id": "x"}), VideoContent.from_url("https://e.org/v")]
    )
    assert ChatMessage.from_dict(message.to_dict()) == message
    assert [list(part) for part in message.to_dict()["content"]] == [["text"], ["audio"], ["video"]]


def test_additions_to_haystacks_json_appear_only_when_used() -> None:
    assert TextContent("a").to_dict() == {"text": "a"}
    assert TextContent("a", {"type": "ephemeral"}).to_dict() == {"text": "a", "cache_control": {"type": "ephemeral"}}
    assert "url" not in ImageContent("AAAA", validation=False).to_dict()
    assert ImageContent(url="https://e.org/a").to_dict()["url"] == "https://e.org/a"


def test_malformed_arguments_are_a_text_or_none() -> None:
    assert ToolCall("t", {}, extra={"malformed_arguments": "{"}).malformed_arguments == "{"
    assert ToolCall("t", {}, extra={"malformed_arguments": 5}).malformed_arguments is None
    assert ToolCall("t", {}).malformed_arguments is None


def test_the_repr_of_a_large_message_is_bounded() -> None:
    small, large = ChatMessage.from_user("Hello"), ChatMessage.from_user("x" * 10_000_000)
    assert "text='Hello'" in repr(small)
    assert len(repr(large)) < 21_000
    assert " characters ... " in repr(large)
    assert repr([large]).count("ChatMessage(") == 1


def test_a_copy_is_equal_and_shares_nothing_that_can_change() -> None:
    call = ToolCall("tide", {"ports": ["Hull"]}, "call_1")
    picture = ImageContent("iVBORw0KGgo=", "image/png", meta={"a": {"b": 1}})
    for message in (
        ChatMessage.from_assistant("It is high.", {"usage": {"cost": [1]}}, tool_calls=[call]),
        ChatMessage.from_tool([TextContent("high"), picture], call),
        ChatMessage.from_user(content_parts=["Look.", picture]),
    ):
        twin = copy.deepcopy(message)
        before = message.to_dict()
        assert twin == message
        assert twin.to_dict() == before
        twin.meta["usage"] = {"cost": []}
        for part in twin.parts:
            for value in vars(part).values():
                if isinstance(value, dict):
                    value["ports"] = value["a"] = 7
            if isinstance(part, ToolCallResult):
                part.origin.arguments["ports"].append("Goole")
                assert isinstance(part.result, list)
                part.result.clear()
        assert message.to_dict() == before
