"""Serialize turns into records in outputs or cell metadata, and restore conversations from them. Pure.

An output holds the answer once, as its plain text; the turn's record refers to that text and to the cell's source, and
holds only the rest: values in the prompt, tool calls and results, reasoning that must be sent back unchanged. A record
may be stored apart from its output (`split_record`), which then holds a pointer: a turn whose output was cleared is
gone, because it is visible no more. Records are data: they set messages, and nothing else (`orchat.chat.state`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from orchat.chat import state
from orchat.configuration import setting
from orchat.errors import StateError
from orchat.jupyter.kernel.cell_storage.executing_cell import METADATA_KEY
from orchat.jupyter.kernel.conversations.message_encoding import decode_messages, encode_messages, split_lines
from orchat.jupyter.kernel.conversations.notebook_conversations import (
    CellTurn,
    NotebookConversation,
    NotebookConversations,
    TurnLocation,
)
from orchat.jupyter.kernel.output.live_display import MIME_TYPE
from orchat.messages import ChatRole
from orchat.secrets import redact

_META_FIELDS = ("pending", "ending", "requested_model", "model", "refusal")
# Other magics may stand before it, such as %%time.
_MAGIC = re.compile(r"\s*(?:%%\w[^\n]*\n\s*)*?%%openrouter\b[^\n]*\n(.*)", re.DOTALL)


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
    """

    conversation: str
    turn: CellTurn
    continued: bool = False


