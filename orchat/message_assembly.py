"""Assemble messages: from `StreamingChunk`s by a pure fold, and from the parts of a whole reply.

Nothing here does I/O or knows where chunks come from.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from orchat.errors import ConfigurationError
from orchat.messages import AudioContent, ChatMessage, ImageContent, ReasoningContent, ToolCall
from orchat.messages.extra_fields import ExtraFields, distinct
from orchat.messages.media import split_data_url
from orchat.messages.memory_size import PiecesSize, json_memory
from orchat.messages.reasoning_details import THINKING_BLOCKS, merge_details, merge_thinking_blocks
from orchat.messages.tool_arguments import read_arguments
from orchat.streaming import StreamingChunk, ToolCallDelta

# What a chunk says only about itself; everything else in its `meta` describes the whole reply.
_OF_ONE_CHUNK = frozenset(
    {"index", "tool_calls", "received_at", "logprobs", "extras", "finish_reason", "object", "user_id"}
)
REFUSED: Final = "The model refused: "  # how people are told of it
MOST_REFUSAL: Final = 2_000  # characters of a refusal that people are shown
# The finish reasons of a whole answer, and those that tell by themselves that it is cut.
_USUAL_REASONS = frozenset(
    (  # noqa: SIM905 - a list of so many short names reads best as words
        "stop tool_calls function_call length content_filter error "
        "end_turn stop_sequence tool_use eos eos_token complete completed"
    ).split()
)
_CUT_REASONS = frozenset({"length", "max_tokens", "max_output_tokens", "max_completion_tokens", "model_length"})


class RawCall(NamedTuple):
    """A tool call as it came: its arguments may be JSON text, an object or None."""

    id: str | None
    name: str
    arguments: Any
    extra: dict[str, Any] | None = None
    """What the endpoint wants back with it."""


class MessageAssembler:
    """Assembles the chunks of a reply to one `ChatMessage`, at any moment.

    Examples
    --------
    >>> fold = MessageAssembler()
    >>> for text in ("The ", "Humber."):
    ...     fold.add(StreamingChunk(text, {"model": "vendor/m"}, index=0))
    >>> fold.message().text
    'The Humber.'
    """

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._reasoning: list[str] = []
        self._details: list[dict[str, Any]] = []
        self._has_details = False
        self._blocks: list[dict[str, Any]] = []
        self._calls: dict[int, _OpenCall] = {}
        self._extras = ExtraFields()
        self._came_as: str | None = None
        self._logprobs: list[Any] = []
        self._facts: dict[str, Any] = {}
        self._finish_reason: str | None = None
        self._first_at: str | None = None
        self._last: dict[str, Any] = {}
        self._size = -1
        self._text_sizes = PiecesSize(self._texts), PiecesSize(self._reasoning)

    def add(self, chunk: StreamingChunk) -> None:
        """Add the next chunk."""
        meta = chunk.meta
        # Facts are spread over events. Looking at each of them would double the price of a chunk, so only those that
        # carry nothing else, or look different from the one before, are read, and the last one at the end.
        if (
            chunk.index is None
            or len(meta) != self._size
            or chunk.finish_reason
            or meta.get("usage")
            or meta.get("extras")
        ):
            self._note(meta, chunk.finish_reason)
        self._last = meta
        if "logprobs" in meta:
            self._logprobs.append(meta["logprobs"])
        if chunk.content:  # and so nothing else
            self._texts.append(chunk.content)
            return
        if chunk.reasoning:
            self._reasoning.append(chunk.reasoning.reasoning_text)
            self._came_as = self._came_as or chunk.reasoning.came_as
            if (details := chunk.reasoning.extra.get("reasoning_details")) is not None:
                self._has_details = True
                merge_details(self._details, details)
            merge_thinking_blocks(self._blocks, chunk.reasoning.extra.get(THINKING_BLOCKS, ()))
        for delta in chunk.tool_calls or ():
            self._calls.setdefault(delta.index, _OpenCall()).add(delta)

    def add_text(self, text: str, meta: dict[str, Any]) -> None:
        """Add a chunk that is nothing but text, the most frequent one, by its content and meta.

        Its meta must hold neither usage, finish reason, ``extras`` nor ``logprobs``.
        """
        if len(meta) != self._size:
            self._note(meta, None)
        self._last = meta
        self._texts.append(text)

    @property
    def call_indexes(self) -> list[int]:
        """The delta index of each of the message's tool calls; of a repeated call only the first counts."""
        indexes = sorted(self._calls)
        calls = [self._calls[index] for index in indexes]
        return [indexes[at] for at, _ in _assembled(call.raw for call in calls)]

    @property
    def size(self) -> int:
        """The size of the message so far in bytes, estimated: JSON text takes at most half the memory of its values."""
        pieces = sum(sum(map(sys.getsizeof, call.pieces)) for call in self._calls.values())
        values = (self._details, self._blocks, self._logprobs, self._extras.values, self._facts)
        return sum(size.bytes() for size in self._text_sizes) + pieces + sum(map(json_memory, values)) // 2

    def warn(self, text: str) -> None:
        """Add a warning to the message."""
        self._facts["warnings"] = [*self._facts.get("warnings", ()), text]

    @property
    def has_chunks(self) -> bool:
        """Whether a chunk was added."""
        return bool(self._last)

    @property
    def usage(self) -> Any:
        """The usage so far."""
        return self._facts.get("usage")

    def _note(self, meta: Mapping[str, Any], finish_reason: str | None) -> None:
        self._size = len(meta)
        if self._first_at is None:
            self._first_at = meta.get("received_at")
        told = self._facts.get("usage")
        self._facts.update({k: v for k, v in meta.items() if v is not None and k not in _OF_ONE_CHUNK})
        if told and meta.get("usage") is not None:
            self._facts["usage"] = _later_usage(told, meta["usage"])
        self._finish_reason = finish_reason or meta.get("finish_reason") or self._finish_reason
        if isinstance(extras := meta.get("extras"), dict):  # an endpoint may have a field of that name
            for key, value in extras.items():
                self._extras.add(key, value)

    def message(self) -> ChatMessage:
        """Return the message so far."""
        self._note({**self._last, "extras": None}, None)
        facts = dict(self._facts)
        extras = {
            k: dict(v) if isinstance(v, dict) else v for k, v in self._extras.values.items()
        }  # which go on growing
        meta = {
            "model": facts.pop("model", None),
            "index": 0,
            "finish_reason": self._finish_reason,
            "completion_start_time": self._first_at,
            "usage": facts.pop("usage", None),
            **facts,
        }
        if self._logprobs:
            meta["logprobs"] = list(self._logprobs)
        details = {"reasoning_details": [dict(item) for item in self._details]} if self._has_details else {}
        details |= {THINKING_BLOCKS: [dict(block) for block in self._blocks]} if self._blocks else {}
        thought = "".join(self._reasoning)
        return build_message(
            text="".join(self._texts) if self._texts else None,
            reasoning=ReasoningContent(thought, details, came_as=self._came_as) if thought or details else None,
            calls=[call.raw for _, call in sorted(self._calls.items())],
            extras=extras,
            meta=meta,
        )


