"""Headers: what is sent, who may change it, and where a key never goes."""

from __future__ import annotations

import asyncio
import ssl

import httpx
import pytest

from orchat.errors import APIError, ConfigurationError, MissingKeyError
from orchat.openrouter.completion_request import RequestTemplate
from orchat.openrouter.generator import OpenRouterChatGenerator
from orchat.secret import Secret
from tests.generator.ways import KEY, Way
from tests.openrouter_server import ScriptedOpenRouter, error, raw, text

OTHER_KEY = "sk-other-service-0123456789"

BOTH_PACKAGES = True


@pytest.fixture
def second():
    """A server that nobody may ask."""
    with ScriptedOpenRouter(validate=False) as server:
        yield server


def values(request, name: str) -> list[str]:
    """All values of a header, for one may be sent twice."""
    return [value for given, value in request.headers.pairs if given.lower() == name.lower()]


def test_the_key_is_in_the_authorization_header_and_nowhere_else(openrouter, generator, way: Way) -> None:
    way(generator)
    request = openrouter.request
    assert values(request, "authorization") == [f"Bearer {KEY}"]
    assert sum(KEY in value for _, value in request.headers.pairs) == 1
    assert KEY.encode() not in request.body
    assert KEY not in request.target


def test_the_plain_headers_are_those_of_a_json_api(openrouter, generator, way: Way) -> None:
    way(generator)
    headers = openrouter.request.headers
    assert headers["content-type"] == "application/json"
    assert headers["user-agent"].startswith("orchat/")
    assert headers["accept"] == ("text/event-stream, application/json" if way.streams else "application/json")
    assert "x-openrouter-title" not in headers  # for OpenRouter itself only


