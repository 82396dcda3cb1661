"""Persist a panel's conversations in its cell's metadata, a sidecar file, or not at all.

A cell's metadata comes with the request that runs it. When a cell is run again in the same kernel, its previous panel
knows more than the page has saved, so that its data is used first. Where a person has cleared the cell's outputs, it is
gone. A newer version's data, and data that cannot be read, stay untouched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from orchat.errors import StateError
from orchat.jupyter.kernel.cell_storage.executing_cell import CONFLICTS_KEY
from orchat.jupyter.kernel.cell_storage.metadata_entry import MetadataEntry
from orchat.jupyter.kernel.cell_storage.storage_target import MEMORY_ONLY, StorageState, StorageTarget

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_PAUSE = 0.7  # seconds
_SETTLED = "merge"  # in a panel's data: the conflict of a merge that it is newer than


Encode: TypeAlias = Callable[[], dict[str, Any] | None]
"""Makes the data of a panel as it was at one time, in any thread; None where it is empty."""


@dataclass
class _StoredPanel:
    snapshot: Callable[[], Encode]
    detach: Callable[[], None]
    is_protected: Callable[[], bool]
    encode: Encode  # of the last snapshot


@dataclass
class _CellPanels:
    """The panels of one run of a cell."""

    entry: MetadataEntry
    panels: dict[str, _StoredPanel] = field(default_factory=dict)
    previous: dict[str, _StoredPanel] = field(default_factory=dict)
    previous_entry: MetadataEntry | None = None

    def previous_panel(self, key: str) -> _StoredPanel | None:
        """Return the panel of the run before, unless a person has cleared it, or it has restored nothing."""
        is_cleared = self.previous_entry is not None and self.previous_entry.is_cleared
        panel = self.previous.get(key)
        return None if panel is None or is_cleared or panel.is_protected() else panel

    def to_metadata(self) -> dict[str, Any]:
        """Return the data of the cell's panels."""
        saved = self.entry.cell.metadata.get("panels")
        panels = dict(saved) if isinstance(saved, Mapping) else {}
        conflict = self.entry.cell.conflict
        for key, panel in list(self.panels.items()):
            if panel.is_protected():
                continue
            entry = panel.encode()
            if entry is None:
                panels.pop(key, None)
            else:
                panels[key] = entry if conflict is None else {**entry, _SETTLED: conflict}
        return panels


_panels_by_cell: dict[str, _CellPanels] = {}


def _settles(saved: object, conflict: str | None) -> bool:
    """Whether a panel's data is newer than the merge that left a conflict."""
    return isinstance(saved, Mapping) and saved.get(_SETTLED) == conflict


def _panels_of_cell(target: StorageTarget) -> _CellPanels:
    cell = target.cell
    previous_panels = _panels_by_cell.get(cell.id) if cell.id is not None else None
    if previous_panels is not None and previous_panels.entry.cell.run == cell.run:
        return previous_panels
    cell_panels = _CellPanels(target.entry)
    if previous_panels is not None:
        cell_panels.previous, cell_panels.previous_entry = dict(previous_panels.panels), previous_panels.entry
    if cell.id is not None:
        _panels_by_cell[cell.id] = cell_panels
    return cell_panels


