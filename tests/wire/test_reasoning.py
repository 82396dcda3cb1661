"""Reasoning: its details come back byte for byte (API sections 3.4 and 4.3, pitfall 18)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orchat.messages import ChatMessage, ReasoningContent
from orchat.openrouter.wire.response import read_replies
from tests.openrouter_server import (
    completion,
    event,
    finish,
    reasoning,
    reasoning_encrypted,
    reasoning_signature,
    reasoning_summary,
)
from tests.wire.reading import read


def details_of(*events: Any) -> list[Any]:
    """The details that a stream leaves on its message."""
    content = read(*events, finish()).message.reasoning
    assert content is not None
    details: list[Any] = content.extra["reasoning_details"]
    return details


def sent_again(message: ChatMessage) -> Any:
    """The details as they go back, after a notebook was saved and loaded."""
    loaded = ChatMessage.from_dict(json.loads(json.dumps(message.to_dict())))
    return loaded.to_openai_dict_format()["reasoning_details"]


def one(detail: Any, **delta: Any) -> dict[str, Any]:
    """An event with one detail."""
    return event("", reasoning_details=[detail], **delta)


def test_pieces_of_text_are_one_detail_and_one_reasoning() -> None:
    message = read(reasoning("Need "), reasoning("the tide."), event("Hi"), finish()).message
    assert message.reasoning == ReasoningContent(
        "Need the tide.",
        {
            "reasoning_details": [
                {"type": "reasoning.text", "text": "Need the tide.", "format": "anthropic-claude-v1", "index": 0}
            ]
        },
    )


def test_a_signature_in_a_fragment_of_its_own_joins_its_text() -> None:
    details = details_of(reasoning("Need "), reasoning("it."), reasoning_signature("c2ln"))
    assert [(item["text"], item["signature"]) for item in details] == [("Need it.", "c2ln")]


def test_text_after_a_signature_begins_a_new_detail() -> None:
    details = details_of(reasoning("a"), reasoning_signature("s1"), reasoning("b"), reasoning_signature("s2"))
    assert [(item["text"], item["signature"]) for item in details] == [("a", "s1"), ("b", "s2")]


def test_a_signature_without_any_text_is_kept() -> None:
    message = read(reasoning_signature("s"), event("Hi"), finish()).message
    assert message.reasoning is not None
    assert (message.reasoning.reasoning_text, sent_again(message)[0]["signature"]) == ("", "s")


def test_another_index_or_type_begins_a_new_detail() -> None:
    details = details_of(reasoning("a", index=0), reasoning("b", index=1), reasoning_summary("c", index=1))
    assert [item.get("text") or item.get("summary") for item in details] == ["a", "b", "c"]


def test_details_that_both_lack_an_index_are_joined() -> None:
    assert len(details_of(reasoning("a", index=None), reasoning("b", index=None))) == 1
    assert len(details_of(reasoning("a", index=None), reasoning("b", index=0))) == 2


def test_details_apart_from_each_other_keep_their_order_and_are_not_joined() -> None:
    details = details_of(reasoning("a"), reasoning_encrypted("x"), reasoning("b"))
    assert [item["type"] for item in details] == ["reasoning.text", "reasoning.encrypted", "reasoning.text"]


def test_the_first_value_of_signature_format_and_id_counts() -> None:
    pieces = [
        {"type": "reasoning.text", "text": None, "format": None, "id": None},
        {"type": "reasoning.text", "text": "a", "format": "f1", "id": "1", "signature": "s1"},
        {"type": "reasoning.text", "text": "", "format": "f2", "id": None, "signature": "s1"},
    ]
    assert details_of(*map(one, pieces)) == [
        {"type": "reasoning.text", "text": "a", "format": "f1", "id": "1", "signature": "s1"}
    ]


def test_an_empty_signature_is_none_and_the_real_one_comes_later() -> None:
    first = {"type": "reasoning.text", "text": "", "signature": "", "id": "", "index": 0}
    details = details_of(one(first), reasoning("Think."), one(first), reasoning_signature("c2ln"))
    assert details == [
        {"type": "reasoning.text", "text": "Think.", "index": 0, "format": "anthropic-claude-v1", "signature": "c2ln"}
    ]
    assert "signature" not in details_of(one(first), reasoning("Think."), one(first))[0]


@pytest.mark.parametrize("pieces", [("c2ln", "bmVk"), ("c2ln", "c2lnbmVk"), ("c2lnbmVk", "c2lnbmVk"), ("c2lnbmVk", "")])
def test_a_signature_that_comes_in_pieces_or_again_is_whole(pieces: tuple[str, ...]) -> None:
    [detail] = details_of(reasoning("Think."), *map(reasoning_signature, pieces))
    assert (detail["text"], detail["signature"]) == ("Think.", "c2lnbmVk")


def test_a_second_signature_after_a_whole_one_is_another_blocks() -> None:
    details = details_of(reasoning("a"), reasoning_signature("c2lnbmU="), reasoning_signature("b3RoZXI="))
    assert [item["signature"] for item in details] == ["c2lnbmU=", "b3RoZXI="]


def test_two_blocks_at_one_index_are_told_apart_by_their_ids() -> None:
    pieces = [("rs_1", "a"), ("rs_1", "b"), ("rs_2", "c"), (None, "d")]
    details = details_of(*(one({"type": "reasoning.summary", "summary": t, "id": i, "index": 0}) for i, t in pieces))
    assert [(item["id"], item["summary"]) for item in details] == [("rs_1", "ab"), ("rs_2", "cd")]


@pytest.mark.parametrize(
    "thought",
    [{"content": "Hm."}, {"text": "Hm."}, {"summary": [{"text": "H"}, "m."]}, ["H", {"thinking": "m."}]],
)
def test_reasoning_that_is_an_object_or_a_list_is_read(thought: Any) -> None:
    message = read(event("Hi", reasoning=thought), finish()).message
    assert message.reasoning == ReasoningContent("Hm.", {})
    [reply] = read_replies(completion("Hi", reasoning=thought))
    assert reply.reasoning == ReasoningContent("Hm.", {})


def test_details_that_are_an_object_are_one_detail() -> None:
    detail = {"type": "reasoning.encrypted", "data": "x", "index": 0}
    odd: Any = detail
    [reply] = read_replies(completion("Hi", reasoning_details=odd))
    assert sent_again(reply) == [detail]
    assert details_of(event("", reasoning_details=odd)) == [detail]


def test_summaries_are_joined() -> None:
    assert details_of(reasoning_summary("a"), reasoning_summary("b"))[0]["summary"] == "ab"


def test_encrypted_details_are_never_joined_or_altered() -> None:
    details = details_of(reasoning_encrypted("xx"), reasoning_encrypted("yy"))
    assert [item["data"] for item in details] == ["xx", "yy"]


@pytest.mark.parametrize(
    "detail",
    [
        {"type": "reasoning.server_tool_call", "tool_name": "web", "arguments": {"q": "tide"}, "result": [1, None]},
        {"type": "reasoning.from_the_future", "thing": {"a": [1.0, 1e-9, "ü\u2028"]}, "index": 3},
        {"no": "type"},
        {},
    ],
)
def test_details_of_unknown_types_are_kept_as_they_came_each_for_itself(detail: Any) -> None:
    message = read(one(detail), one(detail), event("Hi"), finish()).message
    assert json.dumps(sent_again(message)) == json.dumps([detail, detail])


def test_a_detail_that_is_no_object_is_kept() -> None:
    assert details_of(one("odd"))[0] == {"type": "unknown", "value": "odd"}


def test_details_of_a_whole_reply_come_back_byte_for_byte() -> None:
    details = [
        {"type": "reasoning.text", "text": "ü\u2028 ", "signature": None, "format": "anthropic-claude-v1", "index": 0},
        {"signature": "c2ln", "type": "reasoning.text", "index": 0},
        {"type": "reasoning.encrypted", "data": "AAECAw==", "id": "rs_1", "index": 1.0},
        {"type": "x.unknown", "z": 1, "a": None, "deep": {"b": [1e-7, True]}},
    ]
    [reply] = read_replies(completion(None, reasoning="ü", reasoning_details=details))
    assert json.dumps(sent_again(reply)) == json.dumps(details)


def test_reasoning_text_is_put_together_from_the_details_where_only_they_came() -> None:
    details = [
        {"type": "reasoning.summary", "summary": "First. "},
        {"type": "reasoning.encrypted", "data": "x"},
        {"type": "reasoning.text", "text": "Then."},
    ]
    [reply] = read_replies(completion("Hi", reasoning_details=details))
    assert reply.reasoning is not None
    assert reply.reasoning.reasoning_text == "First. Then."
    streamed = read(*map(one, details), finish()).message.reasoning
    assert streamed is not None
    assert streamed.reasoning_text == "First. Then."


@pytest.mark.parametrize("key", ["reasoning", "reasoning_content"])
def test_both_names_of_reasoning_text_are_read(key: str) -> None:
    deltas: list[Any] = [{"choices": [{"delta": {key: text}}]} for text in ("Hm", ".")]
    assert read(*deltas, finish()).message.reasoning == ReasoningContent("Hm.", {})
    [reply] = read_replies({"choices": [{"message": {key: "Hm."}, "finish_reason": "stop"}]})
    assert reply.reasoning == ReasoningContent("Hm.", {})


def test_an_empty_list_of_details_beside_reasoning_is_kept_and_sent_back() -> None:
    message = read(event("", reasoning="Hm", reasoning_details=[]), event("Hi", reasoning_details=[]), finish()).message
    assert sent_again(message) == []
    [reply] = read_replies(completion("Hi", reasoning="Hm", reasoning_details=[]))
    assert sent_again(reply) == []


def test_empty_details_on_each_delta_are_no_reasoning() -> None:
    chunks, message, _ = read(event("a", reasoning_details=[], reasoning=None), finish())
    assert message.reasoning is None
    assert not any(chunk.reasoning for chunk in chunks)


def test_no_reasoning_sends_none_back() -> None:
    assert "reasoning_details" not in ChatMessage.to_openai_dict_format(read(event("Hi"), finish()).message)


def test_folding_does_not_change_the_chunks_it_was_given() -> None:
    chunks = read(reasoning("a"), reasoning("b"), finish()).chunks
    assert [
        chunk.reasoning.extra["reasoning_details"][0]["text"] for chunk in chunks if chunk.reasoning is not None
    ] == ["a", "b"]


def test_thinking_inside_the_content_is_reasoning() -> None:
    content: Any = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Hm. "}]},
        {"type": "thinking", "thinking": "Well."},
        {"type": "text", "text": "Hi"},
        " there",
        {"type": "refusal", "refusal": "No."},
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
        {"type": "new_kind", "x": 1},
    ]
    [reply] = read_replies(completion(content))
    assert reply.reasoning is not None
    assert (reply.reasoning.reasoning_text, reply.text) == ("Hm. Well.", "Hi there")
    assert reply.meta["refusal"] == "No."
    assert reply.images[0].url == "https://example.org/a.png"
    assert reply.meta["content_parts"] == [{"type": "new_kind", "x": 1}]
