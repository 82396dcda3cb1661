"""Errors after the first token: every shape raises, and keeps what had arrived (API section 4.4)."""

from __future__ import annotations

import copy
import json
import pickle
from typing import Any

import pytest

from orchat.errors import APIError, ProviderError, RateLimitError
from orchat.openrouter.wire.stream import ChunkReader
from tests.openrouter_server import (
    ERROR_SHAPES,
    GENERATION_ID,
    PROVIDER,
    USER_ID,
    done,
    error_event,
    error_object,
    event,
    finish,
    reasoning,
    tool_call,
    usage,
)
from tests.wire.reading import failure, read


@pytest.mark.parametrize("code", [502, "server_error", None])
@pytest.mark.parametrize("shape", ERROR_SHAPES)
def test_an_error_in_mid_stream_keeps_all_that_came(shape: Any, code: Any) -> None:
    before = [reasoning("Hm"), event("The "), event("Hum"), tool_call("tide", '{"port"', id="a")]
    error = failure(*before, error_event("Provider disconnected", code, shape=shape))
    assert type(error) is ProviderError
    assert "Provider disconnected" in str(error)
    assert (error.code, error.error_type) == (code, "provider_unavailable")
    assert (error.provider_name, error.generation_id) == (PROVIDER, GENERATION_ID)
    assert error.partial is not None
    assert error.partial.text == "The Hum"
    assert error.partial.reasoning is not None
    assert error.partial.tool_calls[0].malformed_arguments == '{"port"'
    assert not error.retryable


@pytest.mark.parametrize("shape", ERROR_SHAPES)
def test_an_error_as_first_and_only_event_raises(shape: Any) -> None:
    error = failure(error_event("No", 429, shape=shape))
    assert type(error) is RateLimitError
    assert error.partial is None
    assert error.retryable


def test_an_error_without_metadata_raises() -> None:
    assert "Gone" in str(failure(event("a"), error_event("Gone", 502, None)))


def test_an_error_after_the_finish_reason_raises() -> None:
    error = failure(event("a"), finish(), error_event())
    assert error.partial is not None
    assert error.partial.meta["finish_reason"] == "stop"


def test_an_error_with_the_last_text_of_its_choice_keeps_that_text() -> None:
    odd = event("b", finish_reason="error")
    odd["choices"][0]["error"] = error_object("Broke", 502)
    error = failure(event("a"), odd, usage(), done())
    assert error.partial is not None
    assert (error.partial.text, error.partial.meta["finish_reason"]) == ("ab", None)
    assert "Broke" in str(error)


def test_a_choice_that_says_error_and_nothing_else_raises() -> None:
    error = failure(event("a"), finish("error", "MALFORMED_RESPONSE"))
    assert type(error) is ProviderError
    assert "MALFORMED_RESPONSE" in str(error)
    assert "no reason given" in str(failure(finish("error", None)))


@pytest.mark.parametrize("found", [None, {}, ""])
def test_an_empty_error_is_none(found: Any) -> None:
    reader = ChunkReader()
    [chunk] = reader.read(json.dumps(event("a", error=found)))
    assert chunk.content == "a"


@pytest.mark.parametrize("found", ["Overloaded", ["Overloaded"], {"detail": "Overloaded"}])
def test_an_error_of_any_form_raises(found: Any) -> None:
    assert isinstance(failure(event("a", error=found)), APIError)


def test_no_account_id_is_in_the_error_or_its_partial() -> None:
    odd = event("b", finish_reason="error", user_id=USER_ID)
    odd["choices"][0]["error"] = error_object(f"{USER_ID} broke", 502)
    for error in (
        failure(event("a", user_id=USER_ID), odd),
        failure(event("a"), error_event(f"{USER_ID} broke", user_id=USER_ID)),
    ):
        assert error.partial is not None
        assert USER_ID not in f"{error} {error!r} {vars(error)} {error.partial.to_dict()}"


def test_no_account_id_is_in_a_chunk() -> None:
    chunks = read(event("a", user_id=USER_ID), reasoning("b", user_id=USER_ID), finish(user_id=USER_ID)).chunks
    assert USER_ID not in f"{chunks}"


def test_own_secrets_are_hidden_whatever_they_look_like() -> None:
    error = failure(error_event("the password is hunter22", 401), secrets=("hunter22",))
    assert "hunter22" not in f"{error} {vars(error)}"


def test_an_error_with_its_partial_pickles_and_copies() -> None:
    error = failure(event("The "), error_event())
    for twin in (pickle.loads(pickle.dumps(error)), copy.deepcopy(error), copy.copy(error)):
        assert type(twin) is ProviderError
        assert (str(twin), twin.partial, twin.hint) == (str(error), error.partial, error.hint)
        assert vars(twin).keys() == vars(error).keys()