def test_a_key_that_is_not_needed_is_not_sent_and_no_other_services_is(
    openrouter, make, way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", OTHER_KEY)
    for key in (Secret.from_env_var("OPENROUTER_API_KEY", strict=False), None):
        way(make(api_key=key))
        assert "authorization" not in openrouter.request.headers
        assert OTHER_KEY not in str(openrouter.request.headers)


def test_a_missing_key_is_a_value_error_and_nothing_is_asked(openrouter, make, way: Way) -> None:
    with pytest.raises(ValueError, match=r"None of the .* environment variables are set") as caught:
        way(make(api_key=Secret.from_env_var("OPENROUTER_API_KEY")))
    assert isinstance(caught.value, MissingKeyError)
    assert openrouter.requests == []


@pytest.mark.parametrize("strict", [True, False])
def test_an_empty_key_is_a_missing_one(openrouter, make, way: Way, strict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", " \n")
    with pytest.raises(MissingKeyError, match="is empty"):
        way(make(api_key=Secret.from_env_var("OPENROUTER_API_KEY", strict=strict)))
    assert openrouter.requests == []


def test_white_space_around_a_key_is_no_part_of_it(openrouter, make, driver: Way) -> None:
    driver(make(api_key=Secret.from_token(f" {KEY}\r\n")))
    assert openrouter.request.headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("bad", [f"{KEY}\r\nX-Evil: 1", f"{KEY}ü", f"{KEY}\x00"])
def test_a_key_that_no_header_can_carry_is_refused_unseen(openrouter, make, way: Way, bad: str) -> None:
    with pytest.raises(ConfigurationError, match="the API key") as caught:
        way(make(api_key=Secret.from_token(bad)))
    assert KEY not in str(caught.value)
    assert openrouter.requests == []


def test_a_key_is_read_when_it_is_needed(openrouter, make, driver: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = make(api_key=Secret.from_env_var(["FIRST_KEY", "SECOND_KEY"]))
    monkeypatch.setenv("SECOND_KEY", "second-key")
    driver(generator)
    monkeypatch.setenv("FIRST_KEY", "first-key")
    driver(generator)
    assert [r.headers["authorization"] for r in openrouter.requests] == ["Bearer second-key", "Bearer first-key"]


def test_extra_headers_are_sent_with_each_request(openrouter, make, way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_KEY", "gateway-0123")
    headers = {
        "HTTP-Referer": "https://example.org",
        "X-Gateway": Secret.from_env_var("GATEWAY_KEY"),
        "X-Token": Secret.from_token("token-0123"),
        "X-Absent": Secret.from_env_var("NOT_SET", strict=False),
    }
    generator = make(extra_headers=headers)
    way(generator)
    way(generator)
    for request in openrouter.requests:
        assert request.headers["http-referer"] == "https://example.org"
        assert request.headers["x-gateway"] == "gateway-0123"
        assert request.headers["x-token"] == "token-0123"
        assert "x-absent" not in request.headers
    assert generator.extra_headers is headers


def test_extra_headers_of_a_call_are_headers_and_not_in_the_body(openrouter, make, way: Way) -> None:
    generator = make(
        extra_headers={"X-A": "init", "X-B": "init"}, generation_kwargs={"extra_headers": {"X-C": "kwargs"}}
    )
    way(generator, generation_kwargs={"extra_headers": {"x-b": "call", "X-D": Secret.from_token("d-token")}})
    request = openrouter.request
    assert values(request, "x-a") == ["init"]
    assert values(request, "x-b") == ["call"]
    assert values(request, "x-d") == ["d-token"]
    assert "extra_headers" not in request.json
    way(generator)
    assert values(openrouter.request, "x-c") == ["kwargs"]
    assert values(openrouter.request, "x-b") == ["init"]


@pytest.mark.parametrize("name", ["Authorization", "authorization", "AUTHORIZATION"])
def test_extra_headers_may_replace_the_key(openrouter, make, way: Way, name: str) -> None:
    way(make(extra_headers={name: "Basic dXNlcjpwYXNz"}))
    assert values(openrouter.request, "authorization") == ["Basic dXNlcjpwYXNz"]


@pytest.mark.parametrize("name", ["User-Agent", "user-agent", "Accept", "ACCEPT"])
def test_extra_headers_replace_the_plain_ones_whatever_their_case(openrouter, make, way: Way, name: str) -> None:
    way(make(extra_headers={name: "application/json"}))
    assert values(openrouter.request, name) == ["application/json"]


@pytest.mark.parametrize("value", [None, 1, b"x", ["x"]])
def test_a_header_that_is_no_text_is_a_type_error(openrouter, make, way: Way, value) -> None:
    with pytest.raises(TypeError, match="X-Number must be a str or a Secret"):
        way(make(extra_headers={"X-Number": value}))
    assert openrouter.requests == []


@pytest.mark.parametrize(
    "headers", [{"X-Bad": "a\r\nX-Evil: 1"}, {"X-Bad": "ü"}, {"X Bad": "a"}, {"": "a"}, {"X:": "a"}]
)
def test_a_header_that_cannot_be_sent_is_a_value_error(openrouter, make, way: Way, headers) -> None:
    with pytest.raises(ConfigurationError, match="header"):
        way(make(extra_headers=headers))
    assert openrouter.requests == []


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_host_is_refused_and_no_request_goes_there(openrouter, second, make, way, status) -> None:
    target = f"{second.base_url}/chat/completions?key={KEY}"
    openrouter.always(raw(b"", status=status).headers({"Location": target}))
    with pytest.raises(APIError, match=f"HTTP {status}") as caught:
        way(make(max_retries=3, extra_headers={"X-Gateway": Secret.from_token("gateway-0123")}))
    assert second.requests == []
    assert second.connections == 0
    assert len(openrouter.requests) == 1
    assert KEY not in str(caught.value)
    assert "api_base_url" in caught.value.hint


def test_a_redirect_to_another_scheme_is_another_host(openrouter, generator, way: Way) -> None:
    target = openrouter.base_url.replace("http:", "https:") + "/chat/completions"
    openrouter.always(raw(b"", status=307).headers({"Location": target}))
    with pytest.raises(APIError, match="HTTP 307"):
        way(generator)
    assert openrouter.connections == 1


@pytest.mark.parametrize("status", [307, 308])
@pytest.mark.parametrize("relative", [True, False])
def test_a_redirect_on_the_same_host_is_followed_with_body_and_key(openrouter, make, way, status, relative) -> None:
    target = "/api/v1/moved" if relative else f"{openrouter.base_url}/moved"
    openrouter.always(raw(b"", status=status).headers({"Location": target}))
    openrouter.on("POST", "/moved").always(text("Moved."))
    generator = make(extra_headers={"X-Gateway": Secret.from_token("gateway-0123")})
    assert way(generator).text == "Moved."
    first, moved = openrouter.requests
    assert (moved.body, moved.headers["authorization"]) == (first.body, f"Bearer {KEY}")
    assert moved.headers["x-gateway"] == "gateway-0123"


@pytest.mark.parametrize("location", ["/api/v1/chat/completions", "http://[::bad", "", "ftp://127.0.0.1/x"])
def test_a_redirect_that_leads_nowhere_is_an_error(openrouter, generator, way: Way, location: str) -> None:
    openrouter.always(raw(b"", status=308).headers({"Location": location}))
    with pytest.raises(APIError):
        way(generator)
    assert len(openrouter.requests) <= 4


def test_http_client_kwargs_reach_both_clients(openrouter, make, way: Way) -> None:
    generator = make(
        http_client_kwargs={
            "headers": {"X-Client": "mine", "User-Agent": "mine/1"},
            "cookies": {"session": "abc"},
            "limits": {"max_connections": 7, "max_keepalive_connections": 3},
            "follow_redirects": True,
        }
    )
    way(generator)
    headers = openrouter.request.headers
    assert (headers["x-client"], headers["cookie"], headers["user-agent"]) == ("mine", "session=abc", "mine/1")
    assert headers["content-type"] == "application/json"


def test_a_transport_of_ones_own_is_used_by_both_clients(make, way: Way) -> None:
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, json={"choices": [{"message": {"content": "Mocked."}, "finish_reason": "stop"}]})

    for more in ({}, {"timeout": None}):  # it has no socket that a deadline could shut down
        assert way(make(http_client_kwargs={"transport": httpx.MockTransport(answer)} | more)).text == "Mocked."
    assert len(seen) == 2


def test_a_transport_of_ones_own_that_drops_requests_is_not_asked_again(make, way: Way) -> None:
    seen = []

    def drop(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        raise httpx.ReadError("gone")

    with pytest.raises(APIError, match="without an answer"):
        way(make(max_retries=3, http_client_kwargs={"transport": httpx.MockTransport(drop)}))
    assert len(seen) == 1


def test_an_untrusted_certificate_is_an_error_at_once(make, driver: Way) -> None:
    seen = []

    def refuse(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        raise httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate")

    with pytest.raises(APIError, match="not trusted here"):
        driver(make(max_retries=3, http_client_kwargs={"transport": httpx.MockTransport(refuse)}))
    assert len(seen) == 1


@pytest.mark.parametrize("value", ["proxy", ["proxy"], 1])
def test_http_client_kwargs_that_are_no_dict_are_a_type_error(value) -> None:
    with pytest.raises(TypeError, match="http_client_kwargs must be a dict"):
        OpenRouterChatGenerator(http_client_kwargs=value)


@pytest.mark.parametrize("kwargs", [{"no_such_argument": 1}, {"limits": {"no_such_limit": 1}}])
def test_arguments_that_httpx_does_not_know_are_a_type_error(make, driver: Way, kwargs) -> None:
    with pytest.raises(TypeError, match="no_such"):
        driver(make(http_client_kwargs=kwargs))


def test_the_given_http_client_kwargs_stay_as_they_are(make, driver: Way) -> None:
    kwargs = {"limits": {"max_connections": 1}, "headers": {"X-A": "1"}, "verify": ssl.create_default_context()}
    before = dict(kwargs)
    generator = make(http_client_kwargs=kwargs)
    driver(generator)
    assert kwargs == before


@pytest.mark.parametrize(
    "url",
    [
        "openrouter.ai/api/v1",
        "ftp://x/y",
        "http://",
        "http://[::bad",
        "http://x:65536",
        "http://x:0",
        "http://a b/v1",
        7,
    ],
)
def test_a_base_url_that_is_none_is_a_value_error(make, way: Way, url) -> None:
    with pytest.raises(ConfigurationError, match="is no base URL"):
        way(make(api_base_url=url))


@pytest.mark.parametrize(
    ("url", "whole"), [("localhost:11434/v1", "http://localhost:11434/v1"), ("e.org/v1", "https://e.org/v1")]
)
def test_a_base_url_without_a_scheme_is_told_with_it(make, way: Way, url, whole) -> None:
    with pytest.raises(ConfigurationError, match=rf"is no base URL. Write it with its scheme: {whole}\.$"):
        way(make(api_base_url=url))


@pytest.mark.parametrize("around", ['"{}"', "'{}'", " {}\n", "Bearer {}", '" bearer {} "'])
def test_what_is_pasted_around_a_key_is_no_part_of_it(openrouter, make, way: Way, monkeypatch, around) -> None:
    monkeypatch.setenv("OPENROUTER_API_KEY", around.format(KEY))
    way(make(api_key=Secret.from_env_var("OPENROUTER_API_KEY")))
    assert openrouter.request.headers["authorization"] == f"Bearer {KEY}"


def test_what_an_upstream_repeats_of_a_key_is_hidden(openrouter, make, way: Way) -> None:
    secret = "p4ssw0rd-of-the-gateway"
    openrouter.always(error(401, f"Bad keys: {KEY}, {secret}; send application/json"))
    generator = make(extra_headers={"X-Gateway": Secret.from_token(secret), "X-Title": "send application/json"})
    with pytest.raises(APIError) as caught:
        way(generator)
    shown = str(caught.value) + repr(vars(caught.value))
    assert KEY not in shown
    assert secret not in shown
    assert "send application/json" in shown  # what is no secret stays readable


def test_a_cookie_of_a_response_is_not_kept_and_a_given_one_is_sent(openrouter, make, way: Way) -> None:
    generator = make(http_client_kwargs={"cookies": {"harbour": "hull"}})
    openrouter.always(text("Hi").headers({"Set-Cookie": "caf\xe9=\xff; Path=/"}))
    for _ in range(2):  # the second would fail, and each one after it
        assert way(generator).text == "Hi"
        assert openrouter.request.headers["cookie"] == "harbour=hull"


@pytest.mark.parametrize("cookies", [None, {"tide": "high"}])
def test_each_request_of_many_has_the_head_that_it_has_alone(
    openrouter, make, cookies, monkeypatch: pytest.MonkeyPatch
) -> None:
    openrouter.always(text("Yes."))
    bodies = []

    async def look(request) -> None:
        bodies.append(request.content)
        request.headers["X-Seen"] = str(len(bodies))  # of this one alone
        request.extensions["timeout"]["read"] += len(bodies)
        timeouts.append(request.extensions["timeout"]["read"])

    timeouts: list[float] = []
    monkeypatch.setenv("TIDE_KEY", KEY)
    generator = make(
        api_key=Secret.from_env_var("TIDE_KEY"),
        extra_headers={"X-Place": "Hull"},
        http_client_kwargs={"event_hooks": {"request": [look]}, "cookies": cookies, "params": {"from": "here"}},
    )
    template = RequestTemplate(generator, {"seed": 7}, None, None, None, stream=False)
    questions = ["How high?", "When, at the latest, is it so high that a boat floats?", "é", "Why?"]

    async def ask() -> None:
        await generator.run_async(questions[0], generation_kwargs={"seed": 7})
        for question in questions:
            await generator.answer_async(template, question)
        monkeypatch.setenv("TIDE_KEY", OTHER_KEY)
        await generator.answer_async(template, "Where?")
        await generator.close_async()

    asyncio.run(ask())
    alone, *many = openrouter.requests
    changing = {"content-length", "x-seen", "authorization"}
    heads = [
        (request.target, [pair for pair in request.headers.pairs if pair[0].lower() not in changing])
        for request in openrouter.requests
    ]
    assert heads == [heads[0]] * 6
    assert ("cookie" in alone.headers) is (cookies is not None)
    names = [[name.lower() for name, _ in request.headers.pairs] for request in openrouter.requests]
    assert names == [names[0]] * 6
    assert [request.json["messages"][0]["content"] for request in many] == [*questions, "Where?"]
    assert [request.body for request in openrouter.requests] == bodies
    assert [int(request.headers["content-length"]) for request in many] == [len(request.body) for request in many]
    assert [request.headers["x-seen"] for request in openrouter.requests] == ["1", "2", "3", "4", "5", "6"]
    assert timeouts == [60.0 + number for number in range(1, 7)]
    assert [values(request, "authorization") for request in many[-2:]] == [[f"Bearer {KEY}"], [f"Bearer {OTHER_KEY}"]]
