"""Refusals: every status with its class, the upstream's own words, and what to do next (API sections 5.2 to 5.5)."""

from __future__ import annotations

import email.utils
import json
import re
import time
from typing import Any

import pytest

from orchat.errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    InsufficientCreditsError,
    LimitExceededError,
    ModerationError,
    NotFoundError,
    PermissionDeniedError,
    ProviderError,
    RateLimitError,
)
from orchat.openrouter.wire.error_shapes import error_object
from orchat.openrouter.wire.failures import error_from_object, error_from_response, redirect_error
from tests.openrouter_server import GENERATION_ID, PROVIDER, USER_ID
from tests.openrouter_server import error_object as an_error


def refusal(
    status: int,
    message: str = "Provider returned error",
    metadata: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
    **extra: Any,
) -> APIError:
    """The error of a refusal in OpenRouter's envelope."""
    body = {"error": an_error(message, status, metadata or {}, **extra), "user_id": USER_ID}
    return error_from_response(status, headers or {}, json.dumps(body))


@pytest.mark.parametrize(
    ("status", "kind", "retryable", "hint"),
    [
        (400, BadRequestError, False, "Change the request"),
        (401, AuthenticationError, False, "Check the key"),
        (402, InsufficientCreditsError, False, "Add credits"),
        (403, PermissionDeniedError, False, "policy"),
        (404, NotFoundError, False, "loosen"),
        (408, ProviderError, True, "try again"),
        (409, APIError, True, "409"),
        (410, NotFoundError, False, "loosen"),
        (412, APIError, False, "412"),
        (413, BadRequestError, False, "Send less"),
        (418, APIError, False, "418"),
        (422, BadRequestError, False, "Change the request"),
        (429, RateLimitError, True, "try again"),
        (499, APIError, False, "499"),
        (500, ProviderError, True, "try again"),
        (502, ProviderError, True, "try again"),
        (503, ProviderError, True, "try again"),
        (504, ProviderError, True, "try again"),
        (520, ProviderError, True, "try again"),
        (524, ProviderError, True, "try again"),
        (529, ProviderError, True, "try again"),
    ],
)
def test_each_status_has_its_class_its_hint_and_whether_to_retry(
    status: int, kind: type[APIError], retryable: bool, hint: str
) -> None:
    error = refusal(status, metadata={"provider_name": PROVIDER, "raw": '{"error": {"message": "the pump is broken"}}'})
    assert type(error) is kind
    assert (error.status_code, error.code, error.retryable) == (status, status, retryable)
    assert hint in (error.hint or "")
    assert f"HTTP {status} from {PROVIDER}: Provider returned error; the pump is broken." in str(error)
    assert error.provider_name == PROVIDER


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("slow down", "slow down"),
        ('{"detail":"slow down"}', "slow down"),
        ('{"error":{"message":"slow down"}}', "slow down"),
        ('{"error":"slow down"}', "slow down"),
        ({"message": "slow down"}, "slow down"),
        ({"odd": ["slow", "ü"]}, '{"odd": ["slow", "ü"]}'),
        ({"error": {"message": {"deep": 1}}}, '{"error": {"message": {"deep": 1}}}'),
        ("<html><body><h1>slow</h1> down</body></html>", "slow down"),
        ([1], "[1]"),
        ("", ""),
        ("  ", ""),
        (None, ""),
    ],
)
def test_the_upstreams_own_words_are_said_whatever_form_they_have(raw: Any, words: str) -> None:
    said = refusal(502, metadata={"raw": raw}).message
    assert said == f"HTTP 502: Provider returned error{'; ' if words else ''}{words}."


def test_words_said_twice_are_said_once() -> None:
    assert refusal(502, "bad: slow down", {"raw": "slow down"}).message == "HTTP 502: bad: slow down."


def test_long_words_are_cut() -> None:
    assert len(refusal(502, "x" * 9000, {"raw": "y" * 9000}).message) < 700


