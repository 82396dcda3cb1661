"""What a key may spend, what credits there are, and what a call cost, in exact sums."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchat.errors import (
    APIError,
    AuthenticationError,
    ConfigurationError,
    MissingKeyError,
    NotFoundError,
    PermissionDeniedError,
    ProviderError,
)
from orchat.openrouter.account import Credits, Generation, KeyStatus, _read_generation, _read_key
from orchat.openrouter.json_query import JsonEndpoint
from orchat.secret import Secret
from tests.catalog.conftest import KEY, Ask, Make
from tests.openrouter_server import KEY_STATUS, ScriptedOpenRouter, error, raw, reply_json
from tests.patience import stretched

SOON = {"Retry-After": "0.01"}
CALL = {
    "id": "gen-1772000000-abc",
    "model": "openai/gpt-4o-mini",
    "provider_name": "OpenAI",
    "total_cost": 0.00021,
    "created_at": "2026-08-17T12:00:00.5Z",
    "tokens_prompt": 9,
    "tokens_completion": 8,
    "native_tokens_prompt": 1000,
    "native_tokens_completion": 100,
    "finish_reason": "stop",
    "cancelled": False,
}


def test_a_keys_status(openrouter: ScriptedOpenRouter, endpoint: JsonEndpoint, ask: Ask) -> None:
    status = ask("key_status", endpoint)
    assert status == KeyStatus(
        label="sk-or-v1-0e6...1c9",
        limit=Decimal(10),
        limit_remaining=Decimal("7.25"),
        resets="monthly",
        usage=Decimal("25.5"),
        is_free_tier=False,
        expires_at=datetime(2027, 1, 31, 23, 59, 59, tzinfo=UTC),
    )
    assert status.raw == KEY_STATUS
    assert "user_" not in repr(status)
    assert (openrouter.request.method, openrouter.request.path) == ("GET", "/key")
    assert openrouter.request.headers["authorization"] == f"Bearer {KEY}"


def test_a_key_without_a_limit(openrouter: ScriptedOpenRouter, endpoint: JsonEndpoint, ask: Ask) -> None:
    unlimited = KEY_STATUS | {"limit": None, "limit_remaining": None, "limit_reset": None, "expires_at": None}
    openrouter.on("GET", "/key").answers(reply_json({"data": unlimited}))
    status = ask("key_status", endpoint)
    assert (status.limit, status.limit_remaining, status.resets, status.expires_at) == (None, None, None, None)
    assert status.next_reset() is None


@pytest.mark.parametrize(
    ("resets", "now", "then"),
    [
        ("daily", "2026-12-31T23:59:59+00:00", "2027-01-01T00:00:00+00:00"),
        ("daily", "2026-12-31T23:30:00-02:00", "2027-01-02T00:00:00+00:00"),
        ("weekly", "2026-08-17T00:00:00+00:00", "2026-08-24T00:00:00+00:00"),  # a Monday
        ("weekly", "2026-08-23T23:00:00+00:00", "2026-08-24T00:00:00+00:00"),
        ("monthly", "2026-12-01T00:00:00+00:00", "2027-01-01T00:00:00+00:00"),
        ("monthly", "2026-01-31T12:00:00+00:00", "2026-02-01T00:00:00+00:00"),
        ("hourly", "2026-01-31T12:00:00+00:00", None),
        (None, "2026-01-31T12:00:00+00:00", None),
    ],
)
def test_when_a_limit_starts_anew(resets: str | None, now: str, then: str | None) -> None:
    found = KeyStatus(resets=resets).next_reset(datetime.fromisoformat(now))
    assert (found.isoformat() if found else None) == then


def test_the_next_reset_is_ahead() -> None:
    found = KeyStatus(resets="daily").next_reset()
    assert found is not None
    assert found > datetime.now(UTC)


def test_credits(openrouter: ScriptedOpenRouter, endpoint: JsonEndpoint, ask: Ask) -> None:
    route = openrouter.on("GET", "/credits")
    route.answers(reply_json({"data": {"total_credits": 10.1, "total_usage": 10.3}}), reply_json({"data": {}}))
    found = ask("credits", endpoint)
    assert (found.total_credits, found.total_usage, found.balance) == (
        Decimal("10.1"),
        Decimal("10.3"),
        Decimal("-0.2"),
    )
    assert ask("credits", endpoint) == Credits()
    assert Credits(Decimal(1)).balance is None


def test_credits_may_be_refused_to_an_ordinary_key(
    openrouter: ScriptedOpenRouter, endpoint: JsonEndpoint, ask: Ask
) -> None:
    openrouter.on("GET", "/credits").always(error(403, "Only management keys can fetch credits"))
    with pytest.raises(PermissionDeniedError, match="management keys"):
        ask("credits", endpoint)


def test_the_figures_of_a_call(openrouter: ScriptedOpenRouter, endpoint: JsonEndpoint, ask: Ask) -> None:
    openrouter.on("GET", "/generation").always(reply_json({"data": CALL}))
    found = ask("generation", endpoint, " gen-1772000000-abc&x=1 ")
    assert openrouter.request.query == {"id": "gen-1772000000-abc&x=1"}
    assert found == Generation(
        id="gen-1772000000-abc",
        model="openai/gpt-4o-mini",
        provider="OpenAI",
        cost=Decimal("0.00021"),
        prompt_tokens=1000,
        completion_tokens=100,
        finish_reason="stop",
        cancelled=False,
        created_at=datetime(2026, 8, 17, 12, 0, 0, 500_000, tzinfo=UTC),
    )
    assert found.raw == CALL


def test_without_the_models_own_count_the_common_one_counts(
    openrouter: ScriptedOpenRouter, endpoint: JsonEndpoint, ask: Ask
) -> None:
    common = CALL | {"native_tokens_prompt": None, "native_tokens_completion": "100", "created_at": "2026-08-17"}
    openrouter.on("GET", "/generation").always(reply_json({"data": common}))
    found = ask("generation", endpoint, "gen-1")
    assert (found.prompt_tokens, found.completion_tokens) == (9, 8)
    assert found.created_at == datetime(2026, 8, 17, tzinfo=UTC)


def test_figures_that_come_late_are_asked_for_again(
    openrouter: ScriptedOpenRouter, endpoint: JsonEndpoint, ask: Ask
) -> None:
    late = error(404, "Generation gen-1 not found")
    openrouter.on("GET", "/generation").answers(late.headers(SOON), late.headers(SOON), reply_json({"data": CALL}))
    assert ask("generation", endpoint, "gen-1").cost == Decimal("0.00021")
    assert len(openrouter.requests) == 3


def test_figures_are_waited_for_longer_each_time(
    openrouter: ScriptedOpenRouter, endpoint: JsonEndpoint, ask: Ask
) -> None:
    openrouter.on("GET", "/generation").answers(error(404), reply_json({"data": CALL}))
    started = time.monotonic()
    ask("generation", endpoint, "gen-1")
    assert 0.37 < time.monotonic() - started < stretched(2)


def test_figures_that_never_come_are_an_error_that_says_so(
    openrouter: ScriptedOpenRouter, endpoint: JsonEndpoint, ask: Ask
) -> None:
    openrouter.on("GET", "/generation").always(error(404, "Not found", headers=SOON))
    with pytest.raises(NotFoundError, match="come with delay"):
        ask("generation", endpoint, "gen-1", max_retries=2)
    assert len(openrouter.requests) == 3
    with pytest.raises(NotFoundError):
        ask("generation", endpoint, "gen-1")
    assert len(openrouter.requests) == 3 + 6


def test_only_figures_are_worth_another_try_after_a_404(openrouter: ScriptedOpenRouter, make: Make, ask: Ask) -> None:
    openrouter.on("GET", "/key").always(error(404, "Not Found", headers=SOON))
    with pytest.raises(NotFoundError, match="keeps no account of its keys"):
        ask("key_status", make(max_retries=3))
    assert len(openrouter.requests) == 1
    openrouter.on("GET", "/generation").always(error(401, "No", headers=SOON))
    with pytest.raises(AuthenticationError):
        ask("generation", make(), "gen-1")
    assert len(openrouter.requests) == 2


@pytest.mark.parametrize("wrong", ["", "  ", None, 7])
def test_a_call_without_an_id_is_not_asked_for(
    openrouter: ScriptedOpenRouter, endpoint: JsonEndpoint, ask: Ask, wrong: Any
) -> None:
    with pytest.raises(ConfigurationError, match="is no generation's id"):
        ask("generation", endpoint, wrong)
    assert openrouter.requests == []


@pytest.mark.parametrize("key", [None, Secret.from_env_var("NOT_SET"), Secret.from_env_var("NOT_SET", strict=False)])
@pytest.mark.parametrize("name", ["key_status", "credits", "generation"])
def test_without_a_key_nothing_is_sent(
    openrouter: ScriptedOpenRouter, make: Make, ask: Ask, key: Secret | None, name: str
) -> None:
    with pytest.raises(MissingKeyError):
        ask(name, make(api_key=key), *(["gen-1"] if name == "generation" else []))
    assert openrouter.requests == []


def test_an_empty_key_is_none(make: Make, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", "")
    with pytest.raises(MissingKeyError, match="no API key"):
        ask("key_status", make(api_key=Secret.from_env_var("OPENROUTER_API_KEY")))


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (error(401, "User not found."), AuthenticationError, "User not found"),
        (error(200, "Broken inside"), ProviderError, "Broken inside"),
        (reply_json({"data": None, "error": {"message": "gone", "code": 404}}), NotFoundError, "gone"),
        (reply_json({"detail": "No such route"}), ProviderError, "No such route"),
        (reply_json({"label": "x"}), ProviderError, "holds no `data`"),
        (reply_json([]), ProviderError, "holds no `data`"),
        (reply_json({"data": []}), ProviderError, "holds no figures"),
        (reply_json({"data": "x"}), ProviderError, "holds no figures"),
        (raw(b"<html>Sign in</html>", content_type="text/html"), ProviderError, "not JSON"),
        (raw(b"[" * 50_000), ProviderError, "not JSON"),
        (raw(b'{"data": ]'), ProviderError, "not JSON"),
        (
            raw(b'{"data": {"us'),
            ProviderError,
            "was cut: its JSON ends in the middle, after 13 characters. Try",
        ),
        (raw(b""), ProviderError, "not JSON"),
        (error(307, "x", headers={"Location": "http://elsewhere.invalid/"}), APIError, "points to"),
    ],
)
def test_whatever_comes_instead_is_an_error(
    openrouter: ScriptedOpenRouter, endpoint: JsonEndpoint, ask: Ask, answer: Any, kind: type, words: str
) -> None:
    openrouter.on("GET", "/key").always(answer)
    with pytest.raises(kind, match=words):
        ask("key_status", endpoint)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from([*KEY_STATUS, *CALL]), json_values))
def test_any_object_is_read(data: dict[str, Any]) -> None:
    status, call = _read_key(data), _read_generation(data)
    assert status.limit is None or status.limit.is_finite()
    assert status.resets is None or isinstance(status.resets, str)
    assert status.expires_at is None or status.expires_at.tzinfo is not None
    assert call.prompt_tokens is None or isinstance(call.prompt_tokens, int)
    assert repr(status)
    assert repr(call)
    status.next_reset()
