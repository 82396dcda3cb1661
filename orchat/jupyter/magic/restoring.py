"""Rebuild the notebook's conversations from what its cells keep: ``%openrouter restore``, ``orchat.restore()``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from orchat.errors import ConfigurationError, StateError
from orchat.jupyter.cell_metadata.beside import Beside
from orchat.jupyter.cell_metadata.cell import notebook_path
from orchat.jupyter.cell_metadata.files import cells_of
from orchat.jupyter.notebook import records
from orchat.jupyter.output.caption import line
from orchat.jupyter.running import has_waiting_thread, pumping_comms, ticking

if TYPE_CHECKING:
    from orchat.jupyter.magic.session import Session

_PATIENCE = 2.0  # seconds for a page; one that was loaded a moment ago hears only the second try


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


async def restored(session: Session, path: str | None) -> Restored:
    """Rebuild conversations from the cells as the page shows them, or from the saved notebook where no page answers.

    Parameters
    ----------
    session
        Whose conversations they become.
    path
        A saved notebook, which is read in any case; None for the one that runs.

    Raises
    ------
    ConfigurationError
        No page answers, and where the file is is not known (a ValueError).
    StateError
        The file is no notebook.
    """
    notebook = path or notebook_path(session.shell)
    asks = path is None and not has_waiting_thread()  # for which no answer comes before the cell ends
    cells = await session.bridge.cells(_PATIENCE) if asks else None
    if cells is not None:
        return _restored(session, cells, notebook, "the page, unsaved changes included")
    if notebook is None:
        raise ConfigurationError("This notebook's file is not known here.", hint="%openrouter restore FILE.ipynb")
    return _restored(session, cells_of(notebook), notebook, f"{os.path.basename(notebook)}, as it was saved")


async def restore(path: str | os.PathLike[str] | None = None) -> Restored:
    """Rebuild this notebook's conversations, as ``%openrouter restore`` does; they go on with the next cell.

    The page that shows the notebook is asked for its cells, unsaved changes included; where none answers, the saved
    file is read. What is restored is data: it sets what was said, and nothing else.

    Parameters
    ----------
    path
        A saved notebook to read instead.

    Returns
    -------
    Restored
        How many turns each conversation has, and where they came from; as text it says so.

    Raises
    ------
    ConfigurationError
        This is no IPython; or no page answers, and where the notebook's file is is not known (a ValueError).
    StateError
        The file is no notebook.

    Examples
    --------
    In a cell: ``await orchat.restore()``.

    >>> import asyncio
    >>> asyncio.run(restore("tides.ipynb"))
    Traceback (most recent call last):
    ...
    orchat.errors.ConfigurationError: Conversations of cells are restored in IPython only. ...
    """
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    if shell is None:
        raise ConfigurationError(
            "Conversations of cells are restored in IPython only.", hint="A Chat is saved by to_dict()."
        )
    if "OpenRouterMagics" not in shell.magics_manager.registry:
        shell.run_line_magic("load_ext", "orchat")
    session = shell.magics_manager.registry["OpenRouterMagics"].session
    async with ticking(), pumping_comms():
        return await restored(session, None if path is None else os.fspath(path))


def _restored(session: Session, cells: list[Mapping[str, Any]], notebook: str | None, source: str) -> Restored:
    threads, damaged = records.restore(session.threads, cells, cache(lambda: Beside(notebook).part("turns")))
    return Restored({thread.name: len(thread.turns) for thread in threads}, source, tuple(damaged))