@pytest.mark.parametrize(
    ("metadata", "message", "hint", "retryable"),
    [
        ({"limit_source": "openrouter_credits"}, "Insufficient credits", "a negative balance stops free models", False),
        ({}, "This request requires more credits, or fewer max_tokens. You can only afford 1200", "Lower max_", False),
        ({"limit_source": "openrouter_key_limit"}, "too much", "Lower max_tokens", False),
        ({"reason": "weight_exceeds_budget"}, "weight_exceeds_budget", "Lower max_tokens", False),
        ({"limit_source": "openrouter_in_flight_budget"}, "in_flight_budget_exhausted", "wait a moment", True),
    ],
)
def test_the_kinds_of_402_are_told_apart(metadata: Any, message: str, hint: str, retryable: bool) -> None:
    error = refusal(402, message, metadata, {"Retry-After": "2"})
    assert type(error) is InsufficientCreditsError
    assert hint in (error.hint or "")
    assert error.retryable is retryable


def test_an_in_flight_402_that_does_not_say_how_long_is_not_retried() -> None:
    assert not refusal(402, "x", {"limit_source": "openrouter_in_flight_budget"}).retryable


@pytest.mark.parametrize(
    ("metadata", "message", "kind", "said"),
    [
        (
            {"reasons": ["violence"], "flagged_input": "how to"},
            "flagged",
            ModerationError,
            "violence; flagged: 'how to'",
        ),
        ({"patterns": ["ssn"]}, "blocked by guardrail", ModerationError, "Rephrase"),
        (
            {"limit_source": "openrouter_workspace_budget", "limit_usd": 5, "spend_usd": 5.1, "resets_at": "tomorrow"},
            "over",
            LimitExceededError,
            "spent $5.1 of $5. The limit resets at tomorrow.",
        ),
        ({"limit_source": "openrouter_guardrail_budget"}, "over", LimitExceededError, "Raise the limit"),
        ({"limit_source": "openrouter_key_limit"}, "over", LimitExceededError, "Raise the limit"),
        ({}, "Key limit exceeded (total limit)", LimitExceededError, "Raise the limit"),
        ({}, "This model is not available in your region", PermissionDeniedError, "region"),
    ],
)
def test_the_kinds_of_403_are_told_apart(metadata: Any, message: str, kind: type[APIError], said: str) -> None:
    error = refusal(403, message, metadata)
    assert type(error) is kind
    assert said in str(error)
    assert "bad key" not in str(error).lower()
    assert not error.retryable


@pytest.mark.parametrize(
    ("metadata", "message", "hint", "retryable"),
    [
        ({"limit_source": "openrouter_free_tier_daily"}, "Rate limit exceeded", "00:00 UTC", False),
        ({}, "Rate limit exceeded: free-models-per-day", "00:00 UTC", False),
        ({"limit_source": "openrouter_free_tier_per_minute"}, "free-models-per-min", "Wait", True),
        ({"limit_source": "upstream_provider_shared_pool"}, "full", "another model or provider", True),
        ({"retry_after_seconds": 12}, "slow", "Wait 12 s", True),
    ],
)
def test_the_kinds_of_429_are_told_apart(metadata: Any, message: str, hint: str, retryable: bool) -> None:
    error = refusal(429, message, metadata)
    assert type(error) is RateLimitError
    assert hint in (error.hint or "")
    assert error.retryable is retryable


@pytest.mark.parametrize(
    ("message", "metadata", "hint"),
    [
        ("too long", {"error_type": "context_length_exceeded"}, "Shorten the conversation"),
        ("This endpoint's maximum context length is 8192 tokens", {}, "Shorten the conversation"),
        ("gpt-5-mni is not a valid model ID", {}, "Check the model's name"),
        ("x", {"remedy_hint": "Ask your admin."}, "Ask your admin."),
    ],
)
def test_a_bad_request_says_what_to_change(message: str, metadata: Any, hint: str) -> None:
    assert hint in (refusal(400, message, metadata).hint or "")


