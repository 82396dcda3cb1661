"""Decide where the conversations of a cell are persisted: its metadata, a sidecar file, or nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

from orchat.configuration import setting
from orchat.errors import ConfigurationError
from orchat.jupyter.kernel.cell_storage.executing_cell import SHOWN_MARK, ExecutingCell, current_cell, notebook_path

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from orchat.jupyter.kernel.cell_storage.metadata_bridge import MetadataBridge
    from orchat.jupyter.kernel.cell_storage.metadata_entry import MetadataEntry
    from orchat.jupyter.kernel.cell_storage.sidecar_file import SidecarFile

StorageState = Literal["cell", "file", "none"]

MEMORY_ONLY = "kept in the memory of this kernel only"


class StorageTarget:
    """The executing cell, and the place where its conversations go.

    Parameters
    ----------
    shell
        The running IPython; None where there is none.
    state
        ``cell``, ``file`` or ``none``; None for the setting.

    Raises
    ------
    ConfigurationError
        ``state``, or one of the settings ``state`` and ``state_limit``, is not valid (a ValueError).

    Examples
    --------
    >>> StorageTarget(None, "everywhere")
    Traceback (most recent call last):
        ...
    orchat.errors.ConfigurationError: state='everywhere' makes no sense. It is "cell", "file" or "none".
    """

    def __init__(self, shell: InteractiveShell | None, state: str | None = None) -> None:
        state = str(setting("state")) if state is None else state
        if state not in ("cell", "file", "none"):
            raise ConfigurationError(f"state={state!r} makes no sense.", hint='It is "cell", "file" or "none".')
        setting("state_limit")  # nonsense is told before anything is asked
        self.shell = shell
        self.state = cast(StorageState, state)
        self.cell = ExecutingCell() if shell is None else current_cell(shell)

    @property
    def has_page_cell(self) -> bool:
        """Whether a front end named the cell."""
        return self.shell is not None and self.cell.id is not None

    @property
    def entry(self) -> MetadataEntry:
        """The cell's metadata entry, which all writers of the cell share."""
        from orchat.jupyter.kernel.cell_storage.metadata_entry import get_entry

        return get_entry(self.cell)

    @property
    def bridge(self) -> MetadataBridge:
        """The bridge to the pages of the notebook."""
        from orchat.jupyter.kernel.cell_storage.metadata_bridge import get_bridge

        assert self.shell is not None
        return get_bridge(self.shell)

    def sidecar(self) -> SidecarFile:
        """Return the file beside the notebook."""
        from orchat.jupyter.kernel.cell_storage.sidecar_file import SidecarFile

        return SidecarFile(None if self.shell is None else notebook_path(self.shell))

    def was_cleared(self) -> bool:
        """Return whether another tool has cleared the cell's outputs in the file, and left the metadata.

        The page's extension sees that by itself, and sends no mark.
        """
        from orchat.jupyter.kernel.cell_storage.notebook_file import was_cleared

        if self.shell is None or self.cell.id is None or not self.cell.metadata.get(SHOWN_MARK):
            return False
        return was_cleared(notebook_path(self.shell), self.cell.id, self.cell.requested)

    def write_metadata(self, entry: MetadataEntry) -> None:
        """Write an entry of the cell into its metadata; writes are throttled until `MetadataBridge.flush`."""
        assert self.cell.id is not None
        if not entry.is_cleared:
            self.bridge.write(self.cell.id, entry.value)
