r"""A panel's conversations <-> plain data of a cell. What is read is data, never authority.

It sets what was said, the model, sampling parameters and which tool calls wait (`orchat.chat.state` has the rules);
host, key, headers, tools, policy and grants come from code. It holds no identifiers, times and costs, and its texts are
lists of lines, so that a notebook's differences stay quiet::

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
from orchat.messages import ChatMessage, ChatRole, TextContent, ToolCallResult

MOST_CHATS = 100
# Of what an endpoint said beside its words, what must be known to go on.
_META = ("pending", "ending", "decision", "arguments", "requested_model", "model", "refusal")
_FRAME = 300  # bytes, about, that a message takes beside its words


@dataclass
class PanelSnapshot:
    """A panel's conversations.

    Parameters
    ----------
    chats
        By name.
    current
        The name of the one that is shown.
    left_out
        How many turns, media and chats found no room.
    """

    chats: dict[str, state.ChatState]
    current: str
    left_out: dict[str, int] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing worth keeping."""
        return len(self.chats) < 2 and not any(
            saved.model or saved.parameters or any(not message.is_from(ChatRole.SYSTEM) for message in saved.messages)
            for saved in self.chats.values()
        )


def to_entry(kept: PanelSnapshot, *, secrets: Collection[str] = ()) -> dict[str, Any]:
    r"""Return the data of a panel, as large as is set: media go first, then the oldest turns, then whole other chats.

    Parameters
    ----------
    kept
        The conversations; its ``left_out`` says afterwards what found no room.
    secrets
        Values to hide wherever somebody repeats them.

    Examples
    --------
    >>> said = [ChatMessage.from_user("Two\nlines"), ChatMessage.from_assistant("Yes.", {"usage": {"cost": 1}})]
    >>> to_entry(PanelSnapshot({"a": state.ChatState(said)}, "a"))["chats"]["a"]["messages"][0]
    {'role': 'user', 'content': [{'text': ['Two\n', 'lines']}]}
    """
    entry: dict[str, Any] = {"chat": kept.current, "chats": {}}
    left_out = {"turns": 0, "media": 0, "chats": 0}
    room = int(setting("state_limit"))
    for name in sorted(kept.chats, key=lambda name: name != kept.current):
        chat, lost, size = _chat(kept.chats[name], secrets, room)
        if chat is None and name != kept.current:
            left_out["chats"] += 1
            continue
        entry["chats"][name] = chat or {"messages": []}
        room -= size
        for what, count in lost.items():
            left_out[what] += count
    kept.left_out = {what: count for what, count in left_out.items() if count}
    if kept.left_out:
        entry["left_out"] = kept.left_out
    return entry


def from_entry(entry: object) -> PanelSnapshot:
    r"""Read `to_entry`'s form; the data stays as it is.

    Raises
    ------
    StateError
        It is damaged.

    Examples
    --------
    >>> kept = from_entry({"chats": {"a": {"messages": [{"role": "user", "content": [{"text": ["x\n", "y"]}]}],
    ...                                    "parameters": {"temperature": 0, "api_key": "k"}}}})
    >>> kept.current, kept.chats["a"].messages[0].text, kept.chats["a"].parameters
    ('a', 'x\ny', {'temperature': 0})
    """
    chats = entry.get("chats") if isinstance(entry, Mapping) else None
    if not isinstance(entry, Mapping) or not isinstance(chats, Mapping) or not 0 < len(chats) <= MOST_CHATS:
        raise StateError("The cell keeps no conversation that can be read.", hint="What it keeps is untouched.")
    found: dict[str, state.ChatState] = {}
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
            found[name] = state.from_dict({**data, "messages": _with_texts(messages)})
        except RecursionError:
            raise StateError("The conversation that the cell keeps is damaged.") from None
    current = entry.get("chat")
    lost = entry.get("left_out")
    return PanelSnapshot(
        found,
        current if isinstance(current, str) and current in found else next(iter(found)),
        {k: v for k, v in lost.items() if isinstance(k, str) and isinstance(v, int)} if isinstance(lost, dict) else {},
    )


def omission_note(left_out: Mapping[str, int]) -> str:
    """Say in words what found no room.

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
    return f"There was no room for {' and '.join(words)}: they are not kept." if words else ""


def _chat(
    saved: state.ChatState, secrets: Collection[str], room: int
) -> tuple[dict[str, Any] | None, dict[str, int], int]:
    """Return the data of one chat, what of it found no room, and its size; None where not even its last turn fits."""
    messages, dropped = _newest(saved.messages, room)
    try:
        data = state.to_dict(
            state.ChatState(messages, None, saved.model, saved.parameters), secrets=secrets, max_bytes=max(room, 0)
        )
    except StateError:
        turns = sum(message.is_from(ChatRole.USER) for message in saved.messages)
        return None, {"turns": turns}, 0
    lost = data["left_out"]
    lost["turns"] += dropped
    chat: dict[str, Any] = {"messages": _quiet(data["messages"])}
    for name in ("model", "parameters"):
        if data[name]:
            chat[name] = data[name]
    return chat, lost, sum(_weight(message) for message in messages)


def _newest(messages: list[ChatMessage], room: int) -> tuple[list[ChatMessage], int]:
    """Leave out at once what cannot fit: looking at everything again for each turn takes long in a long chat."""
    system = messages[:1] if messages and messages[0].is_from(ChatRole.SYSTEM) else []
    first = len(messages)
    for at in reversed(range(len(system), len(messages))):
        room -= _weight(messages[at])
        if room < 0 and first < len(messages):
            break
        if messages[at].is_from(ChatRole.USER):
            first = at
    dropped = sum(message.is_from(ChatRole.USER) for message in messages[:first])
    return ([*system, *messages[first:]], dropped) if dropped else (messages, 0)


def _weight(message: ChatMessage) -> int:
    size = _FRAME
    for part in message.parts:
        if isinstance(part, TextContent):
            size += len(part.text)
        elif isinstance(part, ToolCallResult):
            size += len(part.result) if isinstance(part.result, str) else _FRAME
    return size


def _quiet(messages: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    kept = []
    for message in messages:
        meta = {key: message["meta"][key] for key in _META if message.get("meta", {}).get(key) is not None}
        kept.append({"role": message["role"], "content": message["content"], **({"meta": meta} if meta else {})})
    return encode_messages(kept)[0]


def _with_texts(messages: object) -> list[Any]:
    if not isinstance(messages, list):
        raise StateError("The conversation that the cell keeps is damaged.", hint="What it keeps is untouched.")
    return decode_messages(messages)
