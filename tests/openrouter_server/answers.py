"""How OpenRouter says it: an `Answer` is a status, headers, a body and the way in which its bytes travel.

Answers are immutable; each modifier returns a changed copy, so that a test reads as one sentence::

    text("Hello").cut(1).newlines("\\r\\n")
    stream(event("Hel"), event("lo")).ending("reset")
    error(429, "Slow down.", headers={"Retry-After": "1"})
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from http import HTTPStatus
from itertools import groupby, pairwise
from threading import Event
from typing import Any, Literal

from tests.openrouter_server.events import ABSENT, GENERATION_ID, USER_ID, error_object, event, usage_object
from tests.openrouter_server.replies import completion, events_of
from tests.openrouter_server.sse import Hold, Item, Pause, flattened, sse_item

Ending = Literal["complete", "drop", "eof", "half-close", "reset", "stall"]
Framing = Literal["chunked", "length", "close", "none"]
Step = bytes | Pause | Hold


@dataclass(frozen=True)
class Answer:
    """One scripted answer. Made by `text`, `stream`, `reply_json`, `error`, `raw`, `wire`; changed by its methods.

    ``items`` is the streamed form and ``body`` the whole form. An answer that has both (`text`, `calls`) gives the one
    that the request's ``stream`` flag asks for.
    """

    items: tuple[Item, ...] | None = None
    body: bytes | None = None
    status: int = 200
    content_type: str = "application/json"
    extra_headers: Mapping[str, str | None] = field(default_factory=dict)
    newline: str = "\n"
    cuts: int | tuple[int, ...] | None = None
    interval: float = 0.0
    waits: tuple[Pause | Hold, ...] = ()
    end: Ending = "complete"
    framing: Framing | None = None
    verbatim: bool = False
    size: int | None = None
    at_once: bool = False
    per_chunk: int = 1

    def cut(self, size: int) -> Answer:
        """Send the body in pieces of so many bytes (each its own HTTP chunk and its own packet)."""
        return replace(self, cuts=size)

    def cut_at(self, *offsets: int) -> Answer:
        """Cut the body at these offsets only."""
        return replace(self, cuts=offsets)

    def first(self, size: int) -> Answer:
        """Send only so many bytes of the body; a Content-Length still tells of all."""
        return replace(self, size=size)

    def newlines(self, newline: str) -> Answer:
        r"""End the lines of the event stream with ``"\n"``, ``"\r"`` or ``"\r\n"``."""
        return replace(self, newline=newline)

    def paced(self, seconds: float) -> Answer:
        """Wait before each piece but the first."""
        return replace(self, interval=seconds)

    def delayed(self, seconds: float) -> Answer:
        """Wait before the status line."""
        return replace(self, waits=(*self.waits, Pause(seconds)))

    def held(self, gate: Event) -> Answer:
        """Wait before the status line until the test sets ``gate``."""
        return replace(self, waits=(*self.waits, Hold(gate)))

    def ending(self, end: Ending) -> Answer:
        """Choose what follows the last byte of the body.

        ========== ===============================================================================================
        complete   the body ends as HTTP says; the connection stays open for the next request
        drop       the same, but then the server closes the connection that the client thinks it can use again
        eof        the connection is closed in good order, although the body is not complete
        half-close the same, but the server goes on reading
        reset      the connection is torn down (RST)
        stall      nothing, until the client leaves
        ========== ===============================================================================================
        """
        return replace(self, end=end)

    def framed(self, framing: Framing) -> Answer:
        """Choose how the body's end is told: ``chunked``, ``length``, ``close``, or ``none`` (bytes as they are)."""
        return replace(self, framing=framing)

    def prepared(self) -> Answer:
        """Render the stream's items now, once for all requests."""
        return replace(self, items=tuple(_rendered(self.items or (), self.newline)))

    def flooded(self, per_chunk: int = 1) -> Answer:
        """Make the bytes once and send them in one go, ``per_chunk`` pieces in an HTTP chunk; waits are skipped."""
        return replace(self.prepared(), at_once=True, per_chunk=per_chunk)

    def headers(self, headers: Mapping[str, str | None]) -> Answer:
        """Add or replace headers; None takes one out."""
        return replace(self, extra_headers={**self.extra_headers, **headers})

    # --- for the server ---

    def streams(self, wanted: bool) -> bool:
        """Whether the streamed form is sent."""
        return self.items is not None and (wanted or self.body is None)

    def head(self, streaming: bool) -> bytes:
        """The status line and the headers."""
        headers: dict[str, str | None] = {"Content-Type": "text/event-stream" if streaming else self.content_type}
        if streaming:
            headers["Cache-Control"] = "no-cache"
        match self.framing_of(streaming):
            case "chunked":
                headers["Transfer-Encoding"] = "chunked"
            case "length":
                headers["Content-Length"] = str(sum(map(len, _bytes_of(replace(self, size=None).steps(streaming)))))
            case "close":
                headers["Connection"] = "close"
        given = {name.lower() for name in self.extra_headers}
        headers = {name: value for name, value in headers.items() if name.lower() not in given} | dict(
            self.extra_headers
        )
        lines = [f"HTTP/1.1 {self.status} {_REASONS.get(self.status, '')}"]
        lines += [f"{name}: {value}" for name, value in headers.items() if value is not None]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def framing_of(self, streaming: bool) -> Framing:
        """How the end of the body is told."""
        return self.framing or ("chunked" if streaming else "length")

    def steps(self, streaming: bool) -> list[Step]:
        """The body as pieces to send and waits between them."""
        steps = _rendered(self.items or (), self.newline) if streaming else [self.body or b""]
        if self.size is not None:
            steps = _first(_cut(steps, (self.size,)), self.size)
        if self.cuts is not None:
            steps = _cut(steps, self.cuts)
        return [step for step in steps if step != b""]

    @cached_property
    def flood(self) -> bytes:
        """The chunked body of a flooded stream."""
        pieces = _bytes_of(self.steps(True))
        groups = [pieces[at : at + self.per_chunk] for at in range(0, len(pieces), self.per_chunk)]
        return b"".join(chunk(b"".join(group)) for group in groups) + chunk(b"")


