"""Rebuild the notebook's conversations from its cells' records: ``%openrouter restore``, ``orchat.restore()``."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from orchat.errors import ConfigurationError, OrchatError, StateError
from orchat.jupyter.kernel.cell_storage.executing_cell import notebook_path
from orchat.jupyter.kernel.cell_storage.notebook_file import read_cells
from orchat.jupyter.kernel.cell_storage.sidecar_file import SidecarFile
from orchat.jupyter.kernel.conversations import restored_conversations
from orchat.jupyter.kernel.conversations.notebook_conversations import CellTurn, NotebookConversations, TurnLocation
from orchat.jupyter.kernel.coroutine_runner import deliver_comms_while_awaiting, wake_loop_on_interrupt
from orchat.jupyter.kernel.output.untrusted_text import single_line
from orchat.private_event_loop import runs_on_private_loop

if TYPE_CHECKING:
    from orchat.jupyter.magic.magic_session import MagicSession

_PAGE_TIMEOUT = 2.0  # seconds for a page; one that was loaded a moment ago hears only the second try


@dataclass(frozen=True)
class RestoreResult:
    """The result of a restore, whose text is its summary.

    Parameters
    ----------
    turns
        The number of turns of each conversation, by name.
    source
        The source of the cells, for people.
    damaged
        The errors of turns that could not be read, and of those that lost a picture of their answer.

    Examples
    --------
    >>> RestoreResult({"notebook": 2}, "tides.ipynb, as it was saved")
    notebook: 2 turns restored
    from tides.ipynb, as it was saved
    """

    turns: Mapping[str, int]
    source: str
    damaged: tuple[StateError, ...] = ()

    def __repr__(self) -> str:
        lines = [f"{name}: {count} turn{'' if count == 1 else 's'} restored" for name, count in self.turns.items()]
        lost = [each for each in self.damaged if isinstance(each, restored_conversations.LostPictureError)]
        unread = [each for each in self.damaged if each not in lost]
        for what, errors in (("could not be read", unread), ("restored without a picture", lost)):
            if errors:
                lines.append(f"{len(errors)} {what}: {single_line(str(errors[0]), 120)}")
        return "\n".join([*lines, f"from {self.source}"] if lines else [f"No saved conversation in {self.source}."])


async def restore_session(session: MagicSession, path: str | None) -> RestoreResult:
    """Rebuild a session's conversations from the page's cells, or from the saved notebook where no page answers.

    Parameters
    ----------
    session
        The session whose conversations are replaced.
    path
        A saved notebook to read; None for the running notebook.

    Raises
    ------
    StateError
        The file is no notebook.
    """
    cells, source = await _find_cells(session, path)
    conversations, damaged = restored_conversations.restore_conversations(
        session.conversations, cells, _sidecar_turns(session, path)
    )
    return RestoreResult(
        {conversation.name: len(conversation.turns) for conversation in conversations}, source, tuple(damaged)
    )


async def count_earlier_turns(session: MagicSession, name: str, cell: str | None) -> int:
    """Count the turns of a conversation that a restore would bring back before the running cell.

    Parameters
    ----------
    session
        The session, which stays as it is.
    name
        The conversation.
    cell
        The front end's identifier of the running cell.

    Returns
    -------
    int
        0 also where neither a page answers nor a file can be read.
    """
    try:
        cells, _ = await _find_cells(session, None)
    except OrchatError:
        return 0
    places = [at for at, each in enumerate(cells) if each.get("id") == cell]
    earlier, turn = NotebookConversations(), CellTurn(TurnLocation(cell))
    restored_conversations.restore_conversations(earlier, cells[: places[0]] if places else [], _sidecar_turns(session))
    return len(earlier[name].turns_before(turn))


async def _find_cells(session: MagicSession, path: str | None) -> tuple[list[Mapping[str, Any]], str]:
    """Return the cells of a notebook, and their source for people."""
    ask_page = path is None and not runs_on_private_loop()  # for which no answer comes before the cell ends
    if ask_page and (cells := await session.bridge.cells(_PAGE_TIMEOUT)) is not None:
        return cells, "the page, unsaved changes included"
    if (notebook := path or notebook_path(session.shell)) is None:
        # No error: it would end the run of a notebook by papermill, nbclient or nbconvert.
        return [], "this notebook: no page answers, and its file is not known here (%openrouter restore FILE.ipynb)"
    return read_cells(notebook), f"{os.path.basename(notebook)}, as it was saved"


def _sidecar_turns(session: MagicSession, path: str | None = None) -> Callable[[], Mapping[str, Any]]:
    return cache(lambda: SidecarFile(path or notebook_path(session.shell)).part("turns"))


async def restore(path: str | os.PathLike[str] | None = None) -> RestoreResult:
    """Rebuild this notebook's conversations, as ``%openrouter restore`` does; the next cell continues them.

    The page that shows the notebook sends its cells, unsaved changes included; where none answers, the saved file is
    read. What is restored is data: it sets messages, and nothing else.

    Parameters
    ----------
    path
        A saved notebook to read instead.

    Returns
    -------
    RestoreResult
        The number of turns of each conversation, and their source; its text is the summary. It is empty where no page
        answers and the notebook's file is not known, as when papermill runs it.

    Raises
    ------
    ConfigurationError
        IPython does not run (a ValueError).
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
    async with wake_loop_on_interrupt(), deliver_comms_while_awaiting():
        return await restore_session(session, None if path is None else os.fspath(path))
