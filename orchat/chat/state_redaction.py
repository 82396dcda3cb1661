"""What of a conversation may be saved: people's words and tools' results without secrets, a model's words as they are.

What a model said goes back to it as it came, signed reasoning above all, and a call must run with the arguments that it
was made with. So nothing of it is altered; where it holds what looks like a secret, its turn is not saved.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchat.messages import ChatMessage, ChatRole
from orchat.secrets import is_secret, redact, redacted_keys

INLINE_MEDIA = ("base64_image", "base64_data", "base64_audio", "base64_video")
_MEDIA = frozenset({"image", "file", "audio", "video"})
_SIGNED = frozenset({"data", "signature"})


def secret_of_model(messages: Sequence[ChatMessage], secrets: Sequence[str] = ()) -> str | None:
    """Say what kind of secret stands in a model's words, reasoning or calls; None where there is none.

    Parameters
    ----------
    messages
        A turn, or more.
    secrets
        Values known to be secret.

    Examples
    --------
    >>> secret_of_model([ChatMessage.from_assistant("Use AKIAIOSFODNN7EXAMPLE.")])
    'an AWS access key'
    """
    from orchat.secrets.detection import find_secrets

    for message in messages:
        data = message.to_dict()
        parts: object = [data["content"], data["meta"]]
        if message.is_from(ChatRole.TOOL):
            parts = [result.origin.to_dict() for result in message.tool_call_results]
        elif not message.is_from(ChatRole.ASSISTANT):
            continue
        for text, name in _strings(parts):
            if any(secret and secret in text for secret in secrets):
                return "a key of this session"
            if name is not None and is_secret(name, text):
                return f"the value of {name[:60]}"
            if found := find_secrets(text):
                return found[0].what
    return None


def safe_turns(messages: Sequence[ChatMessage], secrets: Sequence[str] = ()) -> tuple[list[ChatMessage], int]:
    """Leave out whole turns whose answers hold secrets, and count them.

    Examples
    --------
    >>> said = [ChatMessage.from_user("A key?"), ChatMessage.from_assistant("AKIAIOSFODNN7EXAMPLE")]
    >>> kept, left_out = safe_turns([*said, ChatMessage.from_user("Hi"), ChatMessage.from_assistant("Hello.")])
    >>> [message.text for message in kept], left_out
    (['Hi', 'Hello.'], 1)
    """
    kept: list[ChatMessage] = []
    left_out = 0
    for turn in _turns(messages):
        if secret_of_model(turn, secrets) is None:
            kept += turn
        else:
            left_out += 1
    return kept, left_out


def redacted_message(message: ChatMessage, secrets: Sequence[str] = ()) -> dict[str, Any]:
    """Return a message as data, without secrets where they are not a model's.

    Examples
    --------
    >>> redacted_message(ChatMessage.from_user("AKIAIOSFODNN7EXAMPLE"))["content"]
    [{'text': '[redacted]'}]
    """
    data = message.to_dict()
    if message.is_from(ChatRole.ASSISTANT):
        return data
    if message.is_from(ChatRole.TOOL):
        for part in data["content"]:
            if isinstance(result := part.get("tool_call_result"), dict):
                result["result"] = redacted_data(result["result"], secrets)
        return data
    return {**data, "content": redacted_data(data["content"], secrets), "meta": redacted_data(data["meta"], secrets)}


def redacted_data(value: Any, secrets: Sequence[str] = (), inside: str = "") -> Any:
    """Copy JSON with its texts redacted, but for inline media; no two keys become one.

    Examples
    --------
    >>> redacted_data({"stop": ["AKIAIOSFODNN7EXAMPLE"], "image": {"base64_image": "AKIAIOSFODNN7EXAMPLE"}})
    {'stop': ['[redacted]'], 'image': {'base64_image': 'AKIAIOSFODNN7EXAMPLE'}}
    """
    if isinstance(value, str):
        return redact(value, *secrets)
    if isinstance(value, Mapping):
        opaque = INLINE_MEDIA if inside in _MEDIA else ()
        names = redacted_keys(map(str, value), *secrets)
        return {
            name: item if key in opaque else redacted_data(item, secrets, str(key))
            for name, (key, item) in zip(names, value.items(), strict=True)
        }
    if isinstance(value, list | tuple):
        return [redacted_data(item, secrets) for item in value]
    return value


def _turns(messages: Sequence[ChatMessage]) -> Iterator[list[ChatMessage]]:
    turn: list[ChatMessage] = []
    for message in messages:
        if message.is_from(ChatRole.USER) and turn:
            yield turn
            turn = []
        turn.append(message)
        if message.is_from(ChatRole.SYSTEM):  # it is no part of the turn behind it
            yield turn
            turn = []
    if turn:
        yield turn


def _strings(value: object, name: str | None = None, *, arguments: bool = False) -> Iterator[tuple[str, str | None]]:
    """Give texts, but for what is signed and media; those in a call's arguments with the names they stand under."""
    if isinstance(value, str):
        yield value, name if arguments else None
    elif isinstance(value, Mapping):
        opaque: frozenset[str] = frozenset(INLINE_MEDIA) if name in _MEDIA else frozenset()
        if str(value.get("type")).startswith("reasoning."):
            opaque = _SIGNED
        if arguments:  # nothing in a call's arguments is known to be harmless
            opaque = frozenset()
        for key, item in value.items():
            yield str(key), None
            if key not in opaque or not isinstance(item, str):
                yield from _strings(item, str(key), arguments=arguments or key == "arguments")
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item, name, arguments=arguments)