def chunk(content: bytes) -> bytes:
    """One chunk of the chunked transfer encoding; an empty one ends the body."""
    return b"%x\r\n%b\r\n" % (len(content), content)


def _bytes_of(steps: Iterable[Step]) -> list[bytes]:
    return [step for step in steps if isinstance(step, bytes)]


def _rendered(items: Iterable[Item], newline: str) -> list[Step]:
    return [item if isinstance(item, Pause | Hold) else sse_item(item, newline) for item in items]


def _first(steps: list[Step], size: int) -> list[Step]:
    """The steps that make up the first ``size`` bytes; they are cut there."""
    kept: list[Step] = []
    for step in steps:
        if isinstance(step, bytes):
            if size <= 0:
                break
            size -= len(step)
        kept.append(step)
    return kept


def _cut(steps: Iterable[Step], cuts: int | tuple[int, ...]) -> list[Step]:
    """Join neighbouring bytes and cut them at offsets of the whole body; waits stay where they are."""
    joined: list[Step] = []
    for is_bytes, run in groupby(steps, lambda step: isinstance(step, bytes)):
        same = list(run)
        joined += [b"".join(_bytes_of(same))] if is_bytes else same
    pieces: list[Step] = []
    position = 0
    for step in joined:
        if not isinstance(step, bytes):
            pieces.append(step)
            continue
        end = position + len(step)
        inside = range(cuts, end, cuts) if isinstance(cuts, int) else sorted(set(cuts))
        offsets = [position, *(offset for offset in inside if position < offset < end), end]
        pieces += [step[a - position : b - position] for a, b in pairwise(offsets)]
        position = end
    return pieces


