"""From pieces to a message: the pure fold over `StreamingChunk`s, and the assembly that whole replies share with it.

Nothing here does I/O or knows where chunks come from.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchat.errors import ConfigurationError
from orchat.messages import AudioContent, ChatMessage, ImageContent, ReasoningContent, ToolCall
from orchat.messages.media import split_data_url
from orchat.messages.tool_arguments import parse_arguments
from orchat.streaming import StreamingChunk, ToolCallDelta

# What a chunk says only about itself; everything else in its `meta` describes the whole reply.
_OF_ONE_CHUNK = frozenset(
    {"index", "tool_calls", "received_at", "logprobs", "extras", "finish_reason", "object", "user_id"}
)


class MessageAssembler:
    """Makes one `ChatMessage` of the chunks of a reply, at any moment.

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
        self._calls: dict[int, _OpenCall] = {}
        self._extras: dict[str, Any] = {}
        self._logprobs: list[Any] = []
        self._facts: dict[str, Any] = {}
        self._finish_reason: str | None = None
        self._first_at: str | None = None
        self._last: dict[str, Any] = {}
        self._size = -1

    def add(self, chunk: StreamingChunk) -> None:
        """Take the next chunk."""
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
            if (details := chunk.reasoning.extra.get("reasoning_details")) is not None:
                self._has_details = True
                _merge_details(self._details, details)
        for delta in chunk.tool_calls or ():
            self._calls.setdefault(delta.index, _OpenCall()).add(delta)

    @property
    def call_indexes(self) -> list[int]:
        """The index under which each of the message's tool calls came: calls that count once may have come twice."""
        indexes = sorted(self._calls)
        calls = [self._calls[index] for index in indexes]
        return [indexes[at] for at, _ in _assembled((call.id, call.name, call.arguments) for call in calls)]

    def _note(self, meta: Mapping[str, Any], finish_reason: str | None) -> None:
        self._size = len(meta)
        if self._first_at is None:
            self._first_at = meta.get("received_at")
        self._facts.update({k: v for k, v in meta.items() if v is not None and k not in _OF_ONE_CHUNK})
        self._finish_reason = finish_reason or meta.get("finish_reason") or self._finish_reason
        for key, value in (meta.get("extras") or {}).items():
            _accumulate(self._extras, key, value)

    def message(self) -> ChatMessage:
        """Return what has arrived so far, as a message."""
        self._note({**self._last, "extras": None}, None)
        facts, extras = dict(self._facts), dict(self._extras)
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
        thought = "".join(self._reasoning)
        return build_message(
            text="".join(self._texts) if self._texts else None,
            reasoning=ReasoningContent(thought, details) if thought or self._details else None,
            calls=[(call.id, call.name, call.arguments) for _, call in sorted(self._calls.items())],
            extras=extras,
            meta=meta,
        )


