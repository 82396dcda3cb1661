"""Whatever bytes an endpoint sends: a result or an `OrchatError`, never anything else, never a hang."""

from __future__ import annotations

import asyncio
import copy
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchat.chat.reply import Reply
from orchat.errors import OrchatError
from orchat.messages import ChatMessage
from orchat.openrouter.generator import OpenRouterChatGenerator
from orchat.secret import Secret
from tests.generator.conftest import TRUST
from tests.generator.ways import KEY
from tests.openrouter_server import (  # fmt: skip
    PNG,
    Answer,
    ScriptedOpenRouter,
    call,
    comment,
    completion,
    done,
    event,
    finish,
    fragment,
    raw,
    reasoning,
    reply_json,
    sse_bytes,
    stream,
    url_citation,
    usage,
)
from tests.patience import stretched

quick = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedOpenRouter]:
    with ScriptedOpenRouter(validate=False, keep_requests=False) as server:
        yield server


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def generator(server: ScriptedOpenRouter) -> Iterator[OpenRouterChatGenerator]:
    generator = OpenRouterChatGenerator(
        api_key=Secret.from_token(KEY),
        api_base_url=server.base_url,
        timeout=stretched(2),
        max_retries=0,
        http_client_kwargs={"verify": TRUST},
    )
    yield generator
    generator.close()


@pytest.fixture(params=["sync", "async"])
def ask(request, server, generator, loop) -> Any:
    """Stream and run an answer; whatever fails must be an OrchatError, and soon."""

    def judged(error: Any) -> OrchatError:
        assert error.hint
        assert error.partial is None or json.dumps(error.partial.to_dict())
        return error

    async def stream_async() -> ChatMessage:
        async with generator.stream_async("Hi") as reply:
            async for _ in reply:
                pass
        return reply.message

    def stream_sync() -> ChatMessage:
        with generator.stream("Hi") as reply:
            list(reply)
        return reply.message

    def message_of(whole: bool) -> ChatMessage:
        if not whole:
            return stream_sync() if request.param == "sync" else loop.run(stream_async())
        replies = generator.run("Hi") if request.param == "sync" else loop.run(generator.run_async("Hi"))
        return replies["replies"][0]

    def asked(answer: Answer, *, whole: bool = False) -> ChatMessage | OrchatError:
        server.always(answer)
        started = time.monotonic()
        try:
            message = message_of(whole)
        except OrchatError as error:
            return judged(error)
        finally:
            assert time.monotonic() - started < stretched(6)
        assert ChatMessage.from_dict(message.to_dict()) == message
        return message

    return asked


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = [
    "content", "role", "reasoning", "reasoning_content", "reasoning_details", "tool_calls", "function_call", "images",
    "annotations", "audio", "refusal", "function", "name", "arguments", "id", "index", "type", "text", "summary",
    "signature", "image_url", "url", "data", "format",
]  # fmt: skip
DELTA = st.dictionaries(
    st.sampled_from(FIELDS), JSON | st.lists(st.dictionaries(st.sampled_from(FIELDS), JSON)), max_size=5
)
CHOICE = st.fixed_dictionaries(
    {},
    optional={
        "delta": DELTA | JSON,
        "message": DELTA | JSON,
        "index": JSON,
        "finish_reason": st.sampled_from(["stop", "error", "length", "", None]) | JSON,
        "native_finish_reason": JSON,
        "logprobs": JSON,
        "error": JSON,
    },
)
EVENT = st.fixed_dictionaries(
    {},
    optional={
        "choices": st.lists(CHOICE, max_size=2) | JSON,
        "error": st.dictionaries(st.sampled_from(["code", "message", "metadata", "type"]), JSON) | JSON,
        "usage": JSON,
        "id": JSON,
        "model": JSON,
        "provider": JSON,
        "created": JSON,
    },
)
LINE = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [b"data: ", b"data:", b"\n", b"\n\n", b"\r", b"\r\n\r\n", b": x\n\n", b"data: [DONE]\n\n", b"event: e\n"]
    ),
    EVENT.map(sse_bytes),
    st.just(sse_bytes(event("Hi"))),
    st.just(sse_bytes(finish())),
)


# -- good answers with something odd in them: they get further than noise ------------------------------------------

