"""Persist one turn in cell metadata, its output, a sidecar file, or not at all.

The output always holds the answer. The turn's record (`orchat.jupyter.kernel.conversations.turn_serialization`) goes
where the setting ``state`` says. For ``cell`` that is the metadata, once a page has confirmed that it can write there;
else the output itself: where there is no page, or no extension, or where the cell blocks its thread, as loops do, so
that no page can answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from orchat.errors import OrchatError
from orchat.jupyter.kernel.cell_storage.checkpoint_timer import CheckpointTimer
from orchat.jupyter.kernel.cell_storage.storage_target import MEMORY_ONLY, StorageTarget
from orchat.private_event_loop import runs_on_private_loop

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from orchat.jupyter.kernel.cell_storage.metadata_entry import MetadataEntry

# a cell's id in a notebook file; ids of another form may contain paths
_SAVED_CELL_ID = re.compile(r"[\w-]{1,64}", re.ASCII)
_MEMORY_ONLY = f"This turn is {MEMORY_ONLY}"
_turns_of_run: WeakKeyDictionary[MetadataEntry, dict[str, list[Any]]] = WeakKeyDictionary()


class TurnStorage:
    """Persist one turn of the running cell.

    Parameters
    ----------
    shell
        The running IPython.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> storage = TurnStorage(SimpleNamespace())
    >>> storage.store(lambda: {"thread": "notebook", "messages": []})
    {'thread': 'notebook', 'messages': []}
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self._target = StorageTarget(shell)
        self._page_can_write = False
        self._has_checkpoint = False
        self._checkpoints = CheckpointTimer(self._write_checkpoint)
        self._encode_arrived: Callable[[], Mapping[str, Any]] | None = None
        self.note = ""
        self.warning = ""

    @property
    def saved_cell_id(self) -> str | None:
        """The running cell's id in the notebook file; None where that is not known."""
        return (
            self._target.cell.id
            if self._target.cell.id is not None and _SAVED_CELL_ID.fullmatch(self._target.cell.id)
            else None
        )

    async def check_page(self) -> None:
        """Check whether a page can write into the cell's metadata."""
        if self._target.cell.id is not None:
            page_has_cell = await self._target.bridge.holds(self._target.cell.id)
            self._page_can_write = page_has_cell and not runs_on_private_loop()
            if self._encode_arrived is not None:  # what came before the page's answer
                self._checkpoints.request()

    def store(self, encode: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any] | None:
        """Persist a turn, and return the part of its record for the output; None for none.

        The note names omissions, once in a session; the warning, each time, what Jupyter saves although it is a secret.

        Parameters
        ----------
        encode
            Return the turn's record (`orchat.jupyter.kernel.conversations.turn_serialization.encode_turn`).
        """
        if self._target.state == "none":
            self.discard()
            return None
        from orchat.jupyter.kernel.conversations.turn_serialization import SecretInAnswerError

        try:
            record = encode()
        except SecretInAnswerError as error:
            self.discard()
            self.warning = f"{_MEMORY_ONLY}: {error}"
            return None
        except OrchatError as error:  # what cannot be kept is still shown
            self.discard()
            self.note = f"{_MEMORY_ONLY}: {error.message}"
            return None
        if media := record.get("left_out", {}).get("media", 0):
            what = "a picture or file" if media == 1 else f"{media} pictures and files"
            self.note = f"There was no room for {what} in what is kept of this turn (state_limit)."
        if self._target.state == "cell" and self._page_can_write and not self._target.entry.is_newer:
            return self._store_in_metadata(record)
        self.discard()
        return record if self._target.state == "cell" else self._store_in_file(record)

    def checkpoint(self, encode: Callable[[], Mapping[str, Any]]) -> None:
        """Persist a running turn in the cell's metadata at most once a second, until `end_checkpoints` is called.

        Parameters
        ----------
        encode
            Return the record of the turn so far, with all its text, since there is no output yet.
        """
        self._encode_arrived = encode
        if self._page_can_write:
            self._checkpoints.request()

    def end_checkpoints(self) -> None:
        """Persist no running turn any more: it has ended."""
        self._encode_arrived = None
        self._checkpoints.cancel()

    def _write_checkpoint(self) -> None:
        encode = self._encode_arrived
        if encode is None or self._target.state != "cell" or not self._page_can_write or self._target.entry.is_newer:
            return
        self._has_checkpoint = True
        self._target.entry.put("turns", lambda: self._with_checkpoint(encode))
        self._target.write_metadata(self._target.entry)

    def _with_checkpoint(self, encode: Callable[[], Mapping[str, Any]]) -> dict[str, list[Any]]:
        from orchat.jupyter.kernel.conversations.turn_serialization import split_record

        turns = _turns_of_run.get(self._target.entry, {})
        try:
            record = encode()
        except OrchatError:  # at the end it is told what cannot be kept
            return turns
        saved_turn, _ = split_record(record, 0)
        return {**turns, record["thread"]: [*turns.get(record["thread"], []), {**saved_turn, "live": True}]}

    def discard(self) -> None:
        """Delete the turns of an earlier run, or of a checkpoint, from the cell's metadata."""
        has_turns = "turns" in self._target.cell.metadata or self._has_checkpoint
        if self._target.cell.id is not None and has_turns and not self._target.entry.is_newer:
            self._target.entry.put("turns", dict)
            self._write()

    def note_missing_extension(self) -> None:
        """Set the note, once, where the page's extension is missing and cannot write into cells."""
        if self._target.state == "cell" and not self.note:
            self.note = self._target.bridge.hint() or ""

    def _store_in_metadata(self, record: Mapping[str, Any]) -> Mapping[str, Any]:
        from orchat.jupyter.kernel.conversations.turn_serialization import split_record

        turns, index = self._next_index(record["thread"])
        saved_turn, pointer = split_record(record, index)
        turns[record["thread"]].append(saved_turn)
        self._target.entry.put("turns", lambda: turns)
        self._write()
        return pointer

    def _write(self) -> None:
        self._target.write_metadata(self._target.entry)
        self._target.bridge.flush()

    def _store_in_file(self, record: Mapping[str, Any]) -> Mapping[str, Any] | None:
        from orchat.jupyter.kernel.conversations.turn_serialization import split_record

        sidecar = self._target.sidecar()
        if self.saved_cell_id is None or sidecar.path is None:
            self.note = f"{_MEMORY_ONLY}: no notebook is known."
            return None
        turns, index = self._next_index(record["thread"])
        entry, pointer = split_record(record, index, sidecar=True)
        kept = turns[record["thread"]]
        addition = {record["thread"]: [entry]} if any(turns.values()) else None
        kept.append(entry)
        if failure := sidecar.try_put("turns", self.saved_cell_id, turns, addition=addition):
            kept.pop()
            self.note = f"{_MEMORY_ONLY}: {failure}"
            return None
        return pointer

    def _next_index(self, conversation: str) -> tuple[dict[str, list[Any]], int]:
        """Return the turns of this run of the cell, and the next index in a conversation."""
        turns = _turns_of_run.setdefault(self._target.entry, {})
        return turns, len(turns.setdefault(conversation, []))
