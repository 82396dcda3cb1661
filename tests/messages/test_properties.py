"""What holds for any message and any chunk: the way through JSON and back changes nothing."""

from __future__ import annotations

import base64
import copy
import json
import os
import pickle
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"

import haystack.dataclasses as theirs

from orchat.messages import (
    AudioContent,
    ChatMessage,
    ChatRole,
    FileContent,
    ImageContent,
    ReasoningContent,
    TextContent,
    ToolCall,
    ToolCallResult,
    VideoContent,
)
from orchat.streaming import ComponentInfo, StreamingChunk, ToolCallDelta

TEXT = st.text(max_size=10)
MAYBE = st.none() | TEXT
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
OBJECT = st.dictionaries(TEXT, JSON, max_size=3)
BASE64 = st.binary(max_size=9).map(lambda data: base64.b64encode(data).decode())
CACHE = st.none() | st.just({"type": "ephemeral"})

texts = st.builds(TextContent, TEXT, CACHE)
images = st.builds(
    ImageContent, BASE64, st.just("image/png"), st.none() | st.just("low"), OBJECT, st.booleans(), MAYBE, CACHE
)
files = st.builds(FileContent, BASE64, MAYBE, MAYBE, OBJECT, st.booleans(), MAYBE, CACHE)
sounds = st.builds(AudioContent, BASE64, TEXT, MAYBE, OBJECT)
videos = st.builds(VideoContent, BASE64, TEXT, MAYBE, OBJECT)
calls = st.builds(ToolCall, TEXT, OBJECT, MAYBE, st.none() | OBJECT)
results = st.builds(ToolCallResult, TEXT | st.lists(texts | images | files, max_size=2), calls, st.booleans())
thoughts = st.builds(ReasoningContent, TEXT, OBJECT)
parts = texts | images | files | sounds | videos | calls | results | thoughts
messages = st.builds(ChatMessage, st.sampled_from(ChatRole), st.lists(parts, max_size=4), MAYBE, OBJECT)


@st.composite
def chunks(draw: st.DrawFn) -> StreamingChunk:
    """Any chunk that may be."""
    deltas = st.builds(ToolCallDelta, st.integers(0, 5), MAYBE, MAYBE, MAYBE, st.none() | OBJECT)
    fields: dict[str, st.SearchStrategy[Any]] = {
        "content": TEXT,
        "tool_calls": st.lists(deltas, min_size=1, max_size=2),
        "tool_call_result": results,
        "reasoning": thoughts,
    }
    kind = draw(st.sampled_from(sorted(fields)))
    carried = {"content": ""} | {kind: draw(fields[kind])}
    return StreamingChunk(
        **carried,
        meta=draw(OBJECT),
        component_info=draw(st.none() | st.builds(ComponentInfo, TEXT, MAYBE)),
        index=draw(st.integers(0, 9)),
        start=draw(st.booleans()),
        finish_reason=draw(st.sampled_from([None, "stop", "length", "tool_calls", "content_filter"])),
    )


@given(messages)
@settings(max_examples=150, deadline=None)
def test_a_message_comes_back_from_json(message: ChatMessage) -> None:
    assert ChatMessage.from_dict(json.loads(json.dumps(message.to_dict()))) == message
    assert pickle.loads(pickle.dumps(message)) == copy.deepcopy(message) == message


@given(chunks())
@settings(max_examples=150, deadline=None)
def test_a_chunk_comes_back_from_json(chunk: StreamingChunk) -> None:
    assert StreamingChunk.from_dict(json.loads(json.dumps(chunk.to_dict()))) == chunk


haystacks = st.builds(
    ChatMessage,
    st.sampled_from(ChatRole),
    st.lists(st.builds(TextContent, TEXT) | calls | thoughts | st.builds(ToolCallResult, TEXT, calls, st.booleans())),
    MAYBE,
    OBJECT,
)


@given(haystacks)
@settings(max_examples=100, deadline=None)
def test_a_message_without_our_additions_goes_through_haystack_and_back(message: ChatMessage) -> None:
    data = json.dumps(message.to_dict())
    through = theirs.ChatMessage.from_dict(json.loads(data))
    assert json.dumps(through.to_dict()) == data
    assert ChatMessage.adopt(through) == message
