"""What is set, where it comes from, and what it does to a request."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from orchat.configuration import SETTINGS, configure, effective_setting, resolve_model_alias, setting
from orchat.default_factories import Chat, connect, session_budget
from orchat.errors import BudgetExceededError, ConfigurationError
from orchat.secret import Secret
from tests.openrouter_server import ScriptedOpenRouter, text
from tests.openrouter_server.events import usage_object

KEY = Secret.from_token("sk-or-v1-0123456789abcdef")


@pytest.fixture(autouse=True)
def _nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for each in SETTINGS.values():
        if each.variable:
            monkeypatch.delenv(each.variable, raising=False)
    yield
    for name in SETTINGS:
        configure(name, None)


def test_configuration_comes_before_the_environment_and_both_before_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert effective_setting("history_tokens") == (32_000, "default")
    monkeypatch.setenv("ORCHAT_HISTORY_TOKENS", "500")
    assert effective_setting("history_tokens") == (500, "ORCHAT_HISTORY_TOKENS")
    configure("history_tokens", 700, "a file")
    assert effective_setting("history_tokens") == (700, "a file")
    configure("history_tokens", None)
    assert setting("history_tokens") == 500
    monkeypatch.setenv("ORCHAT_HISTORY_TOKENS", "")
    assert effective_setting("history_tokens").source == "default"


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("model", " v/m ", "v/m"),
        ("max_cost", "$0.50", Decimal("0.50")),
        ("max_tokens", "90", 90),
        ("zdr", "yes", True),
        ("zdr", "0", False),
        ("data_collection", "deny", "deny"),
        ("footer", "none", "none"),
        ("privacy", "schema", "schema"),
    ],
)
def test_a_variable_is_read(monkeypatch: pytest.MonkeyPatch, name: str, text: str, value: Any) -> None:
    monkeypatch.setenv(SETTINGS[name].variable, text)
    assert effective_setting(name) == (value, SETTINGS[name].variable)


@pytest.mark.parametrize(
    ("name", "value"),
    [("zdr", "perhaps"), ("max_cost", "-1"), ("max_cost", "nan"), ("max_tokens", "many"), ("privacy", "all"),
     ("aliases", "a=b"), ("aliases", {"a": 1}), ("model", " "), ("footer", "short"), ("history_tokens", True)],
)  # fmt: skip
def test_nonsense_is_refused_and_named(monkeypatch: pytest.MonkeyPatch, name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"makes no sense\. It is "):
        configure(name, value)
    if SETTINGS[name].variable and isinstance(value, str) and value.strip():
        monkeypatch.setenv(SETTINGS[name].variable, value)
        with pytest.raises(ConfigurationError, match=SETTINGS[name].variable):
            setting(name)


def test_an_unknown_setting_is_an_error_that_lists_the_known() -> None:
    with pytest.raises(ConfigurationError, match="There are model, base_url"):
        configure("colour", "red")


def test_an_alias_names_a_model() -> None:
    configure("aliases", {"fast": "v/small"})
    configure("model", "fast")
    assert resolve_model_alias(None) == "v/small"
    assert connect("fast", api_key=KEY).model == "v/small"


def test_the_provider_policy_goes_to_openrouter_only_and_a_call_adds_to_it() -> None:
    configure("zdr", True)
    configure("data_collection", "deny")
    assert connect(api_key=KEY).generation_kwargs == {"provider": {"zdr": True, "data_collection": "deny"}}
    given = {"provider": {"sort": "price"}, "seed": 7}
    assert connect(api_key=KEY, generation_kwargs=given).generation_kwargs == {
        "provider": {"zdr": True, "data_collection": "deny", "sort": "price"},
        "seed": 7,
    }
    assert given == {"provider": {"sort": "price"}, "seed": 7}
    assert connect(api_key=KEY, api_base_url="https://gateway.example/v1").generation_kwargs == {}


def test_a_cap_on_length_gives_way_to_a_call() -> None:
    configure("max_tokens", 90)
    assert connect(api_key=KEY).generation_kwargs == {"max_tokens": 90}
    given = {"max_completion_tokens": 7}
    assert connect(api_key=KEY, generation_kwargs=given).generation_kwargs == given


def test_all_chats_of_a_process_spend_from_one_purse(openrouter: ScriptedOpenRouter) -> None:
    before = session_budget().spent.known
    generator = connect("v/m", api_key=KEY, api_base_url=openrouter.base_url)
    openrouter.answers(*(text("Hi", usage=usage_object(cost=0.25)) for _ in range(2)))
    chats = [Chat(generator, price=lambda model, size: Decimal("0.01")) for _ in range(2)]
    for chat in chats:
        chat("Hello")
    assert session_budget().spent.known - before == Decimal("0.5")
    configure("max_cost", float(before) + 0.5)
    with pytest.raises(BudgetExceededError):
        chats[0]("Once more")
    assert len(openrouter.requests) == 2
    generator.close()