def build_message(
    *,
    text: str | None,
    reasoning: ReasoningContent | None,
    calls: Iterable[RawCall],
    extras: Mapping[str, Any],
    meta: dict[str, Any],
) -> ChatMessage:
    """Build an assistant's message from its parts, streamed or not.

    Parameters
    ----------
    text, reasoning
        As in `ChatMessage.from_assistant`.
    calls
        Each tool call as it came.
    extras
        ``images``, ``audio``, ``annotations``, ``refusal`` and what else the message held; the last three kinds
        end in ``meta``.
    meta
        Facts about the reply.

    Examples
    --------
    >>> build_message(text="Hi", reasoning=None, calls=[], extras={"refusal": None}, meta={}).meta
    {}
    """
    extras = {k: distinct(v) if isinstance(v, list) else v for k, v in extras.items() if v not in (None, [], {})}
    if extras.get("refusal") == "":
        del extras["refusal"]
    sent = extras.pop("images", None)
    images = [_image(item) for item in sent] if isinstance(sent, list) else [None]
    if sent is not None and None in images:
        extras["images"] = sent  # of a kind that we cannot read: kept as it came
    sound = extras.pop("audio", None)
    audio = None
    if isinstance(sound, dict) and isinstance(sound.get("data"), str):
        rest = {key: value for key, value in sound.items() if key not in {"data", "transcript", "format"}}
        audio = AudioContent(sound["data"], sound.get("format") or "wav", sound.get("transcript"), rest)
    elif sound is not None:
        extras["audio"] = sound
    tool_calls = assemble_tool_calls(calls, salt=str(meta.get("id")))
    message = ChatMessage.from_assistant(
        text,
        # What stands in the message never takes the place of what the endpoint says about the reply.
        {**meta, **{key: value for key, value in extras.items() if meta.get(key) is None}},
        tool_calls=tool_calls,
        reasoning=reasoning,
        images=[image for image in images if image is not None],
        audio=audio,
    )
    for call in tool_calls:
        if call.mended_arguments is not None:
            warn(message, f"The arguments for `{call.tool_name}` were no JSON object, and were mended.")
    if isinstance(refusal := extras.get("refusal"), str) and refusal.strip():
        warn(message, f"{REFUSED}{refusal.strip()[:MOST_REFUSAL]}")  # it is no text, and would not be seen
    reason = meta.get("finish_reason")
    if isinstance(reason, str) and reason.lower() not in _USUAL_REASONS:
        warn(message, f"The endpoint ended the answer with `{reason[:80]}`: it may be cut.")
    return message


