"""Strip conversations from a notebook: orchat's metadata, and its part of outputs. Pure."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from orchat.jupyter.kernel.cell_storage.executing_cell import CONFLICTS_KEY, METADATA_KEY, is_conflicting_change
from orchat.jupyter.kernel.output.mime_types import MIME_TYPES


def strip_notebook(notebook: dict[str, Any], *, outputs: bool = False) -> tuple[dict[str, Any], int]:
    """Return a notebook without orchat's data.

    Parameters
    ----------
    notebook
        As in a notebook file; it is not changed.
    outputs
        Whether the answers are removed too; else their text stays.

    Returns
    -------
    tuple
        The notebook, and the number of removed values.

    Examples
    --------
    >>> answer = {"output_type": "display_data", "metadata": {},
    ...           "data": {"text/markdown": "It is *high*.", "application/vnd.orchat.v1": '{"model": "m"}'}}
    >>> cell = {"cell_type": "code", "metadata": {"orchat": {"version": 1}, "tags": ["tide"]}, "outputs": [answer]}
    >>> stripped, count = strip_notebook({"cells": [cell], "metadata": {}})
    >>> count
    2
    >>> stripped["cells"][0]["metadata"], stripped["cells"][0]["outputs"][0]["data"]
    ({'tags': ['tide']}, {'text/markdown': 'It is *high*.'})
    >>> strip_notebook({"cells": [cell]}, outputs=True)[0]["cells"][0]["outputs"]
    []
    """
    notebook = copy.deepcopy(notebook)
    count = _strip_metadata(notebook.get("metadata"))
    for cell in _cells(notebook):
        count += _strip_metadata(cell.get("metadata"))
        found = cell.get("outputs")
        if not isinstance(found, list):
            continue
        if outputs:
            remaining = [output for output in found if not _is_orchat_output(output)]
            count += len(found) - len(remaining)
            cell["outputs"] = found = remaining
        for output in found:
            if isinstance(output, dict):
                count += _strip_metadata(output.get("metadata"))
                for kind in MIME_TYPES:
                    count += _drop(output.get("data"), kind) + _drop(output.get("metadata"), kind)
    return notebook, count


def _cells(notebook: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the cells; notebooks before version 4 have worksheets instead, and no data of orchat."""
    cells = notebook.get("cells")
    for cell in cells if isinstance(cells, list) else ():
        if isinstance(cell, dict):
            yield cell


def _strip_metadata(metadata: object) -> int:
    """Remove orchat's value, and the changes of it that a merge by nbdime has left undecided; return their number."""
    count = _drop(metadata, METADATA_KEY)
    conflicts = metadata.get(CONFLICTS_KEY) if isinstance(metadata, dict) else None
    if not isinstance(metadata, dict) or not isinstance(conflicts, dict):
        return count
    found = 0
    for side, changes in conflicts.items():
        if isinstance(changes, list):
            conflicts[side] = [each for each in changes if not is_conflicting_change(each, METADATA_KEY, *MIME_TYPES)]
            found += len(changes) - len(conflicts[side])
    if found and not any(conflicts.values()):
        del metadata[CONFLICTS_KEY]
    return count + found


def _drop(mapping: object, name: str) -> int:
    return int(isinstance(mapping, dict) and mapping.pop(name, mapping) is not mapping)


def _is_orchat_output(output: object) -> bool:
    if not isinstance(output, dict):
        return False
    data, metadata = output.get("data"), output.get("metadata")
    ours = isinstance(data, dict) and any(kind in data for kind in MIME_TYPES)
    return ours or (isinstance(metadata, dict) and METADATA_KEY in metadata)
