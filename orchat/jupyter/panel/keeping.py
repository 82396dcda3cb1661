"""Where a panel's conversations are kept: in its cell's metadata, in a file beside the notebook, or nowhere.

A cell's metadata comes with the request that runs it. Of one cell that is run again in the same kernel the earlier
panel knows more than the page has saved, so that it is asked first. A newer version's data, and data that cannot be
read, stay untouched.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from orchat.chat.state import FORMAT, VERSION
from orchat.errors import ConfigurationError, StateError
from orchat.jupyter.cell_metadata.bridge import bridge_of
from orchat.jupyter.cell_metadata.cell import Cell, current_cell

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

State = Literal["cell", "file", "none"]
_MOST_FILE = 50_000_000


@dataclass
class _Panel:
    make: Callable[[], dict[str, Any] | None]
    leave: Callable[[], None]


@dataclass
class _Place:
    """The panels of one run of a cell."""

    cell: Cell
    panels: dict[str, _Panel] = field(default_factory=dict)
    before: dict[str, _Panel] = field(default_factory=dict)

    @property
    def is_newer(self) -> bool:
        version = self.cell.metadata.get("version", VERSION)
        return not isinstance(version, int) or isinstance(version, bool) or version > VERSION

    def value(self) -> dict[str, Any] | None:
        """Return all that the cell keeps of ours."""
        kept = self.cell.metadata.get("panels")
        panels = dict(kept) if isinstance(kept, Mapping) else {}
        for key, panel in self.panels.items():
            entry = panel.make()
            if entry is None:
                panels.pop(key, None)
            else:
                panels[key] = entry
        value = {**self.cell.metadata, "format": FORMAT, "version": VERSION, "panels": panels}
        if not panels:
            del value["panels"]
        return value if set(value) - {"format", "version"} else None


_places: dict[str, _Place] = {}


def _place_of(cell: Cell) -> _Place:
    known = _places.get(cell.id) if cell.id is not None else None
    if known is not None and known.cell.run == cell.run:
        return known
    place = _Place(cell, before=dict(known.panels) if known is not None else {})
    if cell.id is not None:
        _places[cell.id] = place
    return place


class Keeping:
    """Where one panel is kept.

    Parameters
    ----------
    shell
        The running IPython; None where there is none.
    state
        ``cell``, ``file`` or ``none``.
    name
        The panel's name, by which it is found again; otherwise its place among the panels of the cell.

    Raises
    ------
    ConfigurationError
        There is no such place (a ValueError).

    Examples
    --------
    >>> keeping = Keeping(None, "cell", None)
    >>> keeping.found(), keeping.where
    (None, 'Kept in the memory of this kernel only.')
    """

    def __init__(self, shell: InteractiveShell | None, state: State, name: str | None) -> None:
        if state not in ("cell", "file", "none"):
            raise ConfigurationError(f"state={state!r} makes no sense.", hint='It is "cell", "file" or "none".')
        self._shell = shell
        self._state = state
        self._cell = Cell() if shell is None else current_cell(shell)
        self._place = _place_of(self._cell)
        self.key = name or str(len(self._place.panels) + 1)
        self._held = False
        self._mine: _Panel | None = None

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
            return (
                f"Kept in {self._file.name}, beside the notebook." if self._file else f"{memory}: no notebook is known."
            )
        if self._shell is None or self._cell.id is None:
            return f"{memory}."
        match bridge_of(self._shell).status:
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
            return self._in_file()
        if self._place.is_newer:
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
        return not self._place.is_newer or self._state == "file"

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
        self._mine = _Panel(make, leave)
        self._place.panels[self.key] = self._mine

    def write(self) -> None:
        """Keep what there is now; what is written often is written a little later."""
        if self._held or self._state == "none" or self._shell is None or self._mine is None:
            return
        if self._state == "file":
            self._to_file()
        elif self._cell.id is not None and not self._place.is_newer and _places.get(self._cell.id) is self._place:
            bridge_of(self._shell).write(self._cell.id, self._place.value)

    def flush(self) -> None:
        """Keep it at once."""
        if self._shell is not None and self._state == "cell" and not self._held:
            bridge_of(self._shell).flush()

    # -- the file -----------------------------------------------------------------------------------------------

    @property
    def _file(self) -> Path | None:
        notebook = os.environ.get("JPY_SESSION_NAME") or ""
        if self._shell is not None:
            notebook = str(self._shell.user_ns.get("__vsc_ipynb_file__") or notebook)
        path = Path(notebook)
        if path.suffix != ".ipynb" or not path.parent.is_dir():
            return None
        return path.with_suffix(".orchat.json")

    @property
    def _file_key(self) -> str:
        return self.key if not self.key.isdigit() else f"{self._cell.id}/{self.key}"

    def _read_file(self) -> dict[str, Any]:
        path = self._file
        try:
            if path is None or not path.exists():
                return {}
            if path.stat().st_size > _MOST_FILE:
                raise ValueError("too large")
            data = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError, RecursionError):
            self._held = True
            raise StateError(f"{path.name if path else 'The file'} cannot be read. It stays untouched.") from None
        version = data.get("version") if isinstance(data, dict) and data.get("format") == FORMAT else None
        if version != VERSION or not isinstance(data.get("panels"), dict):
            self._held = True
            raise StateError(f"{path.name} is of another orchat, or damaged. It stays untouched.")
        return dict(data)

    def _in_file(self) -> Any:
        return self._read_file().get("panels", {}).get(self._file_key)

    def _to_file(self) -> None:
        assert self._mine is not None
        path = self._file
        if path is None:
            return
        try:
            data = self._read_file()
        except StateError:
            data = {}
            if self._held:
                return
        panels = {**data.get("panels", {}), self._file_key: self._mine.make()}
        panels = {key: entry for key, entry in panels.items() if entry is not None}
        text = json.dumps({**data, "format": FORMAT, "version": VERSION, "panels": panels}, sort_keys=True, indent=1)
        with suppress(OSError):
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".tmp")
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text + "\n")
            os.replace(name, path)