def encode_turn(
    turn: CellTurn,
    conversation: str,
    source: str | None,
    plain: str,
    *,
    continued: bool = False,
    secrets: Collection[str] = (),
    cell: str | None = None,
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

    Raises
    ------
    StateError
        The turn is larger than the setting allows, or holds a value that is no JSON.

    Examples
    --------
    >>> from orchat.messages import ChatMessage
    >>> turn = CellTurn(TurnLocation(), [ChatMessage.from_user("Hi"), ChatMessage.from_assistant("Hello.")])
    >>> encode_turn(turn, "notebook", "Hi", "Hello.")
    {'thread': 'notebook', 'messages': [{'role': 'user', 'content': None}, {'role': 'assistant', 'content': \
[{'at': [0, 6]}]}]}
    """
    saved = state.to_dict(state.ChatState(turn.messages), secrets=secrets, max_bytes=_most_bytes(plain))
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
        meta = {key: message["meta"][key] for key in _META_FIELDS if message.get("meta", {}).get(key) is not None}
        # What a provider read in a file goes back to it, so that it need not read it again (API section 3.3).
        annotations = message.get("meta", {}).get("annotations")
        if files := [item for item in annotations or () if isinstance(item, dict) and item.get("type") == "file"]:
            meta["annotations"] = files
        record["messages"].append({"role": message["role"], "content": content, **({"meta": meta} if meta else {})})
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
    ({'messages': [{'role': 'user', 'content': [{'text': ['Hi']}]}]}, {'thread': 'notebook'})
    """
    messages, ids = encode_messages(record["messages"])
    entry = {name: value for name, value in record.items() if name not in ("thread", "cell")} | {"messages": messages}
    if "system" in entry:
        entry["system"] = split_lines(entry["system"])
    pointer = {name: record[name] for name in ("thread", "cell") if name in record} | (
        {"beside": True} if sidecar else {}
    )
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
        The entry is missing or damaged.

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
    if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
        raise StateError("An output keeps calls that have no names.")
    try:
        messages = decode_messages(entry["messages"], ids)
    except RecursionError:
        raise StateError("What a cell keeps is damaged.") from None
    system = {"system": _text(entry["system"])} if "system" in entry else {}
    return {**entry, **system, "messages": messages, "thread": conversation}


def decode_turn(record: object, source: str, plain: str, location: TurnLocation) -> TurnRecord:
    """Return the turn of a record from `encode_turn`.

    Raises
    ------
    StateError
        The record is damaged.

    Examples
    --------
    >>> record = {"thread": "notebook", "messages": [{"role": "user", "content": None},
    ...                                            {"role": "assistant", "content": [{"at": [0, 6]}]}]}
    >>> conversation, turn, _ = decode_turn(record, "Hi", "Hello. And more.", TurnLocation("a"))
    >>> conversation, [message.text for message in turn.messages]
    ('notebook', ['Hi', 'Hello.'])
    """
    if not isinstance(record, Mapping) or not isinstance(record.get("messages"), list):
        raise StateError("The output keeps no turn.")
    try:
        size = len(json.dumps(record, ensure_ascii=False))
    except RecursionError:
        size = _most_bytes(plain) * 2
    if size >= _most_bytes(plain) * 2:
        raise StateError("The output keeps more than a turn may take.")
    conversation, system = record.get("thread"), record.get("system")
    if not isinstance(conversation, str) or not conversation.isprintable() or not 0 < len(conversation) <= 60:
        raise StateError("The output names no conversation.")
    messages = _resolve_references(record["messages"], source, plain)
    saved = state.from_dict({"format": state.FORMAT, "version": state.VERSION, "messages": messages})
    roles = [message.role for message in saved.messages]
    if len(roles) < 2 or roles[0] != ChatRole.USER or not {ChatRole.USER, ChatRole.SYSTEM}.isdisjoint(roles[1:]):
        raise StateError("The output keeps something else than one turn.")
    turn = CellTurn(
        location, saved.messages, system if isinstance(system, str) else None, begins=record.get("begins") is True
    )
    return TurnRecord(conversation, turn, record.get("continued") is True)


def restore_conversations(
    conversations: NotebookConversations,
    cells: Iterable[Mapping[str, Any]],
    sidecar: Callable[[], Mapping[str, Any]] = dict,
) -> tuple[list[NotebookConversation], list[StateError]]:
    """Restore conversations from the records in a notebook's cells; those of other names stay as they are.

    Parameters
    ----------
    conversations
        The notebook's conversations.
    cells
        From `orchat.jupyter.kernel.cell_storage.notebook_file.read_cells`.
    sidecar
        Returns the turns of the sidecar file, by cell; called only where an output points there.

    Returns
    -------
    tuple
        The restored conversations, and the errors of turns that could not be read.
    """
    rebuilt: dict[str, NotebookConversation] = {}
    damaged: list[StateError] = []
    for found in read_turns(cells, sidecar):
        if isinstance(found, StateError):
            damaged.append(found)
            continue
        conversation = rebuilt.setdefault(found.conversation, NotebookConversation(found.conversation))
        if not found.continued:
            conversation.add_turn(found.turn, found.turn.messages)
        elif (begun := conversation.find_parked_turn(found.turn)) is not None:
            begun.messages = found.turn.messages
        # Else the cell with its beginning is gone, or has been asked again since.
        elif found.turn.messages[0].text not in [turn.messages[0].text for turn in conversation.turns]:
            conversation.add_turn(found.turn, found.turn.messages)
    for conversation in rebuilt.values():
        conversations[conversation.name].turns = conversation.turns
    return [conversations[name] for name in rebuilt], damaged


def read_turns(
    cells: Iterable[Mapping[str, Any]], sidecar: Callable[[], Mapping[str, Any]] = dict
) -> Iterator[TurnRecord | StateError]:
    """Yield the turns of the records in a notebook's cells, in the order of the cells.

    Parameters
    ----------
    cells
        Their ``id``, ``source``, ``metadata`` (orchat's) and ``outputs``.
    sidecar
        Returns the turns of the sidecar file, by cell; called only where an output points there.

    Yields
    ------
    TurnRecord or StateError
        A turn, or the error of one that could not be read.
    """
    cells = list(cells)
    names = {name for cell in cells if isinstance(name := cell.get("id"), str)}
    for cell in cells:
        source = _text(cell.get("source"))
        prompt = found[1].strip() if (found := _MAGIC.fullmatch(source)) else ""
        name = cell.get("id") if isinstance(cell.get("id"), str) else None
        outputs = [each for each in _list(cell.get("outputs")) if isinstance(each, Mapping)]
        for output in outputs:
            data = output.get("data")
            extras = data.get(MIME_TYPE) if isinstance(data, Mapping) else None
            if not isinstance(data, Mapping) or not isinstance(extras, Mapping) or "turn" not in extras:
                continue
            record = extras["turn"]
            owner = record.get("cell") if isinstance(record, Mapping) else None
            if isinstance(owner, str) and owner != name and owner in names:
                continue  # a copy of the cell, which has not been run
            try:
                if isinstance(record, Mapping) and "messages" not in record:
                    record = join_record(
                        record, sidecar().get(str(owner)) if record.get("beside") else _stored_turns(cell)
                    )
                yield decode_turn(record, prompt, _text(data.get("text/plain")), TurnLocation(name))
            except StateError as error:
                yield error
        if any(map(_is_live, outputs)):
            yield from _interrupted_turns(cell, prompt, TurnLocation(name))


def _is_live(output: Mapping[str, Any]) -> bool:
    """Return whether an output is that of a running turn, or of one that was running when its kernel ended."""
    metadata = output.get("metadata")
    entry = metadata.get(METADATA_KEY) if isinstance(metadata, Mapping) else None
    return isinstance(entry, Mapping) and "live" in entry


def _interrupted_turns(
    cell: Mapping[str, Any], prompt: str, location: TurnLocation
) -> Iterator[TurnRecord | StateError]:
    """Yield the turns of a cell that were running when its kernel ended."""
    try:
        turns = _stored_turns(cell)
    except StateError as error:
        yield error
        return
    for conversation, entries in turns.items() if isinstance(turns, Mapping) else ():
        for number, entry in enumerate(_list(entries)):
            if isinstance(entry, Mapping) and entry.get("live") is True:
                try:
                    yield decode_turn(
                        join_record({"thread": conversation, "number": number}, turns), prompt, "", location
                    )
                except StateError as error:
                    yield error


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _stored_turns(cell: Mapping[str, Any]) -> object:
    metadata = cell.get("metadata")
    if not isinstance(metadata, Mapping):
        return None
    version = metadata.get("version")
    if isinstance(version, int) and version > state.VERSION:
        raise StateError(f"A newer orchat has written what a cell keeps (version {version!r:.20}).")
    return metadata.get("turns")


def _most_bytes(plain: str) -> int:
    """Return the size limit of a record in bytes: text of the output counts once only."""
    return int(setting("state_limit")) + len(plain)


def _resolve_references(messages: list[Any], source: str, plain: str) -> list[Any]:
    """Replace a record's references by the texts, each span at most once: so a record cannot grow beyond them.

    Raises
    ------
    StateError
        A referenced text is missing.
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
    return resolved


def _span(at: object) -> tuple[int, int]:
    match at:
        case [int() as start, int() as end]:
            return start, end
    return -1, -1


def _text(value: Any) -> str:
    """Return a text of a notebook file, where it may be a list of lines."""
    if isinstance(value, list):
        return "".join(line for line in value if isinstance(line, str))
    return value if isinstance(value, str) else ""
