"""No response is read or kept beyond its limits: which one it was is said, and what came before is kept."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from orchat.errors import (
    BadRequestError,
    ConfigurationError,
    OrchatError,
    ProviderError,
    ResponseLimitError,
)
from orchat.openrouter.generator import OpenRouterChatGenerator
from orchat.openrouter.response_limits import ResponseLimits
from tests.generator.ways import KEY, Way
from tests.openrouter_server import (
    GENERATION_ID,
    PNG,
    ScriptedOpenRouter,
    calls,
    comment,
    done,
    event,
    finish,
    fragment,
    image,
    raw,
    stream,
    text,
    tool_call,
    usage,
)
from tests.openrouter_server import call as call_object

Make = Callable[..., OpenRouterChatGenerator]
FISH = "\N{FISH}"


def over(way: Way, generator: OpenRouterChatGenerator, limit: str, number: int) -> ResponseLimitError:
    """Ask, and return the error, which names the limit and how to raise it."""
    with pytest.raises(ResponseLimitError) as caught:
        way(generator)
    error = caught.value
    assert f"more than {number:,} " in error.message
    assert error.hint is not None
    assert f'limits={{"{limit}": {2 * number}}}' in error.hint
    assert not error.retryable
    return error


# -- a stream -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", ["x" * 300_000, FISH + "x" * 80_000, 'a\\n"{[,' * 40_000], ids=["ascii", "wide", "escaped"]
)
@pytest.mark.parametrize("size", [7000, None])
def test_an_event_has_a_largest_size_and_what_came_before_is_kept(
    openrouter: ScriptedOpenRouter, make: Make, streaming: Way, content: str, size: int | None
) -> None:
    answer = stream(event("Hull: ", usage={"cost": 0.25}), event(content), finish("stop"), usage(), done())
    openrouter.answers(answer if size is None else answer.cut(size))
    error = over(streaming, make(limits={"event_bytes": 100_000, "json_values": 1_000_000}), "event_bytes", 100_000)
    assert error.partial is not None
    assert (error.partial.text, error.generation_id) == ("Hull: ", GENERATION_ID)
    assert error.partial.meta["usage"]["cost"] == 0.25


def test_an_event_without_end_is_cut(openrouter: ScriptedOpenRouter, make: Make, streaming: Way) -> None:
    lines = "".join("data: x\n" for _ in range(500))
    openrouter.answers(stream(event("Hull"), comment(), lines.encode()))
    assert over(streaming, make(limits={"event_bytes": 2000}), "event_bytes", 2000).partial is not None


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("size", [7, 100, None])
def test_events_that_end_may_be_as_many_as_they_like(
    openrouter: ScriptedOpenRouter, make: Make, driver: Way, newline: str, size: int | None
) -> None:
    words = [f"word{number} {FISH if number % 7 == 0 else ''}" for number in range(60)]
    answer = stream([event(word) for word in words], finish("stop"), usage(), done()).newlines(newline)
    openrouter.answers(answer if size is None else answer.cut(size))
    reply = driver(make(limits={"event_bytes": 8000, "json_values": 600}))
    assert reply.text == "".join(words)


def test_an_event_holds_so_many_values_at_most(openrouter: ScriptedOpenRouter, make: Make, streaming: Way) -> None:
    openrouter.answers(stream(event("Hull"), event("!", logprobs={"content": [[]] * 60_000}), finish("stop"), done()))
    error = over(streaming, make(limits={"json_values": 1000}), "json_values", 1000)
    assert error.partial is not None


@pytest.mark.parametrize(
    "delta",
    [
        {"content": "x" * 1000},
        {"reasoning": "x" * 1000},
        {"reasoning_details": [{"type": "reasoning.text", "text": "x" * 1000}]},
        {"reasoning_details": [{"type": "odd", "n": number} for number in range(10)]},
        {"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "x" * 1000}}]},
        {"refusal": "x" * 1000},
        {"annotations": [{"url": "x" * 1000}]},
        {"odd": "x" * 1000},
    ],
    ids=lambda delta: next(iter(delta)),
)
def test_a_stream_adds_up_to_so_much_at_most(
    openrouter: ScriptedOpenRouter, make: Make, streaming: Way, delta: dict[str, Any]
) -> None:
    def numbered(number: int) -> str:
        one = json.dumps(delta).replace('"odd"', f'"odd{number}"').replace('"url": "', f'"url": "{number}')
        return f'data: {{"id": "{GENERATION_ID}", "choices": [{{"delta": {one}}}]}}\n\n'

    many = "".join(map(numbered, range(3000))).encode()
    openrouter.answers(stream(event("Hull "), many))
    error = over(streaming, make(limits={"answer_bytes": 300_000}), "answer_bytes", 300_000)
    assert error.partial is not None
    assert (error.partial.text or "").startswith("Hull ")


def test_a_stream_that_says_nothing_new_ends_as_well(openrouter: ScriptedOpenRouter, make: Make, driver: Way) -> None:
    openrouter.answers(stream(event("Hull"), (b'data: {"choices": [], "usage": {"cost": 1}}\n\n') * 60_000))
    error = over(driver, make(limits={"stream_bytes": 1_500_000}), "stream_bytes", 1_500_000)
    assert error.partial is not None
    assert error.partial.meta["usage"] == {"cost": 1}


def test_what_follows_a_whole_answer_takes_nothing_from_it(
    openrouter: ScriptedOpenRouter, make: Make, streaming: Way
) -> None:
    openrouter.answers(stream(event("Hull"), finish("stop"), usage(), b": " + b"x" * 5000))
    assert streaming(make(limits={"event_bytes": 2000})).text == "Hull"


def test_an_answer_has_so_many_calls_at_most(openrouter: ScriptedOpenRouter, make: Make, way: Way) -> None:
    asked = [call_object("tide", {"port": str(number)}, id=f"call_{number}") for number in range(6)]
    openrouter.answers(calls(*asked, content="Let me see."))
    error = over(way, make(limits={"tool_calls": 5}), "tool_calls", 5)
    assert error.partial is not None
    assert error.partial.text == "Let me see."


def test_calls_that_come_in_pieces_are_counted_once(openrouter: ScriptedOpenRouter, make: Make, driver: Way) -> None:
    pieces = [fragment('{"port": "Hu'), fragment('ll"}')]
    openrouter.answers(stream(tool_call("tide"), *pieces, finish("tool_calls"), usage(), done()))
    assert len(driver(make(limits={"tool_calls": 1})).tool_calls) == 1


def test_an_answer_has_so_many_images_at_most(openrouter: ScriptedOpenRouter, make: Make, way: Way) -> None:
    pictures = [f"data:image/png;base64,{PNG}{'A' * 4 * number}" for number in range(4)]
    openrouter.answers(text("Look.", images=pictures))
    error = over(way, make(limits={"images": 3}), "images", 3)
    assert error.partial is not None
    assert error.partial.text == "Look."


def test_images_are_counted_over_all_events(openrouter: ScriptedOpenRouter, make: Make, driver: Way) -> None:
    pictures = [image(f"data:image/png;base64,{PNG}{'A' * 4 * number}") for number in range(3)]
    openrouter.answers(stream(event("Look."), *pictures, finish("stop"), usage(), done()))
    error = over(driver, make(limits={"images": 2}), "images", 2)
    assert error.partial is not None
    assert len(error.partial.images) == 2


# -- a whole answer -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", ["x" * 3000, FISH + "x" * 800])
def test_a_whole_answer_has_a_largest_size(
    openrouter: ScriptedOpenRouter, make: Make, whole: Way, content: str
) -> None:
    openrouter.answers(text(content))
    error = over(whole, make(limits={"answer_bytes": 2000}), "answer_bytes", 2000)
    assert error.generation_id == GENERATION_ID


def test_a_whole_answer_holds_so_many_values_at_most(openrouter: ScriptedOpenRouter, make: Make, whole: Way) -> None:
    openrouter.answers(text("Hull", odd=[{}] * 2000))
    over(whole, make(limits={"json_values": 1000}), "json_values", 1000)


def test_events_that_nobody_asked_for_may_be_many(openrouter: ScriptedOpenRouter, make: Make, whole: Way) -> None:
    answer = stream([event("word ") for _ in range(200)], finish("stop"), usage(), done())
    openrouter.answers(answer, answer)
    assert whole(make(limits={"json_values": 1500})).text == "word " * 200
    over(whole, make(limits={"answer_bytes": 20_000}), "answer_bytes", 20_000)


def test_one_document_where_a_stream_was_asked_for(openrouter: ScriptedOpenRouter, make: Make, streaming: Way) -> None:
    body = json.dumps({"choices": [{"message": {"content": "x" * 100_000}, "finish_reason": "stop"}]}).encode()
    openrouter.answers(raw(body), raw(body))
    over(streaming, make(limits={"answer_bytes": 50_000}), "answer_bytes", 50_000)
    assert streaming(make()).text == "x" * 100_000


# -- errors -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", [None, "gzip"])
def test_of_an_errors_body_the_start_is_read(
    openrouter: ScriptedOpenRouter, make: Make, way: Way, encoding: str | None
) -> None:
    body = b"<html>The harbour is closed. " + b"x" * 5_000_000
    answer = raw(body if encoding is None else gzip.compress(body), status=502, content_type="text/html")
    openrouter.answers(answer if encoding is None else answer.headers({"Content-Encoding": encoding}))
    with pytest.raises(ProviderError, match=r"HTTP 502: The harbour is closed\.") as caught:
        way(make(limits={"error_bytes": 1000}))
    assert len(str(caught.value)) < 1000


def test_an_error_in_an_event_is_kept_in_part_only(openrouter: ScriptedOpenRouter, make: Make, driver: Way) -> None:
    message = f"{KEY} is no key. " + "x" * 500_000
    openrouter.answers(stream({"error": {"code": 400, "message": message, "metadata": {"raw": [message]}}}))
    with pytest.raises(BadRequestError, match=r"HTTP 400: .*is no key") as caught:
        driver(make())
    assert len(json.dumps(caught.value.body)) < 200_000
    assert KEY not in json.dumps(caught.value.body)


@pytest.mark.parametrize("name", ["X-Generation-Id", "Retry-After", "Content-Type", "Location"])
@pytest.mark.parametrize("status", [200, 307, 429])
def test_a_long_header_is_shown_in_part(
    openrouter: ScriptedOpenRouter, make: Make, way: Way, name: str, status: int
) -> None:
    value = "http://elsewhere.invalid/" + "h" * 20_000
    openrouter.answers(raw(b"no JSON", status=status).headers({name: value}))
    with pytest.raises(OrchatError) as caught:
        way(make(limits={"header_characters": 60}))
    shown = f"{caught.value} {vars(caught.value)}"
    assert "h" * 20 in shown or (name, status) not in {("Content-Type", 200), ("Location", 307)}
    assert "h" * 61 not in shown


# -- compression --------------------------------------------------------------------------------------------------


def deflated(body: bytes) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return compressor.compress(body) + compressor.flush()


COMPRESSED: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "Deflate": deflated,
    "gzip, deflate": lambda body: zlib.compress(gzip.compress(body)),
    "identity": lambda body: body,
    "utf-8": lambda body: body,
}


@cache
def bomb(encoding: str) -> bytes:
    """30 MB of spaces; to compress them takes longer than all else of a test."""
    return COMPRESSED[encoding](b" " * 30_000_000)


@pytest.mark.parametrize("encoding", COMPRESSED)
@pytest.mark.parametrize("size", [1, 1000])
def test_compressed_answers_are_read(
    openrouter: ScriptedOpenRouter, make: Make, way: Way, encoding: str, size: int
) -> None:
    if way.streams:
        plain = b"".join(
            bytes(f'data: {{"choices":[{{"delta":{{"content":"w{n} "}}}}]}}\n\n', "ascii") for n in range(90)
        )
        plain += b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    else:
        words = "".join(f"w{n} " for n in range(90))
        plain = json.dumps({"choices": [{"message": {"content": words}, "finish_reason": "stop"}]}).encode()
    answer = raw(COMPRESSED[encoding](plain), content_type="text/event-stream" if way.streams else "application/json")
    openrouter.answers(answer.headers({"Content-Encoding": encoding}).cut(size))
    assert way(make()).text == "".join(f"w{n} " for n in range(90))
    assert openrouter.request.headers["accept-encoding"] == "gzip, deflate"


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "Deflate", "gzip, deflate"])
def test_a_bomb_is_inflated_to_its_limit_only(
    openrouter: ScriptedOpenRouter, make: Make, way: Way, encoding: str
) -> None:
    answer = raw(bomb(encoding)).headers({"Content-Encoding": encoding})
    openrouter.answers(answer, answer)
    over(way, make(), "compression_ratio", 200)
    limits = {"answer_bytes": 200_000, "event_bytes": 200_000}
    over(way, make(limits=limits), "event_bytes" if way.streams else "answer_bytes", 200_000)


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, br", "gzip, gzip, gzip"])
def test_an_encoding_that_nobody_asked_for_is_named(
    openrouter: ScriptedOpenRouter, make: Make, way: Way, encoding: str
) -> None:
    openrouter.answers(raw(b"\x1b\x00").headers({"Content-Encoding": encoding}))
    with pytest.raises(ProviderError, match=f"encoded as {encoding}, and gzip, deflate were asked for"):
        way(make())


def test_damaged_compression_is_a_broken_connection(openrouter: ScriptedOpenRouter, make: Make, way: Way) -> None:
    openrouter.always(raw(b"\x1f\x8b\x08\x00garbage without end").headers({"Content-Encoding": "gzip"}))
    with pytest.raises(OrchatError, match="broke in the middle of the answer"):
        way(make())


# -- settings -----------------------------------------------------------------------------------------------------


def test_limits_travel_with_a_generator() -> None:
    generator = OpenRouterChatGenerator(api_key=None, limits={"images": 3})
    data = generator.to_dict()
    assert data["init_parameters"]["limits"] == {"images": 3}
    assert OpenRouterChatGenerator.from_dict(data).limits == ResponseLimits(images=3)
    assert "limits" not in OpenRouterChatGenerator(api_key=None).to_dict()["init_parameters"]


@pytest.mark.parametrize("value", [0, -1, 1.5, True, "9", None])
def test_a_limit_is_a_whole_number_above_0(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="is no limit"):
        OpenRouterChatGenerator(api_key=None, limits={"images": value})


def test_an_unknown_limit_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"There is no limit 'image'\. There are error_bytes, "):
        OpenRouterChatGenerator(api_key=None, limits={"image": 1})
    with pytest.raises(TypeError, match="limits must be a dict or ResponseLimits, not int"):
        OpenRouterChatGenerator(api_key=None, limits=3)  # type: ignore[arg-type]
