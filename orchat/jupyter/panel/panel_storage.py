"""Where a panel's conversations are kept: in its cell's metadata, in a file beside the notebook, or nowhere.

A cell's metadata comes with the request that runs it. Of one cell that is run again in the same kernel the earlier
panel knows more than the page has saved, so that it is asked first. A newer version's data, and data that cannot be
read, stay untouched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from orchat.configuration import setting
from orchat.errors import ConfigurationError, StateError
from orchat.jupyter.kernel.cell_storage.executing_cell import ExecutingCell, current_cell, notebook_path
from orchat.jupyter.kernel.cell_storage.metadata_bridge import get_bridge
from orchat.jupyter.kernel.cell_storage.metadata_entry import MetadataEntry, get_entry
from orchat.jupyter.kernel.cell_storage.sidecar_file import SidecarFile

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

State = Literal["cell", "file", "none"]


@dataclass
class _StoredPanel:
    make: Callable[[], dict[str, Any] | None]
    leave: Callable[[], None]


@dataclass
class _CellPanels:
    """The panels of one run of a cell."""

    entry: MetadataEntry
    panels: dict[str, _StoredPanel] = field(default_factory=dict)
    before: dict[str, _StoredPanel] = field(default_factory=dict)

    def value(self) -> dict[str, Any]:
        """Return the cell's panels."""
        kept = self.entry.cell.metadata.get("panels")
        panels = dict(kept) if isinstance(kept, Mapping) else {}
        for key, panel in self.panels.items():
            entry = panel.make()
            if entry is None:
                panels.pop(key, None)
            else:
                panels[key] = entry
        return panels


_panels_by_cell: dict[str, _CellPanels] = {}


def _panels_of_cell(cell: ExecutingCell) -> _CellPanels:
    known = _panels_by_cell.get(cell.id) if cell.id is not None else None
    if known is not None and known.entry.cell.run == cell.run:
        return known
    place = _CellPanels(get_entry(cell), before=dict(known.panels) if known is not None else {})
    if cell.id is not None:
        _panels_by_cell[cell.id] = place
    return place


class PanelStorage:
    """Where one panel is kept.

    Parameters
    ----------
    shell
        The running IPython; None where there is none.
    state
        ``cell``, ``file`` or ``none``; None for what is set.
    name
        The panel's name, by which it is found again; otherwise its place among the panels of the cell.

    Raises
    ------
    ConfigurationError
        There is no such place (a ValueError).

    Examples
    --------
    >>> keeping = PanelStorage(None, "cell", None)
    >>> keeping.found(), keeping.where
    (None, 'Kept in the memory of this kernel only.')
    """

    def __init__(self, shell: InteractiveShell | None, state: State | None, name: str | None) -> None:
        state = state if state is not None else setting("state")
        if state not in ("cell", "file", "none"):
            raise ConfigurationError(f"state={state!r} makes no sense.", hint='It is "cell", "file" or "none".')
        setting("state_limit")  # nonsense is told now, and not when something is to be kept
        self._shell = shell
        self._state = state
        self._cell = ExecutingCell() if shell is None else current_cell(shell)
        self._place = _panels_of_cell(self._cell)
        self._file = SidecarFile(None if shell is None else notebook_path(shell))
        self.key = name or str(len(self._place.panels) + 1)
        self._held = False
        self._mine: _StoredPanel | None = None

    @property
    def cell_id(self) -> str | None:
        """The front end's name of the cell."""
        return self._cell.id

    @property
    def where(self) -> str:
        """Where the conversation is kept, for people."""
        memory = "Kept in the memory of this kernel only"
        if self._state == "none":
            return f"{memory}, as you wished."
        if self._state == "file":
            path = self._file.path
            return f"Kept in {path.name}, beside the notebook." if path else f"{memory}: no notebook is known."
        if self._shell is None or self._cell.id is None:
            return f"{memory}."
        match get_bridge(self._shell).status:
            case "open":
                return "Kept in the metadata of this cell, and so in the notebook when you save it."
            case "absent":
                return f"{memory}: this page has no orchat extension (install orchat-jupyter beside its server)."
            case "mismatch":
                return f"{memory}: the page's orchat extension and this kernel's orchat do not understand each other."
        return "Kept in the metadata of this cell, as soon as the page answers."

    def found(self) -> Any:
        """Return what is kept of the panel; None where there is nothing.

        Raises
        ------
        StateError
            A newer orchat has written it, or it cannot be read; nothing is written over it, until `release`.
        """
        if self._state == "none":
            return None
        if (earlier := self._place.before.get(self.key)) is not None:
            return earlier.make()
        if self._state == "file":
            try:
                return self._file.part("panels").get(self._file_key)
            except StateError:
                self.hold()
                raise
        if self._place.entry.is_newer:
            self._held = True
            raise StateError(
                "A newer orchat has written what this cell keeps: it stays untouched, and this panel is not kept.",
                hint="Update orchat to go on with it.",
            )
        panels = self._cell.metadata.get("panels", {})
        if not isinstance(panels, Mapping):
            self.hold()
            raise StateError("What this cell keeps cannot be read.")
        return panels.get(self.key)

    @property
    def may_be_released(self) -> bool:
        """Whether a person may write over what is there."""
        return not self._place.entry.is_newer or self._state == "file"

    def hold(self) -> None:
        """Leave what is there untouched."""
        self._held = True

    def release(self) -> None:
        """Write over what was left untouched."""
        if self.may_be_released:
            self._held = False

    def begin(self, make: Callable[[], dict[str, Any] | None], leave: Callable[[], None]) -> None:
        """Take the panel's place in the cell; an earlier panel there leaves.

        Parameters
        ----------
        make
            Makes what is kept.
        leave
            Called when the cell is run again.
        """
        if (earlier := self._place.before.pop(self.key, None)) is not None:
            earlier.leave()
        self._mine = _StoredPanel(make, leave)
        self._place.panels[self.key] = self._mine

    def write(self) -> None:
        """Keep what there is now; what is written often is written a little later."""
        if self._held or self._state == "none" or self._shell is None or self._mine is None:
            return
        if self._state == "file":
            try:
                self._file.put("panels", self._file_key, self._mine.make())
            except StateError:
                self.hold()
        elif (
            self._cell.id is not None
            and not self._place.entry.is_newer
            and _panels_by_cell.get(self._cell.id) is self._place
        ):
            self._place.entry.put("panels", self._place.value)
            get_bridge(self._shell).write(self._cell.id, self._place.entry.value)

    def flush(self) -> None:
        """Keep it at once."""
        if self._shell is not None and self._state == "cell" and not self._held:
            get_bridge(self._shell).flush()

    @property
    def _file_key(self) -> str:
        return self.key if not self.key.isdigit() else f"{self._cell.id}/{self.key}"
