"""What OpenRouter says in a stream: the JSON of its chunks.

Every builder returns a fresh dictionary that a test may change before it is sent. Shapes follow what the service really
sends (role on every chunk, an empty ``content``, a usage chunk after the finish reason), not only what its
specification lists.
"""

from __future__ import annotations

from typing import Any, Final, Literal

GENERATION_ID: Final = "gen-1790000000-AbCdEfGhIjKlMnOpQrSt"
MODEL: Final = "vendor/some-model-20260301"  # dated: the reply's model is seldom the string that was asked for
PROVIDER: Final = "SomeProvider"
CREATED: Final = 1790000000
USER_ID: Final = "user_2abcDEFghiJKLmnoPQRstuVWXyz"  # in every error envelope; must not show up anywhere
PNG: Final = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)

UsageShape = Literal["repeated", "empty", "null"]
USAGE_SHAPES: Final[tuple[UsageShape, ...]] = ("repeated", "empty", "null")
ErrorShape = Literal["error", "null", "empty", "absent"]
ERROR_SHAPES: Final[tuple[ErrorShape, ...]] = ("error", "null", "empty", "absent")


class _Absent:
    """The default of a field that is left out when not given; None would be sent as null."""


ABSENT: Final[Any] = _Absent()


def given(**fields: Any) -> dict[str, Any]:
    """The fields that are not `ABSENT`."""
    return {name: value for name, value in fields.items() if value is not ABSENT}


def frame(kind: str, choices: Any, fields: dict[str, Any]) -> dict[str, Any]:
    """What every chunk and every whole reply has around its choices."""
    head = {"id": GENERATION_ID, "object": kind, "created": CREATED, "model": MODEL, "provider": PROVIDER}
    return {**head, **given(choices=choices), **fields}


def event(
    content: str | None = "",
    *,
    finish_reason: str | None = None,
    native_finish_reason: str | None = ABSENT,
    reasoning: str | None = ABSENT,
    reasoning_details: list[Any] = ABSENT,
    tool_calls: list[Any] | None = ABSENT,
    images: list[Any] = ABSENT,
    annotations: list[Any] = ABSENT,
    audio: dict[str, Any] = ABSENT,
    refusal: str | None = ABSENT,
    logprobs: Any = None,
    index: int = 0,
    **fields: Any,
) -> dict[str, Any]:
    """One ``chat.completion.chunk`` with one choice; ``fields`` are of the chunk itself (``id``, ``model``, ...).

    Examples
    --------
    >>> event("The ")["choices"][0]["delta"]
    {'role': 'assistant', 'content': 'The '}
    """
    delta = {"role": "assistant", "content": content}
    delta |= given(
        reasoning=reasoning,
        reasoning_details=reasoning_details,
        tool_calls=tool_calls,
        images=images,
        annotations=annotations,
        audio=audio,
        refusal=refusal,
    )
    native = finish_reason if native_finish_reason is ABSENT else native_finish_reason
    choice = {
        "index": index,
        "delta": delta,
        "finish_reason": finish_reason,
        "native_finish_reason": native,
        "logprobs": logprobs,
    }
    return frame("chat.completion.chunk", [choice], fields)


def finish(reason: str | None = "stop", native: str | None = ABSENT, **fields: Any) -> dict[str, Any]:
    """The chunk that ends a choice: an empty delta and the finish reason."""
    return event("", finish_reason=reason, native_finish_reason=native, **fields)


def reasoning(
    text: str = "",
    *,
    signature: str | None = ABSENT,
    format: str | None = "anthropic-claude-v1",  # noqa: A002 - the field's own name
    index: int | None = 0,
    **fields: Any,
) -> dict[str, Any]:
    """A piece of reasoning, as plain text and as a detail; ``index=None`` leaves the index out."""
    detail = {"type": "reasoning.text", "text": text, **given(signature=signature), "format": format}
    if index is not None:
        detail["index"] = index
    return event("", reasoning=text, reasoning_details=[detail], **fields)


def reasoning_signature(signature: str = "c2ln", *, index: int = 0, **fields: Any) -> dict[str, Any]:
    """The last fragment that Claude sends: a signature and no text."""
    detail = {"type": "reasoning.text", "signature": signature, "format": "anthropic-claude-v1", "index": index}
    return event("", reasoning_details=[detail], **fields)


def reasoning_summary(summary: str, *, index: int = 0, **fields: Any) -> dict[str, Any]:
    """A piece of a summary, as OpenAI's models give it."""
    detail = {"type": "reasoning.summary", "summary": summary, "format": "openai-responses-v1", "index": index}
    return event("", reasoning=summary, reasoning_details=[detail], **fields)


def reasoning_encrypted(data: str, *, id: str | None = "rs_1", index: int = 0, **fields: Any) -> dict[str, Any]:  # noqa: A002
    """Opaque reasoning, to be sent back unaltered; ``id`` is the detail's."""
    detail = {"type": "reasoning.encrypted", "data": data, "id": id, "format": "openai-responses-v1", "index": index}
    return event("", reasoning_details=[detail], **fields)


def fragment(
    name: str | None = ABSENT,
    arguments: str | None = ABSENT,
    *,
    id: str | None = ABSENT,  # noqa: A002 - the field's own name
    index: int | None = 0,
    type: str = ABSENT,  # noqa: A002
    **extra: Any,
) -> dict[str, Any]:
    """One item of ``delta.tool_calls``; what is not given is left out, None is null, ``index=None`` leaves it out.

    Examples
    --------
    >>> fragment("tide", "", id="call_1")
    {'index': 0, 'id': 'call_1', 'type': 'function', 'function': {'name': 'tide', 'arguments': ''}}
    >>> fragment(arguments='{"port"')
    {'index': 0, 'function': {'arguments': '{"port"'}}
    """
    if type is ABSENT and id is not ABSENT:
        type = "function"  # noqa: A001
    call = {} if index is None else {"index": index}
    return {**call, **given(id=id, type=type), "function": given(name=name, arguments=arguments), **extra}


