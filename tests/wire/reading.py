"""Events and payloads through the pure readers: what every test of the wire begins with."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest

from orchat.errors import APIError
from orchat.messages import ChatMessage
from orchat.openrouter.wire.stream import ChunkReader
from orchat.streaming import StreamingChunk


class Reading(NamedTuple):
    """What came of a stream."""

    chunks: list[StreamingChunk]
    message: ChatMessage
    reader: ChunkReader


def lines(*events: Any) -> list[str]:
    """Events (or lists of them) as the data of their lines; a str is taken as it is."""
    flat: list[Any] = []
    for event in events:
        flat += event if isinstance(event, list) else [event]
    data = [event if isinstance(event, str) else json.dumps(event) for event in flat]
    return [text.removeprefix("data: ") for text in data if not text.startswith(":")]


def read(*events: Any, secrets: tuple[str, ...] = ()) -> Reading:
    """Read a whole stream."""
    reader = ChunkReader(secrets=secrets)
    chunks = [chunk for data in lines(*events) for chunk in reader.read(data)]
    return Reading(chunks, reader.fold.message(), reader)


def failure(*events: Any, secrets: tuple[str, ...] = ()) -> APIError:
    """The error that a stream ends with."""
    with pytest.raises(APIError) as caught:
        read(*events, secrets=secrets).reader.end()
    return caught.value
