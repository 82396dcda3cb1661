"""Whole replies: nothing that the endpoint said is lost, and a 200 that is an error raises (API sections 3 and 5.6)."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

from orchat.errors import APIError, ProviderError, RateLimitError
from orchat.openrouter.wire.response import read_replies
from tests.openrouter_server import (
    GENERATION_ID,
    MODEL,
    PNG,
    PROVIDER,
    USER_ID,
    call,
    completion,
    error_object,
    events_of,
    file_annotation,
    finish,
    url_citation,
    usage_object,
)
from tests.wire.reading import read


def failure(payload: Any, *secrets: str) -> APIError:
    """The error that a reply is."""
    with pytest.raises(APIError) as caught:
        read_replies(payload, *secrets)
    return caught.value


def test_a_reply_is_its_text_and_all_that_the_endpoint_said() -> None:
    [reply] = read_replies(completion("The Humber.", native_finish_reason="end_turn", service_tier="flex"))
    assert reply.text == "The Humber."
    assert list(reply.meta)[:4] == ["model", "index", "finish_reason", "usage"]
    assert (reply.meta["model"], reply.meta["id"], reply.meta["provider"]) == (MODEL, GENERATION_ID, PROVIDER)
    assert (reply.meta["finish_reason"], reply.meta["native_finish_reason"]) == ("stop", "end_turn")
    assert reply.meta["service_tier"] == "flex"
    assert reply.meta["usage"] == usage_object()


def test_streamed_and_whole_replies_say_the_same() -> None:
    spent, calls = usage_object(), [call("tide", {"port": "Hull"})]
    streamed = read(events_of("The Humber.", tool_calls=calls, images=[PNG], spent=spent, finish_reason="tool_calls"))
    images = [{"type": "image_url", "image_url": {"url": PNG}, "index": 0}]
    [whole] = read_replies(
        completion("The Humber.", tool_calls=calls, images=images, usage=spent, finish_reason="tool_calls")
    )
    streamed.message.meta.pop("completion_start_time")
    assert streamed.message.parts == whole.parts
    assert streamed.message.meta == whole.meta


def test_each_choice_is_a_reply_with_its_index() -> None:
    body = completion("a")
    second = json.loads(json.dumps(body["choices"][0])) | {"index": 1}
    second["message"]["content"] = "b"
    del body["choices"][0]["index"]
    body["choices"].append(second)
    replies = read_replies(body)
    assert [(reply.text, reply.meta["index"]) for reply in replies] == [("a", 0), ("b", 1)]


@pytest.mark.parametrize(("content", "texts"), [(None, []), ("", [""]), ("a", ["a"]), (7, ["7"])])
def test_null_is_no_text_and_the_empty_text_is_one(content: Any, texts: list[str]) -> None:
    assert read_replies(completion(content))[0].texts == texts


@pytest.mark.parametrize("reason", [None, "", "error_of_the_future", "length"])
def test_any_finish_reason_is_kept_raw(reason: Any) -> None:
    assert read_replies(completion("a", finish_reason=reason))[0].meta["finish_reason"] == reason


def test_images_annotations_refusal_and_logprobs_are_on_the_reply() -> None:
    images = [{"type": "image_url", "image_url": {"url": PNG}}, {"type": "image_url", "image_url": "https://e.org/a"}]
    [reply] = read_replies(
        completion(
            None,
            images=images,
            annotations=[url_citation(), file_annotation()],
            refusal="No.",
            logprobs={"content": [1]},
            audio={"id": "audio_1", "data": "UklGRg==", "expires_at": 9, "transcript": "Hi", "format": "mp3"},
        )
    )
    assert [image.mime_type or image.url for image in reply.images] == ["image/png", "https://e.org/a"]
    assert reply.meta["annotations"] == [url_citation(), file_annotation()]
    assert (reply.meta["refusal"], reply.meta["logprobs"]) == ("No.", {"content": [1]})
    assert reply.audio is not None
    assert (reply.audio.format, reply.audio.transcript, reply.audio.meta["expires_at"]) == ("mp3", "Hi", 9)


def test_a_choice_without_a_message_is_an_empty_reply() -> None:
    [reply] = read_replies({"choices": [{"finish_reason": "stop"}]})
    assert (len(reply), reply.meta["model"], reply.meta["usage"]) == (0, None, None)


def test_half_a_character_is_replaced_so_that_a_notebook_can_be_saved() -> None:
    body = json.loads(json.dumps(completion("a@")).replace("@", "\\ud83d"))
    [reply] = read_replies(body | {"provider": "ü"})
    assert (reply.text, reply.meta["provider"]) == ("a\ufffd", "ü")


@pytest.mark.parametrize("choices", [{}, {"choices": None}, {"choices": []}])
@pytest.mark.parametrize("found", [error_object("No", 429), "No", {"message": "No", "code": "rate"}])
def test_an_error_in_place_of_choices_raises(choices: Any, found: Any) -> None:
    error = failure({"error": found, "user_id": USER_ID, **choices})
    assert "No" in str(error)
    assert type(error) is (RateLimitError if isinstance(found, dict) and found["code"] == 429 else ProviderError)
    assert (error.partial, USER_ID in f"{vars(error)}") == (None, False)


@pytest.mark.parametrize("where", ["choice", "top"])
def test_a_choice_that_failed_raises_with_what_it_held(where: str) -> None:
    found = error_object("Broke", 502, {"raw": "the pump", "provider_name": "P"})
    body = completion(
        "The Hum", finish_reason="error", user_id=USER_ID, **({"error": found} if where == "choice" else {})
    )
    if where == "top":
        body["error"] = found
    error = failure(body)
    assert "Broke; the pump" in str(error)
    assert error.partial is not None
    assert error.partial.text == "The Hum"
    assert (error.generation_id, error.provider_name, error.retryable) == (GENERATION_ID, "P", False)
    assert USER_ID not in f"{error.partial.to_dict()} {vars(error)}"
    assert pickle.loads(pickle.dumps(error)).partial == error.partial


def test_a_finish_reason_error_without_an_error_object_raises() -> None:
    error = failure(completion("The Hum", finish_reason="error", native_finish_reason="BROKEN"))
    assert "BROKEN" in str(error)
    assert error.partial is not None


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        (None, "no JSON object"),
        ([1], "no JSON object but [1]"),
        ("text", "no JSON object but 'text'"),
        ({}, "no choices"),
        ({"id": "gen-1", "x": 1}, "['id', 'x']"),
        ({"choices": "abc"}, "no choices"),
        ({"choices": [None]}, "no choices"),
    ],
)
def test_what_is_no_chat_completion_is_said_to_be_none(payload: Any, said: str) -> None:
    error = failure(payload)
    assert type(error) is ProviderError
    assert said in str(error)
    assert "base URL" in (error.hint or "")


def test_what_is_no_chat_completion_is_shown_without_keys_and_account_ids() -> None:
    odd = {"choices": [{"message": {"tool_calls": [{"type": []}]}}], "user_id": USER_ID, "k": "own-secret-1"}
    for payload in (odd, [odd], {"own-secret-1": 1}):
        told = f"{failure(payload, 'own-secret-1')}"
        assert USER_ID not in told
        assert "own-secret-1" not in told


def test_a_reply_nested_without_end_is_an_error() -> None:
    deep: Any = 1
    for _ in range(5000):
        deep = [deep]
    for payload in ({"choices": [{"message": {"content": deep}}]}, deep, {"error": {"message": "m", "metadata": deep}}):
        assert isinstance(failure(payload), APIError)


def test_reading_does_not_change_the_payload() -> None:
    body = completion("a", tool_calls=[call("t", {"a": 1})], images=[{"image_url": {"url": PNG}}])
    before = json.dumps(body)
    read_replies(body)
    assert json.dumps(body) == before


def test_a_stream_that_ends_with_nothing_but_a_reason_is_an_empty_reply() -> None:
    assert len(read(finish()).message) == 0
