"""Streams: the events of a streamed reply as chunks (API section 4).

This is the per-token path: an event that only carries text takes a short way through `ChunkReader.read`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from orchat.errors import APIError, StreamError
from orchat.message_assembly import MessageAssembler
from orchat.messages import ChatMessage
from orchat.openrouter.wire.failures import error_from_object, error_object
from orchat.openrouter.wire.response import ReplyParts, choice_error, read_call, read_reply_parts
from orchat.secrets import redact
from orchat.streaming import ComponentInfo, FinishReason, StreamingChunk, ToolCallDelta

_FINISH_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content_filter",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
}
# All that a choice says while text arrives; one that says more takes the long way.
_PLAIN_CHOICE = frozenset({"index", "delta", "finish_reason", "native_finish_reason", "logprobs"})
_new_chunk = object.__new__


class ChunkReader:
    """Reads the events of one stream.

    Parameters
    ----------
    component_info
        Stamped on each chunk.
    rewrite
        Changes an event before it is read, for an endpoint of another dialect.
    secrets
        Values to hide in errors.

    Examples
    --------
    >>> reader = ChunkReader()
    >>> [chunk] = reader.read('{"choices": [{"delta": {"content": "Hi"}, "finish_reason": "stop"}]}')
    >>> chunk.content, chunk.finish_reason, reader.read("[DONE]"), reader.fold.message().text
    ('Hi', 'stop', [], 'Hi')
    """

    def __init__(
        self,
        component_info: ComponentInfo | None = None,
        rewrite: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
        secrets: tuple[str, ...] = (),
    ) -> None:
        from pydantic_core import from_json

        self.fold = MessageAssembler()
        self.received_at: str | None = None
        self.done = False
        self._finish_reason: str | None = None
        self._info = component_info
        self._rewrite = rewrite
        self._secrets = secrets
        self._from_json = from_json
        self._block = -1
        self._kind = ""
        self._calls = _CallSorter()
        self._block_of_call: dict[int, int] = {}
        self._surrogates = _SurrogateJoiner()

    def read(self, data: str) -> list[StreamingChunk]:
        """Read the data of one event; each chunk is in the fold when this returns.

        Raises
        ------
        APIError
            The event is an error, or no chat completion event at all; what came before it is ``partial``.
        """
        try:
            try:
                event = self._from_json(data)
            except ValueError:
                if data.strip() in {"[DONE]", ""}:
                    self.done = self.done or bool(data.strip())
                    return []
                # Perhaps valid JSON that the fast decoder refuses: half of a character, escaped.
                event = self._surrogates.join(json.loads(data))
            chunks = self._chunks(event)
            for chunk in chunks:
                self.fold.add(chunk)
        except APIError as error:
            error.partial = self.partial()
            # What was answered in part had begun: sending it again may be paid for twice.
            error.retryable = error.retryable and error.partial is None
            raise
        except (TypeError, AttributeError, KeyError, ValueError, RecursionError):
            # An event of any shape may come; whatever it breaks above is the event's fault.
            raise self._malformed(data) from None
        return chunks

    def _chunks(self, event: dict[str, Any]) -> list[StreamingChunk]:
        if self._rewrite is not None:
            event = self._rewrite(event)
        choices = event.pop("choices", None)
        event.pop("user_id", None)  # comes with errors, and is nobody's business
        if "error" in event and (found := error_object(event)) is not None:
            raise error_from_object(found, event, *self._secrets)
        # The event itself becomes the chunk's meta: nothing that the endpoint said is dropped.
        event["tool_calls"] = None
        event["received_at"] = self.received_at
        event.setdefault("usage", None)
        if not choices:
            event["finish_reason"] = None
            return [self._chunk("", event)]
        choice = choices[0]
        delta = choice.get("delta")
        event["index"] = choice.get("index", 0)
        if choice.get("finish_reason") is None and choice.get("logprobs") is None and choice.keys() <= _PLAIN_CHOICE:
            content = delta.get("content") if delta else None
            # The short way: nothing but text, with or without the role.
            if type(content) is str and content and len(delta) == 1 + ("role" in delta):
                event["finish_reason"] = None
                chunk = self._chunk(content, event)
                if self._kind != "text":
                    self._enter("text")
                    chunk.start = True
                chunk.index = self._block
                return [chunk]
        return self._long_way(choice, delta if delta is not None else choice.get("message") or {}, event)

    def _long_way(self, choice: dict[str, Any], delta: dict[str, Any], meta: dict[str, Any]) -> list[StreamingChunk]:
        pieces = read_reply_parts(delta)
        reason = choice.get("finish_reason")
        failed = choice_error(choice, None, meta, *self._secrets)
        of_delta = {"delta", "message", "index", "error"}
        meta |= {key: value for key, value in choice.items() if value is not None and key not in of_delta}
        meta["finish_reason"] = None if failed else reason
        if pieces.extras:
            meta["extras"] = pieces.extras
        chunks = list(self._carriers(pieces, meta)) or [self._chunk("", meta)]
        if failed is not None:
            for chunk in chunks:
                self.fold.add(chunk)
            raise failed
        # A usage chunk repeats the reason; the reply ends only once.
        if reason and self._finish_reason is None:
            chunks[-1].finish_reason = _FINISH_REASONS.get(reason)
        self._finish_reason = reason or self._finish_reason
        return chunks

    def _carriers(self, pieces: ReplyParts, meta: dict[str, Any]) -> Iterator[StreamingChunk]:
        """Yield one chunk for each kind of content, and for each call, in the event."""
        metas = _metas(meta)
        if (reasoning := pieces.reasoning) is not None:
            chunk = self._chunk("", next(metas))
            chunk.reasoning = reasoning
            chunk.start = self._kind != "reasoning"
            if chunk.start:
                self._enter("reasoning")
            chunk.index = self._block
            yield chunk
        if pieces.text:
            chunk = self._chunk(pieces.text, next(metas))
            chunk.start = self._kind != "text"
            if chunk.start:
                self._enter("text")
            chunk.index = self._block
            yield chunk
        for position, call in enumerate(pieces.calls):
            call_id, name, arguments = read_call(call)
            if arguments is not None and not isinstance(arguments, str):
                arguments = json.dumps(arguments, ensure_ascii=False)
            alone = len(pieces.calls) == 1
            number, new_name, new_id = self._calls.place(
                call.get("index"), call_id, name, arguments or "", None if alone else position
            )
            meta_of_call = next(metas)
            meta_of_call["tool_calls"] = [call]
            chunk = self._chunk("", meta_of_call)
            if number not in self._block_of_call:
                self._enter("tool call")
                self._block_of_call[number] = self._block
                chunk.start = True
            chunk.index = self._block_of_call[number]
            chunk.tool_calls = [ToolCallDelta(number, new_name, arguments or None, new_id)]
            yield chunk

    def _enter(self, kind: str) -> None:
        self._kind = kind
        self._block += 1

    def _chunk(self, content: str, meta: dict[str, Any]) -> StreamingChunk:
        # By hand, past the constructor's checks, which cost as much as everything else here; the fields not set are
        # the class's defaults.
        chunk = _new_chunk(StreamingChunk)
        chunk.content = content
        chunk.meta = meta
        chunk.component_info = self._info
        return chunk

    def _malformed(self, data: str) -> StreamError:
        shown = redact(data[:1000], *self._secrets)[:80]
        return StreamError(
            f"The stream holds something that is no chat completion event: {shown!r}.",
            partial=self.partial(),
            hint="Try again, or choose another provider; `.partial` has what came before.",
        )

    def partial(self) -> ChatMessage | None:
        """Return what has arrived; None where nothing has."""
        message = self.fold.message()
        return message if len(message) or message.meta.get("model") else None

    @property
    def finished(self) -> bool:
        """Whether the answer is whole; its usage may still come."""
        return self.done or self._finish_reason is not None

    def end(self) -> None:
        """Take note that the stream is over.

        Raises
        ------
        StreamError
            It broke off: neither a finish reason nor ``[DONE]`` had come.
        """
        if self.finished:
            return
        partial = self.partial()
        raise StreamError(
            "The stream ended before the answer did: no finish reason, no [DONE].",
            partial=partial,
            generation_id=partial.meta.get("id") if partial is not None else None,
            provider_name=partial.meta.get("provider") if partial is not None else None,
            hint="What came is in `.partial`; try again, or choose another provider.",
        )


def _metas(meta: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the event's meta for its first chunk, and bare copies for the others, so that nothing counts twice."""
    bare = {k: v for k, v in meta.items() if k not in {"extras", "logprobs"}}
    yield meta
    while True:
        yield {**bare, "usage": None}


