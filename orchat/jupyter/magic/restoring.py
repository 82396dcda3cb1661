"""Rebuild the notebook's conversations from what its cells keep: ``%openrouter restore``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from orchat.errors import ConfigurationError, StateError
from orchat.jupyter.cell_metadata.beside import Beside
from orchat.jupyter.cell_metadata.cell import notebook_path
from orchat.jupyter.notebook.records import cells_of, restore
from orchat.jupyter.output.caption import line

if TYPE_CHECKING:
    from orchat.jupyter.magic.session import Session


@dataclass(frozen=True)
class Restored:
    """What was rebuilt.

    Parameters
    ----------
    turns
        How many turns each conversation has, by name.
    source
        Where they came from.
    damaged
        Why turns could not be read.

    Examples
    --------
    >>> Restored({"notebook": 2}, "tides.ipynb, as it was saved")
    notebook: 2 turns restored
    from tides.ipynb, as it was saved
    """

    turns: Mapping[str, int]
    source: str
    damaged: tuple[StateError, ...] = ()

    def __repr__(self) -> str:
        told = [f"{name}: {count} turn{'' if count == 1 else 's'} restored" for name, count in self.turns.items()]
        if self.damaged:
            told.append(f"{len(self.damaged)} could not be read: {line(str(self.damaged[0]), 120)}")
        return "\n".join([*told, f"from {self.source}"] if told else [f"No saved conversation in {self.source}."])


def restore_from_file(session: Session, path: str | None) -> Restored:
    """Rebuild conversations from a saved notebook.

    Parameters
    ----------
    session
        Whose conversations they become.
    path
        The notebook; None for the one that runs.

    Raises
    ------
    ConfigurationError
        Which one runs is not known (a ValueError).
    StateError
        The file is no notebook.
    """
    path = path or notebook_path(session.shell)
    if path is None:
        raise ConfigurationError("This notebook's file is not known here.", hint="%openrouter restore FILE.ipynb")
    return _restored(session, cells_of(path), path, f"{os.path.basename(path)}, as it was saved")


def _restored(session: Session, cells: list[Mapping[str, Any]], notebook: str | None, source: str) -> Restored:
    threads, damaged = restore(session.threads, cells, cache(lambda: Beside(notebook).part("turns")))
    return Restored({thread.name: len(thread.turns) for thread in threads}, source, tuple(damaged))
