r"""Convert a panel's conversations to plain data for a cell, and back. What is read is data, never authority.

It sets messages, the model, sampling parameters and pending tool calls (`orchat.chat.state` has the rules); host, key,
headers, tools, policy and grants come from code. It holds no identifiers, times and costs, and its texts are lists of
lines, so that a notebook's diffs stay small (but for the ``figures`` of answers that can be compared)::

    {"chat": "chat", "chats": {"chat": {"messages": [...], "model": "vendor/m", "parameters": {"temperature": 0.2},
                                        "versions": [...], "failed": {"question": {...}, "error": {...}}}},
     "draft": {"message": {...}, "turn": 2}, "pictures": {"0f...": {"type": "image/png", "data": "iV..."}}}

``pictures`` are what tools displayed, by the names in the meta of their results. ``failed`` is the request that *Retry*
repeats, ``draft`` what is typed and attached, and the turn that it edits.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchat.chat import state
from orchat.configuration import setting
from orchat.errors import StateError
from orchat.jupyter.kernel.conversations.message_codec import (
    decode_messages,
    join_lines,
)
from orchat.jupyter.kernel.output.untrusted_text import single_line
from orchat.jupyter.panel.call_pictures import hold_saved_pictures, pictures_within
from orchat.jupyter.panel.encoded_chats import EncodedChat, EncodedChats
from orchat.jupyter.panel.encoded_messages import FIGURES, PICTURES, EncodedMessages, encode_persisted, figures_of
from orchat.jupyter.panel.estimated_sizes import DETAILS, estimated_size, fits, newest_turns
from orchat.jupyter.panel.failed_request import FailedRequest, read_error_view
from orchat.jupyter.panel.turn_replay import SECONDS
from orchat.messages import ChatMessage, ChatRole

MAX_CHATS = 100


@dataclass
class PanelSnapshot:
    """A panel's conversations at one time.

    Parameters
    ----------
    chats
        The state of each chat, by name.
    current_name
        The name of the displayed chat.
    left_out
        The numbers of omitted turns, media and chats.
    failed
        The request of each chat that failed, by name.
    draft
        What is typed and attached, as a message.
    edited
        The number of the turn that the draft edits.
    """

    chats: dict[str, state.ChatState]
    current_name: str
    left_out: dict[str, int] = field(default_factory=dict)
    failed: dict[str, FailedRequest] = field(default_factory=dict)
    draft: ChatMessage | None = None
    edited: int | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to save."""
        return (
            self.draft is None
            and not self.failed
            and len(self.chats) < 2
            and not any(
                saved.model
                or saved.parameters
                or saved.versions
                or any(not message.is_from(ChatRole.SYSTEM) for message in saved.messages)
                for saved in self.chats.values()
            )
        )


