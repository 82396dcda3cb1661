"""Read cells from notebook files, and strip conversations from them without other changes to the text."""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from orchat.errors import StateError
from orchat.files import read_regular_file, replace_file, shortened_path
from orchat.jupyter.kernel.cell_storage.executing_cell import METADATA_KEY
from orchat.jupyter.kernel.cell_storage.notebook_stripper import strip_notebook

_INDENT = re.compile(r'[\[{]\r?\n([ \t]+)["\[{]')
_BOM = "\ufeff"


@dataclass(frozen=True)
class _Layout:
    """The layout of a JSON file: indentation, separators, escapes and line ends."""

    indent: str | None
    separators: tuple[str, str]
    escaped: bool
    newline: str
    end: str

    @classmethod
    def of(cls, text: str) -> _Layout:
        indent = found[1] if (found := _INDENT.search(text)) else None
        body = text.rstrip()
        spaced = re.search(r'[^\\]": ', body) is not None
        comma = ", " if indent is None and spaced else ","
        return cls(
            indent,
            (comma, ": " if spaced else ":"),
            escaped=body.isascii() and re.search(r"\\u[0-9a-f]{4}", body) is not None,
            newline="\r\n" if "\r\n" in text else "\n",
            end=text[len(body) :],
        )

    def to_text(self, value: Any) -> str:
        text = json.dumps(value, indent=self.indent, separators=self.separators, ensure_ascii=self.escaped)
        return text.replace("\n", self.newline) + self.end


def strip_files(paths: Iterable[str | Path], *, check: bool = False, outputs: bool = False) -> list[tuple[Path, int]]:
    """Strip orchat's data from notebook files.

    Parameters
    ----------
    paths
        The files.
    check
        Whether the files stay unchanged.
    outputs
        Whether the answers are removed too; else their text stays.

    Returns
    -------
    list
        The files with data of orchat, each with the number of removed values.

    Raises
    ------
    StateError
        A file is no notebook, or cannot be read or written; the files before it are done.
    """
    found = []
    for path in map(Path, paths):
        text = _read(path)
        # Fractions are read as texts with a mark, so that they are written as they were: as 1e5, say.
        mark = f"number-{uuid.uuid4().hex}-"
        stripped, count = strip_notebook(_parse_notebook(path, text, mark), outputs=outputs)
        if not count:
            continue
        found.append((path, count))
        if not check:
            bom = _BOM if text.startswith(_BOM) else ""
            written = _Layout.of(text).to_text(stripped)
            _replace(path, bom + re.sub(f'"{mark}([^"]*)"', r"\1", written))
    return found


def _read(path: Path) -> str:
    try:
        return read_regular_file(path).decode()
    except OSError as error:
        raise StateError(f"{shortened_path(path)} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise StateError(f"{shortened_path(path)} cannot be read: it is no UTF-8 text.") from None


def _parse_notebook(path: Path, text: str, mark: str) -> dict[str, Any]:
    try:
        notebook = json.loads(text.removeprefix(_BOM), parse_float=lambda number: mark + number)
    except (ValueError, RecursionError) as error:
        raise StateError(f"{path} cannot be read as a notebook ({type(error).__name__}).") from None
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise StateError(f"{path} is no notebook of version 4.")
    return notebook


def _replace(path: Path, text: str) -> None:
    try:
        replace_file(path, [text.encode(errors="backslashreplace")])  # half a surrogate pair: JSON's escape
    except OSError as error:
        raise StateError(f"{path} cannot be written ({error.strerror}).") from None


def read_cells(path: str) -> list[Mapping[str, Any]]:
    """Return the cells of a saved notebook, with orchat's part of their metadata.

    Raises
    ------
    StateError
        There is no such file, or it is no notebook.
    """
    text = _read(Path(path))
    try:
        cells = json.loads(text.removeprefix(_BOM))["cells"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise StateError(f"{path} cannot be read as a notebook ({type(error).__name__}).") from None
    found = [cell for cell in cells if isinstance(cell, Mapping)] if isinstance(cells, list) else []
    return [
        {**cell, "metadata": each.get(METADATA_KEY) if isinstance(each := cell.get("metadata"), dict) else None}
        for cell in found
    ]


def was_cleared(path: str | None, cell_id: str, before: datetime | None) -> bool:
    """Return whether a saved notebook holds a cell without outputs, and did so before a time.

    Parameters
    ----------
    path
        The notebook; None where it is unknown.
    cell_id
        The cell's identifier in the file.
    before
        The time at which a run took away the outputs in the page, which may have been saved since; None where unknown.

    Examples
    --------
    >>> was_cleared(None, "a1", None)
    False
    """
    try:
        if path is None or before is None or os.stat(path).st_mtime > before.timestamp():
            return False
        cells = read_cells(path)
    except (OSError, StateError):
        return False
    return any(cell.get("id") == cell_id and cell.get("outputs") == [] for cell in cells)
