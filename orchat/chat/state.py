"""Serialize a chat to versioned JSON data, and restore it. Restored state is data, never authority.

It may set messages, the model, sampling parameters and which calls are pending. Host, key, headers, callbacks, the code
of tools, the approval policy and budgets come from code only: they are neither written nor read. Loading runs and
imports nothing. Unknown keys of the top level survive a round trip.

::

    {"format": "orchat", "version": 1, "name": ..., "model": ..., "parameters": {...}, "messages": [...],
     "pending": [...], "cost": {"known": "0.00034", "unknown": 0}, "left_out": {"media": 0, "turns": 0},
     "versions": [{"after": 1, "messages": [...]}, {"inside": 0, "messages": [...]}]}

Messages are Haystack's JSON. ``pending`` repeats for readers what the messages say. ``versions`` are turns that are not
shown, the oldest first (`orchat.chat.message_versions.HiddenTurn`); the key is there if there are any.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, NamedTuple

from orchat.chat.message_selection import pending_calls, pending_indices, split_at_questions
from orchat.chat.message_versions import MAX_HIDDEN_TURNS, HiddenTurn
from orchat.chat.money import Cost
from orchat.chat.omitted_media import omit_oldest_media
from orchat.chat.shortened_state import shorten, size_of_list
from orchat.chat.state_redaction import json_size, redacted_data, redacted_turns
from orchat.errors import ConfigurationError, OrchatError, StateError
from orchat.messages import ChatMessage, ChatRole, ReasoningContent, TextContent, ToolCall, ToolCallResult
from orchat.messages.data_copy import copy_data
from orchat.messages.parts import Part
from orchat.openrouter.generator import OpenRouterChatGenerator
from orchat.secret import Secret, bare_key

FORMAT = "orchat"
VERSION = 1

# What a saved chat may set: how a model draws its words, and nothing about where they come from or who pays.
SAMPLING = frozenset(
    {"temperature", "top_p", "top_k", "top_a", "min_p", "seed", "stop", "max_tokens", "max_completion_tokens"}
    | {"frequency_penalty", "presence_penalty", "repetition_penalty", "logit_bias", "logprobs", "top_logprobs"}
    | {"reasoning", "verbosity"}
)
_KNOWN = frozenset(
    {
        "format",
        "version",
        "name",
        "model",
        "parameters",
        "messages",
        "pending",
        "cost",
        "left_out",
        "system",
        "versions",
    }
)
_encode = json.JSONEncoder(allow_nan=False).encode


@dataclass
class ChatState:
    """The state of a chat that is saved."""

    messages: list[ChatMessage]
    name: str | None = None
    model: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    cost: Cost = field(default_factory=Cost)
    unknown: dict[str, Any] = field(default_factory=dict)
    versions: list[HiddenTurn] = field(default_factory=list)


def to_dict(saved: ChatState, *, secrets: Iterable[str] = (), max_bytes: int | None = None) -> dict[str, Any]:
    """Serialize a chat's state to JSON data without secrets (`orchat.chat.state_redaction`).

    A turn in which the model's own words hold one is left out; ``left_out`` counts such turns.

    Raises
    ------
    StateError
        It is larger than ``max_bytes``, even without media and old turns; or a part of it is not JSON.

    Examples
    --------
    >>> data = to_dict(ChatState([ChatMessage.from_user("My key is sk-or-v1-0123456789abcdef.")], model="vendor/m"))
    >>> data["version"], data["messages"][0]["content"]
    (1, [{'text': 'My key is [redacted].'}])
    """
    return to_sized_dict(saved, secrets=secrets, max_bytes=max_bytes).data


class SizedData(NamedTuple):
    """A chat's state as JSON data, and what was measured on the way.

    Parameters
    ----------
    data
        The state.
    size
        How many bytes it took before it was shortened; 0 where no limit is given.
    keys
        For each of its messages a digest of all that it says; None where it is no JSON, or media in it were left out.
    """

    data: dict[str, Any]
    size: int
    keys: list[bytes | None]


def to_sized_dict(saved: ChatState, *, secrets: Iterable[str] = (), max_bytes: int | None = None) -> SizedData:
    """Return `to_dict`'s data with its size, and digests of its messages.

    Raises
    ------
    StateError
        As `to_dict` does.

    Examples
    --------
    >>> data, size, _ = to_sized_dict(ChatState([ChatMessage.from_user("Hi")]), max_bytes=1_000)
    >>> size == len(json.dumps(data)), data == to_dict(ChatState([ChatMessage.from_user("Hi")]))
    (True, True)
    """
    known, media = tuple(secrets), 0
    if max_bytes is not None:
        saved, media = _without_old_media(saved, max_bytes)
    shown = redacted_turns(saved.messages, known)
    versions, unsafe_versions = _version_data(saved, shown.messages, known)
    unsafe = shown.left_out + unsafe_versions
    parameters = {key: value for key, value in saved.parameters.items() if _is_allowed(key, value)}
    data: dict[str, Any] = {
        **redacted_data(saved.unknown, known),
        "format": FORMAT,
        "version": VERSION,
        "name": redacted_data(saved.name, known),
        "model": redacted_data(saved.model, known),
        "parameters": redacted_data(parameters, known),
        "messages": shown.data,
        "pending": [call.to_dict() for call in pending_calls(shown.messages)],
        "cost": saved.cost.to_dict(),
        "left_out": {"media": media, "turns": 0, **({"secrets": unsafe} if unsafe else {})},
        **({"versions": versions} if versions else {}),
    }
    if max_bytes is None:
        return SizedData(data, 0, shown.keys)
    sizes = [
        json_size(message) if size is None else size for message, size in zip(shown.data, shown.sizes, strict=True)
    ]
    size = json_size({**data, "messages": []}) + size_of_list(sizes)
    if size > max_bytes:
        shorten(data, sizes, shown.keys, max_bytes)
    return SizedData(data, size, shown.keys)


def from_dict(data: Mapping[str, Any]) -> ChatState:
    """Read a chat's state from `to_dict`'s form; the data is not modified.

    Raises
    ------
    StateError
        It is of a newer version, of another format, or damaged.

    Examples
    --------
    >>> from_dict({"format": "orchat", "version": 2})
    Traceback (most recent call last):
    ...
    orchat.errors.StateError: The chat was saved by a newer orchat (version 2, this one reads 1). Update orchat; the \
