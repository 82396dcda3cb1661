"""How scripted answers are made and how their bytes travel, seen by plain httpx2."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.openrouter_server import (
    ERROR_SHAPES,
    GENERATION_ID,
    USAGE_SHAPES,
    USER_ID,
    ScriptedOpenRouter,
    call,
    calls,
    comment,
    completion,
    data,
    debug,
    done,
    error,
    error_event,
    event,
    events_of,
    file_annotation,
    finish,
    fragment,
    hold,
    image,
    pause,
    raw,
    reasoning,
    reasoning_encrypted,
    reasoning_signature,
    reply_json,
    sse_bytes,
    stream,
    text,
    tool_call,
    url_citation,
    usage,
    wire,
    words,
)
from tests.openrouter_server.client import STREAM, ask, client, pieces, streamed
from tests.patience import PATIENCE, stretched

# --- vocabulary -------------------------------------------------------------------------------------------------------


def test_both_forms_of_a_reply_say_the_same(openrouter: ScriptedOpenRouter) -> None:
    openrouter.always(
        text(
            "It is high\u2028at \u0085 two. \U0001f30a",
            reasoning="Need the tide.",
            signature="c2ln",
            tool_calls=[call("tide", {"port": "Hull", "when": "today"}), call("now", id="call_2")],
            annotations=[url_citation(), file_annotation()],
            images=["data:image/png;base64,iVBORw0="],
            id="gen-7",
            model="a/b",
        )
    )
    whole = ask(openrouter).json()
    message = whole["choices"][0]["message"]
    chunks = [json.loads(line) for line in streamed(openrouter)[:-1]]
    deltas = [piece["choices"][0]["delta"] for piece in chunks]

    def joined(key: str) -> str:
        return "".join(delta.get(key) or "" for delta in deltas)

    def listed(key: str) -> list[Any]:
        return [item for delta in deltas for item in delta.get(key, [])]

    assert joined("content") == message["content"] == "It is high\u2028at \u0085 two. \U0001f30a"
    assert joined("reasoning") == message["reasoning"] == "Need the tide."
    details = listed("reasoning_details")
    assert "".join(item.get("text", "") for item in details) == message["reasoning_details"][0]["text"]
    assert details[-1]["signature"] == message["reasoning_details"][0]["signature"] == "c2ln"
    assert "text" not in details[-1]
    assert listed("annotations") == message["annotations"]
    assert listed("images") == message["images"]
    for index, given_call in enumerate(message["tool_calls"]):
        fragments = [item for item in listed("tool_calls") if item["index"] == index]
        assert fragments[0]["id"] == given_call["id"]
        assert (
            "".join(item["function"].get("arguments", "") for item in fragments)
            == (given_call["function"]["arguments"])
        )
        assert len([item for item in fragments if "id" in item or "name" in item["function"]]) == 1
    assert all(delta["role"] == "assistant" for delta in deltas)
    assert {piece["id"] for piece in chunks} == {whole["id"]} == {"gen-7"}
    assert chunks[-1]["usage"] == whole["usage"]
    assert chunks[-2]["choices"][0]["finish_reason"] == chunks[-1]["choices"][0]["finish_reason"] == "stop"


def test_the_generation_id_is_a_header_too(openrouter: ScriptedOpenRouter) -> None:
    openrouter.answers(text("x"), stream(event("x", id="gen-9")), reply_json(completion(id="gen-8")), error(400))
    assert [ask(openrouter).headers.get("x-generation-id") for _ in range(4)] == [
        GENERATION_ID,
        "gen-9",
        "gen-8",
        None,
    ]


def test_calls_end_with_the_reason_tool_calls(openrouter: ScriptedOpenRouter) -> None:
    openrouter.answers(calls(call("tide", {"port": "Hull"})))
    choice = ask(openrouter).json()["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    assert json.loads(choice["message"]["tool_calls"][0]["function"]["arguments"]) == {"port": "Hull"}


def test_usage_in_its_three_shapes() -> None:
    shapes = {shape: usage(5, 6, shape=shape, cost=None, upstream_cost=0.5)["choices"] for shape in USAGE_SHAPES}
    assert shapes["empty"] == []
    assert shapes["repeated"][0]["finish_reason"] == "stop"
    assert shapes["null"][0]["finish_reason"] is None
    figures = usage(5, 6, cost=None, upstream_cost=0.5)["usage"]
    assert (figures["total_tokens"], figures["cost"]) == (11, None)
    assert figures["cost_details"]["upstream_inference_cost"] == 0.5


def test_error_chunks_in_their_four_shapes() -> None:
    chunks = {shape: error_event("Gone", "server_error", None, shape=shape) for shape in ERROR_SHAPES}
    assert all(
        item["error"] == {"code": "server_error", "message": "Gone", "metadata": None} for item in chunks.values()
    )
    assert chunks["error"]["choices"][0]["finish_reason"] == "error"
    assert chunks["null"]["choices"][0]["finish_reason"] is None
    assert chunks["empty"]["choices"] == []
    assert "choices" not in chunks["absent"]


def test_a_field_not_given_is_left_out_and_none_is_null() -> None:
    assert fragment(None, None, id=None, index=None) == {
        "id": None,
        "type": "function",
        "function": {"name": None, "arguments": None},
    }
    assert fragment(index=3) == {"index": 3, "function": {}}
    assert tool_call("tide", "")["choices"][0]["delta"]["content"] is None
    assert "index" not in reasoning("a", index=None)["choices"][0]["delta"]["reasoning_details"][0]
    assert debug()["choices"] == []
    assert reasoning_encrypted("b3BhcXVl")["choices"][0]["delta"]["reasoning_details"][0]["data"] == "b3BhcXVl"
    assert "text" not in reasoning_signature()["choices"][0]["delta"]["reasoning_details"][0]
    assert image()["choices"][0]["delta"]["images"][0]["image_url"]["url"].startswith("data:image/png;base64,")


@given(st.text())
def test_words_lose_nothing(said: str) -> None:
    assert "".join(words(said)) == said


@pytest.mark.parametrize("newline", ["\n", "\r", "\r\n"])
def test_bytes_without_a_server(newline: str) -> None:
    body = sse_bytes(
        comment(), [event("\u2028"), pause(9)], data("{broken"), b"data: as is\n\n", done(), newline=newline
    )
    request = httpx2.Request("POST", "http://127.0.0.1/")
    response = httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body, request=request)
    found = [sse.data for sse in httpx2.EventSource(response)]
    assert json.loads(found[0])["choices"][0]["delta"]["content"] == "\u2028"
    assert found[1:] == ["{broken", "as is", "[DONE]"]
    assert body.startswith(f": OPENROUTER PROCESSING{newline * 2}data: {{".encode())
    assert "\u2028".encode() in body  # not escaped, as OpenRouter sends it


def test_finish_and_native_reason() -> None:
    assert finish("stop", "end_turn")["choices"][0]["native_finish_reason"] == "end_turn"
    assert finish("length")["choices"][0]["native_finish_reason"] == "length"


# --- how bytes travel -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("newline", ["\n", "\r", "\r\n"])
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_cutting_changes_the_pieces_and_not_the_content(
    openrouter: ScriptedOpenRouter, size: int, newline: str
) -> None:
    items = events_of("It rains \U0001f327 in Hull.")
    openrouter.answers(stream(items).cut(size).newlines(newline))
    got = pieces(openrouter)
    assert b"".join(got) == sse_bytes(items, newline=newline)
    assert {len(piece) for piece in got[:-1]} <= {size}


def test_cuts_at_offsets_and_items_as_pieces(openrouter: ScriptedOpenRouter) -> None:
    openrouter.answers(stream(b"abcdef", b"ghi").cut_at(7, 2, 99), stream(b"abcdef", b"ghi"))
    assert pieces(openrouter) == [b"ab", b"cdefg", b"hi"]
    assert pieces(openrouter) == [b"abcdef", b"ghi"]


@given(st.lists(st.binary(max_size=9), max_size=5), st.integers(1, 12), st.integers(0, 50))
def test_any_cut_keeps_the_bytes(parts: list[bytes], size: int, first: int) -> None:
    whole = b"".join(parts)
    assert b"".join(step for step in stream(parts).cut(size).steps(True) if isinstance(step, bytes)) == whole
    assert b"".join(step for step in stream(parts).first(first).steps(True) if isinstance(step, bytes)) == whole[:first]


def test_waits_stay_in_their_place_when_cut() -> None:
    wait = pause(1)
    assert stream(b"abc", b"d", wait, b"ef").cut(3).steps(True) == [b"abc", b"d", wait, b"ef"]
    assert stream(b"abc", wait, b"def").cut(2).steps(True) == [b"ab", b"c", wait, b"d", b"ef"]


def test_pauses_and_pace(openrouter: ScriptedOpenRouter) -> None:
    openrouter.answers(stream(b"a", pause(0.05), b"b").delayed(0.05), stream(b"a", b"b", b"c").paced(0.05))
    for least in (0.1, 0.1):
        start = time.monotonic()
        pieces(openrouter)
        assert least <= time.monotonic() - start < stretched(2)


def test_a_held_answer_waits_for_the_test(openrouter: ScriptedOpenRouter) -> None:
    head, middle = threading.Event(), threading.Event()
    openrouter.answers(stream(b"one", hold(middle), b"two").held(head))
    with client(openrouter) as http:
        answered: list[bytes] = []

        def read() -> None:
            with http.stream("POST", "/chat/completions", json=STREAM) as response:
                answered.append(b"head")
                answered.extend(response.iter_raw())

        reader = threading.Thread(target=read)
        reader.start()
        request = openrouter.wait_for_requests()[0]
        time.sleep(0.05)
        assert answered == []
        head.set()
        while len(answered) < 2:
            time.sleep(0.005)
        time.sleep(0.05)
        assert answered == [b"head", b"one"]
        assert not request.answered.is_set()
        middle.set()
        reader.join(PATIENCE)
    assert answered == [b"head", b"one", b"two"]
    assert request.answered.wait(PATIENCE)


def test_endings_of_a_stream(openrouter: ScriptedOpenRouter) -> None:
    openrouter.answers(*(stream(event("a")).ending(end) for end in ("complete", "eof", "half-close", "reset", "stall")))
    with client(openrouter) as http:
        outcomes = []
        for _ in range(5):
            with http.stream("POST", "/chat/completions", json=STREAM, timeout=stretched(0.3)) as response:
                seen = b""
                try:
                    for piece in response.iter_raw():
                        seen += piece
                    outcomes.append("fine")
                except httpx2.HTTPError as problem:
                    outcomes.append(type(problem).__name__)
                assert seen == sse_bytes(event("a"))
    assert outcomes == ["fine", "RemoteProtocolError", "RemoteProtocolError", "ReadError", "ReadTimeout"]


def test_a_body_shorter_than_its_length(openrouter: ScriptedOpenRouter) -> None:
    openrouter.answers(reply_json(completion()).first(20).ending("eof"))
    with pytest.raises(httpx2.RemoteProtocolError, match="without sending complete message body"):
        ask(openrouter)


def test_closing_as_the_end_of_the_body(openrouter: ScriptedOpenRouter) -> None:
    openrouter.answers(text("Hello").framed("close"), text("Hello").framed("length"))
    response = ask(openrouter, STREAM)
    assert "content-length" not in response.headers
    assert "transfer-encoding" not in response.headers
    assert response.content == ask(openrouter, STREAM).content


def test_any_status_header_and_body(openrouter: ScriptedOpenRouter) -> None:
    openrouter.answers(
        raw(b"<html>Bad gateway</html>", status=502, content_type="text/html"),
        raw(),
        error(529, "Busy.", metadata={"provider_name": "P"}, headers={"Retry-After": "3", "content-type": None}),
        error("server_error", status=200, user_id=None, availability={"retryable": True}),
        wire(b"HTTP/1.1 204 Nothing\r\n\r\n"),
    )
    html, empty, busy, hidden, nothing = (ask(openrouter) for _ in range(5))
    assert (html.status_code, html.headers["content-type"], html.text) == (502, "text/html", "<html>Bad gateway</html>")
    assert (empty.status_code, empty.content) == (200, b"")
    assert (busy.status_code, busy.headers["retry-after"]) == (529, "3")
    assert "content-type" not in busy.headers
    assert busy.json() == {
        "error": {"code": 529, "message": "Busy.", "metadata": {"provider_name": "P"}},
        "user_id": USER_ID,
    }
    assert hidden.status_code == 200
    assert hidden.json()["error"]["code"] == "server_error"
    assert (nothing.status_code, nothing.reason_phrase) == (204, "Nothing")


def test_a_two_megabyte_line(openrouter: ScriptedOpenRouter) -> None:
    url = "data:image/png;base64," + "A" * 2_000_000
    openrouter.answers(stream(image(url), done()))
    assert json.loads(streamed(openrouter)[0])["choices"][0]["delta"]["images"][0]["image_url"]["url"] == url
