"""Streams that keep a connection open without saying anything, or that are called something else than they are."""

from __future__ import annotations

import json
import time
from threading import Event

import pytest

from orchat.errors import APIConnectionError, APITimeoutError, BadRequestError, ProviderError
from tests.generator.ways import Way
from tests.openrouter_server import (
    comment,
    completion,
    data,
    done,
    error_object,
    event,
    finish,
    hold,
    pause,
    raw,
    sse_bytes,
    stream,
    text,
    tool_call,
    usage,
)
from tests.patience import stretched

KEEP_ALIVES = {
    "comments after an id": [b"id: 7\n", b": ping\n\n"],
    "a named event": [b"", b"event: ping\n\n"],
    "a named event with an empty object": [b"", b"event: ping\ndata: {}\n\n"],
    "retry": [b"", b"retry: 3000\n\n"],
    "empty data": [b"", b"data:\n\n"],
    "null": [b"", b"data: null\n\n"],
    "empty deltas": [b"", b'data: {"choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": null}]}\n\n'],
    "long comments": [b"", b":" + b" " * 4000 + b"\n\n"],
}


@pytest.mark.parametrize("kind", KEEP_ALIVES)
def test_no_keep_alive_holds_up_the_deadline(openrouter, make, driver: Way, kind: str) -> None:
    lead, ping = KEEP_ALIVES[kind]
    timeout = stretched(0.5)
    openrouter.answers(stream(lead, event("Hel"), [ping, pause(timeout / 5)] * 40))
    started = time.monotonic()
    with pytest.raises(APITimeoutError) as caught:
        driver(make(timeout=timeout))
    assert time.monotonic() - started < timeout * 5
    assert caught.value.partial.text == "Hel"


def test_a_long_comment_in_pieces_holds_nothing_up(openrouter, make, driver: Way) -> None:
    openrouter.answers(stream(event("Hel"), b": ", [b"x" * 3000, pause(0.1)] * 40))
    started = time.monotonic()
    with pytest.raises(APITimeoutError):
        driver(make(timeout=0.5))
    assert time.monotonic() - started < stretched(2.5)


@pytest.mark.parametrize("kind", ["text/plain", "application/json", "application/x-ndjson", "TEXT/EVENT-STREAM", None])
def test_an_event_stream_is_read_whatever_it_is_called(openrouter, generator, way: Way, kind: str | None) -> None:
    openrouter.answers(stream(event("Hel"), event("lo"), finish(), usage(), done()).headers({"Content-Type": kind}))
    reply = way(generator)
    assert (reply.text, reply.meta["finish_reason"], reply.meta["usage"]["cost"]) == ("Hello", "stop", 0.00004)
    assert not way.streams or [chunk.content for chunk in way.chunks][:2] == ["Hel", "lo"]


def test_events_of_another_name_arrive_while_they_are_sent(openrouter, generator, driver: Way) -> None:
    gate = Event()
    answer = stream(b":\n\n", event("Hel"), hold(gate), event("lo"), finish(), done()).cut(1)
    openrouter.answers(answer.headers({"Content-Type": "text/plain"}))

    def open_gate(chunk) -> None:
        if chunk.content:
            gate.set()

    if driver.is_async:
        [reply] = driver.runner.run(generator.run_async("Hi", open_gate))["replies"]
    else:
        [reply] = generator.run("Hi", open_gate)["replies"]
    assert reply.text == "Hello"


def test_a_line_for_each_event_is_read(openrouter, generator, streaming: Way) -> None:
    lines = "\n".join(json.dumps(item) for item in (event("Hel"), event("lo"), finish(), usage()))
    openrouter.answers(raw(lines.encode(), content_type="application/x-ndjson"))
    assert streaming(generator).text == "Hello"


def test_a_json_reply_that_is_called_an_event_stream_is_read(openrouter, generator, streaming: Way) -> None:
    openrouter.answers(raw(json.dumps(completion("Hello")).encode(), content_type="text/event-stream"))
    assert streaming(generator).text == "Hello"


