"""What one run of a cell keeps of ours in its metadata: parts of whoever has something to keep there.

A cell's metadata comes with the request that runs it, and is written as a whole: so those who write into one cell, a
panel and the magic, put their parts together here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from orchat.chat.state import FORMAT, VERSION
from orchat.jupyter.kernel.cell_storage.executing_cell import ExecutingCell


class MetadataEntry:
    """What a run of a cell keeps.

    Parameters
    ----------
    cell
        The run; what else its metadata holds is kept.

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
        self._parts: dict[str, Callable[[], Mapping[str, Any]]] = {}

    @property
    def is_newer(self) -> bool:
        """Whether a newer orchat has written what is there: it stays untouched."""
        version = self.cell.metadata.get("version", VERSION)
        return not isinstance(version, int) or isinstance(version, bool) or version > VERSION

    def put(self, part: str, make: Callable[[], Mapping[str, Any]]) -> None:
        """Say what makes a part when it is written; an empty one is left out."""
        self._parts[part] = make

    def value(self) -> dict[str, Any] | None:
        """Return all that the cell keeps of ours; None where it is nothing."""
        parts = {part: make() for part, make in self._parts.items()}
        value = {**self.cell.metadata, "format": FORMAT, "version": VERSION, **parts}
        value = {name: each for name, each in value.items() if each or name not in parts}
        return value if set(value) - {"format", "version"} else None


_entries: dict[str, MetadataEntry] = {}


def get_entry(cell: ExecutingCell) -> MetadataEntry:
    """Return the entry of a run of a cell, which all share who keep something there."""
    known = _entries.get(cell.id) if cell.id is not None else None
    if known is not None and known.cell.run == cell.run:
        return known
    entry = MetadataEntry(cell)
    if cell.id is not None:
        _entries[cell.id] = entry
    return entry
