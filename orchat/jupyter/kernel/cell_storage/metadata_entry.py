"""Join the parts of one cell's metadata entry: the turns of the magic and the panels.

A cell's metadata comes with its execute request and is written as a whole, so all writers of one cell share an entry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from orchat.chat.state import FORMAT, VERSION
from orchat.jupyter.kernel.cell_storage.executing_cell import SHOWN_MARK, ExecutingCell


class MetadataEntry:
    """Orchat's entry in the metadata of one cell, made of named parts.

    Parameters
    ----------
    cell
        The execution; other parts of its metadata stay as they are.

    Attributes
    ----------
    is_cleared
        Whether a person has cleared the outputs of this run: what it kept is gone, and nothing is written any more,
        unless an output is shown again, which sets it back.
    on_cleared
        Called when that happens, perhaps in another thread.

    Examples
    --------
    >>> entry = MetadataEntry(ExecutingCell("a1", {"version": 1, "panels": {"1": {}}, "turns": {"old": [{}]}}))
    >>> entry.put("turns", lambda: {"new": [{}]})
    >>> entry.value()
    {'version': 1, 'panels': {'1': {}}, 'turns': {'new': [{}]}, 'format': 'orchat'}
    >>> entry.put("turns", dict)
    >>> entry.value()
    {'version': 1, 'panels': {'1': {}}, 'format': 'orchat'}
    """

    def __init__(self, cell: ExecutingCell) -> None:
        self.cell = cell
        self.is_cleared = False
        self.on_cleared: list[Callable[[], object]] = []
        self._parts: dict[str, Callable[[], Mapping[str, Any]]] = {}

    @property
    def is_newer(self) -> bool:
        """Whether a newer orchat has written the entry: then it stays untouched."""
        version = self.cell.metadata.get("version", VERSION)
        return not isinstance(version, int) or isinstance(version, bool) or version > VERSION

    def put(self, part: str, make: Callable[[], Mapping[str, Any]]) -> None:
        """Set the function that makes a part when it is written; an empty part is left out."""
        self._parts[part] = make

    def value(self) -> dict[str, Any] | None:
        """Return the whole entry as plain JSON; None where it is empty."""
        parts = {part: make() for part, make in list(self._parts.items())}
        known = {name: each for name, each in self.cell.metadata.items() if name != SHOWN_MARK}
        value = {**known, "format": FORMAT, "version": VERSION, **parts}
        value = {name: each for name, each in value.items() if each or name not in parts}
        return value if set(value) - {"format", "version"} else None


_entries: dict[str, MetadataEntry] = {}


def get_entry(cell: ExecutingCell) -> MetadataEntry:
    """Return the entry of an execution of a cell, one for all its writers."""
    known = _entries.get(cell.id) if cell.id is not None else None
    if known is not None and known.cell.run == cell.run:
        return known
    entry = MetadataEntry(cell)
    if cell.id is not None:
        _entries[cell.id] = entry
    return entry


def mark_cleared(cell_id: str, run: object) -> None:
    """Mark the entry of a cell whose outputs a person has cleared.

    Parameters
    ----------
    cell_id
        The front end's identifier of the cell.
    run
        The identifier of the run whose outputs they were; None for the latest.
    """
    entry = _entries.get(cell_id)
    if entry is not None and run in (None, entry.cell.run):
        entry.is_cleared = True
        for forget in entry.on_cleared:
            forget()
