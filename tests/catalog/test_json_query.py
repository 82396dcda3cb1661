"""A GET keeps the promises of every request: retries, redirects on one host, headers, and keys that nothing shows."""

from __future__ import annotations

import logging
import pickle
import traceback
from pathlib import Path
from typing import Any

import pytest

from orchat.errors import APIError, APITimeoutError, ConfigurationError, OrchatError, ProviderError, ResponseLimitError
from orchat.openrouter.catalog import load_catalog
from orchat.openrouter.json_query import RETRIES, JsonEndpoint, JsonQuery
from orchat.openrouter.response_limits import ResponseLimits
from orchat.secret import Secret
from tests.catalog.conftest import KEY, Ask, Make
from tests.openrouter_server import KEY_STATUS, USER_ID, Request, ScriptedOpenRouter, error, raw, reply_json, wire
from tests.patience import PATIENCE

SOON = {"Retry-After": "0.01"}
HEADER = "gateway-p4ssw0rd-0123456789"
SECRETS = (KEY, HEADER, USER_ID, KEY[10:])


def check(shown: str) -> None:
    """No secret is in it."""
    for secret in SECRETS:
        assert secret not in shown


def test_what_was_refused_for_now_is_asked_again(openrouter: ScriptedOpenRouter, make: Make, ask: Ask) -> None:
    openrouter.on("GET", "/key").answers(error(503, headers=SOON), error(429, headers=SOON))
    assert ask("key_status", make(max_retries=2)).raw == KEY_STATUS
    assert len(openrouter.requests) == 3
    assert openrouter.connections == 1


def test_by_default_it_is_asked_a_few_times(openrouter: ScriptedOpenRouter, make: Make, ask: Ask) -> None:
    openrouter.on("GET", "/key").always(error(503, headers=SOON))
    with pytest.raises(ProviderError):
        ask("key_status", make(max_retries=None))
    assert len(openrouter.requests) == RETRIES + 1


