"""What holds for any reply: cutting changes nothing, and nonsense ends in a message or an `APIError`."""

from __future__ import annotations

import copy
import json
from contextlib import suppress
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from orchat.errors import APIError
from orchat.message_assembly import MessageAssembler
from orchat.messages import ChatMessage
from orchat.openrouter.wire.failures import error_from_object, error_from_response
from orchat.openrouter.wire.response import read_replies
from orchat.openrouter.wire.stream import ChunkReader
from orchat.streaming import StreamingChunk
from tests.openrouter_server import (
    annotation,
    call,
    completion,
    done,
    event,
    events_of,
    finish,
    fragment,
    reasoning,
    reasoning_encrypted,
    reasoning_signature,
    usage,
)
from tests.wire.reading import read

# Names that mean something somewhere, so that nonsense gets far.
NAMES = (  # noqa: SIM905 - a list of so many short names reads best as words
    "annotations arguments audio choices code content data delta detail error extras finish_reason format function "
    "function_call headers id image_url images index limit_source limit_usd logprobs message metadata model name "
    "provider raw reasoning reasoning_content reasoning_details reasons refusal retry_after signature summary text "
    "tool_calls transcript type url usage user_id"
).split()
WORDS = st.sampled_from(
    [
        "",
        "data:",
        "data:image/png;base64,AA==",
        "error",
        "stop",
        "reasoning.text",
        "text",
        "thinking",
        "image_url",
        "=",
        "{}",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=25,
)


def some_of(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects that have some of these fields."""
    return st.fixed_dictionaries({}, optional=fields)


MESSAGE = some_of(**dict.fromkeys(NAMES, JSON))
CHOICE = some_of(
    delta=MESSAGE | JSON, message=MESSAGE | JSON, finish_reason=JSON, error=JSON, index=JSON, logprobs=JSON
)
EVENT = some_of(
    choices=st.lists(CHOICE, max_size=2) | JSON, error=JSON, usage=JSON, model=JSON, id=JSON, provider=JSON, extras=JSON
)


def read_all(*events: str) -> None:
    """Read to the end; what comes of it is JSON, also when it is asked for in between."""
    reader = ChunkReader()
    with suppress(APIError):
        for data in events:
            for chunk in reader.read(data):
                json.dumps(chunk.to_dict())
            json.dumps(reader.fold.message().to_dict())
        reader.end()
    message = reader.fold.message()
    json.dumps(message.to_dict())
    message.to_openai_dict_format()


@given(st.lists(EVENT | JSON, max_size=4))
@settings(max_examples=300, deadline=None)
def test_any_json_as_events_ends_in_a_message_or_an_api_error(events: list[Any]) -> None:
    read_all(*map(json.dumps, events))


@given(st.lists(st.text() | st.binary().map(lambda data: data.decode("utf-8", "replace")), max_size=3))
@example(["\ud800"])
@example(['"\ud800"'])
@settings(max_examples=150, deadline=None)
def test_any_text_as_events_ends_in_a_message_or_an_api_error(events: list[str]) -> None:
    read_all(*events)


@given(EVENT | JSON)
@settings(max_examples=300, deadline=None)
def test_any_json_as_a_reply_ends_in_messages_or_an_api_error(payload: Any) -> None:
    with suppress(APIError):
        for reply in read_replies(copy.deepcopy(payload)):
            json.dumps(reply.to_dict())
            reply.to_openai_dict_format()


@given(
    st.integers(100, 700),
    st.dictionaries(
        st.sampled_from(["Retry-After", "Retry-After-Ms", "X-RateLimit-Reset", "X-Generation-Id"]), st.text()
    ),
    st.text() | EVENT.map(json.dumps) | JSON.map(json.dumps),
)
@settings(max_examples=200, deadline=None)
def test_any_refusal_is_an_api_error_with_words(status: int, headers: dict[str, str], body: str) -> None:
    error = error_from_response(status, headers, body)
    assert str(error).startswith(f"HTTP {status}")
    assert error.hint


@given(JSON, EVENT)
@settings(max_examples=200, deadline=None)
def test_any_error_object_is_an_api_error_with_words(found: Any, around: dict[str, Any]) -> None:
    assert error_from_object(found, around).message


TEXT = st.text(max_size=30)
ARGUMENTS = st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), st.integers() | TEXT, max_size=3)


def cut(draw: st.DrawFn, text: str) -> list[str]:
    """The text in pieces, at least one."""
    places = sorted(draw(st.lists(st.integers(0, len(text)), max_size=4)))
    return [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]


@st.composite
def replies(draw: st.DrawFn) -> tuple[list[Any], list[Any]]:
    """The same reply as events, once whole and once cut: reasoning, text, and interleaved tool calls."""
    thought, said = draw(TEXT), draw(TEXT)
    calls = [json.dumps(arguments) for arguments in draw(st.lists(ARGUMENTS, max_size=3))]
    begin: list[Any] = [annotation()] if draw(st.booleans()) else []
    sealed: list[Any] = [reasoning_signature(), reasoning_encrypted("x", index=1)] if draw(st.booleans()) else []
    opened = [event(None, tool_calls=[fragment("tide", "", id=f"c{n}", index=n)]) for n in range(len(calls))]
    end: list[Any] = [finish("tool_calls" if calls else "stop"), usage(), done()]

    def bodies(thoughts: list[str], texts: list[str], arguments: list[tuple[int, str]]) -> list[Any]:
        pieces = [event(None, tool_calls=[fragment(arguments=piece, index=n)]) for n, piece in arguments]
        return [*begin, *map(reasoning, thoughts), *sealed, *map(event, texts), *opened, *pieces, *end]

    pieces = {n: cut(draw, text) for n, text in enumerate(calls)}
    order = draw(st.permutations([n for n, parts in pieces.items() for _ in parts]))
    shuffled = [(n, pieces[n].pop(0)) for n in order]
    return bodies([thought], [said], list(enumerate(calls))), bodies(cut(draw, thought), cut(draw, said), shuffled)


@given(replies())
@settings(max_examples=200, deadline=None)
def test_how_a_reply_is_cut_never_changes_the_message(reply: tuple[list[Any], list[Any]]) -> None:
    whole, pieces = reply
    assert read(pieces).message == read(whole).message


@given(st.lists(st.sampled_from(events_of("a b", reasoning_text="c d", signature="s")[1:-1]), max_size=12))
@settings(max_examples=100, deadline=None)
def test_chunks_that_went_through_json_fold_to_the_same_message(events: list[Any]) -> None:
    chunks, message, _ = read(events)
    again = MessageAssembler()
    for chunk in chunks:
        again.add(StreamingChunk.from_dict(json.loads(json.dumps(chunk.to_dict()))))
    assert again.message() == message
    assert ChatMessage.from_dict(json.loads(json.dumps(message.to_dict()))) == message


NONEMPTY = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)


@st.composite
def streamed_and_whole(draw: st.DrawFn) -> tuple[list[Any], dict[str, Any]]:
    """A reply as fragments that a correct client may receive, with sloppiness on the way, and as one JSON text."""
    said, thought = draw(NONEMPTY), draw(NONEMPTY)
    arguments = [json.dumps(value) for value in draw(st.lists(ARGUMENTS, max_size=3))]
    signature = draw(st.sampled_from([None, "c2lnbmVk"]))
    detail: dict[str, Any] = {"type": "reasoning.text", "text": thought, "format": "anthropic-claude-v1", "index": 0}
    events: list[Any] = [reasoning("", signature="")] if draw(st.booleans()) else []
    events += map(reasoning, cut(draw, thought))
    if signature is not None:
        detail["signature"] = signature
        events += map(reasoning_signature, filter(None, cut(draw, signature)))
    pictures = draw(st.lists(st.sampled_from(["https://a.example/a.png", "https://a.example/b.png"]), unique=True))
    images = [{"type": "image_url", "image_url": {"url": url}, "index": n} for n, url in enumerate(pictures)]
    for item in images:
        events += [event("", images=[item])] * draw(st.integers(1, 2))
    events += map(event, cut(draw, said))
    native = draw(st.sampled_from([True, False]))
    for n, text in enumerate(arguments):
        changes_ids = draw(st.booleans())
        first = event(None, tool_calls=[fragment("tide", "", id=f"c{n}", index=n)])
        pieces = [piece for piece in cut(draw, text) if piece]
        others = [{"id": f"x{n}-{at}"} if changes_ids else {} for at in range(len(pieces))]
        rest = [
            event(None, tool_calls=[fragment(arguments=piece, index=n, **other)])
            for piece, other in zip(pieces, others, strict=True)
        ]
        if draw(st.booleans()):  # a finish reason on each, as one upstream gives
            for item in rest:
                item["choices"][0]["finish_reason"] = "tool_calls"
        events += [first, *rest]
        if draw(st.booleans()):
            events.append(event(None, tool_calls=[fragment("", "", id="", index=n + 1)]))
    reason = "tool_calls" if arguments else "stop"
    events.append(finish(reason, reason if native else None))
    events += [usage(finish_reason=reason, fields=None)] * draw(st.integers(1, 2))
    events += draw(st.lists(st.sampled_from(["[DONE]", "[done]", "null", "", "<html>"]), max_size=2))
    whole = completion(
        said,
        finish_reason=reason,
        reasoning=thought,
        reasoning_details=[detail],
        images=images,
        tool_calls=[call("tide", text, id=f"c{n}") for n, text in enumerate(arguments)],
    )
    return events, whole


@given(streamed_and_whole())
@settings(max_examples=150, deadline=None)
def test_a_reply_is_the_same_streamed_or_whole(reply: tuple[list[Any], dict[str, Any]]) -> None:
    events, payload = reply
    reading = read(events)
    reading.reader.end()
    [whole] = read_replies(payload)
    assert reading.message.parts == whole.parts
    for name in ("finish_reason", "usage", "model", "provider", "id"):
        assert reading.message.meta[name] == whole.meta[name]
