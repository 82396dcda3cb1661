"""Whatever bytes an endpoint sends: a result or an `OrchatError`, never anything else, never a hang."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchat.errors import OrchatError
from orchat.messages import ChatMessage
from orchat.openrouter.generator import OpenRouterChatGenerator
from orchat.secret import Secret
from tests.generator.conftest import TRUST
from tests.generator.ways import KEY
from tests.openrouter_server import (  # fmt: skip
    Answer,
    ScriptedOpenRouter,
    comment,
    done,
    event,
    finish,
    fragment,
    raw,
    reasoning,
    reply_json,
    sse_bytes,
    stream,
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
        timeout=1,
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

    def asked(answer: Answer) -> ChatMessage | OrchatError:
        server.always(answer)
        started = time.monotonic()
        try:
            message = stream_sync() if request.param == "sync" else loop.run(stream_async())
        except OrchatError as error:
            return judged(error)
        finally:
            assert time.monotonic() - started < stretched(3)
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
