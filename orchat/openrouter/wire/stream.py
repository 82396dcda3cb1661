"""Parse the events of a streamed response to chunks (API section 4).

This is the per-token path: an event that only carries text takes a short way through `ChunkReader`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from orchat.errors import APIError, StreamError
from orchat.message_assembly import MessageAssembler
from orchat.messages import ChatMessage
from orchat.openrouter.response_limits import DEFAULT_LIMITS, ResponseLimits
from orchat.openrouter.wire.choice_content import has_message, unread_fields, unread_warning, with_message
from orchat.openrouter.wire.chunk_builder import ChunkBuilder
from orchat.openrouter.wire.error_hints import advice_to_retry
from orchat.openrouter.wire.error_shapes import MARKS, error_object, error_of_event
from orchat.openrouter.wire.failures import error_from_object
from orchat.openrouter.wire.finish_state import FinishState
from orchat.openrouter.wire.response import (
    NO_REASON,
    choice_error,
    read_reply_parts,
    says_something,
)
from orchat.openrouter.wire.surrogate_pairs import SurrogateJoiner
from orchat.secrets import redact
from orchat.streaming import ComponentInfo, StreamingChunk

# All that a choice says while text arrives; one that says more takes the long way.
_PLAIN_CHOICE = frozenset({"index", "delta", "finish_reason", "native_finish_reason", "logprobs"})
# What an event that only carries text has not: marks of errors, and what is kept of an answer besides its text.
_UNUSUAL = MARKS | {"user_id", "extras", "logprobs"}
_TEXT_FIELDS = frozenset({"role", "content"})
_OFTEN_EMPTY = frozenset({"reasoning", "reasoning_content", "reasoning_details", "tool_calls"})
_new_chunk = object.__new__


def _says_more(delta: dict[str, Any]) -> bool:
    """Whether a delta holds more than role and text: many send all other fields as well, empty."""
    return any(
        value or (value is not None and name not in _OFTEN_EMPTY)
        for name, value in delta.items()
        if name not in _TEXT_FIELDS
    )


class ChunkReader:
    """Parses the events of one stream to chunks, and assembles their message.

    Parameters
    ----------
    component_info
        Stamped on each chunk.
    rewrite
        Changes an event before it is read, for an endpoint of another dialect.
    secrets
        Values to hide in errors.
    other_url
        The request's URL, where its host is not OpenRouter's: errors then have other hints.
    limits
        The limits of the response.

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
        other_url: str | None = None,
        limits: ResponseLimits = DEFAULT_LIMITS,
    ) -> None:
        from pydantic_core import from_json

        self.fold = MessageAssembler()
        self.received_at: str | None = None
        self.done = False
        self.progressed = False
        self.may_have_ended = False
        self.failure: APIError | None = None
        self._is_malformed = False
        self._refusal: list[StreamingChunk] = []
        self._has_message = False
        self._unread: set[str] = set()  # fields of choices without a message
        self._finish = FinishState()
        self._builder = ChunkBuilder(component_info, limits)
        self._rewrite = rewrite
        self._secrets = secrets
        self._other_url = other_url
        self._limits = limits
        self._from_json = from_json
        self._add_text = self.fold.add_text
        self._surrogates = SurrogateJoiner()

    def read(self, data: str, name: str = "message") -> list[StreamingChunk]:
        """Parse one event, given by its data and name, to chunks, and add each to the assembled message.

        An error is raised when its usage has come as well, or the stream ends: recorded ones were all charged for.

        Raises
        ------
        APIError
            The event is an error, or no chat completion event at all, or it is over a limit; what came before it is
            ``partial``.
        """
        self.progressed = False
        if self.failure is not None:
            return self._after_failure(data)
        try:
            try:
                event = self._from_json(data)
            except ValueError:
                if name == "error":
                    event = data
                elif self._is_end(data):
                    return []
                else:
                    # Perhaps valid JSON that the fast decoder refuses: half of a character, escaped.
                    event = self._surrogates.join(json.loads(data))
            if name == "error":
                chunks = self._error_event(data, event)
            elif not isinstance(event, dict):
                chunks = self._no_object(event)
            else:
                if self._rewrite is not None:
                    event = self._rewrite(event)
                found = None if _UNUSUAL.isdisjoint(event) else self._unusual(event)
                if found is None and (chunk := self._text(event)) is not None:
                    return [chunk]
                chunks = self._chunks(event) if found is None else found
            for chunk in chunks:
                self.fold.add(chunk)
        except (TypeError, AttributeError, KeyError, ValueError, RecursionError):
            # An event of any shape may come; whatever it breaks above is the event's fault. After the finish reason
            # the answer is whole, whatever follows.
            if self._finish.reason is not None:
                return []
            raise self._malformed(data) from None
        return chunks

    def _is_end(self, data: str) -> bool:
        """Whether the data is ``[DONE]`` or empty."""
        word = data.strip()
        if word and word.strip('"').upper() != "[DONE]":
            return False
        self.done = self.done or bool(word)
        self.may_have_ended = True
        return True

    def _unusual(self, event: dict[str, Any]) -> list[StreamingChunk] | None:
        """Parse an event that is an error, or holds something that a text has not; None where it may be a text."""
        marks = MARKS.intersection(event)
        # Many endpoints send each event with `error: null`, which needs no long look.
        suspect = any(event[name] is not None for name in marks) or not event.get("choices")
        if marks and suspect and (found := error_object(event)) is not None:
            return self._failing(found, event)
        event.pop("user_id", None)  # comes with errors, and is nobody's business
        return self._chunks(event) if "extras" in event or "logprobs" in event else None

    def _text(self, event: dict[str, Any]) -> StreamingChunk | None:
        """Return the chunk of an event that holds nothing but text, with or without the role, and add it.

        Most events are such, and what a token costs is this: it does what `_chunks` does, without its calls.
        """
        if (usage := event.get("usage")) or not (choices := event.get("choices")):
            return None
        choice = choices[0]
        if choice.get("finish_reason") is not None or choice.get("logprobs") is not None:
            return None
        if not (delta := choice.get("delta")) or not _PLAIN_CHOICE.issuperset(choice):
            return None
        content = delta.get("content")
        if type(content) is not str or not content or (len(delta) != 1 + ("role" in delta) and _says_more(delta)):
            return None
        self.progressed = True
        del event["choices"]
        event["usage"] = usage
        event["tool_calls"] = None
        event["received_at"] = self.received_at
        event["index"] = choice.get("index", 0)
        event["finish_reason"] = None
        chunk = _new_chunk(StreamingChunk)
        chunk.content = content
        chunk.meta = event
        builder = self._builder
        chunk.component_info = builder.component_info
        if builder.kind != "text":
            builder.enter("text")
            chunk.start = True
        chunk.index = builder.block
        self._add_text(content, event)
        return chunk

    def _chunks(self, event: dict[str, Any]) -> list[StreamingChunk]:
        choices = event.pop("choices", None)
        # The event itself becomes the chunk's meta: nothing that the endpoint said is dropped.
        event["tool_calls"] = None
        event["received_at"] = self.received_at
        usage = event.setdefault("usage", None)
        if not choices:
            event["finish_reason"] = None
            chunk = self._builder.make("", event)
            if usage:
                self._told_usage(chunk)
            return [chunk]
        choice = with_message(choices[0])
        self._has_message = self._has_message or has_message(choice)
        self._unread |= unread_fields(choice)
        delta = choice.get("delta")
        event["index"] = choice.get("index", 0)
        return self._long_way(choice, delta if delta is not None else choice.get("message") or {}, event)

    def _no_object(self, event: Any) -> list[StreamingChunk]:
        if isinstance(event, str) and self._is_end(event):
            return []
        if event is None or self._finish.reason is not None:
            return []
        if (found := error_object(event)) is None:
            raise TypeError
        return self._failing(found, {})

    def _long_way(self, choice: Mapping[str, Any], delta: dict[str, Any], meta: dict[str, Any]) -> list[StreamingChunk]:
        pieces = read_reply_parts(delta)
        reason = choice.get("finish_reason") or None
        failed = self.failure or choice_error(choice, None, meta, *self._secrets, other_url=self._other_url)
        of_delta = {"delta", "message", "index", "error"}
        meta |= {key: value for key, value in choice.items() if value is not None and key not in of_delta}
        meta["finish_reason"] = None if reason == "error" else reason
        if pieces.extras:
            meta["extras"] = pieces.extras
            if isinstance(images := pieces.extras.get("images"), list):
                self._builder.count_images(len(images))
        chunks = list(self._builder.build(pieces, meta)) or [self._builder.make("", meta)]
        self.progressed = bool(
            reason or meta["usage"] or pieces.extras or len(chunks) > 1 or _carries(chunks[0]) or choice.get("logprobs")
        )
        if failed is not None:
            self.failure, self.may_have_ended = failed, True
            return chunks
        self.may_have_ended = True
        self._finish.add_choice(choice, has_calls=bool(pieces.calls))
        if meta["usage"]:
            self._told_usage(chunks[-1])
        elif reason and not self._finish.native_is_due:
            self._finish.mark(chunks[-1])
        return chunks

    def _told_usage(self, chunk: StreamingChunk) -> None:
        self.progressed = self.may_have_ended = True
        self._finish.add_usage()
        self._finish.mark(chunk)

    # -- errors -------------------------------------------------------------------------------------------------

    def _error_event(self, data: str, event: Any) -> list[StreamingChunk]:
        return self._failing(error_of_event(data, event), event if isinstance(event, dict) else {})

    def _failing(self, found: dict[str, Any], event: dict[str, Any]) -> list[StreamingChunk]:
        """Record an event that is an error, and return the chunks of its other content."""
        choices = event.pop("choices", None)
        self.failure = error_from_object(found, event, *self._secrets, other_url=self._other_url)
        event.pop("user_id", None)
        meta = {key: value for key, value in event.items() if key not in MARKS}
        meta |= {"tool_calls": None, "received_at": self.received_at, "usage": event.get("usage")}
        choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
        delta = choice.get("delta") or choice.get("message")
        chunks = self._long_way(choice, delta if isinstance(delta, dict) else {}, meta)
        if self.partial() is None and not meta["usage"] and not any(map(_carries, chunks)):
            # Nothing came but a refusal: it is not the beginning of an answer, unless usage shows that it was charged.
            self._refusal = chunks
            return []
        return chunks

    def _after_failure(self, data: str) -> list[StreamingChunk]:
        assert self.failure is not None
        if self.is_over:
            raise self.failed()
        try:
            event = self._from_json(data)
        except ValueError:
            event = None
        if isinstance(event, dict) and isinstance(event.get("usage"), dict) and event["usage"]:
            facts = {key: event[key] for key in ("id", "model", "provider", "created", "usage") if key in event}
            for chunk in (*self._refusal, self._builder.make("", facts)):
                self.fold.add(chunk)
            raise self.failed()
        if self._is_end(data):
            raise self.failed()
        return []

    @property
    def is_over(self) -> bool:
        """Whether the usage that follows an error has arrived."""
        return self.failure is not None and bool(self.fold.usage)

    def failed(self) -> APIError:
        """Return the error of the stream, with the partial message."""
        error = self.failure
        assert error is not None
        error.partial = self.partial()
        # What was answered in part had begun: sending it again may be paid for twice.
        error.retryable = error.retryable and error.partial is None
        return error

    def _malformed(self, data: str) -> StreamError:
        self._is_malformed = True
        shown = redact(data[:1000], *self._secrets)[:80]
        return StreamError(
            f"The stream holds something that is no chat completion event: {shown!r}.",
            partial=self.partial(),
            hint=f"What came before is in `.partial`; {advice_to_retry(self._other_url)}.",
        )

    def partial(self) -> ChatMessage | None:
        """Return the message so far; None where nothing has arrived."""
        message = self.fold.message()
        return message if len(message) or message.meta.get("model") else None

    def check_size(self) -> None:
        """Compare what has been kept of the stream to its limit.

        Raises
        ------
        ResponseLimitError
            It is more.
        """
        if self.fold.size > self._limits.answer_bytes:
            raise self._limits.exceeded("answer_bytes")

    @property
    def is_empty(self) -> bool:
        """Whether nothing came: neither a chunk nor an error, nor what is no event."""
        return self.failure is None and not self.fold.has_chunks and not self._is_malformed

    @property
    def finished(self) -> bool:
        """Whether the response is complete; its usage may still come.

        The first finish reason may not be the last: some upstreams give one with each tool call. Where a reason of the
        provider's own is due and null, only usage or ``[DONE]`` end the answer.
        """
        return self.failure is None and self._finish.is_last(done=self.done)

    def end(self, *, whole: bool = False) -> None:
        """Record the end of the stream; raise where the response is incomplete.

        Parameters
        ----------
        whole
            Whether the answer came as one JSON text, which cannot break off.

        Raises
        ------
        APIError
            An error had come.
        StreamError
            It broke off: no finish reason had come, or none that was the last.
        """
        if self.failure is not None:
            raise self.failed()
        if self.finished or (self._finish.has_reason and not self._finish.native_is_due):
            if self._unread and not self._has_message and not len(self.fold.message()):
                self.fold.warn(unread_warning(self._unread))
            return
        partial = self.partial()
        if whole and partial is not None and says_something(partial):
            self.fold.warn(NO_REASON)
            return
        if self.is_empty:
            raise StreamError(
                "The endpoint sent nothing at all: a stream without an event.",
                hint="Its log may say why; without streaming it may say so itself.",
            )
        missing = "no finish reason that is the last" if self._finish.has_reason else "no finish reason"
        raise StreamError(
            f"The stream ended before the answer did: {missing}, {'though it said' if self.done else 'no'} [DONE].",
            partial=partial,
            generation_id=partial.meta.get("id") if partial is not None else None,
            provider_name=partial.meta.get("provider") if partial is not None else None,
            hint=f"What came is in `.partial`; {advice_to_retry(self._other_url)}.",
        )


def _carries(chunk: StreamingChunk) -> bool:
    return bool(chunk.content or chunk.reasoning or chunk.tool_calls)