def test_an_error_that_is_called_an_event_stream_keeps_its_words(openrouter, generator, streaming: Way) -> None:
    openrouter.answers(raw(b'{"detail": "no room left"}', content_type="text/event-stream"))
    with pytest.raises(ProviderError, match="no room left"):
        streaming(generator)


def test_a_page_that_is_called_an_event_stream_is_no_answer(openrouter, generator, streaming: Way) -> None:
    openrouter.answers(raw(b"<html><title>Bad gateway</title></html>", content_type="text/event-stream"))
    with pytest.raises(ProviderError, match="Bad gateway"):
        streaming(generator)


@pytest.mark.parametrize("line", [b"error: %b\n\n", b'{"error": %b}\n', b'{"error": %b}'])
@pytest.mark.parametrize("begun", [True, False])
def test_an_error_that_is_no_event_keeps_its_words(openrouter, generator, streaming: Way, line, begun) -> None:
    line %= b'{"code": 400, "message": "the request exceeds the available context size"}'
    openrouter.answers(stream(event("Hel") if begun else comment("ping"), line))
    with pytest.raises(BadRequestError, match="available context size") as caught:
        streaming(generator)
    assert (caught.value.partial is not None) is begun


def test_an_event_named_error_raises_in_every_way(openrouter, generator, way: Way) -> None:
    openrouter.answers(stream(event("Hel"), b"event: error\n", data('{"message": "overloaded"}'), done()))
    with pytest.raises(ProviderError, match="overloaded") as caught:
        way(generator)
    assert caught.value.partial.text == "Hel"


@pytest.mark.parametrize("end", [done(), b"", pause(9)], ids=["done", "end", "silence"])
def test_an_error_waits_for_its_usage_but_not_for_long(openrouter, generator, driver: Way, end, monkeypatch) -> None:
    monkeypatch.setattr("orchat.openrouter.transport.USAGE_TIMEOUT", 0.3)
    openrouter.answers(stream(event("Hel"), {"error": error_object("Gone", 502)}, end))
    started = time.monotonic()
    with pytest.raises(ProviderError, match="Gone"):
        driver(generator)
    assert time.monotonic() - started < stretched(3)


def test_the_cost_of_an_error_is_known(openrouter, generator, driver: Way) -> None:
    odd = finish("stop", "MALFORMED_FUNCTION_CALL", error=error_object("Provider returned error", 502))
    openrouter.answers(stream(tool_call("tide", "{}", id="a"), odd, usage(cost=0.5, shape="null"), done()))
    with pytest.raises(ProviderError) as caught:
        driver(generator)
    meta = caught.value.partial.meta
    assert (meta["usage"]["cost"], meta["native_finish_reason"]) == (0.5, "MALFORMED_FUNCTION_CALL")


@pytest.mark.parametrize("ending", ["eof", "reset"])
def test_a_connection_that_breaks_after_the_first_of_several_calls_is_an_error(
    openrouter, generator, driver: Way, ending
) -> None:
    first = tool_call("tide", '{"port":"Hull"}', id="a", finish_reason="tool_calls")
    first["choices"][0]["native_finish_reason"] = None
    openrouter.answers(stream(first).ending(ending))
    with pytest.raises(APIConnectionError) as caught:
        driver(generator)
    assert len(caught.value.partial.tool_calls) == 1


def test_a_call_that_comes_late_is_not_lost(openrouter, generator, driver: Way, monkeypatch) -> None:
    monkeypatch.setattr("orchat.openrouter.transport.USAGE_TIMEOUT", 0.2)
    calls = [tool_call("tide", "{}", id=f"c{n}", index=n, finish_reason="tool_calls") for n in range(2)]
    for item in calls:
        item["choices"][0]["native_finish_reason"] = None
    openrouter.answers(stream(calls[0], pause(0.8), calls[1], finish("stop", "STOP"), done()))
    assert len(driver(generator).tool_calls) == 2


def test_bytes_of_a_stream_are_those_of_a_whole_text(openrouter, generator, whole: Way) -> None:
    openrouter.answers(raw(sse_bytes(event("Hel"), event("lo"), finish(), done()), content_type="text/event-stream"))
    assert whole(generator).text == "Hello"
    openrouter.answers(text("Again."))
    assert whole(generator).text == "Again."
