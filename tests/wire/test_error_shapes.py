"""Errors inside a 200, in the shapes of many endpoints: each raises in the upstream's words, and keeps what came."""

from __future__ import annotations

import json
from typing import Any

import pytest

from orchat.errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    InsufficientCreditsError,
    ProviderError,
    RateLimitError,
)
from orchat.openrouter.wire.error_shapes import error_object
from orchat.openrouter.wire.failures import error_from_object, error_from_response
from orchat.openrouter.wire.response import read_replies
from orchat.openrouter.wire.stream import ChunkReader
from tests.openrouter_server import completion, done, event, finish, tool_call, usage
from tests.openrouter_server import error_object as an_error
from tests.wire.reading import failure, read

WORDS = "no room left"
SHAPES: dict[str, Any] = {
    "object error": {"object": "error", "message": WORDS, "type": "InternalServerError", "code": 500},
    "only object error": {"object": "error", "detail": WORDS},
    "error_type and error_message": {"choices": None, "error_type": "ServerError", "error_message": WORDS},
    "error_message alone": {"error_message": WORDS, "choices": []},
    "type error": {"type": "error", "message": WORDS},
    "type exception": {"type": "exception", "msg": WORDS},
    "detail": {"detail": WORDS},
    "detail as a list": {"detail": [{"loc": ["body", "max_tokens"], "msg": WORDS}]},
    "detail as an object": {"detail": {"error_code": "X", "message": WORDS}},
    "base_resp": {"choices": None, "base_resp": {"status_code": 1013, "status_msg": WORDS}},
    "base_resp beside choices": {**event(""), "base_resp": {"status_code": 1013, "status_msg": WORDS}},
    "header": {"header": {"code": 10013, "message": WORDS}},
    "code and msg": {"code": 20015, "msg": WORDS, "data": None},
    "code as text and message": {"code": "Throttled", "message": WORDS, "request_id": "r"},
    "status and title": {"status": 503, "title": WORDS},
    "errors": {"errors": [{"message": WORDS, "code": 3040}], "success": False, "result": {}},
    "errors as texts": {"errors": [WORDS]},
    "success false": {"success": False, "message": WORDS},
    "error as text beside a message": {"error": "Bad Gateway", "message": WORDS, "status": 502},
    "error true": {"error": True, "message": WORDS},
    "error without message": {"error": {"msg": WORDS, "code": 500}},
    "error in an error": {"error": {"error": {"message": WORDS}}},
    "error_code and text": {"text": WORDS, "error_code": 50001},
    "error_code and error_msg": {"error_code": 336100, "error_msg": WORDS},
    "a name of a type": {"__type": "ThrottlingException", "message": WORDS},
    "fault": {"fault": {"faultstring": WORDS}},
    "a list": [{"error": {"code": 503, "message": WORDS, "status": "UNAVAILABLE"}}],
    "a message alone": {"message": WORDS},
    "why Groq stopped": {"choices": [], "x_groq": {"id": "req_1", "error": WORDS}},
}
NO_ERRORS: dict[str, Any] = {
    "error null beside an empty message": {"error": None, "message": ""},
    "empty error fields": {"error": {}, "errors": [], "error_type": None, "error_message": "", "error_code": 0},
    "base_resp of success": {"base_resp": {"status_code": 0, "status_msg": "success"}},
    "code 0": {"code": 0, "msg": "success"},
    "code 200 as text": {"code": "200", "message": "OK", "status": "success"},
    "success": {"success": True, "message": "fine"},
    "a message": {"message": "fine"},
    "Groq's request": {"x_groq": {"id": "req_1", "usage": {"total_tokens": 2}}},
    "a code that is no status": {"code": 7, "msg": "fine"},
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("begun", [True, False], ids=["after text", "first"])
def test_an_error_of_any_shape_in_a_stream_raises_in_the_upstreams_words(shape: str, begun: bool) -> None:
    error = failure(*([event("The tide is")] if begun else []), SHAPES[shape], done())
    assert WORDS in error.message
    assert (error.partial.text if error.partial else None) == ("The tide is" if begun else None)


@pytest.mark.parametrize("shape", SHAPES)
def test_an_error_of_any_shape_as_a_whole_reply_raises_in_the_upstreams_words(shape: str) -> None:
    with pytest.raises(APIError, match=WORDS):
        read_replies(json.loads(json.dumps(SHAPES[shape])))


@pytest.mark.parametrize("shape", SHAPES)
def test_an_error_of_any_shape_as_a_refusal_is_told_in_the_upstreams_words(shape: str) -> None:
    error = error_from_response(503, {}, json.dumps(SHAPES[shape]))
    assert WORDS in error.message
    assert "{" not in error.message


@pytest.mark.parametrize("fields", NO_ERRORS.values(), ids=NO_ERRORS)
def test_what_speaks_of_success_is_no_error(fields: dict[str, Any]) -> None:
    reading = read({**event("Hi"), **fields}, {**finish(), **fields}, done())
    reading.reader.end()
    assert reading.message.text == "Hi"
    [reply] = read_replies({**completion("Hi"), **fields})
    assert reply.text == "Hi"


def test_success_without_choices_is_no_event_of_an_answer() -> None:
    assert read({"code": 0, "msg": "success"}, {"base_resp": {"status_code": 0}}, event("Hi"), finish()).message.text


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ('{"message": "overloaded"}', "overloaded"),
        ("overloaded", "overloaded"),
        ('"overloaded"', "overloaded"),
        ('{"choices": [], "reason": "overloaded"}', "overloaded"),
        ('{"what": "overloaded"}', "overloaded"),
        ("", "no reason given"),
    ],
)
def test_an_event_that_is_called_error_is_one(data: str, words: str) -> None:
    reader = ChunkReader()
    reader.read(json.dumps(event("Hel")))
    reader.read(data, "error")
    with pytest.raises(ProviderError, match=words) as caught:
        reader.end()
    assert caught.value.partial is not None
    assert caught.value.partial.text == "Hel"