ODD = (
    st.sampled_from(
        [
            None,
            True,
            False,
            0,
            -1,
            1.5,
            10**400,
            float("nan"),
            float("inf"),
            "",
            " ",
            "x",
            "stop",
            "error",
            "\ud800",
            "9" * 5000,
            [],
            {},
            [[]],
            [None],
            [{}],
            [""],
            {"": None},
            {"a": {}},
            {"text": {}},
            {"url": []},
            {"code": {}, "message": []},
            ["a", 1],
            "data:image/png;base64,!",
            "http://[",
            "2026-13-45",
            "1e999",
        ]
    )
    | JSON
)
GOOD = [
    completion("The Humber."),
    completion(
        "Hm", reasoning="R", reasoning_details=[{"type": "reasoning.text", "text": "R", "signature": "s=", "index": 0}]
    ),
    completion(None, tool_calls=[call("tide", {"port": "Hull"})], finish_reason="tool_calls"),
    completion(
        "Look", images=[{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}, "index": 0}]
    ),
    completion(
        "See",
        annotations=[url_citation("https://a.example")],
        audio={"data": "AAAA", "transcript": "t", "format": "wav"},
    ),
    completion(
        [{"type": "text", "text": "a"}, {"type": "thinking", "thinking": [{"text": "b"}]}], refusal="No", logprobs={}
    ),
    {
        "error": {
            "code": 429,
            "message": "Slow",
            "metadata": {"raw": "{}", "headers": {"Retry-After": "1"}, "reasons": ["a"]},
        }
    },
    {"errors": [{"message": "m", "code": "c"}], "detail": [{"loc": ["body", 1], "msg": "m"}]},
]


def paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of a JSON value at which something may stand."""
    if path:
        yield path
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from paths(item, (*path, key))


@st.composite
def odd_json(draw: st.DrawFn, good: st.SearchStrategy[Any]) -> Any:
    """A good value in which one to three things are odd."""
    value = copy.deepcopy(draw(good))
    for _ in range(draw(st.integers(1, 3))):
        if not (places := list(paths(value))):
            break
        *way, last = draw(st.sampled_from(places))
        inner = value
        for step in way:
            inner = inner[step]
        inner[last] = copy.deepcopy(draw(ODD))
    return value


def as_events(body: Any) -> list[Any]:
    """A whole reply as the events of a stream: its message as a delta, then its end."""
    if not isinstance(body.get("choices"), list):
        return [body]
    [choice] = body["choices"]
    return [{**body, "choices": [{**choice, "delta": choice["message"], "finish_reason": None}]}, finish(), usage()]


ODD_HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "Content-Type",
            "Location",
            "Retry-After",
            "retry-after-ms",
            "X-Generation-Id",
            "X-RateLimit-Reset",
            "Set-Cookie",
            "Content-Encoding",
            "Date",
        ]
    ),
    st.sampled_from(
        [
            "http:x",
            "mailto:x",
            "http://xn--/",
            "http://[",
            "//",
            "///",
            "?",
            "#",
            "http://127.0.0.1:99999999/",
            "http://a b/",
            "\xe9",
            "http://\xe9\xff/",
            "9" * 400,
            "1e999",
            "nan",
            "-1",
            "Thu, 99 Foo 9999 99:99:99 GMT",
            "a=b; Max-Age=x",
            "gzip",
            "br",
            "deflate, gzip",
            "identity",
            "text/event-stream",
            "text/html; charset=utf-7",
            "",
            ";",
            ",",
        ]
    )
    | st.text(st.characters(min_codepoint=33, max_codepoint=255, exclude_categories=["C", "Z"]), max_size=12),
    max_size=3,
)
STATUSES = st.sampled_from([200] * 6 + [201, 206, 300, 301, 302, 303, 307, 308, 400, 404, 429, 500, 599, 600, 999])


def check_usable(message: ChatMessage | OrchatError) -> None:
    """What is made of a reply later on can be made of this one."""
    if isinstance(message, OrchatError):
        return
    reply = Reply(message)
    assert isinstance(reply.text + reply.reasoning, str)
    assert isinstance(reply.citations + reply.warnings + reply.images, list)
    assert str(reply.spent), repr(reply)
    json.dumps([reply.usage, message.to_openai_dict_format()])


def odd_event_stream(events: Any) -> Answer:
    body = "".join(f"data: {json.dumps(each)}\n\n" for each in [*events, "[DONE]"]).encode()
    return raw(body, content_type="text/event-stream")


@quick
@given(body=odd_json(st.sampled_from(GOOD)), status=st.sampled_from([200] * 9 + [403]))
def test_a_whole_answer_with_something_odd_in_it_ends_well(ask: Any, body: Any, status: int) -> None:
    check_usable(ask(raw(json.dumps(body).encode(), status=status), whole=True))


@quick
@given(events=odd_json(st.sampled_from(GOOD).map(as_events)), whole=st.sampled_from([False, False, True]))
def test_a_stream_with_something_odd_in_it_ends_well(ask: Any, events: Any, whole: bool) -> None:
    check_usable(ask(odd_event_stream(events), whole=whole))


@quick
@given(good=st.sampled_from(GOOD), status=STATUSES, headers=ODD_HEADERS, streams=st.booleans(), whole=st.booleans())
def test_odd_headers_and_statuses_end_well(
    ask: Any, good: Any, status: int, headers: Any, streams: bool, whole: bool
) -> None:
    answer = odd_event_stream(as_events(good)) if streams else reply_json(good)
    check_usable(ask(replace(answer, status=status).headers(headers), whole=whole))


@pytest.mark.parametrize("location", ["http:x", "mailto:x", "http://xn--/", "http://[", "//", "http://a:99999999/"])
@pytest.mark.parametrize("whole", [True, False])
def test_a_redirect_to_no_address_is_an_error(ask: Any, location: str, whole: bool) -> None:
    error = ask(raw(b"", status=307).headers({"Location": location}), whole=whole)
    assert isinstance(error, OrchatError)
    assert "127.0.0.1" in error.message


@pytest.mark.parametrize("reason", [{}, {"a": 1}, [], ["stop"], 7, True, 1e999])
def test_a_finish_reason_of_any_type_ends_an_answer(ask: Any, reason: Any) -> None:
    body = completion("Hull", finish_reason=reason, native_finish_reason=reason)
    message = ask(raw(json.dumps(body).encode()), whole=True)
    assert isinstance(message, ChatMessage)
    assert message.text == "Hull"
    check_usable(message)


@quick
@given(body=st.lists(LINE, max_size=8).map(b"".join))
def test_any_bytes_as_a_stream_end_well(ask: Any, body: bytes) -> None:
    ask(stream(body))


@quick
@given(events=st.lists(EVENT, max_size=4))
def test_any_json_as_events_ends_well(ask: Any, events: list[dict[str, Any]]) -> None:
    ask(stream(*events, finish(), done()))


@quick
@given(body=st.binary(max_size=200), status=st.sampled_from([200, 200, 200, 204, 302, 400, 418, 429, 500, 599]))
def test_any_bytes_as_a_body_end_well(ask: Any, body: bytes, status: int) -> None:
    ask(raw(b"" if status == 204 else body, status=status))


@quick
@given(value=EVENT | JSON, status=st.sampled_from([200, 200, 402, 403, 429]))
def test_any_json_as_a_body_ends_well(ask: Any, value: Any, status: int) -> None:
    ask(reply_json(value, status=status, headers={"X-Generation-Id": "gen-1"}))


@settings(quick, max_examples=25)
@given(
    texts=st.lists(st.text(min_size=1, max_size=12), min_size=1, max_size=4),
    size=st.integers(1, 40),
    newline=st.sampled_from(["\n", "\r", "\r\n"]),
    offsets=st.lists(st.integers(1, 2000), max_size=12),
)
def test_cutting_never_changes_the_result(
    ask: Any, texts: list[str], size: int, newline: str, offsets: list[int]
) -> None:
    items = [
        comment(),
        reasoning("Hm."),
        *[event(piece) for piece in texts],
        event(None, tool_calls=[fragment("tide", json.dumps({"port": texts[0]}), id="c")]),
        finish("tool_calls"),
        usage(finish_reason="tool_calls"),
        done(),
    ]
    plain = ask(stream(*items))
    assert plain.text == "".join(texts)
    assert plain.tool_call.arguments == {"port": texts[0]}
    for cut in (stream(*items).newlines(newline).cut(size), stream(*items).newlines(newline).cut_at(*offsets)):
        again = ask(cut)
        again.meta["completion_start_time"] = plain.meta["completion_start_time"]
        assert again == plain