@pytest.mark.parametrize(
    ("headers", "metadata", "extra", "seconds"),
    [
        ({"retry-after": "3"}, {"retry_after_seconds": 9}, {}, 3),
        ({"Retry-After": "2.5"}, {}, {}, 2.5),
        ({"RETRY-AFTER-MS": "1500", "Retry-After": "9"}, {}, {}, 1.5),
        ({}, {"retry_after_seconds": 4}, {"availability": {"retry_after": 8}}, 4),
        ({}, {"headers": {"Retry-After": "9"}}, {"availability": {"retry_after": 7}}, 7),
        ({}, {"headers": {"Retry-After": "6"}}, {}, 6),
        ({"Retry-After": "soon"}, {"retry_after_seconds": 5}, {}, 5),
        ({"Retry-After": "-1"}, {}, {}, None),
        ({"Retry-After": "nan"}, {}, {}, None),
        ({"Retry-After": "inf"}, {"headers": "odd"}, {"availability": "odd"}, None),
        ({"Retry-After": "99999 Jan 99999999999999999999 10:61:99"}, {}, {}, None),
        ({"Retry-After": "Mon, 31 Feb 2026 99:99:99 GMT"}, {"retry_after_seconds": [1]}, {}, None),
        ({}, {}, {"details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "37.5s"}]}, 37.5),
        ({}, {}, {"details": ["odd", {"retryDelay": "soon"}]}, None),
        ({}, {}, {}, None),
    ],
)
def test_the_delay_is_the_first_that_anybody_tells(headers: Any, metadata: Any, extra: Any, seconds: Any) -> None:
    assert refusal(429, "slow", metadata, headers, **extra).retry_after == seconds


def test_an_empty_account_is_not_waited_for_whatever_its_status_says() -> None:
    words = {"type": "insufficient_quota", "error_code": "insufficient_quota"}
    empty, busy = refusal(429, "slow", **words), refusal(429, "slow", None, {"Retry-After": "3"}, **words)
    assert (type(empty), empty.retryable) == (InsufficientCreditsError, False)
    assert (type(busy), busy.retryable) == (RateLimitError, True)


@pytest.mark.parametrize(("offset", "low", "high"), [(30, 25, 31), (-30, 0, 0)])
def test_a_delay_may_be_a_date(offset: float, low: float, high: float) -> None:
    date = email.utils.formatdate(time.time() + offset, usegmt=True)
    assert low <= (refusal(429, headers={"Retry-After": date}).retry_after or 0) <= high


@pytest.mark.parametrize("where", ["header", "metadata"])
def test_a_reset_is_a_moment_in_milliseconds(where: str) -> None:
    reset = {"X-RateLimit-Reset": str(int((time.time() + 60) * 1000))}
    error = refusal(429, "x", {"headers": reset}) if where == "metadata" else refusal(429, headers=reset)
    assert error.retry_after is not None
    assert 55 <= error.retry_after <= 60


def test_error_type_code_generation_and_body_are_on_the_error() -> None:
    error = refusal(
        502, "x", {"error_type": "provider_unavailable", "previous_errors": [1]}, {"x-generation-id": GENERATION_ID}
    )
    assert (error.error_type, error.generation_id) == ("provider_unavailable", GENERATION_ID)
    assert error.metadata["previous_errors"] == [1]
    assert error.body["message"] == "x"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "an empty reply"),
        ("  \n", "an empty reply"),
        ("upstream connect error", "upstream connect error"),
        ("<!doctype html><html><head><TITLE lang='en'> Bad gateway </TITLE></head></html>", "Bad gateway"),
        ("<html><body><p>Nothing\n here</p></body></html>", "Nothing here"),
        ('{"detail": "not here"}', "not here"),
        ('{"message": "not here"}', "not here"),
        ('{"error": "not here"}', "not here"),
        ('{"error": {"message": "not here"}}', "not here"),
        ('{"error": {"code": 7}}', "no reason given"),
        ('{"error": {"message": null}}', "no reason given"),
        ('{"error": {"message": ["odd"]}}', "['odd']"),
        ('{"error": ["odd"]}', 'no reason given; ["odd"]'),
        ('{"success": false, "error": {"name": "ZodError", "message": "[bad]"}}', "[bad]"),
        ('{"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}', "busy"),
        ("[1, 2]", "[1, 2]"),
        ("null", "null"),
        ('{"error": {"message": "x", "metadata": "odd", "code": [1]}}', "x"),
    ],
)
def test_any_body_has_words(text: str, said: str) -> None:
    error = error_from_response(502, {}, text)
    assert (type(error), error.message) == (ProviderError, f"HTTP 502: {said}.")


