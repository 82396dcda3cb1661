"""Turns <-> what a notebook's outputs keep of them, so that a conversation can be rebuilt after a restart. Pure.

An output holds the answer once, as its plain text; the record beside it points there, and to the cell's own source,
and holds only what stands in neither: values that went into the prompt, tool calls and results, reasoning that must go
back unchanged. A record may be stored apart from its output (`split_record`), which then points to it: so a turn whose
output was cleared is gone, for nobody can see any more what was said. What is read is data: it sets what was said,
and nothing else (`orchat.chat.state`).
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

_META = ("pending", "ending", "requested_model", "model", "refusal")
# Other magics may stand before it, such as %%time.
_MAGIC = re.compile(r"\s*(?:%%\w[^\n]*\n\s*)*?%%openrouter\b[^\n]*\n(.*)", re.DOTALL)


class TurnRecord(NamedTuple):
    """A turn as an output keeps it.

    Parameters
    ----------
    thread
        The name of its conversation.
    turn
        The turn.
    continued
        Whether another output has its beginning: it went on after a decision about its tool calls.
    """

    thread: str
    turn: CellTurn
    continued: bool = False


def encode_turn(
    turn: CellTurn,
    thread: str,
    source: str | None,
    plain: str,
    *,
    continued: bool = False,
    secrets: Collection[str] = (),
    cell: str | None = None,
) -> dict[str, Any]:
    """Return what an output keeps of a turn.

    Parameters
    ----------
    turn
        The turn.
    thread
        The name of its conversation.
    source
        The prompt as it stands in the cell; None where it does not.
    plain
        The output's plain text.
    continued
        Whether another output has its beginning.
    secrets
        Values to hide wherever somebody repeats them.
    cell
        The output's cell, as the notebook's file calls it: in a copy of that cell the turn does not count again.

    Raises
    ------
    StateError
        The turn is larger than is set, or holds something that is no JSON.

    Examples
    --------
    >>> from orchat.messages import ChatMessage
    >>> turn = CellTurn(TurnLocation(), [ChatMessage.from_user("Hi"), ChatMessage.from_assistant("Hello.")])
    >>> encode_turn(turn, "notebook", "Hi", "Hello.")
    {'thread': 'notebook', 'messages': [{'role': 'user', 'content': None}, {'role': 'assistant', 'content': \
[{'at': [0, 6]}]}]}
    """
    saved = state.to_dict(state.ChatState(turn.messages), secrets=secrets, max_bytes=_most_bytes(plain))
    kept: dict[str, Any] = {"thread": thread}
    if cell is not None:
        kept["cell"] = cell
    if turn.system is not None:
        kept["system"] = redact(turn.system, *secrets)
    if turn.begins:
        kept["begins"] = True
    if continued:
        kept["continued"] = True
    if media := saved["left_out"]["media"]:
        kept["left_out"] = {"media": media}
    at = 0
    kept["messages"] = []
    for number, message in enumerate(saved["messages"]):
        content = message["content"]
        if number == 0 and source is not None and content == [{"text": source}]:
            content = None
        elif message["role"] == ChatRole.ASSISTANT.value:
            for place, part in enumerate(content):
                text = part.get("text")
                if isinstance(text, str) and (found := plain.find(text, at)) >= 0:
                    at = found + len(text)
                    content[place] = {"at": [found, at]}
        meta = {key: message["meta"][key] for key in _META if message.get("meta", {}).get(key) is not None}
        # What a provider read in a file goes back to it, so that it need not read it again (API section 3.3).
        annotations = message.get("meta", {}).get("annotations")
        if files := [item for item in annotations or () if isinstance(item, dict) and item.get("type") == "file"]:
            meta["annotations"] = files
        kept["messages"].append({"role": message["role"], "content": content, **({"meta": meta} if meta else {})})
    return kept


def split_record(
    kept: Mapping[str, Any], number: int, *, beside: bool = False
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Part a record into what is kept elsewhere, and what the output keeps to find it.

    Parameters
    ----------
    kept
        What `encode_turn` made.
    number
        Which one it is of its thread and cell.
    beside
        Whether it goes into the file beside the notebook, instead of its cell.

    Examples
    --------
    >>> split_record({"thread": "notebook", "messages": [{"role": "user", "content": [{"text": "Hi"}]}]}, 0)
    ({'messages': [{'role': 'user', 'content': [{'text': ['Hi']}]}]}, {'thread': 'notebook'})
    """
    messages, ids = encode_messages(kept["messages"])
    entry = {name: value for name, value in kept.items() if name not in ("thread", "cell")} | {"messages": messages}
    if "system" in entry:
        entry["system"] = split_lines(entry["system"])
    pointer = {name: kept[name] for name in ("thread", "cell") if name in kept} | ({"beside": True} if beside else {})
    return entry, pointer | ({"number": number} if number else {}) | ({"ids": ids} if ids else {})


