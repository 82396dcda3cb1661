"""Parse a whole response of ``POST /chat/completions`` to messages (API section 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchat.errors import APIError, ProviderError
from orchat.message_assembly import RawCall, build_message, warn
from orchat.messages import ChatMessage, ReasoningContent
from orchat.messages.lenient_json import BLANKS
from orchat.messages.openai_format import REASONING_FIELDS
from orchat.messages.parts import Part, extra_of_call
from orchat.messages.reasoning_details import THINKING_BLOCKS
from orchat.openrouter.response_limits import DEFAULT_LIMITS, ResponseLimits
from orchat.openrouter.wire.choice_content import unread_fields, unread_warning, with_message
from orchat.openrouter.wire.error_hints import advice_to_retry
from orchat.openrouter.wire.error_shapes import error_object
from orchat.openrouter.wire.failures import error_from_object
from orchat.secrets import redact, redact_json

_KNOWN = frozenset({"role", "content", *REASONING_FIELDS, "reasoning_details", "tool_calls", "function_call"})
NO_REASON = "The endpoint gave no finish reason: the answer may be cut."


@dataclass
class ReplyParts:
    """The parts of a message or of a delta: text, reasoning, tool calls, other fields.

    ``details`` is None where the endpoint sent none; an empty list is something else, and kept.
    """

    text: str | None = None
    thought: str = ""
    came_as: str | None = None
    details: list[Any] | None = None
    blocks: list[dict[str, Any]] = field(default_factory=list)
    calls: list[Any] = field(default_factory=list)
    extras: dict[str, Any] = field(default_factory=dict)

    @property
    def reasoning(self) -> ReasoningContent | None:
        """The reasoning as a content part."""
        if not self.thought and not self.details and not self.blocks:
            return None
        extra = {} if self.details is None else {"reasoning_details": self.details}
        extra |= {THINKING_BLOCKS: self.blocks} if self.blocks else {}
        return ReasoningContent(self.thought, extra, came_as=None if self.details else self.came_as)


def read_reply_parts(message: Mapping[str, Any]) -> ReplyParts:
    """Split a message or delta into its parts; unknown fields go to ``extras``, so that nothing is lost.

    Examples
    --------
    >>> read_reply_parts({"role": "assistant", "content": "Hi", "reasoning_content": "Greet."}).thought
    'Greet.'
    """
    pieces = ReplyParts(extras={k: v for k, v in message.items() if k not in _KNOWN and v is not None})
    content = message.get("content")
    if isinstance(content, list):
        _read_content_parts(content, pieces)
    elif content is not None:
        pieces.text = content if isinstance(content, str) else str(content)
    for name in REASONING_FIELDS:
        if thought := _thought_of(message.get(name)):
            pieces.thought += thought
            pieces.came_as = name
            break
    details = message.get("reasoning_details")
    if details is None and isinstance(nested := message.get("provider_specific_fields"), dict):
        details = nested.get("reasoning_details")  # where LiteLLM puts them in whole replies
    details = [details] if isinstance(details, dict) and details else details
    if isinstance(details, list):
        pieces.details = details
        if not pieces.thought:
            pieces.thought = "".join(map(_thought_of, details))
    blocks = message.get(THINKING_BLOCKS)
    if isinstance(blocks, list) and all(isinstance(block, dict) for block in blocks):
        pieces.blocks = pieces.extras.pop(THINKING_BLOCKS)
        pieces.thought = pieces.thought or "".join(map(_thought_of, blocks))
    calls = message.get("tool_calls")
    if isinstance(calls, dict):  # one, or several by their numbers
        is_one = not all(isinstance(value, dict) and "function" in value for value in calls.values())
        calls = [calls] if is_one else list(calls.values())
    if isinstance(calls, list):
        # What says that it is of another kind, but has a function, is a function's call: Mistral's say "null".
        pieces.calls = [call for call in calls if isinstance(call, dict) and call and call.get("type") != "custom"]
    elif isinstance(old := message.get("function_call"), dict):
        pieces.calls = [{"function": old}]
    return pieces


def _read_content_parts(content: list[Any], pieces: ReplyParts) -> None:
    """Parse content that is a list of parts, as some upstreams send it."""
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if isinstance(part, str):
            pieces.text = (pieces.text or "") + part
        elif kind == "text" and isinstance(part.get("text"), str):
            pieces.text = (pieces.text or "") + part["text"]
        elif kind == "thinking":
            inner = part.get("thinking")
            inner = inner if isinstance(inner, list) else [inner]
            pieces.thought += "".join(map(_thought_of, inner))
        elif kind == "image_url":
            pieces.extras.setdefault("images", []).append(part)
        elif kind == "refusal" and isinstance(part.get("refusal"), str):
            pieces.extras["refusal"] = part["refusal"]
        else:
            pieces.extras.setdefault("content_parts", []).append(part)


def _thought_of(detail: Any) -> str:
    if isinstance(detail, dict):
        names = ("text", "summary", "thinking", "content", "reasoning", "reasoning_content")
        detail = next((detail[name] for name in names if detail.get(name)), None)
    if isinstance(detail, list):
        return "".join(thought for item in detail if isinstance(item, str | dict) and (thought := _thought_of(item)))
    return detail if isinstance(detail, str) else _thought_of(detail) if isinstance(detail, dict) else ""


def read_replies(
    payload: Any,
    *secrets: str,
    other_url: str | None = None,
    limits: ResponseLimits = DEFAULT_LIMITS,
    has_whole_characters: bool = False,
) -> list[ChatMessage]:
    """Parse a whole response to messages, one for each choice.

    Parameters
    ----------
    payload
        The response's JSON.
    secrets
        Values to hide in errors.
    other_url
        The request's URL, where its host is not OpenRouter's: errors then have other hints.
    limits
        The limits of the response.
    has_whole_characters
        Whether no text in it holds half of a character, which JSON can escape.

    Raises
    ------
    APIError
        The reply is an error, as a whole or in a choice; then what it did hold is the error's ``partial``. Or it is
        over a limit.

    Examples
    --------
    >>> [reply] = read_replies({"model": "v/m", "choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]})
    >>> reply.text, reply.meta["finish_reason"]
    ('Hi', 'stop')
    """
    if isinstance(payload, list) and (found := error_object(payload)) is not None:
        raise error_from_object(found, {}, *secrets, other_url=other_url)
    if not isinstance(payload, dict):
        raise ProviderError(
            f"The reply is no JSON object but {_shown(payload, *secrets)}.", hint="Is the base URL right?"
        )
    try:
        payload = payload if has_whole_characters else _whole_characters(payload)
    except RecursionError:
        raise ProviderError("The reply is nested too deep to be read.", hint="Is the base URL right?") from None
    choices = payload.get("choices")
    if (found := error_object(payload)) is not None and not choices:
        raise error_from_object(found, payload, *secrets, other_url=other_url)
    if not isinstance(choices, list) or not choices or not all(isinstance(choice, dict) for choice in choices):
        raise ProviderError(
            f"The reply holds no choices; it has the keys {_shown(list(payload), *secrets)}.",
            generation_id=payload.get("id") if isinstance(payload.get("id"), str) else None,
            hint=f"Is the base URL that of a chat completions API? Otherwise {advice_to_retry(other_url)}.",
        )
    try:
        choices = list(map(with_message, choices))
        replies = [_read_choice(choice, number, payload) for number, choice in enumerate(choices)]
    except (TypeError, AttributeError, KeyError, ValueError, RecursionError):
        # A reply of any shape may come; whatever it breaks above is the reply's fault.
        raise ProviderError(
            f"The reply is no chat completion: {_shown(payload, *secrets)}.", hint="Is the base URL right?"
        ) from None
    for reply in replies:
        _check_number(reply, reply.tool_calls, "tool_calls", limits)
        _check_number(reply, reply.images, "images", limits)
    for choice, reply in zip(choices, replies, strict=True):
        if (unread := unread_fields(choice)) and not len(reply):
            warn(reply, unread_warning(unread))
        if (error := choice_error(choice, found, payload, *secrets, other_url=other_url)) is not None:
            error.partial = reply
            error.retryable = False  # it had begun
            raise error
    _check_endings(replies, other_url)
    return replies


def _check_number(reply: ChatMessage, parts: Sequence[Part], name: str, limits: ResponseLimits) -> None:
    """Raise where a reply has more parts of a kind than allowed; its other parts are the error's ``partial``."""
    if len(parts) > getattr(limits, name):
        error = limits.exceeded(name)
        kind = type(parts[0])
        others = [part for part in reply.parts if not isinstance(part, kind)]
        error.partial = ChatMessage(reply.role, others, reply.name, reply.meta)
        raise error


def _check_endings(replies: list[ChatMessage], other_url: str | None) -> None:
    """Mark replies without a finish reason; raise where one is also empty."""
    unended = [r for r in replies if not (r.meta.get("finish_reason") or r.meta.get("native_finish_reason"))]
    for reply in unended:
        warn(reply, NO_REASON)
    if unended == replies and not any(map(says_something, replies)):
        raise ProviderError(
            "The answer is empty, and does not say why it ended.",
            partial=replies[0],
            generation_id=replies[0].meta.get("id"),
            provider_name=replies[0].meta.get("provider"),
            hint=f"Its usage, where it told one, is in `.partial.meta`; {advice_to_retry(other_url)}.",
        )


def says_something(message: ChatMessage) -> bool:
    """Whether a reply has content other than reasoning and white space.

    Examples
    --------
    >>> says_something(ChatMessage.from_assistant(" ")), says_something(ChatMessage.from_assistant("Hi"))
    (False, True)
    """
    said = any(text.strip(BLANKS) for text in message.texts) or message.meta.get("refusal")
    return bool(said or message.tool_calls or message.images or message.audio)


def _shown(value: Any, *secrets: str) -> str:
    try:
        return redact(repr(redact_json(value, *secrets)), *secrets)[:200]
    except RecursionError:
        return f"a {type(value).__name__} without end"


def _whole_characters(value: Any) -> Any:
    """Replace unpaired surrogates, which JSON can escape but no file can hold."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {_whole_characters(key): _whole_characters(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole_characters(item) for item in value]
    return value


def _read_choice(choice: Mapping[str, Any], number: int, payload: Mapping[str, Any]) -> ChatMessage:
    message = choice.get("message")
    pieces = read_reply_parts(message if isinstance(message, dict) else {})
    not_facts = {"choices", "object", "error", "usage", "user_id"}
    facts = {k: v for k, v in payload.items() if k not in not_facts and v is not None}
    index = choice.get("index")
    meta = {
        "model": facts.pop("model", None),
        "index": index if isinstance(index, int) else number,
        "finish_reason": choice.get("finish_reason"),
        "usage": payload.get("usage"),
        **facts,
        **{
            k: v for k, v in choice.items() if k not in {"message", "index", "finish_reason", "error"} and v is not None
        },
    }
    return build_message(
        text=pieces.text,
        reasoning=pieces.reasoning,
        calls=[
            RawCall(call_id, name, arguments, extra_of_call(call))
            for call in pieces.calls
            for call_id, name, arguments in [read_call(call)]
            if call_id or name or arguments not in (None, "", {})
        ],
        extras=pieces.extras,
        meta=meta,
    )


def read_call(call: Mapping[str, Any]) -> tuple[str | None, str, Any]:
    """Return id, name and raw arguments of a tool call or a fragment of one; missing ones are None or empty."""
    function = call.get("function")
    if not isinstance(function, dict):
        function = call if isinstance(call.get("name"), str) else {}
    call_id, name = call.get("id"), function.get("name")
    if isinstance(call_id, int) and not isinstance(call_id, bool):
        call_id = str(call_id)
    return (
        call_id if isinstance(call_id, str) and call_id else None,
        name if isinstance(name, str) else "",
        function.get("arguments"),
    )


def choice_error(
    choice: Mapping[str, Any], found: Any, around: Mapping[str, Any], *secrets: str, other_url: str | None = None
) -> APIError | None:
    """Return the error object of a failed choice: its own, the response's, or one without a reason."""
    found = choice.get("error") or found
    if found:
        return error_from_object(found, around, *secrets, other_url=other_url)
    if choice.get("finish_reason") == "error":
        native = choice.get("native_finish_reason")
        failed = {"message": f"the upstream failed ({native or 'no reason given'})"}
        return error_from_object(failed, around, *secrets, other_url=other_url)
    return None