class PanelStorage:
    """Load and store one panel's conversations.

    Parameters
    ----------
    shell
        The running IPython; None where there is none.
    state
        ``cell``, ``file`` or ``none``; None for the setting.
    name
        The panel's key; default: its position among the panels of the cell.

    Raises
    ------
    ConfigurationError
        The state is none of these (a ValueError).

    Examples
    --------
    >>> storage = PanelStorage(None, "cell", None)
    >>> storage.load(), storage.status_text
    (None, 'Kept in the memory of this kernel only.')
    """

    def __init__(self, shell: InteractiveShell | None, state: StorageState | None, name: str | None) -> None:
        self._target = StorageTarget(shell, state)
        self._cell_panels = _panels_of_cell(self._target)
        self._file = self._target.sidecar()
        self.key = name or str(len(self._cell_panels.panels) + 1)
        self._is_protected = False
        self._failure = ""
        self._panel: _StoredPanel | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._checkpoint: asyncio.Handle | None = None

    @property
    def cell_id(self) -> str | None:
        """The front end's id of the cell."""
        return self._target.cell.id

    @property
    def status_text(self) -> str:
        """A sentence about where the conversation is saved."""
        memory_only = MEMORY_ONLY.capitalize()
        if self._target.state == "none":
            return f"{memory_only}, as you wished."
        if self._target.state == "file":
            path = self._file.path
            if path is None or self._failure:
                return f"{memory_only}: {self._failure or 'no notebook is known.'}"
            return f"Kept in {path.name}, beside the notebook."
        if not self._target.has_page_cell:
            return f"{memory_only}."
        match self._target.bridge.status:
            case "open":
                return "Kept in the metadata of this cell, and so in the notebook when you save it."
            case "absent":
                return f"{memory_only}: this page has no orchat extension (install orchat-jupyter beside its server)."
            case "mismatch":
                return (
                    f"{memory_only}: the page's orchat extension and this kernel's orchat do not understand each other."
                )
        return "Kept in the metadata of this cell, as soon as the page answers."

    def load(self) -> Any:
        """Return the panel's saved data; None where there is none.

        Raises
        ------
        StateError
            A newer orchat has written it, or it cannot be read; it is protected until `allow_overwrite` is called.
        """
        if self._target.state == "none":
            return None
        if (previous_panel := self._cell_panels.previous_panel(self.key)) is not None:
            return previous_panel.snapshot()()
        if self._target.state == "file":
            try:
                return self._file.part("panels").get(self._file_key)
            except StateError:
                self.protect()
                raise
        if self._cell_panels.entry.is_newer:
            self._is_protected = True
            raise StateError(
                "A newer orchat has written what this cell keeps: it stays untouched, and this panel is not kept.",
                hint="Update orchat to go on with it.",
            )
        panels = self._target.cell.metadata.get("panels", {})
        if not isinstance(panels, Mapping):
            self.protect()
            raise StateError("What this cell keeps cannot be read.")
        saved = None if self._target.was_cleared() else panels.get(self.key)
        conflict = self._target.cell.conflict
        # Where both sides have begun chats, the base's cell keeps none: all that it holds is newer than the merge.
        is_of_merge = isinstance(saved, Mapping) or all(_settles(each, conflict) for each in panels.values())
        if conflict is not None and is_of_merge and not _settles(saved, conflict):
            self.protect()
            raise StateError(
                f"A merge left undecided how both sides changed this chat ({CONFLICTS_KEY} in its cell's metadata): it"
                " is not restored, and stays untouched.",
                hint="Decide there, or begin anew.",
            )
        return saved

    @property
    def can_overwrite(self) -> bool:
        """Whether a person may allow writing over protected data."""
        return not self._cell_panels.entry.is_newer or self._target.state == "file"

    def protect(self) -> None:
        """Protect the saved data from being written over."""
        self._is_protected = True

    def allow_overwrite(self) -> None:
        """Allow writing over protected data."""
        if self.can_overwrite:
            self._is_protected = False

    def attach(self, snapshot: Callable[[], Encode], detach: Callable[[], None]) -> None:
        """Register the panel under its key in the cell; the previous panel there is detached.

        What it is continued with is saved again soon: the page may have lost it, as when the cell was made Markdown and
        code again, or the notebook was loaded again as it was saved before.

        Parameters
        ----------
        snapshot
            Takes a snapshot of the panel, and returns what encodes it.
        detach
            Called when the cell is run again.
        """
        if (previous_panel := self._cell_panels.previous.pop(self.key, None)) is not None:
            previous_panel.detach()
        self._panel = _StoredPanel(snapshot, detach, lambda: self._is_protected, snapshot())
        self._cell_panels.panels[self.key] = self._panel
        if previous_panel is not None:
            self.store_soon()
        if self._target.state == "file":
            self._cell_panels.entry.on_cleared.append(self._forget_in_file)

    def store(self) -> None:
        """Save the panel's data; writes to a cell are throttled."""
        if self._is_protected or self._target.state == "none" or self._target.shell is None or self._panel is None:
            return
        if self._target.state == "file":
            if self._file.path is not None and not self._cell_panels.entry.is_cleared:
                self._failure = self._file.try_put("panels", self._file_key, self._panel.snapshot()())
        elif (
            self._target.cell.id is not None
            and not self._cell_panels.entry.is_newer
            and _panels_by_cell.get(self._target.cell.id) is self._cell_panels
        ):
            self._panel.encode = self._panel.snapshot()
            self._cell_panels.entry.put("panels", self._cell_panels.to_metadata)
            self._target.write_metadata(self._cell_panels.entry)

    def _forget_in_file(self) -> None:
        if self._file.path is not None and not self._is_protected:
            self._failure = self._file.try_put("panels", self._file_key, None)

    def store_soon(self) -> None:
        """Save the panel's data after a pause without another call, as while somebody types."""
        if self._timer is not None:
            self._timer.cancel()
        with suppress(RuntimeError):  # no loop runs: there is no page that types
            self._timer = asyncio.get_running_loop().call_later(_PAUSE, self.store)

    def save(self) -> None:
        """Save the panel's data now: writes to a cell are not throttled."""
        if self._checkpoint is not None:
            self._checkpoint.cancel()
            self._checkpoint = None
        self.store()
        if self._target.shell is not None and self._target.state == "cell" and not self._is_protected:
            self._target.bridge.flush()

    def save_in_this_step(self) -> None:
        """Save the panel's data before the loop waits again: all changes of one step, such as several forms, as one."""
        if self._checkpoint is None:
            self._checkpoint = asyncio.get_running_loop().call_soon(self.save)

    def freeze(self) -> None:
        """Save the panel's data now, and nothing after that."""
        self.save()
        self._panel = None

    @property
    def _file_key(self) -> str:
        return self.key if not self.key.isdigit() else f"{self._target.cell.id}/{self.key}"
