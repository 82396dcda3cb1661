"""Lists of models are asked for once a day, kept whole or not at all, and used when nobody answers."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from orchat.errors import (
    APIConnectionError,
    APIError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    NotFoundError,
    ProviderError,
    ResponseLimitError,
)
from orchat.openrouter.catalog import Catalog, cached_catalog, load_catalog, suggest_models
from orchat.openrouter.generator import OpenRouterChatGenerator
from orchat.openrouter.json_query import JsonEndpoint
from orchat.openrouter.response_limits import ResponseLimits
from orchat.secret import Secret
from tests.catalog.conftest import Ask, Make
from tests.openrouter_server import MODELS, ScriptedOpenRouter, error, raw, reply_json, text, wire
from tests.patience import stretched

IDS = [entry["id"] for entry in MODELS]
NOWHERE = "http://127.0.0.1:9/api/v1"


def ids(catalog: Catalog | None) -> list[str]:
    assert catalog is not None
    return [model.id for model in catalog.models]


def age(cache: Path, by: timedelta) -> None:
    """Make the kept list older."""
    [path] = cache.iterdir()
    content = json.loads(path.read_text())
    content["fetched_at"] = (datetime.fromisoformat(content["fetched_at"]) - by).isoformat()
    path.write_text(json.dumps(content))


def test_all_kinds_are_asked_for_with_a_get(openrouter: ScriptedOpenRouter, endpoint: JsonEndpoint, ask: Ask) -> None:
    assert ids(ask("load_catalog", endpoint)) == IDS
    request = openrouter.request
    assert (request.method, request.path, request.body) == ("GET", "/models", b"")
    assert request.query == {"output_modalities": "all"}
    assert request.headers["accept"] == "application/json"


def page(entries: list[Any], following: Any) -> Any:
    return reply_json({"data": entries, "total_count": len(MODELS), "links": {"next": following}})


def test_a_list_that_comes_in_pages_is_read_to_its_end(
    openrouter: ScriptedOpenRouter, endpoint: JsonEndpoint, ask: Ask
) -> None:
    models = openrouter.on("GET", "/models")
    models.answers(
        page(MODELS[:2], "/api/v1/models?offset=2&limit=2"),
        page(MODELS[2:3], "https://elsewhere.invalid/v9/models?offset=3"),  # the key goes to one host only
        page(MODELS[3:], None),
    )
    catalog = ask("load_catalog", endpoint)
    assert ids(catalog) == IDS
    assert [request.query for request in openrouter.requests] == [
        {"output_modalities": "all"},
        {"output_modalities": "all", "offset": "2", "limit": "2"},
        {"output_modalities": "all", "offset": "3", "limit": "2"},
    ]
    assert ids(cached_catalog(endpoint.api_base_url)) == IDS


@pytest.mark.parametrize("following", ["/models?output_modalities=all", "?", "http://[::1", 7, ["?offset=2"], {}])
def test_a_link_that_leads_nowhere_ends_the_list(
    openrouter: ScriptedOpenRouter, endpoint: JsonEndpoint, ask: Ask, following: Any
) -> None:
    openrouter.on("GET", "/models").answers(page(MODELS, following))
    assert ids(ask("load_catalog", endpoint)) == IDS
    assert len(openrouter.requests) == 1


def test_pages_without_an_end_are_left(openrouter: ScriptedOpenRouter, endpoint: JsonEndpoint, ask: Ask) -> None:
    pages = [page([MODELS[0] | {"id": f"v/{number}"}], f"?offset={number + 1}") for number in range(40)]
    openrouter.on("GET", "/models").answers(*pages)
    assert ids(ask("load_catalog", endpoint)) == [f"v/{number}" for number in range(20)]
    openrouter.on("GET", "/models").queue.clear()


def test_all_pages_together_have_a_largest_size(openrouter: ScriptedOpenRouter, make: Make, ask: Ask) -> None:
    pages = [page([{"id": f"v/{number}", "x": "x" * 4000}], f"?offset={number + 1}") for number in range(9)]
    openrouter.on("GET", "/models").answers(*pages)
    with pytest.raises(ResponseLimitError, match="more than 10,000 bytes in one list"):
        ask("load_catalog", make(limits=ResponseLimits(list_bytes=10_000)))
    assert 2 <= len(openrouter.requests) < 9
    openrouter.on("GET", "/models").queue.clear()


def test_an_empty_page_is_the_last(openrouter: ScriptedOpenRouter, endpoint: JsonEndpoint, ask: Ask) -> None:
    openrouter.on("GET", "/models").answers(page(MODELS, "?offset=9"), page([], "?offset=9000"))
    assert ids(ask("load_catalog", endpoint)) == IDS


@pytest.mark.parametrize("broken", [error(500), reply_json({"data": {"id": "v/m"}})])
def test_a_part_of_a_list_is_not_kept(
    openrouter: ScriptedOpenRouter, endpoint: JsonEndpoint, ask: Ask, broken: Any
) -> None:
    openrouter.on("GET", "/models").answers(page(MODELS[:2], "?offset=2"), broken)
    with pytest.raises(ProviderError):
        ask("load_catalog", endpoint)
    assert cached_catalog(endpoint.api_base_url) is None


def test_a_fresh_list_is_not_asked_for_again(openrouter: ScriptedOpenRouter, endpoint: JsonEndpoint, ask: Ask) -> None:
    first, second = ask("load_catalog", endpoint), ask("load_catalog", endpoint)
    assert first == second == cached_catalog(endpoint.api_base_url)
    assert second.failure is None
    assert second.models[0].raw == MODELS[0]
    assert len(openrouter.requests) == 1


def test_another_process_uses_the_same_list(openrouter: ScriptedOpenRouter, endpoint: JsonEndpoint) -> None:
    load_catalog(endpoint)
    code = "import sys; from orchat.openrouter.catalog import *; print(len(cached_catalog(sys.argv[1]).models))"
    root = Path(__file__).parents[2]
    said = subprocess.run(
        [sys.executable, "-c", code, endpoint.api_base_url], capture_output=True, text=True, check=True, cwd=root
    )
    assert said.stdout == f"{len(MODELS)}\n"
    assert len(openrouter.requests) == 1


def test_a_days_old_list_is_asked_for_again(
    openrouter: ScriptedOpenRouter, endpoint: JsonEndpoint, ask: Ask, cache: Path
) -> None:
    ask("load_catalog", endpoint)
    age(cache, timedelta(days=1, seconds=1))
    openrouter.on("GET", "/models").answers(reply_json({"data": [{"id": "vendor/new"}]}))
    assert ids(ask("load_catalog", endpoint)) == ["vendor/new"]
    assert ids(cached_catalog(endpoint.api_base_url)) == ["vendor/new"]


def test_a_list_may_be_asked_for_anew(openrouter: ScriptedOpenRouter, endpoint: JsonEndpoint, ask: Ask) -> None:
    ask("load_catalog", endpoint)
    ask("load_catalog", endpoint, refresh=True)
    assert len(openrouter.requests) == 2


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (error(500), ProviderError),
        (error(429, headers={"Retry-After": "500"}), Exception),
        (error(401), AuthenticationError),
        (wire(), APIConnectionError),
        (raw(b"<html><title>Hotel Wi-Fi</title>", content_type="text/html"), ProviderError),
        (reply_json({"data": "none"}), ProviderError),
    ],
    ids=["500", "429", "401", "hangs up", "portal", "odd"],
)
def test_an_old_list_is_better_than_none(
    openrouter: ScriptedOpenRouter, make: Make, ask: Ask, cache: Path, answer: Any, kind: type
) -> None:
    endpoint = make(max_retries=5)
    ask("load_catalog", endpoint)
    age(cache, timedelta(days=3))
    openrouter.on("GET", "/models").always(answer)
    catalog = ask("load_catalog", endpoint)
    assert ids(catalog) == IDS
    assert isinstance(catalog.failure, kind)
    assert catalog.age_text == "3 days old"
    assert len(openrouter.requests) == 2  # with a list at hand it asks once
    assert cached_catalog(endpoint.api_base_url).failure is None  # type: ignore[union-attr]


def test_without_a_network_a_fresh_list_is_enough(ask: Ask, make: Make) -> None:
    with ScriptedOpenRouter() as server:
        endpoint = make(api_base_url=server.base_url)
        ask("load_catalog", endpoint)
    assert ids(ask("load_catalog", endpoint)) == IDS
    later = ask("load_catalog", endpoint, refresh=True)
    assert ids(later) == IDS
    assert isinstance(later.failure, APIConnectionError)


def test_without_a_network_and_a_list_it_is_an_error(ask: Ask, make: Make) -> None:
    with pytest.raises(APIConnectionError, match=r"No connection to 127\.0\.0\.1"):
        ask("load_catalog", make(api_base_url=NOWHERE))


def test_a_host_that_does_not_answer_is_not_waited_for_long(
    openrouter: ScriptedOpenRouter, make: Make, ask: Ask
) -> None:
    openrouter.on("GET", "/models").always(text("late").delayed(30))
    with pytest.raises(APITimeoutError):
        ask("load_catalog", make(timeout=0.3))


def test_a_body_that_trickles_has_the_same_deadline(openrouter: ScriptedOpenRouter, make: Make, ask: Ask) -> None:
    timeout = stretched(0.3)
    openrouter.on("GET", "/models").always(reply_json({"data": MODELS}).cut(1).paced(timeout / 6))
    with pytest.raises(APITimeoutError, match="did not finish"):
        ask("load_catalog", make(timeout=timeout))


def test_a_host_without_a_list_says_so(openrouter: ScriptedOpenRouter, endpoint: JsonEndpoint, ask: Ask) -> None:
    openrouter.on("GET", "/models").always(error(404, "Not Found"))
    with pytest.raises(NotFoundError, match="list its models"):
        ask("load_catalog", endpoint)


@pytest.mark.parametrize("data", [None, {}, "x", 7, [None], [{"name": "no id"}]])
def test_what_is_no_list_is_an_error_and_not_kept(
    openrouter: ScriptedOpenRouter, endpoint: JsonEndpoint, ask: Ask, cache: Path, data: Any
) -> None:
    openrouter.on("GET", "/models").always(reply_json({"data": data}))
    with pytest.raises(ProviderError, match="The reply holds no"):
        ask("load_catalog", endpoint)
    assert not cache.exists()


@pytest.mark.parametrize(
    ("answer", "names"), [([{"id": "meta/x", "type": "chat"}], ["meta/x"]), ({"object": "list", "data": None}, [])]
)
def test_lists_of_other_hosts_are_read(
    openrouter: ScriptedOpenRouter, endpoint: JsonEndpoint, ask: Ask, answer: Any, names: list[str]
) -> None:
    openrouter.on("GET", "/models").always(reply_json(answer))
    assert ids(ask("load_catalog", endpoint)) == names


def test_an_empty_list_is_believed_but_not_kept(
    openrouter: ScriptedOpenRouter, endpoint: JsonEndpoint, ask: Ask, cache: Path
) -> None:
    openrouter.on("GET", "/models").always(reply_json({"data": []}))
    assert ids(ask("load_catalog", endpoint)) == []
    assert not cache.exists()


def test_an_empty_list_is_asked_for_again_after_a_while(
    openrouter: ScriptedOpenRouter, endpoint: JsonEndpoint, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    openrouter.on("GET", "/models").always(reply_json({"data": []}))
    for _ in range(5):  # a picker asks at every key
        assert ids(ask("load_catalog", endpoint)) == []
    assert len(openrouter.requests) == 1
    assert ids(ask("load_catalog", endpoint, refresh=True)) == []
    assert len(openrouter.requests) == 2
    openrouter.on("GET", "/models").always(reply_json({"data": MODELS}))
    monkeypatch.setattr("orchat.openrouter.catalog._EMPTY_FRESH", timedelta(0))
    assert ids(ask("load_catalog", endpoint)) == IDS
    openrouter.on("GET", "/models").always(reply_json({"data": []}))
    assert ids(ask("load_catalog", endpoint)) == IDS


GOOD = {"format": "orchat-models", "version": 1, "fetched_at": "2026-08-17T00:00:00+00:00", "data": MODELS}


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b"null",
        b"[]",
        json.dumps(GOOD)[:-40].encode(),
        json.dumps(GOOD | {"version": 2}).encode(),
        json.dumps(GOOD | {"format": "other"}).encode(),
        json.dumps(GOOD | {"fetched_at": "yesterday"}).encode(),
        json.dumps(GOOD | {"fetched_at": "2026-08-17T00:00:00"}).encode(),
        json.dumps(GOOD | {"fetched_at": None}).encode(),
        json.dumps(GOOD | {"data": None}).encode(),
        json.dumps(GOOD | {"data": []}).encode(),
    ],
)
def test_a_file_that_cannot_be_read_is_fetched_anew(
    openrouter: ScriptedOpenRouter, endpoint: JsonEndpoint, cache: Path, content: bytes
) -> None:
    load_catalog(endpoint)
    [path] = cache.iterdir()
    path.write_bytes(content)
    assert cached_catalog(endpoint.api_base_url) is None
    assert ids(load_catalog(endpoint)) == IDS
    assert ids(cached_catalog(endpoint.api_base_url)) == IDS
    assert len(openrouter.requests) == 2


def test_a_folder_in_the_files_place_is_no_harm(endpoint: JsonEndpoint, cache: Path) -> None:
    load_catalog(endpoint)
    [path] = cache.iterdir()
    path.unlink()
    path.mkdir()
    assert ids(load_catalog(endpoint)) == IDS
    assert list(cache.iterdir()) == [path]  # and nothing half-written beside it


def test_a_cache_that_cannot_be_written_is_no_harm(
    endpoint: JsonEndpoint, ask: Ask, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "orchat")
    cache.parent.parent.mkdir(parents=True, exist_ok=True)
    cache.parent.write_text("a file, where a folder should be")
    assert ids(ask("load_catalog", endpoint)) == IDS
    assert "could not be kept" in caplog.text
    assert cached_catalog(endpoint.api_base_url) is None


@pytest.mark.skipif(os.name != "posix", reason="file modes are those of POSIX here")
def test_the_file_is_the_users_own_and_plain_json(endpoint: JsonEndpoint, cache: Path) -> None:
    load_catalog(endpoint)
    [path] = cache.iterdir()
    assert path.name.startswith("127.0.0.1-")
    assert path.suffix == ".json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    content = json.loads(path.read_text("ascii"))
    assert content["data"] == MODELS
    assert (content["format"], content["version"]) == ("orchat-models", 1)


def test_odd_text_survives_the_file(openrouter: ScriptedOpenRouter, endpoint: JsonEndpoint, cache: Path) -> None:
    body = b'{"data": [{"id": "v/m", "name": "\\ud800 \\u2028 \xc3\xbc", "context_length": NaN, "x": 1e999}]}'
    openrouter.on("GET", "/models").always(raw(body))
    first = load_catalog(endpoint)
    assert first.models[0].name == "\ud800 \u2028 ü"
    assert cached_catalog(endpoint.api_base_url).models[0].name == first.models[0].name  # type: ignore[union-attr]


def test_each_base_url_has_a_list_of_its_own(make: Make, cache: Path) -> None:
    with ScriptedOpenRouter() as one, ScriptedOpenRouter() as other:
        other.on("GET", "/models").always(reply_json({"object": "list", "data": [{"id": "gpt-4o", "object": "model"}]}))
        assert ids(load_catalog(make(api_base_url=one.base_url))) == IDS
        assert ids(load_catalog(make(api_base_url=other.base_url))) == ["gpt-4o"]
        assert ids(load_catalog(make(api_base_url=f"{one.base_url}/"))) == IDS
        assert len(one.requests) == 1
    assert len(list(cache.iterdir())) == 2


def test_a_password_in_the_address_changes_no_file_and_is_in_none(make: Make, cache: Path) -> None:
    with ScriptedOpenRouter() as server:
        address = server.base_url.replace("//", "//someone:hunter2-hunter2@")
        load_catalog(make(api_base_url=address, api_key=None))
        assert cached_catalog(server.base_url) == cached_catalog(address) is not None
    [path] = cache.iterdir()
    assert "hunter2" not in path.name + path.read_text()


@pytest.mark.parametrize("address", ["nonsense", "http://[bad", "ftp://host/v1", "", "http://x:port"])
def test_a_bad_address_is_a_setting_to_correct(make: Make, ask: Ask, address: str) -> None:
    assert cached_catalog(address) is None
    with pytest.raises(ConfigurationError, match="is no base URL"):
        ask("load_catalog", make(api_base_url=address))


def test_the_key_goes_along_only_if_there_is_one(openrouter: ScriptedOpenRouter, make: Make, ask: Ask) -> None:
    for key in (None, Secret.from_env_var("NOT_SET"), Secret.from_env_var("NOT_SET", strict=False)):
        ask("load_catalog", make(api_key=key), refresh=True)
        assert "authorization" not in openrouter.request.headers
    ask("load_catalog", make(), refresh=True)
    assert openrouter.request.headers["authorization"].startswith("Bearer sk-or-v1-")


def test_many_at_once_leave_one_whole_file(openrouter: ScriptedOpenRouter, endpoint: JsonEndpoint, cache: Path) -> None:
    threads = [threading.Thread(target=load_catalog, args=(endpoint,), kwargs={"refresh": True}) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(openrouter.requests) == 6
    assert [path.suffix for path in cache.iterdir()] == [".json"]
    assert ids(cached_catalog(endpoint.api_base_url)) == IDS


def test_reading_again_what_has_not_changed_costs_nothing(endpoint: JsonEndpoint, cache: Path) -> None:
    load_catalog(endpoint)
    first = cached_catalog(endpoint.api_base_url)
    assert cached_catalog(endpoint.api_base_url) is first
    age(cache, timedelta(hours=2))
    assert cached_catalog(endpoint.api_base_url).age_text == "2 hours old"  # type: ignore[union-attr]


def test_nothing_is_fetched_or_loaded_at_import() -> None:
    code = (
        "import sys, socket; socket.socket.connect = None; import orchat.openrouter.catalog, orchat.openrouter.account;"
        "print(sorted({'httpx2', 'pydantic', 'tenacity', 'IPython', 'platformdirs'} & sys.modules.keys()))"
    )
    root = Path(__file__).parents[2]
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root)
    assert said.stdout == "[]\n"


NO_MODEL = BadRequestError("HTTP 400: openai/gpt-5-mni is not a valid model ID.", status_code=400)


def test_a_wrong_name_is_explained_by_the_list_on_disk(openrouter: ScriptedOpenRouter, endpoint: JsonEndpoint) -> None:
    base_url = endpoint.api_base_url
    assert suggest_models(NO_MODEL, "openai/gpt-5-mni", base_url) is None
    load_catalog(endpoint)
    hint = suggest_models(NO_MODEL, "openai/gpt-5-mni", base_url)
    assert hint is not None
    assert hint.startswith("Did you mean `openai/gpt-5-mini`")
    unknown = BadRequestError("No such model", body={"availability": {"code": "model_not_found"}})
    assert suggest_models(unknown, "openai/gpt-5-mni", base_url) == hint
    assert suggest_models(NO_MODEL, "zzzzzz", base_url) is None
    assert len(openrouter.requests) == 1


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "openai/gpt-5-mni is not a valid model ID"),
        (404, "No endpoints found for openai/gpt-5-mni."),
        (404, "The model `openai/gpt-5-mni` does not exist or you do not have access to it."),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_a_refused_model_is_answered_with_the_names_that_may_be_meant(
    openrouter: ScriptedOpenRouter, endpoint: JsonEndpoint, status: int, message: str, streamed: bool
) -> None:
    load_catalog(endpoint)
    openrouter.on("POST", "/chat/completions").queue.append(error(status, message))
    generator = OpenRouterChatGenerator(
        api_key=Secret.from_token("k" * 20), model="openai/gpt-5-mni", api_base_url=endpoint.api_base_url
    )
    with pytest.raises(APIError) as caught:
        list(generator.stream("Hi")) if streamed else generator.run("Hi")
    assert str(caught.value.hint).startswith("Did you mean `openai/gpt-5-mini`")
    assert str(caught.value).count("Did you mean") == 1


@pytest.mark.parametrize(
    "error",
    [
        BadRequestError("HTTP 400: the input is too long."),
        BadRequestError("x", body={"availability": "none"}),
        NotFoundError("HTTP 404: No endpoints found that support tool use."),
        ProviderError("HTTP 502: x is not a valid model ID."),
    ],
)
def test_other_errors_have_no_such_hint(listed: Catalog, endpoint: JsonEndpoint, error: Any) -> None:
    assert suggest_models(error, "openai/gpt-5-mni", endpoint.api_base_url) is None
