"""The cell that runs, as the front end told of it with its request.

JupyterLab and Notebook 7 send a cell's metadata along, VS Code an identifier that is an address; nbclient and terminals
send nothing. All of it is data of a file that anybody may have written.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

KEY = "orchat"
"""Our name in the metadata of cells, of outputs and of notebooks."""


@dataclass(frozen=True)
class ExecutingCell:
    """A run of a cell.

    Parameters
    ----------
    id
        The front end's name of the cell; None where it told none.
    metadata
        What the cell's metadata holds of ours; empty where there is none.
    run
        The identifier of the request that this run answers.
    execution
        The number of the run, as it stands in brackets beside the cell; None where there is none.
    """

    id: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    run: str | None = None
    execution: int | None = None


def current_cell(shell: InteractiveShell) -> ExecutingCell:
    """Return the cell that runs.

    Parameters
    ----------
    shell
        The running IPython.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> request = {"header": {"msg_id": "m-1"}, "metadata": {"cellId": "a1", "orchat": {"version": 1}}}
    >>> history = SimpleNamespace(input_hist_parsed=["", "first()", "second()"])
    >>> current_cell(SimpleNamespace(get_parent=lambda: request, history_manager=history))
    ExecutingCell(id='a1', metadata={'version': 1}, run='m-1', execution=2)
    >>> current_cell(SimpleNamespace())
    ExecutingCell(id=None, metadata={}, run=None, execution=None)
    """
    parent = shell.get_parent() if hasattr(shell, "get_parent") else None
    told, header = _mapping(parent, "metadata"), _mapping(parent, "header")
    return ExecutingCell(
        _text(told.get("cellId")),
        _mapping(told, KEY),
        _text(header.get("msg_id")),
        _number(shell),
    )


def notebook_path(shell: InteractiveShell) -> str | None:
    """Return where the file of the notebook is, as the front end told when the kernel started; None if it did not."""
    told = shell.user_ns.get("__vsc_ipynb_file__") or os.environ.get("JPY_SESSION_NAME")
    return _text(told)


def _mapping(value: object, name: str) -> Mapping[str, Any]:
    found = value.get(name) if isinstance(value, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _number(shell: InteractiveShell) -> int | None:
    """Return the number of the running cell; the shell's own counter is already at the next one in some versions."""
    inputs = getattr(getattr(shell, "history_manager", None), "input_hist_parsed", None)
    return len(inputs) - 1 if isinstance(inputs, list) and len(inputs) > 1 else None