def test_a_body_that_is_no_json_is_kept() -> None:
    assert error_from_response(502, {}, "<p>plain</p>").metadata == {"raw": "<p>plain</p>"}


@pytest.mark.parametrize("depth", [600, 900, 100_000])
def test_a_body_nested_without_end_is_an_error_like_others(depth: int) -> None:
    deep = "[" * depth + "]" * depth
    assert type(error_from_response(502, {}, f'{{"error": {{"message": "m", "metadata": {{"raw": {deep}}}}}}}')) is (
        ProviderError
    )
    assert type(error_from_response(502, {}, f'{{"error": {deep}}}')) is ProviderError


@pytest.mark.parametrize(
    ("found", "kind", "status"),
    [
        ({"code": 502, "message": "x"}, ProviderError, 502),
        ({"code": 429, "message": "x"}, RateLimitError, 429),
        ({"code": "server_error", "message": "x"}, ProviderError, None),
        ({"code": None, "message": "x"}, ProviderError, None),
        ({"code": True, "message": "x"}, ProviderError, None),
        ({"code": 7, "message": "x"}, ProviderError, None),
        ({"message": "x", "metadata": {"error_type": "rate_limit_exceeded"}}, RateLimitError, None),
        ({"message": "x", "metadata": {"error_type": "authentication"}}, AuthenticationError, None),
        ({"message": "x", "error_type": "payment_required"}, InsufficientCreditsError, None),
        ({"message": "x", "type": "content_policy_violation"}, ModerationError, None),
        ({"message": "x", "type": 7}, ProviderError, None),
        ("x", ProviderError, None),
    ],
)
def test_an_error_inside_a_200_has_the_class_of_its_code_or_type(
    found: Any, kind: type[APIError], status: int | None
) -> None:
    error = error_from_object(found, {"id": "gen-1", "provider": "P"})
    assert (type(error), error.status_code) == (kind, status)
    assert (error.generation_id, error.provider_name) == ("gen-1", "P")
    assert ("HTTP" in error.message) is (status is not None)


@pytest.mark.parametrize(
    "body", [None, [], "x", 5, {}, {"error": None}, {"error": {}}, {"error": ""}, {"error": False}]
)
def test_where_there_is_no_error_none_is_found(body: Any) -> None:
    assert error_object(body) is None


@pytest.mark.parametrize("found", [True, 5, ["x"]])
def test_an_error_of_any_other_kind_is_found(found: Any) -> None:
    assert error_object({"error": found}) is not None


def test_a_message_beside_choices_is_no_error() -> None:
    assert error_object({"message": "hello", "choices": []}) is None


KEY = "sk-or-v1-0123456789abcdef0123456789abcdef"
OWN = "my-very-own-gateway-password"


@pytest.mark.parametrize("inside_200", [True, False])
def test_no_key_and_no_account_id_is_anywhere_in_an_error(inside_200: bool) -> None:
    secret = f"{KEY} {OWN} {USER_ID}"
    found = an_error(
        f"Bearer {KEY} refused",
        401,
        {"raw": json.dumps({"k": secret}), "provider_name": OWN, "user_id": USER_ID, OWN: 1},
    )
    around = {"error": found, "user_id": USER_ID, "id": f"gen-{OWN}", "provider": secret}
    if inside_200:
        error = error_from_object(found, around, KEY, OWN)
    else:
        error = error_from_response(401, {"X-Generation-Id": OWN}, json.dumps(around), KEY, OWN)
    told = f"{error} {error!r} {vars(error)}"
    assert "[redacted]" in told
    for hidden in (KEY, OWN, USER_ID):
        assert hidden not in told


