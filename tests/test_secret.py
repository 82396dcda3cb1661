"""Secrets: named, never shown, and Haystack's in their dictionary form."""

from __future__ import annotations

import copy
import json
import os
import pickle
from collections.abc import Callable
from typing import Any

import pytest

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"

import haystack.utils

from orchat.errors import ConfigurationError, MissingKeyError
from orchat.secret import Secret, SecretType

KEY = "sk-or-v1-0123456789abcdef"
NAMES = ["ORCHAT_TEST_KEY_1", "ORCHAT_TEST_KEY_2"]


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("names", [NAMES[0], NAMES[:1], NAMES])
@pytest.mark.parametrize("strict", [True, False])
def test_the_dictionary_form_is_haystacks(names: Any, strict: bool) -> None:
    secret = Secret.from_env_var(names, strict=strict)
    data = haystack.utils.Secret.from_env_var(names, strict=strict).to_dict()
    assert json.dumps(secret.to_dict()) == json.dumps(data)
    assert Secret.from_dict(json.loads(json.dumps(data))) == secret


def test_a_token_is_what_it_is() -> None:
    assert Secret.from_token(KEY).resolve_value() == KEY


def test_the_first_variable_that_is_set_counts_even_when_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = Secret.from_env_var(NAMES)
    monkeypatch.setenv(NAMES[1], "second")
    assert secret.resolve_value() == "second"
    monkeypatch.setenv(NAMES[0], "")
    assert secret.resolve_value() == ""


def test_a_missing_strict_one_is_an_error_that_names_the_variables() -> None:
    pattern = "None of the .* environment variables are set: ORCHAT_TEST_KEY_1, ORCHAT_TEST_KEY_2"
    with pytest.raises(MissingKeyError, match=pattern) as caught:
        Secret.from_env_var(NAMES).resolve_value()
    assert isinstance(caught.value, ValueError)
    assert "api_key=" in (caught.value.hint or "")


def test_a_missing_lenient_one_is_none() -> None:
    assert Secret.from_env_var(NAMES, strict=False).resolve_value() is None


@pytest.mark.parametrize(
    "make",
    [
        Secret,
        lambda: Secret.from_token(""),
        lambda: Secret.from_token(None),  # type: ignore[arg-type]
        lambda: Secret.from_token(b"key"),  # type: ignore[arg-type]
        lambda: Secret.from_env_var([]),
        lambda: Secret.from_env_var(""),
        lambda: Secret.from_env_var(["A", ""]),
        lambda: Secret.from_token(KEY).to_dict(),
        lambda: Secret.from_dict({"type": "token", "token": KEY}),
        lambda: pickle.dumps(Secret.from_token(KEY)),
    ],
)
def test_what_cannot_be_is_a_value_error_that_does_not_show_the_key(make: Callable[[], object]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert isinstance(caught.value, ValueError)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("missing", ["type", "env_vars", "strict"])
def test_a_dictionary_needs_all_three_keys(missing: str) -> None:
    data = Secret.from_env_var("A").to_dict()
    del data[missing]
    with pytest.raises(KeyError, match=missing):
        Secret.from_dict(data)


def test_no_text_of_a_token_shows_it() -> None:
    secret = Secret.from_token(KEY)
    assert KEY not in f"{secret} {secret!r} {[secret]} { ({'k': secret}) }"
    assert repr(secret) == "Secret.from_token(<hidden>)"
    assert not hasattr(secret, "__dict__")


def test_the_repr_of_a_named_one_names_it() -> None:
    assert repr(Secret.from_env_var("A", strict=False)) == "Secret.from_env_var(['A'], strict=False)"


def test_a_named_one_travels_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAMES[0], KEY)
    secret = Secret.from_env_var(NAMES, strict=False)
    data = pickle.dumps(secret)
    assert KEY.encode() not in data
    assert pickle.loads(data) == secret


def test_copies_are_the_same_one() -> None:
    secret = Secret.from_token(KEY)
    assert copy.copy(secret) is copy.deepcopy(secret) is secret


def test_equal_ones_are_equal_and_hash_alike() -> None:
    assert Secret.from_env_var("A") == Secret.from_env_var(["A"]) != Secret.from_env_var("A", strict=False)
    assert Secret.from_token("a") == Secret.from_token("a") != Secret.from_token("b")
    assert Secret.from_token("a") != "a"
    assert len({Secret.from_env_var("A"), Secret.from_env_var("A"), Secret.from_token("A")}) == 2


@pytest.mark.parametrize("name", ["_token", "_strict", "other"])
def test_nothing_can_be_set(name: str) -> None:
    secret = Secret.from_token(KEY)
    with pytest.raises(AttributeError, match="immutable"):
        setattr(secret, name, "x")
    assert secret.resolve_value() == KEY


def test_the_kinds_print_as_haystacks() -> None:
    assert [str(kind) for kind in SecretType] == [str(kind) for kind in haystack.utils.auth.SecretType]
    assert (Secret.from_token("a").type, Secret.from_env_var("A").type) == (SecretType.TOKEN, SecretType.ENV_VAR)
