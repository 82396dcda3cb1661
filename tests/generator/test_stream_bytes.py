"""However the bytes of a stream are cut, written and padded, the reply is the same."""

from __future__ import annotations

import gzip

import pytest

from orchat.errors import ProviderError, StreamError
from orchat.messages import ChatMessage
from tests.generator.ways import Way
from tests.openrouter_server import (
    GENERATION_ID,
    comment,
    completion,
    data,
    done,
    event,
    finish,
    fragment,
    raw,
    reasoning,
    reasoning_signature,
    reply_json,
    sse_bytes,
    stream,
    usage,
)
from tests.patience import stretched

REPLY = [
    comment(),
    reasoning("Überlegen: "),
    reasoning_signature("c2ln"),
    event("Die "),
    event("Höhe 🌊 "),
    event("日本"),
    event(None, tool_calls=[fragment("tide", "", id="call_1")]),
    event(None, tool_calls=[fragment(arguments='{"port":"Ærø"}')]),
    finish("tool_calls"),
    comment(),
    usage(finish_reason="tool_calls"),
    done(),
]


def facts(message: ChatMessage) -> dict[str, object]:
    """A message as data, without the time of its arrival."""
    found = message.to_dict()
    found["meta"].pop("completion_start_time")
    return found


@pytest.mark.parametrize("newline", ["\n", "\r", "\r\n"], ids=["LF", "CR", "CRLF"])
def test_bytes_cut_at_every_offset_make_the_same_reply(openrouter, generator, driver: Way, newline: str) -> None:
    openrouter.answers(stream(*REPLY))
    expected = facts(driver(generator))
    chunks = [(chunk.content, chunk.index, chunk.start, chunk.finish_reason) for chunk in driver.chunks]
    assert expected["content"][1] == {"text": "Die Höhe 🌊 日本"}
    total = len(sse_bytes(*REPLY, newline=newline))
    # Seven cuts a reply, so that every offset is one of them and few requests are needed.
    for first in range(1, total // 7 + 1, 3):
        offsets = sorted({(first + step * (total // 7) + extra) for step in range(8) for extra in range(3)})
        openrouter.answers(stream(*REPLY).newlines(newline).cut_at(*offsets))
        assert facts(driver(generator)) == expected
        assert [(c.content, c.index, c.start, c.finish_reason) for c in driver.chunks] == chunks


@pytest.mark.parametrize("newline", ["\n", "\r", "\r\n"], ids=["LF", "CR", "CRLF"])
def test_bytes_that_come_one_by_one_make_the_same_reply(openrouter, generator, driver: Way, newline: str) -> None:
    openrouter.answers(stream(*REPLY), stream(*REPLY).newlines(newline).cut(1))
    assert facts(driver(generator)) == facts(driver(generator))


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\u0085", "\x0b", "\x0c", "\x1c", "\x1e"])
def test_unicode_line_ends_inside_strings_end_no_line(openrouter, generator, driver: Way, separator: str) -> None:
    # JSON escapes those below 0x20 itself; the others travel as they are.
    openrouter.answers(stream(event(f"a{separator}b"), finish(), done()).cut(3))
    assert driver(generator).text == f"a{separator}b"


def test_comments_anywhere_carry_nothing(openrouter, generator, streaming: Way) -> None:
    noise = [comment(), ": x\n:\n: data: {}", ":"]
    openrouter.answers(stream(noise, event("a"), noise, event("b"), noise, finish(), noise, usage(), done(), noise))
    reply = streaming(generator)
    assert (reply.text, reply.meta["finish_reason"], streaming.text) == ("ab", "stop", "ab")
    assert len(streaming.chunks) == 4


def test_an_event_may_have_a_name_several_data_lines_and_a_byte_order_mark(openrouter, generator, driver: Way) -> None:
    split = 'event: message\nid: 7\nretry: 10\ndata: {"choices": [{"delta":\ndata: {"content": "a"}}]}'
    openrouter.answers(stream(b"\xef\xbb\xbf", split, finish(), done()))
    assert driver(generator).text == "a"


def test_the_last_event_counts_without_the_empty_line_after_it(openrouter, generator, driver: Way) -> None:
    openrouter.answers(stream(sse_bytes(event("a"), finish())[:-2]))
    assert driver(generator).meta["finish_reason"] == "stop"


def test_a_line_of_two_megabytes_is_one_event(openrouter, generator, driver: Way) -> None:
    url = "data:image/png;base64," + "QUJD" * 500_000
    images = [{"type": "image_url", "image_url": {"url": url}}]
    openrouter.answers(stream(event("", images=images), finish(), done()).cut(60_000))
    [image] = driver(generator).images
    assert len(image.base64_image) == 2_000_000


def test_a_line_of_two_megabytes_may_take_longer_than_the_timeout(openrouter, make, driver: Way) -> None:
    timeout = stretched(0.8)
    openrouter.answers(stream(event("x" * 2_000_000), finish(), done()).cut(250_000).paced(timeout / 5))
    assert len(driver(make(timeout=timeout)).text) == 2_000_000


def test_a_malformed_line_fails_and_keeps_what_came(openrouter, generator, streaming: Way) -> None:
    openrouter.answers(stream(event("Hel"), data('{"choices": [{"del'), event("lo"), finish(), done()))
    with pytest.raises(StreamError, match="no chat completion event") as caught:
        streaming(generator)
    assert caught.value.partial.text == "Hel"
    assert caught.value.generation_id == GENERATION_ID


def test_a_compressed_stream_is_read(openrouter, generator, driver: Way) -> None:
    body = gzip.compress(sse_bytes(event("packed"), finish(), done()))
    openrouter.answers(stream(body, headers={"Content-Encoding": "gzip"}))
    assert driver(generator).text == "packed"


@pytest.mark.parametrize("kind", ["text/event-stream; charset=utf-8", "Text/Event-Stream", " text/event-stream ;x=y"])
def test_a_stream_is_known_by_its_content_type_however_spelt(openrouter, generator, driver: Way, kind: str) -> None:
    openrouter.answers(stream(event("a"), finish(), done(), headers={"Content-Type": kind}))
    assert driver(generator).text == "a"


def test_a_json_reply_where_a_stream_was_asked_for_is_one_chunk(openrouter, generator, streaming: Way) -> None:
    openrouter.answers(reply_json(completion("The Humber.")))
    reply = streaming(generator)
    assert (reply.text, reply.meta["finish_reason"], reply.meta["usage"]["cost"]) == ("The Humber.", "stop", 0.00004)
    assert streaming.text == "The Humber."


@pytest.mark.parametrize(
    "answer",
    [
        raw(b"<html><title>Welcome</title></html>", content_type="text/html"),
        raw(b"", content_type="application/json"),
        raw(b"", content_type="text/html"),
        raw(b'{"choices": [', content_type="application/json"),
        raw(b"[" * 100_000, content_type="application/json"),
        raw(b"[]"),
        raw(b"null"),
        raw(b'"choices"'),
        raw(b"{}"),
        raw(b'{"choices": []}'),
        raw(b'{"choices": null}'),
        raw(b'{"choices": [1]}'),
        raw(b'{"choices": 1}'),
        raw(b"\xff\xfe\x00"),
    ],
    ids=["html", "empty", "empty html", "cut", "deep", "list", "null", "str", "object", "no choices", "null choices",
         "number as choice", "number as choices", "binary"],
)  # fmt: skip
def test_a_success_that_is_no_reply_is_an_error_that_says_what_came(openrouter, generator, whole: Way, answer) -> None:
    openrouter.answers(answer.headers({"X-Generation-Id": "gen-1"}))
    with pytest.raises(ProviderError) as caught:
        whole(generator)
    assert caught.value.hint
    assert len(str(caught.value)) < 1000
    assert caught.value.generation_id == "gen-1"


def test_a_page_in_place_of_a_stream_is_an_error_that_quotes_its_title(openrouter, generator, way: Way) -> None:
    openrouter.answers(raw(b"<html><title>Log in</title></html>", content_type="text/html"))
    with pytest.raises(ProviderError, match=r"not JSON \(text/html\): Log in\.") as caught:
        way(generator)
    assert openrouter.base_url in str(caught.value)