def test_no_key_is_in_what_stands_around_an_error() -> None:
    error = error_from_object({"message": "x"}, {"provider": f"P {KEY}", "id": OWN}, OWN)
    assert (error.provider_name, error.generation_id) == ("P [redacted]", "[redacted]")
    assert KEY not in str(error)


def test_a_redirect_says_where_to_without_the_keys_in_the_address() -> None:
    error = redirect_error(308, "a.example", f"https://b.example/?key={KEY}")
    assert (error.status_code, KEY in str(error), "b.example" in str(error)) == (308, False, True)
    assert not error.retryable


# -- other hosts ----------------------------------------------------------------------------------------------------

ELSEWHERE = "http://127.0.0.1:4000/v1/chat/completions"


def elsewhere(status: int, body: Any, url: str = ELSEWHERE, headers: dict[str, str] | None = None) -> APIError:
    """The error of a refusal by a host that is not OpenRouter."""
    text = body if isinstance(body, str) else json.dumps(body)
    return error_from_response(status, headers or {}, text, other_url=url)


def said(message: str, type: str | None = None, code: Any = None) -> dict[str, Any]:  # noqa: A002
    return {"error": {"message": message, "type": type, "param": None, "code": code}}


@pytest.mark.parametrize(
    ("status", "body", "kind", "hint"),
    [
        (401, said("bad key"), AuthenticationError, "Check the key for 127.0.0.1:4000"),
        (400, said("No connected db.", "no_db_connection", "400"), BadRequestError, "Check the key for 127.0.0.1:4000"),
        (402, said("no money"), InsufficientCreditsError, "Add credits at 127.0.0.1:4000"),
        (404, {"detail": "Not Found"}, NotFoundError, "The base URL is http://127.0.0.1:4000/v1: is it right?"),
        (404, said("The model `smol` does not exist."), NotFoundError, "`orchat models` lists what 127.0.0.1:4000 has"),
        (
            404,
            {"detail": {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "GatewayEndpoint not found (name='smol')"}},
            NotFoundError,
            "Check the model's name",
        ),
        (
            400,
            said("Invalid model name passed in model=smol. Call `/v1/models`"),
            BadRequestError,
            "`orchat models` lists",
        ),
        (400, said("Unknown model: smol", "model_not_found"), BadRequestError, "`orchat models` lists"),
        (
            400,
            said("this model wants at most 4 stop words"),
            BadRequestError,
            "Change the request as the message says.",
        ),
        (429, said("Slow down", code="429"), RateLimitError, "Wait a moment and try again."),
        (500, "Internal Server Error", ProviderError, "The fault is at 127.0.0.1:4000: its log may say more"),
        (400, said("prompt exceeds the context window"), BadRequestError, "Cells shorten it by themselves once"),
        (403, said("no"), PermissionDeniedError, "does not allow"),
        (418, said("a teapot"), APIError, "base URL"),
    ],
)
def test_a_hint_speaks_of_the_host_that_was_asked(status: int, body: Any, kind: type[APIError], hint: str) -> None:
    error = elsewhere(status, body)
    assert type(error) is kind
    assert hint in str(error.hint)
    assert not re.search("openrouter", re.sub("OPENROUTER_API_KEY|%openrouter", "", str(error)), re.IGNORECASE)


def test_a_base_url_without_the_version_is_told_what_most_hosts_want() -> None:
    error = elsewhere(404, {"detail": "Not Found"}, "https://me:secret@vllm.example/chat/completions")
    assert error.hint == "The base URL is https://vllm.example: most hosts want https://vllm.example/v1."