def was_cut(message: ChatMessage) -> bool:
    """Whether an answer was cut at its token limit, by the endpoint's or the provider's finish reason.

    Examples
    --------
    >>> was_cut(ChatMessage.from_assistant("", {"finish_reason": "tool_calls", "native_finish_reason": "MAX_TOKENS"}))
    True
    """
    reasons = (message.meta.get(name) for name in ("finish_reason", "native_finish_reason"))
    return any(isinstance(reason, str) and reason.lower() in _CUT_REASONS for reason in reasons)


def warn(message: ChatMessage, text: str) -> None:
    """Add a warning for people to a message's ``meta["warnings"]``.

    Examples
    --------
    >>> reply = ChatMessage.from_assistant("Hi")
    >>> warn(reply, "It ended early.")
    >>> reply.meta["warnings"]
    ['It ended early.']
    """
    message.meta["warnings"] = [*message.meta.get("warnings", ()), text]


def assemble_tool_calls(calls: Iterable[RawCall], *, salt: str = "") -> list[ToolCall]:
    """Make tool calls of what a model sent, however sloppy (API section 4.3).

    A call without an id gets one; an id that is used twice gives way to a new one, unless the two are the same call
    sent twice, which counts once. Arguments that are no JSON object are kept as text.

    Parameters
    ----------
    calls
        The calls, in order.
    salt
        Makes the ids differ between replies: the generation's id.

    Examples
    --------
    >>> calls = [RawCall("a", "tide", ""), RawCall("a", "tide", "{}"), RawCall("a", "tide", '{"port": ')]
    >>> assemble_tool_calls(calls)[1].malformed_arguments
    '{"port": '
    """
    return [call for _, call in _assembled(calls, salt)]


def _assembled(calls: Iterable[RawCall], salt: str = "") -> Iterator[tuple[int, ToolCall]]:
    """Yield the calls without repeated ones, each with its number among all."""
    taken: dict[str, ToolCall] = {}
    for number, (given, name, raw, added) in enumerate(calls):
        arguments = read_arguments(raw)
        twin = taken.get(given) if given else None
        extra = {**(arguments.extra or {}), **(added or {})} or None
        call = ToolCall(name, arguments.values, given, extra, arguments_text=arguments.text)
        if twin is not None and call == ToolCall(twin.tool_name, twin.arguments, given, twin.extra):
            continue
        call_id = "" if given is None or twin is not None else given
        attempt = salt
        while not call_id or call_id in taken:  # an endpoint may have sent what we make
            digest = hashlib.sha256(f"{attempt}/{number}/{name}/{raw}".encode(errors="replace")).hexdigest()
            call_id, attempt = f"call_{digest[:24]}", digest
        call.id = call_id
        taken[call_id] = call
        yield number, call


@dataclass
class _OpenCall:
    id: str | None = None
    name: str = ""
    pieces: list[str] = field(default_factory=list)
    extra: dict[str, Any] | None = None

    @property
    def raw(self) -> RawCall:
        return RawCall(self.id, self.name, self.arguments, self.extra)

    @property
    def arguments(self) -> str:
        return "".join(self.pieces)

    def add(self, delta: ToolCallDelta) -> None:
        self.id = self.id or delta.id
        # Some upstreams repeat the name in every piece; none sends it in pieces.
        self.name = self.name or delta.tool_name or ""
        if delta.arguments:
            self.pieces.append(delta.arguments)
        if delta.extra:
            self.extra = {**(self.extra or {}), **delta.extra}


def _later_usage(old: Any, new: Any) -> Any:
    """Merge a later usage over an earlier one; missing values and zeros do not replace counts."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new or old
    return {**old, **{k: _later_usage(old.get(k), v) for k, v in new.items() if v or not old.get(k)}}


def _image(item: Any) -> ImageContent | None:
    """Parse one of a message's ``images`` (API section 3.2)."""
    url = item.get("image_url") if isinstance(item, dict) else None
    url = url.get("url") if isinstance(url, dict) else url
    if not isinstance(url, str):
        return None
    meta = {"index": item["index"]} if isinstance(item.get("index"), int) else {}
    if url.startswith("data:"):
        try:
            mime_type, data = split_data_url(url)
        except ConfigurationError:
            return ImageContent(url=url, meta=meta)
        return ImageContent(data, mime_type, meta=meta, validation=False)
    return ImageContent(url=url, meta=meta)