data is untouched.
    """
    if not isinstance(data, Mapping) or data.get("format") != FORMAT:
        raise StateError("This is no saved chat.", hint='It would have {"format": "orchat", "version": 1}.')
    version = data.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise StateError(f"The saved chat has no version that makes sense: {version!r:.50}.")
    if version > VERSION:
        raise StateError(
            f"The chat was saved by a newer orchat (version {version}, this one reads {VERSION}).",
            hint="Update orchat; the data is untouched.",
        )
    try:
        data = copy_data(dict(data))
        if not isinstance(said := data.get("messages", []), list | tuple):
            raise TypeError(f"its messages are a {type(said).__name__}, not a list")
        messages = [ChatMessage.from_dict(message) for message in said]
        _check(messages)
        versions = _read_versions(data.get("versions"))
        cost = Cost.from_dict(data["cost"]) if data.get("cost") is not None else Cost()
    except (OrchatError, TypeError, KeyError, AttributeError, ValueError, RecursionError) as error:
        raise StateError(f"The saved chat is damaged: {error!s:.200}", hint="The data is untouched.") from None
    parameters = data.get("parameters")
    return ChatState(
        messages,
        name=data.get("name") if isinstance(data.get("name"), str) else None,
        model=data.get("model") if isinstance(data.get("model"), str) and data["model"] else None,
        parameters={k: v for k, v in parameters.items() if _is_allowed(k, v)} if isinstance(parameters, dict) else {},
        cost=cost,
        unknown={key: value for key, value in data.items() if key not in _KNOWN},
        versions=versions,
    )


def secrets_of(generator: OpenRouterChatGenerator | None) -> list[str]:
    """List the values of a generator's secrets, for redaction."""
    headers = getattr(generator, "extra_headers", None) or {}
    values: list[str] = []
    for secret in (getattr(generator, "api_key", None), *headers.values()):
        if isinstance(secret, Secret):
            with contextlib.suppress(ConfigurationError):  # it is not set: nothing to hide
                value = secret.resolve_value() or ""
                values += {value, bare_key(value)}  # a key is sent bare
    return [value for value in values if len(value) > 7]


def _without_old_media(saved: ChatState, max_bytes: int) -> tuple[ChatState, int]:
    """Return the state without media that have no room, those of versions first, and the number of these."""
    hidden = [message for turn in saved.versions for message in turn.messages]
    messages, count = omit_oldest_media([*hidden, *saved.messages], max_bytes)
    left = iter(messages)
    versions = [replace(turn, messages=list(islice(left, len(turn.messages)))) for turn in saved.versions]
    return replace(saved, messages=list(left), versions=versions), count