def join_record(pointer: Mapping[str, Any], turns: object) -> dict[str, Any]:
    """Return the record that `split_record` parted.

    Parameters
    ----------
    pointer
        What the output keeps.
    turns
        The turns that are kept elsewhere, by thread.

    Raises
    ------
    StateError
        It is not there, or damaged.

    Examples
    --------
    >>> join_record({"thread": "notebook"}, {"notebook": [{"messages": [{"content": [{"text": ["Hi"]}]}]}]})
    {'messages': [{'content': [{'text': 'Hi'}]}], 'thread': 'notebook'}
    """
    thread, number, ids = pointer.get("thread"), pointer.get("number", 0), pointer.get("ids", [])
    entries = turns.get(thread) if isinstance(turns, Mapping) and isinstance(thread, str) else None
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
    return {**entry, **system, "messages": messages, "thread": thread}


def decode_turn(kept: object, source: str, plain: str, place: TurnLocation) -> TurnRecord:
    """Return the turn that `encode_turn` kept.

    Raises
    ------
    StateError
        It is damaged.

    Examples
    --------
    >>> kept = {"thread": "notebook", "messages": [{"role": "user", "content": None},
    ...                                            {"role": "assistant", "content": [{"at": [0, 6]}]}]}
    >>> thread, turn, _ = decode_turn(kept, "Hi", "Hello. And more.", TurnLocation("a"))
    >>> thread, [message.text for message in turn.messages]
    ('notebook', ['Hi', 'Hello.'])
    """
    if not isinstance(kept, Mapping) or not isinstance(kept.get("messages"), list):
        raise StateError("The output keeps no turn.")
    try:
        size = len(json.dumps(kept, ensure_ascii=False))
    except RecursionError:
        size = _most_bytes(plain) * 2
    if size >= _most_bytes(plain) * 2:
        raise StateError("The output keeps more than a turn may take.")
    thread, system = kept.get("thread"), kept.get("system")
    if not isinstance(thread, str) or not thread.isprintable() or not 0 < len(thread) <= 60:
        raise StateError("The output names no conversation.")
    messages = _filled(kept["messages"], source, plain)
    saved = state.from_dict({"format": state.FORMAT, "version": state.VERSION, "messages": messages})
    roles = [message.role for message in saved.messages]
    if len(roles) < 2 or roles[0] != ChatRole.USER or not {ChatRole.USER, ChatRole.SYSTEM}.isdisjoint(roles[1:]):
        raise StateError("The output keeps something else than one turn.")
    turn = CellTurn(
        place, saved.messages, system if isinstance(system, str) else None, begins=kept.get("begins") is True
    )
    return TurnRecord(thread, turn, kept.get("continued") is True)


