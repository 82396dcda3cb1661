"""Where a turn of a cell is kept: in the cell, in a file beside the notebook, or nowhere.

The output always says what was answered. What a turn needs besides to be rebuilt is a record
(`orchat.jupyter.kernel.conversations.turn_serialization`), and where that goes is for people to say. In the
cell it goes into the metadata, once a page has said that it can write there; else into the output itself:
where there is no page, or no extension, or where the cell blocks its thread, as loops do, so that no page can answer.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from orchat.configuration import setting
from orchat.errors import OrchatError, StateError
from orchat.jupyter.kernel.cell_storage.executing_cell import current_cell, notebook_path
from orchat.jupyter.kernel.coroutine_runner import runs_on_private_loop

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from orchat.jupyter.kernel.cell_storage.metadata_bridge import MetadataBridge
    from orchat.jupyter.kernel.cell_storage.metadata_entry import MetadataEntry

_IN_FILES = re.compile(r"[\w-]{1,64}", re.ASCII)  # what a notebook's file calls a cell; other names may tell of paths
_CHECKPOINT = 1.0  # seconds of streaming between two thoughts of keeping
_MEMORY = "This turn is kept in the memory of this kernel only"
_turns: WeakKeyDictionary[MetadataEntry, dict[str, list[Any]]] = WeakKeyDictionary()


class TurnStorage:
    """Keeps one turn of the running cell.

    Parameters
    ----------
    shell
        The running IPython.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> keeping = TurnStorage(SimpleNamespace())
    >>> keeping.put(lambda: {"thread": "notebook", "messages": []})
    {'thread': 'notebook', 'messages': []}
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self._state = str(setting("state"))
        setting("state_limit")  # nonsense is told before anything is asked
        self._shell = shell
        self._cell = current_cell(shell)
        self._is_held = False
        self._is_live = False
        self._thought = 0.0
        self.note = ""

    @property
    def cell(self) -> str | None:
        """What the notebook's file calls the running cell; None where that is not known."""
        return self._cell.id if self._cell.id is not None and _IN_FILES.fullmatch(self._cell.id) else None

    async def ask_page(self) -> None:
        """Ask whether a page can write into the cell."""
        if self._cell.id is not None:
            held = await self._bridge.holds(self._cell.id)
            self._is_held = held and not runs_on_private_loop()

    def put(self, make: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any] | None:
        """Keep a turn, and return what its output is to keep of it; None for nothing. What it lacks is in the note.

        Parameters
        ----------
        make
            Makes the turn's record (`orchat.jupyter.kernel.conversations.turn_serialization.encode_turn`).
        """
        if self._state == "none":
            self.forget()
            return None
        try:
            record = make()
        except OrchatError as error:  # what cannot be kept is still shown
            self.forget()
            self.note = f"{_MEMORY}: {error.message}"
            return None
        if media := record.get("left_out", {}).get("media", 0):
            what = "a picture or file" if media == 1 else f"{media} pictures and files"
            self.note = f"There was no room for {what} in what is kept of this turn (state_limit)."
        if self._state == "cell" and self._is_held and not self._entry.is_newer:
            return self._in_metadata(record)
        self.forget()
        return record if self._state == "cell" else self._in_file(record)

    def checkpoint(self, make: Callable[[], Mapping[str, Any]]) -> None:
        """Keep a turn that goes on in the cell, not too often, until it is `put`.

        Parameters
        ----------
        make
            Makes the record of the turn as it is then, with all its words: its output is not there yet.
        """
        now = time.monotonic()
        if self._state != "cell" or not self._is_held or now - self._thought < _CHECKPOINT or self._entry.is_newer:
            return
        assert self._cell.id is not None
        self._is_live, self._thought = True, now
        self._entry.put("turns", lambda: self._with_live(make))
        self._bridge.write(self._cell.id, self._entry.value)

    def _with_live(self, make: Callable[[], Mapping[str, Any]]) -> dict[str, list[Any]]:
        from orchat.jupyter.kernel.conversations.turn_serialization import split_record

        turns = _turns.get(self._entry, {})
        try:
            record = make()
        except OrchatError:  # at the end it is told what cannot be kept
            return turns
        kept, _ = split_record(record, 0)
        return {**turns, record["thread"]: [*turns.get(record["thread"], []), {**kept, "live": True}]}

    def forget(self) -> None:
        """Take out of the cell's metadata what an earlier run or a checkpoint kept there."""
        is_there = "turns" in self._cell.metadata or self._is_live
        if self._cell.id is not None and is_there and not self._entry.is_newer:
            self._entry.put("turns", dict)
            self._write()

    def hint(self) -> None:
        """Note once what a person should know of a page that cannot write into cells."""
        if self._state == "cell" and not self.note:
            self.note = self._bridge.hint() or ""

    def _in_metadata(self, record: Mapping[str, Any]) -> Mapping[str, Any]:
        from orchat.jupyter.kernel.conversations.turn_serialization import split_record

        turns, number = self._number(record["thread"])
        kept, pointer = split_record(record, number)
        turns[record["thread"]].append(kept)
        self._entry.put("turns", lambda: turns)
        self._write()
        return pointer

    def _write(self) -> None:
        assert self._cell.id is not None
        self._bridge.write(self._cell.id, self._entry.value)
        self._bridge.flush()

    def _in_file(self, record: Mapping[str, Any]) -> Mapping[str, Any] | None:
        from orchat.jupyter.kernel.cell_storage.sidecar_file import SidecarFile
        from orchat.jupyter.kernel.conversations.turn_serialization import split_record

        beside = SidecarFile(notebook_path(self._shell))
        if self.cell is None or beside.path is None:
            self.note = f"{_MEMORY}: no notebook is known."
            return None
        turns, number = self._number(record["thread"])
        entry, pointer = split_record(record, number, sidecar=True)
        turns[record["thread"]].append(entry)
        try:
            kept = beside.put("turns", self.cell, turns)
        except StateError as error:
            self.note = f"{_MEMORY}: {error.message}"
            return None
        if not kept:
            self.note = f"{_MEMORY}: {beside.path.name} cannot be written."
        return pointer if kept else None

    def _number(self, thread: str) -> tuple[dict[str, list[Any]], int]:
        """Return the turns of this run of the cell, and which one of its thread is the next."""
        turns = _turns.setdefault(self._entry, {})
        return turns, len(turns.setdefault(thread, []))

    @property
    def _entry(self) -> MetadataEntry:
        from orchat.jupyter.kernel.cell_storage.metadata_entry import get_entry

        return get_entry(self._cell)

    @property
    def _bridge(self) -> MetadataBridge:
        from orchat.jupyter.kernel.cell_storage.metadata_bridge import get_bridge

        return get_bridge(self._shell)
