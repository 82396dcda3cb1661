"""What of a conversation may be saved: people's words and tools' results without secrets, a model's words as they are.

What a model said goes back to it as it came, signed reasoning above all, and a call must run with the arguments that it
was made with. So nothing of it is altered; where it holds what looks like a secret, its turn is not saved.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from pydantic_core import to_json

from orchat.chat.omitted_media import INLINE_MEDIA
from orchat.errors import StateError
from orchat.messages import ChatMessage, ChatRole
from orchat.messages.data_copy import copy_data
from orchat.secrets import is_secret, redact, redacted_keys

_MEDIA = frozenset({"image", "file", "audio", "video"})
_SIGNED = frozenset({"data", "signature"})
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode


@dataclass(frozen=True)
class _Finding:
    """What was found in a message that reads like this."""

    secret: str | None  # its kind, in a model's words
    redacted: dict[str, Any] | None  # the message as data; None where nothing had to be redacted
    size: int | None


@dataclass
class SavedMessages:
    """Messages as they may be saved: lists of the same length.

    Parameters
    ----------
    messages
        The messages.
    data
        Their data, without secrets.
    sizes
        How many bytes of JSON each takes; None where it is no JSON.
    keys
        A digest of all that each says, in which no secret can be read; None where it is no JSON.
    left_out
        The number of turns whose answers hold secrets, and which are missing here.
    """

    messages: list[ChatMessage] = field(default_factory=list)
    data: list[dict[str, Any]] = field(default_factory=list)
    sizes: list[int | None] = field(default_factory=list)
    keys: list[bytes | None] = field(default_factory=list)
    left_out: int = 0


# A conversation is saved at each of its steps, so nearly all of it has been read before. A finding is known by all that
# a message says, not by the message: messages can be changed in place.
_MAX_FINDINGS = 10_000
_MAX_FINDING_SIZE = 100_000  # bytes of a message that is kept because something in it was redacted
_findings: dict[bytes, _Finding] = {}  # by a digest, in which no secret can be read


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
    known = tuple(secrets)
    salt = _salt(known)
    return next(filter(None, (_inspect(message, known, salt)[0].secret for message in messages)), None)


def redacted_turns(messages: Sequence[ChatMessage], secrets: Sequence[str] = ()) -> SavedMessages:
    """Return the messages that may be saved, and their data without secrets.

    Whole turns whose answers hold secrets are left out; the secrets of people and tools are redacted.

    Examples
    --------
    >>> said = [ChatMessage.from_user("A key?"), ChatMessage.from_assistant("AKIAIOSFODNN7EXAMPLE")]
    >>> said += [ChatMessage.from_user("AKIAIOSFODNN7EXAMPLE"), ChatMessage.from_assistant("Hello.")]
    >>> saved = redacted_turns(said)
    >>> [message["content"][0]["text"] for message in saved.data], saved.left_out
    (['[redacted]', 'Hello.'], 1)
    """
    known = tuple(secrets)
    salt = _salt(known)
    saved = SavedMessages()
    for turn in _turns(messages):
        start = len(saved.data)
        for message in turn:
            finding, data, key = _inspect(message, known, salt)
            if finding.secret is not None:
                saved.left_out += 1
                for values in (saved.data, saved.sizes, saved.keys):
                    del values[start:]
                break
            saved.data.append(data)
            saved.sizes.append(finding.size)
            saved.keys.append(key)
        else:
            saved.messages += turn
    return saved


def json_size(data: Any) -> int:
    """Return how many bytes JSON takes.

    Raises
    ------
    StateError
        It holds something that is not JSON.

    Examples
    --------
    >>> json_size({"tide": "höher"})
    18
    """
    try:
        return len(_encode(data).encode(errors="replace"))
    except (TypeError, ValueError, RecursionError) as error:
        raise StateError(f"The chat holds something that is no JSON: {error}") from None


def _salt(secrets: tuple[str, ...]) -> bytes:
    return repr(secrets).encode(errors="surrogatepass")


def _inspect(
    message: ChatMessage, secrets: tuple[str, ...], salt: bytes
) -> tuple[_Finding, dict[str, Any], bytes | None]:
    """Return what was found in a message, the message as data without secrets, and the digest of what it says.

    ``salt`` is the bytes of the secrets, which are the same for all messages.
    """
    data = message.to_dict()
    try:
        text = to_json(data)
    except (TypeError, ValueError, RecursionError):  # no JSON: nobody saves it
        secret = _secret_in_model_words(message, data, secrets)
        return _Finding(secret, None, None), _redacted(message, data, secrets), None
    key = blake2b(salt + text, digest_size=16).digest()
    if (finding := _findings.get(key)) is None:
        redacted = _redacted(message, data, secrets)
        finding = _Finding(
            _secret_in_model_words(message, data, secrets),
            None if redacted == message.to_dict() else redacted,
            _size(redacted),
        )
        if finding.redacted is not None and len(text) > _MAX_FINDING_SIZE:
            return finding, redacted, key
        while len(_findings) >= _MAX_FINDINGS:
            _findings.pop(next(iter(_findings)), None)
        _findings[key] = finding
    return finding, data if finding.redacted is None else copy_data(finding.redacted), key


def _size(data: dict[str, Any]) -> int | None:
    try:
        return json_size(data)
    except StateError:
        return None


def _secret_in_model_words(message: ChatMessage, data: Mapping[str, Any], secrets: tuple[str, ...]) -> str | None:
    from orchat.secrets.detection import find_secrets

    if message.is_from(ChatRole.ASSISTANT):
        parts: list[Any] = [data["content"], data["meta"]]
    else:
        parts = [result.origin.to_dict() for result in message.tool_call_results]
        parts.append({"arguments": data["meta"].get("arguments")})  # with which a person let it run
    for text, name in _strings(parts):
        if any(secret and secret in text for secret in secrets):
            return "a key of this session"
        if name is not None and is_secret(name, text):
            return f"the value of {name[:60]}"
        if found := find_secrets(text):
            return found[0].what
    return None


def _redacted(message: ChatMessage, data: dict[str, Any], secrets: tuple[str, ...]) -> dict[str, Any]:
    if message.is_from(ChatRole.ASSISTANT):
        return data
    if message.is_from(ChatRole.TOOL):
        for part in data["content"]:
            if isinstance(result := part.get("tool_call_result"), dict):
                result["result"] = redacted_data(result["result"], secrets)
        # What it printed stands there, and what a person has changed: no call runs with that again.
        return {**data, "meta": redacted_data(data["meta"], secrets)}
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
        if str(value.get("type")).startswith("reasoning.") or value.get("type") in ("thinking", "redacted_thinking"):
            opaque = _SIGNED
        elif "thought_signature" in value:
            opaque = frozenset({"thought_signature"})
        if arguments:  # nothing in a call's arguments is known to be harmless
            opaque = frozenset()
        for key, item in value.items():
            yield str(key), None
            if key not in opaque or not isinstance(item, str):
                yield from _strings(item, str(key), arguments=arguments or key == "arguments")
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item, name, arguments=arguments)
