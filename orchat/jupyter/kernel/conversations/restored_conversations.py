"""Read turn records from a notebook's cells, and restore conversations from them. Pure."""

from __future__ import annotations

import gc
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from orchat.chat import state
from orchat.chat.message_selection import pending_calls
from orchat.errors import StateError
from orchat.jupyter.kernel.cell_storage.executing_cell import METADATA_KEY
from orchat.jupyter.kernel.conversations.message_codec import join_lines
from orchat.jupyter.kernel.conversations.notebook_conversations import (
    CellTurn,
    NotebookConversation,
    NotebookConversations,
    TurnLocation,
    calls_of,
)
from orchat.jupyter.kernel.conversations.turn_serialization import (
    RUN_AGAIN,
    TurnRecord,
    decode_turn,
    join_record,
)
from orchat.jupyter.kernel.output.image_bundle import PICTURE_TYPES
from orchat.jupyter.kernel.output.mime_types import read_extras

# Other magics may stand before it, such as %%time.
_MAGIC = re.compile(r"\s*(?:%%\w[^\n]*\n\s*)*?%%openrouter\b[^\n]*\n(.*)", re.DOTALL)


class LostPictureError(StateError):
    """A turn was restored without a picture of its answer."""


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
        The restored conversations; the errors of turns that could not be read, and of those that lost a picture.
    """
    restored: dict[str, _RestoredTurns] = {}
    damaged: list[StateError] = []
    with _no_garbage_collection():
        for found in read_turns(cells, sidecar):
            if isinstance(found, StateError):
                damaged.append(found)
                continue
            restored.setdefault(found.conversation, _RestoredTurns()).add(found)
            if found.lost_pictures:
                damaged.append(
                    LostPictureError("A picture of an answer is not in its output any more.", hint=RUN_AGAIN)
                )
    for name, turns in restored.items():
        conversations[name].turns = turns.in_order
    return [conversations[name] for name in restored], damaged


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Put collection off while much is made that stays: looking at it again and again takes a fifth of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class _RestoredTurns:
    """The turns of a conversation, in the order of their cells. Adding one takes a time that does not grow with them.

    That is `NotebookConversation.add_turn` for turns whose cells do not run again.
    """

    def __init__(self) -> None:
        self._by_cell: dict[object, list[CellTurn]] = {}
        self._questions: set[str | None] = set()
        self._parked: dict[tuple[str | None, str], list[CellTurn]] = {}

    @property
    def in_order(self) -> list[CellTurn]:
        """The turns; those of one cell, which asked in a loop, stand together."""
        return [turn for turns in self._by_cell.values() for turn in turns]

    def add(self, record: TurnRecord) -> None:
        """Add the turn of a record, or the rest of a turn that began in another output."""
        turn = record.turn
        question = turn.messages[0].text
        if record.continued:
            if (parked := self._take_parked(turn)) is not None:
                parked.messages = turn.messages
                self._add_parked(parked)
                return
            if question in self._questions:  # the cell with its beginning is gone, or has been asked again since
                return
        if not calls_of(turn):
            return
        cell = turn.location.cell
        self._by_cell.setdefault(turn if cell is None else cell, []).append(turn)
        self._questions.add(question)
        self._add_parked(turn)

    def _add_parked(self, turn: CellTurn) -> None:
        if pending_calls(turn.messages):
            self._parked.setdefault(_beginning(turn), []).append(turn)

    def _take_parked(self, turn: CellTurn) -> CellTurn | None:
        """Remove and return the parked turn that another continues: the same question and the same first calls."""
        calls, parked = calls_of(turn), self._parked.get(_beginning(turn), [])
        for at in reversed(range(len(parked))):
            first_calls = calls_of(parked[at])
            if first_calls == calls[: len(first_calls)]:
                return parked.pop(at)
        return None


def _beginning(turn: CellTurn) -> tuple[str | None, str]:
    """Return what a turn and its continuation have in common: the question and the calls of the first response."""
    first_calls = [call.to_dict() for calls in calls_of(turn)[:1] for call in calls]
    return turn.messages[0].text, json.dumps(first_calls, sort_keys=True)


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
        source = join_lines(cell.get("source"))
        prompt = found[1].strip() if (found := _MAGIC.fullmatch(source)) else ""
        name = cell.get("id") if isinstance(cell.get("id"), str) else None
        outputs = [each for each in _list(cell.get("outputs")) if isinstance(each, Mapping)]
        for output in outputs:
            data = output.get("data")
            extras = read_extras(data) if isinstance(data, Mapping) else None
            if not isinstance(data, Mapping) or extras is None or "turn" not in extras:
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
                plain = join_lines(data.get("text/plain"))
                yield decode_turn(record, prompt, plain, TurnLocation(name), _pictures(outputs))
            except StateError as error:
                yield error
        if any(map(_is_live, outputs)):
            yield from _interrupted_turns(cell, prompt, TurnLocation(name))


def _pictures(outputs: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the pictures among a cell's outputs that are orchat's, in base64."""
    found: list[str] = []
    for output in outputs:
        data, metadata = output.get("data"), output.get("metadata")
        if isinstance(data, Mapping) and isinstance(metadata, Mapping) and METADATA_KEY in metadata:
            found += ["".join(join_lines(data[kind]).split()) for kind in PICTURE_TYPES if kind in data]
    return found


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