def build_message(
    *,
    text: str | None,
    reasoning: ReasoningContent | None,
    calls: Iterable[tuple[str | None, str, Any]],
    extras: Mapping[str, Any],
    meta: dict[str, Any],
) -> ChatMessage:
    """Make an assistant's message of its assembled pieces, streamed or not.

    Parameters
    ----------
    text, reasoning
        As in `ChatMessage.from_assistant`.
    calls
        Id, name and raw arguments of each tool call.
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
    extras = {key: value for key, value in extras.items() if value not in (None, [], {})}
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
    return ChatMessage.from_assistant(
        text,
        # What stands in the message never takes the place of what the endpoint says about the reply.
        {**meta, **{key: value for key, value in extras.items() if meta.get(key) is None}},
        tool_calls=assemble_tool_calls(calls, salt=str(meta.get("id"))),
        reasoning=reasoning,
        images=[image for image in images if image is not None],
        audio=audio,
    )


def assemble_tool_calls(calls: Iterable[tuple[str | None, str, Any]], *, salt: str = "") -> list[ToolCall]:
    """Make tool calls of what a model sent, however sloppy (API section 4.3).

    A call without an id gets one; an id that is used twice gives way to a new one, unless the two are the same call
    sent twice, which counts once. Arguments that are no JSON object are kept as text.

    Parameters
    ----------
    calls
        Id, name and arguments (JSON text, object or None) of each call, in order.
    salt
        Makes the ids differ between replies: the generation's id.

    Examples
    --------
    >>> assemble_tool_calls([("a", "tide", ""), ("a", "tide", "{}"), ("a", "tide", '{"port": ')])[1].malformed_arguments
    '{"port": '
    """
    return [call for _, call in _assembled(calls, salt)]


def _assembled(calls: Iterable[tuple[str | None, str, Any]], salt: str = "") -> Iterator[tuple[int, ToolCall]]:
    """Give the calls that count, each with its number among those that came."""
    taken: dict[str, ToolCall] = {}
    for number, (given, name, raw) in enumerate(calls):
        arguments, malformed = parse_arguments(raw)
        extra = None if malformed is None else {"malformed_arguments": malformed}
        twin = taken.get(given) if given else None
        if twin is not None and (twin.tool_name, twin.arguments, twin.extra) == (name, arguments, extra):
            continue
        call_id = "" if given is None or twin is not None else given
        attempt = salt
        while not call_id or call_id in taken:  # an endpoint may have sent what we make
            digest = hashlib.sha256(f"{attempt}/{number}/{name}/{raw}".encode(errors="replace")).hexdigest()
            call_id, attempt = f"call_{digest[:24]}", digest
        taken[call_id] = ToolCall(name, arguments, call_id, extra)
        yield number, taken[call_id]


@dataclass
class _OpenCall:
    id: str | None = None
    name: str = ""
    pieces: list[str] = field(default_factory=list)

    @property
    def arguments(self) -> str:
        return "".join(self.pieces)

    def add(self, delta: ToolCallDelta) -> None:
        self.id = self.id or delta.id
        # Some upstreams repeat the name in every piece; none sends it in pieces.
        self.name = self.name or delta.tool_name or ""
        if delta.arguments:
            self.pieces.append(delta.arguments)


def _merge_details(stored: list[dict[str, Any]], fragments: Iterable[Any]) -> None:
    """Append reasoning details, joining fragments of one item by the rules of API section 4.3."""
    for fragment in fragments:
        last = stored[-1] if stored else None
        if (
            last is None
            or not isinstance(fragment, dict)
            or fragment.get("type") not in {"reasoning.text", "reasoning.summary"}
            or (last.get("type"), last.get("index")) != (fragment.get("type"), fragment.get("index"))
            or (last.get("signature") and (fragment.get("text") or fragment.get("summary")))
        ):
            stored.append(dict(fragment) if isinstance(fragment, dict) else {"type": "unknown", "value": fragment})
            continue
        for key, value in fragment.items():
            old = last.get(key)
            if key in {"text", "summary"} and isinstance(old, str) and isinstance(value, str):
                last[key] = old + value
            elif old is None:
                last[key] = value


def _accumulate(extras: dict[str, Any], key: str, value: Any) -> None:
    """Add a delta's `value` to what came before: lists grow, texts join, a sound's data and transcript join."""
    old = extras.get(key)
    growing = list if key != "refusal" else str
    if isinstance(old, growing) and isinstance(value, growing):
        extras[key] = old + value  # type: ignore[operator]
    elif isinstance(old, dict) and isinstance(value, dict):
        joined = {**old, **{k: v for k, v in value.items() if v is not None}}
        for part, join in (("data", _join_base64), ("transcript", str.__add__)):
            if isinstance(old.get(part), str) and isinstance(value.get(part), str):
                joined[part] = join(old[part], value[part])
        extras[key] = joined
    elif value is not None:
        extras[key] = value


def _join_base64(old: str, new: str) -> str:
    """Join two pieces of base64, also when the first was padded and so stands by itself (API section 4.2)."""
    if not old.endswith("="):
        return old + new
    try:
        return base64.b64encode(base64.b64decode(old) + base64.b64decode(new)).decode()
    except ValueError:
        return old + new


def _image(item: Any) -> ImageContent | None:
    """Read one of a message's ``images`` (API section 3.2)."""
    url = item.get("image_url") if isinstance(item, dict) else None
    url = url.get("url") if isinstance(url, dict) else url
    if not isinstance(url, str):
        return None
    if url.startswith("data:"):
        try:
            mime_type, data = split_data_url(url)
        except ConfigurationError:
            return ImageContent(url=url)
        return ImageContent(data, mime_type, validation=False)
    return ImageContent(url=url)