_REASONS = {status.value: status.phrase for status in HTTPStatus}


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def text(
    content: str | None,
    *,
    reasoning: str = "",
    signature: str | None = None,
    tool_calls: Sequence[dict[str, Any]] = (),
    images: Sequence[str] = (),
    annotations: Sequence[dict[str, Any]] = (),
    finish_reason: str | None = "stop",
    usage: dict[str, Any] | None = None,
    **fields: Any,
) -> Answer:
    """A good reply, streamed word by word or whole as the request asks; both forms say the same.

    Parameters
    ----------
    reasoning, signature
        Reasoning text, and the signature that goes with it.
    tool_calls, images, annotations
        What `call`, a data URL, `url_citation` and `file_annotation` give.
    **fields
        Fields of each chunk or of the body, such as ``id`` and ``model``.
    """
    spent = usage or usage_object(completion_tokens=len((content or "").split()))
    whole: dict[str, Any] = {}
    if reasoning or signature is not None:
        detail: dict[str, Any] = {"type": "reasoning.text", "text": reasoning}
        if signature is not None:
            detail["signature"] = signature
        whole = {
            "reasoning": reasoning,
            "reasoning_details": [{**detail, "format": "anthropic-claude-v1", "index": 0}],
        }
    if images:
        whole["images"] = [{"type": "image_url", "image_url": {"url": url}, "index": i} for i, url in enumerate(images)]
    if annotations:
        whole["annotations"] = list(annotations)
    if tool_calls:
        whole["tool_calls"] = [{"index": index, **item} for index, item in enumerate(tool_calls)]
    items = events_of(
        content,
        reasoning_text=reasoning,
        signature=signature,
        tool_calls=tool_calls,
        images=images,
        annotations=annotations,
        finish_reason=finish_reason,
        spent=spent,
        **fields,
    )
    body = completion(content, finish_reason=finish_reason, usage=spent, **whole, **fields)
    return Answer(tuple(items), _json(body)).headers({"X-Generation-Id": body["id"]})


def calls(*tool_calls: dict[str, Any], content: str | None = None, **options: Any) -> Answer:
    """A reply that asks for tools: ``calls(call("tide", {"port": "Hull"}))``; options as in `text`."""
    return text(content, tool_calls=tool_calls, **({"finish_reason": "tool_calls"} | options))


def stream(*items: Item | Iterable[Item], status: int = 200, headers: Mapping[str, str | None] | None = None) -> Answer:
    """An event stream of exactly these items; nothing is added, no usage and no ``[DONE]``."""
    flat = flattened(items)
    generation = next((item["id"] for item in flat if isinstance(item, dict) and "id" in item), GENERATION_ID)
    return Answer(tuple(flat), status=status).headers({"X-Generation-Id": generation, **(headers or {})})


def endless(content: str) -> Answer:
    """A stream whose words come and whose end does not: it stays open until the client leaves."""
    return stream(event(word) for word in re.findall(r"\S+\s*", content)).ending("stall")


def reply_json(value: Any, *, status: int = 200, headers: Mapping[str, str | None] | None = None) -> Answer:
    """A JSON body: a `completion`, a list of models, an error in disguise."""
    answer = Answer(body=_json(value), status=status)
    if isinstance(value, dict) and str(value.get("id", "")).startswith("gen-"):
        answer = answer.headers({"X-Generation-Id": value["id"]})
    return answer.headers(headers or {})


def error(
    code: Any,
    message: str = "Provider returned error",
    *,
    metadata: dict[str, Any] | None = ABSENT,
    headers: Mapping[str, str | None] | None = None,
    status: int | None = None,
    user_id: str | None = USER_ID,
    **extra: Any,
) -> Answer:
    """A refusal in OpenRouter's envelope; ``extra`` are more fields of the error object (``availability``).

    Parameters
    ----------
    status
        The HTTP status if it is not ``code``, such as 200; a code that is no int comes with 500.
    """
    envelope: dict[str, Any] = {"error": error_object(message, code, metadata, **extra)}
    if user_id is not None:
        envelope["user_id"] = user_id
    if status is None:
        status = code if isinstance(code, int) else 500
    return reply_json(envelope, status=status, headers=headers)


def raw(body: bytes = b"", *, status: int = 200, content_type: str = "application/json") -> Answer:
    """Any body, for instance ``raw(b"<html>...", status=502, content_type="text/html")``."""
    return Answer(body=body, status=status, content_type=content_type)


def wire(content: bytes = b"", ending: Ending = "eof") -> Answer:
    """Bytes for the socket in place of an HTTP answer; none at all is a server that hangs up on a request."""
    return Answer(body=content, end=ending, framing="none", verbatim=True)
