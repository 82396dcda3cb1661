"""Build the chunks of an event's content, each in its numbered block (`orchat.streaming`)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from orchat.messages.parts import extra_of_call
from orchat.openrouter.response_limits import ResponseLimits
from orchat.openrouter.wire.call_fragments import CallSorter
from orchat.openrouter.wire.response import ReplyParts, read_call
from orchat.streaming import ComponentInfo, StreamingChunk, ToolCallDelta

_new_chunk = object.__new__


class ChunkBuilder:
    """Builds the chunks of one stream; a run of text or reasoning is a block, and each tool call.

    Parameters
    ----------
    component_info
        Stamped on each chunk.
    limits
        The limits of the response.

    Examples
    --------
    >>> from orchat.openrouter.response_limits import DEFAULT_LIMITS
    >>> builder = ChunkBuilder(None, DEFAULT_LIMITS)
    >>> [(chunk.content, chunk.index, chunk.start) for chunk in builder.build(ReplyParts(text="Hi", thought="Hm."), {})]
    [('', 0, True), ('Hi', 1, True)]
    """

    def __init__(self, component_info: ComponentInfo | None, limits: ResponseLimits) -> None:
        self.component_info = component_info
        self.kind = ""  # of the open block
        self.block = -1
        self._limits = limits
        self._calls = CallSorter()
        self._block_of_call: dict[int, int] = {}
        self._images = 0

    def make(self, content: str, meta: dict[str, Any]) -> StreamingChunk:
        """Make a chunk that is in no block yet."""
        # By hand, past the constructor's checks, which cost as much as everything else here; the fields not set are
        # the class's defaults.
        chunk = _new_chunk(StreamingChunk)
        chunk.content = content
        chunk.meta = meta
        chunk.component_info = self.component_info
        return chunk

    def enter(self, kind: str) -> None:
        """Begin a block."""
        self.kind = kind
        self.block += 1

    def build(self, pieces: ReplyParts, meta: dict[str, Any]) -> Iterator[StreamingChunk]:
        """Yield one chunk for each kind of content, and for each tool call, of the event; it ends in ``meta``."""
        metas = _metas(meta)
        if (reasoning := pieces.reasoning) is not None:
            chunk = self.make("", next(metas))
            chunk.reasoning = reasoning
            chunk.start = self.kind != "reasoning"
            if chunk.start:
                self.enter("reasoning")
            chunk.index = self.block
            yield chunk
        if pieces.text:
            chunk = self.make(pieces.text, next(metas))
            chunk.start = self.kind != "text"
            if chunk.start:
                self.enter("text")
            chunk.index = self.block
            yield chunk
        for position, call in enumerate(pieces.calls):
            call_id, name, arguments = read_call(call)
            if arguments is not None and not isinstance(arguments, str):
                arguments = json.dumps(arguments, ensure_ascii=False)
            alone = len(pieces.calls) == 1
            placed = self._calls.place(call.get("index"), call_id, name, arguments or "", None if alone else position)
            if placed is None:
                continue
            number, new_name, new_id = placed
            if number >= self._limits.tool_calls:
                raise self._limits.exceeded("tool_calls")
            meta_of_call = next(metas)
            meta_of_call["tool_calls"] = [call]
            chunk = self.make("", meta_of_call)
            if number not in self._block_of_call:
                self.enter("tool call")
                self._block_of_call[number] = self.block
                chunk.start = True
            chunk.index = self._block_of_call[number]
            chunk.tool_calls = [ToolCallDelta(number, new_name, arguments or None, new_id, extra_of_call(call))]
            yield chunk

    def count_images(self, number: int) -> None:
        """Count images that came.

        Raises
        ------
        ResponseLimitError
            They are too many.
        """
        self._images += number
        if self._images > self._limits.images:
            raise self._limits.exceeded("images")


def _metas(meta: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the event's meta for its first chunk, and reduced copies for the others, so that nothing counts twice."""
    bare = {k: v for k, v in meta.items() if k not in {"extras", "logprobs"}}
    yield meta
    while True:
        yield {**bare, "usage": None}