def _version_data(
    saved: ChatState, kept: list[ChatMessage], secrets: tuple[str, ...]
) -> tuple[list[dict[str, Any]], int]:
    """Return the data of the turns that are not shown, and the number of those left out for a secret in them."""
    if not saved.versions:
        return [], 0
    kept_ids = {id(message) for message in kept}
    _, turns = split_at_questions(saved.messages)
    # Where a shown turn is left out, those behind it move up.
    places = [0]
    for turn in turns:
        places.append(places[-1] + (id(turn[0]) in kept_ids))
    indices: dict[int, int] = {}
    data: list[dict[str, Any]] = []
    unsafe = 0
    for index, hidden in enumerate(saved.versions):
        if hidden.inside not in indices if hidden.after is None else hidden.after >= len(places):
            continue
        hidden_turn = redacted_turns(hidden.messages, secrets)
        if hidden_turn.left_out:
            unsafe += 1
            continue
        indices[index] = len(data)
        place = {"after": places[hidden.after]} if hidden.after is not None else {"inside": indices[hidden.inside or 0]}
        about = {"newer": hidden.is_newer, "along": hidden.comes_along, "order": hidden.order}
        data.append({**place, **{name: value for name, value in about.items() if value}, "messages": hidden_turn.data})
    return data, unsafe


def _read_versions(data: Any) -> list[HiddenTurn]:
    """Read the turns that are not shown; nothing tells of a place that makes no sense, where none can be shown."""
    versions = []
    listed = data if isinstance(data, list) else []
    skipped = max(len(listed) - MAX_HIDDEN_TURNS, 0)
    for turn in listed[skipped:]:
        messages = [ChatMessage.from_dict(message) for message in turn["messages"]]
        if [message.is_from(ChatRole.USER) for message in messages[:1]] != [True] or any(
            message.is_from(ChatRole.USER) for message in messages[1:]
        ):
            raise ConfigurationError("a version of a turn is no turn.")
        _check(messages)
        after, inside = (turn.get(key) if type(turn.get(key)) is int else None for key in ("after", "inside"))
        inside = None if inside is None else inside - skipped
        after, inside = (value if value is not None and value >= 0 else None for value in (after, inside))
        newer, along = (turn.get(key) is True for key in ("newer", "along"))
        order = value if type(value := turn.get("order")) is int and value > 0 else None
        versions.append(HiddenTurn(messages, None if inside is not None else after, inside, newer, along, order))
    return versions


def _is_allowed(key: str, value: Any) -> bool:
    if key not in SAMPLING:
        return False
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _check(messages: list[ChatMessage]) -> None:
    """Refuse messages that could not be sent, or whose pending call is not the one that the model made."""
    made: dict[str, ToolCall] = {}  # by the model's last answer
    open_ids: set[str] = set()
    waiting = pending_indices(messages)
    _encode([message.to_dict() for message in messages])
    for at, message in enumerate(messages):
        message.to_openai_dict_format()  # of the same values
        if not isinstance(message.meta, dict) or not all(map(_has_valid_types, message.parts)):
            raise ConfigurationError(f"message {at} holds something of a wrong type.")
        if at not in waiting:
            message.meta.pop("pending", None)
        if message.is_from(ChatRole.TOOL):
            [result] = message.tool_call_results
            if result.origin.id not in open_ids:
                raise ConfigurationError(f"message {at} answers no tool call.")
            if at in waiting and result.origin != made[result.origin.id]:
                raise ConfigurationError(f"the tool call that waits in message {at} is not the one that was made.")
            open_ids.remove(result.origin.id)
            continue
        made = {str(call.id): call for call in message.tool_calls}
        if open_ids or message.tool_call_results or len(made) < len(message.tool_calls):
            raise ConfigurationError(f"the tool calls before message {at} do not match their results.")
        open_ids = set(made)
    if open_ids:
        raise ConfigurationError("the last tool call has no result.")


def _has_valid_types(part: Part) -> bool:
    """Whether a part's fields have their declared types."""
    if isinstance(part, ToolCallResult):
        return isinstance(part.error, bool) and _has_valid_types(part.origin)
    if isinstance(part, ToolCall):
        types = isinstance(part.tool_name, str) and isinstance(part.arguments, dict) and isinstance(part.id, str)
        return types and isinstance(part.extra, dict | None)
    if isinstance(part, ReasoningContent):
        return isinstance(part.reasoning_text, str) and isinstance(part.extra, dict)
    return not isinstance(part, TextContent) or isinstance(part.text, str)