def tool_call(
    name: str | None = ABSENT,
    arguments: str | None = ABSENT,
    *,
    id: str | None = ABSENT,  # noqa: A002 - the field's own name
    index: int | None = 0,
    content: str | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """A chunk with one `fragment`, whose ``id`` and ``index`` these are; `event` takes several at once."""
    return event(content, tool_calls=[fragment(name, arguments, id=id, index=index)], **fields)


def image(url: str = PNG, *, index: int = 0, **fields: Any) -> dict[str, Any]:
    """A chunk with a generated image."""
    return event("", images=[{"type": "image_url", "image_url": {"url": url}, "index": index}], **fields)


def url_citation(url: str = "https://example.org/tides", title: str = "Tides", **citation: Any) -> dict[str, Any]:
    """An annotation (not a chunk): a page that was used. Indexes are 0/0, as they often are."""
    return {
        "type": "url_citation",
        "url_citation": {"url": url, "title": title, "start_index": 0, "end_index": 0, **citation},
    }


def file_annotation(hash: str = "9f86d081", name: str = "a.pdf", text: str = "Page one.") -> dict[str, Any]:  # noqa: A002
    """An annotation (not a chunk): a parsed document, to be sent back to save parsing it again."""
    return {"type": "file", "file": {"hash": hash, "name": name, "content": [{"type": "text", "text": text}]}}


def annotation(item: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """A chunk with one annotation."""
    return event("", annotations=[url_citation() if item is None else item], **fields)


def audio(data: str = ABSENT, *, transcript: str = ABSENT, id: str = "audio_1", **fields: Any) -> dict[str, Any]:  # noqa: A002
    """A chunk with a piece of speech (base64) or of its transcript; ``id`` is the audio's."""
    return event("", audio=given(id=id, data=data, transcript=transcript), **fields)


def debug(body: Any = None, **fields: Any) -> dict[str, Any]:
    """The chunk that ``debug.echo_upstream_body`` brings, before all others: no choices."""
    return frame(
        "chat.completion.chunk", [], {"debug": {"echo_upstream_body": body or {"model": "some-model"}}} | fields
    )


def usage_object(
    prompt_tokens: int = 14,
    completion_tokens: int = 3,
    *,
    cost: float | None = 0.00004,
    is_byok: bool = False,
    upstream_cost: float | None = None,
    cached_tokens: int = 0,
    cache_write_tokens: int = 0,
    reasoning_tokens: int = 0,
    **extra: Any,
) -> dict[str, Any]:
    """The ``usage`` of a reply."""
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
        "cost": cost,
        "is_byok": is_byok,
        "prompt_tokens_details": {
            "cached_tokens": cached_tokens,
            "cache_write_tokens": cache_write_tokens,
            "audio_tokens": 0,
            "video_tokens": 0,
        },
        "cost_details": {
            "upstream_inference_cost": upstream_cost,
            "upstream_inference_prompt_cost": 0.000014,
            "upstream_inference_completions_cost": 0.000026,
        },
        "completion_tokens_details": {"reasoning_tokens": reasoning_tokens, "image_tokens": 0},
        **extra,
    }


def usage(
    prompt_tokens: int = 14,
    completion_tokens: int = 3,
    *,
    shape: UsageShape = "repeated",
    finish_reason: str = "stop",
    fields: dict[str, Any] | None = None,
    **numbers: Any,
) -> dict[str, Any]:
    """The usage chunk, in one of the three shapes seen; ``numbers`` go to `usage_object`.

    Parameters
    ----------
    shape
        ``"repeated"``: one choice that gives the finish reason once more; ``"empty"``: no choices; ``"null"``: one
        choice with a null reason.
    """
    figures = {"usage": usage_object(prompt_tokens, completion_tokens, **numbers)} | (fields or {})
    if shape == "empty":
        return frame("chat.completion.chunk", [], figures)
    return finish(finish_reason if shape == "repeated" else None, **figures)


def error_object(
    message: str = "Provider disconnected", code: Any = 502, metadata: dict[str, Any] | None = ABSENT, **extra: Any
) -> dict[str, Any]:
    """The ``error`` of an envelope, a choice or a chunk."""
    return {"code": code, "message": message, **given(metadata=metadata), **extra}


def error_event(
    message: str = "Provider disconnected",
    code: Any = 502,
    metadata: dict[str, Any] | None = ABSENT,
    *,
    shape: ErrorShape = "error",
    **fields: Any,
) -> dict[str, Any]:
    """An error inside a stream that began well.

    Parameters
    ----------
    code
        An int, a str or None: all three were seen.
    shape
        ``"error"``: one choice with ``finish_reason: "error"``; ``"null"``: one with a null reason; ``"empty"``: no
        choices; ``"absent"``: not even the key.
    """
    if metadata is ABSENT:
        metadata = {"error_type": "provider_unavailable"}
    fields = {"error": error_object(message, code, metadata)} | fields
    if shape in {"empty", "absent"}:
        return frame("chat.completion.chunk", [] if shape == "empty" else ABSENT, fields)
    return finish("error" if shape == "error" else None, **fields)