def restore_conversations(
    threads: NotebookConversations, cells: Iterable[Mapping[str, Any]], beside: Callable[[], Mapping[str, Any]] = dict
) -> tuple[list[NotebookConversation], list[StateError]]:
    """Rebuild threads from what a notebook's cells keep; those of other names stay as they are.

    Parameters
    ----------
    threads
        The notebook's.
    cells
        As `orchat.jupyter.kernel.cell_storage.notebook_file.read_cells` gives them.
    beside
        Gives the turns that a file beside the notebook keeps, by cell; asked only where an output points there.

    Returns
    -------
    tuple
        The threads that were rebuilt, and why turns could not be read.
    """
    rebuilt: dict[str, NotebookConversation] = {}
    damaged: list[StateError] = []
    for found in read_turns(cells, beside):
        if isinstance(found, StateError):
            damaged.append(found)
            continue
        thread = rebuilt.setdefault(found.thread, NotebookConversation(found.thread))
        if not found.continued:
            thread.keep(found.turn, found.turn.messages)
        elif (begun := thread.waits_for(found.turn)) is not None:
            begun.messages = found.turn.messages
        # Else the cell with its beginning is gone, or has been asked again since.
        elif found.turn.messages[0].text not in [turn.messages[0].text for turn in thread.turns]:
            thread.keep(found.turn, found.turn.messages)
    for thread in rebuilt.values():
        threads[thread.name].turns = thread.turns
    return [threads[name] for name in rebuilt], damaged


def read_turns(
    cells: Iterable[Mapping[str, Any]], beside: Callable[[], Mapping[str, Any]] = dict
) -> Iterator[TurnRecord | StateError]:
    """Give the turns that a notebook's cells keep, in the order of the cells.

    Parameters
    ----------
    cells
        Their ``id``, ``source``, ``metadata`` (ours) and ``outputs``.
    beside
        Gives the turns that a file beside the notebook keeps, by cell; asked only where an output points there.

    Yields
    ------
    Kept or StateError
        A turn; or why it could not be read.
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
            kept = extras["turn"]
            asked_in = kept.get("cell") if isinstance(kept, Mapping) else None
            if isinstance(asked_in, str) and asked_in != name and asked_in in names:
                continue  # a copy of the cell, which has not been run
            try:
                if isinstance(kept, Mapping) and "messages" not in kept:
                    kept = join_record(kept, beside().get(str(asked_in)) if kept.get("beside") else _stored_turns(cell))
                yield decode_turn(kept, prompt, _text(data.get("text/plain")), TurnLocation(name))
            except StateError as error:
                yield error
        if any(map(_is_live, outputs)):
            yield from _cut_short(cell, prompt, TurnLocation(name))


def _is_live(output: Mapping[str, Any]) -> bool:
    """Say whether an output is that of a turn which goes on; or did so when its kernel ended."""
    metadata = output.get("metadata")
    ours = metadata.get(METADATA_KEY) if isinstance(metadata, Mapping) else None
    return isinstance(ours, Mapping) and "live" in ours


def _cut_short(cell: Mapping[str, Any], prompt: str, place: TurnLocation) -> Iterator[TurnRecord | StateError]:
    """Give the turns of a cell as they were when its kernel ended."""
    try:
        turns = _stored_turns(cell)
    except StateError as error:
        yield error
        return
    for thread, entries in turns.items() if isinstance(turns, Mapping) else ():
        for number, entry in enumerate(_list(entries)):
            if isinstance(entry, Mapping) and entry.get("live") is True:
                try:
                    yield decode_turn(join_record({"thread": thread, "number": number}, turns), prompt, "", place)
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
    """Return how large a record may be: it points to what stands in the output, so that this counts once only."""
    return int(setting("state_limit")) + len(plain)


def _filled(messages: list[Any], source: str, plain: str) -> list[Any]:
    """Put the texts back to which a record points, each place at most once: so it cannot grow beyond them.

    Raises
    ------
    StateError
        It points to what is not there.
    """
    filled = []
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
        filled.append({"role": message.get("role"), "meta": message.get("meta") or {}, "name": None, "content": parts})
    return filled


def _span(at: object) -> tuple[int, int]:
    match at:
        case [int() as start, int() as end]:
            return start, end
    return -1, -1


def _text(value: Any) -> str:
    """Return a text of a notebook file, which may be a list of lines."""
    if isinstance(value, list):
        return "".join(line for line in value if isinstance(line, str))
    return value if isinstance(value, str) else ""
