r"""Convert a panel's conversations to plain data for a cell, and back. What is read is data, never authority.

It sets messages, the model, sampling parameters and pending tool calls (`orchat.chat.state` has the rules); host, key,
headers, tools, policy and grants come from code. It holds no identifiers, times and costs, and its texts are lists of
lines, so that a notebook's diffs stay small::

    {"chat": "chat", "chats": {"chat": {"messages": [...], "model": "vendor/m", "parameters": {"temperature": 0.2}}}}
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchat.chat import state
from orchat.configuration import setting
from orchat.errors import StateError
from orchat.jupyter.kernel.conversations.message_encoding import decode_messages, encode_messages
from orchat.jupyter.kernel.output.text_escaping import single_line
from orchat.jupyter.panel.typed_question import TYPED, VALUES
from orchat.messages import ChatMessage, ChatRole, TextContent, ToolCallResult

MAX_CHATS = 100
# The meta of messages that is needed to continue a conversation.
_PERSISTED_META = ("pending", "ending", "decision", "arguments", "requested_model", "model", "refusal", TYPED, VALUES)
_MESSAGE_OVERHEAD = 300  # bytes, about, that a message takes beside its words


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
    """

    chats: dict[str, state.ChatState]
    current_name: str
    left_out: dict[str, int] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to save."""
        return len(self.chats) < 2 and not any(
            saved.model or saved.parameters or any(not message.is_from(ChatRole.SYSTEM) for message in saved.messages)
            for saved in self.chats.values()
        )


def to_entry(snapshot: PanelSnapshot, *, secrets: Collection[str] = ()) -> dict[str, Any]:
    r"""Return a panel's data within ``state_limit``: media are omitted first, then the oldest turns, then other chats.

    Parameters
    ----------
    snapshot
        The conversations; their ``left_out`` is set to what was omitted.
    secrets
        Values to redact from all texts.

    Examples
    --------
    >>> messages = [ChatMessage.from_user("Two\nlines"), ChatMessage.from_assistant("Yes.", {"usage": {"cost": 1}})]
    >>> to_entry(PanelSnapshot({"a": state.ChatState(messages)}, "a"))["chats"]["a"]["messages"][0]
    {'role': 'user', 'content': [{'text': ['Two\n', 'lines']}]}
    """
    entry: dict[str, Any] = {"chat": snapshot.current_name, "chats": {}}
    left_out = {"turns": 0, "media": 0, "chats": 0, "secrets": 0}
    bytes_left = int(setting("state_limit"))
    for name in sorted(snapshot.chats, key=lambda name: name != snapshot.current_name):
        chat, omitted, size = _encode_chat(snapshot.chats[name], secrets, bytes_left)
        if chat is None and name != snapshot.current_name:
            left_out["chats"] += 1
            continue
        entry["chats"][name] = chat or {"messages": []}
        bytes_left -= size
        for what, count in omitted.items():
            left_out[what] += count
    snapshot.left_out = {what: count for what, count in left_out.items() if count}
    if snapshot.left_out:
        entry["left_out"] = snapshot.left_out
    return entry


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
            chat_states[name] = state.from_dict({**data, "messages": _decode_texts(messages)})
        except RecursionError:
            raise StateError("The conversation that the cell keeps is damaged.") from None
    current_name = entry.get("chat")
    omitted = entry.get("left_out")
    return PanelSnapshot(
        chat_states,
        current_name if isinstance(current_name, str) and current_name in chat_states else next(iter(chat_states)),
        {k: v for k, v in omitted.items() if isinstance(k, str) and isinstance(v, int)}
        if isinstance(omitted, dict)
        else {},
    )


def omission_note(left_out: Mapping[str, int]) -> str:
    """Return a sentence about omitted turns, media and chats; empty where nothing was omitted.

    Examples
    --------
    >>> omission_note({"turns": 3, "media": 1})
    'There was no room for the 3 oldest turns and 1 picture or file: they are not kept.'
    """
    words = []
    if count := left_out.get("turns", 0):
        words.append("the oldest turn" if count == 1 else f"the {count} oldest turns")
    if count := left_out.get("media", 0):
        words.append("1 picture or file" if count == 1 else f"{count} pictures and files")
    if count := left_out.get("chats", 0):
        words.append("another chat" if count == 1 else f"{count} other chats")
    sentences = [f"There was no room for {' and '.join(words)}: they are not kept."] if words else []
    if count := left_out.get("secrets", 0):
        what = "A turn is" if count == 1 else f"{count} turns are"
        sentences.append(
            f"{what} kept in memory only, and not in the saved output: the answer holds what looks like a secret."
        )
    return " ".join(sentences)


def _encode_chat(
    saved: state.ChatState, secrets: Collection[str], bytes_left: int
) -> tuple[dict[str, Any] | None, dict[str, int], int]:
    """Return the data of one chat, what was omitted, and its size; None where not even its last turn fits."""
    messages, dropped = _newest_turns(saved.messages, bytes_left)
    try:
        data = state.to_dict(
            state.ChatState(messages, None, saved.model, saved.parameters),
            secrets=secrets,
            max_bytes=max(bytes_left, 0),
        )
    except StateError:
        turns = sum(message.is_from(ChatRole.USER) for message in saved.messages)
        return None, {"turns": turns}, 0
    omitted = data["left_out"]
    omitted["turns"] += dropped
    chat: dict[str, Any] = {"messages": _encode_persisted(data["messages"])}
    for name in ("model", "parameters"):
        if data[name]:
            chat[name] = data[name]
    return chat, omitted, sum(_estimated_size(message) for message in messages)


def _newest_turns(messages: list[ChatMessage], bytes_left: int) -> tuple[list[ChatMessage], int]:
    """Return the newest turns that can fit, and how many are dropped: a fast first cut for long chats."""
    system = messages[:1] if messages and messages[0].is_from(ChatRole.SYSTEM) else []
    first = len(messages)
    for at in reversed(range(len(system), len(messages))):
        bytes_left -= _estimated_size(messages[at])
        if bytes_left < 0 and first < len(messages):
            break
        if messages[at].is_from(ChatRole.USER):
            first = at
    dropped = sum(message.is_from(ChatRole.USER) for message in messages[:first])
    return ([*system, *messages[first:]], dropped) if dropped else (messages, 0)


def _estimated_size(message: ChatMessage) -> int:
    size = _MESSAGE_OVERHEAD
    for part in message.parts:
        if isinstance(part, TextContent):
            size += len(part.text)
        elif isinstance(part, ToolCallResult):
            size += len(part.result) if isinstance(part.result, str) else _MESSAGE_OVERHEAD
    return size


def _encode_persisted(messages: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    persisted = []
    for message in messages:
        meta = {key: message["meta"][key] for key in _PERSISTED_META if message.get("meta", {}).get(key) is not None}
        persisted.append({"role": message["role"], "content": message["content"], **({"meta": meta} if meta else {})})
    return encode_messages(persisted)[0]


def _decode_texts(messages: object) -> list[Any]:
    if not isinstance(messages, list):
        raise StateError("The conversation that the cell keeps is damaged.", hint="What it keeps is untouched.")
    return decode_messages(messages)