class _CallSorter:
    """Decides which call a fragment belongs to, by the rules of API section 4.3."""

    def __init__(self) -> None:
        self._ids: list[str | None] = []
        self._names: list[str] = []
        self._pieces: list[list[str]] = []
        self._at: dict[int | None, list[int]] = {}  # the endpoint's index -> our calls at it, the latest last

    def place(
        self, index: Any, call_id: str | None, name: str, text: str, position: int | None
    ) -> tuple[int, str | None, str | None]:
        """Return the call's number, and its name and id as far as they are news."""
        if not isinstance(index, int):
            index = position
        number = self._find(index, call_id, name, text)
        if number is None:
            number = len(self._ids)
            self._ids.append(None)
            self._names.append("")
            self._pieces.append([])
            self._at.setdefault(index, []).append(number)
        new_id = call_id if self._ids[number] is None else None
        new_name = name if not self._names[number] else ""
        self._ids[number] = self._ids[number] or call_id
        self._names[number] = self._names[number] or name
        self._pieces[number].append(text)
        return number, new_name or None, new_id

    def _find(self, index: int | None, call_id: str | None, name: str, text: str) -> int | None:
        here = range(len(self._ids)) if index is None else self._at.get(index, ())
        if not here:
            return None
        number = here[-1]
        if call_id and call_id != self._ids[number]:
            if known := [other for other in here if self._ids[other] == call_id]:
                number = known[-1]
            elif self._ids[number] is not None:
                return None
            # Otherwise it is the id of a call that had none yet.
        if name and self._names[number]:
            # A name that comes again is the same call's, unless it is another name or that call had all it needs.
            ended = bool(text.strip()) and _is_complete(self._pieces[number])
            if ended or name != self._names[number]:
                return None
        return number


def _is_complete(pieces: list[str]) -> bool:
    if pieces[-1].rstrip()[-1:] not in {"}", ""}:  # spares most of the joining
        return False
    try:
        json.loads("".join(pieces))
    except (ValueError, RecursionError):
        return False
    return True


class _SurrogateJoiner:
    """Puts characters together that an upstream escaped in halves, one half an event."""

    def __init__(self) -> None:
        self._halves: dict[str, str] = {}

    def join(self, value: Any, path: str = "") -> Any:
        if isinstance(value, str):
            text = self._halves.pop(path, "") + value
            if text and "\ud800" <= text[-1] <= "\udbff":
                self._halves[path] = text[-1]
                text = text[:-1]
            return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        if isinstance(value, dict):
            return {self.join(key): self.join(item, f"{path}/{key}") for key, item in value.items()}
        if isinstance(value, list):
            return [self.join(item, f"{path}/{number}") for number, item in enumerate(value)]
        return value
