"""Serialize turns into records for outputs or cell metadata, and back. Pure.

An output holds the answer once, as its plain text; the turn's record refers to that text and to the cell's source, and
holds only the rest: values in the prompt, tool calls and results, reasoning that must be sent back unchanged. So it is
with an answer's pictures, which are outputs of the same cell: a record names them by a digest. A record may be stored
apart from its output (`split_record`), which then holds a pointer: a turn whose output was cleared is gone, because it
is visible no more. A digest of the texts that a record refers to tells where a merge or an editor has put it beside
other ones. Records are data: they set messages, and nothing else (`orchat.chat.state`).
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from orchat.chat import state
from orchat.chat.state_redaction import secret_of_model
from orchat.configuration import setting
from orchat.errors import StateError
from orchat.jupyter.kernel.conversations.message_codec import (
    decode_messages,
    encode_messages,
    join_lines,
    split_lines,
)
from orchat.jupyter.kernel.conversations.notebook_conversations import (
    CellTurn,
    TurnLocation,
)
from orchat.messages import ChatRole
from orchat.secrets import redact

_encode = json.JSONEncoder(ensure_ascii=False).encode
RUN_AGAIN = "Run the cell again."
_LOST_PICTURE = "[a picture of this answer is not in the notebook any more]"
_LARGEST_FLOAT = sys.float_info.max
_META_FIELDS = ("pending", "ending", "requested_model", "model", "refusal")


class SecretInAnswerError(StateError):
    """A turn that is not saved because a secret stands in the model's own words, which are never altered."""


class TurnRecord(NamedTuple):
    """A decoded record: a turn and its conversation.

    Parameters
    ----------
    conversation
        The name of the conversation.
    turn
        The turn.
    continued
        Whether the turn began in another output and was continued after a decision about its tool calls.
    lost_pictures
        The number of pictures that are not among the cell's outputs any more; a text takes the place of each.
    """

    conversation: str
    turn: CellTurn
    continued: bool = False
    lost_pictures: int = 0


def encode_turn(
    turn: CellTurn,
    conversation: str,
    source: str | None,
    plain: str,
    *,
    continued: bool = False,
    secrets: Collection[str] = (),
    cell: str | None = None,
    pictures: Collection[str] = (),
) -> dict[str, Any]:
    """Return the record of a turn as JSON.

    Parameters
    ----------
    turn
        The turn.
    conversation
        The name of its conversation.
    source
        The prompt as in the cell's source; None where it is not there.
    plain
        The output's plain text.
    continued
        Whether the turn began in another output.
    secrets
        Values to redact in all messages.
    cell
        The cell's identifier in the notebook file: the turn does not count again in a copy of the cell.
    pictures
        The pictures of the answer that are outputs of the cell, in base64.

    Raises
    ------
    StateError
        The turn is larger than the setting allows, or holds a value that is no JSON; as a `SecretInAnswerError`, that
        the model's own words hold a secret.

    Examples
    --------
    >>> from orchat.messages import ChatMessage
    >>> turn = CellTurn(TurnLocation(), [ChatMessage.from_user("Hi"), ChatMessage.from_assistant("Hello.")])
    >>> encode_turn(turn, "notebook", "Hi", "Hello.")
    {'thread': 'notebook', 'messages': [{'role': 'user', 'content': None}, {'role': 'assistant', 'content': \
[{'at': [0, 6]}]}], 'digest': {'question': '3639efcd', 'answer': '2d8bd7d9'}}
    """
    if (what := secret_of_model(turn.messages, tuple(secrets))) is not None:
        raise SecretInAnswerError(
            f"the answer holds what looks like {what}.",
            hint="Jupyter saves the output that you see all the same when it saves the notebook: clear it first.",
        )
    saved = state.to_dict(state.ChatState(turn.messages), secrets=secrets, max_bytes=_most_bytes(plain, pictures))
    record: dict[str, Any] = {"thread": conversation}
    if cell is not None:
        record["cell"] = cell
    if turn.system is not None:
        record["system"] = redact(turn.system, *secrets)
    if turn.begins:
        record["begins"] = True
    if continued:
        record["continued"] = True
    if media := saved["left_out"]["media"]:
        record["left_out"] = {"media": media}
    at = 0
    record["messages"] = []
    for number, message in enumerate(saved["messages"]):
        content = message["content"]
        if number == 0 and source is not None and content == [{"text": source}]:
            content = None
        elif message["role"] == ChatRole.ASSISTANT.value:
            for index, part in enumerate(content):
                text = part.get("text")
                if isinstance(text, str) and (found := plain.find(text, at)) >= 0:
                    at = found + len(text)
                    content[index] = {"at": [found, at]}
                elif isinstance(image := part.get("image"), dict) and image.get("base64_image") in pictures:
                    shown = {"shown": _digest(image["base64_image"])}
                    content[index] = {"image": {key: image[key] for key in image if key != "base64_image"} | shown}
        meta = {key: message["meta"][key] for key in _META_FIELDS if message.get("meta", {}).get(key) is not None}
        # What a provider read in a file goes back to it, so that it need not read it again (API section 3.3).
        annotations = message.get("meta", {}).get("annotations")
        if files := [item for item in annotations or () if isinstance(item, dict) and item.get("type") == "file"]:
            meta["annotations"] = files
        record["messages"].append({"role": message["role"], "content": content, **({"meta": meta} if meta else {})})
    digest = {"question": _digest(source)} if source is not None and record["messages"][0]["content"] is None else {}
    if digest := {**digest, **({"answer": _digest(plain[:at])} if at else {})}:
        record["digest"] = digest
    return record


