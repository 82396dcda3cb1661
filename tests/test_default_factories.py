"""Who answers: arguments, then the environment; the embedded model only when it is asked for."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from orchat.default_factories import catalog_endpoint, connect, context_length
from orchat.errors import ConfigurationError, MissingKeyError
from orchat.openrouter.catalog import load_catalog
from orchat.openrouter.dialect import DEFAULT_BASE_URL, DEFAULT_MODEL
from orchat.secret import Secret
from tests.openrouter_server import ScriptedOpenRouter, reply_json, text

KEY = "sk-or-v1-0123456789abcdef"
LOCAL = "local/smollm2-135m-instruct"


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "OPENROUTER_API_KEY",
        "OPENROUTER_BASE_URL",
        "ORCHAT_MODEL",
        "ORCHAT_LOCAL_URL",
        "ORCHAT_LOCAL_KEY",
        "OPENAI_API_KEY",
    ):
        monkeypatch.delenv(name, raising=False)


def test_without_a_key_it_names_the_three_ways_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-another-service-0123")
    with pytest.raises(MissingKeyError) as caught:
        connect()
    assert isinstance(caught.value, ValueError)
    for way in ("OPENROUTER_API_KEY", LOCAL, "OPENROUTER_BASE_URL"):
        assert way in str(caught.value)


def test_an_empty_key_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", "")
    with pytest.raises(MissingKeyError):
        connect()


def test_with_a_key_openrouter_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
    generator = connect()
    assert (generator.model, generator.api_base_url) == (DEFAULT_MODEL, DEFAULT_BASE_URL)
    assert generator.api_key == Secret.from_env_var("OPENROUTER_API_KEY")


def test_the_environment_names_model_and_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHAT_MODEL", "v/m")
    monkeypatch.setenv("OPENROUTER_BASE_URL", "https://gateway.example/v1")
    generator = connect()
    assert (generator.model, generator.api_base_url) == ("v/m", "https://gateway.example/v1")


def test_empty_variables_name_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
    monkeypatch.setenv("ORCHAT_MODEL", "")
    monkeypatch.setenv("OPENROUTER_BASE_URL", "")
    generator = connect()
    assert (generator.model, generator.api_base_url) == (DEFAULT_MODEL, DEFAULT_BASE_URL)


def test_arguments_come_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
    monkeypatch.setenv("ORCHAT_MODEL", LOCAL)
    monkeypatch.setenv("OPENROUTER_BASE_URL", "https://gateway.example/v1")
    secret = Secret.from_token("sk-or-v1-fedcba9876543210")
    generator = connect("v/m", api_key=secret, api_base_url="https://other.example/v1", generation_kwargs={"seed": 7})
    assert (generator.model, generator.api_base_url, generator.api_key) == ("v/m", "https://other.example/v1", secret)
    assert generator.generation_kwargs == {"seed": 7}


def test_another_host_may_want_no_key() -> None:
    with ScriptedOpenRouter() as server:
        server.answers(text("Hi"))
        with closing(connect("v/m", api_base_url=server.base_url)) as generator:
            assert generator.run("Hello")["replies"][0].text == "Hi"
        assert "authorization" not in server.request.headers


def test_a_wrong_parameter_is_a_type_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", KEY)
    with pytest.raises(TypeError):
        connect("v/m", nonsense=1)


def test_a_local_model_that_is_none_is_an_error_that_names_the_one_there_is() -> None:
    with pytest.raises(ConfigurationError, match=LOCAL):
        connect("local/gpt-5")


def test_the_embedded_model_heeds_the_cap_on_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCHAT_LOCAL_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("ORCHAT_LOCAL_KEY", KEY)
    monkeypatch.setenv("ORCHAT_MAX_TOKENS", "90")
    monkeypatch.setenv("ORCHAT_ZDR", "1")  # is for OpenRouter's providers only
    assert connect(LOCAL).generation_kwargs == {"max_tokens": 90}
    assert connect(LOCAL, generation_kwargs={"max_tokens": 5}).generation_kwargs == {"max_tokens": 5}


def test_a_local_model_at_a_named_host_is_that_hosts() -> None:
    assert connect("local/gpt-5", api_base_url="http://127.0.0.1:9/v1").api_base_url == "http://127.0.0.1:9/v1"


def test_a_server_that_runs_already_serves_the_embedded_model(monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedOpenRouter(required_key=KEY) as server:
        server.answers(text("Hi"))
        monkeypatch.setenv("ORCHAT_LOCAL_URL", server.base_url)
        monkeypatch.setenv("ORCHAT_LOCAL_KEY", KEY)
        monkeypatch.setenv("ORCHAT_MODEL", LOCAL)
        with closing(connect()) as generator:
            reply = generator.run("Hello")["replies"][0]
        assert (reply.text, reply.meta["note"]) == ("Hi", "demo model, often wrong")
        assert server.request.headers["authorization"] == f"Bearer {KEY}"


def test_a_servers_own_name_for_its_context_length_is_what_the_history_is_cut_to(
    openrouter: ScriptedOpenRouter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("OPENROUTER_BASE_URL", openrouter.base_url)
    openrouter.on("GET", "/models").answers(reply_json({"data": [{"id": "smol", "meta": {"n_ctx": 4096}}]}))
    assert context_length("smol") is None
    load_catalog(catalog_endpoint())
    assert context_length("smol") == 4096
