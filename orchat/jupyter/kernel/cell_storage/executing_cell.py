"""The executing cell: its identifier, metadata and execution count, from the execute request.

JupyterLab and Notebook 7 send a cell's metadata with the request, VS Code an identifier that is a URI; nbclient and
terminals send nothing. All of it is untrusted data of a notebook file.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

METADATA_KEY = "orchat"
"""The key of orchat's part in the metadata of cells, outputs and notebooks."""

CONFLICTS_KEY = "nbdime-conflicts"
"""The key of both sides' changes of metadata that a merge by nbdime left undecided; it keeps the base's value."""

SHOWN_MARK = "shown"
"""In that part of a cell's metadata: the cell has an output, so that it was cleared where there is none any more."""


@dataclass(frozen=True)
class ExecutingCell:
    """One execution of a cell.

    Parameters
    ----------
    id
        The front end's identifier of the cell; None where it sent none.
    metadata
        Orchat's part of the cell's metadata; empty where there is none.
    run
        The identifier of the execute request.
    execution
        The execution count, as in the brackets beside the cell; None where there is none.
    requested
        The time of the execute request; None where the front end sent none.
    conflict
        A digest of the changes of orchat's part that a merge left undecided; None where it left none.
    """

    id: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    run: str | None = None
    execution: int | None = None
    requested: datetime | None = None
    conflict: str | None = None


def current_cell(shell: InteractiveShell) -> ExecutingCell:
    """Return the executing cell.

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
    ExecutingCell(id='a1', metadata={'version': 1}, run='m-1', execution=2, requested=None, conflict=None)
    >>> current_cell(SimpleNamespace())
    ExecutingCell(id=None, metadata={}, run=None, execution=None, requested=None, conflict=None)
    """
    parent = shell.get_parent() if hasattr(shell, "get_parent") else None
    metadata, header = _mapping(parent, "metadata"), _mapping(parent, "header")
    return ExecutingCell(
        _text(metadata.get("cellId")),
        _mapping(metadata, METADATA_KEY),
        _text(header.get("msg_id")),
        _execution_count(shell),
        date if isinstance(date := header.get("date"), datetime) else None,
        _conflict(metadata),
    )


def notebook_path(shell: InteractiveShell) -> str | None:
    """Return the path of the notebook file that the front end gave when the kernel started; None without one."""
    path = shell.user_ns.get("__vsc_ipynb_file__") or os.environ.get("JPY_SESSION_NAME")
    return _text(path)


def is_conflicting_change(change: object, *keys: str) -> bool:
    """Return whether an undecided change of a merge is about one of some keys, such as orchat's.

    Examples
    --------
    >>> is_conflicting_change({"key": "orchat", "op": "patch"}, METADATA_KEY)
    True
    """
    return isinstance(change, Mapping) and change.get("key") in keys


def _conflict(metadata: Mapping[str, Any]) -> str | None:
    sides = [side for side in _mapping(metadata, CONFLICTS_KEY).values() if isinstance(side, list)]
    changes = [change for side in sides for change in side if is_conflicting_change(change, METADATA_KEY)]
    written = json.dumps(changes, sort_keys=True, default=str)  # of the request's messages dates were made
    return hashlib.sha256(written.encode(errors="replace")).hexdigest()[:8] if changes else None


def _mapping(value: object, name: str) -> Mapping[str, Any]:
    found = value.get(name) if isinstance(value, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _execution_count(shell: InteractiveShell) -> int | None:
    """Return the execution count of the running cell; in some versions the shell's counter is one ahead."""
    inputs = getattr(getattr(shell, "history_manager", None), "input_hist_parsed", None)
    return len(inputs) - 1 if isinstance(inputs, list) and len(inputs) > 1 else None