def split_record(
    record: Mapping[str, Any], number: int, *, sidecar: bool = False
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split a record into an entry to store elsewhere, and the pointer for the output.

    Parameters
    ----------
    record
        A record, from `encode_turn`.
    number
        Its index among the turns of its conversation and cell.
    sidecar
        Whether the entry goes into the sidecar file, instead of the cell.

    Examples
    --------
    >>> split_record({"thread": "notebook", "messages": [{"role": "user", "content": [{"text": "Hi"}]}]}, 0)
    ({'messages': [{'role': 'user', 'content': [{'text': ['Hi']}]}]}, {'thread': 'notebook', 'entry': 'c9816ca8'})
    """
    messages, ids = encode_messages(record["messages"])
    entry = {name: value for name, value in record.items() if name not in ("thread", "cell")} | {"messages": messages}
    if "system" in entry:
        entry["system"] = split_lines(entry["system"])
    pointer = {name: record[name] for name in ("thread", "cell") if name in record} | (
        {"beside": True} if sidecar else {}
    )
    pointer["entry"] = _digest_of_json(entry)
    return entry, pointer | ({"number": number} if number else {}) | ({"ids": ids} if ids else {})


def join_record(pointer: Mapping[str, Any], turns: object) -> dict[str, Any]:
    """Return the record that `split_record` split.

    Parameters
    ----------
    pointer
        The pointer in the output.
    turns
        The stored entries, by conversation.

    Raises
    ------
    StateError
        The entry is missing, damaged, or that of another output.

    Examples
    --------
    >>> join_record({"thread": "notebook"}, {"notebook": [{"messages": [{"content": [{"text": ["Hi"]}]}]}]})
    {'messages': [{'content': [{'text': 'Hi'}]}], 'thread': 'notebook'}
    """
    conversation, number, ids = pointer.get("thread"), pointer.get("number", 0), pointer.get("ids", [])
    entries = turns.get(conversation) if isinstance(turns, Mapping) and isinstance(conversation, str) else None
    known = isinstance(entries, list) and isinstance(number, int) and 0 <= number < len(entries)
    entry = entries[number] if known and isinstance(entries, list) else None
    if not isinstance(entry, Mapping) or not isinstance(entry.get("messages"), list):
        raise StateError("What an output points to is not kept any more.")
    if "entry" in pointer and pointer["entry"] != _digest_of_json(entry):
        raise StateError(
            "What an output points to is of another answer, as after a merge of two notebooks.", hint=RUN_AGAIN
        )
    if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
        raise StateError("An output keeps calls that have no names.")
    try:
        messages = decode_messages(entry["messages"], ids)
    except RecursionError:
        raise StateError("What a cell keeps is damaged.") from None
    system = {"system": join_lines(entry["system"])} if "system" in entry else {}
    return {**entry, **system, "messages": messages, "thread": conversation}


def decode_turn(
    record: object, source: str, plain: str, location: TurnLocation, pictures: Collection[str] = ()
) -> TurnRecord:
    """Return the turn of a record from `encode_turn`.

    Parameters
    ----------
    record
        The record, which is untrusted.
    source, plain
        The prompt in the cell's source, and the output's plain text.
    location
        The turn's place in the notebook.
    pictures
        The pictures among the cell's outputs, in base64.

    Raises
    ------
    StateError
        The record is damaged, or was made beside another question or output than these.

    Examples
    --------
    >>> record = {"thread": "notebook", "messages": [{"role": "user", "content": None},
    ...                                            {"role": "assistant", "content": [{"at": [0, 6]}]}]}
    >>> conversation, turn, *_ = decode_turn(record, "Hi", "Hello. And more.", TurnLocation("a"))
    >>> conversation, [message.text for message in turn.messages]
    ('notebook', ['Hi', 'Hello.'])
    """
    if not isinstance(record, Mapping) or not isinstance(record.get("messages"), list):
        raise StateError("The output keeps no turn.")
    try:
        size = len(_encode(record))
    except RecursionError:
        size = _most_bytes(plain) * 2
    if size >= _most_bytes(plain) * 2:
        raise StateError("The output keeps more than a turn may take.")
    conversation, system = record.get("thread"), record.get("system")
    if not isinstance(conversation, str) or not conversation.isprintable() or not 0 < len(conversation) <= 60:
        raise StateError("The output names no conversation.")
    messages = _resolve_references(record["messages"], source, plain, record.get("digest"))
    lost_pictures = _restore_pictures(messages, pictures)
    saved = state.from_dict({"format": state.FORMAT, "version": state.VERSION, "messages": messages})
    roles = [message.role for message in saved.messages]
    if len(roles) < 2 or roles[0] != ChatRole.USER or not {ChatRole.USER, ChatRole.SYSTEM}.isdisjoint(roles[1:]):
        raise StateError("The output keeps something else than one turn.")
    turn = CellTurn(
        location, saved.messages, system if isinstance(system, str) else None, begins=record.get("begins") is True
    )
    return TurnRecord(conversation, turn, record.get("continued") is True, lost_pictures)


def _most_bytes(plain: str, pictures: Collection[str] = ()) -> int:
    """Return the size limit of a record in bytes: text and pictures of the outputs do not count."""
    return int(setting("state_limit")) + len(plain) + sum(map(len, pictures))


def _restore_pictures(messages: list[Any], pictures: Collection[str]) -> int:
    """Put pictures in the places that name them, a text where one is gone, and return the number of these.

    Each is used once, so a record cannot grow beyond its outputs.
    """
    lost = 0
    left: dict[str, list[str]] = {}
    for picture in pictures:
        left.setdefault(_digest(picture), []).append(picture)
    for message in messages:
        for at, part in enumerate(message["content"]):
            image = part.get("image") if isinstance(part, Mapping) else None
            if not isinstance(image, Mapping) or "shown" not in image:
                continue
            found = left.get(image["shown"]) if isinstance(image["shown"], str) else None
            if found:
                kept = {key: value for key, value in image.items() if key != "shown"}
                message["content"][at] = {"image": {**kept, "base64_image": found.pop()}}
            else:
                lost += 1
                message["content"][at] = {"text": _LOST_PICTURE}
    return lost


def _resolve_references(messages: list[Any], source: str, plain: str, digest: object) -> list[Any]:
    """Replace a record's references by the texts, each span at most once: so a record cannot grow beyond them.

    Raises
    ------
    StateError
        A referenced text is missing, or another one.
    """
    resolved = []
    at = 0
    for number, message in enumerate(messages):
        if not isinstance(message, Mapping):
            raise StateError("The output keeps something that is no message.")
        content = message.get("content")
        if content is None and number == 0:
            if not source:
                raise StateError("The question is not in its cell any more.")
            _check_digest(digest, "question", source)
            content = [{"text": source}]
        parts = []
        for part in content if isinstance(content, list) else [content]:
            if not isinstance(part, Mapping) or "at" not in part:
                parts.append(part)
                continue
            start, end = _span(part["at"])
            if not at <= start <= end <= len(plain):
                raise StateError("The answer is not in its output any more.")
            at = end
            parts.append({"text": plain[start:end]})
        resolved.append(
            {"role": message.get("role"), "meta": message.get("meta") or {}, "name": None, "content": parts}
        )
    _check_digest(digest, "answer", plain[:at])
    return resolved


def _check_digest(digest: object, what: str, text: str) -> None:
    """Check that a record stands beside the text of which it was made; records of the first release have no digest.

    Raises
    ------
    StateError
        It stands beside another one.
    """
    if isinstance(digest, Mapping) and what in digest and digest[what] != _digest(text):
        place = "cell" if what == "question" else "output"
        raise StateError(
            f"A turn is of another {what} than its {place} holds, as after an edit or a merge.", hint=RUN_AGAIN
        )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:8]


def _digest_of_json(value: object) -> str:
    """Return the digest of plain JSON, the same after a page has written 1 for 1.0 and 0 for -0.0."""

    def as_in_a_page(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: as_in_a_page(each) for key, each in value.items()}
        if isinstance(value, list):
            return [as_in_a_page(each) for each in value]
        if isinstance(value, int | float) and not isinstance(value, bool):
            return repr(float(value) + 0.0) if abs(value) < _LARGEST_FLOAT else "large"
        return value

    return _digest(json.dumps(as_in_a_page(value), sort_keys=True))


def _span(at: object) -> tuple[int, int]:
    match at:
        case [int() as start, int() as end]:
            return start, end
    return -1, -1
