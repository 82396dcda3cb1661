"""The scripted OpenRouter keeps connections, records requests, refuses bad ones and stops, as tests rely on."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest
from openrouter.components import Model

from tests.openrouter_server import (
    DEFAULT_TEXT,
    KEY_STATUS,
    MODELS,
    ScriptedOpenRouter,
    done,
    event,
    hold,
    image,
    pause,
    reply_json,
    sse_bytes,
    stream,
    text,
    wire,
)
from tests.openrouter_server.answers import Answer, chunk
from tests.openrouter_server.client import BODY, STREAM, ask, client, streamed
from tests.patience import PATIENCE, stretched, wait_until


def server_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("openrouter-")}


# --- without a script -------------------------------------------------------------------------------------------------


def test_answers_streamed_and_whole_without_a_script(openrouter: ScriptedOpenRouter) -> None:
    events = streamed(openrouter)
    assert events[-1] == "[DONE]"
    deltas = [choice["delta"] for line in events[:-1] for choice in json.loads(line)["choices"]]
    assert "".join(delta["content"] for delta in deltas) == DEFAULT_TEXT
    assert ask(openrouter).json()["choices"][0]["message"]["content"] == DEFAULT_TEXT


def test_an_unknown_path_is_openrouters_404(openrouter: ScriptedOpenRouter) -> None:
    with client(openrouter) as http:
        response = http.get("/nothing")
    assert response.status_code == 404
    assert response.json() == {"error": {"code": 404, "message": "Not Found"}}


def test_other_routes_are_scripted_by_method_and_path(openrouter: ScriptedOpenRouter) -> None:
    openrouter.on("GET", "/models").always(reply_json({"data": [{"id": "a/b"}]}))
    openrouter.on("get", "/credits").answers(lambda request: reply_json({"data": dict(request.query)}))
    with client(openrouter) as http:
        assert http.get("/models").json() == http.get("/models").json() == {"data": [{"id": "a/b"}]}
        assert http.get("/credits?label=x%20y").json() == {"data": {"label": "x y"}}
        assert http.get("/credits").status_code == 404
        assert http.post("/models").status_code == 404


def test_models_and_a_key_are_known_without_a_script(openrouter: ScriptedOpenRouter) -> None:
    with client(openrouter) as http:
        writers, every = http.get("/models").json(), http.get("/models?output_modalities=all").json()
        assert http.get("/key").json() == {"data": KEY_STATUS}
        assert http.post("/key").status_code == 404
    assert every["data"] == MODELS
    assert 0 < writers["total_count"] == len(writers["data"]) < len(MODELS)
    for entry in MODELS:
        if len(entry) > 1:  # the other one lacks on purpose what the official types insist on
            Model.model_validate(entry)


def test_the_queue_comes_before_the_standing_answer(openrouter: ScriptedOpenRouter) -> None:
    openrouter.answers(text("one"), text("two"))
    openrouter.always(text("rest"))
    said = [ask(openrouter).json()["choices"][0]["message"]["content"] for _ in range(4)]
    assert said == ["one", "two", "rest", "rest"]


# --- connections ------------------------------------------------------------------------------------------------------


def test_a_connection_serves_many_requests(openrouter: ScriptedOpenRouter) -> None:
    with client(openrouter) as http:
        for body in (BODY, STREAM, BODY):
            http.post("/chat/completions", json=body)
    assert openrouter.connections == 1
    assert [request.reused for request in openrouter.requests] == [False, True, True]
    assert [request.connection for request in openrouter.requests] == [1, 1, 1]
    ask(openrouter, headers={"Connection": "close"})
    assert openrouter.request.connection == 2


def test_a_connection_without_a_request_is_nobody_of_ours(openrouter: ScriptedOpenRouter) -> None:
    with socket.create_connection(("127.0.0.1", int(openrouter.origin.rpartition(":")[2]))) as stray:
        stray.sendall(b"\xff\x00\x00")
        ask(openrouter)
        assert openrouter.connections == 1


def test_a_pooled_connection_closed_while_idle(openrouter: ScriptedOpenRouter) -> None:
    openrouter.answers(text("one").ending("drop"), text("two"))
    with client(openrouter) as http:
        http.post("/chat/completions", json=BODY)
        assert wait_until(lambda: openrouter.open_connections == 0)
        assert http.post("/chat/completions", json=BODY).json()["choices"][0]["message"]["content"] == "two"
    assert openrouter.connections == 2


@pytest.mark.parametrize("ending", ["eof", "reset"])
def test_a_pooled_connection_closed_under_a_request(openrouter: ScriptedOpenRouter, ending: Any) -> None:
    openrouter.answers(text("one"), wire(ending=ending), text("three"))
    with client(openrouter) as http:
        http.post("/chat/completions", json=BODY)
        with pytest.raises((httpx2.RemoteProtocolError, httpx2.ReadError)):
            http.post("/chat/completions", json=BODY)
        assert http.post("/chat/completions", json=BODY).status_code == 200
    assert [(request.connection, request.reused) for request in openrouter.requests] == [
        (1, False),
        (1, True),
        (2, False),
    ]


@pytest.mark.parametrize(
    "answer",
    [
        stream(event("a")).ending("stall"),
        stream(event("a"), pause(60)),
        stream(event("a"), hold(threading.Event())),
        stream(event("a"), [event("b")] * 10_000).paced(0.01),
        stream(event("a"), [image("A" * 100_000)] * 1_000),
    ],
    ids=["stall", "pause", "hold", "paced", "large"],
)
def test_a_client_that_leaves_is_noticed(openrouter: ScriptedOpenRouter, answer: Answer) -> None:
    openrouter.answers(answer)
    with client(openrouter) as http, http.stream("POST", "/chat/completions", json=STREAM) as response:
        body = response.iter_raw()  # kept: when it is collected, httpx closes the connection
        next(body)
        assert not openrouter.request.client_closed.is_set()
        left_at = time.monotonic()
    assert openrouter.request.client_closed.wait(PATIENCE)
    assert openrouter.request.client_closed_at is not None
    assert -0.05 < openrouter.request.client_closed_at - left_at < stretched(1)
    assert openrouter.request.answered.wait(PATIENCE)


def test_a_client_that_leaves_before_the_first_byte_is_noticed(openrouter: ScriptedOpenRouter) -> None:
    openrouter.answers(text("late").delayed(60))

    async def leave() -> None:
        async with httpx2.AsyncClient(base_url=openrouter.base_url, trust_env=False) as http:
            task = asyncio.create_task(http.post("/chat/completions", json=BODY))
            await asyncio.to_thread(openrouter.wait_for_requests)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(leave())
    assert openrouter.request.client_closed.wait(PATIENCE)


def test_a_client_that_reads_everything_did_not_leave(openrouter: ScriptedOpenRouter) -> None:
    streamed(openrouter)
    assert openrouter.request.answered.wait(PATIENCE)
    assert not openrouter.request.client_closed.is_set()


def test_many_clients_at_once(openrouter: ScriptedOpenRouter) -> None:
    openrouter.always(text("a b c").paced(0.01))

    async def all_of_them() -> list[httpx2.Response]:
        async with httpx2.AsyncClient(base_url=openrouter.base_url, trust_env=False) as http:
            return await asyncio.gather(*(http.post("/chat/completions", json=STREAM) for _ in range(30)))

    assert len({response.content for response in asyncio.run(all_of_them())}) == 1
    assert len(openrouter.requests) == openrouter.connections == 30


# --- record -----------------------------------------------------------------------------------------------------------


def test_the_request_is_recorded(openrouter: ScriptedOpenRouter) -> None:
    ask(openrouter, headers={"X-Title": "orchat", "Authorization": "Bearer k"}, params={"a": "1"})
    request = openrouter.request
    assert (request.method, request.path, request.query) == ("POST", "/chat/completions", {"a": "1"})
    assert request.target == "/api/v1/chat/completions?a=1"
    assert request.headers["x-title"] == request.headers["X-TITLE"] == "orchat"
    assert "AUTHORIZATION" in request.headers
    assert request.headers.get("nothing") is None
    assert json.loads(request.body) == request.json == BODY
    assert not request.streaming
    with pytest.raises(AssertionError, match="1 requests arrived"):
        openrouter.wait_for_requests(2, timeout=0.01)


def test_a_chunked_request_body(openrouter: ScriptedOpenRouter) -> None:
    def parts() -> Any:
        yield from (bytes([byte]) for byte in json.dumps(BODY).encode())

    with client(openrouter) as http:
        for _ in range(2):
            sent = http.post("/chat/completions", content=parts(), headers={"Content-Type": "application/json"})
            assert sent.status_code == 200
    assert openrouter.request.json == BODY


def test_expect_100_continue(openrouter: ScriptedOpenRouter) -> None:
    body = json.dumps(BODY).encode()
    host, port = openrouter.origin.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as sock:
        sock.sendall(
            b"POST /api/v1/chat/completions HTTP/1.1\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body)
        )
        assert sock.recv(100).startswith(b"HTTP/1.1 100")
        sock.sendall(body)
        assert sock.recv(100).startswith(b"HTTP/1.1 200 OK\r\n")


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_a_required_key(openrouter: ScriptedOpenRouter) -> None:
    openrouter.required_key = "sk-or-v1-right"
    answers = [ask(openrouter, headers=headers) for headers in ({}, {"Authorization": "Bearer wrong"})]
    assert [answer.status_code for answer in answers] == [401, 401]
    assert [answer.json()["error"]["message"] for answer in answers] == [
        "No cookie auth credentials found",
        "User not found.",
    ]
    assert ask(openrouter, headers={"Authorization": "Bearer sk-or-v1-right"}).status_code == 200


@pytest.fixture
def unchecked() -> Any:
    """A server whose failures are looked at by the test itself."""
    with ScriptedOpenRouter() as server:
        yield server


def test_an_invalid_request_is_a_400_and_a_failure(unchecked: ScriptedOpenRouter) -> None:
    unchecked.answers(text("kept"))
    refused = ask(unchecked, BODY | {"max_token": 3})
    assert refused.status_code == 400
    assert "max_token" in refused.json()["error"]["message"]
    with pytest.raises(AssertionError, match="chat request 1: max_token: the official models do not know this key"):
        unchecked.check()
    assert ask(unchecked).json()["choices"][0]["message"]["content"] == "kept"


@pytest.mark.parametrize(
    ("content", "content_type", "problem"),
    [
        (b"[]", "application/json", "the body is no JSON object"),
        (b"{", "application/json; charset=utf-8", "the body is no JSON object"),
        (json.dumps(BODY).encode(), "text/plain", "Content-Type is 'text/plain'"),
    ],
)
def test_a_body_that_is_no_json(unchecked: ScriptedOpenRouter, content: bytes, content_type: str, problem: str) -> None:
    with client(unchecked) as http:
        sent = http.post("/chat/completions", content=content, headers={"Content-Type": content_type})
    assert sent.status_code == 400
    assert unchecked.failures == [f"chat request 1: {problem}"]


def test_validation_can_be_turned_off_wholly_or_for_a_key(openrouter: ScriptedOpenRouter) -> None:
    openrouter.allowed.add("of_tomorrow")
    assert ask(openrouter, BODY | {"of_tomorrow": 1}).status_code == 200
    openrouter.validate = False
    assert ask(openrouter, {"messages": "none"}).status_code == 200
    assert openrouter.failures == []


def test_unused_answers_are_a_failure_only_if_asked_for(unchecked: ScriptedOpenRouter) -> None:
    unchecked.answers(text("a"), text("b"))
    ask(unchecked)
    unchecked.check()
    unchecked.must_use_all = True
    with pytest.raises(AssertionError, match="1 scripted answers of POST /chat/completions were not asked for"):
        unchecked.check()


def test_a_script_that_raises_is_a_failure(unchecked: ScriptedOpenRouter) -> None:
    def broken(request: object) -> Answer:
        raise ZeroDivisionError

    unchecked.answers(broken)
    with pytest.raises(httpx2.RemoteProtocolError):
        ask(unchecked)
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        unchecked.check()


def test_bytes_that_are_no_http_are_a_failure(unchecked: ScriptedOpenRouter) -> None:
    host, port = unchecked.origin.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as sock:
        sock.sendall(b"hello\r\n\r\n")
        assert sock.recv(10) == b""
    assert unchecked.failures == ["not an HTTP request: b'hello'"]


# --- life -------------------------------------------------------------------------------------------------------------


def test_stopping_ends_stalled_connections_at_once() -> None:
    before = server_threads()
    server = ScriptedOpenRouter().start()
    server.always(stream(event("a")).ending("stall"))
    with client(server) as http:
        request = http.build_request("POST", "/chat/completions", json=STREAM)
        responses = [http.send(request, stream=True) for _ in range(3)]
        start = time.monotonic()
        server.stop()
        assert time.monotonic() - start < stretched(1)
        for response in responses:
            with pytest.raises(httpx2.RemoteProtocolError):
                response.read()
            response.close()
    assert server_threads() <= before
    assert not any(request.client_closed.is_set() for request in server.requests)
    server.stop()  # twice does no harm
    server.check()
    with pytest.raises(httpx2.ConnectError):
        ask(server)


def test_stopping_ends_a_write_that_nobody_reads() -> None:
    before = server_threads()
    with ScriptedOpenRouter() as server, client(server) as http:
        server.answers(stream([image("A" * 1_000_000)] * 50))
        with http.stream("POST", "/chat/completions", json=STREAM):
            start = time.monotonic()
            server.stop()
            assert time.monotonic() - start < stretched(1)
    assert server_threads() <= before


def test_it_listens_on_the_loopback_only(openrouter: ScriptedOpenRouter) -> None:
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/api/v1", openrouter.base_url)


def test_a_flooded_answer_is_the_same_answer(openrouter: ScriptedOpenRouter) -> None:
    answer = text("a b c")
    openrouter.answers(answer, answer.flooded(), answer.flooded())
    with client(openrouter) as http:
        plain, flooded = (http.post("/chat/completions", json=STREAM).content for _ in range(2))
        assert http.post("/chat/completions", json=BODY).json()["choices"][0]["message"]["content"] == "a b c"
    assert plain == flooded
    assert openrouter.connections == 1
    assert answer.flooded().flood.endswith(chunk(sse_bytes(done())) + b"0\r\n\r\n")


@pytest.mark.parametrize("mode", [["--rate", "100"], ["--flood"]])
def test_the_command_serves_until_its_input_closes(mode: list[str]) -> None:
    command = [sys.executable, "-W", "error", "-m", "tests.openrouter_server", "--tokens", "40", "--key", "k", *mode]
    root = Path(__file__).parents[1]
    with subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        base_url = process.stdout.readline().strip()
        with httpx2.Client(base_url=base_url, headers={"Authorization": "Bearer k"}, trust_env=False) as http:
            for _ in range(2):
                start = time.monotonic()
                with http.stream("POST", "/chat/completions", json=STREAM) as response:
                    events = [json.loads(sse.data) for sse in httpx2.EventSource(response) if sse.data != "[DONE]"]
                took = time.monotonic() - start
                assert sum(bool(choice["delta"]["content"]) for item in events for choice in item["choices"]) == 40
                assert events[-1]["usage"]["completion_tokens"] == 40
                assert took < stretched(0.4) or mode != ["--flood"]
                assert took >= 0.4 or mode == ["--flood"]
            assert http.post("/chat/completions", json=BODY).json()["choices"][0]["finish_reason"] == "stop"
        process.stdin.close()
        assert process.wait(PATIENCE) == 0