@pytest.mark.parametrize("found", [{"user_id": USER_ID}, {"error": {"metadata": {"error_type": "authentication"}}}])
def test_openrouters_own_errors_keep_their_hints_behind_a_gateway(found: dict[str, Any]) -> None:
    body = {"error": {"message": "User not found.", "code": 401} | found.pop("error", {}), **found}
    assert "openrouter.ai/settings/keys" in str(elsewhere(401, body).hint)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (said("image input is not supported - hint: you may need the mmproj", "server_error", 500), "image input"),
        (said('can only concatenate str (not "list") to str', "internal_server_error"), "concatenate"),
        (said("bad", "invalid_request_error"), "bad"),
        ({"detail": "This model does not support tools"}, "does not support tools"),
        (
            said(
                "1 validation error:\n  {'type': 'literal_error', 'loc': ('body', 'response_format', 'type'), 'msg': "
                "\"Input should be 'text' or 'json_object'\", 'input': 'json_schema'}\n\n  File \"app.py\", line 376"
            ),
            "HTTP 500: `response_format.type`: Input should be 'text' or 'json_object'.",
        ),
    ],
)
def test_a_500_for_what_the_request_did_wrong_is_a_bad_request_and_final(body: Any, words: str) -> None:
    error = elsewhere(500, body)
    assert (type(error), error.status_code, error.retryable) == (BadRequestError, 500, False)
    assert words in str(error)


@pytest.mark.parametrize("message", ["Internal Server Error", "upstream sent an invalid response", "overloaded", ""])
def test_any_other_500_may_be_tried_again(message: str) -> None:
    error = elsewhere(500, said(message))
    assert (type(error), error.retryable) == (ProviderError, True)


def test_a_status_that_is_busy_stays_one_whatever_it_says() -> None:
    assert elsewhere(503, said("fp8 is not supported by this worker, trying another")).retryable


@pytest.mark.parametrize(
    ("message", "kind", "text"),
    [
        ("429: Too many requests", RateLimitError, "HTTP 429: Too many requests."),
        ("Error code: 429 - slow down", RateLimitError, "HTTP 429: slow down."),
        ("404: no such endpoint", NotFoundError, "HTTP 404: no such endpoint."),
        ("HTTP 503: busy", ProviderError, "HTTP 503: busy."),
        ("4290 tokens are too many", ProviderError, "The endpoint reported an error: 4290 tokens are too many."),
        ("200: fine", ProviderError, "The endpoint reported an error: 200: fine."),
    ],
)
def test_a_status_in_the_words_of_a_streams_error_counts(message: str, kind: type[APIError], text: str) -> None:
    error = error_from_object({"message": message, "type": "HTTPException"}, {}, other_url=ELSEWHERE)
    assert (type(error), error.message) == (kind, text)
    assert error.retryable == (kind is RateLimitError or "503" in message)


@pytest.mark.parametrize(("words", "kind"), [("429: slow down", RateLimitError), ("404: no model", NotFoundError)])
def test_so_does_one_in_the_words_of_a_500(words: str, kind: type[APIError]) -> None:
    error = elsewhere(500, {"detail": words})
    assert (type(error), error.status_code, error.retryable) == (kind, 500, kind is RateLimitError)


@pytest.mark.parametrize("code", ["429", 429])
def test_a_code_that_is_a_text_is_a_status_as_well(code: Any) -> None:
    error = error_from_object({"message": "slow down", "code": code}, {})
    assert (type(error), error.status_code) == (RateLimitError, 429)


def test_fastapis_details_are_words() -> None:
    detail = [
        {"type": "int_parsing", "loc": ["body", "max_tokens"], "msg": "Input should be a valid integer", "input": "x"},
        {"type": "missing", "loc": ["body", "messages", 0, "role"], "msg": "Field required", "input": {}},
    ]
    words = "HTTP 422: `max_tokens`: Input should be a valid integer; `messages.0.role`: Field required."
    assert elsewhere(422, {"detail": detail}).message == words