def test_the_timeout_may_come_from_the_environment(
    openrouter: ScriptedOpenRouter, make: Make, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_TIMEOUT", "0.2")
    openrouter.on("GET", "/key").always(reply_json({"data": {}}).delayed(5))
    with pytest.raises(APIError, match=r"0\.2 s|in time"):
        ask("key_status", make(timeout=None))


@pytest.mark.parametrize(("path", "what"), [("/key", "key_status"), ("/models", "load_catalog")])
def test_a_reply_has_a_largest_size(openrouter: ScriptedOpenRouter, make: Make, ask: Ask, path: str, what: str) -> None:
    openrouter.on("GET", path).answers(reply_json({"data": [{"id": "v/m", "x": "x" * 9000}]}))
    with pytest.raises(ResponseLimitError, match=r"more than 5,000 bytes in one list\."):
        ask(what, make(limits=ResponseLimits(list_bytes=5000)))


def test_redirects_stay_on_their_host(openrouter: ScriptedOpenRouter, endpoint: JsonEndpoint, ask: Ask) -> None:
    openrouter.on("GET", "/key").answers(error(308, "moved", headers={"Location": "/api/v1/key?again=1"}))
    assert ask("key_status", endpoint).raw == KEY_STATUS
    assert [request.method for request in openrouter.requests] == ["GET", "GET"]
    assert openrouter.request.query == {"again": "1"}
    with ScriptedOpenRouter() as elsewhere:
        openrouter.on("GET", "/key").answers(error(307, "x", headers={"Location": f"{elsewhere.base_url}/key"}))
        with pytest.raises(APIError, match="points to"):
            ask("key_status", endpoint)
        assert elsewhere.requests == []


def test_headers_go_along(openrouter: ScriptedOpenRouter, make: Make, ask: Ask) -> None:
    ask("key_status", make(extra_headers={"X-Gateway": Secret.from_token(HEADER), "X-Team": "tides"}))
    sent = openrouter.request.headers
    assert (sent["x-gateway"], sent["x-team"]) == (HEADER, "tides")
    assert sent["user-agent"].startswith("orchat/")


def test_a_generators_parameters_fit(openrouter: ScriptedOpenRouter) -> None:
    from orchat.openrouter.generator import OpenRouterChatGenerator

    generator = OpenRouterChatGenerator(api_key=Secret.from_token(KEY), api_base_url=openrouter.base_url)
    names = ("api_base_url", "api_key", "timeout", "extra_headers", "max_retries", "http_client_kwargs")
    endpoint = JsonEndpoint(**{name: getattr(generator, name) for name in names})
    assert endpoint.get(JsonQuery("/key")) == KEY_STATUS


def test_an_answer_in_pieces_is_read_whole(openrouter: ScriptedOpenRouter, endpoint: JsonEndpoint, ask: Ask) -> None:
    openrouter.on("GET", "/key").answers(reply_json({"data": {"label": "Žižkov \u2028 tides"}}).cut(1))
    assert ask("key_status", endpoint).label == "Žižkov \u2028 tides"


FAILURES: dict[str, tuple[dict[str, Any], Any]] = {
    "refused": ({}, error(401, f"Key {KEY} of {USER_ID} and {HEADER} are wrong")),
    "error inside": ({}, reply_json({"error": {"message": f"{KEY} {HEADER}"}, "user_id": USER_ID})),
    "no JSON": ({}, raw(f"<p>{KEY} {HEADER} {USER_ID}".encode())),
    "no data": ({}, reply_json({"echo": [KEY, HEADER, USER_ID]})),
    "no figures": ({}, reply_json({"data": [KEY, HEADER]})),
    "hangs up": ({}, wire()),
    "cut": ({}, reply_json({"data": {"label": f"{KEY} {HEADER}"}}).first(60).ending("reset")),
    "slow": ({"timeout": 0.2}, reply_json({"data": {}}).delayed(2)),
    "elsewhere": ({}, error(307, "x", headers={"Location": f"http://elsewhere.invalid/?k={KEY}"})),
    "nobody": ({"api_base_url": "http://127.0.0.1:9/v1"}, None),
    "bad key": ({"api_key": Secret.from_token(KEY + "\n\x00ü")}, None),
    "bad header": ({"extra_headers": {"X-A": Secret.from_token(HEADER + "ü")}}, None),
    "bad timeout": ({"timeout": -1}, None),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_no_error_holds_a_key_in_any_attribute_or_frame_of_ours(
    openrouter: ScriptedOpenRouter, make: Make, ask: Ask, failure: str
) -> None:
    parameters, answer = FAILURES[failure]
    if answer is not None:
        openrouter.on("GET", "/key").always(answer)
    endpoint = make(**({"extra_headers": {"X-Gateway": Secret.from_token(HEADER)}} | parameters))
    with pytest.raises((OrchatError, TypeError)) as caught:
        ask("key_status", endpoint)
    chain: list[BaseException] = [caught.value]
    while (below := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(below)
    for one in chain:
        check(str(one) + repr(one) + repr(vars(one)) + repr(one.args))
        for frame, _ in traceback.walk_tb(one.__traceback__):
            if "/orchat/" in frame.f_code.co_filename:
                check(repr(frame.f_locals))
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_an_answer_that_repeats_the_key_puts_it_nowhere(
    openrouter: ScriptedOpenRouter, make: Make, ask: Ask, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def echo(request: Request) -> Any:
        return reply_json({"data": [{"id": "vendor/m", "description": f"{request.headers['authorization']} {HEADER}"}]})

    caplog.set_level(logging.DEBUG)
    openrouter.on("GET", "/models").always(echo)
    endpoint = make(extra_headers={"X-Gateway": Secret.from_token(HEADER)})
    found = ask("load_catalog", endpoint)
    assert found.models[0].description == "Bearer [redacted] [redacted]"
    check("".join(path.read_text() for path in cache.iterdir()) + repr(found.models[0].raw) + repr(endpoint))
    for record in caplog.records:
        check(record.getMessage() + repr(record.args))


def test_an_old_lists_failure_shows_no_key(openrouter: ScriptedOpenRouter, make: Make) -> None:
    endpoint = make()
    load_catalog(endpoint)
    openrouter.on("GET", "/models").always(error(401, f"Key {KEY} is wrong"))
    failure = load_catalog(endpoint, refresh=True).failure
    assert failure is not None
    check(str(failure) + repr(vars(failure)))
    assert (failure.__traceback__, failure.__context__, failure.__cause__) == (None, None, None)


def test_a_header_that_no_header_can_be_is_a_setting_to_correct(make: Make, ask: Ask) -> None:
    with pytest.raises(ConfigurationError, match="no header can carry"):
        ask("key_status", make(extra_headers={"X-A": "ü"}))


@pytest.mark.parametrize(("own", "of_query"), [(30.0, 0.3), (0.3, 30.0)])
def test_the_shorter_timeout_counts(openrouter: ScriptedOpenRouter, make: Make, own: float, of_query: float) -> None:
    openrouter.on("GET", "/key").always(reply_json({"data": {}}).delayed(60))
    with pytest.raises(APITimeoutError):
        make(timeout=own).get(JsonQuery("/key", timeout=of_query))
    assert openrouter.request.client_closed.wait(PATIENCE)
