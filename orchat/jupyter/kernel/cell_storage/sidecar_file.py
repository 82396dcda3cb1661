"""The sidecar file of a notebook, ``NAME.orchat.json``: conversations outside of the notebook.

It is JSON like a cell's metadata, with one level more: parts (``turns``, ``panels``), and in each of them values by
key. A file that is damaged, or of a newer orchat, stays untouched.
"""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from orchat.chat.state import FORMAT, VERSION
from orchat.errors import StateError

_MOST_BYTES = 50_000_000


class SidecarFile:
    """Read and write the sidecar file of a notebook.

    Parameters
    ----------
    notebook
        The path of the notebook; None where it is unknown.

    Attributes
    ----------
    path
        The path of the file, which need not exist; None where no notebook is known.

    Examples
    --------
    >>> sidecar = SidecarFile(None)
    >>> sidecar.path, sidecar.part("panels"), sidecar.put("panels", "1", {})
    (None, {}, False)
    """

    def __init__(self, notebook: str | None) -> None:
        known = notebook is not None and notebook.endswith(".ipynb") and Path(notebook).parent.is_dir()
        self.path = Path(str(notebook)).with_suffix(".orchat.json") if known else None

    def part(self, part: str) -> dict[str, Any]:
        """Return the values of a part, by key.

        Raises
        ------
        StateError
            The file cannot be read.
        """
        return dict(self._read().get(part, {}))

    def put(self, part: str, key: str, value: Any) -> bool:
        """Store a value under a key, or remove it with None; return whether the file was written.

        Raises
        ------
        StateError
            The file exists and cannot be read; it stays as it is.
        """
        path, data = self.path, self._read()
        if path is None:
            return False
        values = {**data.get(part, {}), key: value}
        data[part] = {name: each for name, each in values.items() if each is not None}
        if not data[part]:
            del data[part]
        text = json.dumps({**data, "format": FORMAT, "version": VERSION}, sort_keys=True, indent=1)
        with suppress(OSError):
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.stem, suffix=".tmp")
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text + "\n")
            os.replace(name, path)
            return True
        return False

    def _read(self) -> dict[str, Any]:
        path = self.path
        if path is None or not path.exists():
            return {}
        try:
            if path.stat().st_size > _MOST_BYTES:
                raise ValueError("too large")
            data = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError, RecursionError):
            raise StateError(f"{path.name} cannot be read. It stays untouched.") from None
        version = data.get("version") if isinstance(data, dict) and data.get("format") == FORMAT else None
        if version != VERSION or not all(isinstance(data.get(part, {}), dict) for part in ("turns", "panels")):
            raise StateError(f"{path.name} is of another orchat, or damaged. It stays untouched.")
        return dict(data)