@pytest.mark.parametrize(
    ("code", "kind", "hint"),
    [
        ("429", RateLimitError, "try again"),
        ("402", InsufficientCreditsError, "Add credits"),
        ("rate_limit_exceeded", RateLimitError, "try again"),
        ("RateLimitError", RateLimitError, "try again"),
        ("context_length_exceeded", BadRequestError, "Shorten the conversation"),
        ("invalid_api_key", AuthenticationError, "Check the key"),
        ("insufficient_quota", InsufficientCreditsError, "Add credits"),
        ("InvalidParameter", BadRequestError, "Change the request"),
        ("odd", ProviderError, "try again"),
    ],
)
def test_a_code_that_is_a_text_has_its_class_and_its_hint(code: str, kind: type[APIError], hint: str) -> None:
    error = error_from_object({"code": code, "message": "It did not work"}, {})
    assert type(error) is kind
    assert error.code == code
    assert hint in str(error.hint)
    assert error.status_code == (int(code) if code.isdigit() else None)


def test_what_comes_with_an_error_is_kept() -> None:
    last = tool_call("tide", '{"port":"Hull"}', id="a", finish_reason="stop", usage={"cost": 0.5})
    last["choices"][0]["native_finish_reason"] = "MALFORMED_FUNCTION_CALL"
    error = failure(event("I ask."), {**last, "error": an_error("Provider returned error", 502)}, done())
    assert error.partial is not None
    assert error.partial.text == "I ask."
    assert error.partial.tool_calls[0].arguments == {"port": "Hull"}
    meta = error.partial.meta
    assert (meta["finish_reason"], meta["native_finish_reason"]) == ("stop", "MALFORMED_FUNCTION_CALL")
    assert meta["usage"] == {"cost": 0.5}
    assert "error" not in meta


def test_usage_in_the_event_after_an_error_is_kept_and_nothing_else_of_it() -> None:
    late = {**event("more"), "usage": {"cost": 0.25}}
    error = failure(event("Hel"), {"error": an_error("Gone", 502)}, event("lo"), late, event("!"))
    assert error.partial is not None
    assert (error.partial.text, error.partial.meta["usage"]) == ("Hel", {"cost": 0.25})


def test_usage_after_an_error_that_came_first_shows_that_it_was_charged() -> None:
    error = failure({"error": an_error("Busy", 429)}, usage(cost=0.5), done())
    assert error.partial is not None
    assert error.partial.meta["usage"]["cost"] == 0.5
    assert not error.retryable


def test_an_empty_object_between_is_nothing_and_marks_beside_good_choices_stay_facts() -> None:
    assert error_object({}) is None
    assert read({**event("Hi"), "status": "in_progress"}, finish()).message.meta["status"] == "in_progress"


@pytest.mark.parametrize("junk", ["[done]", '"[DONE]"', "DONE", "null", "<html>", "{", "[]", '"x"', "7"])
def test_junk_after_the_finish_reason_fails_no_whole_answer(junk: str) -> None:
    reading = read(event("Hi"), finish(), junk, usage(cost=0.5), done())
    reading.reader.end()
    assert (reading.message.text, reading.message.meta["usage"]["cost"]) == ("Hi", 0.5)


def test_junk_before_the_finish_reason_is_an_error() -> None:
    assert "no chat completion event" in failure(event("Hi"), "<html>", done()).message