def to_entry(
    snapshot: PanelSnapshot, *, secrets: Collection[str] = (), encoded: EncodedChats | None = None
) -> dict[str, Any]:
    r"""Return a panel's data within ``state_limit``: media are omitted first, then the oldest turns, then other chats.

    Parameters
    ----------
    snapshot
        The conversations; their ``left_out`` is set to what was omitted.
    secrets
        Values to redact from all texts.
    encoded
        Chats, and messages of the one that is displayed, as they were encoded before (`encoded_chats`); without it all
        are encoded.

    Examples
    --------
    >>> messages = [ChatMessage.from_user("Two\nlines"), ChatMessage.from_assistant("Yes.", {"usage": {"cost": 1}})]
    >>> to_entry(PanelSnapshot({"a": state.ChatState(messages)}, "a"))["chats"]["a"]["messages"][0]
    {'role': 'user', 'content': [{'text': ['Two\n', 'lines']}]}
    """
    entry: dict[str, Any] = {"chat": snapshot.current_name, "chats": {}}
    encoded = encoded_chats() if encoded is None else encoded
    encoded.keep_only(snapshot.chats)
    left_out = {"versions": 0, "turns": 0, "media": 0, "chats": 0, "secrets": 0, "drafts": 0}
    bytes_left = int(setting("state_limit"))
    if snapshot.draft is not None:
        message, size = _encode_question(snapshot.draft, secrets, bytes_left // 2, left_out)
        bytes_left -= size
        if message is not None:
            entry["draft"] = {"message": message, **({} if snapshot.edited is None else {"turn": snapshot.edited})}
    for name in sorted(snapshot.chats, key=lambda name: name != snapshot.current_name):
        saved = snapshot.chats[name]
        # What is displayed changes at nearly each step, and to look at a chat that is too long costs more than its cut.
        if name != snapshot.current_name and fits(saved, bytes_left):
            chat = encoded.encode(name, saved, secrets, bytes_left)
        else:
            chat = _encode_chat(saved, secrets, bytes_left, encoded.displayed)
        if chat.data is None and name != snapshot.current_name:
            left_out["chats"] += 1
            continue
        entry["chats"][name] = dict(chat.data or {"messages": []})
        bytes_left -= chat.size
        if (failed := snapshot.failed.get(name)) is not None:
            entry["chats"][name]["failed"], size = _encode_failed(failed, secrets, bytes_left // 2, left_out)
            bytes_left -= size
        for what, count in chat.omitted.items():
            left_out[what] += count
    pictures, omitted_pictures = pictures_within(_picture_names(entry["chats"].values()), bytes_left)
    if pictures:
        entry["pictures"] = pictures
    left_out["media"] += omitted_pictures
    if left_out["turns"] or left_out["secrets"]:  # the numbers of the turns are others now
        for placed in (entry.get("draft"), *(chat.get("failed") for chat in entry["chats"].values())):
            if placed is not None:
                placed.pop("turn", None)
    snapshot.left_out = {what: count for what, count in left_out.items() if count}
    if snapshot.left_out:
        entry["left_out"] = snapshot.left_out
    return entry


def encoded_chats() -> EncodedChats:
    """Return what remembers a panel's chats as `to_entry` has encoded them."""
    return EncodedChats(_encode_chat)


def from_entry(entry: object) -> PanelSnapshot:
    r"""Return the snapshot in data of `to_entry`, which is not changed.

    Raises
    ------
    StateError
        The data is damaged.

    Examples
    --------
    >>> snapshot = from_entry({"chats": {"a": {"messages": [{"role": "user", "content": [{"text": ["x\n", "y"]}]}],
    ...                                    "parameters": {"temperature": 0, "api_key": "k"}}}})
    >>> snapshot.current_name, snapshot.chats["a"].messages[0].text, snapshot.chats["a"].parameters
    ('a', 'x\ny', {'temperature': 0})
    """
    chats = entry.get("chats") if isinstance(entry, Mapping) else None
    if not isinstance(entry, Mapping) or not isinstance(chats, Mapping) or not 0 < len(chats) <= MAX_CHATS:
        raise StateError("The cell keeps no conversation that can be read.", hint="What it keeps is untouched.")
    chat_states: dict[str, state.ChatState] = {}
    failed: dict[str, FailedRequest] = {}
    for name, chat in chats.items():
        if not isinstance(name, str) or not isinstance(chat, Mapping) or name != single_line(name, 60) or not name:
            raise StateError("The cell keeps a conversation without a name.", hint="What it keeps is untouched.")
        messages = chat.get("messages")
        data = {
            "format": state.FORMAT,
            "version": state.VERSION,
            "name": name,
            "model": chat.get("model"),
            "parameters": chat.get("parameters"),
        }
        try:
            versions = _decode_versions(chat.get("versions"))
            chat_states[name] = state.from_dict({**data, "messages": _decode_texts(messages), "versions": versions})
            if isinstance(chat.get("failed"), Mapping):
                failed[name] = _decode_failed(chat["failed"])
        except RecursionError:
            raise StateError("The conversation that the cell keeps is damaged.") from None
    hold_saved_pictures(entry.get("pictures"))
    current_name = entry.get("chat")
    omitted = entry.get("left_out")
    draft = entry.get("draft")
    draft = draft if isinstance(draft, Mapping) else {}
    return PanelSnapshot(
        chat_states,
        current_name if isinstance(current_name, str) and current_name in chat_states else next(iter(chat_states)),
        {k: v for k, v in omitted.items() if isinstance(k, str) and isinstance(v, int)}
        if isinstance(omitted, dict)
        else {},
        failed,
        _decode_question(draft.get("message")),
        _number(draft.get("turn")),
    )


def _picture_names(chats: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Return the names of pictures that tools displayed, of each chat the youngest first."""
    for chat in chats:
        for message in reversed(chat["messages"]):
            yield from message.get("meta", {}).get(PICTURES, ())


def omission_note(left_out: Mapping[str, int]) -> str:
    """Return a sentence about omitted turns, media and chats; empty where nothing was omitted.

    Examples
    --------
    >>> omission_note({"turns": 3, "media": 1})
    'There was no room for the 3 oldest turns and 1 picture or file: they are not kept.'
    """
    words = []
    if count := left_out.get("versions", 0):
        words.append("the oldest version of a turn" if count == 1 else f"the {count} oldest versions of turns")
    if count := left_out.get("turns", 0):
        words.append("the oldest turn" if count == 1 else f"the {count} oldest turns")
    if count := left_out.get("media", 0):
        words.append("1 picture or file" if count == 1 else f"{count} pictures and files")
    if count := left_out.get("chats", 0):
        words.append("another chat" if count == 1 else f"{count} other chats")
    if left_out.get("drafts", 0):
        words.append("the draft or the question that failed")
    sentences = [f"There was no room for {' and '.join(words)}: they are not kept."] if words else []
    if count := left_out.get("secrets", 0):
        what = "A turn is" if count == 1 else f"{count} turns are"
        sentences.append(
            f"{what} kept in memory only, and not in the saved output: the answer holds what looks like a secret."
        )
    return " ".join(sentences)


def _encode_chat(
    saved: state.ChatState, secrets: Collection[str], bytes_left: int, known: EncodedMessages | None = None
) -> EncodedChat:
    known = EncodedMessages() if known is None else known
    messages, dropped = newest_turns(saved.messages, bytes_left)
    versions = [] if dropped else saved.versions
    try:
        data, data_size, keys = state.to_sized_dict(
            state.ChatState(messages, None, saved.model, saved.parameters, versions=versions),
            secrets=secrets,
            max_bytes=max(bytes_left, 0),
        )
    except StateError:
        turns = sum(message.is_from(ChatRole.USER) for message in saved.messages)
        return EncodedChat(None, {"turns": turns}, 0)
    omitted = data["left_out"]
    omitted["turns"] += dropped
    omitted["versions"] = omitted.get("versions", 0) + len(saved.versions) - len(versions)
    forks = {turn["after"] for turn in data.get("versions", ()) if "after" in turn}
    chat: dict[str, Any] = {"messages": known.encode(data["messages"], keys, forks)}
    if "versions" in data:
        chat["versions"] = [{**turn, "messages": encode_persisted(turn["messages"], {0})} for turn in data["versions"]]
        messages = [*messages, *(message for turn in versions for message in turn.messages)]
    for name in ("model", "parameters"):
        if data[name]:
            chat[name] = data[name]
    size = sum(estimated_size(message) for message in messages)
    return EncodedChat(chat, omitted, size, None if any(omitted.values()) else max(size, data_size))


def _encode_question(
    message: ChatMessage, secrets: Collection[str], max_bytes: int, left_out: dict[str, int]
) -> tuple[dict[str, Any] | None, int]:
    """Return the data of a message that is not in the conversation, and its size; None where it does not fit."""
    try:
        data = state.to_dict(state.ChatState([message]), secrets=secrets, max_bytes=max(max_bytes, 0))
    except StateError:
        left_out["drafts"] += 1
        return None, 0
    left_out["media"] += data["left_out"]["media"]
    (encoded,) = encode_persisted(data["messages"])
    return encoded, len(json.dumps(encoded))


def _encode_failed(
    failed: FailedRequest, secrets: Collection[str], max_bytes: int, left_out: dict[str, int]
) -> tuple[dict[str, Any], int]:
    data: dict[str, Any] = {"turn": failed.version_of, "model": failed.model, "error": failed.error}
    size = 0
    if failed.question is not None:
        data["question"], size = _encode_question(failed.question, secrets, max_bytes, left_out)
    return {key: value for key, value in data.items() if value is not None}, size


def _decode_failed(data: Mapping[str, Any]) -> FailedRequest:
    model = data.get("model")
    return FailedRequest(
        _decode_question(data.get("question")),
        _number(data.get("turn")),
        single_line(model, 200) if isinstance(model, str) and model else None,
        read_error_view(data.get("error")),
    )


def _decode_question(data: object) -> ChatMessage | None:
    """Return a user's message; None where there is none that can be read, which loses no answer."""
    if not isinstance(data, Mapping):
        return None
    try:
        saved = {"format": state.FORMAT, "version": state.VERSION, "messages": _decode_texts([data])}
        messages = state.from_dict(saved).messages
    except (StateError, RecursionError):
        return None
    return messages[0] if messages[0].is_from(ChatRole.USER) else None


def _decode_versions(versions: object) -> list[Any]:
    if not isinstance(versions, list):
        return []
    return [
        {**turn, "messages": _decode_texts(turn.get("messages"))} if isinstance(turn, Mapping) else turn
        for turn in versions
    ]


def _number(value: object) -> int | None:
    return value if type(value) is int and value >= 0 else None


def _decode_meta(message: Any) -> Any:
    meta = message.get("meta") if isinstance(message, Mapping) else None
    if not isinstance(meta, Mapping) or not {FIGURES, DETAILS} & meta.keys():
        return message
    if DETAILS in meta:
        meta = {**meta, DETAILS: join_lines(meta[DETAILS])}
    usage = figures_of(meta.get(FIGURES))
    seconds = {SECONDS: usage.pop(SECONDS)} if SECONDS in usage else {}
    return {**message, "meta": {**meta, **({"usage": usage} if usage else {}), **seconds}}


def _decode_texts(messages: object) -> list[Any]:
    if not isinstance(messages, list):
        raise StateError("The conversation that the cell keeps is damaged.", hint="What it keeps is untouched.")
    return [_decode_meta(message) for message in decode_messages(messages)]
