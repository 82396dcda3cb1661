"""Turns <-> what a notebook's outputs keep of them, so that a conversation can be rebuilt after a restart. Pure.

An output holds the answer once, as its plain text; the record beside it points there, and to the cell's own source,
and holds only what stands in neither: values that went into the prompt, tool calls and results, reasoning that must go
back unchanged. What is read is data: it sets what was said, and nothing else (`orchat.chat.state`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from orchat.chat import state
from orchat.errors import StateError
from orchat.jupyter.notebook.threads import CellTurn, Place
from orchat.jupyter.output.display import MIME_TYPE
from orchat.messages import ChatRole

MOST_BYTES = 64_000
_META = ("pending", "ending", "requested_model", "model")
_MAGIC = re.compile(r"\s*%%openrouter\b[^\n]*\n(.*)", re.DOTALL)


def record(turn: CellTurn, thread: str, source: str | None, plain: str) -> dict[str, Any]:
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

    Returns
    -------
    dict
        Empty where the turn is too large to be kept.

    Examples
    --------
    >>> from orchat.messages import ChatMessage
    >>> turn = CellTurn(Place(), [ChatMessage.from_user("Hi"), ChatMessage.from_assistant("Hello.")])
    >>> record(turn, "notebook", "Hi", "Hello.")
    {'thread': 'notebook', 'messages': [{'role': 'user', 'content': None}, {'role': 'assistant', 'content': \
[{'at': [0, 6]}]}]}
    """
    try:
        messages = state.to_dict(state.Saved(turn.messages), max_bytes=MOST_BYTES + len(plain))["messages"]
    except StateError:
        return {}
    kept: dict[str, Any] = {"thread": thread}
    if turn.system is not None:
        kept["system"] = turn.system
    if turn.begins:
        kept["begins"] = True
    at = 0
    kept["messages"] = []
    for number, message in enumerate(messages):
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
        kept["messages"].append({"role": message["role"], "content": content, **({"meta": meta} if meta else {})})
    return kept


def turn_of(kept: object, source: str, plain: str, place: Place) -> tuple[str, CellTurn]:
    """Return what `record` kept as the name of a thread and a turn.

    Raises
    ------
    StateError
        It is damaged.

    Examples
    --------
    >>> kept = {"thread": "notebook", "messages": [{"role": "user", "content": None},
    ...                                            {"role": "assistant", "content": [{"at": [0, 6]}]}]}
    >>> thread, turn = turn_of(kept, "Hi", "Hello. And more.", Place("a"))
    >>> thread, [message.text for message in turn.messages]
    ('notebook', ['Hi', 'Hello.'])
    """
    if not isinstance(kept, Mapping) or not isinstance(kept.get("messages"), list):
        raise StateError("The output keeps no turn.")
    messages = [_filled(message, source, plain) for message in kept["messages"]]
    saved = state.from_dict({"format": state.FORMAT, "version": state.VERSION, "messages": messages})
    roles = [message.role for message in saved.messages]
    if len(roles) < 2 or roles[0] != ChatRole.USER or not {ChatRole.USER, ChatRole.SYSTEM}.isdisjoint(roles[1:]):
        raise StateError("The output keeps something else than one turn.")
    thread, system = kept.get("thread"), kept.get("system")
    turn = CellTurn(
        place, saved.messages, system if isinstance(system, str) else None, begins=kept.get("begins") is True
    )
    return thread if isinstance(thread, str) and 0 < len(thread) <= 60 else "notebook", turn


def turns_in(cells: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, CellTurn] | StateError]:
    """Give the turns that a notebook's cells keep, in the order of the cells.

    Parameters
    ----------
    cells
        As in a notebook file: ``id``, ``source`` and ``outputs``.

    Yields
    ------
    tuple or StateError
        A thread's name and a turn; or why a turn could not be read.
    """
    for cell in cells:
        source = _text(cell.get("source"))
        prompt = found[1].strip() if (found := _MAGIC.fullmatch(source)) else ""
        name = cell.get("id") if isinstance(cell.get("id"), str) else None
        outputs = cell.get("outputs")
        for output in outputs if isinstance(outputs, list) else ():
            data = output.get("data") if isinstance(output, Mapping) else None
            extras = data.get(MIME_TYPE) if isinstance(data, Mapping) else None
            if not isinstance(data, Mapping) or not isinstance(extras, Mapping) or "turn" not in extras:
                continue
            try:
                yield turn_of(extras["turn"], prompt, _text(data.get("text/plain")), Place(name))
            except StateError as error:
                yield error


def _filled(message: Any, source: str, plain: str) -> Any:
    """Put the texts back to which a record points."""
    if not isinstance(message, Mapping):
        return message
    content = message.get("content")
    if content is None:
        content = [{"text": source}]
    elif isinstance(content, list):
        content = [_pointed(part, plain) for part in content]
    return {"role": message.get("role"), "meta": message.get("meta") or {}, "name": None, "content": content}


def _pointed(part: Any, plain: str) -> Any:
    at = part.get("at") if isinstance(part, Mapping) else None
    if not isinstance(at, list) or len(at) != 2 or not all(isinstance(each, int) for each in at):
        return part
    return {"text": plain[at[0] : at[1]]}


def _text(value: Any) -> str:
    """Return a text of a notebook file, which may be a list of lines."""
    if isinstance(value, list):
        return "".join(line for line in value if isinstance(line, str))
    return value if isinstance(value, str) else ""


def cells_of(path: str) -> list[Mapping[str, Any]]:
    """Return the cells of a saved notebook.

    Raises
    ------
    StateError
        There is no such file, or it is no notebook.
    """
    try:
        with open(path, encoding="utf-8") as file:
            cells = json.load(file)["cells"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise StateError(f"{path} cannot be read as a notebook ({type(error).__name__}).") from None
    return [cell for cell in cells if isinstance(cell, Mapping)] if isinstance(cells, list) else []
