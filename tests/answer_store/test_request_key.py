"""A request's key: what counts is what the model reads, and where it is."""

from __future__ import annotations

from typing import Any

import pytest

from orchat.answer_store import RequestKeys
from orchat.messages import ChatMessage, ImageContent
from tests.openrouter_server import PNG

BODY = {"model": "vendor/m", "temperature": 0, "messages": [{"role": "user", "content": "ignored"}]}
QUESTION = [ChatMessage.from_user("Name a river.")]


def key(body: dict[str, Any] = BODY, host: str = "https://a.example/v1", *messages: ChatMessage) -> bytes:
    return RequestKeys(host, body).key(messages or QUESTION)


@pytest.mark.parametrize(
    "body",
    [
        dict(reversed(BODY.items())),
        BODY | {"user": "user_2abc"},
        BODY | {"stream": True, "stream_options": {"include_usage": True}},
        BODY | {"session_id": "s1", "metadata": {"run": "7"}, "usage": {"include": True}},
    ],
)
def test_who_asks_and_how_the_answer_travels_do_not_count(body: dict[str, Any]) -> None:
    assert key(body) == key()


@pytest.mark.parametrize(
    "other",
    [
        key(BODY | {"model": "vendor/n"}),
        key(BODY | {"temperature": 0.0001}),
        key(BODY | {"provider": {"zdr": True}}),
        key(BODY, "https://b.example/v1"),
        key(BODY, "https://a.example/v1", ChatMessage.from_user("Name a river")),
        key(BODY, "https://a.example/v1", ChatMessage.from_system("Be brief."), *QUESTION),
        key(BODY, "https://a.example/v1", ChatMessage.from_user(content_parts=[ImageContent.from_url(PNG)])),
    ],
)
def test_what_the_model_reads_and_where_it_is_count(other: bytes) -> None:
    assert other != key()
    assert len(other) == 32


def test_a_stored_answer_counts_in_later_versions_as_well() -> None:
    odd = ChatMessage.from_user('Which river, "H\u00fcmber" or \ud800\u2028\x00\n?')
    made = key(BODY, "https://a.example/v1", ChatMessage.from_system("Be brief."), odd)
    named = key(BODY, "https://a.example/v1", ChatMessage.from_user("Name a river.", name="ada"))
    assert made.hex() == "75e0a341b05ca6cc98a11d3ae20491f51f0c0027cf15025fe208c6511cc55227"
    assert named.hex() == "c197cf53c081d5b98fab3f95518c5e7c6af77e4abb9bc64faa11412361f0f0ff"
